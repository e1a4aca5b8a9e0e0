"""A wheel can be given another version at each deploy, and one of the same content is given the same."""

from __future__ import annotations

import email
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbxdec.build import dynamic_version
from dbxdec.build.dynamic_version import mended, refusals
from projects import Project, shop

if TYPE_CHECKING:
    from collections.abc import Iterable

SALES = "src/shop/pipelines/sales.py"
DBXDEC = Path(sys.executable).parent / "dbxdec"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = shop(tmp_path / "repository")
    project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.2.0"\nreadme = "README.md"')
    project.write("README.md", "# Shop\n")
    return project


def built(project: Project) -> Project:
    result = project.build("--clean")
    assert result.code == 0, result.output
    return project


def time_of(project: Project) -> int:
    return built(project).wheel.stat().st_mtime_ns


def metadata_of(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(name).decode("utf-8")


def versions_of(metadata: str) -> list[str]:
    """The lines in which the CLI puts another version (databricks/cli, libs/patchwheel, patchMetadata)."""
    return [line for line in metadata.split("\n") if line.startswith("Version:")]


class TestTime:
    def test_equal_content_has_the_same_time(self, project: Project, tmp_path: Path) -> None:
        """Builds of one content, again or elsewhere, have one time; a file beside the packages changes nothing."""
        first = time_of(project)
        project.write("notes.txt", "x")
        assert time_of(project) == first
        other = shop(tmp_path / "other" / "repository")
        for name in ("pyproject.toml", "README.md"):
            (other.root / name).write_bytes((project.root / name).read_bytes())
        assert time_of(other) == first

    @pytest.mark.slow
    def test_the_times_of_files_do_not_matter(self, project: Project) -> None:
        """Neither the times of source files nor SOURCE_DATE_EPOCH are content, also without reproducible archives."""
        project.edit(
            "pyproject.toml",
            "[tool.dbxdec.variables]",
            "[tool.hatch.build]\nreproducible = false\n\n[tool.dbxdec.variables]",
        )
        first = time_of(project)
        os.utime(project.root / SALES, (1_500_000_000, 1_500_000_000))
        assert time_of(project) == first
        assert time_of(Project(project.root, {"SOURCE_DATE_EPOCH": "1600000000"})) == first

    @pytest.mark.slow
    def test_each_change_of_the_wheel_has_another_time(self, project: Project) -> None:
        """A module, a data file, the readme and the version each make another time: the wheel is another one."""
        found = [time_of(project)]
        project.edit(SALES, '["a", "b"]', '["a", "c"]')
        found.append(time_of(project))
        project.write("src/shop/query.sql", "select 1")
        found.append(time_of(project))
        project.write("README.md", "# Another\n")
        found.append(time_of(project))
        project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.3.0"')
        found.append(time_of(project))
        assert len(set(found)) == len(found)

    def test_the_time_is_in_the_past_and_of_19_digits(self, project: Project) -> None:
        """The version that the CLI makes of it parses, and no tool takes the wheel for one from the future."""
        from packaging.version import Version

        found = time_of(project)
        assert len(str(found)) == 19
        assert found < (project.root / SALES).stat().st_mtime_ns
        assert found % 100 == 0
        assert str(Version(f"1.2.0+{found}")) == f"1.2.0+{found}"

    @pytest.mark.slow
    def test_bundle_leaves_it_and_is_fresh(self, project: Project) -> None:
        """`dbxdec bundle` makes the same time, and takes the wheel for fresh afterwards."""
        first = time_of(project)
        project.wheel.unlink()
        assert project.run(str(DBXDEC), "bundle").code == 0
        assert project.wheel.stat().st_mtime_ns == first
        assert project.run(str(DBXDEC), "bundle").output == ""

    def test_a_wheel_that_was_copied_gets_its_time_back(self, project: Project) -> None:
        """Copies lose the time: `dbxdec bundle --wheel` gives a finished wheel the one of its content."""
        first = time_of(project)
        os.utime(project.wheel)
        assert project.run(str(DBXDEC), "bundle", "--wheel", str(project.wheel), "-o", "resources/x.yml").code == 0
        assert project.wheel.stat().st_mtime_ns == first


class TestReadme:
    @pytest.mark.sampled(2)
    @pytest.mark.parametrize("line", ["Version: 7", "Version:1.2.0", "Version: 1.2.0", "Version:"])
    def test_a_line_that_looks_like_the_version_is_none_in_the_wheel(self, project: Project, line: str) -> None:
        """METADATA has one line that starts with `Version:`; the build names the one of the readme."""
        project.write("README.md", f"# Shop\n\n{line}\nand more\n")
        result = project.build()
        assert result.code == 0, result.output
        assert "README.md:3 starts with `Version:`" in result.output
        metadata = metadata_of(project.wheel)
        assert versions_of(metadata) == ["Version: 1.2.0"]
        assert f"\n {line}\nand more" in metadata
        assert email.message_from_string(metadata)["Version"] == "1.2.0"

    def test_an_sdist_of_the_same_process_has_the_readme_as_it_is(self, project: Project) -> None:
        """What the wheel needs does not reach an sdist that is built behind it."""
        import tarfile

        project.write("README.md", "Version: 7\n")
        result = project.run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist")
        assert result.code == 0, result.output
        with tarfile.open(next((project.root / "dist").glob("*.tar.gz"))) as archive:
            info = archive.extractfile("shop_pipelines-1.2.0/PKG-INFO")
            assert info is not None
            assert info.read().decode().endswith("\n\nVersion: 7\n")

    @given(st.lists(st.sampled_from(["Version: 1", "Version:", " Version: 2", "version: 3", "x", "", "\tVersion: 4"])))
    def test_mending_changes_those_lines_and_no_other(self, lines: list[str]) -> None:
        """After mending no line starts with `Version:`, all others are as they were, and nothing is left to mend."""
        for content_type in ("text/markdown", "text/x-rst", "text/plain"):
            text, numbers = mended("\n".join(lines), content_type)
            after = text.split("\n")
            assert versions_of(text) == []
            assert numbers == [i for i, line in enumerate(lines, 1) if line.startswith("Version:")]
            changed = [(a, b) for a, b in zip("\n".join(lines).split("\n"), after, strict=True) if a != b]
            assert all(b in (f" {a}", f"\\ {a}") for a, b in changed)
            assert mended(text, content_type) == (text, [])

    def test_restructured_text_stays_the_same_text(self) -> None:
        """In reStructuredText a blank in front would be a quotation: it is escaped, which readers drop."""
        assert mended("Shop\n====\n\nVersion: 7", "text/x-rst")[0] == "Shop\n====\n\n\\ Version: 7"


class TestRefused:
    def test_a_line_longer_than_the_cli_reads(self, project: Project) -> None:
        """A line of 64 KiB in the readme, such as an embedded picture, is refused at its line."""
        project.write("README.md", f"# Shop\n\n![x](data:image/png;base64,{'A' * 70_000})\n")
        result = project.build()
        assert result.code == 1
        assert "README.md:3: a line of more than 65,535 bytes" in result.output
        assert project.wheels == []
        checked = project.run(str(DBXDEC), "check")
        assert checked.code == 2
        assert "README.md:3: a line of more than 65,535 bytes" in checked.output

    def test_a_version_that_is_a_part_of_the_name(self, project: Project) -> None:
        """The CLI would put its version into the name, where no task finds the package: the build asks for another."""
        project.edit("pyproject.toml", 'name = "shop-pipelines"', 'name = "shop2"')
        project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "2"')
        result = project.build()
        assert result.code == 1
        assert "project.version: the version 2 is a part of the project's name shop2" in result.output
        project.edit("pyproject.toml", 'version = "2"', 'version = "2.0"')
        assert project.build().code == 0

    def test_a_field_with_a_line_break(self, project: Project) -> None:
        """A field that brings such a line into METADATA is refused."""
        project.edit("pyproject.toml", 'readme = "README.md"', 'readme = "README.md"\nkeywords = ["a\\nVersion: 3"]')
        result = project.build()
        assert result.code == 1
        assert "METADATA has another line that starts with `Version:`: 'Version: 3" in result.output

    @pytest.mark.parametrize(
        ("metadata", "count"),
        [
            ("Name: a\nVersion: 1.0\n", 0),
            ("Metadata-Version: 2.4\nName: a\nVersion: 1.0\n\nbody Version: 2\n", 0),
            ("Name: a\nVersion: 1.0\nVersion: 1.0\n", 1),
            ("Name: a\nVersion: 1.0\n" + "x" * 65_534, 0),
            ("Name: a\nVersion: 1.0\n" + "x" * 65_535, 1),
            ("Name: a\nVersion: 1.0\n" + "ä" * 40_000, 1),
        ],
    )
    def test_what_the_cli_reads_of_metadata(self, metadata: str, count: int) -> None:
        """One line for the version, and no line longer than its buffer."""
        assert len(list(refusals(metadata, "a-1.0", "1.0", ("", "")))) == count


def test_the_times_of_many_contents_differ(tmp_path: Path) -> None:
    """A thousand RECORDs that differ in one byte have a thousand times, all within the range."""
    assert len(set(_times(tmp_path, 1000))) == 1000
    assert all(10**18 <= found < 15 * 10**17 for found in _times(tmp_path, 100))


def _times(folder: Path, number: int) -> Iterable[int]:
    for i in range(number):
        wheel = folder / "x-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("x-1.dist-info/RECORD", f"x.py,sha256=a,{i}\n")
        dynamic_version.stamp(wheel)
        yield wheel.stat().st_mtime_ns
