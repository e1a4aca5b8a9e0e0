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
    """Where a secret is kept. It never holds the value, so no text of it can show that."""

    scope: str
    key: str

    @forgiving(giving("?"))
    def __str__(self) -> str:
        raise TypeError(
            f"{self!r} has no value while the pipeline is defined: pass it as it is, not inside an f-string"
        )

    @property
    def reference(self) -> str:
        """How the platform's own fields spell it (docs.databricks.com, "Use a secret in a Spark configuration")."""
        return f"{{{{secrets/{self.scope}/{self.key}}}}}"

    @property
    def variable(self) -> str:
        """The environment variable that stands for it where there is no platform."""
        return masking.VARIABLE + re.sub(r"\W", "_", f"{self.scope}_{self.key}").upper()

    def value(self) -> str:
        """The secret itself, from the environment or from the platform. Raises RunError where neither has it."""
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
    """A secret, resolved when a task runs: for arguments of IoManagers and tasks, and for settings.

    On a laptop its value comes from the environment variable DBXDEC_SECRET_<SCOPE>_<KEY>. Raises ValueError for an
    empty scope or key, or one with characters that the platform does not take.
    """
    for name, text in (("scope", scope), ("key", key)):
        if not isinstance(text, str) or not re.fullmatch(r"[\w.@-]+", text):
            raise ValueError(f"{text!r} can't be the {name} of a secret: letters, digits, `_`, `-`, `.` and `@` only")
    return Secret(scope, key)
