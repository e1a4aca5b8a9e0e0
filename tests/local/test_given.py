"""The values for which a job without keys is run: dates from A to B, and lists of anything else that has a string."""

from __future__ import annotations

import pytest

from dbxdec.errors import RunError, SourceLocation
from dbxdec.local.given import keys_given, said_of, with_given
from dbxdec.model.dag import Job, JobParameter
from dbxdec.model.values import ValueType

TYPES = {
    "day": ValueType("date"),
    "region": ValueType("literal", choices=("eu", "us")),
    "name": ValueType("str"),
    "rate": ValueType("decimal"),
    "at": ValueType("datetime"),
    "on": ValueType("bool"),
    "maybe": ValueType("int", optional=True),
    "some": ValueType("list"),
    "size": ValueType("literal", choices=("s,m", "l..xl", "s")),
}
JOB = Job("one", "m", "f", SourceLocation("a.py", 1), (), tuple(JobParameter(name, of) for name, of in TYPES.items()))


def keys(**given: str | list[str]) -> list[tuple[str, ...]]:
    texts = {name: [one] if isinstance(one, str) else one for name, one in given.items()}
    job, values = with_given(JOB, texts)
    return list(keys_given(job, values, ()).due)


def test_days_go_from_the_first_to_the_last() -> None:
    """Over the ends of months and leap days, in the order of time, once each."""
    assert keys(day="2024-02-28..2024-03-01") == [("2024-02-28",), ("2024-02-29",), ("2024-03-01",)]
    assert keys(day="2024-01-05, 2024-01-04..2024-01-05") == [("2024-01-05",), ("2024-01-04",)]


def test_values_of_several_parameters_are_combined() -> None:
    """In the order of the parameters, whatever the order in which they are given."""
    found = [("2024-01-01", "eu"), ("2024-01-01", "us"), ("2024-01-02", "eu"), ("2024-01-02", "us")]
    assert keys(region="eu,us", day="2024-01-01..2024-01-02") == found


def test_each_value_is_one_key_however_it_is_written() -> None:
    """So that its runs are found again; a string may have two dots."""
    assert keys(on="true,True,false") == [("true",), ("false",)]
    assert keys(maybe="1,01") == [("1",)]
    assert keys(name="a..b,c") == [("a..b",), ("c",)]
    assert keys(size="s,m") == [("s,m",)]
    assert keys(size="l..xl") == [("l..xl",)]
    assert keys(size=["s,m", "s", "l..xl"]) == [("s,m",), ("s",), ("l..xl",)]


def test_a_string_that_looks_like_a_range_is_said_to_be_one_value() -> None:
    """Once, however many keys have it; two dots alone, or at an end, are no range."""
    job, values = with_given(JOB, {"name": ["eu..us,..,a..,..b"], "day": ["2024-01-01..2024-01-03"]})
    assert list(said_of(keys_given(job, values, ()), done=0))[1:] == [
        "`eu..us` is one value of `name`: only dates have ranges; for several values write `name=A,B`"
    ]


def test_a_plan_with_done_values_does_not_say_that_all_are_run() -> None:
    """A resumed backfill leaves out what it has run."""
    job, values = with_given(JOB, {"name": ["a,b"]})
    (said,) = said_of(keys_given(job, values, [("a",)]), done=1)
    assert said.endswith("only what this backfill has run well is left out")
    (said,) = said_of(keys_given(job, values, ()), done=0)
    assert said.endswith("so all are run")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "the job `one` has no key"),
        ({"dya": "2024-01-01"}, "`dya` is no parameter of the job `one`\n    hint: did you mean `day`?"),
        ({"day": "january"}, "not of the type date"),
        ({"day": "2024-01-02.."}, "needs the first and the last day"),
        ({"day": "..2024-01-02"}, "needs the first and the last day"),
        ({"day": "2024-01-02..2024-01-01"}, "write `2024-01-01..2024-01-02`"),
        ({"region": "eu,de"}, "allowed are eu, us"),
        ({"name": "a,,b"}, "has nothing beside a comma"),
        ({"region": "eu,"}, "has nothing beside a comma"),
        ({"rate": "1..2"}, "only dates are given from the first to the last one"),
        ({"some": "[1]"}, "give it by `-p some=...`"),
        ({"day": "0001-01-01..9999-12-31"}, "more than 1,000,000"),
    ],
)
def test_a_wrong_value_says_what_to_write(given: dict[str, str], said: str) -> None:
    """Before anything runs."""
    with pytest.raises(RunError) as error:
        keys(**given)
    assert said in str(error.value)
