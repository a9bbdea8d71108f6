"""Scenarios side by side: the variants of a matrix, or any, by two of their settings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, TypeVar

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.ordering import natural
from pytest_federated.core.suggestions import suggest
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.statistics import CONFIDENCE
from pytest_federated.report.markup import Markup
from pytest_federated.report.tables.cells import result_interval
from pytest_federated.results.flat import flat
from pytest_federated.results.record import Result
from pytest_federated.scenario.matrix import labels_in

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Pivot:
    """A table of scenarios.

    Attributes:
        title: what its scenarios have in common.
        rows: what a row's scenarios have in common.
        columns: the same for columns.
        cells: by row and column.

    """

    title: str
    rows: str
    columns: str
    cells: Mapping[tuple[str, str], Result]

    def row_names(self) -> list[str]:
        """Returns the names of rows, numbers in order of size."""
        return sorted({row for row, _ in self.cells}, key=natural)

    def column_names(self) -> list[str]:
        """Returns the names of columns, in the order of the scenarios."""
        return list(dict.fromkeys(column for _, column in self.cells))


def of_matrices(results: Sequence[Result]) -> list[Pivot]:
    """Returns a pivot for each matrix among the results, its longest key as rows."""
    pivots: list[Pivot] = []
    for name, variants in by_matrix(results).items():
        keys = [labels_of(r.id) for r in variants]
        labels = list(keys[0])
        if len(variants) < 2 or any(list(k) != labels for k in keys):
            continue
        # The longer side goes down the page.
        if len(labels) > 1:
            labels.sort(key=lambda label: -len({k[label] for k in keys}))
        rows, columns = labels[0], labels[1:]
        cells = {
            (k[rows], ", ".join(k[c] for c in columns) or name): result
            for k, result in zip(keys, variants)
        }
        pivots.append(Pivot(name, rows, ", ".join(columns), cells))
    return pivots


def by_matrix(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Returns the variants of each matrix among the results, by its scenario's name."""
    matrices: dict[str, list[Result]] = {}
    for result in results:
        name, bracket, _ = result.id.partition("[")
        if bracket:
            matrices.setdefault(name, []).append(result)
    return matrices


def labels_of(result_id: str) -> dict[str, str]:
    """Returns the values of a variant by the labels of their keys."""
    return labels_in(result_id.partition("[")[2].removesuffix("]"))


def by_settings(results: Sequence[Result], rows: str, columns: str) -> Pivot:
    """Returns a pivot of the results by two of their settings.

    Args:
        results: those without one of the settings are left out.
        rows: a dotted key, such as ``clients.split.alpha``, or its end if no other key has it:
            ``alpha``. The key of a choice, such as ``training.algorithm``, means its kind.
        columns: another key.

    Raises:
        FederatedError: no scenario has that key, several keys end so, or two scenarios have the
            same values.

    """
    settings = {r.id: dict(_varied(r.settings)) for r in results}
    names = list(dict.fromkeys(key for keys in settings.values() for key in keys))
    row_key, column_key = _resolved(rows, names), _resolved(columns, names)
    cells: dict[tuple[str, str], Result] = {}
    for result in results:
        keys = settings[result.id]
        if row_key not in keys or column_key not in keys:
            continue
        place = _value(keys[row_key]), _value(keys[column_key])
        if place in cells:
            raise FederatedError(
                f"{cells[place].id} and {result.id} both have {rows} {place[0]} and {columns} "
                f"{place[1]}; choose among the scenarios with --only"
            )
        cells[place] = result
    if not cells:
        raise FederatedError(f"no scenario has both {row_key} and {column_key}")
    return Pivot(f"{rows} and {columns}", rows, columns, cells)


def _varied(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the settings by which a table can be made; a choice has its kind under its key."""
    for key, value in flat(settings):
        if not isinstance(value, (list, tuple, dict)):
            yield key.removesuffix(".kind"), value


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _resolved(key: str, names: Sequence[str]) -> str:
    if key in names:
        return key
    matches = [k for k in names if k.endswith(f".{key}")]
    if not matches:
        ends = sorted({k.rpartition(".")[2] for k in names if not k.startswith("expect.")})
        nearest = suggest(key, ends).partition("; ")[2]
        raise FederatedError(
            f"{key}: no scenario has such a key" + (f"; {nearest}" if nearest else "")
        )
    if len(matches) > 1:
        raise FederatedError(f"{key}: may be {' or '.join(matches)}")
    return matches[0]


def pivot_table(
    pivot: Pivot, measure: Measure, markup: Markup
) -> tuple[list[list[str]], list[str]]:
    """Returns the rows and column names of a pivot; cells show mean over seeds and interval.

    The best of a row, or of the only column, stands out if the seeds can tell that it is: if it
    differs from every other one beyond noise, by the pairs of trainings with a seed in common.
    """
    rows, columns = pivot.row_names(), pivot.column_names()
    texts = {
        place: markup.escape(result_interval(result, measure))
        for place, result in pivot.cells.items()
    }
    across = [[(row, column) for column in columns] for row in rows]
    for line in across if len(columns) > 1 else list(zip(*across)):
        present = {place: pivot.cells[place] for place in line if place in pivot.cells}
        best = best_of(present, measure)
        if best is not None:
            texts[best] = markup.strong(texts[best])
    cells = [[row, *(texts.get((row, column), "–") for column in columns)] for row in rows]
    return (
        [[markup.escape(row[0]), *row[1:]] for row in cells],
        [markup.escape(name) for name in (pivot.rows, *columns)],
    )


def best_of(
    results: Mapping[K, Result], measure: Measure, confidence: float = CONFIDENCE
) -> Optional[K]:
    """Returns the key of the best result; None if it cannot be told from every other one.

    That takes two seeds in common with each of the others, and intervals of the differences that
    leave out zero. A result that has no figure, or one that is not finite, is not better.
    """
    means = {
        key: statistics.fmean(figures)
        for key, result in results.items()
        if (figures := measure.by_seed(result)) and all(map(math.isfinite, figures))
    }
    if len(means) < 2 or not measure.sign:
        return None
    best = max(means, key=lambda key: measure.sign * means[key])
    others = (results[key] for key in means if key != best)
    compared = (measure.compare(results[best], other, confidence) for other in others)
    is_told = all(
        one is not None and one.low is not None and one.is_beyond_noise for one in compared
    )
    return best if is_told else None
