"""The pytest plugin: options, collection, the item, progress and the session's report."""
