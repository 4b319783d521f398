"""Who went by lot, and what became of them: the action list's hold-out and declared campaigns.

Everything is made of what was known by `known_by`; a lot counts when its whole horizon lies before
`as_of`. A lot whose shares are not those declared was none, and is left out with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.evidence import Voucher
from tasks.findings import Words
from tasks.offers import held_out_sql
from tasks.uplift.effects import Trial, check_lot
from tasks.visibility import supersessions, visible
from tasks.warehouse import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.handles import FeatureTable, Snapshot
    from tasks.incrementality import CampaignSettings
    from tasks.settings import Settings
    from tasks.warehouse import Lake

SQL = Path(__file__).with_name("sql")
# A campaign that goes out over more days has no one moment before which nothing came of it.
_LONGEST_CAMPAIGN = timedelta(days=3)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign that went out; `declared` is its name in the settings, None where it has none."""

    campaign_id: str
    decided_at: datetime
    customers: int
    declared: str | None


@dataclass(frozen=True, slots=True)
class Staged:
    """What `stage_subjects` has put into the temporary table `trial`, and what it left out."""

    fingerprint: tuple[int, int, int]
    actions: tuple[tuple[str, str], ...]
    newest_lots: tuple[datetime, ...]
    undeclared: tuple[Campaign, ...]
    notes: tuple[Words, ...]
    vouchers: tuple[Voucher, ...]


@dataclass(frozen=True, slots=True)
class Subjects:
    """The trial of one action, with group and reason (None: unknown) of each subject."""

    trial: Trial
    segments: NDArray[np.object_]
    drivers: NDArray[np.object_]
    sources: tuple[str, ...]
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Learnable:
    """A trial's subjects of whom features are known, `features` of shape (subjects, features).

    `customer_ids` and `decided_at` say who they are and when their lot was drawn.
    """

    trial: Trial
    features: Floats
    customer_ids: list[str]
    decided_at: list[datetime]


def stage_subjects(
    lake: Lake, as_of: datetime, known_by: datetime, snapshot: Snapshot, settings: Settings
) -> Staged:
    """Make the temporary tables `contact`, `campaign`, `subject` and `trial`."""
    values: dict[str, Any] = {
        "as_of": as_of,
        "known_by": known_by,
        "horizon_days": settings.features.horizon_days,
        "activity_window_days": settings.features.activity_window_days,
        "margin_share": settings.economics.margin_share,
        "hold_out_salt": settings.actions.hold_out_salt,
        "hold_out_share": settings.actions.hold_out_share,
    }
    names = {
        table: visible(table, snapshot, supersessions(lake, snapshot, table))
        for table in ("orders", "contacts", "customers")
    }
    names["is_held_out"] = held_out_sql("action.customer_id")
    for file in ("contact", "campaign", "subject", "list_subject"):
        lake.run(SQL / f"{file}.sql", values, names=names)
    campaigns, notes = _find_campaigns(lake, as_of, settings)
    for name in sorted({one.declared for one in campaigns if one.declared}):
        _stage_campaign(
            lake, name, [one for one in campaigns if one.declared == name], values, names, settings
        )
    lake.run(SQL / "trial.sql", values, names=names)
    dropped, vouchers = _check_lots(lake, settings)
    notes += dropped
    lots = lake.rows(
        "select decided_at from (select decided_at, count(*) as subjects from trial"
        " group by decided_at) where subjects * 4 >= (select max(n) from"
        " (select count(*) as n from trial group by decided_at))"
        " order by decided_at desc limit $most",
        {"most": settings.uplift.maximum_cutoffs},
    )
    stamp = lake.one(lake.text(SQL / "fingerprint.sql"))
    return Staged(
        fingerprint=(int(stamp["subjects"]), int(stamp["low"]), int(stamp["high"])),
        actions=tuple(
            (str(row["listed_for"]), str(row["action"]))
            for row in lake.rows(
                "select distinct listed_for, action from trial order by listed_for, action"
            )
        ),
        newest_lots=tuple(sorted(row["decided_at"].astimezone(UTC) for row in lots)),
        undeclared=tuple(one for one in campaigns if one.declared is None),
        notes=tuple(notes),
        vouchers=tuple(vouchers),
    )


