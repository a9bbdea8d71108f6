"""What a check is, and what all checks share: bounds, and how they are judged."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Callable, Literal, Optional, Protocol, TypeVar, get_type_hints

from pydantic import Field, model_validator

from pytest_federated.core.schema import Section, problem
from pytest_federated.metrics.statistics import Summary, seeds_to_decide, summarize
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.results.record import Outcome, Verdict
from pytest_federated.training.history import TrainingHistory

BOUNDS = ("at_least", "at_most", "between")
_FLOAT_NOISE = 1e-9  # a mean of 0.9, 0.9, 0.9 may come out as 0.8999999999999999

Share = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]  # of two shares
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]

# What decides an inconclusive verdict: the mean, or always one way; `warn` passes with a warning.
Policy = Literal["mean", "fail", "pass", "warn"]
POLICIES: tuple[Policy, ...] = ("mean", "fail", "pass", "warn")


class Expectation(Section):
    """The base of every expectation's keys: whoever has bounds is given one of them."""

    @model_validator(mode="after")
    def _is_bounded(self) -> Expectation:
        able = [name for name in BOUNDS if name in type(self).model_fields]
        given = [name for name in able if getattr(self, name) is not None]
        if able and not given:
            raise problem(able[0], f"missing; needs {' or '.join(able)}")
        between = getattr(self, "between", None)
        if between is not None and len(given) > 1:
            raise problem("between", f"says it all; leave {given[0]} out")
        low, high = between or (getattr(self, name, None) for name in BOUNDS[:2])
        if low is not None and high is not None and low > high:
            raise problem(given[-1], f"nothing is at least {low:g} and at most {high:g}")
        return self


@dataclass(frozen=True)
class Reference:
    """Another training of the same seed, which an expectation compares with.

    Attributes:
        algorithm: the same scenario, trained by this algorithm; empty for a variant.
        variant: another variant of the scenario's matrix, such as ``alpha=100``.

    """

    algorithm: str = ""
    variant: str = ""


class NoFigure(Exception):
    """A training has no such figure; the message says why, such as ``not reached``."""


@dataclass(frozen=True)
class Bounds:
    """Where a mean must be; infinite where a side is open."""

    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def of(
        cls,
        at_least: Optional[float] = None,
        at_most: Optional[float] = None,
        between: Optional[Sequence[float]] = None,
    ) -> Bounds:
        """The bounds that the keys of an expectation say."""
        if between is not None:
            return cls(between[0], between[1])
        return cls(
            -math.inf if at_least is None else at_least, math.inf if at_most is None else at_most
        )

    def __str__(self) -> str:
        if self.high == math.inf:
            return f">= {self.low:g}"
        return f"<= {self.high:g}" if self.low == -math.inf else f"{self.low:g} to {self.high:g}"

    def margin(self, mean: float) -> float:
        """How far on the good side of the nearest bound; negative when missed."""
        return min(mean - self.low, self.high - mean)

    def outcome(self, summary: Summary) -> Outcome:
        """Whether the interval of the mean lies inside, outside, or on both sides of a bound.

        A single figure has no interval, and is judged itself.
        """
        low = summary.mean if summary.low is None else summary.low
        high = summary.mean if summary.high is None else summary.high
        if low >= self.low - _FLOAT_NOISE and high <= self.high + _FLOAT_NOISE:
            return "pass"
        if high < self.low - _FLOAT_NOISE or low > self.high + _FLOAT_NOISE:
            return "fail"
        return "inconclusive"

    def more_seeds(self, summary: Summary) -> Optional[int]:
        """How many more seeds would move the interval off every bound, by `seeds_to_decide`."""
        found = [seeds_to_decide(summary, b) for b in (self.low, self.high) if math.isfinite(b)]
        known = [n for n in found if n is not None]
        return max(known) if known and len(known) == len(found) else None


def bounds_given(chosen: Section) -> dict[str, Any]:
    """The bounds that the keys of an expectation have, None where one is left out."""
    return {b: getattr(chosen, b) for b in BOUNDS if b in type(chosen).model_fields}


@dataclass(frozen=True)
class ExpectationSpec(Spec):
    """The traits of an expectation.

    Attributes:
        bound: pydantic type of its thresholds; None where it has none.
        figure: the function of one training that gives the figure; None where it judges itself.
        phrase: how ``at_most`` reads, such as ``{target:g} by round {at_most:g}``.
        reference: of the validated keys, the training that it compares with.
        is_benchmark: it is judged on request only.
        so_far: of the first rounds of a training and the keys, the least and the greatest that the
            figure can still be.

    """

    bound: Any = None
    figure: Optional[Callable[..., float]] = None
    phrase: str = ""
    reference: Optional[Callable[[Any], Reference]] = None
    is_benchmark: bool = False
    so_far: Optional[Callable[..., Any]] = None


class Check(Protocol):
    """Judges the trainings of all seeds."""

    def __call__(self, *histories: Any, **keys: Any) -> Verdict:
        """The verdict of the histories, by seed, and of those of the reference if there is one."""
        ...


checks = Registry(
    "expectation", Check, ExpectationSpec, Expectation, plural="checks", package=__package__
)


F = TypeVar("F", bound=Callable[..., float])


