"""Which method is in which framework, by the file that has it.

Read from the frameworks' own files on the date below. A method that a framework reaches by an
option of another one, such as FedAdam by a server optimizer, names the file of that one.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

READ_ON = "2026-11-26"


class Framework(NamedTuple):
    """A framework: its repository on GitHub, the folder that files are named from, the revision."""

    repository: str
    folder: str
    revision: str = "HEAD"


FRAMEWORKS = {
    "TFF": Framework(
        "google-parfait/tensorflow-federated", "tensorflow_federated/python/", "v0.87.0"
    ),
    "Flower": Framework("adap/flower", "framework/py/flwr/serverapp/strategy/"),
    "FedLab": Framework("SMILELab-FL/FedLab", "fedlab/contrib/"),
    "pfl-research": Framework("apple/pfl-research", "pfl/"),
    "FedJAX": Framework("google/fedjax", "fedjax/"),
    "PFLlib": Framework("TsingZ0/PFLlib", "system/flcore/servers/"),
}

# Our name of each method, and the file of each framework that has it.
METHODS: dict[str, tuple[Optional[str], dict[str, str]]] = {
    "FedAvg": (
        "fedavg",
        {
            "TFF": "learning/algorithms/fed_avg.py",
            "Flower": "fedavg.py",
            "FedLab": "algorithm/fedavg.py",
            "pfl-research": "algorithm/federated_averaging.py",
            "FedJAX": "algorithms/fed_avg.py",
            "PFLlib": "serveravg.py",
        },
    ),
    "FedSGD": ("fedsgd", {"TFF": "learning/algorithms/fed_sgd.py"}),
    "FedAvgM": (
        "fedavgm",
        {
            "TFF": "learning/algorithms/fed_avg.py",
            "Flower": "fedavgm.py",
            "FedLab": "algorithm/fedavgm.py",
            "pfl-research": "model/tensorflow.py",
            "FedJAX": "algorithms/fed_avg.py",
        },
    ),
    "FedAdagrad, FedAdam, FedYogi": (
        "fedadam",
        {
            "TFF": "learning/algorithms/fed_avg.py",
            "Flower": "fedopt.py",
            "FedLab": "algorithm/fedopt.py",
            "pfl-research": "model/tensorflow.py",
            "FedJAX": "algorithms/fed_avg.py",
        },
    ),
    "FedProx": (
        "fedprox",
        {
            "TFF": "learning/algorithms/fed_prox.py",
            "Flower": "fedprox.py",
            "FedLab": "algorithm/fedprox.py",
            "pfl-research": "algorithm/fedprox.py",
            "FedJAX": "algorithms/fed_prox.py",
            "PFLlib": "serverprox.py",
        },
    ),
    "SCAFFOLD": (
        "scaffold",
        {
            "FedLab": "algorithm/scaffold.py",
            "pfl-research": "algorithm/scaffold.py",
            "PFLlib": "serverscaffold.py",
        },
    ),
    "FedNova": ("fednova", {"FedLab": "algorithm/fednova.py"}),
    "FedDyn": ("feddyn", {"FedLab": "algorithm/feddyn.py", "PFLlib": "serverdyn.py"}),
    "q-FedAvg": ("q_fedavg", {"Flower": "qfedavg.py", "FedLab": "algorithm/qfedavg.py"}),
    "Mime Lite": (
        "mime_lite",
        {"TFF": "learning/algorithms/mime.py", "FedJAX": "algorithms/mime_lite.py"},
    ),
    "Mime": ("mime", {"FedJAX": "algorithms/mime.py"}),
    "AFL, agnostic FedAvg": ("afl", {"FedJAX": "algorithms/agnostic_fed_avg.py"}),
    "Ditto": ("ditto", {"FedLab": "algorithm/ditto.py", "PFLlib": "serverditto.py"}),
    "FedPer": ("fedper", {"PFLlib": "serverper.py"}),
    "FedRep": ("fedper", {"PFLlib": "serverrep.py"}),
    "FedBN": (None, {"PFLlib": "serverbn.py"}),
    "Federated reconstruction": ("fed_recon", {"TFF": "learning/algorithms/fed_recon.py"}),
    "APFL": (None, {"FedJAX": "algorithms/apfl.py", "PFLlib": "serverapfl.py"}),
    "Reptile": ("fedavg", {"pfl-research": "algorithm/reptile.py"}),
    "Per-FedAvg": ("per_fedavg", {"PFLlib": "serverperavg.py"}),
    "MOON": (None, {"PFLlib": "servermoon.py"}),
    "IFCA, HypCluster": (
        "ifca",
        {"FedLab": "algorithm/ifca.py", "FedJAX": "algorithms/hyp_cluster.py"},
    ),
    "k-means": ("kmeans", {"TFF": "learning/algorithms/kmeans_clustering.py"}),
    "median": ("median", {"Flower": "fedmedian.py"}),
    "trimmed mean": ("trimmed_mean", {"Flower": "fedtrimmedavg.py"}),
    "geometric median (RFA)": ("geometric_median", {}),
    "Krum": ("krum", {"Flower": "krum.py"}),
    "Multi-Krum": ("multi_krum", {"Flower": "multikrum.py"}),
    "Bulyan": (None, {"Flower": "bulyan.py"}),
    "adaptive clipping and zeroing": ("robust", {"TFF": "aggregators/robust.py"}),
    "compressed updates": (
        "compression",
        {
            "TFF": "aggregators/encoded.py",
            "FedLab": "compressor/quantization.py",
            "FedJAX": "aggregators/compression.py",
        },
    ),
    "DP, fixed clipping": (
        "dp",
        {
            "TFF": "aggregators/differential_privacy.py",
            "Flower": "dp_fixed_clipping.py",
            "pfl-research": "privacy/gaussian_mechanism.py",
        },
    ),
    "DP, adaptive clipping": (
        "dp",
        {
            "TFF": "aggregators/differential_privacy.py",
            "Flower": "dp_adaptive_clipping.py",
            "pfl-research": "privacy/adaptive_clipping.py",
        },
    ),
    "DP-FTRL": (
        "dp_ftrl",
        {"TFF": "aggregators/differential_privacy.py", "pfl-research": "privacy/ftrl_mechanism.py"},
    ),
    "distributed DP": ("distributed_dp", {"TFF": "aggregators/distributed_dp.py"}),
    "secure sums": ("secure", {"TFF": "aggregators/secure.py"}),
}
