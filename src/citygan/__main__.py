"""``python -m citygan``."""

from citygan.cli import main

main()
