"""Texts of scenario files."""

TINY = """\
schema: 1
name: tiny
tags: [smoke]
data: {dataset: digits}
clients: {count: 4}
model: {kind: mlp, hidden: [16]}
training: {rounds: 2, local_epochs: 2}
expect:
  accuracy: {at_least: 0.3}
"""

# Runs for minutes unless something ends it.
LONG = TINY.replace("name: tiny", "name: long").replace("rounds: 2", "rounds: 100000")

# A valid file with one line for each section, for tests that break one of them.
GOOD = """\
schema: 1
name: tiny
data: {dataset: digits}
clients: {count: 4}
model: mlp
training: {rounds: 2}
"""

# In the order in which messages list them.
CLIENT_KEYS = "count, split, size, shift, unseen, per_round, sampling, dropout, stragglers, attacks"


def clients(more: str) -> str:
    return GOOD.replace("count: 4", f"count: 4, {more}")


def training(more: str) -> str:
    return GOOD.replace("rounds: 2", f"rounds: 2, {more}")
