"""YAML as the bundle's CLI reads it, and TOML, from any text."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dbxdec.errors import ConfigError
from dbxdec.support import documents
from thorough import examples

properties = settings(deadline=None, derandomize=True, max_examples=examples(60))

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def value(text: str) -> Any:
    return documents.yaml(text, "x.yml").value


@properties
@given(VALUES)
def test_what_is_written_is_read(written: Any) -> None:
    """Whatever PyYAML writes of plain data is the same when it is read."""
    assert value(yaml.safe_dump(written, allow_unicode=True)) == written
    assert value(yaml.safe_dump(written, default_flow_style=True)) == written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("True", True),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("2024-99-99", "2024-99-99"),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("08", 8),
        ("0x_", "0x_"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", math.inf),
        ("=", "="),
        ("'true'", "true"),
        ('"1"', "1"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("9" * 200, "9" * 200),
    ],
)
def test_plain_scalars_are_what_the_cli_takes_them_for(text: str, expected: object) -> None:
    """Booleans and numbers are YAML 1.2's, and times are text: a default of 2024-01-01 is that text."""
    found = value(f"a: {text}")["a"]
    assert found == expected
    assert type(found) is type(expected)


def test_keys_are_text() -> None:
    """Whatever a key looks like, it is the text that stands there."""
    assert value("1: a\ntrue: b\nnull: c\n2024-01-01: d") == {"1": "a", "true": "b", "null": "c", "2024-01-01": "d"}


def test_aliases_and_merges() -> None:
    """An alias is what it stands for; a mapping's own keys go before merged ones, and of those the first."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\nd: *a\ne: {'<<': 1}\n"
    found = value(text)
    assert found["c"] == {"x": 0, "y": 1, "z": 2}
    assert found["d"] == {"x": 1, "y": 1}
    assert found["e"] == {"<<": 1}


def test_lines_of_keys() -> None:
    """The first levels of keys have their lines."""
    found = documents.yaml("a:\n  b:\n    c: 1\nd: [\n  {e: 1}]\n", "x.yml")
    assert found.lines[("a", "b", "c")] == 3
    assert found.lines[("d",)] == 4


@properties
@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*<!|>'\"#%\n \t0,?"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but a sentence."""
    for read in (documents.yaml, documents.toml):
        with contextlib.suppress(ConfigError):  # any other error fails the test
            read(text, "the file")


@properties
@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """No bytes raise anything else either."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    for read in (documents.yaml_of, documents.toml_of):
        with contextlib.suppress(ConfigError):
            read(path)


@pytest.mark.parametrize("text", ["a: &a\n  b: *a", "&a [*a]", "a: &a {<<: *a}"])
def test_what_holds_itself_is_refused(text: str) -> None:
    """A value inside of itself has no end."""
    with pytest.raises(ConfigError, match="inside itself"):
        value(text)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A folder, a pipe and nothing at all are no files."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "nothing"):
        with pytest.raises(ConfigError, match="can't be read: it"):
            documents.toml_of(tmp_path / name)
