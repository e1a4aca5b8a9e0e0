"""`dbxdec bundle` and Python resources of a bundle: when they build, what they leave, and equal jobs by each way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import yaml

from bundles import Workspace, python_resources
from dbxdec.build import freshness
from dbxdec.build.codegen.paths import relocate
from dbxdec.build.wheel_names import unfit
from dbxdec.model.manifest import Manifest
from projects import Project, Result, shop, without_own

if TYPE_CHECKING:
    from collections.abc import Iterator

SALES = "src/shop/pipelines/sales.py"
DBXDEC = Path(sys.executable).parent / "dbxdec"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path / "repository")


def bundle(project: Project, *arguments: str) -> Result:
    return project.run(str(DBXDEC), "bundle", *arguments)


def built(project: Project) -> Project:
    """The project, built for the first time."""
    result = bundle(project)
    assert result.code == 0, result.output
    return project


def stamps(*paths: Path) -> list[tuple[int, int]]:
    return [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths]


def assert_fresh(project: Project) -> None:
    """Nothing is said, and the wheel is not touched."""
    before = stamps(project.wheel)
    assert bundle(project) == Result(0, "")
    assert stamps(project.wheel) == before


def assert_builds_once(project: Project, because: str) -> None:
    """The next call builds and says why; the one after has nothing to do."""
    result = bundle(project)
    assert result.code == 0, result.output
    assert f"{because}: building the wheel" in result.output
    assert result.output.count("1 job, 3 tasks") == 1
    assert_fresh(project)


class TestFresh:
    @pytest.mark.slow
    def test_the_first_call_builds_wheel_and_resources(self, project: Project) -> None:
        """In a project that was never built, one call makes the wheel and the resources that name it."""
        result = bundle(project)
        assert result.code == 0, result.output
        assert project.wheel.name in project.resources.read_text(encoding="utf-8")
        assert project.manifest()["build_id"] in project.resources.read_text(encoding="utf-8")

    @pytest.mark.slow
    def test_a_fresh_project_is_left_alone_in_silence(self, project: Project) -> None:
        """A second call says nothing and touches neither the wheel nor the resources."""
        built(project)
        before = stamps(project.wheel, project.resources)
        assert bundle(project) == Result(0, "")
        assert stamps(project.wheel, project.resources) == before

    @pytest.mark.slow
    def test_a_fresh_project_imports_neither_the_build_side_nor_the_terminals(self, project: Project) -> None:
        """Where nothing has changed, no hatchling, databricks-bundles, YAML or rich is imported."""
        built(project)
        program = (
            "import sys\nfrom dbxdec.cli.app import cli\n"
            "cli(['bundle'], standalone_mode=False)\n"
            "print(sorted({m.partition('.')[0] for m in sys.modules} & {'hatchling', 'databricks', 'yaml', 'rich'}))"
        )
        assert project.run(sys.executable, "-c", program) == Result(0, "[]\n")

    @pytest.mark.slow
    def test_its_files_are_ignored_by_git(self, project: Project) -> None:
        """What is kept between calls lies in `.dbxdec/`, which ignores itself."""
        built(project)
        assert (project.root / ".dbxdec" / ".gitignore").read_text(encoding="utf-8") == "*\n"

    @pytest.mark.slow
    def test_a_subfolder_is_as_good_as_the_root(self, project: Project) -> None:
        """From a folder inside the project the same wheel is built, and found fresh."""
        inside = Project(project.root / "src" / "shop")
        result = bundle(inside)
        assert result.code == 0, result.output
        assert project.wheel.exists()
        assert not (inside.root / ".dbxdec").exists()
        assert bundle(inside) == Result(0, "")

    @pytest.mark.slow
    def test_force_builds_what_is_fresh(self, project: Project) -> None:
        """`--force` builds although nothing has changed."""
        built(project)
        assert "asked for: building the wheel" in bundle(project, "--force").output

    @pytest.mark.slow
    def test_the_same_wheel_as_by_hatchling(self, project: Project) -> None:
        """The wheel is, byte for byte, that of `hatchling build`, and so are the resources."""
        built(project)
        made = project.wheel.read_bytes(), project.resources.read_bytes()
        assert project.build().code == 0
        assert (project.wheel.read_bytes(), project.resources.read_bytes()) == made


class TestChanges:
    def test_a_source_file(self, project: Project) -> None:
        """An edited module is built, once."""
        built(project)
        first = project.manifest()["build_id"]
        project.edit(SALES, '["a", "b"]', '["a", "c"]')
        assert_builds_once(project, f"{SALES} changed")
        assert project.manifest()["build_id"] != first

    @pytest.mark.slow
    def test_a_data_file(self, project: Project) -> None:
        """A new data file of the package is built, and so is its removal."""
        built(project)
        project.write("src/shop/query.sql", "select 1\n")
        assert_builds_once(project, "src/shop/query.sql changed")
        (project.root / "src/shop/query.sql").unlink()
        assert_builds_once(project, "src/shop/query.sql changed")

    @pytest.mark.slow
    def test_a_file_of_the_same_size_and_time(self, project: Project) -> None:
        """A file replaced by one of its size with its modification time is seen."""
        built(project)
        path = project.root / SALES
        stat = path.stat()
        project.edit(SALES, '["a", "b"]', '["a", "x"]')
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert_builds_once(project, f"{SALES} changed")

    @pytest.mark.slow
    def test_pyproject(self, project: Project) -> None:
        """An edited pyproject.toml is built."""
        built(project)
        project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.2.1"')
        result = bundle(project)
        assert "pyproject.toml changed: building the wheel" in result.output
        assert "shop_pipelines-1.2.1" in project.resources.read_text(encoding="utf-8")
        assert bundle(project) == Result(0, "")

    @pytest.mark.slow
    def test_a_deleted_wheel(self, project: Project) -> None:
        """A wheel that is gone is built again."""
        built(project)
        name = project.wheel.name
        project.wheel.unlink()
        assert_builds_once(project, f"dist/{name} is gone")

    @pytest.mark.slow
    def test_another_wheel_in_its_place(self, project: Project) -> None:
        """A wheel that is not the one that was built is built again, whatever is in it."""
        built(project)
        project.wheel.write_bytes(b"something else")
        assert_builds_once(project, f"dist/{project.wheel.name} is not the one that was built")

    @pytest.mark.slow
    def test_deleted_resources(self, project: Project) -> None:
        """Resources that are gone are made again."""
        built(project)
        project.resources.unlink()
        assert_builds_once(project, "resources/dbxdec.yml is gone")

    @pytest.mark.slow
    def test_edited_resources(self, project: Project) -> None:
        """Resources edited by hand are made again as they were."""
        built(project)
        made = project.resources.read_bytes()
        project.resources.write_bytes(made.replace(b"sales", b"sold"))
        assert_builds_once(project, "resources/dbxdec.yml is not the one that was built")
        assert project.resources.read_bytes() == made

    @pytest.mark.slow
    def test_another_version_of_dbxdec(self, project: Project, tmp_path: Path) -> None:
        """Another version of dbxdec builds again: the manifest names the version that wrote it."""
        built(project)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "sitecustomize.py").write_text(
            "import dbxdec\n\ndbxdec.__version__ = '0.1.99'\n", encoding="utf-8"
        )
        newer = Project(project.root, {"PYTHONPATH": str(tmp_path / "other")})
        assert_builds_once(newer, "dbxdec 0.1.99 is new")
        assert newer.manifest()["generator"] == "dbxdec 0.1.99"

    @pytest.mark.slow
    def test_another_installed_distribution(self, project: Project, tmp_path: Path) -> None:
        """A distribution that was installed since may be a plugin or a library of the build: it is built again."""
        built(project)
        (tmp_path / "site" / "acme-2.dist-info").mkdir(parents=True)
        assert_builds_once(Project(project.root, {"PYTHONPATH": str(tmp_path / "site")}), "acme-2.dist-info is new")

    @pytest.mark.slow
    def test_a_module_that_is_not_installed(self, project: Project, tmp_path: Path) -> None:
        """What the wiring imports from an editable install or PYTHONPATH is watched: the jobs may depend on it."""
        library = tmp_path / "libs" / "acme"
        library.mkdir(parents=True)
        (library / "__init__.py").write_text("", encoding="utf-8")
        (library / "rows.py").write_text("ROWS = 3\n", encoding="utf-8")
        project.edit(
            "src/shop/pipelines/sales.py", "import polars as pl\n", "import polars as pl\nfrom acme.rows import ROWS\n"
        )
        project.edit("src/shop/pipelines/sales.py", "sales(n: int = 3)", "sales(n: int = ROWS)")
        seeing = Project(project.root, {"PYTHONPATH": str(tmp_path / "libs")})
        built(seeing)
        assert_fresh(seeing)
        (library / "rows.py").write_text("ROWS = 4\n", encoding="utf-8")
        assert_builds_once(seeing, "rows.py changed")
        assert seeing.manifest()["jobs"]["sales"]["parameters"][0]["default"] == "4"

    @pytest.mark.slow
    def test_a_broken_record(self, project: Project) -> None:
        """A record that can't be read is no record."""
        built(project)
        (project.root / ".dbxdec" / "bundle.json").write_text('{"format": 1', encoding="utf-8")
        assert_builds_once(project, "no build is recorded here")

    @pytest.mark.slow
    def test_a_rule_of_gitignore_above_the_project(self, project: Project) -> None:
        """hatchling takes the nearest .gitignore, also above the project: a change of it is built."""
        (project.root.parent / ".gitignore").write_text("*.tmp\n", encoding="utf-8")
        built(project)
        (project.root.parent / ".gitignore").write_text("*.tmp\n*.sql\n", encoding="utf-8")
        assert_builds_once(project, ".gitignore changed")

    @pytest.mark.slow
    def test_a_first_gitignore_above_the_project(self, project: Project) -> None:
        """Rules where there were none: what they leave out is built without it."""
        bundle(project)
        (project.root.parent / ".gitignore").write_text("*.sql\n", encoding="utf-8")
        assert_builds_once(project, ".gitignore changed")

    @pytest.mark.slow
    def test_a_file_included_from_outside(self, project: Project) -> None:
        """A file that the wheel takes from beyond the project's root is watched."""
        (project.root.parent / "shared.sql").write_text("select 1\n", encoding="utf-8")
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build.targets.wheel.force-include]\n"../shared.sql" = "shop/shared.sql"\n\n'
            "[tool.hatch.build.hooks.dbxdec]",
        )
        built(project)
        assert_fresh(project)
        (project.root.parent / "shared.sql").write_text("select 2\n", encoding="utf-8")
        assert_builds_once(project, "shared.sql changed")

    @pytest.mark.slow
    def test_files_that_are_installed_elsewhere(self, project: Project) -> None:
        """Files beside the packages that the wheel takes as data or licences are watched."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build.targets.wheel.shared-data]\n"conf" = "share/shop"\n\n[tool.hatch.build.hooks.dbxdec]',
        )
        project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.2.0"\nlicense-files = ["terms/*.txt"]')
        project.write("conf/a.toml", "")
        project.write("terms/a.txt", "")
        built(project)
        assert_fresh(project)
        for path in ("conf/b.toml", "terms/b.txt"):
            project.write(path, "")
            assert_builds_once(project, f"{path} changed")

    @pytest.mark.slow
    def test_files_that_no_wheel_holds_build_nothing(self, project: Project) -> None:
        """Tests, results of local runs, caches and virtual environments beside the packages do not matter."""
        project.write("tests/test_shop.py", "")
        built(project)
        for path in ("tests/test_shop.py", "lake/orders/part.parquet", ".databricks/state.json", ".venv/x.py"):
            project.write(path, "changed\n")
        assert_fresh(project)

    @pytest.mark.slow
    def test_ignored_folders_build_nothing_where_packages_are_found_by_hatchling(self, project: Project) -> None:
        """Without `packages` in pyproject.toml, folders that git ignores are left out, and others are watched."""
        project.edit("pyproject.toml", '[tool.hatch.build.targets.wheel]\npackages = ["src/shop"]\n', "")
        project.edit("pyproject.toml", 'name = "shop-pipelines"', 'name = "shop"')
        project.write(".gitignore", "/lake/\n")
        project.write("lake/old.parquet", "")
        built(project)
        project.write("lake/new.parquet", "")
        assert_fresh(project)
        project.write("conf/new.toml", "")
        assert_builds_once(project, "conf/new.toml changed")


class TestOtherHooks:
    HOOK = (
        "from pathlib import Path\n\n"
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n\n\n"
        "class Mine(BuildHookInterface):\n"
        "    def initialize(self, version, build_data):\n"
        "        text = Path(self.root, 'words.txt').read_text()\n"
        "        Path(self.root, 'src/shop/words.py').write_text(f'WORDS = {text!r}\\n')\n"
    )

    @pytest.mark.slow
    def test_a_file_that_the_build_writes_does_not_make_it_stale(self, project: Project) -> None:
        """A module that another hook writes with each build is fresh after one call; its input is watched."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            "[tool.hatch.build.hooks.custom]\n[tool.hatch.build.hooks.dbxdec]",
        )
        project.write("hatch_build.py", self.HOOK)
        project.write("words.txt", "one")
        built(project)
        assert_fresh(project)
        project.write("words.txt", "two")
        result = bundle(project)
        assert "words.txt changed: building the wheel" in result.output
        assert_fresh(project)
        (project.root / "src/shop/__init__.py").touch()
        assert_builds_once(project, "src/shop/__init__.py changed")

    @pytest.mark.slow
    def test_a_file_that_is_another_after_each_build_is_named(self, project: Project) -> None:
        """Where a hook writes the time, no build can be fresh: each call builds, and names the file."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            "[tool.hatch.build.hooks.custom]\n[tool.hatch.build.hooks.dbxdec]",
        )
        hook = self.HOOK.replace("Path(self.root, 'words.txt').read_text()", "__import__('time').time_ns()")
        project.write("hatch_build.py", hook)
        for _ in range(2):
            result = bundle(project)
            assert result.code == 0, result.output
            assert "src/shop/words.py changes with every build" in result.output

    @pytest.mark.slow
    def test_a_version_from_git_follows_a_commit(self, project: Project) -> None:
        """A dynamic version may come from git: a commit is a change."""
        project.edit("pyproject.toml", 'version = "1.2.0"', 'dynamic = ["version"]')
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.version]\nsource = "code"\npath = "version.py"\n\n[tool.hatch.build.hooks.dbxdec]',
        )
        project.write("version.py", "__version__ = '3.0'\n")
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
        assert project.run("git", "init", "-q").code == 0
        built(project)
        assert_fresh(project)
        assert project.run(*git, "commit", "-q", "--allow-empty", "-m", "x").code == 0
        assert "building the wheel" in bundle(project).output
        assert_fresh(project)


class TestFailures:
    @pytest.mark.slow
    def test_a_failing_build_leaves_nothing_and_says_why(self, project: Project) -> None:
        """A build that fails ends with code 1 and its own message; the wheel and resources before it are gone."""
        built(project)
        project.edit(SALES, "small = job_cluster(", "1 / 0\nsmall = job_cluster(")
        result = bundle(project)
        assert result.code == 1
        assert "ZeroDivisionError" in result.output
        assert f"{SALES}:" in result.output
        assert "Traceback" not in result.output
        assert project.wheels == []
        assert not project.resources.exists()
        assert bundle(project).code == 1

    @pytest.mark.slow
    def test_a_mended_project_is_built_again(self, project: Project) -> None:
        """After a failure, the mended project is built and then fresh."""
        project.edit(SALES, "small = job_cluster(", "1 / 0\nsmall = job_cluster(")
        assert bundle(project).code == 1
        project.edit(SALES, "1 / 0\n", "")
        assert_builds_once(project, "no build is recorded here")

    @pytest.mark.slow
    def test_a_build_that_fails_before_the_hook_leaves_nothing_either(self, project: Project) -> None:
        """Where hatchling itself refuses the project, the wheel of the earlier build is gone as well."""
        built(project)
        project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "not a version"')
        result = bundle(project)
        assert result.code == 1
        assert "not a version" in result.output
        assert "Traceback" not in result.output
        assert project.wheels == []
        assert not project.resources.exists()

    def test_a_project_without_the_hook_is_told_to_turn_it_on(self, project: Project) -> None:
        """A project that does not use the hook gets a message, no wheel, and exit code 2."""
        project.edit("pyproject.toml", "[tool.hatch.build.hooks.dbxdec]\n", "")
        result = bundle(project)
        assert result.code == 2
        assert "dbxdec's build hook is not enabled" in result.output
        assert "[tool.hatch.build.hooks.dbxdec]" in result.output
        assert project.wheels == []

    def test_outside_of_any_project(self, tmp_path: Path) -> None:
        """Where there is no pyproject.toml, the message says so, with exit code 2."""
        result = bundle(Project(tmp_path))
        assert result.code == 2
        assert "there is no pyproject.toml" in result.output

    @pytest.mark.slow
    def test_an_output_folder_outside_the_project(self, project: Project) -> None:
        """A wheel that no bundle could name is refused at the setting that puts it there."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build]\ndirectory = "../out"\n\n[tool.hatch.build.hooks.dbxdec]',
        )
        result = bundle(project)
        assert result.code == 2
        assert "tool.hatch.build.directory" in result.output

    @pytest.mark.slow
    def test_variables_that_turn_hooks_off_do_not_matter(self, project: Project) -> None:
        """Variables by which hatchling would skip hooks, build elsewhere or be silent do not reach the build."""
        variables = {"HATCH_BUILD_NO_HOOKS": "true", "HATCH_BUILD_LOCATION": "elsewhere", "HATCH_QUIET": "3"}
        other = Project(project.root, variables)
        built(other)
        assert other.resources.exists()
        assert not (project.root / "elsewhere").exists()


