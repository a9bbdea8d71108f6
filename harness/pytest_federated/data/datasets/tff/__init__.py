"""TFF's federated data sets, and clients that a function gives as TFF's `ClientData`."""
