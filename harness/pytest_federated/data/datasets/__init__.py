"""Data sets by name, each in a file of its own.

A data set function takes a `Cache` and its keys from the scenario file, and returns a
`Dataset`. Images are float32 in [0, 1] of shape (height, width, channels), rows of a table
float32 of shape (features,), texts int32 of shape (characters,); labels are int32.
"""
