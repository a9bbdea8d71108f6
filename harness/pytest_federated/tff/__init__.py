"""TensorFlow Federated's execution: importing it quietly, and owning its worker process."""
