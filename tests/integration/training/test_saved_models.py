"""The final model in the result, in files, and as the start of other trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import pytest_run
from pytest_federated import FederatedError, Options, Result, Scenario, run
from pytest_federated.core.errors import NotKept
from pytest_federated.training.final_model import FinalModel
from scenario_texts import TINY

MODELS = '''
import collections
import tensorflow as tf
import tensorflow_federated as tff


class Apply(tf.keras.layers.Layer):
    """A layer that Keras cannot save, as a file cannot hold a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


def scaled():
    return tf.keras.Sequential([
        tf.keras.Input((8, 8, 1)), Apply(lambda x: x / 2), tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(10),
    ])


def normalized():
    return tf.keras.Sequential([
        tf.keras.Input((8, 8, 1)),
        tf.keras.layers.Flatten(),
        tf.keras.layers.LayerNormalization(trainable=False),
        tf.keras.layers.Dense(10),
    ])


def functional():
    spec = collections.OrderedDict(
        x=tf.TensorSpec((None, 8, 8, 1), tf.float32), y=tf.TensorSpec((None,), tf.int32)
    )

    @tf.function
    def predict(weights, x, training):
        (kernel, bias), _ = weights
        return tf.reshape(x, (-1, 64)) @ kernel + bias

    @tf.function
    def loss(outputs, labels, sample_weight=None):
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(labels, [-1]), outputs)
        )

    draw = tf.keras.initializers.GlorotUniform()
    weights = ((draw((64, 10)).numpy(), tf.zeros(10).numpy()), ())
    return tff.learning.models.FunctionalModel(
        initial_weights=weights, predict_on_batch_fn=predict, loss_fn=loss, input_spec=spec
    )
'''

pytestmark = pytest.mark.usefixtures("running")


@pytest.fixture(autouse=True)
def in_a_folder_with_models(in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_tmp_path / "own_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(in_tmp_path))


def scenario(model: Any, **training: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "s",
            "data": {"dataset": "digits"},
            "clients": {"count": 4},
            "model": model,
            "training": {"rounds": 2, **training},
            "seeds": [0, 3],
        }
    )


def kept(model: Any) -> Result:
    return run(scenario(model), Options(keep_models=True))


@pytest.mark.parametrize(
    "model, suffixes",
    [
        ({"kind": "mlp", "hidden": [16]}, [".keras", ".npz"]),
        ({"keras": "own_models:normalized"}, [".keras", ".npz"]),
        ({"functional": "own_models:functional"}, [".npz"]),
    ],
    ids=["ours", "half-frozen", "functional"],
)
def test_other_trainings_begin_with_the_saved_weights(model: Any, suffixes: list[str]) -> None:
    result = kept(model)
    files = result.save(Path("saved"))
    assert sorted(file.name for file in files) == [f"seed-{n}{s}" for n in (0, 3) for s in suffixes]
    still = {"client_optimizer": {"kind": "sgd", "learning_rate": 1e-30}, "rounds": 1}
    for suffix in suffixes:
        begun = run(scenario({**model, "initial_weights": f"saved/seed-{{seed}}{suffix}"}, **still))
        assert begun.accuracies == result.accuracies
    assert result.accuracies[0] != result.accuracies[1]


@pytest.mark.parametrize("model", ["tutorial", "cnn_cifar10_tutorial"])
def test_keras_loads_the_whole_model(model: str) -> None:
    import tensorflow as tf

    result = run(scenario(model, rounds=1), Options(keep_models=True))
    result.save(Path("saved"))
    loaded = tf.keras.models.load_model("saved/seed-3.keras")
    assert loaded is not None
    for weight, saved in zip(loaded.get_weights(), result.model_weights[3]):
        np.testing.assert_array_equal(weight, saved)


def test_a_model_that_keras_cannot_save_has_its_weights_saved() -> None:
    with pytest.warns(NotKept, match="the .keras file of the model cannot be written"):
        result = kept({"keras": "own_models:scaled"})
    assert [file.name for file in result.save(Path("saved"))] == ["seed-0.npz", "seed-3.npz"]


def test_seeds_with_different_weights_are_different_trainings() -> None:
    """Even though the file's name in the scenario, and so its settings, are the same."""
    options = Options()
    model = {"kind": "linear", "initial_weights": "w-{seed}.npz"}
    for seed in (0, 3):
        FinalModel((np.full((64, 10), 1.0 * seed), np.arange(10.0))).save(Path(f"w-{seed}"))
    first = run(scenario(model), options)
    FinalModel((np.eye(64, 10), np.arange(10.0))).save(Path("w-3"))
    second = run(scenario(model), options)
    assert second.reused == 1
    assert first.histories[0].rounds == second.histories[0].rounds
    assert first.histories[1].rounds != second.histories[1].rounds


@pytest.mark.parametrize("keeps", [True, False])
def test_without_a_model_nothing_is_saved(keeps: bool) -> None:
    algorithm = "local_only" if keeps else "fedavg"
    result = run(scenario("linear", algorithm=algorithm), Options(keep_models=keeps))
    assert result.model_weights == {}
    with pytest.raises(FederatedError, match="s has no model to save"):
        result.save(Path("saved"))


@pytest.mark.slow
@pytest.mark.usefixtures("tff_programs")
def test_pytest_also_saves_the_models_of_cached_trainings(in_tmp_path: Path) -> None:
    local = TINY.replace("rounds: 2", "algorithm: local_only, rounds: 2").replace("tiny", "local")
    (in_tmp_path / "pytest.ini").touch()
    (in_tmp_path / "scenarios").mkdir()
    (in_tmp_path / "scenarios/f.yaml").write_text(
        f"{TINY}matrix: {{clients.count: [4]}}\n---\n{local}"
    )
    assert "2 passed" in pytest_run(in_tmp_path)
    output = pytest_run(in_tmp_path, "--fed-save-models=models")
    assert "2 passed" in output
    assert "what --fed-save-models asks for cannot be written: local has no model" in output
    saved = sorted(str(p.relative_to(in_tmp_path)) for p in in_tmp_path.glob("models/*/*"))
    assert saved == ["models/tiny-count=4/seed-0.keras", "models/tiny-count=4/seed-0.npz"]
