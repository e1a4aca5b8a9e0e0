"""`dbxdec bundle`."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click

from dbxdec.build import config, freshness, unbuilt
from dbxdec.cli.app import FAILED, WRONG_USAGE
from dbxdec.cli.console import say
from dbxdec.errors import DbxdecError


@click.command("bundle")
@click.option("--force", is_flag=True, help="Build even when nothing has changed.")
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Make the resources for this finished wheel, and build nothing.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --wheel: the resources file; .json for JSON. Without it, YAML is printed.",
)
def command(force: bool, wheel: Path | None, output: Path | None) -> None:
    """Bring the wheel and the resources of the project in this folder up to date.

    Builds the wheel when anything that it depends on has changed, and is silent otherwise. Meant for databricks.yml,
    where the bundle's CLI runs it before it reads the resources:

    \b
      experimental:
        scripts:
          preinit: dbxdec bundle

    \b
    Examples:
      dbxdec bundle
      dbxdec bundle --wheel dist/my_pipeline-1.0-py3-none-any.whl -o resources/dbxdec.yml

    The exit code is 1 when the build fails, which leaves neither wheel nor resources, and 2 for a project or an
    option that is wrong. With DBXDEC_SKIP_BUNDLE=1 in the environment nothing is built, for commands such as
    `bundle summary` and `bundle destroy`; a deploy fails then.
    """
    if wheel is not None:
        if force:
            raise click.UsageError("--force builds, and --wheel builds nothing: choose one")
        _from_wheel(wheel, output)
        return
    if output is not None:
        raise click.UsageError("--output needs --wheel; a build writes the resources to `resources` of [tool.dbxdec]")
    root = freshness.project_root(".")
    record, reason = freshness.stale(root) if root is not None else (None, None)
    if not force and record is not None and reason is None:
        return
    if unbuilt.skips():
        _skip(root, record.resources if record else config.Config().resources, reason)
        return
    _build(force)


def _build(force: bool) -> None:
    from dbxdec.build.rebuild import BuildError, find_project, up_to_date

    try:
        up_to_date(find_project(Path.cwd()), say=say, force=force)
    except DbxdecError as error:
        say(str(error))
        say(unbuilt.HOW_TO_SKIP)
        raise SystemExit(FAILED if isinstance(error, BuildError) else WRONG_USAGE) from None


def _skip(root: str | None, known: str | None, reason: str | None) -> None:
    """Build nothing, and ensure that nothing is deployed either. `known` are the resources by the last record."""
    from dbxdec.build import resources_file

    say(unbuilt.skipped(reason, is_held_up=root is not None))
    if root is None:
        return
    resources = known
    with suppress(DbxdecError):  # the next build reports wrong settings
        resources = config.load(Path(root, "pyproject.toml")).resources
    if resources is None:
        return  # jobs come from Python, which blocks a deploy itself
    try:
        resources_file.hold_up(Path(root), resources)
    except (DbxdecError, OSError) as error:
        say(f"the deploy can't be stopped: {error}")
        raise SystemExit(FAILED) from None


def _from_wheel(wheel: Path, output: Path | None) -> None:
    from dbxdec.build import dynamic_version
    from dbxdec.build.codegen import write_if_changed
    from dbxdec.bundle import resources_of_wheel

    if output is not None and output.suffix not in (".yml", ".yaml", ".json"):
        raise click.UsageError(f"{output} has to end in .yml, .yaml or .json")
    content = resources_of_wheel(wheel, output or Path.cwd() / "resources.yml", Path.cwd())
    with suppress(OSError):  # then an unchanged wheel is deployed under a different version than the last time
        dynamic_version.stamp(wheel)
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        write_if_changed(output, content)
