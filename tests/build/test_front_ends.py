"""Every front end with every layout: what is in the wheel, and what is left in the tree."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from conftest import MATRIX_CELL
from layouts import LAYOUTS, Content, content_of, installed_in
from left_behind import assert_no_dangling, assert_resources
from projects import Project, Result

POINT = {"dbxdec-run": "dbxdec.runtime:main"}
HATCHLING = (sys.executable, "-m", "hatchling", "build")


def assert_nothing_left(folder: Path) -> None:
    """No temporary folder of dbxdec's is in `folder`, where processes put theirs."""
    assert [path.name for path in folder.iterdir() if path.name.startswith("dbxdec")] == []


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """A folder for the temporary files of a build."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path, temporary: Path) -> Project:
    project = LAYOUTS["src"].write(tmp_path / "repository")
    return Project(project.root, {"TMPDIR": str(temporary)})


@dataclass(frozen=True)
class Tools:
    """Front ends, and what they need to find packages: a folder of wheels, and no index."""

    pip: str
    environment: dict[str, str]


@pytest.fixture(scope="session")
def tools(shared: Path, dbxdec_wheel: Path) -> Tools:
    """A Python with pip, and a folder of all wheels that an isolated build needs."""
    folder = shared / f"front-ends-{dbxdec_wheel.parent.name}"
    links = folder / "links"
    python = str(folder / "pip" / "bin" / "python")
    with FileLock(shared / "front-ends.lock"):
        if not (folder / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", folder / "pip"], check=True, capture_output=True)
            wanted = ["hatchling", "editables~=0.3", "uv", f"dbxdec[build] @ {dbxdec_wheel.as_uri()}"]
            command = [python, "-m", "pip", "download", "-q", "--no-input", "-d", str(links), *wanted]
            subprocess.run(command, check=True)
            (folder / "ready").touch()
    scripts = str(Path(sys.executable).parent)
    environment = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(links),
        "PIP_NO_COMPILE": "1",  # an environment for one build needs little of the byte code
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(links),
        "UV_COMPILE_BYTECODE": "0",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "HATCH_DATA_DIR": str(folder / "hatch-data"),
        "HATCH_CACHE_DIR": str(folder / "hatch-cache"),
        "HATCH_ENV_TYPE_VIRTUAL_UV_PATH": f"{scripts}/uv",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }
    return Tools(python, environment)


@pytest.fixture(scope="session")
def reference(shared: Path) -> Callable[[str], bytes]:
    """The manifest of a layout, built by hatchling in the environment of the tests, where everything is installed."""

    def manifest(layout: str) -> bytes:
        folder = shared / "reference" / layout
        project = Project(folder / LAYOUTS[layout].folder)
        with FileLock(shared / f"reference-{layout}.lock"):
            if not project.wheels:
                succeeded(LAYOUTS[layout].write(folder).build())
        return content_of(project.wheel).manifest

    return manifest


def succeeded(result: Result) -> Result:
    assert result.code == 0, result.output
    return result


# Each builds or installs the project, and gives the content to look at.
FrontEnd = Callable[[Project, Tools, Path], Content]


def _tree(*command: str) -> FrontEnd:
    def build(project: Project, tools: Tools, folder: Path) -> Content:
        succeeded(project.run(*[tools.pip if part == "PIP" else part for part in command]))
        return content_of(project.wheel)

    return build


def _pip_wheel(project: Project, tools: Tools, folder: Path) -> Content:
    succeeded(project.run(tools.pip, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder / "out"), "."))
    (wheel,) = (folder / "out").glob("*.whl")
    return content_of(wheel)


def _install(*command: str) -> FrontEnd:
    def install(project: Project, tools: Tools, folder: Path) -> Content:
        target = folder / "environment"
        subprocess.run(
            [sys.executable, "-m", "uv", "venv", "-q", "--python", sys.executable, str(target)],
            check=True,
            env={**os.environ},
        )
        replaced = {"PIP": tools.pip, "PYTHON": str(target / "bin" / "python")}
        succeeded(project.run(*[replaced.get(part, part) for part in command]))
        return installed_in(target)

    return install


def _uv_project(*command: str) -> FrontEnd:
    def run(project: Project, tools: Tools, folder: Path) -> Content:
        succeeded(project.run("uv", *command))
        return installed_in(project.root / ".venv")

    return run


PIP = ("PIP", "-m", "pip")

# Those that build the tree and leave the wheel there.
LEAVING: dict[str, FrontEnd] = {
    "hatchling build": _tree(*HATCHLING),
    "hatch build": _tree("hatch", "build"),
    "hatch build -t wheel": _tree("hatch", "build", "-t", "wheel"),
    "python -m build --wheel": _tree(sys.executable, "-m", "build", "--wheel"),
    "uv build --wheel": _tree("uv", "build", "--wheel"),
}
# Those that build an unpacked sdist, or a wheel that is gone afterwards.
PASSING: dict[str, FrontEnd] = {
    "python -m build": _tree(sys.executable, "-m", "build"),
    "uv build": _tree("uv", "build"),
    "pip wheel": _pip_wheel,
    "pip install": _install(*PIP, "--python", "PYTHON", "install", "-q", "--no-deps", "."),
    "pip install -e": _install(*PIP, "--python", "PYTHON", "install", "-q", "--no-deps", "-e", "."),
    "uv pip install -e": _install("uv", "pip", "install", "--python", "PYTHON", "-q", "-e", "."),
    "uv pip install": _install("uv", "pip", "install", "--python", "PYTHON", "-q", "--no-cache", "."),
    "uv sync": _uv_project("sync", "-q"),
    "uv run": _uv_project("run", "-q", "python", "-c", "import dbxdec"),
}
# Those of them that make editable wheels, which hatchling refuses for some layouts.
EDITABLE = {"pip install -e", "uv pip install -e", "uv sync", "uv run"}


# Those that go the same way as another one, apart from an option: `make test-all` alone tries them.
TWINS = {"python -m build --wheel", "uv build --wheel", "pip wheel", "uv pip install", "uv run"}


def _quick_pairs() -> set[tuple[str, str]]:
    """The pairs that are tried each time: each front end that is no twin of another, and each layout, are in one."""
    ends = [*LEAVING, *PASSING]
    pairs = {(list(LAYOUTS)[i % len(LAYOUTS)], end) for i, end in enumerate(ends) if i and end not in TWINS}
    taken = {layout for layout, end in pairs if LAYOUTS[layout].editable or end not in EDITABLE}
    return pairs | {(layout, ends[0]) for layout in LAYOUTS if layout not in taken}


_QUICK = _quick_pairs()
MATRIX = [
    pytest.param(name, end, marks=[] if (name, end) in _QUICK else pytest.mark.slow)
    for name, layout in LAYOUTS.items()
    for end in LEAVING | PASSING
    if layout.editable or end not in EDITABLE
]


class TestIsolated:
    @pytest.mark.parametrize(("layout", "end"), MATRIX, ids=lambda part: part.replace(" ", "_"))
    def test_same_manifest_and_right_remains(
        self,
        layout: str,
        end: str,
        tools: Tools,
        reference: Callable[[str], bytes],
        tmp_path: Path,
        temporary: Path,
        request: pytest.FixtureRequest,
    ) -> None:
        """Any front end makes the same manifest, and leaves resources exactly where it leaves the wheel they name."""
        request.node.user_properties.append((MATRIX_CELL, [end, layout]))  # `record_property` warns with --junitxml
        project = LAYOUTS[layout].write(tmp_path / "repository")
        project = Project(project.root, {**tools.environment, "TMPDIR": str(temporary)})
        content = (LEAVING | PASSING)[end](project, tools, tmp_path)
        assert content.manifest == reference(layout)
        assert content.points["packages"].items() >= POINT.items()
        if layout == "scripts":
            assert content.points["packages"] == {**POINT, "other": "shop:other"}
            assert content.points["shop.plugins"] == {"one": "shop:one"}
            assert content.points["console_scripts"] == {"shop": "shop:main"}
        if end in LEAVING or project.wheels:
            assert content.names == LAYOUTS[layout].wheel_names
        if end in LEAVING:
            assert_resources(project, project.wheel)
        else:
            assert not project.resources.exists()
        assert_nothing_left(temporary)


SALES = "src/shop_pipelines/pipelines/sales.py"


def change(project: Project) -> None:
    """Another build of the same version."""
    project.edit(SALES, "n: int = 3", "n: int = 4")


class TestOptions:
    def test_standard_and_editable_at_once(self, project: Project) -> None:
        """Both versions have one file name: the editable one is left, and no resources that name it."""
        result = succeeded(project.run(*HATCHLING, "-t", "wheel:standard,editable"))
        assert "resources/dbxdec.yml is removed" in result.output
        assert len(project.wheels) == 1
        assert not project.resources.exists()

    def test_editable_and_then_standard(self, project: Project) -> None:
        """Where the standard version comes last, it stays, and resources name it."""
        succeeded(project.run(*HATCHLING, "-t", "wheel:editable,standard"))
        assert content_of(project.wheel).names == LAYOUTS["src"].wheel_names
        assert_resources(project, project.wheel)

    def test_an_editable_wheel_over_that_of_the_build_before(self, project: Project) -> None:
        """An editable wheel that replaces the one that the resources name takes the resources with it."""
        succeeded(project.build())
        succeeded(project.run(*HATCHLING, "-t", "wheel:editable"))
        assert not project.resources.exists()

    @pytest.mark.slow
    def test_editable_in_the_settings_asks_for_editables(self, project: Project, tools: Tools) -> None:
        """A project whose settings list an editable version gets `editables` from `hatch build`."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build.targets.wheel]\nversions = ["editable", "standard"]\n[tool.hatch.build.hooks.dbxdec]',
        )
        isolated = Project(project.root, tools.environment)
        succeeded(isolated.run("hatch", "build", "-t", "wheel"))
        assert_resources(project, project.wheel)

    @pytest.mark.slow
    def test_uv_runs_a_command_in_a_project_with_mistakes(self, project: Project, tools: Tools) -> None:
        """`uv run` installs the project first: mistakes in its pipelines don't stop it."""
        project.edit(SALES, "n: int = 3", "n: object = 3")
        isolated = Project(project.root, tools.environment)
        succeeded(isolated.run("uv", "run", "-q", "python", "-c", "import shop_pipelines"))
        assert project.build().code != 0

    @pytest.mark.slow
    def test_editable_without_editables_says_what_to_do(self, project: Project, tools: Tools) -> None:
        """Where `editables` is missing, the build says how to have it."""
        isolated = Project(project.root, tools.environment)
        result = isolated.run("hatch", "build", "-t", "wheel:editable")
        assert result.code != 0
        assert "needs `editables`" in result.output
        assert "Traceback" not in result.output

    @pytest.mark.parametrize("targets", [("wheel", "sdist"), ("sdist", "wheel")], ids=" ".join)
    def test_wheel_and_sdist_at_once(self, project: Project, targets: tuple[str, str], tmp_path: Path) -> None:
        """The entry point of the wheel is in no sdist that is built by the same process, whatever its order."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            "[tool.hatch.build.targets.sdist]\nsupport-legacy = true\n[tool.hatch.build.hooks.dbxdec]",
        )
        first, second = targets
        succeeded(project.run(*HATCHLING, "-t", first, "-t", second))
        assert_resources(project, project.wheel)
        succeeded(project.run(*HATCHLING, "-t", "sdist", "-d", str(tmp_path / "alone")))
        (archive,) = (project.root / "dist").glob("*.tar.gz")
        (alone,) = (tmp_path / "alone").glob("*.tar.gz")
        with tarfile.open(archive) as mine, tarfile.open(alone) as other:
            assert mine.getnames() == other.getnames()
            name = "shop_pipelines-1.2.0/setup.py"
            assert mine.extractfile(name).read() == other.extractfile(name).read()  # type: ignore[union-attr]

    def test_clean(self, project: Project) -> None:
        """`--clean` removes the wheel of another version, and the resources name the new one."""
        succeeded(project.build())
        project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.3.0"')
        succeeded(project.build("--clean"))
        assert "1.3.0" in project.wheel.name
        assert_resources(project, project.wheel)

    @pytest.mark.parametrize("target", ["wheel", "sdist"])
    def test_clean_only(self, project: Project, target: str) -> None:
        """`--clean-only` takes the resources with the wheel, and leaves them where it leaves the wheel."""
        succeeded(project.build())
        succeeded(project.run(*HATCHLING, "-t", target, "--clean-only"))
        assert project.resources.exists() == bool(project.wheels) == (target == "sdist")

    @pytest.mark.slow
    def test_hatch_clean(self, project: Project, tools: Tools) -> None:
        """`hatch clean` leaves neither wheel nor resources."""
        succeeded(project.build())
        succeeded(Project(project.root, {**project.environment, **tools.environment}).run("hatch", "clean"))
        assert project.wheels == []
        assert not project.resources.exists()

    @pytest.mark.slow
    def test_clean_of_an_sdist_and_a_failing_wheel(self, project: Project) -> None:
        """A build that fails after `--clean` has removed the wheel leaves no resources of it."""
        succeeded(project.build())
        project.edit(SALES, "@job(cluster=small)", "1 / 0\n@job(cluster=small)")
        assert project.build("--clean").code == 1
        assert not project.resources.exists()

    def test_clean_hooks_after(self, project: Project) -> None:
        """`--clean-hooks-after` cleans what hooks put into the tree for the wheel; the resources deploy that wheel."""
        succeeded(project.build("--clean-hooks-after"))
        assert_resources(project, project.wheel)

    def test_clean_with_wrong_settings(self, project: Project) -> None:
        """Wrong settings are no reason not to clean."""
        project.edit(
            "pyproject.toml", "[tool.hatch.build.hooks.dbxdec]", "[tool.dbxdec]\nx = 1\n[tool.hatch.build.hooks.dbxdec]"
        )
        (project.root / "dist").mkdir()
        succeeded(project.run(*HATCHLING, "-t", "wheel", "--clean-only"))

    def test_hooks_only(self, project: Project, temporary: Path) -> None:
        """`--hooks-only` checks the project and leaves nothing: neither wheel, resources, nor temporary files."""
        succeeded(project.build("--hooks-only"))
        assert project.wheels == []
        assert not project.resources.exists()
        assert_nothing_left(temporary)

    @pytest.mark.slow
    def test_hooks_only_after_a_build(self, project: Project) -> None:
        """`--hooks-only` leaves wheel and resources of the build before, which belong together."""
        succeeded(project.build())
        change(project)
        succeeded(project.build("--hooks-only"))
        assert_resources(project, project.wheel)

    def test_no_hooks(self, project: Project) -> None:
        """`--no-hooks` makes an ordinary wheel, and no resources."""
        succeeded(project.build("--no-hooks"))
        assert len(project.wheels) == 1
        assert not project.resources.exists()


class TestOlderResources:
    @pytest.mark.slow
    @pytest.mark.parametrize("end", ["uv pip install", "uv pip install -e"])
    @pytest.mark.sampled(1)
    def test_a_passing_build_of_a_changed_tree(self, project: Project, end: str, tools: Tools, tmp_path: Path) -> None:
        """A build that leaves no wheel in the tree leaves that of the build before, and its resources."""
        succeeded(project.build())
        change(project)
        isolated = Project(project.root, {**project.environment, **tools.environment})
        PASSING[end](isolated, tools, tmp_path)
        assert_resources(project, project.wheel)

    @pytest.mark.parametrize("end", [pytest.param("python -m build", marks=pytest.mark.slow), "uv build"])
    @pytest.mark.sampled(1)
    def test_a_wheel_of_an_sdist_of_a_changed_tree(
        self, project: Project, end: str, tools: Tools, tmp_path: Path
    ) -> None:
        """A wheel that is built elsewhere, and takes the place of the one before, leaves no resources of that one."""
        succeeded(project.build())
        before = project.wheel.read_bytes()
        isolated = Project(project.root, {**project.environment, **tools.environment})
        PASSING[end](isolated, tools, tmp_path)
        assert_resources(project, project.wheel)
        change(project)
        PASSING[end](isolated, tools, tmp_path)
        assert project.wheel.read_bytes() != before
        assert not project.resources.exists()
        assert (project.resources.parent / "dbxdec-not-built.yml").exists()

    @pytest.mark.parametrize("folder", [".tox/.pkg/dist", ".cache/uv/tmp1", "cache/wheels", "scratch/x"])
    def test_a_wheel_in_a_folder_of_a_tool(self, project: Project, folder: str) -> None:
        """Caches and temporary folders may lie in the project: resources never name a wheel there."""
        (project.root / "cache").mkdir()
        (project.root / "cache" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
        (project.root / "scratch").mkdir()
        build = Project(project.root, {"TMPDIR": str(project.root / "scratch")})
        succeeded(build.build("-d", folder))
        assert not project.resources.exists()

    def test_a_hidden_folder_that_the_settings_name(self, project: Project) -> None:
        """The output folder in the settings is the author's choice, hidden or not."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build]\ndirectory = ".out"\n[tool.hatch.build.hooks.dbxdec]',
        )
        succeeded(project.build())
        (wheel,) = (project.root / ".out").glob("*.whl")
        assert_resources(project, wheel)

    def test_another_output_folder_in_the_project(self, project: Project) -> None:
        """Resources name the wheel where it was put."""
        succeeded(project.build("-d", "build out/wheels"))
        (wheel,) = (project.root / "build out" / "wheels").glob("*.whl")
        (artifact,) = yaml.safe_load(project.resources.read_text())["artifacts"].values()
        assert (project.resources.parent / artifact["files"][0]["source"]).resolve() == wheel

    @pytest.mark.slow
    def test_a_hook_that_fails_after_the_wheel_was_replaced(self, project: Project, temporary: Path) -> None:
        """Where another hook fails when a new wheel is there already, no resources of the older one stay."""
        succeeded(project.build())
        change(project)
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            "[tool.hatch.build.hooks.custom]\n[tool.hatch.build.hooks.dbxdec]",
        )
        project.write(
            "hatch_build.py",
            """
            from hatchling.builders.hooks.plugin.interface import BuildHookInterface

            class Mine(BuildHookInterface):
                def finalize(self, version, build_data, artifact):
                    raise RuntimeError("no luck")
            """,
        )
        result = project.build()
        assert result.code != 0
        assert "no luck" in result.output
        assert_no_dangling(project)
        assert not project.resources.exists()
        assert_nothing_left(temporary)


