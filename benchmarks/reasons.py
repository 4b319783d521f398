"""Do the reasons hold? Share with a stable reason, agreement with a model not asked before, cost.

    HOLDFAST_HOME=... python -m benchmarks.reasons completejourney online_retail

Each deployment must have a champion (`holdfast -d NAME ingest`, `train`, `score`). One model more
than the night's is fitted again on customers drawn anew: how often does it put the same driver
first, for customers with a reason that held, and for all who have a leading driver at all?
Nothing is published.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measurement import measure_work


def examine(deployment: str | Path) -> dict[str, Any]:
    """The figures of one deployment; its lake is read, and only feature tables are written."""
    from tasks.clock import find_time
    from tasks.features import steps as features
    from tasks.reasons import steps as reasons
    from tasks.reasons.explaining import explain_newest, fit_models, prepare, read_past
    from tasks.reasons.finding import take_away
    from tasks.reasons.following import follow_customers
    from tasks.reasons.reading import read_newest
    from tasks.reasons.stability import NONE, push_of, top_driver
    from tasks.registry import steps as registry
    from tasks.settings import load_settings
    from tasks.warehouse import open_lake

    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        champion, predictor = registry.load_champion(lake)
        now, snapshot = find_time(lake, settings), lake.snapshot()
        enough = features.check_enough(lake, now.as_of, now.known_by, snapshot, settings.features)
        newest = features.build(lake, (now.as_of,), (now.known_by,), snapshot, settings.features)
        past = reasons.plan_past(enough.cutoffs, now.as_of, settings.features)
        labelled = features.build(
            lake,
            past,
            now.known_at(past),
            snapshot,
            settings.features,
            labels_as_of=now.as_of,
            labels_known_by=now.known_by,
        )
        born, _ = features.describe_drivers(lake, labelled, settings.features)
        start, cpu = time.perf_counter(), time.process_time()
        asked = prepare(lake, champion, predictor, newest, labelled, born)
        rows = read_past(lake, asked)
        models = fit_models(lake, asked, rows, extra=1)
        held_out = models.refits[-1]
        models = replace(models, refits=models.refits[:-1])
        explained = explain_newest(lake, asked, models)
        ablation = take_away(lake, models, explained)
        followed = follow_customers(lake, asked, rows, models, explained)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu

        grouping = models.grouping
        again = np.concatenate(
            [
                top_driver(push_of(held_out, batch.features, grouping))
                for batch in read_newest(
                    lake, newest, grouping.feature_names, settings.reasons.batch_rows, None
                )
            ]
        )
        named = np.array([*grouping.drivers, None], dtype=object)[again]
        shown = np.asarray(explained.table["driver"].to_pylist(), dtype=object)
        holds = shown != None  # noqa: E711  (elementwise, of an object array)
        led = explained.top != NONE
        lead = followed.lead_time
        return {
            "customers": explained.customers,
            "pushed": int(led.sum()),
            "stable_share": explained.holding / explained.customers,
            "held_out_agreement": float((named[holds] == shown[holds]).mean()),
            "agreement_without_threshold": float((again[led] == explained.top[led]).mean()),
            "ablation": None
            if ablation is None
            else (ablation.change, ablation.low, ablation.high),
            "lead": lead,
            "refits": len(models.refits),
            "explain_seconds": seconds,
            "explain_cpu_seconds": cpu_seconds,
        }


def show(deployment: str, found: dict[str, Any]) -> None:
    """The figures as lines."""
    print(f"\n{deployment}: {found['customers']:,} customers, {found['refits']} refits")
    print(f"  pushed towards leaving by some driver   {found['pushed']:,}")
    print(f"  with a stable reason                    {found['stable_share']:.1%}")
    print(f"  held-out refit says the same of these   {found['held_out_agreement']:.1%}")
    print(f"  ... and of all who are pushed           {found['agreement_without_threshold']:.1%}")
    if found["ablation"] is not None:
        change, low, high = found["ablation"]
        print(
            f"  top reason to the median, probability   {change:+.4f} ({low:+.4f} to {high:+.4f})"
        )
    lead = found["lead"]
    if lead is not None:
        print(
            f"  lapses flagged before                   {lead.flagged_customers:,} of"
            f" {lead.lapsed_customers:,}; stayers flagged {lead.stayers_flagged_share or 0:.1%}"
        )
        days = ", ".join(f"{share}: {value:.0f}" for share, value in lead.quantile_days.items())
        print(f"  lead time, days by quantile             {days}")
    print(
        f"  time of explaining                      {found['explain_seconds']:.1f} s,"
        f" {found['explain_cpu_seconds']:.1f} s of processor"
    )
    print(f"  peak memory of the process              {found['peak_mb']:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("deployments", nargs="+", help="names in conf/, or paths of files")
    for deployment in parser.parse_args().deployments:
        show(Path(deployment).stem, measure_work(lambda one=deployment: examine(one)))


if __name__ == "__main__":
    main()
