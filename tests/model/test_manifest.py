"""The manifest: canonical bytes, the same DAG after a round trip, a digest of what matters, a published schema."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from importlib.resources import files
from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbxdec import (
    bundle_target,
    bundle_variable,
    condition,
    environment,
    job,
    job_cluster,
    native_task,
    run_date,
    secret,
    task,
)
from dbxdec.errors import ManifestError, SourceLocation
from dbxdec.io_managers.base import IoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.model import dag, job_forms, literals, manifest
from dbxdec.model.manifest import Manifest
from dbxdec.model.rundate import RunDate
from dbxdec.model.values import ValueType
from dbxdec.support.forms import FormError
from literal_values import values as literal_values
from thorough import examples

properties = settings(
    deadline=None, derandomize=True, max_examples=examples(30), suppress_health_check=[HealthCheck.too_slow]
)

SCHEMA = json.loads((files("dbxdec.model") / "manifest.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
BUILD = "0" * 64


class Colour(Enum):
    RED = 1


class Frame:
    """What the managers of these tests store."""


class Shelf(IoManager):
    """A manager with a place and settings."""

    def __init__(self, base_path: Any) -> None:
        self.base_path = base_path

    def settings(self) -> dict[str, Any]:
        return {"mode": "append", "partition_by": ["day"]}

    def read(self, context: InputContext) -> Frame:
        return Frame()

    def write(self, context: OutputContext, value: Any) -> None:
        """Nothing is stored here."""


class Nowhere(Shelf):
    """A manager without places and settings."""

    def __init__(self) -> None:
        super().__init__(None)

    def settings(self) -> dict[str, Any]:
        return {}


shelf = Shelf(bundle_variable("root") / bundle_target())
small = job_cluster("small", spark_version="16.4.x-scala2.12", num_workers=1)


@task(io_manager=shelf, max_retries=2)
def extract(day: dt.date) -> Frame:
    """A task with a place of its own."""
    return Frame()


@task(io_manager=Nowhere())
def scratch() -> Frame:
    """A task whose manager names no place."""
    return Frame()


@task
def consume(*rest: Any, **named: Any) -> None:
    """A task that takes anything."""


@task
def colour() -> Colour | None:
    """A small result of an Enum."""
    return None


@task
def choice() -> Literal["a", 1, True]:
    """A small result of a Literal."""
    return "a"


@task
def listen(rows: int, token: str) -> None:
    """A task that is given a task value and a secret."""


@task
def alarm() -> None:
    """The task of a failed run."""


@job
def bare() -> None:
    """A job with nothing that could be left out."""
    consume()


@job(
    cluster=small,
    on_failure=alarm,
    schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"},
    tags={"team": "ops"},
)
def everything(
    day: dt.date,
    top: int = 10,
    share: float = 0.5,
    dry: bool = False,
    at: dt.datetime | None = None,
    price: Decimal = Decimal("1.50"),
    shade: Colour = Colour.RED,
    mode: Literal["fast", "slow"] = "fast",
    names: list[str] = ["b", "a"],  # noqa: B006 - a job's default is data
    options: dict[str, int] = {"b": 1},  # noqa: B006 - a job's default is data
    root: str = f"{bundle_variable('root')}/x",
    since: dt.date = run_date(offset_days=-1, tz="Europe/Berlin"),
) -> None:
    """A job with every kind of parameter, binding, output and literal."""
    frame = extract(day)
    fresh = extract.override(key="fresh", io_manager=shelf.table("gold/fresh", shared=True), run_if="ALL_DONE")(day)
    listen(frame.value("rows"), secret("scope", "key")).after(bare())
    condition(top, ">", 3).then(native_task("show", notebook_task={"notebook_path": "notebooks/show"}))
    consume(
        frame,
        top,
        shelf.table("reference/airports"),
        [frame, (fresh, 1)],
        ["only", "literals"],
        f"{bundle_variable('other')}/y",
        zulu={"z": frame, "a": 1},
        alpha={"a": frame, "z": None},
        small=[colour(), choice()],
        nothing=scratch(),
        each_kind=[
            None,
            -0.5,
            "text",
            dt.date(2013, 1, 1),
            dt.datetime(2013, 1, 1, 12),
            dt.timedelta(days=-1),
            b"\xff",
            Decimal("1.0"),
            (1, ()),
            {"z": 1, "a": {"$": 2}},
            Colour.RED,
            bundle_variable("root"),
        ],
    )


@job(environment=environment("lean", dependencies=["polars"]))
def serverless() -> None:
    """A job on an environment."""
    extract(dt.date(2013, 1, 1)) >> consume()


def real() -> list[dag.Job]:
    """The DAGs of the jobs above."""
    built = [each.build() for each in (everything, serverless, bare)]
    assert [problem for each in built for problem in each.problems] == []
    return [each.dag for each in built]


def without_calls(jobs: list[dag.Job]) -> list[dag.Job]:
    """The jobs without the lines of calls, which only messages need."""
    return [replace(each, tasks=tuple(replace(t, called_at=None) for t in each.tasks)) for each in jobs]


def made(jobs: list[dag.Job], version: str = "1.2.0") -> Manifest:
    return Manifest("shop", version, BUILD, "dbxdec 0.1.0", job_forms.encode_jobs(jobs))


def document(jobs: list[dag.Job]) -> Any:
    return json.loads(manifest.encode(made(jobs)))


def shuffled(value: Any) -> Any:
    """`value` with the keys of every dict in the opposite order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(list(value))}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


