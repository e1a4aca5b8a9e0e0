"""Contracts: classes of dataframely or pandera in annotations, which say what columns and values a frame has.

Classes are recognised by their names. Neither library is imported here, and a placeholder for one counts as well, so
that a build says the same with and without the library.
"""

from __future__ import annotations

import sys
import types
import typing
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import SourceLocation
from dbxdec.model.annotations import is_union, strip_optional
from dbxdec.model.literals import STAND_IN_NAME
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

FRAMES = frozenset({"DataFrame", "LazyFrame"})
"""The names of the frames of Polars that may have a contract."""
STAND_IN_BASE = "__dbxdec_stand_in_base__"
"""The attribute by which a class says which absent class it is derived from."""
STAND_IN_ITEM = "__dbxdec_stand_in_item__"
"""The attribute by which a placeholder says what stands in its brackets, after the name before them."""
LIBRARIES = ("dataframely", "pandera")
"""The libraries whose classes are contracts."""
_BASES = {"dataframely": "dataframely.Schema", "pandera": "pandera.polars.DataFrameModel"}


@dataclass(frozen=True, slots=True)
class Contract:
    """The content of a frame by the class `schema` of `library`; `name` is its "module:Qualified.Name".

    A manifest has only the name. `refusal` says why the class can't be a contract. Classes that one function makes have
    one name: contracts of two classes differ.
    """

    name: str
    library: str = field(default="", compare=False)
    schema: Any = field(default=None, repr=False)
    refusal: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """The name of the class alone."""
        return self.name.rpartition(":")[2]

    @property
    def is_absent(self) -> bool:
        """True if the library is not installed here, so that nothing else than the name is known."""
        return self.schema is None or any(STAND_IN_BASE in vars(base) for base in self.schema.__mro__)

    @property
    def place(self) -> SourceLocation | None:
        """The line of the class; None where its source is not known."""
        return None if self.schema is None else _place(self.schema)

    @property
    def located(self) -> str:
        """The name of the class alone, with its line, for a build."""
        return f"`{self.title}`" if (place := self.place) is None else f"`{self.title}` ({place})"

    @property
    def told(self) -> str:
        """The same for a run: the line is in a file of the wheel, wherever that is installed."""
        package = f"/{(self.name.partition(':')[0]).partition('.')[0]}/"
        place = self.place
        _, found, path = ("", "", "") if place is None else place.path.replace("\\", "/").rpartition(package)
        return f"`{self.title}` ({package[1:]}{path}:{place.line})" if place is not None and found else self.located


@dataclass(frozen=True, slots=True)
class Fields:
    """The types of the fields of a TypedDict, by their names; an Unresolved for no type."""

    types: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The annotation of a field that can't be resolved, as it is written, and why."""

    text: str
    error: str


def of_class(value: Any) -> Contract | None:
    """Return the contract that a class is; None for any other value."""
    if not isinstance(value, type):
        return None
    for base in value.__mro__:
        origin = vars(base).get(STAND_IN_BASE)
        module, _, name = origin.rpartition(".") if isinstance(origin, str) else (base.__module__, "", base.__name__)
        library = module.partition(".")[0]
        if library in _BASES and name == _BASES[library].rpartition(".")[2]:
            wrong = library == "pandera" and ".polars" not in module
            refusal = f"is a model of pandera for another kind of frame: derive it from `{_BASES[library]}`"
            title = f"{value.__module__}:{value.__qualname__}"
            is_base = value is base and not isinstance(origin, str)
            none = f"names no columns: derive a class from `{_BASES[library]}`"
            return Contract(title, library, value, refusal if wrong else none if is_base else "")
    return None


def _mistaken(value: Any) -> Contract | None:
    """Return a refused contract for what else is of these libraries, such as a schema that is an object."""
    kind = value if isinstance(value, type) else type(value)
    stand_in = getattr(value, STAND_IN_NAME, None)
    names = [
        stand_in,
        *(vars(base).get(STAND_IN_BASE) or f"{base.__module__}.{base.__name__}" for base in kind.__mro__),
    ]
    for name in names:
        library, _, rest = name.partition(".") if isinstance(name, str) else ("", "", "")
        if library in LIBRARIES:
            title = kind.__qualname__ if name is not stand_in else rest.rpartition(".")[2].removesuffix("()")
            what = "no class of columns" if isinstance(value, type) else "an object, not a class"
            refusal = f"is {what}: derive one from `{_BASES[library]}`, and name it"
            return Contract(f"{library}:{title}", library, refusal=refusal)
    return None


