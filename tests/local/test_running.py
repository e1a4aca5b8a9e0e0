"""`dbxdec run` grown up: parallel, resumed, selected, replaced, from the tree, and what is left of a run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import zipfile
from pathlib import Path

import polars as pl
import pytest

from dbxdec.build.wheels import read_wheel
from dbxdec.local import builds, ledger
from dbxdec.local.history import Run
from dbxdec.local.resuming import has_stored_nothing
from projects import Project, shop
from running import DBXDEC, MARK, dbxdec, define, empty, marks, states, wait_for, wait_for_no_worker


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return empty(tmp_path.resolve())


MEETING = """
def meet(own: str, other: str) -> None:
    Path(own).touch()
    for _ in range(600):
        if Path(other).exists():
            return
        time.sleep(0.05)
    raise TimeoutError(other)


@job
def pair() -> None:
    @task
    def one() -> None:
        meet("one", "two")

    @task
    def two() -> None:
        meet("two", "one")

    one()
    two()


@job
def twins() -> None:
    @task
    def meeting(names: list[str]) -> None:
        meet(*names)

    meeting(each([["a", "b"], ["b", "a"]], concurrency=2))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pair", "twins"])
def test_tasks_and_iterations_run_at_once(project: Project, name: str) -> None:
    """Two that wait for each other end well, since both run; the iterations of a for-each task too."""
    define(project, MEETING)
    said = dbxdec(project, "run", name, "--jobs", "2")
    assert said.code == 0, said


COUNTED = (
    MARK
    + """
seen = []


@job
def counted() -> None:
    @task
    def first() -> int:
        seen.append(1)
        os.environ["LEFT"] = "x"
        os.chdir("/")
        return len(seen)

    @task
    def second(first: int) -> None:
        seen.append(1)
        mark(f"{len(seen)} {os.environ.get('LEFT')} {Path.cwd().name == '' } {os.getpid()}")

    @task
    def third() -> None:
        mark(str(os.getpid()))

    third().after(second(first()))
"""
)


@pytest.mark.slow
def test_a_warm_process_shows_a_task_nothing_of_the_one_before(project: Project) -> None:
    """Module state, environment and working directory are as new for each task; the process is the same."""
    define(project, COUNTED)
    assert dbxdec(project, "run", "counted").code == 0
    count, left, at_root, pid, other = marks(project)
    assert (count, left, at_root) == ("1", "None", "False")
    assert pid == other


SPOILING = """
@job
def spoilt() -> None:
    @task
    def first() -> None:
        import json

        json.loads = None

    @task
    def second() -> None: ...

    second().after(first())
"""


@pytest.mark.slow
def test_a_task_that_spoils_its_process_stops_no_run(project: Project) -> None:
    """What a task does to Python's modules keeps no later one waiting for its process."""
    define(project, SPOILING)
    assert dbxdec(project, "run", "spoilt", "--jobs", "1", "--replace", "second=true").code == 0


def test_modules_that_pythons_own_hide_are_not_where_tasks_import_from(tmp_path: Path) -> None:
    """A wheel of any origin may have them; where it is installed, Python's own come first."""
    project = shop(tmp_path)
    assert project.build().code == 0
    with zipfile.ZipFile(project.wheel, "a") as archive:
        for name in ("json.py", "queue/__init__.py", "queue/data.txt", "shop/json.py"):
            archive.writestr(name, "raise ValueError")
    found = read_wheel(project.wheel, verified=False)
    build = builds.of_wheel(project.wheel, found, tmp_path / "state")
    assert build.folder is not None
    files = {path.relative_to(build.folder).as_posix() for path in build.folder.rglob("*") if path.is_file()}
    assert {"queue/data.txt", "shop/json.py"} <= files
    assert files.isdisjoint(["json.py", "queue/__init__.py"])
    before = (build.folder / "shop").stat().st_ino
    assert builds.of_wheel(project.wheel, found, tmp_path / "state").folder == build.folder
    assert (build.folder / "shop").stat().st_ino == before


@pytest.mark.slow
def test_at_most_as_many_tasks_as_asked_for_run_at_once(project: Project) -> None:
    """With --jobs 1 two tasks never overlap, whatever the DAG allows."""
    define(
        project,
        MARK
        + """
@job
def apart() -> None:
    @task
    def work(n: int) -> None:
        mark(f"begin{n}")
        time.sleep(0.2)
        mark(f"end{n}")

    for n in range(3):
        work.override(key=f"work{n}")(n)
""",
    )
    assert dbxdec(project, "run", "apart", "-j", "1").code == 0
    found = marks(project)
    assert [a.replace("begin", "end") for a in found[::2]] == found[1::2]


