"""What is fuzzed: each target makes an input of a seed, and gives it to whoever reads such files.

A finding is an exception that is no sentence, a traceback of dbxdec, another exit code than 0, 1 and 2, a call without
an end, or a change outside of the project's folder.
"""

from __future__ import annotations

import json
import random
import shutil
import tomllib
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import mutations
import yaml
from hatchling.builders.wheel import WheelBuilder

import dbxdec
from dbxdec.build import bundlechecks, bundlefile, codegen, config, freshness, locking, promises, resources_file, wheels
from dbxdec.errors import DbxdecError
from dbxdec.local import variables
from dbxdec.model import dag, manifest, protocol
from dbxdec.views import contracts, diff, graph, jobs, texts
from forked import Forked, Outcome, snapshot
from lock_documents import edge, entry, package, pylock, uv_lock
from lock_documents import shop as lock_shop
from projects import Project, shop

BUNDLE = """
bundle: {name: shop}
include: ["resources/*.yml", "parts/*.yml"]
variables: {lake: {description: where, default: lake}, n: {default: 3}}
artifacts: {own: {type: whl, path: ., build: hatch build, files: [{source: dist/*.whl}]}}
experimental: {scripts: {preinit: dbxdec bundle}, skip_artifact_cleanup: true}
python: {resources: ["resources:load_resources"]}
targets:
  dev: {mode: development, default: true, variables: {lake: lake/dev}, presets: {artifacts_dynamic_version: true}}
  prod: {mode: production, workspace: {host: "https://x"}, artifacts: {other: {type: whl, path: ../x}}}
"""
PIPELINE = """
from dbxdec import bundle_variable, condition, each, job, native_task, run_date, task


@job
def other(n: int = 1) -> None:
    @task
    def inner(n: int) -> int:
        return n

    inner(n)


@job(tags={"team": "ops"}, schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"})
def wide(day: "dt.date" = run_date(offset_days=-1), words: list = ["a"], n: int = 3) -> None:
    @task(max_retries=1)
    def count(day: "dt.date", words: list, more: dict) -> int:
        return len(words)

    @task
    def one(item: str, root: str) -> str:
        return item

    @task
    def late(count: int) -> None: ...

    found = count(day, words, {"b": [1, ("x", None)], "a": n})
    one(each(["x", "y"], concurrency=2), bundle_variable("lake") / "x")
    condition(found, ">", 1).then(late(found))
    native_task("show", notebook_task={"notebook_path": "/Workspace/show"})
    other(n=found)


import datetime as dt  # noqa: E402
"""
FAILING = """
from dbxdec import job, task


@job
def failing(fail: bool = True) -> None:
    @task
    def first() -> int:
        return 1

    @task
    def second(first: int, fail: bool) -> None:
        if fail:
            raise ValueError("as it should")

    second(first(), fail)
"""


def pipelines(root: Path) -> Project:
    """A project with all that a manifest can hold."""
    project = shop(root)
    project.write("src/shop/pipelines/wide.py", PIPELINE)
    project.write("src/shop/pipelines/failing.py", FAILING)
    project.write("src/shop/query.sql", "select 1")
    return project


class Target(ABC):
    """One kind of input. `folder` has the project, and beside it what must stay as it is."""

    name: ClassVar[str]
    cheap: ClassVar[int] = 1
    """How many inputs take about a second."""

    def __init__(self, forked: Forked, folder: Path) -> None:
        self.forked, self.folder = forked, folder
        self.root = folder / "home" / "project"
        for victim in ("victim", "home/victim", "home/project.d"):
            (folder / victim / "old").mkdir(parents=True)
            (folder / victim / "old" / "file").write_text("stays")
        self.prepare(pipelines(self.root))

    def prepare(self, project: Project) -> None:
        """What is made once."""

    @abstractmethod
    def attempt(self, chance: random.Random, *, whole: bool) -> str | None:
        """Make an input and have it read; what is wrong, if anything. With `whole` by the commands too."""

    def run(self, seed: int, *, whole: bool) -> str | None:
        """`attempt`, and a look at what is around the project."""
        before = snapshot(self.folder, self.root)
        found = self.attempt(random.Random(f"{self.name} {seed}"), whole=whole)  # noqa: S311 - the same for a seed
        changed = {path for path, _ in snapshot(self.folder, self.root).items() ^ before.items()}
        return found or (f"it has changed {sorted(changed)}" if changed else None)

    def command(self, *arguments: str) -> str | None:
        """A command in the project; what is wrong with it."""
        return said(arguments, self.forked.dbxdec(self.root, *arguments))


