"""Secrets are hidden in every form in which strings have them, and strings without them stay whole."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import threading
from collections import Counter
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


REPEATED = ["a", "-", "secret-", "\\", '\\"', "%25", "&amp;", "ä", "🔑", "line\n", "."]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("form", ["as it is", "JSON", "repr", "in a URL"])
@pytest.mark.parametrize("unit", REPEATED)
def test_a_long_secret_of_repeated_text_is_hidden(unit: str, form: str) -> None:
    """Whole, twice in a row, and cut; each place of the text is covered a few times and not once for each letter."""
    secret = (unit * 5000)[:5000]
    written = FORMS[form](secret)
    mask = Mask([secret])
    assert mask.text(f"<{written}>") == f"<{HIDDEN}>"
    assert mask.text(f"<{written}{written}>") == f"<{HIDDEN}>"
    assert set(mask.text(f"<{written[: len(written) * 2 // 3]}…").replace(HIDDEN, "")) == set("<…")
    finder = next(finder for kind, finder in mask._finders.items() if kind[0].__name__ == "_Written")
    covered = sum(stop - start for start, stop in finder.spans(written * 4))
    assert covered <= len(written * 4) + 400 * 400 * 10


@pytest.mark.parametrize("unit", ['\\"', "\\'", "\\/", "\\\n", "\n", "\r\n", "\r", '"', "%25", "%", "&amp;", "& ", "é"])
def test_a_string_that_is_nearly_a_secret_takes_no_time(unit: str) -> None:
    """The number of ways to read escaped letters does not multiply with the letters."""
    secret = unit * 30 + "x"
    for outer in ("JSON", "repr", "in a URL"):
        for inner in ("as it is", "JSON", "in a URL"):
            nearly = FORMS[outer](FORMS[inner](unit * 29 + "y" + "x" * 9))
            for text in (f"<{nearly}>", f"<{nearly}…", nearly.replace("\n", "\r\n")):
                assert Mask([secret]).text(text) == text


@properties
@given(st.text('a-%25\\\n"&;é', min_size=4, max_size=12), st.data())
def test_all_matches_are_covered(value: str, data: st.DataObject) -> None:
    """Those that overlap, and those of pieces, in strings of parts of the value in several forms."""
    repeated = data.draw(st.booleans())
    secret = (value * 4 if repeated else value).strip()
    assume(len(secret) >= 4)
    forms = st.sampled_from(["as it is", "JSON", "repr", "in a URL"])
    parts = data.draw(st.lists(st.tuples(forms, st.integers(0, len(secret))), max_size=4))
    text = "".join(FORMS[form](secret[-start:] + secret) for form, start in parts)
    for finder in Mask([secret])._finders.values():
        if type(finder).__name__ != "_Written":
            continue
        found = (finder._pattern.match(text, i) for i in range(len(text)))
        every = {i for match in found if match for i in range(*match.span())}
        assert every == {i for span in finder.spans(text) for i in range(*span)}


@pytest.mark.parametrize("ellipsis", ["…", "..."])
def test_the_beginning_of_a_secret_before_an_ellipsis_is_hidden(ellipsis: str) -> None:
    """What has cut a long value says so; the same letters elsewhere are no secret."""
    secret = "correct horse battery staple"  # noqa: S105 - made up
    assert Mask([secret]).text(f"┆ correct horse ba{ellipsis} ┆") == f"┆ {HIDDEN}{ellipsis} ┆"
    assert Mask([secret]).text("correct horse and rider") == "correct horse and rider"


def test_a_beginning_may_end_within_an_escaped_letter() -> None:
    """JSON and URLs that are cut anywhere show nothing of the value in front of the cut."""
    secret = "pässwörd-größe 🔑 'of' \n all" * 30
    mask = Mask([secret])
    for form in ("as it is", "JSON", "repr", "ascii", "in a URL", "repr of bytes", "HTML"):
        written = FORMS[form](secret)
        for cut in (60, 61, 62, 63, 64, 65, 390, 402, 411, 412, 800, 807):
            shown = mask.text(f"<{written[:cut]}…")
            assert re.fullmatch(rf"<{re.escape(HIDDEN)}…", shown), (form, cut, shown)


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


class TestOutput:
    def written(self, *parts: str) -> str:
        """What a stream has after these writes; "<flush>" flushes it."""
        before, stream = sys.stdout, io.StringIO()
        sys.stdout = stream
        try:
            with masking.scope(["correct horse", "first line\nab"]), masking.output():
                for part in parts:
                    sys.stdout.flush() if part == "<flush>" else sys.stdout.write(part)
                self.before_the_end = stream.getvalue()
        finally:
            sys.stdout = before
        return stream.getvalue()

    def test_a_secret_that_is_written_in_parts_is_hidden(self) -> None:
        """A line is shown when it has ended, and its rest at the end of the block."""
        assert self.written("key: correct", " hor", "se!\n", "next") == f"key: {HIDDEN}!\nnext"
        assert self.before_the_end == f"key: {HIDDEN}!\n"
        assert self.written(*"<correct horse>") == f"<{HIDDEN}>"
        assert self.written(*"[first line\n", "ab", "]\n") == f"[{HIDDEN}\nab]\n"
        assert self.written("[first line\nab", "]\n") == f"[{HIDDEN}]\n"

    def test_a_flush_shows_the_beginning_of_a_line(self) -> None:
        """As a prompt or a progress bar wants it."""
        assert self.written("50 %", "<flush>") == "50 %"
        assert self.before_the_end == "50 %"

    def test_nothing_is_held_back_without_a_secret(self) -> None:
        """Output is as it would be without dbxdec."""
        before, stream = sys.stdout, io.StringIO()
        sys.stdout = stream
        try:
            with masking.output():
                sys.stdout.write("50 %")
                assert stream.getvalue() == "50 %"
                with pytest.raises(TypeError):
                    sys.stdout.write(5)  # type: ignore[arg-type]
        finally:
            sys.stdout = before

    def test_threads_lose_nothing(self) -> None:
        """Lines of several threads are all there, each whole."""
        before, stream = sys.stdout, io.StringIO()
        sys.stdout = stream
        try:
            with masking.scope(["correct horse"]), masking.output():
                threads = [
                    threading.Thread(target=lambda i=i: [sys.stdout.write(f"{i}\n") for _ in range(200)])
                    for i in range(4)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        finally:
            sys.stdout = before
        assert Counter(stream.getvalue().split("\n")[:-1]) == {str(i): 200 for i in range(4)}


def test_results_have_no_secrets_that_are_numbers_or_keys() -> None:
    """A number is hidden whole; one that a short secret happens to be stays, and so does all that is none."""
    mask = Mask(["4711471147", "12.5678", "7", "true"])
    value = {"4711471147": 4711471147, "a": [12.5678, -4711471147, 7, True, None, "4711471147"], "b": {"c": (47, 1.5)}}
    assert mask.results(value) == {
        HIDDEN: HIDDEN,
        "a": [HIDDEN, HIDDEN, 7, True, None, HIDDEN],
        "b": {"c": [47, 1.5]},
    }
