"""The key of a run: the values of its key parameters, as one string in the log of each table that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbxdec.model.dag import JobParameter

# What an ISO moment consists of, so that people can read the log.
_PLAIN = "-:._~"


def of_run(parameters: Iterable[JobParameter], values: Mapping[str, Any]) -> str:
    """Return the key of a run with these values of its job's parameters.

    It is empty for a job without keys, and where a value is missing: such a run counts for no key.
    """
    keys = [parameter for parameter in parameters if parameter.key is not None]
    if not all(parameter.is_key(values[parameter.name]) for parameter in keys):
        return ""
    return written({parameter.name: parameter.key_text(values[parameter.name]) for parameter in keys})


def written(values: Mapping[str, str]) -> str:
    """Return the string of a key, `day=2024-01-01&region=eu`, in the order of the job's parameters."""
    return "&".join(f"{quote(name, safe=_PLAIN)}={quote(value, safe=_PLAIN)}" for name, value in values.items())


def read(text: str) -> dict[str, str]:
    """Return the values of a key by the names of its parameters."""
    return dict(parse_qsl(text, keep_blank_values=True))


def of_today(text: str, parameters: Iterable[JobParameter]) -> dict[str, str] | None:
    """Return the values of a key of a log by today's key parameters; None if it has not all of them."""
    values, found = read(text), {}
    for parameter in parameters:
        if parameter.key is not None:
            value = values.get(parameter.name, values.get(parameter.key.was or ""))
            if value is None:
                return None
            found[parameter.name] = value
    return found
