"""The typed schema of `conf/`: what can be set, within which bounds, and what it means.

`conf/base/<section>.yaml` holds the defaults of every deployment, `conf/<name>.yaml` what differs
in one. Mappings are merged key by key, everything else is replaced. A key that no schema knows,
a value out of bounds or of another type stops the command with exit 78 and names the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.errors import ConfigurationError, UsageError, suggest
from tasks.populations import SimulationSettings
from tasks.sources import IntakeSettings

PROJECT = Path(__file__).resolve().parent.parent
CONF = PROJECT / "conf"
HOME_VARIABLE = "HOLDFAST_HOME"
DATA_VARIABLE = "HOLDFAST_DATA"
SIMULATED_VARIABLE = "HOLDFAST_SIMULATED"


class Section(BaseModel):
    """Strict, frozen, closed: no guessing of types, no change, no unknown key."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class ClockSettings(Section):
    """What time it is for this deployment."""

    as_of: Literal["data", "now"] | date = Field(
        "data",
        description=(
            "'data': midnight UTC at the start of the last day that has orders, the last boundary"
            " up to which history is complete; 'now': today's midnight UTC; or a date."
        ),
    )
    known_lag_hours: float = Field(
        24.0,
        ge=0,
        le=24 * 60,
        description=(
            "How long after `as_of` rows may still arrive and count for that night; the same lag"
            " holds for the cut-offs of the past that a model learns from."
        ),
    )


class WarehouseSettings(Section):
    """Limits of the database that does the work."""

    memory_limit_mb: int = Field(
        2048, ge=256, le=1_048_576, description="What DuckDB may hold before it spills to disk."
    )
    threads: int = Field(2, ge=1, le=256, description="Threads of DuckDB.")
    lock_wait_seconds: float = Field(
        120.0, ge=0, le=86_400, description="How long a writer waits for another before exit 75."
    )
    compact_after_files: int = Field(
        12,
        ge=2,
        le=10_000,
        description=(
            "A table with more data files than this is merged after publishing: the files become"
            " one, sorted by customer and event time."
        ),
    )
    keep_merged_hours: float = Field(
        24.0,
        ge=0,
        le=8760,
        description=(
            "How long files that a merge has replaced stay on disk, for readers that began before"
            " it; also the age at which files of a killed publishing are removed."
        ),
    )


class RowRuleSettings(Section):
    """What one rule about single rows allows, and what follows where a row breaks it."""

    severity: Literal["off", "warn", "quarantine", "stop"] = Field(
        "quarantine",
        description=(
            "'warn' counts the rows and keeps them, 'quarantine' sets them aside, 'stop' refuses"
            " the batch at the first of them, 'off' does not look."
        ),
    )
    stop_above_share: float = Field(
        1.0, ge=0, le=1, description="The share of rows breaking the rule that stops the batch."
    )
    minimum: float | None = Field(None, description="The least value allowed; null: no limit.")
    maximum: float | None = Field(None, description="The greatest value allowed; null: no limit.")
    allowed: tuple[str, ...] | None = Field(
        None, description="The only texts allowed; null: any that has the right form."
    )
    refused: tuple[str, ...] = Field(
        (), description="Texts that stand for 'missing' in the source, compared in lower case."
    )
    pattern: str | None = Field(
        None,
        max_length=500,
        description="A regular expression for texts that break the rule; null: none does.",
    )


class Limits(Section):
    """Where a figure of a batch begins to warn and to stop; null: it never does."""

    warn_below: float | None = Field(None, description="A figure below it is reported.")
    stop_below: float | None = Field(None, description="A figure below it stops the batch.")
    warn_above: float | None = Field(None, description="A figure above it is reported.")
    stop_above: float | None = Field(None, description="A figure above it stops the batch.")


class BatchRuleSettings(Limits):
    """What one rule about a whole batch allows. Its figure and unit stand beside it in `conf/`."""

    enabled: bool = Field(True, description="Whether the rule is looked at.")
    columns: dict[str, Limits] = Field(
        default_factory=dict,
        description="Limits of single columns; a null there is taken from the rule's own.",
    )


