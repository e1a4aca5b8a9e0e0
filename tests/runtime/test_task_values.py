"""Task values: one behaviour over memory, the local folder, and the platform's dbutils."""

from __future__ import annotations

import datetime as dt
import sys
import textwrap
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dbxdec import context, get_task_value, params, secret, set_task_value
from dbxdec.errors import RunError
from dbxdec.runtime import context as runtime_context
from dbxdec.runtime import task_values


class Colour(StrEnum):
    RED = "red"


RUN = runtime_context.RunContext(
    package="p",
    build_id="b",
    workspace="1",
    job="j",
    task="t",
    run_id="77",
    attempt=1,
    started=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    parameters={"day": dt.date(2024, 1, 1)},
)


class TaskValuesOfDbutils:
    """The documented contract: set is for the running task, get fails with TypeError or ValueError on a missing key
    unless a default other than None is given, and values are JSON."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Any] = {}

    def set(self, key: str, value: Any) -> None:
        self.values["t", key] = value

    def get(self, taskKey: str, key: str, default: Any = None, debugValue: Any = None) -> Any:  # noqa: N803
        if (taskKey, key) in self.values:
            return self.values[taskKey, key]
        if default is None:
            raise ValueError(f"No task value for {key}")
        return default


@pytest.fixture(params=["memory", "folder", "dbutils"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where values are kept: outside a run, in a local run, on the platform."""
    monkeypatch.delenv(task_values.FOLDER, raising=False)
    monkeypatch.setattr(task_values.task_values, "_memory", task_values.MemoryStore())
    if request.param == "memory":
        yield ""
        return
    if request.param == "folder":
        monkeypatch.setenv(task_values.FOLDER, str(tmp_path / "values"))
    else:
        runtime = ModuleType("databricks.sdk.runtime")
        runtime.dbutils = type("Dbutils", (), {"jobs": type("J", (), {"taskValues": TaskValuesOfDbutils()})})()  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pyspark.dbutils", None)
        monkeypatch.setitem(sys.modules, "databricks.sdk", ModuleType("databricks.sdk"))
        monkeypatch.setitem(sys.modules, "databricks.sdk.runtime", runtime)
    with runtime_context.entered(RUN):
        yield "t"


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "text", [], [1, [2]], {"a": {"b": None}}], ids=repr)
def test_json_comes_back_equal(store: str, value: Any) -> None:
    """What is set is what is got, None included."""
    set_task_value("key", value)
    assert get_task_value(store, "key", "default") == value


def test_a_missing_key_is_an_error_unless_there_is_a_default(store: str) -> None:
    """A key that nobody set raises, naming task and key; any default, None too, is given back instead."""
    with pytest.raises(RunError, match=r"the task `other` has set no value `key`"):
        get_task_value("other", "key")
    assert get_task_value("other", "key", 5) == 5
    assert get_task_value("other", "key", None) is None


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), dt.date(2024, 1, 1), b"x", (1, 2), [{1: "a"}]], ids=repr)
def test_what_is_not_json_is_refused(store: str, value: Any) -> None:
    """A value without JSON form is named with its key before anything is sent."""
    with pytest.raises(RunError, match="`key` is not JSON"):
        set_task_value("key", value)
    assert get_task_value(store, "key", "nothing") == "nothing"


def test_a_value_that_would_arrive_as_another_is_refused(store: str) -> None:
    """The member of a StrEnum would arrive as a plain string: the message names its place, the hint what to write."""
    with pytest.raises(
        RunError, match=r"`key` is not JSON: <Colour.RED: 'red'> at \['a'\] is of the type .*Colour, which"
    ) as caught:
        set_task_value("key", {"a": Colour.RED})
    assert caught.value.problems[0].hint == "write its `.name` or its `.value`"
    assert get_task_value(store, "key", "nothing") == "nothing"


def test_48_kib_is_the_limit_in_bytes_of_json(store: str) -> None:
    """A value of 48 KiB as JSON passes, one byte more is refused with its size, counted in UTF-8."""
    assert task_values.MAX_BYTES == 49_152
    limit = task_values.MAX_BYTES - 2  # the quotes
    set_task_value("key", "x" * limit)
    for text in ("x" * (limit + 1), "ü" * limit):
        with pytest.raises(RunError, match=r"49,153 bytes|bytes as JSON"):
            set_task_value("key", text)
    assert get_task_value(store, "key") == "x" * limit


def test_a_later_value_replaces_an_earlier_one_and_keys_stay_apart(store: str) -> None:
    """Keys are independent, and the last value of each counts."""
    set_task_value("a", 1)
    set_task_value("b", 2)
    set_task_value("a", 3)
    assert (get_task_value(store, "a"), get_task_value(store, "b")) == (3, 2)


def test_outside_a_run_nothing_is_written_into_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Task values of a notebook or test keep to memory."""
    monkeypatch.chdir(tmp_path)
    set_task_value("key", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_any_store_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a run without dbutils and without a folder the error names both ways."""
    monkeypatch.delenv(task_values.FOLDER, raising=False)
    monkeypatch.setitem(sys.modules, "pyspark.dbutils", None)
    monkeypatch.setitem(sys.modules, "databricks.sdk.runtime", None)
    with runtime_context.entered(RUN), pytest.raises(RunError, match="dbxdec run"):
        set_task_value("key", 1)


