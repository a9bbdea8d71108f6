"""A tree with the code of a git revision and all other files as they are now."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pytest_federated.core.errors import FederatedError
from pytest_federated.user.revision import commit_of, repository, search_path, write_tree


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one commit, and a working tree that has changed since."""
    root = tmp_path / "project"
    for name, text in {
        "src/package/model.py": "old",
        "src/package/gone.py": "old",
        "scenarios/a.yaml": "old",
        "scenarios/own.py": "old",
        "data/deep/rows.csv": "old",
        "pytest.ini": "old",
        ".gitignore": "ignored*\n",
    }.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    for name in (
        *("src/package/model.py", "scenarios/a.yaml", "scenarios/own.py", "data/deep/rows.csv"),
        *("pytest.ini", "src/package/new.py", "scenarios/new.yaml", "ignored.csv"),
    ):
        (root / name).write_text("new")
    (root / "src/package/gone.py").unlink()
    for left_out in (".venv/pyvenv.cfg", "src/package/__pycache__/model.pyc"):
        (root / left_out).parent.mkdir()
        (root / left_out).write_text("new")
    return root


def test_code_comes_from_the_revision_and_all_else_from_the_working_tree(
    root: Path, tmp_path: Path
) -> None:
    before = git(root, "status", "--porcelain"), git(root, "worktree", "list")
    tree = tmp_path / "tree"
    write_tree(commit_of("main", root), root, tree)
    # Links are followed, as by whoever reads the tree.
    files = [f for f in tree.glob("**/*") if f.is_file()] + [tree / "data/deep/rows.csv"]
    assert {str(f.relative_to(tree)): f.read_text() for f in files} == {
        "src/package/model.py": "old",
        "src/package/gone.py": "old",
        "scenarios/own.py": "old",
        "scenarios/a.yaml": "new",
        "scenarios/new.yaml": "new",
        "data/deep/rows.csv": "new",
        "pytest.ini": "new",
        "ignored.csv": "new",
        ".gitignore": "ignored*\n",
    }
    assert (git(root, "status", "--porcelain"), git(root, "worktree", "list")) == before


def test_scenario_files_are_not_links_into_the_working_tree(root: Path, tmp_path: Path) -> None:
    """Their code is looked for next to them, wherever a link leads."""
    tree = tmp_path / "tree"
    write_tree(commit_of("HEAD", root), root, tree)
    for name in ("scenarios/a.yaml", "scenarios/own.py", "pytest.ini"):
        assert (tree / name).resolve() == tree.resolve() / name


def test_large_files_and_data_folders_are_linked(root: Path, tmp_path: Path) -> None:
    (root / "scenarios/large.npz").write_bytes(b"0" * 2_000_000)
    tree = tmp_path / "tree"
    write_tree(commit_of("HEAD", root), root, tree)
    assert (tree / "scenarios/large.npz").is_symlink()
    assert (tree / "data").is_symlink()
    assert (tree / "data/deep/rows.csv").read_text() == "new"


def test_a_tree_inside_the_repository_does_not_contain_itself(root: Path) -> None:
    folder = root / "tmp"
    folder.mkdir()
    write_tree(commit_of("HEAD", root), root, folder / "tree")
    assert not (folder / "tree/tmp").exists()


def test_a_revision_that_does_not_exist_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FederatedError, match="got 'mian'; no such revision in project"):
        commit_of("mian", root)
    with pytest.raises(FederatedError, match="not a git repository"):
        repository(tmp_path)
    assert repository(root / "src") == root.resolve()


def test_the_search_path_leads_into_the_tree(root: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_tree(commit_of("HEAD", root), root, tree)
    installed = root / ".venv/lib/python3.11/site-packages"
    installed.mkdir(parents=True)
    entries = [str(root / "src"), str(installed), "/usr/lib/python3.11", str(root)]
    assert search_path(entries, root, tree) == [str(tree / "src"), str(tree)]
