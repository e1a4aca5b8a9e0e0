"""`TaskProxy`: the result that a task will have, while the body of a job wires it to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dbxdec.authoring import recording
from dbxdec.authoring.references import Reference

R_co = TypeVar("R_co", covariant=True)

if TYPE_CHECKING:
    # For a type checker a proxy fits wherever its value would: the build checks the types of edges.
    class _ProxyBase(Any, Generic[R_co]):  # type: ignore[misc]
        pass

else:

    class _ProxyBase(Reference, Generic[R_co]):
        pass


class TaskProxy(_ProxyBase[R_co]):
    """The result that a task will have: pass it on to other tasks, or order tasks with `>>` and `.after`."""

    def __init__(self, call: recording.Node) -> None:
        self._call = call

    def describe(self) -> str:
        return f"the result of the task `{self._call.key}`"

    def after(self, *others: TaskProxy[Any]) -> TaskProxy[R_co]:
        """Run this task after `others`, without reading their results; gives this proxy back."""
        for other in others:
            self._call.depend(other)
        return self

    def __rshift__(self, other: Any) -> Any:
        followers = other if isinstance(other, list | tuple) else (other,)
        for follower in followers:
            if isinstance(follower, TaskProxy):
                follower.after(self)
            else:
                self._call.recorder.problem(
                    f"`>>` orders results of tasks; {follower!r:.60} is none", "write `a(...) >> b(...)`"
                )
        return other

    def __rrshift__(self, other: Any) -> TaskProxy[R_co]:
        return self.after(*(other if isinstance(other, list | tuple) else (other,)))
