"""The build hook under hatchling: what lands in the wheel and beside it, and what a wrong project leaves behind."""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from typing import TYPE_CHECKING

import pytest

from dbxdec.errors import ManifestError
from dbxdec.model.manifest import decode, encode
from dbxdec.runtime.installed import find_manifest
from hatch_dbxdec.resources import tracking_warning, why_unnameable
from projects import Project, Result, shop, without_own

if TYPE_CHECKING:
    from pathlib import Path

SALES = "src/shop/pipelines/sales.py"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path / "repository")


def line_of(project: Project, text: str, path: str = SALES) -> int:
    """The line of a file of the project that holds `text`."""
    lines = (project.root / path).read_text(encoding="utf-8").splitlines()
    (found,) = [i for i, line in enumerate(lines, 1) if text in line]
    return found


def assert_fails(project: Project, *said: str) -> str:
    """The build fails with these words, as a message and no traceback, and leaves neither wheel nor resources."""
    result = project.build()
    assert result.code == 1, result.output
    for text in said:
        assert text in result.output
    assert "Traceback" not in result.output
    assert project.wheels == []
    assert not project.resources.exists()
    return result.output


class TestWheel:
    def test_the_wheel_holds_exactly_the_package_and_its_metadata(self, project: Project) -> None:
        """The wheel holds the package, its metadata, the manifest and the entry points, and nothing else."""
        assert project.build().code == 0
        info = "shop_pipelines-1.2.0.dist-info"
        with zipfile.ZipFile(project.wheel) as archive:
            names = set(archive.namelist())
        assert names == {
            "shop/__init__.py",
            "shop/pipelines/__init__.py",
            "shop/pipelines/sales.py",
            f"{info}/METADATA",
            f"{info}/RECORD",
            f"{info}/WHEEL",
            f"{info}/entry_points.txt",
            f"{info}/extra_metadata/dbxdec/manifest.json",
        }

    def test_the_entry_point_stands_in_the_group_packages(self, project: Project) -> None:
        """`dbxdec-run` is an entry point of the wheel in the group `packages`; static scripts stay."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.targets.wheel]",
            '[project.scripts]\nshop = "shop:main"\n\n[tool.hatch.build.targets.wheel]',
        )
        assert project.build().code == 0
        points = ConfigParser(delimiters=("=",))
        with zipfile.ZipFile(project.wheel) as archive:
            points.read_string(archive.read("shop_pipelines-1.2.0.dist-info/entry_points.txt").decode())
        assert dict(points["packages"]) == {"dbxdec-run": "dbxdec.runtime:main"}
        assert dict(points["console_scripts"]) == {"shop": "shop:main"}

    def test_the_manifest_is_canonical_and_names_project_job_and_lines(self, project: Project) -> None:
        """The manifest's bytes are those that encoding it again gives, with source lines of the tree."""
        assert project.build().code == 0
        with zipfile.ZipFile(project.wheel) as archive:
            content = archive.read("shop_pipelines-1.2.0.dist-info/extra_metadata/dbxdec/manifest.json")
        assert encode(decode(content, "it")) == content
        document = json.loads(content)
        assert document["schema"] == "2.0"
        assert document["project"] == {"name": "shop-pipelines", "version": "1.2.0"}
        assert document["jobs"]["sales"]["source"] == f"{SALES}:{line_of(project, '@job')}"
        assert str(project.root) not in content.decode()

    @pytest.mark.slow
    def test_two_builds_give_the_same_bytes(self, project: Project, tmp_path: Path) -> None:
        """The same tree in another folder gives a wheel of the same bytes."""
        other = shop(tmp_path / "elsewhere" / "repository")
        assert project.build().code == other.build().code == 0
        assert project.wheel.read_bytes() == other.wheel.read_bytes()

    @pytest.mark.slow
    def test_the_build_id_follows_every_shipped_file_and_not_the_version(self, project: Project) -> None:
        """Another version keeps the build id; a changed data file changes it."""
        project.write("src/shop/query.sql", "select 1")
        ids = []
        for before, after in (("x", "x"), ('version = "1.2.0"', 'version = "1.3.0"')):
            if before != after:
                project.edit("pyproject.toml", before, after)
                project.wheel.unlink()
            assert project.build().code == 0
            ids.append(project.manifest()["build_id"])
        project.write("src/shop/query.sql", "select 2")
        assert project.build().code == 0
        ids.append(project.manifest()["build_id"])
        assert ids[0] == ids[1] != ids[2]


