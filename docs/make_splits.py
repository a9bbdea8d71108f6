"""Writes docs/splits.md and the pictures in docs/splits/ from the registries.

Run this after a change to a split, a size or a shift: ``uv run python docs/make_splits.py [DIR]``.
tests/integration/docs/test_documentation.py compares the committed page with what this writes.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path
from typing import Any

from pages import as_entry, as_yaml, summary
from pytest_federated.clients.schema import Clients
from pytest_federated.data.datasets.dataset import Cache
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.heterogeneity import measure
from pytest_federated.data.schema import Data
from pytest_federated.data.shifts.shift import shifts
from pytest_federated.data.sizes.size import sizes
from pytest_federated.data.splits.partition import splits
from pytest_federated.report.plots.labels import label_map
from pytest_federated.report.tables.cells import figure

# Names in other libraries, and the same split here, for ten clients.
_DIRICHLET = {"kind": "dirichlet", "alpha": 0.5, "balance": True, "min_examples": 10}
_LOGNORMAL = {"kind": "lognormal", "sigma": 0.5}
_PRIORS = {"kind": "dirichlet_priors", "alpha": 0.5}
NAMES: dict[str, dict[str, dict[str, Any]]] = {
    "flwr-datasets": {
        "IidPartitioner": {"split": "iid"},
        "DirichletPartitioner": {"split": {"kind": "dirichlet", "alpha": 0.5, "min_examples": 10}},
        "DirichletPartitioner, self_balancing=True": {"split": _DIRICHLET},
        "InnerDirichletPartitioner": {
            "split": _PRIORS,
            "size": {"kind": "explicit", "examples": [90, 80, 80, 70, 60, 60, 50, 40, 40, 30]},
        },
        "PathologicalPartitioner": {
            "split": {"kind": "labels_per_client", "labels": 2, "assignment": "random"}
        },
        "ShardPartitioner": {"split": {"kind": "shards", "shards_per_client": 2}},
        "ContinuousPartitioner": {"split": {"kind": "continuous", "strictness": 0.5}},
        "DistributionPartitioner": {
            "count": 2,
            "split": {"kind": "distribution", "matrix": [[4, 3, 2], [1, 0, 5]]},
        },
        "NaturalIdPartitioner": {"count": None, "split": "natural"},
        "GroupedNaturalIdPartitioner": {"split": "group_natural"},
        "LinearPartitioner": {"split": "iid", "size": "linear"},
        "SquarePartitioner": {"split": "iid", "size": "square"},
        "ExponentialPartitioner": {"split": "iid", "size": "exponential"},
        "SizePartitioner": {"count": 2, "size": {"kind": "explicit", "examples": [500, 100]}},
    },
    "FedLab": {
        "homo_partition, balance_split": {"split": "iid"},
        "homo_partition, lognormal_unbalance_split": {"split": "iid", "size": _LOGNORMAL},
        "homo_partition, dirichlet_unbalance_split": {
            "split": "iid",
            "size": {"kind": "dirichlet", "alpha": 0.5},
        },
        "hetero_dir_partition": {"split": _DIRICHLET},
        "client_inner_dirichlet_partition": {"split": _PRIORS},
        "client_inner_dirichlet_partition, lognormal_unbalance_split": {
            "split": _PRIORS,
            "size": _LOGNORMAL,
        },
        "shards_partition": {"split": {"kind": "shards", "shards_per_client": 2}},
        "label_skew_quantity_based_partition": {
            "split": {"kind": "labels_per_client", "labels": 2}
        },
    },
    "google-research/federated": {
        "load_cifar10_federated": {"split": {"kind": "dirichlet_sequential", "alpha": 1.0}},
    },
    "NIID-Bench": {
        "homo": {"split": "iid"},
        "noniid-labeldir": {"split": _DIRICHLET},
        "noniid-#label2": {"split": {"kind": "labels_per_client", "labels": 2}},
        "iid-diff-quantity": {
            "split": {"kind": "iid", "min_examples": 10},
            "size": {"kind": "dirichlet", "alpha": 0.5},
        },
        "homo, --noise 0.1": {"shift": [{"kind": "noise", "level": 0.1, "as_published": True}]},
        "real": {"count": None, "split": "natural"},
    },
}

INTRODUCTION = """\
# Splits, sizes and shifts

<!-- Made by docs/make_splits.py from the registries; not edited by hand. -->

How the examples of a data set become clients. `clients.split` says who gets which examples,
`clients.size` how many, where the split leaves that open, and `clients.shift` what is different
about a client's examples. The pictures show the digits of scikit-learn with seed 0: the darker a
cell, the more examples of a label a client has. `pytest-federated describe FILE` shows the same for
your scenario; [scenarios/splits](../scenarios/splits) has examples.

