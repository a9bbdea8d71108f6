"""The page on the cross-check, and its picture, from the curves of all sides."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Optional

from pytest_federated.metrics.statistics import paired, summarize
from pytest_federated.metrics.targets import rounds_to
from pytest_federated.report.plots.panels import Layout, small_multiples
from pytest_federated.report.plots.style import INK, SERIES, Picture

from cross.federation import Judged
from cross.figures import FLOWER, NUMPY, OURS, STEPWISE, Curve, Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TARGET = 0.8
LAST = 20  # rounds whose mean is compared: after a single round, a curve on shards jumps

_STYLES = {
    OURS: (SERIES[0], "-", 2.2),
    NUMPY: (SERIES[1], "-", 1.0),
    FLOWER: (SERIES[3], (0, (1, 1)), 1.2),
}
_HEAD = """\
# The same training in NumPy and in Flower

<!-- Made by benchmarks/cross_check.py from benchmarks/cross/figures.json; not edited by hand. -->
"""
_ABOUT = """\
## What was trained

The federation of [cross_check.yaml](../benchmarks/cross_check.yaml): the 2NN (784-200-200-10) of
McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS
2017, on all of Fashion-MNIST, 100 clients with two shards of 300 examples each, 10 clients in a
round, one local epoch, batches of 10, SGD with a learning rate of 0.05: of 0.02, 0.03, 0.05 and 0.1
the one with which seed 0 reached 80 % first, in NumPy.

| | pytest-federated | NumPy | Flower |
|---|---|---|---|
| gradients | TensorFlow 2.14 | [by hand](../benchmarks/cross/numpy_side.py) | TensorFlow 2.20 |
| local training | TFF | a loop | Keras 3, [`model.fit`](../benchmarks/cross/flower_side.py) |
| weighted mean | TFF | a sum | Flower's `FedAvg` |
| between server and clients | TFF's executors | nothing | Flower's simulation on ray |
| evaluation | Keras 2 | by hand | Keras 3, `model.evaluate` |

**The same** on every side, handed over as files: data, split, initial weights, the clients of each
round, the order of each client's examples, local epochs, batch size, learning rate.

**Not the same**: the arithmetic above, in which sums are taken in another order. Flower does not
draw the clients: it has as many nodes as a round has clients, and each trains on the examples of
one of that round's clients. So splits, initial weights and the drawing of clients are not checked
here; [splits.md](splits.md) says with what the splits are compared.

`uv run python benchmarks/cross_check.py` trains everything again and writes this page. Flower is
installed by uv in an environment of its own, since its requirements conflict with those of TFF.
"""


def page(made: Curves) -> str:
    """Returns the page as Markdown, its verdict first."""
    figure = f"![{picture(made).alt}](cross-check.svg)\n"
    tables = (_figures_table(made), _pairs_table(made))
    return "\n".join([_HEAD, f"{verdict(made)}\n", *tables, figure, _ABOUT])


def verdict(made: Curves) -> str:
    """Returns whether the sides agree, and by how much they differ."""
    seeds, rounds = len(made[OURS]), _rounds(made)
    apart = [side for side in _others(made) if not agrees(made, side)]
    lead = "The three agree." if not apart else f"{_listed(apart)}: not as pytest-federated."
    first = ", ".join(
        f"{side} {min(of.values())} to {max(of.values())} rounds"
        for side in _others(made)
        if (of := _equal(made, side))
    )
    ends = ", ".join(f"{side} {_later(made, side)}" for side in _others(made))
    return "\n".join(
        [
            f"**{lead}** pytest-federated, NumPy and Flower trained one federation from the same",
            "weights, with the same clients in each round and the same order of examples, for",
            f"{rounds} rounds with each of {seeds} seeds.\n",
            f"- **Round by round**: when NumPy begins each round with pytest-federated's weights,"
            f"\n  {_stepwise(made)}",
            "- **On their own**, accuracies are equal to four digits, which is to the test example,"
            f"\n  for {first}.\n  Then rounding errors have grown.",
            f"- **In the end**, mean accuracy over the last {_last(made)} rounds less that of "
            f"pytest-federated is,\n  in points with 95 % intervals of the pairs: {ends}.",
        ]
    )


def agrees(made: Curves, side: str) -> bool:
    """Returns whether a side has our accuracy after the first round, and our mean at the end."""
    if not min(_equal(made, side).values()):
        return False
    pairs = _last_means(made, OURS), _last_means(made, side)
    return len(made[OURS]) < 2 or not paired(*pairs).is_beyond_noise


def _others(made: Curves) -> list[str]:
    """Returns the sides that train on their own, without pytest-federated."""
    return [side for side in made if side not in (OURS, STEPWISE)]


def _small(value: float) -> str:
    """Returns a difference of figures that are kept to six decimals."""
    return "less than 1e-6" if value < 1e-6 else f"{value:.0e}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def _stepwise(made: Curves) -> str:
    pairs = _together(made, STEPWISE, _rounds(made))
    equal = sum(round(a.accuracy, 4) == round(b.accuracy, 4) for a, b in pairs)
    apart = [abs(a.loss - b.loss) for a, b in pairs]
    return (
        f"it ends {equal} of {len(pairs)} rounds with the same accuracy to four digits; losses\n"
        f"  differ by {_small(statistics.median(apart))} in the median round, "
        f"{_small(max(apart))} at most."
    )


def _equal(made: Curves, side: str) -> dict[int, int]:
    """Returns by seed the rounds before the first whose accuracy differs in the fourth digit."""
    return {
        seed: next(
            (
                n
                for n, (a, b) in enumerate(zip(curve, made[OURS][seed]))
                if round(a.accuracy, 4) != round(b.accuracy, 4)
            ),
            len(curve),
        )
        for seed, curve in made[side].items()
    }


def _last(made: Curves) -> int:
    return min(LAST, _rounds(made))


def _rounds(made: Curves) -> int:
    return len(next(iter(made[OURS].values())))


def _last_means(made: Curves, side: str) -> list[float]:
    """Returns the mean accuracy of the last rounds, by seed."""
    return [
        statistics.fmean(judged.accuracy for judged in curve[-LAST:])
        for curve in made[side].values()
    ]


def _later(made: Curves, side: str) -> str:
    """Returns the mean difference of the last rounds' accuracy, in points, with its interval."""
    first, second = _last_means(made, OURS), _last_means(made, side)
    if len(first) < 2:
        return f"{100 * (second[0] - first[0]):+.2f}"
    test = paired(first, second)
    low, high = 100 * test.low, 100 * test.high
    return f"{100 * test.difference:+.2f} ({low:+.2f} to {high:+.2f})"