class TestFailures:
    @pytest.mark.slow
    def test_a_failure_keeps_other_wheels(self, project: Project) -> None:
        """A failing build removes its own wheel, and no other that the resources name."""
        project.write("vendor/helper-1.0-py3-none-any.whl", "somebody else's")
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.dbxdec]\nextra-libraries = ["vendor/helper-1.0-py3-none-any.whl"]\n[tool.hatch.build.hooks.dbxdec]',
        )
        succeeded(project.build())
        assert "vendor/helper-1.0" in project.resources.read_text()
        project.edit(SALES, "@job(cluster=small)", "1 / 0\n@job(cluster=small)")
        assert project.build().code == 1
        assert project.wheels == []
        assert not project.resources.exists()
        assert (project.root / "vendor" / "helper-1.0-py3-none-any.whl").exists()

    @pytest.mark.slow
    @pytest.mark.parametrize(("path", "folder"), [("resources/dbxdec.yml", "a b+é"), ("jobs.json", 'a"b')])
    def test_a_failure_finds_the_wheel_at_any_path(self, project: Project, path: str, folder: str) -> None:
        """A failing build removes the wheel of the build before, whatever its path and the format."""
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            f"[tool.dbxdec]\nresources = \"{path}\"\n[tool.hatch.build]\ndirectory = '{folder}'\n"
            "[tool.hatch.build.hooks.dbxdec]",
        )
        succeeded(project.build())
        assert list((project.root / folder).iterdir())
        project.edit(SALES, "@job(cluster=small)", "1 / 0\n@job(cluster=small)")
        assert project.build().code == 1
        assert list((project.root / folder).iterdir()) == []
        assert not (project.root / path).exists()

    @pytest.mark.parametrize("path", ["databricks.yml", "conf/jobs.json"])
    def test_a_file_of_the_author_is_never_replaced_or_removed(self, project: Project, path: str) -> None:
        """`resources` that name a file which no build has made are an error, and the file stays as it is."""
        content = "{}\n" if path.endswith("json") else "bundle:\n  name: shop\n"
        project.write(path, content)
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            f'[tool.dbxdec]\nresources = "{path}"\n[tool.hatch.build.hooks.dbxdec]',
        )
        result = project.build()
        assert result.code == 1
        assert f"tool.dbxdec.resources: {path} already exists" in result.output
        assert (project.root / path).read_text() == content
        assert project.wheels == []

    def test_resources_that_are_force_included(self, project: Project) -> None:
        """Resources in the wheel that they describe would change its build id with each build: an error."""
        succeeded(project.build())
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build.targets.wheel.force-include]\n"resources" = "shop_pipelines/resources"\n'
            "[tool.hatch.build.hooks.dbxdec]",
        )
        result = project.build()
        assert result.code == 1
        assert "would be in the wheel as shop_pipelines/resources/dbxdec.yml" in result.output

    def test_a_file_that_is_not_there(self, project: Project, temporary: Path) -> None:
        """A dangling link among the files of the wheel is a message and no traceback of ours."""
        (project.root / "src" / "shop_pipelines" / "gone.py").symlink_to("nowhere.py")
        result = project.build()
        assert result.code == 1
        assert "src/shop_pipelines/gone.py: can't be shipped: it is a link to nowhere.py" in result.output
        assert "gone.py" in result.output
        assert "Traceback" not in result.output
        assert_nothing_left(temporary)

    def test_entry_points_of_the_same_name(self, project: Project) -> None:
        """The platform looks for `dbxdec-run` in all groups: others of that name are refused, each with its path."""
        groups = ["scripts", "gui-scripts", 'entry-points."packages"', 'entry-points."x.y"']
        tables = "".join(f'[project.{group}]\ndbxdec-run = "shop_pipelines:main"\n' for group in groups)
        project.edit("pyproject.toml", "[tool.hatch.build.hooks.dbxdec]", f"{tables}[tool.hatch.build.hooks.dbxdec]")
        result = project.build()
        assert result.code == 1
        for group in groups:
            assert f"project.{group}.dbxdec-run: the entry point `dbxdec-run` is reserved by dbxdec" in result.output
        assert project.wheels == []

    @pytest.mark.slow
    @pytest.mark.parametrize("end", ["pip wheel", "uv build"])
    def test_a_failing_front_end_leaves_nothing(
        self, project: Project, end: str, tools: Tools, tmp_path: Path, temporary: Path
    ) -> None:
        """A build that fails leaves neither wheel, resources nor temporary files, by any front end."""
        project.edit(SALES, "@job(cluster=small)", "1 / 0\n@job(cluster=small)")
        isolated = Project(project.root, {**project.environment, **tools.environment})
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            (LEAVING | PASSING)[end](isolated, tools, tmp_path)
        assert project.wheels == []
        assert not project.resources.exists()
        assert_nothing_left(temporary)

    def test_a_build_that_is_told_to_end_leaves_nothing(self, project: Project, temporary: Path) -> None:
        """SIGTERM in the middle of a build ends the imports that it has started, and removes their files."""
        marker = project.root.parent / "pid"
        project.edit(
            SALES,
            "@job(cluster=small)",
            f"import os, time\nopen({str(marker)!r}, 'w').write(f'{{os.getpid()}}.')\ntime.sleep(100)\n"
            "@job(cluster=small)",
        )
        environment = {**os.environ, **project.environment}
        with subprocess.Popen([*HATCHLING, "-t", "wheel"], cwd=project.root, env=environment) as build:
            while not (marker.exists() and marker.read_text().endswith(".")):
                assert build.poll() is None
                time.sleep(0.02)
            build.terminate()
            assert build.wait(60) != 0
        with pytest.raises(ProcessLookupError):
            os.kill(int(marker.read_text()[:-1]), 0)
        assert project.wheels == []
        assert list(temporary.iterdir()) == []


