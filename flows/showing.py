"""What a command prints for a person: short tables, the next step, no personal data."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.handles import Batch, Intake, ScoreTable, Simulation

if TYPE_CHECKING:
    from flows.decide import Outcome
    from flows.nightly import Night
    from tasks.registry.admission import Admission
    from tasks.settings import Settings
    from tasks.validation.backtest import Replay

# Names of batches in a line; all of them are in the JSON.
_NAMED_BATCHES = 5
_FALLBACK_WIDTH = 120


def open_console() -> Console:
    # A pipe has no width: tables are then wide enough not to wrap a name.
    return Console(width=None if sys.stdout.isatty() else _FALLBACK_WIDTH, highlight=False)


def make_table(*columns: str, right: Sequence[str] = (), wrap: Sequence[str] = ()) -> Table:
    """A table whose columns `wrap` share what width the others leave them."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=column not in wrap,
            overflow="fold",
        )
    return table


def make_cell(value: object) -> Text:
    """A cell as plain text: markup or control characters in the data stay what they are."""
    text = "" if value is None else str(value)
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def say_share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def show_batches(batches: Sequence[Batch]) -> None:
    """The batches of one ingest and their sum; the known ones are only counted."""
    new = [batch for batch in batches if not batch.already_known]
    numbers = ("received", "accepted", "quarantined")
    table = make_table("batch", "state", *numbers, right=numbers)
    for batch in new:
        table.add_row(
            make_cell(batch.batch_name),
            batch.state,
            f"{batch.received_rows:,}",
            f"{batch.accepted_rows:,}",
            f"{batch.quarantined_rows:,}",
        )
    console = open_console()
    if new:
        console.print(table)
    received = sum(batch.received_rows for batch in new)
    accepted = sum(batch.accepted_rows for batch in new)
    quarantined = sum(batch.quarantined_rows for batch in new)
    console.print(
        f"{len(new)} new batches, {len(batches) - len(new)} known already:"
        f" {accepted:,} accepted + {quarantined:,} quarantined = {received:,} received"
    )


def show_intake(taken: Intake) -> None:
    """The batches, and those that stand aside without ending the night."""
    show_batches(taken.batches)
    _show_refused(taken.refused)


def _show_refused(refused: Sequence[Batch]) -> None:
    console = open_console()
    for batch in refused:
        console.print(
            f"{batch.batch_name} stands in quarantine; its source lets the night go on"
            " without it: holdfast -d NAME quarantine list",
            markup=False,
        )


def show_queue(items: Sequence[Mapping[str, Any]], called: str) -> None:
    """One line an item: what stops first."""
    console = open_console()
    if not items:
        console.print("Nothing waits for a decision.")
        return
    numbers = ("batches", "rows aside")
    table = make_table(
        "item", "code", "level", *numbers, "since", "what", right=numbers, wrap=("what",)
    )
    for item in items:
        state = item["resolution"] or ("" if item["state"] == "open" else item["state"])
        table.add_row(
            item["item"],
            item["code"],
            f"{item['level']}, {state}" if state else item["level"],
            f"{len(item['batches']):,}",
            f"{item['rows_aside']:,}",
            str(item["opened_at"])[:16].replace("T", " "),
            make_cell(f"{item['source']}: {item['headline']}"),
        )
    console.print(table)
    console.print(
        f"Look at one: holdfast -d {shlex.quote(called)} quarantine show {items[0]['item']}",
        markup=False,
        soft_wrap=True,
    )


def show_history(entries: Sequence[Mapping[str, Any]]) -> None:
    """Who did what when, oldest first."""
    console = open_console()
    if not entries:
        console.print("Nothing has happened yet.")
        return
    table = make_table("at (UTC)", "item", "what", "who", "why", wrap=("why",))
    for entry in entries:
        table.add_row(
            str(entry["at"])[:19].replace("T", " "),
            entry["item"],
            make_cell(entry["what"]),
            make_cell(entry["actor"]),
            make_cell(entry["reason"]),
        )
    console.print(table)


