"""`dbxdec diff`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbxdec.cli import source
from dbxdec.cli.console import console, escape, print_json
from dbxdec.views import contracts
from dbxdec.views.diff import difference

if TYPE_CHECKING:
    from rich.console import Console

    from dbxdec.views.contracts import ColumnChange
    from dbxdec.views.diff import Change

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


@click.command("diff")
@click.argument("a", default="HEAD")
@click.argument("b", default=".")
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
def command(a: str, b: str, as_json: bool) -> None:
    """Show what changes from A to B, and what a deploy of B would do.

    Each is a wheel, the folder of a project, or a commit, branch or tag of git. Without B it is the tree; without
    both, the last commit is compared with the tree.

    \b
    Examples:
      dbxdec diff
      dbxdec diff v1.4
      dbxdec diff deployed.whl dist/my_pipeline-1.5-py3-none-any.whl
    """
    here = Path.cwd()
    old, new = source.named(a, here), source.named(b, here)
    found = difference(old.manifest, new.manifest, old.files, new.files)
    of_contracts = list(contracts.changes(old.manifest, new.manifest, old.contracts, new.contracts))
    if as_json:
        builds = {
            name: {"source": one.title, "build_id": one.manifest.build_id} for name, one in (("a", old), ("b", new))
        }
        print_json({**builds, **asdict(found), "contracts": [asdict(one) for one in of_contracts]})
        return
    out = console()
    out.print(
        f"{escape(old.title)} ({old.manifest.build_id[:12]}) -> {escape(new.title)} ({new.manifest.build_id[:12]})"
    )
    for change in found.changes:
        _print(out, change)
    for of_contract in of_contracts:
        _print_contract(out, of_contract)
    if found.pins:
        out.print("\npins by Python")
        for pin in found.pins:
            _print(out, pin)
    if found.files:
        out.print("\nfiles of the wheel")
        for file in found.files:
            sign, colour = _SIGNS[file.kind]
            out.print(f"  [{colour}]{sign}[/] {escape(file.what)}")
    out.print()
    for sentence in found.deploy:
        out.print(escape(sentence))


def _print_contract(out: Console, change: ColumnChange) -> None:
    title = f"contract {escape(change.title)}:"
    if change.kind == "unknown":
        out.print(f"{title} not compared: its library was not installed where one of them was built")
        return
    sign, colour = _SIGNS[change.kind]
    values = escape(" -> ".join(text for text in (change.before, change.after) if text is not None))
    readers = f" (read by {escape('; '.join(change.readers))})" if change.readers else ""
    out.print(f"{title} [{colour}]{sign}[/] {values}{readers}")


def _print(out: Console, change: Change) -> None:
    sign, colour = _SIGNS[change.kind]
    values = [text for text in (change.before, change.after) if text is not None]
    shown = f": {escape(' -> '.join(values))}" if values else ""
    out.print(f"[{colour}]{sign}[/] {escape(change.what)}{shown}")
    if change.effect:
        out.print(f"    [dim]{escape(change.effect)}[/]")
