"""The folders show the architecture: imports go one way, and a bare import stays light."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from repository import ROOT

SRC = ROOT / "src"

# What each room may import besides itself: rooms that come before it.
ROOMS: dict[str, set[str]] = {
    "records": set(),
    "errors": {"records"},
    "support": {"records", "errors"},
    "platform": {"records", "errors", "support"},
    "model": {"records", "errors", "support", "platform"},
    "views": {"records", "errors", "support", "platform", "model"},
    "io_managers": {"records", "errors", "support", "model"},
    "authoring": {"records", "errors", "support", "platform", "model", "io_managers"},
    "build": {"records", "errors", "support", "platform", "model", "authoring"},
    "bundle": {"records", "errors", "support", "build"},
    "runtime": {"records", "errors", "support", "platform", "model", "io_managers", "authoring"},
    "local": {"records", "errors", "support", "platform", "model", "views", "build", "runtime"},
    "remote": {"records", "errors", "support", "platform", "model", "views", "build", "runtime", "local"},
    "testing": {
        "records",
        "errors",
        "support",
        "platform",
        "model",
        "views",
        "io_managers",
        "authoring",
        "runtime",
        "local",
    },
    "scaffold": {"records", "errors", "support", "build"},
    "cli": {
        *("records", "errors", "support", "platform", "model", "views", "build", "bundle", "runtime", "local"),
        *("remote", "scaffold"),
    },
}
# The same below the rooms that have rooms of their own.
INNER: dict[str, dict[str, set[str]]] = {
    "io_managers": {
        "": set(),
        "delta": {""},
        "frames": {""},
        "delta.polars": {"", "frames", "delta", "delta.polars.direct"},
        "delta.polars.direct": {"", "delta", "delta.polars"},
        "delta.spark": {"", "delta"},
        "files": {"", "frames"},
    },
    "build": {
        "discovery": set(),
        "codegen": set(),
        "locks": set(),
        "": {"discovery", "codegen", "locks"},
    },
}
# Names by which users and the platform find something; they lead to what is deeper in.
DOORS = {"dbxdec", "dbxdec.io_managers"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted((SRC / "dbxdec").rglob("*.py"))}


@functools.cache
def imports_of(name: str) -> set[str]:
    """The modules of dbxdec that a module imports, wherever in it, for types alone too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "dbxdec":
            paths = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {path if path in MODULES else node.module for path in paths}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in MODULES}
    return found - {name}


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"dbxdec"}))
def test_a_module_imports_only_its_own_room_and_those_before(name: str) -> None:
    """A module imports from its own room, and from the rooms that it may know."""
    room = name.split(".")[1]
    others = {found.split(".")[1] for found in imports_of(name) if found != "dbxdec"}
    assert others <= ROOMS[room] | {room}


def inner_room(name: str, room: str) -> str:
    """The inner room of a module, from its outer room on."""
    path = name.removeprefix(f"dbxdec.{room}").lstrip(".")
    known = [inner for inner in INNER[room] if inner and (path == inner or path.startswith(f"{inner}."))]
    return max(known, key=len, default="")


@pytest.mark.parametrize("room", INNER)
def test_inner_rooms_know_each_other_one_way(room: str) -> None:
    """What the engines share knows none of them, and no engine knows another."""
    for name in sorted(MODULES.keys() - DOORS):
        if name.startswith(f"dbxdec.{room}"):
            inner = inner_room(name, room)
            within = {inner_room(one, room) for one in imports_of(name) if one.startswith(f"dbxdec.{room}.")}
            assert within <= INNER[room][inner] | {inner}, name


def test_imports_form_no_circle() -> None:
    """In the whole tree, with the imports inside of functions and those for types alone."""
    left = {name: imports_of(name) - DOORS for name in MODULES.keys() - DOORS}
    while left:
        free = [name for name, needed in left.items() if not needed & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


def test_dbxdec_knows_nothing_of_the_plugin_above_it() -> None:
    """Neither by an import nor by a name that is imported later."""
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert not any(one.startswith("hatch_dbxdec.") for one in texts | imported), name
        assert "hatch_dbxdec" not in imported, name


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    program = f"import sys, json\n{code}\nprint(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_dbxdec_and_every_public_name_loads_no_third_party_module() -> None:
    """Importing dbxdec with all its public names, its IoManagers included, loads only the standard library."""
    code = (
        "import dbxdec\nfor name in dbxdec.__all__: getattr(dbxdec, name)\n"
        "import dbxdec.runtime.preparing\nfrom dbxdec.io_managers import PolarsDeltaIoManager\n"
        "PolarsDeltaIoManager(base_path='x')"
    )
    # What the interpreter itself starts with (editable installs put finders there) does not count.
    extra = loaded_after(code) - loaded_after("pass") - set(sys.stdlib_module_names) - {"dbxdec"}
    assert extra == set()


def test_importing_dbxdec_alone_loads_nothing_of_the_build_side() -> None:
    """A bare `import dbxdec` loads no other module of dbxdec."""
    program = "import sys, dbxdec; print([m for m in sys.modules if m.startswith(('dbxdec.', 'hatch'))])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
