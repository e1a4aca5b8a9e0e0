"""The parameters between a deployed job and `dbxdec-run`: what was put in comes out, or is refused by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbxdec.errors import RunError, SourceLocation
from dbxdec.model import dag, protocol
from dbxdec.model.protocol import RESERVED, RunArguments, parse, task_parameters
from dbxdec.model.trigger import REFERENCE
from thorough import examples

properties = settings(deadline=None, derandomize=True, max_examples=examples(100))

REFERENCES = {
    "{{workspace.id}}": "12",
    "{{job.run_id}}": "34",
    "{{task.execution_count}}": "2",
    "{{job.start_time.timestamp_ms}}": "1357000000000",
    "{{job.trigger.time.iso_datetime}}": "2013-01-01T00:26:00",
}


def task(*variables: str) -> dag.Task:
    return dag.Task("report", "shop.sales:report", SourceLocation("src/shop/sales.py", 3), {}, {}, variables=variables)


def reserved(**changes: str | None) -> dict[str, str]:
    """The reserved parameters of one start, as the platform fills them; None leaves one out."""
    named = task_parameters("shop", "b1", "sales", task())
    named = {name: REFERENCES.get(value, value) for name, value in named.items()}
    for name, value in changes.items():
        key = RESERVED + name.replace("_", "-")
        if value is None:
            del named[key]
        else:
            named[key] = value
    return named


def spelled(named: dict[str, str], dashes: bool | Iterable[bool] = True) -> list[str]:
    """The arguments as the platform gives them, in one of its two spellings or mixed."""
    each = itertools.repeat(dashes) if isinstance(dashes, bool) else itertools.cycle(dashes)
    return [
        f"{'--' if dashed else ''}{name}={value}" for (name, value), dashed in zip(named.items(), each, strict=False)
    ]


def messages(argv: list[str]) -> list[str]:
    with pytest.raises(RunError) as error:
        parse(argv)
    return [problem.message for problem in error.value.problems]


def names() -> st.SearchStrategy[str]:
    """Any name of a job parameter: `h`, `help`, `-x`, with dashes and dots inside, in any alphabet."""
    wild = st.text(st.characters(exclude_characters="=", exclude_categories=["Cs"]), min_size=1, max_size=8)
    common = st.sampled_from(
        ["h", "help", "-h", "version", "v", "m", "größe", "日付", "a.b", "some-name", "dbxdec", "job"]
    )
    return st.one_of(common, wild).filter(lambda name: not name.startswith(("--", RESERVED)))


def texts() -> st.SearchStrategy[str]:
    """Any value that is not an unresolved reference."""
    awkward = st.sampled_from(
        ["", "=", "a=b=c", "--help", "-", "--x=y", " ", "\n", '{"a": "b"}', "${var.x}", "{{", "'"]
    )
    return st.one_of(awkward, st.text(max_size=12)).filter(lambda text: not text.strip().startswith("{{"))


class TestParsing:
    @properties
    @given(st.dictionaries(names(), texts(), max_size=4), st.lists(st.booleans(), min_size=1, max_size=5))
    @example({"h": "", "help": "--help", "job": "=", "größe": "a=b"}, [True, False])
    def test_any_name_and_value_come_out_as_they_went_in(self, parameters: dict[str, str], dashes: list[bool]) -> None:
        """A job parameter of any name and value is given back whole in both spellings, `--k=v` and `k=v`."""
        told = parse(spelled({**reserved(), **parameters}, dashes))
        assert told.parameters == parameters
        assert told.variables == {}

    @properties
    @given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True), texts(), max_size=3))
    def test_bundle_variables_are_told_apart_from_parameters(self, variables: dict[str, str]) -> None:
        """The values of bundle variables come out by their names, any value whole, beside equally named parameters."""
        named = {f"dbxdec-var-{name}": value for name, value in variables.items()}
        parameters = dict.fromkeys(variables, "parameter")
        told = parse(spelled({**reserved(), **named, **parameters}))
        assert told.variables == variables
        assert told.parameters == parameters

    def test_the_reserved_ones_have_their_types(self) -> None:
        """Attempt and start are numbers, everything else is text as it was given."""
        assert parse(spelled(reserved())) == RunArguments(
            package="shop",
            job="sales",
            task="report",
            build="b1",
            workspace="12",
            run_id="34",
            attempt=2,
            started=1357000000000,
            variables={},
            parameters={},
            triggered="2013-01-01T00:26:00",
        )

    def test_the_order_of_arguments_does_not_matter(self) -> None:
        """The platform promises no order."""
        argv = spelled({**reserved(), "a": "1", "dbxdec-var-x": "2"})
        assert parse(argv[::-1]) == parse(argv)


class TestRefusing:
    @pytest.mark.parametrize(
        "value", ["{{job.parameters.day}}", " {{tasks.[a b].values.x}}\n", "{{}}", "{{\njob.id\n}}"], ids=repr
    )
    @pytest.mark.parametrize("name", ["dbxdec-run-id", "dbxdec-attempt", "dbxdec-var-lake"])
    def test_a_value_that_is_an_unresolved_reference_is_refused(self, name: str, value: str) -> None:
        """A whole value of ours that is still a reference is refused by the parameter's name, once."""
        (message,) = messages(spelled({**reserved(), name: value}))
        assert message == f"the parameter `{name}` is the unresolved reference {value.strip()}"

    @pytest.mark.parametrize(
        "value",
        [
            "see {{job.id}}",
            "{{job.id}}.",
            "{{greeting}}, {{name}}",
            "{{a}}{{b}}",
            '{"a": {"b": {}}}',
            "{{",
            "}}",
            "{{a}",
        ],
        ids=repr,
    )
    def test_a_reference_that_is_part_of_a_value_is_the_authors_text(self, value: str) -> None:
        """Text that only holds something like references, a template for instance, is a value like any other."""
        assert parse(spelled({**reserved(), "text": value})).parameters == {"text": value}

    @pytest.mark.parametrize("name", sorted(reserved()))
    def test_a_missing_reserved_parameter_is_named(self, name: str) -> None:
        """Without one of the reserved parameters nothing runs, and the missing one is named."""
        named = reserved()
        del named[name]
        assert messages(spelled(named)) == [f"the parameter `{name}` is missing"]

    @pytest.mark.parametrize("value", ["", " "])
    @pytest.mark.parametrize("name", ["package", "job", "task", "build", "workspace", "run-id"])
    def test_an_empty_reserved_parameter_is_refused(self, name: str, value: str) -> None:
        """Two runs without a number would be one: the append of the second would count as written already."""
        assert messages(spelled({**reserved(), f"dbxdec-{name}": value})) == [f"the parameter `dbxdec-{name}` is empty"]

    @pytest.mark.parametrize(("name", "token"), [("lake", "${var.lake}"), ("bundle.target", "${bundle.target}")])
    def test_a_bundle_variable_that_no_bundle_has_resolved_is_refused(self, name: str, token: str) -> None:
        """Its text would become a path; what another variable's value looks like is the author's."""
        assert messages(spelled(reserved(**{f"var_{name}": token}))) == [
            f"the parameter `dbxdec-var-{name}` is the unresolved bundle reference {token}"
        ]
        assert parse(spelled(reserved(**{f"var_{name}": "${other}"}))).variables == {name: "${other}"}

    def test_an_unknown_reserved_parameter_is_named(self) -> None:
        """A reserved parameter of a newer dbxdec is refused rather than taken for a job parameter."""
        (message,) = messages(spelled({**reserved(), "dbxdec-shard": "1"}))
        assert message == "the reserved parameter `dbxdec-shard` is not known to this dbxdec"

    @pytest.mark.parametrize("value", ["", "one", "1.5", "-1", "²"])
    @pytest.mark.parametrize("name", ["attempt", "started"])
    def test_numbers_must_be_numbers(self, name: str, value: str) -> None:
        """An attempt or start that is no whole number is refused by its name."""
        assert messages(spelled(reserved(**{name: value}))) == [f"`dbxdec-{name}` is {value!r}, not a whole number"]

    @pytest.mark.parametrize("value", ["9" * 22, "9" * 5000, "253402300800000"])
    @pytest.mark.parametrize("name", ["attempt", "started"])
    def test_numbers_have_an_end(self, name: str, value: str) -> None:
        """A time beyond the calendar is refused by its name, in a message of one line."""
        (message,) = messages(spelled(reserved(**{name: value})))
        assert message == f"`dbxdec-{name}` is {value!r:.40}, too large"

    @pytest.mark.parametrize(("name", "largest"), [("attempt", 10**9), ("started", 253_402_300_799_999)])
    def test_the_largest_number_is_taken(self, name: str, largest: int) -> None:
        """The last moment of the calendar, and more attempts than a run has; the next number is refused."""
        assert getattr(parse(spelled(reserved(**{name: str(largest)}))), name) == largest
        with pytest.raises(RunError, match=f"`dbxdec-{name}` is '{largest + 1}', too large"):
            parse(spelled(reserved(**{name: str(largest + 1)})))

    @pytest.mark.parametrize("argument", ["day", "--day", "", "--", "=x", "--=x", "-h", "--help", "--dbxdec-attempt"])
    def test_arguments_without_name_or_value_are_refused(self, argument: str) -> None:
        """An argument of another form is refused as it was written, and is one mistake, not two."""
        named = reserved(attempt=None) if "attempt" in argument else reserved()
        (message,) = messages([*spelled(named), argument])
        assert message == f"the argument {argument!r} is not of the form `--name=value` or `name=value`"

    def test_two_values_of_one_parameter_are_refused(self) -> None:
        """Neither is taken in silence; the same value twice says nothing new."""
        with pytest.raises(RunError, match="the parameter `day` is given twice: 'a' and 'b'"):
            parse([*spelled(reserved()), "--day=a", "day=b"])
        assert parse([*spelled(reserved()), "--day=a", "day=a"]).parameters == {"day": "a"}

    def test_a_trigger_without_a_time_is_none(self) -> None:
        """Where the platform leaves that reference as it is, the run's start is what there is; else it is a moment."""
        assert parse(spelled(reserved(triggered=REFERENCE))).triggered is None
        assert parse(spelled(reserved(triggered=""))).triggered == ""
        assert messages(spelled(reserved(triggered="noon"))) == ["`dbxdec-triggered` is 'noon', not a moment"]

    def test_the_item_of_an_iteration_is_told_apart(self) -> None:
        """Any text is an item, and no job parameter."""
        arguments = parse([*spelled(reserved()), "dbxdec-item={}"])
        assert arguments.item == "{}"
        assert arguments.parameters == {}
        assert parse(spelled(reserved())).item is None

    def test_all_mistakes_are_told_at_once(self) -> None:
        """One start tells every mistake in its arguments, each with advice where there is any to give."""
        named = {**reserved(job=None, started="now"), "dbxdec-var-x": "{{x}}", "dbxdec-new": "1"}
        with pytest.raises(RunError) as error:
            parse([*spelled(named), "bare"])
        told = [problem.message for problem in error.value.problems]
        assert len(told) == 5
        for part in ("`dbxdec-var-x`", "`dbxdec-job`", "`dbxdec-started`", "`dbxdec-new`", "'bare'"):
            assert any(part in message for message in told), part

    def test_nothing_at_all_says_what_to_do_instead(self) -> None:
        """Started by hand, it names everything that is missing and the command for a laptop."""
        with pytest.raises(RunError) as error:
            parse([])
        assert len(error.value.problems) == len(reserved())
        assert all("dbxdec run JOB" in (problem.hint or "") for problem in error.value.problems)


