"""How Spark is started where there is no session: through Databricks Connect, one at a time, with the true cause."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from dbxdec.io_managers import spark_start
from dbxdec.support.locks import try_lock

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="spark: pyspark is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="the commands are scripts of a shell"),
]

SESSION = """
    import logging
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    from dbxdec.errors import RunError
    from dbxdec.io_managers.spark_session import session
    try:
        print("GOT", session())
    except RunError as error:
        print("REFUSED", error)
"""
# Whatever starts Spark on this machine says so.
LOCAL = """
    import delta
    from pyspark.sql import SparkSession
    SparkSession.Builder.getOrCreate = lambda self: "a session of this machine"
    real = delta.configure_spark_with_delta_pip
    def configured(builder):
        print("CONFIGURED")
        return real(builder)
    delta.configure_spark_with_delta_pip = configured
    import dbxdec.io_managers.spark_start as start
    start._launch = lambda options: ""
"""
CONNECT = """
    class DatabricksSession:
        class builder:
            @staticmethod
            def getOrCreate():
                return "a session of the workspace"
"""


def python(folder: Path, *parts: str, **environment: str) -> subprocess.Popen[str]:
    """A child process that runs the parts of a program, with temporary files of its own."""
    (folder / "temporary").mkdir(exist_ok=True)
    program = "\n".join(textwrap.dedent(part) for part in parts)
    unset = {"SPARK_REMOTE", "SPARK_HOME", "DATABRICKS_RUNTIME_VERSION", "SPARK_CONNECT_MODE_ENABLED"}
    given = {name: value for name, value in os.environ.items() if name not in unset}
    given |= {"TMPDIR": str(folder / "temporary"), "PYTHONPATH": str(folder / "path"), **environment}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(folder: Path, *parts: str, **environment: str) -> tuple[str, str]:
    """What such a process prints to stdout and to stderr."""
    process = python(folder, *parts, **environment)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip(), err


def install(folder: Path, **modules: str) -> None:
    """Write modules, named with `__` for dots, where the child process finds them."""
    for name, code in modules.items():
        path = folder / "path" / name.replace("__", "/") / "__init__.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code), encoding="utf-8")


def spark_home(folder: Path, script: str) -> Mapping[str, str]:
    """An installation of Spark whose command is `script`."""
    command = folder / "spark" / "bin" / "spark-submit"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    command.chmod(0o755)
    return {"SPARK_HOME": str(folder / "spark")}


class TestDatabricksConnect:
    def test_it_makes_the_session(self, tmp_path: Path) -> None:
        """Delta's pip configuration is of no use to it, and would look for a JVM."""
        install(tmp_path, databricks__connect=CONNECT)
        assert said(tmp_path, LOCAL, SESSION) == ("GOT a session of the workspace", "")

    def test_not_on_the_platform_itself(self, tmp_path: Path) -> None:
        """There the session is the compute's own."""
        install(tmp_path, databricks__connect=CONNECT)
        out, _ = said(tmp_path, LOCAL, SESSION, DATABRICKS_RUNTIME_VERSION="17.3")
        assert out == "GOT a session of this machine"

    def test_not_where_it_is_not_installed(self, tmp_path: Path) -> None:
        """Another package of Databricks, such as databricks-bundles, does not count."""
        install(tmp_path, databricks__others="")
        out, _ = said(tmp_path, LOCAL, SESSION)
        assert out == "CONFIGURED\nGOT a session of this machine"

    def test_a_session_that_is_there_is_used(self, tmp_path: Path) -> None:
        """The task may have made one, of other compute."""
        install(tmp_path, databricks__connect=CONNECT)
        own = """
            from pyspark.sql import SparkSession
            SparkSession.active = lambda: "the task's own"
        """
        assert said(tmp_path, own, SESSION)[0] == "GOT the task's own"

    def test_without_a_configuration_it_says_what_to_configure(self, tmp_path: Path) -> None:
        """One sentence, and not a word about Java."""
        refuses = CONNECT.replace(
            'return "a session of the workspace"',
            'raise ValueError("default auth: cannot configure default credentials\\nmore about it")',
        )
        install(tmp_path, databricks__connect=refuses)
        out, _ = said(tmp_path, LOCAL, SESSION)
        first, second = out.splitlines()
        assert first == "REFUSED Databricks Connect has no session: default auth: cannot configure default credentials"
        assert second == (
            "    hint: say which workspace and which compute: `databricks auth login` or DATABRICKS_HOST and "
            "DATABRICKS_TOKEN, and DATABRICKS_CLUSTER_ID, or DATABRICKS_SERVERLESS_COMPUTE_ID=auto"
        )

    @pytest.mark.parametrize("code", ["raise ImportError('PyArrow >= 4.0.0 must be installed')", "x = f'{1"])
    def test_an_installation_that_can_not_be_imported(self, tmp_path: Path, code: str) -> None:
        """It may be of another Python, or of other versions of what it needs."""
        install(tmp_path, databricks__connect=code)
        out, _ = said(tmp_path, LOCAL, SESSION)
        assert out.startswith("REFUSED Databricks Connect is installed, but can't be imported: ")
        assert "Java" not in out

    def test_it_does_not_reach_the_folders_of_this_machine(self, tmp_path: Path) -> None:
        """In a local run tables would be in a folder of the workspace's driver, and gone with it."""
        session = """
            class Session: ...
            Session.__module__ = "pyspark.sql.connect.session"
        """
        install(tmp_path, databricks__connect=CONNECT)
        stored = """
            from dbxdec.errors import RunError
            from dbxdec.io_managers import SparkDeltaIoManager, SparkParquetIoManager, SparkTableIoManager
            for kind, place in (
                (SparkTableIoManager, "main.silver.orders"),
                (SparkDeltaIoManager, "/local/abfss/lake/orders"),
                (SparkDeltaIoManager, "lake/orders"),
                (SparkParquetIoManager, "lake/orders"),
                (SparkDeltaIoManager, "abfss://lake/orders"),
            ):
                at = kind("unused").store_of if kind is SparkParquetIoManager else kind("unused")._at
                import dbxdec.io_managers.delta.spark.manager as manager, dbxdec.io_managers.files.spark as files
                manager.session = files.session = lambda: Session()
                try:
                    print("AT", at(place).uri)
                except RunError as error:
                    print(str(error).splitlines()[0])
        """
        out, _ = said(tmp_path, session, stored, DBXDEC_LOCAL_ROOT="/local")
        refused = "Databricks Connect runs Spark in the workspace, which can't reach"
        assert out.splitlines() == [
            f"{refused} /local/tables/main/silver/orders on this machine",
            f"{refused} /local/abfss/lake/orders on this machine",
            f"{refused} {Path.cwd()}/lake/orders on this machine",
            f"{refused} lake/orders on this machine",
            "AT abfss://lake/orders",
        ]


