"""The last change of each key, of a frame with the columns of a change data feed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.io_managers.delta import source_commits
from dbxdec.io_managers.polars_frames import named, watched
from dbxdec.model.changes import CHANGE, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from dbxdec.io_managers.contexts import InputContext

_GONE = ("delete", "update_preimage")


def of(frame: pl.LazyFrame, by: Sequence[str], context: InputContext) -> pl.LazyFrame:
    """Return the last change of each key. A row that a commit deletes and adds again is there after it.

    A row whose key an update has changed is gone under the old one: only the image of before the update has that.
    """
    import polars as pl

    free = "_" * (max(map(len, frame.collect_schema())) + 1)
    order, newest, several = f"{free}o", f"{free}n", f"{free}s"
    keys = [f"{free}k{number}" for number in range(len(by))]
    stays = ~pl.col(CHANGE).is_in(_GONE)
    kept = frame.with_columns(
        (pl.col(VERSION) * 2 + stays).alias(order),
        pl.when(stays).then(pl.col(CHANGE)).otherwise(pl.lit("delete")).alias(CHANGE),
        *(named(name).alias(key) for name, key in zip(by, keys, strict=True)),
    )
    last = kept.group_by(keys).agg(
        pl.col(order).max().alias(newest),
        ((pl.col(order) == pl.col(order).max()) & (pl.col(CHANGE) != "delete")).sum().alias(several),
    )
    rows = kept.join(last, left_on=[*keys, order], right_on=[*keys, newest], how="inner", nulls_equal=True)

    def check(data: pl.DataFrame) -> pl.DataFrame:
        if (twice := data.filter(pl.col(several) > 1).head(1)).height:
            key = ", ".join(f"{name}={twice[name][0]!r}" for name in by)
            raise source_commits.several(context, key, twice[VERSION][0])
        return data

    # A commit may delete several rows of a key: it is gone.
    return watched(rows, check).lazy().unique(subset=keys, keep="any")
