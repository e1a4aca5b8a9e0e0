"""The manifest: the JSON document that the build passes to the deploy and to the run.

It is canonical: sorted keys, LF, and nothing that depends on the machine or the time. In the wheel it is at
`*.dist-info/extra_metadata/dbxdec/manifest.json`. Its schema is published in `manifest.schema.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from dbxdec.errors import ManifestError, SourceLocation, did_you_mean, listed
from dbxdec.model import dag, soundness
from dbxdec.model.literals import checked
from dbxdec.model.locked import Locked, texts
from dbxdec.model.rundate import RunDate
from dbxdec.model.values import ValueType
from dbxdec.support.forms import FormError, at, by_key, each_of, kind_of, plain_object, strings, take, take_or_null
from dbxdec.support.pauses import without_collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbxdec.model.literals import Json

SCHEMA = "2.0"
"""The version of the schema. A reader accepts every minor version of its own major version."""
MAX_BYTES = 32 * 2**20
"""The size of the largest manifest that is read. One of 10,000 tasks has a quarter of it."""
PATH = "dbxdec/manifest.json"
"""The path of the manifest below `extra_metadata`, hatchling's folder in `.dist-info`."""
TASK_VALUE = "task_value"
"""The entry in place of an IoManager for an output that is a task value."""
_ROWS = get_args(dag.Rows)
_DEEPEST = 100
_LINE_DIGITS = 9


Places: TypeAlias = "tuple[SourceLocation | None, SourceLocation | None]"
"""The lines where a task was called and overridden."""


@dataclass(frozen=True)
class Manifest:
    """A decoded manifest. `raw_jobs` has the jobs as JSON: a run decodes only one of perhaps a hundred."""

    project: str
    version: str
    build_id: str
    generator: str
    raw_jobs: Mapping[str, Any]
    libraries: tuple[str, ...] = ()
    """More wheels and PyPI requirements for each task. Not part of the build id: they are not in the wheel."""
    wheels: Mapping[str, str] = field(default_factory=dict)
    """The sha256, in hex, of each wheel of the tree that tasks need besides this one, by its path in the project."""
    locked: Locked | None = None
    """The versions of the project's lock for each compute; None without a lock."""
    schema: str = SCHEMA
    origin: str | None = None
    """The file of the manifest. None for a manifest of this process, whose jobs the build has already checked."""
    places: Mapping[str, Mapping[str, Places]] = field(default_factory=dict, compare=False)
    """The lines of tasks, by job and task. A build knows them; a wheel does not contain them."""

    def job(self, key: str) -> dag.Job:
        """Return the job `key`. Raises ManifestError if it can't be read, or is unknown (with the known jobs)."""
        if key not in self.raw_jobs:
            raise ManifestError(
                f"{self.project} {self.version} has no job `{key}`",
                hint=did_you_mean(key, self.raw_jobs) or f"its jobs are {listed(list(self.raw_jobs)) or 'none'}",
            )
        try:
            job = decode_job(key, self.raw_jobs[key])
            if self.origin is not None:
                soundness.require_job(job)
        except FormError as error:
            raise ManifestError(
                f"the job `{key}` of {self.project} {self.version} can't be read: {error}",
                hint=f"the manifest was written by {self.generator}: install that version where it is read",
            ) from None
        return _placed(job, self.places.get(key, {}))

    def require_sound(self) -> None:
        """Raise ManifestError for a job that can't be read, or that no build can have written."""
        for key in self.raw_jobs:
            self.job(key)

    def digest_with(self, payload: Iterable[tuple[str, str]]) -> str:
        """Return the build id of this manifest in a wheel with that payload."""
        return digest(self.project, self.raw_jobs, payload, schema=self.schema, wheels=self.wheels, locked=self.locked)

    @property
    def packages(self) -> list[str]:
        """The top-level packages of the modules that define the jobs."""
        modules = [at(form, "module") for form in self.raw_jobs.values()]
        return sorted({module.partition(".")[0] for module in modules if isinstance(module, str)})

    @property
    def jobs(self) -> list[dag.Job]:
        """All jobs, by key."""
        return [self.job(key) for key in self.raw_jobs]


def places_of(jobs: Iterable[dag.Job]) -> dict[str, dict[str, Places]]:
    """Return the lines of the tasks of `jobs`."""
    return {job.key: {task.key: (task.called_at, task.overridden_at) for task in job.tasks} for job in jobs}


