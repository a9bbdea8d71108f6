"""The curves of all sides, and the file in which they are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cross.federation import Judged

OURS, NUMPY, FLOWER = "pytest-federated", "NumPy", "Flower"
STEPWISE = "NumPy, each round from pytest-federated's weights"
SIDES = (OURS, NUMPY, FLOWER, STEPWISE)

Curve = Sequence[Judged]
Curves = Mapping[str, Mapping[int, Curve]]  # by side and seed

_DIGITS = 6  # of a figure


def kept(made: Curves) -> str:
    """Returns the figures as JSON, a line for each curve."""
    lines = [
        json.dumps(
            {
                "side": side,
                "seed": seed,
                "accuracy": [round(judged.accuracy, _DIGITS) for judged in curve],
                "loss": [round(judged.loss, _DIGITS) for judged in curve],
            }
        )
        for side, by_seed in made.items()
        for seed, curve in sorted(by_seed.items())
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def read_kept(text: str) -> Curves:
    """Reads what `kept` returned; seeds come in order, as the page pairs them by place."""
    made: dict[str, dict[int, Curve]] = {}
    for one in json.loads(text):
        curve = [Judged(*pair) for pair in zip(one["accuracy"], one["loss"])]
        made.setdefault(one["side"], {})[one["seed"]] = curve
    return {side: dict(sorted(by_seed.items())) for side, by_seed in made.items()}
