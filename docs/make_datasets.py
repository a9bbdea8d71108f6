"""Writes docs/datasets.md from the registry of data sets, and from the odd files of the tests.

Run this after a change to a data set: ``uv run python docs/make_datasets.py [DIR]``.
tests/integration/docs/test_documentation.py compares the committed page with what this writes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pages import as_entry
from pytest_federated.data.datasets.dataset import Facts, datasets
from pytest_federated.registry.entry import Entry

INTRODUCTION = """\
# Data sets

<!-- Made by docs/make_datasets.py from the registry; not edited by hand. -->

What `data.dataset` can be: a name, or a mapping such as `{kind: emnist, only_digits: false}` where
a data set has keys. All have `task: binary`, for two labels that a model predicts by
[one output](models.md#what-is-predicted). A scenario whose data is not on the machine and cannot be
downloaded is skipped, with a line that says what to do, and which data set much like it needs no
download; `--fed-strict` makes that a failure.
Downloads are kept in the folder that `--fed-data-cache` names.

Data sets with natural clients (writers, forms, roles) can be split by them, see
[`natural`](splits.md#natural), [`group_natural`](splits.md#group_natural) and
[`inner`](splits.md#inner); all can be split by labels and sizes. `pytest-federated describe
FILE` shows the resulting clients.

Most come with this package or its dependencies, or are downloaded when a scenario first needs
them. These have to be downloaded by hand, once:

| data set | what to do |
|---|---|
| `covtype` | `python -c "from sklearn.datasets import fetch_covtype as f; f()"` |
| `keras: mnist` (`cifar10`, `cifar100`) | Python: `tensorflow.keras.datasets.mnist.load_data()` |
| `gldv2`, `inaturalist` | hundreds of GB: set `download: true`, or copy a folder that TFF's \
loader has written elsewhere into the data cache |

For a machine without network access, copy the data cache of another machine; `fashion_mnist` can
also come from Debian's package `dataset-fashion-mnist`.

TFF's data sets are decoded once, and then read from `decoded/` in the data cache. For each of their
parts, training and testing, there is one file for the features, one for the labels and one that
says whose they are. They are memory-mapped when a scenario starts; a round or an evaluation opens
no file and reads only the rows that it needs. What is decoded are the clients that take part: all
that are missing in one pass over TFF's file, or by its index if they are few. `split: natural`
without `count` decodes all clients.

| data set | TFF's file | an example takes | all of them | to decode an example |
|---|---|---|---|---|
| `emnist` (`only_digits: false`) | `emnist_all.sqlite` | 3.1 kB | 1.2 GB (2.4 GB) | 0.02 ms |
| `cifar100` | `cifar100.sqlite` | 3.1 kB | 0.2 GB | 0.06 ms |
| `celeba` | `celeba.sqlite` | 21 kB | 4.3 GB | 0.4 ms |
| `shakespeare` | `shakespeare.sqlite` | 0.6 kB | 40 MB | 0.01 ms |
| `stackoverflow` | `stackoverflow.sqlite` | 1.5 kB (`predict: words`: 0.2 kB) | never | 0.01 ms |
| `gldv2`, `inaturalist` | a folder of images | 49 kB, at 128 x 128 | 1 to 8 GB | that of its JPEG |

All of Stack Overflow would take over 200 GB and half an hour of a core, so a scenario should say by
`count` how many users take part; each is decoded with at most `most` sentences, once for all
scenarios with the same vocabulary. The labels of those who take part are in memory: 4 bytes an
example, or for each position of a text; with `predict: tags` a byte for each tag.

An index is written when everything that it lists is on the disk, so that nothing counts of what a
killed process or a full disk left behind. Several sessions can share the cache: one decodes, the
others wait. The index has checksums: what is damaged is decoded again, by the next session if it
was noticed in the middle of a round. When TFF's file changes, what was decoded from it is removed;
`decoded/` can be deleted at any time.

Downloading, hashing and decoding show a progress bar on a terminal, and a line every ten seconds
elsewhere. Under pytest-xdist, whose processes have no terminal, they show nothing. How long
decoding takes is in [scaling.md](scaling.md#tffs-emnist-at-its-real-size).

If a test set says whose its examples are (a `client` column of the `test` table, LEAF's test/, the
second `ClientData` of `tff`, folders as `client/test/label`), a client of the splits `natural` and
`group_natural` is tested on its own test examples: `client_accuracy` and the other metrics of
single clients are measured on them. Clients without any are left out of these metrics, which say so
(`17 of 20 clients`). Clients with test examples only are
[unseen clients](clients.md#unseen-clients). `describe` counts both. With other splits, which divide
the data's own clients, there is only the shared test set. With `holdout: per_client` a client is
tested on what it holds out instead.

`pytest-federated init DATA` looks at a file or a folder, guesses which of these data sets reads it,
with which keys, and writes a scenario: see [your own data](scenarios.md#your-own-data).

A data set of your own is a function that takes a `Cache` and returns a `Dataset`, registered with
`@pytest_federated.dataset("mine")`. Set `has_test_set=True` if it has its own test set, and pass
`test_natural` to `in_memory` or `Loaded` to say whose its examples are. Name
the files that it reads, so that trainings are not taken from the cache after one of the files
changes: `reads=lambda settings, cache: [cache.folder / "mine.sqlite"]`. For
random image augmentation, the `x` of the training examples also has a method
`augmented(index, rng)`, which is called in each round that a client takes part in. For `check`, the
trait `glance` is a function that takes the settings and yields each key that does not fit the
files, with the reason.

All readers refuse likely mistakes in a file, with a message of one line: columns that look like
an index or an identifier, lines that do not fit the header, missing and infinite numbers, numbers
so large that float32 merges them, and a test set that equals the training set. Images are scaled to
[0, 1], whether they have 8 or 16 bits, in files or in arrays. The results of your own functions are
checked, too: each example needs a label from 0 to `num_classes - 1`, or with the task regression a
number (float32), and finite features.
"""

ODD_FILES = """\
This is what the readers of your own files do with odd ones. Each of these files is written by the
tests and read: "refused" is a message of one line that names the place and what to do, and – that
there can be no such file. `tff`, and the data sets that you register, follow the same rules.
"""


def main() -> None:
    """Writes the page into the folder named on the command line, or into this one."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    entries = [datasets[name] for name in datasets.names()]
    sys.path.append(str(Path(__file__).parent.parent / "tests/helpers"))
    from odd_table import table

    head = [INTRODUCTION, ODD_FILES, f"{table()}\n", _contents(entries)]
    parts = [*head, *(as_entry(e, _origin(e)) for e in entries)]
    (folder / "datasets.md").write_text("\n".join(parts), encoding="utf-8")


def _facts(entry: Entry[Any, Any]) -> Facts:
    return entry.spec.facts


def _contents(entries: list[Entry[Any, Any]]) -> str:
    heads = ["data set", "examples", "shape of one", "labels", "natural clients"]
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for entry in entries:
        facts = _facts(entry)
        cells = [facts.examples, facts.shape, facts.labels, facts.natural or "none"]
        rows.append(f"| [`{entry.name}`](#{entry.name}) | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def _origin(entry: Entry[Any, Any]) -> str:
    facts = _facts(entry)
    lines = {"Files": facts.files, "License": facts.license}
    return " ".join(f"{what}: {text}." for what, text in lines.items() if text)


if __name__ == "__main__":
    main()
