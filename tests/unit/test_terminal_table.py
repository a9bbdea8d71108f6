"""The table at a session's end: no wider than the terminal, and no two scenarios alike in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from example_results import example_result
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest_federated.core.text import distinct, one_line, shortened, significant
from pytest_federated.plugin.summary import fitting_table, write_skipped, write_table, write_tuned
from pytest_federated.report.tuned import tuned_text
from pytest_federated.results.record import Result
from pytest_federated.results.tuning import GridPoint, Tuning
from rich.cells import cell_len

VERDICTS = ("passed", "failed", "diverged", "skipped", "errored", "reported", "not judged")
NAMES = st.one_of(
    st.text("ab=[],.…1é漢", min_size=1, max_size=70),
    # Variants of one matrix, which differ at any place.
    st.builds(
        "digits-with-a-long-name[alpha={},learning_rate={},batch_size={}]".format,
        *[st.sampled_from([0.1, 0.01, 100])] * 3,
    ),
)
EXAMPLES = [example_result(split=split) for split in ("iid", {"kind": "dirichlet", "alpha": 0.1})]
SHORT = ["one", "two"]
LONG = [f"digits-dirichlet-strong[alpha={a},learning_rate={r}]" for a in (1, 10) for r in (1, 2)]


WHOLE = ["a-1-bbbbbbbbb-1-c", "a-1-bbbbbbbbb-2-c", "a-2-bbbbbbbbb-1-c"]
VERDICT, RESULT = (
    len("verdict  "),
    len("  accuracy ± 95 %"),
)  # columns with the gap beside the names


@dataclass
class Terminal:
    """In place of pytest's terminal reporter: the lines, and the verdicts with their colors."""

    width: int
    isatty: bool = True
    lines: list[str] = field(default_factory=list)
    verdicts: list[tuple[str, dict[str, bool]]] = field(default_factory=list)

    @property
    def _tw(self) -> Any:
        return SimpleNamespace(fullwidth=self.width)

    def line(self, text: str) -> None:
        self.lines.append(text)

    write_line = line

    def write(self, text: str, **markup: bool) -> None:
        self.verdicts.append((text, markup))


def results_of(names: Sequence[str], **more: Any) -> list[Result]:
    return [example_result(name, **more) for name in names]


def table(names: Sequence[str], width: int, **more: Any) -> list[str]:
    return ["".join(line) for line in fitting_table(results_of(names, **more), width)]


@given(st.lists(NAMES, min_size=1, max_size=12, unique_by=one_line), st.integers(3, 80))
def test_names_are_shortened_and_never_alike(names: list[str], width: int) -> None:
    labels = distinct(names, width)
    assert len(set(labels)) == len(names)
    for name, label in zip(names, labels):
        assert cell_len(label) <= width or label == one_line(name)
        if cell_len(one_line(name)) <= width:
            assert label == one_line(name)


def test_names_are_cut_where_they_do_not_differ() -> None:
    assert distinct(["only-one-long-name"], 9) == [shortened("only-one-long-name", 9)]
    assert distinct(["abcdef1uvwxyz", "abcdef2uvwxyz"], 9) == ["a…1uvwxyz", "a…2uvwxyz"]
    assert distinct(["abcdefghijkl-1", "abcdefghijkl-2"], 9) == ["abcd…kl-1", "abcd…kl-2"]
    assert distinct(WHOLE, 5) == WHOLE, "they cannot be told apart in five columns"


@given(
    st.lists(NAMES, min_size=1, max_size=8, unique_by=one_line),
    st.lists(st.sampled_from(VERDICTS), min_size=8, max_size=8),
    st.integers(40, 200),
    st.sampled_from(EXAMPLES),
)
def test_no_line_is_wider_than_the_terminal(
    names: list[str], verdicts: list[str], width: int, example: Result
) -> None:
    results = [
        example.model_copy(update={"id": name, "status": verdict})
        for name, verdict in zip(names, verdicts)
    ]
    lines = ["".join(line) for line in fitting_table(results, width)]
    assert len(lines) == 2 + len(names)
    verdict_width = max(len("verdict"), *(len(r.status) for r in results))
    fits = distinct(names, width - verdict_width - 2)
    assume(all(cell_len(label) <= width - verdict_width - 2 for label in fits))
    assert max(map(cell_len, lines)) <= width
    for line, verdict in zip(lines[2:], verdicts):
        assert line.startswith(f"{verdict} ")
    shown = {line[verdict_width:] for line in lines[2:]}
    assert len(shown) == len(names)


@pytest.mark.parametrize(
    ("names", "width", "columns"),
    [
        (SHORT, 40, ["verdict", "scenario", "accuracy ± 95 %"]),
        (SHORT, 80, ["verdict", "scenario", "accuracy ± 95 %", "seeds", "split", "algorithm"]),
        (LONG, 40, ["verdict", "scenario"]),
        (LONG, 80, ["verdict", "scenario", "accuracy ± 95 %"]),
        (LONG, 100, ["verdict", "scenario", "accuracy ± 95 %", "seeds", "split"]),
    ],
)
def test_the_most_important_columns_come_first(
    names: Sequence[str], width: int, columns: list[str]
) -> None:
    head, *_ = table(names, width)
    assert [c.strip() for c in head.split("  ") if c][: len(columns)] == columns


def title(names: Sequence[str], width: int) -> str:
    return table(names, width)[0]


def test_a_column_is_shown_once_it_fits() -> None:
    fits = VERDICT + len("scenario") + RESULT
    assert "accuracy" in title(SHORT, fits)
    assert "accuracy" not in title(SHORT, fits - 1)


