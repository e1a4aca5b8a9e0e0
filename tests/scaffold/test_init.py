"""`dbxdec init` in projects of every shape, in empty folders, and where it must not touch anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import init_cases
from conftest import uv
from dbxdec.build import bundlefile
from dbxdec.errors import ConfigError
from dbxdec.scaffold import writing
from dbxdec.scaffold.plan import Asked, Plan, plan
from projects import Project, Result, shop
from repository import ROOT

INIT = (sys.executable, "-c", "from dbxdec.cli import main; main()", "init")
ASKED = Asked("0.1.0")
RULES = "E,F,W,I,UP,B,N,D1,D4,ANN,SIM,PT,PL,RET,RUF"
REFUSED = [name for name in init_cases.NAMES if not init_cases.load(name).made]
TAKEN = [name for name in init_cases.NAMES if init_cases.load(name).made]


def init(folder: Path, *arguments: str, **environment: str) -> Result:
    """The command, in that folder."""
    return Project(folder, {"UV": "", **environment}).run(*INIT, *arguments)


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, git's own aside."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git/" not in path.as_posix()
    }


def write(found: Plan) -> None:
    for change in found.changes:
        writing.write(change)


def made(folder: Path, files: dict[str, str], asked: Asked = ASKED) -> Plan:
    """What is planned for a project of these files."""
    folder.mkdir(exist_ok=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return plan(folder, asked)


def after(found: Plan, name: str) -> str:
    """A file as the plan has it."""
    return next(change.after for change in found.changes if change.path.name == name)


def problems(folder: Path, files: dict[str, str], asked: Asked = ASKED) -> str:
    with pytest.raises(ConfigError) as error:
        made(folder, files, asked)
    return str(error.value)


HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
PROJECT = HATCHLING + '[project]\nname = "shop"\nversion = "1"\ndependencies = []\n'
SHOP = {"pyproject.toml": PROJECT, "src/shop/__init__.py": ""}
BUNDLE = "bundle:\n  name: shop\n"


SETTINGS = "[tool.pytest.ini_options]\n"
RENAMED = """
[tool.hatch.build.targets.wheel]
only-include = ["code/app"]
[tool.hatch.build.targets.wheel.sources]
"code/app" = "shop"
"""


class TestFirstTest:
    """What pytest needs for the test that comes with the first pipeline."""

    @pytest.mark.parametrize(
        "more",
        [
            '[dependency-groups]\nother = ["pytest-cov"]\n',
            '[dependency-groups]\ndev = ["PyTest>=7"]\n',
            '[project.optional-dependencies]\ntest = ["pytest[x]"]\n',
            '[tool.uv]\ndev-dependencies = ["pytest"]\n',
        ],
    )
    def test_pytest_is_asked_for_once(self, tmp_path: Path, more: str) -> None:
        """In a project of uv the group `dev` gets pytest, unless some requirement brings it."""
        uv_s = Asked("0.1.0", uv=True)
        group = tomllib.loads(after(made(tmp_path / "a", SHOP, uv_s), "pyproject.toml"))["dependency-groups"]["dev"]
        assert group == ["dbxdec[build,cli]>=0.1", "pytest>=8"]
        found = made(tmp_path / "b", {**SHOP, "pyproject.toml": PROJECT + more}, uv_s)
        assert "pytest>=8" not in after(found, "pyproject.toml")

    @pytest.mark.parametrize(
        ("more", "wanted"),
        [
            ("", {"ini_options": {"pythonpath": ["src"]}}),
            (f'{SETTINGS}addopts = "-q"\n', {"ini_options": {"addopts": "-q", "pythonpath": ["src"]}}),
            (f'{SETTINGS}pythonpath = "lib"\n', {"ini_options": {"pythonpath": "lib"}}),
            ("[tool.pytest]\nstrict = true\n", {"strict": True, "pythonpath": ["src"]}),
        ],
    )
    def test_pytest_finds_a_package_that_is_not_installed(
        self, tmp_path: Path, more: str, wanted: dict[str, object]
    ) -> None:
        """`pythonpath` is set in the table that has pytest's settings, unless a person has set it."""
        found = made(tmp_path, {**SHOP, "pyproject.toml": PROJECT + more})
        assert tomllib.loads(after(found, "pyproject.toml"))["tool"]["pytest"] == wanted

    @pytest.mark.parametrize(
        ("files", "folder"),
        [
            ({**SHOP, "pyproject.toml": f"{PROJECT}[tool.uv]\n"}, None),
            ({**SHOP, "pyproject.toml": f"{PROJECT}[tool.uv]\npackage = false\n"}, "src"),
            ({**SHOP, "pyproject.toml": f"{PROJECT}[tool.hatch.envs.hatch-test]\nparallel = true\n"}, None),
            ({"pyproject.toml": PROJECT, "shop/__init__.py": ""}, "."),
            ({"pyproject.toml": PROJECT, "lib/shop/__init__.py": ""}, "."),  # it is `lib.shop` in the wheel
            ({"pyproject.toml": PROJECT + RENAMED, "code/app/__init__.py": ""}, None),
        ],
    )
    def test_only_where_nothing_installs_it(self, tmp_path: Path, files: dict[str, str], folder: str | None) -> None:
        """uv and Hatch install a project before its tests; no folder has a package that the wheel renames."""
        settings = tomllib.loads(after(made(tmp_path, files), "pyproject.toml"))["tool"].get("pytest")
        assert settings == (None if folder is None else {"ini_options": {"pythonpath": [folder]}})

    @pytest.mark.parametrize(
        ("name", "text", "note"),
        [
            ("pytest.ini", "", "pytest.ini: `pythonpath = src`"),
            ("pytest.toml", "", 'pytest.toml: `pythonpath = ["src"]`'),
            ("tox.ini", "[pytest]\naddopts = -q\n", "tox.ini: `pythonpath = src`"),
            ("setup.cfg", "[tool:pytest]\n", "setup.cfg: `pythonpath = src`"),
            ("pytest.ini", "[pytest]\npythonpath = lib\n", None),
            ("tox.ini", "[testenv]\n", ""),
        ],
    )
    def test_settings_in_another_file_stay_the_ones_that_count(
        self, tmp_path: Path, name: str, text: str, note: str | None
    ) -> None:
        """A table in pyproject.toml would hide that file, or be hidden by it: what is missing is said."""
        found = made(tmp_path, {**SHOP, name: text})
        assert ("[tool.pytest" in after(found, "pyproject.toml")) == (note == "")
        assert [said.partition(",")[0] for said in found.notes] == ([note] if note else [])

    @pytest.mark.parametrize(
        ("more", "command"),
        [("", "pytest "), ("[tool.uv]\n", "uv run pytest "), ("[tool.hatch.envs.default]\n", "hatch test ")],
    )
    def test_the_next_steps_say_how_to_run_it(self, tmp_path: Path, more: str, command: str) -> None:
        """By the tool that the project uses."""
        for path, text in {**SHOP, "pyproject.toml": PROJECT + more}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        assert re.search(rf"^  {command} +runs its test", init(tmp_path).output, re.MULTILINE)


