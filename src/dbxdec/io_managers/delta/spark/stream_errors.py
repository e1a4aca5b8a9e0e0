"""The cause of a stream's failure: Spark's own error names the query, and has the cause somewhere below."""

from __future__ import annotations

from typing import Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta.spark import equal_keys
from dbxdec.io_managers.delta.spark.batches import FAILED
from dbxdec.io_managers.spark_causes import messages_of, parts_of, raised_in, said
from dbxdec.io_managers.spark_session import explained, is_conflict, text_of
from dbxdec.records import dataclass

# Spark's words where two streams have written one batch of a checkpoint, and where one of this JVM is at work.
_WROTE_TOO = ("CONCURRENT_STREAM_LOG_UPDATE", "Multiple streaming jobs detected")
_AT_WORK = ("another query with same id is already active", "CONCURRENT_QUERY")


@dataclass(frozen=True)
class Failure:
    """The reason why a stream ended, as the messages of Spark's error and of its causes, the outermost first."""

    error: BaseException
    messages: tuple[str, ...]

    @classmethod
    def of(cls, error: BaseException, query: Any = None) -> Failure:
        """Return what `error` says, and what the `query` has kept of it."""
        found = messages_of(error)
        if query is not None:
            try:
                kept = query.exception()  # over Connect it has all of the server's messages
            except Exception:  # noqa: BLE001 - the session may have ended
                kept = None
            if kept is not None and text_of(kept) not in found:
                found.append(text_of(kept))
        return cls(error, tuple(found))

    @property
    def text(self) -> str:
        return "\n".join(self.messages)

    @property
    def is_conflict(self) -> bool:
        """True if another writer of the table was faster."""
        return is_conflict(self.error) or any(is_conflict(part) for part in parts_of(self.messages))

    @property
    def has_other_writer(self) -> bool:
        """True if another stream has written a batch of the checkpoint too, or is at work with it."""
        return self.is_at_work or any(sign in self.text for sign in _WROTE_TOO)

    @property
    def is_at_work(self) -> bool:
        """True if another stream of this JVM is at work with the checkpoint."""
        return any(sign in self.text for sign in _AT_WORK)

    @property
    def has_not_begun(self) -> bool:
        """True if a server's process for the batches was too slow to start: Spark gives it ten seconds."""
        return "Python worker failed to connect back" in self.text

    def told(self, uri: str, task: str) -> RunError:
        """Return the error in one sentence, with the traceback of the task's own code if that raised it."""
        if FAILED in self.text:
            why = self.text.partition(FAILED)[2].splitlines()[0]
            return RunError(
                f"the stream of the task `{task}` into {uri} was stopped: {why}",
                hint="nothing is lost: the later attempt merges the rows",
            )
        parts = list(parts_of(self.messages))
        if any(equal_keys.is_told(part) for part in parts):
            return RunError(
                f"a batch of the stream of the task `{task}` has rows with equal keys; keys of a DeltaMerge must be "
                "unique",
                hint="keep one row for each key, or merge on more columns; batches before it are merged",
            )
        for part in reversed(parts):
            if (known := explained(part, uri, "write")) is not None:
                return known
        if (raised := raised_in(self.messages)) is not None:
            return RunError(
                f"the stream of the task `{task}` into {uri} failed in the task's own code: {raised}",
                hint="batches before it are stored; a retry goes on with this one",
            )
        return RunError(
            f"the stream of the task `{task}` into {uri} failed: {said(self.messages[-1])}",
            hint="batches before it are stored, and a retry goes on with this one; a stream whose sources have changed "
            "needs a new checkpoint",
        )
