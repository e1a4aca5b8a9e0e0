"""Edits of TOML and YAML files of any shape: what is meant is there, and all that was there is still there."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dbxdec.scaffold import ignore, pyproject
from dbxdec.scaffold.edits import TomlEditing, YamlEditing
from dbxdec.scaffold.layout import Package

ITEMS = ['"hatchling>=1.27"', "'hatch-vcs'", '"""triple"quoted"""', '"a # b"', "'c, ] d'", r'"e \" f"']
COMMENTS = ["", "  # why", " # with ] and ,"]


@st.composite
def arrays(draw: st.DrawFn) -> str:
    """An array of texts: on one line or on many, with and without commas at the end and comments."""
    items = draw(st.lists(st.sampled_from(ITEMS), max_size=4))
    if draw(st.booleans()):
        inside = draw(st.sampled_from(["", " "]))
        trailing = draw(st.sampled_from(["", ",", " ,"])) if items else ""
        return f"[{inside}{', '.join(items)}{trailing}{inside}]"
    indent = draw(st.sampled_from(["", "  ", "    ", "\t"]))
    lines = ["["]
    for i, item in enumerate(items):
        comma = "," if i < len(items) - 1 or draw(st.booleans()) else ""
        lines.append(f"{indent}{item}{comma}{draw(st.sampled_from(COMMENTS))}")
        if draw(st.booleans()):
            lines.append(draw(st.sampled_from(["", f"{indent}# more"])))
    closing = draw(st.sampled_from(["", indent]))
    return "\n".join([*lines, f"{closing}]"])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A pyproject.toml: its tables in any order and form, other tools between them, CRLF or not."""
    requires, dependencies = draw(arrays()), draw(arrays())
    sections = [
        draw(
            st.sampled_from(
                [
                    f'[build-system]\nrequires = {requires}\nbuild-backend = "hatchling.build"\n',
                    f'[ build-system ]  # how\nbuild-backend = "hatchling.build"\n"requires" = {requires}\n',
                ]
            )
        ),
        draw(
            st.sampled_from(
                [
                    f'[project]\nname = "shop"\nversion = "1"\ndependencies = {dependencies}\n',
                    f'[project]\ndependencies = {dependencies}\nname = "shop"\nversion = "1"\n[project.urls]\na = ""\n',
                    '[project]\nname = "shop"\nversion = "1"\n',
                ]
            )
        ),
        *draw(
            st.sampled_from(
                [
                    [],
                    ['[tool.hatch.build.hooks.vcs]\nversion-file = "x.py"\n'],
                    ['[tool.hatch.build]\nhooks.vcs.version-file = "x.py"\n'],
                    ['[tool.hatch]\nbuild.hooks = { vcs = { version-file = "x.py" } }\n'],
                    ['[tool.hatch.version]\npath = "y"\n', "[tool.hatch.build.targets.wheel.hooks.custom]\n"],
                    ["[tool.hatch.build.targets.wheel]\n# nothing yet\n", "[tool.hatch.build.hooks.a]\n"],
                ]
            )
        ),
        *draw(
            st.sampled_from([[], ["[tool.uv]\n"], ["[tool.uv.sources]\na = { path = 'b' }\n"], ["[[tool.uv.index]]\n"]])
        ),
        *draw(st.sampled_from([[], ["[tool.dbxdec]\ntimeout = 3\n"], ["[tool.dbxdec.variables]\nother = 1\n"]])),
        *draw(
            st.lists(
                st.sampled_from(["[tool.ruff]\na = '''\n[x]\n'''\n", "# about a\n[tool.a]\n[[tool.b]]\nc = 1\n"]),
                max_size=1,
            )
        ),
    ]
    blank = draw(st.sampled_from(["", "\n", "\n\n"]))
    text = blank.join(draw(st.permutations(sections)))
    text = text.rstrip("\n") if draw(st.booleans()) else text
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@given(documents(), st.booleans(), st.booleans())
def test_pyproject_of_any_shape(text: str, lake: bool, pydabs: bool) -> None:
    """All that is wanted is in, the hook behind all others; what was there is; a second edit changes nothing."""
    before = tomllib.loads(text)
    hatch = before.get("tool", {}).get("hatch", {})
    wanted = pyproject.Wanted(
        "shop",
        Package("src/shop", "shop"),
        "0.1.0",
        engine="polars",
        lake=lake,
        pydabs=pydabs,
        watched=("src/**/*.py",),
    )
    edited = pyproject.edit(text, hatch, wanted)
    assert edited.notes == []
    document = tomllib.loads(edited.text)
    assert "dbxdec[build]>=0.1" in document["build-system"]["requires"]
    assert "dbxdec[polars]>=0.1" in document["project"]["dependencies"]
    build = document["tool"]["hatch"]["build"]
    assert (
        list({**build.get("hooks", {}), **build.get("targets", {}).get("wheel", {}).get("hooks", {})})[-1] == "dbxdec"
    )
    assert document["tool"]["uv"]["cache-keys"] == [{"file": "pyproject.toml"}, {"file": "src/**/*.py"}]
    assert (document["tool"].get("dbxdec", {}).get("variables", {}).get("lake_root") == "lake") == lake
    assert (document["tool"].get("dbxdec", {}).get("resources") is False) == pydabs
    assert holds(document, before)
    assert kept(edited.text, text)
    assert edited.text.count("\r\n") == (edited.text.count("\n") if "\r\n" in text else 0)
    assert pyproject.edit(edited.text, document["tool"]["hatch"], wanted).text == edited.text


def holds(document: Any, before: Any) -> bool:
    """Whether everything of `before` is in the document."""
    if isinstance(before, dict):
        return isinstance(document, dict) and all(
            key in document and holds(document[key], value) for key, value in before.items()
        )
    if isinstance(before, list):
        items = iter(document)
        return isinstance(document, list) and all(item in items for item in before)
    return bool(document == before)


def kept(text: str, before: str) -> bool:
    """Whether the letters of `before` are in the text in their order: nothing was taken away or moved."""
    letters = iter(text)
    return all(letter in letters for letter in before)


TARGETS = [
    "targets:\n  dev:\n    mode: development\n  prod:\n    mode: production\n",
    "targets:\n    dev:\n        mode: development # c\n        # host:\n        #   x\n\n    prod:\n\n# end\n",
    "targets: {dev: {mode: development}, prod: {}}\n",
    "targets:\n  dev: {mode: development}\n  prod: &p\n    variables: {other: 1}\n",
    "targets:\n  dev:\n  prod:\n    variables:\n      text: |\n        several\n        lines\n\n",
]
INCLUDES = [
    "",
    "include: [a.yml]\n",
    "include:\n- a.yml  # x\n- b.yml\n# c\n",
    "include:\n  # first\n  - a.yml\n",
    "include:\n",
]
EXPERIMENTAL = [
    "experimental:\n  scripts:\n    preinit:  # none\n    postinit: x\n",
    "",
    "experimental:\n  python_wheel_wrapper: true\n",
    "experimental: {scripts: {}}\n",
    "experimental:\n  scripts:\n    postinit: >-\n      echo\n      done\n  # last\n",
]


@given(
    st.permutations(["bundle:\n  name: shop\n", "targets", "include", "experimental"]),
    st.sampled_from(TARGETS),
    st.sampled_from(INCLUDES),
    st.sampled_from(EXPERIMENTAL),
    st.sampled_from(["", "\n"]),
    st.booleans(),
)
def test_yaml_of_any_shape(
    order: list[str], targets: str, include: str, experimental: str, blank: str, crlf: bool
) -> None:
    """Keys and items are put where they belong, comments and all else stay; a text that can't be edited is refused."""
    texts = {"targets": targets, "include": include, "experimental": experimental}
    text = blank.join(texts.get(part, part) for part in order)
    text = text.replace("\n", "\r\n") if crlf else text
    before = yaml.safe_load(text)
    editing = YamlEditing("databricks.yml", text)
    for target in ("dev", "prod"):
        editing.put(("targets", target, "variables", "lake_root"), f"s3://b/{target}")
    editing.put(("experimental", "scripts", "preinit"), "dbxdec bundle")
    if before.get("include"):
        editing.append(("include",), "resources/*.yml", "")
    else:
        editing.put(("include",), ["resources/*.yml"])
    assert editing.notes == []
    edited = editing.text
    document = yaml.safe_load(edited)
    assert [document["targets"][name]["variables"]["lake_root"] for name in ("dev", "prod")] == [
        "s3://b/dev",
        "s3://b/prod",
    ]
    assert document["experimental"]["scripts"]["preinit"] == "dbxdec bundle"
    assert document["include"] == [*(before.get("include") or []), "resources/*.yml"]
    assert kept(edited, text)
    assert edited.count("\r\n") == (edited.count("\n") if crlf else 0)


