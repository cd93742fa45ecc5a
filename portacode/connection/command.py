"""The command portacode: `portacode connect --help` says all."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import inspect
import logging
import math
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import portacode
from portacode import otel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portacode.connection.client import DeviceClient
    from portacode.connection.handlers import BaseHandler, Registry

logger = logging.getLogger("portacode.connection")


class UsageError(Exception):
    """What was asked for cannot be done; the message says why."""


class NoHandlerError(ValueError):
    """What was named is none."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit status.

    0 done, 1 responses could not be delivered in the end, 2 wrong usage or something missing,
    130 ended by a second Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), handlers=[_log_handler()])
    # Each connection, closed or not: ours says it already.
    logging.getLogger("websockets").setLevel(logging.WARNING)
    try:
        if otel.active():
            # Spans, logs and metrics of whatever instruments this device. A package that is missing
            # is reported with the first request.
            with contextlib.suppress(otel.OtelMissingError):
                otel.install()
        client = _client(options)
        _serve_metrics(options.metrics)
    except (UsageError, ValueError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        left = asyncio.run(_serve(client, options.grace))
    except KeyboardInterrupt:
        print("error: ended before all was delivered", file=sys.stderr)
        return 130
    return 1 if left else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portacode", description="A device of portacode, with synchronised time."
    )
    parser.add_argument("--version", action="version", version=f"portacode {portacode.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    connect = commands.add_parser(
        "connect",
        help="connect this machine to a server as a device",
        description="Connects this machine to a server and answers its requests until it is "
        "interrupted. Time is synchronised with time.cloudflare.com, or what "
        "PORTACODE_NTP_SERVER names.",
        epilog="Exit status: 0 done, 1 responses could not be delivered in the end, 2 wrong usage "
        "or something missing, 130 ended by a second Ctrl-C.",
    )
    connect.add_argument(
        "--server",
        required=True,
        metavar="URL",
        help="the server: wss://portacode.example, http://127.0.0.1:8000",
    )
    token = connect.add_mutually_exclusive_group()
    token.add_argument(
        "--token", help="the device's token (other users of the machine can see it there)"
    )
    token.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help="a file that has it; without either, the variable PORTACODE_TOKEN",
    )
    connect.add_argument("--name", help="what the device calls itself (default: the host's name)")
    connect.add_argument(
        "--handlers",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="more handlers: a handler's class, an object of it, or a list of them; repeatable",
    )
    connect.add_argument(
        "--no-builtin",
        action="store_true",
        help="without echo, slow_task and system_info",
    )
    connect.add_argument(
        "--outbox",
        metavar="FILE",
        type=Path,
        help="keep responses that the server does not have in a file, so that they survive "
        "the end of this process (default: in memory)",
    )
    connect.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        help="serve the clock's metrics for Prometheus at http://HOST:PORT/metrics",
    )
    connect.add_argument(
        "--grace",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long handlers may go on after Ctrl-C or SIGTERM, and the server may take to "
        "acknowledge what they gave (default: %(default)g)",
    )
    connect.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="how much to log to standard error (default: %(default)s)",
    )
    return parser


def _client(options: argparse.Namespace) -> DeviceClient:
    from portacode.connection.client import DeviceClient, server_url
    from portacode.connection.outbox import Outbox, OutboxError

    server_url(options.server)  # What is wrong with it is reported before a file is made.
    token, registry = _token(options), _registry(options)
    try:
        outbox = Outbox(options.outbox)
    except OutboxError as error:
        raise UsageError(str(error)) from error
    return DeviceClient(options.server, token, name=options.name, registry=registry, outbox=outbox)


def _token(options: argparse.Namespace) -> str:
    if options.token is not None:
        token: str = options.token
    elif options.token_file is not None:
        try:
            token = options.token_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read the token: {error}") from error
        if not token:
            raise UsageError(f"--token-file {options.token_file}: the file is empty")
    else:
        token = os.environ.get("PORTACODE_TOKEN", "")
    if not token:
        raise UsageError("no token: give --token, --token-file or PORTACODE_TOKEN")
    return token


