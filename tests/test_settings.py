"""What a deployment file may say: each valid and each invalid one is a case."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, UsageError
from tasks.settings import (
    find_home,
    list_deployments,
    load_services,
    load_settings,
)


def load(tmp_path: Path, text: str, name: str = "shop"):  # type: ignore[no-untyped-def]
    path = tmp_path / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, home=tmp_path / "home")


def test_defaults_come_from_conf_base(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    assert settings.deployment == "shop"
    assert settings.home == (tmp_path / "home").resolve()
    assert settings.clock.as_of == "data"
    assert settings.services.prefect_port == 4200


def test_overlay_replaces_one_key_and_leaves_its_neighbours(tmp_path: Path) -> None:
    settings = load(tmp_path, "warehouse: {threads: 7}")
    assert settings.warehouse.threads == 7
    assert settings.warehouse.memory_limit_mb == load(tmp_path, "").warehouse.memory_limit_mb


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clock: {as_of: now}", "now"),
        ("clock: {as_of: 2011-09-10}", date(2011, 9, 10)),
        ("clock: {as_of: '2011-09-10'}", date(2011, 9, 10)),
    ],
)
def test_clock_takes_a_word_or_a_date(tmp_path: Path, text: str, expected: object) -> None:
    assert load(tmp_path, text).clock.as_of == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # a section or a key that nobody knows
        ("warehose: {threads: 2}", "Did you mean 'warehouse'?"),
        ("warehouse: {thread: 2}", "'thread' is not a setting of `warehouse`"),
        ("warehouse: {thread: 2}", "Did you mean 'threads'?"),
        # below a name of one's own, and in a list, of what that kind of entry knows
        (
            "intake: {sources: {shop: {kind: files, table: orders, patern: '*'}}}",
            "Did you mean 'pattern'?",
        ),
        ("oncall: {channels: [{name: a, kind: webhook, url_varable: A}]}", "'url_variable'?"),
        ("rollout: {guardrails: {errors: 1.0}, guardrail: {}}", "Did you mean 'guardrails'?"),
        # bounds
        ("warehouse: {threads: 0}", "Next: holdfast settings warehouse"),
        ("warehouse: {threads: 0}", "greater than or equal to 1"),
        ("warehouse: {memory_limit_mb: 10}", "greater than or equal to 256"),
        ("services: {prefect_port: 80}", "`services.prefect_port`"),
        ("services: {prefect_port: 70000}", "less than or equal to 65535"),
        # types are not guessed
        ("warehouse: {threads: '2'}", "valid integer"),
        ("warehouse: {threads: 2.5}", "valid integer"),
        ("warehouse: {threads: true}", "valid integer"),
        ("warehouse: {threads: null}", "valid integer"),
        ("warehouse: 3", "`warehouse`"),
        ("clock: {as_of: yesterday}", "`clock.as_of"),
        # names that would not do as a file, a schema and a model
        ("deployment: Shop", "`deployment`"),
        ("deployment: ../etc", "`deployment`"),
        ("deployment: ''", "`deployment`"),
        # YAML itself
        ("warehouse: {threads: 2, threads: 3}", "the key 'threads' stands here twice"),
        ("warehouse: [", "is not readable YAML"),
        ("clock: {as_of: 2020-13-01}", "is not readable YAML"),
        ("? [a]\n: b", "is not readable YAML"),
        ("- a\n- b", "not a mapping of settings"),
        ("just text", "not a mapping of settings"),
        # the environment
        ("clock: {as_of: '${HOLDFAST_TEST_UNSET}'}", "HOLDFAST_TEST_UNSET, which is not set"),
    ],
)
def test_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert "shop.yaml" in str(caught.value)
    assert caught.value.exit_code == 78


def test_two_mistakes_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\(1 more after it\)"):
        load(tmp_path, "warehouse: {threads: 0, memory_limit_mb: 1}")


def test_not_utf8_is_said(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_bytes("clock: {as_of: now} # caf\xe9".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not readable YAML"):
        load_settings(path)


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    with pytest.raises(ValueError, match="frozen"):
        settings.warehouse.threads = 5


def test_a_name_that_is_not_there_suggests_one() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'completejourney'\?") as caught:
        load_settings("completejourny")
    assert caught.value.exit_code == 64
    assert set(caught.value.available) == set(list_deployments())


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no deployment file"):
        load_settings(tmp_path / "none.yaml")


def test_prefects_file_is_no_deployment() -> None:
    assert "prefect" not in list_deployments()


def test_environment_fills_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_TEST_NAME", "filled")
    assert load(tmp_path, "deployment: '${HOLDFAST_TEST_NAME}'").deployment == "filled"


def test_home_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "state"))
    assert find_home() == (tmp_path / "state").resolve()
    monkeypatch.delenv("HOLDFAST_HOME")
    assert find_home().name == ".holdfast"


def test_servers_settings_need_no_deployment(tmp_path: Path) -> None:
    assert load_services().prefect_port == 4200
    path = tmp_path / "shop.yaml"
    path.write_text("services: {prefect_port: 4300}", encoding="utf-8")
    assert load_services(str(path)).prefect_port == 4300