def _placed(job: dag.Job, places: Mapping[str, Places]) -> dag.Job:
    if not places:
        return job
    nowhere: Places = (None, None)
    found = [(task, places.get(task.key, nowhere)) for task in job.tasks]
    tasks = tuple(replace(task, called_at=called, overridden_at=set_) for task, (called, set_) in found)
    return replace(job, tasks=tasks)


def encode_jobs(jobs: Iterable[dag.Job]) -> dict[str, Any]:
    """Return the manifest's `jobs` for these DAGs."""
    with without_collection():
        return {job.key: _encode_job(job) for job in jobs}


def digest(
    project: str,
    jobs: Mapping[str, Any],
    payload: Iterable[tuple[str, str]],
    *,
    schema: str = SCHEMA,
    wheels: Mapping[str, str] | None = None,
    locked: Locked | None = None,
) -> str:
    """Return the build id: the sha256, in hex, of the DAG and the sorted (path in the wheel, sha256) of the payload.

    What else a task gets counts as well: the digests of other `wheels`, and the pins of the lock. The project's version
    is left out: the bundle's CLI renames the wheel at deploy without changing code.
    """
    import hashlib  # not needed by a run

    content = {"project": project, "schema": schema, "jobs": jobs, "payload": sorted(map(list, payload))}
    content |= _beside(wheels or {}, locked)
    compact = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(compact.encode()).hexdigest()


def encode(manifest: Manifest) -> bytes:
    """Return the canonical bytes of a manifest."""
    document = {
        "schema": SCHEMA,
        "build_id": manifest.build_id,
        "generator": manifest.generator,
        "project": {"name": manifest.project, "version": manifest.version},
        "jobs": manifest.raw_jobs,
        **({"libraries": list(manifest.libraries)} if manifest.libraries else {}),
        **_beside(manifest.wheels, manifest.locked),
    }
    return f"{_lines(document, 'jobs')}\n".encode()


def _beside(wheels: Mapping[str, str], locked: Locked | None) -> dict[str, Any]:
    """Return what is installed beside the wheel and is fixed by the build."""
    return {
        **({"wheels": dict(wheels)} if wheels else {}),
        **({"locked": locked.json_form()} if locked is not None else {}),
    }


def _lines(form: Mapping[str, Any], *apart: str) -> str:
    """Return an object as JSON with a line for each key, and for each key of the objects named in `apart`.

    `json` can only indent everything, which takes ten times as long.
    """
    parts = [f"{_json(key)}: {_lines(form[key]) if key in apart else _json(form[key])}" for key in sorted(form)]
    return "{" + ",".join(f"\n {part}" for part in parts) + "\n}"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def decode(content: bytes | str, origin: str) -> Manifest:
    """Return the manifest in `content`. Raises ManifestError, naming `origin`, for another major version or content."""
    try:
        document = _parsed(content)
        schema = document["schema"]
        if str(schema).partition(".")[0] != SCHEMA.partition(".")[0]:
            raise ManifestError(
                f"{origin} has manifest schema {schema!s:.20}; this dbxdec reads {SCHEMA.partition('.')[0]}.x",
                hint="install the dbxdec that built the wheel, or rebuild the wheel with this one",
            )
        project = take(document, "project", dict)
        found = Manifest(
            project=take(project, "name", str),
            version=take(project, "version", str),
            build_id=take(document, "build_id", str),
            generator=take(document, "generator", str),
            raw_jobs=take(document, "jobs", dict),
            libraries=strings(document, "libraries", ()),
            wheels=texts(document, "wheels") if "wheels" in document else {},
            locked=_locked_of(document["locked"]) if "locked" in document else None,
            schema=take(document, "schema", str),
            origin=origin,
        )
        soundness.require_project(found.project, found.version, found.build_id)
        soundness.require_keys(found.raw_jobs)
        soundness.require_wheels(found.wheels)
        soundness.require_pins(found.locked.texts if found.locked is not None else ())
    except FormError as error:
        raise ManifestError(f"{origin} is not a manifest of dbxdec: {error}") from None
    return found


def _locked_of(form: Any) -> Locked:
    try:
        return Locked.from_json_form(form)
    except FormError as error:
        raise error.inside("locked") from None


