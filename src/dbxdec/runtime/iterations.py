"""Tasks that run once for each of many items: the item of this start, and all items."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from dbxdec.errors import NotWrittenError, RunError
from dbxdec.model import dag, literals
from dbxdec.model.equality import json_form
from dbxdec.model.items import ONCE, content, places, type_of
from dbxdec.records import dataclass
from dbxdec.runtime.task_values import task_values
from dbxdec.support import digests
from dbxdec.support.masking import brief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.model.typehints import Annotation
    from dbxdec.model.values import ValueType

_DIGITS = 16
_LETTERS = 24


@dataclass(frozen=True, slots=True)
class Item:
    """One of the items: a `literal` of the author as tagged JSON, or the value of one that came with the run."""

    given: Any
    literal: bool

    @property
    def label(self) -> str:
        """The item as people read it."""
        return _label(literals.shown(self.given) if self.literal else json_form(self.given))

    @property
    def content(self) -> str:
        """The string that is the same for equal items."""
        return json.dumps(self.given, sort_keys=True) if self.literal else content(self.given)

    def value(self, note: Annotation, what: str) -> Any:
        """Return the item as the annotation asks for it. Raises RunError if it is not of that type."""
        if self.literal:
            return literals.decode(self.given)
        if note.error or note.value_type is None:
            return self.given
        try:
            return note.value_type.from_json(json_form(self.given))
        except ValueError as error:
            raise RunError(f"{what}, an item of each(...), {error}", hint=note.value_type.hint) from None


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration, numbered from 0.

    `id` names its item in letters, digits and `_`, independent of its number and of how the item is spelled: a repair
    may find the items in another order, and a dict's keys.
    """

    index: int
    item: Item
    id: str
    of: int = 1
    """The number of items."""

    def value(self, note: Annotation, what: str) -> Any:
        """Return the item as the annotation asks for it, as `Item.value` does."""
        return self.item.value(note, what)

    @property
    def label(self) -> str:
        """The item as people read it."""
        return self.item.label


def iterations_of(items: Sequence[Item]) -> list[Iteration]:
    """Return the iterations over `items`. Equal items are numbered in their order, so that their ids differ."""
    counts: Counter[str] = Counter()
    found = []
    for index, item in enumerate(items):
        same = item.content
        more = f"_{counts[same]}" if counts[same] else ""
        counts[same] += 1
        digest = digests.of_text(same)[:_DIGITS]
        label = item.label if item.literal else _label(json.loads(same))
        words = re.sub(r"[^0-9a-z]+", "_", label.lower(), flags=re.ASCII).strip("_")[:_LETTERS]
        found.append(Iteration(index, item, f"{words}_{digest}{more}".lstrip("_"), len(items)))
    return found


def _label(form: Any) -> str:
    return form if isinstance(form, str) else json.dumps(form, sort_keys=True, ensure_ascii=False)


def all_items(job: dag.Job, each: dag.Each, parameters: Mapping[str, Any]) -> list[Item]:
    """Return all items of a for-each task of `job`, in order.

    Raises RunError if a value that should be a list is not one, or has an item of another type, and NotWrittenError if
    no task has left the list: then there were no iterations.
    """
    missing = object()
    match each.items:
        case dag.Literal(list() as forms):
            return [Item(form, True) for form in forms]
        case dag.Parameter(name):
            found, what = parameters[name], f"the job parameter `{name}`"
        case dag.TaskOutput(task):
            found, what = task_values.get(task, dag.RETURN_VALUE, missing), f"the result of the task `{task}`"
            found = _typed(found, type_of(job, each), what)
        case dag.TaskValue(task, key):
            found, what = task_values.get(task, key, missing), f"the task value `{key}` of the task `{task}`"
        case _:
            raise RunError("the manifest has items of a kind that this version of dbxdec does not know")
    if found is missing:
        raise NotWrittenError(
            f"{what} holds the items of each(...), but the task has left none in this run",
            hint="a reader whose parameter is annotated `| None` gets None then",
        )
    if not isinstance(found, list):
        raise RunError(f"{what} holds the items of each(...), but is {brief(found)}", hint="it must be a list")
    return [Item(value, False) for value in found]


def _typed(forms: Any, kind: ValueType | None, what: str) -> Any:
    if kind is None or not isinstance(forms, list):
        return forms
    try:
        return [kind.from_json(form) for form in forms]
    except ValueError as error:
        raise RunError(f"{what} has an item that {error}") from None


def find_iteration(job: dag.Job, task: dag.Task, given: str | None, parameters: Mapping[str, Any]) -> Iteration | None:
    """Return the iteration that the reserved parameter `given` names; None for a task that is not repeated.

    The platform does not number iterations. For items that came with the run it passes the item's string, by whose
    value the number is found. Raises RunError if that is not among the items, or occurs more than once.
    """
    if task.each is None or given is None:
        if task.each is not None or given is not None:
            is_ = "runs once for each item, but was started without one" if given is None else "does not run for items"
            raise RunError(f"the task `{task.key}` {is_}", hint="deploy the job again with this wheel")
        return None
    items = all_items(job, task.each, parameters)
    iterations = iterations_of(items)
    if items and items[0].literal:
        if not given.isdecimal() or len(given) > len(str(len(items))) or int(given) >= len(items):
            raise RunError(
                f"the task `{task.key}` has {len(items)} items, but was started for the item {brief(given, 40)}"
            )
        return iterations[int(given)]
    found = places(given, type_of(job, task.each), [item.given for item in items])
    if len(found) != 1:
        if not found:
            raise RunError(f"{brief(given)} is not among the {len(items)} items of the task `{task.key}`")
        raise RunError(f"{brief(given)} occurs {len(found)} times among the items of the task `{task.key}`", hint=ONCE)
    return iterations[found[0]]


def by_item(items: Sequence[Item], found: Sequence[Any], note: Annotation, what: str) -> dict[Any, Any]:
    """Return `found`, one value for each item, as a dict by item. Raises RunError if items can't be keys."""
    keys = [item.value(note, what) for item in items]
    try:
        results = dict(zip(keys, found, strict=True))
    except TypeError:
        raise RunError(f"{what} is a dict by item, but items are lists or dicts", hint="annotate `list[...]`") from None
    if len(results) < len(keys):
        raise RunError(f"{what} is a dict by item, but two items are equal", hint="annotate `list[...]`")
    return results
