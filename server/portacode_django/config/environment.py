"""Settings from environment variables; what is wrong with one is said in a line."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured


def flag(name: str, default: bool) -> bool:
    """A yes or no."""
    text = os.environ.get(name, "").strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    if text:
        raise ImproperlyConfigured(f"{name}={text!r}: give 1 or 0")
    return default


def names(name: str, default: str) -> list[str]:
    """Words between commas."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def log_level(name: str, default: str) -> str:
    """One of logging's levels."""
    text = os.environ.get(name, "").strip().upper() or default
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    if text not in levels:
        raise ImproperlyConfigured(f"{name}={text!r}: give one of {', '.join(levels)}")
    return text


def number(name: str, default: float, least: float = 0) -> float:
    """A number that is not below `least`."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise ImproperlyConfigured(f"{name}={text!r}: give a number from {least:g} on")
    return value


def rate(name: str, default: str) -> tuple[float, float]:
    """`PER_SECOND/BURST`."""
    text = os.environ.get(name, "").strip() or default
    try:
        per_second, burst = (float(part) for part in text.split("/"))
    except ValueError:
        per_second = burst = 0.0
    if not (per_second > 0 and burst >= 1):
        raise ImproperlyConfigured(f"{name}={text!r}: give PER_SECOND/BURST, such as {default}")
    return per_second, burst


def folder(name: str, default: Path) -> Path:
    """A directory, made if it is not there."""
    path = Path(os.environ.get(name) or default).resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name}={str(path)!r} cannot be a directory: {error.strerror}"
        ) from error
    return path


def database(name: str, default: str, **options: Any) -> dict[str, Any]:
    """Django's settings of a database, from its URL, which is not repeated: it has a password."""
    try:
        return {**dj_database_url.config(name, default, **options)}
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} is not the URL of a database: write postgres://USER:PASSWORD@HOST/NAME"
            " or sqlite:///FILE"
        ) from error


def redis(name: str) -> str:
    """Redis' URL, or nothing; it may have a password as well."""
    url = os.environ.get(name, "").strip()
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured(f"{name} is not the URL of a Redis: write redis://HOST:6379/0")
    return url


def secret_key(folder: Path) -> str:
    """`SECRET_KEY`, or one made at the first start and kept in a file only we can read."""
    given = os.environ.get("SECRET_KEY", "")
    if given:
        return given
    path = folder / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        # Another worker may read it between its creation and this: it then waits below.
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
    return _kept(path)


def _kept(path: Path) -> str:
    import time

    for _attempt in range(100):
        key = path.read_text(encoding="ascii").strip()
        if key:
            return key
        time.sleep(0.02)
    raise ImproperlyConfigured(f"{path} is empty: delete it, and a new key is made")
