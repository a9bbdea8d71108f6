"""What a scenario's run leaves behind, and where it is kept."""