Every split, size and shift is a function of the seed: the same scenario gives the same clients.
The test set is held out before the split, so all splits share one (with `holdout: per_client` each
client holds out its own). The figures are means over clients or over pairs of clients; their
formulas and sources are in
[harness/pytest_federated/data/heterogeneity.py](../harness/pytest_federated/data/heterogeneity.py).

Where flwr-datasets or FedLab can make the same clients, the tests compare them: `uv run --group
partitioners pytest tests/unit/test_installed_partitioners.py` compares their label entropies and
sizes with ours by Kolmogorov-Smirnov tests.
"""


def main() -> None:
    """Writes the page and pictures into the folder named on the command line, or into this one."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    (folder / "splits").mkdir(parents=True, exist_ok=True)
    (folder / "splits.md").write_text(page(), encoding="utf-8")
    for name in splits.names():
        data, clients = _example(name)
        label_map(data.label_counts, data.names, clients, folder / "splits" / f"{name}.svg")


def page() -> str:
    """Returns the page, which shows a picture of each split."""
    parts = [INTRODUCTION, "## Splits: who gets which examples\n", _contents()]
    parts += [_split(name) for name in splits.names()]
    parts += [
        "## Names in other libraries\n",
        "For scenarios from papers that used one of these libraries; the numbers are examples.\n",
        _names(),
    ]
    parts.append("## Sizes: how many examples\n")
    able = [f"`{n}`" for n in splits.names() if splits[n].spec.sizes]
    parts.append(
        f"With {', '.join(able)}; the other splits set their own sizes. All examples are dealt "
        "out (except with explicit sizes); sizes are drawn again until each client has "
        "`min_examples`.\n"
    )
    parts += [_size(name) for name in sizes.names()]
    parts.append("## Shifts: what is different about a client's examples\n")
    parts.append(
        "A list, applied in order to a client's training and held-out examples whenever they are "
        "read. The shared test set is unchanged.\n"
    )
    parts += [as_entry(shifts[name], "") for name in shifts.names()]
    return "\n".join(parts)


def _contents() -> str:
    rows = [f"| [`{n}`](#{n}) | {summary(splits[n])} |" for n in splits.names()]
    return "\n".join(["| split | in short |", "|---|---|", *rows, ""])


def _names() -> str:
    rows = ["| library | there | here, as `clients` |", "|---|---|---|"]
    for library, names in NAMES.items():
        for name, chosen in names.items():
            clients = {k: v for k, v in {"count": 10, **chosen}.items() if v is not None}
            Clients.model_validate(clients)  # raises an error if the page would show invalid keys
            code = ", ".join(f"`{part}`" for part in name.split(", "))
            rows.append(f"| {library} | {code} | `{as_yaml(clients)}` |")
    return "\n".join([*rows, ""])


@functools.cache
def _example(name: str) -> tuple[FederatedData, str]:
    """Returns a split's example and the YAML of its clients."""
    spec = splits[name].spec
    split = {"kind": name, **spec.example} if spec.example else name
    count = {} if spec.example_clients is None else {"count": spec.example_clients}
    clients = {**count, "split": split}
    return example_federation(clients), as_yaml(clients)


def _split(name: str) -> str:
    data, shown = _example(name)
    found = measure(data.label_counts, data.unused)
    figures = (
        f"Here: {found.smallest} to {found.largest} examples, Gini {figure(found.gini, 2)}; label "
        f"entropy {figure(found.label_entropy, 3)} of {figure(found.pooled_label_entropy, 3)} "
        f"nats, Jensen-Shannon distance {figure(found.jensen_shannon, 2)}, Hellinger "
        f"{figure(found.hellinger, 2)}, earth mover's {figure(found.earth_mover, 2)}."
    )
    example = f"```yaml\nclients: {shown}\n```\n\n![{name}](splits/{name}.svg)\n\n{figures}\n"
    return as_entry(splits[name], example)


def _size(name: str) -> str:
    keys = sizes[name].spec.example
    data = example_federation({"count": 10, "split": "iid", "size": {"kind": name, **keys}})
    drawn = ", ".join(str(n) for n in data.sizes)
    shown = as_yaml({"kind": name, **keys})
    example = f"`size: {shown}`: {drawn}"
    return as_entry(sizes[name], f"{example}; Gini {figure(measure(data.label_counts).gini, 2)}.\n")


def example_federation(clients: dict[str, Any]) -> FederatedData:
    """Returns the federation of an example."""
    with tempfile.TemporaryDirectory() as folder:
        return federate(
            Data.model_validate({"dataset": "digits"}),
            Clients.model_validate(clients),
            0,
            Cache(Path(folder)),
        )


if __name__ == "__main__":
    main()
