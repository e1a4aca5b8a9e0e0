"""Wheels from anywhere: none names a place, an edited one is refused, and a bomb takes no memory."""

from __future__ import annotations

import base64
import hashlib
import json
import resource
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbxdec.build.wheels import read_manifest, read_wheel
from dbxdec.errors import ManifestError
from dbxdec.local import builds
from dbxdec.model.manifest import PATH
from projects import Project, shop
from running import DBXDEC, dbxdec

# One worker process takes all: each would make the projects of this module anew.
pytestmark = pytest.mark.xdist_group("wheels")

MANIFEST = f"extra_metadata/{PATH}"
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel as a build has made it."""
    project = shop(tmp_path_factory.mktemp("built"))
    project.write("src/shop/query.sql", "select 1")
    assert project.build().code == 0
    return project.wheel


@pytest.fixture
def wheel(built: Path, tmp_path: Path) -> Path:
    """A copy of it, which a test may change."""
    return Path(shutil.copy(built, tmp_path / built.name))


def members(wheel: Path) -> Members:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(wheel: Path, content: Members) -> None:
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def info(content: Members) -> str:
    return next(name for name in content if name.endswith(MANIFEST)).partition("/")[0]


def with_manifest(wheel: Path, change: Callable[[Any], None]) -> None:
    """Change the manifest inside of a wheel."""
    content = members(wheel)
    name = f"{info(content)}/{MANIFEST}"
    document = json.loads(content[name])
    change(document)
    write(wheel, {**content, name: json.dumps(document).encode()})


def unpacked(wheel: Path) -> Path:
    """The folder that a run of the wheel imports it from."""
    folder = builds.of_wheel(wheel, read_wheel(wheel), wheel.parent / "state").folder
    assert folder is not None
    return folder


def files(folder: Path) -> dict[str, int]:
    """All files and folders below `folder`, and when each has changed last."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_a_wheel_as_it_was_built_is_read(wheel: Path) -> None:
    """Its manifest, its entry point and its payload are there, and a file's digest stays for a large one."""
    found = read_wheel(wheel)
    assert found.manifest.job("sales").key == "sales"
    assert found.entry_points == {"packages": {"dbxdec-run": "dbxdec.runtime:main"}}
    assert found.payload[0][0] == "shop/__init__.py"
    assert read_manifest(wheel) == found.manifest


