"""Builds of projects with a lock, or with other wheels of the tree: what a deploy and an installer get."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

import dbxdec
from dbxdec.build import own_wheel, shipping
from dbxdec.build.codegen.libraries import own_name
from dbxdec.model.manifest import Manifest
from dbxdec.support import digests
from lock_documents import edge, package, uv_lock, write
from projects import Project, Result, shop
from uv_projects import UV, lock
from wheel_files import make_wheel

PYPI = {"registry": "https://pypi.org/simple"}
ACME = "libs/acme-1.1-py3-none-any.whl"
SERVERLESS = """
from dbxdec import job, task


@job
def nightly() -> None:
    @task
    def note() -> None: ...

    note()
"""


def locked(version: str = "1.44.0", **groups: str) -> dict[str, Any]:
    """The lock of the shop: dbxdec, polars and what it needs, and packages of development."""
    development = [package(name, found, source=PYPI) for name, found in groups.items()]
    own = package(
        "shop-pipelines",
        "1.2.0",
        {"editable": "."},
        dependencies=[edge("dbxdec", extra=["polars"])],
        metadata={"requires-dist": [{"name": "dbxdec", "extras": ["polars"], "specifier": ">=0.1"}]},
        **{"dev-dependencies": {"dev": [edge(name) for name in groups]}},
    )
    runtime = package("dbxdec", dbxdec.__version__, PYPI, **{"optional-dependencies": {"polars": [edge("polars")]}})
    return uv_lock(own, runtime, package("polars", version, PYPI), *development)


def settings(project: Project, text: str) -> None:
    """Add to [tool.dbxdec]."""
    project.edit("pyproject.toml", "[tool.dbxdec.variables]", f"[tool.dbxdec]\n{text}\n[tool.dbxdec.variables]")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = shop(tmp_path / "repository")
    settings(found, 'lock = "uv.lock"')
    write(found.root / "uv.lock", locked())
    return found


@pytest.fixture
def with_wheel(tmp_path: Path) -> Project:
    found = shop(tmp_path / "repository")
    settings(found, f'extra-libraries = ["{ACME}"]')
    make_wheel(found.root / "libs", "acme", "1.1")
    return found


def dbxdec_in(project: Project, *arguments: str) -> Result:
    return project.run(str(Path(sys.executable).parent / "dbxdec"), *arguments)


def built(project: Project) -> str:
    """Build, and return the id."""
    result = project.build()
    assert result.code == 0, result.output
    return str(project.manifest()["build_id"])


def libraries(project: Project, job: str = "sales") -> list[str]:
    """The libraries of the first task of a job, without the wheel that comes first."""
    found = project.jobs()[job]["tasks"][0]["libraries"]
    assert found[0] == {"whl": f"../dist/{project.wheel.name}"}
    return [str(one.get("whl") or one["pypi"]["package"]) for one in found[1:]]


class TestLock:
    def test_jobs_have_exact_pins_on_each_compute(self, project: Project) -> None:
        """Transitive ones too, dbxdec among them; a serverless job has them in its environment."""
        project.write("src/shop/pipelines/nightly.py", SERVERLESS)
        built(project)
        pins = [f"dbxdec=={dbxdec.__version__}", "polars==1.44.0"]
        assert libraries(project) == pins
        (environment,) = project.jobs()["nightly"]["environments"]
        assert environment["spec"]["dependencies"] == [f"../dist/{project.wheel.name}", *pins]
        assert not (project.root / "dist" / "libraries").exists()

    @pytest.mark.slow
    def test_the_build_id_is_of_the_pins_and_not_of_the_file(self, project: Project) -> None:
        """A package of development changes nothing; a pin makes another build."""
        first = built(project)
        write(project.root / "uv.lock", locked(pytest="9.0", ruff="1.0"))
        assert built(project) == first
        write(project.root / "uv.lock", locked("1.44.1"))
        assert built(project) != first
        assert libraries(project)[1] == "polars==1.44.1"

    def test_a_changed_lock_is_built(self, project: Project, tmp_path: Path) -> None:
        """`dbxdec bundle` sees it, in the project and above it; what it changes for development alone too."""
        assert dbxdec_in(project, "bundle").code == 0
        assert dbxdec_in(project, "bundle") == Result(0, "")
        write(project.root / "uv.lock", locked("1.44.1"))
        assert "uv.lock changed: building the wheel" in dbxdec_in(project, "bundle").output
        assert dbxdec_in(project, "bundle") == Result(0, "")
        project.edit("pyproject.toml", 'lock = "uv.lock"', 'lock = "../uv.lock"')
        write(tmp_path / "uv.lock", locked())
        assert dbxdec_in(project, "bundle").code == 0
        assert dbxdec_in(project, "bundle") == Result(0, "")
        write(tmp_path / "uv.lock", locked("1.44.2"))
        assert f"{tmp_path}/uv.lock changed: building the wheel" in dbxdec_in(project, "bundle").output
        assert libraries(project)[1] == "polars==1.44.2"

    @pytest.mark.slow
    def test_check_refuses_a_lock_that_does_not_satisfy(self, project: Project) -> None:
        """So does a build; the mistakes of the pipelines are said in the same run."""
        project.edit("pyproject.toml", '"dbxdec[polars]>=0.1"', '"dbxdec[polars]>=0.1", "rich>=13"')
        result = dbxdec_in(project, "check")
        said = "project.dependencies: has `rich>=13`, and uv.lock was made without it\n    hint: lock again: `uv lock`"
        assert result.code == 2
        assert said in result.output
        found = json.loads(dbxdec_in(project, "check", "--json").output)
        assert found["problems"][0]["path"] == "pyproject.toml"
        build = project.build()
        assert build.code == 1
        assert said in build.output
        assert project.wheels == []
        project.edit("src/shop/pipelines/sales.py", "report(total(orders(n))", "report(totl(orders(n))")
        result = dbxdec_in(project, "check")
        assert result.code == 1
        assert said in result.output
        assert "totl" in result.output

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"version = 1\n[[package]\n", "uv.lock:2: is not TOML"),
            (b"\xff", "uv.lock:1: is not UTF-8"),
            (b"version = 3\n", "uv.lock: version: has the format 3"),
            (None, "tool.dbxdec.lock: is 'uv.lock', which does not exist"),
        ],
    )
    @pytest.mark.sampled(2)
    def test_a_damaged_lock_is_one_sentence(self, project: Project, content: bytes | None, said: str) -> None:
        """A build and `check` say the same; GitHub's annotation is at the lock."""
        if content is None:
            (project.root / "uv.lock").unlink()
        else:
            (project.root / "uv.lock").write_bytes(content)
        for result in (project.build(), dbxdec_in(project, "check")):
            assert result.code != 0
            assert said in result.output
            assert "Traceback" not in result.output
        (problem,) = json.loads(dbxdec_in(project, "check", "--json").output)["problems"]
        assert problem["path"] == ("uv.lock" if content is not None else "pyproject.toml")

    @pytest.mark.slow
    def test_a_run_on_this_machine_needs_no_lock(self, project: Project) -> None:
        """A stale lock is a warning there: nothing is installed."""
        project.edit("pyproject.toml", '"dbxdec[polars]>=0.1"', '"dbxdec[polars]>=0.1", "rich>=13"')
        result = dbxdec_in(project, "run", "sales")
        assert result.code == 0, result.output
        assert "warning: project.dependencies: has `rich>=13`" in result.output
        assert "no build is possible with 1 mistake: see `dbxdec check`" in result.output

    @pytest.mark.slow
    def test_notes_are_said(self, project: Project) -> None:
        """A package that stays and requires one of the platform's is named by a build and by `check`."""
        document = locked()
        document["package"][1]["dependencies"] = [edge("py4j")]
        document["package"].append(package("py4j", source=PYPI))
        write(project.root / "uv.lock", document)
        said = f"note: uv.lock: package[1]: `dbxdec {dbxdec.__version__}` requires `py4j`, which is left out"
        assert said in project.build().output
        assert said in dbxdec_in(project, "check").output

    @pytest.mark.slow
    def test_diff_shows_changed_pins(self, project: Project) -> None:
        """By Python and package; the jobs themselves are the same."""
        built(project)
        project.wheel.rename(project.root / "old.whl")
        document = locked("1.45.0")
        document["package"][2]["dependencies"] = [edge("narwhals")]
        write(project.root / "uv.lock", {**document, "package": [*document["package"], package("narwhals", "2.0")]})
        result = dbxdec_in(project, "diff", "old.whl", ".")
        assert "pins by Python\n~ 3.12 polars: 1.44.0 -> 1.45.0\n+ 3.12 narwhals: 2.0 from https://" in result.output
        assert "Only the wheel, its build id and the pins change for sales." in result.output
        assert "a repair of one refuses the new build" in result.output
        found = json.loads(dbxdec_in(project, "diff", "old.whl", ".", "--json").output)
        assert [pin["what"] for pin in found["pins"]] == ["3.12 polars", "3.12 narwhals"]

    @pytest.mark.slow
    def test_a_wheel_from_an_sdist_has_the_same_manifest(self, project: Project, tmp_path: Path) -> None:
        """The sdist holds the lock and the wheels of the tree, also where its settings or the tree's place say else."""
        project.edit("pyproject.toml", 'lock = "uv.lock"', f'lock = "../uv.lock"\nextra-libraries = ["{ACME}"]')
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.targets.wheel]",
            '[tool.hatch.build.targets.sdist]\nonly-include = ["src"]\n[tool.hatch.build.targets.wheel]',
        )
        make_wheel(project.root / "libs", "acme", "1.1")
        (project.root / "uv.lock").rename(tmp_path / "uv.lock")
        built(project)
        manifest = project.manifest()
        assert project.run(sys.executable, "-m", "hatchling", "build", "-t", "sdist").code == 0
        with tarfile.open(next((project.root / "dist").glob("*.tar.gz"))) as archive:
            archive.extractall(tmp_path / "unpacked", filter="data")
        (tmp_path / "unpacked" / "uv.lock").write_text("a stranger's")
        unpacked = Project(next((tmp_path / "unpacked").glob("shop*")))
        built(unpacked)
        assert unpacked.manifest() == manifest

    @pytest.mark.slow
    def test_a_lock_of_a_real_project(self, project: Project, dbxdec_wheel: Path) -> None:
        """uv locks the project itself, with dbxdec as a wheel beside it; the whole build takes that."""
        project.edit(
            "pyproject.toml",
            "[build-system]",
            f'[tool.uv.sources]\ndbxdec = {{ path = "{dbxdec_wheel}" }}\n[build-system]',
        )
        (project.root / "uv.lock").unlink()
        lock(project.root)
        built(project)
        found = libraries(project)
        assert any(text.startswith("polars==") for text in found)
        assert any(text.startswith("deltalake==") for text in found)
        (own,) = [text for text in found if text.endswith(".whl")]
        assert own.startswith("../dist/libraries/dbxdec-")
        assert (project.root / "resources" / own).is_file()


