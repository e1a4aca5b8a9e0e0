"""One tree makes one wheel, wherever and however it is built; the build id follows what is shipped and nothing else."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Installation
from dbxdec.build import own_wheel, resources_file
from dbxdec.build.codegen.libraries import FOLDER
from dbxdec.build.wheels import read_wheel
from dbxdec.model.manifest import digest
from layouts import LAYOUTS
from projects import Project, Result, shop

pytestmark = [pytest.mark.sampled(3), pytest.mark.xdist_group("same bytes")]

SALES = "src/shop/pipelines/sales.py"

# What the platform's own machines differ in from a laptop, and two laptops from each other.
SURROUNDINGS: dict[str, dict[str, str]] = {
    "locale C": {"LC_ALL": "C", "LANG": "C"},
    "utf-8 mode": {"PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"},
    "time zone": {"TZ": "Pacific/Kiritimati"},
    "hash seed 1": {"PYTHONHASHSEED": "1"},
    "hash seed 2": {"PYTHONHASHSEED": "2"},
    "optimised": {"PYTHONOPTIMIZE": "1"},
    "of the bundle": {"DATABRICKS_HOST": "https://example.invalid", "USER": "somebody"},
}

# Sets, text outside of ASCII, and types of a package that may be absent.
PIPELINE = """
import acme_lake
import polars as pl
from acme_lake.frames import Frame

from dbxdec import job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path="lake", mode="overwrite")
session = acme_lake.connect("größe")


class Mine(acme_lake.Base):
    def frame(self) -> Frame | None: ...


@task
def names(words: list[str]) -> dict[str, int]:
    return {word: len(word) for word in words}


@task(io_manager=lake)
def table(names: dict, day: "acme_lake.Day | None" = None) -> pl.DataFrame:
    return pl.DataFrame({"name": list(names)})


@job(tags={tag: "ja" for tag in {"zeta", "alpha", "äther", "beta"}})
def sales() -> None:
    table(names(sorted({"größe", "länge", "höhe"})))
"""

ACME = {
    "acme_lake/__init__.py": "class Base: ...\n\n\nclass Day: ...\n\n\ndef connect(name): return object()\n",
    "acme_lake/frames.py": "class Frame: ...\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return repository(tmp_path / "repository")


def repository(root: Path) -> Project:
    """A repository whose build could depend on where and how it is built, in several ways."""
    project = shop(root)
    project.write(SALES, PIPELINE)
    project.write("src/shop/größe.sql", "select 'ä'")
    project.write("src/shop/query.sql", "select 1")
    project.write("README.md", "# Shop")
    project.write("tests/test_shop.py", "")
    project.write("conf/shop.ini", "[shop]")
    project.write("tools/shop-sync", "#!/usr/bin/env python3\nprint(1)\n")
    project.write("more/extra.json", "{}")
    project.edit(
        "pyproject.toml",
        'packages = ["src/shop"]\n',
        'packages = ["src/shop"]\n'
        '[tool.hatch.build.targets.wheel.force-include]\n"more/extra.json" = "shop/extra.json"\n'
        '[tool.hatch.build.targets.wheel.shared-data]\n"conf/shop.ini" = "etc/shop.ini"\n'
        '[tool.hatch.build.targets.wheel.shared-scripts]\n"tools/shop-sync" = "shop-sync"\n',
    )
    project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.2.0"\nreadme = "README.md"')
    return project


def built(project: Project) -> Project:
    result = project.build("--clean")
    assert result.code == 0, result.output
    return project


def bytes_of(project: Project) -> tuple[bytes, bytes]:
    """Wheel and resources, after a build."""
    return built(project).wheel.read_bytes(), project.resources.read_bytes()


def build_id(project: Project) -> str:
    found: str = built(project).manifest()["build_id"]
    return found


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The repository as it is written, in a folder of its own, built once."""
    return built(repository(tmp_path_factory.mktemp("original") / "repository"))


@pytest.fixture
def expected(original: Project) -> tuple[bytes, bytes]:
    """Wheel and resources of the repository as it is written."""
    return original.wheel.read_bytes(), original.resources.read_bytes()