class TestEdited:
    def change(self, wheel: Path, path: str, content: bytes | None) -> None:
        found = members(wheel)
        if content is None:
            del found[path]
        else:
            found[path] = content
        write(wheel, found)

    @pytest.mark.parametrize(
        ("path", "content"),
        [
            ("shop/pipelines/sales.py", b"print('edited')"),
            ("shop/query.sql", b"select 2"),
            ("shop/query.sql", None),
            ("shop/added.py", b""),
            ("shop-1.2.0.data/scripts/added", b"#!python\n"),
        ],
    )
    def test_a_file_that_is_not_as_it_was_built_is_refused(self, wheel: Path, path: str, content: bytes | None) -> None:
        """Files that were edited, added or removed after the build are refused by the build's id."""
        self.change(wheel, path, content)
        with pytest.raises(ManifestError, match="isn't what was built"):
            read_wheel(wheel)

    def test_jobs_that_are_not_as_they_were_built_are_refused(self, wheel: Path) -> None:
        """The build's id covers the jobs too."""
        with_manifest(wheel, lambda form: form["jobs"]["sales"]["parameters"][0].update(default="4"))
        with pytest.raises(ManifestError, match="isn't what was built"):
            read_wheel(wheel)

    def change_info(self, wheel: Path, name: str, old: bytes, new: bytes, *, record: bool) -> None:
        """Edit a file of `.dist-info`, with `record` its line in RECORD too."""
        found = members(wheel)
        path = f"{info(found)}/{name}"
        assert old in found[path]
        found[path] = found[path].replace(old, new, 1)
        if record:
            digest = base64.urlsafe_b64encode(hashlib.sha256(found[path]).digest()).rstrip(b"=")
            line = f"{path},sha256=".encode() + digest + f",{len(found[path])}".encode()
            place = f"{info(found)}/RECORD"
            lines = found[place].splitlines()
            found[place] = b"\n".join(line if one.startswith(f"{path},".encode()) else one for one in lines)
        write(wheel, found)

    @pytest.mark.parametrize("record", [True, False])
    @pytest.mark.parametrize(
        ("name", "old", "new", "said"),
        [
            (
                "entry_points.txt",
                b"dbxdec.runtime:main",
                b"os:system",
                "its entry point dbxdec-run is 'os:system'",
            ),
            ("entry_points.txt", b"dbxdec-run", b"another", "its entry point dbxdec-run is missing"),
            ("METADATA", b"Name: shop", b"Name: another", "its name is 'another"),
            ("METADATA", b"Version: 1.2.0", b"Version: 1.2.1", "its version is '1.2.1', not 1.2.0"),
        ],
    )
    def test_metadata_that_is_not_as_it_was_built_is_refused(
        self, wheel: Path, name: str, old: bytes, new: bytes, said: str, record: bool
    ) -> None:
        """The platform starts the entry point, and installers go by the name and the version."""
        self.change_info(wheel, name, old, new, record=record)
        with pytest.raises(ManifestError) as caught:
            read_wheel(wheel)
        assert f"isn't what was built: {said}" in str(caught.value)

    def test_metadata_that_its_record_does_not_list_is_refused(self, wheel: Path) -> None:
        """Other dependencies would be installed."""
        self.change_info(wheel, "METADATA", b"Requires-Dist: dbxdec", b"Requires-Dist: another", record=False)
        with pytest.raises(ManifestError, match="its METADATA is not the one that its RECORD lists"):
            read_wheel(wheel)

    @pytest.mark.parametrize("version", ["1.2.0+123", "1.2.0+local.7"])
    def test_the_version_of_a_deploy_is_no_edit(self, wheel: Path, version: str) -> None:
        """A bundle appends a local version at each deploy."""
        self.change_info(wheel, "METADATA", b"Version: 1.2.0", f"Version: {version}".encode(), record=True)
        assert read_wheel(wheel).manifest.version == "1.2.0"

    @pytest.mark.parametrize(
        "command",
        [["run", "sales", "--wheel"], ["bundle", "--wheel"], ["show", "--wheel"], ["graph", "--wheel"], ["diff"]],
    )
    def test_every_command_refuses_it(self, wheel: Path, command: list[str]) -> None:
        """Whatever takes a wheel ends with one sentence and exit code 2, and leaves the folder as it was."""
        self.change(wheel, "shop/pipelines/sales.py", b"print('edited')")
        before = files(wheel.parent)
        said = dbxdec(Project(wheel.parent), *command, wheel.name)
        assert said.code == 2, said
        assert said.out == ""
        assert "isn't what was built" in said.err
        assert len(said.err.splitlines()) == 2
        assert files(wheel.parent) == before

    def test_a_copy_that_was_edited_is_unpacked_again(self, wheel: Path) -> None:
        """What an earlier run has unpacked is compared too: edited, added and missing files are not run."""
        first = unpacked(wheel)
        for path, content in (("shop/pipelines/sales.py", "edited"), ("shop/added.py", ""), ("shop/query.sql", None)):
            target = first / path
            target.unlink() if content is None else target.write_text(content)
            assert unpacked(wheel) == first
            assert (first / path).exists() == (path != "shop/added.py")
            assert "edited" not in (first / "shop/pipelines/sales.py").read_text()
        manifest = next(first.glob(f"*.dist-info/{MANIFEST}"))
        manifest.write_text(manifest.read_text().replace('"3"', '"4"'))
        unpacked(wheel)
        assert '"4"' not in next(first.glob(f"*.dist-info/{MANIFEST}")).read_text()

    def test_byte_code_is_no_edit(self, wheel: Path) -> None:
        """What Python keeps beside the modules stays where it is."""
        first = unpacked(wheel)
        cache = first / "shop/__pycache__"
        cache.mkdir()
        (cache / "x.pyc").touch()
        unpacked(wheel)
        assert (cache / "x.pyc").exists()

    def test_another_wheel_of_the_same_build_is_another_folder(self, wheel: Path) -> None:
        """The folder is named by the wheel's bytes, and by nothing that the wheel says of itself."""
        first = unpacked(wheel)
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.comment = b"once more"
        assert unpacked(wheel) != first


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            *("../victim", "shop/../../victim", "/victim", "//host/victim", "C:/victim", "c:victim", "shop\\victim"),
            *("./victim", "shop//victim", "shop/./victim", "shop/vic\x1b[2Jtim", "shop/vic\ntim", "..", "."),
        ],
    )
    def test_a_member_that_names_a_place_is_refused(self, wheel: Path, name: str) -> None:
        """Absolute paths, `..`, drive letters and control characters are refused before anything is unpacked."""
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr(zipfile.ZipInfo(name), b"x")
        with pytest.raises(ManifestError, match="is not a valid file name in a wheel"):
            unpacked(wheel)
        assert not (wheel.parent / "state").exists()

    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
    def test_a_member_that_is_a_link_or_a_device_is_refused(self, wheel: Path, kind: int) -> None:
        """A wheel holds files and folders."""
        member = zipfile.ZipInfo("shop/link")
        member.external_attr = (kind | 0o777) << 16
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr(member, "/etc/passwd")
        with pytest.raises(ManifestError, match="a link or a device"):
            read_wheel(wheel)

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_two_members_of_one_name_are_refused(self, wheel: Path) -> None:
        """Which of them counts would be the reader's choice."""
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("shop/pipelines/sales.py", b"print('edited')")
        with pytest.raises(ManifestError, match="appears twice"):
            read_wheel(wheel)

    def test_a_file_that_is_a_folder_too_is_refused(self, wheel: Path) -> None:
        """One could only be written without the other."""
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("shop/__init__.py/x", b"")
        with pytest.raises(ManifestError, match="is a file and a folder"):
            read_wheel(wheel)

    def test_two_manifests_are_refused(self, wheel: Path) -> None:
        """A second folder of metadata is a second distribution, whichever comes first."""
        content = members(wheel)
        name = f"{info(content)}/{MANIFEST}"
        write(wheel, {f"another-1.dist-info/{MANIFEST}": content[name], **content})
        with pytest.raises(ManifestError, match="has 2 folders of metadata"):
            read_wheel(wheel)

    def test_a_version_that_leads_elsewhere_removes_nothing(self, wheel: Path, tmp_path: Path) -> None:
        """A manifest whose version is a path is refused, and folders that it would lead to stay."""
        victim = tmp_path / "victim" / "old"
        victim.mkdir(parents=True)
        project = Project(tmp_path / "a" / "b")
        project.root.mkdir(parents=True)
        shutil.move(wheel, project.root / "bad.whl")
        with_manifest(project.root / "bad.whl", lambda form: form["project"].update(version="0/../../../../victim/new"))
        before = files(tmp_path)
        said = dbxdec(project, "run", "nosuchjob", "--wheel", "bad.whl")
        assert said.code == 2
        assert "project.version is '0/../../../../victim/new', which no build can have written" in said.err
        assert files(tmp_path) == before

    def test_only_folders_named_as_ours_are_removed(self, wheel: Path) -> None:
        """Old builds go; whatever else lies beside them, or is linked there, stays."""
        place = wheel.parent / "state" / "builds"
        outside = wheel.parent / "outside"
        old = [place / f"wheel-{'0' * 64}", place / f"tree-{'1' * 64}", place / "mine", outside]
        for folder in old:
            folder.mkdir(parents=True)
        (place / f"wheel-{'2' * 64}").symlink_to(outside)
        for folder in old:
            subprocess.run(["touch", "-d", "2001-01-01", str(folder)], check=True)
        made = unpacked(wheel)
        assert sorted(path.name for path in place.iterdir()) == sorted(["mine", f"wheel-{'2' * 64}", made.name])
        assert outside.is_dir()


