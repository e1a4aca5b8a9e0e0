"""The resources file: the same document to every parser, written at once, left alone when equal."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dbxdec.build.codegen import render, write_if_changed

# fmt: off
NASTY = [
    "on", "No", "y", "N", "true", "null", "~", "=", "<<", "012", "0o7", "0x1f", "0b1", "1e3", "1e+3", "e3", "1_000",
    "1__0", "._1", "_", "12:30", "1.5", "0.1.2", ".5", "-1", "+1", "2024-01-02", "2024-01-02T03:04:05Z", ".inf", ".NaN",
    "nan", "inf", "#a", "?", "[a]", "{a}", "{{job.run_id}}", "${var.x}", "@a", "`a`", "%a", "&a", "*a", "!a", "|", ">",
    "ü=ß", "", " ", "a: b", "a #b", "- a", "'", '"', "a\nb", "a\tb", "\u2028", "\x85", "a ", " a", "<dbxdec:none>",
]
# fmt: on
# Whatever YAML 1.1 or the core schema of YAML 1.2 reads as anything but text where it stands without quotes.
NOT_TEXT = re.compile(
    r"(~|null|Null|NULL|y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
    r"|[-+]?[0-9][0-9_:.eE+-]*|[-+]?\.[0-9_]+([eE][-+]?[0-9]+)?|0[obx][0-9a-fA-F_]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?|=|<<)?"
)
DOCUMENTS = st.recursive(
    st.one_of(st.sampled_from(NASTY), st.text(max_size=8), st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(NASTY), st.text(max_size=6)), inner, max_size=3),
    ),
    max_leaves=8,
)
RESOURCES = PurePosixPath("resources/dbxdec.yml")


def rendered(jobs: Any, path: PurePosixPath = RESOURCES) -> str:
    return render(jobs, package="my.shop", build_id="b" * 64, path=path, wheel="../dist/x.whl").decode()


@given(jobs=st.dictionaries(st.sampled_from(["b", "a", "on"]), st.dictionaries(st.sampled_from(NASTY), DOCUMENTS)))
def test_yaml_reads_back_as_what_was_written(jobs: Any) -> None:
    """Any document comes back equal from a YAML 1.1 parser, whatever its texts look like."""
    assert yaml.safe_load(rendered(jobs))["resources"]["jobs"] == jobs


@given(texts=st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=8)), max_size=20))
def test_no_text_stands_without_quotes_where_a_parser_could_read_something_else(texts: list[str]) -> None:
    """A text that any YAML version takes for a number, a boolean, a time or null is quoted."""
    root: Any = yaml.compose(rendered({"job": {"texts": texts}}))
    for name in ("resources", "jobs", "job", "texts"):
        (root,) = [value for key, value in root.value if key.value == name]
    assert [node.value for node in root.value] == texts
    plain = [node.value for node in root.value if node.style is None]
    assert [text for text in plain if NOT_TEXT.fullmatch(text)] == []


@pytest.mark.parametrize("text", ["daily_flights", "dist/p.whl", "m5d.large", "ops@example.com", "ALL_DONE", "a-b"])
def test_ordinary_text_stands_without_quotes(text: str) -> None:
    """Keys, paths and names are readable in a review."""
    assert f"    - {text}\n" in rendered({"job": {"texts": [text]}})


def test_a_key_of_any_length_reads_back() -> None:
    """A key longer than a line of YAML may begin with is one all the same, and so is what it holds."""
    tags = {"k" * 2000: "v", "\u2028" * 500: {"deep": ["x"]}, "l" * 1500: [{"a": 1, "b": []}], "m" * 1200: {}}
    assert yaml.safe_load(rendered({"job": tags}))["resources"]["jobs"]["job"] == tags


@given(text=st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Co", "Cn", "Zs"]), max_size=6))
def test_text_of_any_letters_reads_back(text: str) -> None:
    """Letters that no YAML may hold as they are come back from their escapes."""
    assert yaml.safe_load(rendered({"job": {"a": text, text: 1}}))["resources"]["jobs"]["job"] == {"a": text, text: 1}


def test_a_long_word_in_a_longer_text_is_rendered() -> None:
    """The time to decide on quotes does not explode with the length of a word."""
    texts = ["a" * 200 + " b", "a_b" * 100 + ":", "a.b" * 100 + ". "]
    assert yaml.safe_load(rendered({"job": {"texts": texts}}))["resources"]["jobs"]["job"]["texts"] == texts


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_equal(number: float) -> None:
    """A float is a float to the parser, exactly."""
    found = yaml.safe_load(rendered({"job": {"n": number}}))["resources"]["jobs"]["job"]["n"]
    assert (type(found), found) == (float, number)


def test_the_file_names_the_wheel_as_an_artifact_and_the_build(tmp_path: Path) -> None:
    """The wheel is an artifact with dynamic_version; the header names package and build; jobs are sorted."""
    text = rendered({"b": {"name": "b"}, "a": {"name": "a"}})
    assert "b" * 64 in text.splitlines()[0]
    document = yaml.safe_load(text)
    assert document["artifacts"] == {
        "my_shop": {"type": "whl", "files": [{"source": "../dist/x.whl"}], "dynamic_version": True}
    }
    assert list(document["resources"]["jobs"]) == ["a", "b"]


def test_the_order_of_jobs_changes_nothing() -> None:
    """The same jobs give the same bytes, and the fields of a job stay in the order that codegen gave them."""
    jobs = {"b": {"name": "b", "description": "x"}, "a": {"name": "a"}}
    assert rendered(jobs) == rendered(dict(reversed(jobs.items())))
    assert rendered(jobs).index("name: b") < rendered(jobs).index("description: x")


def test_equal_parts_are_written_out(tmp_path: Path) -> None:
    """No anchors and aliases: each job can be read by itself."""
    shared = {"team": "ops"}
    assert not re.search(r"[&*]id\d", rendered({"a": {"tags": shared}, "b": {"tags": shared}}))


def test_json_when_the_path_says_so() -> None:
    """A path that ends in .json gives JSON of the same document."""
    jobs = {"a": {"name": "ü", "n": 1}}
    text = rendered(jobs, PurePosixPath("x/jobs.json"))
    assert json.loads(text)["resources"] == {"jobs": jobs}
    assert json.loads(text) == yaml.safe_load(rendered(jobs))
    assert text.endswith("}\n")


class TestWriting:
    def test_it_makes_folders_and_a_plain_file(self, tmp_path: Path) -> None:
        """The file is made with its folders, readable by all, and nothing else is left beside it."""
        path = tmp_path / "a" / "b" / "x.yml"
        assert write_if_changed(path, b"1")
        assert path.read_bytes() == b"1"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert list(path.parent.iterdir()) == [path]

    def test_an_equal_file_is_left_alone(self, tmp_path: Path) -> None:
        """Writing what is there already touches nothing; writing something else replaces it."""
        path = tmp_path / "x.yml"
        write_if_changed(path, b"1")
        before = path.stat()
        assert not write_if_changed(path, b"1")
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert write_if_changed(path, b"2")

    def test_a_failure_leaves_what_was_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the file can't be replaced, the old one stays and no partial one."""
        path = tmp_path / "x.yml"
        write_if_changed(path, b"1")

        def fail(*_: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr("os.replace", fail)
        with pytest.raises(OSError, match="disk full"):
            write_if_changed(path, b"2")
        assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"1"]

    def test_a_full_disk_leaves_no_partial_file(self, tmp_path: Path) -> None:
        """Where the bytes can't be written, the old file stays and no partial one."""
        resource = pytest.importorskip("resource")
        path = tmp_path / "x.yml"
        write_if_changed(path, b"1")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            with pytest.raises(OSError, match="too large"):
                write_if_changed(path, b"2" * 5000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"1"]

    def test_a_folder_in_its_place_is_an_error(self, tmp_path: Path) -> None:
        """A folder of the file's name is never replaced, and nothing is left beside it."""
        (tmp_path / "x.yml").mkdir()
        with pytest.raises(OSError, match="directory"):
            write_if_changed(tmp_path / "x.yml", b"1")
        assert [entry.name for entry in tmp_path.iterdir()] == ["x.yml"]

    def test_the_umask_does_not_matter(self, tmp_path: Path) -> None:
        """The file can be read by all, whatever the builder's umask."""
        before = os.umask(0o077)
        try:
            write_if_changed(tmp_path / "x.yml", b"1")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "x.yml").stat().st_mode) == 0o644