# DAGs of any shape.

KEYS = st.text(min_size=1, max_size=6)
VARIABLES = st.lists(KEYS, max_size=2, unique=True).map(tuple)
REFERENCES = st.sampled_from(["shop.sales:report", "a:b.<locals>.c"])
SOURCES = st.builds(SourceLocation, st.sampled_from(["src/shop/sales.py", "C:/x y.py", "größe.py"]), st.integers(0, 99))
SETTINGS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    KEYS,
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=2)),
        max_leaves=3,
    ),
    max_size=2,
)
PLAIN_TYPES = st.one_of(
    st.builds(
        ValueType,
        st.sampled_from(["str", "int", "float", "bool", "date", "datetime", "decimal", "list", "dict"]),
        st.booleans(),
    ),
    st.builds(
        ValueType,
        st.just("enum"),
        st.booleans(),
        st.just("a:B.C"),
        members=st.lists(st.lists(KEYS, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
    ),
    st.builds(
        ValueType,
        st.just("literal"),
        st.booleans(),
        st.none(),
        st.lists(st.one_of(st.text(max_size=3), st.integers(), st.booleans()), min_size=1, max_size=3).map(tuple),
    ),
)
TYPES = st.recursive(
    PLAIN_TYPES,
    lambda inner: st.builds(
        ValueType, st.sampled_from(["list", "dict"]), st.booleans(), st.none(), st.just(()), st.none() | inner
    ),
    max_leaves=3,
)
BINDINGS: st.SearchStrategy[dag.Binding] = st.recursive(
    st.one_of(
        st.builds(dag.TaskOutput, KEYS, KEYS, st.sampled_from(["run", "table", "newest", "changed"])),
        st.just(dag.Item()),
        st.builds(dag.Table, REFERENCES, st.text(max_size=6)),
        st.builds(dag.Literal, literal_values().map(literals.encode)),
        st.builds(dag.Parameter, KEYS),
        st.builds(dag.TaskValue, KEYS, KEYS),
    ),
    lambda inner: st.one_of(
        st.builds(dag.Sequence, st.lists(inner, max_size=3).map(tuple), st.sampled_from(["list", "tuple"])),
        st.builds(dag.Mapped, st.dictionaries(KEYS, inner, max_size=3).map(lambda items: tuple(items.items()))),
    ),
    max_leaves=4,
)
OUTPUTS = st.one_of(
    st.builds(dag.Output, type=TYPES),
    st.builds(dag.Output, REFERENCES, st.none() | KEYS, st.none() | TYPES, SETTINGS, st.booleans(), st.booleans()),
)
DOCS = st.none() | st.text(min_size=1, max_size=6)
DEPENDENCIES = st.builds(dag.Dependency, KEYS, st.sampled_from([None, "true", "false"]))
STEPS = st.builds(
    dag.Task,
    key=KEYS,
    kind=st.sampled_from(["native", "condition", "run_job"]),
    function=st.none(),
    source=SOURCES,
    inputs=st.just({}),
    outputs=st.just({}),
    settings=SETTINGS,
)
FUNCTIONS = st.builds(
    dag.Task,
    key=KEYS,
    function=REFERENCES,
    source=SOURCES,
    inputs=st.dictionaries(KEYS, BINDINGS, max_size=3),
    outputs=st.dictionaries(KEYS, OUTPUTS, max_size=2),
    depends_on=st.lists(DEPENDENCIES, max_size=2, unique=True).map(tuple),
    run_if=st.sampled_from([None, "ALL_DONE"]),
    each=st.none() | st.builds(dag.Each, BINDINGS, st.sampled_from([None, 8, "${var.n}"])),
    variables=VARIABLES,
    settings=SETTINGS,
    doc=DOCS,
)
TASKS = st.one_of(FUNCTIONS, STEPS)
COMPUTE = st.dictionaries(KEYS, SETTINGS, max_size=2)
RUN_DATES = st.builds(RunDate, st.integers(-9, 9), st.integers(-9, 9), st.just("UTC"))
PARAMETERS = st.builds(dag.JobParameter, KEYS, TYPES, st.none() | st.text(max_size=5), st.none() | RUN_DATES)
JOBS = st.lists(
    st.builds(
        dag.Job,
        key=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=6),
        module=st.just("shop.sales"),
        function=REFERENCES,
        source=SOURCES,
        tasks=st.lists(TASKS, max_size=2, unique_by=lambda t: t.key).map(tuple),
        parameters=st.lists(PARAMETERS, max_size=2).map(tuple),
        clusters=COMPUTE,
        environments=COMPUTE,
        settings=SETTINGS,
        doc=DOCS,
    ),
    max_size=2,
    unique_by=lambda j: j.key,
)


class TestRoundTrips:
    @properties
    @given(JOBS)
    def test_any_dag_is_the_same_when_read(self, jobs: list[dag.Job]) -> None:
        """Whatever a DAG holds is equal after encoding and decoding, in the author's order where one counts."""
        read = replace(manifest.decode(manifest.encode(made(jobs)), "x.whl"), origin=None)
        assert {each.key: each for each in read.jobs} == {each.key: each for each in jobs}
        assert manifest.encode(made(read.jobs)) == manifest.encode(made(jobs))

    def test_real_jobs_are_the_same_when_read(self) -> None:
        """The DAGs of real jobs, built by the decorators, are equal after a round trip, but for lines of calls."""
        read = manifest.decode(manifest.encode(made(real())), "x.whl")
        assert (read.project, read.version, read.build_id, read.generator) == ("shop", "1.2.0", BUILD, "dbxdec 0.1.0")
        assert {each.key: each for each in read.jobs} == {each.key: each for each in without_calls(real())}

    def test_docstrings_are_in_it_without_their_indentation(self) -> None:
        """A job and a task have the docstrings of their functions, as every Python gives them; others have no field."""

        @task
        def documented() -> None:
            """First line.

                indented
            last line
            """

        @task
        def bare() -> None: ...

        @task
        def odd() -> None: ...

        odd.fn.__doc__ = 5  # type: ignore[assignment]

        @job
        def one() -> None:
            """One line."""
            documented() >> bare() >> odd()

        form = document([one.build().dag])["jobs"]["one"]
        assert form["doc"] == "One line."
        texts = [task.get("doc") for task in form["tasks"]]
        assert texts == ["First line.\n\n    indented\nlast line", None, None]

    @properties
    @given(st.permutations(["c", "a", "b", "ä", "B"]))
    def test_the_order_of_a_dict_is_the_authors(self, keys: list[str]) -> None:
        """A dict of bindings keeps its order through sorted JSON, and only then is the order written down."""
        binding = dag.Mapped(tuple((key, dag.Parameter(key)) for key in keys))
        form: Any = json.loads(json.dumps(job_forms.encode_binding(binding), sort_keys=True))
        assert job_forms.decode_binding(form) == binding
        assert ("order" in form) == (keys != sorted(keys))


class TestCanonicalForm:
    @properties
    @given(JOBS)
    def test_the_order_of_what_comes_in_does_not_matter(self, jobs: list[dag.Job]) -> None:
        """Bytes are the same for any order of jobs and of keys at any depth."""
        one, other = made(jobs), made(jobs[::-1])
        other = Manifest(other.project, other.version, other.build_id, other.generator, shuffled(other.raw_jobs))
        assert manifest.encode(one) == manifest.encode(other)
        assert manifest.digest("shop", one.raw_jobs, []) == manifest.digest("shop", other.raw_jobs, [])

    def test_the_text_is_sorted_utf8_with_line_feeds(self) -> None:
        """Keys are sorted at every depth, text is UTF-8 and unescaped, and the last line ends with a line feed."""
        content = manifest.encode(made(real()))
        assert content.endswith(b"}\n")
        assert b"\r" not in content

        def ordered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            assert [key for key, _ in pairs] == sorted(key for key, _ in pairs)
            return dict(pairs)

        json.loads(content, object_pairs_hook=ordered)
        assert "größe".encode() in manifest.encode(Manifest("größe", "1", BUILD, "dbxdec 0", {}))

    def test_building_again_gives_the_same_bytes(self) -> None:
        """Nothing of the moment or of object identity is in a manifest."""
        assert manifest.encode(made(real())) == manifest.encode(made(real()))


class TestDigest:
    PAYLOAD = (("shop/__init__.py", "aa"), ("shop/query.sql", "bb"))

    def test_is_sha256_and_ignores_the_order_of_files(self) -> None:
        """The build id is 64 hex digits, whatever the order in which files are found."""
        jobs = job_forms.encode_jobs(real())
        digest = manifest.digest("shop", jobs, self.PAYLOAD)
        assert len(digest) == 64
        assert int(digest, 16) >= 0
        assert manifest.digest("shop", jobs, self.PAYLOAD[::-1]) == digest
        assert manifest.digest("shop", jobs, iter(self.PAYLOAD)) == digest

    @pytest.mark.parametrize(
        "payload",
        [
            (),
            PAYLOAD[:1],
            (*PAYLOAD, ("shop/new.json", "cc")),
            (("shop/__init__.py", "ab"), PAYLOAD[1]),
            (("shop/renamed.py", "aa"), PAYLOAD[1]),
            (("shop/__init__.py", "bb"), ("shop/query.sql", "aa")),
        ],
        ids=["none", "fewer", "more", "changed", "renamed", "swapped"],
    )
    def test_changes_with_the_payload(self, payload: tuple[tuple[str, str], ...]) -> None:
        """Any file added, removed, renamed or changed makes another build id."""
        jobs = job_forms.encode_jobs(real())
        assert manifest.digest("shop", jobs, payload) != manifest.digest("shop", jobs, self.PAYLOAD)

    def test_changes_with_every_part_of_the_dag_and_with_the_project(self) -> None:
        """Any value anywhere in the jobs, and the project's name, is part of the build id."""
        jobs = job_forms.encode_jobs(real())
        before = manifest.digest("shop", jobs, self.PAYLOAD)
        assert manifest.digest("store", jobs, self.PAYLOAD) != before
        paths = list(nodes(jobs))
        changed = {manifest.digest("shop", edited(jobs, path, "changed"), self.PAYLOAD) for path, _ in paths if path}
        assert before not in changed
        assert len(changed) == len(paths) - 1

    def test_stays_when_only_the_version_changes(self) -> None:
        """A wheel renamed by the bundle's deploy has the same build id: the version is in the manifest only."""
        one, other = (made(real(), version) for version in ("1.2.0", "1.2.0+1700000000.0"))
        assert manifest.encode(one) != manifest.encode(other)
        digests = {manifest.digest(each.project, each.raw_jobs, self.PAYLOAD) for each in (one, other)}
        assert len(digests) == 1


OUTPUT = {"task": "consume", "output": "result", "rows": "run"}


class TestRefusing:
    @pytest.mark.parametrize("version", ["1.0", "3.0", "20.0", "21", "", "x", None, 1])
    def test_another_major_version_is_refused_by_name(self, version: object) -> None:
        """A manifest of another major version is refused with both versions, its origin and a way out."""
        content = json.dumps({**document(real()), "schema": version})
        with pytest.raises(ManifestError) as error:
            manifest.decode(content, "shop.whl")
        (problem,) = error.value.problems
        assert problem.message == f"shop.whl has manifest schema {version}; this dbxdec reads 2.x"
        assert problem.hint

    def test_another_minor_version_is_read(self) -> None:
        """Every minor version of the same major one is read, with fields that this reader does not know."""
        content = json.dumps({**document(real()), "schema": "2.7", "novelty": []})
        assert manifest.decode(content, "shop.whl").job("bare").key == "bare"

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"\xff\xfe",
            b"null",
            b"1",
            b'"2.0"',
            b"[]",
            b"{}",
            b'{"schema": "2.0"}',
            b'{"schema": "2.0", "project": "shop", "build_id": "", "generator": "", "jobs": {}}',
            b'{"schema": "2.0", "project": {"name": "a", "version": "1"}, "build_id": "", "generator": "", "jobs": []}',
            b'{"schema": "2.0", "project": {"name": "a", "version": "1"}, "build_id": "", "generator": ""}',
        ],
    )
    def test_anything_else_is_refused_by_its_origin(self, content: bytes) -> None:
        """What is no manifest is refused with the name of the file it came from."""
        with pytest.raises(ManifestError, match=r"^shop\.whl is not a manifest of dbxdec: "):
            manifest.decode(content, "shop.whl")

    def test_a_broken_job_is_refused_and_spoils_no_other(self) -> None:
        """Wherever a job lacks something or has another shape, it is refused by its key; other jobs are read."""
        whole = document(real())["jobs"]
        replacements: list[Any] = [None, 3.5, [], {}, "x"]
        refused = []
        for path, _ in nodes(whole["everything"]):
            for replacement in replacements:
                raw_jobs = {**whole, "everything": edited(whole["everything"], path, replacement)}
                read = Manifest("shop", "1", BUILD, "dbxdec 0", raw_jobs)
                assert read.job("bare")
                try:
                    read.job("everything")
                except ManifestError as error:  # any other exception fails the test
                    refused.append(str(error))
        assert len(refused) > 100
        assert all(message.startswith("the job `everything` of shop 1 can't be read: ") for message in refused)

    @pytest.mark.parametrize("form", [{}, {"surprise": 1}, {"task": "x"}, [], None, "x", {"table": {"io": "a:b"}}])
    def test_an_unknown_binding_is_refused(self, form: object) -> None:
        """A binding of a newer dbxdec is refused rather than read as something else."""
        with pytest.raises(FormError, match="unknown kind"):
            job_forms.decode_binding(form)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("project", "name"), "../shop"),
            (("project", "name"), "a/b"),
            (("project", "name"), ""),
            (("project", "version"), "0/../../../../victim/new"),
            (("project", "version"), ".."),
            (("project", "version"), "C:\\x"),
            (("project", "version"), "1\n"),
            (("project", "version"), "1" * 201),
            (("build_id",), "../" * 20),
            (("build_id",), "A" * 64),
            (("jobs", "a\nb"), {}),
            (("jobs", ""), {}),
        ],
    )
    def test_names_that_could_be_a_path_are_refused(self, path: tuple[str, ...], value: Any) -> None:
        """What names a folder on the reader's machine is a name, whoever wrote the manifest."""
        whole = document([])
        with pytest.raises(ManifestError, match="not a manifest of dbxdec"):
            manifest.decode(json.dumps(edited(whole, path, value)), "shop.whl")

    @pytest.mark.parametrize("key", ["../x", "a/b", "..", "a\\b", "C:x", "a b", "", "a\x1b[2J", "x" * 101, "ä"])
    def test_keys_that_could_be_a_path_are_refused(self, key: str) -> None:
        """A task of such a key is refused, and so is a job, before any file is named by it."""
        whole = document(real())
        tasks = whole["jobs"]["bare"]["tasks"]
        tasks[0]["key"] = key
        with pytest.raises(ManifestError, match=r"the job `bare` .* can't be read: tasks\[0\]\.key is"):
            manifest.decode(json.dumps(whole), "x.whl").job("bare")
        if key.isprintable() and key and len(key) < 101:
            named = {**whole, "jobs": {key: whole["jobs"]["serverless"]}}
            with pytest.raises(ManifestError, match="which is not a valid key"):
                manifest.decode(json.dumps(named), "x.whl").job(key)

    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            (("tasks", 0, "depends_on"), [{"task": "nowhere", "outcome": None}], "names 'nowhere'"),
            (("tasks", 0, "depends_on"), [{"task": "extract", "outcome": None}], "in a cycle"),
            (("tasks", 1, "key"), "extract", "which another task has"),
            (
                ("tasks", 0, "inputs", "day"),
                {"task": "nowhere", "output": "result", "rows": "run"},
                "a result of 'nowhere'",
            ),
            (
                ("tasks", 0, "inputs", "day"),
                {"task": "consume", "output": "nothing", "rows": "run"},
                "a result of 'consume'",
            ),
            (("tasks", 0, "inputs", "day"), {"value": {"task": "nowhere", "key": "k"}}, "a result of 'nowhere'"),
            (("tasks", 0, "kind"), "novelty", "which this dbxdec does not know"),
            (("tasks", 0, "kind"), "condition", "settings.condition_task.op is null"),
            (("tasks", 0, "kind"), "run_job", "settings.run_job_task.job_id is None"),
            (("tasks", 0, "function"), None, "function is missing"),
            (("module",), "../x", "not the name of a module"),
            (("source",), "a\x1bb:1", "which is not a path"),
        ],
    )
    def test_a_job_that_contradicts_itself_is_refused(self, path: tuple[Any, ...], value: Any, said: str) -> None:
        """What no build can have made is refused with the place, and not followed."""
        whole = document(real())
        whole["jobs"]["serverless"] = edited(whole["jobs"]["serverless"], path, value)
        with pytest.raises(ManifestError) as error:
            manifest.decode(json.dumps(whole), "x.whl").job("serverless")
        assert said in str(error.value)

    @pytest.mark.parametrize(
        "content",
        [
            b'{"schema": "2.0", "jobs": ' + b"[" * 200_000,
            b'{"schema": "2.0", "jobs": NaN}',
            b'{"schema": "2.0", "jobs": ' + b"9" * 5000 + b"}",
            b'{"schema": "2.0", "jobs": "\\ud800"}',
            b" " * (manifest.MAX_BYTES + 1),
        ],
        ids=["deep", "nan", "long number", "surrogate", "large"],
    )
    def test_json_that_nothing_can_follow_is_refused(self, content: bytes) -> None:
        """Deep, huge and half-encoded JSON ends in one sentence."""
        with pytest.raises(ManifestError, match=r"^shop\.whl is not a manifest of dbxdec: "):
            manifest.decode(content, "shop.whl")

    @pytest.mark.parametrize("place", ["settings", "literal", "binding"])
    def test_values_nested_too_deeply_are_refused(self, place: str) -> None:
        """Whatever walks through a job's values does so by recursion, which ends."""
        deep: Any = 0
        for _ in range(150):
            deep = {"list": [deep]} if place == "binding" else [deep]
        whole = document(real())
        path: tuple[Any, ...] = ("tasks", 0, "inputs", "day")
        if place == "settings":
            path, deep = ("settings",), {"a": deep}
        elif place == "literal":
            deep = {"literal": deep}
        whole["jobs"]["serverless"] = edited(whole["jobs"]["serverless"], path, deep)
        with pytest.raises(ManifestError, match="the job `serverless`"):
            manifest.decode(json.dumps(whole), "x.whl").job("serverless")

    def test_an_unknown_job_is_named_with_those_there_are(self) -> None:
        """A wrong job key gets the nearest one, or all of them."""
        read = made(real())
        with pytest.raises(ManifestError, match="did you mean `serverless`"):
            read.job("serverles")
        with pytest.raises(ManifestError, match="`everything`, `serverless` and `bare`"):
            read.job("qqq")
        with pytest.raises(ManifestError, match="none"):
            made([]).job("qqq")


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place in JSON data with what is there, the whole first."""
    yield path, value
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from nodes(item, (*path, key))


_REMOVED = object()


def edited(value: Any, path: tuple[Any, ...], replacement: Any = _REMOVED) -> Any:
    """A copy of `value` with the place `path` replaced, or removed."""
    if not path:
        return replacement
    changed = copy.copy(value)
    if len(path) > 1:
        changed[path[0]] = edited(value[path[0]], path[1:], replacement)
    elif replacement is _REMOVED:
        del changed[path[0]]
    else:
        changed[path[0]] = replacement
    return changed


# Objects whose keys are names chosen by the author.
MAPS = frozenset({"jobs", "inputs", "outputs", "dict", "clusters", "environments"})


def places(whole: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """One place for each shape of place in a manifest, outside what is left to the platform and to literals.

    Two places are of one shape when they differ only in indices and authors' names, and have the same neighbours.
    """
    found: dict[Any, tuple[tuple[Any, ...], Any]] = {}
    neighbours: dict[tuple[Any, ...], Any] = {}
    for path, value in nodes(whole):
        neighbours[path] = tuple(value) if isinstance(value, dict) else type(value)
        if path and not {"settings", "literal", "clusters", "environments"}.intersection(path[:-1]):
            shape = tuple(
                "*" if isinstance(name, int) or before in MAPS else name
                for before, name in zip((None, *path), path, strict=False)
            )
            found.setdefault((shape, neighbours[path[:-1]], neighbours[path]), (path, value))
    return list(found.values())


def is_valid(value: Any) -> bool:
    return VALIDATOR.is_valid(value)


class TestSchema:
    # Keys whose absence says something, so that a document without one is another valid document.
    OPTIONAL = frozenset(
        {"doc", "element", "members", "run_date", "optional", "shared", "order", "settings", "on_failure"}
    )

    def test_is_a_schema_of_its_own_draft_and_names_no_host(self) -> None:
        """The published schema is valid by its own draft, and its identifier needs no network."""
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert SCHEMA["$id"] == f"urn:dbxdec:manifest:{manifest.SCHEMA}"
        assert SCHEMA["properties"]["schema"] == {
            "const": manifest.SCHEMA,
            "description": SCHEMA["properties"]["schema"]["description"],
        }

    def test_conditions_say_what_they_compare_and_handlers_what_they_are(self) -> None:
        """Types of every kind are valid there and come back; what else an author never writes is refused."""
        kinds = [ValueType("int"), ValueType("str", optional=True), ValueType("literal", choices=("a", 1))]
        kinds.append(ValueType("enum", enum="shop.sales:Colour"))
        where = SourceLocation("src/shop/sales.py", 3)
        form = {"condition_task": {"op": "EQUAL_TO", "left": "{{job.parameters.a}}", "right": "b"}}
        tasks = [
            dag.Task(f"t{i}", None, where, {}, {}, kind="condition", settings=form, compares=kind)
            for i, kind in enumerate(kinds)
        ]
        tasks.append(dag.Task("alarm", "shop.sales:alarm", where, {}, {}, on_failure=True))
        whole = document([dag.Job("sales", "shop.sales", "shop.sales:sales", where, tuple(tasks))])
        VALIDATOR.validate(whole)
        found = job_forms.decode_job("sales", whole["jobs"]["sales"])
        assert [task.compares for task in found.tasks] == [*kinds, None]
        assert [task.on_failure for task in found.tasks] == [False] * 4 + [True]
        path = ("jobs", "sales", "tasks", 0, "compares")
        for wrong in ({}, {"type": "complex"}, {"type": "enum"}, {"type": "int", "surplus": 1}, "int"):
            assert not is_valid(edited(whole, path, wrong))
        assert not is_valid(edited(whole, ("jobs", "sales", "tasks", 4, "on_failure"), False))

    def test_real_manifests_are_valid(self) -> None:
        """Manifests of real jobs with every kind of parameter, binding, output and literal are valid."""
        VALIDATOR.validate(document(real()))
        VALIDATOR.validate(document([]))

    @properties
    @given(JOBS)
    def test_any_manifest_is_valid(self, jobs: list[dag.Job]) -> None:
        """Whatever DAG is encoded, the schema describes it."""
        VALIDATOR.validate(document(jobs))

    def test_every_place_has_its_type(self) -> None:
        """A number with a fraction fits nowhere outside literals and settings."""
        whole = document(real())
        paths = [path for path, _ in places(whole) if path[-1] != "literal"]
        assert len(paths) > 100
        assert [path for path in paths if is_valid(edited(whole, path, 3.5))] == []

    def test_every_object_is_closed(self) -> None:
        """An unknown key is refused in every object but those of the author's names and the platform's fields."""
        whole = document(real())
        open_objects = {*MAPS, "settings", "literal"}
        closed = [path for path, value in places(whole) if isinstance(value, dict) and path[-1] not in open_objects]
        assert len(closed) > 30
        assert not is_valid({**whole, "surplus": None})
        assert [path for path in closed if is_valid(edited(whole, (*path, "surplus"), None))] == []

    @pytest.mark.slow
    def test_every_key_is_required_unless_its_absence_says_something(self) -> None:
        """Without one of its keys a closed object is refused, or at least says something else."""
        whole = document(real())
        named = [
            path for path, _ in places(whole) if isinstance(path[-1], str) and (len(path) < 2 or path[-2] not in MAPS)
        ]
        kept = [path for path in named if is_valid(edited(whole, path))]
        assert {path[-1] for path in kept} == self.OPTIONAL
        # A job's or task's own settings are always there; an output's only where its manager has some.
        assert all("outputs" in path for path in kept if path[-1] == "settings")

    @pytest.mark.parametrize(
        "literal",
        [
            {"$": "complex", "v": 1},
            {"$": "tuple"},
            {"v": 1, "$": 3},
            {"$": "tuple", "v": {}},
            {"$": "tuple", "v": [{"$": "tuple"}]},
            {"$": "decimal", "v": 1.5},
            {"$": "date", "v": "01.02.2013"},
            {"$": "datetime", "v": "2013-01-01T00:00:00", "tz": "UTC"},
            {"$": "date", "v": "2013-01-01", "tz": "UTC"},
            {"$": "timedelta", "v": [1, 2]},
            {"$": "bytes", "v": "?"},
            {"$": "enum", "v": ["Colour", "RED"]},
            {"$": "dict", "v": [["a"]]},
            {"$": "dict", "v": [[1, 2]]},
            {"$": "template", "v": "no token"},
            {"deep": [{"$": "complex", "v": 1}]},
        ],
        ids=json.dumps,
    )
    def test_malformed_literals_are_refused(self, literal: object) -> None:
        """A tagged literal has one of the known tags and the form that belongs to it, at any depth."""
        whole = document(real())
        path = next(path for path, _ in nodes(whole) if path[-1:] == ("literal",))
        assert is_valid(edited(whole, path, {"a": 1}))
        assert not is_valid(edited(whole, path, literal))

    @pytest.mark.parametrize(
        ("path", "change"),
        [
            (("build_id",), lambda _: "ABC"),
            (("schema",), lambda _: "3.0"),
            (("generator",), lambda _: "something else"),
            (("project", "name"), lambda _: ""),
            (("jobs", "bare", "source"), lambda _: "sales.py"),
            (("jobs", "bare", "function"), lambda _: "bare"),
            (("jobs", "bare", "tasks", 0, "kind"), lambda _: "unheard_of"),
            (("jobs", "bare", "variables"), lambda _: ["a", "a"]),
            (("jobs", "everything", "clusters", "small"), lambda _: 3),
            (("jobs", "serverless", "environments", "lean"), lambda _: []),
            (("jobs", "everything", "parameters", 0), lambda form: {**form, "type": "complex"}),
            (("jobs", "everything", "parameters", 0), lambda form: {**form, "type": "enum"}),
            (("jobs", "everything", "parameters", 0), lambda form: {**form, "type": "literal"}),
            (("jobs", "everything", "parameters", 0), lambda form: {**form, "choices": ["a"]}),
            (("jobs", "everything", "parameters", 0), lambda form: {**form, "enum": "a:B"}),
            (("jobs", "everything", "parameters", 0), lambda form: {**form, "optional": False}),
            (("jobs", "everything", "parameters", 0), lambda form: {**form, "default": 1}),
            (("jobs", "everything", "tasks", 0, "outputs", "result"), lambda form: {**form, "io": "task_value"}),
            (("jobs", "everything", "tasks", 0, "outputs", "result"), lambda form: {**form, "shared": False}),
            (("jobs", "everything", "tasks", 0, "outputs", "result"), lambda form: {**form, "choices": ["a"]}),
            (("jobs", "everything", "tasks", 0, "inputs", "day"), lambda form: {**form, "literal": 1}),
            (("jobs", "everything", "tasks", 0, "inputs", "day"), lambda _: {}),
        ],
    )
    def test_contradictions_are_refused(self, path: tuple[Any, ...], change: Callable[[Any], Any]) -> None:
        """A value of the right JSON type that the encoder never writes is refused."""
        whole = document(real())
        value = whole
        for key in path:
            value = value[key]
        assert not is_valid(edited(whole, path, change(value)))
