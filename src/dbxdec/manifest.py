"""The manifest: the one JSON document that crosses from the build to the deploy and to the run.

It is canonical (sorted keys, LF, nothing of the machine or the moment), lies in the wheel at
`*.dist-info/extra_metadata/dbxdec/manifest.json`, and its shape is published in `manifest.schema.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbxdec import dag
from dbxdec.errors import ManifestError, SourceLocation, did_you_mean, listed
from dbxdec.pauses import without_collection
from dbxdec.rundate import RunDate
from dbxdec.values import ValueType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbxdec.literals import Json

SCHEMA = "1.0"
"""Version of the shape; a reader takes every minor version of its own major one."""
PATH = "dbxdec/manifest.json"
"""Where the manifest lies below `extra_metadata`, hatchling's folder in `.dist-info`."""
TASK_VALUE = "task_value"
"""What stands for the IoManager of an output that travels as a task value."""


@dataclass(frozen=True)
class Manifest:
    """A decoded manifest. `raw_jobs` keeps the jobs as JSON: a run needs one of perhaps a hundred."""

    project: str
    version: str
    build_id: str
    generator: str
    raw_jobs: Mapping[str, Any]
    libraries: tuple[str, ...] = ()
    """More wheels and PyPI requirements for each task; no part of the build id, since they are none of the wheel."""

    def job(self, key: str) -> dag.Job:
        """The job `key`. Raises ManifestError for one that can't be read or, naming those there are, is unknown."""
        if key not in self.raw_jobs:
            raise ManifestError(
                f"{self.project} {self.version} has no job `{key}`",
                hint=did_you_mean(key, self.raw_jobs) or f"its jobs are {listed(list(self.raw_jobs)) or 'none'}",
            )
        try:
            return decode_job(key, self.raw_jobs[key])
        except (ManifestError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManifestError(
                f"the job `{key}` of {self.project} {self.version} can't be read: {type(error).__name__}: {error}",
                hint=f"the manifest was written by {self.generator}: install that version where it is read",
            ) from None

    @property
    def jobs(self) -> list[dag.Job]:
        """All jobs, by key."""
        return [self.job(key) for key in self.raw_jobs]


def encode_jobs(jobs: Iterable[dag.Job]) -> dict[str, Any]:
    """The manifest's `jobs`, from the DAGs."""
    with without_collection():
        return {job.key: _encode_job(job) for job in jobs}


def digest(project: str, jobs: Mapping[str, Any], payload: Iterable[tuple[str, str]]) -> str:
    """The build id: sha256, in hex, over the DAG and the sorted (path in the wheel, sha256) of the payload.

    The project's version is left out: the bundle's CLI renames the wheel at deploy and changes no code.
    """
    import hashlib  # a run needs none

    content = {"project": project, "schema": SCHEMA, "jobs": jobs, "payload": sorted(map(list, payload))}
    compact = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(compact.encode()).hexdigest()


def encode(manifest: Manifest) -> bytes:
    """The canonical bytes of a manifest."""
    document = {
        "schema": SCHEMA,
        "build_id": manifest.build_id,
        "generator": manifest.generator,
        "project": {"name": manifest.project, "version": manifest.version},
        "jobs": manifest.raw_jobs,
        **({"libraries": list(manifest.libraries)} if manifest.libraries else {}),
    }
    return f"{_lines(document, 'jobs')}\n".encode()


def _lines(form: Mapping[str, Any], *apart: str) -> str:
    """An object as JSON with a line for each key, and one for each key of those named in `apart`.

    `json` indents all or nothing, and takes ten times as long for all.
    """
    parts = [f"{_text(key)}: {_lines(form[key]) if key in apart else _text(form[key])}" for key in sorted(form)]
    return "{" + ",".join(f"\n {part}" for part in parts) + "\n}"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def decode(content: bytes | str, origin: str) -> Manifest:
    """The manifest in `content`. Raises ManifestError, naming `origin`, for another major version or other JSON."""
    try:
        with without_collection():
            document = json.loads(content)
        schema = document["schema"]
        if str(schema).partition(".")[0] != SCHEMA.partition(".")[0]:
            raise ManifestError(
                f"{origin} has manifest schema {schema}; this dbxdec reads {SCHEMA.partition('.')[0]}.x",
                hint="install the dbxdec that built the wheel, or build the wheel again with this one",
            )
        if not isinstance(document["jobs"], dict):
            raise TypeError("`jobs` is not an object")
        return Manifest(
            project=document["project"]["name"],
            version=document["project"]["version"],
            build_id=document["build_id"],
            generator=document["generator"],
            raw_jobs=document["jobs"],
            libraries=tuple(document.get("libraries", ())),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{origin} is not a manifest of dbxdec: {type(error).__name__}: {error}") from None


def encode_binding(binding: dag.Binding) -> Json:
    """A binding as the manifest has it."""
    match binding:
        case dag.TaskOutput(task, output, written):
            return {"task": task, "output": output, **({"written": True} if written else {})}
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
            # The manifest sorts its keys; the author's order is kept only where it differs.
            return form if order == sorted(key for key, _ in items) else {**form, "order": order}


def decode_binding(form: Any) -> dag.Binding:
    """The binding that `encode_binding` took."""
    match form:
        case {"task": task, "output": output}:
            return dag.TaskOutput(task, output, form.get("written", False))
        case {"value": {"task": task, "key": key}}:
            return dag.TaskValue(task, key)
        case {"table": {"io": io, "target": target}}:
            return dag.Table(io, target)
        case {"literal": value}:
            return dag.Literal(value)
        case {"parameter": name}:
            return dag.Parameter(name)
        case {"item": True}:
            return dag.Item()
        case {"list": items} | {"tuple": items}:
            return dag.Sequence(tuple(map(decode_binding, items)), "list" if "list" in form else "tuple")
        case {"dict": items}:
            return dag.Mapped(tuple((key, decode_binding(items[key])) for key in form.get("order", items)))
        case _:
            raise ManifestError(f"a binding of an unknown kind: {form!r}")


def encode_output(output: dag.Output) -> dict[str, Any]:
    """An output as the manifest has it."""
    form: dict[str, Any] = {"io": output.io or TASK_VALUE, "target": output.target}
    if output.type is not None:
        form |= output.type.json_form()
    if output.settings:
        form["settings"] = dict(output.settings)
    if output.shared:
        form["shared"] = True
    if output.per_item:
        form["per_item"] = True
    return form


def _decode_output(form: Mapping[str, Any]) -> dag.Output:
    return dag.Output(
        io=None if form["io"] == TASK_VALUE else form["io"],
        target=form["target"],
        type=ValueType.from_json_form(dict(form)) if "type" in form else None,
        settings=form.get("settings", {}),
        shared=form.get("shared", False),
        per_item=form.get("per_item", False),
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
        **({"doc": task.doc} if task.doc else {}),
    }


def encode_each(each: dag.Each) -> dict[str, Any]:
    """A for-each as the manifest has it."""
    form: dict[str, Any] = {"items": encode_binding(each.items)}
    return form if each.concurrency is None else {**form, "concurrency": each.concurrency}


def decode_job(key: str, form: Mapping[str, Any]) -> dag.Job:
    """The job `key` of its form in a manifest."""
    return dag.Job(
        key=key,
        module=form["module"],
        function=form["function"],
        source=_location(form["source"]),
        settings=form["settings"],
        parameters=tuple(
            dag.JobParameter(
                p["name"],
                ValueType.from_json_form(p),
                p["default"],
                RunDate(**p["run_date"]) if "run_date" in p else None,
            )
            for p in form["parameters"]
        ),
        clusters=form["clusters"],
        environments=form["environments"],
        tasks=tuple(map(_decode_task, form["tasks"])),
        doc=form.get("doc"),
    )


def _decode_task(form: Mapping[str, Any]) -> dag.Task:
    return dag.Task(
        key=form["key"],
        kind=form["kind"],
        function=form["function"],
        source=_location(form["source"]),
        inputs={name: decode_binding(binding) for name, binding in form["inputs"].items()},
        outputs={name: _decode_output(output) for name, output in form["outputs"].items()},
        depends_on=tuple(dag.Dependency(d["task"], d["outcome"]) for d in form["depends_on"]),
        run_if=form["run_if"],
        variables=tuple(form["variables"]),
        settings=form["settings"],
        each=_decode_each(form["each"]) if "each" in form else None,
        doc=form.get("doc"),
    )


def _decode_each(form: Mapping[str, Any]) -> dag.Each:
    return dag.Each(decode_binding(form["items"]), form.get("concurrency"))


def _location(text: str) -> SourceLocation:
    path, _, line = text.rpartition(":")
    return SourceLocation(path, int(line))
