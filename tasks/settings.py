"""The typed schema of `conf/`: what can be set, within which bounds, and what it means.

`conf/base/<section>.yaml` holds the defaults of every deployment, `conf/<name>.yaml` what differs
in one. Mappings are merged key by key, everything else is replaced. A key that no schema knows,
a value out of bounds or of another type stops the command with exit 78 and names the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Self, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from tasks.alarms import MonitoringSettings
from tasks.channels import OncallSettings
from tasks.contracts import POPULATION
from tasks.drivers import ReasonsSettings
from tasks.errors import ConfigurationError, UsageError, suggest
from tasks.experiments import RolloutSettings
from tasks.gating import RegistrySettings
from tasks.groups import SegmentsSettings
from tasks.histories import ReplaySettings
from tasks.incrementality import UpliftSettings
from tasks.offers import ActionsSettings, ForecastsSettings
from tasks.populations import SimulationSettings
from tasks.sections import (
    ChurnSettings,
    ClockSettings,
    EconomicsSettings,
    FeaturesSettings,
    ScoringSettings,
    Section,
    ValidationSettings,
    WarehouseSettings,
)
from tasks.servers import ServicesSettings, TrackingSettings
from tasks.sources import IntakeSettings
from tasks.worth import ValueSettings

PROJECT = Path(__file__).resolve().parent.parent
CONF = PROJECT / "conf"
HOME_VARIABLE = "HOLDFAST_HOME"
DATA_VARIABLE = "HOLDFAST_DATA"
SIMULATED_VARIABLE = "HOLDFAST_SIMULATED"
# Fields that no file sets: where the state is, and how the deployment was asked for.
NOT_SET = frozenset({"home", "called"})


class Settings(Section):
    """Everything a deployment can set."""

    deployment: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="The name: of the lake, the model and the exports.",
    )
    home: Path = Field(description="The state directory; from HOLDFAST_HOME or `.holdfast`.")
    called: str = Field(
        description="What `-d` takes for it: its name, or the path of its file. For next commands."
    )
    clock: ClockSettings
    warehouse: WarehouseSettings
    intake: IntakeSettings
    validation: ValidationSettings
    features: FeaturesSettings
    churn: ChurnSettings
    economics: EconomicsSettings
    registry: RegistrySettings
    scoring: ScoringSettings
    value: ValueSettings
    tracking: TrackingSettings
    segments: SegmentsSettings
    simulation: SimulationSettings
    services: ServicesSettings
    oncall: OncallSettings
    forecasts: ForecastsSettings
    actions: ActionsSettings
    reasons: ReasonsSettings
    replay: ReplaySettings
    rollout: RolloutSettings
    uplift: UpliftSettings
    monitoring: MonitoringSettings

    @model_validator(mode="after")
    def _knows_its_customers(self) -> Self:
        table = POPULATION[self.features.outcome]
        for name, source in self.intake.sources.items():
            if source.optional and source.table == table:
                raise ValueError(
                    f"the source '{name}' cannot be `optional`: with `features.outcome:"
                    f" {self.features.outcome}`, {table} says who is a customer"
                )
        return self


def find_home() -> Path:
    """The state directory: HOLDFAST_HOME, or `.holdfast` in the project."""
    return Path(os.environ.get(HOME_VARIABLE) or PROJECT / ".holdfast").resolve()


def find_simulated() -> Path:
    """Where the deployment `simulated` looks: HOLDFAST_SIMULATED, or a folder of the state."""
    return Path(os.environ.get(SIMULATED_VARIABLE) or find_home() / "simulated").resolve()


def list_deployments() -> list[str]:
    """Names of the deployments in `conf/`."""
    return sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "prefect")


def load_settings(
    deployment: str | Path, *, home: Path | None = None, over: Path | None = None
) -> Settings:
    """Settings of a deployment: a name in `conf/`, or the path of a deployment file anywhere.

    `over` is a file of the same form that has the last word, for what is only tried.
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
    if over is not None:
        if not over.is_file():
            raise UsageError(f"There is no file {over}.")
        tried = _read_yaml(over)
        merged, overlay = _merge(merged, tried), _merge(overlay, tried)
    for section in Settings.model_fields:
        if section not in ("deployment", *NOT_SET):
            merged.setdefault(section, {})
    merged.setdefault("deployment", overlay_path.stem)
    merged["home"] = str((home or find_home()).resolve())
    in_conf = overlay_path == CONF / f"{overlay_path.stem}.yaml"
    merged["called"] = overlay_path.stem if in_conf else str(overlay_path)
    expanded = _expand(merged, overlay_path)
    try:
        # JSON, because strict JSON lets text be a date, a path or a decimal, and nothing else.
        return Settings.model_validate_json(json.dumps(expanded, default=str))
    except ValidationError as error:
        raise _explain(error, overlay, over or overlay_path, origin) from None


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


