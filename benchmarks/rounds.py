"""Compares rounds of federated averaging on several sides, as Markdown tables with ratios.

Run: ``uv run python benchmarks/rounds.py``; see benchmarks/README.md for what is measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import sides
import tables
from figures import Figures
from turns import QUICK, Bench, Effort
from workloads import GROWTH, cnn, digits

DIGITS = (sides.NUMPY, sides.PACKED, sides.STANDARD, sides.ITERATOR, sides.REDUCE, sides.FLOWER)
CNN = (sides.PLAIN, sides.PACKED, sides.STANDARD, sides.ITERATOR, sides.FLOWER)


def parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """Parses the arguments; without a choice of tables, all are made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, nargs="*", help="digits with this many clients")
    parser.add_argument("--cnn", action="store_true", help="the EMNIST-shaped CNN")
    parser.add_argument(
        "--growth", action="store_true", help="growth of pytest-federated's figures"
    )
    parser.add_argument(
        "--floor", type=int, nargs="+", default=[], help="parts of a round of this many clients"
    )
    parser.add_argument("--sides", nargs="+", choices=(*DIGITS, *CNN), help="only these sides")
    parser.add_argument("--quick", action="store_true", help="few rounds, for a quick look")
    parser.add_argument("--out", type=Path, help="write the tables to this file as well")
    options = parser.parse_args(arguments)
    if options.clients is None and not (options.cnn or options.growth or options.floor):
        options.clients, options.cnn, options.growth = [10, 100, 1000], True, True
    return options


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Returns 1 if a side did other work than the others."""
    options = parse(arguments)
    began = time.perf_counter()
    effort = QUICK if options.quick else Effort()
    bench, growth = Bench(effort), Bench(effort)

    def wanted(names: Sequence[str]) -> list[str]:
        return [name for name in names if not options.sides or name in options.sides]

    for clients in options.clients or []:
        work, names = digits(clients), wanted(DIGITS)
        if clients > 100 and sides.REDUCE in names and not options.sides:
            names.remove(sides.REDUCE)
            left_out = Figures(work, sides.REDUCE, missing="left out: takes minutes")
            bench.figures.append(left_out)
        overhead = [sides.PACKED, *[sides.STANDARD] * (clients <= 100)]
        bench.measure([(work, name) for name in names], overhead)
    if options.cnn:
        bench.measure([(cnn(), name) for name in wanted(CNN)])
    if options.growth:
        works = dict.fromkeys(work for column in GROWTH.values() for work in column.values())
        growth.measure([(work, sides.PACKED) for work in works])

    floors = [bench.floor(digits(clients)) for clients in options.floor]

    text = "\n\n".join(
        [
            f"Made by `benchmarks/rounds.py` on {os.cpu_count()} cores with Python "
            f"{platform.python_version()} in {time.perf_counter() - began:.0f} s.",
            *([tables.rounds(bench.figures)] if bench.figures else []),
            *([tables.overheads(bench.overheads)] if bench.overheads else []),
            *([tables.floors(floors)] if floors else []),
            *([tables.growth(growth.figures)] if growth.figures else []),
            *tables.errors(bench.figures),
        ]
    )
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 1 if tables.errors(bench.figures) else 0


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent.parent))
    sys.exit(main())