class TestResources:
    def test_the_resources_name_the_wheel_that_was_built(self, project: Project) -> None:
        """Libraries and artifact name the built wheel, relative to the resources file, and its build id."""
        assert project.build().code == 0
        job = project.jobs()["sales"]
        wheels = {library["whl"] for task in job["tasks"] for library in without_own(task["libraries"])}
        (named,) = wheels
        assert (project.resources.parent / named).resolve() == project.wheel.resolve()
        ids = {task["python_wheel_task"]["named_parameters"]["dbxdec-build"] for task in job["tasks"]}
        assert ids == {project.manifest()["build_id"]}

    @pytest.mark.slow
    def test_an_unchanged_build_leaves_the_resources_untouched(self, project: Project) -> None:
        """A second build of the same tree does not write the resources file again."""
        assert project.build().code == 0
        before = project.resources.stat()
        assert project.build().code == 0
        after = project.resources.stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("setting", "path"), [('"conf/jobs.json"', "conf/jobs.json"), ('"jobs.yaml"', "jobs.yaml")]
    )
    def test_resources_go_where_the_setting_says(self, project: Project, setting: str, path: str) -> None:
        """`resources` chooses the path, and its suffix the format."""
        project.edit(
            "pyproject.toml",
            "[tool.dbxdec.variables]",
            f"[tool.dbxdec]\nresources = {setting}\n[tool.dbxdec.variables]",
        )
        assert project.build().code == 0
        text = (project.root / path).read_text(encoding="utf-8")
        assert project.wheel.name in text
        assert path.endswith(".yaml") or json.loads(text)["resources"]["jobs"]["sales"]
        assert not project.resources.exists()

    def test_false_writes_no_resources(self, project: Project) -> None:
        """`resources = false` makes the wheel alone."""
        project.edit(
            "pyproject.toml", "[tool.dbxdec.variables]", "[tool.dbxdec]\nresources = false\n[tool.dbxdec.variables]"
        )
        assert project.build().code == 0
        assert project.wheel.exists()
        assert not project.resources.parent.exists()

    @pytest.mark.parametrize("folder", ["out[1]", "out*", "a?b/out"])
    def test_no_resources_name_a_wheel_in_a_folder_that_a_bundle_takes_for_a_pattern(
        self, tmp_path: Path, folder: str
    ) -> None:
        """The bundle's CLI looks for wheels by patterns, and finds none of that name, or another one."""
        why = why_unnameable(tmp_path, "standard", tmp_path / folder, tmp_path / "dist")
        assert why is not None
        assert "for a pattern" in why
        assert why_unnameable(tmp_path, "standard", tmp_path / "out (1)", tmp_path / "dist") is None

    @pytest.mark.slow
    def test_resources_of_an_earlier_build_are_in_neither_archive(self, project: Project) -> None:
        """sdist and wheel leave the resources out, so that they are no part of what they describe."""
        project.edit(
            "pyproject.toml",
            '[tool.hatch.build.targets.wheel]\npackages = ["src/shop"]',
            '[tool.hatch.build.targets.wheel]\ninclude = ["src/shop", "resources"]\nsources = ["src"]',
        )
        assert project.build().code == 0
        first = project.manifest()
        result = project.run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel")
        assert result.code == 0, result.output
        with tarfile.open(next((project.root / "dist").glob("*.tar.gz"))) as archive:
            assert not [name for name in archive.getnames() if "dbxdec.yml" in name]
        assert project.manifest() == first

    def test_the_command_that_untracks_resources_takes_any_name(self, tmp_path: Path) -> None:
        """A name with a space is in quotes, as a shell needs it."""
        project = Project(tmp_path)
        project.write("a b.yml", "")
        for arguments in (["init", "-q"], ["add", "-A"]):
            assert project.run("git", *arguments).code == 0
        said = tracking_warning(tmp_path, "a b.yml")
        assert said is not None
        assert "`git rm --cached 'a b.yml'`" in said

    def test_the_state_of_local_runs_is_in_neither_archive(self, project: Project) -> None:
        """Logs and task values are nobody else's, and no build id follows them, without a .gitignore too."""
        project.edit(
            "pyproject.toml", 'packages = ["src/shop"]', 'include = ["src/shop", ".dbxdec"]\nsources = ["src"]'
        )
        assert project.build().code == 0
        first = project.manifest()
        project.write(".dbxdec/runs/1/logs/report.log", "a secret")
        project.write(".dbxdec/.gitignore", "*")
        assert project.build("-t", "sdist", "-t", "wheel").code == 0
        with tarfile.open(next((project.root / "dist").glob("*.tar.gz"))) as archive:
            assert not [name for name in archive.getnames() if ".dbxdec" in name]
        assert project.manifest() == first

    @pytest.mark.slow
    def test_pip_and_editable_builds_write_no_resources(self, project: Project) -> None:
        """A wheel in a temporary folder can't be named by the tree: no resources, the same manifest."""
        assert project.build().code == 0
        manifest = project.manifest()
        project.resources.unlink()
        result = project.build("-d", str(project.root.parent / "out"))
        assert result.code == 0, result.output
        assert not project.resources.exists()
        (wheel,) = (project.root.parent / "out").glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            assert (
                json.loads(archive.read("shop_pipelines-1.2.0.dist-info/extra_metadata/dbxdec/manifest.json"))
                == manifest
            )
        result = project.build("-t", "wheel:editable", "-d", str(project.root.parent / "out"))
        assert result.code == 0, result.output
        assert not project.resources.exists()


