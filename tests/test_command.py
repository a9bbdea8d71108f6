"""The `fedharness` command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import TINY

from harness.__main__ import _registries, main

ROOT = Path(__file__).parent.parent
SCENARIOS = ROOT / "scenarios"


def test_check_finds_no_mistakes_in_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(SCENARIOS)]) == 0
    assert capsys.readouterr().out == "8 scenario(s) in 5 file(s): no mistakes found\n"


def test_check_shows_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(TINY.replace("count: 4", "count: 0"))
    assert main(["check", str(tmp_path)]) == 1
    assert "a.yaml:5: clients.count: got 0; must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("concept", sorted(_registries()))
def test_list_describes_every_entry(concept: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", concept]) == 0
    shown = capsys.readouterr().out
    registry = _registries()[concept]
    for name in registry.names():
        assert name in shown
        assert registry[name].summary and registry[name].summary in shown


def test_schema_knows_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["properties"]["schema"]
    for registry in _registries().values():
        assert all(f'"{name}"' in text for name in registry.names())


def test_report_makes_the_report_of_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 1
    assert "no records there" in capsys.readouterr().err


def test_check_imports_no_tensorflow() -> None:
    code = (
        "import sys; from harness.__main__ import main; "
        f"code = main(['check', {str(SCENARIOS)!r}]); "
        "heavy = {'tensorflow', 'tensorflow_federated', 'jax', 'sklearn', 'pandas'}; "
        "assert not heavy & set(sys.modules); sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
