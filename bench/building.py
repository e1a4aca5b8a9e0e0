"""The cost of the build: the hook over the same build without it, and `dbxdec bundle` where nothing has changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import environments
from measure import Budget, Pair, paired, quietly

from projects import shop


def hook(folder: Path) -> Iterator[Pair]:
    """A wheel of a small pipeline with the hook, over the same wheel without it, by hatch and by hatchling alone."""
    project, plain = shop(folder / "with"), shop(folder / "without")
    plain.edit("pyproject.toml", "[tool.hatch.build.hooks.dbxdec]\n", "")
    wheels, constraints = str(environments.dbxdec_wheels(folder)), str(environments.CONSTRAINTS)
    # hatch builds in an environment of its own, which the call that does not count has made.
    places = {
        "HATCH_DATA_DIR": str(folder / "hatch"),
        "PIP_CONSTRAINT": constraints,
        "UV_CONSTRAINT": constraints,
        "UV_BUILD_CONSTRAINT": constraints,
        "PIP_FIND_LINKS": wheels,
        "UV_FIND_LINKS": wheels,
    }
    # hatchling alone, as hatch starts it: in an environment with what [build-system] asks for.
    requirement = f"dbxdec[build] @ {next(Path(wheels).glob('*.whl')).as_uri()}"
    alone = environments.make(folder / "alone", sys.executable, requirement)
    for python, tool, budget in (
        (sys.executable, "hatch", Budget("ratio", 2)),
        (str(alone), "hatchling", None),
    ):
        command = (python, "-m", tool, "build", "-t", "wheel")

        def build(root: Path, command: tuple[str, ...] = command) -> None:
            quietly(*command, cwd=root, **places)

        yield paired(
            f"{tool} build -t wheel with the hook",
            "without it",
            budget,
            lambda build=build: build(project.root),  # type: ignore[misc]
            lambda build=build: build(plain.root),  # type: ignore[misc]
            11,
        )


def fresh(folder: Path) -> Pair:
    """`dbxdec bundle` where nothing has changed, over a Python that does nothing."""
    project = shop(folder / "fresh")
    dbxdec = Path(sys.executable).with_name("dbxdec")
    quietly(dbxdec, "bundle", cwd=project.root)
    return paired(
        "dbxdec bundle when nothing has changed",
        "bare Python",
        Budget("more", 150),
        lambda: quietly(dbxdec, "bundle", cwd=project.root),
        lambda: quietly(sys.executable, "-c", "", cwd=project.root),
        25,
    )