class TestRealProjects:
    @pytest.mark.parametrize("name", TAKEN)
    def test_only_what_is_said_is_added(self, tmp_path: Path, name: str) -> None:
        """The files made, the diff of those changed, and what is left to do by hand are exactly these."""
        case = init_cases.load(name)
        root = case.write(tmp_path)
        found = plan(root, ASKED)
        new = [os.path.relpath(change.path, root) for change in found.changes if change.before is None]
        changed = [change for change in found.changes if change.before is not None]
        assert new == case.made
        assert "".join(f"{note}\n" for note in found.notes) == case.said
        assert writing.diff(changed, found.repository or root).replace("\r", "") == case.diff

    @pytest.mark.parametrize("name", TAKEN)
    def test_a_second_time_nothing_changes(self, tmp_path: Path, name: str) -> None:
        """What is set up stays as it is, and what is to be done by hand is said again."""
        root = init_cases.load(name).write(tmp_path)
        first = plan(root, ASKED)
        write(first)
        again = plan(root, ASKED)
        assert again.changes == ()
        assert again.notes == first.notes

    @pytest.mark.parametrize("name", TAKEN)
    def test_lines_keep_their_ends_and_their_order(self, tmp_path: Path, name: str) -> None:
        """Every line of a changed file is one of its own or a new one, with the line end that the file uses."""
        for change in plan(init_cases.load(name).write(tmp_path), ASKED).changes:
            if change.before is None:
                continue
            crlf = "\r\n" in change.before
            assert change.after.count("\r\n") == (change.after.count("\n") if crlf else 0)
            assert change.after.endswith("\n")

    @pytest.mark.parametrize("name", REFUSED)
    def test_what_can_t_be_set_up_is_refused_with_what_to_write(self, tmp_path: Path, name: str) -> None:
        """Every problem comes at once, and nothing is written."""
        case = init_cases.load(name)
        root = case.write(tmp_path)
        before = tree(tmp_path)
        with pytest.raises(ConfigError) as error:
            plan(root, ASKED)
        assert f"{error.value}\n" == case.said
        assert tree(tmp_path) == before

    @pytest.mark.parametrize("name", [name for name in TAKEN if name not in ("hatch-vcs", "dotted-keys", "half-way")])
    def test_the_project_is_one_that_dbxdec_checks(self, tmp_path: Path, name: str) -> None:
        """`dbxdec check` finds the first pipeline, and no mistake. (The others need plugins that are not installed.)"""
        root = init_cases.load(name).write(tmp_path)
        if name == "other-hooks":
            (root / "src/hooked/_version.py").write_text("VERSION = '3'\n")
        write(plan(root, ASKED))
        checked = Project(root).run(*INIT[:-1], "check")
        assert (checked.code, checked.output) == (0, "fine: 1 job, 3 tasks\n")

    @pytest.mark.parametrize("name", ["flights", "weather"])
    def test_the_examples_are_set_up_already(self, tmp_path: Path, name: str) -> None:
        """In the repositories that dbxdec shows there is nothing to add."""
        ignored = shutil.ignore_patterns("dist", "lake", ".dbxdec", "__pycache__", "dbxdec.yml")
        shutil.copytree(ROOT / "examples" / name, tmp_path / name, ignore=ignored)
        found = plan(tmp_path / name, ASKED)
        assert (found.changes, found.notes) == ((), ())

    def test_a_deploy_by_python_is_set_up_already(self, tmp_path: Path) -> None:
        """`resources = false` is kept: neither `include` nor `preinit` is added to such a bundle."""
        files = {
            **SHOP,
            "pyproject.toml": PROJECT + "[tool.dbxdec]\nresources = false\n",
            "databricks.yml": BUNDLE + "python:\n  resources: ['dbxdec.bundle:load_resources']\n",
        }
        document = yaml.safe_load(after(made(tmp_path, files), "databricks.yml"))
        assert document["experimental"] == {"skip_artifact_cleanup": True}
        assert "include" not in document