class TestWheels:
    @pytest.mark.slow
    def test_each_content_is_a_build_and_a_name(self, with_wheel: Project) -> None:
        """Another content under the same name is deployed under another one; the older copy goes."""
        first = built(with_wheel)
        (named, _) = libraries(with_wheel)
        assert named.startswith("../dist/libraries/acme-1.1+dbx")
        assert (with_wheel.root / "resources" / named).is_file()
        assert built(with_wheel) == first
        make_wheel(with_wheel.root / "libs", "acme", "1.1", files={"acme.py": "VERSION = 'other'\n"})
        assert built(with_wheel) != first
        (other, _) = libraries(with_wheel)
        assert other != named
        assert not (with_wheel.root / "resources" / named).exists()
        assert sorted(path.name for path in (with_wheel.root / "libs").iterdir()) == [Path(ACME).name]

    @pytest.mark.slow
    def test_a_changed_wheel_is_built(self, with_wheel: Project) -> None:
        """`dbxdec bundle` sees it, and a copy that is gone."""
        assert dbxdec_in(with_wheel, "bundle").code == 0
        assert dbxdec_in(with_wheel, "bundle") == Result(0, "")
        make_wheel(with_wheel.root / "libs", "acme", "1.1", files={"acme.py": "VERSION = 'other'\n"})
        assert f"{ACME} changed: building the wheel" in dbxdec_in(with_wheel, "bundle").output
        (copy,) = (with_wheel.root / "dist" / "libraries").glob("acme*")
        copy.unlink()
        assert f"dist/libraries/{copy.name} is gone: building" in dbxdec_in(with_wheel, "bundle").output
        assert copy.is_file()

    @pytest.mark.slow
    def test_a_finished_wheel_is_deployed_from_its_folder(self, with_wheel: Project, tmp_path: Path) -> None:
        """The other wheels lie beside it, or come from the tree; without either it is refused."""
        built(with_wheel)
        there = tmp_path / "deploy"
        (with_wheel.root / "dist").rename(there)
        wheel = next(there.glob("*.whl"))
        elsewhere = Project(there)
        result = dbxdec_in(elsewhere, "bundle", "--wheel", wheel.name, "-o", "jobs.json")
        assert result.code == 0, result.output
        (task, *_) = json.loads((there / "jobs.json").read_text())["resources"]["jobs"]["sales"]["tasks"]
        named = [library["whl"] for library in task["libraries"]]
        assert all((there / name).is_file() for name in named)
        assert [name.partition("-")[0] for name in named] == ["shop_pipelines", "libraries/acme", "libraries/dbxdec"]
        for path in (there / "libraries").iterdir():
            path.unlink()
        result = dbxdec_in(elsewhere, "bundle", "--wheel", wheel.name)
        assert result.code != 0
        assert f"{ACME} is not there, which the build had among its libraries" in result.output
        result = dbxdec_in(with_wheel, "bundle", "--wheel", str(wheel))
        assert result.code == 0, result.output
        make_wheel(with_wheel.root / "libs", "acme", "1.1", files={"acme.py": "VERSION = 'other'\n"})
        next((there / "libraries").glob("acme*")).unlink()
        result = dbxdec_in(with_wheel, "bundle", "--wheel", str(wheel))
        assert f"{ACME} is not the wheel that the build had: its content has changed" in result.output

    @pytest.mark.parametrize("version", ["1.1", "1.1+cu118"])
    def test_an_installer_takes_the_copy(self, version: str, tmp_path: Path) -> None:
        """It is a whole wheel of a version of its own, with its data and scripts; one digest has one content."""
        stem = f"acme_core-{version}"
        files = {
            "acme_core/__init__.py": "VERSION = 1\n",
            f"{stem}.data/data/share/acme.txt": "text",
            f"{stem}.dist-info/RECORD.jws": "{}",
        }
        described = "\nVersion: in the description\n"
        wheel = make_wheel(
            tmp_path / "libs", "acme-core", version, ["idna"], files=files, build="3", metadata=described
        )
        digest = digests.of_file(wheel)
        copy = tmp_path / own_name(wheel.name, digest)
        for path in (copy, tmp_path / "again"):
            with path.open("wb") as file:
                shipping.reversion(wheel, digest, file)
        assert copy.read_bytes() == (tmp_path / "again").read_bytes()
        target = tmp_path / "site"
        command = [*UV, "pip", "install", "-q", "--no-deps", "--offline", "--target", str(target), str(copy)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_without_constraints())
        assert done.returncode == 0, done.stderr
        program = "from importlib.metadata import *; x = distribution('acme-core'); print(x.version, x.requires)"
        found = Project(target).run(sys.executable, "-c", program).output
        local = f"{'.' if '+' in version else '+'}dbx{digest[:12]}"
        assert found == f"{version}{local} ['idna']\n"
        assert (target / "share" / "acme.txt").read_text() == "text"
        with zipfile.ZipFile(copy) as archive:
            assert archive.testzip() is None
            assert not any("jws" in name for name in archive.namelist())
            metadata = archive.read(f"{stem}{local}.dist-info/METADATA").decode()
        assert metadata.count(local) == 1
        assert described in metadata

    @pytest.mark.slow
    def test_a_failed_build_leaves_no_copies(self, with_wheel: Project) -> None:
        """Nor does it touch what is not its own."""
        built(with_wheel)
        (with_wheel.root / "dist" / "libraries" / "mine.txt").write_text("stays")
        with_wheel.edit("src/shop/pipelines/sales.py", "report(total(orders(n))", "report(totl(orders(n))")
        assert with_wheel.build().code == 1
        assert [path.name for path in (with_wheel.root / "dist" / "libraries").iterdir()] == ["mine.txt"]


