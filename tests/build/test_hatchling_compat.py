"""What the hook uses of hatchling's inside is there, in the version that runs: `make test-lowest` has the oldest."""

from __future__ import annotations

import ast
import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

from dbxdec.build import hatchling_compat as inside
from dbxdec.build.tree import read_tree
from dbxdec.errors import ConfigError
from projects import Project, shop

ROOT = Path(inside.__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path / "repository")


def builder_of(project: Project) -> Any:
    return WheelBuilder(str(project.root))


def build_data_of(builder: Any) -> dict[str, Any]:
    data: dict[str, Any] = builder.get_default_build_data()
    builder.set_build_data_defaults(data)
    data["build_hooks"] = ("custom", "dbxdec", "late")
    return data


def test_the_oldest_version_that_is_admitted_is_one_number() -> None:
    """The extra, the projects that `dbxdec init` makes and the examples ask for the same oldest hatchling."""
    named = {
        line.split("hatchling>=")[1].split('"')[0]
        for path in (
            ROOT / "pyproject.toml",
            ROOT / "src/dbxdec/scaffold/pyproject.py",
            ROOT / "src/dbxdec/scaffold/templates/pyproject.toml.j2",
            *ROOT.glob("examples/*/pyproject.toml"),
        )
        for line in path.read_text(encoding="utf-8").splitlines()
        if "hatchling>=" in line
    }
    assert named == {".".join(map(str, inside.OLDEST))}
    assert Requirement(f"hatchling>={named.pop()}").specifier.contains(importlib.metadata.version("hatchling"))


def test_an_older_version_is_refused_by_name(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where dbxdec was installed without its extra: one sentence, and no error of hatchling's inside."""
    monkeypatch.setattr("hatchling.__about__.__version__", "1.25.0")
    with pytest.raises(ConfigError, match=r"hatchling 1\.25\.0 builds this project, and dbxdec needs 1\.27 or newer"):
        read_tree(project.root)
    monkeypatch.setattr("hatchling.__about__.__version__", "2.0.dev1")
    read_tree(project.root)


def test_nothing_else_reaches_inside() -> None:
    """The other modules import only what hatchling documents for plugins, and its builder."""
    documented = {
        "hatchling.plugin",
        "hatchling.builders.config",
        "hatchling.builders.hooks.plugin.interface",
        "hatchling.builders.plugin.interface",
        "hatchling.builders.wheel",
        "hatchling.bridge.app",
    }
    for path in (ROOT / "src").rglob("*.py"):
        if path.stem == "hatchling_compat":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hatchling"):
                assert node.module in documented, path
            elif isinstance(node, ast.Import):
                assert not [alias for alias in node.names if alias.name.startswith("hatchling")], path


class TestInside:
    def test_files_and_data(self, project: Project) -> None:
        """The files of the wheel and what is installed elsewhere are listed, also what earlier hooks have added."""
        project.write("conf/a.ini", "")
        project.write("more.txt", "")
        project.edit(
            "pyproject.toml",
            "[tool.hatch.build.hooks.dbxdec]",
            '[tool.hatch.build.targets.wheel.shared-data]\n"conf" = "etc"\n[tool.hatch.build.hooks.dbxdec]',
        )
        builder = builder_of(project)
        data = build_data_of(builder)
        data["force_include"][str(project.root / "more.txt")] = "shop/more.txt"
        found = inside.included(builder.config, data, str(project.root))
        paths = {file.distribution_path.replace("\\", "/") for file in found.files}
        assert paths >= {"shop/__init__.py", "shop/pipelines/sales.py", "shop/more.txt"}
        assert [(folder, file.distribution_path) for folder, file in found.data] == [("data", "etc/a.ini")]

    def test_hooks_that_run_later(self, project: Project) -> None:
        """Hooks behind ours are known by name."""
        assert list(inside.later_hooks(build_data_of(builder_of(project)), "dbxdec")) == ["late"]

    def test_a_file_is_left_out(self, project: Project) -> None:
        """A file that is left out is no file of the wheel, beside the author's own rules."""
        builder = builder_of(project)
        inside.leave_out(builder.config, "src/shop/pipelines/sales.py")
        inside.leave_out(builder.config, "src/shop/__init__.py")
        found = inside.included(builder.config, build_data_of(builder), str(project.root))
        assert [file.distribution_path for file in found.files] == ["shop/pipelines/__init__.py"]

    def test_entry_points_come_and_go(self, project: Project) -> None:
        """An entry point is added to a group, and removed with an empty group."""
        metadata = builder_of(project).metadata
        inside.add_entry_point(metadata, "packages", "x", "m:f")
        assert metadata.core.entry_points == {"packages": {"x": "m:f"}}
        inside.remove_entry_point(metadata, "packages", "x")
        assert metadata.core.entry_points == {}

    def test_metadata_follow_a_replaced_readme(self, project: Project) -> None:
        """METADATA is the text that the wheel will hold, with another readme where one is set."""
        project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.2.0"\nreadme = "README.md"')
        project.write("README.md", "# Shop\n")
        builder = builder_of(project)
        assert inside.readme_of(builder.metadata) == ("# Shop\n", "text/markdown", "README.md")
        inside.replace_readme(builder.metadata, "# Other\n")
        text = inside.metadata_text(builder.config, builder.metadata)
        assert "\nName: shop-pipelines\nVersion: 1.2.0\n" in text
        assert text.endswith("# Other\n")
        assert inside.project_id(builder) == "shop_pipelines-1.2.0"
        assert "shop_pipelines-1.2.0.dist-info/METADATA" in inside.reserved_paths(builder)

    def test_paths_that_stay(self, project: Project) -> None:
        """A path can be kept from what `sources` does to all others."""
        project.edit(
            "pyproject.toml", 'packages = ["src/shop"]', 'only-include = ["src/shop"]\nsources = { "" = "acme" }'
        )
        config = builder_of(project).config
        assert config.get_distribution_path("dbxdec/manifest.json") == "acme/dbxdec/manifest.json"
        inside.keep_in_place(config, "dbxdec/manifest.json")
        assert config.get_distribution_path("dbxdec/manifest.json") == "dbxdec/manifest.json"
        assert config.get_distribution_path("shop/x.py") == "acme/shop/x.py"

    def test_dropped_ignore_rules_are_seen(self, tmp_path: Path) -> None:
        """hatchling drops all rules where one of them matches the project's own path."""
        project = shop(tmp_path / "build" / "repository")
        project.write(".gitignore", "*.log\n")
        assert not inside.drops_ignore_rules(builder_of(project).config)
        project.write(".gitignore", "*.log\nbuild\n")
        assert inside.drops_ignore_rules(builder_of(project).config)

    def test_what_the_settings_name(self, project: Project) -> None:
        """Settings that name files are listed, and whether others than hatchling have a say."""
        builder = builder_of(project)
        assert str(project.root / "src" / "shop") in {str(name) for name in inside.named_in_settings(builder)}
        assert inside.chooses_files(builder)
        assert inside.is_plain(builder)
        assert inside.excluded_folders(builder, set()) == []

    def test_errors_of_hatchling_are_told_from_others(self, project: Project) -> None:
        """An error that hatchling raises is its own, one of a plugin isn't."""
        project.edit("pyproject.toml", 'version = "1.2.0"', "version = 3")
        with pytest.raises(TypeError) as caught:
            builder_of(project).metadata.validate_fields()
        assert inside.raised_by_hatchling(caught.value)
        with pytest.raises(ZeroDivisionError) as other:
            print(1 / 0)
        assert not inside.raised_by_hatchling(other.value)