@pytest.mark.parametrize(
    "text",
    [
        "targets: &t\n  dev: {}\nother: *t\n",  # would change both
        "targets:\n  dev: &d {}\n  prod:\n    <<: *d\n",  # the same
        "targets:\n  dev: [a]\n",
        "targets:\n  dev: text\n",
        "targets:\n  dev: ~\n",  # would lose the `~`
        "targets:\n  dev: {variables: {x: 1}}\n",  # is there already
        "targets:\n  dev:\n    script: |+\n      a\n\n  prod: {}\n",  # blank lines that are content
        "%YAML 1.2\n---\ntargets:\n  dev: {}\n",
        "targets:\n  dev: {}\n...\n",
        "- a list\n",
        "targets: {\n",
        "# nothing\n",
        "targets:\n  dev: {}\n#" + "-" * 100_000,
    ],
)
def test_yaml_that_can_t_be_edited_safely(text: str) -> None:
    """What is shared by an alias, written out as nothing, or something else than expected is left to the user."""
    editing = YamlEditing("databricks.yml", text)
    editing.put(("targets", "dev", "variables", "x"), 1)
    said = "databricks.yml:\n    targets:\n      dev:\n        variables:\n          x: 1"
    assert (editing.text, editing.notes) == (text, [said])


@pytest.mark.parametrize(
    ("text", "path"),
    [("a = 1\n", ("a", "b")), ("a = [1]\n", ("a", "b")), ("[[a]]\n", ("a",)), ("[a]\nb.x = 1\n", ("a", "b"))],
)
def test_toml_that_can_t_be_edited_safely(text: str, path: tuple[str, ...]) -> None:
    """What is no table, a list of tables, or there already is left to the user."""
    editing = TomlEditing("pyproject.toml", text)
    editing.put((*path, "x"), 2)
    assert (editing.text, editing.notes) == (text, [f"pyproject.toml:\n[{'.'.join(path)}]\nx = 2"])


