"""Small jobs, each about one of the platform's rules; `test_platform_rules.py` runs them in every way there is."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any, Literal

from dbxdec import (
    bundle_variable,
    condition,
    context,
    daily,
    each,
    get_task_value,
    handled,
    hourly,
    job,
    key,
    monthly,
    native_task,
    params,
    run_date,
    set_task_value,
    task,
    weekly,
)

NIGHT = dt.datetime(2024, 3, 1, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"
    CRIMSON = "r"  # noqa: PIE796 - an alias


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@task
def ok() -> None: ...


@task
def bad() -> None:
    raise RuntimeError("on purpose")


@task
def alarm() -> None:
    print("ALARM")


@task
def told(what: Any) -> str:
    return repr(what)


@task
def told_all(day: dt.date, at: dt.datetime | None, rest: list[Any]) -> str:
    return f"{day} {at} {rest}"


def step(key: str, **fields: Any) -> Any:
    """A task that costs no process: the platform has it done, and a run on this machine skips it."""
    return native_task(key, notebook_task={"notebook_path": "notebooks/nothing.py"}, **fields)


# References


@job
def odd_names(mode: str = "go", größe: int = 7) -> None:
    @task(key="read-mode")
    def read_mode(mode: str) -> str:
        set_task_value("row-count", 3)
        set_task_value("a-list", ["x", "y"])
        return mode

    @task(key="count-each")
    def count_each(item: str) -> None:
        print("ITEM", item)

    read = read_mode(mode)
    condition(read, "==", "go", key="goes").then(step("gone")).otherwise(step("stayed"))
    condition(read.value("row-count"), ">=", 3, key="many")
    condition(größe, "==", 7, key="big")
    condition(read.state, "==", "success", key="fine")
    count_each(each(read.value("a-list")))
    native_task(
        "show-it",
        notebook_task={
            "notebook_path": "notebooks/echo.py",
            "base_parameters": {"mode": read, "rows": read.value("row-count"), "size": größe, "state": read.state},
        },
    )


# run_if

RUN_IFS = ("ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED")
UPSTREAM = {
    "s": ("fine",),
    "f": ("broken",),
    "x": ("left_out",),
    "sf": ("fine", "broken"),
    "sx": ("fine", "left_out"),
    "fx": ("broken", "left_out"),
    "xx": ("left_out", "left_out_too"),
    "u": ("behind",),
    "su": ("fine", "behind"),
}


@job
def run_ifs() -> None:
    made: dict[str, Any] = {"fine": ok.override(key="fine")(), "broken": bad.override(key="broken")()}
    chosen = condition(1, "==", 2, key="never")
    made |= {key: step(key, depends_on=[chosen.true]) for key in ("left_out", "left_out_too")}
    made["behind"] = step("behind", depends_on=[made["broken"]])
    for name, upstream in UPSTREAM.items():
        for run_if in RUN_IFS:
            step(f"{name}_{run_if}", depends_on=[made[key] for key in upstream], run_if=run_if)
    step("gated", depends_on=[chosen.true, made["fine"]], run_if="ALL_DONE")


# Conditions: what each is, and whether it holds, is written as Python has it.

VALUES: dict[str, Any] = {
    "flag": True,
    "number": 4,
    "huge": 2**60,
    "ratio": 1.0,
    "large": 1e16,
    "nought": -0.0,
    "amount": Decimal("1.50"),
    "thousand": Decimal("1E+3"),
    "day": dt.date(2024, 1, 5),
    "night": NIGHT,
    "noon": dt.datetime(2024, 1, 5, 12),
    "colour": Colour.CRIMSON,
    "level": Level.HIGH,
    "choice": "b",
    "digit": 2,
    "nothing": None,
    "something": 0,
    "word": "true",
}


@task
def flag() -> bool:
    return True


@task
def number() -> int:
    return 4


@task
def worded() -> int:
    set_task_value("word", "four")
    return 4


@task
def huge() -> int:
    return 2**60


@task
def ratio() -> float:
    return 1


@task
def large() -> float:
    return 1e16


@task
def nought() -> float:
    return -0.0


@task
def amount() -> Decimal:
    return Decimal("1.50")


@task
def thousand() -> Decimal:
    return Decimal("1E+3")


@task
def day() -> dt.date:
    return dt.date(2024, 1, 5)


@task
def night() -> dt.datetime:
    return NIGHT


@task
def noon() -> dt.datetime:
    return dt.datetime(2024, 1, 5, 12)


@task
def colour() -> Colour:
    return Colour.CRIMSON


@task
def level() -> Level:
    return Level.HIGH


@task
def choice() -> Literal["a", "b"]:
    return "b"


@task
def digit() -> Literal[1, 2]:
    return 2


@task
def nothing() -> int | None:
    return None


@task
def something() -> int | None:
    return 0


@task
def some_amount() -> Decimal | None:
    return Decimal("1.50")


@task
def some_night() -> dt.datetime | None:
    return NIGHT


@task
def word() -> str:
    return "true"


LITERALS: dict[str, list[Any]] = {
    "flag": [True, False],
    "number": [4, 5, 4.0],
    "huge": [2**60, 2**60 + 1, 1],
    "ratio": [1, 1.0, 1.5, Decimal(1)],
    "large": [10**16, 1e16, 1.0],
    "nought": [0, 0.0, -0.0, 1],
    "amount": [Decimal("1.5"), Decimal("1.500"), Decimal(1), 2],
    "thousand": [1000, Decimal(1000)],
    "day": [dt.date(2024, 1, 5), dt.date(2024, 1, 6)],
    "night": [NIGHT, dt.datetime(2024, 3, 1, 0, 30, tzinfo=dt.UTC), dt.datetime(2024, 3, 1, 1, 30)],
    "noon": [dt.datetime(2024, 1, 5, 12), dt.datetime(2024, 1, 5, 12, tzinfo=dt.UTC)],
    "colour": [Colour.RED, Colour.CRIMSON, Colour.GREEN],
    "level": [Level.HIGH, 2, 1],
    "choice": ["b", "a"],
    "digit": [2, 1],
    "nothing": [None, 0],
    "something": [None, 0],
    "word": ["true", "True", ""],
}
SIZES: dict[str, list[Any]] = {
    "number": [3, 4, 4.5, 5],
    "ratio": [0, 1, 1.5],
    "large": [10**15],
    "amount": [1, Decimal("1.5")],
}


def compare(sides: dict[str, Any]) -> None:
    for name, side in sides.items():
        for i, literal in enumerate(LITERALS.get(name, [])):
            condition(side, "==", literal, key=f"{name}_{i}")
            condition(literal, "!=", side, key=f"{name}_{i}_not")
        for i, literal in enumerate(SIZES.get(name, [])):
            condition(side, ">", literal, key=f"{name}_above_{i}")
            condition(side, "<=", literal, key=f"{name}_up_to_{i}")


@job
def compared_results() -> None:
    tasks: list[Any] = [
        flag,
        number,
        huge,
        ratio,
        large,
        nought,
        amount,
        thousand,
        day,
        night,
        noon,
        colour,
        level,
        choice,
        digit,
    ]
    compare({one.__name__: one() for one in [*tasks, nothing, something, word]})


@job
def compared_parameters(
    flag: bool = True,
    number: int = 4,
    huge: int = 2**60,
    ratio: float = 1.0,
    large: float = 1e16,
    thousand: Decimal = Decimal(1000),
    day: dt.date = dt.date(2024, 1, 5),
    night: dt.datetime = dt.datetime(2024, 3, 1, 0, 30, tzinfo=dt.UTC),
    colour: Colour = Colour.RED,
    choice: Literal["a", "b"] = "b",
    nothing: int | None = None,
    something: int | None = 0,
    word: str = "true",
) -> None:
    given = {"flag": flag, "number": number, "huge": huge, "ratio": ratio, "large": large, "thousand": thousand}
    given |= {
        "day": day,
        "night": night,
        "colour": colour,
        "choice": choice,
        "nothing": nothing,
        "something": something,
    }
    compare({**given, "word": word})
    condition(flag, "==", bundle_variable("full"), key="as_the_bundle")
    ok()


@job
def two_references(limit: int = 4, wanted: float = 1.0) -> None:
    condition(number(), "==", limit, key="same_number")
    condition(ratio(), "==", wanted, key="same_ratio")
    condition(nothing(), "!=", number.override(key="other")(), key="differ")
    condition(ratio.override(key="third")(), ">=", limit, key="not_above")


@job
def backed_up() -> None:
    @task(max_retries=0)
    def primary() -> int:
        set_task_value("answer", context().attempt)
        if context().attempt == 1:
            raise RuntimeError("not yet")
        return 1

    @task(run_if="AT_LEAST_ONE_FAILED")
    def backup() -> int:
        set_task_value("answer", 7)
        return 2

    @task(run_if="ALL_DONE")
    def either(first: int | None, second: int | None, answer: int | None) -> str:
        return f"{first} {second} {answer}"

    first = primary()
    second = backup.override(depends_on=[first])()
    either(first, second, second.value("answer"))


@job
def undecided() -> None:
    chosen = condition(worded().value("word"), ">", 3, key="broken")
    step("yes", depends_on=[chosen.true], run_if="ALL_DONE")
    step("no", depends_on=[chosen.false], run_if="ALL_DONE")
    step("anyway", depends_on=[chosen], run_if="ALL_DONE")


# Failures, and what a run is called


@job
def fails() -> None:
    step("behind", depends_on=[bad(), ok()])


@job(on_failure=alarm.override(max_retries=2))
def told_of_failure() -> None:
    step("behind", depends_on=[bad()])
    step("anyway", depends_on=[ok()], run_if="ALL_DONE")


@job(on_failure=handled(alarm))
def handled_failure() -> None:
    step("behind", depends_on=[bad()])


@job(on_failure=alarm)
def nothing_to_handle() -> None:
    step("behind", depends_on=[ok()])


@job
def hidden_failure() -> None:
    step("cleanup", depends_on=[bad()], run_if="ALL_DONE")


@job
def cleanup_beside() -> None:
    broken = bad()
    step("load", depends_on=[broken])
    step("cleanup", depends_on=[broken], run_if="ALL_DONE")


@job
def tries() -> None:
    @task(max_retries=1)
    def once_more() -> int:
        if context().attempt == 1:
            raise RuntimeError("the first time")
        return context().attempt

    told(once_more())


# Task values, parameters


@job
def values(top: int = 3) -> None:
    @task
    def leave() -> None:
        set_task_value("rows", {"a": [1, None, "x"]})

    @task
    def read(rows: dict[str, Any]) -> str:
        return repr((rows, get_task_value(task_key="leave", key="rows"), get_task_value("leave", "no", 5), params.top))

    read(leave().value("rows"))


@job
def passing(day: dt.date = run_date(offset_days=-1), n: int = 2) -> None:
    given = {"flag": flag(), "ratio": ratio(), "maybe": nothing(), "amount": some_amount(), "at": some_night()}
    taking(day, n=n, word="see {{x}}", **given) >> step("on")


@job
def taking(
    day: dt.date,
    n: int = 1,
    flag: bool = False,
    ratio: float = 0.5,
    maybe: int | None = 5,
    amount: Decimal | None = None,
    at: dt.datetime | None = None,
    word: str = "",
    names: list[str] = ["a"],  # noqa: B006 - the default of a job parameter
) -> None:
    told_all.override(key="told")(day, at, [n, flag, ratio, maybe, amount, word, names])


@job
def goes_on() -> None:
    hidden_failure() >> step("on")


@job
def stops() -> None:
    told_of_failure() >> step("on")
    step("cleanup", depends_on=[ok()])


@job
def follows(day: dt.date = run_date(offset_days=-1), there: dt.date = run_date(tz="America/New_York")) -> None:
    @task
    def tell(day: dt.date, there: dt.date) -> str:
        return f"{day} {there} {context().run_date}"

    given = {"day": day, "there": there}
    native_task("show", notebook_task={"notebook_path": "notebooks/echo.py", "base_parameters": given}).after(
        tell(day, there)
    )


@job
def hands_on(day: dt.date = run_date(offset_days=-1)) -> None:
    taking(day)


@job
def keyed(
    day: dt.date = daily(since=dt.date(2024, 1, 1), tz="America/New_York", lag=dt.timedelta(hours=4)),
    week: dt.date = weekly(on="sunday"),
    month: dt.date = monthly(on=15),
    hour: dt.datetime = hourly(tz="Asia/Kolkata"),
    region: Literal["eu", "us"] = key("eu"),
) -> None:
    @task
    def tell(day: dt.date, week: dt.date, month: dt.date, hour: dt.datetime, region: str) -> str:
        return f"{day} {week} {month} {hour.isoformat()} {region}"

    given = {"day": day, "week": week, "hour": hour, "region": region}
    native_task("show", notebook_task={"notebook_path": "notebooks/echo.py", "base_parameters": given}).after(
        tell(day, week, month, hour, region)
    )


@job
def hands_keys_on(day: dt.date = daily(tz="Europe/Berlin"), hour: dt.datetime = hourly()) -> None:
    taking(day, at=hour)


@job
def branching(n: int = 4, full: bool = False) -> None:
    chosen = condition(n, "==", 4, key="four")
    chosen.then(told.override(key="yes")(n)).otherwise(told.override(key="no")(n))
    condition(full, "==", True, key="all").then(told.override(key="everything")(full))


# For-each


@job
def repeated(items: list[Any] = ["a", 1, 1.5, {"k": "v"}]) -> None:  # noqa: B006 - the default of a job parameter
    @task
    def listed() -> list[str]:
        return ["p", "q"]

    @task
    def empty() -> list[str]:
        return []

    @task
    def one(item: Any) -> None:
        print("ITEM", repr(item))
        if item == "q":
            raise RuntimeError("on purpose")

    done = one.override(key="literals")(each(["a", dt.date(2024, 1, 1), {"k": Decimal("1.5")}]))
    one.override(key="given")(each(items))
    failing = one.override(key="results")(each(listed()))
    one.override(key="none")(each(empty()))
    step("after", depends_on=[done])
    step("behind", depends_on=[failing])
    condition(failing.state, "==", "failed", key="seen").then(step("noted"))
