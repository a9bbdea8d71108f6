"""Performance profiles over several tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Optional

import numpy as np

from pytest_federated.core.text import shortened
from pytest_federated.metrics.over_tasks import Scores, performance_profile
from pytest_federated.report.plots.style import SERIES, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 101


def performance_profiles(scores: Mapping[str, Scores], title: str) -> Optional[Picture]:
    """Draws for each algorithm the share of trainings that score above each threshold.

    Args:
        scores: from 0 to 1, of each task, by algorithm; at most six of these have a color.
        title: what the scores are.

    Returns:
        None with one algorithm, or more than six.

    """
    if not 2 <= len(scores) <= len(SERIES):
        return None
    every = [score for of in scores.values() for of_task in of for score in of_task]
    thresholds = np.linspace(min(every) - 0.02, max(every) + 0.02, _POINTS)
    profiles = {name: performance_profile(of, thresholds) for name, of in scores.items()}
    middle = thresholds[_POINTS // 2]
    ends = (f"{n} {100 * p.share[_POINTS // 2]:.0f} %" for n, p in profiles.items())
    tasks = len(next(iter(scores.values())))
    alt = f"Share of trainings above each {title}, {tasks} tasks: above {middle:.2f}, "
    alt += f"{', '.join(ends)}."

    def draw(axes: Axes) -> None:
        for (name, profile), color in zip(profiles.items(), SERIES):
            axes.plot(thresholds, profile.share, color=color, lw=1.4, label=shortened(name))
            axes.fill_between(thresholds, profile.low, profile.high, color=color, alpha=0.12, lw=0)
        axes.set(xlabel=title, ylabel="share of trainings above", ylim=(0, 1.02))
        axes.legend(loc="lower left", fontsize=8)

    return Picture(alt, draw)
