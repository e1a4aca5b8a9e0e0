"""The files of a new project: next to this module, with the suffix `.j2`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import yaml


def render(name: str, /, **values: Any) -> str:
    """Return the file `name` with its `values`."""
    environment = jinja2.Environment(  # noqa: S701 - it makes no HTML
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["yaml"] = _yaml
    return environment.get_template(f"{name}.j2").render(**values)


def _yaml(value: str) -> str:
    text: str = yaml.safe_dump(value, width=100_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()
