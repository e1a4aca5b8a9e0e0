"""Several jobs from one function: `@job(key=...)` in a loop, and in a function that is called several times."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import Installation
from dbxdec import job, native_task, task
from dbxdec.authoring.jobs import Job, forget
from dbxdec.model import checks
from dbxdec.model.job_forms import encode_jobs
from projects import shop


@dataclass(frozen=True)
class Feed:
    """What one job is about: no literal, so that only a closure can hold it."""

    country: str
    columns: tuple[str, ...] = ("id",)


def nightly(feed: Feed, retries: int = 0, notify: Callable[[str], str] = str.upper) -> Job[[int]]:
    """A job for one feed."""

    def shout(text: str) -> str:
        return notify(f"{feed.country} {text}")

    @job(key=f"nightly_{feed.country}", tags={"country": feed.country})
    def made(top: int = 3) -> None:
        @task(max_retries=retries)
        def load(top: int) -> str:
            return shout(f"{','.join(feed.columns)} {top}")

        @task
        def report(loaded: str) -> None: ...

        report(load(top))
        for column in feed.columns:
            native_task(f"show_{column}", notebook_task={"notebook_path": f"notebooks/{column}.py"})

    return made


def messages(made: Job[...]) -> list[str]:
    return [problem.message for problem in made.build().problems]


class TestFunctions:
    def test_each_call_makes_a_job_with_its_own_settings(self) -> None:
        """Keys, fields and tasks are those of the call; none of the jobs is wrong."""
        jobs = [nightly(Feed("de")), nightly(Feed("fr", ("id", "name")), retries=2)]
        built = [each.build() for each in jobs]
        assert [each.problems for each in built] == [(), ()]
        assert [each.dag.key for each in built] == ["nightly_de", "nightly_fr"]
        assert [each.dag.settings["tags"] for each in built] == [{"country": "de"}, {"country": "fr"}]
        assert [len(each.dag.tasks) for each in built] == [3, 4]
        assert [each.dag.tasks[0].settings for each in built] == [{"max_retries": 0}, {"max_retries": 2}]
        assert checks.check([each.dag for each in built]) == []
        assert len(encode_jobs([each.dag for each in built])) == 2

    def test_nested_tasks_close_over_the_arguments(self) -> None:
        """What the function was given is there in its tasks, whatever its type, and in functions beside them."""
        jobs = [nightly(Feed("de")), nightly(Feed("fr", ("id", "name")), notify=str.lower)]
        assert [each.tasks["load"].fn(1) for each in jobs] == ["DE ID 1", "fr id,name 1"]

    def test_the_same_job_is_built_alike_again(self) -> None:
        """A second build of one of them, as every task of a run makes it, gives the same DAG and no problem."""
        made = [nightly(Feed("de")), nightly(Feed("fr"))][0]
        first, second = made.build(), made.build()
        assert (first.problems, second.problems) == ((), ())
        assert encode_jobs([first.dag]) == encode_jobs([second.dag])

    def test_a_nested_task_still_must_not_close_over_values_of_the_run(self) -> None:
        """Job parameters and results are refused in closures as anywhere, the factory's arguments are not."""

        def made(country: str) -> Job[...]:
            @job(key=country)
            def one(day: str = "x") -> None:
                @task
                def first() -> str:
                    return country + day

                found = first()

                @task
                def second() -> str:
                    return country + str(found)

                second()

            return one

        assert [message.partition(",")[0] for message in messages(made("de"))] == [
            "the task `first` closes over `day`",
            "the task `second` closes over `found`",
        ]

    def test_a_loop_in_the_body_still_must_not_be_closed_over(self) -> None:
        """A loop variable of the body that a nested task closes over is an error, the factory's argument is not."""

        def made(countries: list[str]) -> Job[[]]:
            @job(key="all")
            def one() -> None:
                for country in countries:

                    @task(key=country)
                    def load() -> str:
                        return country + countries[0]  # noqa: B023 - what is tested

                    load()

            return one

        assert messages(made(["de"])) == []
        (message,) = messages(made(["de", "fr"]))
        assert "`load` closes over `country`, which the job's body changes later" in message


