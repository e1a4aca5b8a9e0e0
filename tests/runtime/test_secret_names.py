"""Each secret has a value of its own: no two are read from one variable of the environment."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbxdec import RunError, job, secret, task
from dbxdec.build.discovery.process import discover
from dbxdec.build.discovery.spec import ShippedFile
from dbxdec.errors import DiscoveryError
from dbxdec.model import literals, secrets
from dbxdec.testing import run_job
from secret_shapes import FORMS, SHAPES

FIRST, SECOND = ("a", "b-c"), ("a-b", "c")
SHARED, OWN_FIRST, OWN_SECOND = "DBXDEC_SECRET_A_B_C", "DBXDEC_SECRET_a/b-c", "DBXDEC_SECRET_a-b/c"


@pytest.fixture(autouse=True)
def _no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbxdec.model.secrets.find_dbutils", lambda: None)
    for name in (SHARED, OWN_FIRST, OWN_SECOND):
        monkeypatch.delenv(name, raising=False)


@job
def two() -> None:
    @task
    def both(first: str, second: str) -> list[str]:
        return [first, second, secret(*FIRST).value(), secret(*SECOND).value()]

    both(secret(*FIRST), secret(*SECOND))


class TestInATest:
    def test_secrets_of_one_variable_keep_their_values(self) -> None:
        """What a test gives reaches the secret that it names, and is gone after the run."""
        result = run_job(two, secrets={"a/b-c": "one", "a-b/c": "two"})
        assert result["both"].value == ["one", "two", "one", "two"]
        assert not [name for name in os.environ if name.startswith("DBXDEC_SECRET_")]

    def test_a_value_of_the_environment_is_no_other_secret_s(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One is given, the other is only in the variable of both: nobody knows whose it is."""
        monkeypatch.setenv(SHARED, "whose")
        with pytest.raises(RunError, match=rf"{SHARED} would be the value of several secrets: `a-b/c` and `a/b-c`"):
            run_job(two, secrets={"a/b-c": "one"})

    def test_the_case_of_names_does_not_count(self) -> None:
        """As on the platform: a name in other letters is the same secret, and two values for it are a mistake."""

        @job
        def one() -> None:
            @task
            def shout(key: str) -> str:
                return key

            shout(secret("Vault", "key"))

        assert run_job(one, secrets={"vault/KEY": "v"})["shout"].value == "v"
        with pytest.raises(RunError, match="`Vault/key` and `vault/KEY` are one secret"):
            run_job(one, secrets={"Vault/key": "one", "vault/KEY": "two"})


class TestInTheEnvironment:
    def test_one_secret_has_the_documented_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable of its own comes before it."""
        monkeypatch.setenv("DBXDEC_SECRET_LONELY_API_KEY", "documented")
        key = secret("lonely", "api-key")
        assert key.value() == "documented"
        monkeypatch.setenv("DBXDEC_SECRET_lonely/api-key", "own")
        assert key.value() == secret("Lonely", "API-key").value() == "own"

    def test_a_variable_of_two_secrets_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each of them needs a variable of its own; the hint names both."""
        first, second = secret(*FIRST), secret(*SECOND)
        monkeypatch.setenv(SHARED, "whose")
        for key in (first, second):
            with pytest.raises(RunError) as caught:
                key.value()
            assert f"set `{OWN_SECOND}` and `{OWN_FIRST}` instead" in str(caught.value)
            assert "whose" not in str(caught.value)
        monkeypatch.setenv(OWN_FIRST, "one")
        assert first.value() == "one"
        with pytest.raises(RunError):
            second.value()
        monkeypatch.setenv(OWN_SECOND, "two")
        assert (first.value(), second.value()) == ("one", "two")

    @pytest.mark.parametrize("own", [False, True])
    def test_a_project_with_such_secrets_is_refused_where_the_variable_is_set(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
    ) -> None:
        """Jobs of different modules: `check`, builds and `dbxdec run` say so at the start; a deploy needs no value."""
        body = (
            "from dbxdec import job, secret, task\n\n@job\ndef {name}() -> None:\n    @task\n"
            "    def step(key: str) -> int:\n        return 1\n\n    step(secret({names}))\n"
        )
        files = []
        for path, text in {
            "p/__init__.py": "",
            "p/one.py": body.format(name="one", names='"a", "b-c"'),
            "p/two.py": body.format(name="two", names='"a-b", "c"'),
        }.items():
            target = tmp_path / path
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)
            files.append(ShippedFile(path, str(target), f"src/{path}"))
        assert set(discover(files, project="p", version="1", pipelines=["p"]).jobs) == {"one", "two"}
        monkeypatch.setenv(SHARED, "whose")
        if own:
            monkeypatch.setenv(OWN_FIRST, "one")
            monkeypatch.setenv(OWN_SECOND, "two")
            assert set(discover(files, project="p", version="1", pipelines=["p"]).jobs) == {"one", "two"}
        else:
            with pytest.raises(DiscoveryError, match=f"{SHARED} would be the value of several secrets"):
                discover(files, project="p", version="1", pipelines=["p"])


