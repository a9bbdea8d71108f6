"""Registries: the named functions that scenario files choose.

`registry` holds the lookups and the decorator, `entry` one registered function, `spec` the typed
traits of an entry, `choice` the fields of a scenario that choose from a registry, and `discovery`
the imports that find entries.
"""
