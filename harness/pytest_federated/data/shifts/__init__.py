"""Feature skew and concept shift by name: what is different about a client's examples.

A shift is a pure function of the features, or the labels, of one client's examples in their
fixed order, of whose they are (`Holder`), of a random generator of that client's own, and of its
keys from the scenario file. It returns what the client sees instead: same shape, same dtype. It
is applied when a client's examples are read, and gives the same in every round. The common test
set is left as it is.
"""
