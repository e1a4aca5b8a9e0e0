"""Secrets: values that exist only while a task runs, and never in a manifest, resource, log or repr."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, listed
from dbxdec.model.mistakes import UNSAID, forgiving, giving, is_wiring
from dbxdec.platform.dbutils import find_dbutils
from dbxdec.records import dataclass
from dbxdec.support import environment, masking
from dbxdec.support.patterns import pattern
from dbxdec.support.secret_forms import Whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbxdec.errors import SourceLocation

_SHORTEST_LEAK = 8
_PART = pattern(r"[\w.@-]+")
# The secrets that this process knows, by the variable of their value, and then by the name that the platform sees.
_named: dict[str, dict[str, Secret]] = {}
# The secrets that this process has read, by value.
_used: dict[str, Secret] = {}


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret, as `secret(scope, key)` returns it. It never holds the value.

    A task that receives one as an argument gets the value, a string.

    Attributes:
        scope: The secret scope.
        key: The key in the scope.

    Example:
        ```python
        from dbxdec import secret

        assert secret("vault", "api-key").variable == "DBXDEC_SECRET_VAULT_API_KEY"
        ```
    """

    scope: str
    key: str

    @forgiving(giving(UNSAID))
    def __str__(self) -> str:
        raise TypeError(
            f"{self!r} has no value while the pipeline is defined: pass it as it is, not inside an f-string"
        )

    @forgiving()
    def _not_a_string(self, *_: object) -> Any:
        raise TypeError(
            f"{self!r} is used as a string, which it is not: pass it to a task as it is, which gets the value; or call "
            "`.value()` inside a task"
        )

    __add__ = __radd__ = _not_a_string

    @property
    def reference(self) -> str:
        """The secret as the platform's own fields spell it: `{{secrets/scope/key}}`."""
        return f"{{{{secrets/{self.scope}/{self.key}}}}}"

    @property
    def name(self) -> str:
        """The secret as `scope/key`, whose case the platform ignores (docs.databricks.com, "Secret management")."""
        return f"{self.scope}/{self.key}".lower()

    @property
    def variable(self) -> str:
        """The environment variable that holds the value where there is no platform."""
        return masking.VARIABLE + re.sub(r"\W", "_", f"{self.scope}_{self.key}").upper()

    @property
    def own_variable(self) -> str:
        """The environment variable that no other secret has: a shell can't export it, but `env` and Python can."""
        return masking.VARIABLE + self.name

    def from_environment(self) -> str | None:
        """Return the value from the environment, None where it has none.

        Raises:
            RunError: The variable holds a value, and is that of another secret as well.
        """
        if (found := environment.get(self.own_variable)) is None:
            _remember(self)
            found = environment.get(self.variable)
            if found is not None and (problem := _mixed_up(self.variable)) is not None:
                raise RunError(problem)
        return found

    @forgiving(giving(UNSAID))
    def value(self) -> str:
        """Return the secret itself, from the environment or from the platform.

        Raises:
            RunError: A pipeline is being defined: the value would be in the wheel and in the job. Or neither has it, or
                the job's identity may not read it; or the variable in the environment is that of another secret as
                well.
        """
        if is_wiring():
            raise RunError(
                f"the secret `{self.key}` of the scope `{self.scope}` is read while the pipeline is defined: the wheel "
                "and the job would show it to everybody who may read them",
                hint="pass the secret itself, `secret(...)`, to a task or an IoManager, which read it in the run; or "
                "read it inside a task",
            )
        if (found := self.from_environment()) is not None:
            return self._used(found)
        dbutils = find_dbutils()
        if dbutils is None:
            raise RunError(
                f"the secret `{self.key}` of the scope `{self.scope}` has no value on this machine",
                hint=f"set {self.variable} in the environment",
            )
        try:
            found = str(dbutils.secrets.get(scope=self.scope, key=self.key))
        except Exception as error:  # noqa: BLE001 - dbutils raises what its transport raises
            raise RunError(
                f"the secret `{self.key}` of the scope `{self.scope}` can't be read: {type(error).__name__}",
                hint="check that scope and key exist and that the job's identity may read them",
            ) from None
        return self._used(found)

    def _used(self, value: str) -> str:
        masking.learn(value)
        _used[value] = self
        return value


@forgiving(giving(Secret("unknown", "unknown")))
def secret(scope: str, key: str) -> Any:
    """Return a secret that is resolved when a task runs.

    Use it as an argument of an IoManager or of a task, and in settings. It is in no manifest, job definition, log or
    report. On a laptop its value comes from the environment variable `DBXDEC_SECRET_<SCOPE>_<KEY>`: capital letters,
    and `_` for all but letters and digits. Secrets that would share one are read from `DBXDEC_SECRET_<scope>/<key>`, in
    small letters.

    Args:
        scope: The secret scope: letters, digits, `_`, `-`, `.` and `@`.
        key: The key in the scope, of the same characters.

    Returns:
        The secret: for a type checker it fits wherever its value would.

    Raises:
        ValueError: The scope or the key is empty, or has other characters.

    Example:
        ```python
        from dbxdec import job, secret, task


        @task
        def fetch(token: str) -> int: ...


        @job
        def daily() -> None:
            fetch(secret("vault", "api-key"))
        ```
    """
    for name, text in (("scope", scope), ("key", key)):
        if not isinstance(text, str) or not _PART.fullmatch(text):
            raise ValueError(f"{text!r} can't be the {name} of a secret: letters, digits, `_`, `-`, `.` and `@` only")
    return _remember(Secret(scope, key))


