"""Data sets that come with installed packages, or that Debian, Keras or scikit-learn keep."""