class TestTwoAtOnce:
    WAIT = (
        "import time\nfrom pathlib import Path\n\n"
        "with open({log!r}, 'a') as log:\n    log.write('discovered\\n')\n"
        "while not Path({gate!r}).exists():\n    time.sleep(0.01)\n"
    )

    @pytest.fixture
    def gate(self, project: Project, tmp_path: Path) -> Path:
        """As long as this file does not exist, a build of the project does not end."""
        gate = tmp_path / "gate"
        text = self.WAIT.format(log=str(tmp_path / "log"), gate=str(gate))
        project.write("src/shop/pipelines/slow.py", text)
        return gate

    def start(self, project: Project) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(DBXDEC), "bundle"], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def wait_for(self, path: Path, text: str, process: subprocess.Popen[str]) -> None:
        while not path.exists() or text not in path.read_text(encoding="utf-8"):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)

    @pytest.mark.slow
    def test_two_at_once_build_once(self, project: Project, gate: Path, tmp_path: Path) -> None:
        """The second of two calls waits for the first, and then has nothing to do."""
        first = self.start(project)
        self.wait_for(tmp_path / "log", "discovered", first)
        second = self.start(project)
        assert second.stdout is not None
        assert second.stdout.readline() == "dbxdec: waiting for another build of this project\n"
        gate.touch()
        said = first.communicate(timeout=60)[0]
        assert (first.returncode, "building the wheel" in said) == (0, True)
        assert second.communicate(timeout=60)[0] == ""
        assert second.returncode == 0
        assert (tmp_path / "log").read_text(encoding="utf-8") == "discovered\n"

    @pytest.mark.slow
    @pytest.mark.skipif(sys.platform == "win32", reason="no signals")
    def test_a_killed_build_leaves_nothing_stale(self, project: Project, gate: Path, tmp_path: Path) -> None:
        """After kill -9 in the middle, the next call waits for what the killed one has started, and builds anew."""
        first = self.start(project)
        self.wait_for(tmp_path / "log", "discovered", first)
        first.send_signal(signal.SIGKILL)
        # The build that it started still holds its output open: only the process itself has ended.
        first.wait(timeout=60)
        second = self.start(project)
        assert second.stdout is not None
        assert second.stdout.readline() == "dbxdec: waiting for another build of this project\n"
        gate.touch()
        said = second.communicate(timeout=60)[0]
        assert second.returncode == 0, said
        assert "no build is recorded here: building the wheel" in said
        assert first.stdout is not None
        first.stdout.close()
        assert_fresh(project)

    @pytest.mark.slow
    def test_an_edit_during_the_build_is_built_too(self, project: Project, gate: Path, tmp_path: Path) -> None:
        """A file edited while the wheel is built is in the wheel that the call leaves."""
        process = self.start(project)
        self.wait_for(tmp_path / "log", "discovered", process)
        project.write("src/shop/late.sql", "select 'late'\n")
        gate.touch()
        said = process.communicate(timeout=60)[0]
        assert process.returncode == 0, said
        assert_fresh(project)
        import zipfile

        with zipfile.ZipFile(project.wheel) as archive:
            assert "shop/late.sql" in archive.namelist()


