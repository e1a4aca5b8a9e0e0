"""The rows of one write that its table expects: judged once, even if the write is tried again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers import outcomes
from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta import judging
from dbxdec.io_managers.delta.expectations import EXPECT
from dbxdec.io_managers.delta.receipts import WRITE, Left
from dbxdec.io_managers.delta.spark import write
from dbxdec.io_managers.delta.spark.observing import Observed
from dbxdec.io_managers.delta.spark.staging import staged
from dbxdec.io_managers.spark_errors import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from dbxdec.io_managers.contexts import Receipt, WriteResult
    from dbxdec.io_managers.delta.spark.judging import Judge
    from dbxdec.io_managers.delta.spark.log import SparkTable
    from dbxdec.io_managers.delta.spark.marks import Marked


class JudgedRows:
    """The rows of one write into `table`, as `judge` leaves them; as they are without one."""

    def __init__(self, judge: Judge | None, table: SparkTable, receipt: Receipt) -> None:
        self._judge, self._table, self._receipt = judge, table, receipt
        self._marked: Marked | None = None
        self._stated: Mapping[str, Any] = {}
        self._observed: Observed | None = None
        self._kept = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def before_table(self, frame: Any) -> Any:
        """Return what there is to store in a table that is to be made: nothing is, if the rows can't be judged."""
        if self._judge is None:
            return frame
        if not self._judge.is_of_rows:
            return self.of(frame, once=False)
        self._judge.marked(frame)
        return frame

    def of(self, frame: Any, *, once: bool) -> Any:
        """Return the rows of `frame` that the table expects.

        `once` says that one query writes them: then they are judged by it. Otherwise, or if all rows must be known
        first, they are stored apart. Raises RunError if a condition can't be evaluated, and if rows that are stored are
        not what they must be.
        """
        if self._judge is None:
            return frame
        if self._marked is not None:  # another try: rows may have come since
            self._judge.refuse_shared(self._marked.shared)
        elif once and self._judge.is_of_rows:
            self._observed = Observed.of(self._judge.marked(frame))
            return self._observed.frame
        else:
            marked = self._judge.marked(frame)
            marked = marked.at(self._staged(marked.frame))
            self._stated = judging.facts(marked.settled())
            self._marked, self._observed = marked, None
        return self._marked.kept

    def _staged(self, frame: Any) -> Any:
        assert self._judge is not None  # noqa: S101 - the caller has looked
        try:
            return self._kept.enter_context(staged(self._table, frame, self._receipt))
        except Exception as error:
            if (broken := self._judge.broken_by(error)) is not None:
                raise broken from error
            raise

    def stating(self, receipt: Receipt) -> Receipt:
        """Return the receipt of a commit that states how the expectations came out, as far as that is known before."""
        return replace(receipt, facts={**receipt.facts, EXPECT: self._stated}) if self._stated else receipt

    def told(self, result: WriteResult, mark: str) -> WriteResult:
        """Return the result of a commit with this mark, with the numbers.

        Those that Spark tells only now are committed after it.
        """
        if self._judge is None or outcomes.is_earlier(result):
            return result
        if self._observed is None:
            return replace(result, expectations=self._stated)
        found = self._observed.outcomes()
        if found is None:
            return result
        for one in found:
            log.info("expect %s", one.text())
        self._stated = judging.facts(found)
        # By itself it has neither a key nor a position: those are in the commit of the rows.
        noted = replace(self._receipt, id=replace(self._receipt.id, key="", slot="", items=0), progress=None)
        try:
            write.add_receipt(self._table, self.stating(noted), Left("none"), **{WRITE: mark})
        except Exception as error:  # noqa: BLE001 - of Spark, or of a storage: the rows are written
            log.warning(
                "the log of %s does not say how the expectations came out: %s", self._table.uri, first_line(error)
            )
        return replace(result, expectations=self._stated)