class TestNewProject:
    def test_the_folder_names_it(self, tmp_path: Path) -> None:
        """Project, package and bundle have the folder's name, in their own spelling."""
        found = made(tmp_path / "My Pipelines", {})
        assert tomllib.loads(after(found, "pyproject.toml"))["project"]["name"] == "my-pipelines"
        assert yaml.safe_load(after(found, "databricks.yml"))["bundle"]["name"] == "my-pipelines"
        assert (tmp_path / "My Pipelines/src/my_pipelines/pipelines/hello.py") in [each.path for each in found.changes]

    def test_its_files(self, tmp_path: Path) -> None:
        """A whole project, with nothing that a build makes and nothing that another tool owns."""
        assert init(tmp_path, "shop").code == 0
        assert set(tree(tmp_path / "shop")) == {
            ".gitignore",
            "README.md",
            "databricks.yml",
            "pyproject.toml",
            "src/shop/__init__.py",
            "src/shop/pipelines/__init__.py",
            "src/shop/pipelines/hello.py",
            "tests/test_hello.py",
        }

    def test_git_ignores_the_caches_of_python(self, tmp_path: Path) -> None:
        """After the first test a commit of everything has no compiled files."""
        assert init(tmp_path, "shop").code == 0
        assert "__pycache__/" in (tmp_path / "shop/.gitignore").read_text(encoding="utf-8").splitlines()

    def test_the_way_into_its_folder_can_be_typed(self, tmp_path: Path) -> None:
        """A shell takes a name with a blank for two."""
        assert "\n  cd 'my flights'\n" in init(tmp_path, "my flights").output

    def test_each_target_has_a_lake_of_its_own(self, tmp_path: Path) -> None:
        """The place that is given is followed by the target's name."""
        found = made(tmp_path / "shop", {}, Asked("0.1.0", lake_root="abfss://c@a.dfs.core.windows.net/x/"))
        targets = yaml.safe_load(after(found, "databricks.yml"))["targets"]
        assert {name: target["variables"]["lake_root"] for name, target in targets.items()} == {
            "dev": "abfss://c@a.dfs.core.windows.net/x/dev",
            "prod": "abfss://c@a.dfs.core.windows.net/x/prod",
        }

    def test_projects_of_one_bundle_have_first_jobs_of_their_own(self, tmp_path: Path) -> None:
        """A bundle has each key once, and the tables of its projects lie below one `lake_root`."""
        (tmp_path / ".git").mkdir()
        (tmp_path / "databricks.yml").write_text("bundle:\n  name: all\n")
        assert "dbxdec run hello " in init(tmp_path, "services/shop").output
        said = init(tmp_path, "services/billing").output
        assert "dbxdec run billing_hello " in said
        made = tree(tmp_path / "services/billing")
        assert b"def billing_hello(" in made["src/billing/pipelines/hello.py"]
        assert b'lake.table("billing_hello/greetings")' in made["src/billing/pipelines/hello.py"]
        assert b"import billing_hello, greetings" in made["tests/test_hello.py"]
        assert b"dbxdec run billing_hello  " in made["README.md"]
        assert "nothing else to do" in init(tmp_path / "services/billing").output
        assert tree(tmp_path / "services/billing") == made

    def test_a_job_hello_of_the_bundle_keeps_its_key(self, tmp_path: Path) -> None:
        """The first job would be a second one of that key."""
        (tmp_path / "databricks.yml").write_text("bundle: {name: shop}\nresources: {jobs: {hello: {name: x}}}\n")
        assert "dbxdec run shop_hello" in init(tmp_path, "--name", "shop").output

    @pytest.mark.parametrize("text", ["", "\n", "---\n# mine\n\n", "# mine\r\n"])
    def test_a_bundle_that_says_nothing_becomes_a_whole_one_below_its_comments(self, tmp_path: Path, text: str) -> None:
        """Its line ends stay, and a second call changes nothing."""
        (tmp_path / "new").mkdir()
        new = after(made(tmp_path / "new" / "shop", {}), "databricks.yml")
        found = made(tmp_path / "shop", {"databricks.yml": text})
        written = after(found, "databricks.yml")
        assert yaml.safe_load(written) == yaml.safe_load(new)
        assert written.startswith(text.rstrip())
        assert ("\r\n" in written, written.count("\n")) == ("\r\n" in text, len(written.splitlines()))
        assert not [note for note in found.notes if "databricks.yml" in note]

    def test_a_lake_that_is_there_stays_and_that_is_said(self, tmp_path: Path) -> None:
        """The option does not vanish without a word."""
        assert init(tmp_path, "shop").code == 0
        before = tree(tmp_path / "shop")
        again = init(tmp_path / "shop", "--lake-root", "s3://b/x/")
        assert "by hand: databricks.yml: --lake-root changes no value that is there: write s3://b/x as" in again.output
        assert tree(tmp_path / "shop") == before

    @pytest.mark.slow
    def test_it_is_as_an_edit_would_have_it(self, tmp_path: Path) -> None:
        """Run again in a project that it has made, with and without options, nothing changes."""
        for options in ((), ("--pydabs",), ("--lake-root", "s3://b/x")):
            root = tmp_path / "-".join(("shop", *options)).replace("/", "").replace(":", "")
            root.mkdir()
            assert init(root, "--name", "shop", *options).code == 0
            before = tree(root)
            again = init(root, *options)
            assert (again.code, again.output) == (0, "dbxdec: nothing to do: this project is set up\n")
            assert tree(root) == before

    def test_files_that_are_there_stay(self, tmp_path: Path) -> None:
        """A README, a .gitignore and modules of one's own are kept; the .gitignore gets rules."""
        own = {"README.md": "mine\n", ".gitignore": "*.log", "src/shop/__init__.py": "X = 1\n", ".git/HEAD": ""}
        found = made(tmp_path / "shop", own)
        write(found)
        root = tmp_path / "shop"
        assert (root / "README.md").read_text() == "mine\n"
        assert (root / "src/shop/__init__.py").read_text() == "X = 1\n"
        assert (root / ".gitignore").read_text().startswith("*.log\n\n#")

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("my project", "can't be the name of a project\n    hint: letters"),
            ("-x", "`--name x`"),
            ("2024-flights", "makes no name of a package\n    hint: begin with a letter: `--name p-2024-flights`"),
            ("class", "makes no name of a package"),
            ("polars", "would hide the package `polars` that others import\n    hint: choose another name"),
            ("json", "would hide the package `json`"),
        ],
    )
    def test_a_name_that_can_t_be_one_is_refused(self, tmp_path: Path, name: str, said: str) -> None:
        """What makes no package, or hides one, is refused with a name that would do."""
        assert said in problems(tmp_path / "x", {}, Asked("0.1.0", name=name))
        assert tree(tmp_path) == {}

    def test_a_folder_of_another_project_is_refused(self, tmp_path: Path) -> None:
        """Within a project, a folder that is not empty makes no project of its own; an empty one does."""
        made(tmp_path, SHOP)
        (tmp_path / "src/own").mkdir()
        assert plan(tmp_path / "src/own", ASKED).changes
        with pytest.raises(ConfigError, match=r"belongs to the project at .*\n.*run `dbxdec init` in "):
            plan(tmp_path / "src/shop", ASKED)

    def test_uv_that_has_started_it_is_used(self, tmp_path: Path) -> None:
        """By `uvx dbxdec init` the new project tells uv's cache what its wheel is made of."""
        assert init(tmp_path, "--name", "shop", UV="/usr/bin/uv").code == 0
        keys = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]["uv"]["cache-keys"]
        assert keys == [{"file": "pyproject.toml"}, {"file": "src/shop/**/*.py"}]