DEATHS = """
@job
def deaths() -> None:
    @task
    def killed() -> None:
        os.kill(os.getpid(), 9)

    @task
    def left() -> None:
        os._exit(0)

    @task
    def crashed() -> None:
        import faulthandler
        faulthandler._sigsegv()

    @task
    def fine() -> None: ...

    killed()
    left()
    crashed()
    fine()
"""


@pytest.mark.slow
def test_a_task_that_kills_its_process_fails_with_the_reason(project: Project) -> None:
    """Each death is said, and costs no other task anything."""
    define(project, DEATHS)
    said = dbxdec(project, "run", "deaths", "-j", "1")
    assert said.code == 1
    assert states(project) == {"killed": "failed", "left": "failed", "crashed": "failed", "fine": "success"}
    assert "killed | the task's process was killed by SIGKILL" in said.out
    assert "left | the task ended its own process, with exit code 0" in said.out
    assert "crashed | the task's process was killed by SIGSEGV" in said.out


BROKEN = (
    MARK
    + """
@job
def broken() -> None:
    @task(io_manager=lake)
    def load() -> pl.DataFrame:
        mark("load")
        return pl.DataFrame({"x": [1, 2]})

    @task(io_manager=lake)
    def double(load: pl.DataFrame) -> pl.DataFrame:
        mark("double")
        if not Path("mended").exists():
            raise ValueError("not mended yet")
        return load * 2

    @task
    def tell(double: pl.DataFrame) -> int:
        mark("tell")
        return int(double["x"].sum())

    tell(double(load()))
"""
)


def test_a_failed_run_is_resumed(project: Project) -> None:
    """What succeeded is kept, the rest runs in the same run; the author's traceback comes before the way to go on."""
    define(project, BROKEN)
    said = dbxdec(project, "run", "broken")
    assert said.code == 1
    assert states(project) == {"load": "success", "double": "failed", "tell": "upstream failed"}
    trace, way = said.out.index("ValueError: not mended yet"), said.out.index("dbxdec run broken --resume ")
    assert trace < way
    assert 'File "src/shop/pipelines/sales.py", line' in said.out
    assert "/dbxdec/runtime/" not in said.out[: said.out.index("ValueError")]
    (project.root / "mended").touch()
    before = ledger.find(project.root, "last").id
    resumed = dbxdec(project, "run", "broken", "--resume")
    assert resumed.code == 0, resumed
    last = ledger.find(project.root, "last")
    assert (last.id, last.state, last.repairs) == (before, "success", 1)
    assert marks(project) == ["load", "double", "double", "tell"]
    assert sorted(pl.read_delta(str(project.root / "lake/double"))["x"]) == [2, 4]
    assert dbxdec(project, "run", "broken", "--resume", before).code == 2


@pytest.mark.slow
def test_resuming_takes_the_code_as_it_is_now(project: Project) -> None:
    """The usual way on is to mend the code: finished tasks are kept as long as their inputs and outputs are."""
    define(project, BROKEN)
    assert dbxdec(project, "run", "broken").code == 1
    project.edit("src/shop/pipelines/sales.py", 'if not Path("mended").exists():', "if False:")
    said = dbxdec(project, "run", "broken", "--resume")
    assert said.code == 0, said
    assert marks(project) == ["load", "double", "double", "tell"]


def test_a_task_with_a_new_name_does_not_append_again_in_a_resumed_run(project: Project) -> None:
    """Nothing tells that the rows of the task with the old name are there."""
    define(project, BROKEN.replace("io_manager=lake)", 'io_manager=lake.table("numbers", mode="append"))', 1))
    assert dbxdec(project, "run", "broken").code == 1
    (project.root / "mended").touch()
    source = "src/shop/pipelines/sales.py"
    project.edit(source, "def load()", "def loaded()")
    project.edit(source, "tell(double(load()))", "tell(double(loaded()))")
    said = dbxdec(project, "run", "broken", "--resume")
    assert (said.code, "the task `load` has appended to lake/numbers, to which now `loaded`" in said.err) == (2, True)
    project.edit(source, 'mode="append"))', 'mode="append"), key="load")')
    assert dbxdec(project, "run", "broken", "--resume").code == 0
    assert pl.read_delta(str(project.root / "lake/numbers")).height == 2


