"""The numbers of rows that met their conditions, as Spark tells them of a query while that writes the rows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.base import log
from dbxdec.io_managers.spark_errors import first_line
from dbxdec.io_managers.spark_session import is_connect
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from dbxdec.io_managers.delta.judging import Outcome
    from dbxdec.io_managers.delta.spark.marks import Marked

# The numbers come by a queue of events, which Spark fills while the write is still under way.
_LONGEST_S = 30


@dataclass(frozen=True)
class Observed:
    """The rows of a write that its table expects: `frame` is to be written, by one query."""

    marked: Marked
    frame: Any
    observation: Any

    @classmethod
    def of(cls, marked: Marked) -> Observed:
        observation = _observation(marked.frame)
        seen = marked.frame.observe(observation, *marked.counts())
        return cls(marked, marked.at(seen).guarded(), observation)

    def outcomes(self) -> list[Outcome] | None:
        """Return how the expectations came out, once the rows are written; None if Spark doesn't tell it."""
        row = self._row()
        if not row:
            log.warning(
                "Spark doesn't tell how the expectations of %s came out, though the rows are judged",
                self.marked.judge.uri,
            )
            return None
        # Spark 3.5 tells them in no order.
        return self.marked.came_out([row[f"c{i}"] for i in range(len(row))], lambda _: 0)

    def _row(self) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def ask() -> None:
            try:
                found.append(dict(self.observation.get))
            except Exception as error:  # noqa: BLE001 - of Spark: the rows are written
                log.debug("no numbers were observed: %s", first_line(error))

        if is_connect(self.frame):
            ask()
        else:
            # It waits for ever where the optimizer has seen that there are no rows to look at.
            asking = threading.Thread(target=ask, daemon=True)
            asking.start()
            asking.join(_LONGEST_S)
        return found[0] if found else {}


def _observation(frame: Any) -> Any:
    if is_connect(frame):
        from pyspark.sql.connect.observation import Observation
    else:
        from pyspark.sql import Observation  # type: ignore[assignment]
    return Observation()
