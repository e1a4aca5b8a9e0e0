"""Secrets are hidden in every form in which strings have them, and strings without them stay whole."""

from __future__ import annotations

import base64
import os
import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dbxdec.support import masking
from dbxdec.support.masking import HIDDEN, Mask
from secret_shapes import FORMS, SHAPES
from thorough import examples

properties = settings(deadline=None, derandomize=True, max_examples=examples(60))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_hidden_in_each_form(shape: str, form: str) -> None:
    """Nothing of it is left, and what stands around it is."""
    secret = SHAPES[shape]
    if shape == "surrogate" and form not in ("as it is", "JSON", "ascii", "repr"):
        return
    written = FORMS[form](secret)
    assert Mask([secret]).text(f"before <{written}> behind") == f"before <{HIDDEN}> behind"


def test_bytes_that_are_not_utf_8_are_hidden_however_they_are_spelt() -> None:
    """A value of the environment that is no text has its bytes in a `repr` or a URL."""
    secret = SHAPES["surrogate"]
    octets = os.fsencode(secret)
    for written in (repr(octets), quote(octets), quote(octets).lower()):
        assert HIDDEN in Mask([secret]).text(written)
        assert "end" not in Mask([secret]).text(written)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "surrogate"])
def test_a_secret_is_hidden_in_forms_of_forms(shape: str) -> None:
    """JSON in JSON, `repr` of JSON and JSON in a URL are forms too."""
    secret = SHAPES[shape]
    for outer in ("JSON", "repr", "in a URL", "HTML"):
        for inner in ("JSON", "repr", "in a URL", "HTML"):
            written = FORMS[outer](FORMS[inner](secret))
            assert Mask([secret]).text(f"before <{written}> behind") == f"before <{HIDDEN}> behind", (outer, inner)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("before", ["", "u:", "user:"])
def test_a_secret_is_hidden_in_base64_and_hex(shape: str, before: str) -> None:
    """As in the headers of requests, behind a user's name of any length, and with what is around it in one token."""
    octets = f"{before}{SHAPES[shape]}:x".encode("utf-8", "surrogateescape")
    mask = Mask([SHAPES[shape]])
    for encoded in (base64.b64encode(octets), base64.urlsafe_b64encode(octets)):
        assert mask.text(f"Authorization: Basic {encoded.decode()}, more") == f"Authorization: Basic {HIDDEN}, more"
    assert mask.text(f"<{octets.hex()}>") == mask.text(f"<{octets.hex().upper()}>") == f"<{HIDDEN}>"


def test_each_line_of_a_secret_is_hidden() -> None:
    """A key of several lines, printed line by line; lines that say nothing by themselves stay."""
    mask = Mask([SHAPES["lines"]])
    assert mask.text("0: c2VjcmV0bGluZQ==") == f"0: {HIDDEN}"
    assert mask.text("1: ab") == "1: ab"
    assert mask.text(SHAPES["lines"].strip().replace("\n", "\r\n")) == HIDDEN


@pytest.mark.parametrize("ellipsis", ["…", "..."])
def test_the_beginning_of_a_secret_before_an_ellipsis_is_hidden(ellipsis: str) -> None:
    """What has cut a long value says so; the same letters elsewhere are no secret."""
    secret = "correct horse battery staple"  # noqa: S105 - made up
    assert Mask([secret]).text(f"┆ correct horse ba{ellipsis} ┆") == f"┆ {HIDDEN}{ellipsis} ┆"
    assert Mask([secret]).text("correct horse and rider") == "correct horse and rider"


def test_secrets_that_overlap_are_hidden_together() -> None:
    """No end of one is left because another was found first, and the longest is not spoilt by one inside of it."""
    mask = Mask(["abcdefgh", "efghijkl", "cdef", "hunter2", "hunter2hunter2"])
    assert mask.text("<abcdefghijkl>") == f"<{HIDDEN}>"
    assert mask.text("hunter2hunter2, hunter2") == f"{HIDDEN}, {HIDDEN}"
    assert Mask(["abab"]).text("ababab") == HIDDEN


