"""One scenario to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_federated.scenario.schema import Scenario


@dataclass(frozen=True)
class Case:
    """One scenario to run: a document of a file, a variant of its matrix, or one from Python.

    Attributes:
        scenario: what to run.
        variant: the part of the id in brackets, empty without a matrix.
        file: the file, as passed to `loader.load_file`; empty for a scenario written in Python.
        line: first line of its document, from 1; 0 without a file.
        siblings: all variants of the document's matrix, this one too; empty without a matrix.

    """

    scenario: Scenario
    variant: str = ""
    file: Path = Path()
    line: int = 0
    siblings: Mapping[str, Scenario] = field(default_factory=dict, compare=False, repr=False)

    @property
    def id(self) -> str:
        """The name and the variant, as in ``digits-label-skew[alpha=0.1]``."""
        return self.scenario.id(self.variant)
