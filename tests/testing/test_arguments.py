"""Arguments of a wrong type: one sentence each, with what to write instead, and no exception of Python's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dbxdec import RunError, bundle_variable, job, secret, task
from dbxdec.testing import JobDag, JobResult, Lake, job_dag, run_job, run_task


@task
def load(n: int) -> int:
    return n


@job
def one(n: int = 1) -> None:
    load(n)


@job
def needy(until: int) -> None:
    load(until)


def plain() -> None: ...


class Odd:
    def __repr__(self) -> str:
        raise ValueError("it has no repr")


FRAME = pl.DataFrame({"a": [1]})
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "secrets: a string": ({"secrets": "abc"}, "`secrets` is of the type str, not a dict", "scope/key"),
    "secrets: a list": ({"secrets": ["a/b"]}, "`secrets` is of the type list, not a dict", "scope/key"),
    "secrets: a number as key": ({"secrets": {5: "x"}}, "`secrets` has the key 5, which is not a string", "scope/key"),
    "secrets: no slash": ({"secrets": {"abc": "x"}}, "the secret 'abc' is not of the form `scope/key`", "scope/key"),
    "secrets: two slashes": ({"secrets": {"a/b/c": "x"}}, "is not of the form `scope/key`", "scope/key"),
    "secrets: no scope": ({"secrets": {"/b": "x"}}, "is not of the form `scope/key`", "scope/key"),
    "secrets: odd letters": ({"secrets": {"a/b c": "x"}}, "is not of the form `scope/key`", "letters, digits"),
    "secrets: a number": ({"secrets": {"a/b": 5}}, "the value of the secret `a/b` is of the type int", "give a str"),
    "secrets: None": ({"secrets": {"a/b": None}}, "`a/b` is of the type NoneType", "give a str"),
    "secrets: bytes": ({"secrets": {"a/b": b"x"}}, "`a/b` is of the type bytes", "give a str"),
    "secrets: a zero byte": ({"secrets": {"a/b": "x\0y"}}, "`a/b` has a zero byte", "leave it out"),
    "secrets: half a pair": ({"secrets": {"a/b": "x\ud800"}}, "`a/b` has a zero byte or half of", "leave it out"),
    "variables: a string": ({"variables": "abc"}, "`variables` is of the type str, not a dict", "variables={"),
    "variables: a number as key": ({"variables": {1: "x"}}, "`variables` has the key 1", "variables={"),
    "variables: None": ({"variables": {"root": None}}, "the bundle variable `root` is None", "give a string"),
    "variables: bytes": ({"variables": {"root": b"x"}}, "the bundle variable `root` is b'x'", "give a string"),
    "variables: a list": ({"variables": {"root": ["x"]}}, "the bundle variable `root` is ['x']", "give a string"),
    "variables: another": ({"variables": {"root": bundle_variable("x")}}, "the bundle variable `root` is", "a string"),
    "variables: too long": ({"variables": {"root": 10**5000}}, "the bundle variable `root` is a `int`", "a string"),
    "inputs: a list": ({"inputs": ["load"]}, "`inputs` is of the type list, not a dict", "inputs={"),
    "inputs: a task as key": ({"inputs": {load: 1}}, "`inputs` has the key", "inputs={"),
    "tables: a list": ({"tables": [1]}, "`tables` is of the type list, not a dict", "tables={"),
    "tables: a frame": ({"tables": pl.DataFrame({"a": [1]})}, "`tables` is of the type DataFrame", "tables={"),
    "tables: a number as key": ({"tables": {5: 1}}, "5 is not the name of a table", "reference/airports"),
    "tables: an empty name": ({"tables": {"": 1}}, "'' is not the name of a table", "reference/airports"),
    "task_values: a list": ({"task_values": [1]}, "`task_values` is of the type list", "task_values={"),
    "task_values: no dicts": ({"task_values": {"load": 5}}, "`task_values` of `load` is 5", '{"rows": 3}'),
    "task_values: numbers": ({"task_values": {"load": {5: 1}}}, "`task_values` of `load` is {5: 1}", '{"rows": 3}'),
    "task_values: deep": ({"task_values": {"load": {"a": {5: 1}}}}, "`task_values` of `load` are not JSON", "use str"),
    "task_values: a tuple": ({"task_values": {"load": {"a": (1,)}}}, "`task_values` of `load` are not JSON", "use str"),
    "replace: a function": ({"replace": plain}, "`replace` is of the type function", "replace={"),
    "replace: a value": ({"replace": {"load": 5}}, "`replace` has 5 for `load`", "in `inputs`"),
    "tasks: a number": ({"tasks": 5}, "`tasks` has 5, which is not the key of a task", '"load"'),
    "tasks: numbers": ({"tasks": [5]}, "`tasks` has 5, which is not the key of a task", '"load"'),
    "tasks: None": ({"tasks": None}, "`tasks` has None, which is not the key of a task", '"load"'),
    "tasks: bytes": ({"tasks": b"load"}, "`tasks` has b'load', which is not the key", '"load"'),
    "tasks: the task": ({"tasks": [load]}, "`tasks` has the task `load` itself", 'a string: "load"'),
    "until: the task": ({"until": load}, "`until` has the task `load` itself", 'a string: "load"'),
    "started: a date": ({"started": dt.date(2024, 3, 1)}, "`started` is datetime.date(2024, 3, 1)", "dt.datetime("),
    "started: a string": ({"started": "2024-03-01"}, "`started` is '2024-03-01'", "dt.datetime("),
    "started: too early": ({"started": dt.datetime.min}, "`started` is datetime.datetime(1, 1,", "from 1970"),
    "started: too late": ({"started": dt.datetime.max}, "`started` is datetime.datetime(9999,", "to 9998"),
    "in_memory": ({"in_memory": "no"}, "`in_memory` is 'no'", "True or False"),
    "raise_on_error": ({"raise_on_error": None}, "`raise_on_error` is None", "True or False"),
    "parameters: a list": ({"parameters": [1]}, "`parameters` is of the type list", "parameters={"),
    "parameters: numbers": ({"parameters": {1: 2}}, "`parameters` has the key 1", "parameters={"),
    "parameters: too long": ({"parameters": {"n": 10**5000}}, "parameter `n`: a `int` can't be written", "type int"),
    "parameters: its repr fails": ({"parameters": {"n": Odd()}}, "got test_arguments.Odd (a `Odd`)", "type int"),
    "parameters: a frame": ({"parameters": {"n": FRAME}}, "got polars.DataFrame (shape: (1, 1)", "type int"),
    "parameters: twice": ({"parameters": {"n": 2}, "n": 3}, "`n` is given as an argument and in", "give it once"),
}
NOT_OF_ONE_TASK = ("replace", "tasks", "until", "raise_on_error")


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_of_runs(case: str) -> None:
    """Both functions say what is wrong and what to write; a secret's value is not shown."""
    arguments, message, hint = WRONG[case]
    calls: list[Callable[[], object]] = [lambda: run_job(one, **arguments)]
    if not set(NOT_OF_ONE_TASK) & set(arguments):
        calls.append(lambda: run_task(one, "load", **arguments))
    for call in calls:
        with pytest.raises(RunError) as caught:
            call()
        (problem,) = caught.value.problems
        assert message in problem.message
        assert hint in str(problem.hint)
        assert "\n" not in problem.message


