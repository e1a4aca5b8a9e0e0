"""Secrets: values that exist only while a task runs, and never in a manifest, resource, log or repr."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from dbxdec.errors import RunError
from dbxdec.model.mistakes import forgiving, giving
from dbxdec.platform.dbutils import find_dbutils
from dbxdec.support import masking


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is kept: what `secret(scope, key)` returns. It never holds the value.

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

    @forgiving(giving("?"))
    def __str__(self) -> str:
        raise TypeError(
            f"{self!r} has no value while the pipeline is defined: pass it as it is, not inside an f-string"
        )

    @property
    def reference(self) -> str:
        """The secret as the platform's own fields spell it: `{{secrets/scope/key}}`."""
        return f"{{{{secrets/{self.scope}/{self.key}}}}}"

    @property
    def variable(self) -> str:
        """The environment variable that holds the value where there is no platform."""
        return masking.VARIABLE + re.sub(r"\W", "_", f"{self.scope}_{self.key}").upper()

    def value(self) -> str:
        """Return the secret itself, from the environment or from the platform.

        Raises:
            RunError: Neither has it, or the job's identity may not read it.
        """
        if (found := os.environ.get(self.variable)) is not None:
            masking.learn(found)
            return found
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
        masking.learn(found)
        return found


@forgiving(giving(Secret("unknown", "unknown")))
def secret(scope: str, key: str) -> Any:
    """Return a secret that is resolved when a task runs.

    Use it as an argument of an IoManager or of a task, and in settings. It is in no manifest, job definition, log or
    report. On a laptop its value comes from the environment variable `DBXDEC_SECRET_<SCOPE>_<KEY>`: capital letters,
    and `_` for all but letters and digits.

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
        if not isinstance(text, str) or not re.fullmatch(r"[\w.@-]+", text):
            raise ValueError(f"{text!r} can't be the {name} of a secret: letters, digits, `_`, `-`, `.` and `@` only")
    return Secret(scope, key)
