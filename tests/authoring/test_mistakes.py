"""A mistake in a job's body is one message at its line, whatever follows from it, and the body goes on."""

# ruff: noqa: E501 - a table of statements

from __future__ import annotations

import functools
import textwrap
from typing import Any

import polars as pl
import pytest

from dbxdec import job, task
from dbxdec.authoring.recording import collecting
from dbxdec.build import codegen
from dbxdec.errors import Problem, SourceLocation, in_order
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.model import checks
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import Manifest, places_of

FILE = "wiring.py"
BEFORE = """
import datetime as dt
import os
from pathlib import Path
import polars as pl
from dbxdec import *
from dbxdec import IoManager
from dbxdec.io_managers import PolarsCsvIoManager, PolarsDeltaIoManager

lake = PolarsDeltaIoManager(bundle_variable("lake"), mode="overwrite")
root = bundle_variable("root")
password = secret("shop", "password")

class Shelf(IoManager):
    def __init__(self, place, *, depth=1):
        super().__init__()
        self.place = place
        if not isinstance(place, str):
            raise TypeError("the place of a shelf is a str")

    def read(self, context): ...
    def write(self, context, value): ...

@task(io_manager=lake)
def orders(day: dt.date = dt.date(2024, 1, 1)) -> pl.DataFrame: ...

@task
def count(orders: pl.DataFrame | None = None) -> int: ...

@task
def countries() -> list[str]: ...

@task
def report(n: int) -> None: ...

@task(io_manager=lake)
def ingest(country: str) -> pl.DataFrame: ...

@task
def total(parts: list[pl.DataFrame]) -> None: ...

@task(io_manager=lake.table("kept", mode="append"))
def keep(rows: pl.DataFrame) -> pl.DataFrame: ...

@task
def orders_of(country: str, name: str) -> None: ...

@task
def split() -> dict[str, pl.DataFrame]: ...

@task
def anything(*values, **named) -> None: ...

@job
def other(day: dt.date = dt.date(2024, 1, 1)):
    report(1)

@job
def one(n: int = 3, day: dt.date = dt.date(2024, 1, 1), names: list[str] = ["de"]):
    x = orders(day)
    c = count(x)
"""
AFTER = '    report.override(key="last")(1, 2)\n'
LINE = BEFORE.count("\n") + 1

