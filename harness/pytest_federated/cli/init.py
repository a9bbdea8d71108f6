"""``pytest-federated init``: a first scenario for data of one's own."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any, Optional

import click

from pytest_federated.cli.parameters import PATH, data_cache
from pytest_federated.core.errors import FederatedError
from pytest_federated.core.text import one_line

_WIDTH = 80


@click.command("init", short_help="Write a first scenario for your data.")
@click.argument("data", metavar="DATA")
@click.option("--label", metavar="NAME", help="The column or array of labels, if it is not found.")
@click.option("--client", metavar="NAME", help="The column or array of the clients, likewise.")
@click.option(
    "--out",
    type=PATH,
    metavar="FILE",
    help="The scenario file; by default scenarios/NAME.yaml, by the name of the data.",
)
@click.option(
    "--model", is_flag=True, help="Also write models.py beside it, with a Keras model to change."
)
@click.option(
    "--calibrate", is_flag=True, help="Also train it on ten seeds, to find thresholds to expect."
)
@data_cache
@click.pass_context
def command(
    ctx: click.Context,
    data: str,
    label: Optional[str],
    client: Optional[str],
    out: Optional[Path],
    model: bool,
    calibrate: bool,
    data_cache: Optional[Path],
) -> None:
    """Write a first scenario for your data, and say why it looks as it does.

    DATA is a table (text or Parquet), an archive of NumPy (.npz), a folder (of images, or as LEAF
    or Hugging Face's datasets write it), or the name of a data set. No file is ever overwritten.
    """
    from pytest_federated.cli.collecting import load_plugins
    from pytest_federated.core.files import write_text
    from pytest_federated.data.datasets.dataset import Cache, datasets
    from pytest_federated.data.guesses.look import look_at
    from pytest_federated.running.options import default_cache
    from pytest_federated.scenario.draft import draft, facts_of
    from pytest_federated.user.modules import own_folders

    cache = Cache(data_cache or default_cache())
    if not os.path.lexists(data) and data not in datasets:
        load_plugins(Path.cwd())  # one of them may register it
    guess = look_at(data, _path_in_scenario(data), label, client)
    out = out or Path("scenarios") / f"{guess.name}.yaml"
    with own_folders(out.absolute().parent, Path.cwd()):
        facts = facts_of(guess, cache)
        module = _free(out, guess.name) if model or facts.needs_scale else None
        if os.path.lexists(out):
            raise FederatedError(f"{out} exists, and is not overwritten; --out names another file")
        written = draft(guess, facts, cache, module and module.stem)
    texts: list[tuple[Path, Optional[str]]] = [(out, written.scenario)]
    if module is not None:
        texts.append((module, written.module))
    for file, text in texts:
        write_text(file, text or "")
    _print_reasons(guess, facts)
    print(f"wrote {' and '.join(str(file) for file, _ in texts)}")
    if calibrate:
        from pytest_federated.cli.calibrate import command as calibration

        options = ["--data-cache", str(data_cache)] if data_cache else []
        calibration.main([str(out), *options], standalone_mode=False)
    print(f"next: pytest {out}")


def _free(out: Path, name: str) -> Path:
    """Returns a file for the model, beside the scenario, that does not exist.

    Raises:
        FederatedError: all that it may be exist.

    """
    names = ("models.py", f"models_{name.replace('-', '_')}.py")
    for file in map(out.with_name, names):
        if not os.path.lexists(file):
            return file
    raise FederatedError(f"{' and '.join(names)} exist in {out.parent}, and are not overwritten")


def _path_in_scenario(data: str) -> str:
    """Returns how a scenario names a file: relative to here, where pytest will run, if below."""
    path = Path(data).expanduser()
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return str(path.resolve())


def _print_reasons(guess: Any, facts: Any) -> None:
    """Prints what was guessed, a line for each key and each column that is left out."""
    from pytest_federated.core.text import shortened
    from pytest_federated.scenario.draft import yaml_value

    rows = [
        (key, guess.settings.get(key), reason) for key, reason in guess.reasons.items() if reason
    ]
    wide = max([len(key) for key, _, _ in rows], default=0)
    for key, value, reason in rows:
        shown = shortened(yaml_value(value), 30)
        _print(f"{key:<{wide}}  {shown}: {reason}", wide + 2)
    for name, reason in guess.left_out.items():
        _print(f"left out: {shortened(name, 30)} {reason}", 10)
    for note in guess.notes:
        _print(f"note: {note}", 6)
    _print(_summary(facts), 2)


def _summary(facts: Any) -> str:
    if facts.examples is None:
        return "the data is not on this machine yet; it is downloaded by the first run"
    shape = f"{' × '.join(map(str, facts.shape)) or 1} value{'s' * (facts.shape != (1,))}"
    what = "numbers to predict" if facts.task == "regression" else f"{facts.classes} labels"
    clients = f", {facts.clients:,} clients" if facts.clients else ""
    return f"{facts.examples:,} examples of {shape}, {what}{clients}"


def _print(text: str, indent: int) -> None:
    """Prints a text in at most 80 columns, with escapes for what a terminal would not show."""
    for line in textwrap.wrap(one_line(text), _WIDTH, subsequent_indent=" " * indent):
        print(line)
