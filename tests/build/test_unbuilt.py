"""No deploy without a finished build: what lies in the place of job definitions, and the way past for all else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundles import python_resources
from dbxdec.build import bundlefile, unbuilt
from projects import Project, Result, shop

SALES = "src/shop/pipelines/sales.py"
DBXDEC = Path(sys.executable).parent / "dbxdec"
SKIP = "DBXDEC_SKIP_BUNDLE"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path / "repository")


def bundle(project: Project, **environment: str) -> Result:
    return Project(project.root, environment).run(str(DBXDEC), "bundle")


def break_it(project: Project) -> None:
    project.edit(SALES, "small = job_cluster(", "1 / 0\nsmall = job_cluster(")


def mend(project: Project) -> None:
    project.edit(SALES, "1 / 0\n", "")


def assert_holds_up(path: Path) -> None:
    """The file declares an artifact whose build, which only a deploy runs, fails and says why; and no job."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert document.keys() == {"artifacts"}
    (artifact,) = document["artifacts"].values()
    assert artifact.keys() == {"build"}  # `files` that aren't there would fail every command of the bundle
    done = subprocess.run(["sh", "-c", artifact["build"]], capture_output=True, text=True, check=False)
    assert (done.returncode, "no finished build" in done.stdout) == (1, True)


class TestMarker:
    @pytest.mark.parametrize("path", ["resources/dbxdec.yml", "jobs.json"])
    @pytest.mark.sampled(1)
    def test_a_failing_build_leaves_what_fails_a_deploy(self, project: Project, path: str) -> None:
        """Where resources go, a file comes that the same pattern takes in: a deploy would take none for no jobs."""
        project.edit(
            "pyproject.toml", "[tool.dbxdec.variables]", f'[tool.dbxdec]\nresources = "{path}"\n[tool.dbxdec.variables]'
        )
        assert project.build().code == 0
        marker = project.root / unbuilt.marker_of(path)
        assert not marker.exists()
        break_it(project)
        assert project.build().code == 1
        assert not (project.root / path).exists()
        assert_holds_up(marker)
        stem, dot, suffix = path.rpartition(".")
        assert bundlefile.includes(f"{stem}*{dot}{suffix}", unbuilt.marker_of(path))
        mend(project)
        assert project.build().code == 0
        assert not marker.exists()

    def test_a_first_build_that_fails_leaves_nothing(self, project: Project) -> None:
        """Where nothing was built, nothing is in the workspace that a deploy could remove."""
        break_it(project)
        assert project.build().code == 1
        assert not project.resources.parent.exists()

    def test_clean_leaves_it_too(self, project: Project) -> None:
        """`--clean-only` removes wheel and resources, and leaves what fails a deploy."""
        assert project.build().code == 0
        assert project.build("--clean-only").code == 0
        assert not project.resources.exists()
        assert_holds_up(project.root / unbuilt.marker_of("resources/dbxdec.yml"))

    @pytest.mark.slow
    def test_it_is_in_no_archive(self, project: Project) -> None:
        """Neither sdist nor wheel holds it."""
        import tarfile

        project.edit(
            "pyproject.toml",
            '[tool.hatch.build.targets.wheel]\npackages = ["src/shop"]',
            '[tool.hatch.build.targets.wheel]\ninclude = ["src/shop", "resources"]\nsources = ["src"]',
        )
        assert project.build().code == 0
        first = project.manifest()
        assert project.build("--clean-only").code == 0
        assert project.run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel").code == 0
        with tarfile.open(next((project.root / "dist").glob("*.tar.gz"))) as archive:
            assert not [name for name in archive.getnames() if "not-built" in name]
        assert project.manifest() == first

    @pytest.mark.slow
    def test_bundle_builds_while_it_is_there(self, project: Project) -> None:
        """Wheel and resources beside it are not fresh: the next call builds and removes it."""
        assert bundle(project).code == 0
        marker = project.root / unbuilt.marker_of("resources/dbxdec.yml")
        marker.write_bytes(unbuilt.content("resources/dbxdec.yml"))
        result = bundle(project)
        assert "resources/dbxdec-not-built.yml is there: building the wheel" in result.output
        assert not marker.exists()
        assert bundle(project) == Result(0, "")

    @pytest.mark.slow
    def test_a_failing_bundle_builds_once(self, project: Project) -> None:
        """What a failing build leaves is no change of the tree beneath it."""
        assert bundle(project).code == 0
        break_it(project)
        for _ in range(2):
            assert "building again" not in bundle(project).output

    @pytest.mark.slow
    def test_check_takes_it_for_no_artifact_that_builds_a_wheel(self, project: Project) -> None:
        """`dbxdec check` of a bundle that includes it has nothing to say of it."""
        project.write("databricks.yml", "bundle: {name: shop}\ninclude: [resources/*.yml]\nvariables: {lake: {}}\n")
        assert project.build().code == 0
        assert project.build("--clean-only").code == 0
        result = project.run(str(DBXDEC), "check")
        assert result.code == 0, result.output


