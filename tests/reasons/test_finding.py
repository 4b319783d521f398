"""A whole run on a lake: what is published, once, what is said, and what cannot be."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from flows.explaining import show_reasons
from tasks.archive import find_findings, insert_findings
from tasks.errors import DataRejected
from tasks.findings import ReasonFindings, SegmentFindings
from tasks.handles import Champion
from tasks.reasons.finding import Told, find_reasons
from tasks.reasons.report import describe_study, write_summary
from tasks.settings import PROJECT, Settings
from tasks.warehouse import Lake, open_lake
from tests.conftest import MakeSettings
from tests.reasons.made_up import (
    AS_OF,
    BORN,
    make_champion,
    make_rows,
    open_predictor,
    store_tables,
)

QUICK = {"features": {"horizon_days": 30}, "reasons": {"refits": 3, "resamples": 100}}
CAUSAL = re.compile(r"\b(caus\w*|because|due to|leads? to|drives?)\b|때문|원인|인해", re.IGNORECASE)


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Champion:
    return make_champion(tmp_path_factory.mktemp("model") / "m", make_rows(300))


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(**QUICK)


def run(lake: Lake, champion: Champion, customers: int = 200, **change: float | None) -> Told:
    newest, past = store_tables(lake, customers, change=dict(change))
    return find_reasons(lake, champion, open_predictor(champion), newest, past, BORN)


def put_segments(lake: Lake) -> None:
    """Two segments, told apart by who asked the service desk, as if found tonight."""
    found = SegmentFindings.model_construct(
        as_of=AS_OF, known_by=AS_OF, snapshot_id=1, kind="segments"
    )
    with lake.writer_lock("test"), lake.publish("test", "segments"):
        insert_findings(lake, "segments-run", found)
        lake.execute(
            "insert into lake.main.customer_segments by name"
            " select customer_id, as_of, as_of as known_by, 'segments-run' as run_id,"
            "   's' as segmentation_id, case when tickets_90 > 0 then 'busy' else 'quiet' end"
            "   as segment_id, 'name' as segment_name from lake.main.made_newest"
        )


def put_scores(lake: Lake) -> None:
    """Twelve pounds at risk for every customer."""
    with lake.writer_lock("test"), lake.publish("test", "scores"):
        lake.execute(
            "create table lake.main.scores as select customer_id,"
            " 12::decimal(18, 4) as money_at_risk_amount, as_of, 'run' as scoring_id"
            " from lake.main.made_newest"
        )
        lake.execute(
            "insert into lake.ledger.exports by name select 'run' as export_id,"
            " 'scores.parquet' as kind, 'x' as path, 'y' as sha256, 200 as rows,"
            " now() as exported_at"
        )


def test_every_customer_has_a_row_and_the_planted_driver_leads(
    lake: Lake, champion: Champion
) -> None:
    told = run(lake, champion)
    found = told.findings
    rows = lake.rows("select * from lake.main.customer_reasons order by customer_id")
    assert len(rows) == 200 == found.explained_customers + found.unstable_customers
    assert {row["run_id"] for row in rows} == {told.finding_id}
    for row in rows:
        assert (row["driver"] is None) == (row["push"] is None)
        if row["driver"] is not None:
            assert row["push"] > 0
            assert row["agreement_share"] >= 0.8
    assert found.drivers[0].driver == "service"
    assert found.drivers[0].agreement_share > 0.9
    assert sum(one.weight_share for one in found.drivers) == pytest.approx(1.0)
    assert {one.evidence for one in found.drivers} == {"association"}
    # The day of the year is the same for everybody: it moves all alike and is nobody's reason.
    assert [one.weight_share for one in found.drivers if one.driver == "season"] == [0.0]
    assert not any(row["driver"] == "season" for row in rows)
    complained = {
        row["customer_id"]
        for row in lake.rows(
            "select customer_id from lake.main.made_newest"
            " where tickets_90 > 0 and complaint_share_365 = 1"
        )
    }
    said = [row["driver"] for row in rows if row["customer_id"] in complained]
    assert said.count("service") > 0.9 * len(said)
    # Taking the reason away lowers the score.
    assert found.ablation_high is not None
    assert found.ablation_high < 0
    # Without scores money at risk is probability times value, which is 100 for all here.
    at_risk = sum(cell.at_risk_amount for cell in found.cells)
    features = lake.arrow("select * from lake.main.made_newest")
    expected = open_predictor(champion).predict(features).sum() * 100
    assert float(at_risk) == pytest.approx(expected, abs=0.05)


def put_orders(lake: Lake, customers: int) -> None:
    """An order every ten days for half a year and more; every third customer stops on the way."""
    with lake.writer_lock("test"), lake.publish("test", "orders"):
        lake.execute(
            "insert into lake.main.orders by name"
            " with bought as (select n, $as_of - to_days(7 + 10 * k) as ordered_at"
            "   from range($customers) c(n), range(30) r(k) where n % 3 > 0 or k > n % 15)"
            " select 'c' || lpad(n::varchar, 5, '0') as customer_id, ordered_at,"
            "   'o' as order_id, 1::decimal(18, 4) as quantity, 5::decimal(18, 4) as net_amount,"
            "   'GBP' as currency, false as is_return, 1 as batch_number, n as row_number,"
            "   ordered_at as received_at from bought",
            {"as_of": AS_OF, "customers": customers},
        )


def test_segments_and_money_come_from_the_newest_runs(lake: Lake, champion: Champion) -> None:
    put_orders(lake, 200)
    store_tables(lake, 200)
    put_segments(lake)
    put_scores(lake)
    found = run(lake, champion).findings
    cells = {(one.segment_id, one.driver): one for one in found.cells}
    assert {segment for segment, _ in cells} == {"busy", "quiet"}
    assert sum(cell.customers for cell in found.cells) == 200
    assert all(cell.at_risk_amount == 12 * Decimal(cell.customers) for cell in found.cells)
    assert cells["busy", "service"].stands_out
    assert cells["busy", "service"].customers_share > cells["busy", "service"].rest_share
    # Customers of a past cut-off are put into tonight's segments by what was known of them then.
    assert [one.segment_id for one in found.survival] == [None, "busy", "quiet"]
    assert found.survival[0].customers == 200
    assert sum(one.customers for one in found.survival[1:]) == 200
    assert 0.6 < found.survival[0].points[-1][1] < 0.75
    assert found.survival_p_value is not None
    assert any("tree that learnt tonight's" in note.en for note in found.notes)
    assert found.lead_time is not None
    assert found.lead_time.lapsed_customers > 20


def test_contracts_end_and_their_customers_have_reasons(
    make_settings: MakeSettings, champion: Champion
) -> None:
    quick = {**QUICK, "features": {"outcome": "cancellation", "horizon_days": 30}}
    with open_lake(make_settings(**quick)) as lake:
        with lake.writer_lock("test"), lake.publish("test", "contracts"):
            lake.execute(
                "insert into lake.main.subscriptions by name"
                " select 'c' || lpad(n::varchar, 5, '0') as customer_id, 's' || n as"
                "   subscription_id, $as_of - to_days(400) as started_at,"
                "   case when n % 3 = 0 then $as_of - to_days((n % 150)::integer) end as ended_at,"
                "   1 as batch_number, n as row_number, started_at as received_at"
                " from range(200) r(n)",
                {"as_of": AS_OF},
            )
        found = run(lake, champion).findings
        assert found.explained_customers > 0
        assert found.survival[0].customers == 200
        assert 0.6 < found.survival[0].points[-1][1] < 0.7
        assert found.lead_time is not None


def test_a_set_with_the_outcome_given_is_followed_by_its_tenure(
    make_settings: MakeSettings, champion: Champion
) -> None:
    reasons = {**QUICK["reasons"], "tenure_feature": "tenure_days", "tenure_unit_days": 2.0}
    with open_lake(make_settings(features={"outcome": "given"}, reasons=reasons)) as lake:
        found = run(lake, champion).findings
        assert found.explained_customers > 0
        assert found.survival[0].points[-1][0] > 900
        assert found.lead_time is None
        assert found.journey == ()
        assert any("left and not when" in note.en for note in found.notes)
    with open_lake(make_settings(features={"outcome": "given"}, reasons=QUICK["reasons"])) as lake:
        assert run(lake, champion).findings.survival == ()


def test_the_same_night_twice_is_one_run(
    lake: Lake, champion: Champion, settings: Settings
) -> None:
    first = run(lake, champion)
    again = run(lake, champion)
    assert first.is_new
    assert not again.is_new
    assert again.findings == first.findings
    assert lake.scalar("select count(*) from lake.main.customer_reasons") == 200
    assert find_findings(lake, ReasonFindings, as_of=AS_OF) == first.findings
    # Another segmentation is another run.
    put_segments(lake)
    assert run(lake, champion).is_new


def test_the_same_data_give_the_same_bytes(make_settings: MakeSettings, champion: Champion) -> None:
    contents = []
    for _ in range(2):
        with open_lake(make_settings(**QUICK)) as lake:
            run(lake, champion)
            contents.append(
                [
                    row["line"]
                    for row in lake.rows(
                        "select concat_ws('|', customer_id, driver, push, agreement_share) as line"
                        " from lake.main.customer_reasons order by customer_id"
                    )
                ]
            )
    assert contents[0] == contents[1]


def test_a_rule_has_reasons_from_refits_alone_and_says_so(lake: Lake, tmp_path: Path) -> None:
    rule = make_champion(tmp_path / "rule", make_rows(60), rule=True)
    found = run(lake, rule).findings
    assert any("A rule is served" in note.en for note in found.notes)
    assert found.drivers[0].driver == "service"
    assert found.explained_customers > 0
    assert found.ablation_high is not None
    assert found.ablation_high < 0


def test_nothing_says_more_than_association(
    lake: Lake,
    champion: Champion,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Findings, texts for people and what MLflow is told: no word of causes, in no language."""
    told = run(lake, champion)
    show_reasons(told.findings)
    newest, _ = store_tables(lake, 200)
    with describe_study(settings, told, newest) as record:
        assert record.files is not None
        files = [path.read_text(encoding="utf-8") for path in sorted(record.files.iterdir())]
        logged = repr((record.tags, record.params, record.metrics))
    texts = {
        "findings": told.findings.model_dump_json(),
        "summary": write_summary(told.findings),
        "screen": capsys.readouterr().out,
        "logged": logged,
        "notes": (PROJECT / "tasks" / "reasons" / "notes.py").read_text(encoding="utf-8"),
        "conf": (PROJECT / "conf" / "base" / "reasons.yaml").read_text(encoding="utf-8"),
        **{f"file {n}": text for n, text in enumerate(files)},
    }
    for name, text in texts.items():
        assert CAUSAL.findall(text) == [], name
        assert re.search(r"\bc\d{5}\b", text) is None, name  # no customer leaves the lake
    assert "association" in texts["findings"]
    assert "association" in texts["summary"]
    assert "association" in texts["screen"]