def test_a_function_with_other_parameters() -> None:
    """The task and its arguments are named, not a line of dbxdec."""
    with pytest.raises(RunError, match=r"for `load`, which can't take the task's arguments: too many positional"):
        run_job(one, replace={"load": lambda: 5})
    assert run_job(one, replace={"load": max}, raise_on_error=False).states == {"load": "failed"}


def test_all_wrong_arguments_are_told_at_once() -> None:
    """One run of a test shows each."""
    with pytest.raises(RunError) as caught:
        run_job(one, secrets={"a/b": 5, "c": "x"}, tasks=[1], in_memory=1, started="now")  # type: ignore[dict-item,list-item,arg-type]
    assert len(caught.value.problems) == 5


def test_wrong_types_and_wrong_names_are_told_at_once() -> None:
    """What has a wrong type hides no misspelt name, and is not called missing as well."""
    arguments: dict[str, Any] = {"variables": {"root": []}, "inputs": {"lode": 1}, "m": 1, "until": "laod"}
    with pytest.raises(RunError) as caught:
        run_job(one, **arguments)
    said = [problem.message for problem in caught.value.problems]
    assert [line.partition(" ")[0] for line in said] == ["the", "the", "`inputs`", "the"], said
    assert "`root` is []" in said[0]
    assert "no parameter `m`" in said[1]
    assert "`lode`" in said[2]
    assert "`laod`" in said[3]
    with pytest.raises(RunError) as caught:
        run_task(needy, "load", parameters=[1], secrets={"a/b": 5}, q=1)  # type: ignore[arg-type,dict-item]
    assert len(caught.value.problems) == 3


