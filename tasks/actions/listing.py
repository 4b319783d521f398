"""The action list of a night: who is proposed what within the budget, and who is left alone.

A customer's value is what they are expected to bring, with the chance that they leave in it: what a
contact brings is rather told too low than too high. It counts over `actions.worth_days`, so that
those who are there and those who are gone are worth the same kind of money. The run is named by
what goes into it (customers, policy, budget), so listing again finds itself done, and files that
were changed since are written again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.actions.arms import (
    CHALLENGERS,
    ArmChoice,
    Part,
    add_choices,
    describe_arms,
    divide_customers,
    rank_anew,
)
from tasks.actions.choosing import Choice, choose_actions
from tasks.actions.evidence import load_effects, note_evidence, read_evidence
from tasks.actions.policy import ListName, load_bands, load_policy
from tasks.actions.publishing import publish_lists, restore_files
from tasks.archive import hash_parts, recall_findings
from tasks.contracts import CUSTOMER_TABLES
from tasks.errors import DataRejected
from tasks.exports import export_directory, find_scoring
from tasks.findings import ActionFindings, ActionLine, ListArm, PolicyUse, Words
from tasks.offers import held_out_sql
from tasks.visibility import at_version, supersessions, visible
from tasks.warehouse import quote

if TYPE_CHECKING:
    from tasks.handles import ArmListing, PolicyInForce, Snapshot
    from tasks.offers import ActionsSettings
    from tasks.settings import Settings
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
_CENT = Decimal("0.0001")


def list_actions(
    lake: Lake,
    as_of: datetime,
    known_by: datetime,
    settings: Settings,
    *,
    budget_amount: Decimal | None = None,
    in_force: PolicyInForce | None = None,
    challenger: ArmListing | None = None,
) -> tuple[ActionFindings, bool]:
    """The lists of a cut-off, published and exported; whether they are new.

    `budget_amount` is what both lists may cost if everybody takes the offer, by default
    `economics.budget_amount`. `in_force` has the policy, by default that of the settings; while a
    rollout of policies is running, `challenger` lists its share of those who may leave. Raises
    DataRejected (65) where nobody has been scored as of then.
    """
    if in_force is not None:
        settings = _with_policy(settings, in_force.policy)
    budget = settings.economics.budget_amount if budget_amount is None else budget_amount
    snapshot = lake.snapshot()
    values = _bind(lake, as_of, known_by, settings)
    load_bands(lake, settings.actions)
    _stage_touched(lake, snapshot, values)
    lists: tuple[ListName, ...] = ("retention", "winback")
    stamps = [_stage(lake, name, snapshot, values, settings) for name in lists]
    other: Settings | None = None
    arms: tuple[ListArm, ...] = ()
    if challenger is not None:
        other = _with_policy(settings, challenger.policy)
        stamps.append(_stage_challenger(lake, as_of, known_by, snapshot, other))
    evidence = read_evidence(lake, as_of, values["uplift_id"])
    run_id = _name_run(stamps, as_of, known_by, budget, evidence, settings, challenger)
    done = recall_findings(lake, ActionFindings, run_id)
    if done is not None:
        restore_files(lake, run_id, as_of, settings)
        return done, False
    lake.record_read("actions", snapshot, as_of, known_by)
    columns = ", ".join(
        f"{quote(column.name)} {column.type}" for column in CUSTOMER_TABLES["customer_actions"]
    )
    lake.execute(f"create or replace temporary table action_row ({columns})")
    share = Decimal(str(settings.actions.winback.budget_share if _has_winback(settings) else 0))
    winback_budget = (budget * share).quantize(_CENT)
    # What cannot be spent on those who are gone goes to those who are still there.
    back = _choose(lake, "winback", winback_budget, values, settings)
    left = budget - back.cost_amount
    if challenger is not None and other is not None:
        kept, parts = _choose_in_arms(lake, left, values, settings, other, challenger)
        version = in_force.version if in_force is not None else ""
        arms = describe_arms(challenger, version, parts)
    else:
        kept = _choose(lake, "retention", left, values, settings)
    choices: dict[ListName, Choice] = {"retention": kept, "winback": back}
    lake.execute("update action_row set run_id = $run_id", {"run_id": run_id})
    found = _describe(lake, choices, stamps, budget, winback_budget, snapshot, values, settings)
    found = found.model_copy(
        update={"policy": _describe_policy(lake, in_force, as_of), "arms": arms}
    )
    record = None
    if challenger is not None:
        record = partial(challenger.record, lake, run_id, values["scoring_id"])
    publish_lists(lake, run_id, found, settings, record)
    return found, True


def _with_policy(settings: Settings, policy: ActionsSettings) -> Settings:
    return settings.model_copy(update={"actions": policy})


def _stage_challenger(
    lake: Lake, as_of: datetime, known_by: datetime, snapshot: Snapshot, settings: Settings
) -> dict[str, Any]:
    """Everybody who may leave, as the challenger's policy sees them; their fingerprint."""
    values = _bind(lake, as_of, known_by, settings)
    load_bands(lake, settings.actions)
    _stage_touched(lake, snapshot, values)
    return _stage(lake, "retention", snapshot, values, settings, CHALLENGERS)


