"""Which trainings a scenario needs: one for each seed, and those that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from pytest_federated.running.options import Options
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.references import compared
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.observer import Run


@dataclass(frozen=True)
class Plan:
    """What a case comes to under some options.

    Attributes:
        case: what is run.
        scenario: its scenario, with no more rounds than the options allow.
        seeds: of the trainings.
        compared: the scenarios that it is compared with, by expectation; none where rounds are
            cut, as then nothing is judged.

    """

    case: Case
    scenario: Scenario
    seeds: tuple[int, ...]
    compared: Mapping[str, Scenario]

    @property
    def is_cut_short(self) -> bool:
        """Whether the options cut rounds, so that nothing is judged."""
        return _rounds(self.scenario) < _rounds(self.case.scenario)

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """All that are trained: the case's own, then those that it is compared with."""
        return (self.scenario, *self.compared.values())

    @property
    def trainings(self) -> int:
        """How many trainings there are, where none is left out."""
        return len(self.seeds) * len(self.scenarios)

    def runs(self, place: int) -> list[Run]:
        """Lists the trainings of one of `scenarios`, by its place."""
        first, rounds = place * len(self.seeds), _rounds(self.scenarios[place])
        return [
            Run(seed, position, rounds, is_reference=place > 0)
            for position, seed in enumerate(self.seeds, start=first)
        ]


def plan(case: Case, options: Options) -> Plan:
    """Plans the trainings of a case.

    Raises:
        FederatedError: an expectation compares with what is not there.
    """
    scenario = case.scenario
    training = scenario.training
    rounds = min(training.rounds, options.rounds or training.rounds)
    shortened = scenario.model_copy(
        update={"training": training.model_copy(update={"rounds": rounds})}
    )
    references = compared(case)
    return Plan(
        case,
        shortened,
        seeds_to_run(scenario.seeds, options.seeds),
        references if rounds == training.rounds else {},
    )


def seeds_to_run(listed: Sequence[int], count: Optional[int]) -> tuple[int, ...]:
    """Returns the seeds of a scenario, or `count` of them: the first ones, then further ones."""
    if count is None:
        return tuple(listed)
    further = range(max(listed) + 1, max(listed) + 1 + max(0, count - len(listed)))
    return (*listed[:count], *further)


def _rounds(scenario: Scenario) -> int:
    return scenario.training.rounds
