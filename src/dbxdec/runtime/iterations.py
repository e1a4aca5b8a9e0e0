"""Tasks that run once for each of many items: the item of this start, and all items."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbxdec.errors import NotWrittenError, RunError
from dbxdec.model import dag, literals
from dbxdec.model.values import json_form
from dbxdec.runtime.task_values import task_values
from dbxdec.support.masking import brief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.model.typehints import Annotation

_DIGITS = 16
_LETTERS = 24
_EXACT = 2**53  # up to here each whole float is one int
_HINT = "give each item once: it names the iteration's part of the result"


@dataclass(frozen=True, slots=True)
class Item:
    """One of the items: a `literal` of the author, or JSON that came with the run."""

    form: Any
    literal: bool

    @property
    def label(self) -> str:
        """The item as people read it."""
        shown = literals.shown(self.form) if self.literal else self.form
        return shown if isinstance(shown, str) else json.dumps(_whole(shown), sort_keys=True, ensure_ascii=False)

    def value(self, note: Annotation, what: str) -> Any:
        """Return the item as the annotation asks for it. Raises RunError if it is not of that type."""
        if self.literal:
            return literals.decode(self.form)
        if note.error or note.value_type is None:
            return self.form
        try:
            return note.value_type.from_json(self.form)
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
        content = _content(item.form)
        more = f"_{counts[content]}" if counts[content] else ""
        counts[content] += 1
        digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
        words = re.sub(r"[^0-9a-z]+", "_", item.label.lower(), flags=re.ASCII).strip("_")[:_LETTERS]
        found.append(Iteration(index, item, f"{words}_{digest}{more}".lstrip("_")))
    return found


def all_items(each: dag.Each, parameters: Mapping[str, Any]) -> list[Item]:
    """Return all items of a for-each task, in order.

    Raises RunError if a value that should be a list is not one, and NotWrittenError if no task has left the list: then
    there were no iterations.
    """
    missing = object()
    match each.items:
        case dag.Literal(list() as forms):
            return [Item(form, True) for form in forms]
        case dag.Parameter(name):
            # In the form that the platform iterates over, which knows only JSON.
            found, what = json_form(parameters[name]), f"the job parameter `{name}`"
        case dag.TaskOutput(task):
            found, what = task_values.get(task, dag.RETURN_VALUE, missing), f"the result of the task `{task}`"
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
    return [Item(form, False) for form in found]


def find_iteration(task: dag.Task, given: str | None, parameters: Mapping[str, Any]) -> Iteration | None:
    """Return the iteration that the reserved parameter `given` names; None for a task that is not repeated.

    The platform does not number iterations. For items that came with the run it passes the item's string, by which the
    number is found. Raises RunError if that is not among the items, or occurs more than once.
    """
    if task.each is None or given is None:
        if task.each is not None or given is not None:
            is_ = "runs once for each item, but was started without one" if given is None else "does not run for items"
            raise RunError(f"the task `{task.key}` {is_}", hint="deploy the job again with this wheel")
        return None
    items = all_items(task.each, parameters)
    iterations = iterations_of(items)
    if items and items[0].literal:
        if not given.isdecimal() or len(given) > len(str(len(items))) or int(given) >= len(items):
            raise RunError(
                f"the task `{task.key}` has {len(items)} items, but was started for the item {brief(given, 40)}"
            )
        return iterations[int(given)]
    places = [i for i, item in enumerate(items) if _is_input_of(given, item.form)]
    if len(places) != 1:
        if not places:
            raise RunError(f"{brief(given)} is not among the {len(items)} items of the task `{task.key}`")
        raise RunError(
            f"{brief(given)} occurs {len(places)} times among the items of the task `{task.key}`", hint=_HINT
        )
    return iterations[places[0]]


def _is_input_of(text: str, form: Any) -> bool:
    """Return whether the platform's `{{input}}` for this item is `text`: a string as it is, all else as JSON."""
    if isinstance(form, str):
        return text == form
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return _content(found) == _content(form)


def _content(form: Any) -> str:
    """Return one string for all JSON that is the same value: keys have no order, and 1.0 is the number 1.

    1 is True in Python, but not in JSON.
    """
    return json.dumps(_whole(form), sort_keys=True)


def _whole(form: Any) -> Any:
    if isinstance(form, list):
        return [_whole(one) for one in form]
    if isinstance(form, dict):
        return {key: _whole(one) for key, one in form.items()}
    return int(form) if isinstance(form, float) and form.is_integer() and abs(form) < _EXACT else form


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
