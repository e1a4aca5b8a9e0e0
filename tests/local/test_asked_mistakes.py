"""What a person may not ask for: no keys, keys that are not due, and other names."""

from __future__ import annotations

import pytest
from test_asked_keys import NOW, asked

from dbxdec.errors import RunError
from dbxdec.local.asked_keys import asked_keys
from dbxdec.model.dag import Job, JobParameter
from dbxdec.model.keys import Choices, Key, Periods
from dbxdec.model.values import ValueType


def test_dates_as_both_ends_of_hours_are_all_hours_of_them() -> None:
    """The first hour of the first date, and the last one of the last."""
    keys, _ = asked(Periods("hourly"), "2024-03-07..2024-03-08")
    assert (len(keys), keys[0], keys[-1]) == (48, "2024-03-07T00:00Z", "2024-03-08T23:00Z")
    keys, _ = asked(Periods("hourly"), "2024-03-10..")
    assert (keys[0], keys[-1]) == ("2024-03-10T00:00Z", "2024-03-10T11:00Z")


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        (Periods("daily"), "2024-03-10", "has 2024-03-10, which is not due; the last one is 2024-03-09"),
        (Periods("daily"), "2024-03-10..2024-03-12", "has no key that is due; the last one is 2024-03-09"),
        (Periods("daily"), "2024-03-10..", "has no key that is due; the last one is 2024-03-09"),
        (Periods("daily"), "..2024-03-01", r"has no beginning: write `FIRST\.\.LAST`, or `FIRST\.\.`"),
        (Periods("daily"), "monday", "has 'monday', which is no date"),
        (Periods("daily"), "2024-01-01..monday", "has 'monday', which is no date"),
        (Periods("monthly", on=1), "2024-02-02", r"has 2024-02-02, which is no key of monthly\(on=1\)"),
        (Periods("hourly"), "2024-03-08T20:30", "has 2024-03-08T20:30, which is no key of hourly"),
        (
            Periods("hourly"),
            "2024-03-10T12:00",
            "has 2024-03-10T12:00, which is not due; the last one is 2024-03-10T11:00Z",
        ),
    ],
)
def test_what_is_no_key_or_is_not_due_is_an_error(key: Key, text: str, said: str) -> None:
    """It is never taken as nothing to do."""
    with pytest.raises(RunError, match=f"day={text.replace('.', '[.]')} {said}"):
        asked(key, text)


def test_all_that_is_wrong_is_said_at_once() -> None:
    """Names of no keys, with what they may be meant as, and values that there are not."""
    region = JobParameter("region", ValueType("str"), key=Choices(("eu", "us")))
    day = JobParameter("day", ValueType("date"), key=Periods("daily"))
    job = Job("j", "m", "m:f", None, (), (day, region, JobParameter("note", ValueType("str"))))  # type: ignore[arg-type]
    given = {"dya": "2024-01-01", "note": "x", "other": "1", "region": "eu,asia", "day": ".."}
    with pytest.raises(RunError) as error:
        asked_keys(job, {name: [text] for name, text in given.items()}, NOW)
    assert [(one.message, one.hint) for one in error.value.problems] == [
        ("`dya` is no key of the job `j`", "did you mean `day`?"),
        ("`note` is no key of the job `j`", "`-p note=x`"),
        ("`other` is no key of the job `j`", "its keys are `day` and `region`"),
        ("region=eu,asia names `asia`, but its values are `eu` and `us`", None),
        ("day=.. has no beginning: write `FIRST..LAST`, or `FIRST..`", None),
    ]
