"""Settings of the platform as plain data: dicts, databricks-bundles' dataclasses, enums and variables alike."""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from dbxdec.authoring import recording
from dbxdec.authoring.references import Reference
from dbxdec.errors import AuthoringError, Problem, did_you_mean, nearest
from dbxdec.model.literals import STAND_IN_NAME
from dbxdec.model.secrets import Secret
from dbxdec.model.typehints import type_name
from dbxdec.model.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Refer = Callable[[Reference], str]

T = TypeVar("T")


def plain(value: Any, path: str = "", refer: Refer | None = None) -> Any:
    """Return `value` as JSON data. Containers are copied, so the author's objects are never shared or changed.

    Bundle variables, of dbxdec or databricks-bundles, become the tokens that the bundle resolves at deploy. Values of
    the run become what `refer` returns for them. Raises AuthoringError, with the path of the field, for a value without
    a JSON form, and for a value of the run without `refer`.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return dict(
            _all_of(lambda key: (_name(key, path), plain(value[key], f"{path}.{key}".lstrip("."), refer)), value)
        )
    if isinstance(value, Reference):
        return refer(value) if refer is not None else _refuse_reference(value, path)
    if isinstance(value, Enum):
        return plain(value.value, path, refer)
    if isinstance(value, float) and not math.isfinite(value):
        raise AuthoringError(
            f"the setting `{path}` is {value!r}, which JSON can't represent",
            hint="write a finite number, or leave it out",
        )
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return _string(value, path)
    if isinstance(name := getattr(value, STAND_IN_NAME, None), str):
        root = name.partition(".")[0]
        raise AuthoringError(
            f"the setting `{path}` is `{name}`, but `{root}` is not installed where the wheel is built",
            hint=f"write the value itself, or install {root} for the build: add it to `requires` of [build-system], or "
            "set `require-runtime-dependencies = true` in [tool.hatch.build.hooks.dbxdec]",
        )
    if isinstance(value, BundleVariable):
        return value.template
    if isinstance(value, Secret):
        return value.reference
    if isinstance(value, list | tuple):
        return list(_all_of(lambda i: plain(value[i], f"{path}[{i}]", refer), range(len(value))))
    if _is_variable(value):
        return value.value
    if callable(getattr(value, "as_dict", None)) and not isinstance(value, type):
        return plain(_given(value), path, refer)
    raise AuthoringError(
        f"the setting `{path}` is of the type `{type_name(type(value))}`",
        hint="settings are str, int, float, bool, None, lists and dicts of them, or databricks-bundles' classes",
    )


def _all_of(convert: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
    """Return each item converted by `convert`. Raises AuthoringError with the mistakes of all items."""
    found: list[T] = []
    problems: list[Problem] = []
    for item in items:
        try:
            found.append(convert(item))
        except AuthoringError as error:
            problems += error.problems
    if problems:
        raise AuthoringError(problems)
    return found


def given_fields(
    what: str,
    fields: Mapping[str, Any],
    *,
    filled: Mapping[str, str],
    own: tuple[str, ...],
    kinds: Mapping[type, str],
    refer: Refer | None = None,
) -> dict[str, Any]:
    """Return the platform's fields that an author has set on a task or job (`what`), as plain data.

    Refused, and left out, are fields that dbxdec fills (`filled` says what to write instead), misspellings of its `own`
    keywords, and values without a JSON form. `kinds` names the keywords that take objects of a class.
    """
    found, problems = {}, []
    for name, value in fields.items():
        if name in filled:
            problems.append(Problem(f"the field `{name}` of a {what} is filled by dbxdec", hint=filled[name]))
            continue
        meant = next((keyword for kind, keyword in kinds.items() if isinstance(value, kind)), None)
        meant = meant or _own(name, own, what)
        if meant is not None and name not in _of_platform(what):
            problems.append(Problem(f"there is no field `{name}` of a {what}", hint=f"did you mean `{meant}`?"))
            continue
        try:
            found[name] = plain(value, name, refer)
        except AuthoringError as error:
            near = None if name in _of_platform(what) else did_you_mean(name, _of_platform(what))
            problems += [Problem(f"there is no field `{name}` of a {what}", hint=near)] if near else error.problems
    recording.refuse(problems)
    return found


@functools.cache
def _own(name: str, own: tuple[str, ...], what: str) -> str | None:
    """Return dbxdec's own keyword that is most like `name`; None if a field of the platform is closer."""
    near = nearest(name, own)
    return near if near is not None and nearest(name, (near, *_of_platform(what))) == near else None


@functools.cache
def _of_platform(what: str) -> frozenset[str]:
    from dbxdec.authoring import keywords

    if what == "job":
        return frozenset(keywords.JobFields.__annotations__)
    return frozenset(keywords.NativeTaskFields.__annotations__) | {"task_key", "job_cluster_key", "environment_key"}


def run_if_of(value: Any) -> str | None:
    """Return the setting `run_if` as plain data. A value without a JSON form is refused."""
    try:
        return None if value is None else str(plain(value, "run_if"))
    except AuthoringError as error:
        recording.refuse(error.problems)
        return None


def _given(value: Any) -> dict[str, Any]:
    """Return the fields of a databricks-bundles dataclass that differ from their defaults.

    Its own `as_dict` accepts only its own values, and drops empty ones that have a meaning (`Continuous()`).
    """
    if not dataclasses.is_dataclass(value):
        return value.as_dict()  # type: ignore[no-any-return]
    given = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if item is not None and (isinstance(item, Reference) or item != default):
            given[field.name] = item
    return given


def _is_variable(value: object) -> bool:
    """Return whether `value` is a databricks-bundles `Variable`, which exists only if the library is imported."""
    kind = getattr(sys.modules.get("databricks.bundles.core"), "Variable", None)
    return isinstance(kind, type) and isinstance(value, kind)


def _refuse_reference(value: Reference, path: str) -> Any:
    raise AuthoringError(
        f"the setting `{path}` is {value.describe()}, which has a value only when the job runs",
        hint="only fields of native_task(...) can refer to it: write a value, or bundle_variable(...)",
    )


def _string(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise AuthoringError(
            f"the setting `{path}` is {value!r:.60}, which UTF-8 can't encode", hint="write it without surrogates"
        ) from None
    return str(value)


def _name(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise AuthoringError(f"the setting `{path}` has the key {key!r}", hint="keys of settings must be strings")
    return _string(key, path)
