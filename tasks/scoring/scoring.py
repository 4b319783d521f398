"""A score for every eligible customer: predicted in batches, ranked in SQL, published at once.

The run is named by what goes into it (model, features, economics), so scoring again finds itself
done: no second set of rows, and files with the same bytes. What is not sound (a missing or
constant probability, a customer twice) is refused before anything is written, and the scores of
the run before stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.archive import hash_parts
from tasks.contracts import NO_REASON, REASON_COLUMNS, SCORES
from tasks.crash import crash_point
from tasks.errors import DataRejected, HoldfastError, suggest
from tasks.exports import (
    ExportFile,
    arrow_schema,
    export_directory,
    find_exports,
    find_scoring,
    insert_exports,
    is_whole,
    put_in_place,
    write_files,
)
from tasks.handles import ArmScoring, Champion, FeatureTable, Predictor, ScoreTable
from tasks.standings import Staleness
from tasks.warehouse import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.settings import Settings
    from tasks.warehouse import Connection, Lake

_SQL = Path(__file__).with_name("sql")
# What `lake.main.scores` is checked with before it is published: the Parquet file to be exported.
Check = Callable[[Path], None]


def score(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    features: FeatureTable,
    settings: Settings,
    *,
    value_column: str = "value_amount",
    check: Check | None = None,
    staleness: Staleness | None = None,
    may_miss: Mapping[str, str] | None = None,
    arm: ArmScoring | None = None,
) -> ScoreTable:
    """Score the newest cut-off of `features` and export the list; the run and its files.

    `value_column` of the feature table is what a customer is worth before margin, in the currency
    of `economics` (NULL: unknown, counts 0). `check` looks at the finished file and raises to
    refuse it. Every row is stamped with `staleness`, by default that of a fresh night. `may_miss`
    maps features of optional sources to their source: one that the table lacks is NULL for
    everybody, and its source is named as left out. Customers whom `arm` scores get its score,
    ranked among all. Raises DataRejected (65) for unsound scores or
    missing columns, DiskFailure (73).
    """
    as_of, known_by = features.as_of[-1], features.known_by[-1]
    filled = _find_filled(lake, predictor, features, may_miss or {})
    stamp = _name_left_out(staleness or Staleness(), filled)
    table = _describe_run(champion, features, settings, stamp, arm)
    done = find_exports(lake, table.scoring_id)
    if done:
        return _restore_exports(lake, table, done, settings)
    lake.record_read("score", features.snapshot_id, as_of, known_by, champion.run_id)
    rank_customers(
        lake,
        champion,
        predictor,
        features,
        settings,
        value_column,
        staleness=staleness,
        may_miss=may_miss,
        arm=arm,
    )
    listed = ", ".join(quote(column.name) for column in SCORES)
    files = _write(lake, table, f"select {listed} from ranked_scores order by rank", settings)
    try:
        if check is not None:
            check(files[1].aside)
        _publish(lake, table, files, arm)
    except HoldfastError:
        for file in files:
            file.aside.unlink(missing_ok=True)
        raise
    for file in files:
        put_in_place(file)
    return _with_files(table, files)


def rank_customers(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    features: FeatureTable,
    settings: Settings,
    value_column: str = "value_amount",
    *,
    explained: bool = True,
    staleness: Staleness | None = None,
    may_miss: Mapping[str, str] | None = None,
    arm: ArmScoring | None = None,
) -> None:
    """Score and rank the newest cut-off into the temporary table `ranked_scores`; no more.

    Without `explained` no reasons are asked for, which for a model is most of the work. Raises
    DataRejected (65) as `score` does.
    """
    filled = _find_filled(lake, predictor, features, may_miss or {})
    stamp = _name_left_out(staleness or Staleness(), filled)
    _stage(lake, predictor, features, settings, value_column, filled, explained=explained)
    _refuse_unsound(lake)
    if arm is not None:
        arm.score(lake, features)
    _rank(lake, _describe_run(champion, features, settings, stamp, arm), settings)


def _describe_run(
    champion: Champion,
    features: FeatureTable,
    settings: Settings,
    staleness: Staleness,
    arm: ArmScoring | None,
) -> ScoreTable:
    return ScoreTable(
        scoring_id=name_scoring(champion, features, settings, staleness, arm),
        as_of=features.as_of[-1],
        known_by=features.known_by[-1],
        rows=0,
        model_name=champion.name,
        model_version=champion.version,
        model_hash=champion.model_hash,
        snapshot_id=features.snapshot_id,
        staleness=staleness,
    )


def name_scoring(
    champion: Champion,
    features: FeatureTable,
    settings: Settings,
    staleness: Staleness,
    arm: ArmScoring | None = None,
) -> str:
    """The scoring run's id: sha256, shortened, over everything that its rows depend on."""
    parts: dict[str, Any] = {
        "deployment": settings.deployment,
        "model": [champion.name, champion.version, champion.model_hash],
        "features": features.fingerprint,
        "as_of": features.as_of[-1].isoformat(),
        "known_by": features.known_by[-1].isoformat(),
        "economics": settings.economics.model_dump(mode="json"),
        "reasons": settings.scoring.maximum_reasons,
        "mark": settings.scoring.csv_byte_order_mark,
        "stale": [staleness.days, staleness.text],
    }
    if arm is not None:
        parts["arm"] = list(arm.parts)
    return hash_parts(parts)


