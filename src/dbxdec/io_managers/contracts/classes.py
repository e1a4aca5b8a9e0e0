"""The structure that the class of a contract asks for, by its library."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError

if TYPE_CHECKING:
    from dbxdec.io_managers.contracts.structure import Structure
    from dbxdec.model.contracts import Contract


def of(contract: Contract) -> Structure:
    """Return what a contract asks for. Raises RunError if its class can't say it."""
    if contract.refusal or contract.is_absent:
        why = contract.refusal or f"needs {contract.library}, which is not installed here"
        raise RunError(f"the contract `{contract.title}` {why}")
    return _of(contract, contract.schema)


@lru_cache(256)
def _of(contract: Contract, schema: Any) -> Structure:  # noqa: ARG001 - two classes may have one name
    if contract.library == "pandera":
        from dbxdec.io_managers.contracts import of_pandera

        return of_pandera.structure(contract)
    from dbxdec.io_managers.contracts import of_dataframely

    return of_dataframely.structure(contract)
