"""Baselines, records and plots of scenarios that are gone: renamed, removed, of another matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.baselines import FOLDER as BASELINES
from pytest_federated.expectations.baselines import read_baseline
from pytest_federated.report.pictures import PLOTS, plot_names
from pytest_federated.report.plots.plot import plot_kinds
from pytest_federated.results.store import FOLDER as RECORDS
from pytest_federated.results.store import UNREACHED, read_result
from pytest_federated.scenario.files import find_files
from pytest_federated.scenario.loader import load_file


def baselines(paths: Sequence[Path]) -> list[Path]:
    """Returns the baselines at and below `paths` whose scenario is in no file beside them.

    All scenario files of a folder are read, whichever of them are run.

    Raises:
        ScenarioError: a scenario file beside baselines cannot be read, so it cannot be known.

    """
    folders = {file.parent for path in paths for file in find_files(path) if file.is_file()}
    for path in paths:  # also where the last scenario file is gone
        candidates = path.rglob(BASELINES) if path.is_dir() else ()
        folders |= {
            folder.parent
            for folder in candidates
            if not any(part.startswith(".") for part in folder.relative_to(path).parts)
        }
    gone: list[Path] = []
    for folder in sorted(folders):
        present = {f: _id_of_baseline(f) for f in sorted((folder / BASELINES).glob("*.json"))}
        if present:
            scenarios = ids([file for file in find_files(folder) if file.parent == folder])
            gone += [file for file, id_ in present.items() if id_ and id_ not in scenarios]
    return gone


def records(report: Path, scenarios: Iterable[str]) -> list[Path]:
    """Returns the records in a report's folder whose scenario is not among these ids."""
    present = set(scenarios)
    folder = report / RECORDS
    files = sorted([*folder.glob("*.json"), *(folder / UNREACHED).glob("*.json")])
    return [file for file in files if read_result(file).id not in present]


def plots(report: Path, gone: Iterable[Path] = ()) -> list[Path]:
    """Returns the plots in a report's folder that no record has, the records `gone` aside."""
    kept = set((report / RECORDS).glob("*.json")) - set(gone)
    names = {name for file in kept for name in plot_names(read_result(file))}
    drawn = sorted((report / PLOTS).glob("*.svg"))
    ours = tuple(f".{what}.svg" for what in plot_kinds())
    return [file for file in drawn if file.name.endswith(ours) and file.name not in names]


def ids(files: Iterable[Path]) -> set[str]:
    """Returns the ids of all scenarios in these files.

    Raises:
        ScenarioError: one of them cannot be read.

    """
    return {case.id for file in files for case in load_file(file)}


def _id_of_baseline(file: Path) -> str:
    """Returns the id of a baseline's scenario; empty where the file is not a baseline."""
    try:
        baseline = read_baseline(file)
    except FederatedError:
        return ""
    return baseline.id if baseline else ""