def show_outcome(outcome: Outcome, called: str) -> None:
    """What a decision has done."""
    console = open_console()
    for batch in outcome.batches:
        console.print(
            f"{batch.batch_name}: {batch.state}, {batch.accepted_rows:,} accepted +"
            f" {batch.quarantined_rows:,} aside = {batch.received_rows:,} received",
            markup=False,
        )
    console.print(f"{outcome.done}.", markup=False)
    console.print(
        f"Next: holdfast -d {shlex.quote(called)} quarantine list", markup=False, soft_wrap=True
    )


def show_quarantine_batch(shown: Mapping[str, Any]) -> None:
    """One batch: its failed rules with counts and limits, and masked sample rows."""
    console = open_console()
    console.print(
        f"batch {shown['batch_name']} ({shown['state']}): {shown['quarantined_rows']:,} of"
        f" {shown['received_rows']:,} rows aside since {str(shown['since'])[:16]}",
        markup=False,
    )
    for cause in shown["causes"]:
        console.print(f"  {cause}", markup=False)
    failed = [rule for rule in shown["rules"] if not rule["passed"]]
    if failed:
        numbers = ("failed", "share")
        table = make_table(
            "rule",
            "column",
            "severity",
            *numbers,
            "limit",
            "observed",
            right=numbers,
            wrap=("limit", "observed"),
        )
        for rule in failed:
            table.add_row(
                make_cell(rule["rule"]),
                make_cell(rule["column"]),
                rule["severity"],
                f"{rule['failed_rows']:,}",
                say_share(rule["failed_share"]),
                make_cell(rule["limit"]),
                make_cell(rule["observed"]),
            )
        console.print(table)
    if shown["rows"]:
        line = "raw line, personal fields masked"
        table = make_table("line", "rule", line, right=("line",), wrap=(line,))
        for row in shown["rows"]:
            table.add_row(str(row["row_number"]), make_cell(row["rule"]), make_cell(row["line"]))
        console.print(table)
        console.print(f"{len(shown['rows'])} of {shown['rows_total']:,} rows shown")


def show_simulation(simulation: Simulation) -> None:
    """What was written where, and the command that takes it in."""
    console = open_console()
    table = make_table("table", "rows", right=("rows",))
    for name, rows in simulation.rows.items():
        table.add_row(make_cell(name), f"{rows:,}")
    console.print(table)
    console.print(
        f"{simulation.customers:,} customers, {simulation.start_on} to {simulation.end_on}, seed"
        f" {simulation.seed}, in {simulation.directory}",
        markup=False,
    )
    console.print(
        f"Next: HOLDFAST_SIMULATED={shlex.quote(str(simulation.directory))}"
        " holdfast -d simulated nightly",
        markup=False,
        soft_wrap=True,
    )


def show_backtest(replays: Sequence[Replay], bounds_file: str) -> None:
    """Source by source: what would have alarmed under either bounds, and planted faults caught."""
    from tasks.validation.backtest import REFIT_BATCHES

    console = open_console()
    if not replays:
        console.print("No batch has been accepted: there is nothing to replay.")
        return
    for force, proposed in zip(replays[::2], replays[1::2], strict=True):
        console.print(f"{force.source}: {force.batches} batches replayed", markup=False)
        _show_alarms(console, force, proposed)
        for replay in (force, proposed):
            if replay.batches:
                console.print(
                    f"{replay.bounds}: {len(replay.stopped)} stopped"
                    f" ({100 * len(replay.stopped) / replay.batches:.2f} in 100),"
                    f" {len(replay.warned)} warned"
                    f" ({100 * len(replay.warned) / replay.batches:.2f} in 100)",
                    markup=False,
                )
        _show_catches(console, force, proposed)
    console.print(
        f"Proposed are the bounds of {bounds_file}. Where it was learnt from these batches, it"
        " looks better than it is."
        if bounds_file
        else "Proposed bounds were learnt from the batches before each, anew every"
        f" {REFIT_BATCHES}; those in force hold where history is too short.",
        markup=False,
    )
    console.print(
        "All these batches were accepted: an alarm is false unless one of them was wrong.",
        markup=False,
    )