class TableRulesSettings(Section):
    """The rules of one canonical table, by name."""

    rows: dict[str, RowRuleSettings] = Field(description="Rules that a single row keeps or breaks.")
    batch: dict[str, BatchRuleSettings] = Field(description="Rules about the batch as a whole.")


class FeatureRulesSettings(Section):
    """What a feature table must keep before a model sees it. Names may be patterns (`*_share`)."""

    minimum_rows: int = Field(ge=1, description="Fewer customers stop the run.")
    maximum_null_share: float = Field(
        ge=0, le=1, description="Share of missing values above which a feature stops the run."
    )
    null_shares: dict[str, float] = Field(
        description="Ceilings of single features, in place of `maximum_null_share`."
    )
    ranges: dict[str, tuple[float | None, float | None]] = Field(
        description="Least and greatest value of the features whose name fits; null: no limit."
    )


class ScoreRulesSettings(Section):
    """What a score table must keep before anybody acts on it."""

    minimum_rows: int = Field(ge=1, description="Fewer scores stop the run.")
    minimum_distinct_scores: int = Field(
        ge=1, description="Fewer different probabilities stop the run: a constant ranks nobody."
    )
    maximum_missing_reason_share: float = Field(
        ge=0, le=1, description="Share of customers without a first reason that stops the run."
    )


class ValidationSettings(Section):
    """What is refused, and how much of it stops a batch."""

    trailing_batches: int = Field(
        ge=1, le=400, description="Accepted batches of a source that a new one is compared with."
    )
    minimum_batches: int = Field(
        ge=1, le=100, description="With fewer of them a comparison says 'not enough history'."
    )
    minimum_values: int = Field(
        ge=2,
        description="A distribution of fewer values, or a batch of fewer rows, is not compared.",
    )
    maximum_categories: int = Field(
        ge=1, le=5000, description="Categories of a column that are remembered, the largest first."
    )
    earliest_at: date = Field(
        description="Events before it are refused: 1970 and 1900 are missing dates in disguise."
    )
    skew_allowance_hours: float = Field(
        ge=0, le=240, description="How far ahead of our clock a source's clock may be."
    )
    maximum_gap_days: float = Field(
        ge=0,
        le=3660,
        description=(
            "Where the deployment's clock is 'data', an event is refused that lies more than this,"
            " and more than three interquartile ranges, after three quarters of its batch."
        ),
    )
    tables: dict[str, TableRulesSettings] = Field(description="The rules of each canonical table.")
    features: FeatureRulesSettings
    scores: ScoreRulesSettings