class TestDbxdecItself:
    MADE = Manifest("shop", "1.0", "0" * 64, f"dbxdec {dbxdec.__version__}", {})

    @pytest.mark.slow
    def test_an_editable_one_is_shipped_as_a_wheel(self, tmp_path: Path) -> None:
        """The tests run an editable install: a task gets a wheel of exactly that, which installs and runs."""
        project = shop(tmp_path / "repository")
        built(project)
        (named,) = libraries(project)
        wheel = project.root / "resources" / named
        assert wheel.name.startswith(f"dbxdec-{dbxdec.__version__}+dbx")
        target = tmp_path / "site"
        command = [*UV, "pip", "install", "-q", "--no-deps", "--offline", "--target", str(target), str(wheel)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_without_constraints())
        assert done.returncode == 0, done.stderr
        program = (
            "from importlib.metadata import distribution as d; import dbxdec.runtime, sys; x = d('dbxdec'); "
            "print(x.version, dbxdec.__version__, [p.name for p in x.entry_points if p.group == 'hatch'])"
        )
        environment = {"PYTHONPATH": str(target)}
        found = Project(target, environment).run(sys.executable, "-P", "-S", "-c", program).output
        version = wheel.name.split("-")[1]
        assert found.startswith(f"{version} {dbxdec.__version__} ['dbxdec']")

    def test_one_of_an_index_is_pinned(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By the version that has built, whatever is installed where the jobs are made of the wheel again."""
        monkeypatch.setattr(own_wheel, "is_from_index", lambda: True)
        assert own_wheel.library(self.MADE, tmp_path, anew=True).library == f"dbxdec=={dbxdec.__version__}"
        monkeypatch.setattr(own_wheel, "is_from_index", lambda: False)
        other = Manifest("shop", "1.0", "0" * 64, "dbxdec 7.1", {})
        assert own_wheel.library(other, tmp_path, anew=False).library == "dbxdec==7.1"

    def test_a_wheel_that_lies_there_is_taken_again(self, tmp_path: Path) -> None:
        """A build's own dbxdec goes with its wheel to where it is deployed."""
        name = f"dbxdec-{dbxdec.__version__}+dbx0123456789ab-py3-none-any.whl"
        (tmp_path / name).write_text("")
        assert own_wheel.library(self.MADE, tmp_path, anew=False).library == name
        assert own_wheel.library(self.MADE, tmp_path, anew=True).library != name

    def test_one_that_nobody_can_name_is_a_warning(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A dbxdec that is imported from a folder, and not installed."""
        monkeypatch.setattr(own_wheel, "_distribution", lambda: None)
        assert own_wheel.library(self.MADE, tmp_path, anew=True).library is None
        (warning,) = own_wheel.warnings(self.MADE)
        assert "tasks get another version" in warning.message
        assert "extra-libraries" in str(warning.hint)

    @pytest.mark.parametrize("library", ["dbxdec==0.1.0", "dbxdec[polars]>=0.1", "libs/dbxdec-0.1.0-py3-none-any.whl"])
    def test_one_among_the_extra_libraries_is_the_authors(self, library: str, tmp_path: Path) -> None:
        """Nothing is added to it."""
        made = Manifest("shop", "1.0", "0" * 64, f"dbxdec {dbxdec.__version__}", {}, (library,))
        assert own_wheel.library(made, tmp_path, anew=True).library is None
        assert own_wheel.warnings(made) == []

    @pytest.mark.slow
    def test_what_came_from_where(self, dbxdec_wheel: Path, tmp_path: Path) -> None:
        """A version alone is from an index; a file and a folder are not."""
        program = "from dbxdec.build import own_wheel; print(own_wheel.is_from_index())"
        by_version = [f"dbxdec=={dbxdec.__version__}", "--find-links", str(dbxdec_wheel.parent), "--no-index"]
        for i, (arguments, expected) in enumerate([(by_version, "True"), ([str(dbxdec_wheel)], "False")]):
            target = tmp_path / str(i)
            command = [*UV, "pip", "install", "-q", "--no-deps", "--target", str(target), *arguments]
            subprocess.run(command, check=True, env=_without_constraints())
            found = Project(tmp_path, {"PYTHONPATH": str(target)}).run(sys.executable, "-P", "-S", "-c", program)
            assert found.output.strip() == expected


def _without_constraints() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.endswith("_CONSTRAINT")}
