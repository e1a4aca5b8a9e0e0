"""Repositories of every layout that hatchling builds, each with what its wheel has to hold."""

from __future__ import annotations

import subprocess
import zipfile
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from projects import Project

MANIFEST = "extra_metadata/dbxdec/manifest.json"

_PYPROJECT = """
[build-system]
requires = ["hatchling", "dbxdec[build]"]
build-backend = "hatchling.build"

[project]
name = "shop-pipelines"
{version}
requires-python = ">=3.11"
dependencies = ["dbxdec>=0.1"]
{tables}
[tool.hatch.build.hooks.dbxdec]
"""

_PIPELINE = """
import polars as pl

from dbxdec import bundle_variable, job, job_cluster, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")
small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)


@task(io_manager=lake)
def orders(n: int) -> pl.DataFrame:
    return pl.DataFrame({"id": range(n)})


@task
def numbers(n: int) -> int:
    print("NUMBERS", n)
    return n


@job(cluster=small)
def sales(n: int = 3) -> None:
    orders(numbers(n))
"""

_HOOK_BEFORE = """
import os
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        if self.target_name != "wheel":
            return
        made = Path(self.root, "src/shop/made.py")
        made.write_text("MADE = 1\\n")
        build_data["artifacts"].append("/src/shop/made.py")
        forced = Path(self.directory, "..", "forced.txt")
        forced.write_text("forced")
        build_data["force_include"][str(forced.resolve())] = "shop/forced.txt"
"""


@dataclass(frozen=True)
class Layout:
    """A repository: `files` besides pyproject.toml, `tables` for it, and the `names` in the wheel's payload.

    `folder` is where the project is in its git repository; `metadata` what else is in the `.dist-info`; `editable`
    whether hatchling makes an editable wheel of it.
    """

    name: str
    files: dict[str, str]
    names: frozenset[str]
    tables: str = ""
    version: str = 'version = "1.2.0"'
    folder: str = "."
    metadata: frozenset[str] = frozenset()
    editable: bool = True

    def write(self, root: Path) -> Project:
        """The repository in the folder `root`; the project may be in a folder of it."""
        project = Project(root / self.folder)
        project.write("pyproject.toml", _PYPROJECT.format(version=self.version, tables=self.tables))
        for path, text in self.files.items():
            project.write(path, text)
        if self.folder != ".":
            Project(root).write(".gitignore", "secret/\n*.log\ndist/\n")
            project.write("src/shop/secret/key.py", "KEY = 1")
            project.write("src/shop/trace.log", "nothing")
            for command in (["init", "-q"], ["add", "-A"]):
                subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)
        return project

    @property
    def wheel_names(self) -> set[str]:
        """All names in the wheel of a standard build."""
        metadata = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", MANIFEST} | self.metadata
        return {*self.names, *(f"shop_pipelines-1.2.0.dist-info/{name}" for name in metadata)}


def _package(root: str, pipeline: str = _PIPELINE) -> dict[str, str]:
    return {f"{root}/__init__.py": "", f"{root}/pipelines/__init__.py": "", f"{root}/pipelines/sales.py": pipeline}


_NAMES = frozenset(_package("shop"))
_SRC_SHOP = '[tool.hatch.build.targets.wheel]\npackages = ["src/shop"]\n'

LAYOUTS = {
    layout.name: layout
    for layout in [
        Layout("src", _package("src/shop_pipelines"), frozenset(_package("shop_pipelines"))),
        Layout("flat", _package("shop_pipelines"), frozenset(_package("shop_pipelines"))),
        Layout(
            "packages", {**_package("lib/python/shop"), "README.md": ""}, _NAMES, _SRC_SHOP.replace("src", "lib/python")
        ),
        Layout(
            "sources-removed",
            _package("code/shop"),
            _NAMES,
            '[tool.hatch.build.targets.wheel]\nonly-include = ["code/shop"]\nsources = ["code"]\n',
        ),
        Layout(
            "sources-renamed",
            _package("code/shop"),
            frozenset(f"acme/{name}" for name in _NAMES),
            '[tool.hatch.build.targets.wheel]\nonly-include = ["code"]\nsources = { "code" = "acme" }\n',
            editable=False,
        ),
        Layout(
            "sources-prefixed",
            _package("shop"),
            frozenset(f"acme/{name}" for name in _NAMES),
            '[tool.hatch.build.targets.wheel]\nonly-include = ["shop"]\nsources = { "" = "acme" }\n',
            editable=False,
        ),
        Layout(
            "namespace",
            _package("src/acme/shop"),
            frozenset(f"acme/{name}" for name in _NAMES),
            '[tool.hatch.build.targets.wheel]\npackages = ["src/acme"]\n',
        ),
        Layout("subfolder", _package("src/shop"), _NAMES, _SRC_SHOP, folder="services/shop"),
        Layout(
            "scripts",
            {
                **_package("src/shop"),
                "LICENSE": "mine\n",
                "tools/shop-sync": "#!/usr/bin/env python3\nprint(1)\n",
                "conf/shop.ini": "[shop]\n",
            },
            _NAMES | {"shop_pipelines-1.2.0.data/scripts/shop-sync", "shop_pipelines-1.2.0.data/data/etc/shop.ini"},
            '[project.scripts]\nshop = "shop:main"\n[project.entry-points."shop.plugins"]\none = "shop:one"\n'
            '[project.entry-points.packages]\nother = "shop:other"\n'
            + _SRC_SHOP
            + '[tool.hatch.build.targets.wheel.shared-scripts]\n"tools/shop-sync" = "shop-sync"\n'
            '[tool.hatch.build.targets.wheel.shared-data]\n"conf/shop.ini" = "etc/shop.ini"\n',
            metadata=frozenset({"licenses/LICENSE"}),
        ),
        Layout(
            "dynamic-version",
            {**_package("src/shop"), "src/shop/__init__.py": '__version__ = "1.2.0"\n'},
            _NAMES,
            '[tool.hatch.version]\npath = "src/shop/__init__.py"\n' + _SRC_SHOP,
            version='dynamic = ["version"]',
        ),
        Layout(
            "hook-before",
            {
                **_package("src/shop", "from shop.made import MADE\n" + _PIPELINE.lstrip()),
                "hatch_build.py": _HOOK_BEFORE,
                ".gitignore": "/src/shop/made.py\n/forced.txt\n",
            },
            _NAMES | {"shop/made.py", "shop/forced.txt"},
            _SRC_SHOP + "[tool.hatch.build.hooks.custom]\n",
        ),
    ]
}


@dataclass(frozen=True)
class Content:
    """What a wheel, or an installed distribution, holds of dbxdec."""

    names: set[str]
    manifest: bytes
    points: dict[str, dict[str, str]]


def content_of(wheel: Path) -> Content:
    """The content of the wheel at a path."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names)), "a name twice"
        (manifest,) = [name for name in names if name.endswith(f".dist-info/{MANIFEST}")]
        points = archive.read(f"{manifest.partition('/')[0]}/entry_points.txt").decode()
        return Content(set(names), archive.read(manifest), _points(points))


def installed_in(prefix: Path) -> Content:
    """The distribution installed in an environment."""
    (info,) = prefix.glob("lib/python*/site-packages/shop_pipelines-*.dist-info")
    record = (info / "RECORD").read_text(encoding="utf-8").splitlines()
    return Content(
        {line.partition(",")[0] for line in record},
        (info / MANIFEST).read_bytes(),
        _points((info / "entry_points.txt").read_text(encoding="utf-8")),
    )


def _points(text: str) -> dict[str, dict[str, str]]:
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}
