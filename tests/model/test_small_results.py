"""Small results and job parameters that hold dates, Decimals and the like, and those that JSON can't carry."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pathlib
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, NamedTuple, TypedDict

import polars as pl
import pytest

from authored import messages
from dbxdec import each, job, task
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.testing import run_job
from projects import Project
from running import dbxdec, define, empty

DAYS = [dt.date(2024, 1, 31), dt.date(2024, 2, 1)]
seen: list[Any] = []


class Colour(Enum):
    RED = "r"


class Row(NamedTuple):
    n: int


@dataclasses.dataclass
class Data:
    n: int


class Fields(TypedDict):
    n: int
    m: int


class Mixed(TypedDict):
    n: int
    day: dt.date


class Model:
    """As pydantic's."""

    def model_dump(self) -> dict[str, Any]:
        return {}


class Unknown:
    """A class of the project."""


@task
def days() -> list[dt.date]:
    return DAYS


@task
def prices() -> dict[str, Decimal | None]:
    return {"a": Decimal("1.50"), "b": None}


@task
def fields() -> Fields:
    return {"n": 1, "m": 2}


@job
def typed(since: list[dt.date] = DAYS, colours: dict[str, list[Colour]] = {"x": [Colour.RED]}) -> None:  # noqa: B006
    @task
    def reader(a: list[dt.date], b: dict[str, Decimal | None], c: Fields, d: dict[str, list[Colour]]) -> None:
        seen.append([a, b, c, d])

    @task
    def iterated(day: dt.date) -> None:
        seen.append(day)

    reader(days(), prices(), fields(), colours)
    iterated(each(days.override(key="more")()))
    iterated.override(key="of_parameter")(each(since))


def test_what_lists_and_dicts_hold_is_of_its_type_again() -> None:
    """Dates, Decimals and Enums inside results and parameters reach readers and iterations as what they were."""
    seen.clear()
    run_job(typed)
    assert seen[0] == [DAYS, {"a": Decimal("1.50"), "b": None}, {"n": 1, "m": 2}, {"x": [Colour.RED]}]
    assert sorted(seen[1:]) == sorted(DAYS * 2)


def test_so_it_is_in_processes(tmp_path: pathlib.Path) -> None:
    """A run on this machine carries them as text and JSON between processes."""
    project: Project = empty(tmp_path.resolve())
    define(
        project,
        """
import datetime as dt


@job
def typed(since: list[dt.date] = [dt.date(2024, 1, 31)]) -> None:
    @task
    def days() -> dict[str, list[dt.date]]:
        return {"a": [dt.date(2024, 2, 1)]}

    @task
    def found() -> list[dt.date]:
        return [dt.date(2024, 2, 2)]

    @task
    def reader(a: dict[str, list[dt.date]], b: list[dt.date]) -> None:
        print("READ", a, b)

    @task
    def iterated(day: dt.date) -> None:
        print("ITEM", repr(day))

    reader(days(), since)
    iterated(each(since))
    iterated.override(key="again")(each(found()))
""",
    )
    said = dbxdec(project, "run", "typed", "-p", 'since=["2024-03-01"]')
    assert said.code == 0, said
    printed = sorted(line.partition(" | ")[2] for line in said.out.splitlines() if "READ" in line or "ITEM" in line)
    assert printed == [
        "ITEM datetime.date(2024, 2, 2)",
        "ITEM datetime.date(2024, 3, 1)",
        "READ {'a': [datetime.date(2024, 2, 1)]} [datetime.date(2024, 3, 1)]",
    ]


