"""`manage.py serve`: the server, with the limits that the settings name."""

from __future__ import annotations

from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError


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
        uvicorn.run(
            "config.asgi:application",
            host=options["host"],
            port=options["port"],
            workers=options["workers"] if options["workers"] > 1 else None,
            access_log=False,
            log_level="warning" if options["verbosity"] < 2 else "info",
            **OPTIONS,
        )
