"""Sizes that are drawn at random."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.data.sizes.size import sizes


@sizes("dirichlet", example={"alpha": 1.0})
def dirichlet(
    clients: int,
    examples: int,
    rng: np.random.Generator,
    *,
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Lower is less even.")],
) -> np.ndarray:
    """Shares of all examples drawn from Dirichlet(alpha).

    Source: Li et al., Federated Learning on Non-IID Data Silos (NIID-Bench), ICDE 2022, section
    IV-C ("quantity skew"), arXiv:2102.02079.
    """
    return rng.dirichlet(np.full(clients, float(np.clip(alpha, 1e-6, 1e9))))


@sizes("lognormal", example={"sigma": 1.0})
def lognormal(
    clients: int,
    examples: int,
    rng: np.random.Generator,
    *,
    sigma: Annotated[float, Field(ge=0, le=20, description="Higher is less even; 0 is even.")],
) -> np.ndarray:
    """Sizes whose logarithms are normal with standard deviation `sigma`.

    Source: A. E. Acar et al., Federated Learning Based on Dynamic Regularization, ICLR 2021,
    arXiv:2111.04263 ("unbalanced data"); D. Zeng et al., FedLab, JMLR 24, 2023.
    """
    return rng.lognormal(0, sigma, clients)


@sizes("power_law", example={"exponent": 2.5})
def power_law(
    clients: int,
    examples: int,
    rng: np.random.Generator,
    *,
    exponent: Annotated[
        float, Field(gt=1, le=100, description="Of the density; lower is less even.")
    ],
) -> np.ndarray:
    """Sizes drawn from the power law p(n) ~ n^-exponent, above a smallest size (Pareto).

    Source: T. Li et al., Federated Optimization in Heterogeneous Networks (FedProx), MLSys 2020,
    section 5.1 ("the number of samples per device follows a power law"; no exponent is given),
    arXiv:1812.06127.
    """
    # Of the logarithms, as the largest draw of a heavy tail may be beyond float64.
    size = rng.standard_exponential(clients) / (exponent - 1)
    return np.exp(size - size.max())
