"""Strings with bundle variables: a job that depends on their text, another one on the platform, is found at build."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dbxdec.build.discovery import certainties, process
from dbxdec.build.discovery.process import Discovered, discover
from dbxdec.build.discovery.spec import ShippedFile
from dbxdec.errors import DiscoveryError, SourceLocation
from dbxdec.model.variables import pieces_of, resolve

HEAD = """
import os
import re
from collections import defaultdict
from pathlib import PurePosixPath

from dbxdec import bundle_target, bundle_variable, condition, job, job_cluster, native_task, task
from dbxdec.io_managers import PolarsDeltaIoManager

root, target = bundle_variable("lake"), bundle_target()
lake = PolarsDeltaIoManager(f"{root}/lake")


@task
def local(text: str = "") -> None: ...


@task
def cloud(text: str = "") -> None: ...
"""


def discovered(root: Path, code: str) -> Discovered:
    """A build of one module."""
    (root / "m.py").write_text(HEAD + textwrap.dedent(code))
    return discover([ShippedFile("m.py", str(root / "m.py"), "src/m.py")], project="p", version="1", pipelines=["m"])


def found(root: Path, code: str) -> list[str]:
    """The messages of a build of one module, and where they are."""
    with pytest.raises(DiscoveryError) as refused:
        discovered(root, code)
    lines, places = (HEAD + textwrap.dedent(code)).splitlines(), [problem.where for problem in refused.value.problems]
    return [
        f"{lines[place.line - 1].strip() if isinstance(place, SourceLocation) else place}: {problem.message}"
        for problem, place in zip(refused.value.problems, places, strict=True)
    ]


BRANCHES = {
    "startswith": 'f"{root}/t".startswith("/tmp")',
    "startswith of several": 'f"{root}/t".startswith(("/tmp", "/home"))',
    "endswith": 'f"{root}".endswith("/")',
    "equal": 'f"{target}" == "prod"',
    "not equal": 'f"{target}" != "prod"',
    "equal from the right": '"prod" == f"{target}"',
    "a comparison": 'f"{target}" < "m"',
    "in a tuple": 'f"{target}" in ("prod", "staging")',
    "in a set": 'f"{target}" in {"prod", "staging"}',
    "in a dict": 'f"{target}" in dict(prod=1)',
    "not in a set": 'f"{target}" not in {"prod", "staging"}',
    "a part": '"tmp" in f"{root}/t"',
    "a part of a plain string": 'f"{target}" in "prod staging"',
    "the length": 'len(f"{root}/t") > 10',
    "a truth value": 'f"{root}"',
    "str()": 'str(target) == "prod"',
    "a sum": '("x-" + f"{target}") == "x-prod"',
    "a sum of variables": 'str(root + "/t") == "/tmp/t"',
    "percent": '("%s/t" % root) == "/tmp/t"',
    "format": '"{}/t".format(root) == "/tmp/t"',
    "join": '"/".join([f"{root}", "t"]) == "/tmp/t"',
    "os.path": 'os.path.join(f"{root}", "t").startswith("/tmp")',
    "lower": 'f"{target}".lower() == "prod"',
    "split": 'f"{root}/t".split("/")[1] == "tmp"',
    "a letter": 'f"{root}/t"[0] == "/"',
    "a slice": 'f"{root}/t"[:4] == "/tmp"',
    "a loop": 'any(letter == "t" for letter in f"{root}")',
    "re": 're.match("/tmp", f"{root}/t")',
    "a pattern": 're.compile("/tmp").search(f"{root}/t") is None',
    "of a plain string": '"/tmp/t".startswith(f"{root}")',
    "get": '{"prod": True}.get(f"{target}")',
    "an item of a defaultdict": 'defaultdict(bool, prod=True)[f"{target}"]',
    "a key of a dict": '{f"{target}": 1}.get("prod")',
    "digits": 'f"{target}".isdigit()',
    "fnmatch": '__import__("fnmatch").fnmatch(f"{root}/t", "/tmp/*")',
    "urlparse": '__import__("urllib.parse").parse.urlparse(f"{root}/t").scheme == "s3"',
    "a path": 'PurePosixPath(f"{root}/t").is_absolute()',
    "two paths": 'PurePosixPath(f"{root}/t") == PurePosixPath("/tmp/t")',
    "os.path.exists": 'os.path.exists(f"{root}/t")',
    "two variables": 'f"{root}" == f"{target}"',
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_a_task_chosen_by_the_text_of_a_variable_is_refused(branch: str, tmp_path: Path) -> None:
    """At build the text is the reference: the other task would run on the platform."""
    said = found(tmp_path, f"@job\ndef one() -> None:\n    (cloud if {branch} else local)()")
    assert all(one.startswith(f"(cloud if {branch}") for one in said), said
    assert all("has no value while the pipeline is defined" in one for one in said)
    assert len(said) == 1


TEXTS = {
    "upper": 'f"{target}".upper()',
    "replace": 'f"{root}/t".replace("/", "-")',
    "strip": 'f"{root}".strip("/")',
    "removeprefix": 'f"{root}".removeprefix("/")',
    "a width": 'f"""{f"{target}":>9}"""',
    "encode": 'f"{target}".encode().hex()',
    "zfill": 'f"{target}".zfill(9)',
    "an item": '{"prod": "big", **dict(dev="small")}.get(f"{target}", "other")',
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_changed_by_the_text_of_a_variable_is_refused(text: str, tmp_path: Path) -> None:
    """What is left of the reference is no reference."""
    (said,) = found(tmp_path, f"@job\ndef one() -> None:\n    local({text})")
    assert said.startswith(f"local({text}")
    assert "has no value while the pipeline is defined" in said


def test_a_match_over_the_text_is_refused(tmp_path: Path) -> None:
    """A `case` compares."""
    code = """
    @job
    def one() -> None:
        match f"{target}":
            case "prod":
                cloud()
            case _:
                local()
    """
    assert found(tmp_path, code) == [
        'case "prod":: ${bundle.target} is compared, but has no value while the pipeline is defined'
    ]


def test_a_helper_and_a_module_are_refused_at_their_lines(tmp_path: Path) -> None:
    """All mistakes are found in one build."""
    code = """
    place = f"{root}/t"
    is_local = place.startswith("/tmp")

    def kind(text: str) -> bool:
        return text == "prod"

    @job
    def one() -> None:
        (cloud if kind(f"{target}") else local)()
        (cloud if is_local else local).override(key="again")()
    """
    unknown = "but has no value while the pipeline is defined"
    assert found(tmp_path, code) == [
        f'is_local = place.startswith("/tmp"): ${{var.lake}}/t is searched, {unknown}',
        f'return text == "prod": ${{bundle.target}} is compared, {unknown}',
    ]


CERTAIN = {
    "its end": 'f"{root}/t.csv".endswith(".csv")',
    "one of several ends": 'f"{root}/t.csv".endswith((".csv", ".json"))',
    "its start": 'f"s3://{root}".startswith("s3://")',
    "a part of its own": '"/t" in f"{root}/t"',
    "another end": 'f"{root}/t" != f"{root}/u"',
    "the same": 'f"{root}/t" == f"{root}/t"',
    "a truth value": 'f"{root}/t"',
    "the order": 'f"{root}/a" < f"{root}/b"',
    "a set of places": 'f"{root}/t" in {f"{root}/t", f"{root}/u"}',
    "a place in a dict": '{f"{root}/t": True}[f"{root}/t"]',
    "no place": '"/t" not in {f"{root}/u": 1}',
    "its type": 'isinstance(f"{root}/t", str)',
    "a list": 'f"{root}/t" in [f"{root}/t"]',
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("branch", CERTAIN.values(), ids=CERTAIN)
def test_what_is_certain_whatever_the_values_are_is_allowed(branch: str, tmp_path: Path) -> None:
    """The same task is chosen everywhere."""
    built = discovered(tmp_path, f"@job\ndef one() -> None:\n    (cloud if {branch} else local)()")
    assert [task["key"] for task in built.jobs["one"]["tasks"]] == ["cloud"]
    assert built.warnings == ()


USES = {
    "an argument": 'local(f"{root}/t")',
    "an end cut off": 'local(f"{root}/t/".rstrip("/"))',
    "an ending cut off": 'local(f"{root}/t.csv".removesuffix(".csv"))',
    "sorted places": 'local(sorted([f"{root}/b", f"{root}/a"])[0])',
    "a field": 'native_task("n", notebook_task={"notebook_path": f"{root}/n"})',
    "a branch": 'condition(f"{target}", "==", "prod").then(cloud())',
    "a base name": "local(f\"{root}/{os.path.basename(str(PurePosixPath('a', 'b')))}\")",
    "an index": 'local(["a", f"{root}/t"][1])',
    "one of several": 'local(f"{root}/t" and f"{root}/u" or "v")',
    "a table": "local.override(key=\"x\")(f\"{root}/{PurePosixPath('a') / 'b'}\")",
    "a format": 'local("{:>5}".format(3) + "%s %d" % (root, 3))',
    "a message": "local(f'{3!r:>5} {3:{4}d} {root}')",
    "a class of its own": (
        "class Paths(dict[str, str]):\n"
        "        def get(self, *names: str) -> str:\n            return super().get(*names)\n"
        '    local(Paths(a=f"{root}/t").get("a"))'
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_strings_of_variables_are_used_as_before(use: str, tmp_path: Path) -> None:
    """The rewritten project gives the same jobs, with nothing to say."""
    built = discovered(tmp_path, f"@job\ndef one() -> None:\n    {use}")
    assert built.warnings == ()


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each child process that is started."""
    started: list[int] = []
    run = process._run

    def counted(*args):  # type: ignore[no-untyped-def]
        started.append(len(started))
        return run(*args)

    monkeypatch.setattr(process, "_run", counted)
    return started


