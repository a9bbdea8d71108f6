"""``pytest-federated calibrate``: writes thresholds with a stated false-alarm rate into a file."""

from __future__ import annotations

import argparse
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_federated.core.errors import FederatedError

if TYPE_CHECKING:
    from pytest_federated.expectations.calibrating import Proposal
    from pytest_federated.results.record import Result
    from pytest_federated.scenario.case import Case

_MARK = "# Calibrated on "


class Calibrated(NamedTuple):
    """One scenario of a file: its expectations as they are, and what is proposed."""

    expect: dict[str, Any]
    proposals: Sequence[Proposal]


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    calibrate = commands.add_parser(
        "calibrate",
        help="run a file's scenarios on many seeds and write thresholds into it (needs TensorFlow)",
        description="Runs each scenario of the file on so many seeds, and writes thresholds into "
        "the file that a mean over the scenario's own number of seeds misses only so often. "
        "Comments stay. See docs/judging.md.",
    )
    calibrate.add_argument("file", type=Path, metavar="FILE")
    calibrate.add_argument("--seeds", type=_seeds, default=10, metavar="N", help="default: 10")
    calibrate.add_argument(
        "--false-alarms",
        type=_chance,
        default=0.01,
        metavar="P",
        help="chance that an expectation is missed though nothing has changed (default: 0.01)",
    )
    calibrate.add_argument("--dry-run", action="store_true", help="only show the thresholds")
    calibrate.add_argument(
        "--data-cache", type=Path, metavar="DIR", help="where downloaded data is kept"
    )
    calibrate.set_defaults(run=_run)


def _seeds(text: str) -> int:
    if not text.isdecimal() or int(text) < 3:
        raise argparse.ArgumentTypeError(f"got {text!r}; must be 3 or greater")
    return int(text)


def _chance(text: str) -> float:
    try:
        chance = float(text)
    except ValueError:
        chance = 0.0
    if not 0 < chance < 0.5:
        raise argparse.ArgumentTypeError(f"got {text!r}; must be between 0 and 0.5")
    return chance


def _run(chosen: argparse.Namespace) -> int:
    from tabulate import tabulate

    from pytest_federated.running.options import Options, default_cache
    from pytest_federated.running.pipeline import run
    from pytest_federated.scenario.loader import load_file
    from pytest_federated.user.modules import own_folders

    cases = load_file(chosen.file)
    options = Options(seeds=chosen.seeds, cache=chosen.data_cache or default_cache())
    documents: list[Calibrated] = []
    rows: list[list[str]] = []
    for _, group in itertools.groupby(cases, key=lambda case: case.line):
        variants = list(group)
        with own_folders(chosen.file.resolve().parent, Path.cwd()):
            ran = [(c, run(c, options)) for c in variants]
        expect = variants[0].scenario.settings()["expect"]
        documents.append(Calibrated(expect, _proposals(ran, chosen.false_alarms)))
        name = variants[0].scenario.name
        rows += [
            [name, p.expectation, f"{p.mean:.4g} ± {p.deviation:.2g}", _told(p)]
            for p in documents[-1].proposals
        ]
    columns = ["scenario", "expectation", "measured", "threshold"]
    print(tabulate(rows, columns, disable_numparse=True))
    if not chosen.dry_run:
        told = f"{chosen.seeds} seeds, false alarms {100 * chosen.false_alarms:g} %"
        text = chosen.file.read_text(encoding="utf-8")
        chosen.file.write_text(rewritten(text, documents, told), encoding="utf-8")
        print(f"written: {chosen.file}")
    return 0


def _told(proposal: Proposal) -> str:
    return ", ".join(f"{key} {value}" for key, value in proposal.bounds.items())


def _proposals(ran: Sequence[tuple[Case, Result]], false_alarms: float) -> list[Proposal]:
    """For the variants of one document, which have their expectations in common.

    Raises:
        FederatedError: a training diverged, or has not the figure that is expected.

    """
    from pytest_federated.expectations.calibrating import bounds_of, loosest, propose

    found: dict[str, list[Proposal]] = {}
    for case, result in ran:
        if result.status == "diverged":
            raise FederatedError(f"{result.id}: {result.reason}")
        seeds = len(case.scenario.seeds)
        expect = {n: bounds_of(c) for n, c in case.scenario.expect.items()}
        figures = {v.expectation: v.figures for v in result.verdicts}
        notes = {v.expectation: v.note for v in result.verdicts}
        if not expect:
            expect = {"accuracy": ["at_least"], "loss": ["at_most"]}
            losses = [h.evaluated[-1].loss or 0.0 for h in result.histories]
            figures = {"accuracy": tuple(result.accuracies), "loss": tuple(losses)}
        for name, keys in expect.items():
            if not keys or name not in figures or "--fed-benchmark" in notes.get(name, ""):
                continue
            if not figures[name]:
                raise FederatedError(f"{result.id}: {name}: {notes[name]}")
            proposal = propose(name, keys, figures[name], seeds, false_alarms)
            found.setdefault(name, []).append(proposal)
    return [loosest(proposals) for proposals in found.values()]


def rewritten(text: str, documents: Sequence[Calibrated], told: str) -> str:
    """A scenario file with other bounds; all else stays as it was written.

    Args:
        text: of the file.
        documents: what was found for each of its scenarios.
        told: what the comment above each ``expect`` says of the run.

    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(  # by default it becomes nothing at all
        type(None), lambda it, _: it.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    loaded = list(yaml.load_all(text))
    shown = []
    for document, (expect, proposals) in zip((d for d in loaded if d is not None), documents):
        if not proposals and "expect" not in document:
            continue
        own = document.setdefault("expect", CommentedMap())
        for name, keys in expect.items() if not own else ():  # from defaults.yaml
            own[name] = _in_line(keys)
        for proposal in proposals:
            keys = own.setdefault(proposal.expectation, _in_line({}))
            for key, bound in proposal.bounds.items():
                keys[key] = _in_line(bound)
        shown.append(
            ", ".join(f"{p.expectation} {p.mean:.4g} ± {p.deviation:.2g}" for p in proposals)
        )
    out = io.StringIO()
    yaml.dump_all(loaded, out)
    return _commented(out.getvalue(), shown, told)


def _in_line(value: Any) -> Any:
    """As ruamel.yaml writes it within one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if not isinstance(value, (dict, list)):
        return value
    made = CommentedMap(value) if isinstance(value, dict) else CommentedSeq(value)
    made.fa.set_flow_style()
    return made


def _commented(text: str, shown: Sequence[str], told: str) -> str:
    """Says above each ``expect`` where its bounds are from, once."""
    remaining, kept = iter(shown), []
    for line in text.splitlines(keepends=True):
        if line.startswith("expect:") and (figures := next(remaining, "")):
            if kept and kept[-1].startswith(_MARK):
                kept.pop()
            kept.append(f"{_MARK}{told}: {figures}\n")
        kept.append(line)
    return "".join(kept)
