"""The exact versions of a lock, for each Python that a build's compute has, as the manifest keeps them."""

from __future__ import annotations

import json
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ManifestError
from dbxdec.platform import pythons
from dbxdec.records import dataclass
from dbxdec.support import digests
from dbxdec.support.forms import by_key, strings, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN = "unknown"
"""The compute whose Python only its owner knows: an existing cluster, one by a policy, a version in a variable."""
OWN = "dbxdec"
"""The pin for dbxdec itself where the lock takes it from a folder: the one that builds."""


@dataclass(frozen=True)
class Pins:
    """The packages for one Python, by name.

    A package is a pin (`polars==1.44.0`), a commit (`acme @ git+https://...@<commit>`), the path of a wheel in the
    project, or `OWN`. `indexes` are the private indexes of packages, by name.
    """

    packages: tuple[str, ...] = ()
    indexes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Locked:
    """The pins by Python, such as "3.12", and the Python by compute, as `of_cluster` and `of_environment` name it."""

    pins: Mapping[str, Pins]
    pythons: Mapping[str, str]

    def on(self, compute: str) -> Pins:
        """Return the pins for a compute. Raises ManifestError if the build had no such compute."""
        try:
            return self.pins[self.pythons[compute]]
        except KeyError:
            raise ManifestError(f"the manifest has no pins for the compute {compute!r:.60}") from None

    def json_form(self) -> dict[str, Any]:
        """Return the form in the manifest."""
        return {
            "pins": {
                python: {
                    "packages": list(pins.packages),
                    **({"indexes": dict(pins.indexes)} if pins.indexes else {}),
                }
                for python, pins in self.pins.items()
            },
            "pythons": dict(self.pythons),
        }

    @classmethod
    def from_json_form(cls, form: Any) -> Locked:
        """Return the pins that `json_form` took. Raises FormError for anything else."""
        return cls(by_key(form, "pins", _pins), texts(form, "pythons"))

    @property
    def texts(self) -> list[str]:
        """All strings, of whatever meaning."""
        pins = [text for one in self.pins.values() for text in (*one.packages, *one.indexes, *one.indexes.values())]
        return [*pins, *self.pins, *self.pythons, *self.pythons.values()]

    @property
    def id(self) -> str:
        """A short digest of all pins: builds with other versions of packages have another one."""
        compact = json.dumps(self.json_form(), sort_keys=True, ensure_ascii=False)
        return digests.of_text(compact)[:12]


def _pins(form: Any) -> Pins:
    return Pins(strings(form, "packages"), texts(form, "indexes") if "indexes" in form else {})


def of_cluster(cluster: Any) -> str:
    """Return the name of a cluster's compute, from its fields: its `spark_version` if that says the Python."""
    version = cluster.get("spark_version") if isinstance(cluster, dict) else None
    return version if isinstance(version, str) and "{" not in version else UNKNOWN


def of_environment(spec: Mapping[str, Any], default: str) -> str:
    """Return the name of an environment's compute, from its spec; `default` is the version if the spec has none."""
    if spec.get("base_environment") is not None:
        return UNKNOWN
    version = spec.get("environment_version") or spec.get("client") or default
    return f"environment {version}" if isinstance(version, str) and "{" not in version else UNKNOWN


def python_of(compute: str) -> str | None:
    """Return the Python of a compute by its name; None if it is not known."""
    kind, _, version = compute.partition(" ")
    return pythons.of_environment(version) if kind == "environment" else pythons.of_runtime(compute)
