"""Dependencies of serverless environments, written so that the bundle's CLI recognises packages.

The CLI reads a dependency in a narrow form of a requirement as a package, and nearly everything else as the path of a
file (databricks/cli, bundle/libraries/local_path.go). Its validation then passes, and the deploy fails.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.versions import A_RANGE, ONE_OF_THEM, excluded
from dbxdec.errors import listed
from dbxdec.support.addresses import secretive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement
    from packaging.specifiers import Specifier

    from dbxdec.build.codegen.fields import Finding

# Narrower than what the CLI accepts: its older releases are stricter about spaces.
_VERSION = r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?"
_SPECIFIER = rf"(==|!=|<=|>=|~=|<|>){_VERSION}"
_PACKAGE = re.compile(
    rf"(?P<name>[a-z0-9][\w-]*)(\[[\w.,-]*\])?({_SPECIFIER}(,{_SPECIFIER})*)?", re.ASCII | re.IGNORECASE
)

_FILE = re.compile(r"\..*|.*\.(whl|tar\.gz|zip)(\[[^\]]*\])?", re.DOTALL)
_URL = re.compile(r"(?!file:)[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
_AT_URL = re.compile(r"\w[\w.-]*\s*(\[[^\]]*\]\s*)?@\s*(/|[a-z][a-z0-9+.-]*:)", re.ASCII | re.IGNORECASE)
# The CLI moves the path only after the short options, and only after a space.
_PATH_OPTION = re.compile(
    r"(?:-(?P<short>[re])[\s=]*|--(?P<long>requirement|editable)[\s=]+)(?P<path>[^\s=].*)", re.DOTALL
)
_OPTION = re.compile(r"(^|\s)--?[A-Za-z0-9-]+([\s|=]|$)")
# The endings of files that list requirements.
_LISTS = (".txt", ".in")

NO_PACKAGE = "write `name>=1,<2`, or name a wheel by its path"


def normalised(dependency: str) -> str:
    """Return `dependency` in the form that the CLI reads correctly; unchanged if `refusals` has a finding."""
    return _read(dependency)[0]


def refusals(dependency: str) -> list[Finding]:
    """Return the reasons why `dependency` can't be given to the CLI, as (message, hint)."""
    return _read(dependency)[1]


def local_file(dependency: str) -> tuple[str, str] | None:
    """Return the option, if any, and the path if `dependency` is a file of the project; otherwise None."""
    text = dependency.strip()
    if option := _PATH_OPTION.fullmatch(text):
        return f"-{option['short'] or option['long'][0]} ", option["path"]
    is_else = _AT_URL.match(text) or _OPTION.search(text) or _is_remote(text)
    return ("", text) if _FILE.fullmatch(text) and not is_else else None


def is_wheel(dependency: str) -> bool:
    """Return whether `dependency` is the path or the URL of a wheel, not a requirement such as `name @ https://...`."""
    return dependency.endswith(".whl") and _AT_URL.match(dependency) is None


def is_package(library: str) -> bool:
    """Return whether pip takes `library` for a package by itself, as clusters need it: no option, no file."""
    from packaging.requirements import InvalidRequirement, Requirement

    text = library.strip()
    if "${" in text:
        return True  # only the deploy knows what the bundle makes of it
    if _OPTION.search(text) or local_file(text) is not None or text.endswith(_LISTS):
        return False
    try:
        Requirement(text)
    except InvalidRequirement:
        return _is_remote(text)
    return True


def conflicts(dependencies: Iterable[Any], written: Iterable[Any]) -> list[Finding]:
    """Return the packages of which `dependencies` leave no version, as (message, hint).

    Only those of which `written`, a part of the dependencies, asks for one are returned.
    """
    authors = {normalised(text) for text in written if isinstance(text, str)}
    return [
        (f"the dependencies {listed(those)} exclude each other", ONE_OF_THEM)
        if those[1:]
        else (f"the dependency `{those[0]}` excludes every version", A_RANGE)
        for those in exclusive(dependencies)
        if not authors.isdisjoint(those)
    ]


