"""The HTML page: what is in it, and how it behaves in a browser."""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import BROWSER, Browser
from example_results import example_result
from pytest_federated.expectations.bounds import Bounds, verdict_on
from pytest_federated.report.comparison.page import report_comparisons
from pytest_federated.report.html import page
from pytest_federated.report.plots.chart import Line, Lines
from pytest_federated.report.plots.plot import draw_scenario
from pytest_federated.results.record import Compared, Result

ODD = 'other[a=<img src="x" onerror="alert(1)">]'


def results() -> list[Result]:
    """Returns two that passed, one that failed, and one that was skipped."""
    missed = verdict_on("accuracy", [0.3, 0.4], Bounds(0.9))
    assert not missed.passed
    return [
        example_result("m[alpha=0.1]", (0.5, 0.6), rounds=4),
        example_result(
            "m[alpha=10]", (0.8, 0.9), split={"kind": "dirichlet", "alpha": 10.0}, rounds=4
        ),
        example_result(ODD, (0.3, math.nan), status="failed", verdicts=(missed,)),
        example_result("gone", status="skipped", reason="a < b", histories=()),
    ]


class Page(HTMLParser):
    """Checks that elements are closed; collects ids, links, cells and texts by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.names: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        if tag not in ("meta", "input", "img"):
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data
            if self.open[-1] == "button":
                self.names.append(data)


def data_of(text: str) -> dict[str, Any]:
    """Returns the data from which a page draws."""
    found = re.search('<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_is_whole_and_needs_no_other_file() -> None:
    text = page(results())
    found = Page(text)
    assert len(set(found.ids)) == len(found.ids)
    assert not re.search(r"(src|href)=\"(?!data:|#)", text.replace('src=\\"x', ""))
    assert set(re.findall(r"\w+://[^\"]*", text)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text
    assert data_of(text)["scenarios"].keys() < set(found.ids)
    assert text == page(results()[::-1])


def test_what_failed_comes_first_and_what_did_not_run_last() -> None:
    found = Page(page(results()))
    assert found.names == [ODD, "m[alpha=0.1]", "m[alpha=10]", "gone"]
    assert [cell for cell in found.cells if cell.startswith(f"{ODD}accuracy 0.35 < 0.9")]
    assert [cell for cell in found.cells if cell.startswith("gone")] == ["gonea < b"]


def test_a_column_that_says_nothing_is_left_out() -> None:
    def columns(of: Sequence[Result]) -> list[str]:
        return re.findall("<button>(.*?)</button>", page(of))

    one = example_result()
    assert columns([one])[:3] == ["verdict", "scenario", "accuracy ± 95 %"]
    assert "baseline" not in columns([one]) and "rounds to target" not in columns([one])
    compared = Compared(metric="accuracy", before=0.5, now=0.6, change="better", passed=True)
    again = one.model_copy(update={"compared": (compared,)})
    assert columns([again])[3] == "baseline"
    assert "▲ better" in page([again]) and "better: accuracy 0.5 → 0.6" in page([again])


def test_a_comparison_that_scenarios_ask_for_is_on_the_page_with_its_pictures() -> None:
    asked = [
        one.model_copy(update={"settings": {**one.settings, "comparison": {"reference": "k=a<b"}}})
        for one in (
            example_result("m[k=a<b]", (0.5, 0.6, 0.55), rounds=4),
            example_result("m[k=c]", (0.8, 0.9, 0.85), rounds=4),
        )
    ]
    text = page([*asked, *results()])
    assert text == page([*results()[::-1], *asked[::-1]])
    Page(text)
    section = re.search('<section id="comparison">(.*?)</section>', text, re.DOTALL)
    assert section and "a<b" not in section[1]
    markdown = report_comparisons(asked).get("comparison.md")
    assert markdown
    plain = html.unescape(re.sub("<[^>]*>", "", section[1]))
    for sentence in re.findall(r"^- (.*)$", markdown.text, re.MULTILINE):
        assert sentence.replace("\\", "") in plain
    (source,) = re.findall(r'<img alt="[^"]+" src="data:image/svg\+xml;base64,(.*?)"', section[1])
    (picture,) = markdown.pictures.values()
    assert base64.b64decode(source).decode() == picture.svg()
    assert 'id="comparison"' not in page(results())


def test_a_report_of_nothing_that_ran_is_a_page() -> None:
    assert Page(page([results()[-1]])).names == ["gone"]
    assert Page(page([])).names == []


def test_every_plot_has_its_data_with_the_figures_that_it_draws() -> None:
    one = example_result(accuracies=(0.25, 0.75), rounds=2)
    pictures = draw_scenario(one)
    assert pictures and all(picture.chart for picture in pictures.values())
    ((details,), _) = data_of(page([one]))["scenarios"].values(), None
    curves, labels = details["charts"]
    (test, train) = curves["lines"]
    assert curves["x"] == [1, 2] and curves["alt"] == pictures["accuracy"].alt
    assert (test["y"], test["low"], test["high"]) == ([0.25, 0.5], [0.125, 0.25], [0.375, 0.75])
    assert train["y"] == [0.5, 0.5]
    assert labels["counts"] == [[5, 5, 0], [0, 10, 10]]


def test_a_long_chart_keeps_the_rounds_that_were_evaluated_and_the_last() -> None:
    accuracies = [n / 100 if n % 10 == 0 else None for n in range(1, 101)]
    whole = Lines("round", "accuracy", "round", range(1, 101), [Line("test", 0, accuracies)])
    assert whole.limited(100) is whole
    some = whole.limited(5)
    assert list(some.x) == [20, 40, 60, 80, 100]
    assert some.lines[0].y == [0.2, 0.4, 0.6, 0.8, 1.0]


def test_a_long_chart_whose_first_line_is_empty_keeps_the_others() -> None:
    lines = [Line("diverged", 0, [None] * 100), Line("fit", 1, list(range(100)))]
    some = Lines("momentum", "accuracy", "momentum", range(100), lines).limited(5)
    assert list(some.x) == [19, 39, 59, 79, 99]
    assert some.lines[0].y == [None] * 5 and some.lines[1].y == [19, 39, 59, 79, 99]


# In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Returns a browser that shows the page of `results`; nothing in it may be an error."""
    if BROWSER is None:
        pytest.skip("no Chromium here: chromium, chromium-browser or google-chrome on the PATH")
    folder = tmp_path_factory.mktemp("browser")
    file = folder / "page.html"
    file.write_text(page(results()), encoding="utf-8")
    with Browser(folder / "profile", file) as one:
        yield one
        assert one.errors == []


