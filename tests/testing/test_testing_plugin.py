"""The pytest plugin: it costs nothing, breaks nothing, and nothing of one test is left for the next; a job's shape."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import re
import subprocess
import sys

import pytest

from dbxdec import bundle_variable, condition, each, job, native_task, run_date, secret, task
from dbxdec.authoring import jobs
from dbxdec.errors import AuthoringError, RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.testing import job_dag, run_job
from repository import ROOT
from spark_tools import needs_own_spark

pytest_plugins = ["pytester"]

lake = PolarsDeltaIoManager(base_path=bundle_variable("root"), mode="overwrite")


class TestLoading:
    def test_the_plugin_imports_nothing_of_its_own(self) -> None:
        """Beside pytest it loads three small modules of dbxdec, and no third-party one."""
        code = (
            "import json, pytest, sys; before = set(sys.modules); import dbxdec.testing.plugin;"
            "print(json.dumps(sorted(set(sys.modules) - before)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == ["dbxdec", "dbxdec.testing", "dbxdec.testing.plugin"]

    @pytest.mark.parametrize("options", [(), ("-n", "2"), ("-p", "no:dbxdec"), ("-p", "no:assertion")])
    def test_other_projects_do_not_notice_it(self, pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
        """Warnings as errors, several processes, without the plugin: the tests pass, and dbxdec is not used."""
        pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers --strict-config")
        pytester.makepyfile(
            """
            import sys

            def test_one() -> None:
                assert not {"polars", "click", "dbxdec.runtime", "dbxdec.authoring"} & set(sys.modules)

            def test_two() -> None: ...
            """
        )
        done = pytester.runpytest_subprocess("-Werror", *options)
        done.assert_outcomes(passed=2)

    def test_dbxdec_may_have_been_imported_before_pytest_starts(self, pytester: pytest.Pytester) -> None:
        """pytest then warns of no plugin that it can't rewrite."""
        pytester.makepyfile("def test_one() -> None: ...")
        code = "import dbxdec, dbxdec.errors, pytest; raise SystemExit(pytest.main(['-Werror', '-q']))"
        done = pytester.run(sys.executable, "-c", code)
        assert done.ret == 0, done.outlines


LEAKS = """
import logging
import os
import re
import sys

from dbxdec import context, job, set_task_value, task, task_values
from dbxdec.authoring.jobs import registered
from dbxdec.testing import run_job

@job
def of_the_module() -> None: ...

def leave() -> None:
    @job
    def of_the_test() -> None:
        @task
        def spoil() -> None:
            os.environ["LEFT"] = "x"
            os.chdir("/")
            sys.path.append("/left")
            logging.getLogger().addHandler(logging.NullHandler())
            logging.getLogger("dbxdec").setLevel(1)
            set_task_value("x", 1)

        spoil()

    folder, path, handlers = os.getcwd(), list(sys.path), list(logging.getLogger().handlers)
    level = logging.getLogger("dbxdec").level
    run_job(of_the_test, secrets={"a/b": "c"})
    assert "LEFT" not in os.environ and "DBXDEC_SECRET_A_B" not in os.environ
    assert (os.getcwd(), sys.path, logging.getLogger().handlers) == (folder, path, handlers)
    assert logging.getLogger("dbxdec").level == level
    assert task_values.get("spoil", "x", None) is None
    set_task_value("mine", 1)
    assert task_values.get("", "mine") == 1

def check() -> None:
    assert [found.key for found in registered()] == ["of_the_module"]
    assert task_values.get("", "mine", None) is None

def test_a() -> None:
    check()
    leave()

def test_b() -> None:
    check()
    leave()
"""


class TestPollution:
    def test_nothing_is_left(self, pytester: pytest.Pytester) -> None:
        """Jobs, task values, environment, folder, path and logging are as before, after a run and after a test."""
        pytester.makepyfile(LEAKS)
        pytester.runpytest_subprocess("-Werror").assert_outcomes(passed=2)

    def test_modules_that_a_test_imports_keep_their_jobs(self, pytester: pytest.Pytester) -> None:
        """They stay imported, so the next test finds their jobs as well."""
        pytester.makepyfile(
            pipeline="""
            from dbxdec import job, task

            @job
            def other() -> None: ...

            @job
            def first() -> None:
                other()
            """,
            test_it="""
            import dbxdec.testing

            def test_a() -> None:
                from pipeline import first
                assert dbxdec.testing.run_job(first)["other"].state == "success"

            test_b = test_a
            """,
        )
        pytester.runpytest_subprocess("-Werror").assert_outcomes(passed=2)

    def test_jobs_of_a_wider_fixture_stay_usable(self, pytester: pytest.Pytester) -> None:
        """A job knows those that it runs, whatever else has been forgotten or has their key."""
        pytester.makepyfile(
            """
            import pytest
            from dbxdec import job, task
            from dbxdec.testing import run_job

            @pytest.fixture(scope="session")
            def outer():
                @job
                def inner() -> None:
                    @task
                    def number() -> int:
                        return 1

                    number()

                @job
                def outer() -> None:
                    inner()

                return outer

            def test_a(outer) -> None:
                @job
                def inner() -> None: ...

                assert run_job(outer)["inner"].run.outputs == {"number": 1}

            test_b = test_a
            """
        )
        pytester.runpytest_subprocess("-Werror").assert_outcomes(passed=2)

    def test_a_task_does_not_see_what_another_has_changed(self) -> None:
        """As on the platform, where each has a process of its own."""

        @job
        def one() -> None:
            @task
            def spoil() -> None:
                os.environ["LEFT"] = "x"
                logging.disable(logging.CRITICAL)

            @task
            def look() -> list[bool]:
                return ["LEFT" in os.environ, logging.getLogger().isEnabledFor(logging.CRITICAL)]

            spoil() >> look()

        assert run_job(one)["look"].value == [False, True]