# What is written, and what its one message says.
MISTAKES = {
    "a table's option": ('x = orders.override(key="o", io_manager=lake.table("t", mde="append"))(); count.override(key="c")(x)', "has no option `mde`"),
    "a table's name": ('count.override(key="c")(lake.table(3))', "the name of a table is 3"),
    "a table without a name": ('count.override(key="c")(lake.table())', "table() needs a value for `name`"),
    "a result that is read as a whole table": ('x = orders.override(key="o", io_manager=lake.table("t", mode="apend"))()\n    count.override(key="c")(x.table)', "`mode` of"),
    "a result whose newest version is read": ('x = orders.override(key="o", io_manager=lake.table("t", mode="apend"))()\n    count.override(key="c")(latest(x))', "`mode` of"),
    "a result of which the changed rows are read": ('x = orders.override(key="o", io_manager=lake.table("t", mode="apend"))()\n    count.override(key="c")(x.written)', "`mode` of"),
    "a result of each item that is read as a whole table": ('x = ingest.override(key="i", io_manager=lake.table("t", mode="apend"))(each(["de", "fr"]))\n    count.override(key="c")(x.table)', "`mode` of"),
    "a table's mode": ('orders.override(key="o", io_manager=lake.table("t", mode="apend"))()', "`mode` of"),
    "a table that is read for what is new": ('keep(lake.table("t", mode="apend").changes())', "`mode` of"),
    "a result that is read for what is new": ('y = orders.override(key="o", io_manager=lake.table("t", mode="apend"))()\n    keep(y.changes())', "`mode` of"),
    "a table that keeps how far is read": ('keep.override(io_manager=lake.table("o", mode="apend"))(lake.table("t").changes())', "`mode` of"),
    "an io manager's option": ('orders.override(key="o", io_manager=PolarsDeltaIoManager("/x", mde="append"))()', "has no parameter `mde`"),
    "an io manager's path": ('lake2 = PolarsDeltaIoManager(3)\n    total.override(key="t")([lake2.table("a"), lake2.table("b").table("c")])', "`base_path` is 3"),
    "an io manager without a path": ('orders.override(key="o", io_manager=PolarsCsvIoManager())().uri', "PolarsCsvIoManager() needs a value for `base_path`"),
    "an io manager of the author's": ('orders.override(key="o", io_manager=Shelf(3).table("x"))()', "the place of a shelf is a str"),
    "an io manager of the author's, misspelt": ('orders.override(key="o", io_manager=Shelf("a", deph=3))()', "Shelf() has no parameter `deph`"),
    "an io manager's class": ('orders.override(key="o", io_manager=PolarsDeltaIoManager)()', "`io_manager` is the class"),
    "a table read by hand": ('for row in lake.table("t").read().collect(): report.override(key="r")(row["n"])', "has no value while the pipeline is defined"),
    "a place by hand": ('anything.override(key="a")(lake.uri("t"))', "has no value while the pipeline is defined"),
    "outputs": ('y = orders.override(key="o", outputs=[lake.table("a")])()\n    count.override(key="c")(y["a"])', "`outputs` is ["),
    "one of the outputs": ('y = split.override(key="o", outputs={"a": lake.table("a"), "b": "b"})()\n    count.override(key="c")(y["b"])', "`outputs['b']` is 'b'"),
    "a native task without a key": ("y = native_task(notebook_task={})\n    count.override(key='c')(x).after(y)", "native_task() needs a value for `key`"),
    "a native task's key": ("native_task(3, notebook_task={'notebook_path': 'a.py'}) >> count.override(key='c')(x)", "3 can't be the key of a task"),
    "a native task's field": ("native_task('n', notebook_task={'notebook_path': {1}})", "is of the type `set`"),
    "a native task's misspelt field": ("native_task('n', notebok_task={'notebook_path': 'a'})", "no field `notebok_task`"),
    "a native task's misspelt keyword": ("native_task('n', notebook_task={'notebook_path': 'a'}, depend_on=[x])", "no field `depend_on`"),
    "a native task's run_if": ("native_task('n', notebook_task={'notebook_path': 'a'}, run_if={1})", "the setting `run_if` is of the type `set`"),
    "a native task's cluster": ("native_task('n', notebook_task={'notebook_path': 'a'}, cluster='small')", "has 'small' as its cluster"),
    "a native task's dependencies": ("native_task('n', notebook_task={'notebook_path': 'a'}, depends_on=3)", "`depends_on` is 3"),
    "a condition's arguments": ("condition(n, 3).then(count.override(key='c')(x)).otherwise(x)", "condition() needs a value for `right`"),
    "a condition's keyword": ("condition(n, '==', 3, ky='big').true.anything", "condition() has no parameter `ky`"),
    "a condition's operator": ("condition(n, ['=='], 3).then(count.override(key='c')(x))", "has the operator ['==']"),
    "a condition's key": ("condition(n, '==', 3, key=n).then(count.override(key='c')(x))", "can't be the key of a task"),
    "a condition's side": ("condition(n, '==', object())", "compares <object object>"),
    "each without items": ("total.override(key='t')(ingest.override(key='i')(each()))", "each() needs a value for `items`"),
    "each of nothing": ("total.override(key='t')(ingest.override(key='i')(each([])))", "has no items"),
    "each's keyword": ("total.override(key='t')(ingest.override(key='i')(each(['a'], concurency=3)))", "did you mean `concurrency`?"),
    "each's concurrency": ("total.override(key='t')(ingest.override(key='i')(each(['a'], concurrency={3})))", "each(...): the setting `concurrency`"),
    "each of a number": ("total.override(key='t')(ingest.override(key='i')(each(3)))", "gets 3"),
    "each of a set": ("total.override(key='t')(ingest.override(key='i')(each({'a'})))", "gets {'a'}"),
    "each of an object": ("total.override(key='t')(ingest.override(key='i')(each([object()])))", "`object` at [0] can't be passed"),
    "each of results": ("total.override(key='t')(ingest.override(key='i')(each([['a', c]])))", "among its items"),
    "each of a number of the run": ("total.override(key='t')(ingest.override(key='i')(each(n)))", "which is `int`"),
    "each twice": ("orders_of.override(key='a')(each(['a']), each(['b']))", "gets each(...) twice"),
    "a cluster without a key": ("count.override(key='c', cluster=job_cluster(num_workers=1))(x)", "job_cluster() needs a value for `key`"),
    "a cluster's field": ("count.override(key='c', cluster=job_cluster('s', num_workers={1}))(x)", "the setting `num_workers`"),
    "an environment's field": ("count.override(key='c', environment=environment('s', dependencies={1}))(x)", "the setting `dependencies`"),
    "an environment's arguments": ("count.override(key='c', environment=environment('s', ['a']))(x)", "environment() takes 1 positional argument"),
    "a variable's name": ("count.override(key='c')(PolarsDeltaIoManager(bundle_variable('a b') / 'x').table('t'))", "can't be the name of a bundle variable"),
    "a variable's name that is none": ("ingest.override(key='i')(f'{bundle_variable(3)}/x')", "can't be the name of a bundle variable"),
    "a variable compared": ("if root == 'x': report.override(key='r')(1)", "is compared"),
    "a variable as a truth": ("report.override(key='r')(1 if root else 2)", "is used as a truth value"),
    "a variable as a path": ("ingest.override(key='i')(os.path.join(root, 'x'))", "has no value while the pipeline is defined"),
    "a secret's key": ("ingest.override(key='i')(secret('shop'))", "secret() needs a value for `key`"),
    "a secret's scope": ("ingest.override(key='i')(secret('a/b', 'c'))", "can't be the scope of a secret"),
    "a secret's scope that is none": ("ingest.override(key='i')(secret(3, 'c'))", "can't be the scope of a secret"),
    "a secret in a text": ("ingest.override(key='i')(f'{password}')", "has no value while the pipeline is defined"),
    "a run date's zone": ("run_date(tz='Berlin')", "is not a time zone"),
    "a run date's offset": ("run_date(offset_days='1')", "not a whole number"),
    "a run date's keyword": ("run_date(days=1)", "run_date() has no parameter `days`"),
    "latest's arguments": ("count.override(key='c')(latest())", "latest() needs a value for `what`"),
    "latest of a parameter": ("count.override(key='c')(latest(n))", "is `latest` of the job parameter `n`"),
    "a task value's key": ("report.override(key='r')(x.value())", ".value() needs a value for `key`".removeprefix(".")),
    "after's keyword": ("count.override(key='c')(x).after(tasks=[x])", "after() has no parameter `tasks`"),
    "after a number": ("count.override(key='c')(x).after(3)", "can't run after 3"),
    "what `>>` orders": ("x >> 3", "`>>` orders task results"),
    "a parameter in `>>`": ("n >> day", "is used with `>>`"),
    "a key": ("y = orders.override(key=3)()\n    count.override(key='c')(y)", "3 can't be the key of a task"),
    "a key with a space": ("orders.override(key='b 6!')()", "'b 6!' can't be the key of a task"),
    "a key by position": ("count.override('c')(x)", "override() takes 0 positional arguments"),
    "a key twice": ("count(x)", "already has a task `count`"),
    "run_if": ("count.override(key='c', run_if=['ALL_DONE'])(x)", "`run_if` is"),
    "run_if without a form": ("count.override(key='c', run_if={1})(x)", "the setting `run_if` is of the type `set`"),
    "a misspelt keyword": ("orders.override(key='o', io_manger=lake)()", "did you mean `io_manager`?"),
    "an io manager under another name": ("orders.override(key='o', store=lake)()", "did you mean `io_manager`?"),
    "a misspelt field": ("count.override(key='c', max_retrys=2)(x)", "did you mean `max_retries`?"),
    "a misspelt field without a form": ("count.override(key='c', max_retrys={2})(x)", "did you mean `max_retries`?"),
    "a field without a form": ("count.override(key='c', timeout_seconds={60})(x)", "the setting `timeout_seconds`"),
    "a field that dbxdec fills": ("count.override(key='c', task_key='d')(x)", "is filled by dbxdec"),
    "dependencies": ("count.override(key='c', depends_on=x)(x)", "`depends_on` is the result of the task `orders`"),
    "a nested task that is a generator": ("@task\n    def y():\n        yield 1\n    report.override(key='r')(y())", "is a generator"),
    "a nested task that is a class": ("@task\n    class Y: ...\n    report.override(key='r')(Y())", "@task takes a function"),
    "a nested task named by a text": ("@task('y')\n    def y() -> int: ...\n    report.override(key='r')(y())", "@task(key='y')"),
    "a nested task with a wrong keyword": ("@task(io_manger=lake)\n    def y() -> int: ...\n    report.override(key='r')(y())", "did you mean `io_manager`?"),
    "a nested task with a wrong io manager": ("@task(io_manager='lake')\n    def y() -> pl.DataFrame: ...\n    count.override(key='c')(y())", "`io_manager` is 'lake'"),
    "a nested task with two places": ("@task(io_manager=lake, outputs={'a': lake.table('a')})\n    def y() -> dict: ...\n    count.override(key='c')(y()['a'])", "`io_manager` and `outputs`"),
    "a search in a set": ("day in {dt.date(2024, 1, 1), dt.date(2024, 1, 2)}", "is used as a key of a dict or in a set"),
    "a look into a dict": ("{dt.date(2024, 1, 1): 1}.get(day, 2)", "is used as a key of a dict or in a set"),
    "a result in a set": ("x in {1, 2}", "is used as a key of a dict or in a set"),
    "a parameter that is None": ("day = day\nif names is None: pass", "`names` is compared with None by `is`"),
    "a parameter that is not None": ("y = 1 if n is not None else 2", "`n` is compared with None by `is`"),
    "what stands for a value": ("report.override(key='r')(f'{[day]}')", "was made from a value that exists only when"),
    "a variable as it shows itself": ("report.override(key='r')(repr(root))", "was made from a value that exists only"),
    "a secret that is joined": ("ingest.override(key='i')('Bearer ' + password)", "is used as a string, which it is not"),
    "a secret that is joined first": ("ingest.override(key='i')(password + '@')", "or call `.value()` inside a task"),
    "a secret's value": ("print(secret('a', 'b').value())", "is read while the pipeline is defined"),
    "a parameter in a dict of a task": ("kept = {'n': n}\n@task\ndef inner() -> None: print(kept['n'])\ninner()", "`inner` uses `kept`, with the job parameter `n`"),
    "a result in a function of a task": ("def other_one(): return x\n@task\ndef inner() -> None: other_one()\ninner()", "`other_one` uses `x`, with the result of the task `orders`"),
    "a parameter as a default": ("@task\ndef inner(kept=[n]) -> None: ...\ninner()", "`inner` uses the job parameter `n`"),
    "a call of a job": ("other(dya=day)", "has no parameter `dya`"),
    "a call of a job with a result": ("other(x)", "gets the result of the task `orders`"),
    "a result in a path": ("open_at = os.path.join(x, 'y')", "is used as a path"),
    "a result in a list index": ("['a', 'b'][c]", "is used as a number"),
    "a return type that is not there": ("@task\n    def y() -> Nowhere: ...\n    count.override(key='c')(y())\n    ingest.override(key='i')(y.override(key='z')().uri)", "can't be resolved"),
    "a return type that JSON lacks": ("@task\n    def y() -> set[str]: ...\n    z = y()\n    ingest.override(key='i')(each(z))\n    condition(z, '==', 'a').then(other(z))\n    native_task('n', notebook_task={'notebook_path': 'a', 'base_parameters': {'z': z}}).after(count.override(key='c')(latest(z)))", "which has no sets"),
    "a return type that is not stored": ("y = countries.override(key='o', io_manager=lake)()\n    total.override(key='t')([y])\n    ingest.override(key='i')(each(y))", "can't store"),
    "outputs without tables": ("y = split.override(key='o', outputs={'a': lake})()\n    count.override(key='c')(y['a'])", "an IoManager without a table"),
    "an unknown output": ("y = split.override(key='o', outputs={'a': lake.table('a')})()\n    count.override(key='c')(y['b'])", "has no output 'b'"),
    "an argument by another name": ("report.override(key='r')(m=1)", "has no parameter `m`"),
    "a result with a star": ("report.override(key='r')(*x)", "is used in a loop"),
    "a result with two stars": ("report.override(key='r')(**x)", "is used with `.keys`"),
    "a value that is set": ("set_task_value('a', 3)", "a task value is set while the pipeline is defined"),
    "a value that is read": ("report.override(key='r')(get_task_value('a', 'b'))", "a task value is read while the pipeline is defined"),
    "the run's context": ("ingest.override(key='i')(context().run_id)", "context() was called outside a run"),
    "the run's parameters": ("report.override(key='r')(params.n)", "params.n was read outside a run"),
    "a string of a result as what comes before": ("report.override(key='r')(1).after(f'{count.override(key=\"c\")()}')", "is used as a string"),
    "a string of a parameter": ("report(f'{n}')", "is used as a string"),
    "a string of a parameter in a list": ("total([f'{n}'])", "is used as a string"),
    "a string of a parameter as an item": ("report.override(key='r')(each([1, str(n)]))", "is used as a string"),
    "a string of a parameter in a condition": ("condition(n, '==', f'{n}')", "is used as a string"),
    "a string of a secret": ("report(f'{password}')", "has no value while the pipeline is defined"),
    "a native task with nothing to run": ("native_task('none')", "the task `one.none` has nothing to run"),
    "a native task with a wrong kind": ("native_task('wrong', notebook_task={'notebook_path': {1}})", "is of the type `set`"),
    "a misspelt io_manager": ("""
        @task(io_manger=lake.table("x"))
        def one(day: dt.date) -> pl.DataFrame: ...
        one(day)""", "there is no field `io_manger` of a task"),
    "misspelt outputs": ("""
        @task(ouputs={"good": lake.table("good"), "bad": lake.table("bad")})
        def one(day: dt.date) -> dict[str, pl.DataFrame]: ...
        one(day)""", "there is no field `ouputs` of a task"),
    "what a misuse gives": ("y = (n + 1).columns[0]\n    ingest.override(key='i', depends_on=[y])(y).after(y.z()) >> y", "is used in arithmetic"),
}  # fmt: skip