@pytest.mark.parametrize("secret", ["s", "1", "ab", "abc", ".", "\\", "é"])
def test_short_secrets_garble_nothing(secret: str) -> None:
    """One of up to three characters is hidden as a whole string and in quotes, and nowhere else."""
    mask = Mask([secret])
    text = f"the tables{secret}abc are 1{secret}1 things, s. of é\\x"
    assert mask.text(text) == text
    assert mask.text(secret) == HIDDEN
    assert mask.text(f"{secret}\n") == f"{HIDDEN}\n"
    assert mask.text(str({"key": secret}).replace("\\\\", "\\")) == f"{{'key': '{HIDDEN}'}}"
    assert mask.data({secret: [secret, f"{secret}{secret}"]}) == {secret: [HIDDEN, f"{secret}{secret}"]}


@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_nothing_is_no_secret(secret: str) -> None:
    """An empty value hides nothing."""
    assert Mask([secret]).text("a b\n") == "a b\n"


@properties
@given(st.text(min_size=4, max_size=20), st.sampled_from(sorted(FORMS)), st.sampled_from(sorted(FORMS)))
def test_any_secret_is_hidden_in_any_form(secret: str, outer: str, inner: str) -> None:
    """Whatever the value, no form of a form of it is left."""
    assume(len(secret.strip()) >= 4)
    assume(not {"repr in a longer one"} & {outer, inner})
    assume(not re.search("[\ud800-\udfff]", secret))
    written = FORMS[outer](FORMS[inner](secret))
    assert written.strip() not in Mask([secret]).text(f"<{written}>")


@properties
@given(st.lists(st.text(min_size=1, max_size=8), max_size=4), st.text(max_size=40))
def test_strings_without_a_secret_stay_whole(secrets: list[str], text: str) -> None:
    """What is hidden is somewhere in the string in one of its forms: without any of its letters nothing changes."""
    assume(not any(set(secret.strip()) & set(text) or re.search(r"[\W_]", secret) for secret in secrets))
    assert Mask(secrets).text(text) == text


def test_a_long_log_is_quick() -> None:
    """A string that has nothing of a secret is not looked through letter by letter."""
    mask = Mask([f"secret-{i}-{'x' * 50}" for i in range(50)])
    text = "an ordinary line of a log with some words in it\n" * 20_000
    assert mask.text(text) is text or mask.text(text) == text


class TestScopes:
    def test_what_a_run_has_learnt_ends_with_it(self) -> None:
        """Messages after a run are whole, also those with the letters of its secrets."""
        with masking.scope(["hunter2hunter2"]):
            masking.learn("another secret")
            assert masking.hide("hunter2hunter2, another secret") == f"{HIDDEN}, {HIDDEN}"
        assert masking.hide("hunter2hunter2, another secret") == "hunter2hunter2, another secret"

    def test_runs_inside_of_runs(self) -> None:
        """The inner one hides what the outer one knows, too, and keeps its own to itself."""
        with masking.scope(["outer secret"]):
            with masking.scope(["inner secret"]):
                assert masking.hide("outer secret, inner secret") == f"{HIDDEN}, {HIDDEN}"
            assert masking.hide("outer secret, inner secret") == f"{HIDDEN}, inner secret"

    def test_values_are_cut_after_secrets_are_hidden(self) -> None:
        """A message that shows the beginning of a value shows nothing of a longer secret in it."""
        with masking.scope(["s" * 200]):
            assert masking.brief({"a": "s" * 200}) == f"{{'a': '{HIDDEN}'}}"
            assert masking.brief("x" * 100, 20) == "'" + "x" * 19


def test_results_have_no_secrets_that_are_numbers_or_keys() -> None:
    """A number is hidden whole; one that a short secret happens to be stays, and so does all that is none."""
    mask = Mask(["4711471147", "12.5678", "7", "true"])
    value = {"4711471147": 4711471147, "a": [12.5678, -4711471147, 7, True, None, "4711471147"], "b": {"c": (47, 1.5)}}
    assert mask.results(value) == {
        HIDDEN: HIDDEN,
        "a": [HIDDEN, HIDDEN, 7, True, None, HIDDEN],
        "b": {"c": [47, 1.5]},
    }