class FeaturesSettings(Section):
    """What is known of a customer at a time, who counts as one, and what leaving means."""

    outcome: Literal["lapse", "cancellation", "given"] = Field(
        "lapse",
        description=(
            "'lapse': no order in the horizon, of who was active; 'cancellation': every open"
            " contract ends in it; 'given': as the labelled table says."
        ),
    )
    activity_window_days: int = Field(
        180, ge=1, le=3650, description="Who has ordered this lately is active (for 'lapse')."
    )
    horizon_days: int = Field(90, ge=1, le=365, description="How far ahead leaving is looked for.")
    cutoffs: int = Field(
        16, ge=1, le=120, description="Cut-offs of a training at most, the final test's included."
    )
    cutoff_step_days: int = Field(
        30,
        ge=1,
        le=365,
        description="Days between them. If it divides the horizon, the embargo wastes no cut-off.",
    )
    known_after_days: float = Field(
        1.0,
        ge=0,
        le=60,
        description=(
            "How long after a training cut-off what was known is looked at, as a night does: not"
            " less than the lag that sources declare, or the last days before it look empty."
        ),
    )
    minimum_history_days: int = Field(
        180, ge=0, le=3650, description="History before the first cut-off, lest all look new."
    )
    minimum_customers: int = Field(
        200, ge=20, le=10_000_000, description="Eligible customers at the final test's cut-off."
    )
    minimum_churners: int = Field(
        100, ge=5, le=10_000_000, description="Of whom so many leave, at the final test's cut-off."
    )
    minimum_stayers: int = Field(
        100, ge=5, le=10_000_000, description="Of whom so many stay, at the final test's cut-off."
    )
    leak_auc_limit: float = Field(
        0.90,
        gt=0.5,
        le=1,
        description=(
            "A feature that alone separates leavers from stayers of a later time better than this"
            " has seen the outcome. Honest recency reaches 0.84 on groceries."
        ),
    )
    allowed_leaks: tuple[str, ...] = Field(
        (), description="Features beyond the limit that somebody has looked at and found honest."
    )
    leak_sample_customers: int = Field(
        500,
        ge=0,
        le=100_000,
        description="For whom features are computed again without the later rows; 0 skips it.",
    )
    drivers: dict[str, str] = Field(
        default_factory=dict,
        description="The driver of a labelled set's columns, by their names; else 'profile'.",
    )
    chunk_lines: int = Field(
        4_000_000,
        ge=1,
        le=1_000_000_000,
        description="Order lines taken at a time; bounds the memory.",
    )


class SearchRange(Section):
    """Between what a parameter is searched, evenly in its logarithm unless said otherwise."""

    minimum: float = Field(gt=0, description="The least value tried.")
    maximum: float = Field(gt=0, description="The greatest value tried; equal: not searched.")


class SearchSpaceSettings(Section):
    """Where the tuning looks. Few leaves and many rows a leaf: customers are noisy."""

    learning_rate: SearchRange = Field(
        SearchRange(minimum=0.015, maximum=0.1), description="Step of each tree."
    )
    num_leaves: SearchRange = Field(
        SearchRange(minimum=4, maximum=32), description="Leaves of a tree."
    )
    min_data_in_leaf: SearchRange = Field(
        SearchRange(minimum=30, maximum=800),
        description="Rows a leaf must hold; the maximum shrinks to a tenth of few rows.",
    )
    feature_fraction: SearchRange = Field(
        SearchRange(minimum=0.15, maximum=0.9), description="Features a tree sees; searched evenly."
    )
    bagging_fraction: SearchRange = Field(
        SearchRange(minimum=0.4, maximum=0.95), description="Rows a tree sees; searched evenly."
    )
    lambda_l2: SearchRange = Field(
        SearchRange(minimum=0.1, maximum=100.0), description="Shrinkage of the leaves' values."
    )


