"""Discovery in its child process: stand-ins for absent modules, and code at import that misbehaves."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from dbxdec.build.discovery.process import discover
from dbxdec.build.discovery.spec import ShippedFile
from dbxdec.errors import DiscoveryError

PREAMBLE = "from __future__ import annotations\nfrom dbxdec import job, task\n"
JOB = "\n\n@job\ndef nightly() -> None:\n    @task\n    def step() -> int:\n        return 1\n\n    step()\n"


def files_of(root: Path, modules: dict[str, str]) -> list[ShippedFile]:
    """The modules of a package `p`, written to `root`, as files of a wheel."""
    found = []
    for path, text in {"p/__init__.py": "", "p/pipelines/__init__.py": "", **modules}.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        found.append(ShippedFile(path, str(target), f"src/{path}"))
    return found


def run(root: Path, code: str, **options: Any) -> Any:
    """Discover one module of pipelines: `code` between the imports and a job."""
    preamble = options.pop("preamble", PREAMBLE)
    text = preamble + textwrap.dedent(code) + JOB
    return discover(
        files_of(root, {"p/pipelines/m.py": text}), project="p", version="1", pipelines=["p.pipelines"], **options
    )


def refused(root: Path, code: str, **options: Any) -> str:
    with pytest.raises(DiscoveryError) as error:
        run(root, code, **options)
    return str(error.value)


ACCEPTED = {
    "attributes": "import acme\nreader = acme.io.Reader",
    "submodules": "import acme.io.fast as fast\nfrom acme.io import Reader",
    "plain calls": "from acme import connect\nclient = connect('eu', retries=3).session()",
    "subscripts": "from acme import Table\nrows = Table['id']",
    "unions": "import typing as t\nfrom acme import A, B\nx = A | None\ny = t.Optional[B]\nz = t.Union[A, B, int]",
    "evaluated annotations": "import typing as t, acme\ndef f(x: acme.Frame) -> acme.Frame: ...\nt.get_type_hints(f)",
    "annotations of tasks": (
        "from acme import Frame\n@task\ndef first(x: Frame | None, y: list[Frame]) -> Frame: ...\n"
        "@task\ndef second(x: 'Frame', y: int | Frame = 3) -> 'dict[str, Frame]': ...\n"
    ),
    "operators": "import acme\nx = 3 // acme.A >> acme.B @ 2\ny = round(abs(acme.A)), divmod(3, acme.B), 2**acme.A",
    "what is set": "import acme\nacme.options['rows'] = 3\nacme.options.rows = 3\ndel acme.options['rows'], acme.a.b",
    "two base classes": "from acme import A, B\nclass Both(A, B):\n    pass",
    "the same base twice removed": "from acme import A\nclass One(A):\n    pass\nclass Two(One, A):\n    pass",
    "class keywords": "from acme import Model\nclass Row(Model, frozen=True):\n    x: int = 1",
    "generic bases": "import typing\nfrom acme import Box\nclass Mine(Box[int]):\n    pass",
    "version of itself": "import importlib.metadata\nassert importlib.metadata.version('p') == '1'",
    "type variables": (
        "import typing as t\nimport acme\nX = t.TypeVar('X', acme.A, acme.B)\nY = t.TypeVar('Y', bound=acme.A)"
    ),
    "type checking imports": "import typing\nif typing.TYPE_CHECKING:\n    import acme",
    "prints": "print('hello' * 10_000)",
    "a thread left running": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()",
    "another working directory": "import os\nos.chdir('/')",
    "a written file": "open('left_behind.txt', 'w').close()",
}

REFUSED = {
    "truth": ("import acme\nif acme.FLAG:\n    pass", "`acme.FLAG` is used as a truth value"),
    "iteration": ("from acme import rows\nfor row in rows:\n    pass", "`acme.rows` is iterated"),
    "comparison": ("import acme\nnew = acme.__version__ >= '2'", "is compared"),
    "text": ("import acme\nname = f'{acme.name}'", "is converted to a string"),
    "star import": ("from acme import *", "imported with `*`"),
    "a decorator": (
        "from acme import retry\n@retry\ndef helper(): ...",
        "called with `helper`, which it would replace",
    ),
    "an instance": ("from acme import Model\nclass Row(Model):\n    pass\nrow = Row()", "the base of `Row`"),
    "isinstance": ("import acme\nfound = isinstance(3, acme.Frame)", "used in `isinstance`"),
    "issubclass": ("import acme\nfound = issubclass(int, (str, acme.Frame))", "used in `issubclass`"),
    "a context": ("import acme\nwith acme.connect() as session:\n    pass", "is used in `with`"),
    "a number": ("import acme\nport = int(acme.PORT)", "is used as a number"),
    "a range": ("import acme\nports = range(acme.PORTS)", "is used as a number"),
    "a path": ("import acme, os\nroot = os.path.join('a', acme.ROOT)", "is used as a path"),
    "a file": ("import acme\nopen(acme.ROOT)", "is used as a path"),
    "JSON": ("import acme, json\ntext = json.dumps(acme.ROOT)", "`StandIn` is the placeholder for names of `acme`"),
    "an exception": (
        "import acme\ntry:\n    1 / 0\nexcept acme.Error:\n    pass",
        "catching classes that do not inherit",
    ),
    "a call in a job's body": (
        "import acme\n@job\ndef other() -> None:\n    acme.settings()",
        "called in the body of the job `other`",
    ),
    "a literal": (
        "import acme\n@task\ndef first(x: object) -> int: ...\n@job\ndef other() -> None:\n    first(acme.DEFAULT)",
        "comes from a module that is not installed",
    ),
    "a standard library module that does not exist": ("import collections.nothing", "collections.nothing"),
    "a missing module below an installed one": ("import json.nothing", "json.nothing"),
    "a missing name of an installed module": ("from json import nothing", "cannot import name 'nothing'"),
    "a module of its own that does not exist": ("import p.nothing", "p.nothing"),
}


@pytest.mark.parametrize("code", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_a_module_may_do_with_what_is_absent(tmp_path: Path, code: str) -> None:
    """Names, annotations, base classes, plain calls, and noise of any kind do not stop the build."""
    found = run(tmp_path / "tree", code)
    assert set(found.jobs) == {"nightly"}
    assert found.stand_ins == (("acme",) if "acme" in code and "TYPE_CHECKING" not in code else ())
    assert not list(tmp_path.rglob("left_behind.txt"))


@pytest.mark.parametrize("future", [True, False], ids=["as text", "evaluated"])
def test_annotations_of_absent_types_decide_as_those_of_present_ones(tmp_path: Path, future: bool) -> None:
    """Frames of an absent library are stored, read and checked by their annotations, evaluated at import or not."""
    code = """
        from acme import Frame, Lazy
        from dbxdec import IoManager

        class Shelf(IoManager):
            base_path = "lake"
            reads = writes = frozenset({"acme.Frame", "acme.Lazy"})

            def read(self, context): ...

            def write(self, context, value): ...

        shelf = Shelf()

        @task(io_manager=shelf)
        def extract() -> Frame: ...

        @task(outputs={"a": shelf.table("a")})
        def split(frame: Lazy, both: list[Frame], maybe: Frame | None, other: Frame | Lazy) -> dict[str, Frame]: ...

        @task
        def wrong(frame: int) -> None: ...

        @job
        def frames() -> None:
            found = extract()
            split(found, [found], found, other=found)
    """
    preamble = PREAMBLE if future else PREAMBLE.replace("from __future__ import annotations\n", "")
    found = run(
        tmp_path, code.replace("        @task\n        def wrong(frame: int) -> None: ...\n", ""), preamble=preamble
    )
    assert set(found.jobs) == {"frames", "nightly"}
    text = refused(
        tmp_path / "wrong",
        code.replace("split(found, [found]", "wrong(found)\n            split(found, [found]"),
        preamble=preamble,
    )
    assert "`frame` of the task `wrong` is annotated `int`, which Shelf can't return" in text


@pytest.mark.parametrize(("code", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_depend_on_the_absent_module_is_refused(tmp_path: Path, code: str, said: str) -> None:
    """Whatever would make the DAG depend on the real module is an error at its line, with the ways out."""
    text = refused(tmp_path, code)
    assert said in text
    assert "src/p/pipelines/m.py:" in text


def test_stand_ins_answer_only_imports_of_the_project_itself(tmp_path: Path) -> None:
    """An installed library that probes for an absent module still finds it absent."""
    code = """
        import json.decoder
        try:
            exec(compile("import acme_optional", json.decoder.__file__, "exec"), {"__name__": "json.decoder"})
        except ModuleNotFoundError:
            found = False
        else:
            found = True
        assert not found
    """
    assert run(tmp_path, code).stand_ins == ()


def test_all_modules_and_all_jobs_are_reported_in_one_run(tmp_path: Path) -> None:
    """Broken imports and broken bodies of several modules come together, each at its own line."""
    files = files_of(
        tmp_path,
        {
            "p/pipelines/a.py": PREAMBLE + "1 / 0\n",
            "p/pipelines/deep/__init__.py": "",
            "p/pipelines/deep/b.py": PREAMBLE + "@job\ndef b() -> None:\n    b.nothing()\n",
            "p/pipelines/c.py": PREAMBLE + JOB.replace("step()", "step(1)"),
        },
    )
    with pytest.raises(DiscoveryError) as error:
        discover(files, project="p", version="1", pipelines=["p.pipelines"])
    text = str(error.value)
    assert "src/p/pipelines/a.py:3: importing `p.pipelines.a` failed: ZeroDivisionError" in text
    assert "src/p/pipelines/deep/b.py:5:" in text
    assert "src/p/pipelines/c.py:" in text
    assert len(error.value.problems) >= 3


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys\nsys.exit(3)", "ended the interpreter: sys.exit(3)"),
        ("import os\nos._exit(0)", "exit code 0"),
        ("import os\nos.abort()", "SIGABRT"),
        ("while True:\n    pass", "did not finish within 1 seconds"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
    ids=["sys.exit", "os._exit", "abort", "endless loop", "KeyboardInterrupt"],
)
def test_a_module_that_ends_or_blocks_the_interpreter_is_named(tmp_path: Path, code: str, said: str) -> None:
    """However the child process ends, the message says which module it was importing."""
    text = refused(tmp_path, code, timeout=1 if "while" in code else 60)
    assert said in text
    assert "p/pipelines/m.py" in text or "p.pipelines.m" in text


ENDS = {
    "os._exit": "import os\nos._exit(4)\n",
    "a signal": "import os\nos.abort()\n",
    "no end": "while True:\n    pass\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
def test_what_ends_the_interpreter_hides_no_other_mistake_and_no_job(tmp_path: Path, ends: str) -> None:
    """The modules and bodies that do are named with their lines, and left out of the next process."""
    modules = {
        "a": "from dbxdec import job, task\n@task\ndef t() -> None: ...\n@job\ndef good() -> None:\n    t()\n",
        "b": "from .a import t\nfrom dbxdec import job\n@job\ndef bad() -> None:\n    t()\n    "
        + ends.replace("\n", "\n    ").rstrip()
        + "\n",
        "c": "1 / 0\n",
        "d": ends,
    }
    files = []
    for name, text in modules.items():
        path = tmp_path / f"p/pipelines/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        files.append(ShippedFile(f"p/pipelines/{name}.py", str(path), f"src/p/pipelines/{name}.py"))
    with pytest.raises(DiscoveryError) as error:
        discover(files, project="p", version="1", pipelines=["p.pipelines"], timeout=2 if "while" in ends else 60)
    places = {str(problem.where).partition(".py:")[0][-1]: problem for problem in error.value.problems}
    assert sorted(places) == ["b", "c", "d"]
    assert places["b"].jobs == ("bad",)
    assert places["d"].jobs == ()
    assert list(error.value.jobs) == ["good"]


def test_docstrings_are_found_whatever_python_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build in an environment that drops docstrings makes the same manifest."""
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    found = run(tmp_path, "@job\ndef other() -> None:\n    'Of the job.'\n")
    assert found.jobs["other"]["doc"] == "Of the job."


