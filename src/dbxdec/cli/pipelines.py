"""The pipeline of a command: a wheel, an installed one, or the project around the working directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbxdec.cli import source
from dbxdec.errors import ManifestError, listed
from dbxdec.runtime.installed import find_manifest, installed_manifests

if TYPE_CHECKING:
    from pathlib import Path

    from dbxdec.cli.source import Source
    from dbxdec.model.manifest import Manifest


def chosen(folder: Path, *, wheel: Path | None = None, package: str | None = None, job: str | None = None) -> Source:
    """Return the pipeline to show. Raises DbxdecError if no pipeline is found, or if several are equally near.

    As `dbxdec run` does, it takes the installed one when the tree can't be read here, or if no tree is here, and
    ignores the mistakes of other jobs than `job`.
    """
    if wheel is not None and package is not None:
        raise click.UsageError("--wheel and --package both say which pipeline it is: choose one")
    if wheel is not None:
        return source.of_wheel(wheel)
    if package is not None:
        return _installed(find_manifest(package))
    is_project = source.project_root(folder) is not None
    if is_project and source.can_read_trees():
        return source.of_tree(folder, job)
    found, unreadable = installed_manifests()
    if job is not None:
        found = [manifest for manifest in found if job in manifest.raw_jobs]
    if len(found) > 1:
        names = listed([manifest.project for manifest in found])
        raise ManifestError(f"{names} are installed here", hint="say which: `--package NAME`")
    if not found and unreadable:
        raise ManifestError(problem for error in unreadable for problem in error.problems)
    if not found:
        return source.of_tree(folder, job)  # which reports what is missing
    if is_project:
        source.say_unread(found[0])
    return _installed(found[0])


def _installed(manifest: Manifest) -> Source:
    return source.Source(f"{manifest.project} {manifest.version}, which is installed", manifest, {})
