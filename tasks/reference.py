"""Every setting as a table, made from the schema: the configuration reference cannot go stale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tasks.settings import CONF, NOT_SET, Settings


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting: its dotted name, its type, bounds and default as text, and what it means."""

    name: str
    kind: str
    bounds: str
    default: str
    meaning: str


def list_settings(section: str | None = None) -> list[Entry]:
    """Every setting of one section (`churn`), or of all."""
    entries = _walk(Settings, "")
    return [e for e in entries if section is None or e.name.split(".")[0] == section]


def render_markdown(entries: list[Entry]) -> str:
    """The entries as a Markdown table."""
    lines = ["| setting | type | bounds | default | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{e.name}` | {_cell(e.kind)} | {_cell(e.bounds)} | {_cell(e.default)}"
        f" | {_cell(e.meaning)} |"
        for e in entries
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _walk(model: type[BaseModel], prefix: str) -> Iterator[Entry]:
    for name, field in model.model_fields.items():
        if model is Settings and name in NOT_SET:
            continue
        dotted = f"{prefix}{name}"
        inner = _models_in(field.annotation)
        meaning = (field.description or "").strip()
        if inner and inner[0] is field.annotation:
            yield from _walk(inner[0], f"{dotted}.")
            continue
        yield Entry(dotted, _kind(field.annotation), _bounds(field), _default(field), meaning)
        for nested in inner:
            yield from _walk(nested, f"{dotted}.*.")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in get_args(annotation):
        found += [model for model in _models_in(argument) if model not in found]
    return found


def _kind(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    for long in (
        "typing.",
        "datetime.",
        "pathlib.",
        "decimal.",
        "tasks.settings.",
        "tasks.sections.",
        "tasks.sources.",
        "tasks.channels.",
    ):
        text = text.replace(long, "")
    return text.split("Annotated[")[-1] if len(text) > 120 else text


def _bounds(field: FieldInfo) -> str:
    signs = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
    parts = []
    for item in field.metadata:
        for kind, (sign, attribute) in signs.items():
            if isinstance(item, kind):
                parts.append(f"{sign} {getattr(item, attribute):,}")
        if isinstance(item, MinLen):
            parts.append(f"at least {item.min_length} long")
        if isinstance(item, MaxLen):
            parts.append(f"at most {item.max_length} long")
    return ", ".join(parts)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "from `conf/base`"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "none" if value is None else str(value)


def build_schema() -> str:
    """The JSON Schema of a deployment file, for editors: `conf/schema.json`.

    Nothing is required in it: what an overlay leaves out comes from `conf/base`.
    """
    schema = Settings.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("required", None)
    for name in NOT_SET:
        schema["properties"].pop(name, None)
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (CONF / "schema.json").write_text(build_schema(), encoding="utf-8")