def _parsed(content: bytes | str) -> dict[str, Any]:
    """Return `content` as a JSON object with a schema. Raises FormError for anything else."""
    if len(content) > MAX_BYTES:
        raise FormError("", f"has more than {MAX_BYTES // 2**20} MiB")
    try:
        text = content.decode() if isinstance(content, bytes) else content
        with without_collection():
            document = json.loads(text, parse_constant=_no_number)
            if "\\ud" in text.lower():  # half of a surrogate pair, which no file or terminal accepts
                json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise FormError("", "is nested too deeply") from None
    except ValueError as error:  # from JSON or UTF-8, or for a number of thousands of digits
        raise FormError("", f"is not JSON: {error!s:.200}") from None
    if type(document) is not dict or "schema" not in document:
        what = "has no schema" if type(document) is dict else f"is {kind_of(document)}, not an object"
        raise FormError("", what)
    return document


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def encode_binding(binding: dag.Binding) -> Json:
    """Return the manifest's form of a binding."""
    match binding:
        case dag.TaskOutput(task, output, rows):
            return {"task": task, "output": output, "rows": rows}
        case dag.TaskValue(task, key):
            return {"value": {"task": task, "key": key}}
        case dag.Table(io, target):
            return {"table": {"io": io, "target": target}}
        case dag.Literal(value):
            return {"literal": value}
        case dag.Parameter(name):
            return {"parameter": name}
        case dag.Item():
            return {"item": True}
        case dag.Sequence(items, kind):
            return {kind: [encode_binding(item) for item in items]}
        case dag.Mapped(items):
            form: dict[str, Json] = {"dict": {key: encode_binding(item) for key, item in items}}
            order: list[Json] = [key for key, _ in items]
            # The manifest sorts its keys. The author's order is stored only if it differs.
            return form if order == sorted(key for key, _ in items) else {**form, "order": order}


def decode_binding(form: Any) -> dag.Binding:
    """Return the binding that `encode_binding` took. Raises FormError for anything else."""
    return _decode_binding(form, _DEEPEST)


def _decode_binding(form: Any, deepest: int) -> dag.Binding:
    match form:
        case {"task": str(task), "output": str(output), "rows": str(rows)} if rows in _ROWS:
            return dag.TaskOutput(task, output, rows)  # type: ignore[arg-type]
        case {"value": {"task": str(task), "key": str(key)}}:
            return dag.TaskValue(task, key)
        case {"table": {"io": str(io), "target": str(target)}}:
            return dag.Table(io, target)
        case {"literal": value}:
            return dag.Literal(checked(value))
        case {"parameter": str(name)}:
            return dag.Parameter(name)
        case {"item": True}:
            return dag.Item()
        case {"list": list(items)} | {"tuple": list(items)} if deepest:
            inside = tuple(_decode_binding(item, deepest - 1) for item in items)
            return dag.Sequence(inside, "list" if "list" in form else "tuple")
        case {"dict": dict(items)} if deepest:
            order = strings(form, "order", tuple(items))
            if "order" in form and sorted(order) != sorted(items):
                raise FormError("order", "does not have the keys of `dict`")
            return dag.Mapped(tuple((key, _decode_binding(items[key], deepest - 1)) for key in order))
        case _:
            raise FormError("", f"is a binding of an unknown kind: {soundness.shown(form)}")


def encode_output(output: dag.Output) -> dict[str, Any]:
    """Return the manifest's form of an output."""
    form: dict[str, Any] = {"io": output.io or TASK_VALUE, "target": output.target}
    if output.type is not None:
        form |= output.type.json_form(members=False)  # only values from outside of a run are checked by their names
    if output.settings:
        form["settings"] = dict(output.settings)
    if output.shared:
        form["shared"] = True
    if output.per_item:
        form["per_item"] = True
    if output.partial:
        form["partial"] = True
    return form


def _decode_output(form: Any) -> dag.Output:
    io = take(form, "io", str)
    return dag.Output(
        io=None if io == TASK_VALUE else io,
        target=take_or_null(form, "target", str),
        type=ValueType.from_json_form(form) if "type" in form else None,
        settings=_plain_at(form, "settings", {}),
        shared=take(form, "shared", bool, False),
        per_item=take(form, "per_item", bool, False),
        partial=take(form, "partial", bool, False),
    )


def _encode_job(job: dag.Job) -> dict[str, Any]:
    return {
        "module": job.module,
        "function": job.function,
        "source": str(job.source),
        "settings": dict(job.settings),
        "parameters": [
            {
                "name": parameter.name,
                **parameter.type.json_form(),
                "default": parameter.default,
                **({"run_date": parameter.run_date.json_form()} if parameter.run_date else {}),
            }
            for parameter in job.parameters
        ],
        "clusters": dict(job.clusters),
        "environments": dict(job.environments),
        "variables": list(job.variables),
        "tasks": [_encode_task(task) for task in job.tasks],
        **({"doc": job.doc} if job.doc else {}),
    }


