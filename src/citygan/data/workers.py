"""Work on threads, handed back in order. Pillow, OpenCV and NumPy let go of the interpreter lock while they work."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def default_workers() -> int:
    """One a core that this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def in_order(
    function: Callable[[_Task], _Result], tasks: Iterable[_Task], workers: int, *, ahead: int = 2
) -> Iterator[_Result]:
    """`function` of each task, computed on `workers` threads and yielded in the tasks' order.

    Never more than ``workers + ahead`` results exist at once, so that memory stays flat. An exception is raised where
    its result would have been yielded.
    """
    waiting: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="prepare")
    try:
        for task in tasks:
            waiting.append(pool.submit(function, task))
            if len(waiting) >= workers + ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def opencv_in_one_thread() -> Iterator[None]:
    """Keeps OpenCV from starting threads of its own within each of ours."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
