"""Ports for the servers that tests start, each given to one test at a time."""

from __future__ import annotations

import os
import random
import socket
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


def free_port() -> int:
    """A port of the loopback address that nobody else is given while this process runs.

    It is none of those that the system hands out by itself, to a socket bound to port 0 and to
    every outgoing connection: such a one could be taken before the server that is to have it has
    started, or between its end and its next start.
    """
    for port in random.SystemRandom().sample(RANGE, len(RANGE)):
        if is_free(port) and _reserve(port):
            return port
    raise OSError(f"no port from {RANGE.start} to {RANGE.stop - 1} is free")


def is_free(port: int) -> bool:
    """Whether a server could listen there now, over UDP and over TCP."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _reserve(port: int) -> bool:
    """Whether it is ours until this process ends: a byte of a file, locked."""
    global _file
    if fcntl is None:
        return True
    if _file is None or _file[0] != os.getpid():
        # Not for a child: to close another descriptor of the file would give all locks back.
        path = Path(tempfile.gettempdir()) / f"portacode-test-ports-{os.getuid()}"
        _file = (os.getpid(), os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        fcntl.lockf(_file[1], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    if port in _given:
        # One's own locks do not hold one up.
        return False
    _given.add(port)
    return True


def _range() -> range:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        # macOS and Windows begin there.
        first = 49_152
    return range(max(first - 12_000, 10_000), max(first, 20_000))


RANGE = _range()
_file: tuple[int, int] | None = None
_given: set[int] = set()
