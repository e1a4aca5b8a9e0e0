"""All internals of hatchling that the hook uses, in one place: a release of hatchling may change them.

`tests/build/test_hatchling_compat.py` tests this module with the newest version that is admitted and, by `make
test-lowest`, with the oldest.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hatchling
import packaging
import pathspec

from dbxdec.errors import ConfigError, Problem
from dbxdec.records import dataclass
from dbxdec.support import documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hatchling.builders.plugin.interface import IncludedFile

# The builder, its configuration and the project's metadata are `Any`: the parts in use are no interface of hatchling
# for plugins, and their types differ between the versions that are admitted.

OLDEST = (1, 27)
"""The oldest hatchling that is admitted. The extra `build` says the same, and reading it takes longer than a check."""
OPTIONS_OF_ANY_HOOK = frozenset(
    {"dependencies", "require-runtime-dependencies", "require-runtime-features", "enable-by-default"}
)
"""Options that hatchling reads itself from the table of a hook, and leaves in it."""
_HATCHLING = Path(hatchling.__file__).parent
_HELPERS = tuple(Path(str(module.__file__)).parent for module in (packaging, pathspec))
_STANDARD = Path(sysconfig.get_path("stdlib"))
_INSTALLED = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
_RESERVED = ("METADATA", "WHEEL", "RECORD", "entry_points.txt")


@dataclass(frozen=True)
class Included:
    """The files of a wheel: files at their paths in it, and files that are installed elsewhere, below `*.data`."""

    files: tuple[IncludedFile, ...]
    data: tuple[tuple[str, IncludedFile], ...]
    """The folder below `*.data`, "scripts" or "data", and the file."""


def hook_class(builder: Any, name: str) -> Any:
    """Return the class of the build hook that is registered as `name`."""
    return builder.plugin_manager.build_hook.get(name)


def require_admitted() -> None:
    """Raise ConfigError when this hatchling is older than the extra `build` admits: its internals differ."""
    from hatchling.__about__ import __version__

    numbers = tuple(int(part) for part in __version__.split(".")[:2] if part.isdecimal())
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ConfigError(
            Problem(
                f"hatchling {__version__} builds this project, and dbxdec needs {oldest} or newer",
                "build-system.requires",
                f'write `requires = ["hatchling>={oldest}", "dbxdec[build]"]`',
            )
        )


def editables_requirement() -> str:
    """Return the requirement that hatchling needs to make an editable wheel."""
    from hatchling.builders.constants import EDITABLES_REQUIREMENT

    return EDITABLES_REQUIREMENT


def raised_by_hatchling(error: BaseException) -> bool:
    """Return whether hatchling itself has raised `error`: the author of a plugin must see the plugin's errors whole."""
    owner = owner_of(error)
    return owner is not None and owner.is_relative_to(_HATCHLING)


def owner_of(error: BaseException) -> Path | None:
    """Return the file whose code has raised `error`, itself or by the standard library or a dependency of hatchling."""
    found, trace = None, error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        found = found if _is_helper(path) else path
        trace = trace.tb_next
    return found


def _is_helper(path: Path) -> bool:
    if not path.is_absolute() or any(map(path.is_relative_to, _HELPERS)):
        return True
    return path.is_relative_to(_STANDARD) and not any(map(path.is_relative_to, _INSTALLED))


def later_hooks(build_data: Mapping[str, Any], name: str) -> Sequence[str]:
    """Return the build hooks that run after the hook `name`."""
    hooks: tuple[str, ...] = build_data["build_hooks"]
    return hooks[hooks.index(name) + 1 :]


def included(config: Any, build_data: dict[str, Any], root: str) -> Included:
    """Return the future content of the wheel; `build_data` has the entries of earlier hooks.

    Raises OSError for files that can't be read.
    """
    from hatchling.builders.utils import normalize_inclusion_map

    with config.set_build_data(build_data):
        files = tuple(config.builder.recurse_included_files())
        data: list[tuple[str, IncludedFile]] = []
        for kind, folder in (("shared_data", "data"), ("shared_scripts", "scripts")):
            wanted = {**getattr(config, kind, {}), **normalize_inclusion_map(build_data.get(kind, {}), root)}
            data += ((folder, file) for file in config.builder.recurse_explicit_files(wanted))
    return Included(files, tuple(data))


def included_paths(config: Any, build_data: dict[str, Any]) -> set[str]:
    """Return the real paths of all files that a build takes in."""
    with config.set_build_data(build_data):
        return {os.path.realpath(file.path) for file in config.builder.recurse_included_files()}


def project_id(builder: Any) -> str:
    """Return the start of the wheel's name: `<distribution>-<version>`."""
    name: str = builder.artifact_project_id
    return name