@pytest.mark.parametrize(
    ("code", "times"),
    [
        ("@job\ndef one() -> None:\n    local('t')", 1),
        ("@job\ndef one() -> None:\n    local(root / 't')", 1),
        ("@job\ndef one() -> None:\n    local(f'{root}/t')", 2),
    ],
)
def test_only_projects_that_make_such_strings_are_discovered_again(
    code: str, times: int, tmp_path: Path, children: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables themselves refuse such uses."""
    monkeypatch.setitem(globals(), "HEAD", HEAD.replace('f"{root}/lake"', 'root / "lake"'))
    discovered(tmp_path, code)
    assert len(children) == times


def test_a_project_that_can_tell_that_it_is_rewritten_is_warned(tmp_path: Path) -> None:
    """Its jobs are built; only the certainty is missing."""
    code = """
    import sys

    @job
    def one() -> None:
        here = f"{root}/t"
        assert here
        assert not any("watched" in name for name in sys._getframe(0).f_code.co_names)
        local(here)
    """
    built = discovered(tmp_path, code)
    (warning,) = built.warnings
    assert "whether a job depends on the text of a string with bundle variables can't be told" in warning.message
    assert [task["key"] for task in built.jobs["one"]["tasks"]] == ["local"]


PIECES = st.lists(st.sampled_from(["a", "b", "/", "${var.x}", "${var.y}", "${bundle.target}"]), max_size=5).map("".join)
VALUES = st.fixed_dictionaries(
    {name: st.sampled_from(["", "a", "b", "/", "ab"]) for name in ("x", "y", "bundle.target")}
)


@given(PIECES, PIECES, VALUES)
def test_what_is_called_certain_holds_for_all_values(left: str, right: str, values: dict[str, str]) -> None:
    """The answers are those of the strings that a run has."""
    ours, others = resolve(left, values), resolve(right, values)
    assert certainties.equal(left, right) in (None, ours == others)
    assert certainties.order(left, right) in (None, (ours > others) - (ours < others))
    assert certainties.begins(left, right) in (None, ours.startswith(others))
    assert certainties.ends(left, right) in (None, ours.endswith(others))
    if "$" not in right:
        assert certainties.contains(left, right) in (None, others in ours)
    assert "".join(pieces_of(left)) == left
    assert all("$" not in piece for piece in pieces_of(left)[::2])
    assert all(re.fullmatch(r"\$\{.*\}", piece) for piece in pieces_of(left)[1::2])
