"""The page as text: what it says of findings, what it says where they are missing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tasks.findings import Movement, Words
from tasks.portrait.gathering import Portrait, read_admission
from tasks.portrait.marks import Marks
from tasks.portrait.page import SECTIONS, build_policy, draw_figures, pack_plotly, render_page
from tasks.portrait.plotting import plain, wrapped
from tasks.portrait.sections import list_cards, list_tiles, tell_events
from tasks.portrait.verdicts import list_verdicts, tell_contest
from tasks.portrait.wording import LANGUAGES, Language, Speech

from .found import (
    AS_OF,
    BEFORE,
    GROUPS,
    action_findings,
    contest,
    forecast_findings,
    reason_findings,
    segment_findings,
    value_findings,
)
from .made_up import EVIL, champion, empty_portrait, evil_portrait, portrait

SPEECH = Speech("en", "GBP")


def body(page: str) -> str:
    """What is read: the page without style, scripts and data."""
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_findings_give_the_same_bytes(language: Language) -> None:
    assert render_page(portrait(), language) == render_page(portrait(), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_section_is_there(language: Language) -> None:
    page = render_page(portrait(), language)
    assert f'<html lang="{language}">' in page
    for name, _ in SECTIONS:
        assert f'<section id="{name}"' in page
    for _, english, korean, *_ in GROUPS:
        assert (english if language == "en" else korean) in page
    # Nothing is left in the other language.
    shown = body(page)
    if language == "en":
        assert not re.search("[가-힣]", shown)
    else:
        assert "Why they leave" not in shown
        assert "Customers" not in shown


def test_plotly_is_in_the_page_once_and_only_where_there_are_figures() -> None:
    packed, digest = pack_plotly()
    page = render_page(portrait(), "en")
    assert page.count(packed) == 1
    assert digest in page
    assert len(page.encode()) < 2_500_000
    bare = render_page(empty_portrait(), "en")
    assert packed not in bare
    assert digest not in bare


def test_the_policy_allows_nothing_but_ourselves() -> None:
    parts = dict(part.split(" ", 1) for part in build_policy(with_figures=True).split("; "))
    assert parts["default-src"] == "'none'"
    assert all(one.startswith("'sha256-") for one in parts["script-src"].split())
    assert len(parts["script-src"].split()) == 2
    assert not re.search(r"https?:|\*", build_policy(with_figures=True))


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_of_strangers_stay_texts(language: Language) -> None:
    page = render_page(evil_portrait(), language)
    assert EVIL not in page
    assert "<script>document" not in page
    assert page.count("<script") == 3
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)
    assert data is not None
    assert not set("<>&") & set(data[1])
    assert json.loads(data[1])["grid"]["data"]


def test_plotly_takes_texts_as_texts() -> None:
    assert plain("<b>&lt;") == "&lt;b&gt;&amp;lt;"
    assert plain("a\u202eb\nc") == "a\ufffdb c"
    assert len(plain("x" * 500)) <= 60
    assert wrapped("one two three four", 9) == "one two<br>three<br>four"


@pytest.mark.parametrize("name", ["portrait", "evil_portrait"])
def test_plotly_knows_every_property(name: str) -> None:
    import plotly.graph_objects as go

    made = {"portrait": portrait, "evil_portrait": evil_portrait}[name]()
    figures = draw_figures(made, Marks(made.segments, SPEECH), SPEECH)
    assert {"grid", "movements", "reasons", "survival", "calibration"} < set(figures)
    assert {"forecast-0", "pca", "tsne", "heat", "tree"} < set(figures)
    for figure in figures.values():
        go.Figure(_plain_colors(figure.spec)).to_dict()


def _plain_colors(value: Any) -> Any:
    """Without what the page's script takes out before it draws."""
    if isinstance(value, str):
        return "#000000" if value in ("$ink", "$soft", "$edge", "$card") else value
    if isinstance(value, list):
        return [_plain_colors(one) for one in value]
    if isinstance(value, dict):
        return {k: _plain_colors(v) for k, v in value.items() if k != "narrowtext"}
    return value


