"""A lock resolved for the computes of jobs: pins, wheels beside them, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dbxdec
from dbxdec import bundle_variable, environment, job, job_cluster, task
from dbxdec.build import config, locking
from dbxdec.build.locking import Locking
from dbxdec.model.dag import Job
from dbxdec.model.locked import UNKNOWN, Pins
from lock_documents import SHA, edge, entry, needs_pylock, package, pylock, shop, uv_lock, write
from wheel_files import make_wheel

COMMIT = "0123456789012345678901234567890123456789"
PYPI = {"registry": "https://pypi.org/simple"}
new = job_cluster("new", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)
old = job_cluster("old", spark_version="15.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)


@task
def one() -> None: ...


def job_on(cluster: Any = new, **fields: Any) -> Job:
    @job(cluster=cluster)
    def daily() -> None:
        one.override(**fields)()

    built = daily.build()
    assert not built.problems
    return built.dag


def needs(*packages: Any, **more: Any) -> dict[str, Any]:
    """The lock of a project that needs these packages, in any version."""
    names = [form["name"] for form in packages]
    metadata = {"requires-dist": [{"name": name} for name in names]}
    return uv_lock(shop(*map(edge, names), metadata=metadata), *packages, **more)


def resolved(
    root: Path,
    document: dict[str, Any],
    *jobs: Job,
    dependencies: list[str] | None = None,
    name: str = "uv.lock",
    settings: dict[str, Any] | None = None,
) -> Locking:
    write(root / name, document)
    found = config.parse({"lock": name, **(settings or {})})
    if dependencies is None:
        own: dict[str, Any] = next((form for form in document.get("package", []) if form["name"] == "shop"), {})
        dependencies = [form["name"] for form in own.get("metadata", {}).get("requires-dist", [])]
    return locking.of_project(root, found, "shop", dependencies, jobs or [job_on()])


def said(found: Locking) -> list[str]:
    return [f"{problem.where}: {problem.message}" for problem in found.problems]


def pins(found: Locking, python: str = "3.12") -> Pins:
    assert said(found) == []
    assert found.locked is not None
    return found.locked.pins[python]


class TestPins:
    def test_each_python_of_the_jobs_gets_its_own(self, tmp_path: Path) -> None:
        """Markers decide by the compute's Python; a Python that no job has is not resolved."""
        document = uv_lock(
            shop(edge("a", marker="python_full_version < '3.12'"), edge("b"), metadata={}),
            package("a", source=PYPI),
            package("b", "2.0", source=PYPI),
        )
        found = resolved(tmp_path, document, job_on(new), job_on(old))
        assert pins(found, "3.11") == Pins(("a==1.0", "b==2.0"))
        assert pins(found, "3.12") == Pins(("b==2.0",))
        assert found.locked is not None
        assert found.locked.pythons == {"16.4.x-scala2.12": "3.12", "15.4.x-scala2.12": "3.11"}
        assert set(resolved(tmp_path, document).locked.pins) == {"3.12"}  # type: ignore[union-attr]

    def test_sources_that_a_task_can_install(self, tmp_path: Path) -> None:
        """A private index beside its package, a commit with its subdirectory, a file at an address."""
        document = needs(
            package("a", source={"registry": "https://index.invalid/simple"}),
            package("b", source={"git": f"https://h.invalid/b?subdirectory=x&rev=main#{COMMIT}"}),
            package("c", source={"git": f"ssh://git@h.invalid/c.git#{COMMIT}"}),
            package("d", source={"url": "https://h.invalid/d-1.0-py3-none-any.whl"}),
            package("e", source=PYPI),
        )
        assert pins(resolved(tmp_path, document)) == Pins(
            (
                "a==1.0",
                f"b @ git+https://h.invalid/b@{COMMIT}#subdirectory=x",
                f"c @ git+ssh://git@h.invalid/c.git@{COMMIT}",
                "d @ https://h.invalid/d-1.0-py3-none-any.whl",
                "e==1.0",
            ),
            {"a": "https://index.invalid/simple"},
        )

    def test_a_wheel_beside_the_lock_is_a_library_of_the_tree(self, tmp_path: Path) -> None:
        """Its path starts at the lock's folder; its content counts; a workspace's may lie above the project."""
        wheel = make_wheel(tmp_path / "libs", "acme", "1.1")
        root = tmp_path / "services" / "shop"
        root.mkdir(parents=True)
        source = {"path": "libs/acme-1.1-py3-none-any.whl"}
        document = needs(package("acme", "1.1", source=source))
        found = resolved(root, document, name="../../uv.lock")
        path = "../../libs/acme-1.1-py3-none-any.whl"
        assert pins(found).packages == (path,)
        assert set(found.wheels) == {path}
        assert {str(wheel), str(tmp_path / "uv.lock")} <= set(found.read)

    def test_a_folder_is_built_by_its_owner(self, tmp_path: Path) -> None:
        """A wheel among the extra libraries takes the place of the project in a folder; what that needs is pinned."""
        make_wheel(tmp_path / "libs", "acme-core", "1.1")
        document = needs(package("acme-core", source={"editable": "../acme"}, dependencies=[edge("a")]))
        document["package"].append(package("a", source=PYPI))
        extra = ["libs/acme_core-1.1-py3-none-any.whl"]
        found = resolved(tmp_path, document, settings={"extra-libraries": extra})
        assert pins(found).packages == ("a==1.0",)
        assert found.libraries == tuple(extra)
        assert set(found.wheels) == set(extra)

    def test_what_the_platform_owns_is_left_out_with_what_only_it_needs(self, tmp_path: Path) -> None:
        """`lock-exclude` adds to that; a package that stays and requires one is named."""
        document = needs(
            package("pyspark", source=PYPI, dependencies=[edge("py4j")]),
            package("helper", "2.0", source=PYPI, dependencies=[edge("pyspark"), edge("numpy")]),
        )
        document["package"] += [package("py4j", source=PYPI), package("numpy", source=PYPI)]
        found = resolved(tmp_path, document, settings={"lock-exclude": ["NumPy"]})
        assert pins(found).packages == ("helper==2.0",)
        assert [f"{note.where}: {note.message}" for note in found.notes] == [
            (
                "project.dependencies: the project requires `pyspark`, which is left out of the libraries since the "
                "platform brings itself"
            ),
            (
                "uv.lock: package[2]: `helper 2.0` requires `numpy`, which is left out of the libraries since "
                "`lock-exclude` names"
            ),
            (
                "uv.lock: package[2]: `helper 2.0` requires `pyspark`, which is left out of the libraries since the "
                "platform brings itself"
            ),
        ]

    def test_dbxdec_of_a_folder_is_the_one_that_builds(self, tmp_path: Path) -> None:
        """A workspace that has dbxdec itself in a folder needs no wheel of it."""
        document = needs(package("dbxdec", dbxdec.__version__, source={"editable": "../dbxdec"}))
        assert pins(resolved(tmp_path, document)).packages == ("dbxdec",)

    def test_a_python_that_nobody_knows_is_asked_for(self, tmp_path: Path) -> None:
        """An existing cluster, a variable, and a runtime that is too new; `lock-python` answers for all of them."""
        late = job_cluster("late", spark_version="99.1.x-scala2.13", node_type_id="a")
        variable = job_cluster("variable", spark_version=bundle_variable("v"), node_type_id="a")
        jobs = [job_on(late), job_on(variable), job_on(None, existing_cluster_id="x"), job_on(new)]
        document = needs(package("a", source=PYPI))
        assert said(resolved(tmp_path, document, *jobs)) == [
            (
                "tool.dbxdec.lock-python: is missing: dbxdec does not know the Python of the cluster `late` of the job "
                "`daily` (99.1.x-scala2.13), nor of 1 more, and the lock needs it"
            )
        ]
        found = resolved(tmp_path, document, *jobs, settings={"lock-python": "3.13"})
        assert pins(found, "3.13") == Pins(("a==1.0",))
        assert found.locked is not None
        assert found.locked.pythons == {"99.1.x-scala2.13": "3.13", UNKNOWN: "3.13", "16.4.x-scala2.12": "3.12"}

    @needs_pylock
    def test_a_pylock(self, tmp_path: Path) -> None:
        """The same, from the list of PEP 751."""
        document = pylock(
            {"name": "shop", "directory": {"path": ".", "editable": True}},
            entry("a", index="https://pypi.org/simple"),
            entry("b", index="https://index.invalid/simple", marker="python_version >= '3.12'"),
            entry("py4j"),
        )
        found = resolved(tmp_path, document, job_on(new), job_on(old), name="pylock.toml", dependencies=["a"])
        assert pins(found) == Pins(("a==1.0", "b==1.0"), {"b": "https://index.invalid/simple"})
        assert pins(found, "3.11") == Pins(("a==1.0",))

    def test_without_a_lock_only_the_wheels_of_the_tree_count(self, tmp_path: Path) -> None:
        """Patterns become the files that they match; what is no wheel keeps its name, with a warning."""
        make_wheel(tmp_path / "libs", "acme", "1.1")
        make_wheel(tmp_path / "libs", "bolt", "2.0")
        (tmp_path / "broken-1.0-py3-none-any.whl").write_text("no zip")
        (tmp_path / "own.whl").write_text("no name")
        browsed = make_wheel(tmp_path, "cask", "1.0").rename(tmp_path / "cask-1.0-py3-none-any (1).whl")
        extra = ["./libs/*.whl", "httpx>=0.27", "broken-1.0-py3-none-any.whl", "own.whl", "gone/x-1-py3-none-any.whl"]
        extra += ["/Volumes/x/y-1-py3-none-any.whl", "${var.wheel}.whl", browsed.name]
        found = locking.of_project(tmp_path, config.parse({"extra-libraries": extra}), "shop", [], [])
        wheels = ["libs/acme-1.1-py3-none-any.whl", "libs/bolt-2.0-py3-none-any.whl"]
        assert found.libraries == (*wheels, *extra[1:])
        assert list(found.wheels) == wheels
        assert found.locked is None
        assert [str(warning.where) for warning in found.warnings] == [
            "tool.dbxdec.extra-libraries[2]",
            "tool.dbxdec.extra-libraries[3]",
            "tool.dbxdec.extra-libraries[7]",
        ]
        assert str(tmp_path / "gone" / "x-1-py3-none-any.whl") in found.read


