"""The manifest: the JSON document that the build passes to the deploy and to the run.

It is canonical: sorted keys, LF, and nothing that depends on the machine or the time. In the wheel it is at
`*.dist-info/extra_metadata/dbxdec/manifest.json`. Its schema is published in `manifest.schema.json`.
"""

from __future__ import annotations

import json
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from dbxdec.errors import ManifestError, SourceLocation, did_you_mean, listed
from dbxdec.model import dag, soundness
from dbxdec.model.job_forms import decode_job
from dbxdec.records import dataclass
from dbxdec.support import digests
from dbxdec.support.forms import FormError, at, kind_of, strings, take, texts
from dbxdec.support.pauses import without_collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbxdec.model.locked import Locked


SCHEMA = "2.0"
"""The version of the schema. A reader accepts every minor version of its own major version."""
MAX_BYTES = 32 * 2**20
"""The size of the largest manifest that is read. One of 10,000 tasks has a quarter of it."""
PATH = "dbxdec/manifest.json"
"""The path of the manifest below `extra_metadata`, hatchling's folder in `.dist-info`."""


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
    content = {"project": project, "schema": schema, "jobs": jobs, "payload": sorted(map(list, payload))}
    content |= _beside(wheels or {}, locked)
    compact = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return digests.of_text(compact)


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
    from dbxdec.model.locked import Locked  # not needed without a lock

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
