"""Bundle variables: text with the bundle's own references, resolved from what this run was given."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbxdec.errors import RunError
from dbxdec.model.variables import BundleVariable, bundle_target, bundle_variable, has_token, names_in, resolve, using
from thorough import examples

properties = settings(deadline=None, derandomize=True, max_examples=examples(60))

NAMES = st.from_regex(r"[A-Za-z]([A-Za-z0-9_-]{0,7}[A-Za-z0-9])?", fullmatch=True)


class TestMaking:
    @properties
    @given(NAMES)
    def test_a_variable_is_the_bundles_own_reference(self, name: str) -> None:
        """A variable is, as text, what the bundle resolves, so that a setting can hold it as it is."""
        variable = bundle_variable(name)
        assert str(variable) == f"{variable}" == f"${{var.{name}}}"
        assert names_in(variable) == {name}

    def test_the_target_is_a_reference_of_the_bundle(self) -> None:
        """The target's name is what the bundle calls `bundle.target`."""
        assert str(bundle_target()) == "${bundle.target}"
        assert names_in(bundle_target()) == {"bundle.target"}

    @pytest.mark.parametrize(
        "name", ["", "1st", "-x", "_x", "x_", "x-", "a b", "a.b", "a}", "a\n", "größe", "bundle.target", "${var.x}"]
    )
    def test_names_that_a_bundle_could_not_declare_are_refused(self, name: str) -> None:
        """A name that the bundle would not take is refused where it is written, with what names are made of."""
        with pytest.raises(ValueError, match="letters, digits, `_` and `-`, with a letter first"):
            bundle_variable(name)

    def test_equal_ones_are_equal(self) -> None:
        """Two variables with one text are one as dict keys."""
        assert bundle_variable("a") == bundle_variable("a")
        assert bundle_variable("a") != bundle_variable("b")
        with using({"a": "x", "b": "y"}, live=True):
            assert {bundle_variable("a"), bundle_variable("a"), "x", bundle_variable("b")} == {"x", "y"}
            assert {"x": 1}.get(bundle_variable("a")) == 1

    @pytest.mark.parametrize("search", [lambda a: a in {"x", "y"}, lambda a: {"x": 1}.get(a, 2)], ids=["set", "dict"])
    def test_a_search_in_a_set_or_a_dict_is_refused_without_a_value(self, search: Callable[[Any], object]) -> None:
        """It would find nothing, whatever the value will be."""
        with pytest.raises(RunError, match="is looked up in a set or a dict, but has no value while"):
            search(bundle_variable("a"))

    def test_comparing_with_a_text_or_asking_for_the_truth_is_refused(self) -> None:
        """The value is known at deploy only: a branch on it would always go one way."""
        with pytest.raises(RunError, match="is compared, but has no value"):
            assert bundle_variable("a") == "prod"
        with pytest.raises(RunError, match="is compared, but has no value"):
            assert bundle_variable("a") in ("dev", "prod")
        with pytest.raises(RunError, match="is used as a truth value"):
            assert bundle_variable("a")

    def test_repr_shows_the_reference(self) -> None:
        """The repr is the call that makes the same object."""
        assert repr(bundle_variable("a")) == "BundleVariable('${var.a}')"

    def test_repr_in_a_task_is_that_of_the_value(self) -> None:
        """It is a string there; without a value the repr, which tracebacks show, is still one."""
        with using({"a": "it's"}, live=True):
            assert repr(bundle_variable("a")) == f"{bundle_variable('a')!r}" == '"it\'s"'
            assert repr(bundle_variable("other")) == "BundleVariable('${var.other}')"


class TestJoining:
    @pytest.mark.parametrize(
        ("made", "text"),
        [
            (bundle_variable("root") / "bronze", "${var.root}/bronze"),
            (bundle_variable("root") / "a" / "b", "${var.root}/a/b"),
            (bundle_variable("root") / "/bronze", "${var.root}/bronze"),
            (BundleVariable("${var.root}/") / "bronze", "${var.root}/bronze"),
            (bundle_variable("root") / PurePosixPath("a/b"), "${var.root}/a/b"),
            (bundle_variable("root") / bundle_target() / 7, "${var.root}/${bundle.target}/7"),
            (bundle_variable("root") / PureWindowsPath("a\\b"), "${var.root}/a/b"),
            ("/lake/" / bundle_variable("root"), "/lake/${var.root}"),
        ],
        ids=str,
    )
    def test_paths_have_one_slash_between_parts(self, made: BundleVariable, text: str) -> None:
        """`/` joins with exactly one slash, to text, paths and other variables."""
        assert made.template == text

    @pytest.mark.parametrize(
        ("made", "text"),
        [
            (bundle_variable("root") + "/x", "${var.root}/x"),
            ("a" + bundle_variable("root"), "a${var.root}"),
            (bundle_variable("root") + bundle_target(), "${var.root}${bundle.target}"),
            (f"{bundle_variable('root')}/x", "${var.root}/x"),
            ("%s/x" % bundle_variable("root"), "${var.root}/x"),  # noqa: UP031 - what is tested
            ("{}/x".format(bundle_variable("root")), "${var.root}/x"),
        ],
        ids=str,
    )
    def test_strings_are_joined_as_strings_are(self, made: object, text: str) -> None:
        """`+`, f-strings, `%s` and `format` make longer ones, which hold the reference."""
        assert str(made) == text
        assert names_in(made) >= {"root"}

    @pytest.mark.parametrize(
        "use",
        [
            lambda v: v.upper(),
            lambda v: v.startswith("/"),
            lambda v: v[0],
            lambda v: v[1:],
            lambda v: list(v),
            lambda v: len(v),
            lambda v: int(v),
            lambda v: float(v),
            lambda v: v < "a",
            lambda v: "a" in v,
            lambda v: v % 3,
            lambda v: f"{v:>10}",
            lambda v: os.path.join(v, "x"),
            lambda v: Path("a") / v,
            lambda v: Path(v),
        ],
    )
    def test_what_needs_the_value_says_so(self, use: Any) -> None:
        """Methods of strings, indexes, numbers, comparisons and paths are one sentence, never a part of a reference."""
        with pytest.raises(RunError, match="has no value while the pipeline is defined"):
            use(bundle_variable("root"))

    def test_what_no_string_has_it_does_not_have(self) -> None:
        """Whoever asks whether it is something else gets no."""
        variable = bundle_variable("root")
        assert not any(hasattr(variable, name) for name in ("as_dict", "read", "__array__", "_name"))
        with pytest.raises(TypeError, match="BundleVariable"):
            variable + 3

    def test_joining_leaves_the_left_side_alone(self) -> None:
        """A root can be shared: `/` makes a new variable."""
        root = bundle_variable("root")
        assert root / "bronze" != root
        assert root.template == "${var.root}"

    def test_using_one_as_a_path_is_an_error_that_says_where_it_may_stand(self) -> None:
        """A variable has no value at build, so opening it as a file is an error and not a file of that name."""
        with pytest.raises(RunError, match=r"\$\{var\.root\} is used as a path, but has no value.*") as error:
            os.fspath(bundle_variable("root"))
        assert error.value.problems[0].hint


