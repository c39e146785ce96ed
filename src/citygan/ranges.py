"""Values outside their ranges: found where settings are made, all at once."""

from __future__ import annotations


class OutOfRange(ValueError):
    """Values outside their ranges: (key, what is wrong) of each."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {text}" for key, text in problems))
        self.problems = problems


def check(*rows: tuple[bool, str, object, str]) -> None:
    """Refuses all that does not hold at once: (whether it holds, key, value, what is expected)."""
    problems = [(key, f"expected {expected}, got {value}") for holds, key, value, expected in rows if not holds]
    if problems:
        raise OutOfRange(problems)