@pytest.mark.parametrize("key", ["", None, 5])
def test_a_key_is_a_name(store: str, key: Any) -> None:
    """Anything else is refused before it is sent."""
    with pytest.raises(RunError, match="the key of a task value is"):
        set_task_value(key, 1)


@pytest.mark.parametrize("configured", [False, True])
def test_the_sdk_off_the_platform_is_no_place_for_task_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: bool
) -> None:
    """Without credentials it can't be imported, and with them it drops what is set without a word."""
    remote = """
        class Remote:
            __module__ = "databricks.sdk.dbutils"
            class jobs:
                class taskValues:
                    set = staticmethod(lambda key, value: None)
        dbutils = Remote()
    """
    refuses = "raise ValueError('default auth: cannot configure default credentials')"
    (tmp_path / "runtime.py").write_text(textwrap.dedent(remote) if configured else refuses)
    sdk = ModuleType("databricks.sdk")
    sdk.__path__ = [str(tmp_path)]
    monkeypatch.delenv(task_values.FOLDER, raising=False)
    monkeypatch.setitem(sys.modules, "pyspark.dbutils", None)
    monkeypatch.setitem(sys.modules, "databricks.sdk", sdk)
    monkeypatch.delitem(sys.modules, "databricks.sdk.runtime", raising=False)
    try:
        with runtime_context.entered(RUN), pytest.raises(RunError, match="no store for task values"):
            set_task_value("key", 1)
    finally:
        sys.modules.pop("databricks.sdk.runtime", None)


def test_context_and_params_answer_inside_a_run_only() -> None:
    """Inside a run they give its facts and typed parameters; outside they raise with what to do instead."""
    with runtime_context.entered(RUN):
        assert context().run_id == "77"
        assert params.day == params["day"] == dt.date(2024, 1, 1)
        with pytest.raises(RunError, match="did you mean `day`"):
            _ = params.dya
        assert context().logger.name.endswith(".t")
    with pytest.raises(RunError, match="outside a run"):
        context()
    with pytest.raises(RunError, match="outside a run"):
        _ = params.day


def test_params_are_a_mapping() -> None:
    """`get`, `in`, `len`, iteration and `dict(...)` are those of any mapping, and refuse what is no run."""
    with runtime_context.entered(RUN):
        assert params.get("day") == dt.date(2024, 1, 1)
        assert (params.get("dya"), params.get("dya", 3)) == (None, 3)
        assert "day" in params
        assert "dya" not in params
        assert params.get(3) is None  # type: ignore[call-overload]
        assert (len(params), list(params), dict(params)) == (1, ["day"], {"day": dt.date(2024, 1, 1)})
        assert {**params} == dict(params.items())
        assert isinstance(params, Mapping)
        with pytest.raises(KeyError):
            _ = params["dya"]
    for ask in (len, list, lambda found: found.get("day"), lambda found: "day" in found):
        with pytest.raises(RunError, match="outside a run"):
            ask(params)


def test_a_parameter_named_as_a_method_is_no_attribute() -> None:
    """`params.items` could be either, so neither is taken in silence."""
    with runtime_context.entered(replace(RUN, parameters={"items": [1], "day": 2})):
        assert params["items"] == [1]
        with pytest.raises(RunError, match=r"has a parameter of that name\n.*params\['items'\]"):
            _ = params.items
        assert params.get("day") == 2


def test_a_task_is_named_as_the_platform_names_it(store: str) -> None:
    """`task_key=` and `key=` are keywords of both functions, and `default=` too."""
    set_task_value(key="rows", value=3)
    assert get_task_value(task_key=store, key="rows") == 3
    assert task_values.task_values.get(task_key="other", key="rows", default=4) == 4


@pytest.mark.parametrize("key", ["dbxdec_text", "dbxdec_parameter", "dbxdec_date_day"])
def test_keys_of_our_own_are_refused(store: str, key: str) -> None:
    """What conditions and other jobs are given is not overwritten."""
    with pytest.raises(RunError, match=f"the key `{key}` is reserved by dbxdec"):
        set_task_value(key, 1)


@pytest.mark.usefixtures("store")
def test_the_value_of_a_secret_is_no_task_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever task values are kept; the message names the secret, and not its value."""
    monkeypatch.setenv("DBXDEC_SECRET_VAULT_API_KEY", "hunter2-hunter2")
    value = secret("vault", "api-key").value()
    for form in (value, [[f"a {value} b"]], {"a": {value: 1}}, f" {value}\n"):
        with pytest.raises(RunError) as raised:
            set_task_value("kept", form)
        assert "`kept` has the value of the secret `api-key` of the scope `vault`" in str(raised.value)
        assert value not in str(raised.value)
    set_task_value("kept", "hunter2")
    with pytest.raises(RunError) as raised:
        set_task_value(f"of {value}", 1)
    assert "the key of a task value has the value of the secret `api-key`" in str(raised.value)
    assert value not in str(raised.value)


def test_threads_of_one_task_lose_no_value_of_each_other(tmp_path: Path) -> None:
    """Each sets its own key of the one file, all at once."""
    store, keys = task_values.FolderStore(tmp_path / "values"), [f"k{number}" for number in range(40)]
    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(lambda key: store.set("t", key, key), keys))
    assert [store.get("t", key) for key in keys] == keys


def test_only_its_owner_reads_the_file_of_task_values(tmp_path: Path) -> None:
    """A secret of a few letters may be in it."""
    task_values.FolderStore(tmp_path / "values").set("t", "rows", 3)
    (path,) = (tmp_path / "values").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