if TYPE_CHECKING:
    _SafeLoader = yaml.SafeLoader
else:
    # Written in C where PyYAML has it: a tenth of the time, at each start of the command.
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_SafeLoader):
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
    return yaml.constructor.SafeConstructor.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        # A night loads its settings a dozen times; the text is read each time, parsed once.
        data = _parse_yaml(path.read_text(encoding="utf-8"))
    # ValueError: a date such as 2020-13-01, or no UTF-8; TypeError: a list as a key.
    except (yaml.YAMLError, ValueError, TypeError) as error:
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


@lru_cache(maxsize=64)
def _parse_yaml(text: str) -> Any:
    """The data of a YAML text; shared, so nobody may change them."""
    return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506


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
        found = os.environ.get(name) or None
        if found is None and name == DATA_VARIABLE:
            found = str((PROJECT.parent / "shared" / "data").resolve())
        if found is None and name == SIMULATED_VARIABLE:
            found = str(find_simulated())
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
    errors = error.errors()
    # A misspelt key is why another is missing.
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
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
    more = len(errors) - 1
    also = f" ({more} more after it)" if more else ""
    if first["type"] == "extra_forbidden":
        known = sorted(_known_keys([str(part) for part in first["loc"][:-1]]))
        return ConfigurationError(
            f"{_short(path)}: '{key}' is not a setting of `{where or 'a deployment'}`.{also}",
            found=suggest(key, known),
            available=known,
        )
    found = "" if first["type"] == "missing" else f"Found: {first['input']!r}"
    section = f" {trail[0]}" if trail and trail[0] in _known_keys([]) else ""
    return ConfigurationError(
        f"{_short(path)}: `{'.'.join(trail)}`: {first['msg']}.{also}",
        found=found,
        next_step=f"holdfast settings{section}, for what each may be",
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


def _known_keys(trail: Sequence[str]) -> set[str]:
    """The keys that the model at `trail` knows; empty where the trail leaves the models."""
    kinds: list[Any] = [Settings]
    for part in trail:
        kinds = [inner for kind in kinds for inner in _descend(kind, part)]
    known = {key for kind in kinds for model in _models_of(kind) for key in model.model_fields}
    return known - (NOT_SET if not trail else set())


def _descend(kind: Any, part: str) -> list[Any]:
    """What stands below a key of a model, of a table of models, or below a tag of a union."""
    models = _models_of(kind)
    tagged = [model for model in models if part in _tags_of(model)]
    if tagged and models != [kind]:
        return tagged
    inner = [model.model_fields[part].annotation for model in models if part in model.model_fields]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _descend(arguments[0], part)
    if origin in (dict, list, tuple):
        inner.append(arguments[-1] if origin is dict else arguments[0])
    return inner


def _models_of(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _models_of(arguments[0])
    if origin in (Union, UnionType):
        return [model for argument in arguments for model in _models_of(argument)]
    return []


def _tags_of(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get("kind")
    return get_args(field.annotation) if field is not None else ()
