"""Requirements of one package that no version fulfils together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from dbxdec.build.codegen.versions import excluded

NUMBERS = st.sampled_from(["0.1", "1", "1.0", "1.1", "1.2", "2", "2.0.1"])
SPECIFIERS = st.builds("{}{}".format, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), NUMBERS)
REQUIREMENTS = st.lists(SPECIFIERS, min_size=1, max_size=3).map(lambda some: f"p{','.join(some)}")
# All of the numbers above, and versions around each.
VERSIONS = [
    Version(text)
    for text in "0 0.1 0.1.1 0.9 1 1.0.1 1.1 1.1.1 1.2 1.2.1 1.9 2 2.0.0.1 2.0.1 2.0.1.1 3".split()  # noqa: SIM905
]


@given(st.lists(REQUIREMENTS, min_size=1, max_size=4, unique=True))
def test_requirements_are_excluded_just_where_no_version_fulfils_all_of_them(requirements: list[str]) -> None:
    specifiers = [Requirement(text).specifier for text in requirements]
    there_is_one = any(all(one.contains(version) for one in specifiers) for version in VERSIONS)
    found = excluded(requirements)
    assert bool(found) == (not there_is_one)
    assert set(found) <= set(requirements)


@pytest.mark.parametrize(
    "requirements",
    [
        ["p==1.0", "p==1.0+cu118"],
        ["p>1.0a1", "p<1.0b1"],
        ["p>1.0a1", "p<1.0a2"],
        ["p<0a2", "p<2"],
        ["p>1.0.dev1,<1.0.dev3"],
        ["p>1.0.dev1", "p!=1.0.dev2", "p<1.0a1"],
        ["p>1.0.post1,<1.0.post3"],
        ["p>1.0rc1.post1.dev1", "p<1.0rc1.post1"],
        ["p==1.0.dev0", "p<2"],
        ["p>1!1.0", "p<1!2"],
        ["p!=0"],
        ["p~=1.4", "p==1.4.7"],
        ["p>=1", "p"],
        ["p"],
    ],
)
def test_a_version_of_any_form_may_be_the_one_that_is_left(requirements: list[str]) -> None:
    assert excluded(requirements) == []


@pytest.mark.parametrize(
    ("requirements", "those"),
    [
        (["p>=1", "p!=3", "p<0.5"], ["p>=1", "p<0.5"]),
        (["p>=1,<2", "p>2,<2", "p"], ["p>2,<2"]),
        (["p>=1,!=1", "p<=1", "p"], ["p>=1,!=1", "p<=1"]),
        (["p>=1", "p<=1", "p!=1"], ["p>=1", "p<=1", "p!=1"]),
        (["p>1!1.0", "p<2"], ["p>1!1.0", "p<2"]),
    ],
)
def test_the_fewest_that_exclude_each_other_are_named(requirements: list[str], those: list[str]) -> None:
    assert excluded(requirements) == those
