"""Every field that databricks-bundles knows, through the public API: taken unchanged, and checked strictly.

The fields are walked, not listed, so that a release with a new one is covered, or says so here.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

import pytest
from databricks.bundles import jobs as bundle_jobs
from databricks.bundles.core import Variable
from hypothesis import given, settings
from hypothesis import strategies as st

from dbxdec import bundle_variable, environment, job, job_cluster, native_task, task
from dbxdec.authoring.jobs import Job
from dbxdec.build.codegen import build_jobs
from dbxdec.errors import AuthoringError, CodegenError, Problem, SourceLocation
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import Manifest, decode, encode
from thorough import examples

WHEEL = "dist/p-1-py3-none-any.whl"


# What dbxdec says in its own way, or not at all, by class.
NOT_OF_JOB = {"tasks", "parameters", "job_clusters", "environments", "git_source"}
NOT_OF_TASK = {"task_key", "depends_on", "job_cluster_key", "environment_key"}
# Keys that the build compares with others, so that they can't be variables.
KEYS = {"task_key", "job_cluster_key", "environment_key"}
# Fields that don't take any text.
GIVEN = {
    **dict.fromkeys(KEYS, "inner"),
    "quartz_cron_expression": "0 0 5 * * ?",
    "max_concurrent_runs": 1000,
    "min_time_between_triggers_seconds": 60,
    "wait_after_last_change_seconds": 60,
    "interval": 1,
    "start_hour": 23,
    "url": "s3://bucket/folder/",
    **dict.fromkeys(("user_name", "group_name", "service_principal_name"), "name"),
    "environment_version": "4",
    "table_names": ["a.b.c"],
    "min_workers": 1,
    "max_workers": 2,
}
# A git source goes with no wheel of a bundle, a build must know whether a cluster takes libraries, and not everybody
# can own a job.
NOT_OF_BUNDLES = {"GIT", "DEPENDENCY_MODE_AUTO", "IS_OWNER"}
# What classes can't be without, although each of their fields may be left out.
ALSO_NEEDED: dict[Any, set[str]] = {bundle_jobs.TableUpdateTriggerConfiguration: {"table_names"}}
# Fields for files that no deploy uploads: their paths are absolute.
OF_THE_WORKSPACE = {"egg", "files", "java_dependencies", "project_environment"}


def unwrapped(kind: Any) -> tuple[Any, bool]:
    """The type behind `VariableOrOptional` and the like, and whether the field may be None."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind, False
    members = [arg for arg in typing.get_args(kind) if (typing.get_origin(arg) or arg) is not Variable]
    others = [arg for arg in members if arg is not types.NoneType]
    assert len(others) == 1, f"a field of several types, {kind}: the strict check takes the first that fits"
    return unwrapped(others[0])[0], len(others) < len(members)


@functools.cache
def kinds_of(model: type) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    return {name: unwrapped(kind)[0] for name, kind in typing.get_type_hints(model).items()}


def element(kind: Any) -> Any:
    """The type of what is in a list, or of the values of a dict."""
    return unwrapped(typing.get_args(kind)[-1])[0]


def required_of(model: Any) -> set[str]:
    return {f.name for f in fields(model) if f.default is MISSING and f.default_factory is MISSING}


# Classes of which each instance has one of these fields, and any of the others.
TRIGGERS = ("file_arrival", "model", "periodic", "table_update", "schedule", "continuous")
ONE_OF: dict[Any, tuple[str, ...]] = {
    bundle_jobs.TriggerSettings: TRIGGERS,
    bundle_jobs.TriggerConfiguration: TRIGGERS,
    bundle_jobs.JobPermission: ("user_name", "group_name", "service_principal_name"),
    bundle_jobs.ClusterSpec: ("num_workers", "autoscale"),
    bundle_jobs.Library: ("cran", "egg", "jar", "maven", "pypi", "requirements", "whl"),
    bundle_jobs.JobRunAs: ("user_name", "service_principal_name", "group_name"),
}


def with_one_of(kind: Any) -> list[list[str]]:
    """The fields of `kind` that go together: all, or one of those that exclude each other with the rest."""
    names, apart = list(kinds_of(kind)), ONE_OF.get(kind, ())
    exclusive = [name for name in names if name in apart]
    return [[n for n in names if n not in apart or n == one] for one in exclusive] or [names]