def _choose_in_arms(
    lake: Lake,
    money: Decimal,
    values: dict[str, Any],
    settings: Settings,
    other: Settings,
    challenger: ArmListing,
) -> tuple[Choice, tuple[ArmChoice, ArmChoice]]:
    """Choose for those who may leave, each arm by its policy, with its part of money and caps."""
    champions = "retention_person"
    parts = divide_customers(lake, challenger, champions)
    given = parts[1].of_money(money)
    kept = _choose(lake, "retention", money - given, values, settings, champions, parts[0])
    tried = _choose(lake, "retention", given, values, other, CHALLENGERS, parts[1])
    rank_anew(lake)
    arms = ArmChoice(parts[0], money - given, kept), ArmChoice(parts[1], given, tried)
    return add_choices(kept, tried), arms


def _describe_policy(
    lake: Lake, in_force: PolicyInForce | None, as_of: datetime
) -> PolicyUse | None:
    """Which policy makes the lists, since its decision or, without one, since its first list."""
    if in_force is None:
        return None
    since = in_force.since
    if since is None:
        found = lake.one(
            lake.text(_SQL / "policy_since.sql"), {"as_of": as_of, "version": in_force.version}
        )
        since = found["since"].astimezone(UTC) if found["since"] is not None else as_of
    return PolicyUse(version=in_force.version, since=since, rollout_id=in_force.rollout_id)


def _bind(lake: Lake, as_of: datetime, known_by: datetime, settings: Settings) -> dict[str, Any]:
    """Every value that the SQL of this family is given."""
    actions = settings.actions
    return {
        "as_of": as_of,
        "known_by": known_by,
        "past_as_of": as_of - timedelta(days=settings.features.horizon_days),
        "scoring_id": _find_scoring(lake, as_of, settings),
        **lake.one(lake.text(_SQL / "runs.sql"), {"as_of": as_of}),
        "currency": settings.economics.currency,
        "margin_share": settings.economics.margin_share,
        "horizon_days": settings.features.horizon_days,
        "worth_days": actions.worth_days,
        "window_days": actions.contact_window_days,
        "maximum_contacts": actions.maximum_contacts,
        "hold_out_salt": actions.hold_out_salt,
        "hold_out_share": actions.hold_out_share,
        "activity_window_days": settings.features.activity_window_days,
        "longest_lapse_days": actions.winback.longest_lapse_days,
        "kept_value_share": actions.winback.kept_value_share,
        "return_share": actions.winback.return_share,
        "minimum_customers": actions.winback.minimum_customers,
    }


def _find_scoring(lake: Lake, as_of: datetime, settings: Settings) -> str:
    """The newest scoring of a cut-off."""
    found = find_scoring(lake, as_of)
    if found is None:
        raise DataRejected(
            f"Nobody of '{lake.deployment}' has been scored as of {as_of:%Y-%m-%d}.",
            next_step=f"holdfast -d {settings.called} score, then act again",
        )
    return found


def _stage_touched(lake: Lake, snapshot: Snapshot, values: dict[str, Any]) -> None:
    superseded = supersessions(lake, snapshot, "contacts")
    lake.run(
        _SQL / "touched.sql",
        values,
        names={
            "contacts": visible("contacts", snapshot, superseded),
            "every_contact": at_version("contacts", snapshot),
        },
    )


def _has_winback(settings: Settings) -> bool:
    return settings.actions.winback.enabled and settings.features.outcome == "lapse"


