"""Algorithms whose clients end with models of their own."""

from __future__ import annotations

import abc
from typing import Any

from pytest_federated.clients.cohort import LocalWork
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.algorithms.algorithm import Algorithm, Judge
from pytest_federated.training.evaluation.central import Evaluation, mean


class OwnModels(Algorithm):
    """An algorithm that is judged by its clients' models, each on what its client is tested on."""

    @abc.abstractmethod
    def own_weights(self, state: Any, client: int) -> Any:
        """Returns the `tff.learning.models.ModelWeights` of a client's model."""

    def evaluate(
        self, state: Any, data: FederatedData, work: LocalWork, judge: Judge
    ) -> Evaluation:
        return mean(
            (judge(self.own_weights(state, client), examples), len(examples))
            for client, examples in data.tested_by_client()
        )

    def client_evaluations(
        self, state: Any, data: FederatedData, work: LocalWork, judge: Judge
    ) -> dict[int, Evaluation]:
        return {
            client: judge(self.own_weights(state, client), examples)
            for client, examples in data.tested_by_client()
        }