@pytest.mark.parametrize(
    ("change", "customers"),
    [
        (dict.fromkeys(BORN, 1.0), 200),
        (dict.fromkeys(BORN, None), 200),
    ],
    ids=["constant columns", "all missing"],
)
def test_features_that_say_nothing_give_nobody_a_reason(
    lake: Lake, champion: Champion, change: dict[str, float | None], customers: int
) -> None:
    found = run(lake, champion, customers, **change).findings
    assert found.explained_customers == 0
    assert found.unstable_customers == customers
    assert found.ablation_change is None
    assert any("No customer's reason held" in note.en for note in found.notes)


def test_one_feature_is_enough(lake: Lake, tmp_path: Path) -> None:
    """The others are missing: the model is then of one."""
    nothing = {name: None for name in BORN if name != "tickets_90"}
    rule = make_champion(tmp_path / "rule", make_rows(60), rule=True)
    newest, past = store_tables(lake, 200, change=nothing)
    one = ("tickets_90",)
    newest, past = replace(newest, feature_names=one), replace(past, feature_names=one)
    predictor = open_predictor(rule)
    found = find_reasons(lake, rule, predictor, newest, past, {"tickets_90": "service"}).findings
    assert [driver.driver for driver in found.drivers] == ["service"]
    assert found.explained_customers > 0


