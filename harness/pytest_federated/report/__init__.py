"""Results as tables and Markdown."""