class RuleSettings(Section):
    """A simple rule the model must beat: order by one feature, or by the ratio of two."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="How reports call it.")
    reason: str = Field(max_length=100, description="The reason it gives, in plain words.")
    feature: str = Field(description="The feature that orders the customers.")
    divided_by: str | None = Field(None, description="A feature that it is divided by, if any.")
    higher_means_leaving: bool = Field(True, description="Whether a higher value is worse.")


class ChurnSettings(Section):
    """How it is learnt who leaves."""

    seed: int = Field(
        2011, ge=0, le=10**9, description="Same data, lock and seed: same model, byte by byte."
    )
    folds: int = Field(3, ge=1, le=12, description="Validation cut-offs that choose the model.")
    calibration_folds: int = Field(
        8,
        ge=1,
        le=60,
        description="Validation cut-offs that probabilities are calibrated on, the folds included.",
    )
    objective: Literal["average_precision", "auc", "log_loss"] = Field(
        "average_precision",
        description=(
            "What tuning improves, on later cut-offs. Log loss is misled where the share of"
            " leavers moves with the season; calibration mends levels, not order."
        ),
    )
    trials: int = Field(48, ge=1, le=10_000, description="Settings tried.")
    round_trials: int = Field(
        8,
        ge=1,
        le=256,
        description="Trials asked for together; the model depends on it, not on `workers`.",
    )
    workers: int = Field(2, ge=1, le=256, description="Processes that try, one thread each.")
    startup_trials: int = Field(
        12, ge=1, le=1000, description="Trials drawn at random before the sampler learns from them."
    )
    prune_after_trials: int = Field(
        8, ge=1, le=1000, description="Finished trials before hopeless ones are cut short."
    )
    maximum_trees: int = Field(800, ge=10, le=10_000, description="Trees of the longest trial.")
    maximum_bins: int = Field(127, ge=3, le=255, description="Bins of a feature.")
    space: SearchSpaceSettings = Field(
        default_factory=lambda: SearchSpaceSettings.model_validate({}),
        description="Where the tuning looks.",
    )
    rules: tuple[RuleSettings, ...] = Field(
        (),
        description=(
            "Rules that the model must beat; those whose features are not there are left out. With"
            " none left, the best single feature is the rule."
        ),
    )
    forest_trees: int = Field(200, ge=10, le=5000, description="Trees of the random forest.")
    maximum_baseline_rows: int = Field(
        200_000,
        ge=1000,
        le=100_000_000,
        description="Rows that logistic regression and forest learn from; more are drawn from.",
    )
    resamples: int = Field(
        1000, ge=50, le=100_000, description="Bootstrap resamples of customers behind an interval."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of every interval.")
    minimum_slice_customers: int = Field(
        100, ge=10, le=1_000_000, description="A slice of fewer is named with its size alone."
    )


class EconomicsSettings(Section):
    """What a contact costs and brings, a customer, in one currency."""

    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="Of every amount here (ISO).")
    contact_cost_amount: Decimal = Field(
        Decimal("0.50"), gt=0, le=1_000_000, description="Reaching one customer."
    )
    offer_cost_amount: Decimal = Field(
        Decimal("5.00"), ge=0, le=1_000_000, description="The offer, paid when it is taken."
    )
    margin_share: float = Field(
        0.30, gt=0, le=1, description="Of a customer's value, what remains after costs of goods."
    )
    accept_share: float = Field(
        0.30,
        gt=0,
        lt=1,
        description="Of those about to leave, how many the offer keeps; a guess until measured.",
    )
    accept_certainty: float = Field(
        20.0,
        gt=1,
        le=10_000,
        description="How sure that share is: the sum of its Beta distribution's parameters.",
    )
    budget_amount: Decimal = Field(
        Decimal("1000"),
        gt=0,
        le=1_000_000_000,
        description="What one round may cost if every contacted customer takes the offer.",
    )


class RegistrySettings(Section):
    """When a challenger is let in."""

    minimum_final_customers: int = Field(
        200, ge=30, le=10_000_000, description="Fewer customers in the final test block."
    )
    minimum_final_churners: int = Field(
        20, ge=5, le=10_000_000, description="Fewer churners in the final test block."
    )
    bootstrap_replicates: int = Field(
        2000, ge=200, le=20_000, description="Resamples of customers behind each comparison."
    )
    bootstrap_seed: int = Field(20_111_209, ge=0, description="So that a decision can be redone.")
    rule_confidence: float = Field(
        0.90,
        gt=0.5,
        lt=1,
        description="Share of resamples in which the challenger must earn more than the best rule.",
    )
    champion_confidence: float = Field(
        0.90,
        gt=0.5,
        lt=1,
        description=(
            "Share of resamples in which the challenger must not fall behind the champion by more"
            " than `champion_tolerance_share`; its estimate must also be strictly higher."
        ),
    )
    champion_tolerance_share: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="What the challenger may fall behind, as a share of the champion's profit.",
    )
    load_timeout_seconds: float = Field(
        60.0,
        ge=5,
        le=600,
        description="What the first load of a model, in its own process, may take.",
    )


class ScoringSettings(Section):
    """What is written for each customer."""

    batch_rows: int = Field(
        50_000, ge=100, le=1_000_000, description="Customers scored at a time; bounds the memory."
    )
    maximum_reasons: int = Field(3, ge=1, le=3, description="Reasons given a customer.")
    csv_byte_order_mark: bool = Field(
        True, description="Start the CSV with a UTF-8 mark, without which Excel garbles Korean."
    )


class TrackingSettings(Section):
    """Where experiments are shown."""

    uri: str | None = Field(
        None,
        description=(
            "An MLflow server or database; HOLDFAST_TRACKING_URI goes before it. Without either,"
            " the database 'mlflow' beside the lake, used directly."
        ),
    )
    artifact_location: str | None = Field(
        None,
        description=(
            "Where MLflow keeps files, as a URI. Without it, `mlflow/artifacts` in the state"
            " directory, or for a remote server what it decides."
        ),
    )
    timeout_seconds: int = Field(
        5, ge=1, le=120, description="How long one request may take before it counts as failed."
    )
    retries: int = Field(2, ge=0, le=10, description="Further tries of a failed request.")
    child_runs: int = Field(
        10, ge=0, le=100, description="How many of the best trials get a run of their own."
    )


class ServicesSettings(Section):
    """The servers that `holdfast up` starts, all on loopback."""

    prefect_port: int = Field(4200, ge=1024, le=65_535, description="Port of Prefect's server.")
    mlflow_port: int = Field(5000, ge=1024, le=65_535, description="Port of MLflow's UI.")
    parallel_runs: int = Field(
        1, ge=1, le=64, description="Scheduled runs at work at the same time, all deployments."
    )


class Settings(Section):
    """Everything a deployment can set."""

    deployment: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="The name: of the lake, the model and the exports.",
    )
    home: Path = Field(description="The state directory; from HOLDFAST_HOME or `.holdfast`.")
    clock: ClockSettings
    warehouse: WarehouseSettings
    intake: IntakeSettings
    validation: ValidationSettings
    features: FeaturesSettings
    churn: ChurnSettings
    economics: EconomicsSettings
    registry: RegistrySettings
    scoring: ScoringSettings
    tracking: TrackingSettings
    simulation: SimulationSettings
    services: ServicesSettings


def find_home() -> Path:
    """The state directory: HOLDFAST_HOME, or `.holdfast` in the project."""
    return Path(os.environ.get(HOME_VARIABLE) or PROJECT / ".holdfast").resolve()


def list_deployments() -> list[str]:
    """Names of the deployments in `conf/`."""
    return sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "prefect")


def load_settings(deployment: str | Path, *, home: Path | None = None) -> Settings:
    """Settings of a deployment: a name in `conf/`, or the path of a deployment file anywhere.

    Raises UsageError (64) for a name that is not there, ConfigurationError (78) for a wrong file.
    """
    overlay_path = _find_overlay(deployment)
    overlay = _read_yaml(overlay_path)
    merged: dict[str, Any] = {}
    origin: dict[str, Path] = {}
    for path in sorted((CONF / "base").glob("*.yaml")):
        merged[path.stem] = _read_yaml(path)
        origin[path.stem] = path
    merged = _merge(merged, overlay)
    for section in Settings.model_fields:
        if section not in ("deployment", "home"):
            merged.setdefault(section, {})
    merged.setdefault("deployment", overlay_path.stem)
    merged["home"] = str((home or find_home()).resolve())
    expanded = _expand(merged, overlay_path)
    try:
        # JSON, because strict JSON lets text be a date, a path or a decimal, and nothing else.
        return Settings.model_validate_json(json.dumps(expanded, default=str))
    except ValidationError as error:
        raise _explain(error, overlay, overlay_path, origin) from None


def load_services(deployment: str | Path | None = None) -> ServicesSettings:
    """The servers' settings: of a deployment, or the defaults that all deployments share."""
    if deployment is not None:
        return load_settings(deployment).services
    path = CONF / "base" / "services.yaml"
    try:
        return ServicesSettings.model_validate_json(json.dumps(_expand(_read_yaml(path), path)))
    except ValidationError as error:
        raise _explain(error, {}, path, {}) from None


