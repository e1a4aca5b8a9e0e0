"""Locks that uv has made: a compute gets what uv's own export has for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dbxdec.build.locks import reading
from dbxdec.build.locks.packages import Registry
from dbxdec.platform import owned
from thorough import examples
from uv_projects import exported, lock, pyproject, uv
from wheel_files import make_wheel

PYTHONS = ("3.11", "3.12")


def chosen(folder: Path, python: str, *left_out: str, project: str = "shop") -> dict[str, str | None]:
    """Names and versions that dbxdec takes of the uv.lock in a folder."""
    found = reading.read(folder / "uv.lock", "uv.lock", project).choose(python, left_out)
    assert found.problems == ()
    return {package.name: package.version for package in found.packages}


PROJECTS: dict[str, tuple[list[str], str]] = {
    "extras": (["httpx[http2]>=0.27", "rich>=13", "coverage[toml]>=7"], "[dependency-groups]\ndev = ['pytest']\n"),
    "forks": (
        ["numpy<2; python_version < '3.12'", "numpy>=2.1; python_version >= '3.12'", "colorama; os_name == 'nt'"],
        "",
    ),
    "platform": (["polars>=1.44", "deltalake>=1.6.6"], "[project.optional-dependencies]\nspark = ['pyspark>=4']\n"),
    "conflicts": (
        ["idna"],
        (
            "[project.optional-dependencies]\none = ['h11==0.14.0']\ntwo = ['h11==0.16.0']\n"
            "[tool.uv]\nconflicts = [[{ extra = 'one' }, { extra = 'two' }]]\n"
        ),
    ),
}


@pytest.mark.parametrize("name", PROJECTS)
@pytest.mark.sampled(2)
def test_a_lock_of_the_registry_gives_what_uv_exports(name: str, tmp_path: Path) -> None:
    """Transitive packages, extras of edges, forks by Python; neither development groups nor extras of the project."""
    (tmp_path / "pyproject.toml").write_text(pyproject(*PROJECTS[name]), encoding="utf-8")
    lock(tmp_path)
    for python in PYTHONS:
        assert chosen(tmp_path, python) == exported(tmp_path, python)
    found = reading.read(tmp_path / "uv.lock", "uv.lock", "shop").choose("3.12", ())
    assert {package.source for package in found.packages} == {Registry(None)}


@pytest.mark.slow
def test_what_is_left_out_ends_its_path(tmp_path: Path) -> None:
    """A package of the platform is left out with what only it needs; the one that requires it says so."""
    (tmp_path / "pyproject.toml").write_text(pyproject(["delta-spark>=4", "idna"]), encoding="utf-8")
    lock(tmp_path)
    assert {"delta-spark", "pyspark", "py4j"} <= chosen(tmp_path, "3.12").keys()
    assert chosen(tmp_path, "3.12", *owned.PACKAGES).keys() == {"idna"}
    found = reading.read(tmp_path / "uv.lock", "uv.lock", "shop").choose("3.12", {"pyspark"})
    assert {one.name: one.needs for one in found.packages}["delta-spark"] == ("importlib-metadata", "pyspark")
    assert found.needs == ("delta-spark", "idna")


def test_a_pylock_that_uv_exports_gives_the_same(tmp_path: Path) -> None:
    """uv.lock and the pylock.toml made of it agree."""
    (tmp_path / "pyproject.toml").write_text(pyproject(*PROJECTS["extras"]), encoding="utf-8")
    lock(tmp_path)
    done = uv(tmp_path, "export", "--frozen", "--no-dev", "--format", "pylock.toml", "-q", "-o", "pylock.toml")
    assert done.returncode == 0, done.stderr
    pytest.importorskip("packaging.pylock")
    for python in PYTHONS:
        found = reading.read(tmp_path / "pylock.toml", "pylock.toml", "shop").choose(python, ())
        assert found.problems == ()
        assert {package.name: package.version for package in found.packages} == chosen(tmp_path, python)


NAMES = ("alpha", "beta", "gamma", "delta", "eps")
MARKERS = (
    "",
    "python_version < '3.12'",
    "python_full_version >= '3.12'",
    "sys_platform == 'win32'",
    "sys_platform != 'win32' and python_version >= '3.11'",
    "platform_machine == 'x86_64' or os_name == 'nt'",
    "platform_python_implementation == 'PyPy'",
    "implementation_name == 'cpython' and python_version == '3.11'",
)


@st.composite
def requirements(draw: st.DrawFn) -> list[str]:
    """What a package requires of the others, some of it by an extra of theirs, and where."""
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True)):
        extra = draw(st.sampled_from(["", "", "[more]"]))
        version = draw(st.sampled_from(["", "", "<2", ">=2"]))
        marker = draw(st.sampled_from(MARKERS))
        found.append(f"{name}{extra}{version}{f' ; {marker}' if marker else ''}")
    return found


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    packages=st.fixed_dictionaries(
        {(name, version): st.tuples(requirements(), requirements()) for name in NAMES for version in ("1.0", "2.0")}
    ),
    project=requirements(),
    forked=st.booleans(),
)
@pytest.mark.slow
def test_any_lock_gives_what_uv_exports(
    packages: dict[tuple[str, str], tuple[list[str], list[str]]], project: list[str], forked: bool
) -> None:
    """Cycles, extras, markers and two versions of one package: for both Pythons the packages are uv's own."""
    if forked:
        project = [one for one in project if not one.startswith("alpha")]
        project += ["alpha<2 ; python_version < '3.12'", "alpha>=2 ; python_version >= '3.12'"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for (name, version), (always, more) in packages.items():
            requires = [text for text in always if not text.startswith(name)]
            requires += [_of_extra(text) for text in more if not text.startswith(name)]
            make_wheel(folder / "wheels", name, version, requires, extras=["more"])
        index = '[tool.uv]\nno-index = true\nfind-links = ["wheels"]\n'
        (folder / "pyproject.toml").write_text(pyproject(project, index), encoding="utf-8")
        assume(uv(folder, "lock", "--quiet", "--offline").returncode == 0)  # the requirements may contradict
        for python in PYTHONS:
            assert chosen(folder, python) == exported(folder, python)


def _of_extra(requirement: str) -> str:
    what, _, marker = requirement.partition(" ; ")
    return f"{what} ; ({marker}) and extra == 'more'" if marker else f"{what} ; extra == 'more'"