class TestFromWheel:
    @pytest.mark.slow
    @pytest.mark.parametrize("path", ["resources/dbxdec.yml", "jobs.yaml", "deploy/here/jobs.json"])
    def test_the_resources_of_a_wheel_are_those_of_its_build(self, project: Project, path: str) -> None:
        """From the wheel alone come the resources that its build writes to the same path."""
        project.edit(
            "pyproject.toml",
            "[tool.dbxdec.variables]",
            f'[tool.dbxdec]\nresources = "{path}"\nextra-libraries = ["humanize>=4", "libs/own.whl"]\n'
            "[tool.dbxdec.variables]",
        )
        built(project)
        made = (project.root / path).read_text(encoding="utf-8")
        (project.root / path).unlink()
        result = bundle(project, "--wheel", str(project.wheel), "-o", path)
        assert result == Result(0, "")
        assert yaml.safe_load((project.root / path).read_text(encoding="utf-8")) == yaml.safe_load(made)

    @pytest.mark.slow
    def test_paths_are_relative_to_the_file(self, project: Project, tmp_path: Path) -> None:
        """The wheel is named from the folder of the file, wherever that is; no project is needed."""
        built(project)
        (tmp_path / "empty").mkdir()
        elsewhere = Project(tmp_path / "empty")
        result = bundle(elsewhere, "--wheel", str(project.wheel), "-o", str(tmp_path / "a" / "b" / "jobs.json"))
        assert result.code == 0, result.output
        document = json.loads((tmp_path / "a" / "b" / "jobs.json").read_text(encoding="utf-8"))
        task = document["resources"]["jobs"]["sales"]["tasks"][0]
        assert without_own(task["libraries"]) == [{"whl": f"../../repository/dist/{project.wheel.name}"}]
        (artifact,) = document["artifacts"].values()
        assert artifact["files"] == [{"source": f"../../repository/dist/{project.wheel.name}"}]

    @pytest.mark.slow
    def test_without_a_file_yaml_is_printed(self, project: Project) -> None:
        """Without `-o` the resources are printed, for a file in the working directory."""
        built(project)
        result = bundle(project, "--wheel", str(project.wheel))
        assert result.code == 0
        libraries = yaml.safe_load(result.output)["resources"]["jobs"]["sales"]["tasks"][0]["libraries"]
        assert without_own(libraries) == [{"whl": f"dist/{project.wheel.name}"}]

    @pytest.mark.slow
    def test_it_builds_nothing(self, project: Project) -> None:
        """With `--wheel`, neither a wheel nor a record is written."""
        assert project.build().code == 0
        before = stamps(project.wheel)
        assert bundle(project, "--wheel", str(project.wheel), "-o", "x.yml").code == 0
        assert stamps(project.wheel) == before
        assert not (project.root / ".dbxdec").exists()

    def test_what_is_no_wheel_of_dbxdec_is_refused(self, project: Project, tmp_path: Path) -> None:
        """A file that is no wheel, and a wheel without manifest, are refused by name with exit code 2."""
        (tmp_path / "x.whl").write_bytes(b"no zip")
        result = bundle(Project(tmp_path), "--wheel", "x.whl")
        assert (result.code, "x.whl can't be read as a wheel" in result.output) == (2, True)
        project.edit("pyproject.toml", "[tool.hatch.build.hooks.dbxdec]\n", "")
        assert project.build().code == 0
        result = bundle(project, "--wheel", str(project.wheel))
        assert (result.code, "has no dbxdec manifest" in result.output) == (2, True)

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("renamed.whl", "renamed.whl is not the name of a wheel of shop-pipelines 1.2.0"),
            ("shop_pipelines-1.2.0-py3-none-any (1).whl", "is not the name of a wheel of shop-pipelines 1.2.0"),
            ("shop_pipelines-1.2.1-py3-none-any.whl", "is not the name of a wheel of shop-pipelines 1.2.0"),
            ("shop-1.2.0-py3-none-any.whl", "is not the name of a wheel of shop-pipelines 1.2.0"),
            ("out[1]/shop_pipelines-1.2.0-py3-none-any.whl", "which a bundle takes for a pattern"),
            ("Shop.Pipelines-1.2.0+1735689600-py3-none-any.whl", None),
        ],
    )
    def test_a_wheel_that_no_deploy_could_install_is_refused(self, tmp_path: Path, name: str, said: str | None) -> None:
        """By its name: pip knows a wheel by it, and a bundle looks for it by patterns."""
        manifest = Manifest("shop-pipelines", "1.2.0", "b" * 64, "dbxdec 0", {})
        found = [problem.message for problem in unfit(tmp_path / name, manifest, name)]
        assert (found == []) if said is None else (len(found) == 1 and said in found[0])

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["-o", "x.yml"], "--output needs --wheel"),
            (["--wheel", "{wheel}", "-o", "x.txt"], "has to end in .yml, .yaml or .json"),
            (["--wheel", "{wheel}", "--force"], "choose one"),
            (["--wheel", "absent.whl"], "does not exist"),
        ],
    )
    def test_wrong_options_are_refused(self, project: Project, arguments: list[str], said: str) -> None:
        """Options that do not go together end with code 2 and say what to do."""
        built(project)
        result = bundle(project, *(text.format(wheel=project.wheel) for text in arguments))
        assert (result.code, said in result.output) == (2, True)


