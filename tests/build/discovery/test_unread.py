"""Whatever a build would stumble over later, or pass over without a word, `check` and the build say at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbxdec.build.discovery.modules import hidden, left_out, pipeline_modules
from dbxdec.build.tree import read_tree
from dbxdec.errors import DbxdecError, DiscoveryError
from projects import Project, shop

DBXDEC = Path(sys.executable).parent / "dbxdec"
JOB = """
from dbxdec import job, task


@task
def hello() -> int:
    return 1


@job
def greeting() -> None:
    hello()
"""
SPELLINGS = {
    "names": JOB,
    "other names": "import dbxdec as d\nfrom dbxdec import job as j, task as t\n\n\n@j\ndef greeting(): ...\n",
    "the module": "import dbxdec\n\n\n@dbxdec.job(tags={})\ndef greeting(): ...\n",
    "a star": "from dbxdec import *\n\n\n@task(max_retries=1)\ndef hello(): ...\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path / "repository")


def assert_said(project: Project, *said: str) -> None:
    """The tree is refused with these words: `check`, and each build, reads it so."""
    with pytest.raises(DbxdecError) as caught:
        read_tree(project.root)
    for text in said:
        assert text in str(caught.value)


def test_check_and_the_build_say_it(project: Project) -> None:
    """Both say the same, without a traceback, and the build leaves nothing."""
    project.write("src/shop/pipelines/my-pipeline.py", JOB)
    checked, built = project.run(str(DBXDEC), "check"), project.build()
    for output in (checked.output, built.output):
        assert "src/shop/pipelines/my-pipeline.py:5: `hello` is in a file that is never imported" in output
        assert "Traceback" not in output
    assert (checked.code, built.code) == (1, 1)
    assert project.wheels == []


class TestNamesThatCantBeImported:
    @pytest.mark.parametrize(
        ("path", "why"),
        [
            ("my-pipeline.py", "`my-pipeline` can't be the name of a module"),
            ("ok copy.py", "`ok copy` can't be the name of a module"),
            ("1st.py", "`1st` can't be the name of a module"),
            ("v1.2.py", "`v1.2` can't be the name of a module"),
            ("my-jobs/daily.py", "`my-jobs` can't be the name of a module"),
            ("Daily.PY", "modules end in `.py`, not in `.PY`"),
            ("__main__.py", "`__main__` is a program"),
        ],
    )
    def test_jobs_in_such_a_file_are_an_error(self, project: Project, path: str, why: str) -> None:
        """A file beside the pipelines that no import finds is named at its first job or task."""
        project.write(f"src/shop/pipelines/{path}", JOB)
        assert_said(
            project, f"src/shop/pipelines/{path}:5: `hello` is in a file that is never imported: {why}", "rename it"
        )

    @pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
    def test_however_dbxdec_is_imported(self, project: Project, text: str) -> None:
        """Aliases, the module itself and a star are seen through."""
        project.write("src/shop/pipelines/my-pipeline.py", text)
        assert_said(project, "is in a file that is never imported")

    def test_a_module_that_a_package_hides(self, project: Project) -> None:
        """Of a module and a package of one name Python imports the package."""
        project.write("src/shop/pipelines/nightly.py", JOB)
        project.write("src/shop/pipelines/nightly/__init__.py", "")
        assert_said(project, "src/shop/pipelines/nightly.py:5", "the package of the same name")

    def test_all_of_them_and_other_mistakes_at_once(self, project: Project) -> None:
        """Two such files and a mistake in a module are said together."""
        project.write("src/shop/pipelines/a-b.py", JOB)
        project.write("src/shop/pipelines/c-d.py", JOB)
        project.edit("src/shop/pipelines/sales.py", "small = job_cluster(", "1 / 0\nsmall = job_cluster(")
        assert_said(project, "a-b.py:5", "c-d.py:5", "ZeroDivisionError")

    def test_a_package_whose_name_is_none(self, project: Project) -> None:
        """Where no package of pipelines is left, both the file and what is missing are named."""
        (project.root / "src/shop").rename(project.root / "src/my-shop")
        project.edit("pyproject.toml", 'packages = ["src/shop"]', 'packages = ["src/my-shop"]')
        assert_said(project, "`my-shop` can't be the name of a module", "has no package `<package>.pipelines`")

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("my-notes.py", "print(1)\n"),
            ("my-script.py", "import dbxdec\n\nprint(dbxdec.__version__)\n"),
            ("my-broken.py", "from dbxdec import job\n@job\ndef (:\n"),
            ("../tools/my-tool.py", JOB),
            ("my-data.txt", JOB),
        ],
    )
    def test_files_without_jobs_and_elsewhere_are_passed_over(self, project: Project, path: str, text: str) -> None:
        """Scripts, and what lies beside the pipelines, are nobody's mistake."""
        project.write(f"src/shop/pipelines/{path}", text)
        assert set(read_tree(project.root).made.manifest.raw_jobs) == {"sales"}

    @pytest.mark.parametrize("name", ["class", "größe", "match", "_private"])
    def test_names_that_can_be_imported_are(self, project: Project, name: str) -> None:
        """A keyword, letters outside of ASCII and a leading `_` are found and built: nothing is passed over."""
        project.write(f"src/shop/pipelines/{name}.py", JOB)
        assert set(read_tree(project.root).made.manifest.raw_jobs) == {"sales", "greeting"}

    @given(st.lists(st.text("ab-1 .", min_size=1, max_size=3), min_size=1, max_size=3))
    def test_each_file_is_imported_or_said(self, parts: list[str]) -> None:
        """Whatever its name, a file below the pipelines is a module to import, or is left out with a reason."""
        path = "/".join(["shop", "pipelines", *parts]) + ".py"
        modules = pipeline_modules([path, "shop/pipelines/__init__.py"], None)
        assert (len(modules) == 2) != (path in left_out([path], None))


