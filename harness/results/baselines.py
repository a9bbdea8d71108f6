"""Baselines: the figures of a run that was good, committed beside its scenario file.

A baseline is small, so that its diff can be read in a review: figures by seed to four significant
digits, what was trained, and with which versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from harness.errors import HarnessError
from harness.results.record import Result
from harness.results.store import file_name, json_text, write_text

FOLDER = "baselines"
# What no training depends on; seeds are a baseline's own.
_APART = ("schema", "name", "description", "tags", "expect", "seeds")


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


Rounded = Annotated[float, BeforeValidator(_rounded)]


class Baseline(BaseModel):
    """What is kept of a run to compare others with.

    Attributes:
        baseline: version of this format.
        id: of the scenario, as in the record.
        seeds: of the trainings.
        figures: by name, one for each seed, in their order.
        test_examples: size of the test set, the smallest of all seeds: accuracies come in steps of
            one divided by it.
        settings: the scenario, with defaults written out, but for what no training depends on.
        versions: of the packages that the figures depend on.

    """

    model_config = ConfigDict(frozen=True)

    baseline: Literal[1] = 1
    id: str
    seeds: tuple[int, ...]
    figures: dict[str, tuple[Rounded, ...]]
    test_examples: int
    settings: dict[str, Any]
    versions: dict[str, str]


def baseline_of(result: Result, *, without: tuple[str, ...] = ()) -> Baseline:
    """The baseline that a result gives: final accuracy and loss, and the figures behind its
    verdicts, but for those named in `without`.
    """
    losses = [h.evaluated[-1].loss for h in result.histories if h.evaluated]
    figures: dict[str, tuple[float, ...]] = {
        "accuracy": tuple(result.accuracies),
        "loss": tuple(loss for loss in losses if loss is not None),
    }
    figures |= {v.expectation: v.figures for v in result.verdicts if v.figures}
    return Baseline(
        id=result.id,
        seeds=tuple(h.seed for h in result.histories),
        figures={name: found for name, found in figures.items() if name not in without},
        test_examples=min((h.test_examples for h in result.histories), default=0),
        settings=trained_settings(result.settings),
        versions=result.versions,
    )


def trained_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a scenario's settings, those that its trainings depend on."""
    return {key: value for key, value in settings.items() if key not in _APART}


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Dotted keys whose values differ, in order, as ``training.rounds was 15, is 20``."""
    one, two = dict(_flat(before, "")), dict(_flat(now, ""))
    return [
        f"{key} was {_plain(one, key)}, is {_plain(two, key)}"
        for key in sorted({**one, **two})
        if one.get(key) != two.get(key) or (key in one) != (key in two)
    ]


def _flat(value: Mapping[str, Any], above: str) -> Any:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{above}{key}.")
        else:
            yield f"{above}{key}", inner


def _plain(flat: Mapping[str, Any], key: str) -> str:
    value = flat.get(key)
    return "not there" if value is None else str(value)


def baseline_file(beside: Path, result_id: str) -> Path:
    """Where the baseline of a scenario is kept: in a folder beside its file."""
    return beside.parent / FOLDER / file_name(result_id)


def write_baseline(baseline: Baseline, path: Path) -> bool:
    """Writes a baseline; returns whether that changed the file."""
    text = json_text(baseline)
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    write_text(path, text)
    return before != text


def read_baseline(path: Path) -> Optional[Baseline]:
    """The baseline in a file; None where there is no such file.

    Raises:
        HarnessError: it is not a baseline.

    """
    if not path.is_file():
        return None
    try:
        return Baseline.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as bad:
        raise HarnessError(f"{path}: not a baseline; --fed-baseline=update writes it anew") from bad