def build(statement: str) -> list[Problem]:
    """All that a build says of the module with `statement` in its job's body."""
    names: dict[str, Any] = {"__name__": "wiring"}
    text = BEFORE + textwrap.indent(textwrap.dedent(statement), "    ").replace("\n        ", "\n    ") + "\n" + AFTER
    exec(compile(text, FILE, "exec"), names)  # noqa: S102
    built = [names[key].build("wiring") for key in ("one", "other")]
    dags = [one.dag for one in built]
    manifest = Manifest("p", "1", "", "", encode_jobs(dags), places=places_of(dags))
    found = [problem for one in built for problem in one.problems]
    return in_order([*found, *checks.check(dags), *codegen.setting_problems(manifest)])


@pytest.mark.parametrize(("statement", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_message_and_the_body_goes_on(statement: str, said: str) -> None:
    """The mistake is said once, at its line, and so is another one behind it."""
    first, *others = build(statement)
    after = LINE + statement.count("\n") + 1
    assert [problem.where for problem in others] == [SourceLocation(FILE, after)], "\n".join(map(str, others))
    assert said in str(first)
    assert isinstance(first.where, SourceLocation)
    assert LINE <= first.where.line < after


@pytest.mark.parametrize(
    ("loop", "used"),
    [
        ("while c: pass", "as a truth value"),
        ("while not (c > 3): pass", "in a comparison"),
        ("while 3 not in c: pass", "with `in`"),
        ("while c: c = c + 1", "as a truth value"),
        ("while not (c.state == 'success'): pass", "in a comparison"),
    ],
)
def test_a_loop_that_waits_for_a_result_ends_and_the_body_goes_on(loop: str, used: str) -> None:
    """No answer to the condition would end all such loops."""
    found = build(f"c = count(orders())\n{loop}\nreport(m=3)")
    assert any(used in problem.message for problem in found)
    assert "has no parameter `m`" in str(found[-2]) + str(found[-1])


def test_a_value_of_the_run_that_python_refuses_says_so() -> None:
    """Where code of others raises an exception over what stands for a value, the hint says what that is."""
    for statement in ("dt.datetime.strptime(day, '%Y')", "__import__('json').dumps([day])"):
        (problem,) = build(statement)
        assert problem.message.startswith("the body of the job `one` raised ")
        assert "has a value only when the job runs: do this inside a task" in (problem.hint or "")
    (problem,) = build("'/'.join(['a', root])")
    assert "`+` and `/` make longer strings" in (problem.hint or "")


def test_a_function_that_works_with_results_may_lack_its_decorator() -> None:
    """Where a plain function that the job calls uses a result, the hint asks for `@task`; in the body it does not."""
    (first, *_) = build("def clean(x): return [y for y in (x + 1,)]\ncount(clean(orders()))")
    assert (first.hint or "").endswith("; or is `@task` missing on `clean`?")
    (first, *_) = build("def inner(x): return x + 1\ndef clean(x): return inner(x)\ncount(clean(orders()))")
    assert (first.hint or "").endswith("; or is `@task` missing on `clean`?")


@pytest.mark.parametrize(
    "statement",
    ["y = [n + 1 for _ in 'a']", "class C: y = n + 1", "sorted([1, 2], key=lambda one: n + 1)"],
)
def test_code_of_the_body_itself_lacks_no_decorator(statement: str) -> None:
    """Comprehensions, classes and functions of libraries are none of the functions that a job could have as tasks."""
    (first, *_) = build(statement)
    assert first.hint == "compute inside a task that receives it"


def test_the_body_of_a_decorated_job_lacks_no_decorator() -> None:
    """A decorator's own function is no task."""

    def logged(function: Any) -> Any:
        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return inner

    @job
    @logged
    def daily(n: int = 1) -> None:
        _ = n + 1

    (problem,) = daily.build(__name__).problems
    assert problem.hint == "compute inside a task that receives it"


def test_a_hint_for_two_writers_names_what_tells_them_apart() -> None:
    """Another key helps where the key is in the path, `{job}` where the writers are of two jobs."""
    (own, _) = build("orders.override(key='o', io_manager=lake.table('orders'))()")
    assert own.hint is not None
    assert "another key" in own.hint
    assert "{job}" not in own.hint
    (bound, _) = build("for key in 'ab': orders.override(key=key, io_manager=lake.table('t'))()")
    assert bound.hint is not None
    assert "another key" not in bound.hint


def test_a_for_each_that_may_lack_its_list_is_not_asked_to_annotate_it() -> None:
    """Without the list nothing can run: the hint says how the task waits for it."""
    (late, _) = build("ingest.override(key='i', run_if='ALL_DONE')(each(countries()))")
    assert "leave out run_if=ALL_DONE: without its list there is nothing to iterate over" in (late.hint or "")
    (branch, _) = build("y = countries(); condition(n, '>', 3).then(y); ingest.override(key='i')(each(y)).after(c)")
    assert "run `i` only if the condition `condition` is true, too" in (branch.hint or "")


def test_a_reader_of_a_for_each_that_may_have_failed_is_told_of_each_item() -> None:
    """One None for all items is not enough where only some of them failed."""
    (late, _) = build("total.override(key='t', run_if='ALL_DONE')(ingest.override(key='i')(each(['a'])))")
    assert "as `dict[..., ... | None] | None` it is None for each item that has failed" in (late.hint or "")


def test_a_misspelt_io_manager_of_a_job_is_one_mistake() -> None:
    """Its tasks have one, as has a call with another misspelt."""
    lake: Any = PolarsDeltaIoManager("lake")
    wrong: dict[str, Any] = {"io_manger": lake}
    problems: list[Problem] = []
    with collecting(problems):

        @job(**wrong)
        def daily() -> None:
            @task
            def one() -> pl.DataFrame:
                raise NotImplementedError

            one()

        @task
        def other() -> pl.DataFrame:
            raise NotImplementedError

        @job
        def weekly() -> None:
            other.override(**wrong)()

    assert [one.message for one in problems] == ["there is no field `io_manger` of a job"]
    assert not daily.build(__name__).problems
    assert [one.message for one in weekly.build(__name__).problems] == ["there is no field `io_manger` of a task"]


def test_a_job_asks_for_its_own_tasks_too_early() -> None:
    """Also by way of another job, whose body asks for those of the first."""

    def own() -> None:
        made.tasks["one"].fn()

    def first() -> None:
        other.tasks  # noqa: B018

    def second() -> None:
        around.tasks  # noqa: B018

    made, around, other = job(own), job(first), job(second)
    for found, name in ((made, "own"), (around, "first")):
        (problem,) = found.build(__name__).problems
        assert f"the body of the job `{name}` asks for the job's own tasks" in problem.message
        assert isinstance(problem.where, SourceLocation)
        assert problem.where.line == found.fn.__code__.co_firstlineno + 1
