"""The synthetic clients of TFF's own baseline tasks, `tff.simulation.baselines`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pytest_federated.data.datasets.crops import center_crops, in_minus_one_to_one, random_crops
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    Facts,
    TaskKind,
    datasets,
    in_memory,
)
from pytest_federated.data.datasets.rows import Converted
from pytest_federated.tff.imports import import_tff

Task = Annotated[
    Literal[
        "emnist_character",
        "cifar100_image",
        "shakespeare_character",
        "stackoverflow_word",
        "stackoverflow_tag",
        "landmark",
    ],
    Field(description="The task whose clients they are."),
]
_SPECIAL = 4  # padding, unknown, begin and end


@datasets(
    "tff_synthetic",
    has_test_set=True,
    facts=Facts(
        examples="a few",
        shape="that of the task",
        labels="those of the task",
        natural="1 to 3",
        files="the package tensorflow-federated",
    ),
)
def tff_synthetic(cache: Cache, *, task: Task = "emnist_character") -> Dataset:
    """The few synthetic clients of one of TFF's baseline tasks: a trial run with no download.

    The examples are preprocessed by TFF's task (`use_synthetic_data=True`). They have the shapes of
    `emnist` with all characters, `shakespeare` and `stackoverflow`, but a small vocabulary of their
    own; those of `cifar100_image` are (24, 24, 3), cropped and standardized. Those of `landmark`
    are (128, 128, 3): three images, the same for training and testing, of which clients train on
    crops that are taken and mirrored at random in each round, as with `gldv2`. They show that a
    model of TFF's tasks (`tff_emnist`, ...) runs, not how well it learns.

    Source: https://www.tensorflow.org/federated/api_docs/python/tff/simulation/baselines

    Raises:
        RuntimeUnavailable: TFF is not installed.

    """
    simulation = import_tff().simulation
    tasks, data = simulation.baselines, simulation.datasets
    details: dict[str, tuple[Any, int, TaskKind]] = {
        "emnist_character": (tasks.emnist.create_character_recognition_task, 62, "label"),
        "cifar100_image": (tasks.cifar100.create_image_classification_task, 100, "label"),
        "shakespeare_character": (tasks.shakespeare.create_character_prediction_task, 90, "tokens"),
        "stackoverflow_word": (
            tasks.stackoverflow.create_word_prediction_task,
            len(data.stackoverflow.get_synthetic_word_counts()) + _SPECIAL,
            "tokens",
        ),
        "stackoverflow_tag": (
            tasks.stackoverflow.create_tag_prediction_task,
            len(data.stackoverflow.get_synthetic_tag_counts()),
            "tags",
        ),
        "landmark": (tasks.landmark.create_landmark_classification_task, 2028, "label"),
    }
    create, classes, kind = details[task]
    spec = tasks.ClientSpec(num_epochs=1, batch_size=1000, shuffle_buffer_size=1)
    of_task = create(spec, spec, use_synthetic_data=True).datasets
    if task == "landmark":  # one client, whose images are also the test set
        (images,) = of_task.test_data.batch(1000).as_numpy_iterator()
        test = _read(of_task.eval_preprocess_fn, of_task.test_data, kind)
        size = test.x.shape[1:3]
        x = Converted(
            images["image/decoded"],
            lambda rows: in_minus_one_to_one(center_crops(rows, size)),
            augment=lambda rows, rng: in_minus_one_to_one(random_crops(rows, size, rng)),
        )
        ids = np.repeat(np.array(of_task.train_data.client_ids, str), len(test))
        train = Examples(x, test.y)
        return in_memory(f"tff_synthetic {task}", train, classes, ids, kind, test=test)
    owners: list[str] = []
    parts = []
    for client in of_task.train_data.client_ids:
        rows = of_task.train_data.create_tf_dataset_for_client(client)
        parts.append(_read(of_task.train_preprocess_fn, rows, kind))
        owners += [str(client)] * len(parts[-1])
    tests = [
        _read(of_task.eval_preprocess_fn, of_task.test_data.create_tf_dataset_for_client(c), kind)
        for c in of_task.test_data.client_ids
    ]
    train, test = _joined(parts), _joined(tests)
    return in_memory(f"tff_synthetic {task}", train, classes, np.array(owners), kind, test=test)


def _read(preprocess: Any, rows: Any, kind: TaskKind) -> Examples:
    x, y = (np.concatenate(part) for part in zip(*preprocess(rows).as_numpy_iterator()))
    x = x.astype(np.int32 if kind == "tokens" else np.float32)
    y = np.where(y == 0, -1, y) if kind == "tokens" else y
    y = y.reshape(len(y)) if kind == "label" else y  # those of landmarks are (n, 1)
    return Examples(x, y.astype(np.int8 if kind == "tags" else np.int32))


def _joined(parts: list[Examples]) -> Examples:
    return Examples(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))