def _figures_table(made: Curves) -> str:
    seeds, rounds = ", ".join(map(str, made[OURS])), _rounds(made)
    rows = [
        f"| | rounds to {100 * TARGET:.0f} % | accuracy after {rounds} rounds | mean ± 95 % |",
        "|---|---|---|---|",
    ]
    for side in (OURS, *_others(made)):
        by_seed = made[side]
        finals = [curve[-1].accuracy for curve in by_seed.values()]
        reached = ", ".join(_told(_to_target(curve)) for curve in by_seed.values())
        each = ", ".join(f"{value:.4f}" for value in finals)
        rows.append(f"| {side} | {reached} | {each} | {_with_interval(finals)} |")
    return "\n".join([*rows, "", f"Figures are of seeds {seeds}, in this order.", ""])


def _with_interval(values: Sequence[float]) -> str:
    summary = summarize(values)
    if summary.low is None or summary.high is None:
        return f"{summary.mean:.3f}"
    return f"{summary.mean:.3f} ± {(summary.high - summary.low) / 2:.3f}"


def _pairs_table(made: Curves) -> str:
    rows = [
        "| beside pytest-federated | first rounds of equal accuracy | loss, round 1 | accuracy |",
        "|---|---|---|---|",
    ]
    for side in _others(made):
        equal = ", ".join(map(str, _equal(made, side).values()))
        early = max(abs(a.loss - b.loss) for a, b in _together(made, side, 1))
        pairs = _together(made, side, _rounds(made))
        distance = statistics.fmean(abs(a.accuracy - b.accuracy) for a, b in pairs)
        rows.append(f"| {side} | {equal} | {_small(early)} | {distance:.4f} |")
    note = (
        "The loss is the largest difference over seeds, the accuracy the mean absolute difference "
        "over all\nrounds and seeds. In which round rounding errors begin to grow depends on side "
        "and seed: all it\ntakes is a client on whose examples SGD is unstable for a few steps."
    )
    return "\n".join([*rows, "", note, ""])


def _together(made: Curves, side: str, rounds: int) -> list[tuple[Judged, Judged]]:
    """Returns the pairs of the first rounds of all seeds."""
    return [
        pair
        for seed, curve in made[side].items()
        for pair in zip(curve[:rounds], made[OURS][seed][:rounds])
    ]


def _to_target(curve: Curve) -> Optional[float]:
    return rounds_to([(n, judged.accuracy) for n, judged in enumerate(curve, 1)], TARGET)


def _told(rounds: Optional[float]) -> str:
    return "not reached" if rounds is None else f"{rounds:.0f}"


def picture(made: Curves) -> Picture:
    """Returns all curves, a panel for each seed."""
    seeds = list(made[OURS])
    drawn = {side: made[side] for side in (OURS, *_others(made))}

    def legend(axes: Axes) -> None:
        for side in drawn:
            color, dash, width = _STYLES[side]
            axes.plot([], [], color=color, ls=dash, lw=width, label=side)
        axes.figure.legend(loc="upper center", ncols=len(drawn), fontsize=8, borderpad=0)

    alt = (
        f"Test accuracy by round of {', '.join(drawn)}, a panel for each of {len(seeds)} seeds. "
        f"After {_rounds(made)} rounds: "
        + "; ".join(
            f"{side} {statistics.fmean(c[-1].accuracy for c in by_seed.values()):.3f}"
            for side, by_seed in drawn.items()
        )
        + "."
    )
    panels = [
        (f"seed {seed}", partial(_panel, made={n: of[seed] for n, of in drawn.items()}))
        for seed in seeds
    ]
    layout = Layout(1, 6.4, 2.1, 0.5, 0.36, 0.24, 0.1, head=0.26, font=9)
    return small_multiples(alt, panels, layout, legend)


def _panel(axes: Axes, made: Mapping[str, Curve]) -> None:
    axes.axhline(TARGET, color=INK, lw=0.6, ls=(0, (1, 2)))
    for side, curve in made.items():
        color, dash, width = _STYLES[side]
        values = [judged.accuracy for judged in curve]
        axes.plot(range(1, len(values) + 1), values, color=color, ls=dash, lw=width)
    axes.set_ylim(0, 1)
    axes.set_ylabel("accuracy", fontsize=8)
    axes.set_xlabel("round", fontsize=8)
