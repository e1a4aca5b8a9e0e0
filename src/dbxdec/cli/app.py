"""The `dbxdec` command: its subcommands, each imported when it is used, and the error boundary around them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

import dbxdec
from dbxdec.cli.console import say
from dbxdec.errors import (
    AuthoringError,
    CodegenError,
    DbxdecError,
    DiscoveryError,
    Problem,
    StandInError,
    did_you_mean,
)

# Name -> one line of help; the command is `dbxdec.cli.<name>:command`.
_COMMANDS = {
    "backfill": "Run a job for the keys that are missing.",
    "backfills": "List backfills, show one, resume one, or stop it.",
    "bundle": "Bring the wheel and the resources that a bundle deploys up to date.",
    "check": "Find every mistake that a build would find, without a build.",
    "diff": "Show what changes between two builds, and what a deploy would do.",
    "expect": "Show how the expectations of a table come out for the rows that it has now.",
    "graph": "Draw the DAG of a job.",
    "init": "Set dbxdec up in a project, or make a new one.",
    "keys": "Say which keys tables have, or take it back.",
    "lag": "Show how far tasks are behind the tables of which they read what is new.",
    "missing": "Show which keys of jobs are missing.",
    "run": "Run a job on this machine.",
    "runs": "List earlier runs, show one, or write its report.",
    "show": "Show jobs with their tasks, inputs, targets and parameters.",
}

FAILED = 1
"""Exit code: the user's pipeline failed, or has mistakes."""
WRONG_USAGE = 2
"""Exit code: wrong arguments or configuration."""
INTERRUPTED = 130
"""Exit code: Ctrl-C."""


def code_of(error: DbxdecError) -> int:
    """Return the exit code for `error`: that of mistakes in the pipelines, or that of wrong usage or settings."""
    in_pipelines = isinstance(error, AuthoringError | CodegenError | DiscoveryError | StandInError)
    return FAILED if in_pipelines and not all(map(_is_of_settings, error.problems)) else WRONG_USAGE


def _is_of_settings(problem: Problem) -> bool:
    return isinstance(problem.where, str) and problem.where.startswith(("tool.", "project."))


class Refusal(click.ClickException):
    """A refusal of dbxdec, as click shows it."""

    exit_code = WRONG_USAGE

    def show(self, file: Any = None) -> None:
        say(self.format_message())


class Mistakes(Refusal):
    """A refusal because of mistakes in the pipelines."""

    exit_code = FAILED


class Subcommands(click.Group):
    """The subcommands of a command; a wrong one gets a hint."""

    hint_of_records = ""
    """The words to write for an id in the place of a subcommand, with `{}` for the id."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            hint = did_you_mean(args[0], self.commands) or f"commands are {', '.join(self.commands)}"
            if self.hint_of_records and (args[0] == "last" or args[0].replace("-", "").isdecimal()):
                hint = self.hint_of_records.format(args[0])
            ctx.fail(f"there is no command `{args[0]}`: {hint}")
        return super().resolve_command(ctx, args)


class Commands(click.Group):
    """Subcommands by name, loaded only when one is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"dbxdec.cli.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        options = super(click.Group, self).shell_complete(ctx, incomplete)  # the group's own would import each command
        found = [CompletionItem(name, help=text) for name, text in _COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], _COMMANDS) or f"commands are {', '.join(_COMMANDS)}"
            ctx.fail(f"there is no command `{args[0]}`: {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DbxdecError as error:
            raise (Mistakes if code_of(error) == FAILED else Refusal)(str(error)) from None
        except OSError as error:
            from dbxdec.support.boundary import refusal

            if isinstance(error, BrokenPipeError) or (said := refusal(error)) is None:
                raise
            raise Refusal(said) from None
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(dbxdec.__version__, prog_name="dbxdec")
def cli() -> None:
    """Ordinary Python functions as Databricks pipelines.

    \b
    Examples:
      dbxdec init my-pipelines          a new project, with a first pipeline and its test
      dbxdec check                      every mistake, without a build
      dbxdec run hello                  a job on this machine
      dbxdec diff HEAD                  what a deploy of the tree would change

    \b
    Exit codes: 0 all is well, 1 a pipeline has failed or has mistakes, 2 wrong usage or
    settings, 3 a table can't be read, 130 interrupted. Data goes to stdout, messages to stderr.

    \b
    Completion of commands, jobs, tasks and runs:
      bash    eval "$(_DBXDEC_COMPLETE=bash_source dbxdec)"      in ~/.bashrc
      zsh     eval "$(_DBXDEC_COMPLETE=zsh_source dbxdec)"       in ~/.zshrc
      fish    _DBXDEC_COMPLETE=fish_source dbxdec | source       in ~/.config/fish/config.fish
    """