def moved(form: Any, before: str, after: str) -> Any:
    """`form` with each text that starts with `before` starting with `after` instead."""
    if isinstance(form, dict):
        return {key: moved(value, before, after) for key, value in form.items()}
    if isinstance(form, list):
        return [moved(value, before, after) for value in form]
    return after + form.removeprefix(before) if isinstance(form, str) and form.startswith(before) else form


class TestPythonResources:
    SERVERLESS = (
        "\n\nfrom dbxdec import condition, each, native_task\n\n"
        "@job(tags={'team': 'ops'}, max_concurrent_runs=2)\ndef nightly(day: str = 'x') -> None:\n"
        "    @task(max_retries=3, timeout_seconds=60)\n    def note(day: str) -> None:\n        print(day)\n\n"
        "    show = native_task('show', notebook_task={'notebook_path': 'notebooks/show.py'})\n"
        "    condition(day, '==', 'x').then(note(day)).otherwise(show)\n"
        "    note.override(key='many', cluster=small)(each(['a', 'b'], concurrency=2))\n"
    )

    @pytest.fixture
    def without_file(self, project: Project) -> Project:
        """The project with a classic and a serverless job, and `resources = false`."""
        project.edit(
            "pyproject.toml",
            "[tool.dbxdec.variables]",
            '[tool.dbxdec]\nresources = false\nextra-libraries = ["humanize>=4", "libs/own.whl"]\n'
            "[tool.dbxdec.variables]",
        )
        path = project.root / SALES
        path.write_text(path.read_text(encoding="utf-8") + self.SERVERLESS, encoding="utf-8")
        return project

    def test_the_three_ways_give_equal_jobs(self, without_file: Project) -> None:
        """Jobs of `hatchling build`, `dbxdec bundle` and `load_resources` differ only in where paths start."""
        project = without_file
        result, found = python_resources(project.root, "dbxdec.bundle:load_resources")
        assert result.code == 0, result.output
        assert found["diagnostics"] == []
        assert not (project.root / "resources").exists()
        jobs = found["resources"]["jobs"]
        assert set(jobs) == {"sales", "nightly"}
        wheel = f"dist/{project.wheel.name}"
        (libraries,) = {json.dumps(task["libraries"]) for task in jobs["sales"]["tasks"]}
        expected = [{"whl": wheel}, {"pypi": {"package": "humanize>=4"}}, {"whl": "libs/own.whl"}]
        assert without_own(json.loads(libraries)) == expected
        dependencies = jobs["nightly"]["environments"][0]["spec"]["dependencies"]
        assert without_own(dependencies) == [wheel, "humanize>=4", "libs/own.whl"]

        project.edit("pyproject.toml", "resources = false\n", "")
        assert bundle(project).code == 0
        by_bundle = project.jobs()
        project.resources.unlink()
        assert project.build().code == 0
        assert project.jobs() == by_bundle
        found_jobs = project.jobs()
        for folder in ("dist/", "libs/", "notebooks/"):
            found_jobs = moved(found_jobs, f"../{folder}", folder)
        assert found_jobs == jobs
        many = next(task for task in jobs["nightly"]["tasks"] if task["task_key"] == "many")
        assert many["for_each_task"]["task"]["libraries"] == json.loads(libraries)

    @pytest.mark.slow
    def test_the_wheel_is_built_when_something_changed_and_only_then(self, without_file: Project) -> None:
        """`load_resources` builds when `dbxdec bundle` would, and each finds what the other built fresh."""
        project = without_file
        assert python_resources(project.root, "dbxdec.bundle:load_resources")[0].code == 0
        before = stamps(project.wheel)
        assert bundle(project) == Result(0, "")
        result, _ = python_resources(project.root, "dbxdec.bundle:load_resources")
        assert "building" not in result.output
        assert stamps(project.wheel) == before
        project.edit(SALES, '["a", "b"]', '["a", "c"]')
        result, found = python_resources(project.root, "dbxdec.bundle:load_resources")
        assert f"{SALES} changed: building the wheel" in result.output
        parameters = found["resources"]["jobs"]["sales"]["tasks"][0]["python_wheel_task"]["named_parameters"]
        assert parameters["dbxdec-build"] == project.manifest()["build_id"]

    def test_from_the_package_resources(self, without_file: Project) -> None:
        """`resources/__init__.py` may take `load_resources` as its own."""
        without_file.write("resources/__init__.py", "from dbxdec.bundle import load_resources\n")
        result, found = python_resources(without_file.root, "resources:load_resources")
        assert result.code == 0, result.output
        assert set(found["resources"]["jobs"]) == {"sales", "nightly"}

    @pytest.mark.slow
    def test_a_project_in_a_folder_of_the_bundle(self, without_file: Project) -> None:
        """A bundle with its projects in folders names each; paths start at the bundle's root."""
        top = Project(without_file.root.parent)
        top.write(
            "resources/__init__.py",
            "import dbxdec.bundle\n\n\ndef load_resources(bundle):\n"
            "    return dbxdec.bundle.load_resources(bundle, 'repository')\n",
        )
        result, found = python_resources(top.root, "resources:load_resources")
        assert result.code == 0, result.output
        library = found["resources"]["jobs"]["sales"]["tasks"][0]["libraries"][0]
        assert library == {"whl": f"repository/dist/{without_file.wheel.name}"}

    @pytest.mark.slow
    def test_jobs_are_located_at_their_functions(self, without_file: Project) -> None:
        """The bundle's messages about a job point to the function that defines it."""
        _, found = python_resources(without_file.root, "dbxdec.bundle:load_resources")
        lines = (without_file.root / SALES).read_text(encoding="utf-8").splitlines()
        places = {place["path"]: (place["file"], lines[place["line"] - 1]) for place in found["locations"]}
        path, line = places["resources.jobs.nightly"]
        assert path == SALES
        assert line.startswith(("@job(tags", "def nightly("))

    @pytest.mark.slow
    def test_a_mistake_is_a_diagnostic_and_no_traceback(self, without_file: Project) -> None:
        """A failing build is an error of the bundle with the build's own words."""
        without_file.edit(SALES, "small = job_cluster(", "1 / 0\nsmall = job_cluster(")
        result, found = python_resources(without_file.root, "dbxdec.bundle:load_resources")
        assert result.code == 1
        (said,) = found["diagnostics"]
        assert said["severity"] == "error"
        assert "ZeroDivisionError" in said["summary"]
        assert "Traceback" not in json.dumps(said) + result.output
        assert "jobs" not in found.get("resources", {})

    @pytest.mark.slow
    def test_resources_in_a_file_too_are_warned_of(self, project: Project) -> None:
        """Without `resources = false` the jobs are in a file as well: a warning says what to write."""
        result, found = python_resources(project.root, "dbxdec.bundle:load_resources")
        assert result.code == 0, result.output
        (said,) = found["diagnostics"]
        assert said["severity"] == "warning"
        assert "resources = false" in said["detail"]

    @pytest.mark.slow
    def test_a_project_above_the_bundle_is_refused(self, without_file: Project) -> None:
        """A bundle in a folder of the project can't name the wheel: an error says where to put databricks.yml."""
        (without_file.root / "deploy").mkdir()
        result, found = python_resources(without_file.root / "deploy", "dbxdec.bundle:load_resources")
        assert result.code == 1
        assert "beside pyproject.toml" in found["diagnostics"][0]["detail"]