def reserved_paths(builder: Any) -> set[str]:
    """Return the paths in the wheel that hatchling writes itself."""
    return {f"{project_id(builder)}.dist-info/{name}" for name in _RESERVED}


def leave_out(config: Any, path: str) -> None:
    """Keep the file at `path`, relative to the root, out of the build."""
    leave_out_named(config, f"/{path}")


def leave_out_named(config: Any, pattern: str) -> None:
    """Keep files that match a pattern of git's out of the build."""
    rule = pathspec.GitIgnoreSpec.from_lines([pattern])
    excluded = config.exclude_spec
    config.exclude_spec = rule if excluded is None else excluded + rule


def require_ignore_rules(config: Any) -> None:
    """Raise ConfigError for ignore rules that hatchling can't read: hatchling would not name the file."""
    if not config.ignore_vcs:
        for path in (path for paths in config.vcs_exclusion_files.values() for path in paths):
            documents.text_of(Path(path), documents.MAX_TOML)


def keep_in_place(config: Any, path: str) -> None:
    """Exempt `path` from `sources`: hatchling rewrites extra metadata by it too (`sources = {"" = "prefix"}`)."""
    rewrite = config.get_distribution_path
    if rewrite(path) != path:
        config.get_distribution_path = lambda other: path if other == path else rewrite(other)


def drops_ignore_rules(config: Any) -> bool:
    """Return whether hatchling ignores all rules of .gitignore, since one of them matches the project's own path."""
    if config.ignore_vcs or not config.vcs_exclusion_files["git"]:
        return False
    rules = [
        line
        for path in config.vcs_exclusion_files["git"]
        for line in Path(path).read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return bool(rules) and not config.load_vcs_exclusion_patterns()


def add_entry_point(metadata: Any, group: str, name: str, value: str) -> None:
    """Have the wheel declare an entry point: hatchling reads them from the metadata when it writes the wheel."""
    metadata.core.entry_points.setdefault(group, {})[name] = value


def remove_entry_point(metadata: Any, group: str, name: str) -> None:
    """Remove the entry point again: an sdist that follows uses the same metadata."""
    groups = metadata.core.entry_points
    points = groups.get(group, {})
    points.pop(name, None)
    if not points:
        groups.pop(group, None)


def metadata_text(config: Any, metadata: Any) -> str:
    """Return the wheel's METADATA, as hatchling will write it."""
    text: str = config.core_metadata_constructor(metadata)
    return text


def readme_of(metadata: Any) -> tuple[str, str, str]:
    """Return the readme: its content, its type, and its path in the project, which is empty when it is in no file."""
    core = metadata.core
    return core.readme, core.readme_content_type, core.readme_path


def replace_readme(metadata: Any, text: str) -> None:
    """Have METADATA hold `text` as the readme."""
    _ = metadata.core.readme  # read first: reading would replace the new value
    metadata.core._readme = text  # there is no public way


def named_in_settings(builder: Any) -> Iterable[str]:
    """Return the files and folders that the project's settings name for the wheel, as they are written there."""
    config, core = builder.config, builder.metadata.core
    yield from (*config.only_include, *config.force_include, *config.shared_data, *config.shared_scripts)
    yield from (*config.extra_metadata, *getattr(config, "sbom_files", ()))  # sbom_files exists since hatchling 1.28
    patterns = core.config.get("license-files")
    yield from (pattern for pattern in (patterns if isinstance(patterns, list) else ()) if "/" in pattern)
    yield core.readme_path
    yield _version_file(builder.metadata)


def is_plain(builder: Any) -> bool:
    """Return whether only hatchling and dbxdec take part: plugins may read anything in the tree."""
    metadata = builder.metadata
    return (
        set(builder.config.hook_config) == {"dbxdec"}
        and not metadata.hatch.metadata.hook_config
        and ("version" not in metadata.dynamic or metadata.hatch.version.source_name == "regex")
    )


def chooses_files(builder: Any) -> bool:
    """Return whether the settings name the packages or folders of the wheel."""
    config = builder.config
    return any({"packages", "only-include"} & set(table) for table in (config.target_config, config.build_config))


def excluded_folders(builder: Any, needed: set[str]) -> list[str]:
    """Return the folders at the root, besides `needed`, that git's rules leave out; none when `artifacts` is set."""
    config = builder.config
    if config.artifact_spec is not None:
        return []
    folders = {entry.name for entry in os.scandir(builder.root) if entry.is_dir()} - needed
    return sorted(name for name in folders if config.path_is_excluded(f"{name}/"))


def _version_file(metadata: Any) -> str:
    path = metadata.hatch.version.config.get("path") if "version" in metadata.dynamic else None
    return path if isinstance(path, str) else ""
