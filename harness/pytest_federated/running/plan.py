"""Which trainings a scenario needs: one for each seed, and those that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from pytest_federated.expectations.looks import Look, looks
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
        seeds: of the trainings; of those that there may be, where more are added until the scenario
            is decided.
        looks: after how many of the seeds it is judged.
        compared: the scenarios that it is compared with, by expectation; none where rounds are
            cut, as then nothing is judged.

    """

    case: Case
    scenario: Scenario
    seeds: tuple[int, ...]
    compared: Mapping[str, Scenario]
    looks: tuple[Look, ...]

    @property
    def first_seeds(self) -> tuple[int, ...]:
        """The seeds that are run in any case."""
        return self.seeds[: self.looks[0].seeds]

    def with_seeds(self, seeds: Sequence[int]) -> Plan:
        """The same trainings on these seeds, judged once."""
        return replace(self, seeds=tuple(seeds), looks=(Look(len(seeds)),))

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
    references = compared(case)
    seeds = seeds_to_run(scenario.seeds, options.seeds)
    planned = (Look(len(seeds)),)
    if options.decide and scenario.expect and rounds == training.rounds:
        planned = looks(len(seeds), options.decide)
    return Plan(
        case,
        scenario.with_rounds(rounds),
        seeds_to_run(seeds, planned[-1].seeds),
        references if rounds == training.rounds else {},
        planned,
    )


def seeds_to_run(listed: Sequence[int], count: Optional[int]) -> tuple[int, ...]:
    """Returns the seeds of a scenario, or `count` of them: the first ones, then further ones."""
    if count is None:
        return tuple(listed)
    further = range(max(listed) + 1, max(listed) + 1 + max(0, count - len(listed)))
    return (*listed[:count], *further)


def _rounds(scenario: Scenario) -> int:
    return scenario.training.rounds
