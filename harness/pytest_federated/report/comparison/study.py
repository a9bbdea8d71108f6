"""What is compared with what: the variants of a matrix with one of them, task by task."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Optional

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.ordering import natural
from pytest_federated.metrics.difference import Difference
from pytest_federated.metrics.measure import Measure, compared_too, expected_measure, headline
from pytest_federated.metrics.statistics import CONFIDENCE
from pytest_federated.metrics.targets import (
    Speedup,
    bytes_until,
    curve,
    rounds_to,
    speedup,
    unreachable,
)
from pytest_federated.report.comparison.places import Values, cell, follows, telling
from pytest_federated.report.variants import Pivot, by_matrix, labels_of
from pytest_federated.results.record import Result
from pytest_federated.scenario.matrix import labels_in, unknown_variant, with_these
from pytest_federated.scenario.orders import orders_in

# Words that say nothing without their key.
_SILENT = ("True", "False", "None", "inf", "nan", "all")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?")


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to see compared; what is left open is as the scenarios say.

    Attributes:
        reference: what the variants are compared with, such as ``algorithm=fedavg``.
        measure: the metric to compare by.
        targets: values of it to reach.
        confidence: of all intervals of differences.

    """

    reference: str = ""
    measure: Optional[Measure] = None
    targets: Sequence[float] = ()
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class Study:
    """The variants of a matrix, and which of them the others are compared with.

    Attributes:
        title: the scenario.
        description: what it is about.
        cells: results by task and variant. All variants of a task are compared with its reference;
            a matrix of one key has one task, which has no values.
        reference: the variant to compare with.
        measure: the metric to compare by.
        targets: values of it to reach.
        confidence: of the intervals of differences.
        published: what a paper found, as the scenario's ``comparison.published`` says it.
        implied: values of keys that name neither tasks nor variants, by those that decide them.

    """

    title: str
    description: str
    cells: Mapping[tuple[Values, Values], Result]
    reference: Values
    measure: Measure
    targets: Sequence[float] = ()
    confidence: float = CONFIDENCE
    published: Mapping[str, Any] = field(default_factory=dict[str, Any])
    implied: Sequence[Mapping[Values, Values]] = ()

    @property
    def tasks(self) -> list[Values]:
        """Its tasks, numbers in order of size."""
        return sorted({task for task, _ in self.cells}, key=lambda t: natural(text_of(t)))

    @property
    def variants(self) -> list[Values]:
        """Its variants, the reference first, then in the order of the scenarios."""
        return list(dict.fromkeys([self.reference, *(variant for _, variant in self.cells)]))

    @property
    def others(self) -> list[tuple[Values, Values]]:
        """The tasks with the variants that are compared with the reference."""
        pairs = ((task, v) for task in self.tasks for v in self.variants if v != self.reference)
        return [pair for pair in pairs if pair in self.cells]

    @property
    def task_key(self) -> str:
        """What tells tasks apart; empty where there is one."""
        return ", ".join(label for label, _ in self.tasks[0])

    @property
    def variant_key(self) -> str:
        """What tells variants apart."""
        return ", ".join(label for label, _ in self.reference)

    def of_task(self, task: Values) -> dict[Values, Result]:
        """Returns the results of a task by variant."""
        return {v: self.cells[task, v] for v in self.variants if (task, v) in self.cells}

    def difference(
        self, task: Values, variant: Values, measure: Optional[Measure] = None
    ) -> Optional[Difference]:
        """Returns how a variant differs from the reference of its task; see `Measure.compare`.

        None where there is no such reference, or nothing can be compared.
        """
        first, second = self.cells.get((task, self.reference)), self.cells.get((task, variant))
        if first is None or second is None:
            return None
        return (measure or self.measure).compare(first, second, self.confidence)

    @cached_property
    def differences(self) -> dict[tuple[Values, Values], Optional[Difference]]:
        """How each variant differs from the reference of its task, by task and variant."""
        return {place: self.difference(*place) for place in self.others}

    def rounds(self, task: Values, variant: Values, target: float) -> dict[int, Optional[float]]:
        """Returns the rounds to a target by seed, None for a seed that does not get there."""
        result = self.cells.get((task, variant))
        histories = result.histories if result else ()
        name, sign = self.measure.name, self.measure.sign
        return {h.seed: rounds_to(curve(h, name), target, sign) for h in histories}

    def is_at_most(self, task: Values, variant: Values, target: float) -> bool:
        """Returns whether a seed was beyond a target when it was first evaluated.

        It got there in that round or in one before, so the rounds are at most these.
        """
        result = self.cells.get((task, variant))
        rounds = self.rounds(task, variant, target)
        begun = (
            (h.seed, curve(h, self.measure.name)) for h in (result.histories if result else ())
        )
        return any(points and 1 < points[0][0] == rounds[seed] for seed, points in begun)

    def megabytes(self, task: Values, variant: Values, target: float) -> Optional[float]:
        """Returns the mean over seeds of the MB to a target; None where a seed has no figure."""
        rounds = self.rounds(task, variant, target)
        if not rounds or None in rounds.values():
            return None
        histories = self.cells[task, variant].histories
        sent = [bytes_until(h, rounds[h.seed] or 0.0) for h in histories]
        known = [n for n in sent if n is not None]
        return math.fsum(known) / len(known) / 1e6 if len(known) == len(sent) else None

    @property
    def beside(self) -> list[Measure]:
        """The metrics that are shown beside the one that is compared, if there are figures."""
        others = (measure for measure in compared_too() if measure.name != self.measure.name)
        return [one for one in others if any(map(one.by_seed, self.cells.values()))]

    def times_faster(self, task: Values, variant: Values, target: float) -> Optional[Speedup]:
        """Returns how many times faster than the reference a variant gets to a target.

        None where a seed does not get there, or nobody knows when it did.
        """
        if any(self.is_at_most(task, v, target) for v in (self.reference, variant)):
            return None
        first, second = (self.rounds(task, v, target) for v in (self.reference, variant))
        return speedup(first, second, self.confidence)


