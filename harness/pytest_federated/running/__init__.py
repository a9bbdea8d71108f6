"""From a scenario to its result: plan, fingerprint, store, and training here or on Dask."""
