"""The folders show the architecture: imports go one way, and a bare import stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"

# Each layer may import itself, the foundation, and what is named here.
FOUNDATION = {
    "errors",
    "boundary",
    "documents",
    "forms",
    "masking",
    "printing",
    "soundness",
    "variables",
    "dbutils",
    "secrets",
    "rundate",
    "literals",
    "values",
    "typehints",
    "dag",
    "kinds",
    "checks",
    "comparisons",
    "outcomes",
    "platform",
    "locks",
    "places",
    "pauses",
    "unbuilt",
    "storage_paths",
    "quartz",
    "schedules",
    "mistakes",
    "signatures",
    "streams",
}
ALLOWED: dict[str, set[str]] = {
    **{name: set() for name in FOUNDATION},
    "manifest": set(),
    "protocol": set(),
    "config": set(),
    "dynamic_version": {"wheels"},
    "wheels": {"manifest"},
    "io_managers": set(),
    "authoring": {"io_managers"},
    "discovery": {"authoring", "manifest"},
    "codegen": {"manifest", "protocol"},
    "building": {"codegen", "config", "discovery", "manifest", "protocol", "wheels"},
    "runtime": {"authoring", "io_managers", "manifest", "protocol"},
    "local": {"bundlefile", "config", "locks", "manifest", "protocol", "runtime", "views", "wheels"},
    "freshness": {"locks"},
    "rebuild": {"building", "config", "freshness", "manifest", "wheels"},
    "bundle": {
        *("bundlechecks", "bundlefile", "codegen", "config", "freshness", "manifest", "rebuild", "wheels"),
    },
    "testing": {"authoring", "io_managers", "local", "manifest", "protocol", "runtime", "views"},
    "views": {"manifest"},
    "bundlefile": set(),
    "localfiles": {"codegen"},
    "bundlechecks": {"bundlefile", "codegen", "localfiles", "manifest"},
    "scaffold": {"bundlefile", "config"},
    "cli": {
        "building",
        "scaffold",
        "bundlechecks",
        "bundlefile",
        "views",
        "bundle",
        "codegen",
        "config",
        "dynamic_version",
        "freshness",
        "local",
        "manifest",
        "rebuild",
        "runtime",
        "wheels",
    },
}


def imports_of(path: Path) -> set[str]:
    """The layers of dbxdec that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "dbxdec":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("dbxdec.")}
    return found


def modules() -> list[Path]:
    return sorted(
        path for path in (SRC / "dbxdec").rglob("*.py") if path.parent != SRC / "dbxdec" or path.stem != "__init__"
    )


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_imports_only_its_own_layer_and_those_below(path: Path) -> None:
    """A module imports only its own layer, the foundation, and the layers below it."""
    layer = path.relative_to(SRC / "dbxdec").parts[0].removesuffix(".py")
    allowed = ALLOWED[layer] | FOUNDATION | {layer, "__version__"}
    assert imports_of(path) <= allowed


def _imports_of_layer(name: str) -> set[str]:
    """The layers that a module, or a package's modules, import."""
    package = SRC / "dbxdec" / name
    paths = package.glob("*.py") if package.is_dir() else [package.with_suffix(".py")]
    return set().union(*map(imports_of, paths))


def test_foundation_modules_form_no_cycle() -> None:
    """Within the foundation, imports form no cycle."""
    edges = {name: _imports_of_layer(name) & FOUNDATION - {name} for name in FOUNDATION}
    left = dict(edges)
    while left:
        free = [name for name, needed in left.items() if not needed & left.keys()]
        assert free, f"a cycle among {sorted(left)}"
        for name in free:
            del left[name]


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    program = f"import sys, json\n{code}\nprint(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_dbxdec_and_every_public_name_loads_no_third_party_module() -> None:
    """Importing dbxdec with all its public names, its IoManagers included, loads only the standard library."""
    code = (
        "import dbxdec\nfor name in dbxdec.__all__: getattr(dbxdec, name)\n"
        "import dbxdec.runtime.execution\nfrom dbxdec.io_managers import PolarsDeltaIoManager\n"
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
