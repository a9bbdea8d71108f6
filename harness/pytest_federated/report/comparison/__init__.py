"""The variants of a matrix compared with one of them, as a paper would print it."""
