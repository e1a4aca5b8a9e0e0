"""Annotations as Python 3.14 has them: evaluated when they are asked for, all at once (PEP 649 and 749).

Older versions are given objects that behave so.
"""

from __future__ import annotations

import enum
import inspect
import sys
import textwrap
from types import ModuleType
from typing import Any

import pytest

from dbxdec.authoring.parameters import parameters_of
from dbxdec.model import signatures, typehints
from dbxdec.model.values import ValueType

SOURCE = """
import datetime as dt


def made(day: dt.date, n: int | None, frame: absent.Frame, later: Later = 3, *rest: list[str]) -> Missing:
    return day
"""


def _function() -> Any:
    """A function whose annotations can't all be evaluated, read from code without the `__future__` import."""
    namespace: dict[str, Any] = {"__name__": "made"}
    if sys.version_info >= (3, 14):
        exec(compile(SOURCE, "made.py", "exec", dont_inherit=True), namespace)  # noqa: S102
    else:
        exec(compile("from __future__ import annotations\n" + SOURCE, "made.py", "exec"), namespace)  # noqa: S102
    return namespace["made"]


class _Lazy:
    """A function as Python 3.14 would give it, for older versions: its annotations raise as a whole."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.__name__, self.__code__ = function.__name__, function.__code__
        self.__globals__, self.__closure__ = function.__globals__, function.__closure__
        self.__defaults__, self.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
        self.__module__, self.__qualname__ = "made", "made"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    @property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
        raise NameError("name 'absent' is not defined")


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function, and where Python has no lazy annotations what stands in for its module of them."""
    made = _function()
    if sys.version_info >= (3, 14):
        return made
    module = ModuleType("annotationlib")
    module.Format = enum.Enum("Format", ["VALUE", "STRING"])  # type: ignore[attr-defined, misc]
    module.get_annotations = lambda lazy, format: lazy._function.__annotations__  # type: ignore[attr-defined]  # noqa: A006
    monkeypatch.setitem(sys.modules, "annotationlib", module)
    original = inspect.signature

    def signature(lazy: Any, annotation_format: Any = None) -> inspect.Signature:
        if isinstance(lazy, _Lazy):
            if annotation_format is not module.Format.STRING:
                raise NameError("name 'absent' is not defined")
            return original(lazy._function)
        return original(lazy)

    monkeypatch.setattr(inspect, "signature", signature)
    return _Lazy(made)


def test_one_that_can_t_be_resolved_spoils_no_other(function: Any) -> None:
    """Each annotation is read by itself: those that can be are values, the others say why they can't."""
    day, n = typehints.of_parameter(function, "day"), typehints.of_parameter(function, "n")
    assert day is not None
    assert n is not None
    assert day.value_type == ValueType("date")
    assert (n.value, n.optional) == (int, True)
    for name, missing in (("frame", "absent"), ("later", "Later"), ("return", "Missing")):
        note = typehints.of_parameter(function, name)
        assert note is not None
        assert f"NameError: name '{missing}' is not defined" == note.error
    assert typehints.of_parameter(function, "other") is None


def test_the_signature_needs_no_annotation(function: Any) -> None:
    """Names, kinds and defaults are known, whatever the annotations are."""
    found = signatures.signature(function)
    assert list(found.parameters) == ["day", "n", "frame", "later", "rest"]
    assert found.parameters["later"].default == 3


def test_a_job_parameter_that_can_t_be_resolved_is_one_mistake(function: Any) -> None:
    """The other parameters of the job are as they are."""
    found, problems = parameters_of(function)
    assert [parameter.name for parameter in found] == ["day", "n"]
    assert len(problems) == 3


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated at the definition before Python 3.14")
def test_names_that_are_defined_later_are_found() -> None:
    """A name that is defined below the function is resolved when the job is built."""
    namespace: dict[str, Any] = {"__name__": "made"}
    source = textwrap.dedent("""
        def made(day: Day) -> Day: ...
        from datetime import date as Day
    """)
    exec(compile(source, "made.py", "exec", dont_inherit=True), namespace)  # noqa: S102
    note = typehints.of_parameter(namespace["made"], "day")
    assert note is not None
    assert note.value_type == ValueType("date")


def test_what_is_no_function_of_python_raises_as_ever() -> None:
    """Where nothing can be known, the error of `inspect` itself is raised."""
    with pytest.raises(TypeError):
        signatures.signature(3)  # type: ignore[arg-type]
