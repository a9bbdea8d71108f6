"""Readers of the user's own files: tables, arrays, images."""
