"""The user's code as it was at a revision of git, beside all other files as they are now."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.git import git, git_text

_CODE = ".py"
_LINKED_FROM = 1_000_000  # bytes: larger files are linked to, not copied
_LEFT_OUT = {".git", "__pycache__", "node_modules", ".pytest_cache", ".hypothesis", ".tox", ".nox"}
# Read with their place resolved, or as settings: these are copied wherever they are.
_COPIED = {".yaml", ".yml", ".toml", ".ini", ".cfg"}


def repository(folder: Path) -> Path:
    """Returns the top folder of the repository that a folder is in.

    Raises:
        FederatedError: it is in none.

    """
    return Path(git_text("rev-parse", "--show-toplevel", folder=folder)).resolve()


def commit_of(revision: str, root: Path) -> str:
    """Returns the commit of a revision.

    Raises:
        FederatedError: the repository has no such revision.

    """
    name = f"{revision}^{{commit}}"
    try:
        return git_text("rev-parse", "--verify", "--quiet", "--end-of-options", name, folder=root)
    except FederatedError:
        raise FederatedError(f"got {revision!r}; no such revision in {root.name}") from None


def write_tree(commit: str, root: Path, tree: Path) -> None:
    """Writes a copy of the working tree whose Python files are those of a commit.

    Scenario files, data and settings are as they are now, committed or not. Large files are linked
    to, and so are folders in which there is no code and nothing like settings. Virtual environments
    and caches are left out.

    Args:
        commit: of the repository.
        root: its top folder.
        tree: the new folder.

    Raises:
        FederatedError: git failed, or a file cannot be copied.

    """
    listed = git("ls-tree", "-r", "-z", "--name-only", commit, folder=root).decode().split("\0")
    code = [name for name in listed if name.endswith(_CODE)]
    index = {"GIT_INDEX_FILE": str(tree.with_name("index"))}
    try:
        tree.mkdir()
        git("read-tree", commit, folder=root, variables=index)
        git(
            *("checkout-index", "-z", "--stdin", f"--prefix={tree}/"),
            stdin="\0".join(code).encode(),
            folder=root,
            variables=index,
        )
        with_code = {str(parent) for name in code for parent in Path(name).parents}
        _copy_all_but_code(root, tree, "", with_code)
    except OSError as error:
        raise FederatedError(f"{error.filename}: cannot be copied: {error.strerror}") from None


def _copy_all_but_code(source: Path, target: Path, place: str, with_code: set[str]) -> None:
    """Copies a folder, which is at `place` below the top one; `with_code` have code in the tree."""
    for entry in sorted(os.scandir(source), key=lambda e: e.name):
        path, copy = Path(entry.path), target / entry.name
        inner = f"{place}/{entry.name}".lstrip("/")
        if entry.is_dir() and not entry.is_symlink():
            if entry.name in _LEFT_OUT or (path / "pyvenv.cfg").exists():
                continue
            if target.is_relative_to(path):  # the tree itself is in there
                continue
            if inner not in with_code and _is_only_data(path):
                copy.symlink_to(path)
            else:
                copy.mkdir(exist_ok=True)
                _copy_all_but_code(path, copy, inner, with_code)
        elif path.suffix == _CODE or not path.exists():
            continue
        elif path.is_file() and (path.suffix in _COPIED or entry.stat().st_size < _LINKED_FROM):
            shutil.copy(path, copy)
        else:
            copy.symlink_to(path.resolve())


def _is_only_data(folder: Path) -> bool:
    """Returns whether a folder has neither code nor anything that is copied, at any depth."""
    for _, _, names in os.walk(folder):
        if any(Path(name).suffix in {_CODE, *_COPIED} for name in names):
            return False
    return True


def search_path(entries: Sequence[str], root: Path, tree: Path) -> list[str]:
    """Returns the entries of a search path for modules that are below `root`, as in the tree.

    Where a package of the repository is installed in place, its folder is one of them. What is
    installed into a virtual environment is not.
    """
    found: list[str] = []
    for entry in entries:
        path = Path(entry or ".").resolve()
        if path.is_relative_to(root):
            place = path.relative_to(root)
            if (tree / place).is_dir() and "site-packages" not in place.parts:
                found.append(str(tree / place))
    return found
