"""Makes mnist-8x8.npz, the weights that model-initial-weights in linear.yaml begins with.

``uv run python scenarios/models/pretrain.py`` fits a logistic regression to MNIST, scaled to the
size of scikit-learn's digits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pytest_federated.data.datasets.dataset import Cache, datasets
from sklearn.linear_model import LogisticRegression


def main() -> None:
    """Writes the archive next to this file: kernel (64, 10) and bias (10,), float32."""
    loaded = datasets["mnist_5k"].function(Cache(Path("unused"))).load(None)
    inner = loaded.train.x[:, 4:24, 4:24, 0]  # MNIST's digits lie within this box
    small = np.kron(inner, np.ones((2, 2))).reshape(len(inner), 8, 5, 8, 5).mean(axis=(2, 4))
    fitted = LogisticRegression(C=0.1, max_iter=1000)
    fitted.fit(small.reshape(len(small), 64), loaded.train.y)
    kernel, bias = (np.asarray(v, np.float32) for v in (fitted.coef_.T, fitted.intercept_))
    np.savez(Path(__file__).with_name("mnist-8x8.npz"), kernel=kernel, bias=bias)


if __name__ == "__main__":
    main()