class TestBackends:
    @pytest.mark.parametrize(
        ("backend", "said"),
        [
            ("setuptools.build_meta", "`hatch new --init`"),
            ("poetry.core.masonry.api", "[tool.poetry] go to [project]"),
            ("pdm.backend", "[tool.pdm.build]"),
            ("uv_build", "`dbxdec init --use-hatchling` changes it"),
            ("flit_core.buildapi", "[tool.flit.module]"),
            ("maturin", "Or keep the pipelines in a project of their own"),
        ],
    )
    def test_another_backend_is_refused_with_what_to_change(self, tmp_path: Path, backend: str, said: str) -> None:
        """The lines to write, and where that backend's own settings go."""
        found = problems(tmp_path, {"pyproject.toml": PROJECT.replace("hatchling.build", backend)})
        assert f"the build backend is {backend}, and dbxdec is a build hook of hatchling" in found
        assert 'requires = ["hatchling", "dbxdec[build]>=0.1"]' in found
        assert said in found

    @pytest.mark.parametrize("old", [{"setup.py": ""}, {"setup.cfg": ""}])
    def test_setuptools_that_no_pyproject_names_is_seen(self, tmp_path: Path, old: dict[str, str]) -> None:
        """A setup.py or setup.cfg says it, with a pyproject.toml and without."""
        assert "hatch new --init" in problems(tmp_path / "a", old)
        assert "is built by setuptools" in problems(tmp_path / "b", {**old, "pyproject.toml": "[tool.ruff]\n"})

    @pytest.mark.parametrize(
        ("found", "wanted"),
        [
            (">=3.9", ">=3.11"),
            (">=3.8,<4", ">=3.11,<4"),
            ("<3.14, >= 3.9 , !=3.12.*", ">=3.11,<3.14,!=3.12.*"),
            ("~=3.9", ">=3.11,<4"),
            ("~=3.9.1", ">=3.11"),  # it is below 3.10
            (">=3.8,<3.11", ">=3.11"),
            ("==3.10.*", ">=3.11"),
            ("<4", ">=3.11,<4"),
        ],
    )
    def test_newer_python_keeps_the_other_bounds(self, tmp_path: Path, found: str, wanted: str) -> None:
        """The version of Python to write by hand has the upper bounds that the project has, where they leave any."""
        text = PROJECT.replace("dependencies", f'requires-python = "{found}"\ndependencies')
        (note,) = made(tmp_path, {**SHOP, "pyproject.toml": text}).notes
        assert note == (
            f'pyproject.toml: `requires-python = "{wanted}"`, since dbxdec needs Python 3.11; it is {found!r}'
        )

    def test_uv_s_backend_is_replaced_on_request(self, tmp_path: Path) -> None:
        """The two lines change, and dbxdec is added as usual."""
        text = '[project]\nname = "shop"\nversion = "1"\n\n[build-system]\nrequires = ["uv_build>=0.9,<0.10"]  # uv\n'
        text += "build-backend = 'uv_build' # too\n"
        found = made(tmp_path, {"pyproject.toml": text}, Asked("0.1.0", use_hatchling=True))
        assert 'requires = ["hatchling>=1.27", "dbxdec[build]>=0.1"]  # uv\n' in after(found, "pyproject.toml")
        assert "build-backend = 'hatchling.build' # too\n" in after(found, "pyproject.toml")

    def test_settings_of_uv_s_backend_have_to_be_moved_first(self, tmp_path: Path) -> None:
        """Where the package is elsewhere by its settings, the backend is not replaced."""
        text = PROJECT.replace("hatchling.build", "uv_build") + '[tool.uv.build-backend]\nmodule-root = ""\n'
        found = problems(tmp_path, {"pyproject.toml": text}, Asked("0.1.0", use_hatchling=True))
        assert "tool.uv.build-backend: are settings that hatchling does not read" in found

    def test_the_top_of_a_workspace_is_no_project(self, tmp_path: Path) -> None:
        """Where only the members of a uv workspace are named, one of them is meant."""
        said = problems(tmp_path, {"pyproject.toml": "[tool.uv.workspace]\nmembers = ['services/*']\n"})
        assert "run `dbxdec init` in a member of it" in said

    def test_a_file_of_other_tools_alone_becomes_a_project(self, tmp_path: Path) -> None:
        """Settings of a linter are kept, and the project's come after them."""
        found = made(tmp_path / "shop", {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"})
        text = after(found, "pyproject.toml")
        assert text.startswith("[tool.ruff]\nline-length = 100\n\n[")
        assert tomllib.loads(text)["project"] == {
            "name": "shop",
            "version": "0.1.0",
            "requires-python": ">=3.11",
            "dependencies": ["dbxdec[polars]>=0.1"],
        }


class TestPackages:
    @pytest.mark.parametrize(
        ("settings", "files", "folder"),
        [
            ("", ["shop/__init__.py"], "shop"),
            ("", ["acme/shop/__init__.py"], "acme/shop"),
            ("", ["src/other/__init__.py", "tests/__init__.py"], "src/other"),
            ("", [], "src/shop"),
            (
                '[tool.hatch.build]\npackages = ["lib/a", "lib/b"]\n',
                ["lib/a/__init__.py", "lib/b/pipelines/x.py"],
                "lib/b",
            ),
            (
                '[tool.hatch.build.targets.wheel]\nonly-include = ["code"]\nsources = ["code"]\n',
                ["code/x/__init__.py"],
                "code/x",
            ),
            ('[tool.hatch.build.targets.wheel]\ninclude = ["/shop"]\n', ["shop/__init__.py", "b/__init__.py"], "shop"),
        ],
    )
    def test_the_package_that_is_shipped_gets_the_pipeline(
        self, tmp_path: Path, settings: str, files: list[str], folder: str
    ) -> None:
        """Flat, src, namespaces, several packages, chosen files: the wheel's own package has it."""
        found = made(tmp_path, {"pyproject.toml": PROJECT + settings, **dict.fromkeys(files, "")})
        paths = {change.path.relative_to(tmp_path).as_posix() for change in found.changes}
        if "pipelines" in "".join(files):
            assert not any(path.endswith("hello.py") for path in paths)
        else:
            assert f"{folder}/pipelines/hello.py" in paths

    def test_a_package_of_another_name_is_named(self, tmp_path: Path) -> None:
        """Hatchling looks for a package of the project's name: where it has another, it is told."""
        found = made(tmp_path, {"pyproject.toml": PROJECT, "src/other/__init__.py": ""})
        wheel = tomllib.loads(after(found, "pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]
        assert wheel == {"packages": ["src/other"]}

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            (["src/a/__init__.py", "src/b/__init__.py"], "found src/a, src/b"),
            (["shop.py"], "move it to src/shop/__init__.py"),
        ],
    )
    def test_where_it_can_t_be_told_it_is_asked_for(self, tmp_path: Path, files: list[str], said: str) -> None:
        """Several packages, or a single module: the setting to write is said."""
        assert said in problems(tmp_path, {"pyproject.toml": PROJECT, **dict.fromkeys(files, "")})


class TestPython:
    def test_the_jobs_come_from_python_on_request(self, tmp_path: Path) -> None:
        """--pydabs: a loader, `resources = false`, and neither `include` nor `preinit`; git keeps the loader."""
        found = made(tmp_path / "shop", {}, Asked("0.1.0", pydabs=True))
        document = yaml.safe_load(after(found, "databricks.yml"))
        assert document["python"] == {"resources": ["resources:load_resources"]}
        assert document["experimental"] == {"skip_artifact_cleanup": True}
        assert tomllib.loads(after(found, "pyproject.toml"))["tool"]["dbxdec"]["resources"] is False
        assert "resources" not in after(found, ".gitignore")

    def test_the_next_steps_promise_no_job_definitions(self, tmp_path: Path) -> None:
        """A build makes the wheel alone: the jobs are made during the deploy."""
        said = init(tmp_path, "--name", "shop", "--pydabs").output
        assert re.search(r"^  dbxdec bundle +makes the wheel$", said, re.MULTILINE)
        assert re.search(r"^  databricks bundle deploy +deploys it and the jobs; first put", said, re.MULTILINE)

    @pytest.mark.slow
    def test_the_loader_gives_the_jobs(self, tmp_path: Path) -> None:
        """The half of the bundle's CLI that runs in Python builds the wheel and finds the job."""
        assert init(tmp_path, "--name", "shop", "--pydabs").code == 0
        code = "import resources; print(sorted(resources.load_resources(None).jobs))"
        assert Project(tmp_path).run(sys.executable, "-c", code).output.splitlines()[-1] == "['hello']"

    def test_the_loader_is_at_the_top_of_the_bundle(self, tmp_path: Path) -> None:
        """For a project in a folder of the bundle it names the folder, and a name with a space does no harm."""
        root = tmp_path / "my shop"
        (tmp_path / ".git").mkdir()
        (tmp_path / "databricks.yml").write_text(BUNDLE)
        found = made(root, SHOP, Asked("0.1.0", pydabs=True))
        assert found.changes[1].path == tmp_path / "resources/__init__.py"
        assert 'load_resources(bundle, "my shop")' in found.changes[1].after
        document = yaml.safe_load(after(plan(root, ASKED), "databricks.yml"))
        assert document["experimental"]["scripts"]["preinit"] == "cd 'my shop' && dbxdec bundle"
        assert document["include"] == ["my shop/resources/*.yml"]

    def test_the_script_builds_each_project_of_the_bundle(self, tmp_path: Path) -> None:
        """A second project is not taken for built because the first is: what to write is said, until it is there."""
        (tmp_path / ".git").mkdir()
        bundle = tmp_path / "databricks.yml"

        def told(folder: str, script: str) -> list[str]:
            bundle.write_text(f"{BUNDLE}experimental:\n  scripts:\n    preinit: {script}\n")
            return [
                note.rpartition("preinit: ")[2] for note in made(tmp_path / folder, SHOP).notes if "preinit" in note
            ]

        first = "cd shop && dbxdec bundle"
        assert told("shop", first) == []
        (both,) = told("billing", first)
        assert both == "(cd shop && dbxdec bundle) && (cd billing && dbxdec bundle)"
        assert told("billing", both) == told("shop", both) == []
        assert told("shop-2", both) == [f"{both} && (cd shop-2 && dbxdec bundle)"]
        assert told("billing", "for d in */; do (cd $d && dbxdec bundle); done") == []

    def test_a_loader_of_one_s_own_stays(self, tmp_path: Path) -> None:
        """What to add to it is said, and once it is there no more."""
        own = "def load_resources(bundle):\n    return resources\n"
        found = made(tmp_path, {**SHOP, "resources/__init__.py": own}, Asked("0.1.0", pydabs=True))
        (note,) = found.notes
        assert "resources.add_resources(dbxdec.bundle.load_resources(bundle))" in note
        (tmp_path / "resources/__init__.py").write_text("import dbxdec.bundle\n" + own)
        assert plan(tmp_path, Asked("0.1.0", pydabs=True)).notes == ()

    def test_jobs_are_not_deployed_twice(self, tmp_path: Path) -> None:
        """A resources file that is set is refused with --pydabs; one that a build has left is to be removed."""
        text = PROJECT + '[tool.dbxdec]\nresources = "x.yml"\n'
        assert "deployed twice" in problems(tmp_path / "a", {"pyproject.toml": text}, Asked("0.1.0", pydabs=True))
        left = made(tmp_path / "b", {**SHOP, "resources/dbxdec.yml": ""}, Asked("0.1.0", pydabs=True))
        assert "resources/dbxdec.yml: remove it" in left.notes[0]


class TestBundleThatBuilds:
    @pytest.mark.parametrize(
        "artifact",
        [
            "{type: whl}",
            "{type: whl, path: .}",
            "{type: whl, build: 'python -m build'}",
            "{build: 'poetry build', path: ./}",
            "{type: whl, path: elsewhere, build: make, files: [{source: dist/*.whl}]}",
        ],
    )
    def test_an_artifact_that_builds_the_same_wheel_is_refused(self, tmp_path: Path, artifact: str) -> None:
        """Whether by a command of its own, or by the one that the CLI takes where no `files` are named."""
        said = problems(tmp_path, {**SHOP, "databricks.yml": f"{BUNDLE}artifacts:\n  a: {artifact}\n"})
        assert said.startswith("databricks.yml:4: the bundle builds the wheel of shop in its artifact `a`")

    @pytest.mark.parametrize(
        "artifact",
        [
            "{type: whl, path: other, build: 'uv build'}",
            "{type: whl, files: [{source: dist/*.whl}]}",
            "{type: jar, build: 'sbt package'}",
            "{build: npm run build}",
            "{type: whl, build: make, files: [{source: vendor/*.whl}]}",
        ],
    )
    def test_other_artifacts_are_fine(self, tmp_path: Path, artifact: str) -> None:
        """Another project's wheel, a wheel that is there already, and what is none."""
        made(tmp_path, {**SHOP, "databricks.yml": f"{BUNDLE}artifacts:\n  a: {artifact}\n"})

    def test_an_artifact_of_the_same_name_is_refused(self, tmp_path: Path) -> None:
        """It would be merged with the one that the resources declare, wherever it builds."""
        artifact = "artifacts:\n  shop: {type: whl, path: other, build: make}\n"
        assert "in its artifact `shop`" in problems(tmp_path, {**SHOP, "databricks.yml": BUNDLE + artifact})

    def test_included_files_and_targets_count(self, tmp_path: Path) -> None:
        """The place of an artifact is where it stands."""
        included = "targets:\n  prod:\n    artifacts:\n      mine:\n        type: whl\n        build: hatch build\n"
        said = problems(
            tmp_path, {**SHOP, "databricks.yml": f"{BUNDLE}include: [conf/*.yml]\n", "conf/x.yml": included}
        )
        assert said.startswith("conf/x.yml:4: ")

    @pytest.mark.slow
    def test_check_refuses_it_too(self, tmp_path: Path) -> None:
        """`dbxdec check` has the same rule: exit code 2, file and line; what a build itself declares is fine."""
        project = shop(tmp_path.resolve())
        assert project.build().code == 0
        project.write("databricks.yml", f"{BUNDLE}include: [resources/*.yml]\nvariables: {{lake: {{}}}}\n")
        check = (*INIT[:-1], "check")
        assert project.run(*check).code == 0
        project.write("databricks.yml", f"{BUNDLE}artifacts:\n  python_artifact:\n    type: whl\n    build: uv build\n")
        checked = project.run(*check)
        assert checked.code == 2
        assert "databricks.yml:4: the bundle builds the wheel of shop-pipelines" in checked.output
        project.write("databricks.yml", "bundle: [")
        assert "databricks.yml:2: is not YAML" in project.run(*check).output


class TestWriting:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["crlf", "dotted-keys", "monorepo"])
    def test_the_diff_is_what_git_applies(self, tmp_path: Path, name: str) -> None:
        """--dry-run writes nothing; its diff, given to git, makes the very files that init makes."""
        case = init_cases.load(name)
        one, other = case.write(tmp_path / "one"), case.write(tmp_path / "other")
        for top in (tmp_path / "one", tmp_path / "other"):
            shutil.rmtree(top / ".git", ignore_errors=True)
            subprocess.run(["git", "init", "-q", str(top)], check=True)
        before = tree(tmp_path / "one")
        command = [*INIT, "--dry-run"]
        environment = {name: value for name, value in os.environ.items() if name != "UV"}
        shown = subprocess.run(command, cwd=one, env=environment, capture_output=True, check=True).stdout
        assert tree(tmp_path / "one") == before
        subprocess.run(["git", "apply", "-"], cwd=tmp_path / "one", input=shown, check=True)
        assert init(other).code == 0
        assert tree(tmp_path / "one") == tree(tmp_path / "other")

    def test_where_one_thing_is_wrong_nothing_is_written(self, tmp_path: Path) -> None:
        """A file in the place of a folder, and a bundle that is no YAML, are both said."""
        files = {**SHOP, "databricks.yml": "bundle: [", "tests": ""}
        said = problems(tmp_path, files)
        assert "databricks.yml:2: is not YAML" in said
        before = tree(tmp_path)
        refused = init(tmp_path)
        assert (refused.code, tree(tmp_path)) == (2, before)
        assert "tests: is a file, where a folder is needed" in refused.output

    def test_a_target_that_another_repeats_is_edited_at_once(self, tmp_path: Path) -> None:
        """A second time there is nothing to do: each target has a place of its own."""
        bundle = (
            "bundle:\n  name: shop\ntargets:\n  dev: &dev\n    mode: development\n    default: true\n"
            "  prod:\n    <<: *dev\n    mode: production\n"
        )
        first = made(tmp_path, {**SHOP, "databricks.yml": bundle})
        assert not [note for note in first.notes if "lake_root" in note]
        targets = yaml.safe_load(after(first, "databricks.yml"))["targets"]
        assert targets["dev"]["variables"]["lake_root"].endswith("/dev")
        assert targets["prod"]["variables"]["lake_root"].endswith("/prod")
        write(first)
        assert plan(tmp_path, ASKED).changes == ()

    def test_a_file_that_changes_meanwhile_is_not_overwritten(self, tmp_path: Path) -> None:
        """Between reading and writing somebody may have saved the file, or made it."""
        found = made(tmp_path, SHOP)
        (tmp_path / "pyproject.toml").write_text("# saved in an editor\n")
        (tmp_path / "databricks.yml").write_text("# made meanwhile\n")
        for change in found.changes[:2]:
            with pytest.raises(ConfigError, match="has changed meanwhile"):
                writing.write(change)
        assert (tmp_path / "pyproject.toml").read_text() == "# saved in an editor\n"
        assert (tmp_path / "databricks.yml").read_text() == "# made meanwhile\n"
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".p") or path.name.startswith(".d")]

    def test_links_and_permissions_stay(self, tmp_path: Path) -> None:
        """A pyproject.toml that is a link stays one; its target keeps its mode."""
        found = made(tmp_path / "shop", SHOP)
        real = tmp_path / "real.toml"
        (tmp_path / "shop/pyproject.toml").rename(real)
        real.chmod(0o640)
        (tmp_path / "shop/pyproject.toml").symlink_to(real)
        write(found)
        assert (tmp_path / "shop/pyproject.toml").is_symlink()
        assert "dbxdec" in real.read_text()
        assert real.stat().st_mode & 0o777 == 0o640

    @pytest.mark.parametrize("name", ["databricks.yml", ".gitignore"])
    def test_a_link_to_itself_is_refused(self, name: str, tmp_path: Path) -> None:
        """It leads to no place where the file could be written."""
        (tmp_path / name).symlink_to(name)
        assert f"{name}: is a link in a circle of links" in problems(tmp_path, SHOP)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--lake-root", "/Volumes/main/lake"), "no atomic rename"),
            (("--lake-root", "s3://a b"), "is not a cloud path"),
            (("--nam", "x"), "Did you mean"),
        ],
    )
    def test_wrong_usage(self, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
        """Wrong options end with exit code 2, and nothing is written."""
        refused = init(tmp_path, *arguments)
        assert refused.code == 2
        assert re.sub(r"\s+", " ", said) in re.sub(r"\s+", " ", refused.output)
        assert tree(tmp_path) == {}

    def test_text_in_another_encoding_is_named(self, tmp_path: Path) -> None:
        """What is no UTF-8 or no TOML is said with its path, not shown as a traceback."""
        (tmp_path / "pyproject.toml").write_bytes(b"name = '\xff'\n")
        assert "is not UTF-8" in init(tmp_path).output
        (tmp_path / "pyproject.toml").write_text("[tool\n")
        refused = init(tmp_path)
        assert (refused.code, "is not TOML" in refused.output, "Traceback" in refused.output) == (2, True, False)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory, dbxdec_wheel: Path) -> Path:
    """The commands of an environment as a newcomer makes it: dbxdec from its wheel, hatch, pytest."""
    prefix = tmp_path_factory.mktemp("tools") / "env"
    python = str(prefix / "bin" / "python")
    subprocess.run([*uv(), "venv", "-q", "--python", sys.executable, prefix], check=True)
    wanted = [f"dbxdec[build,cli,polars] @ {dbxdec_wheel.as_uri()}", "hatch", "pytest", "uv"]
    constraints = ["-c", str(ROOT / "constraints.txt")]
    subprocess.run([*uv(), "pip", "install", "-q", "--python", python, *constraints, *wanted], check=True)
    return prefix / "bin"


