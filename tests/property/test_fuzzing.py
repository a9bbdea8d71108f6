"""Fuzzing of scenario files: valid ones are read, the others refused, and nothing else happens.

The cases are the same ones each time, so that a commit passes or fails for good.
`FUZZ_CASES=20000 uv run pytest -m slow tests/property/test_fuzzing.py` tries more, and others.
"""

from __future__ import annotations

import datetime
import functools
import io
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from jsonschema import Draft202012Validator
from paths import ROOT
from pytest_federated.core.errors import FederatedError, Problem, ScenarioError
from pytest_federated.data.datasets.dataset import Cache, datasets
from pytest_federated.data.federation import federate
from pytest_federated.report.describe import describe
from pytest_federated.running.options import Options
from pytest_federated.running.plan import plan
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.json_schema import json_schema
from pytest_federated.scenario.loader import load_file
from pytest_federated.scenario.schema import choices
from rich.console import Console
from scenario_strategies import (
    Mutated,
    Valid,
    as_yaml,
    damaged_files,
    mutated_documents,
    valid_documents,
)
from scenario_texts import GOOD

pytestmark = pytest.mark.slow

CASES = int(os.environ.get("FUZZ_CASES", "2000"))  # of all three kinds together
LIMIT = 1.0  # seconds of processor time for a file


def fuzzed(cases: int) -> settings:
    """Settings for that many cases, without shrinking: it takes minutes, and cases are small."""
    return settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        derandomize="FUZZ_CASES" not in os.environ,
    )


@functools.cache
def schema() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


@contextmanager
def project(*defaults: bytes) -> Iterator[Path]:
    """A folder for scenario files with these defaults, its own first, then those above."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "below")
        folder.mkdir()
        Path(root, "pytest.ini").touch()
        for place, text in zip((folder, folder.parent), defaults):
            (place / "defaults.yaml").write_bytes(text)
        yield folder


def shipped_defaults(folder: Path) -> list[bytes]:
    """Returns the defaults of a folder of shipped scenarios, and those above it."""
    files = [place / "defaults.yaml" for place in (folder, ROOT / "scenarios")]
    return [file.read_bytes() if file.exists() else b"" for file in files]


def read(folder: Path) -> Union[list[Case], ScenarioError]:
    """Returns the scenarios of f.yaml or the error; reads again what took longer than allowed."""
    for _ in range(3):
        begin = time.process_time()
        try:
            outcome: Union[list[Case], ScenarioError] = load_file(folder / "f.yaml", folder)
        except ScenarioError as error:
            outcome = error
        if time.process_time() - begin <= LIMIT:
            return outcome
    pytest.fail(f"takes more than {LIMIT} s of processor time each time")


@fuzzed(CASES // 4)
@given(valid_documents())
def test_valid_documents_are_read_described_and_written(valid: Valid) -> None:
    with project(as_yaml(valid.defaults)) as folder:
        (folder / "f.yaml").write_bytes(as_yaml(valid.document))
        cases = read(folder)
        assert not isinstance(cases, ScenarioError), str(cases)
        for document in valid:
            schema().validate(document)
        for case in cases:
            assert plan(case, Options()).trainings >= len(case.scenario.seeds)
            written = case.scenario.settings()
            schema().validate(written)
            (folder / "f.yaml").write_bytes(as_yaml(written))
            (again,) = load_file(folder / "f.yaml", folder)
            assert again.scenario == case.scenario
            _describe(case)


def _describe(case: Case) -> None:
    """Shows the clients of a scenario, with a small data set in place of its own."""
    data = case.scenario.data.model_copy(update={"dataset": datasets.parse("wine")})
    try:
        federation = federate(data, case.scenario.clients, 0, Cache(Path("nowhere")))
    except FederatedError:
        return
    describe(case.id, federation, Console(file=io.StringIO()))


@fuzzed(CASES // 2)
@given(mutated_documents())
def test_wrong_values_in_a_document_are_problems_and_nothing_else(mutated: Mutated) -> None:
    with project(*shipped_defaults(mutated.folder)) as folder:
        (folder / "f.yaml").write_bytes(as_yaml(mutated.document))
        outcome = read(folder)
    _is_explained(outcome)
    error = next(schema().iter_errors(as_json(mutated.document)), None)
    if not isinstance(outcome, ScenarioError):
        event("read")
        assert error is None or "matrix" in mutated.document, f"{error.json_path}: {error.message}"
    elif error is None:
        for problem in outcome.problems:
            why = reason(problem, mutated.document)
            assert why, f"the JSON Schema misses: {problem}"
            event(f"the JSON Schema lets it pass: {why}")
    else:
        event("refused by both")


@fuzzed(CASES // 4)
@given(damaged_files())
def test_wrong_bytes_in_a_file_are_problems_and_nothing_else(damaged: tuple[bytes, Path]) -> None:
    data, around = damaged
    with project(*shipped_defaults(around)) as folder:
        (folder / "f.yaml").write_bytes(data)
        _is_explained(read(folder))
    with project(data, shipped_defaults(around)[1]) as folder:
        (folder / "f.yaml").write_text(GOOD)
        _is_explained(read(folder))


def _is_explained(outcome: Union[list[Case], ScenarioError]) -> None:
    if isinstance(outcome, ScenarioError):
        assert outcome.problems and str(outcome).encode()
        assert all(p.file and p.file.name in ("f.yaml", "defaults.yaml") for p in outcome.problems)
        assert not any("\n" in str(p) for p in outcome.problems)


def as_json(value: Any) -> Any:
    """Returns the value as an editor that only knows JSON's types reads it from YAML."""
    if isinstance(value, dict):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(inner) for inner in value]
    if isinstance(value, (datetime.date, bytes)):
        return str(value)
    return value


