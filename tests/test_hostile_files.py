"""Files of a project as accidents and strangers leave them: one sentence with the place, an exit code, nothing lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dbxdec.build import bundlefile
from forked import Forked, snapshot
from projects import PYPROJECT as WITH_AN_EMPTY_LINE
from projects import Project, shop

pytestmark = pytest.mark.sampled(5)

Change = Callable[[Path], object]
PYPROJECT = WITH_AN_EMPTY_LINE.lstrip()
HOOK = "[tool.hatch.build.hooks.dbxdec]"
BUNDLE = "bundle: {name: x}\n"


def file(name: str, content: str | bytes) -> Change:
    """Write a file."""

    def change(root: Path) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.exists():
            path.unlink()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def pyproject(before: str, after: str) -> Change:
    """Replace a part of pyproject.toml."""
    assert before in PYPROJECT
    return file("pyproject.toml", PYPROJECT.replace(before, after))


def added(text: str | bytes) -> Change:
    """Add to pyproject.toml."""
    return file("pyproject.toml", PYPROJECT.encode() + (text if isinstance(text, bytes) else text.encode()))


def link(name: str, target: str) -> Change:
    """Make a link, in the place of what is there."""

    def change(root: Path) -> None:
        path = root / name
        if path.is_file():
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    return change


def folder(name: str) -> Change:
    """Make a folder, in the place of what is there."""

    def change(root: Path) -> None:
        if (root / name).is_file():
            (root / name).unlink()
        (root / name).mkdir(parents=True)

    return change


def pipe(name: str) -> Change:
    """Make a named pipe, which whoever reads it waits for."""
    return lambda root: os.mkfifo(root / name)


# What is there, and what `dbxdec check` says of it.
SETTINGS: dict[str, tuple[Change, str]] = {
    "no value": (added("x = [\n"), "pyproject.toml:18: is not TOML: "),
    "in the middle": (file("pyproject.toml", "[project]\nname =\n" + PYPROJECT), "pyproject.toml:2: is not TOML: "),
    "a byte order mark": (file("pyproject.toml", b"\xef\xbb\xbf" + PYPROJECT.encode()), ":1: begins with a byte order"),
    "no UTF-8": (added(b"\n# caf\xe9\n"), r"pyproject.toml:19: is not UTF-8: b'\xe9'"),
    "UTF-16": (file("pyproject.toml", PYPROJECT.encode("utf-16")), "pyproject.toml:1: is UTF-16, not UTF-8"),
    "nested": (added("x = " + "[" * 20_000), "nested too deeply"),
    "huge": (added("#" * 2**20), "has more than 1,048,576 bytes"),
    "a long number": (added("x = " + "9" * 5000), "pyproject.toml:17: is not TOML: "),
    "a folder": (folder("pyproject.toml"), "pyproject.toml can't be read: it is not a file"),
    "a link to nowhere": (link("pyproject.toml", "nowhere"), "pyproject.toml can't be read: it does not exist"),
    "a link to itself": (link("pyproject.toml", "pyproject.toml"), "pyproject.toml can't be read: it does not exist"),
    "tool": (file("pyproject.toml", "tool = 1\n"), "hatchling does not take"),
    "hatch": (
        file("pyproject.toml", '[project]\nname="a"\nversion="1"\n[tool]\nhatch = "x"\ndbxdec = {}'),
        "`tool.hatch`",
    ),
    "project": (file("pyproject.toml", f"project = []\n{HOOK}\n"), "`project` configuration must be a table"),
    "hooks": (
        pyproject(HOOK, "[tool.hatch.build]\nhooks = []\n[tool.dbxdec]"),
        "`tool.hatch.build.hooks` must be a table",
    ),
    "a hook": (pyproject(HOOK, '[tool.hatch.build.hooks]\ndbxdec = "x"'), "hooks.dbxdec` must be a table"),
    "targets": (
        pyproject('[tool.hatch.build.targets.wheel]\npackages = ["src/shop"]', "[tool.hatch.build]\ntargets = []"),
        "`tool.hatch.build.targets` must be a table",
    ),
    "a target": (
        pyproject('[tool.hatch.build.targets.wheel]\npackages = ["src/shop"]', "[tool.hatch.build.targets]\nwheel = 3"),
        "`tool.hatch.build.targets.wheel` must be a table",
    ),
    "ours": (pyproject('[tool.dbxdec.variables]\nlake = "lake"', '[tool]\ndbxdec = "x"'), "tool.dbxdec: is a string"),
    "variables": (
        pyproject('[tool.dbxdec.variables]\nlake = "lake"', "[tool.dbxdec]\nvariables = []"),
        "is a list, not",
    ),
    "a name": (pyproject('name = "shop-pipelines"', "name = 3"), "`project.name` must be a string"),
    "a path as name": (pyproject('name = "shop-pipelines"', 'name = "../x"'), "`project.name` must only contain"),
    "a path as version": (pyproject('version = "1.2.0"', 'version = "../x"'), "Invalid version `../x`"),
    "dependencies": (pyproject('["dbxdec[polars]>=0.1"]', "[1]"), "`project.dependencies` must be a string"),
    "rules for git": (
        lambda root: [folder(".git")(root), file(".gitignore", b"# \xff\n")(root)],
        ".gitignore:1: is not UTF-8",
    ),
}
SOURCES: dict[str, tuple[Change, str]] = {
    "a link to nowhere": (
        link("src/shop/gone.py", "nowhere.py"),
        "src/shop/gone.py: can't be shipped: it is a link to no",
    ),
    "a link to itself": (link("src/shop/loop.py", "loop.py"), "src/shop/loop.py: can't be shipped: Too many levels"),
    "a folder that is itself": (link("src/shop/loop", "loop"), "src/shop/loop: can't be shipped: Too many levels"),
    "a pipe": (pipe("src/shop/pipe.bin"), "src/shop/pipe.bin: can't be shipped: it is not a file"),
    "a line break in a name": (
        file("src/shop/a\nb.csv", "x"),
        r"'shop/a\nb.csv' can't be the path of a file in a wheel",
    ),
    "a backslash in a name": (
        file("src/shop/a\\b.csv", "x"),
        r"'shop/a\\b.csv' can't be the path of a file in a wheel",
    ),
    "several": (
        lambda root: [link(f"src/shop/{name}", "nowhere")(root) for name in ("a", "b")],
        "src/shop/b: can't be shipped",
    ),
}
BUNDLES: dict[str, tuple[Change, str]] = {
    "Latin-1": (
        file("databricks.yml", f"{BUNDLE}# caf\xe9\n".encode("latin-1")),
        r"databricks.yml:2: is not UTF-8: b'\xe9'",
    ),
    "UTF-16": (file("databricks.yml", BUNDLE.encode("utf-16")), "databricks.yml:1: is UTF-16"),
    "a tab": (file("databricks.yml", "bundle:\n\tname: x\n"), "databricks.yml:2: is not YAML"),
    "a zero byte": (file("databricks.yml", "a: 1\n\0\n"), "is not YAML"),
    "an alias of itself": (
        file("databricks.yml", "a: &a\n  b: *a\n"),
        "databricks.yml:2: refers to `a` inside itself",
    ),
    "an alias of nothing": (file("databricks.yml", "a: *b\n"), "refers to `b`, which is not defined"),
    "a bomb of aliases": (
        file(
            "databricks.yml",
            "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
        ),
        "has more than 5,000,000 values",
    ),
    "a bomb of merges": (
        file(
            "databricks.yml",
            "a0: &a0 {x: 1}\n"
            + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 12)),
        ),
        "has more than 5,000,000 values",
    ),
    "nested": (file("databricks.yml", "[" * 20_000), "is nested more than 100 times"),
    "a key twice": (file("databricks.yml", "a: 1\na: 2\n"), "databricks.yml:2: has the key `a` twice"),
    "a list as key": (file("databricks.yml", "? [a]\n: 1\n"), "databricks.yml:1: has a key that is not a string"),
    "an object of Python": (file("databricks.yml", 'a: !!python/object:os.system "x"\n'), "has the unknown tag"),
    "two documents": (file("databricks.yml", "a: 1\n---\nb: 1\n"), "databricks.yml:2: holds more than one document"),
    "a list": (file("databricks.yml", "- a\n"), "is not a mapping"),
    "two that are included": (
        lambda root: [
            file("databricks.yml", f"{BUNDLE}include: ['parts/*']\n")(root),
            file("parts/a.yml", "a: [\n")(root),
            file("parts/b.yml", "b: [\n")(root),
        ],
        "parts/b.yml:2: is not YAML",
    ),
}
# What the bundle's CLI refuses by itself: dbxdec has to go on.
WRONG_TYPES = (
    *("targets: -1", "targets: [1, 2]", "targets: {dev: 3, prod: [], x: null}", "artifacts: {a: {build: x}}"),
    *("artifacts: [a]", 'artifacts: {a: {type: whl, files: [1, {source: 3}, {source: "a\\0b"}], path: 3}}'),
    *('include: [""]', 'include: [1, null, "/abs", "..", ".", "***", "[", "a\\0b", "**/*.yml", {}]', 'include: "x"'),
    *("experimental: {scripts: [1]}", "experimental: {scripts: 1}", "experimental: [1]", "python: 3"),
    *("experimental: {scripts: {preinit: [1]}}", "python: {resources: 3}", "resources: 3", "resources: {jobs: [1]}"),
    *("presets: 3", "targets: {dev: {presets: [], variables: 3, artifacts: 3}}", "workspace: []", "a: 2024-99-99"),
    *("1: x", "a: " + "9" * 5000, "variables: {lake: [1], lake_root: 3}", "<<: {a: 1}", "sync: {include: 3}"),
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path.resolve() / "project")


def refused(forked: Forked, project: Project, change: Change, said: str) -> None:
    """Whatever reads the files says one sentence, and touches nothing; a build says it too."""
    change(project.root)
    before = snapshot(project.root.parent)
    for arguments in (["check"], ["run", "sales"]):
        found = forked.dbxdec(project.root, *arguments)
        assert found.finding() is None, found
        assert found.code == 2, found
        assert snapshot(project.root.parent) == before
        if arguments == ["check"]:
            assert said in found.err, found
    for found in (forked.dbxdec(project.root, "bundle"), forked.resources(project.root)):
        assert found.finding() is None, found
        assert found.code in (1, 2), found


@pytest.mark.slow
@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_cannot_be_read(case: str, forked: Forked, project: Project) -> None:
    """A pyproject.toml that is damaged, or holds something of another type, is refused with its line or TOML path."""
    refused(forked, project, *SETTINGS[case])
    assert forked.dbxdec(project.root, "init", "--dry-run").finding() is None


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", SOURCES)
def test_sources_that_cannot_be_shipped(case: str, forked: Forked, project: Project) -> None:
    """Links to nowhere, loops and pipes among the files of the wheel are refused by their names, all of them."""
    refused(forked, project, *SOURCES[case])
    assert forked.build(project.root).finding() is None
    assert forked.dbxdec(project.root, "init", "--dry-run").finding() is None


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", BUNDLES)
def test_bundles_that_cannot_be_read(case: str, forked: Forked, project: Project) -> None:
    """A databricks.yml that no reader should follow is refused with its line."""
    change, said = BUNDLES[case]
    change(project.root)
    for arguments in (["check"], ["init", "--dry-run"]):
        found = forked.dbxdec(project.root, *arguments)
        assert found.finding() is None, found
        assert (found.code, said in found.err) == (2, True), found


@pytest.mark.parametrize("content", WRONG_TYPES)
def test_bundles_with_values_of_other_types(content: str, forked: Forked, project: Project) -> None:
    """What the bundle's CLI refuses by itself is no mistake of the project's, and ends nothing."""
    file("databricks.yml", BUNDLE + content + "\n")(project.root)
    assert bundlefile.mistakes(project.root) == []
    found = forked.dbxdec(project.root, "init", "--dry-run")
    assert (found.finding(), found.code) == (None, 0), found


def test_variables_of_another_type(forked: Forked, project: Project) -> None:
    """A run needs the variables, and says where they are none."""
    file("databricks.yml", f'{BUNDLE}variables: "x"\n')(project.root)
    found = forked.dbxdec(project.root, "run", "sales")
    assert found.code == 2, found
    assert "databricks.yml:2: `variables` is a string, not a mapping" in found.err


@pytest.mark.slow
def test_the_locks_of_emacs_are_no_files(forked: Forked, project: Project) -> None:
    """A file that is being edited has a link to nowhere beside it, which neither stops a build nor is shipped."""
    assert forked.build(project.root).code == 0
    wheel = project.wheel.read_bytes()
    for name in (".#sales.py", ".#pyproject.toml"):
        link(f"src/shop/pipelines/{name}", "me@host.1:2")(project.root)
    link(".#pyproject.toml", "me@host.1:2")(project.root)
    for arguments in (["check"], ["run", "sales"], ["bundle"], ["init", "--dry-run"]):
        found = forked.dbxdec(project.root, *arguments)
        assert (found.finding(), found.code) == (None, 0), found
    assert forked.build(project.root).code == 0
    assert project.wheel.read_bytes() == wheel


@pytest.mark.slow
def test_a_folder_that_holds_itself(forked: Forked, project: Project) -> None:
    """A link to a folder above is followed once."""
    link("src/shop/up", "..")(project.root)
    for arguments in (["check"], ["bundle"], ["bundle"]):
        found = forked.dbxdec(project.root, *arguments)
        assert (found.finding(), found.code) == (None, 0), found


@pytest.mark.slow
@pytest.mark.parametrize("text", ["x = [\n", "[tool.dbxdec]\npipeline = 3\n"])
def test_settings_that_cannot_be_read_leave_no_earlier_build(text: str, forked: Forked, project: Project) -> None:
    """A deploy after them must not take the wheel of an earlier build for that of this tree."""
    assert forked.dbxdec(project.root, "bundle").code == 0
    with (project.root / "pyproject.toml").open("a") as settings:
        settings.write(text)
    assert forked.dbxdec(project.root, "bundle").code == 2
    assert (project.wheels, project.resources.exists()) == ([], False)


# What stands where dbxdec has to write, and the commands that need it.
IN_THE_WAY: dict[str, tuple[Change, list[list[str]]]] = {
    "dist": (file("dist", "x"), [["bundle"]]),
    "the state": (file(".dbxdec", "x"), [["bundle"], ["run", "sales"]]),
    "a link to nowhere": (link(".dbxdec", "/nonexistent/x"), [["bundle"], ["run", "sales"]]),
    "the runs": (file(".dbxdec/runs", "x"), [["run", "sales"]]),
    "the builds": (file(".dbxdec/builds", "x"), [["run", "sales"]]),
    "the resources": (file("resources", "x"), [["bundle"]]),
    "dist as a link to itself": (link("dist", "dist"), [["bundle"]]),
    "the resources as a link to themselves": (link("resources", "resources"), [["bundle"]]),
    "a folder of that name": (folder("resources/dbxdec.yml"), [["bundle"]]),
    "the record": (folder(".dbxdec/bundle.json"), [["bundle"]]),
    "the lock": (folder(".dbxdec/bundle.lock"), [["bundle"]]),
}


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", IN_THE_WAY)
def test_files_where_folders_should_be(case: str, forked: Forked, project: Project) -> None:
    """What can't be written is said by its name; what only reads goes on."""
    change, commands = IN_THE_WAY[case]
    change(project.root)
    assert forked.dbxdec(project.root, "check").code == 0
    for arguments in (["runs"], ["runs", "show"], *commands):
        found = forked.dbxdec(project.root, *arguments)
        assert found.finding() is None, found
        if arguments in commands:
            assert found.code in (1, 2), found
            assert len(found.err.splitlines()) < 6, found