@pytest.mark.slow
def test_a_task_that_was_gone_in_between_is_remembered_by_its_run(project: Project) -> None:
    """The run is resumed without the task, and then with another one that appends to the same table."""
    body = BROKEN.replace("io_manager=lake)", 'io_manager=lake.table("numbers", mode="append"))', 1)
    define(project, body)
    assert dbxdec(project, "run", "broken").code == 1
    define(
        project,
        "@job\ndef broken() -> None:\n    @task\n    def fails() -> None:\n        raise ValueError\n\n    fails()\n",
    )
    assert dbxdec(project, "run", "broken", "--resume").code == 1
    define(project, body.replace("def load()", "def loaded()").replace("double(load())", "double(loaded())"))
    said = dbxdec(project, "run", "broken", "--resume")
    assert (said.code, "the task `load` has appended to lake/numbers, to which now `loaded`" in said.err) == (2, True)


def test_an_attempt_that_an_earlier_repair_has_lost_may_have_stored_something(tmp_path: Path) -> None:
    """It was killed, and the next repair has ended well before that task began again."""
    events = [
        {"event": "started", "repair": 0, "time_ms": 1, "selected": ["a"], "kept": {}},
        {"event": "begun", "task": "a", "iteration": None, "attempt": 1, "title": "a", "log": "logs/a", "time_ms": 2},
        {"event": "started", "repair": 1, "time_ms": 3, "selected": ["a"], "kept": {}},
        {"event": "ended", "state": "failed", "time_ms": 4},
    ]
    (tmp_path / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    run = Run(tmp_path, {})
    assert ([event["task"] for event in run.lost()], run.unended()) == (["a"], [])
    assert not has_stored_nothing(run)


@pytest.mark.slow
def test_other_parameters_are_no_resumption(project: Project) -> None:
    """A resumed run has the values that it began with; others are refused by name."""
    define(
        project,
        """
@job
def given(n: int = 1) -> None:
    @task
    def fails(n: int) -> None:
        raise ValueError(n)

    fails(n)
""",
    )
    assert dbxdec(project, "run", "given", "--param", "n=2").code == 1
    said = dbxdec(project, "run", "given", "--resume", "--param", "n=3")
    assert (said.code, "other values of the parameter `n`" in said.err) == (2, True)
    said = dbxdec(project, "run", "given", "--resume", "--param", "n=3", "--param", "m=1", "--task", "x", "--root", "r")
    assert said.code == 2
    assert said.err.count("the run to resume had") == 2  # `n`, and the root
    assert "no parameter `m`" in said.err
    assert "no task `x`" in said.err
    assert "ValueError: 2" in dbxdec(project, "run", "given", "--resume", "--param", "n=02").out


def test_a_run_to_resume_that_is_not_there_hides_no_other_mistake(project: Project) -> None:
    """What the run would have given is not called missing."""
    define(project, "@task\ndef load(n: int) -> None: ...\n\n\n@job\ndef given(n: int) -> None:\n    load(n)\n")
    said = dbxdec(project, "run", "given", "--resume", "12", "--param", "m=1", "--task", "x", "--replace", "y=z")
    assert said.code == 2
    assert all(part in said.err for part in ("no run", "no parameter `m`", "no task `x`", "no task `y`"))
    assert "needs a value" not in said.err
    said = dbxdec(project, "run", "givne", "--resume", "12")
    assert (said.code, "no run" in said.err, "did you mean `given`" in said.err) == (2, True, True)


KILLED = (
    MARK
    + """
@job
def long() -> None:
    @task(io_manager=lake)
    def first() -> pl.DataFrame:
        mark("first")
        return pl.DataFrame({"x": [1, 2, 3]})

    @task(io_manager=lake)
    def second(first: pl.DataFrame) -> pl.DataFrame:
        mark("second")
        if not Path("go").exists():
            Path("waiting").touch()
            time.sleep(600)
        return first

    @task(io_manager=lake)
    def third(second: pl.DataFrame) -> pl.DataFrame:
        mark("third")
        return second

    third(second(first()))
"""
)


def test_a_killed_run_is_resumed_to_the_result_of_an_unbroken_one(project: Project) -> None:
    """After SIGKILL of the runner no process is left; resumed, finished tasks don't run again and no row is double."""
    define(project, KILLED)
    with subprocess.Popen([*DBXDEC, "run", "long"], cwd=project.root, stdout=subprocess.DEVNULL) as runner:
        wait_for(project.root / "waiting")
        runner.send_signal(signal.SIGKILL)
    run = ledger.find(project.root, "last")
    assert run.state == "interrupted"
    wait_for_no_worker(project.root)
    (project.root / "go").touch()
    said = dbxdec(project, "run", "long", "--resume")
    assert said.code == 0, said
    assert marks(project) == ["first", "second", "second", "third"]
    for name in ("first", "second", "third"):
        assert sorted(pl.read_delta(str(project.root / "lake" / name))["x"]) == [1, 2, 3]


LINE = (
    MARK
    + """
@job
def line() -> None:
    @task
    def a() -> int:
        mark("a")
        return 1

    @task
    def b(a: int | None) -> int:
        mark(f"b{a}")
        return 2

    @task
    def c(b: int | None) -> None:
        mark(f"c{b}")

    @task
    def d() -> None:
        mark("d")

    c(b(a()))
    d()
"""
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "ran"),
    [
        (["--task", "b"], ["bNone"]),
        (["--from", "b"], ["bNone", "c2"]),
        (["--until", "b"], ["a", "b1"]),
        (["--from", "b", "--until", "b"], ["bNone"]),
        (["--task", "d", "--task", "a"], ["a", "d"]),
    ],
)
def test_parts_of_a_job(project: Project, options: list[str], ran: list[str]) -> None:
    """--task, --from and --until choose; what is left out counts as done, and its readers get None."""
    define(project, LINE)
    assert dbxdec(project, "run", "line", *options).code == 0
    assert sorted(marks(project)) == sorted(ran)
    assert set(states(project).values()) == {"success", "not selected"}