# What JSON Schema cannot check (docs/scenarios.md), by the loader's messages.
CANNOT_SAY = {
    "a key is missing, which defaults.yaml or matrix may have": (
        r"^missing; (it has no default|the first line|the \w+ split needs|expect\.\w+ is measured|"
        r"tune chooses by)|"
        r"needs the key 'kind'|needs order \(the best first\)|"
        r"must name at least 2 variants|must list variants, or lists"
    ),
    "numbers, lengths and names are compared": (
        r"there are (clients 0 to )?\d+|that is no(body| attacker)|with the test fraction of|"
        r"^nothing is at least|"
        r"no such variant|^is not compared, as nothing is expected|"
        r"gives the same variant twice|is replaced by|cannot be trained by|"
        r"varies twice|does not vary|leaves (out no|out all)|best_by takes one round|"
        r"has one combination|varied by the matrix, too|compares the variants of a matrix|"
        r"is not measured in each round|got '.*'; allowed: accuracy, loss|"
        r"^got '.*; allowed: [^,=]*="  # variants
    ),
    "which modules are Python's": r"which is a part of Python;",
    "no epsilon can be promised": r"as no epsilon can be promised: (?!the aggregator)",
    "what a metric is measured on": (
        r"(^|; )(it|(expect|comparison|tune)\.\w+) (is measured on|takes best_by|is for a delta|"
        r"leaves the first round out|needs per_client)"
    ),
    "which task the data has": r"; the data has (labels|numbers) \(task|not for data with the task",
    "YAML is more than JSON": (
        r"^got -?\d+; must be text|"
        r"^got the tag |as a key; keys are text|^got text with a character|^got -?(inf|nan)\b|"
        r"^got \d{4}-\d\d-\d\d|^got -?[\d.]+(e\+?\d+)?; must be an integer|"
        r"^got \d+\.0; a share is at most|^got -?\d+; a whole number has at most"
    ),
}
# What it can only check in a document that has these keys and no matrix.
SAYS_OF_KEYS = {
    r"^got nothing; must be a name": ["training.algorithm"],
    r"has no use for it": ["training.algorithm"],
    r"sets it itself": ["training.algorithm"],
    r"has no model that all clients fine-tune": ["training.algorithm"],
    r"which get no noise": ["training.algorithm", "training.aggregator"],
    r"may come several times": ["training.aggregator", "clients.sampling"],
    r"counts every client the same": ["training.algorithm", "training.aggregator"],
    r"as no epsilon can be promised: the aggregator": ["training.aggregator"],
    r"gives no way to change a client's update;": ["training.algorithm"],
    r"gives no way to change a client's update in": [
        *("training.algorithm", "training.aggregator", "training.execution"),
    ],
    r"has sizes of its own": ["clients.split"],
    r"which of them train": ["clients.unseen"],
    r"sampling does not read it": ["clients.sampling"],
    r"has a test set of its own": ["data.dataset", "data.holdout"],
    r"needs data.holdout: per_client": ["data.holdout"],
}


def reason(problem: Problem, document: Any) -> str:
    """Returns why the JSON Schema lets a problem pass, or "" if it should not."""
    value = _value_at(problem.key, document)
    if value != as_json(value):
        return "YAML is more than JSON"  # a date, for instance, is text to the schema
    if any("," in str(key) for key in _grid_keys(document)):
        return "keys that vary together"
    for reason, pattern in CANNOT_SAY.items():
        if re.search(pattern, problem.message):
            return reason
    for pattern, keys in SAYS_OF_KEYS.items():
        if re.search(pattern, problem.message):
            keys = [*keys, problem.key]
            is_whole = "matrix" not in document and all(_is_chosen(document, k) for k in keys)
            return "" if is_whole else "a key that this needs may be elsewhere"
    around = problem.key.rpartition(".")[0]
    is_of_choice = around in {".".join(path) for path, _ in choices()}
    if (problem.message.startswith("unknown key") or is_of_choice) and not _is_chosen(
        document, around
    ):
        return "a key that this needs may be elsewhere"
    return ""


def _grid_keys(document: Any) -> list[Any]:
    """Returns the keys of the grids of a document."""
    grids = (_value_at("matrix", document), _value_at("tune.keys", document))
    return [key for grid in grids if isinstance(grid, dict) for key in grid]


def _value_at(dotted: str, document: Any) -> Any:
    """The value of a key, in whose name items of lists have numbers; None if it is not there."""
    for key in dotted.split("."):
        if isinstance(document, list) and key.isdigit() and int(key) < len(document):
            document = document[int(key)]
        elif isinstance(document, dict) and key in document:
            document = document[key]
        else:
            return None
    return document


def _is_chosen(document: Any, dotted: str) -> bool:
    """Says whether a document has a key, with its kind if it is a mapping."""
    for key in dotted.split("."):
        if not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return not isinstance(document, dict) or "kind" in document
