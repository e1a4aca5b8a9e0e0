"""Small files on object storage, read and written as text through Polars."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from dbxdec.io_managers.files.stores import STATE, LocalStore, Store, is_hidden, is_local, refused

if TYPE_CHECKING:
    import polars as pl

_MISSING = ("not found", "nosuchkey", "404")


@dataclass(frozen=True)
class ObjectStore:
    """The folder `uri` of an object storage. What Polars has no way to do there, delta-rs does."""

    uri: str
    options: dict[str, str] | None = field(repr=False)

    def read(self, name: str) -> str | None:
        import polars as pl

        try:
            lines = _lines(f"{self.uri}/{name}", self.options).collect()
        except (FileNotFoundError, pl.exceptions.NoDataError):
            return None
        except (OSError, pl.exceptions.PolarsError) as error:
            if any(mark in str(error).lower() for mark in _MISSING):
                return None
            raise refused(self.uri, "read", error) from error
        return "\n".join(lines["line"].to_list())

    def replace(self, name: str, text: str) -> None:
        import polars as pl

        self._put(name, pl.LazyFrame({"line": [text]}))

    def copy(self, place: str, name: str) -> None:
        """Put what the file at `place` holds at `name` as well: Polars has no copy of the storage's own."""
        import polars as pl

        if name.endswith(".parquet"):
            self._put(name, pl.scan_parquet(place, storage_options=self.options, glob=False))
        else:
            self._put(name, _lines(place, self.options))

    def _put(self, name: str, frame: pl.LazyFrame) -> None:
        """One object, put in one step: text whose lines are `frame`, or Parquet."""
        import polars as pl

        place, options = f"{self.uri}/{name}", self.options
        try:
            if name.endswith(".parquet"):
                frame.sink_parquet(place, storage_options=options)
            else:
                frame.sink_csv(
                    place, include_header=False, separator="\x01", quote_style="never", storage_options=options
                )
        except (OSError, pl.exceptions.PolarsError) as error:
            raise refused(self.uri, "written", error) from error

    def remove(self, name: str) -> None:
        with suppress(Exception):  # without the permission what is replaced stays, and takes nothing but room
            from deltalake._internal import DeltaFileSystemHandler

            scheme, _, path = self.uri.partition("://")
            DeltaFileSystemHandler(f"{scheme}://{quote(path)}", self.options).delete_dir(name)

    def has_data(self) -> None:
        """It can't tell."""


def _lines(place: str, options: dict[str, str] | None) -> pl.LazyFrame:
    """A file's lines as they are, in one column."""
    import polars as pl

    return pl.scan_csv(
        place,
        has_header=False,
        separator="\x01",
        quote_char=None,
        schema={"line": pl.String()},
        empty_string_is_null=False,
        storage_options=options,
        glob=False,
    )


def at(uri: str, options: dict[str, str] | None) -> Store:
    """The store of a target; its `options` are a copy of its own."""
    uri = uri.rstrip("/")
    return LocalStore(uri) if is_local(uri) else ObjectStore(uri, options)


def show(place: str, store: Store, name: str) -> None:
    """Have the file at `place` at `name` of the store too, there in one step; without a copy where links will do."""
    if isinstance(store, ObjectStore):
        store.copy(place, name)
    elif isinstance(store, LocalStore):
        try:
            with store.replacing(name) as beside:
                source = LocalStore(place).folder
                try:
                    os.link(source, beside)
                except OSError:  # mounts such as /Volumes have no links
                    shutil.copyfile(source, beside)
        except OSError as error:
            raise refused(store.uri, "written", error) from error


def foreign(place: str) -> str | list[str]:
    """Files of somebody else at `place`, without what dbxdec has put beside them, as Polars reads them."""
    folder = LocalStore(place).folder
    if not is_local(place) or not (folder / STATE).is_dir():
        return place
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [str(path) for path in files if not any(map(is_hidden, path.relative_to(folder).parts))]