@pytest.mark.databricks_cli
class TestDatabricksCli:
    BUNDLE: ClassVar[dict[str, Any]] = {
        "bundle": {"name": "shop"},
        "variables": {"lake": {"default": "s3://lake"}},
        "targets": {"dev": {"mode": "development", "default": True}},
    }

    @pytest.fixture
    def host(self) -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Workspace)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()

    def validated(self, project: Project, host: str, more: dict[str, Any]) -> dict[str, Any]:
        """The jobs as the CLI understands them."""
        project.write("databricks.yml", json.dumps({**self.BUNDLE, **more}))
        environment = {
            **os.environ,
            "DATABRICKS_HOST": host,
            "DATABRICKS_TOKEN": "x",
            "PATH": os.pathsep.join([str(DBXDEC.parent), os.environ["PATH"]]),
        }
        command = ["databricks", "bundle", "validate", "-o", "json"]
        done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        jobs: dict[str, Any] = json.loads(done.stdout)["resources"]["jobs"]
        return jobs

    def test_the_three_ways_are_one_to_the_cli(self, project: Project, host: str) -> None:
        """The CLI understands the same jobs from a build, from its preinit script and from Python resources."""
        include = {"include": ["resources/*.yml"]}
        by_preinit = self.validated(
            project, host, {**include, "experimental": {"scripts": {"preinit": "dbxdec bundle"}}}
        )
        assert set(by_preinit) == {"sales"}
        project.resources.unlink()
        assert project.build().code == 0
        assert self.validated(project, host, include) == by_preinit
        project.edit(
            "pyproject.toml", "[tool.dbxdec.variables]", "[tool.dbxdec]\nresources = false\n[tool.dbxdec.variables]"
        )
        python = {"resources": ["dbxdec.bundle:load_resources"], "venv_path": sys.prefix}
        assert self.validated(project, host, {"python": python}) == by_preinit