class TestEditableInstalls:
    """What `uv run` and `pip install -e` ask for; `-d` is the folder of a front end."""

    def build(self, project: Project, folder: Path) -> Result:
        return project.build("-t", "wheel:editable", "-d", str(folder))

    @pytest.mark.slow
    def test_mistakes_in_the_pipelines_are_a_warning(self, project: Project, tmp_path: Path) -> None:
        """An editable wheel of wrong pipelines is made, without manifest: `uv run dbxdec check` has to start."""
        project.edit(SALES, "orders(n)", "orders(m=n)")
        result = self.build(project, tmp_path / "out")
        assert result.code == 0, result.output
        assert "warning: this editable install has no manifest, since its pipelines have 1 mistake:" in result.output
        assert f"{SALES}:{line_of(project, 'm=n')}: the task `orders` has no parameter `m`" in result.output
        (wheel,) = (tmp_path / "out").glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        assert not [name for name in names if "manifest" in name or "entry_points" in name]
        assert_fails(project, "the task `orders` has no parameter `m`")

    @pytest.mark.slow
    def test_a_job_that_the_platform_refuses_is_a_warning(self, project: Project, tmp_path: Path) -> None:
        """Mistakes in job definitions are mistakes in the pipelines too."""
        project.edit(SALES, "@job(cluster=small)", "@job(cluster=small, timeout_secs=3)")
        result = self.build(project, tmp_path / "out")
        assert result.code == 0, result.output
        assert "timeout_secs" in result.output

    @pytest.mark.slow
    def test_resources_of_the_build_before_stay(self, project: Project, tmp_path: Path) -> None:
        """They name a wheel that still exists: an editable install elsewhere has nothing to do with a deploy."""
        assert project.build().code == 0
        before = project.resources.read_bytes()
        project.edit(SALES, "orders(n)", "orders(m=n)")
        assert self.build(project, tmp_path / "out").code == 0
        assert project.resources.read_bytes() == before
        assert project.wheel.is_file()

    @pytest.mark.slow
    def test_resources_of_a_wheel_that_it_replaces_go(self, project: Project) -> None:
        """In the place of the wheel that resources name, it takes them with it."""
        assert project.build().code == 0
        project.edit(SALES, "orders(n)", "orders(m=n)")
        assert self.build(project, project.root / "dist").code == 0
        assert not project.resources.exists()

    @pytest.mark.slow
    def test_the_sdist_after_it_has_the_readme_as_it_is(self, project: Project, tmp_path: Path) -> None:
        """A line that the wheel's metadata would have in another form is back for the sdist of the same process."""
        project.write("README.md", "Version: 3\n")
        project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.2.0"\nreadme = "README.md"')
        project.edit(SALES, "orders(n)", "orders(m=n)")
        result = self.build(project, tmp_path / "out")
        assert result.code == 0, result.output
        both = ("-t", "wheel:editable", "-t", "sdist", "-d", str(tmp_path / "both"))
        result = project.run(sys.executable, "-m", "hatchling", "build", *both)
        assert result.code == 0, result.output
        with tarfile.open(next((tmp_path / "both").glob("*.tar.gz"))) as archive:
            found = archive.extractfile("shop_pipelines-1.2.0/PKG-INFO")
            assert found is not None
            assert found.read().endswith(b"\nVersion: 3\n")

    def test_wrong_settings_fail(self, project: Project, tmp_path: Path) -> None:
        """The build itself is wrong then, and not only what it would ship."""
        project.edit(
            "pyproject.toml", "[tool.dbxdec.variables]", "[tool.dbxdec]\ntimeoutt = 3\n[tool.dbxdec.variables]"
        )
        result = self.build(project, tmp_path / "out")
        assert result.code != 0
        assert "tool.dbxdec.timeoutt" in result.output

    def test_an_installed_one_says_what_it_lacks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who runs an install without a manifest is told of `dbxdec check`."""
        (tmp_path / "shop-1.dist-info").mkdir()
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ManifestError, match="an editable install of pipelines with mistakes, which `dbxdec check`"):
            find_manifest("shop")


class TestStandIns:
    @pytest.mark.slow
    def test_an_absent_third_party_module_does_not_stop_the_build(self, project: Project) -> None:
        """Imports, annotations, base classes and plain calls of an absent module are stood in for, and said so."""
        project.edit(
            SALES,
            "import polars as pl\n",
            "import polars as pl\nimport acme_lake.core as acme\nfrom acme_extras import Base, client\n\n"
            "connection = client(region='eu')\n\n\nclass Mine(Base):\n    def read(self) -> acme.Frame: ...\n",
        )
        result = project.build()
        assert result.code == 0, result.output
        assert "acme_extras, acme_lake" in result.output.replace(".core", "")

    def test_missing_imports_error_refuses_absent_modules(self, project: Project) -> None:
        """With `missing-imports = "error"` an absent module fails the build at its import."""
        project.edit(
            "pyproject.toml",
            "[tool.dbxdec.variables]",
            '[tool.dbxdec]\nmissing-imports = "error"\n[tool.dbxdec.variables]',
        )
        project.edit(SALES, "import polars as pl\n", "import polars as pl\nimport acme_lake\n")
        assert_fails(project, f"{SALES}:{line_of(project, 'import acme_lake')}", "acme_lake")

    @pytest.mark.slow
    def test_an_absent_module_gives_the_manifest_of_a_present_one(self, project: Project, tmp_path: Path) -> None:
        """Whether a module is installed or stood in for changes nothing in the manifest."""
        project.edit(SALES, "import polars as pl\n", "import polars as pl\nimport acme_lake\n")
        assert project.build().code == 0
        absent = project.wheel.read_bytes()
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "acme_lake.py").write_text("", encoding="utf-8")
        installed = Project(project.root, {"PYTHONPATH": str(tmp_path / "site")})
        result = installed.build()
        assert result.code == 0
        assert "acme_lake" not in result.output
        assert project.wheel.read_bytes() == absent


class TestWrongProjects:
    def test_a_misspelt_argument_fails_at_its_line(self, project: Project) -> None:
        """A misspelt argument of a task is named with what was meant."""
        project.edit(SALES, 'total(orders(n)), ["a", "b"])', 'total=total(orders(n)), wordz=["a"])')
        line = line_of(project, "wordz=")
        assert_fails(project, f"{SALES}:{line}", "`wordz`", "did you mean `words`?")

    def test_a_missing_io_manager_fails(self, project: Project) -> None:
        """A task whose frame nothing stores is an error that says how to store it."""
        project.edit(SALES, "@task(io_manager=lake)\n", "@task\n")
        assert_fails(project, "has no IoManager", "@task(io_manager=...)")

    def test_a_proxy_in_an_if_fails_at_its_line(self, project: Project) -> None:
        """A result used as a condition while the job is wired is an error at that line."""
        project.edit(
            SALES,
            '    report(total(orders(n)), ["a", "b"])',
            '    t = total(orders(n))\n    if t:\n        report(t, ["a"])',
        )
        assert_fails(project, f"{SALES}:{line_of(project, 'if t:')}", "`total`")

    def test_a_syntax_error_fails_at_its_line(self, project: Project) -> None:
        """A module that does not parse is named with its line."""
        project.edit(SALES, "small = job_cluster(", "small = = job_cluster(")
        assert_fails(project, f"{SALES}:{line_of(project, 'small = =')}", "SyntaxError")

    def test_an_import_that_fails_is_shown_at_its_line(self, project: Project) -> None:
        """An exception at import is shown at the project's own line."""
        project.edit(SALES, "small = job_cluster(", "1 / 0\nsmall = job_cluster(")
        assert_fails(project, f"{SALES}:{line_of(project, '1 / 0')}", "ZeroDivisionError")

    def test_sys_exit_at_import_fails(self, project: Project) -> None:
        """`sys.exit()` at import fails the build instead of ending it as if all were well."""
        project.edit(SALES, "small = job_cluster(", "import sys\n\nsys.exit()\nsmall = job_cluster(")
        assert_fails(project, f"{SALES}:{line_of(project, 'sys.exit()')}", "sys.exit")

    @pytest.mark.slow
    def test_an_endless_loop_at_import_fails_after_the_timeout(self, project: Project) -> None:
        """A module that never finishes importing ends the build after `timeout`, at the line where it hangs."""
        project.edit("pyproject.toml", "[tool.dbxdec.variables]", "[tool.dbxdec]\ntimeout = 2\n[tool.dbxdec.variables]")
        project.edit(SALES, "small = job_cluster(", "while True:\n    pass\nsmall = job_cluster(")
        assert_fails(project, f"{SALES}:", "did not finish within 2 seconds", "`timeout`")

    def test_a_crash_of_the_interpreter_fails(self, project: Project) -> None:
        """A module that kills its interpreter is named."""
        project.edit(SALES, "small = job_cluster(", "import os\n\nos._exit(3)\nsmall = job_cluster(")
        assert_fails(project, "exit code 3", "shop.pipelines.sales")

    def test_all_broken_modules_are_reported_together(self, project: Project) -> None:
        """One broken module hides no other's mistakes."""
        project.edit(SALES, "@task(io_manager=lake)\n", "@task\n")
        project.write("src/shop/pipelines/other.py", "import dbxdec\n\nraise ValueError('no luck')\n")
        project.write("src/shop/pipelines/third.py", "def f(:\n")
        assert_fails(
            project, "has no IoManager", "src/shop/pipelines/other.py:3", "no luck", "src/shop/pipelines/third.py:1"
        )

    def test_a_mistake_of_the_job_definition_fails_at_the_authors_line(self, project: Project) -> None:
        """A field that the platform does not know is refused at the task's line."""
        project.edit(SALES, "    @task\n    def total(", "    @task(max_retris=2)\n    def total(")
        assert_fails(project, f"{SALES}:{line_of(project, '@task(max_retris')}", "did you mean `max_retries`?")

    @pytest.mark.slow
    def test_a_failure_removes_the_wheel_and_resources_of_the_build_before(self, project: Project) -> None:
        """After a failed build there is nothing left that a deploy could take for the new one."""
        assert project.build().code == 0
        project.edit(SALES, "small = job_cluster(", "1 / 0\nsmall = job_cluster(")
        assert_fails(project, "ZeroDivisionError")

    def test_settings_are_refused_with_their_toml_path(self, project: Project) -> None:
        """All mistakes in [tool.dbxdec] are listed, each with its path."""
        project.edit(
            "pyproject.toml",
            "[tool.dbxdec.variables]",
            '[tool.dbxdec]\ntimeout = "x"\npipeline = []\n[tool.dbxdec.variables]',
        )
        assert_fails(project, "tool.dbxdec.timeout", "tool.dbxdec.pipeline", "did you mean `pipelines`?")

    def test_an_output_folder_that_a_bundle_takes_for_a_pattern_fails(self, project: Project) -> None:
        """The setting of the output folder is refused with its TOML path, since no deploy would find the wheel."""
        project.edit(
            "pyproject.toml",
            "[tool.dbxdec.variables]",
            '[tool.hatch.build]\ndirectory = "out[1]"\n[tool.dbxdec.variables]',
        )
        assert_fails(project, "tool.hatch.build.directory: the output folder has `[` in its name")

    def test_a_project_that_does_not_depend_on_dbxdec_fails(self, project: Project) -> None:
        """Without dbxdec among its dependencies no task could run: the build says what to add."""
        project.edit("pyproject.toml", 'dependencies = ["dbxdec[polars]>=0.1"]', 'dependencies = ["polars"]')
        assert_fails(project, "project.dependencies", "does not depend on dbxdec")

    def test_a_hook_behind_ours_fails(self, project: Project) -> None:
        """A build hook that runs after dbxdec's could change what was imported: the build refuses it."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            "[tool.hatch.build.hooks.dbxdec]\n[tool.hatch.build.hooks.custom]",
        )
        project.write(
            "hatch_build.py",
            "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n\n\n"
            "class Mine(BuildHookInterface): ...\n",
        )
        assert_fails(project, "`custom` runs after `dbxdec`")

    def test_an_ignored_folder_fails_the_build_and_not_the_cluster(self, project: Project) -> None:
        """A module that git ignores is not in the wheel, so importing it fails already here."""
        project.write(".gitignore", "lib/\n")
        project.write("src/shop/lib/__init__.py", "VALUE = 1\n")
        project.edit(SALES, "import polars as pl\n", "import polars as pl\nfrom shop.lib import VALUE\n")
        assert_fails(project, f"{SALES}:{line_of(project, 'import VALUE')}", "shop.lib")
