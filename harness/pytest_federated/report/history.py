"""What changed over the commits of a range, by how much, and at which of them."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Optional

from pytest_federated.core.ordering import natural
from pytest_federated.core.text import shortened
from pytest_federated.metrics.change_points import change_points
from pytest_federated.metrics.difference import (
    Difference,
    can_be_compared,
    compare,
    seeds_in_common,
)
from pytest_federated.metrics.measure import Measure, coarsest, columns, expected_measure, headline
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.metrics.statistics import mean
from pytest_federated.report.markup import escape, table
from pytest_federated.report.outcomes import is_bad
from pytest_federated.report.pictures import PLOTS
from pytest_federated.report.plots.history import Trace, over_commits
from pytest_federated.report.plots.panels import TITLE as PANEL_TITLE
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.tables.cells import figure, signed
from pytest_federated.results.flat import flat
from pytest_federated.results.record import Result
from pytest_federated.results.revisions import Commit, Revisions

PAGE, TITLE = "history.md", "# History of results"
PICTURES = f"{PLOTS}/history-*.svg"
_MARKS = {
    "worse": "▼ worse",
    "undecided": "≈ undecided",
    "differs": "differs",
    "better": "▲ better",
}
_OUTCOME = "outcome"
_COMMITS, _ROWS, _CAUSES = 50, 40, 6  # that are shown: commits, rows and causes of each
_PANELS, _PICTURES = 40, 3
_NAME, _VALUE = 56, 40  # characters
# Sections of a scenario that no outcome depends on, and those that no training depends on.
_TEXTS = ("schema", "name", "description", "tags", "comparison")
_OF_JUDGING = ("expect", "baseline", *_TEXTS)


@dataclass(frozen=True)
class Record:
    """What a history needs of a record.

    Attributes:
        status: its outcome.
        is_bad: whether it failed, or has no result where it should have one.
        headline: the name of the metric that stands for it.
        figures: finite values by metric and seed; empty where the scenario did not run.
        steps: of its metrics, see `difference.compare`.
        settings: by dotted key.
        trained: those of them that trainings depend on.
        versions: of packages.

    """

    status: str
    is_bad: bool
    headline: str
    figures: Mapping[str, Mapping[int, float]]
    steps: Mapping[str, float]
    settings: Mapping[str, Any]
    trained: Mapping[str, Any]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """A change of a scenario's metric, or of its outcome.

    Attributes:
        scenario: its name.
        metric: of what.
        place: of the revision at which it happened.
        kind: worse, better, differs or undecided.
        before: the mean of the commits before it, or the outcome.
        after: the same since then.
        difference: with the interval of the pairs of seeds; a dash of an outcome.
        causes: settings and versions that changed there, too.

    """

    scenario: str
    metric: str
    place: int
    kind: str
    before: str
    after: str
    difference: str
    causes: Sequence[str]


@dataclass
class _Track:
    """A scenario over revisions.

    Attributes:
        name: its latest name.
        records: by the place of the revision.

    """

    name: str
    records: dict[int, Record] = field(default_factory=dict)


@dataclass(frozen=True)
class _Series:
    """A metric of a scenario over revisions.

    Attributes:
        scenario: its name.
        metric: what it is.
        values: by the place of the revision and seed; the same seeds everywhere.
        changes: of it, the oldest first.

    """

    scenario: str
    metric: str
    values: Mapping[int, Mapping[int, float]]
    changes: Sequence[Change]


def record_of(result: Result) -> Record:
    """Returns what a history needs of a record."""
    expected = {v.expectation for v in result.verdicts if v.expectation in metrics.names()}
    measures = {m.name: m for m in columns([result])}
    measures |= {name: expected_measure(name) for name in sorted(expected)}
    measured = {} if result.is_earlier else {n: _finite(m, result) for n, m in measures.items()}
    figures = {name: f for name, f in measured.items() if f and not spec_of(name).is_wall_time}
    settings = dict(flat(result.settings))
    return Record(
        result.status,
        is_bad(result),
        headline([result]).name,
        figures,
        {n: coarsest(spec_of(n), result.histories, measures[n].keys(result)).size for n in figures},
        settings,
        {key: v for key, v in settings.items() if key.partition(".")[0] not in _OF_JUDGING},
        result.versions,
    )


def history(revisions: Revisions[Record]) -> tuple[str, dict[str, Picture]]:
    """Returns the page of a history as Markdown, and its pictures.

    The pictures are by path in the report's folder.
    """
    tracks, renames = _tracks(revisions)
    series = [one for track in tracks for one in _series(track)]
    changes = [change for one in series for change in one.changes]
    changes += [change for track in tracks for change in _outcomes(track)]
    traces = _traces(series)
    pictures = _pictures(traces, len(revisions.revisions))
    blocks = [TITLE, *_verdict(revisions, tracks, changes)]
    blocks += [escape(note) for note in [*revisions.notes, *renames]]
    blocks += _commits(revisions, changes)
    if pictures:
        blocks += ["## Over commits", f"{_LEGEND} {_numbered(revisions)}"]
        blocks += [f"![{escape(picture.alt)}]({path})" for path, picture in pictures.items()]
    if (more := len(traces) - _PANELS * _PICTURES) > 0:
        blocks.append(f"... and {more:,} more")
    rows = [
        [str(number), revision.commit.short, revision.commit.date, escape(revision.commit.subject)]
        for number, revision in enumerate(revisions.revisions, start=1)
    ]
    listed = table(rows, ["", "commit", "date", "subject"])
    blocks.append(f"<details>\n<summary>All commits</summary>\n\n{listed}\n\n</details>")
    return "\n\n".join(blocks) + "\n", pictures


_LEGEND = (
    "What changed comes first; of the others, the metric that stands for the result. Mean and "
    "range over seeds."
)


def _finite(measure: Measure, result: Result) -> dict[int, float]:
    """Returns the figures of a result by seed; none if one of them is not finite."""
    values = measure.of_seeds(result)
    return values if all(map(math.isfinite, values.values())) else {}


def _tracks(revisions: Revisions[Record]) -> tuple[list[_Track], list[str]]:
    """Returns the scenarios of the last revision, and a line for each one that was renamed.

    A scenario that is gone has another name if one with the same trainings is new at that commit,
    and there are no two of either.
    """
    tracks: dict[str, _Track] = {}
    renames: list[str] = []
    for place, revision in enumerate(revisions.revisions):
        gone = {name: t for name, t in tracks.items() if name not in revision.results}
        new = [name for name in revision.results if name not in tracks]
        for name in new:
            before = _same_trainings(revision.results[name], gone)
            alike = _same_trainings(revision.results[name], dict.fromkeys(new), revision.results)
            if len(before) == 1 and alike == [name]:
                (old,) = before
                tracks[name] = tracks.pop(old)
                tracks[name].name = name
                del gone[old]
                renames.append(f"{revision.commit.short}: {old} was renamed to {name}")
        for name, record in revision.results.items():
            tracks.setdefault(name, _Track(name)).records[place] = record
    last = revisions.revisions[-1].results
    return sorted((tracks[n] for n in last), key=lambda t: natural(t.name)), renames


def _same_trainings(
    record: Record,
    others: Mapping[str, Optional[_Track]],
    records: Optional[Mapping[str, Record]] = None,
) -> list[str]:
    """Returns the names whose latest record has the same trainings as this one."""
    names: list[str] = []
    for name, track in others.items():
        other = records[name] if records else track and track.records[max(track.records)]
        if other and other.trained and other.trained == record.trained:
            names.append(name)
    return names


def _series(track: _Track) -> Iterator[_Series]:
    """Yields the metrics of a scenario, the one that stands for it first."""
    latest = track.records[max(track.records)]
    for name in sorted(latest.figures, key=lambda n: (n != latest.headline, n)):
        figures = {p: r.figures[name] for p, r in track.records.items() if name in r.figures}
        values = _comparable(figures)
        yield _Series(track.name, name, values, _changes(track, name, values))


def _comparable(
    figures: Mapping[int, Mapping[int, float]],
) -> dict[int, Mapping[int, float]]:
    """Returns the latest figures of which each has a seed in common with the ones before."""
    kept: dict[int, Mapping[int, float]] = {}
    for place in sorted(figures, reverse=True):
        if kept and not seeds_in_common(figures[place], next(reversed(kept.values()))):
            break
        kept[place] = figures[place]
    return dict(reversed(kept.items()))


def _changes(track: _Track, metric: str, values: Mapping[int, Mapping[int, float]]) -> list[Change]:
    """Returns the change points of a metric that its seeds do not contradict."""
    places = list(values)
    level = statistics.fmean(statistics.fmean(v.values()) for v in values.values())
    points = change_points(_chained(list(values.values())), least=spec_of(metric).least.of(level))
    changes: list[Change] = []
    for start, point, end in zip([0, *points], points, [*points[1:], len(places)]):
        before, after = (
            [values[p] for p in places[a:b]] for a, b in ((start, point), (point, end))
        )
        seeds = seeds_in_common(before[-1], after[0])
        place = places[point]
        step = track.records[place].steps.get(metric, 0.0)
        differ = _difference(metric, _by_seed(before, seeds), _by_seed(after, seeds), step)
        if differ.change == "same":
            continue
        changes.append(
            Change(
                track.name,
                metric,
                place,
                differ.change,
                figure(differ.before, 3),
                figure(differ.now, 3),
                _interval(differ),
                _causes(track.records[places[point - 1]], track.records[place]),
            )
        )
    return changes


def _chained(values: Sequence[Mapping[int, float]]) -> list[float]:
    """Returns the level of each revision: each differs from the one before by its pairs of seeds.

    With the same seeds everywhere these are the means, less the first one. So seeds that are added
    or left out do not look like a change.
    """
    levels = [0.0]
    for one, two in zip(values, values[1:]):
        pairs = seeds_in_common(one, two)
        levels.append(levels[-1] + statistics.fmean(two[s] - one[s] for s in pairs))
    return levels


def _by_seed(revisions: Sequence[Mapping[int, float]], seeds: Sequence[int]) -> dict[int, float]:
    """Returns the mean of each seed over the revisions that have it."""
    return {seed: mean([r[seed] for r in revisions if seed in r]) for seed in seeds}


def _difference(
    metric: str, before: Mapping[int, float], after: Mapping[int, float], step: float
) -> Difference:
    """Returns how two levels of a metric differ, seed by seed."""
    assert can_be_compared(before, after)
    spec = spec_of(metric)
    return compare(
        before,
        after,
        sign=spec.sign,
        margin=spec.least.of(statistics.fmean(before.values())),
        step=step,
        greatest=spec.values.width,
    )


def _interval(differ: Difference) -> str:
    text = signed(differ.difference)
    if differ.low is None or differ.high is None:
        return f"{text} (1 seed)"
    return f"{text} ({signed(differ.low)} to {signed(differ.high)}, {differ.pairs} pairs)"


def _outcomes(track: _Track) -> Iterator[Change]:
    """Yields where a scenario began to fail, or no longer does."""
    ran = [place for place, r in sorted(track.records.items()) if r.figures or r.is_bad]
    for one, two in zip(ran, ran[1:]):
        before, after = track.records[one], track.records[two]
        if before.is_bad != after.is_bad:
            kind = "worse" if after.is_bad else "better"
            causes = _causes(before, after, of_judging=True)
            statuses = before.status, after.status
            yield Change(track.name, _OUTCOME, two, kind, *statuses, "–", causes)


def _causes(before: Record, after: Record, *, of_judging: bool = False) -> list[str]:
    """Returns settings that both records have, and versions, as far as they differ.

    Without what is expected, unless it is about the outcome.
    """
    settings = [(r.settings if of_judging else r.trained) for r in (before, after)]
    pairs = [(settings[0], settings[1]), (before.versions, after.versions)]
    return [
        f"{key} {shortened(str(one[key]), _VALUE)} → {shortened(str(two[key]), _VALUE)}"
        for one, two in pairs
        for key in one
        if key in two and one[key] != two[key] and key.partition(".")[0] not in _TEXTS
    ]


def _verdict(
    revisions: Revisions[Record], tracks: Sequence[_Track], changes: Sequence[Change]
) -> list[str]:
    """Returns how many scenarios changed, and over which commits."""
    worst: dict[str, str] = {}
    for kind in reversed(_MARKS):
        worst |= {change.scenario: kind for change in changes if change.kind == kind}
    counts = Counter(worst.values())
    parts = [f"{counts[kind]} {kind}" for kind in _MARKS if counts[kind]]
    first, last = revisions.revisions[0].commit, revisions.revisions[-1].commit
    same = len(tracks) - len(worst)
    return [
        f"**{', '.join([*parts, f'{same} the same'])}**",
        f"{len(tracks)} scenario(s) over {len(revisions.revisions)} commits, from {_named(first)} "
        f"to {_named(last)}. A change is a shift of the level: of the mean of the commits before "
        "it, back to the last change, to the mean of those since. Changes are found by E-divisive "
        "means and Student's t test (p = 0.001). A difference has its 95 % interval, from pairs of "
        "trainings with the same seed; undecided means that the seeds do not tell it from chance, "
        "as a single seed never does.",
    ]


def _named(commit: Commit) -> str:
    return f"{commit.short} ({commit.date})"


def _commits(revisions: Revisions[Record], changes: Sequence[Change]) -> list[str]:
    """Returns a section for each commit at which something changed, the newest first."""
    author_of = lru_cache(maxsize=None)(revisions.author_of)  # a process of git each
    by_author: dict[Commit, list[Change]] = {}
    for change in sorted(changes, key=lambda c: -c.place):
        by_author.setdefault(author_of(change.place, change.scenario), []).append(change)
    blocks: list[str] = []
    for author, of_author in list(by_author.items())[:_COMMITS]:
        blocks += _commit(author, of_author)
    if (more := len(by_author) - _COMMITS) > 0:
        blocks.append(f"... and {more:,} earlier commits")
    return blocks


def _commit(commit: Commit, changes: Sequence[Change]) -> list[str]:
    order = list(_MARKS)
    in_order = sorted(changes, key=lambda c: (order.index(c.kind), natural(c.scenario)))
    rows = [
        [
            _MARKS[c.kind],
            f"{c.before} → {c.after}",
            escape(c.difference),
            escape(_title(c.metric)),
            escape(shortened(c.scenario, _NAME)),
        ]
        for c in in_order[:_ROWS]
    ]
    blocks = [
        f"## {escape(commit.subject)}",
        f"{_named(commit)}",
        table(rows, ["", "from → to", "difference", "metric", "scenario"]),
    ]
    if (more := len(changes) - _ROWS) > 0:
        blocks.append(f"... and {more:,} more")
    # Each scenario once, whichever of its metrics changed.
    causes = Counter(
        cause for _, of in {c.scenario: c.causes for c in changes}.items() for cause in of
    )
    if causes:
        shown = [f"{text} ({n} scenario(s))" for text, n in causes.most_common(_CAUSES)]
        more = [f"and {len(causes) - _CAUSES} more"] if len(causes) > _CAUSES else []
        blocks.append(escape(f"What else changed there: {'; '.join([*shown, *more])}."))
    return blocks


def _traces(series: Sequence[_Series]) -> list[Trace]:
    """Returns what changed, the latest first; then the metrics that stand for other scenarios."""
    changed = sorted(
        (one for one in series if one.changes), key=lambda one: -max(c.place for c in one.changes)
    )
    known = {one.scenario for one in changed}
    firsts = {one.scenario: one for one in reversed(series) if len(one.values) > 1}
    others = [one for name, one in reversed(firsts.items()) if name not in known]
    return [_trace(one) for one in [*changed, *others]]


def _title(metric: str) -> str:
    return metric if metric == _OUTCOME else spec_of(metric).title or metric


def _pictures(traces: Sequence[Trace], commits: int) -> dict[str, Picture]:
    shown = traces[: _PANELS * _PICTURES]
    return {
        f"{PLOTS}/history-{1 + start // _PANELS}.svg": over_commits(
            shown[start : start + _PANELS], commits
        )
        for start in range(0, len(shown), _PANELS)
    }


def _trace(series: _Series) -> Trace:
    seeds = [list(values.values()) for values in series.values.values()]
    metric = _title(series.metric)
    return Trace(
        f"{shortened(series.scenario, max(8, PANEL_TITLE - 2 - len(metric)))}: {metric}",
        [place + 1 for place in series.values],
        [statistics.fmean(values) for values in seeds],
        [min(values) for values in seeds],
        [max(values) for values in seeds],
        [(change.place + 1, change.kind) for change in series.changes],
    )


def _numbered(revisions: Revisions[Record]) -> str:
    return f"The commits are numbered from 1 to {len(revisions.revisions)}, as in the list below."