IVY = """:: loading settings :: url = jar:file:/x/ivy-2.5.2.jar!/org/apache/ivy/core/settings/ivysettings.xml
Ivy Default Cache set to: {0}/cache
The jars for the packages stored in: {0}/jars
io.delta#delta-spark_4.2_2.13 added as a dependency
"""


class TestCause:
    JARS = "[unresolved dependency: io.delta#delta-spark_4.2_2.13;4.4.0: not found]"

    @pytest.mark.parametrize(
        ("script", "message", "hint"),
        [
            ("echo 'JAVA_HOME is not set' >&2", "JAVA_HOME is not set", "Spark needs Java 17 or newer"),
            (
                "echo '/s/bin/spark-class: line 71: /nope/bin/java: No such file or directory' >&2",
                "/s/bin/spark-class: line 71: /nope/bin/java: No such file or directory",
                "Spark needs Java 17 or newer",
            ),
            (
                f"echo ':: resolving' >&2; echo 'Exception in thread \"main\" java.lang.Exception: {JARS}' >&2",
                "jars can't be fetched: io.delta#delta-spark_4.2_2.13;4.4.0: not found",
                "the first start fetches them from Maven Central",
            ),
            (
                "echo 'Exception in thread \"main\" java.io.IOException: failed: x' >&2; echo '\tat org.x.Main' >&2",
                "java.io.IOException: failed: x",
                "what Spark printed is above",
            ),
            ("echo 'the disk is full' >&2", "the disk is full", "what Spark printed is above"),
        ],
    )
    def test_it_is_told_and_what_spark_printed_is_shown(
        self, tmp_path: Path, script: str, message: str, hint: str
    ) -> None:
        """Java is named only if it is Java; the log of Ivy and the JVM comes first."""
        out, err = said(tmp_path, SESSION, **spark_home(tmp_path, f"{script}\nexit 1"))
        first, second = out.splitlines()
        assert first == f"REFUSED Spark does not start: {message}"
        assert second.strip().startswith(f"hint: {hint}")
        assert ("Java" in second) == (hint.startswith("Spark needs Java"))
        assert message.rpartition(": ")[2] in err

    def test_a_folder_without_spark(self, tmp_path: Path) -> None:
        """SPARK_HOME of an installation that is gone."""
        out, _ = said(tmp_path, SESSION, SPARK_HOME="/no/such")
        assert out.splitlines() == [
            "REFUSED Spark does not start: No such file or directory: /no/such/./bin/spark-submit",
            "    hint: SPARK_HOME names a folder without Spark: unset it, or correct it",
        ]

    def test_an_error_after_the_jvm_has_started(self, tmp_path: Path) -> None:
        """It speaks for itself."""
        fails = """
            import dbxdec.io_managers.spark_start as start
            from pyspark.sql import SparkSession
            start._launch = lambda options: ""
            def fail(self):
                raise Exception("An error occurred while calling None.SparkContext.\\n: java.net.BindException: in use")
            SparkSession.Builder.getOrCreate = fail
        """
        assert said(tmp_path, fails, SESSION)[0] == "REFUSED Spark does not start: java.net.BindException: in use"


