"""The Python of the platform's compute, as of 2026-11 (docs.databricks.com, "Databricks Runtime release notes" and
"Serverless environment versions").
"""

from __future__ import annotations

import re

# A runtime of clusters: 16.4.x-scala2.12, 17.3.x-cpu-ml-scala2.13, ...
_RUNTIME = re.compile(r"(?P<major>\d{1,3})\.(?P<minor>\d{1,3})\.x-[\w.-]+", re.ASCII)
_OF_MAJORS = {16: "3.12", 17: "3.12", 18: "3.12"}
_OF_RUNTIMES = {(15, 4): "3.11"}
_OF_ENVIRONMENTS = {"2": "3.11", "3": "3.12", "4": "3.12"}

KNOWN = ("3.11", "3.12")
"""All of them."""
_OLDEST = 15
"""The first runtimes with Python 3.11."""
_OLDEST_ENVIRONMENT = 2
"""The first environments with it."""


def is_too_old(version: str) -> bool:
    """Return whether clusters with this `spark_version` have a Python older than 3.11."""
    found = _RUNTIME.fullmatch(version)
    return found is not None and int(found["major"]) < _OLDEST


def is_environment_too_old(version: str) -> bool:
    """Return whether serverless environments of this version have a Python older than 3.11."""
    return version.isdecimal() and int(version) < _OLDEST_ENVIRONMENT


def of_runtime(version: str) -> str | None:
    """Return the Python of clusters with this `spark_version`, such as "3.12"; None if it is not known."""
    found = _RUNTIME.fullmatch(version)
    if found is None:
        return None
    major, minor = int(found["major"]), int(found["minor"])
    return _OF_RUNTIMES.get((major, minor)) or _OF_MAJORS.get(major)


def of_environment(version: str) -> str | None:
    """Return the Python of serverless environments of this version; None if it is not known."""
    return _OF_ENVIRONMENTS.get(version)
