"""Locks as documents: what counts of a uv.lock and a pylock.toml, and a sentence for everything that can't be read."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest

from dbxdec.build.locks import reading
from dbxdec.build.locks.chosen import Chosen, best_wheel
from dbxdec.build.locks.packages import Address, Commit, File, Folder, Registry
from dbxdec.errors import ConfigError
from lock_documents import HAS_PYLOCK, INDEX, SHA, edge, entry, needs_pylock, package, pylock, shop, uv_lock, write

OTHER = {"registry": "https://other.invalid/simple"}


def read(folder: Path, document: dict[str, Any], name: str = "uv.lock") -> reading.Lock:
    write(folder / name, document)
    return reading.read(folder / name, name, "shop")


def chosen(folder: Path, document: dict[str, Any], python: str = "3.12", name: str = "uv.lock") -> Chosen:
    return read(folder, document, name).choose(python, ())


def names(found: Chosen) -> list[str]:
    assert found.problems == ()
    return [f"{one.name} {one.version}" for one in found.packages]


def problems(found: Chosen) -> list[str]:
    return [f"{problem.where}: {problem.message}" for problem in found.problems]


class TestGraph:
    def test_cycles_end(self, tmp_path: Path) -> None:
        """Packages that need each other, and the project itself, are each taken once."""
        document = uv_lock(
            shop(edge("a")),
            package("a", dependencies=[edge("b"), edge("shop")]),
            package(
                "b", dependencies=[edge("a"), edge("b", extra=["x"])], **{"optional-dependencies": {"x": [edge("a")]}}
            ),
        )
        assert names(chosen(tmp_path, document)) == ["a 1.0", "b 1.0"]

    @pytest.mark.slow
    def test_a_long_chain_is_no_recursion(self, tmp_path: Path) -> None:
        """Thousands of packages, one behind the other."""
        chain = [package(f"p{i}", dependencies=[edge(f"p{i + 1}")]) for i in range(5000)]
        document = uv_lock(shop(edge("p0")), *chain, package("p5000"))
        assert len(names(chosen(tmp_path, document))) == 5001

    def test_an_edge_names_the_version_or_the_source(self, tmp_path: Path) -> None:
        """Of several packages of a name an edge takes the one that it describes."""
        document = uv_lock(
            shop(edge("a", version="2.0"), edge("b", source=OTHER)),
            package("a"),
            package("a", "2.0"),
            package("b"),
            package("b", "1.5", OTHER),
        )
        assert names(chosen(tmp_path, document)) == ["a 2.0", "b 1.5"]

    def test_resolution_markers_choose_where_an_edge_does_not(self, tmp_path: Path) -> None:
        """Of several packages of a name the one counts that is for this Python."""
        document = uv_lock(
            shop(edge("a")),
            package("a", **{"resolution-markers": ["python_full_version < '3.12'"]}),
            package("a", "2.0", **{"resolution-markers": ["sys_platform == 'x'", "python_full_version >= '3.12'"]}),
        )
        assert names(chosen(tmp_path, document, "3.11")) == ["a 1.0"]
        assert names(chosen(tmp_path, document, "3.12")) == ["a 2.0"]

    def test_development_groups_and_extras_of_the_project_do_not_count(self, tmp_path: Path) -> None:
        """Only the dependencies of the project itself are followed."""
        more: dict[str, Any] = {
            "optional-dependencies": {"x": [edge("b")]},
            "dev-dependencies": {"dev": [edge("c")]},
        }
        document = uv_lock(shop(edge("a"), **more), package("a"), package("b"), package("c"))
        assert names(chosen(tmp_path, document)) == ["a 1.0"]

    def test_a_virtual_package_is_only_a_list(self, tmp_path: Path) -> None:
        """A member of the workspace that is no package is not installed; what it needs is."""
        document = uv_lock(
            shop(edge("group")),
            package("group", source={"virtual": "../group"}, dependencies=[edge("a")]),
            package("a"),
        )
        assert names(chosen(tmp_path, document)) == ["a 1.0"]

    def test_the_project_is_found_by_any_spelling(self, tmp_path: Path) -> None:
        """uv writes names in their one form."""
        own = package("my-shop", source={"editable": "x"}, dependencies=[edge("a")])
        write(tmp_path / "uv.lock", uv_lock(own, package("a")))
        found = reading.read(tmp_path / "uv.lock", "uv.lock", "My_Shop").choose("3.12", ())
        assert names(found) == ["a 1.0"]

    def test_two_versions_for_one_python_are_ambiguous(self, tmp_path: Path) -> None:
        """Edges that lead to two versions are a mistake of the lock, in the words of who reads it."""
        document = uv_lock(shop(edge("a", version="1.0"), edge("b")), package("a"), package("a", "2.0"))
        document["package"].append(package("b", dependencies=[edge("a", version="2.0")]))
        assert problems(chosen(tmp_path, document)) == [
            "uv.lock: package[1]: has 1.0 and 2.0 of `a` for Python 3.12, which can have only one"
        ]

    @pytest.mark.parametrize(
        ("source", "more", "expected"),
        [
            ({"registry": "https://pypi.org/simple"}, {}, Registry(None)),
            ({"registry": "https://pypi.org/simple/"}, {}, Registry(None)),
            ({"registry": "https://h.invalid/simple"}, {}, Registry("https://h.invalid/simple")),
            ({"path": "libs/a-1.0-py3-none-any.whl"}, {}, File("libs/a-1.0-py3-none-any.whl")),
            (
                {"path": "libs/a-1.0-py3-none-any.whl"},
                {"wheels": [{"filename": "a-1.0-py3-none-any.whl", "hash": f"sha256:{SHA}"}]},
                File("libs/a-1.0-py3-none-any.whl", SHA),
            ),
            ({"editable": "../a"}, {}, Folder("../a", "editable")),
            ({"directory": "../a"}, {}, Folder("../a", "directory")),
            ({"url": "https://h.invalid/a.whl"}, {}, Address("https://h.invalid/a.whl")),
            (
                {"git": "https://h.invalid/a?subdirectory=x%2Fy&rev=main#abc"},
                {},
                Commit("https://h.invalid/a", "abc", "x/y"),
            ),
            ({"git": "ssh://git@h.invalid/a.git#abc"}, {}, Commit("ssh://git@h.invalid/a.git", "abc")),
            (
                {"registry": "../wheels"},
                {"wheels": [{"path": "a-1.0-cp312-cp312-win_amd64.whl"}, {"path": "a-1.0-py3-none-any.whl"}]},
                File("../wheels/a-1.0-py3-none-any.whl"),
            ),
            (
                {"registry": "file:///a%20b"},
                {"wheels": [{"path": "a-1.0-py3-none-any.whl"}]},
                File("/a b/a-1.0-py3-none-any.whl"),
            ),
            ({"registry": "../wheels"}, {"wheels": []}, Folder("../wheels", "an index in a folder")),
        ],
    )
    def test_sources(self, tmp_path: Path, source: dict[str, str], more: dict[str, Any], expected: object) -> None:
        """Each kind of source that uv writes."""
        found = chosen(tmp_path, uv_lock(shop(edge("a")), package("a", source=source, **more)))
        assert [one.source for one in found.packages] == [expected]


class TestDamaged:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"version = 1\n[[package]\n", "uv.lock:2: is not TOML"),
            (b"# caf\xe9\n", r"uv.lock:1: is not UTF-8: b'\xe9'"),
            (b"\xff\xfev\0", "uv.lock:1: is UTF-16, not UTF-8"),
            (b"", "uv.lock: version: has no version, and dbxdec reads format 1"),
            (b"version = 2\n", "uv.lock: version: has the format 2, and dbxdec reads format 1"),
            (b"version = true\n", "uv.lock: version: has the format True"),
            (b"version = 1\n", "uv.lock: package: is missing"),
            (b"version = 1\npackage = 3\n", "uv.lock: package: is a whole number, not a list"),
            (b"version = 1\npackage = [3]\n", "uv.lock: package[0].name: has the name None"),
            (b"version = 1\npackage = [{name = ''}]\n", "uv.lock: package[0].name: has the name ''"),
            (b"version = 1\npackage = []\nrequires-python = 3\n", "uv.lock: requires-python: is a whole number"),
            (b"version = 1\npackage = []\n", "uv.lock: package: has no package `shop` from a folder"),
            (b"x = " + b"[" * 50_000, "uv.lock can't be read as TOML: it is nested too deeply"),
            (b"version = " + b"9" * 9000, "uv.lock:1: is not TOML"),
        ],
    )
    def test_a_file_that_is_no_lock_is_one_sentence(self, tmp_path: Path, content: bytes, said: str) -> None:
        """Whatever the file holds, the message has its name, the place and what is wrong."""
        (tmp_path / "uv.lock").write_bytes(content)
        with pytest.raises(ConfigError) as error:
            reading.read(tmp_path / "uv.lock", "uv.lock", "shop")
        (problem,) = error.value.problems
        assert str(problem).startswith(said)
        assert "\n" not in problem.message

    def test_a_huge_file_is_not_read(self, tmp_path: Path) -> None:
        """A file beyond all locks is refused by its size."""
        with (tmp_path / "uv.lock").open("wb") as file:
            file.truncate(reading.MAX_BYTES + 1)
        with pytest.raises(ConfigError, match="has more than 33,554,432 bytes"):
            reading.read(tmp_path / "uv.lock", "uv.lock", "shop")

    @pytest.mark.parametrize(
        ("packages", "said"),
        [
            ([shop(3)], "uv.lock: package[0].dependencies[0]: is a whole number, not an object"),
            ([shop({})], "uv.lock: package[0].dependencies[0].name: is missing"),
            ([shop(edge("a"))], "uv.lock: package[0].dependencies[0]: leads to `a`, which the lock does not have"),
            (
                [shop(edge("a", version="2.0")), package("a")],
                "uv.lock: package[0].dependencies[0]: leads to `a 2.0`, which the lock does not have",
            ),
            (
                [shop(edge("a", marker=3))],
                "uv.lock: package[0].dependencies[0].marker: is a whole number",
            ),
            ([shop(edge("a", marker="x y"))], "uv.lock: package[0].dependencies[0].marker: is not a marker: "),
            (
                [shop(edge("a", marker="(" * 3000 + "os_name == 'x'" + ")" * 3000))],
                "uv.lock: package[0].dependencies[0].marker: is not a marker: ",
            ),
            (
                [shop(edge("a", marker="os_name == 'x' or " * 1000 + "os_name == 'x'"))],
                "uv.lock: package[0].dependencies[0].marker: has 18,014 characters, more than 10,000",
            ),
            ([shop(edge("a", extra="x"))], "uv.lock: package[0].dependencies[0].extra: is a string, not a list"),
            (
                [package("shop", source={"virtual": "."}, dependencies={})],
                "uv.lock: package[0].dependencies: is ",
            ),
            (
                [shop(edge("a")), package("a", source={"odd": "x"})],
                "uv.lock: package[1].source: is \"{'odd'",
            ),
            ([shop(edge("a")), package("a", source={"registry": 3})], "uv.lock: package[1].source: is "),
            (
                [shop(edge("a")), package("a", source={"git": "https://[x"})],
                "uv.lock: package[1].source: can't be",
            ),
            (
                [shop(edge("a")), package("a", version=3)],
                "uv.lock: package[1].version: is a whole number",
            ),
            (
                [shop(edge("a")), package("a", **{"resolution-markers": ["x"]}), package("a", "2.0")],
                "uv.lock: package[1].resolution-markers: is not a marker: ",
            ),
        ],
    )
    def test_a_damaged_part_is_named_with_its_place(self, tmp_path: Path, packages: list[Any], said: str) -> None:
        """A mistake of the lock is one sentence with the path to it."""
        found = chosen(tmp_path, uv_lock(*packages))
        assert problems(found)[0].startswith(said)
        assert all("\n" not in problem.message for problem in found.problems)

    def test_all_mistakes_come_at_once(self, tmp_path: Path) -> None:
        """One does not hide another."""
        document = uv_lock(shop(edge("a"), edge("b"), {}), package("a", source={}))
        assert len(problems(chosen(tmp_path, document))) == 3

    def test_any_damage_is_a_sentence(self, tmp_path: Path) -> None:
        """Parts of a lock replaced by anything else are taken, or refused in words."""
        chance = random.Random(7)  # noqa: S311 - the same in each run
        for _ in range(400):
            document = uv_lock(
                shop(edge("a", marker="os_name == 'posix'", extra=["x"]), edge("b", version="1.0", source=INDEX)),
                package("a", **{"optional-dependencies": {"x": [edge("b")]}, "resolution-markers": ["os_name != 'x'"]}),
                package("b", source={"path": "b.whl"}, wheels=[{"filename": "b.whl", "hash": "sha256:1"}]),
                package("b", "2.0"),
            )
            document = copy.deepcopy(document)  # parts of it are those of other tests
            for _ in range(chance.randrange(1, 4)):
                _damage(chance, document)
            try:
                chosen(tmp_path, document)
            except ConfigError:
                continue


def _damage(chance: random.Random, value: Any) -> None:
    """Replace or remove one part of a document, somewhere."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = chance.choice(keys) if keys else None
    if key is None:
        return
    if isinstance(value[key], dict | list) and value[key] and chance.random() < 0.8:
        _damage(chance, value[key])
    elif chance.random() < 0.2:
        del value[key]
    else:
        value[key] = chance.choice([3, True, "", "x", "\0", "é", [], {}, [3], {"x": 3}, "9" * 500, 1.5, [[]], "a==1"])


