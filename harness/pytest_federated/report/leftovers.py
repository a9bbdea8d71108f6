"""Baselines, records and plots of scenarios that are gone: renamed, removed, of another matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.baselines import FOLDER as BASELINES
from pytest_federated.expectations.baselines import read_baseline
from pytest_federated.report.pages import PLOTS, plot_names
from pytest_federated.report.plots.plot import plot_kinds
from pytest_federated.results.store import FOLDER as RECORDS
from pytest_federated.results.store import read_result
from pytest_federated.scenario.files import find_files
from pytest_federated.scenario.loader import load_file


def baselines(paths: Sequence[Path]) -> list[Path]:
    """Baselines at and below `paths` whose scenario is in no file beside them.

    All scenario files of a folder are read, whichever of them are run.

    Raises:
        ScenarioError: a scenario file beside baselines cannot be read, so nobody knows.

    """
    folders = {file.parent for path in paths for file in find_files(path) if file.is_file()}
    for path in paths:  # also where the last scenario file is gone
        made = path.rglob(BASELINES) if path.is_dir() else ()
        folders |= {
            folder.parent
            for folder in made
            if not any(part.startswith(".") for part in folder.relative_to(path).parts)
        }
    left: list[Path] = []
    for folder in sorted(folders):
        kept = {file: _id_of_baseline(file) for file in sorted((folder / BASELINES).glob("*.json"))}
        if kept:
            known = ids([file for file in find_files(folder) if file.parent == folder])
            left += [file for file, id_ in kept.items() if id_ and id_ not in known]
    return left


def records(report: Path, known: Iterable[str]) -> list[Path]:
    """Records in a report's folder of other scenarios than those of these ids."""
    ids_ = set(known)
    files = sorted((report / RECORDS).glob("*.json"))
    return [file for file in files if read_result(file).id not in ids_]


def plots(report: Path, gone: Iterable[Path] = ()) -> list[Path]:
    """Plots in a report's folder that none of its records has, but for the records `gone`."""
    kept = set((report / RECORDS).glob("*.json")) - set(gone)
    names = {name for file in kept for name in plot_names(read_result(file))}
    drawn = sorted((report / PLOTS).glob("*.svg"))
    ours = tuple(f".{what}.svg" for what in plot_kinds())
    return [file for file in drawn if file.name.endswith(ours) and file.name not in names]


def ids(files: Iterable[Path]) -> set[str]:
    """The ids of all scenarios in these files.

    Raises:
        ScenarioError: one of them cannot be read.

    """
    return {case.id for file in files for case in load_file(file)}


def _id_of_baseline(file: Path) -> str:
    """Of which scenario it is; empty where it is no baseline of ours."""
    try:
        baseline = read_baseline(file)
    except FederatedError:
        return ""
    return baseline.id if baseline else ""
