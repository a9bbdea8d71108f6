"""Writes docs/algorithms.md from the registries.

Run this after a change to an algorithm, an optimizer or anything else under `training`:
``uv run python docs/make_algorithms.py [DIR]``. test_documentation.py compares the committed
page with what this writes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Optional

from pages import as_entry, as_yaml
from pytest_federated.registry.concepts import concepts
from pytest_federated.registry.entry import Entry
from pytest_federated.training.schema import Training
from tff_names import NAMES
from who_has_what import FRAMEWORKS, METHODS, READ_ON

SCENARIOS = Path(__file__).parent.parent / "scenarios"

INTRODUCTION = """\
# Algorithms

<!-- Made by docs/make_algorithms.py from the registries; not edited by hand. -->

What `training.algorithm` can be, and what goes with it. Each algorithm is checked against its
paper, written out in NumPy, over three rounds (tests/integration/training: test_algorithms.py,
test_stateful_algorithms.py, test_partly_local.py, test_kmeans.py and test_numpy_reference.py, or
the algorithm's own file). So is each aggregator
(test_aggregation.py; noisy ones in test_aggregators.py) and each optimizer (test_optimizers.py).
[scenarios/algorithms](../scenarios/algorithms) and
[scenarios/aggregation](../scenarios/aggregation) show them at work. Algorithms that can
take packed clients run many times faster, see [scaling.md](scaling.md#packed-clients).
"""

# The part of a TFF learning process that each key of `training` sets.
PARTS = {
    "algorithm": ("all four", "see the table below"),
    "rounds": ("none", "calls of the process"),
    "local_epochs": ("client work", "`tf.data.Dataset.repeat`"),
    "local_steps": ("client work", "`tf.data.Dataset.take`"),
    "batch_size": ("client work", "`tf.data.Dataset.batch`"),
    "client_optimizer": ("client work", "`client_optimizer_fn`"),
    "server_optimizer": ("finalizer", "`server_optimizer_fn`"),
    "aggregator": ("aggregator", "`model_aggregator`"),
    "loss": ("client work", "the loss of `tff.learning.models.from_keras_model`"),
    "class_weights": ("client work", "the same"),
    "eval_every": ("none", "calls of the evaluation"),
    "eval_clients_every": ("none", "calls of the evaluation, for single clients"),
    "execution": ("none", "how clients are mapped to placements"),
    "personalize": ("none", "`tff.learning.algorithms.build_personalization_eval_computation`"),
}
OTHERS = {
    "algorithm.weighting": ("client work", "`client_weighting`, a client's weight in the mean"),
    "client_optimizer.schedule": ("client work", "`learning_rate_fn`"),
    "server_optimizer.schedule": ("finalizer", "`schedule_learning_rate`"),
}

# The registry of each chapter, its title and its first paragraph.
CHAPTERS = {
    "aggregators": ("Aggregators", "What `training.aggregator` can be."),
    "schedules": (
        "Schedules",
        "What the key `schedule` of `training.client_optimizer` and of "
        "`training.server_optimizer` can be: the factor of the optimizer's learning rate in each "
        "round. Within a round the rate is the same, and a round in which nobody takes part counts "
        "like any other.",
    ),
    "optimizers": (
        "Optimizers",
        "What `training.client_optimizer` and `training.server_optimizer` can be. All of them "
        "have the keys `clip_norm`, the L2 norm that longer gradients are scaled to, and "
        "`schedule`, one of the [schedules](#schedules).",
    ),
}


def main() -> None:
    """Writes the page into the folder named on the command line, or into this one."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    known = concepts()
    algorithms = [known["algorithms"][name] for name in known["algorithms"].names()]
    parts = [INTRODUCTION, _keys(), _composition(algorithms), *map(_algorithm, algorithms)]
    for concept, (title, introduction) in CHAPTERS.items():
        registry = known[concept]
        parts.append(f"## {title}\n\n{introduction}\n")
        shown = [_shipped(name) if concept == "aggregators" else "" for name in registry.names()]
        parts += [as_entry(registry[name], text) for name, text in zip(registry.names(), shown)]
    parts += [_offered(), _elsewhere()]
    (folder / "algorithms.md").write_text("\n".join(parts), encoding="utf-8")


def _keys() -> str:
    """Returns a table of the keys and the part of TFF's process that each sets."""
    uses = {key: PARTS.get(key, ("none", "")) for key in Training.model_fields} | OTHERS
    rows = [f"| `training.{key}` | {part} | {name} |" for key, (part, name) in uses.items()]
    return "\n".join(
        [
            "## Keys and TFF\n",
            "A TFF learning process consists of a distributor, a client work, an aggregator "
            "and a finalizer. The table shows which of them each key sets.\n",
            "| key | part | there |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _composition(algorithms: list[Entry[Any, Any]]) -> str:
    heads = ["algorithm", "built by", "distributor", "client work", "aggregator", "finalizer"]
    rows = [f"| {' | '.join([*heads, 'packed'])} |", "|---" * (len(heads) + 1) + "|"]
    for entry in algorithms:
        tff = entry.spec.tff
        is_built = tff.by.startswith("build_")
        by = ", ".join(f"`{name}`" for name in tff.by.split(", ")) if is_built else tff.by
        by = f"`{by}`" if by.startswith("tff.") else by
        parts = [tff.distributor, tff.client_work, tff.aggregator, tff.finalizer]
        packs = "yes" if entry.spec.packs else "no"
        cells = [f"[`{entry.name}`](#{entry.name})", by, *parts, packs]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            "## Parts of each algorithm\n",
            "The builders are in `tff.learning.algorithms`. Packed clients train in a process "
            "with the same parts.\n",
            *rows,
            "",
            "## The algorithms\n",
        ]
    )


def _offered() -> str:
    """Returns tables of TFF's public names with the YAML that reaches each, or why none does."""
    parts = [
        "## What TFF offers\n",
        "The public names of TFF 0.87 for learning, each with the shortest scenario file that "
        "reaches it, or why none does.\n",
    ]
    for package, names in NAMES.items():
        rows = ["| TFF | scenario file | |", "|---|---|---|"]
        for name, (reached, why) in names.items():
            rows.append(f"| `{name}` | {f'`{reached}`' if reached else 'none'} | {why} |")
        parts += [f"### {package}\n", *rows, ""]
    return "\n".join(parts)


def _elsewhere() -> str:
    """Returns a table of methods and of the frameworks that have them, each with its file."""
    registries = [concepts()["algorithms"], concepts()["aggregators"]]
    rows = []
    for method, (name, files) in METHODS.items():
        assert name is None or any(name in registry for registry in registries), name
        ours = "" if name is None else f"[`{name}`](#{name})"
        cells = [_linked(framework, files.get(framework)) for framework in FRAMEWORKS]
        rows.append(f"| {' | '.join([method, ours, *cells])} |")
    heads = [
        f"[{name}](https://github.com/{of.repository}/tree/{of.revision}/{of.folder.rstrip('/')})"
        for name, of in FRAMEWORKS.items()
    ]
    return "\n".join(
        [
            "## In other frameworks\n",
            "Which method is where, with the file that has it, as read in the frameworks' "
            f"repositories on {READ_ON}; of TFF, those of version 0.87.0. A method that is an "
            "option of another one, such as FedAdam by a server optimizer, links to that one. What "
            "is not here can be written as a [`tff`](#tff) algorithm. Asynchronous methods such as "
            "FedBuff do not fit, as a round of TFF ends when all its clients have ended; FedBN is "
            "not here, as models with batch normalization are refused; MOON is not here, as its "
            "loss compares the outputs of a projection head (QinbinLi/MOON, main.py, "
            "train_net_fedcon), and a TFF model gives nothing but its predictions. Reptile in "
            "batches of "
            "clients is [`fedavg`](#fedavg) with `weighting: uniform` and its step size as "
            "learning rate of the server optimizer (openai/supervised-reptile, "
            "supervised_reptile/reptile.py), and `personalize` measures the models that it is "
            "for. The mean of changes whose norms are bounded is the aggregator "
            "[`clipping`](#clipping) with a `norm`.\n",
            f"| {' | '.join(['method', 'here', *heads])} |",
            "|---" * (len(heads) + 2) + "|",
            *rows,
            "",
        ]
    )


def _linked(framework: str, file: Optional[str]) -> str:
    if file is None:
        return ""
    of = FRAMEWORKS[framework]
    return f"[yes](https://github.com/{of.repository}/blob/{of.revision}/{of.folder}{file})"


def _algorithm(entry: Entry[Any, Any]) -> str:
    chosen = {"kind": entry.name, **entry.spec.example}
    if entry.name in entry.keywords:
        chosen.pop("kind")
    keys = f"algorithm: {as_yaml(chosen)}"
    if entry.spec.server_step:
        keys += ", server_optimizer: {learning_rate: 0.1}"
    paragraphs = [f"```yaml\ntraining: {{{keys}, rounds: 10}}\n```"]
    if fixed := entry.spec.fixes:
        keys = " and ".join(f"`{key}`" for key in fixed)
        them, their = ("it", "its") if len(fixed) == 1 else ("them", "their")
        paragraphs.append(
            f"Sets {keys} itself: leave {them} out, or give {their} default, for example where a "
            "`defaults.yaml` has another value."
        )
    if entry.spec.server_step:
        paragraphs.append(
            "Of `server_optimizer` it takes `learning_rate`, `schedule` and `clip_norm`, "
            "for a step of its own."
        )
    if refused := entry.spec.refuses:
        keys = ", ".join(f"`{key}`" for key in refused)
        them = "it" if len(refused) == 1 else "them"
        paragraphs.append(
            f"A scenario must leave out {keys}, or set {them} to null if a `defaults.yaml` sets "
            f"{them}."
        )
    if unused := entry.spec.unused:
        paragraphs.append(f"Does not use {', '.join(f'`{key}`' for key in unused)}.")
    if shipped := _shipped(entry.name, "algorithm", "algorithms"):
        paragraphs.append(shipped)
    return as_entry(entry, "\n\n".join(paragraphs))


def _shipped(name: str, key: str = "aggregator", folder: str = "aggregation") -> str:
    """Returns links to the shipped scenario files that use an entry; empty if there are none."""
    use = re.compile(rf"{key}:\s+{{?(kind: )?{name}\b")
    files = sorted(file.name for file in (SCENARIOS / folder).glob("*.yaml"))
    used = [f for f in files if use.search((SCENARIOS / folder / f).read_text(encoding="utf-8"))]
    links = ", ".join(f"[{file}](../scenarios/{folder}/{file})" for file in used)
    return f"Shipped scenarios: {links}." if links else ""


if __name__ == "__main__":
    main()
