"""Guesses what a stranger's data is: how it is read, and what is predicted from what."""