@pytest.mark.parametrize("customers", [1, 6])
def test_too_few_customers_are_a_clear_stop(lake: Lake, champion: Champion, customers: int) -> None:
    with pytest.raises(DataRejected, match="too few customers") as stop:
        run(lake, champion, customers)
    assert stop.value.exit_code == 65
    assert f"{customers:,} customers with a known outcome" in str(stop.value)
    assert "minimum_customers" in stop.value.next_step
    assert lake.scalar("select count(*) from lake.main.customer_reasons") == 0


def test_no_row_at_all_is_a_clear_stop(lake: Lake, champion: Champion) -> None:
    newest, past = store_tables(lake, 100)
    predictor = open_predictor(champion)
    lake.execute("delete from lake.main.made_newest")
    with pytest.raises(DataRejected, match="newest cut-off"):
        find_reasons(lake, champion, predictor, newest, past, BORN)
    lake.execute("delete from lake.main.made_past")
    with pytest.raises(DataRejected, match="past cut-off"):
        find_reasons(lake, champion, predictor, newest, past, BORN)


def test_more_rows_than_a_refit_may_learn_from_are_drawn_from(
    make_settings: MakeSettings, champion: Champion
) -> None:
    quick = {**QUICK, "reasons": {**QUICK["reasons"], "maximum_training_rows": 1000}}
    with open_lake(make_settings(**quick)) as lake:
        found = run(lake, champion, 400).findings
        assert found.explained_customers + found.unstable_customers == 400
        assert any("% of the customers, drawn by a hash" in note.en for note in found.notes)