NAMES = st.text("aBc1_-.@", min_size=1, max_size=4)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=2))
def test_only_one_secret_has_its_own_variable(names: list[tuple[str, str]]) -> None:
    """Equal variables are equal names, but for their case."""
    first, second = (secret(*name) for name in names)
    same = [part.lower() for part in names[0]] == [part.lower() for part in names[1]]
    assert (first.own_variable == second.own_variable) == same
    assert secrets.named("/".join(names[0])) == first


class TestInAManifest:
    def test_a_value_that_reached_a_job_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By whatever way; the message names the variable and the place, and does not have the value."""
        monkeypatch.setenv("DBXDEC_SECRET_VAULT_KEY", "Ab1Cd2Ef3Gh4")
        text = """
import os
from dbxdec import job, task

TOKEN = os.environ.get("DBXDEC_SECRET_VAULT_KEY", "")


@task
def fetch(url: str) -> int: ...


@job
def daily() -> None:
    fetch(f"https://x:{TOKEN}@y")
"""
        (tmp_path / "p.py").write_text(text)
        with pytest.raises(DiscoveryError) as caught:
            discover([ShippedFile("p.py", str(tmp_path / "p.py"), "p.py")], project="p", version="1", pipelines=["p"])
        (problem,) = caught.value.problems
        assert problem.message.startswith(
            "the job `daily` has the value of the secret in DBXDEC_SECRET_VAULT_KEY (`tasks"
        )
        assert "Ab1Cd2Ef3Gh4" not in str(caught.value)

    @pytest.mark.parametrize("form", [*FORMS, "base64", "base64 inside", "hex", "bytes"])
    @pytest.mark.parametrize("shape", ["URL", "quotes", "lines", "letters", "long"])
    def test_a_value_is_found_in_every_form(self, shape: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Escaped or encoded, it would be in the wheel all the same."""
        value = SHAPES[shape]
        monkeypatch.setenv("DBXDEC_SECRET_VAULT_KEY", value)
        octets = value.encode()
        encoded = {
            "base64": base64.b64encode(octets).decode(),
            "base64 inside": base64.urlsafe_b64encode(b"u:" + octets).decode(),
            "hex": octets.hex(),
        }
        given: Any = octets if form == "bytes" else encoded[form] if form in encoded else FORMS[form](value)
        (problem,) = secrets.leaked({"daily": {"a": [1, {"b": literals.encode(given)}]}}, {})
        assert "(`a.1.b" in problem.message

    def test_a_number_and_a_key_may_be_the_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each is in the manifest as a string is; the message does not show the key."""
        monkeypatch.setenv("DBXDEC_SECRET_VAULT_KEY", "4711471147")
        for form in ({"n": 4711471147}, {"4711471147": 1}):
            (problem,) = secrets.leaked({"daily": {"a": form}}, {})
            assert "4711471147" not in problem.message

    def test_a_part_of_a_value_is_no_leak(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A job may show how a URL or a key begins, and have a line that every key has."""
        monkeypatch.setenv("DBXDEC_SECRET_VAULT_KEY", SHAPES["lines"])
        monkeypatch.setenv("DBXDEC_SECRET_VAULT_URL", SHAPES["URL"])
        form = {"doc": "Give it -----BEGIN KEY----- or https://user..."}
        assert secrets.leaked({"daily": form}, {}) == []