def _show_alarms(console: Console, force: Replay, proposed: Replay) -> None:
    numbers = ("in force: stop", "warn", "proposed: stop", "warn ")
    table = make_table("rule", "column", *numbers, "batches", right=numbers, wrap=("batches",))
    alarms = [*force.alarms, *proposed.alarms]
    for rule, column in dict.fromkeys((a.rule, a.column) for a in alarms):
        found = [
            [a.batch_name for a in replay.alarms if (a.rule, a.column, a.level) == wanted]
            for replay in (force, proposed)
            for wanted in ((rule, column, "stop"), (rule, column, "warn"))
        ]
        names = list(dict.fromkeys(name for names in found for name in names))
        shown = ", ".join(names[:_NAMED_BATCHES])
        more = len(names) - _NAMED_BATCHES
        table.add_row(
            make_cell(rule),
            make_cell(column),
            *(str(len(batches)) for batches in found),
            make_cell(f"{shown} (+{more} more)" if more > 0 else shown),
        )
    if alarms:
        console.print(table)


def _show_catches(console: Console, force: Replay, proposed: Replay) -> None:
    numbers = ("in force: stopped", "warned", "proposed: stopped", "warned ")
    table = make_table("planted fault", *numbers, right=numbers)
    for fault in dict.fromkeys(c.fault for c in (*force.catches, *proposed.catches)):
        cells = []
        for replay in (force, proposed):
            catch = next((c for c in replay.catches if c.fault == fault), None)
            numbers_of = (catch.stopped, catch.warned) if catch is not None else ()
            planted = catch.planted if catch is not None else 0
            cells += [f"{number / planted:.1%}" for number in numbers_of] or ["", ""]
        table.add_row(make_cell(fault), *cells)
    if force.catches or proposed.catches:
        console.print(table)


def show_settings(markdown: str) -> None:
    """The configuration reference."""
    print(markdown)  # noqa: T201  (a document, meant for a file or a pager)


def show_standing(standing: Mapping[str, Any]) -> None:
    """The same as `status --json`, for the eye."""
    console = open_console()
    as_of = str(standing["as_of"])[:10] if standing["as_of"] else "no data yet"
    console.print(
        f"{standing['deployment']}, as of {as_of}, lake version {standing['snapshot_id']}"
    )
    numbers = ("batches", "received", "accepted", "quarantined")
    table = make_table("table", *numbers, right=numbers)
    for name, counts in sorted(standing["batches"]["tables"].items()):
        table.add_row(make_cell(name), *(f"{counts[key]:,}" for key in numbers))
    console.print(table)
    for name in standing["batches"]["quarantined"]:
        console.print(f"in quarantine: {name}", markup=False)
    for source in standing["sources"]:
        if source["is_behind"]:
            console.print(f"behind: {source['source']}: {source['text']}", markup=False)
    scores = standing["last_scores"]
    if scores is not None and scores["stale_sources"]:
        console.print(
            f"last scores: stale by {scores['stale_days']:,.4g} days: {scores['stale_sources']}",
            markup=False,
        )
    champion = standing["champion"]
    if champion is None:
        console.print("champion: none yet")
    else:
        console.print(
            f"champion: {champion['name']} version {champion['version']} ({champion['kind']}"
            f" {champion['candidate']}), {champion['age_days']:.1f} days old",
            markup=False,
        )
        console.print(_metrics_table(champion["metrics"]))
    decision = standing["last_decision"]
    if decision is not None:
        console.print(f"last decision: {decision['outcome']}: {decision['reason']}", markup=False)


def _metrics_table(metrics: Mapping[str, Mapping[str, float]]) -> Table:
    numbers = ("estimate", "low", "high")
    table = make_table("final test", *numbers, right=numbers)
    for name, figure in metrics.items():
        table.add_row(make_cell(name), *(f"{figure[key]:,.4g}" for key in numbers))
    return table