def text_of(values: Values) -> str:
    """Returns values as a table has them below their key: ``0.1, fedavg``."""
    return ", ".join(value for _, value in values)


def name_of(values: Values) -> str:
    """Returns values as a sentence has them: ``fedavg``, ``alpha 0.1``; no list that is empty."""
    told = [(label, v) for label, v in values if v != "()"] or values
    return ", ".join(v if _speaks(v) else f"{label} {v}" for label, v in told)


def is_number(value: str) -> bool:
    """Returns whether the value of a key is a number."""
    return _NUMBER.fullmatch(value) is not None


def _speaks(value: str) -> bool:
    """Returns whether a value says what it is without its key."""
    return value[:1].isalpha() and value not in _SILENT


def studies(results: Iterable[Result], wanted: Wanted = Wanted()) -> list[Study]:
    """Returns a study for each matrix among the results.

    Without a reference that is wanted or that the scenario names, variants are compared with the
    first value of the matrix's last key; so where no variant of a matrix has the values of one.

    Raises:
        FederatedError: no variant of any matrix has the values of the reference that is wanted, or
            no study can have a target that is.

    """
    matrices = by_matrix(results)
    labels = [labels_of(result.id) for variants in matrices.values() for result in variants]
    if wanted.reference and (wrong := unknown_variant(wanted.reference, labels)):
        raise FederatedError(f"--reference: {wrong}")
    made = (_study(name, variants, wanted) for name, variants in matrices.items())
    found = [study for study in made if study is not None]
    _require_targets(found, wanted.targets)
    return found


