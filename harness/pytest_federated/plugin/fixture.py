"""The `federated` fixture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union, cast

import pytest

from pytest_federated.core.errors import FederatedError
from pytest_federated.plugin.baselines import settle
from pytest_federated.plugin.execution import enforce, execute, shown, strictly
from pytest_federated.plugin.options import run_options
from pytest_federated.plugin.progress import ProgressBar
from pytest_federated.results.record import Result
from pytest_federated.running.pipeline import run_plan
from pytest_federated.running.plan import plan
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.schema import Scenario
from pytest_federated.user.modules import own_folders


class Federated:
    """Callable that runs a scenario for a test function."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._config = request.config
        self._path = request.path
        self._node: pytest.Item = cast("Any", request).node  # pytest declares no type

    def __call__(
        self, scenario: Union[Scenario, Mapping[str, Any]], *, judge: bool = True
    ) -> Result:
        """Runs `scenario` under pytest's options; its code and data may be beside the test's file.

        With `judge` a missed expectation fails the test; without, the verdicts are only in the
        result.

        Raises:
            ExpectationsFailed: an expectation does not hold, or the training diverged; an
                AssertionError.
            pytest.fail.Exception: the scenario cannot be run.
        """
        __tracebackhide__ = True
        start = self._config.invocation_params.dir
        try:
            with own_folders(self._path.parent, self._config.rootpath, start):
                if not isinstance(scenario, Scenario):
                    scenario = Scenario.model_validate(dict(scenario))
                planned = plan(Case(scenario), run_options(self._config))
                with ProgressBar(self._config, planned) as progress:
                    result = execute(self._config, planned, progress)
                settled = settle(
                    self._config,
                    result,
                    self._path,
                    lambda seeds: run_plan(planned.with_seeds(seeds), run_options(self._config)),
                )
        except FederatedError as error:
            pytest.fail(shown(error, self._config), pytrace=False)
        result = strictly(self._config, settled.result) if judge else settled.result
        self._node.user_properties += settled.properties
        if judge or result.status == "skipped":
            enforce(self._config, result)
        return result
