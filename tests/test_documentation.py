"""What README and docs show is what the harness does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import load_file, load_scenarios
from harness.__main__ import _registries
from harness.report.markdown import report
from harness.results import read_results

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_the_scenario_in_the_readme_is_valid(tmp_path: Path) -> None:
    (text,) = blocks("README.md", "yaml")
    file = tmp_path / "label-skew.yaml"
    file.write_text(text, encoding="utf-8")
    ids = [case.id for case in load_file(file)]
    assert ids == ["digits-label-skew[alpha=0.5]", "digits-label-skew[alpha=100]"]
    for name in ids:
        assert f"label-skew.yaml::{name} PASSED" in (ROOT / "README.md").read_text()


def test_the_page_on_scenarios_names_all_that_can_be_chosen() -> None:
    text = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8")
    for concept, registry in _registries().items():
        for name in registry.names():
            assert f"`{name}`" in text or f"`{name}:" in text or f"{{{name}:" in text, (
                concept,
                name,
            )


def test_the_readme_names_every_option(pytestconfig: pytest.Config) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    group = pytestconfig._parser.getgroup("federated")
    for option in group.options:
        assert f"`{option.names()[0]}" in text


def test_the_committed_report_is_that_of_the_shipped_scenarios() -> None:
    """The settings in the records are those of the files, and the report is made of the records."""
    folder = ROOT / "reports"
    shipped = {case.id: case.scenario for case in load_scenarios(ROOT / "scenarios")}
    results = {result.id: result for result in read_results(folder)}
    assert set(results) == {i for i, s in shipped.items() if "download" not in s.tags}
    for name, result in results.items():
        assert result.settings == shipped[name].settings()
        assert result.status == "passed"
    written = (folder / "report.md").read_text(encoding="utf-8")
    for section in report(list(results.values())).split("\n## ")[1:]:
        assert section.strip() in written


@pytest.mark.parametrize(
    "page", ["README.md", "docs/scenarios.md", "docs/installing.md", "docs/scaling.md"]
)
def test_links_to_files_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target