def describe_staleness(staleness: Staleness) -> str:
    """`STALE: orders behind by 31 days; tickets left out`, or nothing for a fresh night."""
    if staleness.is_fresh:
        return ""
    said = []
    if staleness.sources:
        days = staleness.days
        age = f" by {days:,.4g} day{'' if days == 1 else 's'}" if days else ""
        said.append(f"{', '.join(staleness.sources)} behind{age}")
    if staleness.left_out:
        whose = "its" if len(staleness.left_out) == 1 else "their"
        said.append(f"{', '.join(staleness.left_out)} left out, {whose} features unknown")
    return f"STALE: {'; '.join(said)}"


def _stage(
    lake: Lake,
    predictor: Predictor,
    features: FeatureTable,
    settings: Settings,
    value_column: str,
    filled: Mapping[str, str],
    *,
    explained: bool,
) -> None:
    lake.run(_SQL / "stage.sql")
    for batch in _read_features(lake, predictor, features, settings, value_column, filled):
        lake.load_arrow("score_batch", _score_batch(batch, predictor, settings, explained))
        try:
            lake.execute("insert into scored_customers by name select * from score_batch")
        finally:
            lake.drop_arrow("score_batch")


def _read_features(
    lake: Lake,
    predictor: Predictor,
    features: FeatureTable,
    settings: Settings,
    value_column: str,
    filled: Mapping[str, str],
) -> Iterator[pa.Table]:
    """The rows of the newest cut-off, a batch at a time, from a cursor of its own.

    The features in `filled` are not in the table and NULL for everybody.
    """
    import pyarrow as pa

    names = list(predictor.feature_names)
    reader = lake.cursor()
    source = f"lake.main.{quote(features.table)}"
    present = _list_columns(reader, features)
    for name in ("customer_id", "as_of", value_column, *names):
        if name not in present and name not in filled:
            raise DataRejected(
                f"The feature table has no column '{name}', which scoring needs.",
                found=suggest(name, present),
                next_step="train a model on the features as they are now, or bring it back",
            )
    listed = ", ".join(
        f"{'null' if name in filled else quote(name)}::double as {quote(name)}" for name in names
    )
    sql = (
        f"select customer_id, {quote(value_column)}::decimal(18, 4) as holdfast_value, {listed}"
        f" from {source} where as_of = $as_of"
    )
    for batch in reader.batches(
        sql, {"as_of": features.as_of[-1]}, rows=settings.scoring.batch_rows
    ):
        yield pa.Table.from_batches([batch])


def _find_filled(
    lake: Lake, predictor: Predictor, features: FeatureTable, may_miss: Mapping[str, str]
) -> dict[str, str]:
    """The model's features that the table lacks and may lack, each with its source."""
    if not may_miss:
        return {}
    present = _list_columns(lake, features)
    return {
        name: may_miss[name]
        for name in predictor.feature_names
        if name in may_miss and name not in present
    }


def _name_left_out(staleness: Staleness, filled: Mapping[str, str]) -> Staleness:
    named = dict.fromkeys([*staleness.left_out, *filled.values()])
    return replace(staleness, left_out=tuple(named))


def _list_columns(connection: Connection, features: FeatureTable) -> set[str]:
    rows = connection.rows(f"describe lake.main.{quote(features.table)}")
    return {row["column_name"] for row in rows}


def _score_batch(
    batch: pa.Table, predictor: Predictor, settings: Settings, explained: bool
) -> pa.Table:
    import pyarrow as pa

    inputs = batch.select(list(predictor.feature_names))
    probability = predictor.predict(inputs)
    reasons = predictor.reasons(inputs) if explained else [()] * batch.num_rows
    kept = settings.scoring.maximum_reasons
    columns: dict[str, Any] = {
        "customer_id": batch["customer_id"],
        "value_amount": batch["holdfast_value"],
        "probability": pa.array(probability, pa.float64()),
    }
    reasons = [row or (NO_REASON,) for row in reasons]
    for place, name in enumerate(REASON_COLUMNS):
        columns[name] = pa.array(
            [row[place] if place < min(kept, len(row)) else None for row in reasons], pa.string()
        )
    return pa.table(columns)