class TestPaths:
    def test_local_paths_of_every_field_are_moved(self) -> None:
        """Notebooks, files, projects, queries and libraries move, inside a for-each task too."""
        notebook = {"notebook_path": "notebooks/a.py"}
        definition = {
            "name": "x/y.py",
            "tasks": [
                {"task_key": "a", "notebook_task": notebook, "libraries": [{"whl": "dist/x.whl"}, {"jar": "./y.jar"}]},
                {"task_key": "b", "spark_python_task": {"python_file": "scripts/b.py", "parameters": ["c/d.py"]}},
                {"task_key": "c", "dbt_task": {"project_directory": "dbt", "commands": ["dbt run"]}},
                {"task_key": "d", "sql_task": {"file": {"path": "q/d.sql"}, "warehouse_id": "1"}},
                {
                    "task_key": "e",
                    "for_each_task": {"inputs": "[]", "task": {"task_key": "f", "notebook_task": notebook}},
                },
                {"task_key": "g", "libraries": [{"requirements": "r.txt"}, {"pypi": {"package": "a/b"}}]},
            ],
            "environments": [
                {"environment_key": "e", "spec": {"dependencies": ["dist/x.whl", "-r r.txt", "../y", "polars"]}}
            ],
        }
        moved_notebook = {"notebook_path": "../../notebooks/a.py"}
        assert relocate(definition, "../..") == {
            "name": "x/y.py",
            "tasks": [
                {
                    "task_key": "a",
                    "notebook_task": moved_notebook,
                    "libraries": [{"whl": "../../dist/x.whl"}, {"jar": "../../y.jar"}],
                },
                {"task_key": "b", "spark_python_task": {"python_file": "../../scripts/b.py", "parameters": ["c/d.py"]}},
                {"task_key": "c", "dbt_task": {"project_directory": "../../dbt", "commands": ["dbt run"]}},
                {"task_key": "d", "sql_task": {"file": {"path": "../../q/d.sql"}, "warehouse_id": "1"}},
                {
                    "task_key": "e",
                    "for_each_task": {"inputs": "[]", "task": {"task_key": "f", "notebook_task": moved_notebook}},
                },
                {"task_key": "g", "libraries": [{"requirements": "../../r.txt"}, {"pypi": {"package": "a/b"}}]},
            ],
            "environments": [
                {
                    "environment_key": "e",
                    "spec": {"dependencies": ["../../dist/x.whl", "-r ../../r.txt", "../../../y", "polars"]},
                }
            ],
        }

    @pytest.mark.parametrize(
        "path", ["/Workspace/a", "~/a", "dbfs:/a.whl", "s3://b/a.whl", "${var.root}/a", "a/{{job.id}}.py"]
    )
    def test_paths_that_are_not_of_the_project_stay(self, path: str) -> None:
        """Absolute paths, those of another storage and those with a reference are left as they are."""
        definition = {"tasks": [{"notebook_task": {"notebook_path": path}, "libraries": [{"whl": path}]}]}
        assert relocate(definition, "..") == definition

    def test_requirements_and_files_of_git_stay(self) -> None:
        """A requirement is no path, though it may end in .whl, and a path in a git source is not the project's."""
        definition = {
            "tasks": [{"spark_python_task": {"python_file": "a.py", "source": "GIT"}}],
            "environments": [{"spec": {"dependencies": ["polars>=1", "a @ https://b/c.whl", "/Volumes/x.whl"]}}],
        }
        assert relocate(definition, "..") == definition

    def test_nothing_is_changed_in_place(self) -> None:
        """The definition given stays as it is."""
        definition = {"tasks": [{"notebook_task": {"notebook_path": "a"}, "libraries": [{"whl": "b.whl"}]}]}
        before = json.dumps(definition)
        assert relocate(definition, "..") != definition
        assert json.dumps(definition) == before


