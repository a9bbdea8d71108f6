"""Client participation: who takes part in a round, who drops out, who is slow, and who attacks.

Pure NumPy over a population of clients. What is drawn for a round depends on the seed, the round
and the population alone, and so not on what other rounds drew.
"""