NEEDED = """
@job
def line(n: int = 1) -> None:
    @task(io_manager=lake)
    def rows(n: int) -> pl.DataFrame | None:
        return pl.DataFrame({"x": [n]}) if n else None

    @task
    def count(rows: pl.DataFrame) -> int:
        task_values.set("height", rows.height)
        return rows.height

    @task
    def report(count: int) -> None:
        print("REPORT", count)

    @task
    def other(height: int) -> None:
        print("OTHER", height)

    counted = count(rows(n))
    report(counted)
    other(counted.value("height"))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        (
            ["--task", "count"],
            "the task `rows` did not run in this run (not selected), so it has returned nothing, but `rows` needs it",
            "run it too, as with `--from rows --until count`, or in a test with `inputs=`; or annotate `rows` with",
        ),
        (
            ["--from", "report"],
            "the task `count` did not run in this run (not selected), so it has returned nothing, but `count` needs it",
            "as with `--from count --until report`, or in a test with `inputs=`; or annotate `count` with",
        ),
        (
            ["--task", "other"],
            "the task `count` did not run in this run (not selected), so it has returned nothing, but `height`",
            "as with `--from count --until other`",
        ),
        (
            ["--replace", "rows=true"],
            "the task `rows` did not run in this run (replaced by a command), so it has returned nothing",
            "hint: annotate `rows` with `| None`",
        ),
        (
            ["-p", "n=0"],
            "the task `rows` wrote nothing to lake/rows in this run",
            "hint: annotate the parameter `rows` with",
        ),
    ],
)
@pytest.mark.sampled(2)
def test_a_reader_says_why_there_is_nothing_to_read(project: Project, options: list[str], said: str, hint: str) -> None:
    """A task that was left out is told from one that has written nothing, also where an earlier run has written."""
    define(project, "from dbxdec import task_values\n" + NEEDED)
    assert dbxdec(project, "run", "line").code == 0
    found = dbxdec(project, "run", "line", *options)
    assert found.code == 1
    assert said in found.out
    assert hint in found.out


@pytest.mark.slow
def test_an_optional_reader_says_why_it_gets_none(project: Project) -> None:
    """None of a task that was left out is said to be that."""
    define(project, LINE)
    found = dbxdec(project, "run", "line", "--task", "b")
    assert "read a: None, since the task `a` did not run in this run (not selected)" in found.out


def test_misspelt_tasks_are_refused(project: Project) -> None:
    """Unknown keys of each option are named, with the nearest one, before anything runs."""
    define(project, LINE.replace("def d()", "def deliver()").replace("    d()", "    deliver()"))
    said = dbxdec(project, "run", "line", "--from", "delivr", "--until", "x", "--replace", "y=true")
    assert said.code == 2
    assert "did you mean `deliver`?" in said.err or "no task `y`" in said.err
    assert marks(project) == []


NATIVE = (
    MARK
    + """
@job
def mixed(day: str = "monday") -> None:
    @task
    def after() -> None:
        mark("after")

    show = native_task("show", notebook_task={"notebook_path": "notebooks/show"})
    after().after(show)
