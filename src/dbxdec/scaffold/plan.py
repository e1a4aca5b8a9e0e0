"""The plan of `dbxdec init` for a folder: files to make and to change, and what is left to the user."""

from __future__ import annotations

import os
import tomllib
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.build import bundlefile, config, unbuilt
from dbxdec.errors import ConfigError, DbxdecError, Problem
from dbxdec.records import dataclass
from dbxdec.scaffold import bundle, first, ignore, layout, pyproject, templates, tests
from dbxdec.support import documents, files
from dbxdec.support.forms import at, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.scaffold.layout import Package

LAKE_ROOT = "s3://example-bucket"
_LOADER = "resources:load_resources"


@dataclass(frozen=True)
class Asked:
    """The options of `dbxdec init`. `lake_root` is where deployed pipelines keep tables.

    `use_hatchling` is whether uv's build backend may be replaced; `uv` is whether uv has started this process.
    """

    version: str
    name: str | None = None
    pydabs: bool = False
    lake_root: str | None = None
    uv: bool = False
    use_hatchling: bool = False


@dataclass(frozen=True)
class Change:
    """A file to be written; `before` is its content, None for a file that doesn't exist."""

    path: Path
    before: str | None
    after: str


@dataclass(frozen=True)
class Plan:
    """All that is to be done in the project at `root`. `notes` are for a person to do by hand.

    `repository` is the top of the git repository that the project is in; `uv` is whether the project's environment is
    uv's. `hello` is the key of the first job, if there is one; `test` is the command that runs the first test, if there
    is one, and what to say of it. `pydabs` is whether the jobs come from Python, so that no build writes them.
    """

    root: Path
    repository: Path | None
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    hello: str | None
    uv: bool
    test: tuple[str, str] | None
    pydabs: bool


@dataclass()
class _Making:
    """A plan in the making."""

    root: Path
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def change(self, path: Path, before: str | None, after: str) -> None:
        if before != after:
            self.changes.append(Change(path, before, after))

    def add(self, path: str, text: str) -> None:
        """Add a new file; an existing file stays as it is."""
        target = Path(os.path.normpath(self.root / path))
        if not target.is_relative_to(self.root):
            self.problems.append(Problem(f"is outside of the project, where {target.name} would have to be", path))
            return
        if not os.path.lexists(target):
            self.change(target, None, text)


@dataclass(frozen=True)
class _Project:
    """The project as it is. `text` is the pyproject.toml to begin with, `original` the existing one, if any."""

    text: str
    original: str | None
    document: dict[str, Any]
    hatch_text: str | None
    hatch: dict[str, Any]
    name: str
    package: Package
    settings: config.Config

    @property
    def is_new(self) -> bool:
        """Return whether there is no pyproject.toml yet."""
        return self.original is None


def plan(folder: Path, asked: Asked) -> Plan:
    """Return the plan for the project in `folder`, or for a new one. Raises ConfigError with every problem."""
    root = folder.resolve()
    making = _Making(root)
    project = _project(making, asked)
    if project is None:
        raise ConfigError(making.problems)
    has_hello = (root / project.package.folder / layout.PIPELINES / "hello.py").is_file()
    has_pipelines = project.settings.pipelines is not None or layout.has_pipelines(root, project.package)
    needs_hello = not has_hello and not has_pipelines
    key = first.key_of(root, project.package)
    needs_lake = needs_hello or layout.mentions(root, project.package, "lake_root")
    pydabs = asked.pydabs or project.settings.resources is None
    uses_uv = _uses_uv(root, project, asked)
    is_tested = needs_hello or (root / tests.place(project.document)).is_file()
    found = {"needs_hello": needs_hello, "needs_lake": needs_lake, "uses_uv": uses_uv, "is_tested": is_tested}
    _settings(making, project, asked, **found)
    _bundle(making, project, asked, needs_lake=needs_lake, uses_uv=uses_uv)
    text = next((change.after for change in making.changes if change.path == root / pyproject.FILE), project.text)
    local = table(tomllib.loads(text), "tool", "dbxdec", "variables")
    lake = ["lake/"] if needs_lake and local.get("lake_root") == "lake" else []
    made = [] if pydabs else [str(project.settings.resources), unbuilt.marker_of(str(project.settings.resources))]
    _ignore(making, project, ["dist/", ".dbxdec/", *lake, *made])
    if needs_hello:
        _hello(making, project, asked, key)
    making.problems += _unwritable(making)
    if making.problems:
        raise ConfigError(making.problems)
    top = next((place for place in (root, *root.parents) if (place / ".git").exists()), None)
    runs = tests.command(project.hatch, uses_uv=uses_uv) if is_tested else None
    hello = key if has_hello or needs_hello else None
    return Plan(root, top, tuple(making.changes), tuple(making.notes), hello, uses_uv, runs, pydabs)