def _study(name: str, results: Sequence[Result], wanted: Wanted) -> Optional[Study]:
    places = [labels_of(result.id) for result in results]
    labels = [label for label in places[0] if len({p.get(label, "") for p in places}) > 1]
    if not labels or any(list(p) != list(places[0]) for p in places):
        return None  # one variant, or records of another matrix among them
    section = _section(results)
    references = (wanted.reference, section.get("reference") or "")
    given = next((labels_in(one) for one in references if one and with_these(one, places)), {})
    needed = {*given, *_named(section.get("published") or {})}
    named = telling(labels, needed, places)
    keys = [label for label in named if label in given] or named[-1:]
    fixed = {key: given.get(key, places[0][key]) for key in keys}
    keys += [label for label in named if label not in keys and follows(label, keys, places)]
    of_reference = next(p for p in places if fixed.items() <= p.items())
    cells = {cell(p, named, keys): result for p, result in zip(places, results)}
    study = _of_cells(name, cells, cell(of_reference, named, keys)[1], wanted)
    return replace(study, implied=list(_implied(labels, named, keys, places)))


def _implied(
    labels: Sequence[str],
    named: Sequence[str],
    keys: Sequence[str],
    places: Sequence[Mapping[str, str]],
) -> Iterator[Mapping[Values, Values]]:
    """Yields what tasks, what variants, and what only both of them decide; see `Study.implied`."""
    tasks = [label for label in named if label not in keys]
    rest = [label for label in labels if label not in named]
    for side in (tasks, keys, named):
        decided = [label for label in rest if side and follows(label, side, places)]
        rest = [label for label in rest if label not in decided]
        if decided:
            yield {cell(p, side, side)[1]: cell(p, decided, decided)[1] for p in places}


def _named(published: Mapping[str, Any]) -> set[str]:
    """Returns the labels of the keys by which what a paper found names variants."""
    parts = [
        *published.get("figures", {}),
        *itertools.chain(*orders_in(published.get("order") or ())),
    ]
    return {label for part in parts for label in labels_in(part)}


def of_pivot(pivot: Pivot, wanted: Wanted) -> Study:
    """Returns the study of a table of any scenarios: its columns are the variants.

    Raises:
        FederatedError: the reference that is wanted is not among the columns, or the study cannot
            have a target that is.

    """
    columns = pivot.column_names()
    reference = wanted.reference.removeprefix(f"{pivot.columns}=") or columns[0]
    if reference not in columns:
        known = ", ".join(f"{pivot.columns}={column}" for column in columns)
        raise FederatedError(f"--reference: got {wanted.reference!r}; allowed: {known}")
    cells = {
        (((pivot.rows, row),), ((pivot.columns, column),)): result
        for (row, column), result in pivot.cells.items()
    }
    study = _of_cells(pivot.title, cells, ((pivot.columns, reference),), wanted)
    _require_targets([study], wanted.targets)
    return study


def _of_cells(
    title: str, cells: Mapping[tuple[Values, Values], Result], reference: Values, wanted: Wanted
) -> Study:
    results = list(cells.values())
    section = _section(results)
    name = section.get("metric")
    measure = wanted.measure or (expected_measure(name) if name else headline(results))
    targets = wanted.targets or section.get("targets") or ()
    about = {result.settings.get("description") or "" for result in results}
    description = about.pop() if len(about) == 1 else ""
    reachable = [one for one in targets if measure.sign and not unreachable(measure.name, one)]
    return Study(
        title,
        description,
        cells,
        reference,
        measure,
        sorted(reachable),
        wanted.confidence,
        section.get("published") or {},
    )


def _require_targets(found: Sequence[Study], targets: Sequence[float]) -> None:
    """Checks that each of the targets that are wanted can be reached in a study, if there are any.

    Raises:
        FederatedError: one cannot.

    """
    for target in targets:
        reasons = [unreachable(study.measure.name, target) for study in found]
        if reasons and all(reasons):
            raise FederatedError(f"--target: {reasons[0]}")


def _section(results: Sequence[Result]) -> Mapping[str, Any]:
    """Returns what the scenario of these results says of their comparison."""
    return results[0].settings.get("comparison") or {}
