"""`manage.py serve`: the server, with the limits that the settings name."""

from __future__ import annotations

import contextlib
import inspect
import logging
from typing import TYPE_CHECKING, Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from uvicorn.supervisors import Multiprocess

if TYPE_CHECKING:
    import socket
    from asyncio.trsock import TransportSocket
    from collections.abc import Callable
    from typing import Union

    _Listener = Union[socket.socket, TransportSocket]


class Command(BaseCommand):
    """Serves pages, sockets and the clock's relay."""

    help = "Serves pages, sockets and the clock's relay by uvicorn, within the settings' limits."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where, and by how many processes."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, default=1, help="needs REDIS_URL if not 1")

    def handle(self, *args: Any, **options: Any) -> None:
        """Runs until it is interrupted."""
        from config.protocol import OPTIONS
        from django.conf import settings

        from data.services import presence

        del args
        if not 0 <= options["port"] <= 65535:
            raise CommandError(
                f"--port {options['port']}: give a number from 0 (a free one) to 65535"
            )
        if options["workers"] < 1:
            raise CommandError(f"--workers {options['workers']}: give a number from 1 on")
        if options["workers"] > 1 and not settings.REDIS_URL:
            raise CommandError(
                "several workers reach one another over Redis only: set REDIS_URL, or --workers 1"
            )
        if not settings.REDIS_URL:
            # Nobody but this process holds a device: what is left of others has died with them.
            try:
                presence.forget_all()
            except DatabaseError as error:
                raise CommandError(f"the database is not ready ({error}): migrate first") from error
        _allow_descriptors(settings.CONNECTIONS_MAX)
        config = uvicorn.Config(
            "config.asgi:application",
            host=options["host"],
            port=options["port"],
            workers=options["workers"],
            access_log=False,
            log_level="warning" if options["verbosity"] < 2 else "info",
            **OPTIONS,
        )
        if config.workers > 1:
            self._supervise(config)
            return
        server = _Server(config, self._tell)
        with contextlib.suppress(KeyboardInterrupt):
            server.run()
        if not server.started:
            raise CommandError("the server could not start", returncode=3)

    def _supervise(self, config: uvicorn.Config) -> None:
        """Several processes, which share a socket."""
        listener = config.bind_socket()
        # A client that connects from now on is served, as soon as a process is ready.
        listener.listen(config.backlog)
        self._tell(config, listener)
        # Older versions of uvicorn need the program that a process runs.
        asked = "target" in inspect.signature(Multiprocess).parameters
        more: dict[str, Any] = {"target": uvicorn.Server(config).run} if asked else {}
        Multiprocess(config, sockets=[listener], **more).run()

    def _tell(self, config: uvicorn.Config, listener: _Listener) -> None:
        """Where it listens, as one types it into a browser."""
        host, port = listener.getsockname()[:2]
        scheme = "https" if config.is_ssl else "http"
        where = f"[{host}]" if ":" in host else host
        self.stdout.write(f"serving {scheme}://{where}:{port}/")
        self.stdout.flush()


def _allow_descriptors(connections: int) -> None:
    """Lets this process and its workers open this many connections, as far as the system allows."""
    try:
        import resource
    except ImportError:
        return
    wanted = connections + _OTHER_FILES
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now == resource.RLIM_INFINITY or now >= wanted:
        return
    if most != resource.RLIM_INFINITY and most < wanted:
        logger.warning(
            "the system allows %d open files, not enough for CONNECTIONS_MAX=%d: set it to %d, or"
            " raise the limit (ulimit -Hn)",
            most,
            connections,
            max(most - _OTHER_FILES, 1),
        )
        wanted = most
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(
        self, config: uvicorn.Config, tell: Callable[[uvicorn.Config, _Listener], None]
    ) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell(self.config, self.servers[0].sockets[0])


logger = logging.getLogger("portacode.serve")
# Databases, logs, libraries.
_OTHER_FILES = 200
