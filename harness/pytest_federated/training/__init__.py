"""Models, algorithms, and the loop that runs them through TensorFlow Federated."""
