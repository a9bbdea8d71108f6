"""Scenarios side by side: the variants of a matrix, or any, by two of their settings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.suggestions import suggest
from pytest_federated.metrics.measure import Measure
from pytest_federated.report.markup import Markup
from pytest_federated.report.tables.cells import interval
from pytest_federated.results.flat import flat
from pytest_federated.results.record import Result
from pytest_federated.results.store import natural


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
        """In the order of people."""
        return sorted({row for row, _ in self.cells}, key=natural)

    def column_names(self) -> list[str]:
        """In the order of the scenarios."""
        return list(dict.fromkeys(column for _, column in self.cells))


def of_matrices(results: Sequence[Result]) -> list[Pivot]:
    """A pivot for each matrix among the results: rows by its first key, columns by the others."""
    names: dict[str, list[Result]] = {}
    for result in results:
        if "[" in result.id:
            names.setdefault(result.id.partition("[")[0], []).append(result)
    found = []
    for name, variants in names.items():
        keys = [dict(_parts(r.id)) for r in variants]
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
        found.append(Pivot(name, rows, ", ".join(columns), cells))
    return found


def _parts(result_id: str) -> Iterator[tuple[str, str]]:
    """The keys and values of a variant, from its id; commas within parentheses do not part."""
    inside = result_id.partition("[")[2].removesuffix("]")
    depth, start = 0, 0
    for place, character in enumerate(inside + ","):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            label, _, value = inside[start:place].partition("=")
            yield label, value
            start = place + 1


def by_settings(results: Sequence[Result], rows: str, columns: str) -> Pivot:
    """All results by two of their settings.

    Args:
        results: those without one of the settings are left out.
        rows: a dotted key, such as ``clients.split.alpha``, or an end of one that is the only
            such end: ``alpha``. Of a choice it means its name: ``training.algorithm``.
        columns: the same.

    Raises:
        FederatedError: no scenario has that key, several have keys that end so, or two scenarios
            have the same values.

    """
    flat = {r.id: dict(_varied(r.settings)) for r in results}
    known = list(dict.fromkeys(key for keys in flat.values() for key in keys))
    row_key, column_key = _resolved(rows, known), _resolved(columns, known)
    cells: dict[tuple[str, str], Result] = {}
    for result in results:
        keys = flat[result.id]
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
    """The settings by which a table can be made; of a choice, its name under its own key."""
    for key, value in flat(settings):
        if not isinstance(value, (list, tuple, dict)):
            yield key.removesuffix(".kind"), value


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _resolved(key: str, known: Sequence[str]) -> str:
    if key in known:
        return key
    found = [k for k in known if k.endswith(f".{key}")]
    if not found:
        ends = sorted({k.rpartition(".")[2] for k in known if not k.startswith("expect.")})
        nearest = suggest(key, ends).partition("; ")[2]
        raise FederatedError(
            f"{key}: no scenario has such a key" + (f"; {nearest}" if nearest else "")
        )
    if len(found) > 1:
        raise FederatedError(f"{key}: may be {' or '.join(found)}")
    return found[0]


def pivot_table(
    pivot: Pivot, measure: Measure, markup: Markup
) -> tuple[list[list[str]], list[str]]:
    """The rows and the columns' names of a pivot; cells show the mean over seeds and its interval.

    The best of a row, or of the only column, stands out, and a little those that the seeds do
    not tell from it (Welch's test at 95 %). With one seed on a side, the figures of the seeds
    that both have are told apart as they are; other seeds tell nothing.
    """
    rows, columns = pivot.row_names(), pivot.column_names()
    shown = {
        place: markup.escape(interval(measure.by_seed(result)))
        for place, result in pivot.cells.items()
    }
    across = [[(row, column) for column in columns] for row in rows]
    for line in across if len(columns) > 1 else list(zip(*across)):
        means = {
            place: statistics.fmean(figures)
            for place in line
            if place in pivot.cells
            and (figures := measure.by_seed(pivot.cells[place]))
            and all(map(math.isfinite, figures))
        }
        if len(means) < 2 or not measure.sign:
            continue
        best = max(means, key=lambda place: measure.sign * means[place])
        for place in means:
            if place == best:
                shown[place] = markup.strong(shown[place])
            elif not _is_told_from(pivot.cells[best], pivot.cells[place], measure):
                shown[place] = markup.weak(shown[place])
    cells = [[row, *(shown.get((row, column), "–") for column in columns)] for row in rows]
    return (
        [[markup.escape(row[0]), *row[1:]] for row in cells],
        [markup.escape(name) for name in (pivot.rows, *columns)],
    )


def _is_told_from(best: Result, other: Result, measure: Measure) -> bool:
    """Whether the seeds say that `other` is not as good as `best`."""
    compared = measure.compare(best, other)
    if compared is not None:
        return compared.is_beyond_noise
    one, two = measure.sides(best, other)
    return bool(one) and measure.sign * (statistics.fmean(one) - statistics.fmean(two)) > 0
