"""The discovery process: imports the project's pipelines, builds every job, and writes the result to a file.

It is started as `python -P -m dbxdec.build.discovery.child SPEC`. Nothing that a project does at import reaches the
build except through the result file.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import gc
import importlib
import json
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dbxdec
from dbxdec.authoring import contracting, jobs, recording
from dbxdec.authoring.definitions import place_of
from dbxdec.build.discovery import libraries, own_paths, reproducible, returned
from dbxdec.build.discovery.failures import Failures
from dbxdec.build.discovery.lookups import Lookups
from dbxdec.build.discovery.modules import by_folder, module_name
from dbxdec.build.discovery.names import UndefinedNames
from dbxdec.build.discovery.sources import Sources
from dbxdec.build.discovery.spec import CANT_WRITE, WHERE_SIGNAL, Progress, Spec, form_of
from dbxdec.build.discovery.standins import StandIn, StandInFinder
from dbxdec.errors import DbxdecError, Problem, SourceLocation, concerning, listed
from dbxdec.model import checks, dag, mistakes, secrets, warning_checks
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import places_of
from dbxdec.model.variables import became_strings
from dbxdec.support import files
from dbxdec.support.boundary import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator


def main(argv: list[str]) -> None:
    """Run the discovery that the JSON file `argv[0]` specifies."""
    spec = Spec(**json.loads(Path(argv[0]).read_text(encoding="utf-8")))
    faulthandler.enable()
    gc.set_threshold(100_000)  # modules stay loaded, so looking for garbage in them wastes time
    if sys.platform != "win32" and WHERE_SIGNAL is not None:
        faulthandler.register(WHERE_SIGNAL, all_threads=False)
    # A module must not see how this process was started. A task's process hides its arguments, too.
    sys.argv = ["dbxdec"]
    sys.path.insert(0, spec.root)
    importlib.invalidate_caches()
    own = frozenset(_module_names(spec.sources))
    finder = StandInFinder(Path(spec.root), own, frozenset(spec.unshipped), by_folder(spec.sources))
    if spec.stand_ins:
        sys.meta_path.append(finder)
    if spec.rewritten:
        from dbxdec.build.discovery import rewriting

        rewriting.install(spec.root + os.sep)
    discovery = _Discovery(spec, finder)
    discovery.run()
    found = {
        "jobs": discovery.jobs,
        "problems": list(map(form_of, discovery.problems)),
        "warnings": list(map(form_of, discovery.warnings)),
        "needs": {library: form_of(problem) for library, problem in discovery.needs.items()},
        "seem_own": {name: form_of(problem) for name, problem in discovery.seem_own().items()},
        "stand_ins": finder.listed(),
        "imported": _from_elsewhere(spec.root),
        "may_differ": discovery.may_differ,
        "makes_strings": became_strings(),
        "contracts": discovery.contracts(),
        "places": {
            job: {task: [at and [at.path, at.line] for at in where] for task, where in tasks.items()}
            for job, tasks in places_of(discovery.dags).items()
        },
    }
    files.replace(spec.result, json.dumps(found).encode())
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that the project left running must not hold the build up.
    os._exit(0)


class _Imports:
    """The jobs that modules define. A module may be imported several times; only the jobs of the last time count."""

    def __init__(self, modules: frozenset[str]) -> None:
        self._modules = modules
        self._found: list[tuple[int, str, jobs.Job[...]]] = []  # number of the import, module of pipelines, job
        self._times = 0

    @contextmanager
    def of(self, module: str) -> Iterator[None]:
        """Note the jobs that the block defines by importing a module."""
        known = set(map(id, jobs.registered()))
        self._times += 1
        try:
            with mistakes.defining():
                yield
        finally:
            for job in jobs.registered():
                if id(job) not in known:
                    own = job.defined_in if job.defined_in in self._modules else module
                    self._found.append((self._times, own, job))

    def jobs(self) -> Iterator[tuple[str, jobs.Job[...]]]:
        """Yield each job with the module that defines it."""
        last = {job.defined_in: times for times, _, job in self._found}
        yield from ((module, job) for times, module, job in self._found if last[job.defined_in] == times)

    def keys(self, module: str) -> tuple[str, ...]:
        """Return the keys of the jobs that a module defines."""
        return tuple(dict.fromkeys(job.key for _, own, job in self._found if own == module))


class _Discovery:
    def __init__(self, spec: Spec, finder: StandInFinder) -> None:
        self._spec = spec
        self._finder = finder
        self._failures = Failures(spec.root, frozenset(_module_names(spec.sources)), by_folder(spec.sources))
        self._imports = _Imports(frozenset(spec.modules))
        self._ours = re.compile(re.escape(spec.root + os.sep) + r"([^\s:\"']+?\.py\b|[^\s:\"']+)")
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.needs: dict[str, Problem] = {}
        self.dags: list[dag.Job] = []
        self.may_differ = False
        self._compiled = reproducible.Compiled(spec.root + os.sep)
        self._compiled.install()
        self._unloaded: dict[str, Any] = {}

    def run(self) -> None:
        """Import every module, then build every job: a broken module does not hide the mistakes of another."""
        path = list(sys.path)
        for module in self._spec.modules:
            Progress(module=module).note(self._spec.progress)
            self._import(module)
            sys.path += [
                entry for entry in path if entry not in sys.path
            ]  # later imports still find their modules there
        # The jobs that are built now have functions and classes of these modules, which Python finds by their names.
        sys.modules.update({name: module for name, module in self._unloaded.items() if name not in sys.modules})
        found = list(self._imports.jobs())
        names = UndefinedNames(self._spec.root, frozenset(_module_names(self._spec.sources)))
        sources = Sources()
        files_of_python = tuple(path for path in self._spec.sources if path.endswith(".py"))
        lookups = Lookups(self._spec.root, files_of_python, names, sources)
        gc.disable()  # all objects from here on live until the process ends
        only_run: set[Any] = set()
        defining: set[Any] = set()
        for module, job in found:
            if job.key in self._spec.left_out:
                continue
            Progress(job=job.key, where=self._map(str(place_of(job.fn)))).note(self._spec.progress)
            built = job.build(module)
            self._add(concerning((job.key,), built.problems))
            self._add(names.of(job.key, built.tasks))
            self._add(lookups.wrong(built.dag, built.tasks))
            self._add(returned.wrong_keys(built.dag, built.tasks, sources))
            for library, problem in libraries.needed(built):
                self.needs.setdefault(library, replace(problem, where=self._map_place(problem.where)))
            self.dags.append(self._located(built.dag))
            defining |= {one.__code__ for one in names.defining(job.fn)}
            for key, task in built.tasks.items():
                only_run |= {one.__code__ for one, _ in names.reached(key, task)}
        Progress().note(self._spec.progress)
        self._add(checks.check(self.dags))
        self._add(contracting.across(self.dags))
        self._add(secrets.mixed_up())
        self.jobs = encode_jobs(self.dags)
        folder = os.path.dirname(self._spec.root)
        self._add(own_paths.problems(self.jobs, self.dags, folder, os.getcwd()))
        self._add(secrets.leaked(self.jobs, {job.key: job.source for job in self.dags}))
        self.may_differ = self._compiled.may_differ(only_run - defining)
        # Beside mistakes nobody sees warnings, which could not be told of such jobs: a cycle has no order.
        self.warnings = [] if self.problems else warning_checks.warn(self.dags)
        if not self.dags and not self.problems:
            hint = "put `@job` on a function there, or name other modules: `pipelines = [...]` under [tool.dbxdec]"
            modules = listed(self._spec.modules) or "no module"
            self.warnings = [Problem(f"no job is defined in {modules}: the wheel deploys nothing", None, hint)]

    def _import(self, module: str) -> None:
        """Import a module. If its wiring is wrong, import it again with all mistakes noted instead of raised."""
        noted: list[Problem] = []
        try:
            with self._imports.of(module):
                importlib.import_module(module)
        except DbxdecError as error:
            loaded = set(sys.modules)
            found = self._failures.explained(module, error)
            if ended := self._import_noting(module, noted):
                found = ended
            elif noted:
                found = []
            self._unload(loaded)  # the next module that imports the mistake fails as well
        except BaseException as error:  # noqa: BLE001 - any of the project's code may run at import
            found = self._failures.explained(module, error)
        else:
            return
        self._add(concerning(self._imports.keys(module), [*noted, *found]))

    def _import_noting(self, module: str, noted: list[Problem]) -> list[Problem]:
        """Import a module with its mistakes noted; return the problems that ended the import nevertheless."""
        try:
            with self._imports.of(module), recording.collecting(noted):
                importlib.import_module(module)
        except BaseException as error:  # noqa: BLE001 - as in `_import`
            return self._failures.explained(module, error)
        return []

    def _unload(self, kept: set[str]) -> None:
        """Unload the project's modules that are not among `kept`, so that they are imported again."""
        for name, module in list(sys.modules.items()):
            if name not in kept and (_file_of(module) or "").startswith(self._spec.root):
                self._unloaded[name] = sys.modules.pop(name)

    def _add(self, problems: Any) -> None:
        """Note problems at the places of the author's tree.

        The same problem twice, as in a broken shared module, counts once.
        """
        for problem in problems:
            mapped = Problem(
                self._map(problem.message),
                self._map_place(problem.where),
                self._of_stand_ins(problem.message) or problem.hint,
                problem.jobs,
            )
            if mapped in self.problems:
                place = self.problems.index(mapped)
                before = self.problems[place].jobs
                both = None if before is None or mapped.jobs is None else tuple(dict.fromkeys(before + mapped.jobs))
                self.problems[place] = replace(mapped, jobs=both)
            else:
                self.problems.append(mapped)

    def _of_stand_ins(self, message: str) -> str | None:
        """Return a hint for an error of Python itself that names the class of placeholders instead of a module."""
        absent = self._finder.listed()
        if not absent or StandIn.__name__ not in message:
            return None
        return (
            f"`{StandIn.__name__}` is the placeholder for names of {listed(absent)}, not installed where the wheel is "
            "built: do it inside a task, or set `require-runtime-dependencies = true` in "
            "[tool.hatch.build.hooks.dbxdec]"
        )

    def seem_own(self) -> dict[str, Problem]:
        """Return what to say of absent modules that may be meant for the project's."""
        return {name: replace(one, where=self._map_place(one.where)) for name, one in self._finder.own.items()}

    def contracts(self) -> dict[str, Any]:
        """Return the columns of contracts, as far as they are known here."""
        found = contracting.forms(self.dags)
        # Another machine has a class that is installed somewhere else.
        own = {name: one.source.startswith(self._spec.root) for name, one in found.items()}
        sources = {name: self._map(one.source) if own[name] else "" for name, one in found.items()}
        return {name: replace(one, source=sources[name]).json_form() for name, one in found.items()}

    def _map(self, text: str) -> str:
        return self._ours.sub(lambda match: self._source(match[1]), text)

    def _map_place(self, where: SourceLocation | str | None) -> SourceLocation | str | None:
        if isinstance(where, SourceLocation):
            return SourceLocation(self._map(where.path), where.line)
        return self._map(where) if where else None

    def _source(self, path: str) -> str:
        path = path.replace(os.sep, "/")
        return self._spec.sources.get(path, path)

    def _located(self, job: dag.Job) -> dag.Job:
        tasks = tuple(
            replace(
                t,
                source=self._location(t.source),
                called_at=t.called_at and self._location(t.called_at),
                overridden_at=t.overridden_at and self._location(t.overridden_at),
            )
            for t in job.tasks
        )
        return replace(job, source=self._location(job.source), tasks=tasks)

    def _location(self, where: SourceLocation) -> SourceLocation:
        return SourceLocation(self._map(where.path), where.line)