# --- what is missing ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "command"),
    [
        ("champion", "train"),
        ("value", "value"),
        ("segments", "segment"),
        ("reasons", "reasons"),
        ("forecasts", "forecast"),
        ("actions", "act"),
    ],
)
def test_a_missing_part_names_the_command_that_makes_it(part: str, command: str) -> None:
    page = body(render_page(portrait(**{part: None}), "en"))
    assert "Nothing is known of this yet." in page
    assert f"holdfast -d corner_shop {command}" in page
    assert "Nothing is known of this yet." not in body(render_page(portrait(), "en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_of_nothing(language: Language) -> None:
    page = body(render_page(empty_portrait(), language))
    assert page.count("holdfast -d corner_shop") == 4 + 9
    assert ("not known yet" if language == "en" else "아직 알 수 없음") in page


def test_a_path_of_a_deployment_is_quoted_in_commands() -> None:
    page = body(render_page(replace(empty_portrait(), called="my shops/a.yaml"), "en"))
    assert "holdfast -d &#39;my shops/a.yaml&#39; segment" in page


def test_a_part_of_an_earlier_night_says_so() -> None:
    old = value_findings(as_of=AS_OF - timedelta(days=30))
    page = body(render_page(portrait(value=old), "en"))
    assert "These figures are of 9 November 2011, not of 9 December 2011." in page
    assert "holdfast -d corner_shop value" in page


def test_parts_with_nothing_in_them_are_drawn() -> None:
    bare = segment_findings(
        movements=(), events=(), alarms=(), pca_map=(), tsne_map=(), heat_features=(), heat={},
        tree=(), moved_from=None, measures={}, notes=(),
        segments=tuple(
            one.model_copy(
                update={
                    "risk_share": None,
                    "churn_share": None,
                    "traits": (),
                    "conditions": (),
                    "sql": "",
                }
            )
            for one in segment_findings().segments
        ),
    )  # fmt: skip
    reasons = reason_findings(
        drivers=(), cells=(), survival=(), lead_time=None, journey=(),
        ablation_change=None, survival_p_value=None,
    )  # fmt: skip
    value = value_findings(contenders=(), deciles=(), contradictions=(), parameters={})
    found = portrait(
        segments=bare,
        reasons=reasons,
        value=value,
        forecasts=forecast_findings(
            series=(), notes=(Words(en="The outcome is <given>.", ko="결과가 주어짐."),)
        ),
    )
    for language in LANGUAGES:
        render_page(found, language)
    page = body(render_page(found, "en"))
    for said in (
        "This is the first grouping.",
        "No map was drawn.",
        "No rules describe this group.",
        "No curves: too few have left",
        "No step stands out yet.",
        "None: the two models agree.",
        "Nothing is forecast.",
        "The outcome is &lt;given&gt;.",
        "groups cannot be placed by risk",
    ):
        assert said in page


def test_a_single_group_and_no_money() -> None:
    one = (
        segment_findings()
        .segments[0]
        .model_copy(
            update={"value_amount": Decimal(0), "at_risk_amount": Decimal(0), "customers": 0}
        )
    )
    found = segment_findings(segments=(one,), tree=(), heat={}, movements=())
    render_page(portrait(segments=found), "ko")


# --- what it says ---------------------------------------------------------------------------


def test_who_is_served_and_by_how_much() -> None:
    told = [one for _, one, _ in list_verdicts(portrait(), SPEECH) if one is not None]
    churn, value, segments, *forecasts = told
    assert (churn.kind, churn.served, churn.by) == ("model", "LightGBM", "£1,312 better")
    assert churn.between == "(+£404 to +£2,230)"
    assert (value.kind, value.served, value.by) == (
        "rule",
        "last year's spend",
        "0.8 points better",
    )
    assert value.between == "(−0.4 to +2.1 points)"
    assert segments.by == "0.041 better"
    # A smaller error is better.
    assert [one.by for one in forecasts] == ["0.120 better"] * 3


def test_a_difference_points_the_right_way_where_less_is_better() -> None:
    lower = contest(higher_is_better=False, difference=-0.04, low=-0.07, high=-0.01)
    told = tell_contest(lower, "", SPEECH)
    assert told.outcome == "wins"
    assert told.between == "(+0.010 to +0.070)"
    assert tell_contest(contest(difference=-0.01), "", SPEECH).outcome == "loses"
    assert tell_contest(contest(difference=0.0), "", SPEECH).by == "no difference"


def test_the_gate_tells_of_the_champion_or_of_the_rule() -> None:
    compared = {
        "profit_amount": 90.0, "other_profit_amount": 100.0, "difference_amount": -10.0,
        "low_amount": -25.0, "high_amount": 4.0,
    }  # fmt: skip
    evidence = json.dumps({"rule": "gap_ratio", "against_rule": compared})
    status = {"candidate": "rule_gap_ratio"}
    rule = read_admission({"outcome": "serve_rule", "evidence": evidence}, status)
    assert rule is not None
    assert (rule.served_kind, rule.difference, rule.low, rule.high) == ("rule", 10.0, -4.0, 25.0)
    assert (rule.served_figure, rule.rival_figure) == (100.0, 90.0)
    model = read_admission({"outcome": "promote", "evidence": evidence}, {"candidate": "lightgbm"})
    assert model is not None
    assert (model.served, model.rival, model.difference) == ("lightgbm", "gap_ratio", -10.0)
    assert read_admission({"outcome": "promote", "evidence": "{}"}, status) is None
    unknown = portrait(champion=champion(contest=None))
    assert "not in the ledger any more" in body(render_page(unknown, "en"))


def test_how_far_figures_can_be_trusted_is_told() -> None:
    page = body(render_page(portrait(), "en"))
    for said in (
        "88.0% spent within their own interval, which is made for 90%",
        "the total was £2.44M",
        "Of those who stayed, 7.1% were flagged too",
        "79% of 24 past values lay within such an interval.",
        "No list within this budget can bring more than £7,600. This one lacks 0.8% of it.",
        "Contacted often enough lately".lower(),
    ):
        assert said in page
    # Where a file lay when it was written is nobody's matter.
    assert "actions.csv" in page
    assert "/srv" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_returns_rest_on_is_told(language: Language) -> None:
    found = action_findings()
    guessed = body(render_page(portrait(actions=found), language))
    measured = found.model_copy(
        update={
            "lines": tuple(
                one.model_copy(update={"evidence_level": 3, "own_uplift_customers": 17})
                for one in found.lines
            ),
            "winback_lines": (),
        }
    )
    page = body(render_page(portrait(actions=measured), language))
    own, by_lot, estimates = {
        "en": ("3 (own uplift of 17)", "Measured by lot.", "Returns are estimates"),
        "ko": ("3 (고객별 업리프트 17명)", "추첨으로 측정한 값입니다.", "추정치입니다"),
    }[language]
    assert own in page
    assert own not in guessed
    assert by_lot in page
    assert by_lot not in guessed
    assert estimates in guessed


def test_a_grouping_without_a_rival_does_not_win() -> None:
    found = segment_findings(
        measures={"rfm": {"usefulness": 0.3}}, contest=contest(served="rfm", rival="clustering")
    )
    told = [one for _, one, _ in list_verdicts(portrait(segments=found), SPEECH)][2]
    assert told is not None
    assert told.by == "nothing to compare with"


def test_the_headline() -> None:
    tiles = {label: (figure, remark) for label, figure, remark in list_tiles(portrait(), SPEECH)}
    assert tiles["Customers"] == ("4,892", "in 6 groups")
    assert tiles["Worth over the next 365 days"][0] == "£2.39M"
    assert tiles["Expected to leave"][0] == "2,191"


def test_rules_that_do_not_describe_a_group_say_by_how_much() -> None:
    cards = list_cards(portrait(), Marks(segment_findings(), SPEECH), SPEECH)
    told = {card.segment.segment_id: (card.fit, card.unfit) for card in cards}
    assert told["s5"] == (
        "",
        "This group cannot be described so: 84.0% of those whom the rules find belong to it,"
        " 6.0 points short of 90%.",
    )
    assert told["s1"][0].startswith("These rules find 94% of the group; 96%")
    # Most money at risk first.
    assert cards[0].segment.segment_id == "s2"


def test_groups_that_are_no_more_keep_their_name() -> None:
    marks = Marks(segment_findings(), SPEECH, portrait().former)
    assert marks.of("s0").name == "Old faithfuls"
    assert tell_events(portrait(), marks, SPEECH) == [
        "New arrivals: a new group.",
        "Bargain hunters: split off from Seasonal gift buyers. Overlap 41%.",
        "Old faithfuls: gone; its people are now in Regulars slowing down. Overlap 77%.",
    ]


def test_in_the_first_grouping_nothing_is_new() -> None:
    found = portrait(segments=segment_findings(moved_from=None, movements=()))
    marks = Marks(found.segments, SPEECH)
    assert tell_events(found, marks, SPEECH) == []
    badges = [kind for card in list_cards(found, marks, SPEECH) for kind, _ in card.badges]
    assert badges == ["alarm"]


def test_money_that_is_counted_in_two_ways_is_not_passed_off_as_one() -> None:
    said = "Compare them with each other alone."
    assert said not in body(render_page(portrait(), "en"))
    found = segment_findings()
    less = tuple(
        one.model_copy(update={"at_risk_amount": one.at_risk_amount / 10}) for one in found.segments
    )
    apart = portrait(segments=found.model_copy(update={"segments": less}))
    assert said in body(render_page(apart, "en"))


def test_marks_follow_ids_not_sizes() -> None:
    found = segment_findings()
    turned = found.model_copy(update={"segments": tuple(reversed(found.segments))})
    for segment in found.segments:
        one, other = (Marks(f, SPEECH).of(segment.segment_id) for f in (found, turned))
        assert one == other


@pytest.mark.parametrize(
    "tree",
    [
        ((0.0, 1.0, 1.0, 2.0),),  # fewer leaves than groups
        tuple((0.0, 0.0, 1.0, 2.0) for _ in range(5)),  # joins with itself
        tuple((9.0, 10.0, 1.0, 2.0) for _ in range(5)),  # not there yet
        tuple((0.0, 1.0, 1.0, 2.0) for _ in range(5)),  # leaves some out
    ],
)
def test_a_tree_that_is_none_is_not_drawn(tree: tuple[tuple[float, ...], ...]) -> None:
    made = segment_findings(tree=tree)
    found = portrait(segments=made)
    assert "tree" not in draw_figures(found, Marks(made, SPEECH), SPEECH)


def test_movements_from_nowhere_are_drawn() -> None:
    made = segment_findings(movements=(Movement(from_id="zz", to_id="gone", customers=3),))
    assert "movements" in draw_figures(portrait(segments=made), Marks(made, SPEECH), SPEECH)


def test_no_money_is_told_in_a_currency_that_nobody_knows() -> None:
    parts = {
        kind: one.model_copy(update={"currency": None})
        for kind, one in portrait().parts.items()
        if one is not None
    }
    found = Portrait(deployment="x", called="x", as_of=BEFORE, champion=None, **parts)  # type: ignore[arg-type]
    assert not set("£$€") & set(body(render_page(found, "en")))