@job(tags={"team": "ops"})
def shaped(day: dt.date = run_date(offset_days=-1), limit: int = 3) -> None:
    @task
    def names(prefix: str) -> list[str]:
        return [prefix]

    @task
    def show(name: str, password: str, limit: int) -> None: ...

    @task
    def late(names: list[str], ratio: float, where: str) -> int:
        return 1

    found = names("x")
    hidden = show(each(found), secret("a", "b"), limit)
    counted = late.override(max_retries=2)(found, 0.5, bundle_variable("place"))
    branch = condition(counted, ">", limit, key="many")
    branch.then(hidden).otherwise(native_task("tell", notebook_task={"notebook_path": "x.py"}))


class TestShape:
    def test_tasks_edges_and_bindings(self) -> None:
        """All in words that read like the job's body; secrets and bundle variables stay names."""
        dag = job_dag(shaped)
        assert dag.tasks == {"names", "show", "late", "many", "tell"}
        assert dag.edges == {
            ("names", "show"),
            ("names", "late"),
            ("late", "many"),
            ("many.true", "show"),
            ("many.false", "tell"),
        }
        assert dag.parameters == {"day": 'run_date(offset_days=-1, tz="UTC")', "limit": "3"}
        assert dag.settings == {"tags": {"team": "ops"}}
        assert dag["names"].inputs == {"prefix": "'x'"}
        assert dag["late"].inputs["names"] == "names"
        assert dag["late"].inputs["ratio"] == "0.5"
        assert "${var.place}" in dag["late"].inputs["where"]
        assert dag["show"].inputs["name"] == "each item"
        assert dag["show"].inputs["limit"] == "parameter limit"
        assert (dag["show"].kind, dag["show"].each) == ("for each", "names")
        assert dag["late"].settings == {"max_retries": 2}
        assert dag["show"].after == {"names", "many.true"}
        assert dag["tell"].kind == "notebook_task"
        with pytest.raises(RunError, match="did you mean `late`"):
            dag["lat"]

    def test_targets(self) -> None:
        """Where results go, with bundle variables as they are."""

        @job
        def one() -> None:
            lazy(1)

        assert job_dag(one)["lazy"].targets == {"result": "${var.root}/lazy"}

    def test_what_the_build_refuses_is_an_error(self) -> None:
        """Mistakes of the body, and those that only the whole DAG shows, each with its line."""

        @job
        def wrong() -> None:
            lazy("x")  # type: ignore[arg-type]
            lazy.override(key="again")(n=1, m=2)  # type: ignore[call-arg]

        with pytest.raises(AuthoringError, match=r"test_testing_plugin.py:\d+: the task `lazy` has no parameter `m`"):
            job_dag(wrong)

        @job
        def twice() -> None:
            shared = lazy.override(io_manager=lake.table("t"))
            shared.override(key="a")(1)
            shared.override(key="b")(2)

        with pytest.raises(AuthoringError, match=r"`twice\.a` and `twice\.b` write the same target"):
            job_dag(twice)

    def test_looking_at_a_shape_defines_no_job(self) -> None:
        """Neither does running one."""
        before = jobs.registered()
        job_dag(shaped)
        assert jobs.registered() == before


@task(io_manager=lake)
def lazy(n: int):  # type: ignore[no-untyped-def]
    return None


class TestDocumentation:
    @pytest.mark.slow
    @pytest.mark.parametrize("engine", ["polars", pytest.param("spark", marks=needs_own_spark)])
    def test_its_code_runs(self, pytester: pytest.Pytester, engine: str) -> None:
        """The pipeline and all tests of docs/testing.md, as a user would have them."""
        text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
        blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL)
        count = 0
        for path, code in blocks:
            if ("pyspark" in code) != (engine == "spark"):
                continue
            count += code.count("def test_")
            file = pytester.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as writing:
                writing.write(code + "\n\n")
        strict = "" if engine == "spark" else "filterwarnings = error"  # of warnings of pyspark's own
        pytester.makeini(f"[pytest]\npythonpath = src\n{strict}")
        done = pytester.runpytest_subprocess()
        assert count > 0
        done.assert_outcomes(passed=count)