def of_metadata(plain: Any, metadata: Iterable[Any]) -> Any:
    """Return the type of an `Annotated`, marked with the contract among its metadata, if there is one.

    What is nearly one, such as an instance, is marked, too: it would not be compared with anything.
    """
    found = _joined([contract for one in metadata if (contract := of_class(one) or _mistaken(one)) is not None])
    return plain if found is None else marked(plain, found)


def of_generic(value: Any) -> Any:
    """Return the Polars frame that `dataframely.LazyFrame[Flights]` and its like are, marked; None for other types."""
    origin, item = getattr(value, STAND_IN_ITEM, None) or (typing.get_origin(value), None)
    if isinstance(origin, str):
        library, name = origin.partition(".")[0], origin.rpartition(".")[2]
        if library not in LIBRARIES or name not in FRAMES:
            return None
        contract = of_class(item)
        return None if contract is None else marked(_frame(name), contract)
    args = typing.get_args(value)
    if not isinstance(origin, type) or len(args) != 1 or origin.__module__.partition(".")[0] not in LIBRARIES:
        return None
    bases = (base for base in origin.__mro__ if base.__module__.startswith("polars.") and base.__name__ in FRAMES)
    base, contract = next(bases, None), of_class(args[0])
    return None if base is None or contract is None else marked(base, contract)


def _frame(name: str) -> Any:
    """Return the frame of Polars, or what has its name where Polars is absent, too."""
    polars = sys.modules.get("polars")
    found = getattr(polars, name, None)
    return type(name, (), {STAND_IN_NAME: f"polars.{name}"}) if found is None else found


def marked(plain: Any, contract: Contract) -> Any:
    """Return a type that carries a contract, also through unions."""
    if is_union(plain):
        return typing.Union[tuple(marked(one, contract) for one in typing.get_args(plain))]  # noqa: UP007
    return plain if plain is None or plain is types.NoneType else typing.Annotated[plain, contract]


def taken(plain: Any) -> tuple[Any, Contract | None, tuple[tuple[str, Any], ...]]:
    """Return a type without its marks, its contract, and the types of its fields where it does not tell them."""
    if typing.get_origin(plain) is typing.Annotated:
        inner, *marks = typing.get_args(plain)
        inner, contract, fields = taken(inner)
        found = [mark for mark in (*marks, contract) if isinstance(mark, Contract)]
        own = next((mark.types for mark in marks if isinstance(mark, Fields)), fields)
        return inner, _joined(found), own
    if not is_union(plain):
        return plain, None, ()
    members = [taken(one) for one in typing.get_args(plain)]
    found = [contract for _, contract, _ in members if contract is not None]
    if not found:
        return plain, None, ()
    return typing.Union[tuple(one for one, _, _ in members)], _joined(found), ()  # noqa: UP007


def with_fields(plain: Any, fields: dict[str, Any]) -> Any:
    """Return the type of a TypedDict with the types of its fields, where `plain` does not tell them."""
    kinds = list(fields.values())
    has = any(isinstance(one, Unresolved) or taken(strip_optional(one)[0])[1] is not None for one in kinds)
    differ = any(one != kinds[0] for one in kinds[1:])
    return typing.Annotated[plain, Fields(tuple(fields.items()))] if has or differ else plain


def _joined(found: list[Contract]) -> Contract | None:
    several = list(dict.fromkeys(found))
    if len(several) < 2:
        return several[0] if several else None
    names = " and ".join(one.title for one in several)
    return Contract(several[0].name, refusal=f"is one of several for one frame: {names}")


def _place(schema: type) -> SourceLocation | None:
    import inspect  # not needed by a run that goes well

    try:
        return SourceLocation(inspect.getsourcefile(schema) or "", inspect.getsourcelines(schema)[1])
    except (OSError, TypeError):
        return None