def named(name: str) -> Secret | None:
    """Return the secret called `scope/key`; None for other names."""
    scope, slash, key = name.partition("/")
    return Secret(scope, key) if slash and _PART.fullmatch(scope) and _PART.fullmatch(key) else None


def mixed_up() -> list[Problem]:
    """Return problems of variables that hold a value here, although several secrets of this process have them."""
    problems = (_mixed_up(variable) for variable in sorted(_named) if variable in os.environ)
    return [problem for problem in problems if problem is not None]


def leaked(jobs: Mapping[str, Any], places: Mapping[str, SourceLocation]) -> list[Problem]:
    """Return problems of jobs, in their form for the manifest, that have the value of a secret of this machine.

    It is found as it is, escaped as in JSON, `repr` or URLs, and in base64 or hex. `places` says
    where each job is. Values of less than eight characters may be there for other reasons.
    """
    values = {name: Whole(text) for name in masking.variables() if _can_leak(text := os.environ[name].strip())}
    if not values:
        return []
    return [
        Problem(
            f"the job `{job}` has the value of the secret in {name} (`{place}`): the wheel and the job would show it "
            "to everybody who may read them",
            places.get(job),
            "pass `secret(scope, key)` to a task or an IoManager, which read it in the run",
            (job,),
        )
        for job, form in jobs.items()
        for name, value in values.items()
        if (place := _place_of(value, form, "")) is not None
    ]


def contained(form: Any) -> str | None:
    """Return in words which secret's value is in a string of a JSON value, None if none is.

    Values of less than eight characters may be there for other reasons.
    """
    known = [value for value in masking.values() if _can_leak(value.strip())]
    if not known:
        return None
    strings = list(_strings(form))
    value = next((value for value in known if any(map(Whole(value.strip()).is_in, strings))), None)
    return None if value is None else _in_words(value)


def _strings(form: Any) -> Iterator[str]:
    match form:
        case str():
            yield form
        case list() | tuple():
            for item in form:
                yield from _strings(item)
        case dict():
            for key, item in form.items():
                yield str(key)
                yield from _strings(item)
        case int() | float() if not isinstance(form, bool):
            yield f"{form}"


def _can_leak(value: str) -> bool:
    return len(value) >= _SHORTEST_LEAK


def _in_words(value: str) -> str:
    secret = _used.get(value)
    variable = next((name for name in masking.variables() if os.environ[name] == value), "")
    if secret is None and variable:
        named_so = _named.get(variable, {})
        secret = next(iter(named_so.values())) if len(named_so) == 1 else named(variable[len(masking.VARIABLE) :])
    if secret is not None:
        return f"the secret `{secret.key}` of the scope `{secret.scope}`"
    return f"the secret in {variable}" if variable else "a secret"


def _place_of(value: Whole, form: Any, path: str) -> str | None:
    """Return the path of the first string, number or key in `form` that has `value`; that of a key is its object's."""
    if isinstance(form, str):
        return path if value.is_in(form) else None
    if isinstance(form, int | float):
        return path if value.is_in(str(form)) else None
    if isinstance(form, dict):
        if any(value.is_in(key) for key in form):
            return path
        inside: Iterable[tuple[object, Any]] = form.items()
    else:
        inside = enumerate(form) if isinstance(form, list | tuple) else ()
    places = (_place_of(value, one, f"{path}.{key}" if path else str(key)) for key, one in inside)
    return next((place for place in places if place is not None), None)


def known() -> dict[str, dict[str, Secret]]:
    """Return a copy of what this process knows about secrets, for `restore`."""
    return {variable: dict(secrets) for variable, secrets in _named.items()}


def restore(before: dict[str, dict[str, Secret]]) -> None:
    """Forget the secrets that were named since `before`."""
    _named.clear()
    _named.update(before)


def _remember(secret: Secret) -> Secret:
    _named.setdefault(secret.variable, {}).setdefault(secret.name, secret)
    return secret


def _mixed_up(variable: str) -> Problem | None:
    """Return the problem of a variable that several secrets would be read from, unless each has a value of its own."""
    secrets = sorted(_named[variable].values(), key=lambda secret: secret.name)
    if len(secrets) == 1 or all(environment.get(secret.own_variable) is not None for secret in secrets):
        return None
    names = listed([f"{secret.scope}/{secret.key}" for secret in secrets])
    own = listed([secret.own_variable for secret in secrets])
    return Problem(
        f"the environment variable {variable} would be the value of several secrets: {names}",
        hint=f"unset it, and set {own} instead: `env '{secrets[0].own_variable}=...' COMMAND`",
    )