"""
)


@pytest.mark.slow
def test_native_tasks_are_skipped_or_replaced(project: Project) -> None:
    """A notebook is skipped by name; --replace runs a command in its place, with references resolved."""
    define(project, NATIVE)
    said = dbxdec(project, "run", "mixed")
    assert said.code == 0
    assert "notebook_task runs only on the platform: skipped" in said.out
    assert states(project) == {"show": "skipped", "after": "success"}
    said = dbxdec(project, "run", "mixed", "--replace", "show=echo day is {{job.parameters.day}}")
    assert (said.code, "show | day is monday" in said.out) == (0, True)
    said = dbxdec(project, "run", "mixed", "--replace", "show=echo hi; exit 3")
    assert (said.code, "  hi\n  the command ended with exit code 3\n" in said.out) == (1, True), said.out
    assert states(project) == {"show": "failed", "after": "upstream failed"}


REMOTE = """
cloud = PolarsDeltaIoManager(base_path="abfss://lake@acct.dfs.core.windows.net/x", mode="overwrite",
                             storage_options={"account_key": "unknown"})


@job
def far() -> None:
    @task(io_manager=cloud)
    def save() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    @task
    def count(save: pl.LazyFrame) -> int:
        return save.collect().height

    count(save())
"""


@pytest.mark.slow
def test_remote_places_lie_below_a_local_root(project: Project) -> None:
    """A job whose tables are in a cloud runs on a laptop without it; where they are is shown."""
    define(project, REMOTE)
    said = dbxdec(project, "run", "far")
    assert said.code == 0, said
    there = ".dbxdec/lake/abfss/lake_acct.dfs.core.windows.net/x/save"
    assert f"abfss://lake@acct.dfs.core.windows.net/x/save (here: {there})" in said.out
    assert pl.read_delta(str(project.root / there)).height == 1
    other = dbxdec(project, "run", "far", "--root", "elsewhere")
    assert other.code == 0
    assert (project.root / "elsewhere/abfss").is_dir()


@pytest.mark.slow
def test_the_tree_is_run_as_it_is_and_as_it_would_be_shipped(project: Project) -> None:
    """No build is needed; a module that the wheel leaves out can't be imported; mistakes are those of a build."""
    define(project, "import shop.helpers\n" + LINE)
    project.write("src/shop/helpers.py", "")
    assert dbxdec(project, "run", "line").code == 0
    assert not (project.root / "dist").exists()
    project.write(".gitignore", "helpers.py\n")
    project.run("git", "init", "-q")
    said = dbxdec(project, "run", "line")
    assert said.code == 1
    assert "shop.helpers" in said.err


@pytest.mark.slow
def test_a_wheel_runs_without_being_installed(project: Project, tmp_path: Path) -> None:
    """--wheel runs what is in the wheel, whatever the tree is by now."""
    define(project, LINE)
    assert project.build().code == 0
    define(project, "raise RuntimeError\n")
    said = dbxdec(project, "run", "line", "--wheel", str(project.wheel))
    assert said.code == 0, said
    assert sorted(marks(project)) == ["a", "b1", "c2", "d"]


@pytest.mark.slow
def test_secrets_are_in_no_log(project: Project) -> None:
    """The value of a secret that a task prints is hidden, on the screen, in the log and in the report."""
    define(
        project,
        """
from dbxdec import secret


@job
def telling() -> None:
    @task
    def tells() -> None:
        print("the key is", secret("vault", "key").value())

    tells()
""",
    )
    said = dbxdec(project, "run", "telling", "--report", "r.html", DBXDEC_SECRET_VAULT_KEY="hunter2-hunter2")  # noqa: S106 - made up
    assert said.code == 0, said
    assert "the key is [secret]" in said.out
    for path in project.root.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


