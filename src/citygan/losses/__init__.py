"""Losses: pure functions of tensors, one term each."""
