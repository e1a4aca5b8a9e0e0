"""Docstrings as the descriptions of jobs and tasks, within the platform's limits."""

from __future__ import annotations

from dbxdec.model.dag import summary

# docs.databricks.com, the Jobs API's reference: of a job "27700 characters in UTF-8", of a task 1,000.
_MAX_OF_JOB = 27_700
_MAX_OF_TASK = 1_000


def of_job(doc: str | None) -> dict[str, str]:
    """Return the description field of a job: its whole docstring `doc`; empty without a docstring."""
    return _field(doc, _MAX_OF_JOB)


def of_task(doc: str | None) -> dict[str, str]:
    """Return the description field of a task: the first paragraph of its docstring `doc`; empty without a docstring."""
    return _field(summary(doc), _MAX_OF_TASK)


def _field(text: str | None, most: int) -> dict[str, str]:
    if not text:
        return {}
    # A bundle would resolve `${...}`, or fail during a deploy, and has no escape for it.
    return {"description": _shortened(text.replace("${", "$ {"), most)}


def _shortened(text: str, most: int) -> str:
    """Return `text` in at most `most` bytes of UTF-8; a longer one is cut and ends with three dots."""
    content = text.encode()
    return text if len(content) <= most else content[: most - 3].decode(errors="ignore").rstrip() + "..."