def _serve_metrics(listen: str | None) -> None:
    if listen is None:
        return
    from portacode.metrics_server import serve_metrics

    try:
        serve_metrics(listen)
    except (OSError, ValueError) as error:
        raise UsageError(f"--metrics {listen}: {error}") from error


def _registry(options: argparse.Namespace) -> Registry:
    from portacode.connection.handlers import Registry, builtin

    registry = Registry([] if options.no_builtin else builtin())
    for handler in _entry_points():
        try:
            registry.add(handler)
        except ValueError as error:
            logger.error("entry point portacode.handlers: %s", error)
    for name in options.handlers:
        for handler in _named(name):
            try:
                registry.add(handler)
            except ValueError as error:
                raise UsageError(f"--handlers {name}: {error}") from error
    if not registry.commands:
        raise UsageError("there are no handlers: give --handlers, or leave --no-builtin out")
    return registry


def _entry_points() -> list[BaseHandler]:
    """What installed packages bring. One that is broken does not keep the others from working."""
    from importlib import metadata

    points: Any = metadata.entry_points()
    # Python 3.9's is a dictionary.
    select = getattr(points, "select", None)
    chosen = select(group=_GROUP) if select else points.get(_GROUP, [])
    found: list[BaseHandler] = []
    for point in chosen:
        try:
            found.extend(_handlers_of(point.load()))
        except Exception as error:
            logger.error("entry point %s, %s: %s", _GROUP, point.name, error)
    return found


def _named(name: str) -> list[BaseHandler]:
    """What `module:name` names."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"--handlers {name!r}: write MODULE:NAME")
    # The user's own module is where the user is.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
        return list(_handlers_of(found))
    except NoHandlerError as error:
        raise UsageError(f"--handlers {name}: {error}") from error
    # A module may raise anything while it is imported.
    except Exception as error:
        raise UsageError(f"--handlers {name}: {type(error).__name__}: {error}") from error


def _handlers_of(found: Any) -> Iterable[BaseHandler]:
    """A class, an object, a function that gives some, or several of these."""
    from portacode.connection.handlers import BaseHandler

    if isinstance(found, BaseHandler):
        return [found]
    if inspect.isclass(found) and issubclass(found, BaseHandler):
        return [found()]
    if callable(found) and _wants_nothing(found):
        return _handlers_of(found())
    if isinstance(found, (list, tuple, set, frozenset)):
        return [handler for part in found for handler in _handlers_of(part)]
    raise NoHandlerError(f"{found!r} is not a handler: subclass AsyncHandler or SyncHandler")


def _wants_nothing(function: Any) -> bool:
    """Whether it can be called without arguments, as far as can be known."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # Some builtins do not tell.
        return True
    try:
        signature.bind()
    except TypeError:
        return False
    return True


async def _serve(client: DeviceClient, grace_s: float) -> int:
    """Until a signal comes; a second one ends it at once."""
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    came = 0

    def on_signal() -> None:
        nonlocal came
        came += 1
        if came == 1:
            logger.info("stopping; a second Ctrl-C or SIGTERM stops at once")
            client.stop()
        elif this is not None:
            this.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(on_signal))
    try:
        return await client.run(grace_s)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _log_handler() -> logging.Handler:
    """Lines with synchronised time: those of all entities can be laid side by side."""
    from portacode.utils.ntp_clock import ntp_clock

    class _Formatter(logging.Formatter):
        def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
            return ntp_clock.now_iso() or "(not synchronised)"

    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler


def _seconds(text: str) -> float:
    value = float(text)
    if not (value >= 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more seconds")
    return value


_GROUP = "portacode.handlers"


if __name__ == "__main__":
    sys.exit(main())
