"""`[tool.dbxdec]` of a pyproject.toml, typed; every mistake in it at once, each with its TOML path."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import field
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ConfigError, Problem, did_you_mean, nearest
from dbxdec.records import dataclass
from dbxdec.support import documents
from dbxdec.support.addresses import secretive
from dbxdec.support.forms import at, table
from dbxdec.support.patterns import PACKAGE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TABLE = "tool.dbxdec"
HOOK = "dbxdec"
"""The name by which projects turn the build hook on: `[tool.hatch.build.hooks.dbxdec]`."""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_RESOURCE_SUFFIXES = (".yml", ".yaml", ".json")
_LONGEST = 7 * 24 * 60 * 60
# PEP 751, "File Name"; PEP 508, "Names".
_LOCK = re.compile(r"uv\.lock|pylock(\.[^.]+)?\.toml")
_PYTHON = re.compile(r"3\.(1[1-9]|[2-9][0-9])")
# Not `name[extra] @ https://.../x.whl`, which is a requirement.
_WITH_EXTRAS = re.compile(r"(?P<wheel>[^@\[]+\.whl)\s*\[[^\]]*\]\s*", re.IGNORECASE)
OF_DISCOVERY = frozenset({"pipelines", "missing-imports", "discovery-env"})
"""The settings without which the pipelines can't be read as they are meant."""
_OF_A_LOCK = frozenset({"lock", "lock-python", "lock-exclude"})
_MISSING_IMPORTS = ("stand-in", "error")


@dataclass(frozen=True)
class Config:
    """The settings of one project.

    `pipelines` are dotted names of packages or modules, None for `<package>.pipelines`. `resources` is a path
    relative to the project's root, None for no resources. `timeout` is in seconds. `lock` is a path relative to the
    root, which may lead out of it; `lock_python` is the Python of computes that don't tell theirs.
    """

    pipelines: tuple[str, ...] | None = None
    resources: str | None = "resources/dbxdec.yml"
    missing_imports: str = "stand-in"
    extra_libraries: tuple[str, ...] = ()
    timeout: float = 60
    variables: Mapping[str, str] = field(default_factory=dict)
    discovery_env: Mapping[str, str] = field(default_factory=dict)
    lock: str | None = None
    lock_python: str | None = None
    lock_exclude: tuple[str, ...] = ()


def load(path: Path) -> Config:
    """Return the settings in the pyproject.toml at `path`. Raises ConfigError with every mistake."""
    found = at(documents.toml_of(path), "tool", "dbxdec")
    return parse({} if found is None else found)


def sound(path: Path) -> tuple[Config | None, list[Problem]]:
    """Return the settings in the pyproject.toml at `path`, and the mistakes in them.

    A setting that is wrong has its default, or what its author means where that is clear. None where the pipelines
    could not be read as they are meant.
    """
    try:
        found = at(documents.toml_of(path), "tool", "dbxdec")
    except ConfigError as error:
        return None, list(error.problems)
    return _parsed({} if found is None else found)


def parse(form: Any) -> Config:
    """Return the settings in `form`, the value of `tool.dbxdec`. Raises ConfigError with every mistake."""
    config, problems = _parsed(form)
    if config is None or problems:
        raise ConfigError(problems)
    return config


def _parsed(form: Any) -> tuple[Config | None, list[Problem]]:
    if not isinstance(form, dict):
        return None, [Problem(f"is {_toml_type(form)}, not a table", TABLE, "write `[tool.dbxdec]`")]
    problems: list[Problem] = []
    wrong: set[str] = set()
    values: dict[str, Any] = {}
    for key, value in form.items():
        reader = _READERS.get(key)
        if reader is None:
            near = nearest(key, _READERS)
            hint = f"did you mean `{near}`?" if near else f"known settings are {', '.join(_READERS)}"
            problems.append(Problem("unknown setting", _path(TABLE, key), hint))
            if near is not None and near not in form:
                wrong.add(near)
                values |= _meant(near, value)
            continue
        try:
            values[_field(key)] = reader(value, f"{TABLE}.{key}")
        except ConfigError as error:
            problems += error.problems
            wrong.add(key)
            values |= _meant(key, value)
    if "lock" not in form:
        problems += [
            Problem("has no effect without a lock", f"{TABLE}.{key}", 'name the lock: `lock = "uv.lock"`')
            for key in ("lock-python", "lock-exclude")
            if key in form
        ]
    if not wrong.isdisjoint(_OF_A_LOCK):  # with a part of them, the lock would have mistakes that it has not
        values = {name: value for name, value in values.items() if name.replace("_", "-") not in _OF_A_LOCK}
    unclear = [key for key in wrong & OF_DISCOVERY if _field(key) not in values]
    return (None if unclear else Config(**values)), problems


