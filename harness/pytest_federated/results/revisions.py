"""The records that the commits of a range have: how results changed over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Generic, TypeVar

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.git import git_text
from pytest_federated.core.text import shortened
from pytest_federated.results.record import Result
from pytest_federated.results.runs import SHALLOW, commit_of, committed_files, is_shallow
from pytest_federated.results.store import FOLDER, parse_result

_T = TypeVar("_T")
_FORMAT = "%H%x00%as%x00%s"
_SUBJECT = 100  # characters


@dataclass(frozen=True)
class Commit:
    """A commit, as it is named in a history.

    Attributes:
        name: its hash.
        date: of its author, as ``2026-11-26``.
        subject: first line of its message, at most 100 characters.

    """

    name: str
    date: str
    subject: str

    @property
    def short(self) -> str:
        """The first ten digits of its hash."""
        return self.name[:10]


@dataclass(frozen=True)
class Revision(Generic[_T]):
    """The records of a commit.

    Attributes:
        commit: the commit.
        results: what was taken of each record, by the scenario's id.
        files: paths of the records in the repository, by the scenario's id.

    """

    commit: Commit
    results: dict[str, _T]
    files: dict[str, str]


@dataclass(frozen=True)
class Revisions(Generic[_T]):
    """The records of a range of commits.

    Attributes:
        span: the range, as it was asked for.
        folder: the report's folder.
        revisions: those that have records, the oldest first.
        notes: what was left out, and why, a line each.

    """

    span: str
    folder: Path
    revisions: Sequence[Revision[_T]]
    notes: Sequence[str]

    def author_of(self, number: int, result_id: str) -> Commit:
        """Returns the commit that wrote a record as the revision of that number has it.

        If the revision is a merge, that is the newest commit that it merged and that touched the
        record.
        """
        revision = self.revisions[number]
        merged = f"{self.revisions[number - 1].commit.name}..{revision.commit.name}"
        path = f":(top,literal){revision.files[result_id]}"
        found = _log(self.folder, "--no-merges", "--max-count=1", merged, "--", path)
        return found[0] if found else revision.commit


def read_revisions(span: str, folder: Path, take: Callable[[Result], _T]) -> Revisions[_T]:
    """Reads the records of a range of commits, each different record once.

    The commits are the first parents of its end that changed a record, and its beginning: what the
    branch itself was at each time.

    Args:
        span: the range, as ``main~50..main``; the commits since ``main`` branched off as
            ``main...HEAD``. An end that is left out is HEAD.
        folder: the report's folder, with a folder of records; in the repository that it is in.
        take: takes of a record what is kept.

    Raises:
        FederatedError: there is no such range, no repository, or no records in it.

    """
    begin, dots, end = span.partition("..." if "..." in span else "..")
    if not dots or span.count("..") > 1:
        raise FederatedError(f"--history: got {span!r}; a range of commits, as main~50..main")
    try:
        first, last = (commit_of(name or "HEAD", folder) for name in (begin, end))
    except FederatedError as error:
        raise FederatedError(f"--history: {error}") from None
    if dots == "...":
        first = _merge_base(first, last, span, folder)
    _require_ancestor(first, last, span, folder)
    place = f"{git_text('rev-parse', '--show-prefix', folder=folder)}{FOLDER}/"
    after = f"{first}..{last}"
    path = f":(top,literal){place}"
    commits = _log(folder, "--first-parent", "--reverse", after, "--", path)
    if not commits:
        raise FederatedError(f"--history: no commit of {span} changes a record in {place}")
    commits = [*_log(folder, "--max-count=1", first), *commits]
    notes: list[str] = []
    if git_text("status", "--porcelain", "--", path, folder=folder):
        notes.append(f"{place} has changes that are not committed; they are not shown")
    taken: dict[str, tuple[str, _T]] = {}
    revisions = [_read(commit, place, folder, take, taken, notes) for commit in commits]
    with_records = [revision for revision in revisions if revision.results]
    if len(with_records) < 2:
        raise FederatedError(
            "\n".join([f"--history: fewer than two commits of {span} have records", *notes])
        )
    return Revisions(span, folder, with_records, notes)


def _merge_base(first: str, last: str, span: str, folder: Path) -> str:
    try:
        return git_text("merge-base", first, last, folder=folder)
    except FederatedError:
        raise FederatedError(f"--history: {span}: these have no commit in common") from None


def _require_ancestor(first: str, last: str, span: str, folder: Path) -> None:
    """Checks that the range has a beginning.

    Raises:
        FederatedError: its end does not descend from its beginning, or a shallow clone lacks what
            is between them.

    """
    try:
        git_text("merge-base", "--is-ancestor", first, last, folder=folder)
    except FederatedError:
        advice = (
            SHALLOW
            if is_shallow(folder)
            else "the second does not descend from the first; with three dots the range begins "
            "where they branched off"
        )
        raise FederatedError(f"--history: {span}: {advice}") from None


def _log(folder: Path, *arguments: str) -> list[Commit]:
    text = git_text("log", f"--format={_FORMAT}", *arguments, folder=folder)
    fields = (line.split("\0", 2) for line in text.split("\n") if line)
    return [Commit(name, date, shortened(subject, _SUBJECT)) for name, date, subject in fields]


def _read(
    commit: Commit,
    place: str,
    folder: Path,
    take: Callable[[Result], _T],
    taken: dict[str, tuple[str, _T]],
    notes: list[str],
) -> Revision[_T]:
    """Reads the records of a commit; those that another one has, too, are in `taken`, by blob.

    Adds to the notes if there are none, or some cannot be read.
    """
    listed = git_text("ls-tree", "-z", "--full-tree", commit.name, place, folder=folder)
    entries = (entry.split("\t", 1) for entry in listed.split("\0") if entry)
    blobs = {path: head.split()[2] for head, path in entries if path.endswith(".json")}
    if not blobs:
        notes.append(f"{commit.short}: no records in {place}")
    new = [blob for blob in dict.fromkeys(blobs.values()) if blob not in taken]
    names = {blob: path for path, blob in blobs.items()}
    problems: list[str] = []
    for blob, text in zip(new, committed_files(new, folder) if new else []):
        try:
            result = parse_result(text, names[blob])
        except FederatedError as error:
            problems.append(str(error))
        else:
            taken[blob] = (result.id, take(result))
    if problems:
        count = f"{len(problems)} record(s) cannot be read by this version"
        notes.append(f"{commit.short}: {count}, as {problems[0]}")
    revision: Revision[_T] = Revision(commit, {}, {})
    for path, blob in blobs.items():
        if blob in taken:
            result_id, value = taken[blob]
            revision.results[result_id] = value
            revision.files[result_id] = path
    return revision
