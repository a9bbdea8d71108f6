"""Which trainings a scenario needs: one for each seed, and those that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from pytest_federated.expectations.looks import Look, looks
from pytest_federated.running.options import Options
from pytest_federated.scenario.case import Case, Point
from pytest_federated.scenario.points import points_of
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
        points: what is tried first where the scenario is tuned, by name; empty once one of them is
            chosen, which `scenario` is then.
        tuning_seeds: of the trainings of these: the scenario's own, and no more of them than are
            run.
        most_rounds: of a training, by the options.
        before: how many trainings were done before these, to choose a point.
        point: the name of the point that was chosen.

    """

    case: Case
    scenario: Scenario
    seeds: tuple[int, ...]
    compared: Mapping[str, Scenario]
    looks: tuple[Look, ...]
    points: Mapping[str, Point] = field(default_factory=dict[str, Point])
    tuning_seeds: tuple[int, ...] = ()
    most_rounds: Optional[int] = None
    before: int = 0
    point: str = ""

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
        return len(self.all_runs())

    def all_runs(self) -> list[Run]:
        """Lists all trainings; where a point is not chosen yet, as if it were the first one."""
        if not self.points:
            return [run for place in range(len(self.scenarios)) for run in self.runs(place)]
        tried = [run for name in self.points for run in self.runs_of_point(name)]
        others = self.chosen(next(iter(self.points))).all_runs()[len(self.tuning_seeds) :]
        return [*tried, *others]

    def runs(self, place: int) -> list[Run]:
        """Lists the trainings of one of `scenarios`, by its place."""
        first, rounds = self.before + place * len(self.seeds), _rounds(self.scenarios[place])
        point = "" if place else self.point
        return [
            Run(seed, position, rounds, is_reference=place > 0, point=point)
            for position, seed in enumerate(self.seeds, start=first)
        ]

    def runs_of_point(self, name: str) -> list[Run]:
        """Lists the trainings of a point that is tried."""
        first = list(self.points).index(name) * len(self.tuning_seeds)
        rounds = _rounds(self.scenario_of_point(name))
        return [
            Run(seed, position, rounds, point=name)
            for position, seed in enumerate(self.tuning_seeds, start=first)
        ]

    def scenario_of_point(self, name: str) -> Scenario:
        """The scenario of a point that is tried, with no more rounds than the options allow."""
        return _cut(self.points[name].scenario, self.most_rounds)

    def chosen(self, name: str) -> Plan:
        """The trainings of one of the points, and of what that is compared with.

        Raises:
            FederatedError: an expectation compares it with what is not there.
        """
        case = replace(self.case, scenario=self.points[name].scenario, points={})
        scenario = self.scenario_of_point(name)
        return replace(
            self,
            case=case,
            scenario=scenario,
            compared=compared(case) if _rounds(scenario) == _rounds(case.scenario) else {},
            points={},
            before=len(self.points) * len(self.tuning_seeds),
            point=name,
        )


def plan(case: Case, options: Options) -> Plan:
    """Plans the trainings of a case.

    Raises:
        FederatedError: an expectation compares with what is not there.
        ScenarioError: a scenario from Python is tuned, and its grid is wrong.
    """
    scenario = _cut(case.scenario, options.rounds)
    is_whole = _rounds(scenario) == _rounds(case.scenario)
    references = compared(case)
    seeds = seeds_to_run(scenario.seeds, options.seeds)
    planned = (Look(len(seeds)),)
    if options.decide and scenario.expect and is_whole:
        planned = looks(len(seeds), options.decide)
    points = case.points or (points_of(case.scenario) if case.scenario.tune else {})
    return Plan(
        case,
        scenario,
        seeds_to_run(seeds, planned[-1].seeds),
        references if is_whole else {},
        planned,
        points,
        seeds[: len(scenario.seeds)] if points else (),
        options.rounds,
    )


def _cut(scenario: Scenario, rounds: Optional[int]) -> Scenario:
    """Returns the scenario with no more than so many rounds; without a number, as it is."""
    return (
        scenario if rounds is None or rounds >= _rounds(scenario) else scenario.with_rounds(rounds)
    )


def seeds_to_run(listed: Sequence[int], count: Optional[int]) -> tuple[int, ...]:
    """Returns the seeds of a scenario, or `count` of them: the first ones, then further ones."""
    if count is None:
        return tuple(listed)
    further = range(max(listed) + 1, max(listed) + 1 + max(0, count - len(listed)))
    return (*listed[:count], *further)


def _rounds(scenario: Scenario) -> int:
    return scenario.training.rounds