def direct(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


@needs_pylock
class TestPylock:
    def chosen(self, folder: Path, document: dict[str, Any], python: str = "3.12") -> Chosen:
        return chosen(folder, document, python, "pylock.toml")

    def test_markers_choose(self, tmp_path: Path) -> None:
        """Packages for another system, another Python, an extra or a group are left out."""
        document = pylock(
            entry("a", marker="python_version < '3.12'"),
            entry("a", "2.0", marker="python_version >= '3.12'"),
            entry("b", marker="sys_platform == 'win32'"),
            entry("c", marker="'x' in extras"),
            entry("d", marker="'dev' in dependency_groups"),
            entry("e", marker="'default' in dependency_groups"),
            **{"default-groups": ["default"], "dependency-groups": ["dev"], "extras": ["x"]},
        )
        assert names(self.chosen(tmp_path, document, "3.11")) == ["a 1.0", "e 1.0"]
        assert names(self.chosen(tmp_path, document, "3.12")) == ["a 2.0", "e 1.0"]

    def test_the_project_itself_is_no_pin(self, tmp_path: Path) -> None:
        """uv exports the project too."""
        document = pylock(direct("shop", directory={"path": ".", "editable": True}), entry("a"))
        assert names(self.chosen(tmp_path, document)) == ["a 1.0"]

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({"index": "https://pypi.org/simple"}, Registry(None)),
            ({}, Registry(None)),
            ({"index": "https://h.invalid/simple"}, Registry("https://h.invalid/simple")),
        ],
    )
    def test_indexes(self, tmp_path: Path, more: dict[str, str], expected: object) -> None:
        """A package without an index is of the one that installers ask by themselves."""
        assert self.chosen(tmp_path, pylock(entry("a", **more))).packages[0].source == expected

    @pytest.mark.parametrize(
        ("form", "expected"),
        [
            (
                {"vcs": {"type": "git", "url": "https://h.invalid/a", "commit-id": "abc", "subdirectory": "x"}},
                Commit("https://h.invalid/a", "abc", "x"),
            ),
            (
                {"vcs": {"type": "hg", "url": "https://h.invalid/a", "commit-id": "1"}},
                Folder("https://h.invalid/a", "a repository"),
            ),
            ({"directory": {"path": "lib", "editable": True}}, Folder("lib", "editable")),
            ({"directory": {"path": "lib"}}, Folder("lib", "directory")),
            ({"archive": {"path": "a.whl", "hashes": {"sha256": SHA}}}, File("a.whl", SHA)),
            (
                {"archive": {"url": "https://h.invalid/a.whl", "hashes": {"sha256": SHA}}},
                Address("https://h.invalid/a.whl"),
            ),
            (
                {"wheels": [{"path": "w/a-1.0-py3-none-any.whl", "hashes": {"sha256": SHA}}]},
                File("w/a-1.0-py3-none-any.whl", SHA),
            ),
        ],
    )
    def test_sources(self, tmp_path: Path, form: dict[str, Any], expected: object) -> None:
        """Each kind of source of PEP 751."""
        assert self.chosen(tmp_path, pylock(direct("a", **form))).packages[0].source == expected

    def test_what_is_not_for_a_compute_is_said(self, tmp_path: Path) -> None:
        """Other environments, another Python, and two packages of one name."""
        document = pylock(
            entry("a", **{"requires-python": ">=3.13"}),
            entry("a", "2.0"),
            environments=["sys_platform == 'win32'"],
        )
        assert problems(self.chosen(tmp_path, document)) == [
            "pylock.toml: environments: is for none of the platform's computes with Python 3.12: Linux on x86_64",
            "pylock.toml: packages[0].requires-python: `a` is for Python >=3.13, and a compute has 3.12",
            "pylock.toml: packages[1]: has 1.0 and 2.0 of `a` for Python 3.12, which can have only one",
        ]

    @pytest.mark.parametrize(
        ("document", "said"),
        [
            ({}, "pylock.toml: lock-version: is not as PEP 751 wants it: "),
            (pylock({"name": "A"}), "pylock.toml: packages[0].name: is not as PEP 751 wants it: "),
            (pylock(entry("a", marker="x y")), "pylock.toml: packages[0].marker: is not as PEP 751 wants it: "),
            ({**pylock(), "lock-version": "2.0"}, "pylock.toml: is not as PEP 751 wants it: pylock version 2.0 is not"),
        ],
    )
    def test_a_file_that_is_no_lock_is_one_sentence(self, tmp_path: Path, document: dict[str, Any], said: str) -> None:
        """What `packaging` refuses is said with the place."""
        with pytest.raises(ConfigError) as error:
            read(tmp_path, document, "pylock.toml")
        (problem,) = error.value.problems
        assert str(problem).startswith(said)
        assert "\n" not in problem.message

    def test_a_marker_of_an_unknown_kind_is_a_sentence(self, tmp_path: Path) -> None:
        """A marker that can't be evaluated is a mistake at its place."""
        found = self.chosen(tmp_path, pylock(entry("a", marker="extra == 'x'"), entry("b")))
        assert all("marker" in str(problem.where) for problem in found.problems)


