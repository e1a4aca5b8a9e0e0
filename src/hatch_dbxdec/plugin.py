"""The build hook: gives `dbxdec.building` the files of the wheel, and puts what it makes into the wheel.

Everything that can fail runs in `initialize`; `finalize` verifies the finished wheel and writes the resources that
name it. A failure leaves neither wheel nor resources, and no build leaves resources whose wheel is not there.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

from dbxdec.errors import ConfigError, DbxdecError, Problem, counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchling.builders.plugin.interface import IncludedFile

    from dbxdec.building import Build, ShippedFile
    from dbxdec.config import Config

# Hatchling's own options of any hook: they stay in `self.config`, and are none of ours.
_HATCHLING_OPTIONS = {"dependencies", "require-runtime-dependencies", "require-runtime-features", "enable-by-default"}


@dataclass(frozen=True)
class _Attempt:
    """What `initialize` made for one version of the wheel. `scratch` holds its manifest until the wheel does."""

    config: Config
    made: Build
    scratch: str


class DbxdecBuildHook(BuildHookInterface[BuilderConfig]):
    """`[tool.hatch.build.hooks.dbxdec]`; its settings are under `[tool.dbxdec]`."""

    PLUGIN_NAME = "dbxdec"
    imported: ClassVar[tuple[str, ...]] = ()
    """Files beyond the project that the last build in this process has imported."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By version: hatchling calls one instance for each of `-t wheel:standard,editable`.
        self._attempts: dict[str, _Attempt] = {}

    def dependencies(self) -> list[str]:
        """`editables`, where the settings of the wheel list an editable version, for which hatchling needs it.

        Build front ends ask for it themselves when they make an editable install.
        """
        from hatchling.builders.constants import EDITABLES_REQUIREMENT

        wanted = self.target_name == "wheel" and "editable" in self.build_config.versions
        return [EDITABLES_REQUIREMENT] if wanted else []

    def clean(self, versions: list[str]) -> None:
        """Remove the resources where hatchling has removed the wheel that they name.

        Called before a build by `--clean`, and after it by `--clean-hooks-after`: then the wheel is there.
        """
        from dbxdec import building, config

        with contextlib.suppress(DbxdecError):  # wrong settings are for the next build to say
            building.drop_orphan(Path(self.root), config.load(Path(self.root, "pyproject.toml")).resources)

    def prepare(self, build_data: dict[str, Any]) -> Build:
        """What the standard wheel would hold; nothing is written. Raises DbxdecError with every mistake."""
        config = self._config()
        if config.resources is not None:
            self._keep_out(config.resources)
        return self._build("standard", config, build_data)

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Discover, check and render; put the manifest and the entry point into the wheel to be built."""
        config = None
        try:
            config = self._config()
            if config.resources is not None:
                self._keep_out(config.resources)
            if self.target_name != "wheel":
                return
            made = self._build(version, config, build_data)
            DbxdecBuildHook.imported = made.discovered.imported
            scratch = tempfile.mkdtemp(prefix="dbxdec-")
            self._attempts[version] = _Attempt(config, made, scratch)
            atexit.register(self._abandon, version)
            manifest = Path(scratch, "manifest.json")
            manifest.write_bytes(made.content)
            manifest.chmod(0o644)
        except DbxdecError as error:
            self._fail(error, config)
        except OSError as error:
            self._fail(ConfigError(f"the files of the wheel can't be read: {error}"), config)
        from dbxdec import protocol
        from dbxdec.manifest import PATH

        build_data["extra_metadata"][str(manifest)] = PATH
        self._keep_in_place(PATH)
        points = self.metadata.core.entry_points.setdefault(protocol.ENTRY_POINT_GROUP, {})
        points[protocol.ENTRY_POINT] = protocol.ENTRY_POINT_OBJECT
        for warning in made.discovered.warnings:
            self._say("warning", f"dbxdec: warning: {warning}")
        if made.discovered.stand_ins:
            self._say("info", f"dbxdec: not installed here, stood in for: {', '.join(made.discovered.stand_ins)}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Verify the finished wheel, and write the resources that deploy it."""
        if self.target_name != "wheel":
            return
        from dbxdec import building

        attempt = self._attempts.pop(version)
        config, made = attempt.config, attempt.made
        wheel = Path(artifact_path)
        shutil.rmtree(attempt.scratch, ignore_errors=True)
        self._remove_entry_point()
        jobs, tasks = len(made.manifest.raw_jobs), sum(len(j["tasks"]) for j in made.manifest.raw_jobs.values())
        summary = f"dbxdec: {counted(jobs, 'job')}, {counted(tasks, 'task')}, build {made.manifest.build_id[:12]}"
        try:
            building.verify(made, wheel, standard=version == "standard")
            if config.resources is not None:
                summary += self._resources(version, config, made, wheel)
        except DbxdecError as error:
            self._fail(error, config, wheel)
        except OSError as error:
            self._fail(ConfigError(f"the resources can't be written: {error}"), config, wheel)
        self._say("info", summary)

    def _resources(self, version: str, config: Config, made: Build, wheel: Path) -> str:
        """Write the resources of a wheel that stays where it is; what to say of it."""
        from dbxdec import building
        from hatch_dbxdec import resources

        root, path = Path(self.root), str(config.resources)
        if why := resources.why_unnameable(root, version, wheel.parent, Path(self.build_config.directory)):
            if building.named_wheel(root, path) == wheel.resolve():
                building.drop(root, path)
                self._say("warning", f"dbxdec: {path} is removed: {why}, and has replaced the one that it named")
            return f"; no resources, since {why}"
        changed = building.write_resources(made, root, config, wheel)
        if changed and resources.started_by_bundle():
            # Wheel and resources stay: they belong together, and the next deploy takes both.
            self._abort(resources.too_late(path))
        if warning := resources.tracking_warning(root, path):
            self._say("warning", f"dbxdec: {warning}")
        return f" -> {path}"

    def _config(self) -> Config:
        from dbxdec import config

        unknown = sorted(set(self.config) - _HATCHLING_OPTIONS)
        if unknown:
            raise ConfigError(
                Problem(
                    "unknown option",
                    f"tool.hatch.build.hooks.dbxdec.{name}",
                    f"settings of dbxdec stand in [tool.dbxdec]: write `{name} = ...` there",
                )
                for name in unknown
            )
        return config.load(Path(self.root, "pyproject.toml"))

    def _build(self, version: str, config: Config, build_data: dict[str, Any]) -> Build:
        from dbxdec import building

        core = self.metadata.core
        self._check_hooks(build_data)
        self._check_ignore_rules()
        self._check_entry_point()
        if version == "editable" and not self.build_config.dev_mode_dirs and find_spec("editables") is None:
            raise ConfigError(
                "an editable wheel needs `editables`, which is not installed where the wheel is built",
                hint='name both versions in the settings, and it is: `versions = ["standard", "editable"]` under '
                "[tool.hatch.build.targets.wheel]; or add `editables` to `requires` of [build-system]",
            )
        building.check_replaceable(Path(self.root), config.resources)
        building.admits_running_version(core.dependencies, core.name, config.extra_libraries)
        with self.build_config.set_build_data(build_data):
            files = _shipped(self.build_config.builder.recurse_included_files())
            data = self._shared(build_data)
        if config.resources is not None:
            self._check_force_include(files, config.resources)
        return building.build(files, project=core.raw_name, version=self.metadata.version, config=config, data=data)

    def _shared(self, build_data: dict[str, Any]) -> list[ShippedFile]:
        """Scripts and data files, which are installed outside of the import path."""
        from hatchling.builders.utils import normalize_inclusion_map

        found: list[ShippedFile] = []
        for kind, folder in (("shared_data", "data"), ("shared_scripts", "scripts")):
            included = {
                **getattr(self.build_config, kind, {}),
                **normalize_inclusion_map(build_data.get(kind, {}), self.root),
            }
            found += _shipped(self.build_config.builder.recurse_explicit_files(included), f"{folder}/")
        return found

    def _check_hooks(self, build_data: dict[str, Any]) -> None:
        behind = build_data["build_hooks"][build_data["build_hooks"].index(self.PLUGIN_NAME) + 1 :]
        if behind:
            raise ConfigError(
                f"the build hook `{behind[0]}` runs after `dbxdec`, which would not see the files it makes",
                hint="move [tool.hatch.build.hooks.dbxdec] behind all other hooks in pyproject.toml",
            )

    def _check_ignore_rules(self) -> None:
        config = self.build_config
        if config.ignore_vcs or not config.vcs_exclusion_files["git"]:
            return
        rules = [
            line
            for path in config.vcs_exclusion_files["git"]
            for line in Path(path).read_text(encoding="utf-8").splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]
        if rules and not config.load_vcs_exclusion_patterns():
            raise ConfigError(
                f"a rule of .gitignore matches the project's own path, {self.root}, so hatchling drops all of them",
                hint="start the rule with `/`, or check the project out somewhere else",
            )

    def _check_entry_point(self) -> None:
        """The platform looks for a name in all groups: a second one of ours could be started in its place."""
        from dbxdec import protocol

        core = self.metadata.core
        groups = {"scripts": core.scripts, "gui-scripts": core.gui_scripts}
        groups |= {f'entry-points."{group}"': points for group, points in core.entry_points.items()}
        wrong = [
            Problem(
                f"the entry point `{protocol.ENTRY_POINT}` is dbxdec's own",
                f"project.{group}.{protocol.ENTRY_POINT}",
                "choose another name, or remove it: the build hook adds the one that runs the tasks",
            )
            for group, points in groups.items()
            if points.get(protocol.ENTRY_POINT, protocol.ENTRY_POINT_OBJECT) != protocol.ENTRY_POINT_OBJECT
        ]
        if wrong:
            raise ConfigError(wrong)

    def _check_force_include(self, files: Iterable[ShippedFile], resources: str) -> None:
        path = Path(self.root, resources).resolve()
        if found := next((file.path for file in files if Path(file.origin).resolve() == path), None):
            raise ConfigError(
                f"{resources}, which this build writes, would be in the wheel as {found}",
                hint="`force-include` other files than these, or choose another `resources` under [tool.dbxdec]",
            )

    def _keep_out(self, resources: str) -> None:
        """Neither sdist nor wheel may hold the resources of an earlier build."""
        from pathspec import GitIgnoreSpec

        rule = GitIgnoreSpec.from_lines([f"/{resources}"])
        excluded = self.build_config.exclude_spec
        self.build_config.exclude_spec = rule if excluded is None else excluded + rule

    def _keep_in_place(self, path: str) -> None:
        """Have `sources` leave `path` alone: hatchling rewrites metadata by it too (`sources = {"" = "prefix"}`)."""
        rewrite = self.build_config.get_distribution_path
        if rewrite(path) != path:
            kept = lambda other: path if other == path else rewrite(other)  # noqa: E731
            setattr(self.build_config, "get_distribution_path", kept)  # noqa: B010 - a method, to mypy

    def _remove_entry_point(self) -> None:
        """The same metadata object serves a following sdist, whose setup.py would have it."""
        from dbxdec import protocol

        groups = self.metadata.core.entry_points
        points = groups.get(protocol.ENTRY_POINT_GROUP, {})
        points.pop(protocol.ENTRY_POINT, None)
        if not points:
            groups.pop(protocol.ENTRY_POINT_GROUP, None)

    def _abandon(self, version: str) -> None:
        """At the process's end: `finalize` was never called, since something else failed or only hooks were run."""
        if attempt := self._attempts.pop(version, None):
            from dbxdec import building

            shutil.rmtree(attempt.scratch, ignore_errors=True)
            building.drop_orphan(Path(self.root), attempt.config.resources)

    def _fail(self, error: DbxdecError, config: Config | None, *wheels: Path) -> NoReturn:
        from dbxdec import building

        building.discard(Path(self.root), config.resources if config else None, *wheels)
        self._abort(error)

    def _say(self, kind: str, text: str) -> None:
        """Have the front end show a text that its stream can write."""
        from dbxdec import streams

        show = {"info": self.app.display_info, "warning": self.app.display_warning, "abort": self.app.abort}[kind]
        show(streams.safe(text))

    def _abort(self, error: DbxdecError) -> NoReturn:
        count = len(error.problems)
        head = f"dbxdec: {count} problems" if count > 1 else "dbxdec"
        self._say("abort", f"{head}: {error}" if count == 1 else f"{head}:\n{error}")
        raise SystemExit(1)  # abort has ended the process


def _shipped(included: Iterable[IncludedFile], prefix: str = "") -> list[ShippedFile]:
    from dbxdec.building import ShippedFile

    return [
        ShippedFile(
            path=prefix + file.distribution_path.replace("\\", "/"),
            origin=file.path,
            source=(file.relative_path or file.distribution_path).replace("\\", "/"),
        )
        for file in included
    ]