def show_training(admission: Admission) -> None:
    """What the gate decided, why, and the figures of the final test."""
    console = open_console()
    decision = admission.decision
    console.print(f"gate: {decision.outcome}: {decision.reason}", markup=False)
    for criterion in decision.evidence["criteria"]:
        sign = "yes" if criterion["passed"] else "NO "
        console.print(f"  {sign} {criterion['name']}: {criterion['detail']}", markup=False)
    champion = admission.champion
    if champion is not None:
        console.print(
            f"serving: {champion.name} version {champion.version}"
            f" ({champion.kind} {champion.candidate})",
            markup=False,
        )
        named = ("estimate", "low", "high")
        console.print(
            _metrics_table(
                {name: dict(zip(named, v, strict=True)) for name, v in champion.metrics.items()}
            )
        )


def show_scores(scores: ScoreTable, rows: int = 10) -> None:
    """The head of the ranked list, and where the whole of it is."""
    from tasks.scoring.steps import describe_staleness, read_head

    console = open_console()
    if scores.parquet_path is not None:
        numbers = ("rank", "probability", "at risk")
        table = make_table("customer", *numbers, "because of", right=numbers, wrap=("because of",))
        for row in read_head(scores.parquet_path, rows):
            reasons = [row[f"reason_{number}"] for number in (1, 2, 3)]
            table.add_row(
                make_cell(row["customer_id"]),
                str(row["rank"]),
                f"{row['probability']:.3f}",
                f"{row['money_at_risk_amount']:,.2f} {row['currency']}",
                make_cell("; ".join(reason for reason in reasons if reason)),
            )
        console.print(table)
    console.print(
        f"{scores.rows:,} customers scored as of {scores.as_of:%Y-%m-%d} by"
        f" {scores.model_name} version {scores.model_version}",
        markup=False,
    )
    console.print(f"  {scores.csv_path}\n  {scores.parquet_path}", markup=False)
    stale = describe_staleness(scores.staleness)
    if stale:
        console.print(stale, markup=False)


# What else a night leaves in the folder of its scores, for whom it is.
_BESIDE_SCORES = (
    ("Whom to contact", "actions.csv"),
    ("Whom to win back", "winback.csv"),
    ("How the model is doing", "monitoring.html"),
)


def show_night(night: Night, settings: Settings) -> None:
    """A whole night, and where each person looks next."""
    from tasks.services.environment import find_services

    show_batches(night.batches)
    _show_refused(night.refused)
    if night.admission is not None:
        show_training(night.admission)
    show_scores(night.scores)
    for rollout in night.rollouts:
        told = f"{rollout.rollout_id} {rollout.state.replace('_', ' ')}"
        open_console().print(f"rollout: {told}: {rollout.reason}", markup=False, soft_wrap=True)
    called = shlex.quote(settings.called)
    console = open_console()
    if night.understanding is not None:
        for part, why in night.understanding.left_out.items():
            console.print(f"no {part}: {why}", markup=False, soft_wrap=True)
        for path in night.understanding.page.paths.values():
            console.print(f"Page: {path}", markup=False, soft_wrap=True)
    for label, name in _BESIDE_SCORES:
        beside = night.scores.csv_path.with_name(name) if night.scores.csv_path else None
        if beside is not None and beside.is_file():
            console.print(f"{label}: {beside}", markup=False, soft_wrap=True)
    if night.admission is not None:
        console.print(f"MLflow run: {night.admission.run_id}", markup=False)
    following = [f"holdfast -d {called} status", f"holdfast -d {called} quarantine list"]
    if find_services(settings.home) is None:
        following.append("holdfast up")
    console.print(f"Next: {'    '.join(following)}", markup=False, soft_wrap=True)
    if night.held:
        console.print(f"Degraded night: {night.held} The champion scored.", markup=False)