UNFIT: list[tuple[Any, str, str]] = [
    (dict[int, str], "whose keys are strings", "annotate `dict[str, ...]`"),
    (dict[Colour, int], "whose keys are strings", "annotate `dict[str, ...]`"),
    (set[int], "which has no sets", "annotate `list[...]`"),
    (frozenset, "which has no sets", "annotate `list[...]`"),
    (tuple[int, str], "which has lists but no tuples", "annotate `list[...]`"),
    (list[tuple[int, int]], "which has lists but no tuples", "for its elements: annotate `list[...]`"),
    (dict[str, set[int]], "which has no sets", "for its elements"),
    (bytes, "which has no bytes", "annotate `str`"),
    (dt.timedelta, "which has no durations", "`.total_seconds()`"),
    (dt.time, "which has no times of day", "`.isoformat()`"),
    (pathlib.Path, "which has no paths", "`str(...)`"),
    (uuid.UUID, "which has no UUIDs", "`str(...)`"),
    (Row, "which has no named tuples", "`._asdict()`"),
    (Data, "which has no dataclasses", "`dataclasses.asdict(...)`"),
    (list[Data], "which has no dataclasses", "for its elements"),
    (Model, "which has no models", '`.model_dump(mode="json")`'),
    (Mixed, "which can't distinguish these types", "of one type, or strings"),
    (list[int | dt.date], "which can't distinguish these types", "of one type, or strings"),
    (set[int] | None, "which has no sets", "annotate `list[...]`"),
    (OrderedDict, "which has only plain dicts", "`dict(...)`"),
    (deque, "which has only plain lists", "annotate `list[...]`"),
    (Iterator[int], "which has only its own types", "annotate `list[...]`"),
    (Sequence[int], "which has only its own types", "annotate `list[...]`"),
    (Mapping[str, int], "which has only its own types", "annotate `dict[str, ...]`"),
    (range, "which has lists but no ranges", "`list(range(...))`"),
    (pl.Series, "which has no series", "`.to_list()`"),
    (list[Unknown], "which has no such elements", "use strings, numbers"),
]


@pytest.mark.parametrize(("annotation", "why", "instead"), UNFIT, ids=[str(case[0]) for case in UNFIT])
def test_what_json_lacks_is_said_at_build_with_what_to_write(annotation: Any, why: str, instead: str) -> None:
    """A result that would not come back as it was is an error, and its reader adds none."""

    def unfit() -> None: ...

    unfit.__annotations__["return"] = annotation

    @task
    def reader(x: Any) -> None: ...

    def body() -> None:
        reader(task(unfit)())

    (problem,) = job(body).build().problems
    assert problem.message.endswith(f"and has no IoManager: it would be passed as JSON, {why}")
    assert instead in (problem.hint or "")


def test_the_jobs_manager_does_not_hide_it() -> None:
    """Small values stay small where a job has an IoManager of frames; its frames go there."""

    @task
    def pair() -> tuple[int, str]:
        return 1, "a"

    @task
    def frame() -> pl.DataFrame:
        return pl.DataFrame()

    @job(io_manager=PolarsDeltaIoManager("/lake", mode="overwrite"))
    def one() -> None:
        pair()
        frame()

    (message,) = messages(one.build())
    assert "`tuple[int, str]` and has no IoManager: it would be passed as JSON" in message


def test_classes_that_are_no_values_need_a_manager() -> None:
    """Of a class of the project the advice stays to give it an IoManager."""

    @task
    def made() -> Unknown:
        return Unknown()

    @job
    def one() -> None:
        made()

    (problem,) = one.build().problems
    assert "its result would be lost" in problem.message
    assert "give it one, `@task(io_manager=...)`" in (problem.hint or "")


def test_items_that_travel_as_strings_are_asked_for_by_their_type() -> None:
    """Strings are read as what the iteration asks for; where the list holds dates, the iteration has to say so."""

    @task
    def unsaid(day) -> None: ...  # type: ignore[no-untyped-def]

    @task
    def other(day: str) -> None: ...

    @task
    def read(day: dt.date) -> None: ...

    @task
    def chosen(mode: Literal["a", "b"]) -> None: ...

    @task
    def number(n: int) -> None: ...

    @task
    def texts() -> list[str]:
        return []

    @job
    def one() -> None:
        read(each(texts()))
        chosen(each(texts.override(key="c")()))
        number(each(texts.override(key="t")()))
        unsaid(each(days()))
        other(each(days.override(key="d")()))

    assert [text.removeprefix("the parameter ") for text in messages(one.build())] == [
        "`n` of the task `number` is annotated `int`, but an item of the result of the task `t` is `str`",
        "`day` of the task `unsaid` gets items of the result of the task `days`, which are passed as strings",
        "`day` of the task `other` is annotated `str`, but an item of the result of the task `d` is `date`",
    ]