@pytest.fixture
def shown(browser: Browser) -> Browser:
    """Returns the browser with the page as it is when it is opened on a screen."""
    browser.show(1366)
    return browser


def names(browser: Browser) -> list[str]:
    """Returns the scenarios that are shown, in order."""
    return browser.ask(
        "[...document.querySelectorAll('#scenarios > tbody')].filter((row) => !row.hidden)"
        ".map((row) => row.querySelector('.name button').textContent)"
    )


def press(browser: Browser, selector: str, text: str) -> None:
    """Clicks on the button that begins with this text."""
    browser.ask(
        f"[...document.querySelectorAll({json.dumps(selector)})]"
        f".find((one) => one.textContent.startsWith({json.dumps(text)})).click()"
    )


def opened(browser: Browser, name: str) -> None:
    """Opens the details of a scenario."""
    press(browser, ".name button", name)
    browser.settle()


def filtered(browser: Browser, text: str) -> None:
    """Writes into the filter."""
    browser.ask(
        f"(() => {{ const box = document.querySelector('#filter input');"
        f"box.value = {json.dumps(text)}; box.dispatchEvent(new Event('input')); }})()"
    )


@pytest.mark.browser
@pytest.mark.parametrize("width", [1366, 390])
def test_the_verdict_and_the_result_are_in_view(browser: Browser, width: int) -> None:
    browser.show(width)
    opened(browser, "m[alpha=0.1]")
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
    outside = browser.ask(
        "[...document.querySelectorAll("
        "'.verdict, .name, .verdict ~ .number:not(.more), figure')]"
        ".map((one) => one.getBoundingClientRect())"
        ".filter((box) => box.width && (box.left < 0 || box.right > innerWidth)).length"
    )
    assert outside == 0


@pytest.mark.browser
def test_the_page_asks_for_nothing_and_reads_no_name_as_html(shown: Browser) -> None:
    opened(shown, "other")
    assert shown.requests == [shown.file.as_uri()]
    assert shown.ask("document.images.length") == 0


@pytest.mark.browser
def test_the_page_has_the_scheme_of_its_reader(browser: Browser) -> None:
    colors = []
    for dark in (False, True):
        browser.show(1366, dark=dark)
        colors.append(browser.ask("getComputedStyle(document.body).backgroundColor"))
    assert colors == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]


@pytest.mark.browser
def test_a_click_on_a_heading_sorts(shown: Browser) -> None:
    """By the figures, those without one last either way; a second click turns the order."""
    press(shown, "#scenarios th button", "accuracy")
    assert names(shown)[:2] == ["m[alpha=0.1]", "m[alpha=10]"]
    press(shown, "#scenarios th button", "accuracy")
    assert names(shown)[:2] == ["m[alpha=10]", "m[alpha=0.1]"]
    assert set(names(shown)[2:]) == {ODD, "gone"}
    assert shown.ask("document.querySelector('[aria-sort]').textContent") == "accuracy ± 95 %"
    press(shown, "#scenarios th button", "verdict")
    assert names(shown)[0] == ODD and names(shown)[-1] == "gone"


