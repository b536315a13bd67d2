"""Functions over series of one signal."""
