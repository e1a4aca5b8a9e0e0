"""Starts a Spark session where one is missing: quietly if all is well, with the true cause if it does not start."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.base import log
from dbxdec.io_managers.spark_errors import condition, first_line
from dbxdec.model import places
from dbxdec.support import digests
from dbxdec.support.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

_DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
_DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
_PACKAGES = "spark.jars.packages"
_STDERR = 2
_STARTED = b"\x00dbxdec: Spark has started\x00"
_LONGEST_WAIT = 600.0
"""Seconds after which a start no longer waits for another: that one may hang for good."""

# What decides where Ivy looks for jars, and where it keeps them.
_OF_IVY = ("HOME", "SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
_IVY_JARS = re.compile(r"^The jars for the packages stored in: (.+?)\s*$", re.MULTILINE)
_NO_JAVA = re.compile(
    r"^.*(?:JAVA_HOME is not set|[/\\]java(?:\.exe)?: (?:No such file|not found|Permission denied)|"
    r"UnsupportedClassVersionError|Unrecognized (?:VM )?option).*$",
    re.MULTILINE,
)
_UNRESOLVED = re.compile(r"\[(?:unresolved dependency|download failed): ([^\],]+)")
_EXCEPTION = re.compile(r'^Exception in thread "[^"]*" (.+)$|^Error: (.+)$', re.MULTILINE)
_JAVA = "Spark needs Java 17 or newer: install it, and let JAVA_HOME name its folder"
_JARS = (
    "the first start fetches them from Maven Central, or from what `spark.jars.repositories` or "
    "`spark.jars.ivySettings` names: it needs the network once"
)
_ABOVE = "what Spark printed is above"


# Spark's own defaults are for clusters: on a laptop they make hundreds of tasks of a few rows, and draw bars into logs.
_OF_A_LAPTOP = {
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
    "spark.ui.showConsoleProgress": "false",
}


def has_databricks_connect() -> bool:
    """Return whether Spark runs in a workspace, through Databricks Connect. On the platform itself it does not."""
    if places.is_databricks():
        return False
    try:
        return find_spec("databricks.connect") is not None
    except (ImportError, ValueError):  # there is no `databricks`, or it is something else
        return False


def of_databricks_connect() -> Any:
    """Return the session of Databricks Connect. Raises RunError if it is not configured, or can't be imported."""
    try:
        connect: Any = import_module("databricks.connect")
        builder = connect.DatabricksSession.builder
    except Exception as error:  # it may be of another Python, or of other versions of its dependencies
        raise RunError(
            f"Databricks Connect is installed, but can't be imported: {first_line(error)}",
            hint="install the databricks-connect of this Python and of the compute's runtime, in an environment "
            "without pyspark; without Databricks Connect, Spark runs on this machine",
        ) from error
    try:
        return builder.getOrCreate()
    except Exception as error:
        raise RunError(
            f"Databricks Connect has no session: {first_line(error)}",
            hint="say which workspace and which compute: `databricks auth login` or DATABRICKS_HOST and "
            "DATABRICKS_TOKEN, and DATABRICKS_CLUSTER_ID, or DATABRICKS_SERVERLESS_COMPUTE_ID=auto",
        ) from error


def of_pyspark(builder: Any) -> Any:
    """Return the session of `builder`, a new one outside of Databricks with Delta if delta-spark is installed.

    Raises RunError if Spark does not start.
    """
    if places.is_databricks():
        return _session(builder, "")
    # Spark takes the `python3` on PATH, and refuses one of another version.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if not {"SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED"}.isdisjoint(os.environ):
        return _session(builder, "")
    if find_spec("delta") is not None and find_spec("importlib_metadata"):
        from delta import configure_spark_with_delta_pip

        builder = configure_spark_with_delta_pip(
            builder.config("spark.sql.extensions", _DELTA_EXTENSION).config(
                "spark.sql.catalog.spark_catalog", _DELTA_CATALOG
            )
        )
    for name, value in _for_a_laptop().items():
        builder = builder.config(name, value)
    of_connect = os.environ.get("SPARK_API_MODE", "").lower() == "connect"  # then Spark starts a server of its own
    return _session(builder, "" if of_connect else _launch(dict(getattr(builder, "_options", {}))))


def _for_a_laptop() -> dict[str, str]:
    """Return settings for a Spark on this machine, as far as its own configuration says nothing."""
    said = f"{_defaults()} {os.environ.get('PYSPARK_SUBMIT_ARGS', '')}"
    master = re.search(r"(?:spark\.master[\s=]+|--master\s+)(\S+)", said)
    if master is not None and not master[1].startswith("local"):
        return {}
    return {name: value for name, value in _OF_A_LAPTOP.items() if name not in said}


def _session(builder: Any, said: str) -> Any:
    try:
        return builder.getOrCreate()
    except Exception as error:
        raise _not_started(error, said) from error


