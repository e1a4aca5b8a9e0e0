"""The discovery process: imports the project's pipelines, builds every job, writes what it found to a file.

Started as `python -P -m dbxdec.discovery.child SPEC`; nothing that a project does at import reaches the build but
through the result file.
"""

from __future__ import annotations

import faulthandler
import functools
import gc
import importlib
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec import checks, dag
from dbxdec.authoring import jobs
from dbxdec.authoring.recording import is_own
from dbxdec.discovery.modules import module_name
from dbxdec.discovery.spec import WHERE_SIGNAL, Spec
from dbxdec.discovery.standins import StandIn, StandInFinder
from dbxdec.errors import DbxdecError, Problem, SourceLocation, did_you_mean, listed
from dbxdec.manifest import encode_jobs

if TYPE_CHECKING:
    from types import FrameType


def main(argv: list[str]) -> None:
    """Discover as the JSON file `argv[0]` says."""
    spec = Spec(**json.loads(Path(argv[0]).read_text(encoding="utf-8")))
    faulthandler.enable()
    gc.set_threshold(100_000)  # what modules are made of stays: looking for garbage in it takes long
    if sys.platform != "win32" and WHERE_SIGNAL is not None:
        faulthandler.register(WHERE_SIGNAL, all_threads=False)
    sys.path.insert(0, spec.root)
    importlib.invalidate_caches()
    finder = StandInFinder(Path(spec.root), frozenset(_module_names(spec.sources)), frozenset(spec.unshipped))
    if spec.stand_ins:
        sys.meta_path.append(finder)
    discovery = _Discovery(spec, finder)
    discovery.run()
    found = {
        "jobs": encode_jobs(discovery.dags),
        "problems": list(map(_form, discovery.problems)),
        "warnings": list(map(_form, discovery.warnings)),
        "stand_ins": finder.listed(),
        "imported": _from_elsewhere(spec.root),
    }
    partial = Path(f"{spec.result}.partial")
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.replace(spec.result)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that the project left running must not hold the build up.
    os._exit(0)


