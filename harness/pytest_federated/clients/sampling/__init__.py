"""Client sampling by name: who is asked to take part in a round.

A sampler takes the population, the number of clients that the scenario asks for, the number of
the round (from 1), a random generator of this round, and its keys from the scenario file. It
returns the int positions of the clients it draws, in any order; none is a valid outcome.
"""
