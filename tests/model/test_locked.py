"""The pins of a lock in the manifest: by compute, part of the build id, kept by a round trip, refused when damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from dbxdec.errors import ManifestError
from dbxdec.model import manifest
from dbxdec.model.locked import UNKNOWN, Locked, Pins, of_cluster, of_environment, python_of
from dbxdec.model.manifest import Manifest

SCHEMA = json.loads((files("dbxdec.model") / "manifest.schema.json").read_text(encoding="utf-8"))
PINS = Pins(("acme==1.2", "polars==1.44.0"), {"acme": "https://index.invalid/simple"})
LOCKED = Locked({"3.11": Pins(("polars==1.44.0",)), "3.12": PINS}, {"15.4.x-scala2.12": "3.11", UNKNOWN: "3.12"})
WHEELS = {"libs/acme-1.1-py3-none-any.whl": "a" * 64}
MADE = Manifest("shop", "1.0", "0" * 64, "dbxdec 0", {}, wheels=WHEELS, locked=LOCKED)


@pytest.mark.parametrize(
    ("version", "python"),
    [
        ("15.4.x-scala2.12", "3.11"),
        ("16.0.x-scala2.12", "3.12"),
        ("16.4.x-cpu-ml-scala2.13", "3.12"),
        ("16.4.x-photon-scala2.12", "3.12"),
        ("17.3.x-scala2.13", "3.12"),
        ("18.1.x-gpu-ml-scala2.13", "3.12"),
        ("14.3.x-scala2.12", None),
        ("15.3.x-scala2.12", None),
        ("19.0.x-scala2.13", None),
        ("auto:latest-lts", None),
        ("custom:16.4.x-scala2.12", None),
        ("", None),
        ("16", None),
        ("٣.٤.x-scala", None),
    ],
)
def test_the_runtime_of_a_cluster_says_its_python(version: str, python: str | None) -> None:
    """15.4 has 3.11, 16 to 18 have 3.12; of others nothing is guessed."""
    assert python_of(of_cluster({"spark_version": version})) == python


@pytest.mark.parametrize(
    "cluster",
    [None, {}, {"policy_id": "x"}, {"spark_version": "${var.version}"}, {"spark_version": 3}, "${var.cluster}"],
)
def test_a_cluster_may_keep_its_python_to_itself(cluster: Any) -> None:
    """Existing clusters, policies and variables."""
    assert of_cluster(cluster) == UNKNOWN
    assert python_of(UNKNOWN) is None


@pytest.mark.parametrize(
    ("spec", "python"),
    [
        ({}, "3.12"),
        ({"environment_version": "2"}, "3.11"),
        ({"environment_version": "3"}, "3.12"),
        ({"client": "4"}, "3.12"),
        ({"environment_version": "1"}, None),
        ({"environment_version": "99"}, None),
        ({"environment_version": "${var.v}"}, None),
        ({"base_environment": "/Workspace/x.yml", "environment_version": "4"}, None),
    ],
)
def test_the_version_of_an_environment_says_its_python(spec: dict[str, Any], python: str | None) -> None:
    """The version that is emitted where the author gives none counts too."""
    assert python_of(of_environment(spec, "4")) == python


def test_pins_are_found_by_compute() -> None:
    """Each compute gets the pins of its Python; one that the build did not know is an error."""
    assert LOCKED.on(UNKNOWN) == PINS
    assert LOCKED.on("15.4.x-scala2.12").packages == ("polars==1.44.0",)
    with pytest.raises(ManifestError, match=r"no pins for the compute '16\.4\.x'"):
        LOCKED.on("16.4.x")


def test_a_manifest_keeps_them() -> None:
    """After a round trip they are the same, and the document is one of the published schema."""
    content = manifest.encode(MADE)
    found = manifest.decode(content, "x.whl")
    assert (found.wheels, found.locked) == (WHEELS, LOCKED)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(content))
    plain = manifest.encode(replace(MADE, wheels={}, locked=None))
    assert not {"wheels", "locked"} & set(json.loads(plain))
    assert manifest.decode(plain, "x.whl").locked is None


def test_they_are_part_of_the_build_id() -> None:
    """Another pin, index, Python or content of a wheel is another build; the order of keys is none."""
    pins = {"3.12": replace(PINS, packages=("acme==1.3", "polars==1.44.0"))}
    others = [
        replace(MADE, locked=None),
        replace(MADE, locked=replace(LOCKED, pins={**LOCKED.pins, **pins})),
        replace(MADE, locked=replace(LOCKED, pins={**LOCKED.pins, "3.12": replace(PINS, indexes={})})),
        replace(MADE, locked=replace(LOCKED, pythons={**LOCKED.pythons, UNKNOWN: "3.11"})),
        replace(MADE, wheels={}),
        replace(MADE, wheels=dict.fromkeys(WHEELS, "b" * 64)),
    ]
    ids = {one.digest_with([("a", "b")]) for one in (MADE, *others)}
    assert len(ids) == len(others) + 1
    turned = replace(LOCKED, pins=dict(sorted(LOCKED.pins.items(), reverse=True)))
    assert replace(MADE, locked=turned).digest_with([]) == MADE.digest_with([])
    assert turned.id == LOCKED.id
    assert len({one.locked.id for one in (MADE, *others) if one.locked}) == 4


def test_without_them_the_build_id_is_what_it_was() -> None:
    """A project without a lock and without wheels beside its own has the id of its jobs and files."""
    assert replace(MADE, wheels={}, locked=None).digest_with([("a", "b")]) == manifest.digest("shop", {}, [("a", "b")])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wheels": []}, "wheels is a list, not an object"),
        ({"wheels": {"a.whl": 3}}, r"wheels\.a\.whl is a whole number, not a string"),
        ({"wheels": {"a.whl": "x"}}, r"wheels\.a\.whl is 'x', not a sha256 in hex"),
        ({"wheels": {"a": "0" * 64}}, "wheels have the path 'a'"),
        ({"wheels": {"\n.whl": "0" * 64}}, "wheels have the path"),
        ({"locked": 3}, "locked.pins|locked is a whole number, not an object"),
        ({"locked": {"pins": {}}}, "locked.pythons is missing"),
        ({"locked": {"pins": {"3.12": {}}, "pythons": {}}}, r"locked\.pins\.3\.12\.packages is missing"),
        ({"locked": {"pins": {}, "pythons": {"x": 3}}}, r"locked\.pythons\.x is a whole number, not a string"),
        ({"locked": {"pins": {"3.12": {"packages": ["a\x1b[2J"]}}, "pythons": {}}}, "locked has 'a.x1b"),
        ({"locked": {"pins": {"3.12": {"packages": [""]}}, "pythons": {}}}, "locked has ''"),
    ],
)
def test_damaged_ones_are_refused_with_their_place(change: dict[str, Any], said: str) -> None:
    """A manifest of anybody's making is refused in a sentence."""
    document = {**json.loads(manifest.encode(MADE)), **change}
    with pytest.raises(ManifestError, match=said):
        manifest.decode(json.dumps(document), "x.whl")
