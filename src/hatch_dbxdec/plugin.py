"""The build hook: gives `dbxdec.building` the files of the wheel, and puts what it makes into the wheel.

Everything that can fail runs in `initialize`; `finalize` verifies the finished wheel and writes the resources that
name it. A failure leaves neither wheel nor resources.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

from dbxdec import protocol
from dbxdec.errors import ConfigError, DbxdecError
from dbxdec.manifest import PATH

if TYPE_CHECKING:
    from dbxdec.building import Build
    from dbxdec.config import Config

# Hatchling's own options of any hook: they stay in `self.config`, and are none of ours.
_HATCHLING_OPTIONS = {"dependencies", "require-runtime-dependencies", "require-runtime-features", "enable-by-default"}


class DbxdecBuildHook(BuildHookInterface[BuilderConfig]):
    """`[tool.hatch.build.hooks.dbxdec]`; its settings are under `[tool.dbxdec]`."""

    PLUGIN_NAME = "dbxdec"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By version: hatchling calls one instance for each of `-t wheel:standard,editable`.
        self._builds: dict[str, tuple[Config, Build, str]] = {}

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Discover, check and render; put the manifest and the entry point into the wheel to be built."""
        config = self._config()
        if config.resources is not None:
            self._keep_out(config.resources)
        if self.target_name != "wheel":
            return
        try:
            made = self._build(config, build_data)
        except DbxdecError as error:
            self._fail(error, config)
        scratch = tempfile.mkdtemp(prefix="dbxdec-")
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)  # where hatchling fails before `finalize`
        manifest = Path(scratch, "manifest.json")
        manifest.write_bytes(made.content)
        manifest.chmod(0o644)
        build_data["extra_metadata"][str(manifest)] = PATH
        self._entry_points()[protocol.ENTRY_POINT] = protocol.ENTRY_POINT_OBJECT
        self._builds[version] = (config, made, scratch)
        for warning in made.discovered.warnings:
            self.app.display_warning(f"dbxdec: {warning}")
        if made.discovered.stand_ins:
            self.app.display_info(f"dbxdec: not installed here, stood in for: {', '.join(made.discovered.stand_ins)}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Verify the finished wheel, and write the resources that deploy it."""
        if self.target_name != "wheel":
            return
        from dbxdec import building, codegen

        config, made, scratch = self._builds.pop(version)
        wheel = Path(artifact_path)
        shutil.rmtree(scratch, ignore_errors=True)
        # The same metadata object serves a following sdist target.
        self._entry_points().pop(protocol.ENTRY_POINT, None)
        root = Path(self.root)
        try:
            building.verify(made, wheel, standard=version == "standard")
            jobs, tasks = len(made.manifest.raw_jobs), sum(len(j["tasks"]) for j in made.manifest.raw_jobs.values())
            summary = f"dbxdec: {jobs} jobs, {tasks} tasks, build {made.manifest.build_id[:12]}"
            if config.resources is not None and self._writes_resources(version, wheel):
                content = building.resources_content(
                    made.manifest,
                    Path(config.resources),
                    wheel.resolve().relative_to(root.resolve()),
                    config.extra_libraries,
                )
                codegen.write_if_changed(root / config.resources, content)
                summary += f" -> {config.resources}"
        except DbxdecError as error:
            self._fail(error, config, wheel)
        except OSError as error:
            self._fail(ConfigError(f"the resources can't be written: {error}"), config, wheel)
        self.app.display_info(summary)

    def _config(self) -> Config:
        from dbxdec import config

        unknown = sorted(set(self.config) - _HATCHLING_OPTIONS)
        try:
            if unknown:
                raise ConfigError(
                    f"tool.hatch.build.hooks.dbxdec has the unknown option `{unknown[0]}`",
                    hint=f"settings of dbxdec stand in [tool.dbxdec]: write `{unknown[0]} = ...` there",
                )
            return config.load(Path(self.root, "pyproject.toml"))
        except DbxdecError as error:
            self._fail(error, None)

    def _build(self, config: Config, build_data: dict[str, Any]) -> Build:
        from dbxdec import building

        core = self.metadata.core
        self._check_hooks(build_data)
        self._check_ignore_rules()
        if not any(library.startswith("dbxdec") for library in config.extra_libraries):
            building.admits_running_version(core.dependencies, core.name)
        with self.build_config.set_build_data(build_data):
            included = list(self.build_config.builder.recurse_included_files())
        files = [
            building.ShippedFile(
                path=file.distribution_path.replace("\\", "/"),
                origin=file.path,
                source=(file.relative_path or file.distribution_path).replace("\\", "/"),
            )
            for file in included
        ]
        return building.build(files, project=core.raw_name, version=self.metadata.version, config=config)

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

    def _keep_out(self, resources: str) -> None:
        """Neither sdist nor wheel may hold the resources of an earlier build."""
        from pathspec import GitIgnoreSpec

        rule = GitIgnoreSpec.from_lines([f"/{resources}"])
        excluded = self.build_config.exclude_spec
        self.build_config.exclude_spec = rule if excluded is None else excluded + rule

    def _entry_points(self) -> dict[str, str]:
        points: dict[str, dict[str, str]] = self.metadata.core.entry_points
        return points.setdefault(protocol.ENTRY_POINT_GROUP, {})

    def _writes_resources(self, version: str, wheel: Path) -> bool:
        """Only a standard build of a tree leaves a wheel at a place that the resources can name."""
        root = Path(self.root)
        return (
            version == "standard"
            and not (root / "PKG-INFO").exists()
            and wheel.resolve().is_relative_to(root.resolve())
        )

    def _fail(self, error: DbxdecError, config: Config | None, *wheels: Path) -> NoReturn:
        from dbxdec import building

        building.discard(Path(self.root), config.resources if config else None, *wheels)
        count = len(error.problems)
        head = f"dbxdec: {count} problems" if count > 1 else "dbxdec"
        self.app.abort(f"{head}: {error}" if count == 1 else f"{head}:\n{error}")
        raise SystemExit(1)  # abort has ended the process