def _find_campaigns(
    lake: Lake, as_of: datetime, settings: Settings
) -> tuple[list[Campaign], list[Words]]:
    """Campaigns whose horizon has passed, with who declares them; the largest first."""
    found, notes = [], []
    rows = lake.rows("from campaign order by customers desc, campaign_id")
    for row in rows:
        decided, ended = row["decided_at"].astimezone(UTC), row["ended_at"].astimezone(UTC)
        if decided + timedelta(days=settings.features.horizon_days) > as_of:
            continue
        name = str(row["campaign_id"])
        declared = next(
            (
                key
                for key, one in settings.uplift.campaigns.items()
                if any(fnmatchcase(name, pattern) for pattern in one.campaign_ids)
            ),
            None,
        )
        if declared is not None and ended - decided > _LONGEST_CAMPAIGN:
            days = (ended - decided).days
            notes.append(
                Words(
                    en=f"'{name}' went out over {days} days: it has no one moment of a lot.",
                    ko=f"'{name}' 캠페인은 {days}일에 걸쳐 발송되어 추첨 시점이 하나가 아닙니다.",
                )
            )
            continue
        found.append(Campaign(name, decided, int(row["customers"]), declared))
    return found, notes


def _stage_campaign(
    lake: Lake,
    name: str,
    campaigns: Sequence[Campaign],
    values: dict[str, Any],
    names: dict[str, str],
    settings: Settings,
) -> None:
    one = settings.uplift.campaigns[name]
    bound = {
        **values,
        "campaign_ids": [campaign.campaign_id for campaign in campaigns],
        "source": name,
        "action": one.action or name,
        "listed_for": one.listed_for,
        "is_active": one.listed_for == "retention",
        "lot_share": one.lot_share,
        "hold_out_attribute": one.hold_out_attribute,
        "hold_out_values": list(one.hold_out_values),
    }
    lake.run(SQL / "eligible.sql", bound, names=names)
    lake.run(SQL / "campaign_subject.sql", bound, names=names)


def _check_lots(lake: Lake, settings: Settings) -> tuple[list[Words], list[Voucher]]:
    """Take sources out whose shares are not those declared: a lot is believed, and then checked.

    Notes of those taken out, and who vouches for those that are left.
    """
    notes, vouchers = [], []
    for row in lake.rows("select distinct source from trial order by source"):
        source = str(row["source"])
        lots = lake.rows(
            "select lot, any_value(lot_share) as lot_share, count(*) as subjects,"
            " count(*) filter (treated) as treated from trial where source = $source"
            " group by lot order by lot",
            {"source": source},
        )
        sizes = np.array([int(lot["subjects"]) for lot in lots])
        drawn = np.array([int(lot["treated"]) for lot in lots])
        declared = float(lots[0]["lot_share"])
        likely = check_lot(sizes, drawn, declared)
        campaign = settings.uplift.campaigns.get(source)
        if likely >= settings.uplift.lot_alarm:
            vouchers.append(
                Voucher(
                    source=source,
                    declared_by=None if campaign is None else campaign.declared_by,
                    lots=len(lots),
                    customers=int(sizes.sum()),
                    share=float(drawn.sum() / sizes.sum()),
                    declared_share=declared,
                )
            )
            continue
        lake.execute("delete from trial where source = $source", {"source": source})
        observed = drawn.sum() / sizes.sum()
        notes.append(
            Words(
                en=f"'{source}' was no such lot: {observed:.1%} were contacted where"
                f" {declared:.1%} are declared{_say_by(campaign)} (p = {likely:.2g}). It is left"
                " out.",
                ko=f"'{source}'은(는) 선언된 추첨과 다릅니다: 선언 {declared:.1%}, 실제"
                f" {observed:.1%} (p = {likely:.2g}). 제외했습니다.",
            )
        )
    return notes, vouchers


def _say_by(campaign: CampaignSettings | None) -> str:
    return "" if campaign is None else f" by {campaign.declared_by}"


def read_subjects(lake: Lake, listed_for: str, action: str) -> Subjects | None:
    """The trial of an action; None where nobody was in one."""
    rows = lake.arrow(
        lake.text(SQL / "read_trial.sql"), {"listed_for": listed_for, "action": action}
    )
    if rows.num_rows == 0:
        return None
    moments = rows["decided_at"].to_pylist()
    return Subjects(
        trial=_to_trial(rows),
        segments=np.asarray(rows["segment_id"].to_pylist(), dtype=object),
        drivers=np.asarray(rows["driver"].to_pylist(), dtype=object),
        sources=tuple(sorted(set(rows["source"].to_pylist()))),
        first_at=min(moments).astimezone(UTC),
        last_at=max(moments).astimezone(UTC),
    )


