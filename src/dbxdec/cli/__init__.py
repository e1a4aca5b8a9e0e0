"""The command line. `main` works without the extra `cli`, to say that it is missing."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script `dbxdec`."""
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