class TestFreshness:
    def test_a_link_to_a_folder_above_ends(self, tmp_path: Path) -> None:
        """Links that lead in a circle are followed once; linked folders are watched."""
        (tmp_path / "root" / "a").mkdir(parents=True)
        (tmp_path / "linked").mkdir()
        (tmp_path / "linked" / "x.sql").write_text("", encoding="utf-8")
        (tmp_path / "root" / "a" / "up").symlink_to(tmp_path / "root")
        (tmp_path / "root" / "a" / "over").symlink_to(tmp_path / "linked")
        (tmp_path / "root" / "a" / "broken").symlink_to(tmp_path / "absent")
        found = freshness.snapshot(str(tmp_path / "root"), freshness.Scope())
        assert found.keys() == {"a/over/x.sql", "a/broken"}

    def test_virtual_environments_and_caches_are_passed_over(self, tmp_path: Path) -> None:
        """A folder that says to be a virtual environment or a cache is not looked into."""
        for folder, mark in (("env", "pyvenv.cfg"), ("cache", "CACHEDIR.TAG")):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / mark).write_text("", encoding="utf-8")
        (tmp_path / "x.py").write_text("", encoding="utf-8")
        assert freshness.snapshot(str(tmp_path), freshness.Scope()).keys() == {"x.py"}

    def test_a_settled_snapshot_is_older_than_a_tick_of_the_clock(self, tmp_path: Path) -> None:
        """A file written a moment ago is looked at again, later: another write could get the same time."""
        (tmp_path / "x.py").write_text("", encoding="utf-8")
        found = freshness.settled_snapshot(str(tmp_path), freshness.Scope())
        assert time.time_ns() - max(found["x.py"][1:]) > freshness.TICK
