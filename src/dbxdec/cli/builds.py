"""The search for the build that has a job: the tree's own, a wheel's, an installed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbxdec.build.freshness import project_root
from dbxdec.cli import source
from dbxdec.cli.console import say
from dbxdec.errors import ManifestError, Problem, did_you_mean, listed
from dbxdec.local import builds, ledger
from dbxdec.runtime.installed import find_manifest, installed_manifests

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from dbxdec.local.builds import Build
    from dbxdec.model.manifest import Manifest

_OF_SPARK = frozenset({"pyspark", "delta"})


def find(job: str, here: Path, wheel: Path | None, package: str | None) -> tuple[Build, str]:
    """Return the build that has `job`, and a name for it. Raises DbxdecError if no build has it."""
    if wheel is not None and package is not None:
        raise click.UsageError("--wheel and --package both say what to run: choose one")
    if wheel is not None:
        from dbxdec.build.wheels import read_wheel

        return builds.of_wheel(wheel, read_wheel(wheel), ledger.copies(here)), str(wheel)
    if package is None and (found := _of_project(here, job)) is not None:
        return found
    manifest = find_manifest(package) if package is not None else _installed(job)
    if package is None and source.project_root(here) is not None:
        source.say_unread(manifest)
    return builds.Build(manifest), f"{manifest.project} {manifest.version}, which is installed"


def _of_project(here: Path, job: str) -> tuple[Build, str] | None:
    """Return the build that the tree around `here` would ship, and a name for it; None when it doesn't use dbxdec."""
    if not source.can_read_trees():
        return None
    tree = source.project_tree(here, job)
    if tree is None:
        return None
    made = tree.made
    files = [(file.path, file.origin, file.source) for file in made.files]
    build = builds.of_files(files, made.content, made.manifest, made.payload, ledger.copies(here))
    source.say_left_out(made)
    if absent := made.discovered.stand_ins:
        say(
            f"not installed here: {', '.join(absent)}; a task that needs it fails on this machine\n"
            f"    hint: {how_to_install(absent)}"
        )
    return build, f"`{job}` of a tree that can't be built" if made.left_out else "the tree"


def how_to_install(absent: Collection[str]) -> str:
    """Return how modules that the code imports come onto this machine. Spark is no dependency of a project."""
    found = []
    if not _OF_SPARK.issuperset(absent):
        found.append("install what the project depends on, as with `pip install -e .`")
    if not _OF_SPARK.isdisjoint(absent):
        found.append('Spark, which a cluster has, comes with `pip install "dbxdec[spark]"`')
    return "; ".join(found)


def _installed(job: str) -> Manifest:
    """Return the manifest that defines `job`. Raises ManifestError when none or several do."""
    manifests, unreadable = installed_manifests()
    owners = [manifest for manifest in manifests if job in manifest.raw_jobs]
    if len(owners) == 1:
        return owners[0]
    if owners:
        names = listed([manifest.project for manifest in owners])
        raise ManifestError(f"{names} all define the job `{job}`", hint="say which: `--package NAME`")
    known = [key for manifest in manifests for key in manifest.raw_jobs]
    where = "this folder does not belong to a dbxdec project"
    otherwise = "go to the project's folder, or install its wheel"
    if project_root(".") is not None and not source.can_read_trees():
        where = "the tree can't be read without hatchling"
        otherwise = 'pip install "dbxdec[build]", or install the project\'s wheel'
    elif known:
        otherwise = f"jobs are {listed(known)}"
    missing = Problem(
        f"no pipeline that is installed here defines the job `{job}`, and {where}",
        hint=did_you_mean(job, known) or otherwise,
    )
    raise ManifestError([missing, *(problem for error in unreadable for problem in error.problems)])