EXPLAINER = """
import sys
from pathlib import Path
from tasks.settings import load_settings
from tasks.warehouse import open_lake
from tasks.reasons.finding import find_reasons
from tests.reasons.made_up import BORN, make_champion, make_rows, open_predictor, store_tables

overlay, home, model = sys.argv[1:]
settings = load_settings(overlay, home=Path(home))
champion = make_champion(Path(model), make_rows(300))
with open_lake(settings) as lake:
    newest, past = store_tables(lake, 120)
    find_reasons(lake, champion, open_predictor(champion), newest, past, BORN)
"""


@pytest.mark.faults
def test_a_killed_run_is_mended_by_the_next(
    lake: Lake, settings: Settings, champion: Champion, tmp_path: Path
) -> None:
    overlay = tmp_path / f"{settings.deployment}.yaml"
    overlay.write_text(
        f"deployment: {settings.deployment}\nfeatures: {{horizon_days: 30}}\n"
        "reasons: {refits: 3, resamples: 100}\n"
    )
    for point, published in (("reasons.before_publish", 0), ("reasons.published", 120)):
        arguments = [str(overlay), str(settings.home), str(tmp_path / point)]
        done = subprocess.run(
            [sys.executable, "-c", EXPLAINER, *arguments],
            env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point},
            timeout=120,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL
        assert lake.scalar("select count(*) from lake.main.customer_reasons") == published
    assert not run(lake, champion, 120).is_new
    assert lake.scalar("select count(*) from lake.main.customer_reasons") == 120
    assert lake.scalar("select count(*) from lake.ledger.findings where kind = 'reasons'") == 1