def _from_elsewhere(root: str) -> list[str]:
    """Return the files of modules that are neither the project's nor installed: editable installs, or on PYTHONPATH."""
    real_folder = functools.cache(os.path.realpath)

    def real(file: str) -> str:
        path = os.path.join(real_folder(os.path.dirname(file)), os.path.basename(file))
        return os.path.realpath(path) if os.path.islink(path) else path

    own = (os.path.dirname(real(str(module.__file__))) for module in (os, dbxdec))
    known = tuple(folder + os.sep for folder in (root, *own))
    files = {real(file) for module in list(sys.modules.values()) if (file := _file_of(module))}
    return sorted(
        file
        for file in files
        if not file.startswith(known) and not re.search("(site|dist)-packages", file) and os.path.isfile(file)
    )


def _file_of(module: Any) -> str | None:
    file = getattr(module, "__file__", None)  # for a placeholder it is not a string
    return file if isinstance(file, str) else None


def _module_names(paths: Any) -> list[str]:
    """Return the dotted names of the modules and packages among `paths` in the wheel."""
    return [name for path in paths if (name := module_name(path))]


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:  # a full disk; errors of the project itself are reported as problems
        if (said := refusal(error)) is None:
            raise
        with contextlib.suppress(OSError):  # its output is on a disk, too
            print(said, file=sys.stderr, flush=True)
        os._exit(CANT_WRITE)
