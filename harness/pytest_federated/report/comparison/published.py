"""What a paper found beside what these runs find: in which order its variants come."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple, Optional

from pytest_federated.metrics.scales import SCALES
from pytest_federated.metrics.targets import chance_of_all_or_none, speedup
from pytest_federated.report.comparison.places import Values, cell, follows
from pytest_federated.report.comparison.study import Study, name_of
from pytest_federated.scenario.matrix import labels_in
from pytest_federated.scenario.orders import orders_in

HOLDS, SEEMS = "holds", "holds in the means alone"
OPEN, FAILS = "cannot be told", "does not hold"


class Pair(NamedTuple):
    """Two variants of a task that the paper puts in an order, and whether that holds here."""

    task: Values
    better: Values
    worse: Values
    outcome: str


def pairs(study: Study) -> list[Pair]:
    """Returns the pairs of variants that the paper orders, task by task.

    Its figures order two variants that none of its orders names, if they differ by what matters.

    An order holds if the interval from the seeds' pairs excludes that there is no difference; it
    holds in the means alone if the mean is in order and the interval does not exclude that. In the
    same way it does not hold if the interval says so, and cannot be told if only the mean does.
    """
    found: dict[frozenset[Values], Pair] = {}
    for of, task, better, worse in (*_by_orders(study), *_by_figures(study)):
        cells = frozenset(tuple(sorted((*task, *variant))) for variant in (better, worse))
        if cells not in found:
            found[cells] = Pair(task, better, worse, _outcome(of, task, better, worse))
    return list(found.values())


def outcome(study: Study) -> str:
    """Returns in a sentence in how many pairs of variants the paper's order holds."""
    of = pairs(study)
    counts = Counter(pair.outcome for pair in of)
    if not of:
        return "No two of the variants that the paper orders have a result here."
    if counts[HOLDS] == len(of):
        whole = {1: "the one pair", 2: "both pairs"}.get(len(of), f"all {len(of)} pairs")
        return f"The paper's order holds in {whole} of variants."
    names = {SEEMS: "in the means alone", OPEN: "cannot be told", FAILS: "not"}
    said = [f"{counts[kind]} {name}" for kind, name in names.items() if counts[kind]]
    holds = f"The paper's order holds in {counts[HOLDS]} of {len(of)} pairs of variants"
    return f"{holds}; {', '.join(said)}."


def exceptions(study: Study) -> list[str]:
    """Returns a sentence for each pair whose order does not hold for certain."""
    why = {
        SEEMS: "in the means alone; the seeds cannot tell",
        OPEN: "cannot be told from these seeds",
        FAILS: "not here",
    }
    texts: list[str] = []
    for task, better, worse, kind in pairs(study):
        where = f"At {name_of(task)}, " if task else ""
        names = f"{name_of(better)} before {name_of(worse)}"
        if kind in why:
            texts.append(f"{where}{names}: {why[kind]}.")
    return texts


def paper_figure(study: Study, variant: Values, task: Values) -> Optional[float]:
    """Returns the paper's figure of a variant; of several that fit, the one that says most."""
    labels = {*task, *variant}
    fitting = [
        (len(labels_in(part)), float(number))
        for part, number in study.published.get("figures", {}).items()
        if labels_in(part).items() <= labels
    ]
    return max(fitting)[1] if fitting else None


_Ordered = tuple[Study, Values, Values, Values]  # of which study; task, better, worse


def _by_orders(study: Study) -> Iterator[_Ordered]:
    """Yields the pairs that the paper's orders name; each order compares by its own keys."""
    for order in orders_in(study.published.get("order") or ()):
        of = _by_keys(study, (label for part in order for label in labels_in(part)))
        for task in of.tasks:
            for first, second in itertools.combinations(order, 2):
                for better, worse in itertools.product(_those(of, first), _those(of, second)):
                    if (task, better) in of.cells and (task, worse) in of.cells:
                        yield of, task, better, worse


def _by_figures(study: Study) -> Iterator[_Ordered]:
    """Yields the pairs that the paper's figures order: fewer rounds, or a better metric."""
    sign = -1 if study.targets else study.measure.sign
    margin = SCALES["positive"].margin if study.targets else study.measure.spec.least
    for task in study.tasks:
        figures = {v: paper_figure(study, v, task) for v in study.of_task(task)}
        known = {v: value for v, value in figures.items() if value is not None}
        for better, worse in itertools.permutations(known, 2):
            lead = sign * (known[better] - known[worse])
            least = margin.of(known[worse])
            if lead > 0 and (lead >= least or math.isclose(lead, least)):
                yield study, task, better, worse


def _by_keys(study: Study, keys: Iterable[str]) -> Study:
    """Returns a study whose variants differ in these keys, so that others make its tasks.

    It is the study itself if its variants differ in all of them.
    """
    wanted = set(keys)
    if wanted <= {label for label, _ in study.reference}:
        return study
    places = [dict((*task, *variant)) for task, variant in study.cells]
    labels = list(places[0])
    chosen = [label for label in labels if label in wanted]
    chosen += [one for one in labels if one not in wanted and follows(one, chosen, places)]
    cells = {cell(p, labels, chosen): r for p, r in zip(places, study.cells.values())}
    return replace(study, cells=cells, reference=next(variant for _, variant in cells))


def _those(study: Study, part: str) -> Iterator[Values]:
    wanted = labels_in(part).items()
    return (variant for variant in study.variants if wanted <= set(variant))


def _outcome(study: Study, task: Values, better: Values, worse: Values) -> str:
    if study.targets:
        return _by_rounds(study, task, better, worse)
    compared = study.measure.compare(
        study.cells[task, worse], study.cells[task, better], study.confidence
    )
    if compared is None:
        return OPEN
    is_certain = compared.low is not None and compared.is_beyond_noise  # not of a single pair
    return _kind(study.measure.sign * compared.difference, is_certain)


def _by_rounds(study: Study, task: Values, better: Values, worse: Values) -> str:
    """Compares by the rounds to the hardest target, which a seed may not reach.

    That all seeds of one reach it and none of the other is certain of enough seeds only. Rounds
    that the slower variant needs at most do not say that it is the slower one.
    """
    target = study.targets[-1] if study.measure.sign > 0 else study.targets[0]
    fast, slow = (study.rounds(task, variant, target) for variant in (better, worse))
    compared = speedup(slow, fast, study.confidence)
    if compared is not None:
        slower = worse if compared.times > 1 else better
        if study.is_at_most(task, slower, target):
            return OPEN
        return _kind(math.log(compared.times), compared.is_beyond_noise)
    reached = [sum(n is not None for n in side.values()) for side in (fast, slow)]
    is_apart = reached in ([len(fast), 0], [0, len(slow)])
    chance = chance_of_all_or_none(len(fast), len(slow))
    is_certain = is_apart and chance < 1 - study.confidence
    return _kind(reached[0] - reached[1], is_certain)


def _kind(lead: float, is_certain: bool) -> str:
    """Returns what becomes of an order whose better variant leads by so much."""
    if is_certain:
        return HOLDS if lead > 0 else FAILS
    return SEEMS if lead > 0 else OPEN