MISSPELT = {
    "a module beside": ("from .helprs import load", "No module named 'p.pipelines.helprs'", "`p.pipelines.helpers`"),
    "a module beside, by its package": ("from . import helprs", "cannot import name 'helprs'", "`helpers`"),
    "a package": ("import p.pipelins.helpers", "No module named 'p.pipelins'", "`p.pipelines`"),
    "a module of another package": ("import p.helpers", "No module named 'p.helpers'", "`p.pipelines.helpers`"),
    "a name of a module": ("from .helpers import lod", "cannot import name 'lod'", "`load`"),
    "an attribute of a module": ("from . import helpers\nhelpers.lod()", "has no attribute 'lod'", "`load`"),
    "a global": ("@tsk\ndef f(): ...", "name 'tsk' is not defined", "`task`"),
    "a name of dbxdec": ("from dbxdec import tsk", "cannot import name 'tsk' from 'dbxdec'", "`task`"),
    "a module of dbxdec": ("import dbxdec.io_manager", "No module named 'dbxdec.io_manager'", "`dbxdec.io_managers`"),
    "an io manager": ("from dbxdec.io_managers import PolarDeltaIoManager", "Manager'", "`PolarsDeltaIoManager`"),
}


@pytest.mark.parametrize(("code", "said", "meant"), MISSPELT.values(), ids=MISSPELT.keys())
def test_what_is_misspelt_is_named_with_what_was_meant(tmp_path: Path, code: str, said: str, meant: str) -> None:
    """A module, a name or an attribute that isn't there is named, and the hint has the nearest one that is."""
    modules = {"p/pipelines/m.py": PREAMBLE + code, "p/pipelines/helpers.py": "def load(): ...\n"}
    with pytest.raises(DiscoveryError) as error:
        discover(files_of(tmp_path, modules), project="p", version="1")
    (problem,) = error.value.problems
    assert said in problem.message
    assert problem.hint == f"did you mean {meant}?"


