"""Writes scenarios/own-data/wine.csv: scikit-learn's wines as a user's own table.

Run: ``uv run python docs/make_wine_table.py [DIR]``. A wine's cultivar is its label; the column
`strength` is the wine's quartile by alcohol.

Source: S. Aeberhard, M. Forina, Wine, UCI Machine Learning Repository, 1992,
https://doi.org/10.24432/C5PC7J, CC BY 4.0.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.datasets import load_wine

FOLDER = Path(__file__).parent.parent / "scenarios" / "own-data"
STRENGTHS = ["light", "medium", "strong", "strongest"]


def main() -> None:
    """Writes the table into the folder named on the command line, or into scenarios/own-data."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    wine: Any = load_wine(as_frame=True)
    table = wine.frame.rename(columns={"target": "cultivar"})
    table["cultivar"] = table["cultivar"].map({0: "first", 1: "second", 2: "third"})
    table.insert(0, "strength", pd.qcut(table["alcohol"], len(STRENGTHS), labels=STRENGTHS))
    table.to_csv(folder / "wine.csv", index=False)


if __name__ == "__main__":
    main()