class TestSkip:
    def test_a_failing_bundle_names_the_way_past(self, project: Project) -> None:
        """What fails also fails `bundle summary`: the message says how these commands work."""
        break_it(project)
        result = bundle(project)
        assert result.code == 1
        assert f"{SKIP}=1" in result.output
        assert "bundle destroy" in result.output

    @pytest.mark.slow
    @pytest.mark.parametrize("built", [True, False], ids=["built before", "never built"])
    @pytest.mark.sampled(1)
    def test_a_broken_tree_is_passed_loudly_and_not_deployed(self, project: Project, built: bool) -> None:
        """With the variable the command succeeds, says so, and puts what fails a deploy in the place of the jobs."""
        if built:
            assert bundle(project).code == 0
        break_it(project)
        result = bundle(project, **{SKIP: "1"})
        assert result.code == 0
        assert "NOTHING IS BUILT" in result.output
        assert_holds_up(project.resources)
        assert bundle(project, **{SKIP: "1"}).code == 0
        mend(project)
        assert bundle(project).code == 0
        assert set(project.jobs()) == {"sales"}

    def test_without_a_project_a_deploy_is_not_said_to_fail(self, project: Project) -> None:
        """The resources of the last build stay, and a deploy takes them."""
        assert bundle(project).code == 0
        (project.root / "pyproject.toml").unlink()
        result = bundle(project, **{SKIP: "1"})
        assert result.code == 0
        assert "a deploy takes what is there, since no project was found" in result.output
        assert project.resources.exists()

    def test_what_is_fresh_stays(self, project: Project) -> None:
        """Where nothing is to be built there is nothing to skip."""
        assert bundle(project).code == 0
        before = project.resources.read_bytes()
        assert bundle(project, **{SKIP: "1"}) == Result(0, "")
        assert project.resources.read_bytes() == before

    @pytest.mark.slow
    @pytest.mark.parametrize("value", ["", "0", "false"])
    def test_a_variable_that_says_no_skips_nothing(self, project: Project, value: str) -> None:
        """Set to nothing, 0 or false it is as if it were not set."""
        break_it(project)
        assert bundle(project, **{SKIP: value}).code == 1

    def test_broken_settings_are_passed_too(self, project: Project) -> None:
        """A pyproject.toml that is no TOML any more is passed, and the jobs of the last build are held up."""
        assert bundle(project).code == 0
        project.write("pyproject.toml", "[project\n")
        result = bundle(project, **{SKIP: "1"})
        assert result.code == 0, result.output
        assert_holds_up(project.resources)

    def test_a_file_of_the_author_is_never_replaced(self, project: Project) -> None:
        """Where the resources would be a file that no build has made, the command fails: a deploy can't be held up."""
        project.write("resources/dbxdec.yml", "bundle: {name: shop}\n")
        result = bundle(project, **{SKIP: "1"})
        assert result.code == 1
        assert "the deploy can't be stopped" in result.output
        assert project.resources.read_text(encoding="utf-8") == "bundle: {name: shop}\n"

    @pytest.mark.slow
    def test_python_resources(self, project: Project) -> None:
        """Jobs from Python: a warning, and a job whose library isn't there, which only a deploy looks for."""
        project.edit(
            "pyproject.toml", "[tool.dbxdec.variables]", "[tool.dbxdec]\nresources = false\n[tool.dbxdec.variables]"
        )
        break_it(project)
        _, found = python_resources(project.root, "dbxdec.bundle:load_resources")
        assert SKIP in found["diagnostics"][0]["detail"]
        skipping = {**project.environment, SKIP: "1"}
        _, found = python_resources(project.root, "dbxdec.bundle:load_resources", environment=skipping)
        (said,) = found["diagnostics"]
        assert (said["severity"], "NOTHING IS BUILT" in said["summary"]) == ("warning", True)
        (definition,) = found["resources"]["jobs"].values()
        (library,) = definition["environments"][0]["spec"]["dependencies"]
        assert not (project.root / library).exists()
        # The pattern of the bundle's artifact has to match something, or no command works.
        assert [path.name for path in project.wheels] == ["shop_pipelines-0.dev0-py3-none-any.whl"]
        mend(project)
        _, found = python_resources(project.root, "dbxdec.bundle:load_resources")
        assert set(found["resources"]["jobs"]) == {"sales"}
        assert project.wheel.name == "shop_pipelines-1.2.0-py3-none-any.whl"


def test_json_is_json() -> None:
    """Beside resources in JSON it is JSON."""
    assert json.loads(unbuilt.content("jobs.json")).keys() == {"artifacts"}