def test_a_missing_module_that_is_like_no_other_is_not_guessed(tmp_path: Path) -> None:
    """The importing module's own name is no answer, however much of the path they share."""
    assert "`p.pipelines.zzz` is not among the files of the wheel" in refused(tmp_path, "from .zzz import x")


def test_environment_variables_of_the_setting_reach_discovery(tmp_path: Path) -> None:
    """`discovery-env` is what the modules see, and nothing of it is left behind."""
    found = run(tmp_path, "import os\nassert os.environ['STAGE'] == 'build'", environment={"STAGE": "build"})
    assert set(found.jobs) == {"nightly"}


def test_without_stand_ins_an_absent_module_is_an_error(tmp_path: Path) -> None:
    """With stand-ins off the import itself fails, with what to install."""
    text = refused(tmp_path, "import acme", stand_ins=False)
    assert "No module named 'acme'" in text
    assert "require-runtime-dependencies" in text


def test_a_package_of_pipelines_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A name in `pipelines` that no file of the wheel has is an error that lists what there is."""
    with pytest.raises(DiscoveryError, match=r"p\.pipeline\b"):
        discover(files_of(tmp_path, {}), project="p", version="1", pipelines=["p.pipeline"])


def test_installed_modules_are_compiled_once_and_nothing_is_written_beside_the_sources(tmp_path: Path) -> None:
    """What a pipeline imports from elsewhere leaves its byte code for the next build; the tree stays clean."""
    library = tmp_path / "lib" / "measures.py"
    library.parent.mkdir()
    library.write_text("TAX = 19\n", encoding="utf-8")
    run(
        tmp_path / "tree",
        "import measures",
        environment={"PYTHONPATH": str(library.parent), "PYTHONDONTWRITEBYTECODE": ""},
    )
    assert list(library.parent.glob("__pycache__/measures.*.pyc"))
    assert not list((tmp_path / "tree").rglob("__pycache__"))


def test_what_is_done_meanwhile_runs_while_the_child_does(tmp_path: Path) -> None:
    """`meanwhile` runs beside the child: a pipeline that waits for what it does comes to its end."""
    signal = tmp_path / "signal"
    code = f"""
        import pathlib, time
        until = time.monotonic() + 30
        while not pathlib.Path({str(signal)!r}).exists():
            assert time.monotonic() < until
            time.sleep(0.01)
    """
    assert run(tmp_path / "tree", code, meanwhile=signal.touch).jobs.keys() == {"nightly"}


def test_a_mistake_of_a_module_hides_no_lines_of_its_classes(tmp_path: Path) -> None:
    said = refused(
        tmp_path,
        """
        lake = PolarsDeltaIoManager("s3://lake", mode="overwite")

        class Given(dy.Schema):
            a = dy.Int64()

        class Asked(dy.Schema):
            b = dy.Int64()

        @task(io_manager=PolarsDeltaIoManager("s3://lake"))
        def make() -> dy.LazyFrame[Given]: ...

        @task
        def use(made: dy.LazyFrame[Asked]) -> None: ...

        @job
        def daily() -> None:
            use(make())
        """,
        preamble="import dataframely as dy\nfrom dbxdec import job, task\n"
        "from dbxdec.io_managers import PolarsDeltaIoManager\n",
    )
    assert "'overwite'" in said
    assert "`Asked` (src/p/pipelines/m.py:10)" in said
    assert "`Given` (src/p/pipelines/m.py:7)" in said


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("import sys\nDAY = sys.argv[1]", "IndexError: list index out of range", "make it a parameter of the job"),
        ("open('rates.csv')", "FileNotFoundError", "read files, services and the keyboard inside a task"),
        ("input('day? ')", "EOFError", "read files, services and the keyboard inside a task"),
        ("from p import missing", "cannot import name 'missing' from 'p'", "define `missing` in `p`"),
        ("from ...p import m", "attempted relative import beyond top-level package", "each further dot"),
    ],
)
def test_what_a_module_can_t_have_at_import_is_said_with_what_to_do(
    code: str, message: str, hint: str, tmp_path: Path
) -> None:
    """The file and the line are those of the author."""
    said = refused(tmp_path, code, preamble=f"{PREAMBLE}\n")
    assert said.startswith("src/p/pipelines/m.py:")
    assert message in said
    assert hint in said.partition("hint: ")[2]


def test_a_module_does_not_see_how_the_build_has_started_it(tmp_path: Path) -> None:
    """Else a job would name a folder of the build, or take its arguments for those of the author."""
    code = "import sys\nassert sys.argv == ['dbxdec'], sys.argv\n"
    assert run(tmp_path, code).jobs.keys() == {"nightly"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("from helpers import clean", {"helpers": "the wheel has `p.pipelines.helpers`"}),
        ("import measures_of.days as days", {"measures-of": "the wheel has `p.measures_of`"}),
        ("import pipelines.helpers", {"pipelines": "the wheel has `p.pipelines`"}),
        ("from pipelines import helpers", {"pipelines": "the wheel has `p.pipelines`"}),
        ("def of(name): return __import__(name)\nof('helpers')", {"helpers": "the wheel has `p.pipelines.helpers`"}),
        ("from p.pipelines import acme", {}),
        ("from .helpers import clean", {}),
        ("import acme_lake", {}),
        ("from helpers import Assistant", {}),
        ("from measures_of import Clock", {}),
        ("from measures_of.clocks import Clock", {}),
        ("import measures_of.clocks", {}),
        ("import helpers\nx = helpers.clean", {"helpers": "the wheel has `p.pipelines.helpers`"}),
        ("import helpers as h\ndef f(): return h.clean", {"helpers": "the wheel has `p.pipelines.helpers`"}),
        ("import measures_of\ndef f(): measures_of.days.of()", {"measures-of": "the wheel has `p.measures_of`"}),
        ("import helpers\ndef f(): return helpers.Assistant()", {}),
        ("import helpers as h\ndef f(): return h.agents.Agent()", {}),
    ],
)
def test_an_absent_module_that_the_project_has_elsewhere_is_told(
    code: str, said: dict[str, str], tmp_path: Path
) -> None:
    """A script finds modules beside it; an installed package does not, and a placeholder would hide that.

    A statement that asks for other names than the project's module has means a package of others.
    """
    modules = {
        "p/pipelines/helpers.py": "clean = 1",
        "p/pipelines/acme.py": "import acme",  # a source, named as the package of others that it imports
        "p/measures_of/__init__.py": "",
        "p/measures_of/days.py": "",
        "p/pipelines/m.py": f"{PREAMBLE}{code}\n{JOB}",
    }
    needs = discover(files_of(tmp_path, modules), project="p", version="1").seem_own
    assert needs.keys() == said.keys()
    for name, problem in needs.items():
        assert said[name] in problem.message
        assert str(problem.where) == "src/p/pipelines/m.py:3"


@pytest.mark.parametrize("code", ["from src.p import helpers", "import src.p.helpers", "from src.p.helpers import a"])
def test_a_package_that_is_named_by_its_folder_is_refused(code: str, tmp_path: Path) -> None:
    """In the tree it is found there, where the working directory is on the path; the wheel has no `src`."""
    modules = {"p/helpers.py": "a = 1", "p/pipelines/m.py": f"{PREAMBLE}{code}\n{JOB}"}
    with pytest.raises(DiscoveryError) as error:
        discover(files_of(tmp_path, modules), project="p", version="1")
    (problem,) = error.value.problems
    assert str(problem.where) == "src/p/pipelines/m.py:3"
    assert "No module named 'src.p'" in problem.message
    assert problem.hint == "the wheel has the package without the folder: write `p` instead of `src.p`"


PATHS = """
import os
import pathlib
from dbxdec.io_managers import PolarsDeltaIoManager

