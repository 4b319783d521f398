"""What is short is said with a remedy whose figures are true."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tasks.errors import DataRejected
from tasks.features.sufficiency import check_sufficiency
from tasks.settings import Settings
from tasks.warehouse import Lake, open_lake
from tests.conftest import MakeSettings
from tests.features.shop import at, put, put_random_shop

pytestmark = pytest.mark.sql


@pytest.fixture(scope="module")
def shop(make_settings: MakeSettings) -> Iterator[Lake]:
    settings = make_settings(features={"minimum_churners": 50})
    with open_lake(settings) as opened:
        put_random_shop(opened, 600, 720)
        yield opened


def test_enough(shop: Lake) -> None:
    features = shop.settings.features
    found = check_sufficiency(shop, at(719), at(719), shop.snapshot(), features)
    assert found.cutoffs[-1] == at(719 - 90)
    assert found.customers == found.churners + found.stayers
    assert found.training_cutoffs >= 1


def test_the_advice_holds_when_it_is_taken(shop: Lake) -> None:
    version = shop.snapshot()
    base = shop.settings.features
    enough = check_sufficiency(shop, at(719), at(719), version, base)
    short = base.model_copy(update={"minimum_churners": enough.churners + 3})
    with pytest.raises(DataRejected) as caught:
        check_sufficiency(shop, at(719), at(719), version, short)
    text = str(caught.value)
    assert f"{enough.churners:,} churners, {enough.churners + 3:,} needed" in text
    advised = {name: int(value) for name, value in re.findall(r"`features\.(\w+): (\d+)`", text)}
    assert advised
    promised = int(re.search(r"which gives ([\d,]+) churners", text)[1].replace(",", ""))  # type: ignore[index]
    taken = check_sufficiency(shop, at(719), at(719), version, short.model_copy(update=advised))
    assert taken.churners == promised >= enough.churners + 3
    assert caught.value.exit_code == 65


def test_a_wider_horizon_for_contracts(lake: Lake, make_settings: MakeSettings) -> None:
    settings = make_settings(
        features={
            "outcome": "cancellation",
            "horizon_days": 30,
            "minimum_customers": 20,
            "minimum_churners": 12,
            "minimum_stayers": 5,
        }
    )
    # One contract in forty ends every third day.
    put(
        lake,
        "subscriptions",
        [
            {
                "customer_id": f"c{n}",
                "subscription_id": f"s{n}",
                "started_at": at(0),
                "ended_at": at(600 + 3 * n),
            }
            for n in range(40)
        ],
    )
    with pytest.raises(DataRejected) as caught:
        check_sufficiency(lake, at(660), at(660), lake.snapshot(), settings.features)
    assert "10 churners, 12 needed" in str(caught.value)
    assert "widen the horizon to 45 days" in str(caught.value)
    assert "which gives 15 churners" in str(caught.value)


def test_history_loaded_at_once_without_a_declaration(lake: Lake, settings: Settings) -> None:
    put_random_shop(lake, 300, 720)
    lake.execute("update lake.main.orders set received_at = $now", {"now": at(719)})
    with pytest.raises(DataRejected, match="declare in the source") as caught:
        check_sufficiency(lake, at(719), at(719), lake.snapshot(), settings.features)
    assert "would be eligible" in str(caught.value)


def test_an_empty_lake(lake: Lake, settings: Settings) -> None:
    with pytest.raises(DataRejected, match="0 customers"):
        check_sufficiency(lake, at(719), at(719), lake.snapshot(), settings.features)