def _stage(
    lake: Lake,
    name: ListName,
    snapshot: Snapshot,
    values: dict[str, Any],
    settings: Settings,
    staged: str = "",
) -> dict[str, Any]:
    """Make `<name>_person`, or the table `staged`; its fingerprint."""
    staged = staged or f"{name}_person"
    held_out = {"is_held_out": held_out_sql("customer_id")}
    names = {"staged": staged, "banded": lake.text(_SQL / "banded.sql", names=held_out)}
    if name == "retention":
        lake.run(_SQL / "person.sql", values, names=names)
    else:
        orders = visible(
            "orders",
            snapshot,
            supersessions(lake, snapshot, "orders"),
            columns=("customer_id", "ordered_at", "net_amount", "is_return"),
        )
        # Where leaving is no silence, nobody is silent: the same table, empty.
        names["orders"] = orders if _has_winback(settings) else f"(from {orders} where false)"
        lake.run(_SQL / "lapsed.sql", values, names=names)
    lake.execute(f"create or replace temporary view person as from {staged}")
    return lake.one(lake.text(_SQL / "fingerprint.sql"))


def _name_run(
    stamps: list[dict[str, Any]],
    as_of: datetime,
    known_by: datetime,
    budget: Decimal,
    evidence: list[list[str]],
    settings: Settings,
    challenger: ArmListing | None,
) -> str:
    """The run's id: sha256, shortened, over everything that its rows depend on."""
    parts = {
        "deployment": settings.deployment,
        "as_of": as_of.isoformat(),
        "known_by": known_by.isoformat(),
        "customers": [[str(figure) for figure in stamp.values()] for stamp in stamps],
        "budget": f"{budget:.4f}",
        "evidence": evidence,
        "currency": settings.economics.currency,
        "policy": settings.actions.model_dump(mode="json"),
        "mark": settings.scoring.csv_byte_order_mark,
    }
    if challenger is not None:
        parts["rollout"] = list(challenger.parts)
        parts["challenger"] = challenger.policy.model_dump(mode="json")
    return hash_parts(parts)


def _choose(
    lake: Lake,
    name: ListName,
    money: Decimal,
    values: dict[str, Any],
    settings: Settings,
    people: str = "",
    part: Part | None = None,
) -> Choice:
    """Choose for one list, or for one arm of it, and add its customers to `action_row`."""
    load_policy(lake, settings.actions, name, *(() if part is None else (part.of_count,)))
    load_effects(lake, values, name)
    lake.execute(f"create or replace temporary view person as from {people or f'{name}_person'}")
    choice = choose_actions(lake, money)
    lake.run(_SQL / "action_row.sql", {**values, "listed_for": name})
    return choice


def _describe(
    lake: Lake,
    choices: dict[ListName, Choice],
    stamps: list[dict[str, Any]],
    budget: Decimal,
    winback_budget: Decimal,
    snapshot: Snapshot,
    values: dict[str, Any],
    settings: Settings,
) -> ActionFindings:
    kept, back = choices["retention"], choices["winback"]
    gain, bound = kept.gain_amount + back.gain_amount, kept.bound_amount + back.bound_amount
    directory = export_directory(settings, values["as_of"]).relative_to(settings.home)
    stems = ("actions", "winback", "held_out")
    return ActionFindings(
        deployment=settings.deployment,
        as_of=values["as_of"],
        known_by=values["known_by"],
        snapshot_id=snapshot.snapshot_id,
        currency=settings.economics.currency,
        notes=tuple(_notes(lake, choices, values, settings)),
        budget_amount=budget,
        planned_cost_amount=kept.cost_amount + back.cost_amount,
        expected_return_amount=gain,
        customers=kept.customers,
        held_out_customers=kept.held_out + back.held_out,
        hold_out_share=settings.actions.hold_out_share,
        lines=_lines(lake, "retention"),
        winback_lines=_lines(lake, "winback"),
        winback_customers=back.customers,
        left_alone=kept.left_alone,
        files=tuple(str(directory / f"{stem}.{kind}") for stem in stems for kind in _KINDS),
        scored_customers=int(stamps[0]["customers"]),
        lapsed_customers=int(stamps[1]["customers"]),
        winback_budget_amount=winback_budget,
        winback_left_alone=back.left_alone,
        bound_return_amount=bound,
        gap_share=float(1 - gain / bound) if bound > 0 else None,
    )


_KINDS = ("csv", "parquet")