class TestTwoFilesAtOnePath:
    def test_a_forced_file_that_the_package_has(self, project: Project) -> None:
        """hatchling refuses it while it writes the wheel: it is found before, with both files."""
        project.write("more/sales.py", "")
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build.targets.wheel.force-include]\n"more/sales.py" = "shop/pipelines/sales.py"\n'
            "[tool.hatch.build.hooks.dbxdec]",
        )
        assert_said(project, "shop/pipelines/sales.py: src/shop/pipelines/sales.py and more/sales.py", "force-include")

    def test_a_forced_folder(self, project: Project) -> None:
        """A folder that brings a file the package has is found too."""
        project.write("more/__init__.py", "")
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build.targets.wheel.force-include]\n"more" = "shop"\n[tool.hatch.build.hooks.dbxdec]',
        )
        assert_said(project, "the wheel would hold 2 files as shop/__init__.py")

    def test_a_forced_file_of_the_metadata(self, project: Project) -> None:
        """What hatchling writes itself can't be given."""
        project.write("METADATA", "")
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build.targets.wheel.force-include]\nMETADATA = "shop_pipelines-1.2.0.dist-info/METADATA"\n'
            "[tool.hatch.build.hooks.dbxdec]",
        )
        assert_said(project, "what hatchling writes and METADATA")

    def test_a_file_that_is_not_there(self, project: Project) -> None:
        """A dangling link and a forced file that is missing are said by both."""
        (project.root / "src/shop/gone.py").symlink_to("nowhere.py")
        assert_said(project, "src/shop/gone.py: can't be shipped: it is a link to nowhere.py")


TAKEN = {
    "json.py": "json",
    "queue/__init__.py": "queue",
    "select.cpython-311-x86_64-linux-gnu.so": "select",
    "token.abi3.so": "token",
    "pipes.py": "pipes",  # no longer in Python 3.13
    "dbxdec.py": "dbxdec",
}


def test_names_that_are_taken_are_those_at_the_top_of_the_wheel() -> None:
    """Below a package any name will do; a folder without `__init__.py` hides nothing; nor do data files."""
    free = ["shop/json.py", "json/schema.py", "json.sql", "json.txt.py", "shop/queue/__init__.py", "jsonl.py"]
    assert hidden([*TAKEN, *free]) == TAKEN


def test_a_module_of_the_name_of_one_of_pythons_is_refused_and_misleads_nobody(project: Project) -> None:
    """The build says which file it is, and what imports it is told that Python's own module was meant."""
    project.edit("pyproject.toml", '["src/shop"]', '["src/shop", "src/json.py", "src/queue.py"]')
    project.write("src/json.py", "def mine(): ...\n")
    project.write("src/queue.py", "raise ValueError\n")
    project.edit("src/shop/pipelines/sales.py", "import polars as pl\n", "import polars as pl\nfrom json import mine\n")
    with pytest.raises(DbxdecError) as caught:
        read_tree(project.root)
    why = "can't be imported where the wheel is installed: a module of Python itself has that name"
    assert [(str(problem.where), problem.message) for problem in caught.value.problems] == [
        (
            "src/shop/pipelines/sales.py:4",
            "importing `shop.pipelines.sales` failed: ImportError: cannot import name 'mine' from 'json'",
        ),
        ("src/json.py", f"the module `json` {why}"),
        ("src/queue.py", f"the module `queue` {why}"),
    ]


def test_a_wheel_without_modules_is_told_from_one_without_pipelines() -> None:
    """A misspelt `packages` leaves all out; another name for the pipelines would not help."""
    with pytest.raises(DiscoveryError) as empty:
        pipeline_modules(["README.md"], None)
    assert "the wheel has no Python module" in str(empty.value)
    assert "`packages` under [tool.hatch.build.targets.wheel]" in str(empty.value)
    with pytest.raises(DiscoveryError) as without:
        pipeline_modules(["shop/__init__.py"], None)
    assert "no package `<package>.pipelines`" in str(without.value)
