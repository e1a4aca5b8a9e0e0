"""`[tool.dbxdec]` of a pyproject.toml, typed; every mistake in it at once, each with its TOML path."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ConfigError, Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TABLE = "tool.dbxdec"
_RESOURCE_SUFFIXES = (".yml", ".yaml", ".json")
_MISSING_IMPORTS = ("stand-in", "error")


@dataclass(frozen=True)
class Config:
    """The settings of one project.

    `pipelines` are dotted names of packages or modules, None for `<package>.pipelines`. `resources` is a path
    relative to the project's root, None for no resources. `timeout` is in seconds.
    """

    pipelines: tuple[str, ...] | None = None
    resources: str | None = "resources/dbxdec.yml"
    missing_imports: str = "stand-in"
    extra_libraries: tuple[str, ...] = ()
    timeout: float = 60
    variables: Mapping[str, str] = field(default_factory=dict)
    discovery_env: Mapping[str, str] = field(default_factory=dict)


def load(path: Path) -> Config:
    """The settings in the pyproject.toml at `path`. Raises ConfigError with every mistake."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    tool = document.get("tool", {})
    return parse(tool.get("dbxdec", {}) if isinstance(tool, dict) else {})


def parse(table: Any) -> Config:
    """The settings in `table`, the value of `tool.dbxdec`. Raises ConfigError with every mistake."""
    if not isinstance(table, dict):
        raise ConfigError(Problem(f"is {_toml_type(table)}, not a table", TABLE, "write `[tool.dbxdec]`"))
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for key, value in table.items():
        reader = _READERS.get(key)
        if reader is None:
            hint = did_you_mean(key, _READERS) or f"known settings are {', '.join(_READERS)}"
            problems.append(Problem("unknown setting", f"{TABLE}.{key}", hint))
            continue
        try:
            values[key.replace("-", "_")] = reader(value, f"{TABLE}.{key}")
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return Config(**values)


def _pipelines(value: Any, path: str) -> tuple[str, ...]:
    names = _strings(value, path)
    if not names:
        raise ConfigError(Problem("is empty", path, 'name packages or modules: `["my_package.pipelines"]`'))
    wrong = [
        Problem(
            f"{name!r} is not a dotted module name", f"{path}[{i}]", 'write it as in an import: "my_package.pipelines"'
        )
        for i, name in enumerate(names)
        if not all(part.isidentifier() for part in name.split("."))
    ]
    if wrong:
        raise ConfigError(wrong)
    return names


def _resources(value: Any, path: str) -> str | None:
    if value is False:
        return None
    hint = 'a path below the project\'s root that ends in .yml, .yaml or .json, or `false`: "resources/dbxdec.yml"'
    if not isinstance(value, str):
        raise ConfigError(Problem(f"is {_toml_type(value)}", path, hint))
    relative = PurePosixPath(value.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts or relative.suffix not in _RESOURCE_SUFFIXES:
        raise ConfigError(Problem(f"is {value!r}", path, hint))
    return str(relative)


def _missing_imports(value: Any, path: str) -> str:
    if value not in _MISSING_IMPORTS:
        hint = did_you_mean(str(value), _MISSING_IMPORTS) or 'write "stand-in" or "error"'
        raise ConfigError(Problem(f"is {value!r}", path, hint))
    return str(value)


def _timeout(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigError(Problem(f"is {value!r}", path, "a number of seconds above 0"))
    return float(value)


def _strings(value: Any, path: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigError(Problem(f"is {_toml_type(value)}, not a list", path, f"write `[{_example(value)}]`"))
    wrong = [
        Problem(f"is {_toml_type(item) if item != '' else 'empty'}, not a text", f"{path}[{i}]")
        for i, item in enumerate(value)
        if not isinstance(item, str) or not item.strip()
    ]
    if wrong:
        raise ConfigError(wrong)
    return tuple(value)


def _texts(value: Any, path: str) -> dict[str, str]:
    """A table of scalars, each as the text that a bundle or a shell would give."""
    if not isinstance(value, dict):
        raise ConfigError(Problem(f"is {_toml_type(value)}, not a table", path, f"write `[{path}]`"))
    wrong = [
        Problem(f"is {_toml_type(item)}", f"{path}.{name}", "a text, a number or a boolean")
        for name, item in value.items()
        if not isinstance(item, str | int | float)
    ]
    if wrong:
        raise ConfigError(wrong)
    return {name: str(item).lower() if isinstance(item, bool) else str(item) for name, item in value.items()}


def _example(value: Any) -> str:
    return repr(value).replace("'", '"') if isinstance(value, str) else '"..."'


def _toml_type(value: Any) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a text", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "pipelines": _pipelines,
    "resources": _resources,
    "missing-imports": _missing_imports,
    "extra-libraries": _strings,
    "timeout": _timeout,
    "variables": _texts,
    "discovery-env": _texts,
}