@pytest.fixture
def newcomer(tmp_path: Path, tools: Path, dbxdec_wheel: Path) -> Project:
    """An empty folder, and those commands on PATH."""
    root = tmp_path / "my-pipelines"
    root.mkdir()
    wheels = str(dbxdec_wheel.parent)
    environment = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "HATCH_DATA_DIR": str(tmp_path / "hatch"),
        "PIP_FIND_LINKS": f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}",
        "UV_FIND_LINKS": wheels,
        "UV_NO_PROGRESS": "1",
    }
    return Project(root, environment)


class TestFromNothing:
    @pytest.mark.slow
    def test_init_build_and_run_work_in_an_empty_folder(self, newcomer: Project) -> None:
        """`dbxdec init && hatch build && dbxdec run hello`, then the tests, the check and the bundle's own command."""
        done = newcomer.run("sh", "-c", "dbxdec init && hatch build && dbxdec run hello")
        assert done.code == 0, done.output
        assert "the longest greeting: Hello, world!" in done.output
        assert set(newcomer.jobs()) == {"hello"}
        assert (newcomer.root / "lake/hello/greetings/_delta_log").is_dir()
        assert newcomer.run("pytest", "-q", "-p", "no:cacheprovider").code == 0
        assert newcomer.run("dbxdec", "check").output == "fine: 1 job, 3 tasks\n"
        assert "building the wheel" in newcomer.run("dbxdec", "bundle").output
        assert newcomer.run("dbxdec", "bundle").output == ""
        bundle = bundlefile.load(newcomer.root / "databricks.yml")
        assert bundle.get("resources", "jobs").keys() == {"hello"}

    @pytest.mark.slow
    def test_git_sees_sources_only(self, newcomer: Project) -> None:
        """After a build and a run nothing that they have made is for a commit."""
        assert newcomer.run("sh", "-c", "git init -q && dbxdec init && hatchling build -t wheel").code == 0
        assert newcomer.run("dbxdec", "run", "hello").code == 0
        seen = newcomer.run("git", "ls-files", "--others", "--exclude-standard").output.splitlines()
        assert [path for path in seen if path.endswith((".py", ".md", ".toml", ".yml", ".gitignore"))] == seen
        assert not [path for path in seen if path.startswith(("dist", "lake", ".dbxdec", "resources"))]

    @pytest.mark.slow
    @pytest.mark.parametrize("uses_uv", [True, False])
    @pytest.mark.sampled(1)
    def test_uv_builds_again_after_an_edit(self, newcomer: Project, uses_uv: bool) -> None:
        """An installed project has the manifest of its files as they are, which without the cache keys it has not."""
        started_by = f"UV={sys.executable}" if uses_uv else "UV="
        assert newcomer.run("sh", "-c", f"{started_by} dbxdec init").code == 0
        # Only the project itself matters here.
        left_out = ("polars", "polars-runtime-32", "deltalake", "arro3-core")
        sync = ("uv", "sync", "-q", "--no-dev", *(word for name in left_out for word in ("--no-install-package", name)))
        newcomer.environment["UV_PROJECT_ENVIRONMENT"] = str(newcomer.root.parent / "env")

        def manifest() -> str:
            done = newcomer.run(*sync)
            assert done.code == 0, done.output
            (path,) = newcomer.root.parent.glob(
                "env/lib/*/site-packages/*.dist-info/extra_metadata/dbxdec/manifest.json"
            )
            return path.read_text(encoding="utf-8")

        before = manifest()
        newcomer.edit("src/my_pipelines/pipelines/hello.py", '"es": "Hola"', '"es": "Hola", "fr": "Salut"')
        assert (manifest() != before) == uses_uv


