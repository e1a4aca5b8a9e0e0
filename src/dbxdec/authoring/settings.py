"""Settings of the platform as plain data: dicts, databricks-bundles' dataclasses and enums alike."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

from dbxdec.errors import AuthoringError
from dbxdec.secrets import Secret
from dbxdec.variables import BundleVariable


def plain(value: Any, path: str = "") -> Any:
    """`value` as JSON data: copies, so that what the author holds is never shared or changed.

    Bundle variables become their tokens, which the bundle resolves at deploy. Raises AuthoringError, with the path
    of the field, for what has no JSON form.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise AuthoringError(f"the setting `{path}` is {value!r}, which JSON can't hold")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return plain(value.value, path)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, BundleVariable):
        return value.template
    if isinstance(value, Secret):
        return value.reference
    if isinstance(value, list | tuple):
        return [plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {_name(key, path): plain(item, f"{path}.{key}".lstrip(".")) for key, item in value.items()}
    as_dict = getattr(value, "as_dict", None)
    if callable(as_dict) and not isinstance(value, type):
        return plain(as_dict(), path)
    raise AuthoringError(
        f"the setting `{path}` is a {type(value).__module__}.{type(value).__qualname__}",
        hint="settings are str, int, float, bool, None, lists and dicts of them, or databricks-bundles' classes",
    )


def _name(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise AuthoringError(f"the setting `{path}` has the key {key!r}", hint="keys of settings are str")
    return key