def _project(making: _Making, asked: Asked) -> _Project | None:
    """Return the project as it is; None, with problems, when dbxdec can't be set up in it."""
    root = making.root
    path = root / pyproject.FILE
    files = set(os.listdir(root)) if root.is_dir() else set()
    is_new = pyproject.FILE not in files
    if is_new:
        text = ""
        making.problems += _unfit(root, files)
    else:
        text = _read(making, path) or ""
    hatch_text = _read(making, root / pyproject.HATCH_FILE) if pyproject.HATCH_FILE in files else None
    document, hatch_file = _toml(making, path, text), _toml(making, root / pyproject.HATCH_FILE, hatch_text or "")
    if document is None or hatch_file is None:
        return None
    original = text
    if asked.use_hatchling:
        text, problems = pyproject.use_hatchling(text)
        making.problems += problems
        document = tomllib.loads(text)
    making.problems += pyproject.refusals(document, files, asked.version)
    name = _name(making, document, asked)
    if making.problems or name is None:
        return None
    hatch = pyproject.hatch_settings(document, hatch_file)
    settings = config.Config()
    try:
        settings = config.parse(table(document, "tool", "dbxdec"))
    except ConfigError as error:
        making.problems += error.problems
    if asked.pydabs and "resources" in table(document, "tool", "dbxdec") and settings.resources is not None:
        making.problems.append(
            Problem(
                "the jobs would be deployed twice: from this file and from Python",
                "tool.dbxdec.resources",
                "write `resources = false`, or leave out --pydabs",
            )
        )
    if problem := pyproject.hook_problem(hatch):
        making.problems.append(problem)
    package = layout.find(root, name, hatch)
    if isinstance(package, Problem):
        making.problems.append(package)
        return None
    if is_new:
        if package.packages:  # the template names it
            package = layout.Package(package.folder, package.name)
        text = templates.render("pyproject.toml", name=name, package=package, **_requirements(asked.version))
    document = tomllib.loads(text)
    hatch = pyproject.hatch_settings(document, hatch_file)
    return _Project(text, None if is_new else original, document, hatch_text, hatch, name, package, settings)


def _unfit(root: Path, files: set[str]) -> Iterator[Problem]:
    """Yield the reasons against a new project in a folder without pyproject.toml."""
    old = sorted(files & {"setup.py", "setup.cfg"})
    if old:
        yield Problem(
            f"{root} is a project already, by {' and '.join(old)}, and dbxdec is a build hook of hatchling",
            hint="`hatch new --init` makes a pyproject.toml of setup.py and setup.cfg; or keep the pipelines in a "
            "project of their own: `dbxdec init pipelines`",
        )
    if not files - {".git"}:
        return
    for above in root.parents:
        if (above / pyproject.FILE).is_file() and not (root / ".git").exists():
            yield Problem(
                f"{root} belongs to the project at {above}, and is not empty",
                hint=f"run `dbxdec init` in {above}, or in an empty folder for a project of its own",
            )
            return
        if (above / ".git").exists():
            return


def _name(making: _Making, document: Mapping[str, Any], asked: Asked) -> str | None:
    declared = at(document, "project", "name")
    if isinstance(declared, str):
        if asked.name is not None and asked.name != declared:
            making.problems.append(
                Problem(f"the project is named {declared!r}, not {asked.name!r}", "project.name", "leave out --name")
            )
        return declared
    name = layout.name_of_folder(making.root.name) if asked.name is None else asked.name
    if not name and asked.name is None:
        making.problems.append(
            Problem(
                f"no name of a project can be made of {making.root.name!r}, the name of the folder",
                hint="names have letters, digits, `.`, `_` and `-`: give one, `--name my-pipeline`",
            )
        )
        return None
    if problem := layout.check_name(name):
        making.problems.append(problem)
        return None
    return name


