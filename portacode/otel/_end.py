"""Waiting for a backend, for so long and no longer."""

from __future__ import annotations

import queue
import threading
from typing import Callable


class Patience:
    """Does one thing after another in a thread of its own, for which others wait as they please.

    The thread is there beforehand: when a process ends no more can be started. It is a daemon, so
    what is not done in time is left undone.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="otel patience", daemon=True).start()

    def done_within(self, job: Callable[[], bool], limit_s: float) -> bool:
        """What the job gives; False where that takes longer, or it raises."""
        outcome: queue.SimpleQueue[bool] = queue.SimpleQueue()

        def work() -> None:
            try:
                outcome.put(job())
            except Exception:
                outcome.put(False)

        self._jobs.put(work)
        try:
            return outcome.get(timeout=limit_s)
        except queue.Empty:
            return False

    def _work(self) -> None:
        while True:
            self._jobs.get()()