def test_a_job_parameter_may_have_the_name_of_an_argument_of_the_other_function() -> None:
    """`run_task` has no `until`, so it is the job's."""
    assert run_task(needy, "load", until=3).value == 3


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (load, "`load` is a task, not a job", "`load.fn(...)`"),
        (plain, "the function `plain` is not a job", "`@job`"),
        ("one", "'one' is not a job", "`@job`"),
        (None, "None is not a job", "`@job`"),
        (pl.DataFrame({"a": [1]}), "is not a job", "`@job`"),
    ],
)
def test_something_else_than_a_job(given: Any, message: str, hint: str) -> None:
    """Each function that takes a job refuses it."""
    for call in (lambda: run_job(given), lambda: run_task(given, "load"), lambda: job_dag(given)):
        with pytest.raises(RunError) as caught:
            call()
        (problem,) = caught.value.problems
        assert message in problem.message
        assert "\n" not in problem.message
        assert hint in str(problem.hint)


def test_something_else_than_a_key() -> None:
    """Where a task or a table is looked up by its name, another type is refused too."""
    result: JobResult = run_job(one)
    dag: JobDag = job_dag(one)
    for call in (lambda key: run_task(one, key), lambda key: result[key], lambda key: dag[key]):
        for key, message in ((5, "5, which is not the key of a task"), (load, "the task `load` itself")):
            with pytest.raises(RunError, match=message):
                call(key)
    lake: Any = Lake()
    for use in (lambda: lake[5], lambda: lake.__setitem__(5, 1), lambda: Lake({5: 1})):  # type: ignore[dict-item]
        with pytest.raises(RunError, match="5 is not the name of a table"):
            use()
    with pytest.raises(RunError, match="`tables` is of the type str, not a dict"):
        Lake("abc")  # type: ignore[arg-type]
    assert 5 not in lake


def test_what_is_allowed_stays() -> None:
    """Values of bundle variables of several types, keys from an iterator, a lake, parameters in a dict."""

    @job
    def named(name: str = bundle_variable("name"), n: int = 1) -> None:
        @task
        def show(name: str, n: int, key: str) -> str:
            return f"{name} {n} {key}"

        show(name, n, secret("vault", "key"))

    for value, text in (("x", "x"), (5, "5"), (True, "true"), (1.5, "1.5"), (Path("a/b"), "a/b")):
        done = run_job(
            named,
            variables={"name": value},
            secrets={"vault/key": "s"},
            tasks=iter(["show"]),
            tables=Lake(),
            started=dt.datetime(2024, 3, 1),
            parameters={"n": 2},
        )
        assert done["show"].value == f"{text} 2 s"
