"""Responses that the server does not have yet: kept in order, bounded, and on disk if wished."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from portacode.connection.handlers.base import Reply

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger("portacode.connection")


class OutboxError(Exception):
    """The outbox's file cannot be used; the message says why."""


class Outbox:
    """Keeps each response until it is acknowledged, or says that it cannot.

    Args:
        path: A file in which responses survive the end of the process (not that of the machine);
            None keeps them in memory alone.
        count: The most responses kept.
        size: The most bytes kept.
        age_s: How long a response is kept.

    Raises:
        OutboxError: Where the file cannot be used.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        count: int = 1_000,
        size: int = 16 * 1024 * 1024,
        age_s: float = 900.0,
    ) -> None:
        self._count_max, self._size_max, self._age_s = count, size, age_s
        # By delivery_id, in the order in which they came.
        self._kept: dict[str, _Kept] = {}
        self._size = 0
        self.dropped = 0
        """How many were dropped unacknowledged since the start."""
        self._file = _Journal(path) if path is not None else None
        if self._file is not None:
            for reply in self._file.replies:
                self._keep(reply)
            if self._kept:
                logger.info("%d responses wait from before in %s", len(self._kept), path)

    @property
    def waiting(self) -> int:
        """How many are kept."""
        return len(self._kept)

    @property
    def on_disk(self) -> bool:
        """Whether what is kept survives the process."""
        return self._file is not None and self._file.usable

    def add(self, reply: Reply) -> None:
        """Keeps a response; where there is no more room the oldest are dropped for it."""
        self._keep(reply)
        if self._file is not None:
            self._file.add(reply)
        while len(self._kept) > self._count_max or self._size > self._size_max:
            self._drop(next(iter(self._kept)), "the outbox is full")

    def ack(self, delivery_id: str) -> bool:
        """The server has it; tells whether it was kept."""
        return self._remove(delivery_id)

    def next_unsent(self) -> Reply | None:
        """The oldest that has not been sent over this connection, marked as sent."""
        for kept in self._kept.values():
            if kept.sent_at is None:
                kept.sent_at = time.monotonic()
                return kept.reply
        return None

    def rewind(self) -> None:
        """A new connection: everything is to be sent again."""
        for kept in self._kept.values():
            kept.sent_at = None

    def tend(self, unanswered_s: float) -> None:
        """Drops what is too old; what was sent so long ago without an answer is sent again."""
        now = time.monotonic()
        for delivery_id, kept in list(self._kept.items()):
            if now - kept.added_at > self._age_s:
                self._drop(delivery_id, f"not delivered within {self._age_s:g} s")
            elif kept.sent_at is not None and now - kept.sent_at > unanswered_s:
                kept.sent_at = None

    def close(self) -> None:
        """Gives the file free."""
        if self._file is not None:
            self._file.close()

    def _keep(self, reply: Reply) -> None:
        self._kept[reply.delivery_id] = _Kept(reply)
        self._size += len(reply.frame)

    def _remove(self, delivery_id: str) -> bool:
        kept = self._kept.pop(delivery_id, None)
        if kept is None:
            return False
        self._size -= len(kept.reply.frame)
        if self._file is not None:
            self._file.remove(delivery_id, [kept.reply for kept in self._kept.values()])
        return True

    def _drop(self, delivery_id: str, why: str) -> None:
        reply = self._kept[delivery_id].reply
        self._remove(delivery_id)
        self.dropped += 1
        logger.error("response to %s dropped, %s", reply.request_id, why)


class _Kept:
    """A response and what has been done with it."""

    __slots__ = ("added_at", "reply", "sent_at")

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.added_at = time.monotonic()
        self.sent_at: float | None = None


class _Journal:
    """The file: a line for each response that came and for each that went."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.usable = True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _opened(path)
            self.replies = self._read()
        except BlockingIOError as error:
            raise OutboxError(f"{path} is in use: another device has this outbox") from error
        except OSError as error:
            raise OutboxError(f"cannot use {path}: {error.strerror}") from error
        self._rewrite(self.replies)

    def add(self, reply: Reply) -> None:
        self._write({"add": list(reply)})

    def remove(self, delivery_id: str, left: list[Reply]) -> None:
        self._write({"gone": delivery_id})
        if self._lines > _LINES_MAX and self._lines > 4 * len(left):
            self._rewrite(left)

    def close(self) -> None:
        self.usable = False
        self._let_go()

    def _let_go(self) -> None:
        # Everything to be written has been written, or reported as lost.
        with contextlib.suppress(OSError):
            self._file.close()

    def _read(self) -> list[Reply]:
        self._file.seek(0)
        kept: dict[str, Reply] = {}
        broken = 0
        for line in filter(None, self._file.read().decode(errors="replace").split("\n")):
            try:
                entry: Any = json.loads(line)
                if "add" in entry:
                    delivery_id, request_id, frame = (str(part) for part in entry["add"])
                    kept[delivery_id] = Reply(delivery_id, request_id, frame)
                else:
                    kept.pop(str(entry["gone"]), None)
            # The last line of a process that was killed may be half of one.
            except (ValueError, TypeError, KeyError, RecursionError):
                broken += 1
        if broken:
            logger.warning("%s: %d lines could not be read", self._path, broken)
        return list(kept.values())

    def _rewrite(self, replies: list[Reply]) -> None:
        """Leaves out what has gone; whenever the process is killed, one of the files is whole."""
        self._lines = len(replies)
        beside = self._path.with_name(self._path.name + ".new")
        try:
            file = _opened(beside)
            try:
                file.truncate(0)
                text = "".join(json.dumps({"add": list(reply)}) + "\n" for reply in replies)
                _write_all(file, text.encode())
                os.replace(beside, self._path)
            except OSError:
                file.close()
                beside.unlink()
                raise
        except OSError as error:
            self._give_up(error)
            return
        self._let_go()
        self._file = file

    def _write(self, entry: dict[str, Any]) -> None:
        if not self.usable:
            return
        try:
            # At once, so that it survives the process; the machine is another matter.
            _write_all(self._file, (json.dumps(entry) + "\n").encode())
        except OSError as error:
            self._give_up(error)
        self._lines += 1

    def _give_up(self, error: OSError) -> None:
        self.usable = False
        logger.error(
            "%s: %s; responses are kept in memory alone from here on", self._path, error.strerror
        )


def _opened(path: Path) -> io.FileIO:
    """Opened and locked, without a buffer; BlockingIOError where another process has it."""
    while True:
        # Responses may hold what is nobody else's business.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        file = io.FileIO(descriptor, "a+")
        try:
            import fcntl
        except ImportError:
            return file  # Windows, where two devices on one file are not noticed.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return file
        except OSError:
            file.close()
            raise
        # The process that had it has put another in its place meanwhile, and has that one locked.
        file.close()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _write_all(file: io.FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


_LINES_MAX = 1_000
