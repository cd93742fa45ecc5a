"""A gate before an exporter, and the thread that lets out what waited in it."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Callable, Generic, TypeVar

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

from portacode.otel._gate import Gate, GateLimits

T = TypeVar("T")

logger = logging.getLogger("portacode.otel")


class Door(Generic[T]):
    """Hands batches to `send`, now or when the clock has been synchronised.

    Args:
        send: Re-dates a batch and gives it to the program's exporter.
        success: What the exporter gives for a batch that it took.
        synchronised: Whether the clock has ever been synchronised in this process.
        limits: What may wait.
        size_of: A guess at an item's size in bytes.
    """

    def __init__(
        self,
        send: Callable[[list[T]], Any],
        success: Any,
        synchronised: Callable[[], bool],
        limits: GateLimits,
        size_of: Callable[[T], int],
    ) -> None:
        self._send = send
        self._success = success
        self._synchronised = synchronised
        self._limits = limits
        self._size_of = size_of
        self.after_fork()

    def after_fork(self) -> None:
        """In a child: what waits is the parent's, and so are the threads that held the locks."""
        self._gate = Gate(self._limits, self._size_of)
        # Reentrant: what an exporter does may be logged, and come here again.
        self._changed = threading.Condition(threading.RLock())
        self._turn = threading.RLock()
        self._waiter: threading.Thread | None = None
        self._letting_out = False

    def export(self, batch: list[T]) -> Any:
        """Sends a batch, or has it wait, which is a success."""
        synchronised = self._synchronised()
        with self._changed:
            passes, leaving = self._gate.admit(batch, time.monotonic(), synchronised)
            if not passes and len(self._gate) and self._waiter is None:
                self._begin_waiting()
            behind = len(self._gate) > 0 or self._letting_out
            is_open = self._gate.is_open(time.monotonic(), synchronised)
        if not passes:
            if leaving:
                with self._turn:
                    self._send(leaving)
            if is_open:
                self._let_out()
            return self._success
        if behind:
            with self._turn:
                self._let_out()
                return self._send(batch)
        return self._send(batch)

    def flush(self, wait_s: float, limit_s: float) -> bool:
        """Waits for synchronisation, lets out what waits, and tells whether it was in time.

        A gate whose time is not over stays closed for what comes later.
        """
        begun_s = time.monotonic()
        released = False
        while True:
            synchronised = self._synchronised()
            passed_s = time.monotonic() - begun_s
            with self._changed:
                is_open = self._gate.is_open(time.monotonic(), synchronised)
                if not is_open and passed_s >= wait_s and not released:
                    self._gate.release()
                    released = True
                self._changed.notify_all()
                left = self._gate.leaving if is_open or released else len(self._gate)
                if not left and not self._letting_out:
                    return True
                if passed_s >= limit_s:
                    return False
                self._changed.wait(min(_LOOK_S, limit_s - passed_s))

    def end(self, limit_s: float) -> bool:
        """Lets all out, from now on, and tells whether what waited left in time."""
        with self._changed:
            self._gate.open()
        return self.flush(0.0, limit_s)

    def left_s(self) -> float:
        """How long the oldest item still waits, if nothing happens."""
        with self._changed:
            return self._gate.left_s(time.monotonic())

    def _begin_waiting(self) -> None:
        self._waiter = threading.Thread(target=self._wait, name="otel gate", daemon=True)
        try:
            self._waiter.start()
        except RuntimeError:
            # The interpreter ends, and nobody would let it out later.
            self._waiter = None
            self._gate.open()

    def _wait(self) -> None:
        # As in the SDK's own threads: what exporting does is not to be traced itself.
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            while True:
                synchronised = self._synchronised()
                with self._changed:
                    is_open = self._gate.is_open(time.monotonic(), synchronised)
                    if not is_open and not self._gate.leaving:
                        self._changed.wait(_LOOK_S)
                        continue
                self._let_out()
                if is_open:
                    break
        finally:
            detach(token)
            with self._changed:
                self._waiter = None
                self._changed.notify_all()

    def _let_out(self) -> None:
        """Sends what waited; a batch that the exporter refuses is lost, as if it had not waited."""
        with self._turn:
            while True:
                with self._changed:
                    batch = self._gate.next()
                    self._letting_out = batch is not None
                    if batch is None:
                        self._changed.notify_all()
                        return
                try:
                    self._send(batch)
                except Exception:
                    logger.exception("the items that waited for the clock could not be exported")


# How often a thread looks whether the clock is synchronised, while something waits.
_LOOK_S = 0.02
