"""The section of one scenario on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_federated.core.text import shortened
from pytest_federated.report.markup import escape, paragraph, quoted, symbols, table
from pytest_federated.report.outcomes import headline_reason
from pytest_federated.report.pictures import PLOTS, plot_name
from pytest_federated.report.plots.tuning import tuning_by_key
from pytest_federated.report.tables.fitting import bounded, every_nth, fitted
from pytest_federated.report.tables.rounds import by_round, round_table
from pytest_federated.report.tables.settings import choice_rows, outcome_rows
from pytest_federated.report.tables.table import Table, scenario_tables
from pytest_federated.report.tables.verdicts import VERDICT_COLUMNS, verdict_rows
from pytest_federated.report.tuned import tuned_text, tuning_remarks, tuning_warnings
from pytest_federated.results.record import Result
from pytest_federated.results.store import FOLDER, file_name

_LONGEST_TEXT = 2000  # characters of a description or a reason
_LONGEST_VALUE = 300  # characters of a setting
_LARGEST_FOLD = 40_000  # bytes
_ALL = "`pytest-federated report --csv FILE --by round` writes all figures."


@dataclass(frozen=True)
class Section:
    """A scenario's section, as far as it does not depend on the page that it is on.

    Attributes:
        settings: names and values of the settings that its file has.
        verdict: what comes before them, as Markdown.
        figures: what comes after them, folded.

    """

    settings: Mapping[str, str]
    verdict: str
    figures: str


def section_of(result: Result) -> Section:
    """Returns a scenario's section."""
    settings = {name: shortened(value, _LONGEST_VALUE) for name, value in choice_rows(result)}
    is_trained = bool(result.histories)
    return Section(settings if is_trained else {}, _verdict(result), _figures(result))


def shared_settings(sections: Sequence[Section]) -> dict[str, str]:
    """Returns the settings that more than half of the sections have, with their values."""
    trained = [section.settings for section in sections if section.settings]
    counts = Counter(setting for settings in trained for setting in settings.items())
    shared = dict(setting for setting, count in counts.items() if 2 * count > len(trained))
    in_order = dict.fromkeys(name for settings in trained for name in settings)
    return {name: shared[name] for name in in_order if name in shared}


def markdown(section: Section, heading: str, shared: Mapping[str, str]) -> str:
    """Returns a section as Markdown, with the settings that are not the shared ones."""
    own = [
        (name, section.settings.get(name, "–"))
        for name in {**section.settings, **shared}
        if section.settings and section.settings.get(name) != shared.get(name)
    ]
    texts = [f"**{escape(name)}** {escape(value)}" for name, value in own]
    blocks = [f"## {escape(heading)}", section.verdict, "; ".join(texts), section.figures]
    return "\n\n".join(block for block in blocks if block)


def _verdict(result: Result) -> str:
    blocks: list[str] = []
    if result.settings["description"]:
        blocks.append(paragraph(shortened(result.settings["description"], _LONGEST_TEXT)))
    if why := headline_reason(result):
        blocks.append(f"**{escape(shortened(why, _LONGEST_TEXT))}**")
    if result.verdicts:
        *names, verdict = VERDICT_COLUMNS
        rows = [[decided, *cells] for *cells, decided in verdict_rows(result)]
        blocks += _tables(Table(rows, [verdict, *names]), of_text=True)
    return "\n\n".join([*blocks, *_tuning(result)])


def _tuning(result: Result) -> list[str]:
    """Returns how a scenario was tuned, with a picture of its grid where one can show it."""
    texts = [escape(tuned_text(result))] if tuned_text(result) else []
    texts += [f"**{escape(text)}**" for text in tuning_warnings(result)]
    texts += [escape(text) for text in tuning_remarks(result)]
    blocks = [" ".join(texts)] if texts else []
    if picture := tuning_by_key(result):
        source = f"../{PLOTS}/{quoted(plot_name(result, 'tuning'))}"
        blocks.append(f"![{escape(picture.alt)}]({source})")
    return blocks


def _tables(whole: Table, *, of_text: bool = False) -> list[str]:
    """Returns the tables that show this one on a page, as Markdown.

    One of text is never turned or split: a browser breaks the lines of its cells.
    """
    shown, more = bounded(whole)
    texts: list[str] = []
    for part in [shown] if of_text else fitted(shown):
        cells = [[symbols(escape(cell)) for cell in row] for row in part.rows]
        align = ["left"] + ["left" if of_text else "right"] * (len(part.columns) - 1)
        texts.append(table(cells, [escape(c) for c in part.columns], align))
    return [*texts, *([f"... {more}"] if more else [])]


def _figures(result: Result) -> str:
    """Returns seeds, data and rounds, folded; empty where nothing was trained."""
    if not result.histories:
        return ""
    name = file_name(result.id)
    record = f"Record: [{escape(name)}](../{FOLDER}/{quoted(name)})"
    rows = [[k, escape(shortened(v, _LONGEST_VALUE))] for k, v in outcome_rows(result)]
    of_seeds = [text for whole in scenario_tables(result) for text in _tables(whole)]
    blocks = [*of_seeds, table(rows, ["data and model", "value"]), record]
    folded = [_folded("Seeds, data and model", blocks), _rounds(result)]
    if len("\n\n".join(folded).encode()) > _LARGEST_FOLD:
        return f"{record} (too long to be shown here. {_ALL})"
    return "\n\n".join(folded)


def _rounds(result: Result) -> str:
    """Returns the table of rounds, folded."""
    shown, step = every_nth(list(by_round(result)))
    rows, columns = round_table(result, shown)
    several = len(result.whole) > 1
    has_accuracy = all(history.has_labels for history in result.histories)
    of_accuracy = ", accuracy ± half of its 95 % interval" if several and has_accuracy else ""
    which = "All rounds" if step < 2 else f"Every {step}th round"
    summary = f"{which}. Mean over seeds{of_accuracy}."
    return _folded(summary, [table(rows, columns, ["right"] * len(columns))])


def _folded(summary: str, blocks: Sequence[str]) -> str:
    head = f"<details>\n<summary>{summary}</summary>"
    return "\n\n".join([head, *blocks, "</details>"])