class TestTaskParameters:
    def test_a_task_says_where_it_is_found_and_which_build_it_is(self) -> None:
        """A task carries package, job, task and build, and the platform's references for the run."""
        named = task_parameters("shop", "b1", "sales", task())
        assert {name: value for name, value in named.items() if "{{" not in value} == {
            "dbxdec-package": "shop",
            "dbxdec-job": "sales",
            "dbxdec-task": "report",
            "dbxdec-build": "b1",
        }
        assert {value for value in named.values() if "{{" in value} == REFERENCES.keys()

    def test_each_bundle_variable_has_a_parameter_of_its_own(self) -> None:
        """A variable comes alone in its parameter, in the bundle's spelling, the target too."""
        named = task_parameters("shop", "b1", "sales", task("bundle.target", "lake-root"))
        variables = {name: value for name, value in named.items() if name.startswith("dbxdec-var-")}
        assert variables == {"dbxdec-var-bundle.target": "${bundle.target}", "dbxdec-var-lake-root": "${var.lake-root}"}

    def test_every_parameter_is_reserved_and_text(self) -> None:
        """No name can clash with a job parameter, which is a Python identifier."""
        named = task_parameters("shop", "b1", "sales", task("x"))
        assert all(name.startswith(RESERVED) and not name.isidentifier() for name in named)
        assert all(isinstance(value, str) for value in named.values())

    def test_what_codegen_emits_is_what_the_runtime_takes(self) -> None:
        """With references and variables filled in by the platform, every emitted parameter is understood."""
        named = task_parameters("shop", "b1", "sales", task("bundle.target", "lake"))
        filled = {**REFERENCES, "${var.lake}": 'a "quoted" = path', "${bundle.target}": "dev"}
        told = parse(spelled({name: filled.get(value, value) for name, value in named.items()}, False))
        assert (told.package, told.job, told.task, told.build) == ("shop", "sales", "report", "b1")
        assert told.variables == {"lake": 'a "quoted" = path', "bundle.target": "dev"}

    def test_what_the_platform_leaves_unresolved_is_refused(self) -> None:
        """Without the platform's filling every reference is refused, each by its parameter."""
        told = messages(spelled(task_parameters("shop", "b1", "sales", task())))
        assert len(told) == len(REFERENCES) - 1  # a run without a time of the trigger goes by its start


