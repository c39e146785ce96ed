"""What the benchmarks share: interleaved repeats, ratios pair by pair, and a record that says how it was made."""

from __future__ import annotations

import json
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "torchvision", "numpy", "opencv-python", "scikit-image", "pillow", "citygan")


def interleaved(
    calls: dict[str, Callable[[], object]],
    repeats: int,
    warmup: int = 2,
    synchronise: Callable[[], object] | None = None,
) -> dict[str, list[float]]:
    """Wall seconds of each call, taken in turn (A B C A B C ...) so that a drifting machine meets them alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(repeats + warmup):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if synchronise is not None:
                synchronise()
            if i >= warmup:
                times[name].append(time.perf_counter() - start)
    return times


def compare(times: dict[str, list[float]], ours: str, theirs: str) -> dict[str, Any]:
    """Medians, raw repeats, and how many times as fast as theirs ours is: the median of the pairs' ratios."""
    ratios = [b / a for a, b in zip(times[ours], times[theirs], strict=True)]
    return {
        "ours_median_s": statistics.median(times[ours]),
        "theirs_median_s": statistics.median(times[theirs]),
        "speedup": statistics.median(ratios),
        "speedup_min": min(ratios),
        "speedup_max": max(ratios),
        "raw_s": {"ours": times[ours], "theirs": times[theirs]},
    }


def peak_memory_mb(code: str, device: str = "cpu") -> float:
    """Peak memory of a fresh process that runs `code`, in MB: resident, or what it had allocated on a CUDA device."""
    if device.startswith("cuda"):
        report = f"\nimport torch\nprint('PEAK', torch.cuda.max_memory_allocated({device!r}) // 1024)"
    else:
        # not getrusage: its peak is handed down from the process that started this one
        file = "open('/proc/self/status')"
        report = f"\nprint('PEAK', next(line.split()[1] for line in {file} if line.startswith('VmHWM')))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return int(done.stdout.rsplit("PEAK", 1)[1]) / 1024


def own_peak_memory_mb() -> float:
    """Peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def record(results: Any, device: str = "cpu") -> dict[str, Any]:
    """Results with the command, device, versions and date."""
    return {
        "command": "python " + " ".join(shlex.quote(word) for word in [_relative(sys.argv[0]), *sys.argv[1:]]),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "device": describe(device),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "results": results,
    }


def commit() -> str | None:
    """The commit that was measured, with ``+`` where files differ from it; None outside a checkout."""
    root = Path(__file__).parent
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    changed = subprocess.run(["git", "status", "--porcelain", "../../src"], cwd=root, capture_output=True, text=True)
    return found.stdout.strip() + ("+" if changed.stdout else "") if found.returncode == 0 else None


def describe(device: str) -> str:
    """The processor or GPU, and how many threads there are."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def write(path: Path, value: dict[str, Any]) -> None:
    """Writes a record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)


def _relative(path: str) -> str:
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return Path(path).name
