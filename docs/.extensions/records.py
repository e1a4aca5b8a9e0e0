"""Shows the arguments of dbxdec's records: griffe knows dataclasses by the standard library's decorator alone."""

from __future__ import annotations

from typing import Any

import griffe


class Records(griffe.Extension):
    """Takes `dbxdec.records.dataclass` for what it stands for."""

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        for decorator in cls.decorators:
            call = decorator.value
            if isinstance(call, griffe.ExprCall) and call.canonical_path == "dbxdec.records.dataclass":
                call.function = griffe.ExprName("dataclasses.dataclass")