def _launch(options: dict[str, str]) -> str:
    """Start the JVM of this process, if it has none. Return what the JVM printed.

    Raises RunError if the JVM does not start: only then it shows what Ivy and the JVM have printed.
    """
    try:
        from pyspark import SparkConf, SparkContext
        from pyspark.java_gateway import launch_gateway
    except ImportError:
        return ""  # a client of Spark Connect alone
    with SparkContext._lock:
        if SparkContext._gateway is not None:
            return ""
        conf = SparkConf()
        for name, value in options.items():
            conf.set(name, value)
        with _resolving(options.get(_PACKAGES)) as resolved:
            output = _Output()
            try:
                gateway = launch_gateway(conf, {"stderr": output.descriptor})  # type: ignore[no-untyped-call]
            except Exception as error:
                said = output.end()
                print(said, end="", file=sys.stderr, flush=True)
                raise _not_started(error, said) from error
            said = output.pass_on()
            resolved(said)
        SparkContext._ensure_initialized(gateway=gateway)
    return said


class _Output:
    """The stderr of a JVM: kept until it has started, passed on to this process's stderr from then on."""

    def __init__(self) -> None:
        self._read, self.descriptor = os.pipe()
        self._kept = b""
        self._is_kept = threading.Event()
        threading.Thread(target=self._pump, name="dbxdec-spark", daemon=True).start()

    def _pump(self) -> None:
        started = False
        while data := os.read(self._read, 65536):
            if not started:
                self._kept += data
                kept, mark, data = self._kept.partition(_STARTED)
                if not mark:
                    continue
                self._kept, started = kept, True
                self._is_kept.set()
            with suppress(OSError):
                while data:
                    data = data[os.write(_STDERR, data) :]
        os.close(self._read)
        self._is_kept.set()

    def pass_on(self) -> str:
        """Pass on what the JVM prints from now on, and return what it has printed so far."""
        os.write(self.descriptor, _STARTED)
        return self.end()

    def end(self) -> str:
        """Return what the JVM has printed."""
        os.close(self.descriptor)
        self._is_kept.wait(5)
        return self._kept.decode(errors="replace")


@contextmanager
def _resolving(packages: str | None) -> Iterator[Any]:
    """Let one process at a time fetch jars into Ivy's cache, which several at once would damage.

    Yields a function that takes what the JVM has printed, for later starts, which need not wait.
    """
    if packages is None:
        yield lambda _: None
        return
    folder = Path(tempfile.gettempdir(), f"dbxdec-spark-{getattr(os, 'getuid', lambda: 'user')()}")
    own = [packages, *(os.environ.get(name, "") for name in _OF_IVY), _defaults()]
    note = folder / f"{digests.of_text(json.dumps(own))[:32]}.jars"

    def resolved(said: str) -> None:
        if found := _IVY_JARS.search(said):
            with suppress(OSError):
                note.write_text(found[1], encoding="utf-8")

    with _locked(folder, note, packages):
        yield resolved


@contextmanager
def _locked(folder: Path, note: Path, packages: str) -> Iterator[None]:
    if _has_jars(note, packages):
        yield
        return
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        file = (folder / "lock").open("a")
    except OSError:  # nothing can be locked here
        yield
        return
    with file:
        until, is_told = time.monotonic() + _LONGEST_WAIT, False
        while not try_lock(file.fileno()) and time.monotonic() < until:
            if not is_told:
                log.info("waiting for another task, which fetches the jars of Delta")
                is_told = True
            time.sleep(0.1)
        if _has_jars(note, packages):
            file.close()  # it has been done meanwhile
        yield


def _has_jars(note: Path, packages: str) -> bool:
    """Return whether Ivy has fetched `packages` before, and still has them, in the folder that `note` holds."""
    try:
        folder = Path(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    parts = [package.split(":") for package in packages.split(",")]
    return all(len(p) == 3 and (folder / f"{p[0]}_{p[1]}-{p[2]}.jar").is_file() for p in parts)


def _defaults() -> str:
    """Return the settings of this machine's Spark, which may name another cache or other repositories."""
    home = os.environ.get("SPARK_CONF_DIR") or os.path.join(os.environ.get("SPARK_HOME", ""), "conf")
    with suppress(OSError):
        return Path(home, "spark-defaults.conf").read_text(encoding="utf-8", errors="replace")
    return ""


def _not_started(error: Exception, said: str) -> RunError:
    message, hint = _cause(error, said)
    return RunError(f"Spark does not start: {message}", hint=hint)


def _cause(error: Exception, said: str) -> tuple[str, str | None]:
    """Return why Spark does not start, from the error and from what the JVM printed before it, with a hint."""
    if isinstance(error, OSError) and error.filename is not None:
        hint = (
            "SPARK_HOME names a folder without Spark: unset it, or correct it" if "SPARK_HOME" in os.environ else None
        )
        return f"{error.strerror}: {error.filename}", hint
    if condition(error) != "JAVA_GATEWAY_EXITED":
        return first_line(error), None
    if found := _NO_JAVA.search(said):
        return found[0].strip(), _JAVA
    if found := _UNRESOLVED.search(said):
        return f"jars can't be fetched: {found[1]}", _JARS
    if found := _EXCEPTION.search(said):
        return (found[1] or found[2]).strip(), _ABOVE
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return (lines[-1], _ABOVE) if lines else (first_line(error), _JAVA)
