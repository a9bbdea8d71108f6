"""The code and the files of the user that scenarios name."""
