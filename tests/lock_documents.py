"""uv.lock and pylock.toml as documents, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import packaging
import pytest
import tomlkit
from packaging.version import Version

HAS_PYLOCK = Version(packaging.__version__) >= Version("26.0")
needs_pylock = pytest.mark.skipif(not HAS_PYLOCK, reason="this `packaging` reads no pylock.toml")
INDEX = {"registry": "https://index.invalid/simple"}
SHA = "0" * 64


def package(name: str, version: Any = "1.0", source: Any = None, **more: Any) -> dict[str, Any]:
    """A package of a uv.lock, from an index unless there is a source."""
    return {"name": name, "version": version, "source": INDEX if source is None else source, **more}


def edge(name: str, **more: Any) -> dict[str, Any]:
    """A dependency of a package of a uv.lock."""
    return {"name": name, **more}


def shop(*dependencies: Any, name: str = "shop", **more: Any) -> dict[str, Any]:
    """The project itself in a uv.lock."""
    return package(name, source={"virtual": "."}, dependencies=list(dependencies), **more)


def uv_lock(*packages: Any, **more: Any) -> dict[str, Any]:
    """A uv.lock."""
    return {"version": 1, "revision": 3, "requires-python": ">=3.11", "package": list(packages), **more}


def pylock(*packages: Any, **more: Any) -> dict[str, Any]:
    """A pylock.toml."""
    return {"lock-version": "1.0", "created-by": "test", "packages": list(packages), **more}


def entry(name: str, version: str = "1.0", **more: Any) -> dict[str, Any]:
    """A package of a pylock.toml, from an index unless it has wheels of its own."""
    wheel = {"name": f"{name}-{version}-py3-none-any.whl", "url": "https://h.invalid/x.whl", "hashes": {"sha256": SHA}}
    return {"name": name, "version": version, **({"wheels": [wheel]} if "wheels" not in more else {}), **more}


def write(path: Path, document: dict[str, Any]) -> Path:
    """The file of a lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
    return path