def test_what_a_library_gets_wrong_is_left_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another value, a lost comment, a moved line, an exception: the file stays, and the lines to add are said."""
    text = "# about a\n[a]\nb = 1\n# about c\nc = 1\n"
    wrong = [
        "# about a\n[a]\nb = 2\n# about c\nc = 1\nx = 1\n",
        "[a]\nb = 1\n# about c\nc = 1\nx = 1\n",
        "# about a\n[a]\n# about c\nc = 1\nb = 1\nx = 1\n",
        "# about a\n[a]\nb = 1\n# about c\nc = 1\n",
        "# about a\n[a]\nb = 1\n# about c\nc = 1\nx = \n",
        None,
    ]
    for written in wrong:
        monkeypatch.setattr("tomlkit.dumps", lambda _, found=iter((text, written) * 2): next(found))
        editing = TomlEditing("pyproject.toml", text)
        editing.append(("a", "x"), 1, "by hand")
        editing.put(("a", "x"), 1)
        assert editing.text == text
        assert editing.notes[0] == "by hand"
        assert len(editing.notes) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Comments stay with what they are about.
        ("a:\n  b: 1\n\n# about c\nc: 1\n", "a:\n  b: 1\n  x: 1\n\n# about c\nc: 1\n"),
        ("a:\n  b: 1\n  # own\n# about c\nc: 1\n", "a:\n  b: 1\n  # own\n  x: 1\n# about c\nc: 1\n"),
        ("a:\n  b: 1  # own\n\n\n# end", "a:\n  b: 1  # own\n  x: 1\n\n\n# end"),
        # The spaces of others stay, and the start of the document.
        ("# c\n---\na:\n  b:   [ 1,2 ]   # d\n", "# c\n---\na:\n  b:   [ 1,2 ]   # d\n  x: 1\n"),
        ("\ufeffa:\n  b: 1\n", "\ufeffa:\n  b: 1\n  x: 1\n"),
        ("\n\na:\n    b: 1\nc:\n  - 1\nd:\n- 1\n", "\n\na:\n    b: 1\n    x: 1\nc:\n  - 1\nd:\n- 1\n"),
        ("a:\n  b: a long\n    text\n  c: [1,\n  2]\n", "a:\n  b: a long\n    text\n  c: [1,\n  2]\n  x: 1\n"),
        # Each line keeps its own end.
        ("a:\r\n  b: 1\nc: 1\r\n", "a:\r\n  b: 1\n  x: 1\r\nc: 1\r\n"),
        ("a: {b: 1}\nc: 1", "a: {b: 1, x: 1}\nc: 1"),
        ("c: 1", "c: 1\n\na:\n  x: 1\n"),
    ],
)
def test_lines_of_yaml_stay(text: str, expected: str) -> None:
    """An edit adds lines, or to a line, and changes nothing else."""
    editing = YamlEditing("databricks.yml", text)
    editing.put(("a", "x"), 1)
    assert editing.text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a]\nb = 1\n\n# about c\n[c]\n", "[a]\nb = 1\n\n[a.x]\ny = 1\n\n# about c\n[c]\n"),
        ("[a]\nb = 1\n[c]", "[a]\nb = 1\n\n[a.x]\ny = 1\n\n[c]"),
        ("[a]\nb.c = 1\n", "[a]\nb.c = 1\n\n[a.x]\ny = 1\n"),
        ("a.b = 1\nc = 1\n", "a.b = 1\na.x = { y = 1 }\nc = 1\n"),
        ("a = { b = 1 }\r\n[c]\r\n", "a = { b = 1, x = {y = 1}}\r\n[c]\r\n"),
        ("[a.x.z]\n", "[a.x]\ny = 1\n\n[a.x.z]\n"),
        ("", "[a.x]\ny = 1\n"),
    ],
)
def test_lines_of_toml_stay(text: str, expected: str) -> None:
    """A new table stands apart from others, and between no comment and what it is about."""
    editing = TomlEditing("pyproject.toml", text)
    editing.put(("a", "x", "y"), 1)
    assert editing.text == expected


@pytest.mark.parametrize("rule", ["dist", "dist/", "/dist", "/dist/", "**/dist/", "dist/*", "/dist/**"])
def test_what_git_ignores_already_needs_no_rule(rule: str) -> None:
    """However a folder is ignored, no rule is added for it, nor for what is in it."""
    assert ignore.add(f"{rule}\n", ["dist/"]) == f"{rule}\n"
    assert ignore.add(f"{rule}\n", ["dist/made/jobs.yml"]) == f"{rule}\n"
    assert ignore.add(f"{rule}\n", ["dist/", "lake/"]) == f"{rule}\n\n/lake/\n"


def test_rules_for_files_of_a_kind_count() -> None:
    """A pattern for the files of that folder is a rule for each of them."""
    assert ignore.add("resources/*.yml\n", ["resources/dbxdec.yml"]) == "resources/*.yml\n"
    assert ignore.add("*.log", ["resources/dbxdec.yml"]) == "*.log\n\n/resources/dbxdec.yml\n"
