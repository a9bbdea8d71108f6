"""Which files pytest reads as scenario files, and which it leaves out though they look like some.

Every session asks about each file and folder, so this imports little.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pytest_federated.scenario.naming import (
    DEFAULTS,
    is_hidden,
    is_yaml,
    looks_like_scenarios,
    may_hold_scenarios,
)

_NAMED = pytest.StashKey[frozenset[str]]()
_FIRST = pytest.StashKey[dict[str, Path]]()  # by the path without links
_SKIPPED = pytest.StashKey[dict[Path, str]]()
_MOST_SHOWN = 20
_UNMATCHED = "no pattern of fed_files is for it"
_IGNORED = "ignored (norecursedirs, collect_ignore, --ignore, a venv)"


def is_scenario_file(path: Path, config: pytest.Config) -> bool:
    """Returns whether pytest should read `path` as a scenario file, and notes why if it may not.

    It should where its name allows it, and `fed_files` has a pattern for it or it was named on the
    command line. Of several links to a file the first is read.
    """
    if not is_yaml(path) or path.name == DEFAULTS:
        return False
    is_named = os.path.realpath(path) in _named(config)
    if not (is_named or _is_expected(path, config)):
        if may_hold_scenarios(path) and looks_like_scenarios(path):
            _skip(config, path, _UNMATCHED)
        return False
    if is_hidden(path) and not is_named:
        _skip(config, path, "its name begins with a dot")
        return False
    return _is_first(path, config)


def note_ignored(path: Path, config: pytest.Config) -> None:
    """Notes the scenario files at or below a path that pytest is told to ignore."""
    is_folder = os.path.isdir(path)  # noqa: PTH112 - Path.is_dir may raise
    if _is_expected(path / "any.yaml" if is_folder else path, config):
        for file in _yaml_files(path) if is_folder else filter(may_hold_scenarios, [path]):
            _skip(config, file, _IGNORED)


def unreadable_files(folder: Path, config: pytest.Config) -> list[Path]:
    """Returns what has the name of a scenario file in a folder, and pytest does not see.

    That is what is neither a file nor a folder: links that lead nowhere, pipes and devices.
    """
    is_expected = _is_asked_for(folder, config) and _is_expected(folder / "any.yaml", config)
    if not is_expected or not _is_first(folder, config):
        return []
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:  # which pytest, too, meets, and shows
        return []
    return sorted(
        path
        for path in map(folder.joinpath, names)
        if may_hold_scenarios(path)
        and not os.path.isfile(path)  # noqa: PTH113 - Path.is_file may raise
        and not os.path.isdir(path)  # noqa: PTH112
    )


def files_to_read(config: pytest.Config) -> Iterator[Path]:
    """Yields the scenario files at and below pytest's arguments, without collecting any.

    For xdist's controller, which has not loaded the conftest.py files of folders further below.
    """
    for arg in config.args:
        path = config.invocation_params.dir / str(arg).split("::")[0]
        if os.path.isdir(path):  # noqa: PTH112
            yield from _files_below(path, config, ())
        elif os.path.exists(path) and is_scenario_file(path, config):  # noqa: PTH110
            yield path


def skipped_files(config: pytest.Config) -> list[str]:
    """Returns a line for each file that seems to hold scenarios and is not read.

    Several files of a folder that pytest is told to ignore have two lines together, and the
    patterns of `fed_files` come once, after the files that they are not for.
    """
    skipped = sorted(config.stash.setdefault(_SKIPPED, {}).items())
    ignored = Counter(path.parent for path, why in skipped if why == _IGNORED)
    folders = [folder for folder, files in ignored.items() if files > 1]
    lines = [
        f"not read: {shown(path, config)}: {why}"
        for path, why in skipped
        if why != _IGNORED or path.parent not in folders
    ]
    for folder in folders:
        name = shown(folder, config)
        lines.append(
            f"not read: {name}: {ignored[folder]} files that pytest is told to ignore;\n"
            f"  to run them: pytest {name} (unless by --ignore or collect_ignore)"
        )
    if (left := len(lines) - _MOST_SHOWN) > 0:
        lines = [*lines[:_MOST_SHOWN], f"not read: {left} other file(s)"]
    if unmatched := [place for place, line in enumerate(lines) if line.endswith(_UNMATCHED)]:
        lines[unmatched[-1]] += f"\n  fed_files: {' '.join(config.getini('fed_files'))}"
    return lines


def ignored_files(config: pytest.Config) -> list[Path]:
    """Returns the scenario files that pytest is told to ignore."""
    skipped = config.stash.setdefault(_SKIPPED, {})
    return [path for path, why in sorted(skipped.items()) if why == _IGNORED]


def shown(path: Path, config: pytest.Config) -> str:
    """Returns the path of a file, relative to pytest's root folder if it is below that."""
    root = config.rootpath
    return path.relative_to(root).as_posix() if root in path.parents else str(path)


def _files_below(folder: Path, config: pytest.Config, around: tuple[str, ...]) -> Iterator[Path]:
    if (real := os.path.realpath(folder)) in around:  # by a link
        return
    yield from unreadable_files(folder, config)
    try:
        paths = sorted(Path(entry.path) for entry in os.scandir(folder))
    except OSError:  # pytest's processes say so
        return
    for path in paths:
        is_folder = os.path.isdir(path)  # noqa: PTH112 - Path.is_dir may raise
        is_file = os.path.isfile(path)  # noqa: PTH113
        if not (is_folder or is_file) or _is_ignored(path, config):
            continue
        if is_folder:
            yield from _files_below(path, config, (*around, real))
        elif is_scenario_file(path, config):
            yield path


def _is_ignored(path: Path, config: pytest.Config) -> bool:
    return bool(config.hook.pytest_ignore_collect(collection_path=path, config=config))


def _named(config: pytest.Config) -> frozenset[str]:
    """Returns what was named on the command line, without links."""
    if _NAMED not in config.stash:
        start = config.invocation_params.dir
        paths = (start / str(arg).split("::")[0] for arg in config.args)
        config.stash[_NAMED] = frozenset(map(os.path.realpath, paths))
    return config.stash[_NAMED]


def _is_expected(path: Path, config: pytest.Config) -> bool:
    """Returns whether `fed_files` has a pattern for a path.

    Without an ini file, the root folder is wherever pytest was started: its own name counts, too.
    """
    roots = [config.rootpath] if config.inipath else [config.rootpath, config.rootpath.parent]
    names = [path.relative_to(root) for root in roots if root in path.parents] or [path]
    names.append(Path(path.name))
    return any(fnmatch(name.as_posix(), p) for name in names for p in config.getini("fed_files"))


def _yaml_files(folder: Path) -> list[Path]:
    paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return sorted(filter(may_hold_scenarios, paths))


def _is_first(path: Path, config: pytest.Config) -> bool:
    """Returns whether a file or folder was not met before, by another path."""
    first = config.stash.setdefault(_FIRST, {}).setdefault(os.path.realpath(path), path)
    return first == path


def _is_asked_for(path: Path, config: pytest.Config) -> bool:
    """Returns whether a path is at or below what was named on the command line."""
    real = os.path.realpath(path)
    return any(real == named or real.startswith(named + os.sep) for named in _named(config))


def _skip(config: pytest.Config, path: Path, why: str) -> None:
    if _is_asked_for(path.parent, config):
        config.stash.setdefault(_SKIPPED, {})[path] = why