class TestGit:
    def git(self, project: Project, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=project.root, check=True, capture_output=True)

    @pytest.mark.slow
    def test_tracked_resources_are_warned_of(self, project: Project) -> None:
        """Resources that git tracks would be in a checkout without their wheel: the build says what to do."""
        succeeded(project.build())
        self.git(project, "init", "-q")
        assert "tracked" not in succeeded(project.build()).output
        self.git(project, "add", "-f", "resources/dbxdec.yml")
        output = succeeded(project.build()).output
        assert "resources/dbxdec.yml is tracked by git" in output
        assert "git rm --cached resources/dbxdec.yml" in output

    def test_without_git_nothing_is_said(self, project: Project, tmp_path: Path) -> None:
        """A build does without git."""
        (project.root / ".git").mkdir()
        (tmp_path / "empty").mkdir()
        without = Project(project.root, {**project.environment, "PATH": str(tmp_path / "empty")})
        assert "git" not in succeeded(without.build()).output.replace("repository", "")


class TestStartedByTheBundle:
    @pytest.mark.slow
    def test_changed_resources_end_the_build(self, project: Project) -> None:
        """A build that the bundle starts comes too late to change resources: it aborts, and the next one is fine."""
        succeeded(project.build())
        change(project)
        bundle = Project(project.root, {**project.environment, "DATABRICKS_CLI_PATH": "/usr/bin/databricks"})
        result = bundle.build()
        assert result.code == 1
        assert "resources/dbxdec.yml has changed" in result.output
        assert "deploy again" in result.output
        assert "Traceback" not in result.output
        assert_resources(project, project.wheel)
        succeeded(bundle.build())

    def test_equal_resources_do_not(self, project: Project) -> None:
        """A build that the bundle starts and that changes no resources is as good as any."""
        succeeded(project.build())
        bundle = Project(project.root, {**project.environment, "DATABRICKS_CLI_PATH": "/usr/bin/databricks"})
        succeeded(bundle.build())
        assert_resources(project, project.wheel)