def exclusive(requirements: Iterable[Any]) -> list[list[str]]:
    """Return those of `requirements` that no version of a package fulfils together, by package."""
    asked: dict[str, list[str]] = {}
    read = (_read(text) for text in requirements if isinstance(text, str))
    for text in dict.fromkeys(text for text, refused in read if not refused):
        if found := _PACKAGE.fullmatch(text):
            asked.setdefault(re.sub(r"[-_]+", "-", found["name"]).lower(), []).append(text)
    return list(filter(None, map(excluded, asked.values())))


def _is_remote(text: str) -> bool:
    return text.startswith("/") or _URL.match(text) is not None


def _read(dependency: str) -> tuple[str, list[Finding]]:
    text = dependency.strip()
    if "${" in text and secretive(text) is None:
        return dependency, []  # only the deploy knows what the bundle makes of it
    if not text:
        return dependency, [("a dependency is empty", "leave it out")]
    if (address := secretive(text)) is not None:
        hint = "leave them out, and let the environment have the password: an index of the workspace, or a secret"
        return dependency, [(f"a dependency has a password or a token in {address}, which everybody could read", hint)]
    if text.startswith("file:"):
        hint = "write the path by itself, as in `libs/x.whl` or `/Workspace/x.whl`"
        return dependency, [(f"the dependency `{text}` is a URL of a file", hint)]
    if (file := local_file(text)) is not None:
        return "".join(file), []
    # pip takes a local version only after `==` and `!=`, and two numbers or more after `~=`.
    is_package = _PACKAGE.fullmatch(text) and "+" not in text and "~=" not in text
    if _OPTION.search(text) or _is_remote(text) or is_package:
        return text, []
    return _read_requirement(text)


def _read_requirement(text: str) -> tuple[str, list[Finding]]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        hint = "`name>=1,<2`, `name @ https://...`, a wheel whose path ends in .whl, or `-r requirements.txt`"
        return text, [(f"the dependency `{text}` is neither a requirement nor a file", hint)]
    findings = _refused_parts(text, requirement)
    if findings:
        return text, findings
    return _name(requirement) + (f" @ {requirement.url}" if requirement.url else _versions(requirement)), []


def _refused_parts(text: str, requirement: Requirement) -> list[Finding]:
    what = f"the dependency `{text}`"
    findings: list[Finding] = []
    if requirement.marker is not None:
        hint = "leave it out: the environment's version fixes Python and the platform"
        findings.append((f"{what} has a marker, so a bundle reads it as a file", hint))
    if "." in requirement.name:
        same = requirement.name.replace(".", "-")
        is_list = text.endswith(_LISTS)
        hint = f"write `-r {text}`" if is_list else f"write `{same}`, which is the same package to pip"
        findings.append((f"{what} has a name with `.`, which a bundle reads as a file", hint))
    if requirement.url is not None and not _URL.match(requirement.url):
        hint = "use https://..., or write the path by itself"
        findings.append((f"{what} has a URL that a bundle reads as a file", hint))
    for specifier in requirement.specifier:
        wildcard = specifier.operator == "!=" and specifier.version.endswith(".*")
        if wildcard or specifier.operator == "===":
            hint = "name the versions one by one: `!=1.2.0,!=1.2.1`" if wildcard else "use `==`"
            findings.append((f"{what} has `{specifier}`, which a bundle reads as a file", hint))
    return findings


def _name(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return requirement.name + extras


def _versions(requirement: Requirement) -> str:
    # A wildcard includes pre-releases too, which count only if another part asks for one.
    least = ".dev0" if requirement.specifier.prereleases else ""
    return ",".join(sorted(_specifier(specifier, least) for specifier in requirement.specifier))


def _specifier(specifier: Specifier, least: str) -> str:
    from packaging.version import Version

    if not specifier.version.endswith(".*"):
        return f"{specifier.operator}{Version(specifier.version)}"
    first = Version(specifier.version.removesuffix(".*"))
    epoch = f"{first.epoch}!" if first.epoch else ""
    after = ".".join(map(str, [*first.release[:-1], first.release[-1] + 1]))
    return f">={first}{least},<{epoch}{after}{least}"