STARTS = """
    import os
    import pyspark.java_gateway as gateway
    from pyspark.sql import SparkSession
    class Gateway:
        jvm = None
    def launch(conf, given):
        global out
        out = os.dup(given["stderr"])
        os.write(out, IVY.encode())
        print(sorted(name for name, _ in conf.getAll()))
        return Gateway()
    gateway.launch_gateway = launch
    def made(self):
        os.write(out, b"WARN something\\n")
        os.close(out)
        return "a session"
    SparkSession.Builder.getOrCreate = made
"""
FINISHED = """
    import threading
    [one.join(10) for one in threading.enumerate() if one.name == "dbxdec-spark"]
"""


class TestQuiet:
    def test_ivys_log_is_not_shown_and_what_comes_later_is(self, tmp_path: Path) -> None:
        """The settings of Delta reach the JVM as before."""
        out, err = said(tmp_path, f"IVY = {IVY.format('/ivy')!r}", STARTS, SESSION, FINISHED)
        settings, *rest = out.splitlines()
        own = {"spark.jars.packages", "spark.sql.catalog.spark_catalog", "spark.sql.extensions"}
        assert own <= set(ast.literal_eval(settings))
        assert rest == ["GOT a session"]
        assert err == "WARN something\n"


class TestConnect:
    def test_no_jvm_is_started_for_a_session_of_spark_connect(self, tmp_path: Path) -> None:
        """Spark starts a server by itself, or reaches one elsewhere."""
        no_jvm = """
            import pyspark.java_gateway as gateway
            from pyspark.sql import SparkSession
            def launch(*given):
                raise AssertionError("a JVM")
            gateway.launch_gateway = launch
            SparkSession.Builder.getOrCreate = lambda self: sorted(self._options)
        """
        assert said(tmp_path, no_jvm, SESSION, SPARK_REMOTE="sc://localhost")[0] == "GOT []"
        assert "spark.jars.packages" in said(tmp_path, no_jvm, SESSION, SPARK_API_MODE="connect")[0]