def _uses_uv(root: Path, project: _Project, asked: Asked) -> bool:
    """Return whether the environment is uv's: it has started us, has made the environment, or has settings here."""
    marks = root / ".venv" / "pyvenv.cfg"
    return (
        asked.uv
        or asked.use_hatchling
        or "uv" in project.document.get("tool", {})
        or _find_above(root, "uv.lock") is not None
        or (marks.is_file() and b"\nuv = " in b"\n" + marks.read_bytes())
    )


def _settings(
    making: _Making,
    project: _Project,
    asked: Asked,
    *,
    needs_hello: bool,
    needs_lake: bool,
    uses_uv: bool,
    is_tested: bool,
) -> None:
    wanted = pyproject.Wanted(
        name=project.name,
        package=project.package,
        version=asked.version,
        engine="polars" if needs_hello else None,
        lake=needs_lake,
        pydabs=asked.pydabs,
        hatch_file=project.hatch_text is not None and "build" in tomllib.loads(project.hatch_text),
        watched=layout.watched(making.root, project.package, project.hatch) if uses_uv else (),
        group=uses_uv,
        required_elsewhere=_is_required_elsewhere(making.root, project.hatch),
        tests=tests.Settings.of(making.root, project.document) if is_tested else None,
    )
    edited = pyproject.edit(project.text, project.hatch, wanted)
    making.change(making.root / pyproject.FILE, project.original, edited.text)
    making.notes += edited.notes
    if wanted.hatch_file and project.hatch_text is not None:
        edited = pyproject.edit_hatch_file(project.hatch_text, project.hatch, wanted)
        making.change(making.root / pyproject.HATCH_FILE, project.hatch_text, edited.text)
        making.notes += edited.notes


def _is_required_elsewhere(root: Path, hatch: Mapping[str, Any]) -> bool:
    """Return whether a file of requirements that hatch-requirements-txt reads has dbxdec."""
    files = at(hatch, "metadata", "hooks", "requirements_txt", "files")
    paths = [root / name for name in (files if isinstance(files, list) else []) if isinstance(name, str)]
    return any(b"dbxdec" in path.read_bytes() for path in paths if path.is_file())


def _bundle(making: _Making, project: _Project, asked: Asked, *, needs_lake: bool, uses_uv: bool) -> None:
    lake_root = (asked.lake_root or f"{LAKE_ROOT}/{project.name}").rstrip("/") if needs_lake else None
    resources = None if asked.pydabs else project.settings.resources
    path = bundlefile.find(making.root)
    top = path.parent if path else making.root
    folder = making.root.relative_to(top).as_posix()
    if asked.pydabs:
        _loader(making, top, folder)
        if (making.root / str(config.Config().resources)).exists():
            making.notes.append(
                f"{config.Config().resources}: remove it, since a bundle that includes it has each job twice"
            )
    artifact = bundlefile.artifact_name(project.name)
    output = (Path(folder) / bundlefile.directory_of(project.hatch)).as_posix()
    wheels = bundlefile.wheel_pattern(project.name, output)
    text = None if path is None else _read(making, path) or ""
    if path is None or text is None or bundle.is_blank(text):
        rendered = templates.render(
            "databricks.yml",
            artifact=artifact,
            wheels=wheels,
            preinit=bundle.script(folder, uv=uses_uv),
            needs="uv on PATH" if uses_uv else "dbxdec[build,cli] on PATH",
            name=project.name,
            resources=resources and bundle.include_pattern(resources, top),
            loader=_LOADER if asked.pydabs else None,
            lake_root=lake_root,
            description=bundle.DESCRIPTION,
        )
        making.change(path or top / bundlefile.NAMES[0], text, bundle.below(text or "", rendered))
        return
    try:
        found = bundlefile.load(path, text)
    except DbxdecError as error:
        making.problems += error.problems
        return
    directory = bundlefile.directory_of(project.hatch)
    making.problems += bundlefile.builds_of(found, making.root, project.name, directory)
    wanted = bundle.Wanted(
        folder=folder,
        resources=resources and (Path(folder) / resources).as_posix(),
        loader=_LOADER if asked.pydabs else None,
        lake_root=lake_root,
        wheels=(artifact, wheels),
        uv=uses_uv,
    )
    edited = bundle.edit(found, text, wanted)
    making.change(path, text, edited.text)
    making.notes += edited.notes
    if asked.lake_root is not None and lake_root is None:
        making.notes.append("--lake-root changes nothing: no pipeline uses the bundle variable `lake_root`")
    elif asked.lake_root is not None and not any(str(lake_root) in told for told in (edited.text, *edited.notes)):
        making.notes.append(
            f"{os.path.relpath(path, making.root)}: --lake-root changes no value that is there: write {lake_root} as "
            f"`lake_root`, or {lake_root}/<target> in each target"
        )