class TestLoops:
    def test_defaults_and_settings_are_those_of_each_turn(self) -> None:
        """What the decorator and the defaults of parameters say is read in each turn of the loop."""
        made = []
        for country in ("de", "fr"):

            @job(key=f"load_{country}", tags={"country": country})
            def load(country: str = country) -> None:
                native_task("show", notebook_task={"notebook_path": "a.py", "base_parameters": {"c": country}})

            made.append(load)
        built = [each.build() for each in made]
        assert [each.problems for each in built] == [(), ()]
        assert [each.dag.parameters[0].default for each in built] == ["de", "fr"]
        assert [each.dag.settings["tags"] for each in built] == [{"country": "de"}, {"country": "fr"}]

    def test_a_body_that_sees_the_last_turn_only_is_refused(self) -> None:
        """A body runs after the loop, so a loop variable in it would be the last one for all jobs."""
        made = []
        for country in ("de", "fr"):

            @job(key=f"load_{country}")
            def load() -> None:
                native_task("show", notebook_task={"notebook_path": f"{country}.py"})  # noqa: B023 - what is tested

            made.append(load)
        (problem,) = made[0].build().problems
        assert "the job `load_de` uses `country`, which the loop that defines the job changes later" in problem.message
        assert problem.hint == "define the job in a function that takes `country`, and call it for each value"
        assert made[1].build().problems == ()

    def test_a_nested_task_that_sees_the_last_turn_only_is_refused(self) -> None:
        """So it would be in the tasks of such bodies."""
        made = []
        for country in ("de", "fr"):

            @job(key=f"load_{country}")
            def load() -> None:
                @task
                def show() -> str:
                    return country  # noqa: B023 - what is tested

                show()

            made.append(load)
        assert len(messages(made[0])) == 1
        assert messages(made[1]) == []


def module(text: str) -> dict[str, Any]:
    """The names of a module with this text, whose loops run at its top."""
    names: dict[str, Any] = {"__name__": "loops"}
    exec(compile("from dbxdec import job, task, native_task\n" + text, "loops.py", "exec"), names)  # noqa: S102
    return names


class TestLoopsOfModules:
    def test_a_global_of_the_loop_is_refused_in_bodies(self) -> None:
        """At the top of a module the loop variable is a global, and the same mistake."""
        names = module("""
made = []
for country in ["de", "fr"]:
    @job(key=country)
    def one():
        @task
        def load() -> str:
            return country
        load()
    made.append(one)
""")
        (message,) = messages(names["made"][0])
        assert "the job `de` uses `country`" in message
        assert messages(names["made"][1]) == []

    def test_a_task_that_each_turn_defines_anew_is_refused_in_bodies(self) -> None:
        """Every job of the loop would use the last turn's task."""
        names = module("""
made = []
for country in ["de", "fr"]:
    @task(key="load_" + country)
    def load() -> str: ...

    @job(key=country)
    def one():
        load()
    made.append(one)
""")
        (message,) = messages(names["made"][0])
        assert "the job `de` uses `load`" in message

    def test_tasks_of_a_loop_that_see_the_last_turn_are_refused(self) -> None:
        """Tasks made in a loop and used in one job would all read the last turn's variable."""
        names = module("""
loads = []
for country in ["de", "fr"]:
    @task(key="load_" + country)
    def load() -> str:
        return country
    loads.append(load)

@job
def one():
    for load in loads:
        load()
""")
        (message,) = messages(names["one"])
        assert "the task `load` uses `country`, which the loop that defines the task changes later" in message

    @pytest.mark.slow
    def test_a_module_imported_again_in_the_same_process_starts_anew(self) -> None:
        """A global that the module changes after the task is no loop, however often a process imports the module."""
        text = """
LIMIT = 1

@task
def load() -> int:
    return LIMIT

LIMIT = 2

@job
def one():
    load()
"""
        found = []
        for _ in range(50):
            made = module(text)["one"]
            found += messages(made)
            forget([made])
            del made
            gc.collect()
        assert found == []

    def test_globals_that_do_not_change_and_attributes_of_that_name_are_fine(self) -> None:
        """Only a name that the body looks up, and that has another value later, is a mistake."""
        names = module("""
prefix = "load_"
made = []
for upper in [str.upper, str.lower]:
    @job(key=prefix + upper.__name__)
    def one():
        native_task("show", notebook_task={"notebook_path": prefix.upper() + ".py"})
    made.append(one)
""")
        assert [messages(each) for each in names["made"]] == [[], []]

    def test_a_job_that_is_defined_once_sees_its_module_as_it_is_in_the_end(self) -> None:
        """What a module says after a job's definition counts, as everywhere in Python."""
        names = module("""
settings = None

@job
def one():
    native_task("show", notebook_task={"notebook_path": settings})

settings = "a.py"
""")
        built = names["one"].build()
        assert built.problems == ()
        assert built.dag.tasks[0].settings == {"notebook_task": {"notebook_path": "a.py"}}