def whole(kind: Any, within: tuple[Any, ...] = (), which: int = 0) -> Any:
    """A value with every field set, as plain data; a class inside itself has only what it needs.

    `which` is the one of the fields that exclude each other; a list has an item for each of them.
    """
    if is_dataclass(kind):
        names = with_one_of(kind)[which % len(with_one_of(kind))]
        if kind is bundle_jobs.Task:  # a task of one kind, on no compute of its own
            names = ["task_key", "description", "notebook_task"]
        elif kind in within:
            names = [n for n in names if n in required_of(kind)]
        return {n: GIVEN.get(n) or whole(kinds_of(kind)[n], (*within, kind)) for n in names}  # type: ignore[arg-type]
    match typing.get_origin(kind):
        case origin if origin is list:
            item = element(kind)
            return [whole(item, within, i) for i in range(len(with_one_of(item)) if item in ONE_OF else 1)]
        case origin if origin is dict:
            return {"key": whole(element(kind), within)}
    if issubclass(kind, Enum):
        return next(member.value for member in kind if member.value not in NOT_OF_BUNDLES)
    return {str: "/text", int: 3, float: 1.5, bool: True}[kind]


Path = tuple[str | int, ...]


def nodes(kind: Any, value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each place inside `value`, with its type."""
    yield path, kind
    if is_dataclass(kind):
        for name, item in value.items():
            yield from nodes(kinds_of(kind)[name], item, (*path, name))  # type: ignore[arg-type]
    elif typing.get_origin(kind) is list:
        for i, item in enumerate(value):
            yield from nodes(element(kind), item, (*path, i))
    elif typing.get_origin(kind) is dict:
        for key, item in value.items():
            yield from nodes(element(kind), item, (*path, key))


def replaced(value: Any, path: Path, new: Any) -> Any:
    """`value` with `new` at `path`."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, list):
        return [replaced(item, rest, new) if i == head else item for i, item in enumerate(value)]
    return {**value, head: replaced(value[head], rest, new) if head in value else new}


def shown(path: Path, kind_of_parent: Callable[[Path], Any]) -> str:
    """How messages spell `path`."""
    text = ""
    for i, part in enumerate(path):
        if isinstance(part, int):
            text += f"[{part}]"
        elif typing.get_origin(kind_of_parent(path[:i])) is dict:
            text += f"[{part!r}]"
        else:
            text += f".{part}"
    return text.lstrip(".")


@task
def first() -> int:
    return 1


def job_of(given: dict[str, Any]) -> Job[[]]:
    @job(key="one", **given)
    def one() -> None:
        first()

    return one


def task_of(given: dict[str, Any]) -> Job[[]]:
    @job(key="one")
    def one() -> None:
        @task(**given)
        def own() -> None: ...

        own()

    return one


def native_of(given: dict[str, Any]) -> Job[[]]:
    @job(key="one")
    def one() -> None:
        native_task("own", **given)

    return one


def cluster_of(given: dict[str, Any]) -> Job[[]]:
    @job(key="one", cluster=job_cluster("c", **given))
    def one() -> None:
        first()

    return one


def environment_of(given: dict[str, Any]) -> Job[[]]:
    @job(key="one", environment=environment("e", **given))
    def one() -> None:
        first()

    return one


@dataclass(frozen=True)
class Place:
    """Where in the public API the fields of one of databricks-bundles' classes are written."""

    model: Any
    made: Callable[[dict[str, Any]], Job[[]]]
    found: Callable[[dict[str, Any]], dict[str, Any]]
    names: tuple[str, ...]


def names_of(model: Any, without: set[str]) -> tuple[str, ...]:
    return tuple(name for name in kinds_of(model) if name not in without)


TASK_KINDS = {name for name in kinds_of(bundle_jobs.Task) if name.endswith("_task")}
PLACES = {
    "job": Place(bundle_jobs.Job, job_of, lambda job: job, names_of(bundle_jobs.Job, NOT_OF_JOB)),
    "task": Place(
        bundle_jobs.Task, task_of, lambda job: job["tasks"][0], names_of(bundle_jobs.Task, NOT_OF_TASK | TASK_KINDS)
    ),
    "native_task": Place(
        bundle_jobs.Task, native_of, lambda job: job["tasks"][0], names_of(bundle_jobs.Task, NOT_OF_TASK)
    ),
    "job_cluster": Place(
        bundle_jobs.ClusterSpec,
        cluster_of,
        lambda job: job["job_clusters"][0]["new_cluster"],
        names_of(bundle_jobs.ClusterSpec, set()),
    ),
    "environment": Place(
        bundle_jobs.Environment,
        environment_of,
        lambda job: job["environments"][0]["spec"],
        names_of(bundle_jobs.Environment, set()),
    ),
}
EVERY_FIELD = [(place, name) for place, at in PLACES.items() for name in at.names]

CLUSTER = {"new_cluster": {"spark_version": "16.4.x-scala2.12", "num_workers": 1}}


def value_of(place: str, name: str) -> Any:
    """A value for the field `name` that says all there is to say."""
    if (place, name) == ("environment", "dependencies"):
        return ["polars"]
    if name in GIVEN and name not in KEYS:
        return GIVEN[name]
    return "ALL_DONE" if name == "run_if" else whole(kinds_of(PLACES[place].model)[name])


def beside(place: str, name: str) -> dict[str, Any]:
    """What a task needs to say beside the field."""
    if place not in ("task", "native_task"):
        return {}
    more = dict(CLUSTER) if name in ("libraries", "dbt_task", "spark_jar_task", "spark_submit_task") else {}
    if place == "native_task" and name not in TASK_KINDS:
        more["notebook_task"] = {"notebook_path": "n.py"}
    return more


def manifest_of(made: Job[...]) -> bytes:
    """The manifest with one job. Raises AuthoringError where its body is wrong."""
    built = made.build()
    if built.problems:
        raise AuthoringError(built.problems)
    return encode(Manifest("p", "1", "b" * 64, "dbxdec 0", encode_jobs([built.dag])))


def definition(made: Job[...]) -> dict[str, Any]:
    """The definition of a job, by way of the manifest's bytes; databricks-bundles takes it whole."""
    form = build_jobs(decode(manifest_of(made), "it"), wheel=WHEEL)["one"]
    loaded: Any = bundle_jobs.Job.from_dict(form).as_dict()  # type: ignore[arg-type]
    assert loaded == form
    return form


def defined(place: str, name: str, value: Any) -> Any:
    """What the definition has as the field `name` when it is given `value`."""
    at = PLACES[place]
    found = at.found(definition(at.made({**beside(place, name), name: value})))[name]
    if (place, name) == ("environment", "dependencies"):
        assert found[0] == WHEEL
        return found[1:]
    if (place, name) == ("task", "libraries"):
        assert found[0] == {"whl": WHEEL}
        return found[1:]
    return found


def problems(place: str, name: str, value: Any) -> list[Problem]:
    """What is wrong with `value` as the field `name`."""
    with pytest.raises((CodegenError, AuthoringError)) as error:
        defined(place, name, value)
    return list(error.value.problems)


def places_in(place: str, name: str) -> list[tuple[Path, Any]]:
    """Every place inside the field, itself among them, as paths below the owner."""
    kind = kinds_of(PLACES[place].model)[name]
    return [((name, *path), inner) for path, inner in nodes(kind, value_of(place, name))]


def path_text(place: str, path: Path) -> str:
    """How messages spell a path; ours stand before the author's dependencies and libraries."""
    owner = PLACES[place].model
    types_by_path = dict(places_in(place, str(path[0])))
    text = shown(path, lambda parent: types_by_path[parent] if parent else owner)
    ours = (place, path[0]) in (("environment", "dependencies"), ("task", "libraries"))
    return re.sub(r"\[(\d+)\]", lambda found: f"[{int(found[1]) + 1}]", text, count=1) if ours else text


every_field = pytest.mark.parametrize(("place", "name"), EVERY_FIELD, ids=lambda text: text)


class TestTaken:
    @every_field
    def test_unchanged(self, place: str, name: str) -> None:
        """A field with all that it can say is in the definition as it was written."""
        value = value_of(place, name)
        assert defined(place, name, value) == value

    @every_field
    def test_as_a_dataclass(self, place: str, name: str) -> None:
        """databricks-bundles' dataclasses and enum members are the same as dicts and texts, to the byte."""
        at, value = PLACES[place], value_of(place, name)
        owner = at.model.from_dict({n: whole(kinds_of(at.model)[n]) for n in required_of(at.model)} | {name: value})
        as_classes = getattr(owner, name)
        if not isinstance(value, str | int | float | bool) or isinstance(as_classes, Enum):
            assert as_classes != value or isinstance(as_classes, list | dict | str)
        forms = [manifest_of(at.made({**beside(place, name), name: form})) for form in (value, as_classes)]
        assert forms[0] == forms[1]

    @every_field
    def test_every_member_of_its_enums(self, place: str, name: str) -> None:
        """Each member of an enum is taken, by its value and as the member."""
        value = value_of(place, name)
        for path, kind in places_in(place, name):
            for member in kind if isinstance(kind, type) and issubclass(kind, Enum) else ():
                if member.value in NOT_OF_BUNDLES:
                    continue
                by_value, by_member = (replaced(value, path[1:], form) for form in (member.value, member))
                assert defined(place, name, by_value) == by_value
                assert defined(place, name, by_member) == by_value

    @pytest.mark.sampled(60)
    @every_field
    @pytest.mark.parametrize("spelling", ["bundle_variable", "Variable", "text"])
    def test_variables_anywhere(self, place: str, name: str, spelling: str) -> None:
        """A variable of the bundle stands for any value, whatever the type, ours and databricks-bundles' alike."""
        value = value_of(place, name)
        for path, kind in places_in(place, name):
            if path[-1] in KEYS or path in (("run_if",), ("libraries",), ("dependencies",)):
                continue
            variable = {
                "bundle_variable": bundle_variable("x"),
                "Variable": Variable(path="var.x", type=kind),
                "text": "${var.x}",
            }[spelling]
            assert defined(place, name, replaced(value, path[1:], variable)) == replaced(value, path[1:], "${var.x}")

    def test_nothing_is_left_out_of_this(self) -> None:
        """The fields that are not walked here are those which dbxdec fills itself, and a git source."""
        assert set(kinds_of(bundle_jobs.Job)) == NOT_OF_JOB | set(PLACES["job"].names)
        assert set(kinds_of(bundle_jobs.Task)) == NOT_OF_TASK | set(PLACES["native_task"].names)
        assert set(PLACES["native_task"].names) == TASK_KINDS | set(PLACES["task"].names)
        assert set(kinds_of(bundle_jobs.JobEnvironment)) == {"environment_key", "spec"}
        assert set(kinds_of(bundle_jobs.JobCluster)) == {"job_cluster_key", "new_cluster", "serverless_compute_id"}


WRONG: dict[Any, list[Any]] = {
    str: [True, 1, 1.5, ["x"], {"a": "x"}],
    int: ["1", True, 1.5, [1], {}],
    float: ["1.5", True, [1.5]],
    bool: [1, 0, "true", "yes", []],
    list: ["x", 1, True, {"a": 1}],
    dict: ["x", 1, True, [["a", "b"]], ["x"]],
    "class": ["x", 1, True, ["x"]],
    "enum": ["NO SUCH MEMBER", 1, True, ["x"], {}],
}


def wrong_values(kind: Any) -> list[Any]:
    if is_dataclass(kind):
        return WRONG["class"]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return WRONG["enum"]
    return WRONG[typing.get_origin(kind) or kind]


class TestRefused:
    @pytest.mark.sampled(30)
    @every_field
    def test_a_wrong_type_with_its_path(self, place: str, name: str) -> None:
        """A value of another type, anywhere inside, is one problem, which names its path and shows it."""
        value = value_of(place, name)
        for path, kind in places_in(place, name):
            for wrong in wrong_values(kind):
                if name == "run_if" or (path[-1] in KEYS and not isinstance(wrong, str)):
                    continue  # said in other words: see below
                found = problems(place, name, replaced(value, path[1:], wrong))
                assert len(found) == 1, (path, wrong, found)
                assert f"`{path_text(place, path)}` is {wrong!r}" in found[0].message
                assert isinstance(found[0].where, SourceLocation)

    @every_field
    def test_none_where_it_says_nothing(self, place: str, name: str) -> None:
        """None inside a field is refused where it isn't a value of it."""
        value = value_of(place, name)
        for path, _ in places_in(place, name)[1:]:
            owner = dict(places_in(place, name))[path[:-1]]
            optional = is_dataclass(owner) and unwrapped(typing.get_type_hints(owner)[str(path[-1])])[1]
            if optional or path[-1] in KEYS:
                continue
            found = problems(place, name, replaced(value, path[1:], None))
            assert [f"`{path_text(place, path)}` is None" in p.message for p in found] == [True]

    @every_field
    def test_a_misspelt_name_with_the_right_one(self, place: str, name: str) -> None:
        """A misspelt field, anywhere inside, is one problem with the path of its owner and the field that was meant."""
        value = value_of(place, name)
        for path, kind in places_in(place, name):
            if not is_dataclass(kind):
                continue
            inner = functools.reduce(lambda item, part: item[part], path[1:], value)
            for right in inner:
                misspelt = {(key + key[-1] if key == right else key): item for key, item in inner.items()}
                found = [
                    problem
                    for problem in problems(place, name, replaced(value, path[1:], misspelt))
                    if not re.search("has nothing to run|repeats a task", problem.message)
                ]
                assert len(found) == 1, (path, right, found)
                assert f"`{path_text(place, path)}` has no field `{right + right[-1]}`" in found[0].message
                assert found[0].hint == f"did you mean `{right}`?"

    @pytest.mark.parametrize("place", PLACES)
    def test_a_misspelt_field_of_the_call_itself(self, place: str) -> None:
        """So is a misspelt keyword."""
        at = PLACES[place]
        for name in at.names:
            wrong = {**beside(place, name), name + name[-1]: value_of(place, name)}
            if name in TASK_KINDS:
                continue
            with pytest.raises((CodegenError, AuthoringError)) as error:
                definition(at.made(wrong))
            (problem,) = error.value.problems
            assert f"no field `{name + name[-1]}`" in problem.message
            assert problem.hint == f"did you mean `{name}`?"

    @every_field
    def test_a_missing_field_with_its_path(self, place: str, name: str) -> None:
        """What a class can't be without is missed by its path."""
        value = value_of(place, name)
        for path, kind in places_in(place, name):
            if not is_dataclass(kind):
                continue
            inner = functools.reduce(lambda item, part: item[part], path[1:], value)
            for needed in required_of(kind):
                less = {key: item for key, item in inner.items() if key != needed}
                found = problems(place, name, replaced(value, path[1:], less))
                assert f"`{path_text(place, (*path, needed))}` is missing" in found[0].message

    @every_field
    def test_an_empty_class(self, place: str, name: str) -> None:
        """A class without any field is refused: databricks-bundles would drop it, and YAML keep it."""
        value = value_of(place, name)
        for path, kind in places_in(place, name):
            if is_dataclass(kind) and not required_of(kind):
                found = problems(place, name, replaced(value, path[1:], {}))
                assert f"`{path_text(place, path)}` is empty" in found[0].message

    def test_a_wrong_member_lists_the_right_ones(self) -> None:
        """An enum's allowed values are in the hint; a near one is the hint."""
        schedule = {"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"}
        (problem,) = problems("job", "schedule", {**schedule, "pause_status": "STOPPED"})
        assert problem.hint == "allowed are UNPAUSED, PAUSED"
        for near in ("PAUSE", "paused"):
            (problem,) = problems("job", "schedule", {**schedule, "pause_status": near})
            assert problem.hint == "did you mean `PAUSED`?"

    def test_a_wrong_run_if(self) -> None:
        """`run_if` is dbxdec's too, and is checked as the other fields."""
        for place in ("task", "native_task"):
            (problem,) = problems(place, "run_if", "ALL_DON")
            assert problem.hint == "did you mean `ALL_DONE`?"

    @pytest.mark.parametrize(
        ("name", "wrong", "hint"),
        [
            ("description", 4, "write `'4'`"),
            ("description", True, "write `'true'`"),
            ("max_concurrent_runs", "5", "write `5`"),
            ("max_concurrent_runs", 2.0, "write `2`"),
            ("max_concurrent_runs", "many", None),
            ("queue", {"enabled": "false"}, "write `False`"),
            ("email_notifications", {"on_failure": "me@x.com"}, "write `['me@x.com']`"),
        ],
    )
    def test_what_was_meant_is_said(self, name: str, wrong: Any, hint: str | None) -> None:
        """Where a text and a value were taken for each other, or a list was forgotten, the hint is what to write."""
        (problem,) = problems("job", name, wrong)
        assert problem.hint == hint


class TestNoJson:
    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (float("nan"), "the setting `tags.a[0]` is nan"),
            ({1}, "the setting `tags.a[0]` is of the type `set`"),
            (b"x", "is of the type `bytes`"),
            (object, "is of the type `type`"),
            ("\ud800", "which UTF-8 can't encode"),
            ({1: "x"}, "has the key 1"),
            ({"\ud800": "x"}, "which UTF-8 can't encode"),
        ],
    )
    def test_what_json_can_not_hold_is_refused_with_its_path(self, value: Any, said: str) -> None:
        """Values without a JSON form are refused when the decorator runs."""
        with pytest.raises(AuthoringError) as error:
            job_of({"tags": {"a": [value]}})
        (problem,) = error.value.problems
        assert said in problem.message
        assert problem.hint

    def test_all_values_of_a_field_are_looked_at(self) -> None:
        """However deep they lie, none hides another."""
        with pytest.raises(AuthoringError) as error:
            job_of({"tags": {4: "x", "a": b"x", "b": [{"c": {1}}, {2}, "fine"]}, "description": b"x"})
        assert [problem.message.partition("`")[2] for problem in error.value.problems] == [
            "tags` has the key 4",
            "tags.a` is of the type `bytes`",
            "tags.b[0].c` is of the type `set`",
            "tags.b[1]` is of the type `set`",
            "description` is of the type `bytes`",
        ]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda text: "${" not in text)