class TestSameBytes:
    @pytest.mark.slow
    def test_twice(self, project: Project) -> None:
        """A second build of a tree makes the same wheel and the same resources."""
        assert bytes_of(project) == bytes_of(project)

    @pytest.mark.slow
    def test_in_another_folder(self, expected: tuple[bytes, bytes], tmp_path: Path) -> None:
        """A tree in another folder, deeper and with other characters in its name, makes the same."""
        assert bytes_of(repository(tmp_path / "one level" / "and ä" / "another")) == expected

    @pytest.mark.slow
    def test_under_another_umask(self, expected: tuple[bytes, bytes], tmp_path: Path) -> None:
        """Files that only their owner may read, and a build that makes such files, give the same."""
        before = os.umask(0o077)
        try:
            project = repository(tmp_path / "repository")
            assert bytes_of(project) == expected
        finally:
            os.umask(before)
        with zipfile.ZipFile(project.wheel) as archive:
            modes = {entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
        assert modes <= {0o644, 0o664, 0o755}

    @pytest.mark.slow
    @pytest.mark.sampled(1)
    @pytest.mark.parametrize("name", SURROUNDINGS)
    def test_in_other_surroundings(self, name: str, project: Project, expected: tuple[bytes, bytes]) -> None:
        """Locale, time zone, hash seed and other variables change nothing."""
        assert bytes_of(Project(project.root, {**project.environment, **SURROUNDINGS[name]})) == expected

    @pytest.mark.slow
    def test_in_a_git_repository_with_other_times(self, project: Project, expected: tuple[bytes, bytes]) -> None:
        """Commits, and when a file was written, are no part of the wheel."""
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.invalid"]
        for command in (["init", "-q"], ["add", "src"], [*identity, "commit", "-q", "-m", "x"]):
            result = project.run("git", *command)
            assert result.code == 0, result.output
        for path in project.root.rglob("src/**/*"):
            os.utime(path, (1_000_000_000, 1_000_000_000))
        assert bytes_of(project) == expected

    @pytest.mark.slow
    def test_with_a_package_installed_or_absent(
        self, project: Project, tmp_path: Path, expected: tuple[bytes, bytes]
    ) -> None:
        """Whether a package is installed or stood in for changes no byte."""
        for path, text in ACME.items():
            Project(tmp_path / "site").write(path, text)
        installed = Project(project.root, {"PYTHONPATH": str(tmp_path / "site")})
        assert "acme_lake" not in installed.build().output
        assert (installed.wheel.read_bytes(), installed.resources.read_bytes()) == expected

    @pytest.mark.slow
    def test_an_editable_version(self, project: Project, original: Project) -> None:
        """An editable version of the same tree has the same manifest."""
        result = project.run(sys.executable, "-m", "hatchling", "build", "-t", "wheel:editable")
        assert result.code == 0, result.output
        assert project.manifest() == original.manifest()

    def test_resources_of_the_wheel_alone(self, original: Project) -> None:
        """Who has the wheel and nothing else makes the same resources, to the byte."""
        wheel = Path("dist", original.wheel.name)
        built = read_wheel(original.wheel).manifest
        own = own_wheel.library(built, original.wheel.parent / FOLDER, anew=False).library
        made = resources_file.rendered(built, Path("resources/dbxdec.yml"), wheel, own)
        assert made == original.resources.read_bytes()

    def test_a_name_that_is_not_utf_8(self, project: Project) -> None:
        """A file whose name can't be said in UTF-8 is refused by a message."""
        (project.root / "src" / "shop" / os.fsdecode(b"gr\xf6sse.sql")).write_text("")
        result = project.build()
        assert result.code == 1
        assert "is not UTF-8" in result.output
        assert "Traceback" not in result.output


Change = Callable[[Project], object]

CHANGING: dict[str, Change] = {
    "a module": lambda p: p.edit(SALES, "len(word)", "len(word) + 1"),
    "a comment of a module": lambda p: p.write("src/shop/__init__.py", "# more"),
    "a data file": lambda p: p.write("src/shop/query.sql", "select 2"),
    "a new data file": lambda p: p.write("src/shop/new.json", "{}"),
    "a data file that is gone": lambda p: (p.root / "src/shop/query.sql").unlink(),
    "a data file of another name": lambda p: (p.root / "src/shop/query.sql").rename(p.root / "src/shop/other.sql"),
    "a forced file": lambda p: p.write("more/extra.json", "[]"),
    "shared data": lambda p: p.write("conf/shop.ini", "[other]"),
    "a shared script": lambda p: p.write("tools/shop-sync", "#!/usr/bin/env python3\nprint(2)\n"),
    "where shared data goes": lambda p: p.edit("pyproject.toml", '"etc/shop.ini"', '"etc/other.ini"'),
    "the project's name": lambda p: p.edit("pyproject.toml", 'name = "shop-pipelines"', 'name = "shops"'),
}
KEEPING: dict[str, Change] = {
    "the version": lambda p: p.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.3.0"'),
    "the readme": lambda p: p.write("README.md", "# Another\n\nVersion: 7"),
    "a test": lambda p: p.write("tests/test_shop.py", "def test_it(): ..."),
    "a new file beside the package": lambda p: p.write("notes.md", "x"),
    "the description": lambda p: p.edit("pyproject.toml", "readme =", 'description = "x"\nreadme ='),
    "where resources go": lambda p: p.edit(
        "pyproject.toml", "[tool.dbxdec.variables]", '[tool.dbxdec]\nresources = "jobs.yml"\n[tool.dbxdec.variables]'
    ),
    "the path of Python in a script": lambda p: p.write("tools/shop-sync", "#!/opt/bin/python3.12\nprint(1)\n"),
    "a compiled module": lambda p: p.write("src/shop/__pycache__/x.cpython-311.pyc", "x"),
}


class TestBuildId:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", CHANGING)
    def test_changed_by_whatever_is_shipped(self, name: str, project: Project, original: Project) -> None:
        """A change of any file that the wheel installs is another build."""
        CHANGING[name](project)
        assert build_id(project) != original.manifest()["build_id"]

    @pytest.mark.sampled(1)
    @pytest.mark.parametrize("name", KEEPING)
    def test_kept_by_all_else(self, name: str, project: Project, original: Project) -> None:
        """What is not installed is no part of the build id."""
        KEEPING[name](project)
        assert build_id(project) == original.manifest()["build_id"]

    @pytest.mark.slow
    def test_changed_by_the_dag_alone(self, project: Project) -> None:
        """The same files with another DAG, by a variable for instance, are another build."""
        project.edit(SALES, "@job(tags=", "@job(max_concurrent_runs=int(__import__('os').environ['RUNS']), tags=")
        ids = [build_id(Project(project.root, {"RUNS": runs})) for runs in ("1", "2")]
        assert ids[0] != ids[1]

    @pytest.mark.slow
    @pytest.mark.parametrize("layout", ["scripts", "hook-before", "sources-prefixed"])
    def test_follows_from_the_wheel_alone(self, layout: str, tmp_path: Path) -> None:
        """Whoever has the wheel can compute its build id again."""
        wheel = read_wheel(built(LAYOUTS[layout].write(tmp_path / "repository")).wheel)
        assert digest(wheel.manifest.project, wheel.manifest.raw_jobs, wheel.payload) == wheel.manifest.build_id


def renamed(wheel: Path, version: str) -> Path:
    """The wheel under another version, as a bundle's `dynamic_version` makes it: METADATA, RECORD, folders."""
    name, old, rest = wheel.name.split("-", 2)
    target = wheel.with_name(f"{name}-{version}-{rest}")
    before, after = f"{name}-{old}.", f"{name}-{version}."
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.namelist():
            content = source.read(entry)
            if entry.endswith(".dist-info/METADATA"):
                content = re.sub(rb"(?m)^Version: .*$", f"Version: {version}".encode(), content, count=1)
            elif entry.endswith(".dist-info/RECORD"):
                lines = [line for line in content.decode().splitlines() if "/METADATA," not in line]
                content = "\n".join([*lines, f"{before}dist-info/METADATA,,", ""]).replace(before, after).encode()
            archive.writestr(entry.replace(before, after), content)
    wheel.unlink()
    return target


def ran(installation: Installation, project: Project, *arguments: str) -> Result:
    result = installation.dbxdec(installation.install(project), "run", *arguments)
    assert result.code == 0, result.output
    return result


class TestRenamedVersion:
    @pytest.mark.slow
    def test_a_renamed_wheel_keeps_its_build_id(self, project: Project) -> None:
        """A bundle's new version in METADATA and names of folders changes neither manifest nor payload."""
        before = read_wheel(built(project).wheel)
        after = read_wheel(renamed(project.wheel, "1.2.0+123"))
        assert (after.manifest_bytes, after.payload) == (before.manifest_bytes, before.payload)

    @pytest.mark.slow
    def test_a_renamed_wheel_runs(self, tmp_path: Path, installation: Installation) -> None:
        """Tasks of a wheel that a bundle has given a new version run with the jobs of the build before."""
        project = built(shop(tmp_path / "repository"))
        build = project.manifest()["build_id"]
        renamed(project.wheel, "1.2.0+123")
        assert project.wheel.name == "shop_pipelines-1.2.0+123-py3-none-any.whl"
        assert build in project.resources.read_text(encoding="utf-8")
        output = ran(installation, project, "sales").output
        assert "REPORT 3 ['a', 'b']" in output + "".join(
            path.read_text(encoding="utf-8") for path in project.root.rglob(".dbxdec/**/*.log")
        )
