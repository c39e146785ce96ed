"""From files on disk to a prepared set."""

from __future__ import annotations

from citygan.data.city import prepare_demo

__all__ = ["prepare_demo"]