def test_names_give_way_to_the_result_until_they_have_sixteen_columns() -> None:
    names = [f"a-scenario-with-a-long-name-{n}" for n in (1, 2)]
    head, _, *rows = table(names, VERDICT + 16 + RESULT)
    assert "accuracy" in head
    assert [len(row.split()[1]) for row in rows] == [16, 16]
    head, _, *rows = table(names, VERDICT + 15 + RESULT)
    assert "accuracy" not in head
    assert [len(row.split()[1]) for row in rows] == [29, 29]


def test_names_that_cannot_be_shortened_do_not_give_way() -> None:
    head, _, *rows = table(WHOLE, VERDICT + 5 + RESULT)
    assert "accuracy" not in head
    assert [row.split()[1] for row in rows] == WHOLE


@pytest.mark.parametrize("width", [1, VERDICT, VERDICT + 3])
def test_three_columns_of_a_name_are_left_in_the_narrowest_terminal(width: int) -> None:
    assert [row.split()[1] for row in table(["abcdef", "uvwxyz"], width)[2:]] == ["a…f", "u…z"]


def test_a_column_is_shown_even_if_some_of_its_cells_are_empty() -> None:
    results = [example_result("one"), example_result("two", histories=(), status="skipped")]
    assert "heterogeneity" in fitting_table(results, 300)[0][1]


def test_empty_columns_are_left_out() -> None:
    head, *_ = table(SHORT, 300)
    assert "heterogeneity" in head and "rounds to target" not in head


def test_long_cells_are_shortened_and_never_alike() -> None:
    splits = [{"kind": "dirichlet", "alpha": 1 + a, "min_examples": 10**20} for a in (0.1, 0.2)]
    results = [example_result(f"s{place}", split=split) for place, split in enumerate(splits)]
    rows = ["".join(line) for line in fitting_table(results, 160)][2:]
    assert all("…" in row for row in rows)
    assert rows[0].replace("s0", "s1") != rows[1]


def test_names_stay_whole_in_a_file() -> None:
    lines = fitting_table(results_of(LONG), 40, shortens=False)
    assert [name in rest for name, (_, rest) in zip(LONG, lines[2:])] == [True] * 4
    assert "accuracy" in lines[0][1]


@pytest.mark.parametrize(
    ("status", "color"),
    [
        ("passed", {"green": True}),
        *((verdict, {"red": True}) for verdict in ("failed", "diverged", "errored")),
        *((verdict, {"yellow": True}) for verdict in ("skipped", "not judged")),
        ("reported", {}),
    ],
)
def test_a_verdict_has_its_color(status: str, color: dict[str, bool]) -> None:
    terminal = Terminal(80)
    write_table(terminal, results_of(["one"], status=status))
    assert [(text.strip(), markup) for text, markup in terminal.verdicts][1:] == [(status, color)]
    head, rule, row = terminal.lines
    assert head.startswith("verdict") and set(rule.split("  ")) == {"", *rule.split()}
    assert row.strip().startswith("one ")


def test_a_table_in_a_file_has_whole_names() -> None:
    terminal = Terminal(40, isatty=False)
    write_table(terminal, results_of(LONG))
    assert [name in row for name, row in zip(LONG, terminal.lines[2:])] == [True] * 4


REASON = "the data is in /a-folder/with-a-long-name"


def test_reasons_of_skips_are_wrapped_between_words_and_whole_in_a_file() -> None:
    terminal, file = Terminal(24), Terminal(24, isatty=False)
    for reporter in (terminal, file):
        write_skipped(reporter, {REASON: ["one"], "no network": ["two", "six"]})
    assert file.lines == [f"skipped: one: {REASON}", "skipped: 2: two, six: no network"]
    assert terminal.lines == [
        "skipped: one: the data",
        "  is in",
        "  /a-folder/with-a-long-name",
        "skipped: 2: two, six: no",
        "  network",
    ]


def test_a_tuned_scenario_has_a_line_of_its_own() -> None:
    one, two = (
        GridPoint(name=f"{rounds}", values={"training.rounds": rounds}, figures=(rounds / 10,))
        for rounds in (1, 2)
    )
    tuning = Tuning(
        metric="validation_accuracy",
        by="validation",
        sign=1,
        seeds=(0,),
        points=(one, two),
        chosen=1,
    )
    tuned = example_result("two").model_copy(update={"tuning": tuning})
    file = Terminal(24, isatty=False)
    write_tuned(file, [example_result("one"), tuned])
    (line,) = file.lines
    assert line.startswith("two: tuned: ") and line.lower() == f"two: {tuned_text(tuned)}".lower()
    assert tuned_text(tuned)[1:] in line


@pytest.mark.parametrize(
    ("more", "names"), [(0, "3: aaaa, bbbb, cccc"), (-1, "3: aaaa, bbbb, ...")]
)
def test_names_of_skipped_scenarios_take_one_line_with_the_words_beside_them(
    more: int, names: str
) -> None:
    width = len("skipped: 3: aaaa, bbbb, cccc: ") + 1 + more
    file = Terminal(width, isatty=False)
    write_skipped(file, {"offline": ["aaaa", "bbbb", "cccc"]})
    assert file.lines == [f"skipped: {names}: offline"]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (2070.3, 3, "2070"),
        (110.2, 2, "110"),
        (99.96, 3, "100"),
        (-12345.6, 4, "-12350"),
        (0.5, 4, "0.5"),
        (0.000012, 3, "1.2e-05"),
        (1e12, 3, "1e+12"),
        (float("inf"), 3, "inf"),
        (float("nan"), 3, "nan"),
    ],
)
def test_large_numbers_are_written_in_full(value: float, digits: int, text: str) -> None:
    assert significant(value, digits) == text


def test_a_number_can_have_its_sign() -> None:
    assert [significant(value, 2, "+") for value in (1234, -0.123)] == ["+1200", "-0.12"]