def _refuse_unsound(lake: Lake) -> None:
    found = lake.one(lake.text(_SQL / "soundness.sql"))
    customers = int(found["customers"])
    faults = {
        "no customer is eligible": customers == 0,
        f"{found['not_finite']:,} probabilities are missing or no number": found["not_finite"],
        f"{found['outside']:,} probabilities lie outside 0 to 1": found["outside"],
        f"{found['repeated']:,} customers stand twice": found["repeated"],
        f"{found['nameless']:,} customers have no id": found["nameless"],
        "every customer has the same probability": customers > 1 and found["different"] < 2,
    }
    broken = [text for text, is_broken in faults.items() if is_broken]
    if broken:
        raise DataRejected(
            "The scores are not sound; nothing was published.",
            found=f"Of {customers:,} customers: {'; '.join(broken)}.",
            next_step="look at the features of this run; the scores of the run before stay",
        )


def _rank(lake: Lake, table: ScoreTable, settings: Settings) -> None:
    economics = settings.economics
    lake.run(
        _SQL / "rank.sql",
        {
            "accept_share": economics.accept_share,
            "margin_share": economics.margin_share,
            "offer_cost": float(economics.offer_cost_amount),
            "contact_cost": float(economics.contact_cost_amount),
            "currency": economics.currency,
            "as_of": table.as_of,
            "known_by": table.known_by,
            "model_name": table.model_name,
            "model_version": table.model_version,
            "model_hash": table.model_hash,
            "scoring_id": table.scoring_id,
            "stale_days": table.staleness.days,
            "stale_sources": table.staleness.text or None,
        },
    )


def _write(
    lake: Lake, table: ScoreTable, sql: str, settings: Settings
) -> tuple[ExportFile, ExportFile]:
    return write_files(
        lake.batches(sql, {"scoring_id": table.scoring_id}, rows=settings.scoring.batch_rows),
        arrow_schema(SCORES),
        export_directory(settings, table.as_of),
        "scores",
        byte_order_mark=settings.scoring.csv_byte_order_mark,
    )


def _publish(
    lake: Lake,
    table: ScoreTable,
    files: tuple[ExportFile, ExportFile],
    arm: ArmScoring | None,
) -> None:
    """The rows and the ledger's word of the files, in one transaction; once, whoever races us."""
    listed = ", ".join(f"{quote(column.name)} {column.type}" for column in SCORES)
    known = {"scoring_id": table.scoring_id}
    with lake.writer_lock("publish scores"):
        if find_exports(lake, table.scoring_id):
            return
        crash_point("scoring.before_publish")
        message = f"scores of {table.as_of:%Y-%m-%d} by version {table.model_version}"
        with lake.publish("holdfast", message, known):
            lake.execute(f"create table if not exists lake.main.scores ({listed})")
            lake.run(_SQL / "publish.sql")
            insert_exports(lake, table.scoring_id, files)
            if arm is not None:
                arm.record(lake, table.scoring_id)
    crash_point("scoring.published")


def _restore_exports(
    lake: Lake, table: ScoreTable, done: Mapping[str, Mapping[str, Any]], settings: Settings
) -> ScoreTable:
    """A run that is already published: its files, written again where they are not whole."""
    directory = export_directory(settings, table.as_of)
    is_newest = _is_newest(lake, table)
    if is_newest and is_whole(directory, done):
        files = tuple(
            ExportFile(
                Path(name).suffix[1:],
                directory / name,
                directory / name,
                row["sha256"],
                row["rows"],
            )
            for name, row in done.items()
        )
        return _with_files(table, files)
    listed = ", ".join(quote(column.name) for column in SCORES)
    sql = f"select {listed} from lake.main.scores where scoring_id = $scoring_id order by rank"
    again = _write(lake, table, sql, settings)
    changed = [
        file for file in again if not is_newest or done[file.path.name]["sha256"] != file.sha256
    ]
    if changed:
        # Another version of the writing library, and the ledger must know the file that is there;
        # or a champion that serves again, and who reads the newest scores must find its own.
        with (
            lake.writer_lock("record an export"),
            lake.publish("holdfast", "scores exported again", {"scoring_id": table.scoring_id}),
        ):
            insert_exports(lake, table.scoring_id, changed)
    for file in again:
        put_in_place(file)
    return _with_files(table, again)


def _is_newest(lake: Lake, table: ScoreTable) -> bool:
    return find_scoring(lake, table.as_of) == table.scoring_id


def _with_files(table: ScoreTable, files: tuple[ExportFile, ...]) -> ScoreTable:
    paths = {file.kind: file.path for file in files}
    return replace(
        table,
        rows=files[0].rows,
        csv_path=paths.get("csv"),
        parquet_path=paths.get("parquet"),
    )
