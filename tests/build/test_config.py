"""`[tool.dbxdec]`: typed, with every mistake at once, each at its TOML path."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbxdec.build.config import Config, load, sound
from dbxdec.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_settings_the_defaults_hold(tmp_path: Path) -> None:
    """A project that says nothing gets the documented defaults."""
    assert load(write(tmp_path, "[project]\nname = 'x'\n")) == Config()
    assert Config().resources == "resources/dbxdec.yml"
    assert Config().pipelines is None
    assert Config().timeout == 60


def test_every_setting_is_read(tmp_path: Path) -> None:
    """Each key has its type; scalars of variables and environment become texts."""
    text = """
        [tool.dbxdec]
        pipelines = ["a.pipelines", "b"]
        resources = "conf/jobs.json"
        missing-imports = "error"
        extra-libraries = ["polars>=1"]
        timeout = 2.5
        lock = "../uv.lock"
        lock-python = "3.12"
        lock-exclude = ["Some.Package", "other"]
        [tool.dbxdec.variables]
        root = "lake"
        dry = true
        size = 3
        [tool.dbxdec.discovery-env]
        STAGE = "build"
    """
    assert load(write(tmp_path, text)) == Config(
        pipelines=("a.pipelines", "b"),
        resources="conf/jobs.json",
        missing_imports="error",
        extra_libraries=("polars>=1",),
        timeout=2.5,
        variables={"root": "lake", "dry": "true", "size": "3"},
        discovery_env={"STAGE": "build"},
        lock="../uv.lock",
        lock_python="3.12",
        lock_exclude=("some-package", "other"),
    )


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("pipelines = 'a.pipelines'", "tool.dbxdec.pipelines"),
        ("pipelines = []", "tool.dbxdec.pipelines"),
        ("pipelines = ['a', 'not a module']", "tool.dbxdec.pipelines[1]"),
        ("resources = true", "tool.dbxdec.resources"),
        ("resources = 'jobs.txt'", "tool.dbxdec.resources"),
        ("resources = '/etc/jobs.yml'", "tool.dbxdec.resources"),
        ("resources = '../jobs.yml'", "tool.dbxdec.resources"),
        ("resources = 'a/../../jobs.yml'", "tool.dbxdec.resources"),
        ("resources = 'C:/jobs.yml'", "tool.dbxdec.resources"),
        ("resources = '..\\jobs.yml'", "tool.dbxdec.resources"),
        ("resources = ''", "tool.dbxdec.resources"),
        ("resources = 'resources/.yml'", "tool.dbxdec.resources"),
        ('resources = "jobs\\u0000.yml"', "tool.dbxdec.resources"),
        ("resources = ['jobs.yml']", "tool.dbxdec.resources"),
        ("pipelines = ['.a']", "tool.dbxdec.pipelines[0]"),
        ("pipelines = [1]", "tool.dbxdec.pipelines[0]"),
        ("missing-imports = []", "tool.dbxdec.missing-imports"),
        ("missing-imports = true", "tool.dbxdec.missing-imports"),
        ("extra-libraries = 'polars'", "tool.dbxdec.extra-libraries"),
        ("missing-imports = 'stand_in'", "tool.dbxdec.missing-imports"),
        ("extra-libraries = [3]", "tool.dbxdec.extra-libraries[0]"),
        ("extra-libraries = ['']", "tool.dbxdec.extra-libraries[0]"),
        ("extra-libraries = ['a', 'a.whl[x]']", "tool.dbxdec.extra-libraries[1]"),
        ("timeout = 0", "tool.dbxdec.timeout"),
        ("timeout = true", "tool.dbxdec.timeout"),
        ("timeout = -1", "tool.dbxdec.timeout"),
        ("timeout = '60'", "tool.dbxdec.timeout"),
        ("timeout = inf", "tool.dbxdec.timeout"),
        ("timeout = nan", "tool.dbxdec.timeout"),
        (f"timeout = 1{'0' * 400}", "tool.dbxdec.timeout"),
        ("timeout = 1e300", "tool.dbxdec.timeout"),
        ("variables = 3", "tool.dbxdec.variables"),
        ("variables = {a = []}", "tool.dbxdec.variables.a"),
        ("discovery-env = {A = 1979-05-27}", "tool.dbxdec.discovery-env.A"),
        ("discovery-env = ['A']", "tool.dbxdec.discovery-env"),
        ("discovery-env = {'' = 'x'}", 'tool.dbxdec.discovery-env.""'),
        ("discovery-env = {'A=B' = 'x'}", 'tool.dbxdec.discovery-env."A=B"'),
        ('discovery-env = {A = "\\u0000"}', "tool.dbxdec.discovery-env.A"),
        ("'a b' = 1", 'tool.dbxdec."a b"'),
        ("lock = true", "tool.dbxdec.lock"),
        ("lock = 'poetry.lock'", "tool.dbxdec.lock"),
        ("lock = 'requirements.txt'", "tool.dbxdec.lock"),
        ("lock = 'pylock.a.b.toml'", "tool.dbxdec.lock"),
        ("lock = '/x/uv.lock'", "tool.dbxdec.lock"),
        ("lock = 'C:/uv.lock'", "tool.dbxdec.lock"),
        ('lock = "a\\u0000/uv.lock"', "tool.dbxdec.lock"),
        ("lock = 'uv.lock'\nlock-python = '3.10'", "tool.dbxdec.lock-python"),
        ("lock = 'uv.lock'\nlock-python = '3.12.1'", "tool.dbxdec.lock-python"),
        ("lock = 'uv.lock'\nlock-python = 3.12", "tool.dbxdec.lock-python"),
        ("lock = 'uv.lock'\nlock-exclude = 'pyspark'", "tool.dbxdec.lock-exclude"),
        ("lock = 'uv.lock'\nlock-exclude = ['a', 'b>=1']", "tool.dbxdec.lock-exclude[1]"),
        ("lock-python = '3.12'", "tool.dbxdec.lock-python"),
        ("lock-exclude = ['a']", "tool.dbxdec.lock-exclude"),
    ],
)
def test_a_wrong_value_is_refused_at_its_path(tmp_path: Path, setting: str, path: str) -> None:
    """Each wrong value is one problem at its TOML path."""
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, f"[tool.dbxdec]\n{setting}\n"))
    assert [problem.where for problem in error.value.problems] == [path]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("pipelines = 'a.pipelines'", 'is a string, not a list\n    hint: write `["a.pipelines"]`'),
        ("extra-libraries = ['  ']", "is empty"),
        ("extra-libraries = [1.5]", "is a float, not a string"),
        (
            "extra-libraries = ['libs/q-1-py3-none-any.whl[a,b]']",
            "a wheel with extras, which clusters can't install\n    hint: name the wheel alone, \"libs/q-1-py3",
        ),
        (
            "extra-libraries = ['--index-url https://u:p@h/simple']",
            "has a password or a token in https://***@h/simple\n",
        ),
        ("extra-libraries = ['q @ git+https://token@github.com/o/q']", "token in git+https://***@github.com/o/q\n"),
        ("resources = true", "is a boolean\n    hint: a path below the project's root"),
        ("missing-imports = 'standin'", "is 'standin'\n    hint: did you mean `stand-in`?"),
        ("missing-imports = 7", 'is 7\n    hint: write "stand-in" or "error"'),
        ("timeout = 0", "is 0\n    hint: a number of seconds above 0"),
        ("missing_imports = 'error'", "unknown setting\n    hint: did you mean `missing-imports`?"),
        ("resource = 'x.yml'", "unknown setting\n    hint: did you mean `resources`?"),
        ("lock = 'uv.lock'\nlock-python = 3.12", 'is a float\n    hint: write it as a string: "3.12"'),
        ("lock-python = '3.12'", 'has no effect without a lock\n    hint: name the lock: `lock = "uv.lock"`'),
        ("lock = 'Pipfile.lock'", "is 'Pipfile.lock'\n    hint: the path of a uv.lock, a pylock.toml or"),
        ("variables = []", "is a list, not a table\n    hint: write `[tool.dbxdec.variables]`"),
    ],
)
def test_a_mistake_says_what_was_found_and_what_to_write(tmp_path: Path, setting: str, said: str) -> None:
    """Each problem names what is there, and its hint what to write instead."""
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, f"[tool.dbxdec]\n{setting}\n"))
    assert said in str(error.value)


@pytest.mark.parametrize("value", ["resources/./jobs.yml", "./resources/jobs.yml", "resources\\jobs.yml"])
def test_a_path_has_one_form(tmp_path: Path, value: str) -> None:
    """However a path below the root is spelt, it is kept with `/` and no `.` parts."""
    assert load(write(tmp_path, f"[tool.dbxdec]\nresources = '{value}'\n")).resources == "resources/jobs.yml"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("./uv.lock", "uv.lock"),
        ("..\\..\\uv.lock", "../../uv.lock"),
        ("locks//pylock.jobs.toml", "locks/pylock.jobs.toml"),
    ],
)
def test_a_lock_may_lie_outside(tmp_path: Path, value: str, path: str) -> None:
    """The lock of a workspace is above the project; it has one form too."""
    assert load(write(tmp_path, f"[tool.dbxdec]\nlock = '{value}'\n")).lock == path


def test_all_mistakes_of_a_file_come_at_once(tmp_path: Path) -> None:
    """Unknown keys, with what was meant, and wrong values are in one error."""
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, "[tool.dbxdec]\npipeline = ['a']\ntimeout = 'x'\nresources = 3\nzzz = 1\n"))
    text = str(error.value)
    assert len(error.value.problems) == 4
    assert "tool.dbxdec.pipeline: unknown setting\n    hint: did you mean `pipelines`?" in text
    assert "known settings are pipelines" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool\n", "is not TOML"),
        ("[tool]\ndbxdec = 3\n", "is an integer, not a table"),
        ("[[tool.dbxdec]]\ntimeout = 3\n", "is a list, not a table"),
        ("tool = 3\n", ""),
    ],
)
def test_what_is_no_table_is_said(tmp_path: Path, text: str, said: str) -> None:
    """Broken TOML and a setting that is no table are errors; a file without our table is not."""
    if not said:
        assert load(write(tmp_path, text)) == Config()
        return
    with pytest.raises(ConfigError, match=said):
        load(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A pyproject.toml that is not there is named with its path."""
    with pytest.raises(ConfigError, match=r"pyproject\.toml can't be read"):
        load(tmp_path / "pyproject.toml")


