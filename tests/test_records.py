"""Records are dataclasses whose methods are made late; they do what those of the standard library do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from dbxdec.records import dataclass

T = TypeVar("T")


@dataclass(frozen=True)
class Plain:
    """With a dictionary."""

    a: int
    b: str = "b"
    names: Mapping[str, int] = field(default_factory=dict, compare=False)
    hidden: int = field(default=0, repr=False)
    kind: ClassVar[str] = "plain"


@dataclass(frozen=True, slots=True)
class Slotted:
    """With slots."""

    a: int
    b: str = "b"
    names: Mapping[str, int] = field(default_factory=dict, compare=False)
    hidden: int = field(default=0, repr=False)
    kind: ClassVar[str] = "plain"

    def with_super(self) -> str:
        """A method of its own."""
        return f"{self.a}{self.b}"


@dataclass(frozen=True, slots=True)
class Deeper(Slotted):
    """With a field more."""

    more: int = 7


@dataclass(frozen=True)
class Empty:
    """Without fields."""


@dataclass(frozen=True)
class Own:
    """With methods of its own."""

    a: int

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 5

    def __repr__(self) -> str:
        return "own"


@dataclass(order=True)
class Changing:
    """Not frozen, and in an order."""

    a: int
    b: int = field(default=0, compare=False)
    doubled: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        self.doubled = self.doubled or 2 * self.a


@dataclass(kw_only=True)
class Named(Changing):
    """With a field that is given by name."""

    first: str


@dataclass(frozen=True, eq=False)
class Same:
    """Equal to itself alone."""

    a: int


@dataclass(frozen=True, slots=True)
class Typed(Generic[T]):
    """Generic."""

    value: T


@dataclass(frozen=True)
class Abstract(ABC):
    """With a method that is to be written."""

    a: int

    @abstractmethod
    def told(self) -> str: ...


@dataclass(frozen=True)
class Concrete(Abstract):
    """With the method."""

    def told(self) -> str:
        return f"told {self.a}"


class Open(Plain):
    """No dataclass itself."""


@dataclasses.dataclass(frozen=True)
class Standard(Plain):
    """A dataclass of the standard library."""

    last: int = 1


BOTH = pytest.mark.parametrize("kind", [Plain, Slotted, Deeper])


@BOTH
def test_values_are_those_given_or_the_defaults(kind: Any) -> None:
    made = kind(1, names={"x": 1})
    assert (made.a, made.b, made.names, made.hidden, made.kind) == (1, "b", {"x": 1}, 0, "plain")
    assert kind(1).names == {}
    assert kind(1).names is not kind(2).names
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        kind()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        kind(1, z=2)


@BOTH
def test_records_with_equal_fields_are_equal(kind: Any) -> None:
    assert kind(1) == kind(1, names={"not": 1})
    assert hash(kind(1)) == hash(kind(1, names={"not": 1}))
    assert kind(1) != kind(2)
    assert kind(1) != (1, "b")


def test_records_of_two_classes_differ() -> None:
    assert Slotted(1) != Deeper(1)
    assert Empty() == Empty()
    assert len({Empty(), Empty()}) == 1


@BOTH
def test_nothing_can_be_set_or_deleted(kind: Any) -> None:
    made = kind(1)
    for name in ("a", "other"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(made, name, 2)
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field '{name}'"):
            delattr(made, name)


def test_what_derives_from_one_may_have_other_attributes() -> None:
    made: Any = Open(1)
    made.other = 2
    assert (made.other, made.a) == (2, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.a = 2


def test_it_is_shown_as_its_call() -> None:
    assert repr(Plain(1, "x", {"n": 2})) == "Plain(a=1, b='x', names={'n': 2})"
    assert repr(Deeper(1)) == "Deeper(a=1, b='b', names={}, more=7)"
    assert repr(Empty()) == "Empty()"


def test_methods_of_a_class_stay() -> None:
    assert Own(1) == Own(2) == "anything"
    assert hash(Own(1)) == 5
    assert repr(Own(1)) == "own"


@pytest.mark.parametrize("kind", [Plain, Slotted, Deeper, Standard])
def test_the_standard_library_takes_them_as_its_own(kind: Any) -> None:
    made = kind(1, "x", {"n": 2})
    assert replace(made, a=5) == kind(5, "x")
    assert [one.name for one in dataclasses.fields(kind)][:4] == ["a", "b", "names", "hidden"]
    assert dataclasses.asdict(made)["names"] == {"n": 2}
    assert list(inspect.signature(kind).parameters)[:4] == ["a", "b", "names", "hidden"]
    assert typing.get_type_hints(kind.__init__)["a"] is int
    kept = pickle.loads(pickle.dumps(made))  # noqa: S301 - its own
    assert copy.copy(made) == copy.deepcopy(made) == kept == made
    assert kept.names == {"n": 2}
    assert dataclasses.is_dataclass(kind)


def test_records_that_are_not_frozen_change_and_have_no_hash() -> None:
    made = Changing(1)
    made.a = 5
    assert made == Changing(5, 9, doubled=2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(made)


def test_records_have_the_order_of_their_fields() -> None:
    assert sorted([Changing(2), Changing(1, 5)]) == [Changing(1), Changing(2)]
    assert Changing(1) <= Changing(1, 7) < Changing(2)
    with pytest.raises(TypeError, match="not supported"):
        _ = Changing(1) < Named(1, first="x")


def test_fields_that_are_given_by_name_come_last() -> None:
    assert repr(Named(1, 2, first="x")) == "Named(a=1, b=2, doubled=2, first='x')"
    with pytest.raises(TypeError, match="first"):
        Named(1)  # type: ignore[call-arg]


def test_without_equality_a_record_is_equal_to_itself_alone() -> None:
    one = Same(1)
    assert one == one
    assert one != Same(1)
    assert len({one, Same(1)}) == 2


def test_generic_and_abstract_classes_are_records_too() -> None:
    assert Typed[int](1) == Typed(1)
    assert Concrete(1).told() == "told 1"
    with pytest.raises(TypeError, match="abstract"):
        Abstract(1)  # type: ignore[abstract]


def test_patterns_know_the_order_of_their_fields() -> None:
    found: Any = Deeper(1, "x")
    match found:
        case Slotted(a, b):
            assert (a, b) == (1, "x")
        case _:
            pytest.fail("no match")


def test_slots_leave_no_dictionary() -> None:
    assert not hasattr(Slotted(1), "__dict__")
    assert not hasattr(Deeper(1), "__dict__")


def test_a_field_without_a_default_comes_first() -> None:
    @dataclass(frozen=True)
    class Wrong:
        a: int = 1
        b: str  # type: ignore[misc]

    with pytest.raises((SyntaxError, TypeError), match="default"):
        Wrong(1)  # type: ignore[call-arg]


def test_nothing_is_made_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("made")

    monkeypatch.setattr(dataclasses, "dataclass", refuse)

    @dataclass(frozen=True, slots=True)
    class Unused:
        a: int = 0
        b: Mapping[str, int] = field(default_factory=dict)

    with pytest.raises(AssertionError, match="made"):
        Unused()