def expectation(
    name: str,
    bound: Any = Number,
    *,
    bounds: Sequence[str] = BOUNDS,
    phrase: str = "",
    **traits: Any,
) -> Callable[[F], F]:
    """Decorator: an expectation of the mean over seeds of a figure of one training.

    The function takes the history of a training, and with the trait `reference` that of the
    training it is compared with; it returns the figure, or raises `NoFigure`. Its keyword-only
    parameters are keys in the scenario file, and so are the bounds.

    Args:
        name: the word for it in scenario files.
        bound: pydantic type of the thresholds.
        bounds: which of ``at_least``, ``at_most`` and ``between`` make sense.
        phrase: how ``at_most`` reads, such as ``{target:g} by round {at_most:g}``.
        **traits: facts about the entry: `reference`, a function of the validated keys that
            returns a `Reference`; `is_benchmark`, judged only on request; `so_far`, a function of
            the first rounds of a training and the keys that returns the least and the greatest that
            the figure can still be.

    """

    def register(function: F) -> F:
        own = [p for p in inspect.signature(function).parameters.values() if p.kind is _KEYWORD]
        hints = get_type_hints(function, include_extras=True)
        own = [p.replace(annotation=hints[p.name]) for p in own]

        @functools.wraps(function)
        def check(*histories: Sequence[TrainingHistory], **keys: Any) -> Verdict:
            chosen = {b: keys.pop(b) for b in bounds}
            limits = Bounds.of(**chosen)
            expected = expected_text(limits, chosen, keys, phrase)
            figures, missing = [], []
            for trainings in zip(*histories):
                try:
                    figures.append(function(*trainings, **keys))
                except NoFigure as none:
                    missing.append(str(none))
            if missing:
                note = f"{missing[0]} in {len(missing)} of {len(histories[0])} seed(s)"
                return Verdict(expectation=name, expected=expected, passed=False, note=note)
            return compare(name, figures, limits, expected)

        keywords = [
            *own,
            *(
                inspect.Parameter(
                    b, _KEYWORD, default=None, annotation=Optional[_pair(bound, b == "between")]
                )
                for b in bounds
            ),
        ]
        positional = inspect.Parameter("histories", inspect.Parameter.VAR_POSITIONAL)
        check.__signature__ = inspect.Signature([positional, *keywords])  # pyright: ignore
        checks(name, bound=bound, figure=function, phrase=phrase, **traits)(check)
        return function

    return register


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _pair(bound: Any, is_pair: bool) -> Any:
    return Annotated[list[bound], Field(min_length=2, max_length=2)] if is_pair else bound


def expected_text(
    limits: Bounds, bounds: Mapping[str, Any], keys: Mapping[str, Any], phrase: str = ""
) -> str:
    """What an expectation asks for, in words: by its phrase, or by its bounds and other keys."""
    if phrase and bounds["at_most"] is not None and limits.low == -math.inf:
        return phrase.format(**keys, **bounds)
    chosen = {k: v for k, v in keys.items() if v is not None and v is not False}
    told = ", ".join(k if v is True else f"{k} {v}" for k, v in chosen.items())
    return f"{limits} ({told})" if told else str(limits)


def compare(name: str, figures: Sequence[float], limits: Bounds, expected: str = "") -> Verdict:
    """Judges the mean of `figures`, one for each seed.

    `passed` says whether the mean is within the limits; `outcome` whether its interval is.
    """
    expected = expected or str(limits)
    if not all(math.isfinite(f) for f in figures):
        return Verdict(expectation=name, expected=expected, passed=False, note="not finite")
    summary = summarize(figures)
    margin, outcome = limits.margin(summary.mean), limits.outcome(summary)
    return Verdict(
        expectation=name,
        expected=expected,
        measured=summary.mean,
        spread=summary.deviation,
        low=summary.low,
        high=summary.high,
        figures=tuple(figures),
        margin=margin,
        passed=margin >= -_FLOAT_NOISE,
        outcome=outcome,
        more_seeds=limits.more_seeds(summary) if outcome == "inconclusive" else None,
    )


def references(expect: Mapping[str, Section]) -> dict[str, Reference]:
    """What expectations compare with, by the name of the expectation."""
    refer = {name: checks[name].spec.reference for name in expect}
    return {name: of(expect[name]) for name, of in refer.items() if of}


def judge(
    expect: Mapping[str, Section],
    histories: Sequence[TrainingHistory],
    inconclusive: Policy = "mean",
    compared: Optional[Mapping[str, Sequence[TrainingHistory]]] = None,
    benchmark: bool = False,
) -> tuple[Verdict, ...]:
    """Judges every expectation, in the order of the scenario file.

    Args:
        expect: expectations by name.
        histories: one for each seed.
        inconclusive: what decides where the interval of a mean straddles its threshold.
        compared: for each expectation that has a reference, the histories of that, by seed.
        benchmark: whether benchmarks are judged, too.

    """
    verdicts = []
    for name, chosen in expect.items():
        entry = checks[name]
        sides = [histories, compared[name]] if compared and name in compared else [histories]
        verdict = entry.call(chosen, *sides)
        if entry.spec.is_benchmark and not benchmark:
            verdict = Verdict(
                expectation=name,
                expected=verdict.expected,
                passed=True,
                outcome="not judged",
                note="off without --fed-benchmark",
            )
        verdicts.append(_decided(verdict, inconclusive))
    return tuple(verdicts)


def _decided(verdict: Verdict, inconclusive: Policy) -> Verdict:
    if verdict.outcome != "inconclusive" or inconclusive == "mean":
        return verdict
    return verdict.model_copy(update={"passed": inconclusive != "fail"})
