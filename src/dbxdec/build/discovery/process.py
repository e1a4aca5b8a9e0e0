"""The build's side of discovery: a copy of the wheel's files, a child process that imports it, and the result."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dbxdec.build.discovery import reproducible, unread
from dbxdec.build.discovery.modules import hidden, module_name, pipeline_modules, write_metadata
from dbxdec.build.discovery.spec import CANT_WRITE, WHERE_SIGNAL, Progress, ShippedFile, Spec, form_of
from dbxdec.errors import DiscoveryError, Problem, SourceLocation
from dbxdec.model.variables import NO_VALUE
from dbxdec.records import dataclass
from dbxdec.support import streams
from dbxdec.support.boundary import hint_of_full
from dbxdec.support.files import write
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dbxdec.model.manifest import Places

_ANSWER_SECONDS = 0.3
# Each module or job that ends its process, and each that does not end, costs another process.
_MOST_ENDED = 4
# Signals by which the system ends a process; the project's own code need not be the reason.
_LIMITS = {
    "SIGKILL": "the system does that where memory runs out; make memory free, or import less",
    "SIGXCPU": "raise the limit on the time of a process (`ulimit -t`)",
    "SIGXFSZ": "raise the limit on the size of a file (`ulimit -f`)",
}
_FAULTHANDLER = re.compile(
    r'(Fatal Python error|Current thread|Thread 0x|Timeout|Extension modules|  File ".*", line \d+)'
)


@dataclass(frozen=True)
class Discovered:
    """The jobs in the form of the manifest, modules replaced by placeholders, warnings, and output of the imports."""

    jobs: Mapping[str, Any]
    stand_ins: tuple[str, ...]
    warnings: tuple[Problem, ...]
    output: str
    places: Mapping[str, Mapping[str, Places]]
    contracts: Mapping[str, Any] = field(default_factory=dict)
    """The columns of contracts by their names (`model/contract_forms.py`), of those whose libraries are installed."""
    imported: tuple[str, ...] = ()
    """Files of modules that are neither the project's nor installed, on which the jobs may depend."""
    needs: Mapping[str, Problem] = field(default_factory=dict)
    """Libraries that tasks need for their frames, with what to say where nothing brings them."""
    seem_own: Mapping[str, Problem] = field(default_factory=dict)
    """Absent modules that may be meant for the project's, with what to say where no dependency has such a name."""


