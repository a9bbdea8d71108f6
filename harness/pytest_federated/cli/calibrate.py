"""``pytest-federated calibrate``: writes thresholds with a stated false-alarm rate into a file."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import click

from pytest_federated.cli.parameters import PATH, Number, data_cache
from pytest_federated.core.errors import FederatedError

if TYPE_CHECKING:
    from pytest_federated.expectations.calibrating import Proposal
    from pytest_federated.results.record import Result
    from pytest_federated.scenario.case import Case

_MARK = "# Calibrated on "
_SEEDS = Number(int, lambda seeds: seeds >= 3, "must be 3 or greater")
_CHANCE = Number(float, lambda chance: 0 < chance < 0.5, "must be between 0 and 0.5")


class Calibrated(NamedTuple):
    """One document of a file: its present expectations, the proposed bounds, and their basis."""

    expect: dict[str, Any]
    proposals: Sequence[Proposal]
    basis: str = ""


@click.command("calibrate", short_help="Write thresholds into a file (needs TensorFlow).")
@click.argument("file", type=PATH, metavar="FILE")
@click.option(
    "--seeds",
    type=_SEEDS,
    default=10,
    show_default=True,
    metavar="N",
    help="Seeds to run, at least 3.",
)
@click.option(
    "--false-alarms",
    type=_CHANCE,
    default=0.01,
    show_default=True,
    metavar="P",
    help="Chance that an expectation is missed though nothing has changed.",
)
@click.option("--dry-run", is_flag=True, help="Only show the thresholds.")
@data_cache
def command(
    file: Path, seeds: int, false_alarms: float, dry_run: bool, data_cache: Optional[Path]
) -> None:
    """Run a file's scenarios on many seeds and write thresholds into it (needs TensorFlow).

    The mean over the scenario's own number of seeds misses a threshold only as often as
    --false-alarms says, if seeds are alike; a seed now and then that collapses can escape notice,
    and how often that gives a false alarm is shown. Comments stay. See docs/judging.md.
    """
    from tabulate import tabulate

    from pytest_federated.cli.collecting import read
    from pytest_federated.core.files import write_text
    from pytest_federated.core.progress import tracked
    from pytest_federated.expectations.calibrating import unseen_collapse
    from pytest_federated.running.observers import Pace
    from pytest_federated.running.options import Options, default_cache
    from pytest_federated.running.pipeline import run
    from pytest_federated.running.plan import plan
    from pytest_federated.user.modules import own_folders

    cases = read(file)
    options = Options(seeds=seeds, cache=data_cache or default_cache())
    documents: list[Calibrated] = []
    rows: list[list[str]] = []
    most = 1
    rounds = sum(Pace(plan(case, options)).total for case in cases)
    with tracked(file.name, rounds) as advance:
        for _, group in itertools.groupby(cases, key=lambda case: case.line):
            variants = list(group)
            with own_folders(file.resolve().parent, Path.cwd()):
                runs = [(c, run(c, options, [Pace(plan(c, options), advance)])) for c in variants]
            expect = variants[0].scenario.settings()["expect"]
            own = max(len(case.scenario.seeds) for case in variants)
            with_collapses = max(false_alarms, unseen_collapse(seeds, own))
            alarms = f"{100 * false_alarms:g} %", f"{100 * with_collapses:.2g} %"
            basis = f"{seeds} seeds, false alarms {alarms[0]} ({alarms[1]} if seeds may collapse)"
            documents.append(Calibrated(expect, _proposals(runs, false_alarms), basis))
            name = variants[0].scenario.name
            rows += [
                [name, p.expectation, _measured(p), _threshold(p), *alarms]
                for p in documents[-1].proposals
            ]
            most = max(most, own)
    columns = [
        *("scenario", "expectation", "measured", "threshold"),
        *("false alarms", "if seeds may collapse"),
    ]
    print(tabulate(rows, columns, disable_numparse=True))
    print(_assumption(seeds, most, false_alarms))
    if not dry_run:
        text = file.read_text(encoding="utf-8")
        write_text(file.resolve(), rewritten(text, documents))
        print(f"written: {file}")


def _assumption(seeds: int, own: int, false_alarms: float) -> str:
    """Returns under which assumption the false alarms are as stated, and what does without it."""
    from pytest_federated.expectations.calibrating import figures_to_see_collapses

    needed = figures_to_see_collapses(own, false_alarms)
    less = f"; --seeds {needed} makes it {100 * false_alarms:g} %" if needed > seeds else ""
    return (
        "false alarms: if seeds differ only by chance (normal, or skewed near a limit)\n"
        f"if seeds may collapse: as {seeds} seeds may not show a collapse that is rare{less}"
    )


def _measured(proposal: Proposal) -> str:
    collapsed = f"; {proposal.collapsed} collapsed" if proposal.collapsed else ""
    return f"{proposal.mean:.4g} (sd {proposal.deviation:.2g}{collapsed})"


def _threshold(proposal: Proposal) -> str:
    return ", ".join(f"{key} {value}" for key, value in proposal.bounds.items())


def _proposals(runs: Sequence[tuple[Case, Result]], false_alarms: float) -> list[Proposal]:
    """Returns bounds for the variants of one document, which have their expectations in common.

    Raises:
        FederatedError: a training diverged, or lacks the figure that an expectation is about.

    """
    from pytest_federated.expectations.baselines import task_of
    from pytest_federated.expectations.bounds import bounds_of
    from pytest_federated.expectations.calibrating import default_bounds, loosest, propose
    from pytest_federated.metrics.measure import expected_measure
    from pytest_federated.metrics.metric import spec_of

    proposals: dict[str, list[Proposal]] = {}
    for case, result in runs:
        if result.status == "diverged":
            raise FederatedError(f"{result.id}: {result.reason}")
        seeds = len(case.scenario.seeds)
        expect = {n: bounds_of(keys) for n, keys in case.scenario.expect.items()}
        notes = {v.expectation: v.note for v in result.verdicts}
        for name, bounds in (expect or default_bounds(task_of(result))).items():
            if not bounds or spec_of(name).is_wall_time:
                continue
            values = expected_measure(name).by_seed(result)
            if len(values) < len(result.histories):
                raise FederatedError(f"{result.id}: {name}: {notes[name]}")
            proposal = propose(name, bounds, values, seeds, false_alarms)
            proposals.setdefault(name, []).append(proposal)
    return [loosest(of_variants) for of_variants in proposals.values()]


def rewritten(text: str, documents: Sequence[Calibrated]) -> str:
    """Returns a scenario file with other bounds; all else stays as it was written.

    Args:
        text: the file's text.
        documents: the bounds for each of its documents.

    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.emitter import RoundTripEmitter

    yaml: Any = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    # Up to YAML's own limit, where ruamel.yaml writes keys of more than 128 characters another way.
    yaml.Emitter = type("_Emitter", (RoundTripEmitter,), {"MAX_SIMPLE_KEY_LENGTH": 1024})
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), _null)  # by default nothing is written
    loaded: list[Any] = list(yaml.load_all(text))
    comments: list[str] = []
    for document, (expect, proposals, basis) in zip(
        (d for d in loaded if d is not None), documents
    ):
        if not proposals and "expect" not in document:
            continue
        section = document.setdefault("expect", CommentedMap())
        for name, keys in expect.items() if not section else ():  # from defaults.yaml
            section[name] = _in_line(keys)
        for proposal in proposals:
            keys = section.setdefault(proposal.expectation, _in_line({}))
            for key, bound in proposal.bounds.items():
                keys[key] = _in_line(bound)
        measured = ", ".join(f"{p.expectation} {_measured(p)}" for p in proposals)
        comments.append(measured and f"{_MARK}{basis}: {measured}\n")
    out = io.StringIO()
    yaml.dump_all(loaded, out)
    return _commented(out.getvalue(), comments)


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _in_line(value: Any) -> Any:
    """Returns a list or mapping that ruamel.yaml writes in one line; another value as it is."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if not isinstance(value, (dict, list)):
        return value
    in_line: Any = CommentedMap(value) if isinstance(value, dict) else CommentedSeq(value)
    in_line.fa.set_flow_style()
    return in_line


def _commented(text: str, comments: Sequence[str]) -> str:
    """Returns the text with one comment above each ``expect``, on what its bounds are based."""
    remaining = iter(comments)
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("expect:") and (comment := next(remaining, "")):
            if lines and lines[-1].startswith(_MARK):
                lines.pop()
            lines.append(comment)
        lines.append(line)
    return "".join(lines)