def _find_overlay(deployment: str | Path) -> Path:
    text = str(deployment)
    if "/" in text or text.endswith((".yaml", ".yml")):
        path = Path(text).expanduser().resolve()
        if not path.is_file():
            raise UsageError(f"There is no deployment file {path}.", available=list_deployments())
        return path
    path = CONF / f"{text}.yaml"
    if text not in list_deployments():
        raise UsageError(
            f"There is no deployment '{text}'.",
            found=suggest(text, list_deployments()),
            available=list_deployments(),
            next_step=f"name one of them, or write {path.name} in {CONF}",
        )
    return path


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; here the second is an error."""


def _construct_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{key}' stands here twice", key_node.start_mark
            )
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{_short(path)} is not readable YAML.", found=" ".join(str(error).split())
        ) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigurationError(
            f"{_short(path)} holds {type(data).__name__}, not a mapping of settings."
        )
    return data


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[key] = _merge(before, value)
        else:
            merged[key] = value
    return merged


_REFERENCE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


def _expand(value: Any, path: Path) -> Any:
    """Fill `${NAME}` from the environment.

    HOLDFAST_DATA falls back to `../shared/data`, HOLDFAST_SIMULATED to the state directory.
    """
    if isinstance(value, dict):
        return {key: _expand(item, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, path) for item in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        found = os.environ.get(name)
        if found is None and name == DATA_VARIABLE:
            found = str((PROJECT.parent / "shared" / "data").resolve())
        if found is None and name == SIMULATED_VARIABLE:
            found = str(find_home() / "simulated")
        if found is None:
            raise ConfigurationError(
                f"{_short(path)} needs the environment variable {name}, which is not set."
            )
        return found

    return _REFERENCE.sub(fill, value)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(PROJECT))
    except ValueError:
        return str(path)


def _explain(
    error: ValidationError,
    overlay: Mapping[str, Any],
    overlay_path: Path,
    origin: Mapping[str, Path],
) -> ConfigurationError:
    first = error.errors()[0]
    trail = [str(part) for part in first["loc"]]
    base_path = origin.get(trail[0] if trail else "", overlay_path)
    base = {trail[0]: _read_yaml(base_path)} if base_path != overlay_path else {}
    # Whichever file says more of the trail is the one to correct.
    in_overlay, in_base = _walk_data(overlay, trail), _walk_data(base, trail)
    path = base_path if len(in_base) > len(in_overlay) else overlay_path
    found_trail = max(in_overlay, in_base, key=len)
    if first["type"] == "missing":
        found_trail = [*found_trail, trail[-1]]
    trail = found_trail or trail
    where, key = ".".join(trail[:-1]), trail[-1] if trail else ""
    more = len(error.errors()) - 1
    also = f" ({more} more after it)" if more else ""
    if first["type"] == "extra_forbidden":
        known = sorted(_known_keys(trail[:-1]))
        return ConfigurationError(
            f"{_short(path)}: '{key}' is not a setting of `{where or 'a deployment'}`.{also}",
            found=suggest(key, known),
            available=known,
        )
    found = "" if first["type"] == "missing" else f"Found: {first['input']!r}"
    return ConfigurationError(
        f"{_short(path)}: `{'.'.join(trail)}`: {first['msg']}.{also}", found=found
    )


def _walk_data(data: Any, trail: list[str]) -> list[str]:
    """The parts of the trail that are keys of the data; pydantic adds names of union members."""
    kept = []
    for part in trail:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            continue
        kept.append(part)
    return kept


def _known_keys(trail: list[str]) -> set[str]:
    """The keys that the model at `trail` knows; empty where the trail leaves the models."""
    model: type[BaseModel] = Settings
    for part in trail:
        field = model.model_fields.get(part)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return set()
        model = inner
    return set(model.model_fields) - ({"home"} if model is Settings else set())
