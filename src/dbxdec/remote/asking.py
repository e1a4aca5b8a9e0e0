"""The question which keys the tables have, to the platform: a one-time run of the deployed wheel reads the logs there.

So tables are told of that a laptop can't open, such as those of Unity Catalog.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.model.protocol import KEYS, VARIABLE, one_time_parameters
from dbxdec.runtime import survey

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbxdec.remote.states import Deployed
    from dbxdec.remote.workspace import Workspace

_OLDER = "is not known to this dbxdec"


def keys_there(deployed: Deployed, workspace: Workspace, tell: Callable[[str], object]) -> dict[str, Any]:
    """Return the answer of `survey.answer`, by the deployed wheel; `tell` hears the address of its run.

    Raises RunError where it does not tell.
    """
    named = {
        KEYS: "all",
        **one_time_parameters(workspace.id(), dt.datetime.now(dt.UTC)),
        **{VARIABLE + name: text for name, text in deployed.variables.items()},
    }
    succeeded, printed, why = workspace.ask_keys(deployed.id, named, tell)
    if succeeded and (found := survey.read(printed)) is not None:
        return found
    if _OLDER in printed:
        raise RunError("the deployed wheel has an older dbxdec, whose tasks can't tell", hint="deploy the tree")
    raise RunError(f"the task that was to tell has failed: {why}" if not succeeded else "the task's answer is cut off")
