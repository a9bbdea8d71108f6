"""Writes the table of Keras models in docs/models.md from the models of the tests.

Run this after a change to what models can be used: ``uv run python docs/make_models.py [DIR]``.
tests/integration/training/test_model_zoo.py compares the committed page with the models.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pages import write_between

_ROOT = Path(__file__).parent.parent


def main() -> None:
    """Writes the page into the folder named on the command line, or into this one."""
    sys.path.append(str(_ROOT / "tests/helpers"))
    from zoo_table import table

    page = Path(__file__).parent / "models.md"
    write_between(page, Path(__file__).name, "the models of the tests", table())


if __name__ == "__main__":
    main()
