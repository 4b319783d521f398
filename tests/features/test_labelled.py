"""A static labelled set: its columns, their codes, and the leaks the telco set is known for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import DataRejected
from tasks.features.audit import audit_features
from tasks.features.building import build_features, feature_drivers
from tasks.features.sufficiency import check_sufficiency
from tasks.settings import Settings
from tasks.warehouse import Lake, literal, open_lake
from tests.conftest import MakeSettings
from tests.features.shop import at, put

pytestmark = pytest.mark.sql

# The table of a column that is not in the first one.
_OWNER = {"Satisfaction Score": "s", "Customer Status": "s"}
GIVEN = {"features": {"outcome": "given", "drivers": {"Contract": "tenure", "Charge": "spend"}}}


def entry(customer: str, churned: bool, charge: float, contract: str) -> dict[str, object]:
    return {
        "customer_id": customer,
        "observed_at": at(0),
        "churned": churned,
        "period_amount": charge,
        "numbers": {"Charge": charge},
        "categories": {"Contract": contract},
    }


@pytest.fixture
def given(make_settings: MakeSettings) -> Settings:
    return make_settings(**GIVEN)


def test_columns_and_codes_that_stay(given: Settings) -> None:
    with open_lake(given) as lake:
        put(lake, "labelled", [entry("ann", True, 20, "Year"), entry("bob", False, 30, "Month")])
        first = build_features(
            lake, [at(1)], [at(1)], lake.snapshot(), given.features, labels_as_of=at(1)
        )
        assert first.feature_names == ("charge", "contract")
        assert feature_drivers(lake, first, given.features) == {
            "charge": "spend", "contract": "tenure",
        }  # fmt: skip
        rows = lake.rows(f"from lake.main.{first.table} order by customer_id")
        assert [(row["churned"], row["charge"], row["contract"]) for row in rows] == [
            (True, 20, 1),
            (False, 30, 0),
        ]
        assert [row["value_amount"] for row in rows] == [20, 30]
        # A category that sorts before the others takes the next code, not theirs.
        put(lake, "labelled", [entry("cyd", False, 10, "Day")], lag_days=5)
        later = build_features(
            lake, [at(1)], [at(6)], lake.snapshot(), given.features, labels_as_of=at(1)
        )
        codes = lake.rows(f"select contract from lake.main.{later.table} order by customer_id")
        assert [row["contract"] for row in codes] == [1, 0, 2]
        again = build_features(
            lake, [at(1)], [at(1)], lake.snapshot(), given.features, labels_as_of=at(1)
        )
        assert again.fingerprint == first.fingerprint


def put_telco(lake: Lake, folder: Path, numbers: list[str], categories: list[str]) -> None:
    """The telco set with these columns of its four tables."""

    def entries(names: list[str], kind: str) -> str:
        keys = ", ".join(literal(name) for name in names)
        values = ", ".join(f'{_OWNER.get(name, "t")}."{name}"::{kind}' for name in names)
        return f"map([{keys}], [{values}])"

    lake.execute(
        "insert into lake.main.labelled by name"
        ' select t."CustomerID" as customer_id, $observed as observed_at,'
        ' t."Churn Value" = 1 as churned, t."Monthly Charges"::decimal(18, 4) as period_amount,'
        f" 'USD' as currency, {entries(numbers, 'double')} as numbers,"
        f" {entries(categories, 'varchar')} as categories,"
        " 1 as batch_number, row_number() over () as row_number, $observed as received_at"
        f" from read_parquet({literal(str(folder / 'Telco_customer_churn.parquet'))}) t"
        f" join read_parquet({literal(str(folder / 'Telco_customer_churn_status.parquet'))}) s"
        ' on s."Customer ID" = t."CustomerID"',
        {"observed": at(0)},
    )


def test_the_leaks_of_telco_are_caught(
    given: Settings, make_settings: MakeSettings, shared_data: Path
) -> None:
    folder = shared_data / "telco_ibm"
    if not (folder / "Telco_customer_churn_status.parquet").is_file():
        pytest.skip(f"no telco set in {folder}")  # its licence keeps it out of the project
    honest = ["Tenure Months", "Monthly Charges"]
    groups = ["Contract", "Internet Service", "Payment Method"]
    with open_lake(given) as lake:
        put_telco(lake, folder, honest, groups)
        counted = check_sufficiency(lake, at(1), at(1), lake.snapshot(), given.features)
        assert (counted.customers, counted.churners) == (7043, 1869)
        table = build_features(
            lake, counted.cutoffs, [at(1)], lake.snapshot(), given.features, labels_as_of=at(1)
        )
        best = audit_features(lake, table, given.features)[0]
        assert best.feature in {"contract", "tenure_months"}
        assert 0.7 < best.auc < 0.8
    leaking = make_settings(**GIVEN)
    with open_lake(leaking) as lake:
        put_telco(
            lake,
            folder,
            [*honest, "Churn Score", "Satisfaction Score"],
            [*groups, "Customer Status"],
        )
        table = build_features(
            lake, [at(1)], [at(1)], lake.snapshot(), leaking.features, labels_as_of=at(1)
        )
        with pytest.raises(DataRejected, match="LEAK") as caught:
            audit_features(lake, table, leaking.features)
        for name in ("churn_score", "satisfaction_score", "customer_status"):
            assert name in str(caught.value)
        for name in ("contract", "tenure_months", "monthly_charges"):
            assert name not in str(caught.value)


def test_who_has_left_is_learnt_from_and_not_scored(given: Settings) -> None:
    with open_lake(given) as lake:
        put(lake, "labelled", [entry("ann", True, 20, "Year"), entry("bob", False, 30, "Month")])
        table = build_features(lake, [at(1)], [at(1)], lake.snapshot(), given.features)
        assert [
            row["customer_id"]
            for row in lake.rows(f"select customer_id from lake.main.{table.table}")
        ] == ["bob"]
