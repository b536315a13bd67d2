"""Functions over series of several signals."""