class _Discovery:
    def __init__(self, spec: Spec, finder: StandInFinder) -> None:
        self._spec = spec
        self._finder = finder
        self._ours = re.compile(re.escape(spec.root + os.sep) + r"([^\s:\"']+?\.py\b|[^\s:\"']+)")
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.dags: list[dag.Job] = []

    def run(self) -> None:
        """Import every module, then build every job: one broken module hides no other's mistakes."""
        defined_by: dict[int, str] = {}
        path = list(sys.path)
        for module in self._spec.modules:
            Path(self._spec.progress).write_text(f"importing `{module}`", encoding="utf-8")
            self._import(module)
            sys.path += [entry for entry in path if entry not in sys.path]  # what is loaded later is found there
            for job in jobs.registered():
                own = job.defined_in
                defined_by.setdefault(id(job), own if own in self._spec.modules else module)
        gc.disable()  # all that follows stays until the process ends
        for job in jobs.registered():
            Path(self._spec.progress).write_text(f"running the body of the job `{job.key}`", encoding="utf-8")
            built = job.build(defined_by[id(job)])
            self._add(built.problems)
            self.dags.append(self._located(built.dag))
        Path(self._spec.progress).write_text("", encoding="utf-8")
        self._add(checks.check(self.dags))
        self.warnings = checks.warn(self.dags)
        if not self.dags and not self.problems:
            hint = "put `@job` on a function there, or name other modules: `pipelines = [...]` under [tool.dbxdec]"
            modules = listed(self._spec.modules) or "no module"
            self.warnings = [Problem(f"no job is defined in {modules}: the wheel deploys nothing", None, hint)]

    def _import(self, module: str) -> None:
        try:
            importlib.import_module(module)
        except DbxdecError as error:
            where = self._innermost(error)
            self._add(Problem(p.message, p.where or where, p.hint) for p in error.problems)
        except SyntaxError as error:
            where = SourceLocation(error.filename or module, error.lineno or 1)
            self._add([Problem(f"{type(error).__name__}: {error.msg}", where)])
        except SystemExit as error:
            given = "" if error.code is None else repr(error.code)
            message = f"importing `{module}` ended the interpreter: sys.exit({given})"
            hint = "a module must be importable: keep such calls under `if __name__ == '__main__':` or in functions"
            self._add([Problem(message, self._innermost(error), hint)])
        except ModuleNotFoundError as error:
            self._add(
                [Problem(f"importing `{module}` failed: {error}", self._innermost(error), self._not_found(error))]
            )
        except BaseException as error:  # noqa: BLE001 - any of the project's code may run at import
            import traceback

            text = "".join(traceback.format_exception_only(error)).strip()
            message = f"importing `{self._broken(error) or module}` failed: {text}"
            circle = "two modules import each other: move what both need into a third one"
            instead = circle if "partially initialized module" in text else _of_environment(error)
            self._add([Problem(message, self._innermost(error), instead)])

    def _not_found(self, error: ModuleNotFoundError) -> str:
        missing = error.name or ""
        root = missing.partition(".")[0]
        if any(name.partition(".")[0] == root for name in _module_names(self._spec.sources)):
            beside = [n for n in _module_names(self._spec.sources) if n.count(".") == missing.count(".")]
            return did_you_mean(missing, beside) or (
                f"`{missing}` is not among the files of the wheel: check .gitignore and the build's include and exclude"
            )
        return (
            f"install `{root}` where the wheel is built (`requires` of [build-system], or "
            "require-runtime-dependencies of the hook)"
        )

    def _innermost(self, error: BaseException) -> SourceLocation | None:
        """The last line of the project's own code that the error passed."""
        own = self._own_frames(error)
        return SourceLocation(own[-1][0].f_code.co_filename, own[-1][1]) if own else None

    def _broken(self, error: BaseException) -> str | None:
        """The module whose import failed: where several import a broken one, it is one mistake."""
        bodies = [frame for frame, _ in self._own_frames(error) if frame.f_code.co_name == "<module>"]
        return str(bodies[-1].f_globals.get("__name__")) if bodies else None

    def _own_frames(self, error: BaseException) -> list[tuple[FrameType, int]]:
        import traceback

        return [
            (frame, line)
            for frame, line in traceback.walk_tb(error.__traceback__)
            if frame.f_code.co_filename.startswith(self._spec.root) and not is_own(frame.f_globals)
        ]

    def _add(self, problems: Any) -> None:
        """Note problems with the places of the author's tree; the same one twice (a broken shared module) is one."""
        for problem in problems:
            mapped = Problem(
                self._map(problem.message),
                self._map(str(problem.where)) if problem.where else None,
                self._of_stand_ins(problem.message) or problem.hint,
            )
            if mapped not in self.problems:
                self.problems.append(mapped)

    def _of_stand_ins(self, message: str) -> str | None:
        """What to do about an error of Python itself, which names the class of stand-ins and no module."""
        absent = self._finder.listed()
        if not absent or StandIn.__name__ not in message:
            return None
        return (
            f"a `{StandIn.__name__}` takes the place of a name of {listed(absent)}, not installed where the wheel is "
            "built: do it inside a task, or set `require-runtime-dependencies = true` in "
            "[tool.hatch.build.hooks.dbxdec]"
        )

    def _map(self, text: str) -> str:
        return self._ours.sub(lambda match: self._source(match[1]), text)

    def _source(self, path: str) -> str:
        path = path.replace(os.sep, "/")
        return self._spec.sources.get(path, path)

    def _located(self, job: dag.Job) -> dag.Job:
        tasks = tuple(
            replace(t, source=self._location(t.source), called_at=t.called_at and self._location(t.called_at))
            for t in job.tasks
        )
        return replace(job, source=self._location(job.source), tasks=tasks)

    def _location(self, where: SourceLocation) -> SourceLocation:
        return SourceLocation(self._map(where.path), where.line)


def _from_elsewhere(root: str) -> list[str]:
    """The files of modules that are neither the project's nor installed: of editable installs, or on PYTHONPATH."""
    real_folder = functools.cache(os.path.realpath)

    def real(file: str) -> str:
        path = os.path.join(real_folder(os.path.dirname(file)), os.path.basename(file))
        return os.path.realpath(path) if os.path.islink(path) else path

    own = (os.path.dirname(real(str(module.__file__))) for module in (os, checks))
    known = tuple(folder + os.sep for folder in (root, *own))
    files = {real(file) for module in list(sys.modules.values()) if (file := _file_of(module))}
    return sorted(
        file
        for file in files
        if not file.startswith(known) and not re.search("(site|dist)-packages", file) and os.path.isfile(file)
    )


def _file_of(module: Any) -> str | None:
    file = getattr(module, "__file__", None)  # of a stand-in it is no text
    return file if isinstance(file, str) else None


def _of_environment(error: BaseException) -> str | None:
    """What to do about a variable of the environment that the build lacks."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not isinstance(error, KeyError) or trace.tb_frame.f_globals is not vars(os):
        return None
    name = error.args[0]
    return (
        f"the environment of the build has no `{name}`: read it inside a task, or give the build a value, "
        f'`discovery-env = {{{name} = "..."}}` under [tool.dbxdec]'
    )


def _form(problem: Problem) -> list[str | None]:
    return [problem.message, str(problem.where) if problem.where else None, problem.hint]


def _module_names(paths: Any) -> list[str]:
    """The dotted names of the modules and packages among `paths` in the wheel."""
    return [name for path in paths if (name := module_name(path))]


if __name__ == "__main__":
    main(sys.argv[1:])
