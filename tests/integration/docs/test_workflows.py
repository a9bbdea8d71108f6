"""Workflows and the action for GitHub Actions, and the container of .devcontainer.

They cannot run here. The schemas of GitHub are in the group `docs`: CI runs
`uv run --group docs pytest tests/integration/docs/test_workflows.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from jsonschema import Draft7Validator
from paths import ROOT
from pytest_federated.running.options import default_cache
from pytest_federated.running.store import FOLDER
from ruamel.yaml import YAML
from snippets import PAGES, snippets
from workflows import problems_of_workflow

if not (ROOT / ".github").is_dir():
    pytest.skip("not a checkout of ours", allow_module_level=True)

ACTION = ".github/actions/scenarios/action.yml"


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def workflows() -> dict[str, Any]:
    """All workflows, by where they are: ours, and those that the guides show."""
    files = (ROOT / ".github/workflows").glob("*.yml")
    ours = {f.relative_to(ROOT).as_posix(): parsed(f.read_text(encoding="utf-8")) for f in files}
    shown = {s.place: parsed(s.text) for p in PAGES for s in snippets(p) if "\njobs:" in s.text}
    return {**ours, **shown}


def action() -> dict[str, Any]:
    return parsed((ROOT / ACTION).read_text(encoding="utf-8"))


WORKFLOWS = workflows()


@pytest.mark.parametrize(("place", "workflow"), WORKFLOWS.items(), ids=list(WORKFLOWS))
def test_a_workflow_fits_the_schema_of_github(place: str, workflow: Any) -> None:
    assert_fits("vendor.github-workflows", workflow)
    assert problems_of_workflow(workflow) == [], place


def test_the_action_fits_the_schema_of_github() -> None:
    assert_fits("vendor.github-actions", action())
    assert problems_of_workflow(action()) == []


def test_the_citation_fits_its_schema() -> None:
    citation = parsed((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert_fits("vendor.citation-file-format", citation)


def assert_fits(schema: str, document: Any) -> None:
    check_jsonschema = pytest.importorskip("check_jsonschema.builtin_schemas")
    validator = Draft7Validator(check_jsonschema.get_builtin_schema(schema))
    assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"steps": [{"run": "a", "uses": "b/c@v1"}]}, "step 0 has to have one of run and uses"),
        ({"steps": [{"uses": "actions/checkout"}]}, "actions/checkout names no version"),
        ({"steps": [{"uses": "./.github/actions/no"}]}, "there is no action ./.github/actions/no"),
        ({"steps": [{"run": "${{ inputs.x }}"}]}, "step 0: inputs.x is not defined"),
        ({"steps": [{"run": "${{ matrix.x }}"}]}, "step 0: matrix.x is not defined"),
        ({"steps": [{"run": "${{ steps.x.outputs.y }}"}]}, "step 0: steps.x is not defined"),
        ({"steps": [{"run": "${{ gihub.sha }}"}]}, "step 0: there is no gihub.sha"),
        ({"needs": "other"}, "job needs other, which is no job"),
    ],
)
def test_mistakes_that_no_schema_shows_are_seen(change: dict[str, Any], problem: str) -> None:
    workflow = {"on": "push", "jobs": {"job": {"runs-on": "ubuntu-latest", "steps": [], **change}}}
    assert problems_of_workflow(workflow) == [problem]


def test_the_action_caches_what_pytest_federated_keeps() -> None:
    (step,) = [s for s in action()["runs"]["steps"] if "actions/cache@" in s.get("uses", "")]
    trainings, data = step["with"]["path"].split()
    assert trainings == f".pytest_cache/d/{FOLDER}"
    cache = Path(platformdirs.user_cache_dir()).name
    assert data == f"~/{cache}/{default_cache().name}"


def test_the_guide_gives_the_action_inputs_that_it_has() -> None:
    uses = [
        step
        for workflow in workflows().values()
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if str(Path(ACTION).parent) in step.get("uses", "")
    ]
    assert uses
    for step in uses:
        assert set(step["with"]) <= set(action()["inputs"])


def test_ci_runs_what_runs_here() -> None:
    steps = parsed((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]["ci"]
    assert {"run": ".ci/run"} in steps["steps"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o100


def test_the_container_is_of_the_kind_for_which_tff_has_a_wheel() -> None:
    """Docker is not at hand: the files that it copies are there, and both files agree."""
    folder = ROOT / ".devcontainer"
    config = json.loads((folder / "devcontainer.json").read_text(encoding="utf-8"))
    dockerfile = (folder / config["build"]["dockerfile"]).read_text(encoding="utf-8")
    assert "FROM --platform=linux/amd64 python:3.11" in dockerfile
    assert config["build"]["options"] == ["--platform=linux/amd64"]
    assert f"WORKDIR {config['workspaceFolder']}\n" in dockerfile
    for copied in re.findall(r"^COPY (.*) \./$", dockerfile, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).is_file()
    assert "uv sync --locked" in dockerfile
