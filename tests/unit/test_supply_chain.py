"""What is installed with the project: licenses, and the audit of known vulnerabilities."""

from __future__ import annotations

import importlib.util
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from paths import ROOT

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML is read with Python 3.11")


def script(path: str) -> ModuleType:
    if not (ROOT / path).is_file() or not (ROOT / "uv.lock").is_file():
        pytest.skip("not a checkout of ours")
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def licenses() -> Any:
    return script("docs/make_licenses.py")


@pytest.fixture(scope="module")
def audit() -> Any:
    return script(".ci/audit.py")


def test_the_page_of_licenses_has_what_is_locked(licenses: Any) -> None:
    """After a change of uv.lock, run `uv run --all-extras python docs/make_licenses.py`."""
    page = licenses.rows((ROOT / "docs/licenses.md").read_text(encoding="utf-8"))
    assert {name: version for name, (version, _) in page.items()} == licenses.locked()
    assert {"tensorflow", "pyarrow", "distributed", "mlflow-skinny", "pytest"} <= set(page)
    assert not {"ruff", "pyright", "hypothesis"} & set(page), "only for development"
    installed = {name: licenses.license_of(name, version) for name, (version, _) in page.items()}
    stated = {name: license_ for name, license_ in installed.items() if license_ is not None}
    assert len(stated) > 60
    assert stated == {name: page[name][1] for name in stated}
    assert "not stated" not in {license_ for _, license_ in page.values()}


FINDING = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.1"]}
PACKAGES = [{"name": "a", "version": "2.0", "vulns": [FINDING]}, {"name": "b", "vulns": []}]


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ({}, ["audit: a 2.0: PYSEC-1, fixed in 2.1"]),
        ({"PYSEC-1": "why"}, []),
        ({"CVE-1": "why"}, []),
        (
            {"PYSEC-1": "why", "PYSEC-2": "why"},
            ["audit: PYSEC-2 is accepted, and no longer found: remove it"],
        ),
    ],
)
def test_new_and_obsolete_vulnerabilities_are_problems(
    audit: Any, accepted: dict[str, str], said: list[str]
) -> None:
    assert audit.judge(PACKAGES, accepted) == said


def test_a_package_that_was_not_looked_up_is_a_problem(audit: Any) -> None:
    skipped = [{"name": "a", "skip_reason": "not found"}]
    assert audit.judge(skipped, {}) == ["audit: a was not looked up: not found"]


def test_an_accepted_vulnerability_needs_a_reason(audit: Any) -> None:
    assert audit.read_accepted("# A comment.\n\nPYSEC-1  pinned by TFF\n") == {
        "PYSEC-1": "pinned by TFF"
    }
    with pytest.raises(SystemExit, match="PYSEC-1 has no reason"):
        audit.read_accepted("PYSEC-1\n")
    audit.read_accepted(audit.ACCEPTED.read_text(encoding="utf-8"))


def test_an_unreachable_database_is_reported_and_fails_nothing(
    audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(audit, "DATABASE", f"http://localhost:{port}/")
    assert audit.main() == 0
    assert capsys.readouterr().out == (
        f"audit: NOT DONE, as http://localhost:{port}/ cannot be reached: "
        "[Errno 111] Connection refused\n"
    )
