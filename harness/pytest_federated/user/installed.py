"""What belongs to Python and to installed packages, not to the user."""

from __future__ import annotations

import functools
import os
import re
import sys
import sysconfig
from collections.abc import Iterable
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any, Optional, Union

OURS = __name__.partition(".")[0]
PACKAGE_FOLDERS = frozenset(("site-packages", "dist-packages"))  # Debian has the latter
_PATHS = sysconfig.get_paths()
_INSTALLED = tuple(
    str(Path(_PATHS[k]).resolve()) for k in ("stdlib", "platstdlib", "purelib", "platlib")
)


def standard_names() -> frozenset[str]:
    """Returns the names of the modules in Python's own folders, for those before Python 3.10."""
    folder = Path(_PATHS["stdlib"])
    files = [*folder.glob("*"), *folder.glob("lib-dynload/*")]
    names = (file.name.partition(".")[0] for file in files)
    frozen = {"_frozen_importlib", "_frozen_importlib_external"}
    return frozenset(filter(str.isidentifier, names)) - {"test", "LICENSE"} | frozen


STANDARD = frozenset(sys.builtin_module_names) | (
    getattr(sys, "stdlib_module_names", None) or standard_names()
)
# The folders of all scenarios so far; what is in one of them is the user's, wherever it is.
scenario_folders: set[str] = set()


def add_scenario_folder(folder: Path) -> None:
    """Records that a folder has scenarios: scenarios of other folders do not see its modules."""
    scenario_folders.add(str(folder.absolute()))


def is_installed(path: Union[str, Path]) -> bool:
    """Returns whether a file or folder belongs to Python or to its installed packages."""
    resolved = os.path.realpath(path)
    # There may be packages of several environments, as with system packages or `uv run --with`.
    is_package = not PACKAGE_FOLDERS.isdisjoint(
        resolved.split(os.sep)  # noqa: PTH206 - Path.parts takes ten times as long
    )
    return is_package or resolved.startswith(_INSTALLED)


def is_taken(top: str) -> bool:
    """Returns whether a standard or an installed module has that name."""
    return top in STANDARD or _is_installed_name(top, tuple(sys.path))


@functools.lru_cache(maxsize=1 << 12)
def _is_installed_name(top: str, path: tuple[str, ...]) -> bool:
    installed = [p for p in path if p and p not in scenario_folders and is_installed(p)]
    spec = PathFinder.find_spec(top, installed)
    return spec is not None and spec.origin is not None


def versions_of(modules: Iterable[str]) -> list[str]:
    """Returns the installed distributions that modules of these names come from.

    Each is ``name==version``. Names of Python's own modules, of ours, and of those that no
    distribution has are left out.
    """
    tops = {module.partition(".")[0] for module in modules} - STANDARD - {OURS}
    return sorted({owner for top in tops if (owner := _distribution_of(top))})


@functools.lru_cache(maxsize=1 << 12)
def _distribution_of(top: str) -> Optional[str]:
    """Returns the distribution of a top-level module: of the same name, or that lists its files."""
    try:
        return f"{top}=={version(top)}"
    except (PackageNotFoundError, ValueError):
        pass
    its_files = re.compile(rf"^{re.escape(top)}[/.]", re.MULTILINE)
    for distribution in distributions():
        if its_files.search(distribution.read_text("RECORD") or ""):
            found: Any = distribution  # whose metadata has no known type in Python 3.9
            return f"{found.metadata['Name']}=={distribution.version}"
    return None