def test_entry_point_leads_to_the_runtime() -> None:
    """The object that the wheel's entry point names exists and can be called."""
    from importlib.metadata import EntryPoint

    point = EntryPoint(protocol.ENTRY_POINT, protocol.ENTRY_POINT_OBJECT, protocol.ENTRY_POINT_GROUP)
    assert callable(point.load())


class TestEach:
    """What a for-each task is given as its list."""

    @pytest.mark.parametrize(
        ("items", "inputs"),
        [
            (dag.Parameter("days"), "{{job.parameters.days}}"),
            (dag.TaskOutput("plan"), "{{tasks.plan.values.return_value}}"),
            (dag.TaskValue("plan", "days"), "{{tasks.plan.values.days}}"),
            (dag.Literal([1, "a"]), '[{"i":0,"v":1},{"i":1,"v":"a"}]'),
            (dag.Literal([None]), '[{"i":0,"v":null}]'),
            (dag.Literal(["ä"]), '[{"i":0,"v":"ä"}]'),
            (dag.Literal(["${var.x}", "a {{job.id}}", "$ {"]), '[{"i":0},{"i":1},{"i":2,"v":"$ {"}]'),
            (dag.Literal([]), "[]"),
        ],
    )
    def test_items_of_the_author_are_numbered_and_others_referred_to(self, items: dag.Binding, inputs: str) -> None:
        """An item stands beside its number for people, unless the bundle or the platform would resolve it."""
        assert protocol.for_each_inputs(dag.Each(items)) == inputs

    @pytest.mark.parametrize(("length", "shown"), [(protocol.MAX_INPUTS, True), (protocol.MAX_INPUTS + 1, False)])
    def test_items_are_left_out_beyond_the_platforms_limit(self, length: int, shown: bool) -> None:
        """Up to so many characters, and not one more."""
        around = len('[{"i":0,"v":""}]')
        found = protocol.for_each_inputs(dag.Each(dag.Literal(["x" * (length - around)])))
        assert (len(found) == length) is shown
        assert shown or found == '[{"i":0}]'

    def test_an_iteration_is_told_its_item(self) -> None:
        """By its number where the author wrote the items, else as it is; other tasks have none."""
        told = []
        for items in (dag.Literal([1]), dag.Parameter("days")):
            repeated = dag.Task("t", "m:f", SourceLocation("m.py", 1), {}, {}, each=dag.Each(items))
            told.append(task_parameters("p", "b", "j", repeated)["dbxdec-item"])
        assert told == ["{{input.i}}", "{{input}}"]
        assert "dbxdec-item" not in task_parameters("p", "b", "j", task())


def test_a_job_parameter_may_look_like_a_reference_of_the_bundle() -> None:
    """Only a variable that dbxdec itself passes on has to be resolved."""
    named = {**reserved(), "note": "${var.note}", "var.note": "${var.var.note}"}
    assert parse(spelled(named)).parameters == {"note": "${var.note}", "var.note": "${var.var.note}"}
