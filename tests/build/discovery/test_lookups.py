"""What a task looks up by name, and the dict that it returns, fit its job; if not, the build says so at their lines."""

# ruff: noqa: E501 - a table of programs

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from discovered import problems

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import contextlib
import dbxdec
from dbxdec import context, each, get_task_value, job, params, set_task_value, task, task_values


@task
def producer() -> list[int]:
    set_task_value("rows", 3)
    return [1, 2]


@task
def side() -> None:
    set_task_value("count", 3)


@task
def many(x: int) -> None:
    set_task_value("rows", x)
"""

# Most programs here have no table, and so need no Polars, whose import takes longer than all else.
TABLES = """
import polars as pl
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path="lake")
"""
JOB = """

@job
def daily(day: str = "2024-01-01", top: int = 3) -> None:
    given = producer()
    side()
    many(each(given))
    here().after(given)
"""


JOB_ALONE = """

@job
def daily(day: str) -> None:
    here()
"""


def said(root: Path, body: str, wiring: str = JOB, more: dict[str, str] | None = None) -> list[str]:
    text = HEAD + body + wiring
    found = problems(root, {"p/pipelines/daily.py": text, **(more or {})})
    lines = text.splitlines()
    assert all(one.where and lines[one.where.line - 1].rstrip().endswith("# here") for one in found), found  # type: ignore[union-attr]
    return [f"{one.message} | {one.hint}" for one in found]


def task_with(*lines: str) -> str:
    return "\n\n@task\ndef here() -> None:\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("print(params.dya)", "the task `here` reads the parameter `dya`, but the job `daily` has no parameter `dya` | did you mean `day`?"),
        ("print(params['nope'])", "the job `daily` has no parameter `nope` | its parameters are day, top"),
        ("print(dbxdec.params.nope)", "the job `daily` has no parameter `nope`"),
        ("print([lambda: params.nope])", "the job `daily` has no parameter `nope`"),
        ("get_task_value('prodcer', 'rows')", "asks for a task value of `prodcer`, but the job `daily` has no such task | did you mean `producer`?"),
        ("get_task_value(key='rows', task_key='prodcer')", "has no such task"),
        ("dbxdec.get_task_value('producer', 'rwos')", "asks for the value `rwos` of the task `producer`, but nothing sets it | did you mean `rows`?"),
        ("task_values.get('producer', 'rwos')", "asks for the value `rwos` of the task `producer`, but nothing sets it | did you mean `rows`?"),
        ("dbxdec.task_values.get('prodcer', key='rows')", "has no such task | did you mean `producer`?"),
        ("get_task_value('side', 'count')", "asks for a task value of `side`, but does not run after it | run it later: `.after(...)`"),
        ("get_task_value('here', 'count')", "does not run after it"),
        ("get_task_value('many', 'rows')", "which runs for each of many items | the platform does not keep task values per iteration"),
    ],
)  # fmt: skip
def test_a_name_that_the_job_lacks_is_an_error_at_its_line(tmp_path: Path, line: str, wanted: str) -> None:
    [found] = said(tmp_path, task_with(f"{line}  # here"))
    assert wanted in found


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    "lines",
    [
        ["print(params.day, params['top'], params.get('nope'), list(params.keys()))"],
        ["if 'nope' in params:", "    print(params.nope)"],
        ["if 'nope' not in params:", "    return", "print(params['nope'])"],
        ["for name in 'ab':", "    print(params[name] if name in params else params.nope)"],
        ["try:", "    print(params.nope)", "except KeyError:", "    print()"],
        ["with contextlib.suppress(KeyError):", "    print(params.nope)"],
        ["if context().job == 'other':", "    print(params.nope)"],
        ["params = {'nope': 1}", "print(params['nope'])"],
        ["print([params.nope for params in ()])"],
        ["get_task_value('producer', 'rows')", "get_task_value('producer', 'return_value')"],
        ["get_task_value('nobody', 'rows', None)", "get_task_value('nobody', 'rows', default=3)"],
        ["task_values.get('producer', 'rows')", "task_values.get('nobody', 'rows', None)"],
        ["get_task_value(*('nobody', 'rows'))", "get_task_value(**{'task_key': 'x', 'key': 'y'})"],
        ["name = 'x'", "get_task_value(name, 'rows')", "get_task_value('producer', name)"],
        ["from string import Template as params", "print(params.nope)"],
    ],
)
def test_what_may_be_there_or_is_expected_to_be_missing_is_no_error(tmp_path: Path, lines: list[str]) -> None:
    assert said(tmp_path, task_with(*lines)) == []


def test_functions_that_a_task_calls_look_up_for_it(tmp_path: Path) -> None:
    helper = "from dbxdec import params\n\n\ndef load() -> None:\n    print(params.nope)\n"
    found = problems(
        tmp_path,
        {
            "p/helpers.py": helper,
            "p/pipelines/daily.py": HEAD + "from p import helpers\n" + task_with("helpers.load()") + JOB,
        },
    )
    assert [str(one.where) for one in found] == ["p/helpers.py:5"]
    assert found[0].message == (
        "`load`, which the task `here` calls, reads the parameter `nope`, but the job `daily` has no parameter `nope`"
    )


@pytest.mark.parametrize(
    ("line", "it"), [("from dbxdec import params as given", "given"), ("import dbxdec as it", "it.params")]
)
def test_a_function_that_imports_it_itself_looks_up_too(tmp_path: Path, line: str, it: str) -> None:
    helper = f"def load() -> None:\n    {line}\n\n    print({it}.nope)\n"
    program = "from dbxdec import job, task\nfrom p import helpers\n" + task_with("helpers.load()") + JOB_ALONE
    found = problems(tmp_path, {"p/helpers.py": helper, "p/pipelines/daily.py": program})
    assert [str(one.where) for one in found] == ["p/helpers.py:4"]


def test_each_job_is_asked(tmp_path: Path) -> None:
    other = "\n\n@job\ndef other(day: str) -> None:\n    here()\n"
    found = problems(tmp_path, {"p/pipelines/daily.py": HEAD + task_with("print(params.top)") + JOB + other})
    assert [(one.jobs, one.hint) for one in found] == [(("other",), "its parameters are day")]


class TestValuesAsArguments:
    TAKER = "\n\n@task\ndef here(n: int) -> None:\n    print(n)\n"
    WIRING = "\n\n@job\ndef daily() -> None:\n    here(producer().value({!r}))  # here\n"

    def test_one_that_no_task_sets_is_an_error(self, tmp_path: Path) -> None:
        [found] = said(tmp_path, self.TAKER, self.WIRING.format("rwos"))
        assert found == (
            "the task `here` takes the value `rwos` of the task `producer`, but nothing sets it | did you mean `rows`?"
        )

    def test_one_in_a_condition_too(self, tmp_path: Path) -> None:
        wiring = (
            "\n\n@job\ndef daily() -> None:\n"
            "    dbxdec.condition(producer().value('rwos'), '==', 'x').then(side())  # here\n"
        )
        [found] = said(tmp_path, "", wiring)
        assert "the value `rwos` of the task `producer`, but nothing sets it" in found

    @pytest.mark.parametrize(
        "text",
        [
            "def leave(key: str) -> None:\n    set_task_value(key, 1)\n",
            "KEYS = list(map(set_task_value, (), ()))\n",
            "from dbxdec import set_task_value as leave\n",
            "def leave(dbutils: object) -> None:\n    dbutils.jobs.taskValues.set('rwos', 1)\n",
            "def leave() -> None:\n    set_task_value('rwos', 1)\n",
            "from dbxdec import task_values\n\n\ndef leave() -> None:\n    task_values.set('rwos', 1)\n",
            "import dbxdec\n\n\ndef leave() -> None:\n    dbxdec.task_values.set(key='rwos', value=1)\n",
            "from dbxdec import task_values\n\n\ndef leave(key: str) -> None:\n    task_values.set(key, 1)\n",
            "from dbxdec import task_values as values\n\nvalues.set('rwos', 1)\n",
            "from dbxdec import task_values\n\nKEYS = list(map(task_values.set, (), ()))\n",
        ],
    )
    def test_one_that_some_line_may_set_is_none(self, tmp_path: Path, text: str) -> None:
        more = {"p/elsewhere.py": "from dbxdec import set_task_value\n\n\n" + text}
        assert said(tmp_path, self.TAKER, self.WIRING.format("rwos"), more) == []


class TestReturnedDicts:
    WIRING = "\n\n@job\ndef daily() -> None:\n    here()\n"

    def task(self, *lines: str) -> str:
        head = (
            TABLES
            + "\n\n@task(outputs={'good': lake.table('good'), 'bad': lake.table('bad')})\ndef here() -> dict[str, pl.DataFrame]:\n"
        )
        return head + "    f = pl.DataFrame({'a': [1]})\n" + "".join(f"    {line}\n" for line in lines)

    @pytest.mark.parametrize(
        ("line", "wanted"),
        [
            ("return {'god': f, 'bad': f}", "has no output `god` and returns nothing for its output `good` | did you mean `good`?"),
            ("return {'good': f}", "returns nothing for its output `bad` | return a dict with exactly the keys `good` and `bad`"),
            ("return {'good': f, 'bad': f, 'x': f}", "has no output `x`"),
        ],
    )  # fmt: skip
    def test_other_keys_than_those_of_the_outputs_are_an_error(self, tmp_path: Path, line: str, wanted: str) -> None:
        [found] = said(tmp_path, self.task(f"{line}  # here"), self.WIRING)
        assert found.startswith("the task `here` ")
        assert wanted in found

    @pytest.mark.parametrize(
        "lines",
        [
            ["return {'good': f, 'bad': f}"],
            ["return {name: f for name in ('good', 'bad')}"],
            ["return {**{'good': f}, 'bad': f}"],
            ["def inner() -> dict[str, int]:", "    return {'a': 1}", "print(inner())", "return dict(good=f, bad=f)"],
        ],
    )
    def test_what_may_be_right_is_no_error(self, tmp_path: Path, lines: list[str]) -> None:
        assert said(tmp_path, self.task(*lines), self.WIRING) == []