def damaged(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """What may have become of a wheel, by name."""
    whole = wheel.read_bytes()
    yield "empty", b""
    yield "cut", whole[: len(whole) // 2]
    yield "without its directory", whole[:-40]
    middle = len(whole) // 3
    yield "bad data", whole[:middle] + b"\xff" * 40 + whole[middle + 40 :]
    yield "text", b"not a zip" * 100


class TestDamaged:
    def test_a_damaged_archive_is_refused_in_one_sentence(self, wheel: Path) -> None:
        """Cut, overwritten and empty files are no wheels, and say so."""
        for name, content in list(damaged(wheel)):
            wheel.write_bytes(content)
            with pytest.raises(ManifestError) as error:
                read_wheel(wheel)
            assert len(str(error.value).splitlines()) <= 2, name

    @pytest.mark.parametrize(
        "points", [b"[x", b"a = 1", b"[a]\nx = 1\n[a]\nx = 2", b"\xff\xfe", b"[a]\nb", b"[DEFAULT]\nx = 1\n" * 2]
    )
    def test_entry_points_that_are_not_ini_are_refused(self, wheel: Path, points: bytes) -> None:
        """The reader's own errors stay inside."""
        content = members(wheel)
        write(wheel, {**content, f"{info(content)}/entry_points.txt": points})
        with pytest.raises(ManifestError, match="can't be read as a wheel"):
            read_wheel(wheel)

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_compressions_are_refused(self, wheel: Path, method: int) -> None:
        """What Python can't unpack bit by bit is not unpacked."""
        content = members(wheel)
        with zipfile.ZipFile(wheel, "w", method) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        with pytest.raises(ManifestError, match="is compressed in a way that wheels don"):
            read_wheel(wheel)

    def test_an_encrypted_member_is_refused(self, wheel: Path) -> None:
        """There is nobody to ask for a password."""
        content = wheel.read_bytes()
        place = content.index(b"PK\x01\x02") + 8
        wheel.write_bytes(content[:place] + b"\x01" + content[place + 1 :])
        with pytest.raises(ManifestError, match="is encrypted"):
            read_wheel(wheel)

    def test_a_wheel_that_is_a_folder_or_not_there(self, tmp_path: Path) -> None:
        """Neither is a wheel."""
        for path in (tmp_path, tmp_path / "x.whl"):
            with pytest.raises(ManifestError, match="can't be read as a wheel"):
                read_wheel(path)


LIMIT = 500 * 2**20


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("shop/zeros.bin", 700 * 2**20, "isn't what was built"),
        ("shop/zeros.bin", 1500 * 2**20, "unpacked it would have"),
        (f"shop_pipelines-1.2.0.dist-info/{MANIFEST}", 300 * 2**20, "more than"),
    ],
    ids=["within bounds", "beyond", "manifest"],
)
def test_a_bomb_takes_no_memory(wheel: Path, name: str, size: int, said: str) -> None:
    """A member of a gigabyte in a wheel of a megabyte is read bit by bit, or refused before it is."""
    content = members(wheel)
    content.pop(name, None)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other, data in content.items():
            archive.writestr(other, data)
        with archive.open(name, "w", force_zip64=True) as member:
            for _ in range(size // 2**20):
                member.write(bytes(2**20))
    assert wheel.stat().st_size < 8 * 2**20
    done = subprocess.run(
        [*DBXDEC, "show", "--wheel", wheel.name],
        cwd=wheel.parent,
        capture_output=True,
        text=True,
        preexec_fn=limited,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
