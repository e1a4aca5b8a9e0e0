"""`dbxdec check`, `show`, `graph` and `diff`, as commands on real projects."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conftest import Installation
from projects import Project, shop
from running import DBXDEC, Said


def run(project: Project, *arguments: str, **environment: str) -> Said:
    base = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    done = subprocess.run(
        [*DBXDEC, *arguments], cwd=project.root, env=base | environment, capture_output=True, text=True, check=False
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path.resolve())


class TestCheck:
    def test_a_project_without_mistakes_is_fine(self, project: Project) -> None:
        """It says what it has looked at, and neither builds nor writes anything."""
        before = sorted(project.root.rglob("*"))
        assert run(project, "check") == Said(0, "fine: 1 job, 3 tasks\n", "")
        assert sorted(project.root.rglob("*")) == before

    def test_what_is_replaced_by_placeholders_is_named(self, project: Project) -> None:
        """A module that is not installed here may be one that is misspelt."""
        project.edit("src/shop/pipelines/sales.py", "import polars as pl", "import polars as pl\nimport polrs")
        said = run(project, "check")
        assert (said.code, said.out) == (0, "fine: 1 job, 3 tasks\n")
        assert "note: not installed here, replaced by placeholders: polrs" in said.err

    @pytest.mark.slow
    def test_every_mistake_is_found_as_in_a_build(self, project: Project) -> None:
        """The mistakes are those of a build, with file and line, and the exit code is 1."""
        project.edit("src/shop/pipelines/sales.py", "total(orders(n))", "total(order=orders(n), limit=1)")
        said = run(project, "check")
        assert said.code == 1
        built = project.build().output
        for line in said.err.splitlines()[:-1]:
            assert line in built
        assert re.search(r"^src/shop/pipelines/sales\.py:\d+: ", said.err, re.MULTILINE)

    @pytest.mark.slow
    def test_a_failing_check_leaves_an_earlier_build_alone(self, project: Project) -> None:
        """Unlike a build that fails, it removes neither wheel nor resources."""
        assert project.build().code == 0
        project.edit("src/shop/pipelines/sales.py", "report(total(orders(n))", "report(totl(orders(n))")
        assert run(project, "check").code == 1
        assert project.wheel.exists()
        assert project.resources.exists()

    def test_wrong_settings_are_wrong_usage(self, project: Project) -> None:
        """Mistakes of pyproject.toml end with exit code 2 and their TOML path."""
        project.edit(
            "pyproject.toml", "[tool.dbxdec.variables]", '[tool.dbxdec]\npipeline = ["x"]\n[tool.dbxdec.variables]'
        )
        said = run(project, "check")
        assert said.code == 2
        assert "tool.dbxdec.pipeline" in said.err

    @pytest.mark.slow
    def test_as_json(self, project: Project) -> None:
        """Problems have path, line, message and hint; stdout is JSON and nothing else."""
        project.edit("src/shop/pipelines/sales.py", "total(orders(n))", "total(order=orders(n))")
        said = run(project, "check", "--json")
        found = json.loads(said.out)
        assert (said.code, found["ok"]) == (1, False)
        assert {(p["level"], p["path"]) for p in found["problems"]} == {("error", "src/shop/pipelines/sales.py")}
        assert all(p["line"] > 0 and p["message"] for p in found["problems"])
        assert json.loads(run(shop(project.root / "fine"), "check", "--json").out) == {
            "ok": True,
            "jobs": 1,
            "tasks": 3,
            "problems": [],
        }

    @pytest.mark.slow
    def test_annotations_in_a_workflow_of_github(self, tmp_path: Path) -> None:
        """Each mistake is an annotation at its place in the repository, on one line."""
        project = shop(tmp_path.resolve() / "services" / "shop")
        project.edit("src/shop/pipelines/sales.py", "total(orders(n))", "total(order=orders(n))")
        said = run(project, "check", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(tmp_path.resolve()))
        lines = [line for line in said.out.splitlines() if line.startswith("::")]
        assert lines
        for line in lines:
            assert re.match(r"::error file=services/shop/src/shop/pipelines/sales\.py,line=\d+,title=dbxdec::", line)
            assert "%0Ahint" in line

    def test_a_project_without_the_hook_is_told_so(self, project: Project) -> None:
        """A pyproject.toml that does not turn the hook on gets what to write."""
        project.edit("pyproject.toml", "[tool.hatch.build.hooks.dbxdec]\n", "")
        said = run(project, "check")
        assert (said.code, "[tool.hatch.build.hooks.dbxdec]" in said.err) == (2, True)

    def test_outside_of_a_project(self, tmp_path: Path) -> None:
        """A folder without a project is wrong usage, not a traceback."""
        said = run(Project(tmp_path), "check")
        assert said.code == 2
        assert "no pyproject.toml" in said.err
        assert "`dbxdec init`" in said.err

    def test_a_backend_that_runs_no_hooks_is_warned_of(self, project: Project) -> None:
        """Here the hook runs all the same; the wheel of another tool would have no manifest."""
        project.edit("pyproject.toml", '"hatchling.build"', '"setuptools.build_meta"')
        said = run(project, "check")
        assert (said.code, "1 warning" in said.out) == (0, True), said.err
        assert "build-system.build-backend: the build backend is setuptools.build_meta" in said.err


class TestShow:
    def test_all_jobs(self, project: Project) -> None:
        """Without a job it lists those there are."""
        said = run(project, "show")
        assert said.code == 0
        assert re.search(r"sales +3 +n +.*src/shop/pipelines/sales.py:\d+", said.out)

    @pytest.mark.slow
    def test_one_job(self, project: Project) -> None:
        """Tasks with their inputs, targets and parameters."""
        said = run(project, "show", "sales")
        for text in (
            "n             int      3",
            "orders <- orders",
            "words <- [",
            "-> ${var.lake}/orders (PolarsDeltaIoManager, mode=overwrite",
            "-> task value (int)",
            "cluster small",
        ):
            assert re.sub(" +", " ", text) in re.sub(" +", " ", said.out)

    @pytest.mark.slow
    def test_a_wheel_shows_the_same_as_its_tree(self, project: Project) -> None:
        """The manifest of the tree is that of the wheel built from it."""
        assert project.build().code == 0
        of_wheel = run(project, "show", "--wheel", str(project.wheel), "--json")
        assert json.loads(of_wheel.out) == json.loads(run(project, "show", "--json").out)
        assert json.loads(of_wheel.out)["jobs"] == project.manifest()["jobs"]

    def test_a_misspelt_job(self, project: Project) -> None:
        """An unknown job is wrong usage, with the nearest one."""
        said = run(project, "show", "saels")
        assert said.code == 2
        assert "did you mean `sales`?" in said.err


@pytest.mark.parametrize("command", ["show", "graph", "run"])
def test_two_pipelines_at_once_are_refused(project: Project, command: str) -> None:
    """One of them would be left out without a word."""
    said = run(project, command, "sales", "--wheel", "pyproject.toml", "--package", "shop")
    assert (said.code, said.out, "choose one" in said.err) == (2, "", True), said.err


class TestGraph:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "start"), [("x.mmd", "flowchart TD"), ("x.dot", 'digraph "sales"'), ("x.md", "```mermaid")]
    )
    def test_text_formats(self, project: Project, name: str, start: str) -> None:
        """The ending of the file chooses the format; each task and each edge is in it."""
        assert run(project, "graph", "sales", "-o", name).code == 0
        text = (project.root / name).read_text()
        assert text.startswith(start)
        assert all(key in text for key in ("orders", "total", "report"))
        assert len(re.findall("-->|->", text)) == 2

    @pytest.mark.slow
    def test_svg(self, project: Project) -> None:
        """A well-formed picture: boxes that do not overlap, an edge from each task to those behind it."""
        assert run(project, "graph", "-o", "x.svg").code == 0
        root = ElementTree.fromstring((project.root / "x.svg").read_text())  # noqa: S314 - we have written it
        space = "{http://www.w3.org/2000/svg}"
        boxes = [
            {name: float(r.get(name, "0")) for name in ("x", "y", "width", "height")} for r in root.iter(f"{space}rect")
        ]
        assert len(boxes) == 3
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                apart = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
                assert apart or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
        assert len([p for p in root.iter(f"{space}path") if p.get("marker-end")]) == 2

    def test_html_needs_nothing_else(self, project: Project) -> None:
        """A page has no address of anything outside of it."""
        assert run(project, "graph", "-o", "x.html").code == 0
        text = (project.root / "x.html").read_text()
        assert not re.search(r'(src|href)="?(https?:)?//', text)
        assert "<svg" in text

    def test_a_file_that_tells_no_format(self, project: Project) -> None:
        """An ending that nobody knows is wrong usage."""
        said = run(project, "graph", "-o", "x.png")
        assert said.code == 2
        assert "--format" in said.err


class TestDiff:
    @pytest.mark.slow
    def test_the_last_commit_with_the_tree(self, project: Project) -> None:
        """Tasks, edges, bindings, targets, parameters and settings that changed are said, with what a deploy does."""
        commit(project)
        project.edit("src/shop/pipelines/sales.py", "n: int = 3", "n: int = 4")
        project.edit(
            "src/shop/pipelines/sales.py",
            "@task(io_manager=lake)",
            '@task(io_manager=lake.table("bronze/orders"), max_retries=2)',
        )
        project.edit("src/shop/pipelines/sales.py", '["a", "b"]', '["a"]')
        said = run(project, "diff")
        assert said.code == 0
        assert said.out.startswith("HEAD (")
        for text in (
            "~ sales.parameters.n: int = 3 -> int = 4",
            "~ sales.tasks.orders.outputs.result: ${var.lake}/orders",
            "the data at ${var.lake}/orders stays, but is no longer written",
            "+ sales.tasks.orders.settings.max_retries: 2",
            '~ sales.tasks.report.inputs.words: ["a", "b"] -> ["a"]',
            "~ shop/pipelines/sales.py",
            "A deploy changes sales.",
        ):
            assert text in said.out
        assert sorted(path.name for path in (project.root / ".git").glob("worktrees/*")) == []

    @pytest.mark.slow
    def test_two_wheels_as_json(self, project: Project) -> None:
        """A job that is new and one that is gone are one change each."""
        assert project.build().code == 0
        project.wheel.rename(project.root / "old.whl")
        project.edit("src/shop/pipelines/sales.py", "def sales(", "def trade(")
        assert project.build().code == 0
        found = json.loads(run(project, "diff", "old.whl", str(project.wheel), "--json").out)
        assert [(c["kind"], c["what"]) for c in found["changes"]] == [("removed", "sales"), ("added", "trade")]
        assert found["a"]["source"] == "old.whl"
        assert "A deploy deletes sales." in found["deploy"]

    @pytest.mark.slow
    def test_a_wheel_with_the_tree_it_was_built_from(self, project: Project) -> None:
        """Nothing differs, down to the build id."""
        assert project.build().code == 0
        said = run(project, "diff", str(project.wheel), ".")
        assert "The builds are the same" in said.out

    @pytest.mark.slow
    def test_libraries_alone(self, project: Project) -> None:
        """They change the jobs, though the build is the same one: runs in progress may go on."""
        commit(project)
        project.edit(
            "pyproject.toml",
            "[tool.dbxdec.variables]",
            '[tool.dbxdec]\nextra-libraries = ["orjson==3.11"]\n[tool.dbxdec.variables]',
        )
        said = run(project, "diff", "main")
        assert "+ sales.extra-libraries: orjson==3.11" in said.out
        assert "A deploy changes sales." in said.out
        assert "Runs in progress" not in said.out

    @pytest.mark.slow
    def test_code_alone(self, project: Project) -> None:
        """A change of code alone changes no job, and the file is named."""
        commit(project)
        project.edit("src/shop/pipelines/sales.py", "orders.collect().height", "orders.collect().height + 1")
        said = run(project, "diff", "main")
        assert "Only the wheel and its build id change for sales." in said.out
        assert "~ shop/pipelines/sales.py" in said.out

    def test_mistakes_of_a_commit_are_told_from_those_of_the_tree(self, project: Project) -> None:
        """Their places are those of the commit, in which git writes its name first: the tree may be right."""
        project.edit("src/shop/pipelines/sales.py", "@job(", "@job(max_concurrent_run=1, ")
        commit(project)
        project.edit("src/shop/pipelines/sales.py", "max_concurrent_run=1, ", "")
        said = run(project, "diff")
        assert said.code == 1
        assert said.err.startswith("dbxdec: HEAD:src/shop/pipelines/sales.py:")
        assert run(project, "check").code == 0

    def test_what_is_neither_wheel_nor_commit(self, project: Project) -> None:
        """A name that is nothing is wrong usage; so is a wheel that is not there."""
        commit(project)
        for name, text in (("no-such-branch", "a commit that git knows"), ("gone.whl", "can't be read as a wheel")):
            said = run(project, "diff", name)
            assert said.code == 2
            assert text in said.err


def commit(project: Project) -> None:
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        assert project.run("git", *who, *arguments).code == 0


@pytest.mark.slow
@pytest.mark.sampled(1)
@pytest.mark.parametrize("command", [["show"], ["show", "sales"], ["graph", "sales"], ["run"], ["run", "sales"]])
def test_without_hatchling_it_is_said_that_the_tree_is_not_what_is_shown(
    installation: Installation, tmp_path: Path, command: list[str]
) -> None:
    """An installed pipeline takes the place of a tree that can't be read; away from the tree nothing is to be said."""
    project = shop(tmp_path / "repository")
    assert project.build().code == 0
    installed = installation.install(project)
    project.edit("src/shop/pipelines/sales.py", "def sales(n: int = 3)", "def sales(n: int = 3, more: int = 4)")
    there = tmp_path / "elsewhere"
    there.mkdir()
    for folder, said in ((project.root, True), (there, False)):
        environment = {**installed.environment, "DBXDEC_VAR_lake": str(tmp_path / "lake")}
        done = installation.dbxdec(Project(folder, environment), *command)
        assert done.code == (2 if command == ["run"] else 0), done.output
        assert "more" not in done.output
        sentence = (
            'dbxdec: the tree can\'t be read without hatchling (`pip install "dbxdec[build]"`): this is shop-pipelines '
            "1.2.0, which is installed\n"
        )
        assert done.output.count(sentence) == said
