"""What on-call is told: the report of an item, as pages and text, and the messages about it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flows.preview import preview
from tasks.errors import HoldfastError
from tasks.handles import Batch, Incident
from tasks.incidents import steps as incidents
from tasks.intake import steps as intake
from tasks.moments import read_clock
from tasks.oncall import steps as oncall
from tasks.registry import steps as registry
from tasks.settings import Settings
from tasks.warehouse import Lake, open_lake

_LOG = logging.getLogger("holdfast.oncall")
# A preview takes a quarter of a minute and more; a night of many causes must still end.
_MOST_PREVIEWS = 3


def announce(lake: Lake, refused: Sequence[Batch], since: datetime) -> oncall.Delivered:
    """Report the items of batches that were refused since then, and tell people of new ones.

    Each report says what letting the newest batch in would cost, where a champion serves; of many
    items, those of most batches. What fails here is logged: the queue has the item, and the night
    has its own error to end with.
    """
    previews: dict[int, Mapping[str, Any]] = {}
    numbers = [batch.batch_number for batch in refused if batch.recorded_at >= since]
    fresh = choose_fresh(incidents.list_incidents(lake) if numbers else [], numbers)
    has_champion = bool(fresh) and registry.find_champion(lake) is not None
    for place, (incident, number) in enumerate(fresh):
        cost = None
        if has_champion and place < _MOST_PREVIEWS:
            cost = _try_preview(lake, incident, number)
        if cost is not None:
            previews[incident.incident_number] = cost
        try:
            report = gather_report(lake, incident.name, cost)
            oncall.publish_report(lake.settings, report)
        except HoldfastError as error:
            _LOG.warning("The report of %s was not written: %s", incident.name, error.what)
    return tell_oncall(lake, previews=previews)


def choose_fresh(
    items: Sequence[Incident], batch_numbers: Sequence[int]
) -> list[tuple[Incident, int]]:
    """The items that stop one of these batches, each with the newest of them; the most first."""
    wanted = set(batch_numbers)
    found = [
        (incident, wanted & set(incident.batches))
        for incident in items
        if incident.cause.level == "stop"
    ]
    shared = [(incident, numbers) for incident, numbers in found if numbers]
    shared.sort(key=lambda one: (-len(one[1]), one[0].incident_number))
    return [(incident, max(numbers)) for incident, numbers in shared]


def _try_preview(lake: Lake, incident: Incident, number: int) -> Mapping[str, Any] | None:
    settings = lake.settings
    if not settings.oncall.preview_refused:
        return None
    try:
        found = preview(
            settings, number, lift_stops=True, score_change=settings.oncall.preview_score_change
        )
    except HoldfastError as error:
        _LOG.warning("What %s would cost is not known: %s", incident.name, error.what)
        return None
    return found.as_dictionary() if found.possible else None


def gather_report(
    lake: Lake, item: str, preview: Mapping[str, Any] | None = None
) -> oncall.IncidentReport:
    """The report of an item, with masked rows from intake and the champion from the registry."""
    return oncall.gather(
        lake,
        item,
        sample=lambda number, rule: intake.show_quarantine(lake, str(number), rule=rule),
        serving=registry.champion_status(lake)["champion"],
        preview=preview,
    )


def report_item(
    settings: Settings, asked: str, preview: Mapping[str, Any] | None = None
) -> tuple[oncall.IncidentReport, oncall.Published]:
    """`holdfast quarantine report ITEM`: the report, and where it was published."""
    with open_lake(settings) as lake:
        report = gather_report(lake, intake.find_case(lake, asked).incident.name, preview)
    return report, oncall.publish_report(settings, report)


def report_queue(
    settings: Settings,
) -> list[tuple[oncall.IncidentReport, oncall.Published]]:
    """`holdfast quarantine report`: the same for every open item, and a page that lists them."""
    with open_lake(settings) as lake:
        names = [incident.name for incident in incidents.list_incidents(lake)]
        entries = oncall.list_entries(
            settings.deployment, intake.describe_queue(lake), read_clock()
        )
        reports = [gather_report(lake, name) for name in names]
    found = [(report, oncall.publish_report(settings, report)) for report in reports]
    oncall.write_queue(settings, entries)
    return found


def tell_oncall(
    lake: Lake, *, previews: Mapping[int, Mapping[str, Any]] | None = None, hurry: bool = True
) -> oncall.Delivered:
    """Tell people of items that nobody was told of yet; never an error, and soon over.

    `previews` are by the number of the item. With `hurry` everything that waits is tried now and
    within seconds (a night's way); without, only what is due again.
    """
    if not lake.settings.oncall.channels:
        return oncall.Delivered()
    champion = registry.champion_status(lake)["champion"]
    named = f"{champion['name']} version {champion['version']}" if champion else None
    return oncall.send_notices(lake, previews=previews or {}, champion=named, hurry=hurry)
