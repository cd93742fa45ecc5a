"""The device's connection to its server.

    client = DeviceClient("wss://portacode.example", token)
    await client.run()  # until client.stop()

It connects, and connects again, with growing pauses; has commands answered by its handlers; and
keeps each response until the server says that it has it. The messages are those of docs/TRACE.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import random
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import portacode
from portacode import _wire, exchanges
from portacode.connection import messages
from portacode.connection.handlers import Registry, builtin
from portacode.connection.handlers.base import Reply, Sender
from portacode.connection.outbox import Outbox
from portacode.connection.problem import Problem
from portacode.trace import Stamp
from portacode.utils.ntp_clock import ntp_clock

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from portacode.utils.ntp_clock import NTPClock

__all__ = ["DeviceClient", "server_url"]

logger = logging.getLogger("portacode.connection")


class MissingPackageError(ImportError):
    """What the device needs beside the clock is not installed; the message says what to type."""


class DeviceClient(Sender):
    """A device.

    Args:
        server: The server's URL, ws:, wss:, http: or https:; without a path, the gateway's is
            added.
        token: What the device shows to the server.
        name: What it calls itself; the machine's name where none is given.
        registry: What it can be asked for.
        outbox: Where responses wait until the server has them.
        clock: Whose time the stamps are; for tests.
        backoff: The pauses between attempts; for tests.

    Raises:
        MissingPackageError: Without the package websockets.
        ValueError: Where the URL or the token cannot be one.
    """

    def __init__(
        self,
        server: str,
        token: str,
        *,
        name: str | None = None,
        registry: Registry | None = None,
        outbox: Outbox | None = None,
        clock: NTPClock = ntp_clock,
        backoff: Backoff | None = None,
    ) -> None:
        _check_package()
        self.url = server_url(server)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("the token is malformed: it must be printable ASCII without blanks")
        self._token = token
        self._name = name or platform.node() or "device"
        self._registry = registry if registry is not None else Registry(builtin(), clock=clock)
        self._outbox = outbox if outbox is not None else Outbox()
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._stop = _Signal()
        # What may be lost: progress, and what the clock tells.
        self._passing: deque[str] = deque(maxlen=_PASSING_MAX)
        self._passing_lost = 0
        self._to_send = _Signal()
        self._delivered = _Signal()
        self.connections = 0
        """How often it has been connected."""

    @property
    def waiting(self) -> int:
        """How many responses the server does not have."""
        return self._outbox.waiting

    def stop(self) -> None:
        """Ends `run` in good order; call it on the loop's thread."""
        self._stop.set()

    async def run(self, grace_s: float = 10.0) -> int:
        """Serves until it is stopped; how many responses could not be delivered in the end.

        Args:
            grace_s: How long handlers may go on after `stop`; and after that, how long the server
                has to acknowledge what they gave.
        """
        connecting = asyncio.ensure_future(self._keep_connected())
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({connecting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()  # It ends by an error of ours alone.
            await self._registry.close(grace_s)
            await self._flush(grace_s)
        finally:
            for task in (connecting, stopped):
                task.cancel()
            await asyncio.wait({connecting, stopped}, timeout=_CLOSE_S)
            left, on_disk = self._outbox.waiting, self._outbox.on_disk
            self._outbox.close()
        if left:
            fate = "and wait for the next start" if on_disk else "and are lost"
            logger.error("%d responses could not be delivered, %s", left, fate)
        return left

    def reply(self, reply: Reply) -> None:
        """Takes a response, to be kept until the server has it."""
        self._outbox.add(reply)
        self._to_send.set()

    def progress(self, frame: str) -> None:
        """Takes a message that may be lost."""
        if len(self._passing) == _PASSING_MAX:
            self._passing_lost += 1
            if self._passing_lost in (1, 100) or self._passing_lost % 10_000 == 0:
                logger.warning("%d messages of progress lost so far", self._passing_lost)
        self._passing.append(frame)
        self._to_send.set()

    async def _keep_connected(self) -> None:
        while True:
            problem = await self._connect_once()
            pause_s = self._backoff.pause_s(problem.patience)
            logger.log(problem.level, "%s; trying again in %.1f s", problem.text, pause_s)
            await asyncio.sleep(pause_s)

    async def _connect_once(self) -> Problem:
        """Connects and serves; gives why it ended."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException

        connecting = connect(
            self.url,
            additional_headers={"Authorization": f"Bearer {self._token}"},
            user_agent_header=f"portacode/{portacode.__version__}",
            # Larger than a message may be, so that one that is too large is reported and dropped.
            max_size=16 * _wire.FRAME_BYTES,
            compression=None,
            open_timeout=_OPEN_S,
            close_timeout=_CLOSE_S,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
        )
        try:
            async with connecting as socket:
                try:
                    await self._serve(socket)
                except asyncio.CancelledError:
                    # We end in good order, which the library would call an error of ours.
                    await socket.close(reason="the device ends")
                    raise
                # The connection itself has these from a later version on.
                return Problem.of_close(socket.protocol.close_code, socket.protocol.close_reason)
        except (OSError, asyncio.TimeoutError, WebSocketException) as error:
            return Problem.of_error(self.url, error)
        except Exception as error:
            # A defect; a device that nobody is near goes on all the same.
            logger.exception("the connection failed")
            return Problem(f"{type(error).__name__}: {error}")

    async def _serve(self, socket: ClientConnection) -> None:
        """Until the connection ends."""
        self._passing.clear()
        self._outbox.rewind()
        await socket.send(messages.encode(self._hello()))
        self._to_send.set()
        asking = exchanges.Asking()
        tasks = [
            asyncio.ensure_future(work)
            for work in (
                self._receive(socket, asking),
                self._send(socket),
                self._tend(socket),
                # Beside the responses, which wait for none of it.
                exchanges.keep_asking(asking, self._clock, socket.send),
            )
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not _is_closure(result):
                raise result

    async def _receive(self, socket: ClientConnection, asking: exchanges.Asking) -> None:
        async for frame in socket:
            # First thing, before it is known what it is.
            came = self._clock.stamp()
            received = Stamp.of(came, self._clock)
            try:
                message = messages.parse(frame)
            except messages.MalformedError as error:
                self._refuse(error, received)
                continue
            if isinstance(message, messages.Command):
                self._backoff.reset()
                self._registry.dispatch(message, received, self._entity(message), self)
            elif isinstance(message, messages.Ack):
                self._backoff.reset()
                if self._outbox.ack(message.delivery_id):
                    self._delivered.set()
            elif isinstance(message, messages.ClockReply):
                asking.take(message.request_id, came)
            elif isinstance(message, messages.Refused):
                logger.warning("refused by the server, %s: %s", message.code, message.message)

    async def _send(self, socket: ClientConnection) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while True:
                # Progress first: it is older than the response that it leads up to.
                if self._passing:
                    await socket.send(self._passing.popleft())
                    continue
                reply = self._outbox.next_unsent()
                if reply is None:
                    break
                await socket.send(reply.frame)

    async def _tend(self, socket: ClientConnection) -> None:
        # A server that refuses the token may accept the socket to say so, which it does at once,
        # and its library may have answered a ping before. This ends where it does.
        await (await socket.ping())
        await asyncio.sleep(_ACCEPTED_S)
        self.connections += 1
        logger.info("connected to %s", self.url)
        while True:
            await asyncio.sleep(_CLOCK_S)
            self._backoff.reset()
            self._outbox.tend(_UNANSWERED_S)
            news = {"event": "clock", "clock": messages.clock_summary(self._clock)}
            self._passing.append(messages.encode({**news, "outbox": self._counts()}))
            self._to_send.set()

    def _refuse(self, error: messages.MalformedError, received: Stamp) -> None:
        logger.warning("a malformed message was dropped: %s", error)
        if error.request_id is not None:
            # Somebody waits for an answer.
            command = messages.Command(error.request_id, None, error.command, None, None, None)
            problem = error.code, str(error)
            self._registry.refuse(command, received, self._entity(command), self, problem)

    async def _flush(self, within_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while self._outbox.waiting and loop.time() < deadline:
            self._delivered.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._delivered.wait(), deadline - loop.time())

    def _entity(self, command: messages.Command) -> str:
        return f"device:{command.device_id or self._name}"[:128]

    def _hello(self) -> dict[str, Any]:
        device = {
            "name": self._name[:128],
            "version": portacode.__version__,
            "platform": platform.platform()[:128],
            "commands": self._registry.commands,
        }
        clock = messages.clock_summary(self._clock)
        return {"event": "hello", "device": device, "clock": clock, "outbox": self._counts()}

    def _counts(self) -> dict[str, int]:
        return {"waiting": self._outbox.waiting, "dropped": self._outbox.dropped}


class Backoff:
    """Pauses that grow with each failure, and differ from device to device.

    Args:
        first_s: The first one.
        most_s: The longest after a lost connection.
        refused_s: The least after a refusal, which trying again at once would not change.
        refused_most_s: The longest after refusals.
    """

    def __init__(
        self,
        first_s: float = 0.5,
        most_s: float = 60.0,
        refused_s: float = 60.0,
        refused_most_s: float = 600.0,
    ) -> None:
        # The first and the longest pause, and between what parts of it chance decides.
        self._limits = {
            "lost": (first_s, most_s, 0.5, 1.0),
            "refused": (refused_s, refused_most_s, 1.0, 1.5),
        }
        self.reset()

    def reset(self) -> None:
        """The connection does what it is for: all is well."""
        self._failures = dict.fromkeys(self._limits, 0)

    def pause_s(self, patience: str) -> float:
        """How long to wait after another failure of this kind, "lost" or "refused"."""
        first_s, most_s, low, high = self._limits[patience]
        # Such that chance does not exceed the longest.
        pause_s = min(most_s / high, first_s * 2.0 ** min(self._failures[patience], 30))
        self._failures[patience] += 1
        # Part of it is chance, so that a fleet does not come back in step.
        return pause_s * random.uniform(low, high)


class _Signal:
    """An asyncio.Event that may be made before there is a loop, which Python 3.9's may not."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiters: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        self._is_set = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        self._is_set = False

    async def wait(self) -> None:
        while not self._is_set:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)


def server_url(text: str) -> str:
    """The gateway's URL of what a person calls the server.

    Raises:
        ValueError: Where it cannot be one; the message says why.
    """
    wanted = "write a URL such as wss://portacode.example or ws://127.0.0.1:8000"
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; {wanted}") from None
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname or port == 0:
        raise ValueError(f"{text!r} is not the URL of a server: {wanted}")
    if parts.username is not None or parts.fragment:
        raise ValueError(f"{text!r}: neither a user nor a fragment belongs there; {wanted}")
    path = parts.path if parts.path not in ("", "/") else "/ws/devices/"
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


def _is_closure(error: Exception) -> bool:
    from websockets.exceptions import ConnectionClosed

    return isinstance(error, ConnectionClosed)


def _check_package() -> None:
    try:
        import websockets.asyncio.client  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"a device needs websockets 13 or newer ({error}): pip install 'portacode[device]'"
        ) from None


_PASSING_MAX = 256
_OPEN_S = 15.0
_CLOSE_S = 5.0
_ACCEPTED_S = 0.25
_PING_S = 20.0
_CLOCK_S = 10.0
# A response that the server neither acknowledged nor lost with the connection is sent again.
_UNANSWERED_S = 30.0
