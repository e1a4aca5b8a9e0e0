"""What a deploy finds too late, or never, `dbxdec check` and the build say: with the file and the line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import python_resources
from dbxdec.build import bundlechecks, config
from dbxdec.build.tree import read_tree
from dbxdec.errors import DbxdecError, RunError
from dbxdec.local.parameters import check_parameters, variables_of
from dbxdec.model import storage_paths
from projects import Project, Result, shop
from running import dbxdec

SALES = "src/shop/pipelines/sales.py"
DBXDEC = Path(sys.executable).parent / "dbxdec"
BUNDLE = """
bundle:
  name: shop
experimental:
  skip_artifact_cleanup: true
include:
  - resources/*.yml
variables:
  lake:
    default: s3://bucket/shop
targets:
  dev:
    default: true
  prod:
    variables:
      lake: s3://bucket/prod
"""
NOTEBOOK = "# Databricks notebook source\nprint(1)\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = shop(tmp_path / "repository")
    project.write("databricks.yml", BUNDLE)
    return project


def check(project: Project) -> Result:
    return project.run(str(DBXDEC), "check")


def found(project: Project) -> bundlechecks.Found:
    """What is found in the bundle for the jobs of the tree, as a build would have them."""
    resources = config.load(project.root / "pyproject.toml").resources
    return bundlechecks.of_project(project.root, read_tree(project.root).made.manifest, resources)


def assert_found(project: Project, *said: str) -> None:
    text = "\n".join(map(str, found(project).errors))
    for part in said:
        assert part in text


def assert_warned(project: Project, *said: str) -> None:
    assert found(project).errors == ()
    text = "\n".join(map(str, found(project).warnings))
    for part in said:
        assert part in text


def assert_fine(project: Project) -> None:
    assert found(project) == bundlechecks.Found()


def line_of(project: Project, text: str, path: str = SALES) -> str:
    lines = (project.root / path).read_text(encoding="utf-8").splitlines()
    (found,) = [i for i, line in enumerate(lines, 1) if text in line]
    return f"{path}:{found}"


def with_spark(project: Project, manager: str) -> None:
    """The pipeline with frames of Spark, which `manager` stores."""
    text = (project.root / SALES).read_text(encoding="utf-8")
    for before, after in (
        ("PolarsDeltaIoManager", manager),
        ("import polars as pl", "from pyspark.sql import DataFrame"),
        ("pl.DataFrame({", "dict({"),
        ("pl.DataFrame", "DataFrame"),
        ("pl.LazyFrame", "DataFrame"),
    ):
        text = text.replace(before, after)
    project.write(SALES, text)


def native(project: Project, fields: str) -> None:
    """The pipeline with a native task of these fields."""
    project.edit(SALES, "job, job_cluster, task", "job, job_cluster, native_task, task")
    text = (project.root / SALES).read_text(encoding="utf-8").rstrip()
    project.write(SALES, f"{text}\n    native_task('native', {fields})\n")


def test_a_bundle_that_has_all_is_fine(project: Project) -> None:
    """Nothing is said of a project whose bundle declares what it uses."""
    assert check(project).output == "fine: 1 job, 3 tasks\n"
    assert project.build().code == 0


@pytest.mark.slow
def test_check_and_the_build_say_it(project: Project) -> None:
    """What is wrong in the bundle fails `check` and a build, which leaves nothing, and no command of this machine."""
    project.edit("databricks.yml", "  lake:\n    default: s3://bucket/shop", "  x:\n    default: s3://bucket/shop")
    checked, built = check(project), project.build()
    said = f"{line_of(project, '@task(io_manager=lake)')}: the task `sales.orders` uses the bundle variable `lake`"
    assert (checked.code, built.code) == (1, 1)
    assert said in checked.output
    assert said in built.output
    assert project.wheels == []
    assert not project.resources.exists()
    assert project.run(str(DBXDEC), "show", "sales").code == 0


@pytest.mark.slow
def test_a_mistake_in_the_bundle_hides_behind_no_other(project: Project) -> None:
    """Beside a mistake that discovery finds, and one in a setting, an undeclared variable and a taken key are said."""
    project.write("src/shop/pipelines/other.py", OTHER)
    project.edit("databricks.yml", "targets:", "resources: {jobs: {other: {name: x}}}\ntargets:")
    project.edit(SALES, "@task\n    def total", "@task(max_retris=1)\n    def total")
    for wrong in ('report(total(orders(n)), ["a", "b"], 3)', 'report(total(orders(n)), ["a", "b"])'):
        project.edit(SALES, 'report(total(orders(n)), ["a", "b"])', wrong)
        checked, built = check(project), project.build()
        assert (checked.code, built.code) == (1, 1)
        for said in (checked.output, built.output):
            assert "there is no field `max_retris`" in said
            assert ("takes 2 positional arguments but got 3" in said) == (", 3)" in wrong)
            assert "src/shop/pipelines/other.py:8: the job `other` has the key of `resources.jobs.other`" in said
            assert "src/shop/pipelines/other.py:4: the task `other.a` uses the bundle variable `undeclared`" in said
            assert "unknown" not in said
        assert project.wheels == []
        project.edit(SALES, wrong, 'report(total(orders(n)), ["a", "b"])')


def mistaken(project: Project) -> list[str]:
    """What is found in the bundle for a tree with mistakes."""
    settings = config.load(project.root / "pyproject.toml")
    with pytest.raises(DbxdecError) as error:
        read_tree(project.root)
    beside = bundlechecks.of_mistaken(project.root, error.value, settings.resources, settings.extra_libraries)
    return [str(problem) for problem in beside]


def test_a_mistake_in_a_pipeline_hides_no_missing_file(project: Project) -> None:
    """A missing notebook and a missing library are certain, whatever else is wrong; each is said once."""
    native(project, "notebook_task={'notebook_path': 'notebooks/gone.py'}")
    project.edit(SALES, "@task\n    def total", "@task(max_retris=1)\n    def total")
    add_library(project, "libs/q-1-py3-none-any.whl")
    notebook, library = mistaken(project)
    assert notebook.startswith(f"{line_of(project, 'native_task(')}: the task `sales.native`")
    assert "'notebooks/gone.py', which is not there" in notebook
    assert library.startswith("tool.dbxdec.extra-libraries: 'libs/q-1-py3-none-any.whl' is not there")


def test_a_mistake_in_one_job_hides_no_place_of_another_job(project: Project) -> None:
    """Where the tables of a job are in the bundle's targets is known if that job has no mistake of its own."""
    project.edit("databricks.yml", "lake: s3://bucket/prod", "lake: gs:/bucket/prod")
    project.write("src/shop/pipelines/other.py", OTHER.replace("a(bundle_variable", "a(1, 2, bundle_variable"))
    assert any("gs:/bucket/prod/orders" in said and said.startswith("databricks.yml:") for said in mistaken(project))


OTHER = """
from dbxdec import bundle_variable, job, task


@task
def a(x: str, y: str = "") -> None: ...


@job
def other() -> None:
    a(bundle_variable("undeclared"), bundle_variable("not a name"))
"""


READ_AS_NUMBERS = """
from dbxdec import bundle_variable, condition, each, job, task


@task
def count() -> int:
    return 3


@task
def show(x: object) -> None: ...


@job
def sized() -> None:
    condition(count(), ">", bundle_variable("enough")).then(show(1))


@job
def equal() -> None:
    condition(count(), "==", bundle_variable("enough")).then(show(1))


@job
def typed(n: int = bundle_variable("enough"), text: str = bundle_variable("enough")) -> None:
    show([n, text])


@job
def outer() -> None:
    typed(bundle_variable("enough"), "{{job.id}}")


@job
def often(xs: list[int] = [1, 2]) -> None:
    show(each(xs, concurrency=bundle_variable("enough")))
"""
TYPED = "the job parameter `n` is 'three', which is not of the type int"
SAID = {
    "sized": "the bundle variable `enough` is 'three'",
    "equal": "the bundle variable `enough` is 'three', which is not of the type int",
    "typed": TYPED,
    "outer": f"the task `typed` runs the job `typed`, but {TYPED}",
    "often": "the bundle variable `enough` is 'three'",
}
HINTS = {
    "sized": "give it a number: the condition `condition` compares it by size",
    "often": "give it a number from 1 to 100: the task `show` has it as concurrency",
}


def test_a_variable_that_is_read_as_a_number_has_one_in_each_target(project: Project) -> None:
    """What a target's value is in the bundle's files is known; what only a deploy gives is not."""
    project.write("src/shop/pipelines/numbers.py", READ_AS_NUMBERS)
    text = (project.root / "databricks.yml").read_text(encoding="utf-8")
    manifest = read_tree(project.root).made.manifest

    def given(default: str, prod: str = "") -> list[str]:
        written = text.replace("variables:\n", f"variables:\n  enough: {{{default}}}\n", 1)
        project.write("databricks.yml", written + (f"      enough: {prod}\n" if prod else ""))
        found = bundlechecks.of_project(project.root, manifest, "resources/dbxdec.yml").errors
        return [f"{problem.where}: {problem.message}" for problem in found]

    for line, target, errors in (
        (8, "dev", given("default: three")),
        (17, "prod", given("default: 2", prod="three")),
        (17, "prod", given("default: 2", prod="{default: three}")),
    ):
        said = [f"databricks.yml:{line}: the job `{key}` in the target `{target}`: {SAID[key]}" for key in SAID]
        assert sorted(errors) == sorted(
            said[1:]
        )  # one value is said once in the same words: of `often`, not of `sized`
    for fine in (
        given("default: 2"),
        given('default: "2"'),
        given("description: given at deploy"),
        given("lookup: {cluster: three}"),
        given('default: "${workspace.current_user.id}"'),
    ):
        assert fine == []
    assert "is '3.0', which is not of the type int" in "".join(given("default: 3.0"))


@pytest.mark.parametrize("key", SAID)
def test_a_local_run_refuses_such_a_value_before_it_starts(project: Project, key: str) -> None:
    """Also where the value is the default of a parameter alone, and for the jobs that a job runs."""
    project.write("src/shop/pipelines/numbers.py", READ_AS_NUMBERS)
    manifest = read_tree(project.root).made.manifest
    job = manifest.job(key)
    assert variables_of(manifest, job) == {"enough"}
    with pytest.raises(RunError) as raised:
        check_parameters(job, {}, {"enough": "three"}, manifest)
    (problem,) = raised.value.problems
    assert problem.message == SAID[key]
    assert HINTS.get(key, problem.hint) == problem.hint
    check_parameters(job, {}, {"enough": "2"}, manifest)


@pytest.mark.slow
def test_the_default_of_a_parameter_may_be_a_variable_that_nothing_else_needs(project: Project) -> None:
    """A local run looks its value up, unless the parameter is given."""
    project.write("src/shop/pipelines/numbers.py", READ_AS_NUMBERS)
    assert project.run(str(DBXDEC), "run", "typed", "--var", "enough=2").code == 0
    assert project.run(str(DBXDEC), "run", "typed", "-p", "n=2", "-p", "text=x").code == 0
    assert project.run(str(DBXDEC), "run", "typed", "-p", "n=2").code == 2


@pytest.mark.slow
def test_check_and_the_build_warn_of_it(project: Project) -> None:
    """What is probably not meant is said by both, and stops neither."""
    project.edit("databricks.yml", "lake: s3://bucket/prod", "lake: data/lake")
    checked, built = check(project), project.build()
    assert (checked.code, built.code) == (0, 0)
    for output in (checked.output, built.output):
        assert "warning: databricks.yml:15: the task `sales.orders` in the target `prod`" in output


class TestVariables:
    def test_an_undeclared_variable(self, project: Project) -> None:
        """A variable that an IoManager uses and the bundle does not declare is named at the task."""
        project.edit(
            "databricks.yml", "  lake:\n    default: s3://bucket/shop", "  lakes:\n    default: s3://bucket/shop"
        )
        assert_found(
            project,
            f"{line_of(project, '@task(io_manager=lake)')}: the task `sales.orders` uses the bundle variable `lake`, "
            "which databricks.yml does not declare",
            "did you mean `lakes`?",
        )

    def test_an_undeclared_variable_in_a_setting(self, project: Project) -> None:
        """In a setting of the job it is named at the job, with what to write."""
        project.edit(SALES, "@job(cluster=small)", "@job(cluster=small, tags={'team': '${var.landing}'})")
        assert_found(
            project,
            f"{line_of(project, '@job(')}: the job `sales` uses the bundle variable `landing`",
            "under `variables` of databricks.yml: `landing: {description: ..., default: ...}`",
        )

    def test_a_variable_of_an_included_file(self, project: Project) -> None:
        """What any file of the bundle declares is declared."""
        project.edit("databricks.yml", "variables:\n  lake:\n    default: s3://bucket/shop\n", "")
        project.write("resources/variables.yml", "variables: {lake: {default: s3://bucket}}\n")
        assert_fine(project)

    def test_a_complex_variable(self, project: Project) -> None:
        """A complex variable can be no parameter of a task: the platform would get none."""
        project.edit("databricks.yml", "    default: s3://bucket/shop", "    type: complex\n    default: {a: b}")
        assert_found(project, "`lake`, which is complex")

    def test_a_bundle_that_takes_the_jobs_from_elsewhere(self, project: Project) -> None:
        """A bundle that does not include the resources says nothing of the jobs."""
        project.edit("databricks.yml", "resources/*.yml", "conf/*.yml")
        project.edit("databricks.yml", "  lake:\n", "  other:\n")
        assert_fine(project)

    def test_a_bundle_that_would_deploy_nothing_is_a_note_of_check(self, project: Project) -> None:
        """It may be meant so, but a deploy without the jobs would say nothing."""
        assert bundlechecks.passed_over(project.root, "resources/dbxdec.yml") is None
        assert bundlechecks.passed_over(project.root, None) is not None
        project.edit("databricks.yml", "resources/*.yml", "conf/*.yml")
        shown = dbxdec(project, "check")
        assert shown.code == 0
        assert "note: a deploy of databricks.yml has no jobs of this project: nothing under `include`" in shown.err
        assert "matches resources/dbxdec.yml" in shown.err
        assert "write `include: [resources/*.yml]`" in shown.err
        project.edit("databricks.yml", "bundle:", 'python: {resources: ["resources:load_resources"]}\nbundle:')
        assert bundlechecks.passed_over(project.root, "resources/dbxdec.yml") is None

    def test_a_bundle_above_the_project(self, tmp_path: Path) -> None:
        """The bundle may be above the project, in the same repository."""
        project = shop(tmp_path / "repository" / "services" / "shop")
        top = Project(tmp_path / "repository")
        (top.root / ".git").mkdir()
        top.write("databricks.yml", BUNDLE.replace("resources/", "services/shop/resources/").replace("  lake:", "  x:"))
        assert_found(project, "which ../../databricks.yml does not declare")


class TestKeys:
    @pytest.mark.parametrize("kind", ["jobs", "pipelines"])
    def test_a_key_that_a_hand_written_resource_has(self, project: Project, kind: str) -> None:
        """A bundle takes each key once, whatever the kind: both places are named."""
        project.write("resources/own.yml", f"resources:\n  {kind}:\n    sales:\n      name: x\n")
        assert_found(
            project,
            f"{line_of(project, '@job(')}: the job `sales` has the key of `resources.{kind}.sales`",
            "at resources/own.yml:3",
        )

    def test_a_key_in_the_main_file(self, project: Project) -> None:
        """What changes a job belongs to a target."""
        text = (project.root / "databricks.yml").read_text(encoding="utf-8")
        project.write("databricks.yml", f"{text}resources:\n  jobs:\n    sales:\n      max_concurrent_runs: 3\n")
        assert_found(project, "has the key of `resources.jobs.sales` at databricks.yml:", "targets.<target>.resources")

    def test_what_a_target_changes_is_fine(self, project: Project) -> None:
        """A target may change a job of the resources."""
        project.edit(
            "databricks.yml",
            "      lake: s3://bucket/prod",
            "      lake: s3://bucket/prod\n    resources:\n      jobs:\n        sales: {max_concurrent_runs: 3}",
        )
        assert_fine(project)


def _notebook(path: str) -> str:
    return f"notebook_task={{'notebook_path': {path!r}}}"


def _script(path: str) -> str:
    return f"spark_python_task={{'python_file': {path!r}}}, cluster=small"


def _query(path: str) -> str:
    return f"sql_task={{'file': {{'path': {path!r}}}, 'warehouse_id': '1'}}"


def _dbt(path: str) -> str:
    return f"dbt_task={{'project_directory': {path!r}, 'commands': ['dbt run']}}, cluster=small"


def _library(kind: str, path: str) -> str:
    return f"{_notebook('notebooks/show.py')}, cluster=small, libraries=[{{{kind!r}: {path!r}}}]"


class TestFiles:
    @pytest.mark.sampled(4)
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            (_notebook("notebooks/shw.py"), "'notebooks/shw.py', which is not there|did you mean `show.py`?"),
            (_notebook("notebooks/show"), "'notebooks/show', which is not there|'show.py'"),
            (_notebook("plain.py"), "'plain.py', a file that is not a notebook|# Databricks notebook source"),
            (_notebook("query.sql"), "a file that is not a notebook|-- Databricks notebook source"),
            (_notebook("../show.py"), "which is outside of the bundle"),
            (_script("plan.py"), "'plan.py', which is not there|did you mean `plain.py`?"),
            (_script("notebooks/show.py"), "which is a notebook|notebook_task"),
            (_query("querry.sql"), "did you mean `query.sql`?"),
            (_dbt("dbt"), "'dbt', which is not there"),
            (_library("requirements", "r.txt"), "`libraries[0].requirements` 'r.txt', which is not there"),
            (_library("whl", "libs/*.jar"), "`libraries[0].whl` 'libs/*.jar', which is not there"),
        ],
    )
    def test_a_file_that_is_not_there_or_something_else(self, project: Project, fields: str, said: str) -> None:
        """A file that a native task names is looked at, and what is wrong is said at the task's line."""
        project.write("notebooks/show.py", NOTEBOOK)
        project.write("plain.py", "print(1)\n")
        project.write("query.sql", "select 1\n")
        native(project, fields)
        assert_found(project, f"{line_of(project, 'native_task(')}: the task `sales.native` has the", *said.split("|"))

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize(
        "fields",
        [
            _notebook("notebooks/show.py"),
            _notebook("notebooks/show.ipynb"),
            _notebook("/Workspace/Shared/show"),
            _notebook("${var.lake}/show"),
            _script("plain.py"),
            _query("query.sql"),
            _dbt("notebooks"),
            _library("whl", "libs/*.whl"),
        ],
    )
    def test_files_that_are_there(self, project: Project, fields: str) -> None:
        """Files that the platform takes, and places that are not the project's, are fine."""
        project.write("notebooks/show.py", NOTEBOOK)
        project.write("notebooks/show.ipynb", "{}")
        project.write("plain.py", "print(1)\n")
        project.write("query.sql", "select 1\n")
        project.write("libs/x-1-py3-none-any.whl", "")
        native(project, fields)
        assert_fine(project)

    @pytest.mark.parametrize("library", ["libs/own-1-py3-none-any.whl", "own-1-py3-none-any.whl", "own*.whl"])
    def test_an_extra_library(self, project: Project, library: str) -> None:
        """A wheel among the extra libraries that is not there is named by its setting, once."""
        add_library(project, library)
        assert_found(project, f"tool.dbxdec.extra-libraries: {library!r} is not there")
        assert str(found(project).errors).count("is not there") == 1

    @pytest.mark.parametrize("library", ["own @ https://x.example/own-1-py3-none-any.whl", "own[a]@https://x/own.whl"])
    def test_a_requirement_with_the_url_of_a_wheel(self, project: Project, library: str) -> None:
        """It is no file of the project."""
        add_library(project, library)
        assert_fine(project)


def add_library(project: Project, library: str) -> None:
    settings = "[tool.dbxdec.variables]"
    project.edit("pyproject.toml", settings, f'[tool.dbxdec]\nextra-libraries = ["{library}"]\n{settings}')


class TestPlaces:
    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("/Volumes/main/lake", "/Volumes/main/lake/orders, a mount without atomic rename"),
            ("dbfs:/lake", "dbfs:/lake/orders, a mount without atomic rename"),
            ("/dbfs/lake", "/dbfs/lake/orders, a mount without atomic rename"),
            ("s3:/bucket", "s3:/bucket/orders, which has one slash after `s3:`|write s3://bucket/orders"),
            ("s3//bucket", "has no `:` after its scheme|write s3://bucket/orders"),
            ("abfs://x", ""),
            ("abffs://x", "has the unknown scheme `abffs`|did you mean `abfs"),
        ],
    )
    def test_a_value_of_a_target(self, project: Project, value: str, said: str) -> None:
        """A place that can't be, in one target, is an error at the line of the value, which names the target."""
        project.edit("databricks.yml", "lake: s3://bucket/prod", f"lake: {value}")
        if not said:
            assert_fine(project)
            return
        where = line_of(project, f"lake: {value}", "databricks.yml")
        assert_found(
            project, f"{where}: the task `sales.orders` in the target `prod` has its table at", *said.split("|")
        )

    def test_a_mount_is_one_by_its_file_url_too(self, project: Project) -> None:
        """`file:/Volumes/...` is where `/Volumes/...` is."""
        project.edit("databricks.yml", "lake: s3://bucket/prod", "lake: file:/Volumes/a/b")
        assert_found(project, "file:/Volumes/a/b/orders, a mount without atomic rename")

    @pytest.mark.slow
    def test_a_default_is_said_once(self, project: Project) -> None:
        """A default that several targets have is one mistake, at its line."""
        project.edit("databricks.yml", "    variables:\n      lake: s3://bucket/prod\n", "    mode: production\n")
        project.edit("databricks.yml", "default: s3://bucket/shop", "default: dbfs:/lake")
        assert_found(project, f"{line_of(project, 'default: dbfs', 'databricks.yml')}: ")
        assert str(found(project).errors).count("atomic rename") == 1

    @pytest.mark.slow
    def test_a_relative_place_is_warned_of(self, project: Project) -> None:
        """A relative path is on the disk of a machine that goes: a warning, since a local bundle may mean it."""
        project.edit("databricks.yml", "lake: s3://bucket/prod", "lake: data/lake")
        where = line_of(project, "lake: data/lake", "databricks.yml")
        assert_warned(
            project,
            f"{where}: the task `sales.orders` in the target `prod` has its table at data/lake/orders, a relative path",
        )

    @pytest.mark.slow
    @pytest.mark.sampled(3)
    @pytest.mark.parametrize(
        "value",
        ["/data/lake", "/mnt/lake", "file:///data/lake", "file:/data/lake", "FILE:/data", "C:/lake", "memory://lake"],
    )
    def test_a_place_of_one_machine_is_warned_of(self, project: Project, value: str) -> None:
        """An absolute path and a `file:` one are no more shared than a relative one, however they are written."""
        project.edit("databricks.yml", "lake: s3://bucket/prod", f"lake: {value}")
        where = line_of(project, f"lake: {value}", "databricks.yml")
        assert_warned(
            project,
            f"{where}: the task `sales.orders` in the target `prod` has its table at {value}/orders, on the machine "
            "that runs the task, and lost with it",
        )

    @pytest.mark.slow
    def test_a_place_in_the_code(self, project: Project) -> None:
        """A place that no variable begins is said where the task is called."""
        project.edit(SALES, 'base_path=bundle_variable("lake")', "base_path=f\"/Volumes/{bundle_variable('lake')}\"")
        assert_found(project, f"{line_of(project, 'report(total(orders(n))')}: ", "a mount without atomic rename")

    def test_a_variable_that_names_another(self, project: Project) -> None:
        """Variables in values are followed, and the target's own name too."""
        project.edit(
            "databricks.yml", "lake: s3://bucket/prod", "lake: ${var.root}/${bundle.target}\n      root: /Volumes/a"
        )
        project.edit("databricks.yml", "variables:\n  lake:", "variables:\n  root: {}\n  lake:")
        assert_found(project, "has its table at /Volumes/a/prod/orders")

    def test_a_table_of_a_catalog_is_no_relative_path(self, project: Project) -> None:
        """Also where the bundle's target says which catalog it is."""
        with_spark(project, "SparkTableIoManager")
        project.edit(SALES, "base_path=", "")
        project.edit("databricks.yml", "lake: s3://bucket/prod", "lake: main.gold")
        project.edit("databricks.yml", "default: s3://bucket/shop", "default: dev.gold")
        assert_fine(project)

    def test_spark_may_use_a_volume(self, project: Project) -> None:
        """Spark commits in another way."""
        with_spark(project, "SparkDeltaIoManager")
        project.edit("databricks.yml", "lake: s3://bucket/prod", "lake: dbfs:/lake")
        assert found(project).errors == ()


@pytest.mark.parametrize("scheme", ["s3:/bucket/x", "S3:bucket/x", "s3//bucket/x", "sss3://bucket/x"])
def test_a_misspelt_scheme_in_the_code_needs_no_bundle(tmp_path: Path, scheme: str) -> None:
    """`s3:/bucket` would become a folder of the machine: it is refused at the task, with what to write."""
    project = shop(tmp_path / "repository")
    project.edit(SALES, 'base_path=bundle_variable("lake")', f'base_path="{scheme}"')
    with pytest.raises(DbxdecError) as caught:
        read_tree(project.root)
    where = line_of(project, "report(total(orders(n))")
    assert f"{where}: the task `sales.orders` uses {scheme}/orders" in str(caught.value)


@given(st.sampled_from(storage_paths.SCHEMES), st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_what_engines_know_is_fine(scheme: str, rest: str) -> None:
    """Each scheme with two slashes, paths of machines and drives have nothing wrong."""
    for place in (f"{scheme}://{rest}", f"/{rest}/x", f"{rest}/x", f"C:/{rest}", f"c:\\{rest}"):
        assert list(storage_paths.misspelt(place, "dbxdec.io_managers:PolarsDeltaIoManager")) == []


def test_schemes_of_other_managers_are_their_authors(tmp_path: Path) -> None:
    """A manager of the author's own may have a scheme that no storage has."""
    assert list(storage_paths.misspelt("warehouse://table", "shop.io:Mine")) == []
    assert list(storage_paths.misspelt("warehouse://table", "dbxdec.io_managers:PolarsDeltaIoManager"))


class TestWheelsOfRunsInFlight:
    @pytest.mark.slow
    def test_a_clean_up_is_warned_of(self, project: Project) -> None:
        """A bundle that says nothing about it removes the wheels of earlier deploys."""
        project.edit("databricks.yml", "  skip_artifact_cleanup: true", "  skip_artifact_cleanup: false")
        assert_warned(
            project, "databricks.yml:3: a deploy removes the wheels of earlier deploys, which runs in flight still use"
        )

    def test_a_target_that_undoes_the_version_is_warned_of(self, project: Project) -> None:
        """The fields of a target replace those of the resources."""
        undone = "  dev:\n    artifacts:\n      shop-pipelines:\n        dynamic_version: false\n"
        project.edit("databricks.yml", "  dev:\n", undone)
        assert_warned(
            project, "databricks.yml:14: `targets.dev.artifacts.shop-pipelines` gives the wheel no version of its own"
        )

    def test_a_preset_of_the_target_gives_it_back(self, project: Project) -> None:
        """It counts for every artifact."""
        undone = "  dev:\n    artifacts: {shop-pipelines: {dynamic_version: false}}\n"
        project.edit("databricks.yml", "  dev:\n", undone + "    presets: {artifacts_dynamic_version: true}\n")
        assert_fine(project)


class TestPythonResources:
    ARTIFACT = (
        "artifacts:\n  shop: {type: whl, files: [{source: ./dist/shop_pipelines-*.whl}], dynamic_version: true}\n"
    )
    KEPT = "experimental: {skip_artifact_cleanup: true}\n"
    LOADER = 'python:\n  resources: ["dbxdec.bundle:load_resources"]\n'

    def said(self, project: Project, more: str, *, resources: bool = False) -> list[str]:
        """The summaries of what `load_resources` says in a bundle."""
        if not resources:
            project.edit(
                "pyproject.toml", "[tool.dbxdec.variables]", "[tool.dbxdec]\nresources = false\n[tool.dbxdec.variables]"
            )
        project.write("databricks.yml", f"bundle: {{name: shop}}\nvariables: {{lake: {{}}}}\n{self.LOADER}{more}")
        result, found = python_resources(project.root, "dbxdec.bundle:load_resources")
        assert result.code == 0, result.output
        assert {entry["severity"] for entry in found["diagnostics"]} <= {"warning"}
        return [entry["summary"] for entry in found["diagnostics"]]

    @pytest.mark.slow
    def test_a_bundle_that_keeps_wheels_is_fine(self, project: Project) -> None:
        """With the artifact and without the clean-up there is nothing to say."""
        assert self.said(project, self.ARTIFACT + self.KEPT) == []

    @pytest.mark.slow
    def test_a_missing_artifact(self, project: Project) -> None:
        """Without a declared wheel each deploy uploads over the last one: a warning with what to write."""
        (said,) = self.said(project, self.KEPT)
        assert "declares no artifact for shop_pipelines-1.2.0-py3-none-any.whl" in said

    @pytest.mark.slow
    @pytest.mark.parametrize("pattern", ["./dist/other-*.whl", "./out/*.whl"])
    def test_an_artifact_of_another_wheel(self, project: Project, pattern: str) -> None:
        """An artifact that does not take the wheel in does not count."""
        (said,) = self.said(project, self.ARTIFACT.replace("./dist/shop_pipelines-*.whl", pattern) + self.KEPT)
        assert "declares no artifact" in said

    @pytest.mark.slow
    def test_an_artifact_without_a_version(self, project: Project) -> None:
        """A declared wheel without a version of its own is named."""
        (said,) = self.said(project, self.ARTIFACT.replace(", dynamic_version: true", "") + self.KEPT)
        assert said.startswith("`artifacts.shop` gives the wheel no version of its own")

    @pytest.mark.slow
    def test_a_preset_gives_versions_too(self, project: Project) -> None:
        """`artifacts_dynamic_version` among the presets is as good, of all targets or of this one."""
        artifact = self.ARTIFACT.replace(", dynamic_version: true", "")
        preset = "targets: {dev: {presets: {artifacts_dynamic_version: true}}}\n"
        assert self.said(project, artifact + self.KEPT + preset) == []

    @pytest.mark.slow
    def test_a_target_gives_the_version(self, project: Project) -> None:
        """The fields of a target are merged with those above it."""
        artifact = self.ARTIFACT.replace(", dynamic_version: true", "")
        target = "targets: {dev: {artifacts: {shop: {dynamic_version: true}}}}\n"
        assert self.said(project, artifact + self.KEPT + target) == []

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("top", "target"),
        [
            ("", "artifacts: {shop: {dynamic_version: false}}"),
            ("presets: {artifacts_dynamic_version: true}\n", "presets: {artifacts_dynamic_version: false}"),
        ],
    )
    def test_a_target_takes_the_version_away(self, project: Project, top: str, target: str) -> None:
        """What the target says counts."""
        artifact = self.ARTIFACT.replace(", dynamic_version: true", "") if top else self.ARTIFACT
        more = f"targets: {{dev: {{{target}}}}}\n"
        (said,) = self.said(project, artifact + self.KEPT + top + more)
        assert said.startswith("`artifacts.shop` gives the wheel no version of its own")

    @pytest.mark.slow
    def test_a_clean_up(self, project: Project) -> None:
        """A deploy that removes the wheels of the one before is warned of."""
        (said,) = self.said(project, self.ARTIFACT)
        assert said == "a deploy removes the wheels of earlier deploys, which runs in flight still use"

    @pytest.mark.slow
    def test_a_newer_wheel_beside(self, project: Project) -> None:
        """The CLI gives a version only to the newest of several wheels: one that lies in the way is named."""
        project.write("dist/shop_pipelines-9.0-py3-none-any.whl", "")
        (said,) = self.said(project, self.ARTIFACT + self.KEPT)
        assert said.startswith("shop_pipelines-9.0-py3-none-any.whl lies beside shop_pipelines-1.2.0-py3-none-any.whl")

    @pytest.mark.slow
    def test_resources_that_no_include_takes_are_no_second_job(self, project: Project) -> None:
        """Resources in a file are warned of only where the bundle includes it: strict validation has nothing to say."""
        assert self.said(project, self.ARTIFACT + self.KEPT + "include: [conf/*.yml]\n", resources=True) == []

    @pytest.mark.slow
    def test_resources_that_an_include_takes_are(self, project: Project) -> None:
        """Where the bundle includes the file each job is there twice."""
        (said,) = self.said(project, self.ARTIFACT + self.KEPT + "include: [resources/*.yml]\n", resources=True)
        assert "has each job twice" in said
