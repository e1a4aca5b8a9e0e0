"""The command line. `main` works without the extra `cli`, to say that it is missing."""

from __future__ import annotations

import sys

from dbxdec.support import streams


def _is_fresh() -> bool:
    """Return whether `dbxdec bundle` has nothing to do; this imports no third-party module."""
    from dbxdec.build import freshness

    try:
        root = freshness.project_root(".")
        return root is not None and freshness.stale(root)[1] is None
    except OSError:
        return False  # the command itself reports the mistake


def main() -> None:
    """Run the console script `dbxdec`."""
    if sys.argv[1:] == ["bundle"] and _is_fresh():
        return  # the bundle's CLI calls this for every command, shell completion included
    streams.make_safe()
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ModuleNotFoundError as error:
        print(
            f'dbxdec: the command line needs {error.name}, which is not installed: pip install "dbxdec[cli]"',
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    from dbxdec.cli.app import cli

    cli(prog_name="dbxdec")
