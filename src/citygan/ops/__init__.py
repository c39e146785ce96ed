"""Tensor operators without parameters."""