@pytest.mark.skipif(HAS_PYLOCK, reason="this `packaging` reads them")
def test_an_old_packaging_says_what_to_install(tmp_path: Path) -> None:
    """Where `packaging` has no reader of pylock.toml, the message has the requirement to write."""
    with pytest.raises(ConfigError, match=r'add "packaging>=26.0" to `requires` of \[build-system\]'):
        read(tmp_path, pylock(), "pylock.toml")


@pytest.mark.parametrize(
    ("files", "best"),
    [
        (["a-1-cp311-cp311-manylinux_2_17_x86_64.whl", "a-1-py3-none-any.whl"], "a-1-py3-none-any.whl"),
        (
            ["a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "a-1-py3-none-any.whl"],
            "a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        ),
        (
            ["a-1-cp39-abi3-manylinux_2_28_x86_64.whl", "a-1-py3-none-any.whl"],
            "a-1-cp39-abi3-manylinux_2_28_x86_64.whl",
        ),
        (["a-1-cp312-cp312-musllinux_1_2_x86_64.whl", "a-1-cp312-cp312-macosx_11_0_arm64.whl", "a.whl"], None),
        (["a-1-cp312-cp312-manylinux_2_99_x86_64.whl"], None),
    ],
)
def test_the_wheel_of_a_folder_is_the_one_for_the_compute(files: list[str], best: str | None) -> None:
    """Built for Linux on x86_64 and this Python, before one for any."""
    assert best_wheel(files, "3.12") == best
    assert best_wheel(reversed(files), "3.12") == best
