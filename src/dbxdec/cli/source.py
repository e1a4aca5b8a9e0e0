"""The source of a command's pipeline: the tree around it, a wheel, a commit of git."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.cli.console import say
from dbxdec.errors import ConfigError, DbxdecError, Problem, SourceLocation, counted
from dbxdec.model import contract_forms
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.build.building import Build
    from dbxdec.build.tree import Tree
    from dbxdec.model.contract_forms import Columns
    from dbxdec.model.manifest import Manifest


@dataclass(frozen=True)
class Source:
    """A pipeline, and the notes from reading it. `files` are digests by their path in the wheel."""

    title: str
    manifest: Manifest
    files: Mapping[str, str]
    warnings: tuple[Problem, ...] = ()
    absent: tuple[str, ...] = ()
    """Modules that are replaced by placeholders, because they are not installed here."""
    notes: tuple[Problem, ...] = ()
    contracts: Mapping[str, Columns] = field(default_factory=dict)
    """The columns of contracts by their names, where they are known."""


def of_tree(folder: Path, job: str | None = None) -> Source:
    """Return the project that `folder` is in, as a build would see it. Raises DbxdecError with every mistake.

    When only other jobs than `job` have mistakes, they are reported; the source has `job` and the jobs that it runs.
    """
    from dbxdec.build.rebuild import find_project

    tree = _read(find_project(folder), job)
    made = tree.made
    say_left_out(made)
    contracts = {} if made.contracts is None else contract_forms.decode(made.contracts, "the tree")
    absent = made.discovered.stand_ins
    return Source("the tree", made.manifest, dict(made.payload), tree.warnings, absent, tree.notes, contracts)


def say_left_out(made: Build) -> None:
    """Report the mistakes that would stop a build, when `made` has only some of the jobs."""
    for problem in made.left_out:
        say(f"warning: {replace(problem, hint=None)}")
    if made.left_out:
        in_modules = all(isinstance(problem.where, SourceLocation) for problem in made.left_out)
        where = " in other jobs" if in_modules else ""
        say(f"no build is possible with {counted(len(made.left_out), 'mistake')}{where}: see `dbxdec check`")


def project_tree(folder: Path, job: str) -> Tree | None:
    """Return the project that `folder` is in; None when it doesn't turn dbxdec's hook on.

    When only other jobs have mistakes, the tree has `job` and the jobs that it runs.
    """
    root = project_root(folder)
    return _read(root, job) if root is not None else None


def project_root(folder: Path) -> Path | None:
    """Return the root of the project that `folder` is in; None when it doesn't turn dbxdec's hook on."""
    from dbxdec.build import config, freshness

    root = freshness.project_root(str(folder))
    return Path(root) if root is not None and config.turns_hook_on(Path(root, "pyproject.toml")) else None


def can_read_trees() -> bool:
    """Return whether hatchling, which says what a tree's wheel would hold, is installed here."""
    return find_spec("hatchling") is not None


def say_unread(installed: Manifest) -> None:
    """Report that the project of this folder is not read, and that an installed pipeline is in its place."""
    say(
        f'the tree can\'t be read without hatchling (`pip install "dbxdec[build]"`): this is {installed.project} '
        f"{installed.version}, which is installed"
    )


def _read(root: Path, only: str | None = None) -> Tree:
    try:
        from dbxdec.build.tree import read_tree
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"reading a project needs {error.name}, which is not installed here", hint='pip install "dbxdec[build]"'
        ) from None
    return read_tree(root, only)


def of_wheel(path: Path) -> Source:
    """Return a finished wheel. Raises ManifestError when dbxdec has not built it."""
    from dbxdec.build.wheels import read_wheel

    wheel = read_wheel(path)
    return Source(path.name, wheel.manifest, dict(wheel.payload), contracts=wheel.contracts)


def of_commit(name: str, folder: Path) -> Source:
    """Return the project of `folder` at the commit `name`. Raises DbxdecError with every mistake.

    The places of mistakes are written as git writes files of a commit: the tree may have none of them.
    """
    from dbxdec.build.rebuild import find_project

    root = find_project(folder)
    with _checked_out(name, root) as there:
        try:
            found = of_tree(there)
        except DbxdecError as error:
            raise type(error)([_in_commit(problem, name) for problem in error.problems]) from None
    return Source(name, found.manifest, found.files, found.warnings, contracts=found.contracts)


def _in_commit(problem: Problem, name: str) -> Problem:
    if isinstance(problem.where, SourceLocation):
        return replace(problem, where=SourceLocation(f"{name}:{problem.where.path}", problem.where.line))
    return replace(problem, where=name if problem.where is None else f"{name}:{problem.where}")


def named(text: str, folder: Path) -> Source:
    """Return a wheel or a project by its path, or else a commit by its name in git."""
    path = Path(text)
    if path.is_dir():
        return of_tree(path)
    if path.is_file() or path.suffix == ".whl":
        return of_wheel(path)
    return of_commit(text, folder)


@contextmanager
def _checked_out(name: str, root: Path) -> Iterator[Path]:
    """Yield the project at that commit, in a clone of its own: the repository is left as it is."""
    if _git(root, "rev-parse", "--git-dir") is None:
        raise ConfigError(
            f"{name} would be a commit, but {root} is in no git repository",
            hint="give a wheel's path or a project's folder",
        )
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    top = _git(root, "rev-parse", "--show-toplevel")
    if commit is None or top is None:
        raise ConfigError(
            f"{name} is not a wheel, a folder or a commit that git knows",
            hint="give a wheel's path, a project's folder, or a commit, branch or tag",
        )
    with tempfile.TemporaryDirectory(prefix="dbxdec-") as scratch:
        clone = Path(scratch, "tree")
        if _git(root, "clone", "--quiet", "--shared", "--no-checkout", top, str(clone)) is None:
            raise ConfigError(f"git can't clone {top}")
        _git(clone, "checkout", "--quiet", "--detach", commit)
        there = clone / root.relative_to(top)
        if not (there / "pyproject.toml").is_file():
            raise ConfigError(f"{name} has no {root.relative_to(top) / 'pyproject.toml'}")
        yield there


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - the one on PATH is the one that people use
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError("comparing with a commit needs git, which is not on PATH") from None
    return done.stdout.strip() if done.returncode == 0 else None