def _lines(lake: Lake, name: ListName) -> tuple[ActionLine, ...]:
    sql = lake.text(_SQL / "lines.sql", names={"rows": "action_row"})
    return tuple(
        ActionLine(
            action=row["action"],
            words=Words(en=row["action_name"], ko=row["action_name_ko"]),
            channel=row["channel"],
            segment_id=row["segment_id"],
            customers=int(row["customers"]),
            cost_amount=row["cost_amount"],
            expected_return_amount=row["expected_return_amount"],
            evidence_level=int(row["evidence_level"]),
            own_uplift_customers=int(row["own_uplift_customers"]),
        )
        for row in lake.rows(sql, {"listed_for": name})
    )


def _notes(
    lake: Lake,
    choices: dict[ListName, Choice],
    values: dict[str, Any],
    settings: Settings,
) -> list[Words]:
    """What the reader must know of these lists: what was missing, and what stands in its place."""
    notes = []
    if values["values_id"] is None:
        notes.append(
            Words(
                en="No lifetime value as of then: worth is last year's spending times the margin.",
                ko="고객 생애 가치가 없어, 지난 1년 구매액에 마진율을 곱한 값을 씁니다.",
            )
        )
    else:
        notes += _note_horizon(lake, values, settings)
    if values["segments_id"] is None:
        notes.append(
            Words(
                en="No segments as of then: rules that ask for one fit nobody.",
                ko="세그먼트가 없어, 세그먼트를 묻는 규칙은 아무에게도 적용되지 않습니다.",
            )
        )
    if values["reasons_id"] is None:
        notes.append(
            Words(
                en="No stable reasons as of then: rules that ask for one fit nobody.",
                ko="안정적인 이탈 이유가 없어, 이유를 묻는 규칙은 아무에게도 적용되지 않습니다.",
            )
        )
    notes += _note_unknown(lake, values, settings)
    notes += note_evidence(lake, values["as_of"], values["uplift_id"])
    if not lake.scalar("select exists (from lake.main.contacts)"):
        notes.append(
            Words(
                en="No contacts are delivered: opt-outs are not known here, and only what was"
                " listed earlier counts as a contact.",
                ko="연락 이력이 없어 수신 거부를 알 수 없으며, 이전 목록만 연락으로 셉니다.",
            )
        )
    if settings.actions.winback.enabled and settings.features.outcome != "lapse":
        notes.append(
            Words(
                en="No win-back list: it is made where leaving means not to order any more.",
                ko="재방문 유도 목록은 주문 중단을 이탈로 볼 때만 만듭니다.",
            )
        )
    if not choices["retention"].customers:
        notes.append(
            Words(
                en="No contact is expected to bring more than it costs: the list is empty.",
                ko="비용보다 큰 기대 수익이 있는 고객이 없어 목록이 비어 있습니다.",
            )
        )
    return notes


def _note_unknown(lake: Lake, values: dict[str, Any], settings: Settings) -> list[Words]:
    """What rules ask for that nobody can have, as a mistyped name: such a rule fits nobody."""
    rules = settings.actions.rules
    asked = {name for rule in rules for name in rule.reasons} - set(settings.reasons.drivers)
    asked -= {*settings.features.drivers.values(), "profile"}
    if values["segments_id"] is not None:
        known = lake.one(
            "select list(distinct segment_id) || list(distinct segment_name) as names"
            " from lake.main.customer_segments where run_id = $segments_id and as_of = $as_of",
            values,
        )["names"]
        asked |= {name for rule in rules for name in rule.segments} - set(known or ())
    if not asked:
        return []
    told = ", ".join(sorted(asked))
    return [
        Words(
            en=f"`actions.rules` ask for segments or reasons that are not there tonight: {told}.",
            ko=f"`actions.rules`의 다음 세그먼트나 이유가 오늘 밤에는 없습니다: {told}.",
        )
    ]


def _note_horizon(lake: Lake, values: dict[str, Any], settings: Settings) -> list[Words]:
    days = lake.scalar(
        "select min(horizon_days) from lake.main.customer_values"
        " where run_id = $values_id and as_of = $as_of",
        values,
    )
    worth_days = settings.actions.worth_days
    if days is None or days >= worth_days:
        return []
    return [
        Words(
            en=f"Lifetime value looks {days} days ahead: worth is carried on to {worth_days} days"
            " at the average rate of leaving.",
            ko=f"고객 생애 가치는 {days}일 기준이며, 평균 이탈률로 {worth_days}일까지"
            " 연장했습니다.",
        )
    ]
