"""``citygan models``."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def models(as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False) -> None:
    """List the named models, and what each reproduces."""
    from citygan.presets import PRESETS

    if as_json:
        rows = {
            name: {"task": p.task, "summary": p.summary, "source": p.source, "settings": p.settings, "quick": p.quick}
            for name, p in PRESETS.items()
        }
        print(json.dumps({"models": rows}))
        return
    for task in sorted({p.task for p in PRESETS.values()}):
        print(f"{task}:")
        width = max(len(name) for name in PRESETS)
        for name, p in PRESETS.items():
            if p.task == task:
                print(f"  {name:{width}}  {p.summary}  ({p.source})")
