"""The README is true: its commands exist, its YAML loads, its tables and links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tasks.contracts import CONTRACTS
from tasks.settings import NOT_SET, PROJECT, Settings, load_settings
from tasks.warehouse import scratch

pytestmark = pytest.mark.docs

README = PROJECT / "README.md"
TEXT = README.read_text(encoding="utf-8")


def spans() -> list[str]:
    """Everything the README shows as code: spans in a line, and lines of shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [span for span in (*re.findall(r"`([^`\n]+)`", prose), *lines) if span]


def commands() -> list[str]:
    """The command lines of ours, with `quarantine show` told whole where it is shortened."""
    found = {
        span if span.startswith("holdfast ") else f"holdfast -d NAME {span}"
        for span in spans()
        if span.startswith(("holdfast ", "quarantine "))
    }
    return sorted(found)


def options_of(command: str) -> tuple[list[str], list[str]]:
    """The words that name the (sub)command, and the options it is shown with."""
    words = shlex.split(command.replace("[", "").replace("]", "").replace("...", ""))[1:]
    if words[:1] == ["-d"]:
        words = words[2:]
    names = [word for word in words if re.fullmatch(r"[a-z]+", word)]
    return names, [word for word in words if word.startswith("--")]


def sections() -> list[str]:
    """The names in the first column of the configuration table."""
    table = TEXT[TEXT.index("| section | what it sets |") :].split("\n\n")[0]
    return re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))


def yaml_example() -> str:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    return str(example)


def test_there_are_commands_to_look_at() -> None:
    assert len(commands()) > 8


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_exists(command: str, tmp_path: Path) -> None:
    names, options = options_of(command)
    assert names, command
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *names, "--help"],
        cwd=PROJECT,
        env={**os.environ, "HOLDFAST_HOME": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: holdfast {' '.join(names)}")
    for option in options:
        assert option in done.stdout


def test_every_command_is_in_the_readme() -> None:
    from flows.cli import app

    shown = {options_of(command)[0][0] for command in commands()}
    ours = {one.name or one.callback.__name__ for one in app.registered_commands if one.callback}
    ours |= {str(group.name) for group in app.registered_groups}
    # Some are told in a word (`train`) or by what calls them (`make demo`).
    told = {span.removeprefix("make ") for span in spans()}
    assert ours - shown - told == {"deployments"}


def test_the_yaml_example_loads(tmp_path: Path) -> None:
    path = tmp_path / "myshop.yaml"
    path.write_text(yaml_example(), encoding="utf-8")
    settings = load_settings(path, home=tmp_path)
    assert settings.deployment == "myshop"
    written = yaml.safe_load(yaml_example())
    assert set(written["intake"]["sources"]) == set(settings.intake.sources)
    for source in written["intake"]["sources"].values():
        assert set(source["map"]) <= {column.name for column in CONTRACTS[source["table"]].columns}
        with scratch() as connection:  # a column named by a word of SQL, as `order`, is none
            for expression in source["map"].values():
                parsed = connection.scalar(
                    "select json_serialize_sql($sql)", {"sql": f"select {expression}"}
                )
                assert not json.loads(parsed)["error"], expression
    assert settings.features.horizon_days == written["features"]["horizon_days"]
    assert settings.economics.currency == written["economics"]["currency"]


def test_the_configuration_table_names_every_section() -> None:
    assert sorted(sections()) == sorted(set(Settings.model_fields) - {"deployment"} - NOT_SET)


def test_every_file_that_it_names_exists() -> None:
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    links = re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)", prose, flags=re.MULTILINE)
    targets = [a or b for a, b in links]
    targets += re.findall(r'(?:src|href)="([^"]+)"', prose)
    relative = [t.split("#")[0] for t in targets if not t.startswith(("http", "mailto:", "#"))]
    files = [s for s in spans() if re.fullmatch(r"(conf|tests|docs|benchmarks)/[\w./-]*", s)]
    missing = [t for t in (*relative, *files) if t and not (PROJECT / t).exists()]
    assert missing == []


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, flags=re.MULTILINE))
    named = {span.split()[1] for span in spans() if re.fullmatch(r"make \w+", span)}
    assert named
    assert named <= targets


def test_every_kind_of_test_has_its_command() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    markers = [line.split(":")[0] for line in project["tool"]["pytest"]["ini_options"]["markers"]]
    told = re.findall(r"pytest -m (\w+)`", TEXT)
    assert set(told) <= set(markers)
    tests = [path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("test_*.py")]
    used = {marker for marker in markers if any(f"mark.{marker}\n" in text for text in tests)}
    assert used
    assert used <= set(told)


def with_examples() -> list[str]:
    """Modules with a doctest in them, found by text, so that nothing heavy is imported for it."""
    return [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        for root in ("tasks", "expectations", "flows")
        for path in sorted((PROJECT / root).rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]


def test_the_examples_in_docstrings_run() -> None:
    for name in with_examples():
        failed, tried = doctest.testmod(importlib.import_module(name))
        assert tried, name
        assert failed == 0, name
