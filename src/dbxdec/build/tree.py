"""The content of a tree's wheel without building the wheel: for commands that check, show or run a tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.bridge.app import Application
from hatchling.builders.wheel import WheelBuilder

from dbxdec.build import blame, config
from dbxdec.errors import ConfigError, DbxdecError, Problem
from dbxdec.records import dataclass
from dbxdec.support import documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.build.building import Build

_BACKEND = "hatchling.build"


@dataclass(frozen=True)
class Tree:
    """The tree at `root` as a build would see it."""

    root: Path
    made: Build
    warnings: tuple[Problem, ...]

    @property
    def notes(self) -> tuple[Problem, ...]:
        """Facts worth knowing that are no mistakes."""
        return self.made.notes


class _Listening(Application):
    """Keeps the output that hatchling and its plugins would print."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def display_warning(self, message: str = "", **_: object) -> None:
        self.warnings.append(message)

    def display_info(self, message: str = "", **_: object) -> None:
        """Print nothing: nobody asked for the progress of this build."""

    display_waiting = display_success = display_mini_header = display_info


def read_tree(root: Path, only: str | None = None) -> Tree:
    """Run the build hooks of the project at `root` up to dbxdec's own, and run that one without writing anything.

    In a tree with mistakes, it reads the job `only` when none of them concerns it (`building.build`).

    Raises DbxdecError with every mistake, as a build would, and ConfigError when hatchling refuses the project.
    """
    document = documents.toml_of(root / "pyproject.toml")  # hatchling's own message names no file
    app = _Listening()
    try:
        builder = WheelBuilder(str(root), app=app)
        builder.metadata.validate_fields()
        hooks: dict[str, Any] = builder.get_build_hooks(builder.config.directory)
        build_data = builder.get_default_build_data()
        builder.set_build_data_defaults(build_data)
        build_data["build_hooks"] = tuple(hooks)
        for name, hook in hooks.items():
            if name == config.HOOK:
                made = hook.prepare(build_data, only)
                own = (*_of_backend(document), *map(Problem, app.warnings))
                return Tree(root, made, (*own, *made.discovered.warnings, *made.warnings))
            hook.initialize("standard", build_data)
    except DbxdecError:
        raise
    except Exception as error:
        if (said := blame.refusal(error, root)) is None:
            raise
        raise ConfigError(said) from None
    raise config.hook_is_missing()


def _of_backend(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a warning for a backend that runs no hooks of hatchling: here they run, in builds by other tools not."""
    system = document.get("build-system")
    backend = system.get("build-backend") if isinstance(system, dict) and "backend-path" not in system else None
    if isinstance(backend, str) and backend != _BACKEND:
        yield Problem(
            f"the build backend is {backend}, which does not run dbxdec's hook: a wheel by `python -m build`, "
            "`uv build` or pip has neither manifest nor `dbxdec-run`",
            "build-system.build-backend",
            f'write `build-backend = "{_BACKEND}"`; `dbxdec init` says what else moves',
        )
