"""FedAvg by Flower's strategy and simulation, with Keras in its clients, as in Flower's quickstart.

``python -m cross.flower_side FOLDER`` runs in Flower's own environment, reads the federation from
the folder and writes ``flower.json`` there: accuracy and loss after each round.

Flower draws no clients here: it has as many nodes as a cohort has clients, all take part in every
round, and each trains on the examples of that round's client.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = "CROSS_CHECK_FOLDER"


def main(folder: Path) -> None:
    os.environ.update(
        {
            FOLDER: str(folder),
            "FLWR_TELEMETRY_ENABLED": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
    )
    from flwr.app import ArrayRecord, Context, MetricRecord
    from flwr.serverapp import Grid, ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    from cross.federation import read

    logging.getLogger("flwr").setLevel(logging.ERROR)
    federation, model = read(folder), _model(str(folder))
    curve: list[tuple[float, float]] = []
    server = ServerApp()

    def judge(number: int, arrays: ArrayRecord) -> MetricRecord:
        model.set_weights(arrays.to_numpy_ndarrays())
        figures = model.evaluate(
            federation.test_x, federation.test_y, batch_size=1000, verbose=0, return_dict=True
        )
        if number:
            curve.append((float(figures["accuracy"]), float(figures["loss"])))
        return MetricRecord({name: float(value) for name, value in figures.items()})

    nodes = federation.cohorts.shape[1]

    @server.main()
    def serve(grid: Grid, context: Context) -> None:
        FedAvg(fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes).start(
            grid,
            ArrayRecord(list(federation.start)),
            num_rounds=len(federation.orders),
            evaluate_fn=judge,
        )

    run_simulation(
        server,
        client_app(),
        nodes,
        backend_config={
            "init_args": {"num_cpus": os.cpu_count(), "include_dashboard": False},
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        },
    )
    (folder / "flower.json").write_text(json.dumps(curve))


def client_app() -> Any:
    """Returns Flower's client; the environment names the folder with its federation."""
    from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        folder = os.environ[FOLDER]
        federation, model = _federation(folder), _model(folder)
        number = int(message.content["config"]["server-round"])
        order = federation.orders[number - 1][context.node_config["partition-id"]]
        model.set_weights(message.content["arrays"].to_numpy_ndarrays())
        model.fit(
            federation.x[order],
            federation.y[order],
            batch_size=federation.batch_size,
            epochs=federation.local_epochs,
            shuffle=False,
            verbose=0,
        )
        record = RecordDict(
            {
                "arrays": ArrayRecord(model.get_weights()),
                "metrics": MetricRecord({"num-examples": len(order)}),
            }
        )
        return Message(record, reply_to=message)

    return app


@lru_cache(maxsize=1)
def _federation(folder: str) -> Any:
    from cross.federation import read

    return read(Path(folder))


@lru_cache(maxsize=1)
def _model(folder: str) -> Any:
    """Returns the MLP, built once for each process."""
    import keras

    federation = _federation(folder)
    widths = [bias.shape[0] for bias in federation.start[1::2]]
    hidden = [keras.layers.Dense(width, activation="relu") for width in widths[:-1]]
    inputs = keras.layers.Input((federation.x.shape[1],))
    model = keras.Sequential([inputs, *hidden, keras.layers.Dense(widths[-1])])
    model.compile(
        optimizer=keras.optimizers.SGD(federation.rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=60,  # the same, in fewer calls
    )
    return model


if __name__ == "__main__":
    from cross import flower_side  # so that ray's processes find the client under its own name

    flower_side.main(Path(sys.argv[1]))