def values(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Any valid value of a type, as plain data, without fields that are empty."""
    if is_dataclass(kind):
        needed = required_of(kind) | ALSO_NEEDED.get(kind, set())
        kinds = {n: k for n, k in kinds_of(kind).items() if n not in KEYS | NOT_OF_TASK or n in needed}  # type: ignore[arg-type]
        optional = {} if depth > 3 else {n: field_values(n, k, depth) for n, k in kinds.items() if n not in needed}
        required = {n: field_values(n, kinds_of(kind)[n], depth) for n in needed}  # type: ignore[arg-type]
        form = st.fixed_dictionaries(required, optional=optional)
        if kind in ONE_OF:
            form = form.filter(lambda value: len(value.keys() & set(ONE_OF[kind])) == 1)
        return form if needed else form.filter(bool)
    if typing.get_origin(kind) is list:
        return st.lists(values(element(kind), depth + 1), min_size=1, max_size=2)
    if typing.get_origin(kind) is dict:
        return st.dictionaries(TEXT, values(element(kind), depth + 1), min_size=1, max_size=2)
    if issubclass(kind, Enum):
        return st.sampled_from([member.value for member in kind if member.value != "IS_OWNER"])
    scalars: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        int: st.integers(0, 2**63 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
    }
    return scalars[kind]


def field_values(name: str, kind: Any, depth: int) -> st.SearchStrategy[Any]:
    if name in GIVEN and name not in KEYS:
        return st.just(GIVEN[name])
    if name not in OF_THE_WORKSPACE:
        return values(kind, depth + 1)
    absolute = TEXT.map(lambda text: f"/Volumes/{text}")
    return st.lists(absolute, min_size=1) if typing.get_origin(kind) is list else absolute


# Keys and values that all clouds take.
TAG = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,6}[A-Za-z0-9])?", fullmatch=True)


def of_place(place: str) -> st.SearchStrategy[dict[str, Any]]:
    at = PLACES[place]
    names = [n for n in at.names if n not in TASK_KINDS | {"run_if", "libraries", "new_cluster", "existing_cluster_id"}]
    kinds = kinds_of(at.model)
    optional = {n: field_values(n, kinds[n], 0) for n in names if n != "dependencies"}
    if place == "job":
        optional["tags"] = st.dictionaries(TAG, TAG, min_size=1, max_size=2)
    form = st.fixed_dictionaries({}, optional=optional)
    return form.filter(bool) if place == "job_cluster" else form


@pytest.mark.parametrize("place", ["job", "task", "job_cluster", "environment"])
def test_any_mixture_of_fields(place: str) -> None:
    """Fields of any values together are taken unchanged, as dicts and as databricks-bundles' classes."""
    at = PLACES[place]

    def is_allowed(given: dict[str, Any]) -> bool:
        starts = {"schedule", "trigger", "triggers", "continuous"} & given.keys()
        versions = {"environment_version", "client", "base_environment"} & given.keys()
        return (
            given.get("dependency_mode") not in NOT_OF_BUNDLES
            and len(starts) <= 1
            and len(versions) <= 1
            and not (starts <= {"continuous", "triggers"} and given.get("max_concurrent_runs", 0) > 1 and starts)
            and not {"autoscale", "num_workers"} <= given.keys()
        )

    @given(of_place(place).filter(is_allowed))
    @settings(max_examples=examples(60))
    def check(given: dict[str, Any]) -> None:
        found = at.found(definition(at.made(given)))
        assert {name: found[name] for name in given} == given
        owner = at.model.from_dict(dict.fromkeys(required_of(at.model), "text") | given)
        as_classes = {name: getattr(owner, name) for name in given}
        assert manifest_of(at.made(as_classes)) == manifest_of(at.made(given))

    check()
