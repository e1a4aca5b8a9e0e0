"""Tasks that run for each of many items: which item this start is for, and what all the items are."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.model import dag, literals
from dbxdec.model.values import json_form
from dbxdec.runtime.task_values import task_values
from dbxdec.support.masking import brief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.model.typehints import Annotation

_DIGITS = 16
_LETTERS = 24
_HINT = "give each item once: it names the iteration's part of the result"


@dataclass(frozen=True, slots=True)
class Item:
    """One of the items: a `literal` of the author's, else JSON that came with the run."""

    form: Any
    literal: bool

    @property
    def label(self) -> str:
        """The item as people read it."""
        shown = literals.shown(self.form) if self.literal else self.form
        return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)

    def value(self, note: Annotation, what: str) -> Any:
        """The item as the annotation asks for it. Raises RunError where it is not of that type."""
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

    `id` names its item in letters, digits and `_`, whatever its number: a repair may find the items in another order.
    """

    index: int
    item: Item
    id: str

    def value(self, note: Annotation, what: str) -> Any:
        """Return its item as the annotation asks for it, as `Item.value` does."""
        return self.item.value(note, what)

    @property
    def label(self) -> str:
        """The item as people read it."""
        return self.item.label


def iterations_of(items: Sequence[Item]) -> list[Iteration]:
    """Return the iterations over `items`; equal items are told apart by how often they came before."""
    counts: Counter[str] = Counter()
    found = []
    for index, item in enumerate(items):
        content = json.dumps(item.form, sort_keys=True)
        more = f"_{counts[content]}" if counts[content] else ""
        counts[content] += 1
        digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
        words = re.sub(r"[^0-9a-z]+", "_", item.label.lower(), flags=re.ASCII).strip("_")[:_LETTERS]
        found.append(Iteration(index, item, f"{words}_{digest}{more}".lstrip("_")))
    return found


def all_items(each: dag.Each, parameters: Mapping[str, Any]) -> list[Item]:
    """All items of a for-each task, in order. Raises RunError where what should be a list is none."""
    match each.items:
        case dag.Literal(list() as forms):
            return [Item(form, True) for form in forms]
        case dag.Parameter(name):
            # As the platform iterates over it, which knows JSON alone.
            found, what = json_form(parameters[name]), f"the job parameter `{name}`"
        case dag.TaskOutput(task):
            found, what = task_values.get(task, dag.RETURN_VALUE), f"the result of the task `{task}`"
        case dag.TaskValue(task, key):
            found, what = task_values.get(task, key), f"the task value `{key}` of the task `{task}`"
        case _:
            raise RunError("the manifest names items of a kind that this dbxdec does not know")
    if not isinstance(found, list):
        raise RunError(f"{what} holds the items of each(...), and is {brief(found)}", hint="it must be a list")
    return [Item(form, False) for form in found]


def find_iteration(task: dag.Task, given: str | None, parameters: Mapping[str, Any]) -> Iteration | None:
    """The iteration that `given`, the reserved parameter, names; None for a task that is not repeated.

    The platform numbers no iterations: of items that came with the run it hands over the text, by which the number is
    found. Raises RunError where it is not among the items, or not only once.
    """
    if task.each is None or given is None:
        if task.each is not None or given is not None:
            is_ = "runs for each of many items, and was started without one" if given is None else "is not repeated"
            raise RunError(f"the task `{task.key}` {is_}", hint="deploy the job again with this wheel")
        return None
    items = all_items(task.each, parameters)
    iterations = iterations_of(items)
    if items and items[0].literal:
        if not given.isdecimal() or len(given) > len(str(len(items))) or int(given) >= len(items):
            raise RunError(
                f"the task `{task.key}` has {len(items)} items, and was started for the item {brief(given, 40)}"
            )
        return iterations[int(given)]
    places = [i for i, item in enumerate(items) if _is_text_of(given, item.form)]
    if len(places) != 1:
        if not places:
            raise RunError(f"{brief(given)} is not among the {len(items)} items of the task `{task.key}`")
        raise RunError(f"{brief(given)} is {len(places)} times among the items of the task `{task.key}`", hint=_HINT)
    return iterations[places[0]]


def _is_text_of(text: str, form: Any) -> bool:
    """Whether the platform's `{{input}}` is `text` for this item: a text as it is, all else as JSON."""
    if isinstance(form, str):
        return text == form
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    # 1 == True in Python, and not in JSON.
    return json.dumps(found, sort_keys=True) == json.dumps(form, sort_keys=True)


def by_item(items: Sequence[Item], found: Sequence[Any], note: Annotation, what: str) -> dict[Any, Any]:
    """What was `found` for each item, by item. Raises RunError where items can't be keys."""
    keys = [item.value(note, what) for item in items]
    try:
        results = dict(zip(keys, found, strict=True))
    except TypeError:
        raise RunError(f"{what} is a dict by item, and items are lists or dicts", hint="annotate `list[...]`") from None
    if len(results) < len(keys):
        raise RunError(f"{what} is a dict by item, and two items are equal", hint="annotate `list[...]`")
    return results
