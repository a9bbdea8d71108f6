"""Scalars for TensorBoard, by TFF's own release manager."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_federated.tff.imports import import_tff

Scalars = Mapping[str, Mapping[str, float]]


class ScalarsByRound:
    """Writes the scalars of one training into a folder, which they replace."""

    def __init__(self, folder: Path) -> None:
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()  # TensorBoard would show both on top of each other
        self._manager: Any = import_tff().program.TensorBoardReleaseManager(folder)

    def write(self, round_number: int, scalars: Scalars) -> None:
        """Writes scalars, named ``group/name``, as those of a round."""
        asyncio.run(self._manager.release(scalars, round_number))
