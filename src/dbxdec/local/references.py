"""The platform's dynamic value references, resolved for a run on this machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def resolve(text: str, values: Mapping[str, str]) -> str:
    """`text` with every `{{name}}` in `values` replaced; others stay as they are, as on the platform."""
    return _REFERENCE.sub(lambda match: values.get(match[1], match[0]), text)
