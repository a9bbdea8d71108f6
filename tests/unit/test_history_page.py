"""The page of a history, of records that no repository has: what is told, in which order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from example_results import example_result
from pytest_federated.report.history import Record, history, record_of
from pytest_federated.report.plots.history import Trace, over_commits
from pytest_federated.report.plots.panels import TITLE
from pytest_federated.results.revisions import Commit, Revision, Revisions

GOOD, BAD = (0.80, 0.81, 0.79), (0.70, 0.72, 0.69)
RECORDS = {accuracies: record_of(example_result("a", accuracies)) for accuracies in (GOOD, BAD)}
GOOD_RECORD, BAD_RECORD = RECORDS.values()
FAILED = replace(GOOD_RECORD, status="failed", is_bad=True)


class Unmerged(Revisions[Record]):
    """Revisions of which none is a merge."""

    def author_of(self, number: int, result_id: str) -> Commit:
        return self.revisions[number].commit


def page(*records: Mapping[str, Record]) -> str:
    """Returns the page of commits that have these records, by scenario."""
    revisions = [
        Revision(Commit(f"{n:010}{'0' * 30}", "2026-11-26", f"Commit {n}"), dict(of_commit), {})
        for n, of_commit in enumerate(records, start=1)
    ]
    return history(Unmerged("a..b", None, revisions, ()))[0]  # type: ignore[arg-type]


@dataclass
class Drawn:
    """What pictures show."""

    pictures: list[list[Trace]] = field(default_factory=list)

    @property
    def traces(self) -> list[Trace]:
        return [trace for picture in self.pictures for trace in picture]


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    found = Drawn()

    def draw(traces: Sequence[Trace], commits: int) -> Any:
        found.pictures.append(list(traces))
        return over_commits(traces, commits)

    monkeypatch.setattr("pytest_federated.report.history.over_commits", draw)
    return found


def rows(text: str) -> list[list[str]]:
    """Returns the rows of the tables of changes."""
    lines = [line for line in text.splitlines() if re.match(r"\| [▼≈▲d]", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(("changes", "more"), [(50, []), (51, ["... and 1 earlier commits"])])
def test_the_latest_fifty_commits_with_changes_are_shown(changes: int, more: list[str]) -> None:
    text = page(*({"a": FAILED if n % 2 else GOOD_RECORD} for n in range(changes + 1)))
    sections = re.findall(r"^## Commit (\d+)$", text, re.MULTILINE)
    assert sections == [str(n) for n in range(changes + 1, changes - 49, -1)]
    assert [line for line in text.splitlines() if line.startswith("... and")] == more


@pytest.mark.parametrize(("scenarios", "more"), [(40, []), (41, ["... and 1 more"])])
def test_forty_changes_of_a_commit_are_shown(scenarios: int, more: list[str]) -> None:
    names = [f"s{n}" for n in range(scenarios)]
    text = page(*(dict.fromkeys(names, record) for record in (GOOD_RECORD, FAILED)))
    assert [row[-1] for row in rows(text)] == names[:40], "10 comes after 9"
    assert [line for line in text.splitlines() if line.startswith("... and")] == more
    assert f"**{scenarios} worse, 0 the same**" in text


@pytest.mark.parametrize(("causes", "more"), [(6, ""), (7, "; and 1 more")])
def test_six_causes_are_named_the_most_common_first(causes: int, more: str) -> None:
    keys = [f"training.key_{n}" for n in range(causes)]
    few, all_of_them = ({key: n for key in keys} for n in (1, 2))
    one = {**few, keys[0]: 2}

    def records(good: Mapping[str, int], bad: Mapping[str, int]) -> Iterator[Record]:
        for record, trained in ((GOOD_RECORD, good), (GOOD_RECORD, good), (BAD_RECORD, bad)):
            yield replace(record, settings=trained, trained=trained)

    pairs = zip(records(few, all_of_them), records({**few, "other": 1}, {**one, "other": 1}))
    commits = [{"a": a, "b": b} for a, b in pairs]
    text = page(*commits, *commits[-1:])
    (line,) = (line for line in text.splitlines() if line.startswith("What else changed there"))
    shown = [f"training.key_{n} 1 → 2 ({2 if n == 0 else 1} scenario(s))" for n in range(6)]
    assert line.replace("\\", "") == f"What else changed there: {'; '.join(shown)}{more}."


def test_what_is_expected_and_said_causes_no_figures() -> None:
    """What is expected is named where an outcome changed, texts never are."""
    before = {"expect.accuracy.at_least": 0.1, "description": "a", "tags": "x", "data.dataset": "d"}
    after = {"expect.accuracy.at_least": 0.9, "description": "b", "tags": "y", "data.dataset": "d"}
    before["comparison.reference"], after["comparison.reference"] = "a", "b"
    good = replace(GOOD_RECORD, settings=before, trained={"data.dataset": "d"})
    bad = replace(BAD_RECORD, settings=after, trained={"data.dataset": "d"})
    assert "What else changed" not in page(*[{"a": good}] * 3, *[{"a": bad}] * 2)
    earlier = replace(good, trained={"data.dataset": "earlier"})
    assert "What else" not in page(*({"a": one} for one in [earlier, earlier, good, bad, bad]))
    failed = replace(FAILED, settings=after, trained={"data.dataset": "d"}, versions={"numpy": "2"})
    (line,) = (
        line for line in page({"a": good}, {"a": failed}).splitlines() if "What else" in line
    )
    assert "expect.accuracy.at_least 0.1 → 0.9" in line.replace("\\", "")
    assert "numpy 1.25.2 → 2" in line and line.count("→") == 2


def test_changes_of_a_commit_are_in_the_order_of_what_they_ask_of_the_reader() -> None:
    wide = replace(GOOD_RECORD, figures={"accuracy": {0: 0.9, 1: 0.5, 2: 0.8}})
    narrow = replace(GOOD_RECORD, figures={"accuracy": {0: 0.8, 1: 0.6, 2: 0.7}})
    before = {"better": BAD_RECORD, "worse": GOOD_RECORD, "undecided": narrow, "same": GOOD_RECORD}
    after = {"better": GOOD_RECORD, "worse": BAD_RECORD, "undecided": wide, "same": GOOD_RECORD}
    text = page(*[before] * 3, *[after] * 2)
    told = [(row[0], row[-1]) for row in rows(text) if row[3] == "accuracy"]
    assert told == [("▼ worse", "worse"), ("≈ undecided", "undecided"), ("▲ better", "better")]
    assert "**1 worse, 1 undecided, 1 better, 1 the same**" in text
    assert "over 5 commits, from 0000000001 (2026-11-26) to 0000000005 (2026-11-26)." in text
    (worse, *_) = (row for row in rows(text) if row[3] == "accuracy")
    assert worse[1:3] == ["0.8 → 0.703", "-0.0967 (-0.111 to -0.0823, 3 pairs)"]


def test_a_scenario_counts_once_with_the_worst_that_happened() -> None:
    """A better accuracy does not hide that it fails, then and later."""
    better = replace(GOOD_RECORD, status="failed", is_bad=True)
    commits = [{"a": BAD_RECORD, "b": GOOD_RECORD}] * 3 + [{"a": better, "b": GOOD_RECORD}] * 2
    text = page(*commits)
    assert {row[0] for row in rows(text)} == {"▲ better", "▼ worse"}
    assert "**1 worse, 1 the same**" in text


def test_a_single_seed_is_undecided_and_is_said_to_be_one() -> None:
    def record(accuracy: float) -> Record:
        return replace(GOOD_RECORD, figures={"accuracy": {0: accuracy}})

    (row,) = rows(page(*[{"a": record(0.8)}] * 3, *[{"a": record(0.7)}] * 2))
    assert row[0] == "≈ undecided" and row[2] == r"-0.1 (1 seed)"


def test_figures_of_other_seeds_are_another_history(drawn: Drawn) -> None:
    """Those before are not compared with; nor are those of a commit without the scenario."""
    other = replace(BAD_RECORD, figures={"accuracy": {7: 0.1, 8: 0.2}})
    skipped = replace(GOOD_RECORD, figures={}, status="skipped")
    text = page(
        {"a": GOOD_RECORD},
        *[{"a": other}] * 3,
        {"a": GOOD_RECORD},
        {"a": skipped},
        {},
        {"a": GOOD_RECORD},
    )
    assert "**1 the same**" in text and not rows(text)
    (trace,) = drawn.traces
    assert trace.places == [5, 8]


def test_levels_are_compared_by_the_seeds_of_the_commits_beside_the_change() -> None:
    def record(level: float, *seeds: int) -> Record:
        figures = {seed: level + seed / 100 for seed in seeds}
        return replace(GOOD_RECORD, figures={"accuracy": figures})

    before = [record(0.8, 0, 1, 2), record(0.8, 0, 1, 2), record(0.8, 1, 2, 3)]
    text = page(*({"a": one} for one in [*before, record(0.6, 1, 2, 3), record(0.6, 2, 3, 4)]))
    (row,) = rows(text)
    assert row[1:3] == ["0.82 → 0.62", "-0.2 (-0.201 to -0.199, 3 pairs)"]


def test_outcomes_are_compared_with_those_of_the_last_run() -> None:
    """Which was before the scenario was skipped."""
    skipped = replace(GOOD_RECORD, figures={}, status="skipped")
    text = page({"a": GOOD_RECORD}, {"a": skipped}, {"a": FAILED}, {"a": skipped}, {"a": FAILED})
    (row,) = rows(text)
    assert row == ["▼ worse", "passed → failed", "–", "outcome", "a"]
    assert "## Commit 3\n" in text


def test_a_figure_that_is_not_finite_is_no_level() -> None:
    results = [example_result("a", (0.8, accuracy)) for accuracy in (0.8, float("nan"))]
    finite, infinite = map(record_of, results)
    assert finite.figures["accuracy"] == {0: 0.8, 1: 0.8}
    assert "accuracy" not in infinite.figures


def test_pictures_have_what_changed_first_then_what_stands_for_each_result(drawn: Drawn) -> None:
    before = {"same": GOOD_RECORD, "late": GOOD_RECORD, "early": GOOD_RECORD}
    middle = {**before, "early": BAD_RECORD}
    after = {**middle, "late": BAD_RECORD, "new": GOOD_RECORD}
    page(*[before] * 3, *[middle] * 3, *[after] * 3)
    titles = list(dict.fromkeys(trace.title.partition(":")[0] for trace in drawn.traces))
    assert titles == ["late", "early", "new", "same"]
    (early,) = (t for t in drawn.traces if t.title == "early: accuracy")
    assert early.places == list(range(1, 10)) and list(early.changes) == [(4, "worse")]
    assert early.means == pytest.approx([0.8] * 3 + [2.11 / 3] * 6)
    assert (early.low[0], early.high[0]) == (0.79, 0.81)
    (same,) = (t for t in drawn.traces if t.title.startswith("same"))
    assert same.title == "same: accuracy", "the metric that stands for it"


@pytest.mark.parametrize(
    ("scenarios", "sizes", "more"),
    [(40, [40], ""), (41, [40, 1], ""), (120, [40] * 3, ""), (121, [40] * 3, "... and 1 more")],
)
def test_pictures_have_forty_panels_and_there_are_three(
    drawn: Drawn, scenarios: int, sizes: list[int], more: str
) -> None:
    names = [f"s{n}" for n in range(scenarios)]
    text = page(*[dict.fromkeys(names, GOOD_RECORD)] * 2)
    assert [len(traces) for traces in drawn.pictures] == sizes
    links = re.findall(r"\((plots/history-\d\.svg)\)", text)
    assert links == [f"plots/history-{n}.svg" for n in range(1, len(sizes) + 1)]
    assert [line for line in text.splitlines() if line.startswith("... and")] == [more] * bool(more)


def test_the_list_of_commits_is_numbered_as_the_pictures_are() -> None:
    text = page({"a": GOOD_RECORD}, {"a": GOOD_RECORD})
    assert "numbered from 1 to 2" in text
    listed = text.partition("<summary>All commits</summary>")[2]
    numbers = [line.split("|")[1].strip() for line in listed.splitlines() if "Commit " in line]
    assert numbers == ["1", "2"]


def test_one_run_of_a_scenario_has_no_curve(drawn: Drawn) -> None:
    text = page({"a": GOOD_RECORD}, {"a": GOOD_RECORD, "b": GOOD_RECORD})
    assert [trace.title for trace in drawn.traces] == ["a: accuracy"]
    assert "2 scenario(s) over 2 commits, from 0000000001 (2026-11-26)" in text


OTHER = replace(GOOD_RECORD, trained={**GOOD_RECORD.trained, "training.rounds": 99})


@pytest.mark.parametrize(
    ("before", "after", "renamed"),
    [
        ({"a": GOOD_RECORD, "x": OTHER}, {"b": GOOD_RECORD, "x": OTHER}, ["a was renamed to b"]),
        (
            {"a": GOOD_RECORD, "x": OTHER},
            {"b": GOOD_RECORD, "y": OTHER},
            ["a was renamed to b", "x was renamed to y"],
        ),
        ({"a": GOOD_RECORD}, {"b": OTHER}, []),
        ({"a": GOOD_RECORD}, {"a": GOOD_RECORD, "b": GOOD_RECORD}, []),
        ({"a": GOOD_RECORD, "x": GOOD_RECORD}, {"b": GOOD_RECORD}, []),
        ({"a": GOOD_RECORD}, {"b": GOOD_RECORD, "c": GOOD_RECORD}, []),
        ({"a": replace(OTHER, trained={})}, {"b": replace(OTHER, trained={})}, []),
    ],
)
def test_a_scenario_is_renamed_where_nothing_else_can_be_meant(
    drawn: Drawn, before: dict[str, Record], after: dict[str, Record], renamed: list[str]
) -> None:
    """By what trainings depend on."""
    text = page(before, before, after, after)
    assert re.findall(r"^0000000003: (.*)$", text, re.MULTILINE) == renamed
    places = {trace.title.partition(":")[0]: trace.places for trace in drawn.traces}
    goes_on = {line.split()[-1] for line in renamed} | (before.keys() & after.keys())
    assert places == {n: [1, 2, 3, 4] if n in goes_on else [3, 4] for n in after}


def test_a_renamed_scenario_that_comes_back_is_renamed_again() -> None:
    """By its latest record, not by that of another time."""
    changed = replace(GOOD_RECORD, trained={"training.rounds": 5})
    text = page({"a": GOOD_RECORD}, {"a": changed}, {"b": changed}, {"a": changed})
    assert "0000000003: a was renamed to b" in text and "0000000004: b was renamed to a" in text


def test_a_metric_has_its_title_and_an_outcome_its_name() -> None:
    good, bad = (
        replace(r, headline="gap_to_centralized", figures={"gap_to_centralized": values})
        for r, values in ((GOOD_RECORD, {0: 0.1, 1: 0.11}), (FAILED, {0: 0.4, 1: 0.41}))
    )
    text = page(*[{"a": good}] * 3, *[{"a": bad}] * 2)
    assert sorted(row[3] for row in rows(text)) == ["gap to centralized", "outcome"]


def test_a_long_name_leaves_room_for_the_metric(drawn: Drawn) -> None:
    page(*[{"n" * 99: GOOD_RECORD}] * 2)
    long = "worst_tenth_accuracy"
    page(*[{"n" * 99: replace(GOOD_RECORD, headline=long, figures={long: {0: 0.5}})}] * 2)
    short, of_long = (trace.title for trace in drawn.traces)
    assert len(short) == TITLE and short.endswith("n: accuracy")
    assert of_long.partition(":")[0] == "nnnn…nnn"


def test_a_level_goes_from_one_change_to_the_next() -> None:
    def record(level: float) -> Record:
        return replace(GOOD_RECORD, figures={"accuracy": {0: level, 1: level + 0.02}})

    levels = (0.803, 0.8, 0.797, 0.6, 0.6, 0.6, 0.9, 0.9, 0.9)
    text = page(*({"a": record(level)} for level in levels))
    assert re.findall(r"^## Commit (\d)$", text, re.MULTILINE) == ["7", "4"]
    assert [row[1] for row in rows(text)] == ["0.61 → 0.91", "0.81 → 0.61"]


def test_a_metric_that_is_measured_later_has_its_own_history() -> None:
    def record(recall: float) -> Record:
        return replace(
            GOOD_RECORD, figures={**GOOD_RECORD.figures, "class_recall": {0: recall, 1: recall}}
        )

    text = page(*({"a": r} for r in [*[GOOD_RECORD] * 2, *[record(0.9)] * 3, *[record(0.5)] * 2]))
    (row,) = rows(text)
    assert row[1] == "0.9 → 0.5" and row[3] == "class recall" and "## Commit 6\n" in text


def test_the_picture_begins_with_what_changed_last(drawn: Drawn) -> None:
    """Even if that scenario was the first to change, too."""
    twice = [GOOD_RECORD] * 3 + [BAD_RECORD] * 6 + [GOOD_RECORD] * 3
    once = [GOOD_RECORD] * 6 + [BAD_RECORD] * 6
    page(*({"once": one, "twice": two} for one, two in zip(once, twice)))
    titles = list(dict.fromkeys(trace.title.partition(":")[0] for trace in drawn.traces))
    assert titles == ["twice", "once"]


def test_long_names_and_values_are_shortened_in_the_tables() -> None:
    key = "training.of_it"
    good, bad = (
        replace(r, trained={key: value})
        for r, value in ((GOOD_RECORD, "g" * 99), (BAD_RECORD, "b" * 99))
    )
    name = "n" * 99
    text = page(*[{name: good}] * 3, *[{name: bad}] * 2)
    assert {len(row[-1]) for row in rows(text)} == {56}
    found = re.search(r"of\\?_it (g+…g+) → (b+…b+) \(1", text)
    assert found and [len(value) for value in found.groups()] == [40, 40]


def test_settings_that_trainings_depend_on_are_those_that_change_figures() -> None:
    of_judging = {"expect": {"accuracy": {"at_least": 0.1}}, "description": "b", "tags": ["x"]}
    of_judging |= {"comparison": {"reference": "a"}, "baseline": {"seeds": 3}}
    result = example_result("a", GOOD)
    record = record_of(result.model_copy(update={"settings": {**result.settings, **of_judging}}))
    assert "expect.accuracy.at_least" in record.settings and "name" in record.settings
    sections = {key.partition(".")[0] for key in record.trained}
    assert sections == {"data", "clients", "model", "training", "seeds"}
