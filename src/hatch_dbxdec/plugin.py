"""The build hook: passes the files of the wheel to `dbxdec.build.building`, and puts the result into the wheel.

Mistakes of the author are found in `initialize`; only an editable wheel is made in spite of them. `finalize` verifies
the finished wheel and writes the resources that name it. A failure leaves neither wheel nor resources, and no build
leaves resources whose wheel is missing. The resources of another build are removed before the wheel is written, so that
a killed build leaves no wheel beside them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

from dbxdec.build import config, unbuilt
from dbxdec.build import hatchling_compat as inside
from dbxdec.errors import (
    CodegenError,
    ConfigError,
    DbxdecError,
    DiscoveryError,
    Problem,
    concerning,
    counted,
    in_order,
    noted,
)
from dbxdec.support import boundary, files, printing
from hatch_dbxdec import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatchling.builders.plugin.interface import IncludedFile

    from dbxdec.build.building import Build
    from dbxdec.build.config import Config
    from dbxdec.build.discovery.spec import ShippedFile


@dataclass(frozen=True)
class _Attempt:
    """The result of `initialize` for one version of the wheel. `scratch` holds its manifest until the wheel does.

    `withdrawn` are the resources of the build before. `readme` is the text that the wheel holds in another form.
    """

    config: Config
    made: Build
    scratch: str
    readme: str
    withdrawn: bytes | None


class DbxdecBuildHook(BuildHookInterface[BuilderConfig]):
    """The hook `[tool.hatch.build.hooks.dbxdec]`; its settings are under `[tool.dbxdec]`."""

    PLUGIN_NAME = config.HOOK
    imported: ClassVar[tuple[str, ...]] = ()
    """Files and folders that the last build in this process imported from elsewhere, or read beside the wheel's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By version: hatchling calls one instance for each of `-t wheel:standard,editable`.
        self._attempts: dict[str, _Attempt] = {}

    def dependencies(self) -> list[str]:
        """Return `editables` if the wheel's settings list an editable version, for which hatchling needs it.

        Build front ends ask for it themselves when they make an editable install.
        """
        wanted = self.target_name == "wheel" and "editable" in self.build_config.versions
        return [inside.editables_requirement()] if wanted else []

    def clean(self, versions: list[str]) -> None:
        """Remove the resources if hatchling has removed the wheel that they name.

        `--clean` calls this before a build, and `--clean-hooks-after` after it, when the wheel exists.
        """
        from dbxdec.build import resources_file

        with contextlib.suppress(DbxdecError):  # the next build reports wrong settings
            resources_file.drop_orphan(Path(self.root), config.load(Path(self.root, "pyproject.toml")).resources)

    def prepare(self, build_data: dict[str, Any], only: str | None = None) -> Build:
        """Return what the standard wheel would hold, or with `only` one job, as `building.build` does.

        It writes nothing. Raises DbxdecError with every mistake.
        """
        config, problems = self._config()
        self._keep_out(config.resources)
        return self._build("standard", config, build_data, problems, only)

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Discover, check and render the jobs; put the manifest and the entry point into the wheel."""
        config = None
        try:
            config, problems = self._config()
            self._keep_out(config.resources)
            if self.target_name != "wheel":
                if problems:
                    raise ConfigError(problems)
                self._drop_older(config)
                self._add_inputs(config, build_data)
                return
            readme = inside.readme_of(self.metadata)[0]
            try:
                made = self._build(version, config, build_data, problems)
            except (DiscoveryError, CodegenError) as error:
                if version != "editable" or problems:
                    raise
                self._go_without(error, config, readme)
                return
            warnings = [*made.discovered.warnings, *made.warnings, *self._check_bundle(version, config, made)]
            DbxdecBuildHook.imported = (*made.discovered.imported, *made.read)
            scratch = tempfile.mkdtemp(prefix="dbxdec-")
            manifest = Path(scratch, "manifest.json")
            files.write(manifest, made.content)
            manifest.chmod(0o644)
            beside = Path(scratch, "contracts.json")
            if made.contracts is not None:
                files.write(beside, made.contracts)
                beside.chmod(0o644)
            withdrawn = self._withdraw(version, config, made.content)
            self._attempts[version] = _Attempt(config, made, scratch, readme, withdrawn)
            atexit.register(self._abandon, version)
        except DbxdecError as error:
            self._fail(self._with_bundle(version, config, error), config)
        except OSError as error:
            self._fail(_unwritten("the build can't store its files", error), config)
        from dbxdec.model import contract_forms, protocol
        from dbxdec.model.manifest import PATH

        build_data["extra_metadata"][str(manifest)] = PATH
        inside.keep_in_place(self.build_config, PATH)
        if made.contracts is not None:
            build_data["extra_metadata"][str(beside)] = contract_forms.PATH
            inside.keep_in_place(self.build_config, contract_forms.PATH)
        inside.add_entry_point(
            self.metadata, protocol.ENTRY_POINT_GROUP, protocol.ENTRY_POINT, protocol.ENTRY_POINT_OBJECT
        )
        for warning in warnings:
            self._say("warning", printing.message(f"dbxdec: warning: {warning}"))
        for note in made.notes:
            self._say("info", printing.message(f"dbxdec: note: {note}"))
        if made.discovered.stand_ins:
            absent = ", ".join(made.discovered.stand_ins)
            self._say("info", f"dbxdec: not installed here, replaced by placeholders: {absent}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Verify the finished wheel, and write the resources that deploy it."""
        attempt = self._attempts.pop(version, None)
        if attempt is None:  # an sdist, or an editable wheel without a manifest
            return
        from dbxdec.build import building, dynamic_version

        config, made = attempt.config, attempt.made
        wheel = Path(artifact_path)
        self._clear(attempt)
        jobs, tasks = len(made.manifest.raw_jobs), sum(len(j["tasks"]) for j in made.manifest.raw_jobs.values())
        summary = f"dbxdec: {counted(jobs, 'job')}, {counted(tasks, 'task')}, build {made.manifest.build_id[:12]}"
        try:
            building.verify(made, wheel, standard=version == "standard")
            dynamic_version.stamp(wheel)
            summary += self._beside(version, config, made, wheel)
        except DbxdecError as error:
            self._fail(error, config, wheel)
        except OSError as error:
            self._fail(_unwritten("the build can't be finished", error), config, wheel)
        self._say("info", summary)

    def _beside(self, version: str, config: Config, made: Build, wheel: Path) -> str:
        """Put beside a wheel that stays in its place what a deploy needs with it; return what to report."""
        from dbxdec.build import resources_file, shipping
        from hatch_dbxdec import resources

        root, path = Path(self.root), config.resources
        if why := resources.why_unnameable(root, version, wheel.parent, Path(self.build_config.directory)):
            if path is None:
                return ""
            if resources_file.named_wheel(root, path) == files.real(wheel):
                resources_file.drop(root, path)
                self._say("warning", f"dbxdec: {path} is removed: {why}, and has replaced the wheel that it named")
            return f"; no resources, since {why}"
        shipped = shipping.ship(made.manifest, root, wheel, anew=True)
        if path is None:
            return ""
        changed = resources_file.write(made.manifest, root, config, wheel, shipped.own)
        if changed and resources.started_by_bundle():
            # Wheel and resources stay: they belong together, and the next deploy takes both.
            self._abort(resources.too_late(path))
        if warning := resources.tracking_warning(root, path):
            self._say("warning", f"dbxdec: {warning}")
        return f" -> {path}"

    def _with_bundle(self, version: str, config: Config | None, error: DbxdecError) -> DbxdecError:
        """Return `error` with the mistakes of the jobs in their bundle that are certain without a build."""
        from dbxdec.build import bundlechecks
        from hatch_dbxdec import resources

        root = Path(self.root)
        if config is None or resources.why_unnameable(
            root, version, Path(self.directory), Path(self.build_config.directory)
        ):
            return error
        found = bundlechecks.of_mistaken(root, error, config.resources, config.extra_libraries)
        return DbxdecError(in_order([*error.problems, *found])) if found else error

    def _check_bundle(self, version: str, config: Config, made: Build) -> Sequence[Problem]:
        """Return warnings about the jobs in their bundle, if this wheel is for it.

        Raises ConfigError with all mistakes.
        """
        from dbxdec.build import bundlechecks
        from hatch_dbxdec import resources

        root = Path(self.root)
        if resources.why_unnameable(root, version, Path(self.directory), Path(self.build_config.directory)):
            return ()
        found = bundlechecks.of_project(root, made.manifest, config.resources)
        if found.errors:
            raise ConfigError(found.errors)
        return found.warnings

    def _go_without(self, error: DbxdecError, config: Config, readme: str) -> None:
        """Warn of mistakes in the pipelines, and let the editable wheel be made without a manifest and an entry point.

        Such a wheel deploys nothing, and `uv run dbxdec check` needs one before it can report the mistakes.
        """
        self._withdraw("editable", config, b"")
        self._restore_readme(readme)
        count = counted(len(error.problems), "mistake")
        head = f"dbxdec: warning: this editable install has no manifest, since its pipelines have {count}"
        self._say("warning", printing.message(f"{head}:\n{error}"))

    def _withdraw(self, version: str, config: Config, content: bytes) -> bytes | None:
        """Remove the resources of another build if this one may replace their wheel, or writes new ones.

        `content` is the manifest of this build.
        """
        from dbxdec.build import resources_file
        from hatch_dbxdec import resources

        root, directory = Path(self.root), files.real(self.directory)
        named = resources_file.named_wheel(root, config.resources)
        if named is None:
            return None
        why = resources.why_unnameable(root, version, directory, Path(self.build_config.directory))
        return None if why and named.parent != directory else resources_file.withdraw(content, root, config.resources)

    def _drop_older(self, config: Config) -> None:
        """Drop resources of another build than the tree's, if their wheel lies where this sdist goes.

        A front end may build a wheel from the sdist elsewhere, and put it in the place of the one that they name.
        """
        from dbxdec.build import resources_file

        root = Path(self.root)
        named = resources_file.named_wheel(root, config.resources)
        if named is None or named.parent != files.real(self.directory):
            return
        from dbxdec.build.tree import read_tree

        try:
            content = read_tree(root).made.content
        except DbxdecError:  # an sdist may hold mistakes; the wheel's build says them
            content = b""
        if resources_file.withdraw(content, root, config.resources) is not None:
            self._say(
                "warning", f"dbxdec: {config.resources} is removed: this tree is not the one that it was built from"
            )

    def _add_inputs(self, config: Config, build_data: dict[str, Any]) -> None:
        """Add to an sdist what a wheel of it is made from besides its own files: the lock, and wheels of the tree."""
        from dbxdec.build import locking

        wanted = locking.inputs(Path(self.root), config)
        there = inside.included_paths(self.build_config, build_data) if wanted else set()
        for path, place in wanted.items():
            if os.path.realpath(path) not in there:
                build_data["force_include"][path] = place

    def _config(self) -> tuple[Config, list[Problem]]:
        """Return the settings as far as they are right, and the mistakes in them.

        Raises ConfigError where the mistakes keep the pipelines from being read.
        """
        inside.require_admitted()
        found, problems = config.sound(Path(self.root, "pyproject.toml"))
        with noted(problems):
            refusals.check_options(self.config)
        if found is None or not config.OF_DISCOVERY.isdisjoint(self.config):
            raise ConfigError(problems)
        return found, problems

    def _build(
        self,
        version: str,
        config: Config,
        build_data: dict[str, Any],
        problems: list[Problem],
        only: str | None = None,
    ) -> Build:
        """Build with settings of which `problems` are said already; those of other settings are added to them.

        Raises DbxdecError with all of them, and with every mistake of the pipelines.
        """
        try:
            made = self._built(version, config, build_data, problems, only)
        except (DiscoveryError, CodegenError, ConfigError) as error:
            both = [*error.problems, *concerning((), problems)]
            raise type(error)(both, jobs=error.jobs, places=error.places) from None
        if problems:
            found = made.discovered
            raise ConfigError(concerning((), problems), jobs=found.jobs, places=found.places)
        return made

    def _built(
        self, version: str, config: Config, build_data: dict[str, Any], problems: list[Problem], only: str | None
    ) -> Build:
        from dbxdec.build import building, resources_file

        core = self.metadata.core
        refusals.check_settings(self, build_data, version)
        with noted(problems):
            refusals.check_directory(self.build_config)
        with noted(problems):
            resources_file.check_replaceable(Path(self.root), config.resources)
        known = not any("extra-libraries" in str(problem.where) for problem in problems)
        if known or any(text.startswith("dbxdec") for text in core.dependencies):  # which may be among the libraries
            with noted(problems):
                building.admits_running_version(core.dependencies, core.name, config.extra_libraries)
        try:
            included = inside.included(self.build_config, build_data, self.root)
            files = _shipped(included.files)
            data = [file for folder, entry in included.data for file in _shipped([entry], f"{folder}/")]
            refusals.check_paths(self.build_config, files, data)
            if config.resources is not None:
                with noted(problems):
                    refusals.check_resources(Path(self.root), files, config.resources)
            with noted(problems):
                self._check_metadata(version)
            name, version = core.raw_name, self.metadata.version
            return building.build(
                files,
                project=name,
                version=version,
                config=config,
                root=Path(self.root),
                dependencies=core.dependencies,
                data=data,
                only=only,
                requires_python=core.requires_python,
            )
        except OSError as error:
            full = boundary.hint_of_full(str(error))
            what = f"the files of the wheel can't be {'copied' if full else 'read'}"
            raise ConfigError(f"{what}: {boundary.sentence(error)}", hint=full) from None

    def _check_metadata(self, version: str) -> None:
        """Make METADATA a file to which the bundle's CLI can give another version."""
        from dbxdec.build import dynamic_version

        readme, content_type, path = inside.readme_of(self.metadata)
        mended, lines = dynamic_version.mended(readme, content_type)
        if lines:
            inside.replace_readme(self.metadata, mended)
            where = f"{path}:{lines[0]}" if path else f"line {lines[0]} of the readme"
            more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
            self.app.display_info(
                f"dbxdec: {where}{more} starts with `Version:`, which a bundle reads as the version of the wheel: the "
                "wheel has it after a space"
            )
        if version != "standard":
            return
        text = inside.metadata_text(self.build_config, self.metadata)
        project_id = inside.project_id(self.build_config.builder)
        if problems := list(dynamic_version.refusals(text, project_id, self.metadata.version, (readme, path))):
            raise ConfigError(problems)

    def _keep_out(self, resources: str | None) -> None:
        """Keep the resources of an earlier build, or what lies in their place, out of both sdist and wheel.

        Keep out the state of builds and local runs, which has logs and task values: hatchling does not read the
        .gitignore in it. Keep out the lock files of Emacs too: links that lead nowhere, beside each file that is being
        edited.
        """
        inside.require_ignore_rules(self.build_config)
        inside.leave_out_named(self.build_config, f"{files.STATE_FOLDER}/")
        inside.leave_out_named(self.build_config, ".#*")
        for path in (resources, unbuilt.marker_of(resources)) if resources is not None else ():
            inside.leave_out(self.build_config, path)

    def _clear(self, attempt: _Attempt) -> None:
        """Undo the changes that the wheel needed: the same metadata serve an sdist that follows."""
        from dbxdec.model import protocol

        shutil.rmtree(attempt.scratch, ignore_errors=True)
        inside.remove_entry_point(self.metadata, protocol.ENTRY_POINT_GROUP, protocol.ENTRY_POINT)
        self._restore_readme(attempt.readme)

    def _restore_readme(self, readme: str) -> None:
        if inside.readme_of(self.metadata)[0] != readme:
            inside.replace_readme(self.metadata, readme)

    def _abandon(self, version: str) -> None:
        """Clean up at the process's end if `finalize` was not called: something failed, or only hooks were run."""
        if attempt := self._attempts.pop(version, None):
            from dbxdec.build import resources_file

            shutil.rmtree(attempt.scratch, ignore_errors=True)
            resources_file.restore(Path(self.root), attempt.config.resources, attempt.withdrawn)
            resources_file.drop_orphan(Path(self.root), attempt.config.resources)

    def _fail(self, error: DbxdecError, config: Config | None, *wheels: Path) -> NoReturn:
        from dbxdec.build import resources_file

        resources = config.resources if config else None
        try:
            resources_file.discard(Path(self.root), resources, *wheels)
        except OSError as other:
            left = _unwritten(f"{resources} can't be removed", other)
            error = type(error)([*error.problems, *left.problems])
        self._abort(error)

    def _say(self, kind: str, text: str) -> None:
        """Let the front end show a string that its stream can write."""
        from dbxdec.support import streams

        show = {"info": self.app.display_info, "warning": self.app.display_warning, "abort": self.app.abort}[kind]
        show(streams.safe(text))

    def _abort(self, error: DbxdecError) -> NoReturn:
        count = len(error.problems)
        head = f"dbxdec: {count} mistakes" if count > 1 else "dbxdec"
        self._say("abort", printing.message(f"{head}: {error}" if count == 1 else f"{head}:\n{error}"))
        raise SystemExit(1)  # abort has ended the process


def _unwritten(what: str, error: OSError) -> ConfigError:
    return ConfigError(f"{what}: {boundary.sentence(error)}", hint=boundary.hint_of_full(str(error)))


def _shipped(included: Iterable[IncludedFile], prefix: str = "") -> list[ShippedFile]:
    from dbxdec.build.discovery.spec import ShippedFile

    return [
        ShippedFile(
            path=prefix + file.distribution_path.replace(os.sep, "/"),
            origin=file.path,
            source=(file.relative_path or file.distribution_path).replace(os.sep, "/"),
        )
        for file in included
    ]
