"""Options that several commands have."""

from __future__ import annotations

import os

import click

from dbxdec.cli import completion


def assignments(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return strings `name=value` as a dict; the last of a name wins."""
    pairs = [value.partition("=") for value in values]
    for value, (name, equals, _) in zip(values, pairs, strict=True):
        if not name or not equals:
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE", context, option)
    return {name: text for name, _, text in pairs}


parameters = click.option(
    "--param",
    "-p",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=assignments,
    shell_complete=completion.parameters,
    help="The value of a job parameter, as a string.",
)
"""Values of job parameters, as strings."""
variables = click.option(
    "--var",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    callback=assignments,
    shell_complete=completion.variables,
    help="The value of a bundle variable.",
)
"""Values of bundle variables."""
at_once = click.option(
    "--jobs",
    "-j",
    "at_once",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    help="How many tasks run at once; the default is the number of CPUs.",
)
"""How many tasks run at once."""