@pytest.mark.browser
def test_rows_are_filtered_by_words_and_outcomes(shown: Browser) -> None:
    filtered(shown, "DIRICHLET m[")
    assert names(shown) == ["m[alpha=10]"]
    assert shown.ask("document.querySelector('output').textContent") == "1 of 4 shown"
    filtered(shown, "")
    press(shown, "#filter button", "1 failed")
    press(shown, "#filter button", "1 skipped")
    assert names(shown) == [ODD, "gone"]
    press(shown, "#filter button", "1 failed")
    press(shown, "#filter button", "1 skipped")
    assert len(names(shown)) == 4


@pytest.mark.browser
def test_details_open_and_close(shown: Browser) -> None:
    assert shown.ask("document.querySelectorAll('.details').length") == 0
    opened(shown, "m[alpha=10]")
    assert shown.ask("document.querySelector('.details').textContent").count("All rounds") == 1
    assert shown.ask("document.querySelector('.details').checkVisibility()")
    opened(shown, "m[alpha=10]")
    assert not shown.ask("document.querySelector('.details').checkVisibility()")


@pytest.mark.browser
def test_a_link_opens_its_scenario(browser: Browser) -> None:
    browser.show(1366, fragment="#malpha10")
    opened_row = "document.querySelector('.details').parentElement.id"
    assert browser.ask(opened_row) == "malpha10"


@pytest.mark.browser
def test_the_cursor_tells_the_value(shown: Browser) -> None:
    """Of the round that it is nearest to, with the range over seeds; arrow keys move it."""
    opened(shown, "m[alpha=10]")
    told = "document.querySelector('.details figcaption').textContent"
    assert shown.ask(told).startswith("round 4test 0.85 (0.8 to 0.9)")
    box = "document.querySelector('.details figure svg').getBoundingClientRect()"
    shown.ask("document.querySelector('.details figure svg').scrollIntoView()")
    left, right, top = (shown.ask(f"{box}.{side}") for side in ("left", "right", "top"))
    third = left + 52 + (right - 10 - left - 52) * 0.6
    shown.call("Input.dispatchMouseEvent", type="mouseMoved", x=third, y=top + 60)
    assert shown.ask(told).startswith("round 3test 0.6375 (0.6 to 0.675)")
    shown.ask("document.querySelector('.details figure svg').focus()")
    for kind in ("keyDown", "keyUp"):
        shown.call("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft")
    assert shown.ask(told).startswith("round 2test 0.425")


@pytest.mark.browser
def test_the_map_of_labels_and_the_scatter_tell_their_values(shown: Browser) -> None:
    opened(shown, "m[alpha=10]")
    captions = shown.ask(
        "[...document.querySelectorAll('figcaption')].map((one) => one.textContent)"
    )
    assert "client-0, label 0, examples: 5" in captions
    assert any("m[alpha=0.1]: final test accuracy 0.55" in text for text in captions)
    shown.ask("document.querySelector('#overviews svg').dispatchEvent(new Event('click'))")
    shown.settle()
    assert shown.ask("location.hash") in ("#malpha01", "#malpha10")


@pytest.mark.browser
def test_charts_are_drawn_anew_for_another_width(shown: Browser) -> None:
    opened(shown, "m[alpha=10]")
    wide = shown.ask("document.querySelector('figure svg').getAttribute('viewBox')")
    shown.call(
        "Emulation.setDeviceMetricsOverride",
        width=390,
        height=844,
        deviceScaleFactor=1,
        mobile=True,
    )
    shown.settle()
    narrow = shown.ask("document.querySelector('figure svg').getAttribute('viewBox')")
    assert wide != narrow and int(narrow.split()[2]) < 390


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_of_a_thousand_scenarios_stays_small(browser: Browser, tmp_path: Path) -> None:
    """Its details are said once, as data, and the rounds of all together are bounded."""
    one = example_result("s", (0.5,), rounds=200)
    many = page([one.model_copy(update={"id": f"s[n={n}]"}) for n in range(1000)])
    assert len(many) < 4_000_000
    data = data_of(many)
    assert len(data["settings"]) < 20
    for details in data["scenarios"].values():
        assert len(details["rounds"]["rows"]) == len(details["charts"][0]["x"]) == 20
    file = tmp_path / "page.html"
    file.write_text(many, encoding="utf-8")
    browser.show(390, file=file)
    assert len(names(browser)) == 1000
    filtered(browser, "n=77")
    assert names(browser) == ["s[n=77]", *(f"s[n=77{digit}]" for digit in range(10))]
    opened(browser, "s[n=77]")
    assert browser.ask("document.querySelectorAll('.details figure path').length") > 1
