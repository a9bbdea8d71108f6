"""Variants compared over all tasks of studies that have the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from pytest_federated.core.text import distinct
from pytest_federated.metrics.over_tasks import (
    Estimate,
    Friedman,
    Scores,
    average_ranks,
    critical_difference,
    friedman,
    probability_of_improvement,
)
from pytest_federated.metrics.statistics import mean
from pytest_federated.report.comparison.study import Study, Values, name_of, text_of
from pytest_federated.report.comparison.tables import short_texts
from pytest_federated.report.markup import Markup
from pytest_federated.report.plots.profiles import performance_profiles
from pytest_federated.report.plots.style import Picture

_VALUE = 24  # characters of a value


@dataclass(frozen=True)
class OverTasks:
    """The same variants on several tasks.

    Attributes:
        study: one of the studies, for what they have in common.
        scores: of each task, by variant, the reference first; more is better.

    """

    study: Study
    scores: Mapping[Values, Scores]

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        return len(self.scores[self.study.reference])

    @property
    def ranks(self) -> dict[Values, float]:
        """The average rank of each variant, 1 for the best, by its mean over seeds."""
        return dict(zip(self.scores, average_ranks(self._means)))

    @property
    def friedman(self) -> Friedman:
        """Friedman's test of whether the ranks differ at all."""
        return friedman(self._means)

    @property
    def _means(self) -> list[list[float]]:
        """The means over seeds of each task, in the order of the variants."""
        return [[mean(of_task) for of_task in task] for task in zip(*self.scores.values())]

    @property
    def least(self) -> float:
        """The critical difference of two average ranks."""
        return critical_difference(len(self.scores), self.tasks, self.study.confidence)

    def improvement(self, variant: Values) -> Estimate:
        """Returns how probably a training with a variant is better than one with the reference."""
        reference = self.scores[self.study.reference]
        return probability_of_improvement(reference, self.scores[variant], self.study.confidence)

    def sentence(self) -> str:
        """Returns what the ranks say; nothing of pairs unless Friedman's test rejects."""
        ranks, least, test = self.ranks, self.least, self.friedman
        best = min(ranks, key=lambda variant: ranks[variant])
        apart = [v for v in ranks if ranks[v] - ranks[best] >= least]
        told = ", ".join(name_of(v) for v in apart)
        first = f"Over {self.tasks} tasks, {name_of(best)} has the best average rank, "
        first += f"{ranks[best]:.2f} of {len(ranks)}"
        p = "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3g}"
        friedman = f"(Friedman's test: χ² = {test.statistic:.2f}, {p})"
        if test.p > 1 - self.study.confidence:
            return (
                f"{first}, but the variants do not differ beyond noise {friedman}: differences "
                "between ranks are not to be read."
            )
        first += f". The variants differ {friedman}"
        if apart:
            return (
                f"{first}: {name_of(best)} is better than {told} by more than the critical "
                f"difference, {least:.2f}."
            )
        return (
            f"{first}, but no rank is worse than the best by the critical difference, {least:.2f}."
        )

    def table(self, markup: Markup) -> str:
        """Returns a row for each variant, the best rank first."""
        ranks = self.ranks
        labels = short_texts(list(ranks))
        rows: list[list[str]] = []
        for variant in sorted(ranks, key=lambda v: ranks[v]):
            is_reference = variant == self.study.reference
            probability = "–" if is_reference else _estimate(self.improvement(variant))
            rows.append([markup.escape(labels[variant]), f"{ranks[variant]:.2f}", probability])
        (key,) = distinct([self.study.variant_key], _VALUE)
        better = f"probability of being better than {name_of(self.study.reference)}"
        head = [markup.escape(text) for text in (key, "average rank", better)]
        return markup.table(rows, head, ["left", "right", "right"])

    def picture(self) -> Optional[Picture]:
        """Returns the performance profiles; None unless the metric is a share."""
        measure = self.study.measure
        if measure.spec.scale != "share" or measure.sign != 1:
            return None
        return performance_profiles(
            {text_of(v): scores for v, scores in self.scores.items()}, measure.title
        )


def over_tasks(studies: Sequence[Study]) -> list[OverTasks]:
    """Returns the studies that have the same variants, reference and metric, together.

    Only tasks in which each variant has figures count. There have to be two of them.
    """
    groups: dict[tuple[frozenset[Values], Values, str], list[Study]] = {}
    for study in studies:
        key = frozenset(study.variants), study.reference, study.measure.name
        groups.setdefault(key, []).append(study)
    found: list[OverTasks] = []
    for alike in groups.values():
        first = alike[0]
        sign = first.measure.sign
        tasks = [scores for one in alike for task in one.tasks if (scores := _scores(one, task))]
        if len(tasks) > 1 and sign and len(first.variants) > 1:
            scores = {v: [[sign * x for x in task[v]] for task in tasks] for v in first.variants}
            found.append(OverTasks(first, scores))
    return found


def _scores(study: Study, task: Values) -> dict[Values, list[float]]:
    """Returns the figures of a task by variant; empty if a variant has none."""
    results = study.of_task(task)
    figures = {v: study.measure.by_seed(result) for v, result in results.items()}
    are_there = all(of and all(map(math.isfinite, of)) for of in figures.values())
    return figures if are_there and len(figures) == len(study.variants) else {}


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"
