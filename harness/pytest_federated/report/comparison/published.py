"""What a paper found beside what these runs find: in which order its variants come."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from pytest_federated.metrics.targets import chance_of_all_or_none, speedup
from pytest_federated.report.comparison.study import Study, Values, name_of
from pytest_federated.scenario.matrix import labels_in

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

    An order holds if the interval from the seeds' pairs excludes that there is no difference; it
    holds in the means alone if the mean is in order and the interval does not exclude that. In the
    same way it does not hold if the interval says so, and cannot be told if only the mean does.
    """
    return [
        Pair(task, better, worse, _outcome(study, task, better, worse))
        for task in study.tasks
        for first, second in itertools.combinations(_order(study), 2)
        for better, worse in itertools.product(_those(study, first), _those(study, second))
        if (task, better) in study.cells and (task, worse) in study.cells
    ]


def outcome(study: Study) -> str:
    """Returns in a sentence in how many pairs of variants the paper's order holds."""
    of = pairs(study)
    counts = Counter(pair.outcome for pair in of)
    if not of:
        return "No two of the variants that the paper orders have a result here."
    if counts[HOLDS] == len(of):
        whole = f"all {len(of)} pairs" if len(of) > 1 else "the one pair"
        return f"The paper's order holds in {whole} of variants."
    names = {SEEMS: "in the means alone", OPEN: "cannot be told", FAILS: "not"}
    said = [f"{counts[kind]} {name}" for kind, name in names.items() if counts[kind]]
    holds = f"The paper's order holds in {counts[HOLDS]} of {len(of)} pairs of variants"
    return f"{holds}; {', '.join(said)}."


def exceptions(study: Study) -> list[str]:
    """Returns a sentence for each pair whose order does not hold for certain."""
    texts: list[str] = []
    for task, better, worse, kind in pairs(study):
        where = f"At {name_of(task)}, " if task else ""
        names = f"{name_of(better)} before {name_of(worse)}"
        why = {
            SEEMS: "in the means alone; the seeds cannot tell",
            OPEN: "cannot be told from these seeds",
            FAILS: "not here",
        }
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


def _order(study: Study) -> Sequence[str]:
    """Returns the parts of ids that name the paper's variants, the best first."""
    return study.published.get("order") or ()


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
