"""Small files on object storage, read and written as text files through Polars."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING
from urllib.parse import quote

from dbxdec.errors import RunError
from dbxdec.io_managers.files.stores import LocalStore, Store, is_hidden, is_local, refused
from dbxdec.records import dataclass

if TYPE_CHECKING:
    import polars as pl

# Polars 1.44 raises OSError for every refusal. The letters of a path or a port must not decide.
_MISSING = re.compile(r"(object-store error: )?Object at location .* not found: ", re.DOTALL)


@dataclass(frozen=True)
class ObjectStore:
    """The folder `uri` of an object storage. delta-rs does what Polars can't do there."""

    uri: str
    options: dict[str, str] | None = field(repr=False)

    def read(self, name: str) -> str | None:
        import polars as pl

        try:
            lines = _lines(f"{self.uri}/{name}", self.options).collect()
        except (FileNotFoundError, pl.exceptions.NoDataError):
            return None
        except (OSError, pl.exceptions.PolarsError) as error:
            if _MISSING.match(str(error)):
                return None
            raise refused(self.uri, "read", error) from error
        return "\n".join(lines["line"].to_list())

    def replace(self, name: str, text: str) -> None:
        import polars as pl

        self._put(name, pl.LazyFrame({"line": [text]}))

    def copy(self, place: str, name: str) -> None:
        """Put the content of the file at `place` at `name` as well. Polars has no copy operation of the storage."""
        import polars as pl

        if name.endswith(".parquet"):
            self._put(name, pl.scan_parquet(place, storage_options=self.options, glob=False))
        else:
            self._put(name, _lines(place, self.options))

    def _put(self, name: str, frame: pl.LazyFrame) -> None:
        """Write one object in one step: a text file whose lines are `frame`, or Parquet."""
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
        with suppress(Exception):  # without the permission, replaced data stays and only takes up space
            from deltalake._internal import DeltaFileSystemHandler

            scheme, _, path = self.uri.partition("://")
            DeltaFileSystemHandler(f"{scheme}://{quote(path)}", self.options).delete_dir(name)

    def has_data(self, below: str = "") -> None:
        """Return None: the storage can't tell."""


def _lines(place: str, options: dict[str, str] | None) -> pl.LazyFrame:
    """Return the unparsed lines of a file in one column."""
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
    """Return the store of a target. `options` must be a copy that the store may keep.

    Raises RunError for a path that begins with `~`: Polars would put the data into the home folder, away from receipts.
    """
    uri = uri.rstrip("/")
    if uri.split("/", 1)[0] == "~":
        raise RunError(
            f"{uri} is no place for files: ~ is the home folder to Polars alone",
            hint="give the path itself, such as /home/me/lake, or one relative to the folder of the run",
        )
    return LocalStore(uri) if is_local(uri) else ObjectStore(uri, options)


def show(place: str, store: Store, name: str) -> None:
    """Make the file at `place` available at `name` of the store, in one step, without a copy if links are possible."""
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
    """Return the files of another program at `place` for Polars to read, without those that readers of data skip.

    Their names begin with `_` or `.`: files that a writer has not committed, marks of success, and dbxdec's own.
    """
    folder = LocalStore(place).folder
    if not is_local(place) or not folder.is_dir():
        return place
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    shown = [str(path) for path in files if not any(map(is_hidden, path.relative_to(folder).parts))]
    return place if len(shown) == len(files) else shown