HERE = pathlib.Path(__file__).parent


@task
def load(rates: str, names: list[str]) -> str:
    return (HERE / rates).read_text()


@task(io_manager=PolarsDeltaIoManager(str(HERE / "lake")))
def store():
    return None


@job(tags={"at": __file__})
def daily(rates: str = str(HERE / "m.py")) -> None:
    load(rates, [f"file:{HERE}/names.csv"])
    store()
    load.override(key="again", io_manager=PolarsDeltaIoManager(os.path.join(os.getcwd(), "x")))("a", ["b"])
"""


def test_a_path_of_the_copy_that_is_imported_is_refused(tmp_path: Path) -> None:
    """It would be another one in each build, and no run would have it; a constant that a task reads is fine."""
    said = refused(tmp_path, PATHS)
    assert [
        line.partition(" has a path")[0].partition(": ")[2] for line in said.splitlines() if " has a path" in line
    ] == [
        "the default of the job parameter `rates`",
        "`tags` of the job `daily`",
        "the argument `names` of the task `load`",
        "the target of the task `store`",
        "the target of the task `again`",
    ]
    assert "only the build has: src/p/pipelines/m.py" in said
    assert "only the build has: p/pipelines/names.csv" in said
    assert "only the build has: x/again" in said
    assert "/dbxdec-" not in said


def test_the_date_of_a_run_that_is_calculated_with_is_told_of_its_arguments(tmp_path: Path) -> None:
    """It is a mistake of its line, and others of the module are said as well."""
    said = refused(
        tmp_path,
        """
        import datetime as dt
        from dbxdec import run_date

        @job
        def daily(a: dt.date = run_date() - dt.timedelta(days=2), b: dt.date = run_date(tz="Mars")) -> None: ...

        @job
        def later(a: dt.date = run_date(offset_days=-1) + dt.timedelta(days=1), b: dt.date = run_date() - 1): ...
        """,
    )
    assert [line.partition("hint: ")[2] for line in said.splitlines() if "write `run_date(" in line] == [
        "write `run_date(offset_days=-2)`",
        "write `run_date()`",
        "write `run_date(offset_days=-1)`",
    ]
    assert "'Mars' is not a time zone" in said


@pytest.mark.parametrize(
    ("code", "home"),
    [
        ("from dbxdec import PolarsDeltaIoManager", "dbxdec.io_managers"),
        ("import dbxdec\ndbxdec.SparkDeltaIoManager('x')", "dbxdec.io_managers"),
        ("from dbxdec import run_job", "dbxdec.testing"),
        ("from dbxdec.testing import bundle_variable", "dbxdec"),
    ],
)
def test_a_name_of_dbxdec_is_shown_the_way_to(code: str, home: str, tmp_path: Path) -> None:
    """Newcomers look for all names in `dbxdec`."""
    assert f"hint: it is in `{home}`: `from {home} import " in refused(tmp_path, code, preamble=f"{PREAMBLE}\n")


def test_a_module_in_another_encoding_is_told_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    files = files_of(tmp_path, {"p/pipelines/m.py": PREAMBLE})
    (tmp_path / "p/pipelines/m.py").write_bytes(f"{PREAMBLE}NAME = 'Köln'\n".encode("latin-1"))
    with pytest.raises(DiscoveryError) as error:
        discover(files, project="p", version="1")
    (problem,) = error.value.problems
    assert str(problem.where).startswith("src/p/pipelines/m.py:")
    assert problem.hint == "save the file as UTF-8"
