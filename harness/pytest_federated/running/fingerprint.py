"""What one training depends on: equal fingerprints, equal numbers."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Optional

from pytest_federated.core.cores import cores
from pytest_federated.core.schema import Section
from pytest_federated.data.datasets import external as files
from pytest_federated.data.datasets.dataset import Cache, datasets, stated_task
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.registry.choice import user_entries
from pytest_federated.running.options import default_cache
from pytest_federated.scenario.schema import Scenario
from pytest_federated.user import files as user_files
from pytest_federated.user.functions import fingerprint_of, fingerprints

# What a training's figures depend on, besides the scenario and our own code.
_PACKAGES = (
    *("tensorflow", "tensorflow-federated", "tensorflow-privacy", "keras", "numpy", "scipy"),
    *("scikit-learn", "mlxtend"),
)
# Variables of the environment that choose kernels, and so rounding; but for those of messages.
_VARIABLES = ("TF_", "XLA_", "ONEDNN_", "DNNL_", "NPY_", "OPENBLAS_CORETYPE")
_IRRELEVANT = ("TF_CPP_", "ONEDNN_VERBOSE", "DNNL_VERBOSE")
_INSTRUCTION_SETS = ("avx", "fma", "amx", "sse4", "f16c")  # as the names of the CPU's flags begin


def ingredients(
    scenario: Scenario,
    seed: int,
    workers: int = 1,
    cache: Optional[Path] = None,
) -> dict[str, Any]:
    """All that one training depends on, as JSON-ready data.

    These are the settings that a training depends on (not the name, the tags, the expectations),
    the contents of files that the scenario names and of those that its data set reads from `cache`
    (default: the user's cache folder) and from the caches of other packages, the source of
    pytest-federated, of functions that the scenario names, and of files that registered something
    it chooses, the versions of packages and of Python, the CPU's instruction sets and the variables
    in the environment that choose TensorFlow's and NumPy's kernels, and the number of TFF workers,
    as sums are rounded by their order.
    """
    return Fingerprint(scenario, workers, cache).ingredients(seed)


class Fingerprint:
    """What the trainings of one scenario depend on, as it was when this was made.

    Several seeds share what does not depend on them; the files that the scenario names are looked
    at for each.
    """

    def __init__(
        self,
        scenario: Scenario,
        workers: int = 1,
        cache: Optional[Path] = None,
    ) -> None:
        self._files = [[*user_files.named_files(section)] for section in _sections(scenario)]
        self._of_all_seeds = _of_all_seeds(scenario, workers, cache)

    def ingredients(self, seed: int) -> dict[str, Any]:
        """Returns all that the training of a seed depends on, see `ingredients`."""
        files = [user_files.fingerprints(named, seed) for named in self._files]
        return {**self._of_all_seeds, "seed": seed, "files": files}

    def key(self, seed: int) -> str:
        """Returns what stands for the training of a seed, see `training_key`."""
        text = json.dumps(self.ingredients(seed), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _sections(scenario: Scenario) -> tuple[Section, ...]:
    model = [scenario.model] if scenario.model else []
    return (scenario.data, scenario.clients, *model, scenario.training)


def _of_all_seeds(scenario: Scenario, workers: int, cache: Optional[Path]) -> dict[str, Any]:
    """Returns what the trainings of all seeds of a scenario depend on, as `ingredients` does."""
    settings = scenario.settings()
    packages = datasets.entry(scenario.data.dataset).spec.packages
    return {
        "settings": [settings[part] for part in ("data", "clients", "model", "training")],
        "workers": workers,
        "functions": [fingerprints(section) for section in _sections(scenario)],
        "cached files": files.fingerprints(scenario.data.dataset, Cache(cache or default_cache())),
        "registered": {n: fingerprint_of(e.code) for n, e in user_entries(scenario).items()},
        **{package: _version(package) for package in packages},
        **surroundings(),
        **_scores(scenario),
    }


def surroundings() -> dict[str, Any]:
    """Returns what the figures of any training depend on: code, versions, CPU, environment."""
    return {
        "pytest-federated": own_source(),
        "Python": platform.python_version(),
        "machine": platform.machine(),
        "CPU": _instruction_sets(),
        **{package: _version(package) for package in _PACKAGES},
        "environment": _environment(),
    }


def surroundings_text() -> str:
    """Returns `surroundings`, and the number of cores, which TensorFlow's grappler reads."""
    return json.dumps({**surroundings(), "cores": cores()}, sort_keys=True)


def _scores(scenario: Scenario) -> dict[str, Any]:
    """Returns the metrics of predictions that are measured as they are expected, and their code."""
    task = stated_task(scenario.data.dataset)
    asked = {
        name: metrics[name]
        for name in scenario.expect
        if spec_of(name).score and task not in spec_of(name).scored_for
    }
    return {"scores": {n: fingerprint_of(e.code) for n, e in asked.items()}} if asked else {}


def training_key(
    scenario: Scenario,
    seed: int,
    workers: int = 1,
    cache: Optional[Path] = None,
) -> str:
    """What stands for one training: equal keys, equal histories, to the bit.

    Returns:
        64 hexadecimal digits.
    """
    return Fingerprint(scenario, workers, cache).key(seed)


def of_any_rounds(scenario: Scenario) -> Scenario:
    """Returns what stands for a scenario with any number of rounds.

    Trainings of equal `training_key` by it have equal states after equal rounds.
    """
    return scenario.with_rounds(1)


@functools.lru_cache(maxsize=1)
def own_source() -> str:
    """Returns a hash of the source of pytest-federated."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent.parent
    for file in sorted(folder.rglob("*.py")):
        source = file.read_bytes()
        name = file.relative_to(folder).as_posix()
        digest.update(repr((name, len(source))).encode() + source)
    return digest.hexdigest()


@functools.cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_VARIABLES) and not name.startswith(_IRRELEVANT)
    }


@functools.lru_cache(maxsize=1)
def _instruction_sets() -> list[str]:
    """Returns those of the CPU that kernels are chosen by; none where Linux does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    line = next((line for line in lines if line.startswith("flags")), "")
    flags = line.partition(":")[2].split()
    return sorted(flag for flag in flags if flag.startswith(_INSTRUCTION_SETS))
