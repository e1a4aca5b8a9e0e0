"""Rows of a table that are new to a task: `.changes()` as data."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from dbxdec.errors import DbxdecError, Problem, did_you_mean, on_one_line
from dbxdec.records import dataclass
from dbxdec.support.forms import FormError, strings, take

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.model.literals import Json

Kind = Literal["rows", "latest", "feed"]
Starting = Literal["snapshot", "latest"]
OnRewrite = Literal["error", "skip"]

CHANGE, VERSION, MOMENT = "_change_type", "_commit_version", "_commit_timestamp"
FEED = (CHANGE, VERSION, MOMENT)
"""The columns of a change data feed; no table with a feed has columns of these names (Delta protocol, "Change Data
Files")."""
FEED_PROPERTY = "delta.enableChangeDataFeed"
"""The property of a table that has a change data feed."""
ADOPT = "dbxdec_adopt"
"""The job parameter that says at which versions tasks of a job begin whose tables have rows of unknown origin."""
RESTART = "dbxdec_restart"
"""The job parameter that names the tasks which read their sources from the beginning."""


@dataclass(frozen=True, slots=True)
class Changes:
    """A task's reading of a table of which it has read a part before.

    `kind` is "rows" (rows that were added), "latest" (the last change of each key) or "feed" (every change); `by` are
    the columns of the key. `starting` says what a first run gets, `on_rewrite` what becomes of commits that do more
    than add rows. With `at_least_once` a target is allowed that can't tell which rows it has.
    """

    kind: Kind = "rows"
    by: tuple[str, ...] = ()
    starting: Starting = "snapshot"
    on_rewrite: OnRewrite = "error"
    at_least_once: bool = False

    def json_form(self) -> dict[str, Json]:
        """Return the manifest's form."""
        form: dict[str, Json] = {"kind": self.kind}
        if self.by:
            form["by"] = list(self.by)
        form |= {"starting": self.starting, "on_rewrite": self.on_rewrite}
        return {**form, "at_least_once": True} if self.at_least_once else form

    @classmethod
    def from_json_form(cls, form: Any) -> Changes:
        """Return what `json_form` took. Raises FormError for anything else."""
        for name, known in CHOICES.items():
            if take(form, name, str) not in known:
                raise FormError(name, f"is not one of {', '.join(known)}")
        return cls(
            kind=form["kind"],
            by=strings(form, "by", ()),
            starting=form["starting"],
            on_rewrite=form["on_rewrite"],
            at_least_once=take(form, "at_least_once", bool, False),
        )

    def text(self, source: str) -> str:
        """Return the call as an author would write it: `x.changes(kind="latest", by="id")`."""
        default = Changes()
        said = [
            f"{one.name}={_written(getattr(self, one.name))}"
            for one in fields(self)
            if getattr(self, one.name) != getattr(default, one.name)
        ]
        return f"{source}.changes({', '.join(said)})"


CHOICES: dict[str, tuple[str, ...]] = {
    "kind": get_args(Kind),
    "starting": get_args(Starting),
    "on_rewrite": get_args(OnRewrite),
}


def asked(**given: Any) -> Changes:
    """Return what a call of `.changes()` asks for. Raises DbxdecError with every mistake in its arguments."""
    by = given["by"]
    names = (by,) if isinstance(by, str) else () if by is None else by
    if problems := [*_unknown(given), *_keys(given["kind"], by, names)]:
        raise DbxdecError(problems)
    return Changes(**{**given, "by": tuple(names)})


def _unknown(given: Mapping[str, Any]) -> Iterator[Problem]:
    for name, known in CHOICES.items():
        if given[name] not in known:
            shown = on_one_line(given[name])
            near = did_you_mean(given[name], known) if isinstance(given[name], str) else None
            choices = " or ".join(f'{name}="{one}"' for one in known)
            yield Problem(f"`.changes()` has {name}={shown}", hint=near or f"write {choices}")
    if type(given["at_least_once"]) is not bool:
        shown = on_one_line(given["at_least_once"])
        yield Problem(f"`.changes()` has at_least_once={shown}", hint="give True or False")


def _keys(kind: Any, by: Any, names: Any) -> Iterator[Problem]:
    what = on_one_line(by)
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        yield Problem(f"`.changes()` has by={what}", hint='name the columns of the key: by="id" or by=["id", "day"]')
    elif kind == "latest" and not names:
        yield Problem(
            '`.changes(kind="latest")` does not say which columns are the key of a row', hint='name them: `by="id"`'
        )
    elif kind in ("rows", "feed") and names:
        yield Problem(
            f'`.changes(kind="{kind}")` has by={what}, but gives all rows',
            hint='leave `by=` out, or ask for the last change of each key: `kind="latest"`',
        )
    elif len(set(names)) < len(names):
        yield Problem(f"`.changes()` has by={what}", hint="name each column once")


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return f'"{value[0]}"' if len(value) == 1 else "[" + ", ".join(f'"{name}"' for name in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