def _loader(making: _Making, top: Path, folder: str) -> None:
    path = top / "resources" / "__init__.py"
    text = templates.render("resources_init.py", folder=folder)
    if not os.path.lexists(path):
        making.change(path, None, text)
    elif "dbxdec" not in (_read(making, path) or ""):
        argument = "" if folder == "." else f', "{folder}"'
        making.notes.append(
            f"{os.path.relpath(path, making.root)}, in `load_resources(bundle)`, where it returns `resources`:\n"
            "    import dbxdec.bundle\n"
            f"    resources.add_resources(dbxdec.bundle.load_resources(bundle{argument}))"
        )


def _ignore(making: _Making, project: _Project, paths: list[str]) -> None:
    """Edit the file that counts for hatchling, the nearest: a new file would hide the rules of one above."""
    path = _find_above(making.root, ".gitignore") or making.root / ".gitignore"
    prefix = making.root.relative_to(path.parent).as_posix()
    paths = [each if prefix == "." else f"{prefix}/{each}" for each in paths]
    before = _read(making, path) if path.exists() else None
    first = "__pycache__/\n" if project.is_new else ""
    making.change(
        path, before, ignore.add(first if before is None else before, paths, "# Made by builds and runs of dbxdec.")
    )


def _hello(making: _Making, project: _Project, asked: Asked, key: str) -> None:
    package = project.package
    folder = f"{package.folder}/{layout.PIPELINES}"
    if project.is_new:
        names = {
            "name": project.name,
            "package": package,
            "resources": None if asked.pydabs else project.settings.resources,
            "job": key,
        }
        making.add("README.md", templates.render("README.md", **names, **_requirements(asked.version)))
    making.add(f"{package.folder}/__init__.py", "")
    making.add(f"{folder}/__init__.py", "")
    making.add(f"{folder}/hello.py", templates.render("hello.py", job=key))
    making.add(tests.place(project.document), templates.render("test_hello.py", package=package, job=key))


def _requirements(version: str) -> dict[str, str]:
    extras = {"build": "build", "engine": "polars", "tools": "build,cli"}
    return {name: pyproject.requirement(extra, version) for name, extra in extras.items()}


def _unwritable(making: _Making) -> Iterator[Problem]:
    """Yield what would fail in the middle of writing."""
    for change in making.changes:
        target = files.real(change.path)
        if circle := next((path for path in (target, *target.parents) if path.is_symlink()), None):
            yield Problem("is a link in a circle of links", str(circle), f"remove it, for {change.path.name}")
            continue
        if change.before is not None and not os.access(target, os.W_OK):
            yield Problem("can't be written", str(change.path), "make the file writable")
            continue
        folder = next(folder for folder in target.parents if folder.exists())
        if not folder.is_dir():
            yield Problem("is a file, where a folder is needed", str(folder), f"move it away, for {change.path.name}")
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield Problem("is a folder that can't be written to", str(folder))


def _find_above(root: Path, name: str) -> Path | None:
    """Return the nearest file of that name: in the folder itself, or above it within the same git repository."""
    for place in (root, *root.parents):
        if (place / name).is_file():
            is_ours = place == root or any((folder / ".git").exists() for folder in (place, *place.parents))
            return place / name if is_ours else None
        if (place / ".git").exists():
            return None
    return None


def _read(making: _Making, path: Path) -> str | None:
    try:
        return documents.text_of(path, documents.MAX_YAML)
    except ConfigError as error:
        making.problems += error.problems
    return None


def _toml(making: _Making, path: Path, text: str) -> dict[str, Any] | None:
    try:
        if len(text) > documents.MAX_TOML:
            raise ConfigError(f"{path} has more than {documents.MAX_TOML:,} characters, which no settings have")
        return documents.toml(text, str(path))
    except ConfigError as error:
        making.problems += error.problems
        return None
