"""Accuracy, or the loss of predicted numbers, by round."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, Optional

from pytest_federated.metrics.measure import headline
from pytest_federated.report.plots.chart import Line, Lines
from pytest_federated.report.plots.plot import scenario_plots
from pytest_federated.report.plots.style import BLUE, GREEN, INK, ORANGE, Picture, whole_numbers
from pytest_federated.report.tables.rounds import by_round
from pytest_federated.results.record import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@scenario_plots("accuracy", place=10)
def accuracy_by_round(result: Result) -> Optional[Picture]:
    """The mean test accuracy of each round with its range over seeds, and that of training.

    None where nothing was evaluated, or numbers are predicted.
    """
    return _by_round(result, "accuracy", _expected(result), (0, 1.02))


@scenario_plots("loss", place=10)
def loss_by_round(result: Result) -> Optional[Picture]:
    """The loss of each round, where numbers are predicted, as `accuracy_by_round`."""
    if all(history.has_labels for history in result.histories):
        return None
    return _by_round(result, "loss", (), None)


def _by_round(
    result: Result,
    metric: Literal["accuracy", "loss"],
    expected: Sequence[float],
    limits: Optional[tuple[float, float]],
) -> Optional[Picture]:
    """A metric on the test set, on the validation set if there is one, and as clients trained.

    With a line for each expected value, and the limits of the axis. None where nothing was
    evaluated.
    """
    rounds = by_round(result)
    test = {n: _present(getattr(r, metric) for r in of) for n, of in rounds.items()}
    test = {n: figures for n, figures in test.items() if figures}
    if not test:
        return None
    train, validation = (
        {
            n: statistics.fmean(figures)
            for n, of in rounds.items()
            if (figures := _present(getattr(r, f"{of_set}_{metric}") for r in of))
        }
        for of_set in ("train", "validation")
    )
    first, last = min(test), max(test)
    seeds = len(result.whole or result.histories)
    points = [f"{statistics.fmean(test[n]):.3f} after round {n}" for n in sorted({first, last})]
    alt = f"Test {metric} by round of {result.id}: {', '.join(points)}" + (
        f", mean of {seeds} seeds." if seeds > 1 else "."
    )

    def draw(axes: Axes) -> None:
        if train:
            axes.plot(
                list(train), list(train.values()), color=ORANGE, lw=1, label="train, as it trained"
            )
        if validation:
            x, y = list(validation), list(validation.values())
            axes.plot(x, y, color=GREEN, lw=1.2, ls="--", zorder=3, label="validation")
        means = [statistics.fmean(f) for f in test.values()]
        marker = "o" if len(test) < 3 else ""
        axes.plot(list(test), means, color=BLUE, marker=marker, label="test")
        if seeds > 1:
            low, high = ([of(f) for f in test.values()] for of in (min, max))
            axes.fill_between(
                list(test), low, high, color=BLUE, alpha=0.3, lw=0, label="range over seeds"
            )
        for share in expected:
            axes.axhline(share, color=INK, lw=0.8, ls=(0, (4, 3)))
        axes.set(xlabel="round", ylabel=metric, **({"ylim": limits} if limits else {}))
        axes.legend(loc="lower right" if limits else "upper right", fontsize=8)
        whole_numbers(axes)

    x = list(rounds)
    mean, low, high = (
        [of(test[n]) if n in test else None for n in x] for of in (statistics.fmean, min, max)
    )
    lines = [Line("test", 0, mean, low, high) if seeds > 1 else Line("test", 0, mean)]
    if validation:
        lines.append(Line("validation", 2, [validation.get(n) for n in x], style="dashed"))
    if train:
        lines.append(Line("train, as it trained", 1, [train.get(n) for n in x]))
    chart = Lines("round", metric, "round", x, lines, (0, 1) if limits else None, expected)
    return Picture(alt, draw, chart)


def _present(figures: Iterable[Optional[float]]) -> list[float]:
    return [figure for figure in figures if figure is not None]


def _expected(result: Result) -> Sequence[float]:
    """Accuracies that the scenario expects, which the plot shows as lines."""
    bounds = (result.settings.get("expect") or {}).get(headline().name) or {}
    return [share for share in (bounds.get("at_least"),) if isinstance(share, float)]