def discover(
    files: Sequence[ShippedFile],
    *,
    project: str,
    version: str,
    pipelines: Sequence[str] | None = None,
    stand_ins: bool = True,
    timeout: float = 60,
    environment: Mapping[str, str] | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Discovered:
    """Import the pipelines among `files` in a child process and build their jobs. `timeout` is in seconds.

    `meanwhile` is called as soon as the child has been started. Raises DiscoveryError with every mistake found, each at
    the author's file and line.
    """
    unread_problems = unread.problems(files, pipelines)
    try:
        modules = pipeline_modules([file.path for file in files], pipelines)
    except DiscoveryError as error:
        raise DiscoveryError([*unread_problems, *error.problems]) from None
    # Processes that the project's imports started may still write there: prefer leftovers to a failed build.
    with _orderly_end(), tempfile.TemporaryDirectory(prefix="dbxdec-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch).resolve()
        root = folder / "wheel"
        _copy(files, root)
        write_metadata(root, project, version)
        spec = Spec(
            root=str(root),
            modules=modules,
            sources={file.path: file.source for file in files},
            unshipped=sorted(_unshipped(files)),
            stand_ins=stand_ins,
            progress=str(folder / "progress"),
            result=str(folder / "result.json"),
        )
        (folder / "cwd").mkdir()
        variables = _environment(environment or {})
        found, output = _found(folder, spec, variables, timeout, meanwhile)
        ended: list[Problem] = []
        while isinstance(found, Problem):
            doing = Progress.noted(spec.progress)
            ended.append(replace(found, jobs=(doing.job,) if doing.job else ()))
            others = None if len(ended) > _MOST_ENDED else _without(spec, doing)
            if others is None:
                raise DiscoveryError([*unread_problems, *ended])
            spec = others
            found, _ = _found(folder, spec, variables, timeout)
        found["problems"] = [*map(form_of, ended), *found["problems"]]
        if found["may_differ"] and not found["problems"]:
            found["problems"] += _of_other_processes(folder, spec, found, variables, timeout)
        if found["makes_strings"] and not found["problems"]:
            _watch_strings(folder, spec, found, variables, timeout)
    places = {
        job: {task: (_location(called), _location(overridden)) for task, (called, overridden) in tasks.items()}
        for job, tasks in found["places"].items()
    }
    # An error at import may contain values that the module read from the environment.
    mask = Mask(of_this_machine())
    if found["problems"] or unread_problems:
        own = [
            Problem(message, _place(where), hint, None if jobs is None else tuple(jobs))
            for message, where, hint, jobs in mask.data(found["problems"])
        ]
        raise DiscoveryError([*unread_problems, *own], jobs=found["jobs"], places=places)
    warnings, needs, seem_own = (mask.data(found[name]) for name in ("warnings", "needs", "seem_own"))
    return Discovered(
        found["jobs"],
        tuple(found["stand_ins"]),
        tuple(map(_warning, warnings)),
        output,
        places,
        contracts=found["contracts"],
        imported=tuple(found["imported"]),
        needs={library: _warning(form) for library, form in needs.items()},
        seem_own={name: _warning(form) for name, form in seem_own.items()},
    )


def _warning(form: list[Any]) -> Problem:
    message, where, hint, _ = form
    return Problem(message, _place(where), hint)


def _found(
    folder: Path,
    spec: Spec,
    environment: Mapping[str, str],
    timeout: float,
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[dict[str, Any] | Problem, str]:
    """Return what a child process found, or why it left no result, and all its output."""
    write(folder / "spec.json", json.dumps(asdict(spec)))
    result = Path(spec.result)
    result.unlink(missing_ok=True)
    code, output = _run(folder, environment, timeout, meanwhile)
    if not result.exists():
        return _died(spec, code, output, timeout), output
    return json.loads(result.read_text(encoding="utf-8")), output


def _without(spec: Spec, done: Progress) -> Spec | None:
    """Return the discovery without the module or job that ended its process; None if nothing else is known."""
    if done.module and len(spec.modules) > 1:
        return replace(spec, modules=[module for module in spec.modules if module != done.module])
    if done.job and done.job not in spec.left_out:
        return replace(spec, left_out=[*spec.left_out, done.job])
    return None


def _of_other_processes(
    folder: Path, spec: Spec, first: Mapping[str, Any], environment: Mapping[str, str], timeout: float
) -> list[Any]:
    """Return the problems of jobs that differ from process to process, in the form of the child's."""
    for other in reproducible.OTHERS:
        found, _ = _found(folder, spec, {**environment, **other}, timeout)
        if isinstance(found, Problem):
            return [form_of(found)]
        if found["problems"]:
            return list(found["problems"])
        if problems := reproducible.problems(first, found):
            return list(map(form_of, problems))
    return []


def _watch_strings(
    folder: Path, spec: Spec, first: dict[str, Any], environment: Mapping[str, str], timeout: float
) -> None:
    """Add the problems of lines that need the text of a string with bundle variables to those of `first`."""
    found, _ = _found(folder, replace(spec, rewritten=True), environment, timeout)
    others = [form_of(found)] if isinstance(found, Problem) else found["problems"]
    problems = [one for one in others if NO_VALUE in one[0]]
    first["problems"] += problems
    if others and not problems:  # code that reads its own frames can tell that it is rewritten
        message, where, *_ = others[0]
        said = f"whether a job depends on the text of a string with bundle variables can't be told: {message}"
        first["warnings"].append(form_of(Problem(said, _place(where), "move the line into a task")))


def _place(form: list[Any] | str | None) -> SourceLocation | str | None:
    return form if isinstance(form, str) else _location(form)


def _location(form: list[Any] | None) -> SourceLocation | None:
    return None if form is None else SourceLocation(*form)


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """Make SIGTERM, which CI sends to end a build, end the child and remove the copy, as Ctrl-C does."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _unshipped(files: Sequence[ShippedFile]) -> set[str]:
    """Return modules of the tree that the wheel leaves out. Their import must fail: no placeholder replaces them."""
    folders: dict[str, Path] = {}
    for file in files:
        folder, name = Path(file.origin).parent, PurePosixPath(file.path).parent
        while name.name and folder.name == name.name and str(name) not in folders:
            folders[str(name)] = folder
            folder, name = folder.parent, name.parent
    shipped = {file.path for file in files}
    found = set()
    for parent, tree in folders.items():
        for entry in tree.iterdir():
            path = f"{parent}/{entry.name}"
            if entry.is_dir() and path not in folders and entry.name.isidentifier() and entry.name != "__pycache__":
                found.add(path.replace("/", "."))
            elif entry.suffix == ".py" and path not in shipped and entry.stem.isidentifier():
                found.add(path.removesuffix(".py").replace("/", "."))
    return found


def _copy(files: Sequence[ShippedFile], root: Path) -> None:
    """Copy the files that an installed wheel's modules can import; the child has them before Python's own modules."""
    left_out = hidden(file.path for file in files)
    for file in files:
        if file.path in left_out:
            continue
        target = root / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(file.origin, target)
        except OSError as error:
            if hint_of_full(str(error)):  # the original has nothing to do with it
                error.filename, error.filename2 = str(target), None
            raise


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `given`. PYTHONOPTIMIZE=2 would drop the docstrings, which are shipped.

    Sets have the same order in each build, so that one that a job depends on is found by each or by none.
    """
    own = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    return {reproducible.SEED: reproducible.FIRST_SEED, **own, **given}


def _run(
    folder: Path, environment: Mapping[str, str], timeout: float, meanwhile: Callable[[], object]
) -> tuple[int | None, str]:
    """Return the child's exit code, None if it ran out of time, and all its output."""
    log = folder / "output"
    if "PYTHONPATH" in environment:  # the child starts in another folder
        absolute = os.pathsep.join(map(os.path.abspath, environment["PYTHONPATH"].split(os.pathsep)))
        environment = {**environment, "PYTHONPATH": absolute}
    # It may leave byte code: the project's files are a copy, and some installers leave packages uncompiled, so that
    # compiling them would take longer than all else in every build.
    command = [sys.executable, "-P", "-m", "dbxdec.build.discovery.child", str(folder / "spec.json")]
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=folder / "cwd",
            env={**environment, **streams.CHILD},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        # `child.wait(timeout)` polls every 50 ms; a thread is woken at once.
        end = threading.Thread(target=child.wait, daemon=True)
        end.start()
        try:
            meanwhile()
            end.join(timeout)
            in_time = not end.is_alive()
            if not in_time and WHERE_SIGNAL is not None:  # make it print where it hangs
                child.send_signal(WHERE_SIGNAL)
                end.join(_ANSWER_SECONDS)
        finally:
            # Processes that the project's imports started must not outlive the build.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if sys.platform == "win32":
                    child.kill()
                else:
                    os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
    return (code if in_time else None), log.read_text(encoding="utf-8", errors="replace")


def _file_of(spec: Spec, module: str) -> str | None:
    return next((f"{own}:1" for path, own in spec.sources.items() if module and module_name(path) == module), None)


def _died(spec: Spec, code: int | None, output: str, timeout: float) -> Problem:
    """Return the reason why the child left no result, and where it was."""
    doing = Progress.noted(spec.progress)
    frames = re.findall(r'File "' + re.escape(spec.root + os.sep) + r'([^"]+)", line (\d+)', output)
    where = f"{spec.sources.get(frames[0][0], frames[0][0])}:{frames[0][1]}" if frames else None
    where = where or doing.where or _file_of(spec, doing.module)
    if code is None:
        hint = "look for an endless loop or a wait there; `timeout` under [tool.dbxdec] is the limit in seconds"
        return Problem(f"{doing} did not finish within {timeout:g} seconds", where, hint)
    printed = [
        line
        for line in Mask(of_this_machine()).text(output).splitlines()
        if line.strip() and not _FAULTHANDLER.match(line)
    ]
    if code == CANT_WRITE:
        why = printed[-1] if printed else f"{spec.result}: No space left, or none for a file of this size"
        return Problem(f"the interpreter that reads the pipelines can't write: {why}", hint=hint_of_full(why))
    ending = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    said = "".join(f"\n    {line}" for line in printed[-15:])
    hint = "move the code that ends the process into a task, or under `if __name__ == '__main__':`"
    if code < 0 and (of_limit := _LIMITS.get(signal.Signals(-code).name)):
        hint = of_limit
    return Problem(f"the interpreter ended {ending} while {doing}{said}", where, hint)
