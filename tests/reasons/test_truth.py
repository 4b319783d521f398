"""Simulated customers whose truth is known: complaints make them leave, and the reasons say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.compute as pc
import pytest

from tasks.drivers import BoosterSettings
from tasks.features.computing import compute_features
from tasks.features.declaration import FEATURES
from tasks.features.request import Request
from tasks.reasons.ablation import ablate, segment_medians
from tasks.reasons.grouping import group_features
from tasks.reasons.reading import LabelledRows, read_matrix
from tasks.reasons.refits import fit, fit_again, read_recipe
from tasks.reasons.stability import find_leading, push_of
from tasks.settings import Settings
from tasks.simulation.truth import reveal
from tasks.warehouse import scratch
from tests.conftest import MakeSettings
from tests.statistics.population import Population, make_population

HORIZON_DAYS = 30
AS_OF = datetime(2023, 1, 1, tzinfo=UTC)
CUTOFFS = tuple(AS_OF - timedelta(days=30 * n) for n in range(6, -1, -1))


@pytest.fixture(scope="module")
def population(make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory) -> Population:
    """A year of 1,200 customers whom a complaint makes thirty times as likely to leave."""
    return make_population(
        make_settings,
        tmp_path_factory.mktemp("population") / "shop",
        customers=1200,
        months=14,
        tickets={"yearly_mean": 2.0, "complaint_share": 0.5, "hazard_ratio": 20.0},
        dropouts={"yearly_mean": 0.25, "shape": 4.0},
        purchases={"yearly_mean": 40.0, "shape": 3.0},
    )


def read_features(population: Population) -> tuple[LabelledRows, dict[str, int]]:
    """Features at all cut-offs by the project's own SQL; the place of each customer by id."""
    with scratch() as connection:
        for table, time in (("orders", "ordered_at"), ("tickets", "opened_at")):
            connection.execute(
                f"create view delivered_{table} as select *, 1 as batch_number,"
                f" row_number() over () as row_number, {time} as received_at"
                f" from read_parquet('{population.directory}/{table}/*.parquet')"
            )
        request = Request(
            CUTOFFS,
            CUTOFFS,
            {table: f"delivered_{table}" for table in ("orders", "tickets")},
            "lapse",
            HORIZON_DAYS,
            90,
            labels_as_of=AS_OF,
            labels_known_by=AS_OF,
        )
        computed = compute_features(
            connection, request, lambda rows: connection.execute(f"create table found as {rows}")
        )
        names = tuple(one.name for one in computed.features)
        rows = connection.arrow(
            "select *, coalesce(churned::tinyint, -1)::tinyint as outcome,"
            " (epoch_us(as_of) // 86400000000)::bigint as cutoff_day"
            " from found order by as_of, customer_id"
        )
    ids = np.asarray(rows["customer_id"].to_pylist(), dtype=object)
    customer_ids, customers = np.unique(ids, return_inverse=True)
    return (
        LabelledRows(
            features=read_matrix(rows, names),
            customers=customers,
            customer_ids=customer_ids,
            cutoff_days=rows["cutoff_day"].to_numpy(),
            churned=rows["outcome"].to_numpy(),
            present=np.asarray(pc.less_equal(rows["recency_days"], HORIZON_DAYS).to_pylist()),
            feature_names=names,
            share=1.0,
        ),
        {one: place for place, one in enumerate(customer_ids)},
    )


@pytest.mark.statistics
def test_the_planted_complaint_is_the_reason_where_it_is(
    population: Population, settings: Settings
) -> None:
    rows, place = read_features(population)
    born = {one.name: str(one.driver) for one in FEATURES}
    grouping = group_features(rows.feature_names, settings.reasons.drivers, named={}, born=born)
    recipe = read_recipe(None, BoosterSettings(trees=60, min_data_in_leaf=40))
    served = fit(rows, rows.matured, recipe, seed=1, resample=False)
    refits = fit_again(rows, recipe, count=3, seed=2, workers=1)
    tonight = np.flatnonzero((rows.cutoff_days == int(AS_OF.timestamp()) // 86_400) & rows.present)
    features = rows.features[tonight]
    found = find_leading(
        push_of(served, features, grouping),
        [push_of(one, features, grouping) for one in refits],
        0.8,
    )
    service = grouping.drivers.index("service")
    by_service = found.holds & (found.driver == service)

    # Who complained lately, by the features, is whom the complaint makes leave, by the truth.
    column = rows.feature_names.index
    complained = (features[:, column("tickets_30")] > 0) & (
        features[:, column("complaint_share_365")] == 1
    )
    assert complained.sum() > 20
    assert by_service[complained].mean() > 0.6
    assert by_service[~complained].mean() < 0.25

    truth = reveal(population.plan, AS_OF.date(), HORIZON_DAYS)
    dropout = np.full(len(place), np.nan)
    for one, value in zip(
        truth["customer_id"].to_pylist(), truth["dropout_probability"].to_pylist(), strict=True
    ):
        if one in place:
            dropout[place[one]] = value
    true = dropout[rows.customers[tonight]]
    assert np.nanmean(true[by_service]) > 2 * np.nanmean(true[~by_service])

    # Taking the top reason away lowers the score, for complaints alone and over all reasons.
    segments = np.zeros(len(features), dtype=np.int64)
    medians = segment_medians(features, segments, 1)
    for chosen in (by_service, found.holds):
        ablation = ablate(
            features[chosen],
            found.driver[chosen],
            segments[chosen],
            medians,
            grouping,
            served.predict,
            resamples=300,
            confidence=0.95,
            seed=1,
        )
        assert ablation is not None
        assert ablation.high < 0
