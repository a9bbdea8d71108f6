"""The model that a training ends with."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from pytest_federated.core.files import write_bytes


@dataclass(frozen=True, eq=False)
class FinalModel:
    """The final weights of one training.

    Attributes:
        weights: as `model.initial_weights` reads them from an .npz archive: of a Keras model those
            of `get_weights()`, of others the trainable ones.
        keras: the content of a .keras file of the whole model; None where it is no Keras model, or
            Keras cannot save it.

    """

    weights: tuple[NDArray[Any], ...]
    keras: Optional[bytes] = None

    def save(self, path: Path) -> list[Path]:
        """Writes `path` with the suffix .npz and, of a Keras model, with .keras.

        Returns:
            The files.

        Raises:
            OSError: one cannot be written.
        """
        archive = io.BytesIO()
        np.savez(archive, *self.weights)
        contents = {".npz": archive.getvalue(), ".keras": self.keras}
        files: list[Path] = []
        for suffix, content in contents.items():
            if content is not None:
                files.append(path.with_name(path.name + suffix))
                write_bytes(files[-1], content)
        return files