@pytest.mark.sampled(2)
@pytest.mark.parametrize("limit", [0, 1_000])
@pytest.mark.parametrize("command", [["bundle"], ["init", "--name", "x"]], ids=" ".join)
def test_a_full_disk_ends_in_one_sentence(command: list[str], limit: int, forked: Forked, project: Project) -> None:
    """Where nothing, or only small files, can be written, the command says so, and no half a file is left."""
    if command[0] == "init":
        shutil.rmtree(project.root)
        project.root.mkdir()
    else:
        assert forked.dbxdec(project.root, "bundle").code == 0
        project.edit("src/shop/pipelines/sales.py", "n: int = 3", "n: int = 4")
    found = forked.dbxdec(project.root, *command, file_size=limit)
    assert (found.finding(), found.code in (1, 2)) == (None, True), found
    if command[0] == "init":
        assert {path.name for path in project.root.rglob(".*")} <= {".gitignore"}
        assert forked.dbxdec(project.root, *command).code == 0
    elif project.resources.exists():
        assert project.manifest()["build_id"] in project.resources.read_text()


@pytest.mark.slow
def test_a_disk_that_is_full_in_the_middle_of_a_run(forked: Forked, project: Project) -> None:
    """The run ends in one sentence; it is kept as interrupted, and can be resumed."""
    project.edit(
        "src/shop/pipelines/sales.py", 'print("REPORT", total, words)', 'print("x" * 40_000)\n        print("END")'
    )
    found = forked.dbxdec(project.root, "run", "sales", file_size=30_000)
    assert (found.finding(), found.code) == (None, 2), found
    assert found.err.splitlines()[-1].startswith(f"dbxdec: {project.root}/.dbxdec/"), found
    assert found.err.splitlines()[-1].endswith(": File too large"), found
    assert "interrupted" in forked.dbxdec(project.root, "runs").out
    found = forked.dbxdec(project.root, "run", "sales", "--resume")
    assert (found.finding(), found.code) == (None, 0), found


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("path", ["pyproject.toml", "src/shop/__init__.py", "src/shop/pipelines", ".dbxdec", "dist"])
def test_what_may_not_be_read_or_written(path: str, forked: Forked, project: Project) -> None:
    """Permissions that are missing are said by the file's name."""
    assert forked.dbxdec(project.root, "bundle").code == 0
    (project.root / path).chmod(0)
    try:
        for arguments in (["check"], ["run", "sales"], ["bundle", "--force"]):
            found = forked.dbxdec(project.root, *arguments)
            assert found.finding() is None, found
    finally:
        (project.root / path).chmod(0o755)
