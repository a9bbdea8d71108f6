"""What a study found, one plain sentence for each finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional

from pytest_federated.core.text import significant
from pytest_federated.metrics.difference import Difference
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.targets import Speedup
from pytest_federated.report.comparison.study import Study, Values, is_number, name_of

_MORE = 12  # findings beyond which the tables say the rest
_SHARES = ("share", "difference")
_KINDS = {
    "better": "better",
    "worse": "worse",
    "differs": "different",
    "same": "the same",
    "undecided": "undecided",
    "alone": "of one seed, undecided",
    "missing": "without a result to compare",
}


def verdict(study: Study) -> str:
    """Returns how many of the comparisons came out how."""
    counts = Counter(map(_kind, study.differences.values()))
    texts = [f"{counts[kind]} {text}" for kind, text in _KINDS.items() if counts[kind]]
    return f"Compared with {name_of(study.reference)}: {', '.join(texts)}."


def findings(study: Study) -> list[str]:
    """Returns the findings: what the seeds tell, then what they do not."""
    certain = [*_differences(study, study.measure, study.differences), *_speeds(study)]
    for measure in study.beside:
        compared = {place: study.difference(*place, measure) for place in study.others}
        certain += _differences(study, measure, compared)
    more = len(certain) - _MORE
    shown = [*certain[:_MORE], *([f"... and {more} more, in the tables."] if more > 0 else [])]
    return [*shown, *_others(study)]


def difference_in_words(measure: Measure, compared: Difference) -> tuple[str, str]:
    """Returns a difference and its interval: ``8.2 points ahead of``, ``0.5 to 15.9``.

    The interval is that of the difference in the direction that is said.
    """
    sign = 1 if compared.difference >= 0 else -1
    is_share = measure.spec.scale in _SHARES
    ends = sorted(sign * end for end in (compared.low, compared.high) if end is not None)
    size = abs(compared.difference)
    if is_share:
        words = "points above" if not measure.sign else _ahead(measure.sign * sign)
        said = f"{100 * size:.1f} {words}"
        between = " to ".join(f"{100 * end:.1f}" for end in ends)
    else:
        said = f"{significant(size, 3)} {'above' if sign > 0 else 'below'}"
        between = " to ".join(significant(end, 3) for end in ends)
    return said, between


def _ahead(sign: int) -> str:
    return "points ahead of" if sign > 0 else "points behind"


def _differences(
    study: Study,
    measure: Measure,
    differences: Mapping[tuple[Values, Values], Optional[Difference]],
) -> Iterable[str]:
    """Yields a sentence for each difference that the seeds tell."""
    for (task, variant), compared in differences.items():
        if compared is None or _kind(compared) not in ("better", "worse", "differs"):
            continue
        said, between = difference_in_words(measure, compared)
        seeds = f"paired over {compared.pairs} seeds" if compared.pairs else "other seeds"
        reference = name_of(study.reference)
        if measure.spec.scale not in _SHARES:
            text = f"the {measure.title} of {name_of(variant)} is {said} that of {reference}"
        else:
            text = f"{name_of(variant)} is {said} {reference}"
            text += "" if measure is study.measure else f" on the {measure.title}"
        yield _sentence(task, f"{text} ({seeds}, {between})")


def _speeds(study: Study) -> Iterable[str]:
    """Yields a sentence where a variant is faster or slower, or one of the two never gets there."""
    reference = name_of(study.reference)
    for target in study.targets:
        for task, variant in study.others:
            goal = f"{study.measure.title} {target:g}"
            compared = study.times_faster(task, variant, target)
            if compared is not None:
                if compared.is_beyond_noise:
                    yield _sentence(task, _speed(name_of(variant), reference, goal, compared))
                continue
            ours, theirs = (study.rounds(task, v, target) for v in (variant, study.reference))
            sides = ((name_of(variant), ours), (reference, theirs))
            for (one, rounds), (other, none) in (sides, sides[::-1]):
                if rounds and none and None not in rounds.values() and not any(none.values()):
                    seeds = f"all {len(rounds)} seeds" if len(rounds) > 1 else "its seed"
                    yield _sentence(task, f"{one} reaches {goal} with {seeds}, {other} with none")


def _speed(variant: str, reference: str, goal: str, compared: Speedup) -> str:
    """Returns how many times faster a variant is, or how many times the rounds it needs."""
    times, ends = compared.times, [n for n in (compared.low, compared.high) if n is not None]
    if times > 1:
        text = f"{variant} is {significant(times, 2)} times faster than {reference} to {goal}"
    else:
        said = f"{significant(1 / times, 2)} times the rounds of {reference} to {goal}"
        text, ends = f"{variant} needs {said}", sorted(1 / n for n in ends)
    between = " to ".join(significant(n, 2) for n in ends)
    return f"{text} (paired over {compared.pairs} seeds, {between})"


def _others(study: Study) -> Iterable[str]:
    """Yields what else is to be said of each comparison, those alike in one sentence."""
    reference = name_of(study.reference)
    margin = study.measure.spec.least
    for kind, head in {
        "same": f"The same as {reference}, to within what matters ({margin})",
        "undecided": "Undecided, with these seeds",
        "alone": f"With one seed, which tells nothing of the difference from {reference}",
        "missing": "Nothing to compare",
    }.items():
        if places := [place for place, one in study.differences.items() if _kind(one) == kind]:
            yield f"{head}: {_places(places)}."


def _kind(compared: Optional[Difference]) -> str:
    """Returns how a comparison came out, one of `_KINDS`."""
    if compared is None:
        return "missing"
    return "alone" if compared.low is None else compared.change


def _places(places: Sequence[tuple[Values, Values]]) -> str:
    """Returns places by variant: ``fedavgm at alpha 1 and 100; fedprox(mu=0.1) at alpha 1``."""
    by_variant: dict[str, list[Values]] = {}
    for task, variant in places:
        by_variant.setdefault(name_of(variant), []).append(task)
    return "; ".join(
        name + (f" {_at(tasks)}" if tasks[0] else "") for name, tasks in by_variant.items()
    )


def _at(tasks: Sequence[Values]) -> str:
    """Returns tasks with the preposition that they take: ``at alpha 1 and 100``.

    Those of two keys are ``at alpha 1, count 10``, or ``at alpha 1 (count 10 and 20) and 100``.
    """
    by_first: dict[str, list[Values]] = {}
    for task in tasks:
        by_first.setdefault(task[0][1], []).append(task[1:])
    preposition = "at" if all(map(is_number, by_first)) else "with"
    if len(tasks) == 1:
        rest = [f", {label} {value}" for label, value in tasks[0][1:] if value != "()"]
        return f"{preposition} {tasks[0][0][0]} {tasks[0][0][1]}{''.join(rest)}"
    texts = [first + _beside(others) for first, others in by_first.items()]
    return f"{preposition} {tasks[0][0][0]} {_listed(texts)}"


def _beside(others: Sequence[Values]) -> str:
    """Returns the values of further keys: `` (count 10 and 20)``; none if there are none."""
    if not others[0]:
        return ""
    values = [", ".join("none" if v == "()" else v for _, v in one) for one in others]
    return f" ({', '.join(label for label, _ in others[0])} {_listed(values)})"


def _listed(texts: Sequence[str]) -> str:
    """Returns texts in a row: ``a``, ``a and b``, ``a, b and c``."""
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last


def _sentence(task: Values, text: str) -> str:
    where = f"{_at([task])}, " if task else ""
    whole = where + text
    return (whole[0].upper() if where or text.startswith("the ") else whole[0]) + whole[1:] + "."
