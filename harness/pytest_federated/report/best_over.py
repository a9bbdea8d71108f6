"""The best of the values of one key of a matrix, for each combination of its other keys."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.suggestions import suggest
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.metric import metrics
from pytest_federated.metrics.validation import VALIDATION_PREFIX
from pytest_federated.report.markup import Markup
from pytest_federated.report.tables.cells import figure
from pytest_federated.report.variants import labels_of
from pytest_federated.results.record import Result
from pytest_federated.results.runs import Run
from pytest_federated.results.tuning import is_at_edge


@dataclass(frozen=True)
class Pick:
    """What was picked for one combination of the other keys.

    Attributes:
        run: name of the run.
        scenario: its id without the key.
        value: of the key, as in the id.
        values: all that there are.
        measure: by which it was picked; None where nothing could be, and the first one stands.
        mean: by it.

    """

    run: str
    scenario: str
    value: str
    values: Sequence[str]
    measure: Optional[Measure]
    mean: Optional[float] = None

    @property
    def remark(self) -> str:
        """What makes it doubtful; empty where nothing does."""
        if self.measure is None:
            return "none has the figure"
        numbers = [_number(value) for value in self.values]
        return "at the edge" if is_at_edge(_number(self.value), numbers) else ""


def best_over(runs: Sequence[Run], key: str, measure: Measure) -> tuple[list[Run], list[Pick]]:
    """Replaces the variants that differ in a key by the best of them.

    That is chosen by the metric on the validation set where all of them have it, else by the metric
    itself. Other scenarios stay as they are.

    Args:
        runs: what is compared.
        key: a dotted key of matrices, or its end, as in ids.
        measure: the metric that is compared.

    Returns:
        The runs, and what was picked.

    Raises:
        FederatedError: no matrix varies the key, one varies several such keys, or neither more nor
            less of the metric is better.

    """
    if not measure.sign:
        raise FederatedError(
            f"--best-over {key}: neither more nor less {measure.title} is better; "
            "name another --metric"
        )
    picked: list[Pick] = []
    reduced: list[Run] = []
    for run in runs:
        groups: dict[str, dict[str, Result]] = {}  # by the id without the key, then by value
        for result in run.results.values():
            scenario, value = _without(result, key)
            groups.setdefault(scenario, {})[value] = result
        results: dict[str, Result] = {}
        for scenario, by_value in groups.items():
            if list(by_value) == [""]:
                results[scenario] = by_value[""]
                continue
            pick = _best(run.name, scenario, by_value, measure)
            picked.append(pick)
            results[scenario] = by_value[pick.value].model_copy(update={"id": scenario})
        reduced.append(Run(run.name, results))
    if not picked:
        found = (labels_of(r.id) for run in runs for r in run.results.values())
        labels = sorted({label for of in found for label in of})
        raise FederatedError(f"--best-over {key}: no matrix varies it; {suggest(key, labels)}")
    return reduced, picked


def _without(result: Result, key: str) -> tuple[str, str]:
    """Returns the id of a variant without a key, and the value; that is empty if it has no such."""
    labels = labels_of(result.id)
    # Dotted keys in the order of the labels; older records have the labels only.
    dotted = list(result.matrix) if len(result.matrix) == len(labels) else list(labels)
    own = [
        label
        for label, name in zip(labels, dotted)
        if f".{name}".endswith(f".{key}") or f".{key}".endswith(f".{name}")
    ]
    if len(own) > 1:
        raise FederatedError(f"--best-over {key}: {result.id}: may be {' or '.join(own)}")
    if not own:
        return result.id, ""
    value = labels.pop(own[0])
    name = result.id.partition("[")[0]
    rest = ",".join(f"{label}={text}" for label, text in labels.items())
    return (f"{name}[{rest}]" if rest else name), value


def _best(run: str, scenario: str, by_value: Mapping[str, Result], measure: Measure) -> Pick:
    on_validation = f"{VALIDATION_PREFIX}{measure.name}"
    measures = [Measure(on_validation)] if on_validation in metrics else []
    values = list(by_value)
    for one in (*measures, measure):
        all_means = {value: _mean(one, result) for value, result in by_value.items()}
        means = {value: mean for value, mean in all_means.items() if mean is not None}
        has_all = all(v in means for v, r in by_value.items() if _mean(measure, r) is not None)
        if means and (one is measure or has_all):
            best = max(means, key=lambda value: one.sign * means[value])
            return Pick(run, scenario, best, values, one, means[best])
    return Pick(run, scenario, values[0], values, None)


def _mean(measure: Measure, result: Result) -> Optional[float]:
    """Returns the mean over seeds; None of a variant that cannot be picked."""
    figures = measure.of_seeds(result)
    is_whole = len(figures) == len(result.histories) and all(map(math.isfinite, figures.values()))
    return statistics.fmean(figures.values()) if figures and is_whole else None


def _number(text: str) -> Optional[float]:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def picks_text(picked: Sequence[Pick], key: str, markup: Markup) -> str:
    """Returns what was picked, and by what, as a part of a comparison."""
    several = len({pick.run for pick in picked}) > 1
    rows = [
        [
            markup.escape(pick.scenario),
            *([markup.escape(pick.run)] if several else []),
            markup.escape(pick.value),
            markup.escape(", ".join(pick.values)),
            markup.escape(pick.measure.title if pick.measure else "–"),
            figure(pick.mean),
            pick.remark,
        ]
        for pick in picked
    ]
    columns = ["scenario", *(["run"] if several else []), key, "of", "chosen by", "mean", ""]
    blocks = [markup.heading(f"The best {key}", 2)]
    on_test = [p for p in picked if p.measure and not p.measure.name.startswith(VALIDATION_PREFIX)]
    if on_test:
        which = "All" if len(on_test) == len(picked) else f"{len(on_test)} of {len(picked)}"
        blocks.append(
            f"{which} chosen on the test data, as there is no validation set: the figures are "
            "better than new data would give."
        )
    if any(pick.remark == "at the edge" for pick in picked):
        blocks.append(
            "At the edge: the smallest or the largest value, so a better one may be beyond."
        )
    blocks.append(markup.table(rows, [markup.escape(c) for c in columns]))
    return "\n\n".join(blocks) + "\n"