@pytest.mark.slow
def test_records_as_json_and_the_report(project: Project) -> None:
    """`--json` prints the record alone on stdout; `runs`, `runs show` and `runs report` read the same."""
    define(project, BROKEN.replace('if not Path("mended").exists():', "if False:"))
    said = dbxdec(project, "run", "broken", "--json")
    record = json.loads(said.out)
    assert (record["state"], record["job"], said.code) == ("success", "broken", 0)
    (attempt,) = next(task for task in record["tasks"] if task["task"] == "double")["runs"]
    facts = {(fact["kind"], fact["name"]): fact for fact in attempt["facts"]}
    assert facts["write", "double"]["rows"] == 2
    assert facts["read", "load"]["version"] == 0
    assert facts["read", "load"]["columns"] == [["x", "Int64"]]
    assert json.loads(dbxdec(project, "runs", "--json").out)[0]["id"] == record["id"]
    assert json.loads(dbxdec(project, "runs", "show", record["id"][-6:], "--json").out) == record
    path = Path(dbxdec(project, "runs", "report", "last").out.strip())
    text = path.read_text()
    assert not re.search(r'(?:src|href)="?(?:https?:)?//', text)
    for expected in ("double", "Int64", "lake/double", 'id="task-tell"', "success"):
        assert expected in text
    assert dbxdec(project, "runs", "show", "999").code == 2


@pytest.mark.slow
def test_fresh_sets_aside_what_is_there(project: Project) -> None:
    """--fresh starts from nothing and loses nothing: earlier results are kept below .dbxdec."""
    define(project, BROKEN.replace('if not Path("mended").exists():', "if False:"))
    for options in ([], [], ["--fresh"]):
        assert dbxdec(project, "run", "broken", *options).code == 0
    assert pl.read_delta(str(project.root / "lake/double")).height == 2
    (aside,) = (project.root / ".dbxdec/set_aside").glob("*/lake/double")
    assert pl.read_delta(str(aside)).height == 4


@pytest.mark.slow
def test_an_interrupted_task_may_clean_up(project: Project) -> None:
    """Ctrl-C is a KeyboardInterrupt in each task, as in any program; the run ends with 130."""
    define(
        project,
        """
@job
def patient() -> None:
    @task
    def waits() -> None:
        Path("waiting").touch()
        try:
            time.sleep(600)
        finally:
            Path("cleaned").touch()

    waits()
""",
    )
    with subprocess.Popen([*DBXDEC, "run", "patient"], cwd=project.root, stdout=subprocess.DEVNULL) as runner:
        wait_for(project.root / "waiting")
        runner.send_signal(signal.SIGINT)
    assert runner.returncode == 130
    assert (project.root / "cleaned").exists()
    assert states(project) == {"waits": "cancelled"}
    wait_for_no_worker(project.root)


@pytest.mark.slow
def test_the_time_limit_of_a_job_ends_its_tasks(project: Project) -> None:
    """A job over its timeout_seconds is stopped, and nothing more of it starts."""
    define(
        project,
        """
@job(timeout_seconds=1)
def slow() -> None:
    @task
    def waits() -> None:
        time.sleep(600)

    @task
    def behind() -> None: ...

    behind().after(waits())
""",
    )
    said = dbxdec(project, "run", "slow")
    assert said.code == 1
    assert states(project) == {"waits": "timed out", "behind": "cancelled"}
    assert "timed out" in said.out.splitlines()[-2]


@pytest.mark.slow
def test_a_run_from_a_folder_of_the_project_is_the_projects(project: Project) -> None:
    """Its record, its local tables and relative places are at the root, from whichever folder it is started."""
    define(
        project,
        MARK
        + """
@job
def placed() -> None:
    @task
    def where() -> None:
        mark(str(Path.cwd()))

    where()
""",
    )
    inside = Project(project.root / "src", project.environment)
    assert dbxdec(inside, "run", "placed").code == 0
    assert marks(project) == [str(project.root)]
    assert not (inside.root / ".dbxdec").exists()
    assert "placed" in dbxdec(inside, "runs").out
    assert "placed" in dbxdec(project, "runs").out


APART = """
import datetime as dt
import decimal
import time
from decimal import Decimal

import common


@task
def first() -> int:
    decimal.getcontext().prec = 4
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    common.SEEN.append("first")
    return 1


@task
def second(n: int) -> str:
    hour = dt.datetime.fromtimestamp(0).hour
    return f"{common.SEEN} {Decimal('1234.56') + 1} {hour}"


@task
def told(text: str) -> None:
    print("TOLD", text)


@job
def apart() -> None:
    told(second(first()))
"""


def test_a_task_sees_nothing_that_another_task_has_left_in_the_process(project: Project) -> None:
    """On the platform each has a process of its own; here many share one, with all modules of the wheel."""
    project.edit("pyproject.toml", 'packages = ["src/shop"]', 'packages = ["src/shop", "src/common"]')
    project.write("src/common/__init__.py", "SEEN = []\n")
    define(project, APART)
    found = dbxdec(project, "run", "apart", "-j", "1", TZ="UTC")
    assert "TOLD [] 1235.56 0" in found.out, found