def said(arguments: tuple[str, ...], outcome: Outcome) -> str | None:
    finding = outcome.finding()
    return f"{' '.join(arguments)}: {finding}\n{outcome}" if finding else None


def quietly(*calls: Callable[[], object]) -> str | None:
    """Call functions that may refuse; the traceback of what is no refusal."""
    for call in calls:
        try:
            call()
        except DbxdecError:
            continue
        except Exception:  # noqa: BLE001 - that is what is looked for
            return traceback.format_exc()
    return None


def built(project: Project) -> dict[str, bytes]:
    """The members of the project's wheel."""
    import zipfile

    (wheel,) = WheelBuilder(str(project.root)).build(directory=str(project.root / "dist"), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class Wheels(Target):
    """Wheels whose bytes, members or directory have changed."""

    name = "wheels"
    cheap = 60

    def prepare(self, project: Project) -> None:
        self.members = built(project)
        self.wheel = project.wheel
        self.content = self.wheel.read_bytes()
        self.original = project.root / "original.whl"
        self.original.write_bytes(self.content)

    def attempt(self, chance: random.Random, *, whole: bool) -> str | None:
        octets = chance.random() < 0.5
        self.wheel.write_bytes(
            mutations.octets(chance, self.content) if octets else mutations.archive(chance, self.members)
        )
        return self.read(chance, whole=whole)

    def read(self, chance: random.Random, *, whole: bool) -> str | None:
        wheel = str(self.wheel)
        found = quietly(lambda: wheels.read_wheel(self.wheel), lambda: wheels.read_manifest(self.wheel))
        commands = (
            *(("show", "--wheel", wheel), ("show", "wide", "--wheel", wheel), ("show", "--json", "--wheel", wheel)),
            *(
                ("graph", "wide", "--wheel", wheel),
                ("diff", str(self.original), wheel),
                ("run", "nosuch", "--wheel", wheel),
            ),
            *(("bundle", "--wheel", wheel), ("graph", "--wheel", wheel, "-f", "html")),
        )
        for command in chance.sample(commands, 3) if whole else ():
            found = found or self.command(*command)
        return found


class Manifests(Wheels):
    """Wheels that are as they were built, by their digest, and whose manifest no build has made."""

    name = "manifests"
    cheap = 40

    def prepare(self, project: Project) -> None:
        super().prepare(project)
        self.path = next(name for name in self.members if name.endswith(manifest.PATH))
        self.document = json.loads(self.members[self.path])
        self.payload = wheels.read_wheel(self.wheel).payload

    def attempt(self, chance: random.Random, *, whole: bool) -> str | None:
        document = self.changed(chance)
        content = mutations.text_of(document).encode("utf-8", "replace")
        if chance.random() < 0.1:
            content = mutations.octets(chance, content)
        found = quietly(
            lambda: follow(manifest.decode(content, "x.whl"), manifest.decode(self.members[self.path], "y"))
        )
        if found or not whole:
            return found
        import zipfile

        with zipfile.ZipFile(self.wheel, "w") as archive:
            for name, data in self.members.items():
                archive.writestr(name, content if name == self.path else data)
        return self.read(chance, whole=True)

    def read_original(self) -> manifest.Manifest:
        return manifest.decode(self.members[self.path], "original.whl")

    def changed(self, chance: random.Random) -> Any:
        """The document with something changed, most often in a job; its digest fits."""
        document = dict(self.document)
        if chance.random() < 0.2:
            document = mutations.structure(chance, document)
        else:
            key = chance.choice(sorted(document["jobs"]))
            document["jobs"] = {**document["jobs"], key: mutations.structure(chance, document["jobs"][key])}
        if isinstance(document, dict) and chance.random() < 0.9:
            try:
                found = manifest.digest(
                    document["project"]["name"], document["jobs"], self.payload, schema=document["schema"]
                )
                document["build_id"] = found
            except Exception:  # noqa: BLE001 - then it does not fit
                return document
        return document


def follow(found: manifest.Manifest, other: manifest.Manifest) -> None:
    """Do with a manifest what commands do."""
    whole = found.jobs
    diff.difference(other, found, {}, {})
    list(contracts.changes(other, found, {}, {}))
    jobs.html(whole, "x")
    for job in whole:
        graph.mermaid(job)
        graph.dot(job)
        for task in dag.run_order(job):
            texts.facts(task, job)
            texts.kind(task)
            protocol.task_parameters(found.project, found.build_id, job.key, task)
    made = codegen.build_jobs(found, wheel="dist/x.whl")
    codegen.render(made, package=found.project, build_id=found.build_id, path=Path("r.yml"), wheel="dist/x.whl")


class Ledgers(Target):
    """Records of runs, whatever their files are: damaged, torn, huge, or something else in their place."""

    name = "ledgers"
    cheap = 2

    def prepare(self, project: Project) -> None:
        for arguments in (("failing", "--param", "fail=false"), ("failing",), ("failing", "--until", "first")):
            assert self.forked.dbxdec(self.root, "run", *arguments).code in (0, 1)
        self.kept = self.folder / "kept"
        shutil.copytree(self.root / ".dbxdec" / "runs", self.kept)

    def attempt(self, chance: random.Random, *, whole: bool) -> str | None:
        runs = self.root / ".dbxdec" / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        shutil.copytree(self.kept, runs)
        files = sorted(path for path in runs.rglob("*") if path.is_file())
        for _ in range(chance.choice([1, 1, 2, 4])):
            damage(chance, chance.choice(files), runs)
        found = None
        ids = sorted(path.name for path in self.kept.iterdir())
        commands = [("runs",), ("runs", "--json"), ("runs", "show"), ("runs", "show", "--json"), ("runs", "report")]
        commands += [("runs", "show", name) for name in ids] + [("runs", "report", ids[0])]
        for command in chance.sample(commands, 3):
            found = found or self.command(*command)
        if whole:
            found = found or self.command("run", "failing", "--resume", "--param", "fail=true")
        return found


def damage(chance: random.Random, path: Path, top: Path) -> None:
    """Change one file of a ledger, or put something else in its place."""
    if path.is_symlink() or not path.is_file():
        return
    content = path.read_bytes()
    match chance.randrange(8):
        case 0:
            path.unlink()
        case 1:
            path.unlink()
            path.mkdir()
        case 2:
            path.unlink()
            path.symlink_to(chance.choice([path.name, "/nonexistent", str(top)]))
        case 3 if path.suffix in (".json", ".jsonl"):
            lines = content.decode("utf-8", "replace").splitlines()
            for i, line in enumerate(lines):
                if chance.random() < 0.5:
                    with_json = structured(chance, line)
                    lines[i] = with_json if chance.random() < 0.9 else with_json[: len(with_json) // 2]
            path.write_bytes("\n".join(lines).encode("utf-8", "replace"))
        case 4:
            path.write_bytes(content[: chance.randrange(len(content) + 1)])
        case 5:
            path.write_bytes(content * chance.choice([2, 50]))
        case _:
            path.write_bytes(mutations.octets(chance, content))


def structured(chance: random.Random, line: str) -> str:
    try:
        return mutations.text_of(mutations.structure(chance, json.loads(line)))
    except ValueError:
        return line


class Bundles(Target):
    """databricks.yml, and what it includes."""

    name = "bundles"
    cheap = 30

    def prepare(self, project: Project) -> None:
        self.document = yaml.safe_load(BUNDLE)
        project.write("parts/more.yml", "variables: {more: {default: 1}}\n")
        built(project)
        self.wheel = project.wheel
        self.manifest = wheels.read_wheel(self.wheel).manifest

    def attempt(self, chance: random.Random, *, whole: bool) -> str | None:
        path = self.root / chance.choice(["databricks.yml", "databricks.yml", "parts/more.yml"])
        (self.root / "databricks.yml").write_text(BUNDLE)
        path.write_bytes(yaml_of(chance, self.document))
        found = quietly(
            lambda: bundlefile.mistakes(self.root),
            lambda: variables.local_values({"lake", "more"}, {}, self.root),
            lambda: bundlechecks.of_project(self.root, self.manifest, "resources/dbxdec.yml"),
            lambda: bundlechecks.of_project(self.root, self.manifest, None),
            lambda: promises.of_python(
                bundlefile.load(self.root / "databricks.yml"), "shop-pipelines", self.wheel, "dev"
            ),
        )
        commands = (("check",), ("init", "--dry-run"), ("run", "other"))
        for command in [chance.choice(commands)] if whole else ():
            found = found or self.command(*command)
        return found


def yaml_of(chance: random.Random, document: Any) -> bytes:
    """YAML of a changed document, or changed YAML."""
    changed = mutations.structure(chance, document)
    try:
        text = yaml.safe_dump(changed, allow_unicode=True, default_flow_style=chance.random() < 0.3)
    except (yaml.YAMLError, RecursionError, ValueError):
        text = mutations.text_of(changed)
    content = text.encode("utf-8", chance.choice(["replace", "surrogatepass"]))
    return mutations.octets(chance, content) if chance.random() < 0.4 else content


class Settings(Target):
    """pyproject.toml."""

    name = "settings"
    cheap = 20

    def prepare(self, project: Project) -> None:
        self.text = (project.root / "pyproject.toml").read_text()
        self.document = tomllib.loads(self.text)

    def attempt(self, chance: random.Random, *, whole: bool) -> str | None:
        path = self.root / "pyproject.toml"
        if chance.random() < 0.4:
            path.write_bytes(mutations.octets(chance, self.text.encode()))
        else:
            path.write_bytes(toml_of(mutations.structure(chance, self.document)).encode("utf-8", "replace"))
        found = quietly(
            lambda: config.load(path), lambda: config.turns_hook_on(path), lambda: bundlefile.mistakes(self.root)
        )
        commands = (("check",), ("init", "--dry-run"), ("runs",), ("run", "other"), ("bundle",))
        for command in chance.sample(commands, 2) if whole else ():
            found = found or self.command(*command)
        return found


@dbxdec.task
def something() -> None: ...


@dbxdec.job
def serverless() -> None:
    something()


class Locks(Target):
    """Locks as TOML, of both kinds: changed before and after they were written."""

    name = "locks"
    cheap = 40

    def prepare(self, project: Project) -> None:
        project.edit(
            "pyproject.toml", "[tool.dbxdec.variables]", '[tool.dbxdec]\nlock = "uv.lock"\n[tool.dbxdec.variables]'
        )
        self.job = serverless.build().dag
        more: dict[str, Any] = {"optional-dependencies": {"polars": [edge("polars", marker="os_name == 'posix'")]}}
        metadata = {"requires-dist": [{"name": "dbxdec", "extras": ["polars"], "specifier": ">=0.1"}]}
        self.uv = uv_lock(
            lock_shop(edge("dbxdec", extra=["polars"]), name="shop-pipelines", metadata=metadata),
            package("dbxdec", dbxdec.__version__, **more),
            package("polars", "1.0", **{"resolution-markers": ["python_full_version < '3.12'"]}),
            package("polars", "2.0", {"path": "libs/polars-2.0-py3-none-any.whl"}, dependencies=[edge("acme")]),
            package("acme", source={"git": f"https://h.invalid/acme?rev=main#{'0' * 40}"}),
        )
        self.py = pylock(
            entry("dbxdec", dbxdec.__version__, index="https://h.invalid/simple"),
            entry("polars", marker="python_version >= '3.12' and 'x' not in extras"),
            {"name": "acme", "vcs": {"type": "git", "url": "https://h.invalid/acme", "commit-id": "0" * 40}},
            **{"default-groups": ["default"], "environments": ["sys_platform == 'linux'"]},
        )

    def attempt(self, chance: random.Random, *, whole: bool) -> str | None:
        name, document = chance.choice([("uv.lock", self.uv), ("pylock.toml", self.py)])
        text = toml_of(document).encode()
        if chance.random() < 0.3:
            content = mutations.octets(chance, text)
        else:
            content = toml_of(mutations.structure(chance, document)).encode("utf-8", "replace")
        (self.root / name).write_bytes(content)
        settings = config.Config(lock=name)
        found = quietly(
            lambda: locking.of_project(self.root, settings, "shop-pipelines", ["dbxdec[polars]>=0.1"], [self.job]),
            lambda: locking.inputs(self.root, settings),
        )
        if whole and name == "uv.lock":
            found = found or self.command(*chance.choice([("check",), ("run", "other"), ("diff", ".", ".")]))
        return found


def toml_of(value: Any) -> str:
    """TOML of JSON-like data, all of it inline; what TOML does not have is left to be wrong."""
    if isinstance(value, dict):
        return "\n".join(f"{json.dumps(str(key))} = {inline(item)}" for key, item in value.items()) + "\n"
    return inline(value)


def inline(value: Any, depth: int = 0) -> str:
    match value:
        case dict() if depth < 60:
            return (
                "{"
                + ", ".join(f"{json.dumps(str(key))} = {inline(item, depth + 1)}" for key, item in value.items())
                + "}"
            )
        case list() if depth < 60:
            return "[" + ", ".join(inline(item, depth + 1) for item in value) + "]"
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return json.dumps(value)
        case _:
            return "1979-05-27"


_OTHER_FILES = ("../src/shop/__init__.py", "../../victim/old/file", "..", '"\\u0000.whl"', "/etc/passwd")


class Resources(Target):
    """What builds have left: resources, the record of the last build, and its wheel."""

    name = "resources"
    cheap = 3

    def prepare(self, project: Project) -> None:
        assert self.forked.dbxdec(self.root, "bundle").code == 0
        names = ("resources/dbxdec.yml", ".dbxdec/bundle.json", f"dist/{project.wheel.name}")
        self.kept = {name: (self.root / name).read_bytes() for name in names}

    def attempt(self, chance: random.Random, *, whole: bool) -> str | None:
        for name, content in self.kept.items():
            path = self.root / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        name = chance.choice(sorted(self.kept))
        content = self.kept[name]
        if name.endswith(".json") and chance.random() < 0.7:
            content = mutations.text_of(mutations.structure(chance, json.loads(content))).encode("utf-8", "replace")
        elif name.endswith(".yml") and chance.random() < 0.5:
            wheel = next(name for name in self.kept if name.endswith(".whl"))
            other = chance.choice(
                ["../src/shop/__init__.py", "../../victim/old/file", "..", '"\\u0000.whl"', "/etc/passwd"]
            )
            content = content.replace(f"../{wheel}".encode(), other.encode())
        else:
            content = mutations.octets(chance, content)
        (self.root / name).write_bytes(content)
        sources = snapshot(self.root / "src")
        found = quietly(
            lambda: freshness.stale(str(self.root)),
            lambda: resources_file.drop_orphan(self.root, "resources/dbxdec.yml"),
            lambda: resources_file.discard(self.root, "resources/dbxdec.yml"),
        )
        if whole:
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_bytes(content)
            found = found or self.command(*chance.choice([("bundle",), ("check",)]))
        return found or ("it has changed the sources" if snapshot(self.root / "src") != sources else None)


class Arguments(Target):
    """What `dbxdec-run` is started with."""

    name = "arguments"
    cheap = 200

    def prepare(self, project: Project) -> None:
        named = {"package": "nosuch", "job": "wide", "task": "count", "build": "0" * 64, "workspace": "1"}
        named |= {"run-id": "7", "attempt": "1", "started": "0", "item": "1", "var-lake": "lake"}
        self.arguments = [f"--dbxdec-{name}={value}" for name, value in named.items()] + ["--day=2024-01-01", "n=3"]

    def attempt(self, chance: random.Random, *, whole: bool) -> str | None:
        changed = (
            [text for text in mutations.structure(chance, self.arguments) if isinstance(text, str)]
            if (chance.random() < 0.5)
            else list(self.arguments)
        )
        for _ in range(chance.randrange(3)):
            if changed:
                at = chance.randrange(len(changed))
                name = changed[at].partition("=")[0]
                changed[at] = f"{name}={chance.choice([*mutations.ODD_STRINGS, '9' * 30, '9' * 6000])}"
        changed = [text.replace("\0", "") for text in changed]
        found = quietly(lambda: protocol.parse(changed))
        if whole and not found:
            safe = [text.encode("utf-8", "replace").decode() for text in changed]
            found = said(("dbxdec-run", *safe), self.forked.dbxdec_run(self.root, *safe))
        return found


TARGETS: dict[str, type[Target]] = {
    target.name: target for target in (Wheels, Manifests, Ledgers, Bundles, Settings, Locks, Resources, Arguments)
}
