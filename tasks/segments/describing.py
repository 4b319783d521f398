"""What the night says of the segments: put together from the rows assigned and a sample of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from tasks.findings import Segment, SegmentArm, SegmentEvent, SegmentFindings, Trait, Words
from tasks.segments import assigning
from tasks.segments.arms import ArmGroups, describe_arms, join_names, replace_ids
from tasks.segments.assigning import Profile, Sources
from tasks.segments.champion import Segmented, due_on
from tasks.segments.data import VALUE_COLUMN, read_present
from tasks.segments.maps import draw_maps
from tasks.segments.memory import find_share_alarms
from tasks.segments.model_files import Assigner
from tasks.segments.naming import name_segments
from tasks.segments.rules import Rule
from tasks.segments.rules import describe_segments as rule_segments
from tasks.segments.words import word_feature

if TYPE_CHECKING:
    from tasks.handles import FeatureTable
    from tasks.settings import Settings
    from tasks.warehouse import Lake

_MEANINGS = {VALUE_COLUMN: "worth so far"}


def describe_segments(
    lake: Lake,
    table: FeatureTable,
    segmented: Segmented,
    assigner: Assigner,
    sources: Sources,
    previous: tuple[str, datetime] | None,
    arm: ArmGroups | None = None,
    candidate: Segmented | None = None,
    looked_as_of: datetime | None = None,
) -> SegmentFindings:
    """The findings of a night whose customers stand in `assigned_customers`.

    With a rollout's `arm` they are of both arms' groups together, and sizes are not compared with
    those of earlier nights. `candidate` has been found tonight and waits; `looked_as_of` is the
    night that last found any that do not serve.
    """
    settings = lake.settings
    profiles = assigning.profile_segments(lake, table, sources, settings.economics.margin_share)
    shares_before, names_before = assigning.read_history(lake, table.as_of[-1])
    names = present_names(assigner, settings, arm)
    total = sum(one.customers for one in profiles)
    shares = {one.segment_id: one.customers / total for one in profiles}
    columns = _columns(table, assigner, settings)
    customers, matrix = read_present(lake, table, columns, settings.segments.described_rows)
    places = [columns.index(name) for name in assigner.feature_names]
    ids = assigner.predict_matrix(matrix[:, places])
    if arm is not None:
        ids = replace_ids(lake, customers, ids)
    arms = describe_arms(lake, arm, segmented) if arm is not None else ()
    rules = rule_segments(matrix, columns, ids, seed=settings.segments.seed)
    traits = name_segments(matrix, columns, ids, meanings=_MEANINGS, overrides=names).traits
    maps = draw_maps(matrix, columns, ids, seed=settings.segments.seed)
    return SegmentFindings(
        deployment=lake.deployment,
        as_of=table.as_of[-1],
        known_by=table.known_by[-1],
        snapshot_id=table.snapshot_id,
        currency=settings.economics.currency,
        notes=(
            *_notes_of_rollout(segmented, arms, candidate),
            *_notes(segmented, table, sources, profiles, settings, looked_as_of, arms),
        ),
        segmentation_id=segmented.segmentation_id,
        model_name=segmented.name,
        model_version=segmented.version,
        method=segmented.method,
        contest=segmented.contest,
        measures=segmented.measures,
        segments=tuple(
            _segment(
                one,
                shares[one.segment_id],
                names[one.segment_id],
                rules.rules.get(one.segment_id),
                traits.get(one.segment_id, ()),
            )
            for one in profiles
        ),
        agreement_share=rules.agreement_share,
        moved_from=previous[1] if previous else None,
        movements=assigning.count_movements(lake, previous),
        events=_events(segmented, table, names, names_before),
        alarms=() if arms else find_share_alarms(shares, shares_before),
        pca_map=maps.pca,
        tsne_map=maps.tsne,
        heat_features=tuple(word_feature(name, _MEANINGS) for name in columns),
        heat=maps.heat,
        tree=maps.tree,
        arms=arms,
    )


def _columns(table: FeatureTable, assigner: Assigner, settings: Settings) -> tuple[str, ...]:
    """What segments are described by: what they are made of, and what is declared and there."""
    declared = [name for name in settings.segments.features if name in table.feature_names]
    return tuple(dict.fromkeys([*assigner.feature_names, *declared]))


def present_names(
    assigner: Assigner, settings: Settings, arm: ArmGroups | None = None
) -> dict[str, Words]:
    """The name of each segment_id: the configured one, else the one it got by itself."""
    given = {key: Words(en=name.en, ko=name.ko) for key, name in settings.segments.names.items()}
    names = {key: given.get(key, Words(**words)) for key, words in assigner.names.items()}
    if arm is None:
        return names
    return join_names(names, {key: given.get(key, words) for key, words in arm.names.items()})


def _segment(
    profile: Profile, share: float, name: Words, rule: Rule | None, traits: tuple[Trait, ...]
) -> Segment:
    return Segment(
        segment_id=profile.segment_id,
        name=name,
        customers=profile.customers,
        customers_share=share,
        risk_share=profile.risk_share,
        churn_share=profile.churn_share,
        value_amount=profile.value_amount,
        spent_365_amount=profile.spent_amount,
        at_risk_amount=profile.at_risk_amount,
        traits=traits,
        # A segment that is too small for the described sample has no rule.
        conditions=rule.texts if rule is not None else (),
        sql=rule.sql if rule is not None else "false",
        precision_share=rule.precision_share if rule is not None else 0.0,
        recall_share=rule.recall_share if rule is not None else 0.0,
    )


def _events(
    segmented: Segmented,
    table: FeatureTable,
    names: Mapping[str, Words],
    names_before: Mapping[str, str],
) -> tuple[SegmentEvent, ...]:
    """What became of the segments where they serve from this very night; who has another name."""
    events = segmented.events if segmented.serves_as_of == table.as_of[-1] else ()
    renamed = tuple(
        SegmentEvent(event="renamed", segment_id=one, related_ids=(), overlap_share=None)
        for one in sorted(names)
        if one in names_before and names_before[one] != names[one].en
    )
    return events + renamed


def _notes(
    segmented: Segmented,
    table: FeatureTable,
    sources: Sources,
    profiles: Sequence[Profile],
    settings: Settings,
    looked_as_of: datetime | None,
    arms: Sequence[SegmentArm],
) -> tuple[Words, ...]:
    as_of = table.as_of[-1]
    due = due_on(segmented, settings.segments, looked_as_of)
    notes = []
    # While a rollout is running, none are looked for.
    if segmented.fitted_as_of != as_of and not arms:
        notes.append(
            Words(
                en=f"The groups are those of {segmented.fitted_as_of:%Y-%m-%d}; they are looked"
                f" for anew from {due:%Y-%m-%d} on.",
                ko=f"세그먼트는 {segmented.fitted_as_of:%Y-%m-%d} 기준이며,"
                f" {due:%Y-%m-%d}부터 다시 찾습니다.",
            )
        )
    if sources.scoring_id is None:
        notes.append(
            Words(
                en="Nobody was scored for this date, so predicted risk and money at risk are not"
                " known.",
                ko="이 날짜의 이탈 점수가 없어 예측 위험과 위험 금액을 알 수 없습니다.",
            )
        )
    if sources.value_run_id is None:
        notes.append(
            Words(
                en="There are no lifetime values for this date: value is the margin of the last"
                " year's spending.",
                ko="이 날짜의 고객 생애 가치가 없어 지난 1년 구매액의 마진을 가치로 씁니다.",
            )
        )
    # An id that was dropped may come back; one that never was is a slip of the pen.
    unknown = sorted(set(settings.segments.names) - set(segmented.used_ids))
    if unknown:
        told = ", ".join(unknown)
        notes.append(
            Words(
                en=f"`segments.names` names what is no segment's id: {told}.",
                ko=f"`segments.names`에 없는 세그먼트 ID가 있습니다: {told}.",
            )
        )
    total = sum(one.customers for one in profiles)
    small = sum(one.customers < settings.segments.minimum_share * total for one in profiles)
    if small and not arms:
        notes.append(
            Words(
                en=f"{small} of {len(profiles)} segments hold fewer than"
                f" {settings.segments.minimum_share:.0%} of the customers tonight.",
                ko=f"{len(profiles)}개 중 {small}개 세그먼트의 고객이"
                f" {settings.segments.minimum_share:.0%} 미만입니다.",
            )
        )
    return tuple(notes)


def _notes_of_rollout(
    segmented: Segmented, arms: Sequence[SegmentArm], candidate: Segmented | None
) -> tuple[Words, ...]:
    if arms:
        champion, challenger = arms
        grouped = challenger.customers - challenger.fell_back_customers
        others = champion.customers + challenger.fell_back_customers
        fell = challenger.fell_back_customers
        return (
            Words(
                en=f"The rollout {challenger.rollout_id} is running: {grouped:,} customers are"
                f" grouped by version {challenger.version} of the segments, {others:,} and all who"
                f" are held out by version {champion.version}."
                + (
                    f" {fell:,} of these were to be grouped by the new one, which failed."
                    if fell
                    else ""
                )
                + " A group that both know is one group here; sizes are not compared with those of"
                " earlier nights.",
                ko=f"롤아웃 {challenger.rollout_id} 진행 중: 고객 {grouped:,}명은 세그먼트 버전"
                f" {challenger.version} 기준, {others:,}명과 대조군은 버전 {champion.version}"
                " 기준입니다."
                + (f" 새 버전이 실패한 {fell:,}명은 기존 세그먼트에 있습니다." if fell else "")
                + " 두 버전에 모두 있는 세그먼트는 하나로 보이며, 비중은 이전과 비교하지 않습니다.",
            ),
        )
    if candidate is not None:
        return (
            Words(
                en=f"Other groups were found tonight (version {candidate.label}); they wait for a"
                f" rollout, and those of {segmented.fitted_as_of:%Y-%m-%d} serve.",
                ko=f"새 세그먼트(버전 {candidate.label})를 찾았으며 롤아웃을 기다립니다."
                f" 지금은 {segmented.fitted_as_of:%Y-%m-%d} 기준 세그먼트를 씁니다.",
            ),
        )
    return ()
