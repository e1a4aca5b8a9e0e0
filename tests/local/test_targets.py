"""Values of bundle variables for a run on this machine: from whom, in which order, for which target."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from dbxdec.errors import ConfigError, DbxdecError, RunError
from dbxdec.local import targets
from dbxdec.local.variables import local_values
from projects import shop
from running import dbxdec
from terminals import completed

BUNDLE = """
bundle: {name: shop}
include: [resources/*.yml, more.json]
variables:
  root: {default: "s3://${bundle.name}/${bundle.target}"}
  lake: {default: "${var.root}/lake"}
  days: {default: 7}
  late: {default: false}
  rate: {default: 1.5}
  given: {description: nobody has a value}
  empty: {default: null}
  who: {default: "${workspace.current_user.userName}"}
  looked: {lookup: {cluster: small}}
  loop: {default: "${var.pool}"}
  pool: {default: "x${var.loop}"}
  nodes: {type: complex, default: {a: 1}}
  through: {default: "${var.nodes}"}
targets:
  dev:
    default: true
    variables:
      root: s3://dev
      days: {default: 1, description: short}
      looked: {default: "17"}
  prod:
    variables: {late: true, rate: {lookup: {cluster: big}}, empty: null, nodes: [1]}
  bare:
"""
INCLUDED = (
    "variables:\n  far: {default: near}\n  days: {default: 8}\ntargets:\n  dev:\n    variables: {far: from dev}\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project inside of a bundle."""
    (tmp_path / "databricks.yml").write_text(textwrap.dedent(BUNDLE), encoding="utf-8")
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources/more.yml").write_text(INCLUDED, encoding="utf-8")
    (tmp_path / "resources/jobs.yml").write_text("resources: [this is not looked at\n", encoding="utf-8")
    (tmp_path / "more.json").write_text(json.dumps({"variables": {"of_json": {"default": "yes"}}}), encoding="utf-8")
    (tmp_path / "project").mkdir()
    for name in ("DATABRICKS_BUNDLE_TARGET", "DATABRICKS_BUNDLE_ENV"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "project"


def own(folder: Path, **values: str) -> None:
    """The project's own values for this machine."""
    lines = [
        '[project]\nname = "shop"\n[tool.dbxdec.variables]',
        *(f'{name} = "{text}"' for name, text in values.items()),
    ]
    (folder / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, {"root": "s3://dev", "lake": "s3://dev/lake", "days": "1", "late": "false", "bundle.target": "dev"}),
        ("dev", {"root": "s3://dev", "far": "from dev", "of_json": "yes", "looked": "17", "rate": "1.5"}),
        ("prod", {"root": "s3://shop/prod", "lake": "s3://shop/prod/lake", "days": "8", "late": "true"}),
        ("bare", {"lake": "s3://shop/bare/lake", "far": "near", "late": "false", "bundle.target": "bare"}),
    ],
)
def test_a_target_has_its_own_values_and_the_bundles_for_the_rest(
    folder: Path, target: str | None, expected: dict[str, str]
) -> None:
    """Included files count, a later file wins, references are resolved; without a target it is the bundle's default."""
    assert local_values(expected, {}, folder, target) == expected


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("1.0", "1"),
        ("1e3", "1000"),
        ("1e21", "1000000000000000000000"),
        ("1.50", "1.5"),
        ("010", "10"),
        (".inf", "+Inf"),
    ],
)
def test_numbers_are_spelt_as_the_cli_spells_them(folder: Path, written: str, text: str) -> None:
    """Without exponents, and with as few digits as there are (libs/dyn/convert/to_typed.go)."""
    (folder.parent / "databricks.yml").write_text(f"variables: {{x: {{default: {written}}}}}\n")
    assert local_values(["x"], {}, folder) == {"x": text}


def test_a_bundle_with_one_target_has_it_by_default(folder: Path) -> None:
    """As its CLI has it; with several and no default one, a run has none and is `local`."""
    path = folder.parent / "databricks.yml"
    path.write_text("targets: {only: {variables: {x: 1}}}\n")
    assert local_values(["x", "bundle.target"], {}, folder) == {"x": "1", "bundle.target": "only"}
    path.write_text("variables: {x: {default: 2}}\ntargets: {a: {variables: {x: 1}}, b: null}\n")
    assert local_values(["x", "bundle.target"], {}, folder) == {"x": "2", "bundle.target": "local"}
    path.unlink()
    assert local_values(["bundle.target"], {}, folder) == {"bundle.target": "local"}


def test_what_is_nearer_to_the_person_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--var`, `DBXDEC_VAR_`, this machine's values, then the bundle's; a named target's go before this machine's."""
    overrides = folder.parent / ".databricks/bundle/dev/variable-overrides.json"
    overrides.parent.mkdir(parents=True)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("s3://dev", lambda: None),
        ("from overrides", lambda: overrides.write_text('{"root": "from overrides"}')),
        ("from BUNDLE_VAR", lambda: monkeypatch.setenv("BUNDLE_VAR_root", "from BUNDLE_VAR")),
        ("from pyproject", lambda: own(folder, root="from pyproject")),
        ("from DBXDEC_VAR", lambda: monkeypatch.setenv("DBXDEC_VAR_root", "from DBXDEC_VAR")),
    ]
    found, named = [], []
    for _, step in steps:
        step()
        found.append(local_values(["root"], {}, folder)["root"])
        named.append(local_values(["root"], {}, folder, "dev")["root"])
    assert found == [text for text, _ in steps]
    assert named == [*found[:3], "from BUNDLE_VAR", "from DBXDEC_VAR"]
    assert local_values(["root", "lake"], {"root": "by hand"}, folder) == {"root": "by hand", "lake": "by hand/lake"}


def test_the_environment_names_a_target_as_for_the_bundles_cli(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is another default: what a person names on the command line wins."""
    monkeypatch.setenv("DATABRICKS_BUNDLE_TARGET", "prod")
    assert local_values(["bundle.target"], {}, folder) == {"bundle.target": "prod"}
    assert local_values(["bundle.target"], {}, folder, "dev") == {"bundle.target": "dev"}


@pytest.mark.parametrize(
    ("target", "name", "sentence"),
    [
        ("dev", "given", "the bundle variable `given` has no value on this machine for the target `dev`"),
        ("dev", "empty", "the bundle variable `empty` has no value"),
        ("prod", "looked", "the bundle variable `looked` of the target `prod` is looked up in the workspace"),
        ("prod", "rate", "the bundle variable `rate` of the target `prod` is looked up in the workspace"),
        ("dev", "nodes", "the bundle variable `nodes` of the target `dev` is complex"),
        ("dev", "through", "the bundle variable `nodes` of the target `dev` is complex"),
        ("dev", "who", "only the bundle's CLI knows ${workspace.current_user.userName}"),
        ("dev", "loop", "refer to each other in a cycle: loop -> pool -> loop"),
        ("deev", "root", "the bundle databricks.yml has no target `deev`\n    hint: did you mean `dev`?"),
    ],
)
def test_a_value_that_can_not_be_had_is_one_sentence(folder: Path, target: str, name: str, sentence: str) -> None:
    """Said by name, with a way on; other variables cost nothing as long as no task needs them."""
    with pytest.raises(RunError) as refused:
        local_values([name], {}, folder, target)
    assert sentence in str(refused.value)
    assert len(refused.value.problems) == 1


def test_all_that_is_wrong_is_said_at_once(folder: Path) -> None:
    """Each variable that a run needs and can't have."""
    with pytest.raises(RunError) as refused:
        local_values(["given", "nodes", "who", "root"], {}, folder, "dev")
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize("text", ["[1]", "a: [", "\t", "targets: 7\n", "variables: [x]\ntargets: {dev: [x]}\n", "\xff"])
def test_a_bundle_that_is_none_is_said(folder: Path, text: str) -> None:
    """A file that is wrong gives a sentence where its values are needed, and never a traceback."""
    (folder.parent / "databricks.yml").write_text(text, encoding="latin-1")
    for target in (None, "dev"):
        try:
            local_values(["root"], {}, folder, target)
        except DbxdecError as error:
            assert error.problems  # noqa: PT017 - whether it is refused depends on the target
        assert local_values(["root"], {"root": "x"}, folder) == {"root": "x"}


def test_what_is_no_mapping_is_said_with_its_line(folder: Path) -> None:
    """All of them, in all files of the bundle, before a value of a variable that nobody declared is missed."""
    main, more = folder.parent / "databricks.yml", folder.parent / "resources/more.yml"
    main.write_text("include: [resources/*.yml]\nvariables:\n  root: s3://a\ntargets:\n  dev: 3\n", encoding="utf-8")
    more.write_text("targets:\n  prod:\n    variables: [root]\nvariables: x\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        local_values(["root"], {}, folder)
    assert [str(problem).split("\n")[0].removeprefix(f"{folder.parent}/") for problem in refused.value.problems] == [
        "databricks.yml:3: `variables.root` is a string, not a mapping",
        "databricks.yml:5: `targets.dev` is a whole number, not a mapping",
        "resources/more.yml:4: `variables` is a string, not a mapping",
        "resources/more.yml:3: `targets.prod.variables` is a list, not a mapping",
    ]


def test_a_file_of_overrides_that_is_none_is_said(folder: Path) -> None:
    """By its path."""
    overrides = folder.parent / ".databricks/bundle/dev/variable-overrides.json"
    overrides.parent.mkdir(parents=True)
    for text in ("{", "[]"):
        overrides.write_text(text)
        with pytest.raises(RunError, match=r"variable-overrides.json"):
            local_values(["root"], {}, folder)


def test_a_target_needs_a_bundle(tmp_path: Path) -> None:
    """To name one where there is none is a mistake, whatever the job needs."""
    with pytest.raises(RunError, match="there is no bundle for the target `dev`"):
        local_values([], {}, tmp_path, "dev")


def test_two_targets_are_one_too_many(folder: Path) -> None:
    """A run has one."""
    with pytest.raises(RunError, match=r"`--target` says dev, and `--var bundle\.target` says prod"):
        local_values(["root"], {"bundle.target": "prod"}, folder, "dev")


def test_names_are_those_of_the_bundle(folder: Path) -> None:
    """What a shell completes."""
    assert targets.names(folder) == ["dev", "prod", "bare"]
    (folder.parent / "databricks.yml").write_text("a: [")
    with pytest.raises(ConfigError):
        targets.names(folder)


def test_a_run_for_a_target_stays_one(tmp_path: Path) -> None:
    """`dbxdec run --target dev` takes its values, a resumed run keeps them, and the shell completes its name."""
    project = shop(tmp_path.resolve() / "shop")
    project.edit("src/shop/pipelines/sales.py", 'print("REPORT", total, words)', "raise ValueError")
    project.edit("src/shop/pipelines/sales.py", 'bundle_variable("lake")', 'bundle_variable("lake") / bundle_target()')
    project.edit("src/shop/pipelines/sales.py", "import bundle_variable", "import bundle_target, bundle_variable")
    project.write(
        "databricks.yml", "variables: {lake: {default: a}}\ntargets: {dev: {variables: {lake: d}}, prod: null}\n"
    )
    assert completed(project, "dbxdec run sales --target d") == {"dev"}
    said = dbxdec(project, "run", "sales", "-t", "dev")
    assert (said.code, "for the target dev" in said.err) == (1, True)
    assert (project.root / "d/dev/orders").is_dir()
    refused = dbxdec(project, "run", "sales", "--resume", "--target", "prod")
    assert (refused.code, "the run to resume had the values of the target dev" in refused.err) == (2, True)
    assert dbxdec(project, "run", "sales", "--resume").code == 1
    assert not (project.root / "lake").exists()