class TestPythons:
    def test_a_python_that_the_project_does_not_admit_is_said(self) -> None:
        """Each task there would fail while the wheel is installed."""
        assert locking.keeps_some(">=3.13")
        (warning,) = locking.kept_from(">=3.13", [job_on()])
        assert str(warning).startswith(
            "project.requires-python: is >=3.13, and the cluster `new` of the job `daily` has Python 3.12: its tasks "
            "can't install the wheel"
        )
        assert locking.kept_from(">=3.12,<3.13", [job_on()]) == []

    @pytest.mark.parametrize("requires", ["", ">=3.10", ">=3.11.4", "~=3.11", "nonsense"])
    def test_one_that_admits_all_is_fine(self, requires: str) -> None:
        """A patch release is enough; what is no specifier is hatchling's to say."""
        assert not locking.keeps_some(requires)


class TestMistakes:
    @pytest.mark.parametrize(
        ("form", "message", "hint"),
        [
            (
                package("a", source={"registry": "https://u:s3cret@h.invalid/simple"}),
                "comes from https://***@h.invalid/simple, with a password or a token in the address",
                "default package repositories",
            ),
            (
                package("a", source={"registry": "https://t0ken@h.invalid/simple"}),
                "comes from https://***@h.invalid/simple, with a password",
                "UV_INDEX_<NAME>_PASSWORD",
            ),
            (
                package("a", source={"git": f"https://t0ken@h.invalid/a#{COMMIT}"}),
                "comes from https://***@h.invalid/a, with a password",
                "lock it with the address alone",
            ),
            (
                package("a", source={"url": "https://u:s3cret@h.invalid/a-1.0-py3-none-any.whl"}),
                "comes from https://***@h.invalid/a-1.0-py3-none-any.whl, with a password",
                "lock it with",
            ),
            (
                package("a", source={"url": "https://h.invalid/a-1.0-py3-none-any.whl?X-Amz-Signature=s3cret"}),
                "comes from https://h.invalid/a-1.0-py3-none-any.whl, with a password or a token",
                "lock it with",
            ),
            (
                package("a", source={"editable": "../a"}),
                "comes from ../a (editable), which no task can install: `a 1.0`",
                '`extra-libraries = ["libs/a-1.0-py3-none-any.whl"]`',
            ),
            (
                package("a", source={"directory": "../a"}),
                "comes from ../a (directory), which no task",
                "build its wheel",
            ),
            (package("a", source={"registry": "../w"}, wheels=[]), "comes from ../w (an index in a folder)", "build"),
            (
                package("a", source={"git": "https://h.invalid/a#main"}),
                "has no commit of `a 1.0`, but 'main'",
                "lock again",
            ),
            (
                package("a", source={"git": f"file:///x/a#{COMMIT}"}),
                "comes from 'file:///x/a', which the platform can't reach",
                "from an index",
            ),
            (package("a", source={"path": "a-1.0.tar.gz"}), "comes from 'a-1.0.tar.gz', which is not a wheel", "build"),
            (
                package("a", source={"path": "a-1.0-py3-none-any.whl"}),
                "comes from 'a-1.0-py3-none-any.whl', which is not there",
                "build the wheel",
            ),
            (
                package("a", source={"path": "b-1.0-py3-none-any.whl"}, wheels=[{"hash": f"sha256:{SHA}"}]),
                "comes from 'b-1.0-py3-none-any.whl', which is not the file that was locked",
                "lock again",
            ),
            (
                package("a", source={"path": "c-1.0-py3-none-any.whl"}),
                "comes from 'c-1.0-py3-none-any.whl', which is no wheel that a task could install: ",
                "build the wheel",
            ),
            (package("dbxdec", "99.0", source=PYPI), "is `dbxdec 99.0`, and dbxdec ", '"dbxdec[build]==99.0"'),
        ],
    )
    def test_what_no_task_could_install(self, tmp_path: Path, form: dict[str, Any], message: str, hint: str) -> None:
        """Each package is named with its place in the lock, and with what to write instead; no secret is shown."""
        make_wheel(tmp_path, "b", "1.0")
        (tmp_path / "c-1.0-py3-none-any.whl").write_text("no zip")
        found = resolved(tmp_path, needs(form))
        (problem,) = found.problems
        assert problem.where == "uv.lock: package[1]"
        assert problem.message.startswith(message)
        assert hint in (problem.hint or "")
        assert "s3cret" not in str(problem)
        assert "t0ken" not in str(problem)

    def test_a_lock_that_is_not_there(self, tmp_path: Path) -> None:
        """The setting is wrong, or the lock has to be made."""
        found = locking.of_project(tmp_path, config.parse({"lock": "uv.lock"}), "shop", [], [])
        assert said(found) == ["tool.dbxdec.lock: is 'uv.lock', which does not exist"]
        assert str(tmp_path / "uv.lock") in found.read

    def test_a_lock_of_another_project_and_for_another_python(self, tmp_path: Path) -> None:
        """Both are said in a sentence."""
        found = resolved(tmp_path, uv_lock(shop(name="store")))
        assert said(found) == [
            "uv.lock: package: has no package `shop` from a folder, so it is not the lock of this project"
        ]
        found = resolved(tmp_path, needs(package("a"), **{"requires-python": ">=3.13"}))
        assert said(found) == [
            "uv.lock: requires-python: is >=3.13, and the cluster `new` of the job `daily` has Python 3.12"
        ]
        assert said(resolved(tmp_path, needs(package("a"), **{"requires-python": ">=3.12.4"}))) == []
        found = resolved(tmp_path, needs(package("a"), **{"requires-python": "x"}))
        assert said(found)[0].startswith("uv.lock: requires-python: can't be read: ")

    @pytest.mark.parametrize(
        ("dependencies", "requires", "expected"),
        [
            (["a"], [{"name": "a"}], []),
            (["a>=1,<3"], [{"name": "a", "specifier": "<3,>=1"}], []),
            (["A[Y,x]>=1.0"], [{"name": "a", "extras": ["x", "y"], "specifier": ">=1.0"}], []),
            (["a>=1; python_version>='3.8'"], [{"name": "a", "specifier": ">=1"}], []),
            (["a", "b; sys_platform=='win32'"], [{"name": "a"}], []),
            (["a"], [{"name": "a"}, {"name": "b", "marker": "extra == 'x'"}], []),
            (["a>=1"], [{"name": "a", "path": "a.whl"}], []),
            (["a @ https://h.invalid/a.whl"], [{"name": "a", "url": "https://h.invalid/a.whl"}], []),
            (
                ["a>=0.5"],
                [{"name": "a", "specifier": ">=0.4"}],
                ["project.dependencies: has `a>=0.5`, and uv.lock was made for `a>=0.4`"],
            ),
            (
                ["a[x]"],
                [{"name": "a"}],
                ["project.dependencies: has `a[x]`, and uv.lock was made for `a`"],
            ),
            (
                ["a", "b>=2"],
                [{"name": "a"}],
                ["project.dependencies: has `b>=2`, and uv.lock was made without it"],
            ),
            (
                ["a"],
                [{"name": "a"}, {"name": "b"}],
                [
                    (
                        "uv.lock: package[0].metadata.requires-dist[1]: has `b`, which is no longer in `dependencies` "
                        "of [project]"
                    )
                ],
            ),
            (
                ["a>=2"],
                [{"name": "a", "specifier": ">=2"}],
                ["project.dependencies: has `a>=2`, and uv.lock has `a 1.0`"],
            ),
            (
                ["a", "c"],
                [{"name": "a"}, {"name": "c"}],
                ["project.dependencies: has `c`, which uv.lock does not have"],
            ),
            (["a"], [{"name": "a", "marker": "x"}], ["uv.lock: package[0].metadata.requires-dist[0]: can't be read: "]),
        ],
    )
    def test_a_lock_that_is_stale(
        self, tmp_path: Path, dependencies: list[str], requires: list[dict[str, Any]], expected: list[str]
    ) -> None:
        """It was made for the dependencies that the project has now, and satisfies them."""
        document = uv_lock(shop(edge("a"), metadata={"requires-dist": requires}), package("a", source=PYPI))
        found = said(resolved(tmp_path, document, dependencies=dependencies))
        assert len(found) >= len(expected)
        assert all(one.startswith(other) for one, other in zip(found, expected, strict=False))
        assert expected or not found

    @needs_pylock
    def test_a_pylock_that_does_not_satisfy(self, tmp_path: Path) -> None:
        """What the project asks for is in the list, in a version that it admits."""
        document = pylock(entry("a"), entry("b", "2.0"))
        found = resolved(tmp_path, document, name="pylock.toml", dependencies=["a>=1", "b<2", "c", "pyspark"])
        assert said(found) == [
            "project.dependencies: has `b<2`, and pylock.toml has `b 2.0`",
            "project.dependencies: has `c`, which pylock.toml does not have",
        ]

    def test_the_authors_own_libraries_fit_the_lock(self, tmp_path: Path) -> None:
        """Another version is a mistake; a package that the lock lacks has a version that changes."""
        document = needs(package("a", "1.5", source=PYPI))
        lean = environment("lean", dependencies=["a>=1", "a<1.2", "b", "c==1", "-r more.txt", "${var.d}"])

        @job(environment=lean)
        def daily() -> None:
            one()
            one.override(key="two", cluster=new, libraries=[{"pypi": {"package": "a==3"}}, {"jar": "x.jar"}])()

        found = resolved(tmp_path, document, daily.build().dag, settings={"extra-libraries": ["a!=1.5", "httpx>=0.27"]})
        assert [problem.message for problem in found.problems] == [
            "`a!=1.5` asks for another version than uv.lock has: 1.5",
            "`a<1.2` asks for another version than uv.lock has: 1.5",
            "`a==3` asks for another version than uv.lock has: 1.5",
        ]
        assert found.problems[0].where == "tool.dbxdec.extra-libraries[0]"
        assert "test_locking.py:" in str(found.problems[1].where)
        assert [warning.message for warning in found.warnings] == [
            "`httpx>=0.27` is not in uv.lock, so its version changes from one run to the next",
            "`b` is not in uv.lock, so its version changes from one run to the next",
        ]

    def test_names_that_leave_nothing_out(self, tmp_path: Path) -> None:
        """A name that the lock does not have is misspelt, or no longer needed."""
        found = resolved(tmp_path, needs(package("numpy", source=PYPI)), settings={"lock-exclude": ["nunpy"]})
        (warning,) = found.warnings
        assert (warning.where, warning.hint) == ("tool.dbxdec.lock-exclude[0]", "did you mean `numpy`?")

    def test_another_wheel_than_the_locked_version(self, tmp_path: Path) -> None:
        """A wheel among the extra libraries takes the place of a package of the same version only."""
        make_wheel(tmp_path, "a", "1.1")
        found = resolved(tmp_path, needs(package("a")), settings={"extra-libraries": ["a-1.1-py3-none-any.whl"]})
        assert said(found) == ["uv.lock: package[1]: is `a 1.0`, and the wheel among `extra-libraries` is 1.1"]

    def test_all_mistakes_come_at_once(self, tmp_path: Path) -> None:
        """Of the lock, of the settings, of the dependencies."""
        document = needs(package("a", source={"editable": "x"}), package("b", source={"registry": "https://u:p@h/s"}))
        found = resolved(tmp_path, document, job_on(), job_on(None, existing_cluster_id="x"), dependencies=["a", "c"])
        assert len(found.problems) == 5
