"""Settings of a wheel that can't be built as they are. Each check raises ConfigError with all mistakes of its kind."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.build import config
from dbxdec.build import hatchling_compat as inside
from dbxdec.errors import ConfigError, Problem
from hatch_dbxdec import resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hatchling.builders.config import BuilderConfig
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    from dbxdec.build.discovery.spec import ShippedFile


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse what stands in the hook's own table: its settings belong elsewhere."""
    if unknown := sorted(set(options) - inside.OPTIONS_OF_ANY_HOOK):
        raise ConfigError(
            Problem(
                "unknown option",
                f"tool.hatch.build.hooks.{config.HOOK}.{name}",
                f"dbxdec's settings belong in [tool.dbxdec]: write `{name} = ...` there",
            )
            for name in unknown
        )


def check_settings(hook: BuildHookInterface[BuilderConfig], build_data: Mapping[str, Any], version: str) -> None:
    """Refuse other hooks that run later, ignore rules without effect, another entry point of the reserved name, and
    an editable wheel without what it needs.
    """
    settings = hook.build_config
    if later := inside.later_hooks(build_data, config.HOOK):
        raise ConfigError(
            f"the build hook `{later[0]}` runs after `dbxdec`, which would miss the files that it makes",
            hint="move [tool.hatch.build.hooks.dbxdec] after all other hooks in pyproject.toml",
        )
    if inside.drops_ignore_rules(settings):
        raise ConfigError(
            f"a rule of .gitignore matches the project's own path, {settings.root}, so hatchling drops all rules",
            hint="start the rule with `/`, or check the project out somewhere else",
        )
    _check_entry_point(hook)
    if version == "editable" and not settings.dev_mode_dirs and find_spec("editables") is None:
        raise ConfigError(
            "an editable wheel needs `editables`, which is not installed where the wheel is built",
            hint='list both versions in the settings to install it: `versions = ["standard", "editable"]` under '
            "[tool.hatch.build.targets.wheel]; or add `editables` to `requires` of [build-system]",
        )


def _check_entry_point(hook: BuildHookInterface[BuilderConfig]) -> None:
    # The platform looks in all groups, and could start that one instead.
    from dbxdec.model import protocol

    core = hook.metadata.core
    groups = {"scripts": core.scripts, "gui-scripts": core.gui_scripts}
    groups |= {f'entry-points."{group}"': points for group, points in core.entry_points.items()}
    wrong = [
        Problem(
            f"the entry point `{protocol.ENTRY_POINT}` is reserved by dbxdec",
            f"project.{group}.{protocol.ENTRY_POINT}",
            "choose another name, or remove it: the build hook adds the one that runs the tasks",
        )
        for group, points in groups.items()
        if points.get(protocol.ENTRY_POINT, protocol.ENTRY_POINT_OBJECT) != protocol.ENTRY_POINT_OBJECT
    ]
    if wrong:
        raise ConfigError(wrong)


def check_directory(settings: BuilderConfig) -> None:
    """Refuse an output folder in which no bundle would find the wheel."""
    sign = resources.pattern_sign(Path(settings.root), Path(settings.directory))
    if sign is not None:
        raise ConfigError(
            Problem(
                f"the output folder has `{sign}` in its name, which a bundle takes for a pattern: a deploy would not "
                "find the wheel",
                "tool.hatch.build.directory",
                f"give it a name without `{sign}`",
            )
        )


def check_paths(settings: BuilderConfig, files: Sequence[ShippedFile], data: Sequence[ShippedFile]) -> None:
    """Refuse two files at one path of the wheel; hatchling refuses them only while it writes."""
    sources = {path: ["what hatchling writes"] for path in inside.reserved_paths(settings.builder)}
    for prefix, some in (("", files), ("*.data/", data)):
        for file in some:
            sources.setdefault(prefix + file.path, []).append(file.source)
    wrong = [
        Problem(
            f"the wheel would hold {len(found)} files as {path}: {' and '.join(found)}",
            hint="give one of them another path under `force-include`, or `exclude` the other",
        )
        for path, found in sources.items()
        if len(found) > 1
    ]
    if wrong:
        raise ConfigError(wrong)


def check_resources(root: Path, files: Iterable[ShippedFile], written: str) -> None:
    """Refuse a wheel that would hold the resources, which this build writes."""
    path = os.path.realpath(Path(root, written))
    if found := next((file.path for file in files if os.path.realpath(file.origin) == path), None):
        raise ConfigError(
            f"{written}, which this build writes, would be in the wheel as {found}",
            hint="`force-include` other files than these, or choose another `resources` under [tool.dbxdec]",
        )