def read_with_features(
    lake: Lake, listed_for: str, action: str, table: FeatureTable, maximum_rows: int
) -> Learnable | None:
    """Subjects of the lots for which there are features; None where there is nobody.

    Where there are more than `maximum_rows`, whole customers are drawn by a hash of their id.
    """
    bound = {"listed_for": listed_for, "action": action}
    joined = (
        f"with subject as ({lake.text(SQL / 'read_trial.sql')}), known as (select {{columns}}"
        f" from subject inner join lake.main.{quote(table.table)} as feature"
        " on feature.customer_id = subject.customer_id and feature.as_of = subject.decided_at)"
    )
    rows = int(lake.scalar(joined.replace("{columns}", "1") + " select count(*) from known", bound))
    if rows == 0:
        return None
    listed = ", ".join(f"feature.{quote(name)}" for name in table.feature_names)
    found = lake.arrow(
        joined.replace("{columns}", f"subject.*, {listed}")
        + " select * from known where ('0x' || md5(customer_id)[1:8])::bigint"
        " < $share::double * 4294967296 order by lot_number, customer_id",
        {**bound, "share": min(1.0, maximum_rows / rows)},
    )
    return Learnable(
        trial=_to_trial(found),
        features=read_matrix(found, table.feature_names),
        customer_ids=found["customer_id"].to_pylist(),
        decided_at=[moment.astimezone(UTC) for moment in found["decided_at"].to_pylist()],
    )


def read_others(
    lake: Lake, listed_for: str, action: str, table: FeatureTable, maximum_rows: int
) -> Floats:
    """Features of customers at the lots' moments who were in none of them; (customers, features).

    Where there are more than `maximum_rows`, they are drawn by a hash of their id.
    """
    bound = {"listed_for": listed_for, "action": action}
    others = (
        f"with subject as ({lake.text(SQL / 'read_trial.sql')}), other as (select {{columns}}"
        f" from lake.main.{quote(table.table)} as feature"
        " where feature.as_of in (select decided_at from subject)"
        " and not exists (from subject where subject.customer_id = feature.customer_id"
        " and subject.decided_at = feature.as_of))"
    )
    rows = int(lake.scalar(others.replace("{columns}", "1") + " select count(*) from other", bound))
    listed = ", ".join(f"feature.{quote(name)}" for name in table.feature_names)
    found = lake.arrow(
        others.replace("{columns}", f"feature.customer_id, feature.as_of, {listed}")
        + " select * from other where ('0x' || md5(customer_id)[1:8])::bigint"
        " < $share::double * 4294967296 order by as_of, customer_id",
        {**bound, "share": min(1.0, maximum_rows / max(rows, 1))},
    )
    return read_matrix(found, table.feature_names)


def read_arms(
    lake: Lake,
    campaign: Campaign,
    table: FeatureTable,
    as_of: datetime,
    known_by: datetime,
    snapshot: Snapshot,
    settings: Settings,
) -> tuple[NDArray[np.bool_], Floats]:
    """Of a campaign that nobody declares: who was contacted of who could have been; features."""
    lake.run(
        SQL / "eligible.sql",
        {
            "as_of": as_of,
            "known_by": known_by,
            "campaign_ids": [campaign.campaign_id],
            "activity_window_days": settings.features.activity_window_days,
        },
        names={"orders": visible("orders", snapshot, supersessions(lake, snapshot, "orders"))},
    )
    listed = ", ".join(f"feature.{quote(name)}" for name in table.feature_names)
    found = lake.arrow(
        f"select eligible.treated, {listed} from eligible"
        f" inner join lake.main.{quote(table.table)} as feature"
        " on feature.customer_id = eligible.customer_id and feature.as_of = eligible.decided_at"
        " where eligible.is_active order by eligible.customer_id"
    )
    treated = found["treated"].to_numpy(zero_copy_only=False).astype(bool)
    return treated, read_matrix(found, table.feature_names)


def read_matrix(rows: pa.Table, names: Sequence[str]) -> Floats:
    """Columns by name as (rows, names) float64, NULL as NaN."""
    import pyarrow as pa

    matrix = np.empty((rows.num_rows, len(names)), dtype=np.float64)
    for place, name in enumerate(names):
        column = rows[name].cast(pa.float64()).combine_chunks()
        matrix[:, place] = column.to_numpy(zero_copy_only=False)
    return matrix


def _to_trial(rows: pa.Table) -> Trial:
    def column(name: str) -> NDArray[Any]:
        return np.asarray(rows[name].to_numpy(zero_copy_only=False))

    return Trial(
        treated=column("treated").astype(bool),
        lots=column("lot_number").astype(np.int64),
        customers=column("customer_number").astype(np.int64),
        lapsed=column("lapsed").astype(np.float64),
        margin=column("margin_amount").astype(np.float64),
    )
