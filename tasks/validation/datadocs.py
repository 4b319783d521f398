"""Great Expectations' own pages of a batch that breaks a rule, for those who know them.

As they come they run what a value or a column name says, show values, load scripts from elsewhere
and count their readers. Here they are drawn from a copy without values, rebuilt tag by tag with
only what a page without script needs, and told by their policy to load nothing.
"""

from __future__ import annotations

import copy
import html
import logging
import os
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

_LOG = logging.getLogger("holdfast.validation")
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:75rem;margin:1rem auto;padding:0 1rem;
color:#16202c;background:#fff}table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
td,th{border:1px solid #d5dbe3;padding:.4rem .6rem;text-align:left;vertical-align:top;
overflow-wrap:anywhere}nav ol{list-style:none;padding:0}h1,h2,h3,h4{line-height:1.25}
"""
# What is dropped with all that is in it, and what is dropped alone.
_GONE = frozenset(["script", "style", "iframe", "object", "noscript", "template", "svg", "form"])
_LEFT_OUT = frozenset(["html", "head", "body", "link", "meta", "base", "img", "input", "button",
                       "embed", "title"])  # fmt: skip
_VOID = frozenset(["br", "hr", "wbr", "col"])
_ATTRIBUTES = frozenset(["id", "class", "colspan", "rowspan", "scope"])
_VALUES = ("partial_unexpected_list", "partial_unexpected_index_list",
           "partial_unexpected_counts", "unexpected_list", "unexpected_index_list", "details",
           "unexpected_rows", "unexpected_index_query")  # fmt: skip


def write_data_docs(outcome: Any, directory: Path, batch_name: str, content_hash: str) -> Path:
    """The page of a suite's outcome on a batch, and the list of all pages beside it; its path."""
    page = directory / f"{_slug(batch_name)}-{content_hash[:12]}.html"
    _write(page, _wrap(f"Data Docs of {batch_name}", clean_page(_draw(strip_values(outcome)))))
    entries = sorted(
        (path for path in directory.glob("*.html") if path.name != "index.html"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    listed = "".join(
        f'<li><a href="{html.escape(path.name)}">{html.escape(path.stem)}</a>'
        f" {datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC</li>"
        for path in entries
    )
    _write(
        directory / "index.html",
        _wrap("Data Docs", f"<h1>Batches that broke a rule</h1><ul>{listed}</ul>"),
    )
    return page


def try_data_docs(outcome: Any, directory: Path, batch_name: str, content_hash: str) -> Path | None:
    """The same, but never in the way of a judgement: what cannot be drawn is left out."""
    try:
        return write_data_docs(outcome, directory, batch_name, content_hash)
    except Exception as error:  # noqa: BLE001  (a page beside the report must not stop a night)
        _LOG.warning("No Data Docs of %s: %s", batch_name, type(error).__name__)
        return None


def strip_values(outcome: Any) -> Any:
    """A copy without values of rows, nor sets of values, which are learnt from rows."""
    stripped = copy.deepcopy(outcome)
    # Where the staged file lies is nothing for readers.
    stripped.meta = {**stripped.meta, "batch_spec": {}, "batch_markers": {}}
    for result in stripped.results:
        config = result.expectation_config
        # Bounds keep their form: they are read again for being drawn. Sets come from data.
        if "value_set" in config.kwargs:
            count = len(config.kwargs["value_set"] or ())
            config.kwargs = {**config.kwargs, "value_set": [f"{count} values, not shown"]}
        found = {key: _tame(key, value) for key, value in dict(result.result or {}).items()}
        if "unexpected_count" in found and "unexpected_percent" not in found:
            # Their renderer asks for both or none.
            found["observed_value"] = f"{found.pop('unexpected_count')} rows"
        result.result = {key: value for key, value in found.items() if value is not None}
    return stripped


def clean_page(page: str) -> str:
    """What stands in the body, rebuilt from the tags and attributes that a plain page needs."""
    cleaner = _Cleaner()
    cleaner.feed(page)
    cleaner.close()
    return "".join(cleaner.parts)


def _draw(outcome: Any) -> str:
    import warnings

    log = logging.getLogger("great_expectations")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it tells at length of each cell that it cannot fill
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from great_expectations.render.renderer import ValidationResultsPageRenderer
            from great_expectations.render.view import DefaultJinjaPageView

            page = ValidationResultsPageRenderer().render(outcome)
            drawn: str = DefaultJinjaPageView().render(page)
            return drawn
    finally:
        log.setLevel(level)


def _tame(key: str, value: Any) -> Any:
    """Figures stay, texts lose what could be markup, lists of what was found become a count."""
    if key in _VALUES:
        return None
    if isinstance(value, str):
        return value.translate(_LOOKALIKES)
    if isinstance(value, Mapping):
        return {name: _keep_numbers(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set):
        return f"{len(value)} values, not shown"
    return value


def _keep_numbers(value: Any) -> Any:
    """Quantiles are figures of the batch; whatever is no number is left out."""
    if isinstance(value, list | tuple):
        return [_keep_numbers(one) for one in value]
    return value if isinstance(value, int | float | None) else None


# Their templates put `$` places into text before they escape, if they do.
_LOOKALIKES = str.maketrans(
    {"<": "‹", ">": "›", "&": "+", '"': "”", "'": "’", "$": "S", "{": "(", "}": ")", "`": "’"}
)


class _Cleaner(HTMLParser):
    """Keeps text and plain elements; everything that could load, run or be clicked goes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _GONE:
            self._inside.append(tag)
        classes = next((value or "" for name, value in attrs if name == "class"), "")
        if tag == "i" and not self._inside:
            # Their signs are letters of a font that is loaded from elsewhere.
            self.parts.append("<i>✓</i>" if "fa-check" in classes else "")
            self.parts.append("<i>✗</i>" if "fa-times" in classes else "")
            self._inside.append(tag)
            return
        if self._inside or tag in _LEFT_OUT or not re.fullmatch(r"[a-z][a-z0-9]*", tag):
            return
        kept = "".join(
            f' {name}="{html.escape(value or "")}"'
            for name, value in attrs
            if name in _ATTRIBUTES or (name == "href" and (value or "").startswith("#"))
        )
        self.parts.append(f"<{tag}{kept}>")

    def handle_endtag(self, tag: str) -> None:
        if self._inside:
            if tag == self._inside[-1]:
                self._inside.pop()
            return
        if tag not in _LEFT_OUT and tag not in _VOID and re.fullmatch(r"[a-z][a-z0-9]*", tag):
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.parts.append(html.escape(data))


def _wrap(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{html.escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "batch"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(
            os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