def test_help_imports_none_of_it() -> None:
    """`dbxdec --help` starts without what init needs."""
    code = (
        "import sys\nfrom dbxdec.cli.app import cli\n"
        "try: cli(['--help'])\nexcept SystemExit: pass\n"
        "late = {'jinja2', 'ruamel', 'tomlkit', 'yaml'}\n"
        "found = [m for m in sys.modules if m.partition('.')[0] in late or 'scaffold' in m]\n"
        "print(found, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "init" in done.stdout
    assert done.stderr.strip() == "[]"


def test_what_it_writes_is_clean(tmp_path: Path) -> None:
    """A person's linter and formatter, at their own line length, find nothing to say."""
    assert init(tmp_path, "--name", "shop", "--pydabs").code == 0
    project = Project(tmp_path)
    for tool in (
        ("ruff", "check", "--isolated", "--no-cache", "--select", RULES, "--ignore", "D104"),
        ("ruff", "format", "--isolated", "--no-cache", "--check"),
    ):
        done = project.run(sys.executable, "-m", *tool, ".")
        assert done.code == 0, done.output


def test_a_folder_whose_name_makes_none_of_a_project_is_named(tmp_path: Path) -> None:
    """The message has the folder's own name, which the author knows."""
    said = problems(tmp_path / "é", {})
    assert "no name of a project can be made of 'é', the name of the folder" in said
    assert "--name my-pipeline" in said
    assert made(tmp_path / "é", {}, Asked("0.1.0", "shop")).changes


def test_an_empty_folder_name_sets_nothing_up(tmp_path: Path) -> None:
    """It comes of a variable that is not set, and does not mean this folder."""
    result = init(tmp_path, "")
    assert result.code == 2
    assert "name a folder, or leave it out for this one" in result.output
    assert tree(tmp_path) == {}
