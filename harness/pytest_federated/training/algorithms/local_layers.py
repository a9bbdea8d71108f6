"""Models of which some layers are each client's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.core.suggestions import suggest
from pytest_federated.training.algorithms.algorithm import AlgorithmInputs

if TYPE_CHECKING:
    from pytest_federated.training.models.adapters.keras import KerasAdapter

_KEY = "training.algorithm.local_layers"
_Named = Union[Literal["first", "last"], list[Union[int, str]]]
LocalLayers = Annotated[
    _Named,
    Field(description="Names of Keras layers, or places among those with weights; -1: last."),
]


def keras_adapter(inputs: AlgorithmInputs, name: str) -> KerasAdapter:
    """Returns the scenario's model, for an algorithm that divides it by its layers.

    Raises:
        ModelError: it is no Keras model.
    """
    from pytest_federated.training.models.adapters.keras import KerasAdapter

    if not isinstance(inputs.adapter, KerasAdapter):
        raise ModelError(
            f"training.algorithm: {name} divides a model by its layers, so it needs a Keras model"
        )
    return inputs.adapter


def divided(model: Any, local_layers: _Named, name: str) -> tuple[list[int], list[int]]:
    """Returns the positions of the trainable variables that are shared, and of those that are not.

    Args:
        model: a Keras model.
        local_layers: those that are not shared.
        name: of the algorithm.

    Raises:
        ModelError: there is no such layer, or no other one.
    """
    local = _positions(model, local_layers)
    shared = [i for i in range(len(model.trainable_variables)) if i not in local]
    if not shared:
        raise ModelError(
            f"{_KEY}: got {local_layers}; {name} shares the other layers, and there are none"
        )
    return shared, local


def in_order(positions: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """Returns values by their positions, of which there are all from 0 on."""
    return [value for _, value in sorted(zip(positions, values), key=lambda pair: pair[0])]


def _positions(model: Any, local_layers: Union[str, Sequence[Union[int, str]]]) -> list[int]:
    """Returns which of the model's trainable variables belong to the layers that stay local.

    Raises:
        ModelError: there is no such layer.
    """
    layers = [layer for layer in model.layers if layer.trainable_variables]
    names = [layer.name for layer in layers]
    words: dict[Any, list[Union[int, str]]] = {"first": [0], "last": [-1]}
    own: set[Any] = set()
    named = words[local_layers] if isinstance(local_layers, str) else local_layers
    for place in named:
        if isinstance(place, int) and -len(layers) <= place < len(layers):
            layer = layers[place]
        elif place in names:
            layer = layers[names.index(str(place))]
        else:
            raise ModelError(
                f"{_KEY}: got {place!r}; the model has {len(layers)} layers with weights to train "
                f"and no such one; {suggest(place, names)}"
            )
        own |= {variable.ref() for variable in layer.trainable_variables}
    return [i for i, v in enumerate(model.trainable_variables) if v.ref() in own]
