"""What the build asks of the discovery process, as it crosses between them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """`root` holds a copy of the wheel's files; `sources` maps paths in the wheel to paths in the project."""

    root: str
    modules: list[str]
    sources: dict[str, str]
    stand_ins: bool
    timeout: float
    progress: str
    result: str