class TestFinding:
    @pytest.mark.parametrize(
        ("value", "names"),
        [
            ("nothing", set()),
            ("${var.a}/${var.b-c}${bundle.target}", {"a", "b-c", "bundle.target"}),
            ("${workspace.host}${resources.jobs.x.id}${var.}{{var.a}}$var.a${bundle.name}", set()),
            ([bundle_variable("a"), ("${var.b}", {"k": {"deep": [bundle_variable("c")]}})], {"a", "b", "c"}),
            ({"${var.key}": 1}, {"key"}),
            (None, set()),
            (7, set()),
            ([], set()),
            ({}, set()),
        ],
        ids=lambda value: repr(sorted(value) if isinstance(value, set) else value),
    )
    def test_names_in_looks_into_containers(self, value: object, names: set[str]) -> None:
        """Every reference is found in text, variables, lists, tuples, values and keys, and nothing else is."""
        assert names_in(value) == names

    @properties
    @given(st.lists(st.one_of(NAMES.map(lambda name: f"${{var.{name}}}"), st.text(max_size=5)), max_size=5))
    def test_has_token_agrees_with_names_in(self, parts: list[str]) -> None:
        """A text has a reference exactly when a name is found in it."""
        text = "".join(parts)
        assert has_token(text) == bool(names_in(text))


class TestResolving:
    @properties
    @given(st.dictionaries(NAMES, st.text(max_size=12), min_size=1, max_size=4), st.text(max_size=5))
    def test_every_reference_becomes_its_value(self, known: dict[str, str], between: str) -> None:
        """References are replaced by exactly their value, whatever it holds, and the text between them stays."""
        between = between.replace("$", "")
        template = between.join(f"${{var.{name}}}" for name in known)
        assert resolve(template, known) == between.join(known.values())

    def test_text_without_references_is_unchanged(self) -> None:
        """What is no bundle variable is left as it is, other references of the platform included."""
        text = "${workspace.host}/{{job.id}}\\1 $ {}"
        assert resolve(text, {}) == text

    def test_given_values_win_over_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A value of this run, an empty one too, wins over DBXDEC_VAR_<name>; without one the environment serves."""
        monkeypatch.setenv("DBXDEC_VAR_root", "/environment")
        assert resolve(bundle_variable("root"), {"root": "/given"}) == "/given"
        assert resolve(bundle_variable("root"), {"root": ""}) == ""
        assert resolve(bundle_variable("root"), {"other": "x"}) == "/environment"
        assert resolve(bundle_variable("root") / "x") == "/environment/x"

    @pytest.mark.parametrize("variable", [bundle_variable("root"), bundle_target()], ids=str)
    def test_no_value_is_an_error_that_says_how_to_give_one(
        self, variable: BundleVariable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A variable without a value anywhere is named, with both ways of giving it one."""
        (name,) = names_in(variable)
        monkeypatch.delenv(f"DBXDEC_VAR_{name}", raising=False)
        with pytest.raises(RunError) as error:
            resolve(variable)
        (problem,) = error.value.problems
        assert f"`{name}`" in problem.message
        assert problem.hint is not None
        assert f"--var {name}=VALUE" in problem.hint
        assert f"DBXDEC_VAR_{name}" in problem.hint

    def test_what_a_task_makes_for_itself_and_was_not_given_says_where_to_make_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The build finds no variable that only the body makes; no option of a command would help then."""
        monkeypatch.delenv("DBXDEC_VAR_root", raising=False)
        with using({"other": "x"}, live=True), pytest.raises(RunError, match="`root` has no value here") as error:
            str(bundle_variable("root"))
        (problem,) = error.value.problems
        assert "at the top of the module" in (problem.hint or "")
        assert "--var" not in (problem.hint or "")

    def test_using_holds_for_its_block_and_nests(self) -> None:
        """`using` gives values for one block, an inner one hides the outer, and leaving restores, by error too."""
        a = bundle_variable("a")

        def inner() -> Any:
            with using({"a": "inner"}):
                assert resolve(a) == "inner"
                raise KeyError

        with using({"a": "outer"}):
            with pytest.raises(KeyError):
                inner()
            assert resolve(a) == "outer"
            assert resolve(a, {"a": "explicit"}) == "explicit"
        with pytest.raises(RunError):
            resolve(a)
