"""Flower's simulation on ray, in its own environment, with one CPU for each client at a time.

Its clients use the arithmetic of the NumPy loop, and for the CNN that of the plain tf.function, so
Flower does not pay for Keras. Its nodes are the clients of a cohort, so it does not pay for clients
that do not take part. Federated evaluation is off.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from workloads import Federation, Weights, read


def rounds(federation: Federation) -> Iterator[Weights]:
    os.environ["FLWR_TELEMETRY_ENABLED"] = os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from flwr.app import ArrayRecord, ConfigRecord, Context
    from flwr.serverapp import Grid, ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    logging.getLogger("flwr").setLevel(logging.ERROR)
    done: queue.Queue[Any] = queue.Queue()
    go = threading.Semaphore(0)
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        def after_round(number: int, arrays: ArrayRecord) -> None:
            if number:
                done.put(arrays.to_numpy_ndarrays())
            go.acquire()  # waits until the next round is requested

        nodes = federation.work.cohort  # all of them: a round begins when they are registered
        FedAvg(fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes).start(
            grid,
            ArrayRecord(list(federation.start)),
            num_rounds=1_000_000,
            train_config=ConfigRecord({"folder": os.environ["BENCHMARK_FOLDER"]}),
            evaluate_fn=after_round,
        )

    def simulate() -> None:
        try:
            run_simulation(
                server,
                client_app(),
                federation.work.cohort,
                backend_config={
                    "init_args": {"num_cpus": os.cpu_count(), "include_dashboard": False},
                    "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
                },
            )
            done.put(RuntimeError("Flower's simulation ended"))
        except BaseException as error:
            done.put(error)

    threading.Thread(target=simulate, daemon=True).start()
    while True:
        go.release()
        outcome = done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        yield outcome


def client_app() -> Any:
    from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        config = message.content["config"]
        federation = _read(config["folder"])
        number = int(config["server-round"])
        client = federation.cohort(number)[context.node_config["partition-id"]]
        x, y = federation.examples(client, number)
        weights = message.content["arrays"].to_numpy_ndarrays()
        trained = _train(federation, weights, x, y)
        metrics = MetricRecord({"num-examples": len(y)})
        record = RecordDict({"arrays": ArrayRecord(list(trained)), "metrics": metrics})
        return Message(record, reply_to=message)

    return app


@lru_cache(maxsize=1)
def _read(folder: str) -> Federation:
    return read(Path(folder))


def _train(federation: Federation, weights: Weights, x: np.ndarray, y: np.ndarray) -> Weights:
    if federation.work.is_cnn:
        from sides.plain_tf import train
    else:
        from sides.numpy_loop import train
    return train(weights, x, y, federation.work.local_epochs)
