"""Whether the client that opened a socket is still logged in."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user


@database_sync_to_async
def is_logged_in(session_key: str | None, user_id: int) -> bool:
    """Asks again: after a logout, a deactivation or a change of password, one is not."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    request: Any = SimpleNamespace(session=store(session_key))
    return bool(get_user(request).pk == user_id)
