"""Learning rate schedules by name: what a learning rate is multiplied by, by round."""
