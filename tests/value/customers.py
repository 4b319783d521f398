"""Customers by the process that the purchase models assume, and CDNOW's, counted as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.value.btyd import Counts, Kind

Floats = NDArray[np.float64]


def simulate(
    kind: Kind, customers: int, r: float, alpha: float, a: float, b: float, age: float, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Frequency, recency and age of customers who came evenly in the first half of `age`."""
    random = np.random.default_rng(seed)
    ages = random.uniform(age / 2, age, customers)
    rates = random.gamma(r, 1 / alpha, customers)
    stops = random.beta(a, b, customers)
    frequency, recency = np.zeros(customers), np.zeros(customers)
    alive = np.ones(customers, dtype=bool)
    if kind == "mbg_nbd":
        alive = random.random(customers) >= stops
    now = np.zeros(customers)
    while alive.any():
        now = now + random.exponential(1 / np.maximum(rates, 1e-12))
        alive &= now < ages
        frequency[alive] += 1
        recency[alive] = now[alive]
        alive &= random.random(customers) >= stops
    return frequency, recency, ages


def as_counts(frequency: Floats, recency: Floats, age: Floats) -> Counts:
    return Counts(frequency, recency, age, np.ones(len(frequency)))


def collapse(frequency: Floats, recency: Floats, age: Floats) -> Counts:
    """Equal customers counted."""
    rows, counted = np.unique(
        np.column_stack([frequency, recency, age]), axis=0, return_counts=True
    )
    return Counts(rows[:, 0], rows[:, 1], rows[:, 2], counted.astype(np.float64))


class Cdnow:
    """The tenth of CDNOW's customers that papers use: 39 weeks to fit, 39 to check.

    Weeks from each customer's first day to 1997-09-30; two orders on a day are one.
    """

    def __init__(self, path: Path) -> None:
        table = pq.read_table(path)
        ids, customer = np.unique(table["customer_id"].to_numpy(), return_inverse=True)
        day = table["date"].to_numpy().astype("datetime64[D]")
        amount = table["amount"].to_numpy()
        pairs, place = np.unique(
            np.column_stack([customer, day.astype(np.int64)]), axis=0, return_inverse=True
        )
        spent = np.bincount(place.ravel(), weights=amount)
        until = np.datetime64("1997-09-30").astype(np.int64)
        early = pairs[:, 1] <= until
        size = len(ids)
        first = np.full(size, np.iinfo(np.int64).max)
        np.minimum.at(first, pairs[early, 0], pairs[early, 1])
        last = np.zeros(size, dtype=np.int64)
        np.maximum.at(last, pairs[early, 0], pairs[early, 1])
        self.frequency = np.bincount(pairs[early, 0], minlength=size) - 1.0
        self.recency = (last - first) / 7
        self.age = (until - first) / 7
        self.later_orders = np.bincount(pairs[~early, 0], minlength=size)
        repeat = early & (pairs[:, 1] > first[pairs[:, 0]])
        orders = np.bincount(pairs[repeat, 0], minlength=size).astype(np.float64)
        money = np.bincount(pairs[repeat, 0], weights=spent[repeat], minlength=size)
        kept = money > 0
        self.repeat_orders = orders[kept]
        self.repeat_mean_amount = money[kept] / orders[kept]