FACTORY = """
from __future__ import annotations

import polars as pl

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


class Feed:
    def __init__(self, country: str, factor: int) -> None:
        self.country = country
        self.factor = factor


@task
def double(total: int) -> int:
    return 2 * total


def nightly(feed: Feed):
    def scaled(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col("id") * feed.factor)

    @job(key=f"nightly_{feed.country}")
    def made(n: int = 4) -> None:
        @task(io_manager=lake.table(f"{feed.country}/orders"))
        def orders(n: int) -> pl.DataFrame:
            return scaled(pl.DataFrame({"id": range(n)}))

        @task
        def total(orders: pl.DataFrame) -> int:
            return orders["id"].sum()

        @task
        def report(total: int) -> None:
            print("REPORT", feed.country, total)

        report(double(total(orders(n))))

    return made
"""
PIPELINE = """
from dbxdec import job, task
from shop.pipelines.feeds import Feed, nightly

jobs = [nightly(Feed(country, factor)) for country, factor in [("de", 1), ("fr", 10)]]

for country in ["es", "it"]:
    @job(key=f"hello_{country}")
    def hello(country: str = country) -> None:
        @task
        def say(country: str) -> None:
            print("HELLO", country)

        say(country)
"""


@pytest.mark.slow
def test_jobs_of_a_wheel_run_each_with_its_own_closure(tmp_path: Path, installation: Installation) -> None:
    """Jobs from another module's function and from a loop are in the wheel, and each runs with what it was made for."""
    project = shop(tmp_path / "repository")
    project.write("src/shop/pipelines/feeds.py", FACTORY)
    project.write("src/shop/pipelines/sales.py", PIPELINE)
    done = project.build()
    assert done.code == 0, done.output
    assert set(project.jobs()) == {"nightly_de", "nightly_fr", "hello_es", "hello_it"}
    assert {job["module"] for job in project.manifest()["jobs"].values()} == {"shop.pipelines.sales"}
    assert set(project.manifest()["jobs"]) == set(project.jobs())
    installed = installation.install(project)
    for name, said in [("nightly_de", "REPORT de 12"), ("nightly_fr", "REPORT fr 120"), ("hello_es", "HELLO es")]:
        ran = installation.dbxdec(installed, "run", name)
        assert ran.code == 0, ran.output
        assert said in ran.output
    assert {path.parent.name for path in (project.root / "lake").rglob("orders") if path.is_dir()} == {"de", "fr"}


def test_a_loop_that_forgets_the_key_is_refused(tmp_path: Path) -> None:
    """Two jobs of one key are an error of the build that names both lines."""
    project = shop(tmp_path / "repository")
    project.write("src/shop/pipelines/feeds.py", FACTORY)
    project.write("src/shop/pipelines/sales.py", PIPELINE.replace('@job(key=f"hello_{country}")', "@job"))
    done = project.build()
    assert done.code != 0
    assert "`hello`" in done.output


def test_a_loop_variable_is_refused_by_the_build(tmp_path: Path) -> None:
    """The build names the job, the variable and the line; the last job of the loop is not wrong."""
    project = shop(tmp_path / "repository")
    project.write("src/shop/pipelines/feeds.py", FACTORY)
    project.write(
        "src/shop/pipelines/sales.py", PIPELINE.replace("hello(country: str = country)", "hello(of: str = country)")
    )
    done = project.build()
    assert done.code != 0
    assert "the job `hello_es` uses `country`" in done.output
    assert "the job `hello_it`" not in done.output
