"""What uplift targeting brings against everyone, risk and chance; on a real lot and a known one.

    python -m benchmarks.uplift                     all
    python -m benchmarks.uplift --only hillstrom
    python -m benchmarks.uplift --only unlocking --seeds 400

`hillstrom` (in HOLDFAST_DATA) is MineThatData's e-mail test of 64,000 customers: visits and spend
in two weeks. The simulated shop (`tests/uplift/simulated.py`) has customers whom a contact keeps,
and others whom it drives away; its truth is held against the claim. `unlocking` counts how often a
contact that does nothing, or the same to all, unlocks targeting by bad luck.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.uplift.hillstrom import ARMS, read_arm
from tasks.evidence import Strategy
from tasks.incrementality import UpliftSettings
from tasks.progress import track
from tasks.settings import PROJECT, Settings, load_settings
from tasks.uplift.effects import Trial, check_lot, compare_arms, measure_effect
from tasks.uplift.serving import calibrate
from tasks.uplift.subjects import read_with_features, stage_subjects
from tasks.uplift.targeting import compare_strategies
from tests.uplift.drawn import QUICK, draw_trial
from tests.uplift.simulated import HORIZON_DAYS, open_shop

_LOOKS = 6


def main() -> None:
    arguments = _read_arguments()
    if arguments.only in (None, "hillstrom"):
        show_hillstrom(arguments.data)
    if arguments.only in (None, "simulated"):
        show_simulated(arguments.customers)
    if arguments.only in (None, "unlocking"):
        show_unlocking(arguments.seeds)


def show_hillstrom(data: Path) -> None:
    """Effects of each e-mail, and the ways to choose, on visits and on spend."""
    path = data / "hillstrom" / "hillstrom.parquet"
    if not path.is_file():
        print(f"hillstrom: no {path}; set HOLDFAST_DATA")
        return
    settings = UpliftSettings()
    for arm in ARMS:
        trial, features, names = read_arm(path, arm)
        likely = check_lot(np.array([len(trial)]), np.array([trial.treated.sum()]), 0.5)
        apart = compare_arms(features, trial.treated, trial.lots)
        worst = int(np.abs(apart).argmax())
        mailed = int(trial.treated.sum())
        print(
            f"hillstrom, {arm}: {mailed:,} mailed, {len(trial) - mailed:,} not; lot p ="
            f" {likely:.2f}, largest difference {names[worst]} {apart[worst]:+.3f} SD"
        )
        for measure, name, sign, scale in (
            ("lapse_share", "visits, points", -1, 100),
            ("margin_amount", "spend, USD", 1, 1),
        ):
            found = measure_effect(
                trial,
                measure,  # type: ignore[arg-type]
                confidence=settings.confidence,
                scale=settings.effect_scale,
            )
            if found is None:
                continue
            fixed = sorted((sign * scale * found.fixed_low, sign * scale * found.fixed_high))
            valid = sorted((sign * scale * found.low, sign * scale * found.high))
            print(
                f"  {name}: {sign * scale * found.estimate:+.3f}, one look {fixed[0]:+.3f} to"
                f" {fixed[1]:+.3f}, every look {valid[0]:+.3f} to {valid[1]:+.3f}"
            )
        for measure in ("lapse_share", "margin_amount"):
            contest = compare_strategies(
                trial,
                features,
                measure,  # type: ignore[arg-type]
                settings,
                risk="with_contact",
            )
            what = "visits" if measure == "lapse_share" else "spend"
            print(
                f"  by {what}: {'unlocked' if contest.unlocked else 'locked'}; Qini over risk's"
                f" {contest.over_risk[0]:+.5f} ({contest.over_risk[1]:+.5f} to"
                f" {contest.over_risk[2]:+.5f})"
            )
            for one in contest.strategies:
                print(f"    {_tell(one, contest.served, what)}")


def show_simulated(customers: int) -> None:
    """The claim on a simulated shop, and what is true of those it would contact."""
    numbers = itertools.count(1)
    with tempfile.TemporaryDirectory(prefix="holdfast-uplift-") as temporary:
        home = Path(temporary)
        home.chmod(0o711)  # the embedded PostgreSQL runs as a user of its own

        def make_settings(**sections: object) -> Settings:
            path = home / f"shop_{next(numbers)}.yaml"
            path.write_text(yaml.safe_dump({"deployment": path.stem, **sections}))
            return load_settings(path, home=home)

        started = time.process_time()
        with open_shop(make_settings, home / "population", customers) as shop:
            plan = shop.plan()
            table = shop.build(plan)
            if table is None:
                print("simulated: too few customers for a model")
                return
            settings = shop.lake.settings
            stage_subjects(shop.lake, plan.as_of, plan.known_by, plan.snapshot, settings)
            read = read_with_features(shop.lake, "retention", "mailing", table, 10**7)
            if read is None:
                print("simulated: nobody was in a lot")
                return
            contest = compare_strategies(read.trial, read.features, "lapse_share", settings.uplift)
            truth = shop.reveal_effects(tuple(sorted(set(read.decided_at))))
            known = [truth[one] for one in zip(read.customer_ids, read.decided_at, strict=True)]
    kinds = np.array([one[0] for one in known])
    kept = -np.array([one[1] for one in known])
    budget = settings.uplift.budget_share
    order = np.argsort(-contest.scores, kind="stable")[: round(budget * len(kept))]
    print(
        f"simulated: {len(read.trial):,} subjects of {len(plan.cutoffs)} lots, {HORIZON_DAYS} days;"
        f" {'unlocked' if contest.unlocked else 'locked'};"
        f" {time.process_time() - started:.0f} s of CPU"
    )
    for one in contest.strategies:
        print(f"    {_tell(one, contest.served, 'stays')}")
    print(
        f"  true: first {budget:.0%} by uplift {kept[order].sum() / len(kept) * 1000:+.1f} stays of"
        f" 1,000; random {kept.mean() * budget * 1000:+.1f}; everyone {kept.mean() * 1000:+.1f};"
        f" the best there is {np.sort(kept)[::-1][: len(order)].sum() / len(kept) * 1000:+.1f}"
    )
    for kind in ("persuadable", "indifferent", "do_not_disturb"):
        print(
            f"  {kind}: {(kinds == kind).mean():.1%} of all, {(kinds[order] == kind).mean():.1%} of"
            " those chosen"
        )


def show_unlocking(seeds: int) -> None:
    """How often a trial of 1,500 unlocks, where it should not and where it should."""
    from scipy.stats import binomtest

    settings = UpliftSettings.model_validate(QUICK)
    for world, what in (
        ("nothing", "a contact does nothing"),
        ("alike", "it keeps one in ten of everybody"),
        ("unlike", "it keeps one in five of half of them, and drives as many others away"),
    ):
        count = 0
        for seed in track(range(seeds), f"unlocking, {world}", str):
            trial, features = draw_trial(world, seed)  # type: ignore[arg-type]
            count += _is_unlocked(trial, features, settings)
        share = binomtest(count, seeds).proportion_ci(0.95)
        print(
            f"unlocking, {what}: {count} of {seeds} trials unlocked, {count / seeds:.1%}"
            f" ({share.low:.1%} to {share.high:.1%}); declared: at most"
            f" {1 - settings.confidence:.0%} by bad luck"
        )
    ever = 0
    looks = range(1, _LOOKS + 1)
    for seed in track(range(seeds // 4), "unlocking, look after look", str):
        trial, features = draw_trial("nothing", seed, subjects=_LOOKS * 500, lots=_LOOKS)
        parts = [trial.lots < look for look in looks]
        ever += any(_is_unlocked(trial.take(one), features[one], settings) for one in parts)
    print(
        f"unlocking, a contact does nothing, looked at after each of {_LOOKS} lots of 500: {ever}"
        f" of {seeds // 4} unlocked at one of the looks, {ever / (seeds // 4):.1%}"
    )


def _is_unlocked(trial: Trial, features: NDArray[np.float64], settings: UpliftSettings) -> bool:
    contest = compare_strategies(trial, features, "lapse_share", settings)
    return contest.unlocked and (
        calibrate(trial, contest.scores, "lapse_share", settings) is not None
    )


def _tell(one: Strategy, served: str, what: str) -> str:
    qini = ""
    if one.qini is not None and one.qini_low is not None and one.qini_high is not None:
        qini = f", Qini {one.qini:.5f} ({one.qini_low:.5f} to {one.qini_high:.5f})"
    return (
        f"{one.name}{' *' if one.name == served else ''} at {one.contacted_share:.0%}:"
        f" {one.at_budget:+.1f} {what} of 1,000 ({one.at_budget_low:+.1f} to"
        f" {one.at_budget_high:+.1f}), money {one.money_amount:+,.0f}"
        f" ({one.money_low:+,.0f} to {one.money_high:+,.0f}){qini}"
    )


def _read_arguments() -> argparse.Namespace:
    import os

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("hillstrom", "simulated", "unlocking"))
    parser.add_argument("--seeds", type=int, default=400, help="trials of each world")
    parser.add_argument("--customers", type=int, default=8000, help="of the simulated shop")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("HOLDFAST_DATA") or PROJECT.parent / "shared" / "data"),
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