class TestOneAtATime:
    @pytest.mark.slow
    def test_two_starts_on_a_clean_machine(self, tmp_path: Path) -> None:
        """Two processes never fetch jars at the same time; the one that waits says so."""
        script = f"mkdir {tmp_path}/busy || touch {tmp_path}/overlap\nsleep 1\nrmdir {tmp_path}/busy\nexit 1"
        home = spark_home(tmp_path, script)
        processes = [python(tmp_path, SESSION, **home) for _ in range(3)]
        ended = [process.communicate(timeout=120) for process in processes]
        assert not (tmp_path / "overlap").exists()
        assert all("REFUSED" in out for out, _ in ended)
        assert any("waiting for another task" in err for _, err in ended)

    def test_where_the_jars_are_there_no_start_waits(self, tmp_path: Path) -> None:
        """A start notes where Ivy keeps them; the lock that another process holds does not matter then."""
        settings = f"IVY = {IVY.format(tmp_path)!r}"
        said(tmp_path, settings, STARTS, SESSION, FINISHED)
        (note,) = (tmp_path / "temporary").glob("dbxdec-spark-*/*.jars")
        assert note.read_text(encoding="utf-8") == f"{tmp_path}/jars"
        (tmp_path / "jars").mkdir()
        jars = """
            from pyspark.sql import SparkSession
            from delta import configure_spark_with_delta_pip
            packages = configure_spark_with_delta_pip(SparkSession.builder)._options["spark.jars.packages"]
            print(packages)
        """
        group, artifact, version = said(tmp_path, jars)[0].split(":")
        with (note.parent / "lock").open("a") as lock:
            assert try_lock(lock.fileno())
            (tmp_path / "jars" / f"{group}_{artifact}-{version}.jar").touch()
            assert said(tmp_path, settings, STARTS, SESSION, FINISHED)[0].endswith("GOT a session")

    @pytest.mark.parametrize("content", [None, "\udcff", "/no/such/folder", ""])
    def test_a_note_that_is_gone_or_wrong_makes_it_wait(self, tmp_path: Path, content: str | None) -> None:
        """So does a cache that has been emptied."""
        note = tmp_path / "x.jars"
        if content is not None:
            note.write_bytes(content.encode(errors="surrogateescape"))
        assert not spark_start._has_jars(note, "io.delta:delta:4")

    def test_one_that_hangs_stops_the_others_only_for_a_while(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor does a folder that can't be written."""
        monkeypatch.setattr(spark_start, "_LONGEST_WAIT", 0.2)
        with (tmp_path / "lock").open("a") as lock:
            assert try_lock(lock.fileno())
            with spark_start._locked(tmp_path, tmp_path / "x.jars", "a:b:c"):
                pass
        (tmp_path / "file").touch()
        with spark_start._locked(tmp_path / "file", tmp_path / "x.jars", "a:b:c"):
            pass

    def test_the_second_goes_on_as_soon_as_the_jars_are_there(self, tmp_path: Path) -> None:
        """It does not keep a third one waiting."""
        note = tmp_path / "x.jars"
        with (tmp_path / "lock").open("a") as lock:
            assert try_lock(lock.fileno())
            entered = threading.Event()

            def second() -> None:
                with spark_start._locked(tmp_path, note, "a:b:c"):
                    # It may come here before the first one lets go.
                    with (tmp_path / "lock").open("a") as third:
                        while not try_lock(third.fileno()):
                            time.sleep(0.01)
                    entered.set()

            thread = threading.Thread(target=second, daemon=True)
            thread.start()
            note.write_text(str(tmp_path))
            (tmp_path / "a_b-c.jar").touch()
            lock.close()
        thread.join(10)
        assert entered.is_set()


class TestLaptop:
    SHOW = """
        import logging
        from pyspark.sql import SparkSession
        SparkSession.Builder.getOrCreate = lambda self: print(sorted(k for k in self._options if "Partitions" in k
            or "partitions" in k or "Progress" in k)) or "a session"
    """

    def test_a_spark_of_this_machine_has_settings_for_few_rows(self, tmp_path: Path) -> None:
        """What the machine's own configuration says stays, and so does a cluster's."""
        names = [
            "spark.databricks.delta.snapshotPartitions",
            "spark.sql.shuffle.partitions",
            "spark.ui.showConsoleProgress",
        ]
        conf = tmp_path / "conf"
        conf.mkdir()
        for text, left in (
            ("", names),
            ("spark.sql.shuffle.partitions 7\n", [names[0], names[2]]),
            ("spark.master local[3]\n", names),
            ("spark.master spark://far:7077\n", []),
        ):
            (conf / "spark-defaults.conf").write_text(text)
            out, _ = said(tmp_path, LOCAL, self.SHOW, SESSION, SPARK_CONF_DIR=str(conf))
            assert str(left) in out, text