def test_bytes_that_are_no_utf8_are_no_toml(tmp_path: Path) -> None:
    """A file in another encoding is an error that names it."""
    (tmp_path / "pyproject.toml").write_bytes(b"name = '\xff'\n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml:1: is not UTF-8"):
        load(tmp_path / "pyproject.toml")


def test_false_means_no_resources(tmp_path: Path) -> None:
    """`resources = false` turns the file off."""
    assert load(write(tmp_path, "[tool.dbxdec]\nresources = false\n")).resources is None


def test_libraries_without_secrets_are_taken_as_they_are(tmp_path: Path) -> None:
    """A user without a password that is no token, and what only the bundle knows, are no secrets."""
    libraries = [
        "q @ git+ssh://git@github.com/o/q@1",
        "q @ git+https://git@github.com/o/q@1",
        "q @ git+https://contoso@dev.azure.com/contoso/data/_git/q@1",
        "q[a] @ https://h/q-1-py3-none-any.whl",
        "--index-url https://${var.user}:${var.password}@h/simple",
        "libs/q-1-py3-none-any.whl",
    ]
    assert load(write(tmp_path, f"[tool.dbxdec]\nextra-libraries = {libraries}\n")).extra_libraries == tuple(libraries)


@pytest.mark.parametrize("wrong", ["timeout = 'x'", "color = 1", "extra-libraries = 3", "lock = 3", "resources = true"])
def test_a_wrong_setting_leaves_the_others_to_read_the_pipelines_by(tmp_path: Path, wrong: str) -> None:
    """The mistake is said, and the default stands in its place."""
    config, problems = sound(write(tmp_path, f"[tool.dbxdec]\npipelines = ['a']\n{wrong}\n"))
    assert config == Config(pipelines=("a",))
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("pipelines = 'a'", Config(pipelines=("a",))),
        ("pipeline = ['a']", Config(pipelines=("a",))),
        ("pipeline = 'a'", Config(pipelines=("a",))),
        ("missing_imports = 'error'", Config(missing_imports="error")),
        ("missing-imports = 'errors'", Config(missing_imports="error")),
        ("missing-imports = 'x'", Config()),
        ("missing-imports = true", Config()),
        ("discovery-env = { DAY = 2024-01-31 }", Config(discovery_env={"DAY": "2024-01-31"})),
        ("discovery-env = { STAGES = ['a'], N = 1 }", Config(discovery_env={"STAGES": '["a"]', "N": "1"})),
        ("discovery_env = { N = 1 }", Config(discovery_env={"N": "1"})),
        ("timeouts = 5", Config()),
    ],
)
def test_a_wrong_setting_whose_meaning_is_clear_is_read_as_it_is_meant(
    tmp_path: Path, wrong: str, meant: Config
) -> None:
    """The mistake is said, and the pipelines are read all the same, so that theirs are said with it."""
    config, problems = sound(write(tmp_path, f"[tool.dbxdec]\n{wrong}\n"))
    assert config == meant
    assert len(problems) == 1


def test_a_misspelt_setting_does_not_replace_the_right_one(tmp_path: Path) -> None:
    """`pipeline` beside `pipelines` is a mistake of its own."""
    config, problems = sound(write(tmp_path, "[tool.dbxdec]\npipelines = ['a']\npipeline = ['b']\n"))
    assert config == Config(pipelines=("a",))
    assert len(problems) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "pipelines = 3",
        "pipelines = ['a', 'b c']",
        "pipelines = []",
        "pipeline = 3",
        "discovery-env = 1",
        "discovery-env = { 'A=B' = 1 }",
        "'",
    ],
)
def test_without_what_the_pipelines_need_they_are_not_read(tmp_path: Path, wrong: str) -> None:
    """Else the project would have mistakes that its author has not made."""
    config, problems = sound(write(tmp_path, f"[tool.dbxdec]\n{wrong}\n"))
    assert config is None
    assert len(problems) == 1


def test_a_part_of_a_lock_is_no_lock(tmp_path: Path) -> None:
    """A wrong Python for a lock does not make the lock ask for one."""
    config, _ = sound(write(tmp_path, "[tool.dbxdec]\nlock = 'uv.lock'\nlock-python = 3\n"))
    assert config == Config()
