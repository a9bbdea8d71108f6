"""Attackers that train on flipped labels."""

from __future__ import annotations

from pytest_federated.clients.attacks.attack import Attack, attacks, flipped


@attacks("label_flip")
def label_flip() -> Attack:
    """Trains on flipped labels: label l of L becomes L - 1 - l.

    Source: Fang et al., Local Model Poisoning Attacks to Byzantine-Robust Federated Learning,
    USENIX Security 2020 ("label flipping attack"), arXiv:1911.11815.
    """
    return Attack(labels=flipped)
