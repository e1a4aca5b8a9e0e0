"""The environment of a compute for markers: CPython on Linux, x86_64."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_LONGEST = 10_000
_ERRORS = (UndefinedComparison, UndefinedEnvironmentName, ValueError, KeyError, TypeError, RecursionError)


class MarkerError(Exception):
    """Raised for a string that is no marker, or that can't be evaluated."""


class Markers:
    """Evaluates markers for one Python, such as "3.12". Its patch release is taken to be the first: 3.12.0."""

    def __init__(self, python: str) -> None:
        self.python = python
        version = f"{python}.0"
        self._environment = {
            "implementation_name": "cpython",
            "implementation_version": version,
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": version,
            "python_version": python,
            "sys_platform": "linux",
            "extra": "",
        }
        self._known: dict[str, bool] = {}

    def hold(self, text: str) -> bool:
        """Return whether the marker `text` holds, without any extra. Raises MarkerError."""
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._evaluated(_parsed(text))
        return found

    def need(self, requirement: Requirement) -> bool:
        """Return whether a requirement applies, without any extra. Raises MarkerError."""
        return requirement.marker is None or self._evaluated(requirement.marker)

    def hold_in_groups(self, text: str, groups: frozenset[str]) -> bool:
        """Return whether a marker of a pylock.toml holds, with these dependency groups. Raises MarkerError."""
        environment = {**self._environment, "extras": frozenset[str](), "dependency_groups": groups}
        del environment["extra"]
        try:
            return _parsed(text).evaluate(environment, context="lock_file")  # type: ignore[arg-type]
        except _ERRORS as error:
            raise MarkerError(f"can't be evaluated: {error!s:.200}") from None

    def _evaluated(self, marker: Marker) -> bool:
        try:
            return marker.evaluate(self._environment)
        except _ERRORS as error:
            raise MarkerError(f"can't be evaluated: {error!s:.200}") from None


@cache
def _parsed(text: str) -> Marker:
    if len(text) > _LONGEST:
        raise MarkerError(f"has {len(text):,} characters, more than {_LONGEST:,}")
    try:
        return Marker(text)
    except (InvalidMarker, RecursionError, ValueError) as error:
        raise MarkerError(f"is not a marker: {str(error).splitlines()[0]:.200}") from None
