"""Label entropies and sizes of the clients of flwr-datasets and FedLab.

Both are in the dependency group `partitioners`. ``uv run --group partitioners python
tests/helpers/comparison/other_libraries.py`` writes ``clients.json`` next to itself;
tests/unit/test_comparison.py compares our splits with it where the group is not installed. There
are 10 clients, 10 labels of 200 examples, and 40 seeds.
"""

import importlib.util
import json
import re
import warnings
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from flwr_datasets import partitioner as flwr

CLIENTS, LABELS, EACH, SEEDS = 10, 10, 200, 40
TARGETS = np.repeat(np.arange(LABELS), EACH)
# Half of the examples: when labels run out, both libraries draw again until they hit one that is
# left, which can take very long, or forever.
EVEN = [LABELS * EACH // CLIENTS // 2] * CLIENTS

# FedLab's package imports PyTorch, but this file of it does not.
_FILE = distribution("fedlab").locate_file("fedlab/utils/dataset/functional.py")
_SPEC: Any = importlib.util.spec_from_file_location("fedlab_functional", str(_FILE))
fedlab = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fedlab)


def property_of(rng):
    """Returns a continuous property that is correlated with the label."""
    return 0.5 * TARGETS + rng.standard_normal(len(TARGETS))


def of_flwr(kind, **keys):
    def split(seed):
        mixed = np.random.default_rng(seed).permutation(len(TARGETS))
        labels = TARGETS[mixed]
        value = property_of(np.random.default_rng(seed))[mixed]
        seeded = {} if kind in ("LinearPartitioner", "SquarePartitioner") else {"seed": seed}
        made = getattr(flwr, kind)(**keys, **seeded)
        made.dataset = datasets.Dataset.from_dict(
            {"label": labels.tolist(), "value": value.tolist()}
        )
        return [np.array(made.load_partition(c)["label"]) for c in range(CLIENTS)]

    return split


def of_fedlab(split_of):
    def split(seed):
        np.random.seed(seed)
        parts = split_of()
        return [TARGETS[parts[c]] for c in range(CLIENTS)]

    return split


def fedlab_inner_dirichlet():
    """Returns the parts that FedLab intends: its positions are those in shuffled targets."""
    before = np.random.get_state()
    order = np.random.permutation(len(TARGETS))
    np.random.set_state(before)
    parts = fedlab.client_inner_dirichlet_partition(
        TARGETS, CLIENTS, LABELS, 0.5, np.array(EVEN), verbose=False
    )
    return {client: order[positions] for client, positions in parts.items()}


def sized(sizes):
    return fedlab.homo_partition(sizes, len(TARGETS))


by_label = {"num_partitions": CLIENTS, "partition_by": "label"}
CASES = {
    "flwr dirichlet 0.5": of_flwr(
        "DirichletPartitioner", alpha=0.5, min_partition_size=10, **by_label
    ),
    "flwr dirichlet 5": of_flwr(
        "DirichletPartitioner", alpha=5.0, min_partition_size=10, **by_label
    ),
    "flwr dirichlet 0.5 balanced": of_flwr(
        "DirichletPartitioner", alpha=0.5, min_partition_size=10, self_balancing=True, **by_label
    ),
    "flwr inner dirichlet 0.3": of_flwr(
        "InnerDirichletPartitioner", partition_sizes=EVEN, partition_by="label", alpha=0.3
    ),
    "flwr inner dirichlet 1": of_flwr(
        "InnerDirichletPartitioner", partition_sizes=EVEN, partition_by="label", alpha=1.0
    ),
    **{
        f"flwr pathological 3 {mode}": of_flwr(
            "PathologicalPartitioner",
            num_classes_per_partition=3,
            class_assignment_mode=mode,
            **by_label,
        )
        for mode in ("random", "deterministic", "first-deterministic")
    },
    "flwr shards 2": of_flwr("ShardPartitioner", num_shards_per_partition=2, **by_label),
    "flwr continuous 0.3": of_flwr(
        "ContinuousPartitioner", num_partitions=CLIENTS, partition_by="value", strictness=0.3
    ),
    "flwr continuous 1": of_flwr(
        "ContinuousPartitioner", num_partitions=CLIENTS, partition_by="value", strictness=1.0
    ),
    "flwr linear": of_flwr("LinearPartitioner", num_partitions=CLIENTS),
    "flwr square": of_flwr("SquarePartitioner", num_partitions=CLIENTS),
    "fedlab hetero-dirichlet 0.5": of_fedlab(
        lambda: fedlab.hetero_dir_partition(TARGETS, CLIENTS, LABELS, 0.5, 10)
    ),
    "fedlab inner dirichlet 0.5": of_fedlab(fedlab_inner_dirichlet),
    "fedlab shards 2": of_fedlab(lambda: fedlab.shards_partition(TARGETS, CLIENTS, 2 * CLIENTS)),
    "fedlab labels 2": of_fedlab(
        lambda: fedlab.label_skew_quantity_based_partition(TARGETS, CLIENTS, LABELS, 2)
    ),
    "fedlab lognormal 0.5": of_fedlab(
        lambda: sized(fedlab.lognormal_unbalance_split(CLIENTS, len(TARGETS), 0.5))
    ),
    "fedlab sizes dirichlet 2": of_fedlab(
        lambda: sized(fedlab.dirichlet_unbalance_split(CLIENTS, len(TARGETS), 2.0))
    ),
}


def entropy(labels):
    shares = np.bincount(labels, minlength=LABELS) / max(len(labels), 1)
    return float(-(shares * np.log(np.where(shares > 0, shares, 1))).sum())


def clients(name):
    """Returns sorted label entropies and sizes of the clients of all seeds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        all_of_them = [labels for seed in range(SEEDS) for labels in CASES[name](seed)]
    return {
        "entropies": sorted(round(entropy(labels), 3) for labels in all_of_them),
        "sizes": sorted(len(labels) for labels in all_of_them),
    }


def main():
    datasets.disable_progress_bars()
    found = {}
    for name in CASES:
        found[name] = clients(name)
        print(name, flush=True)
    versions = {name: version(name) for name in ("fedlab", "flwr-datasets", "numpy")}
    text = json.dumps({"versions": versions, "clients": found}, indent=1)
    # One line for each list keeps diffs readable.
    lines = re.sub(r"(?<=[\d\[]),?\n\s+(?=[\d\]])", lambda m: "," if "," in m[0] else "", text)
    Path(__file__).with_name("clients.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
