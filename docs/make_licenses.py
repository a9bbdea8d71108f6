"""Writes docs/licenses.md, the licenses of the packages that uv.lock installs.

Run this after a change to uv.lock, with all extras, as it reads the licenses of the installed
packages: ``uv run --all-extras python docs/make_licenses.py``. tests/unit/test_supply_chain.py
compares the page with uv.lock.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Optional

import tomllib
from packaging.markers import Marker

PAGE = Path(__file__).parent / "licenses.md"
LOCK = Path(__file__).parent.parent / "uv.lock"
OURS = "pytest-federated"
_PLACE = {
    **{"sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux"},
    **{"python_version": "3.11", "python_full_version": "3.11.9", "os_name": "posix"},
    **{"implementation_name": "cpython", "platform_python_implementation": "CPython", "extra": ""},
}
_OSI = "License :: OSI Approved :: "


def locked(lock: Path = LOCK) -> dict[str, str]:
    """Returns the versions of all packages that are installed with ours on Linux, by name.

    This includes all extras and excludes the development dependencies.
    """
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    (ours,) = (package for package in packages if package["name"] == OURS)
    todo: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        (ours, tuple(ours["optional-dependencies"]))
    ]
    seen: set[str] = set()
    versions: dict[str, str] = {}
    while todo:
        package, extras = todo.pop()
        if (key := f"{package['name']}{package['version']}{extras}") in seen:
            continue
        seen.add(key)
        versions[package["name"]] = package["version"]
        needed = list(package.get("dependencies", ()))
        for extra in extras:
            needed += package.get("optional-dependencies", {}).get(extra, ())
        for other in needed:
            if Marker(other.get("marker", "python_version > '3'")).evaluate(_PLACE):
                fits = (
                    p
                    for p in packages
                    if p["name"] == other["name"]
                    and other.get("version", p["version"]) == p["version"]
                )
                todo.append((next(fits), tuple(other.get("extra", ()))))
    del versions[OURS]
    return dict(sorted(versions.items()))


def license_of(name: str, version: str) -> Optional[str]:
    """Returns the license that a package's metadata states; None if it is not installed."""
    try:
        metadata: Any = distribution(name).metadata
    except PackageNotFoundError:
        return None
    if metadata["Version"] != version:
        return None
    if stated := metadata.get("License-Expression"):
        return str(stated)
    classifiers = metadata.get_all("Classifier") or []
    approved = [c[len(_OSI) :] for c in classifiers if c.startswith(_OSI)]
    first = str(metadata.get("License") or "").strip().partition("\n")[0]
    return "; ".join(approved) or (first if len(first) < 80 else "") or "not stated"


def rows(text: str) -> dict[str, tuple[str, str]]:
    """Returns the version and license of each package on the page."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {name: (version, license_) for name, version, license_ in lines[1:]}


def main() -> None:
    """Writes the page; exits with an error if a package is not installed."""
    table = ["| package | version | license |", "|---|---|---|"]
    for name, version in locked().items():
        stated = license_of(name, version)
        if stated is None:
            raise SystemExit(f"{name} {version} is not installed: run this with uv, --all-extras")
        table.append(f"| {name} | {version} | {stated} |")
    PAGE.write_text(
        "# Licenses\n\n"
        "<!-- Made by docs/make_licenses.py; not edited by hand. -->\n\n"
        "pytest-federated is under the [Apache License 2.0](../LICENSE). It contains none of the\n"
        "packages below, which pip and uv install. The licenses are those that their metadata\n"
        "states, in the versions of `uv.lock` for Linux with Python 3.11, with all extras and\n"
        "without the development dependencies.\n\n" + "\n".join(table) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
