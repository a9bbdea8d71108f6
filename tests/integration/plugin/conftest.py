"""Fixtures that the tests of the plugin share."""

from __future__ import annotations

import pytest
from made_trainings import SCENARIO, TRAIN, FakeTrainings


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> FakeTrainings:
    """One scenario in scenarios/made.yaml, with made-up trainings."""
    trainings = FakeTrainings()
    monkeypatch.setattr(TRAIN, trainings.train)
    folder = pytester.path / "scenarios"
    folder.mkdir()
    (folder / "made.yaml").write_text(SCENARIO)
    return trainings
