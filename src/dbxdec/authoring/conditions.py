"""Condition tasks, `condition(left, op, right)`, and their branches."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.authoring import recording
from dbxdec.authoring.nodes import Step
from dbxdec.authoring.proxies import BranchReference, StateReference, TaskProxy, TaskValueReference
from dbxdec.authoring.references import ParameterProxy, Reference, Spoiled
from dbxdec.authoring.settings import run_if_of
from dbxdec.authoring.steps import date_of, follower_of, recorder_of, reference_to, value_type
from dbxdec.errors import did_you_mean, listed, shown
from dbxdec.model import comparisons, dag
from dbxdec.model.mistakes import forgiving, is_of_mistake, itself
from dbxdec.model.values import ANY, ValueType
from dbxdec.model.variables import BundleVariable, only_name_in
from dbxdec.platform import references
from dbxdec.platform.conditions import EQUALITY, OPERATORS, is_exact
from dbxdec.platform.run_if import RESULT_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from databricks.bundles.jobs import RunIfParam

Operator = Literal["==", "!=", ">", ">=", "<", "<="]

_TEXT = ValueType("str")
_SIDES = (
    "each side is a string, number, boolean, date or Enum, a job parameter, a task value, a small result or a state"
)


class ConditionProxy(TaskProxy[None]):
    """A condition. `.then(...)` and `.otherwise(...)` put tasks on its branches."""

    def describe(self) -> str:
        return f"the condition `{self._call.key}`"

    @forgiving(itself)
    def then(self, *proxies: TaskProxy[Any]) -> ConditionProxy:
        """Run `proxies` only if the condition holds. Returns the condition."""
        return self._add(self.true, proxies)

    @forgiving(itself)
    def otherwise(self, *proxies: TaskProxy[Any]) -> ConditionProxy:
        """Run `proxies` only if the condition does not hold. Returns the condition."""
        return self._add(self.false, proxies)

    @property
    def true(self) -> Any:
        """The branch that is taken if the condition holds, for `depends_on` and `.after`."""
        return BranchReference(self._call, "true")

    @property
    def false(self) -> Any:
        """The branch that is taken if the condition does not hold, for `depends_on` and `.after`."""
        return BranchReference(self._call, "false")

    def _add(self, branch: BranchReference, proxies: Iterable[object]) -> ConditionProxy:
        for proxy in proxies:
            if isinstance(proxy, TaskProxy):
                proxy._call.depend(branch)
            elif not isinstance(proxy, Spoiled):
                self._call.recorder.problem(
                    f"{proxy!r:.60} can't depend on {branch.describe()}", "pass task results: `.then(a(...), b(...))`"
                )
        return self


@forgiving()
def condition(
    left: Any, op: Operator, right: Any, *, key: str = "condition", run_if: RunIfParam | None = None
) -> ConditionProxy:
    """Add a condition task, and return it: `.then(...)` and `.otherwise(...)` put tasks on its branches.

    `>`, `>=`, `<` and `<=` compare numbers. `==` and `!=` are those of Python for two values of one type. Where the
    platform, which compares strings, could decide otherwise, the build or the run fails.

    Args:
        left: A literal, a job parameter, a task value, a task's small result, a state, or a bundle variable.
        op: `"=="`, `"!="`, `">"`, `">="`, `"<"` or `"<="`.
        right: As `left`.
        key: The key of the condition; a job with several needs one for each.
        run_if: When to decide. A condition that compares a state is decided however the task has ended, unless this
            says otherwise.

    Returns:
        The condition. `.then(*results)` and `.otherwise(*results)` return it again; `.true` and `.false` are its
        branches for `.after(...)` and `depends_on=`.

    Raises:
        AuthoringError: It is used outside of a job's body.

    Example:
        ```python
        from dbxdec import condition, job, task


        @task
        def count() -> int: ...


        @task
        def alarm(n: int) -> None: ...


        @job
        def watch(limit: int = 3) -> None:
            n = count()
            condition(n, ">", limit).then(alarm(n))
        ```
    """
    recorder = recorder_of("condition")
    key = recorder.usable(key)
    if not isinstance(op, str) or op not in OPERATORS:
        recorder.problem(f"the condition `{key}` has the operator {shown(op)}", f"operators are {', '.join(OPERATORS)}")
        op = "=="
    name = OPERATORS[op]
    step = Step(recorder=recorder, key=key, where=recording.caller(), kind="condition")
    if run_if is not None:
        step.run_if = run_if_of(run_if)
    elif isinstance(left, StateReference) or isinstance(right, StateReference):
        step.run_if = "ALL_DONE"
    compared = _Compared(step, left, right)
    if is_of_mistake(left) or is_of_mistake(right) or not compared.is_typed():
        sides = ("", "")
    else:
        sides = compared.as_strings() if name in EQUALITY else compared.as_numbers()
    step.compares = compared.type
    step.settings = {"condition_task": {"op": name, "left": sides[0], "right": sides[1]}}
    recorder.add(step, 'give it a key of its own: `condition(..., key="...")`')
    return ConditionProxy(step)


class _Compared:
    """The two sides of one condition. `type` is the type that an equality compares, which the run checks."""

    def __init__(self, step: Step, left: object, right: object) -> None:
        self._step, self._sides = step, (left, right)
        self.type: ValueType | None = None

    def _problem(self, message: str, hint: str) -> None:
        self._step.recorder.problem(f"the condition `{self._step.key}` {message}", hint)

    def is_typed(self) -> bool:
        """Return whether all tasks say what they return. Each one that does not is noted."""
        unsaid = [
            side
            for side in self._sides
            if isinstance(side, Reference) and (kind := self._type(side)) is not None and kind.kind == ANY
        ]
        for side in unsaid:
            self._problem(
                f"compares {side.describe()}, whose type is unknown",
                "add a return annotation to the task's function, such as `-> int`",
            )
        return not unsaid

    # By size

    def as_numbers(self) -> tuple[str, str]:
        kinds = [self._type(side) for side in self._sides]
        if {"float", "decimal"} <= {comparisons.base_of(kind)[0] for kind in kinds if kind}:
            self._problem(
                "compares a float with a Decimal by size", "their digits differ: convert both to one type in a task"
            )
        left, right = map(self._number, self._sides)
        return left, right

    def _number(self, side: object) -> str:
        if isinstance(side, StateReference):
            self._problem(f"compares {side.describe()} by size", "a state is a string: use == or !=")
            return ""
        if isinstance(side, Reference):
            kind = self._type(side)
            if kind is not None and not comparisons.is_numeric(kind):
                self._problem(
                    f"compares {side.describe()}, which is `{kind}`, by size",
                    "the platform compares only numbers by size; use == or !=",
                )
            elif kind is not None and kind.optional and not isinstance(side, ParameterProxy):
                self._problem(
                    f"compares {side.describe()}, which is `{kind}`, by size, but None is not a number",
                    "return a number in its place, or compare inside a task",
                )
            return reference_to(self._step, side)
        if isinstance(side, BundleVariable):
            return str(side)
        kind = comparisons.type_of(side)
        if kind is None or (isinstance(side, float | Decimal) and not math.isfinite(side)):
            self._problem(f"compares {shown(side)}", _SIDES)
            return ""
        if not comparisons.is_numeric(kind) or isinstance(side, Enum):
            self._problem(f"compares {side!r:.60} by size", "use a number, or == or !=")
        elif isinstance(side, int | Decimal) and not is_exact(side):
            self._problem(
                f"compares {side} by size, and the platform may treat such numbers as equal", "compare inside a task"
            )
        return kind.canonical(side)

    # As strings

    def as_strings(self) -> tuple[str, str]:
        left, right = self._sides
        known = len(self._step.recorder.problems)
        self.type = self._common_type()
        if len(self._step.recorder.problems) > known:
            return "", ""  # the sides are wrong and have to be rewritten
        return self._string(left, right), self._string(right, left)

    def _common_type(self) -> ValueType | None:
        """Return the type of both sides. A mismatch is noted."""
        known = [(side, kind) for side in self._sides if (kind := self._type(side)) is not None]
        states = [side for side in self._sides if isinstance(side, StateReference)]
        untyped = [side for side in self._sides if isinstance(side, TaskValueReference)]
        typed = [(side, kind) for side, kind in known if isinstance(side, Reference)]
        for side, kind in typed:
            if kind.kind in ("list", "dict"):
                self._problem(
                    f"compares {side.describe()}, which is `{kind}`",
                    "the platform compares only strings, numbers and booleans: compare inside a task",
                )
                return None
        if len(untyped) == 2:
            self._problem(
                f"compares {untyped[0].describe()} with {untyped[1].describe()}, whose types are unknown",
                "return the compared values from the tasks, with a return annotation",
            )
            return None
        if len(typed) == 2 and comparisons.base_of(typed[0][1]) != comparisons.base_of(typed[1][1]):
            (one, kind), (other, second) = typed
            self._problem(
                f"compares {one.describe()}, which is `{kind}`, with {other.describe()}, which is `{second}`",
                "the platform compares strings: give both the same type",
            )
            return None
        found = next((kind for _, kind in [*typed, *known]), None)
        if (states or untyped) and found is not None and not self._fits_json(states + untyped, found):
            return None
        return found or (_TEXT if states or untyped else None)

    def _fits_json(self, sides: list[Any], kind: ValueType) -> bool:
        wanted = ("str",) if isinstance(sides[0], StateReference) else ("str", "bool", "int")
        if comparisons.base_of(kind)[0] in wanted and not kind.optional:
            return True
        self._problem(
            f"compares {sides[0].describe()} with a value of the type `{kind}`",
            "a state is a string"
            if wanted == ("str",)
            else "a compared task value must be a string, a whole number or a boolean: return the value from the task, "
            "with a return annotation",
        )
        return False

    def _string(self, side: object, other: object) -> str:
        if isinstance(side, ParameterProxy) and follower_of(self._step.recorder, side) is not None:
            return date_of(self._step, side)
        if isinstance(side, Reference):
            kind = self._type(side)
            if (
                isinstance(side, TaskProxy)
                and kind is not None
                and not comparisons.is_told_alike(kind, other)
                and reference_to(self._step, side)
            ):
                return references.task_value(side._call.key, dag.RETURN_TEXT)
            return reference_to(self._step, side)
        if isinstance(side, BundleVariable):
            if only_name_in(str(side)) is None and self.type not in (None, _TEXT):
                self._problem(
                    f"compares {side} with a value of the type `{self.type}`",
                    "a value that contains a bundle variable is a string",
                )
            return str(side)
        if isinstance(other, StateReference):
            self._check_state(side, other)
        for misspelled in references.misspelled_in(side) if isinstance(side, str) else ():
            self._problem(
                f"compares {misspelled}, which the platform takes for a literal string",
                f"write {references.well_spelled(misspelled)}, or pass the result itself",
            )
        own = comparisons.type_of(side)
        kind = self._type(other) if isinstance(other, Reference) else self.type
        if own is None and not (side is None and kind is not None):
            self._problem(f"compares {shown(side)}", _SIDES)
            return ""
        try:
            return comparisons.literal_text(kind or own or _TEXT, side)
        except TypeError as error:
            what = other.describe() if isinstance(other, Reference) else repr(other)
            self._problem(
                f"compares {side!r:.60} with {what:.80}, {error}", f"write a value of the type `{kind or own}`"
            )
            return ""

    def _check_state(self, side: object, state: StateReference) -> None:
        if isinstance(side, str) and side not in RESULT_STATES:
            self._problem(
                f"compares {state.describe()} with {side!r:.60}, which is not a state",
                did_you_mean(side, RESULT_STATES) or f"states are {listed(sorted(RESULT_STATES))}",
            )

    # Sides

    def _type(self, side: object) -> ValueType | None:
        if isinstance(side, StateReference):
            return None
        if isinstance(side, Reference):
            return value_type(self._step.recorder, side)
        return None if isinstance(side, BundleVariable) else comparisons.type_of(side)
