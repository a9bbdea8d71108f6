"""Runs by name: the records of a file, of a folder, or of a revision of a git repository."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Optional

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.git import git, git_text
from pytest_federated.core.ordering import natural
from pytest_federated.core.suggestions import suggest
from pytest_federated.results.record import Result
from pytest_federated.results.store import FOLDER, parse_result, read_result, read_results

SHALLOW = "this clone is shallow; git fetch --unshallow gets its whole history"
DEFAULT_FOLDER = "reports"  # where a revision has its records


@dataclass(frozen=True)
class Run:
    """Records that were made together.

    Attributes:
        name: the name by which it was read.
        results: by id, of the scenarios that ran or should have run; the latter have no histories.

    """

    name: str
    results: dict[str, Result]


def read_runs(names: Sequence[str], folder: str = DEFAULT_FOLDER) -> list[Run]:
    """Reads the runs of these names, in order.

    Args:
        names: each a record, a folder with records, a git revision, or two revisions as
            ``main..HEAD`` (or ``main...HEAD``: from where HEAD branched off). A file or folder of
            that name takes precedence.
        folder: the folder of a revision's report in the repository.

    Raises:
        FederatedError: there is no such run, it has no records, or two are the same.

    """
    runs: dict[str, Run] = {}
    for name in (end for name_or_range in names for end in _expanded(name_or_range)):
        source, run = _read(name, folder)
        if source in runs:
            same = runs[source].name
            raise FederatedError(
                f"{name}: the same run as {same}" if same != name else f"{name}: given twice"
            )
        runs[source] = run
    return list(runs.values())


def _expanded(name: str) -> list[str]:
    """Returns the two ends of a range of git revisions; any other name as it is."""
    if Path(name).exists() or ".." not in name:
        return [name]
    first, dots, second = name.partition("..." if "..." in name else "..")
    first, second = first or "HEAD", second or "HEAD"
    if dots == "...":
        first = git_text("merge-base", commit_of(first), commit_of(second))[:12]
    return [first, second]


def _read(name: str, folder: str) -> tuple[str, Run]:
    """Returns where a run is from, a resolved path or a commit, and the run."""
    path = Path(name)
    if path.is_file():
        results = [read_result(path)]
    elif path.is_dir():
        is_records = path.name == FOLDER and not (path / FOLDER).is_dir()
        results = read_results(path.parent if is_records else path)
        path = path.parent if is_records else path
    else:
        commit = commit_of(name)
        return commit, Run(name, _by_id(_committed(name, commit, folder), name))
    return str(path.resolve()), Run(name, _by_id(results, name))


def _by_id(results: Sequence[Result], name: str) -> dict[str, Result]:
    collected = [r for r in results if r.status != "skipped"]
    if not collected:
        raise FederatedError(f"{name}: no scenario ran there")
    return {
        r.id: r.model_copy(update={"histories": ()}) if r.is_earlier else r
        for r in sorted(collected, key=lambda r: natural(r.id))
    }


def commit_of(revision: str, folder: Optional[Path] = None) -> str:
    """Returns the commit of a revision of the repository that a folder is in.

    Args:
        revision: its name.
        folder: the folder; the current one when None.

    Raises:
        FederatedError: there is no such revision, or no repository.

    """
    try:
        git_text("rev-parse", "--is-inside-work-tree", folder=folder)
    except FederatedError as error:
        raise FederatedError(
            f"{revision}: no such file or folder, and no git revision either: {error}"
        ) from None
    try:
        return git_text(
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{revision}^{{commit}}",
            folder=folder,
        )
    except FederatedError:
        names = git_text(
            "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", folder=folder
        ).split()
        nearest = suggest(revision, names).partition("; ")[2]
        if is_shallow(folder):
            nearest = SHALLOW
        raise FederatedError(
            f"{revision}: no such file, folder or git revision"
            + (f"; {nearest}" if nearest else "")
        ) from None


def is_shallow(folder: Optional[Path] = None) -> bool:
    """Returns whether the repository that a folder is in lacks a part of its history."""
    return git_text("rev-parse", "--is-shallow-repository", folder=folder) == "true"


def _committed(name: str, commit: str, folder: str) -> list[Result]:
    """Reads the records that a commit has in that folder of the repository."""
    place = PurePosixPath(folder) / FOLDER
    listed = git_text("ls-tree", "-z", "--full-tree", "--name-only", commit, f"{place}/").split(
        "\0"
    )
    names = sorted(n for n in listed if n.endswith(".json"))
    if not names:
        raise FederatedError(
            f"{name}: no records in {place} of that revision; --in names another folder"
        )
    contents = committed_files([f"{commit}:{n}" for n in names])
    return [parse_result(text, f"{name}:{n}") for n, text in zip(names, contents)]


def committed_files(names: Sequence[str], folder: Optional[Path] = None) -> list[bytes]:
    """Returns the contents of files in a repository, by blob or as ``commit:path``, in order.

    All at once: a process for each file takes seconds.
    """
    text = "".join(f"{name}\n" for name in names)
    output = io.BytesIO(git("cat-file", "--batch", stdin=text.encode(), folder=folder))
    contents: list[bytes] = []
    for _ in names:
        size = int(output.readline().split()[-1])
        contents.append(output.read(size))
        output.readline()  # the end of its last line
    return contents