def _encode_task(task: dag.Task) -> dict[str, Any]:
    return {
        "key": task.key,
        "kind": task.kind,
        "function": task.function,
        "source": str(task.source),
        "inputs": {name: encode_binding(binding) for name, binding in task.inputs.items()},
        "outputs": {name: encode_output(output) for name, output in task.outputs.items()},
        "depends_on": [{"task": d.task, "outcome": d.outcome} for d in task.depends_on],
        "run_if": task.run_if,
        "variables": list(task.variables),
        "settings": dict(task.settings),
        **({"each": encode_each(task.each)} if task.each is not None else {}),
        **({"on_failure": True} if task.on_failure else {}),
        **({"compares": task.compares.json_form()} if task.compares is not None else {}),
        **({"spark_conf": dict(task.spark_conf)} if task.spark_conf else {}),
        **({"doc": task.doc} if task.doc else {}),
    }


def encode_each(each: dag.Each) -> dict[str, Any]:
    """Return the manifest's form of a for-each."""
    return {
        "items": encode_binding(each.items),
        **({} if each.concurrency is None else {"concurrency": each.concurrency}),
        **({} if each.type is None else {"type": each.type.json_form()}),
    }


def decode_job(key: str, form: Any) -> dag.Job:
    """Return the job `key` from its form in a manifest. Raises FormError, with the place, for another form."""
    return dag.Job(
        key=key,
        module=take(form, "module", str),
        function=take(form, "function", str),
        source=_location(form),
        settings=_plain_at(form, "settings"),
        parameters=each_of(form, "parameters", _decode_parameter),
        clusters=by_key(form, "clusters", plain_object),
        environments=by_key(form, "environments", plain_object),
        tasks=each_of(form, "tasks", _decode_task),
        doc=_decode_doc(form),
    )


def _decode_parameter(form: Any) -> dag.JobParameter:
    return dag.JobParameter(
        name=take(form, "name", str),
        type=ValueType.from_json_form(form),
        default=take_or_null(form, "default", str),
        run_date=RunDate.from_json_form(form["run_date"]) if "run_date" in form else None,
    )


def _decode_task(form: Any) -> dag.Task:
    return dag.Task(
        key=take(form, "key", str),
        kind=take(form, "kind", str),
        function=take_or_null(form, "function", str),
        source=_location(form),
        inputs=by_key(form, "inputs", decode_binding),
        outputs=by_key(form, "outputs", _decode_output),
        depends_on=each_of(form, "depends_on", _decode_dependency),
        run_if=take_or_null(form, "run_if", str),
        variables=strings(form, "variables"),
        settings=_plain_at(form, "settings"),
        each=_decode_each(form["each"]) if "each" in form else None,
        on_failure=take(form, "on_failure", bool, False),
        compares=ValueType.from_json_form(form["compares"]) if "compares" in form else None,
        doc=_decode_doc(form),
        spark_conf=by_key(form, "spark_conf", _decode_setting) if "spark_conf" in form else {},
    )


def _decode_setting(form: Any) -> str | int | bool:
    if type(form) not in (str, int, bool):
        raise FormError("", f"is {kind_of(form)}, not a string, a whole number or a boolean")
    found: str | int | bool = form
    return found


def _decode_doc(form: Any) -> str | None:
    return take(form, "doc", str) if "doc" in form else None


def _decode_dependency(form: Any) -> dag.Dependency:
    return dag.Dependency(take(form, "task", str), take_or_null(form, "outcome", str))


def _decode_each(form: Any) -> dag.Each:
    take(form, "items", dict)
    concurrency = form.get("concurrency")
    if type(concurrency) not in (int, str, type(None)):
        raise FormError("each.concurrency", f"is {kind_of(concurrency)}, not a number")
    kind = ValueType.from_json_form(form["type"]) if "type" in form else None
    return dag.Each(decode_binding(form["items"]), concurrency, kind)


def _plain_at(form: Any, name: str, *default: dict[str, Any]) -> dict[str, Any]:
    found = take(form, name, dict, *default)
    if not found:
        return found
    try:
        return plain_object(found)
    except FormError as error:
        raise error.inside(name) from None


def _location(form: Any) -> SourceLocation:
    path, _, line = take(form, "source", str).rpartition(":")
    if not line.isdecimal() or len(line) > _LINE_DIGITS:
        raise FormError("source", "is not of the form `path:line`")
    return SourceLocation(path, int(line))