def _field(key: str) -> str:
    """Return the field of Config that has the setting `key`."""
    return key.replace("-", "_")


def _meant(key: str, value: Any) -> dict[str, Any]:
    """Return what a wrong value of a setting of discovery means, by the field of Config; nothing if it is not clear."""
    written = _MEANT[key](value) if key in _MEANT else None
    try:
        return {} if written is None else {_field(key): _READERS[key](written, key)}
    except ConfigError:
        return {}


def _meant_pipelines(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _meant_missing_imports(value: Any) -> Any:
    return (isinstance(value, str) and nearest(value, _MISSING_IMPORTS)) or _MISSING_IMPORTS[0]


def _meant_environment(value: Any) -> Any:
    """Return a table with dates as they are written, and with lists and tables as JSON."""
    if not isinstance(value, dict):
        return None
    return {
        name: item if isinstance(item, str | int | float) else json.dumps(item, default=str).strip('"')
        for name, item in value.items()
    }


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
    outside = relative.is_absolute() or PureWindowsPath(value).drive or ".." in relative.parts
    if outside or relative.suffix not in _RESOURCE_SUFFIXES or not value.isprintable():
        raise ConfigError(Problem(f"is {value!r}", path, hint))
    return str(relative)


def _lock(value: Any, path: str) -> str:
    hint = 'the path of a uv.lock, a pylock.toml or a pylock.<name>.toml, from the project\'s root: "uv.lock"'
    if not isinstance(value, str):
        raise ConfigError(Problem(f"is {_toml_type(value)}", path, hint))
    relative = posixpath.normpath(value.replace("\\", "/"))
    away = PurePosixPath(relative).is_absolute() or PureWindowsPath(value).drive or not value.isprintable()
    if away or not _LOCK.fullmatch(PurePosixPath(relative).name):
        raise ConfigError(Problem(f"is {value!r}", path, hint))
    return relative


def _lock_python(value: Any, path: str) -> str:
    hint = 'a Python of 3.11 or newer: "3.12"'
    if isinstance(value, float) and _PYTHON.fullmatch(str(value)):
        hint = f'write it as a string: "{value}"'
    if not isinstance(value, str) or not _PYTHON.fullmatch(value):
        raise ConfigError(Problem(f"is {value!r}" if isinstance(value, str) else f"is {_toml_type(value)}", path, hint))
    return value


def _lock_exclude(value: Any, path: str) -> tuple[str, ...]:
    names = _strings(value, path)
    wrong = [
        Problem(f"is {name!r}, not the name of a package", f"{path}[{i}]", 'a name alone: "polars"')
        for i, name in enumerate(names)
        if not PACKAGE_NAME.fullmatch(name)
    ]
    if wrong:
        raise ConfigError(wrong)
    return tuple(re.sub(r"[-_.]+", "-", name).lower() for name in names)


def _missing_imports(value: Any, path: str) -> str:
    if value not in _MISSING_IMPORTS:
        hint = did_you_mean(str(value), _MISSING_IMPORTS) or 'write "stand-in" or "error"'
        raise ConfigError(Problem(f"is {value!r}", path, hint))
    return str(value)


def _timeout(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST:
        raise ConfigError(Problem(f"is {value!r:.40}", path, "a number of seconds above 0, at most one week (604800)"))
    return float(value)


def _strings(value: Any, path: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigError(Problem(f"is {_toml_type(value)}, not a list", path, f"write `[{_example(value)}]`"))
    wrong = [
        Problem("is empty" if isinstance(item, str) else f"is {_toml_type(item)}, not a string", f"{path}[{i}]")
        for i, item in enumerate(value)
        if not isinstance(item, str) or not item.strip()
    ]
    if wrong:
        raise ConfigError(wrong)
    return tuple(value)


def _libraries(value: Any, path: str) -> tuple[str, ...]:
    libraries = _strings(value, path)
    wrong: list[Problem] = []
    for i, text in enumerate(libraries):
        if (address := secretive(text)) is not None:
            hint = "write it without them, and give the workspace the password: an index of the workspace, or a secret"
            wrong.append(Problem(f"has a password or a token in {address}", f"{path}[{i}]", hint))
        elif found := _WITH_EXTRAS.fullmatch(text):
            hint = f'name the wheel alone, "{found["wheel"]}", and the packages of its extras beside it'
            wrong.append(
                Problem(f"is {text!r}, a wheel with extras, which clusters can't install", f"{path}[{i}]", hint)
            )
    if wrong:
        raise ConfigError(wrong)
    return libraries


def _texts(value: Any, path: str) -> dict[str, str]:
    """Return a table of scalars, each as the string that a bundle or a shell would give."""
    if not isinstance(value, dict):
        raise ConfigError(Problem(f"is {_toml_type(value)}, not a table", path, f"write `[{path}]`"))
    wrong = [
        Problem(f"is {_toml_type(item)}", _path(path, name), "a string, a number or a boolean")
        for name, item in value.items()
        if not isinstance(item, str | int | float)
    ]
    if wrong:
        raise ConfigError(wrong)
    return {name: str(item).lower() if isinstance(item, bool) else str(item) for name, item in value.items()}


def _environment(value: Any, path: str) -> dict[str, str]:
    texts = _texts(value, path)
    wrong = [
        Problem("can't be an environment variable", _path(path, name), "no `=` in the name, no zero byte in either")
        for name, text in texts.items()
        if not name or "=" in name or "\0" in name + text
    ]
    if wrong:
        raise ConfigError(wrong)
    return texts


def _path(table: str, key: str) -> str:
    """Return the TOML path of `key`, in quotes when TOML needs them."""
    return f"{table}.{key}" if _BARE_KEY.fullmatch(key) else f"{table}.{json.dumps(key, ensure_ascii=False)}"


def _example(value: Any) -> str:
    return repr(value).replace("'", '"') if isinstance(value, str) else '"..."'


def _toml_type(value: Any) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "pipelines": _pipelines,
    "resources": _resources,
    "missing-imports": _missing_imports,
    "extra-libraries": _libraries,
    "timeout": _timeout,
    "variables": _texts,
    "discovery-env": _environment,
    "lock": _lock,
    "lock-python": _lock_python,
    "lock-exclude": _lock_exclude,
}

_MEANT: dict[str, Callable[[Any], Any]] = {
    "pipelines": _meant_pipelines,
    "missing-imports": _meant_missing_imports,
    "discovery-env": _meant_environment,
}


def turns_hook_on(path: Path) -> bool:
    """Return whether the project of this pyproject.toml uses dbxdec; True for invalid TOML, to have it reported."""
    try:
        tool = at(documents.toml_of(path), "tool")
    except ConfigError:
        return True
    build = table(tool, "hatch", "build")
    hooks = [build.get("hooks"), *(at(target, "hooks") for target in table(build, "targets").values())]
    return "dbxdec" in table(tool) or any("dbxdec" in found for found in hooks if isinstance(found, dict))


def hook_is_missing() -> ConfigError:
    """Return the error for a project whose settings do not turn the build hook on."""
    return ConfigError(
        Problem(
            "dbxdec's build hook is not enabled",
            "pyproject.toml",
            'write `[tool.hatch.build.hooks.dbxdec]`, and "dbxdec[build]" into `requires` of [build-system]',
        )
    )
