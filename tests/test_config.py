"""`[tool.dbxdec]`: typed, with every mistake at once, each at its TOML path."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbxdec.config import Config, load
from dbxdec.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_settings_the_defaults_hold(tmp_path: Path) -> None:
    """A project that says nothing gets the documented defaults."""
    assert load(write(tmp_path, "[project]\nname = 'x'\n")) == Config()
    assert Config().resources == "resources/dbxdec.yml"
    assert Config().pipelines is None
    assert Config().timeout == 60


def test_every_setting_is_read(tmp_path: Path) -> None:
    """Each key has its type; scalars of variables and environment become texts."""
    text = """
        [tool.dbxdec]
        pipelines = ["a.pipelines", "b"]
        resources = "conf/jobs.json"
        missing-imports = "error"
        extra-libraries = ["polars>=1"]
        timeout = 2.5
        [tool.dbxdec.variables]
        root = "lake"
        dry = true
        size = 3
        [tool.dbxdec.discovery-env]
        STAGE = "build"
    """
    assert load(write(tmp_path, text)) == Config(
        pipelines=("a.pipelines", "b"),
        resources="conf/jobs.json",
        missing_imports="error",
        extra_libraries=("polars>=1",),
        timeout=2.5,
        variables={"root": "lake", "dry": "true", "size": "3"},
        discovery_env={"STAGE": "build"},
    )


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("pipelines = 'a.pipelines'", "tool.dbxdec.pipelines"),
        ("pipelines = []", "tool.dbxdec.pipelines"),
        ("pipelines = ['a', 'not a module']", "tool.dbxdec.pipelines[1]"),
        ("resources = true", "tool.dbxdec.resources"),
        ("resources = 'jobs.txt'", "tool.dbxdec.resources"),
        ("resources = '/etc/jobs.yml'", "tool.dbxdec.resources"),
        ("resources = '../jobs.yml'", "tool.dbxdec.resources"),
        ("missing-imports = 'stand_in'", "tool.dbxdec.missing-imports"),
        ("extra-libraries = [3]", "tool.dbxdec.extra-libraries[0]"),
        ("extra-libraries = ['']", "tool.dbxdec.extra-libraries[0]"),
        ("timeout = 0", "tool.dbxdec.timeout"),
        ("timeout = true", "tool.dbxdec.timeout"),
        ("timeout = inf", "tool.dbxdec.timeout"),
        ("variables = 3", "tool.dbxdec.variables"),
        ("variables = {a = []}", "tool.dbxdec.variables.a"),
        ("discovery-env = {A = 1979-05-27}", "tool.dbxdec.discovery-env.A"),
    ],
)
def test_a_wrong_value_is_refused_at_its_path(tmp_path: Path, setting: str, path: str) -> None:
    """Each wrong value is one problem at its TOML path."""
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, f"[tool.dbxdec]\n{setting}\n"))
    assert [problem.where for problem in error.value.problems] == [path]


def test_all_mistakes_of_a_file_come_at_once(tmp_path: Path) -> None:
    """Unknown keys, with what was meant, and wrong values are in one error."""
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, "[tool.dbxdec]\npipeline = ['a']\ntimeout = 'x'\nresources = 3\nzzz = 1\n"))
    text = str(error.value)
    assert len(error.value.problems) == 4
    assert "tool.dbxdec.pipeline: unknown setting\n    hint: did you mean `pipelines`?" in text
    assert "known settings are pipelines" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool\n", "is not TOML"),
        ("[tool]\ndbxdec = 3\n", "is an integer, not a table"),
        ("tool = 3\n", ""),
    ],
)
def test_what_is_no_table_is_said(tmp_path: Path, text: str, said: str) -> None:
    """Broken TOML and a setting that is no table are errors; a file without our table is not."""
    if not said:
        assert load(write(tmp_path, text)) == Config()
        return
    with pytest.raises(ConfigError, match=said):
        load(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A pyproject.toml that is not there is named with its path."""
    with pytest.raises(ConfigError, match=r"pyproject\.toml can't be read"):
        load(tmp_path / "pyproject.toml")


def test_false_means_no_resources(tmp_path: Path) -> None:
    """`resources = false` turns the file off."""
    assert load(write(tmp_path, "[tool.dbxdec]\nresources = false\n")).resources is None
