"""Devices' tokens: 256 random bits, of which only a hash is kept."""

from __future__ import annotations

import hashlib
import secrets


def new_token() -> str:
    """A token, to be shown once."""
    return f"{_PREFIX}{secrets.token_urlsafe(32)}"


def hash_of(token: str) -> str:
    """What is stored. Random enough that nothing slower is needed, and no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_token(text: str) -> bool:
    """Whether it can be one; anything else is not even looked up."""
    return text.startswith(_PREFIX) and len(text) == len(_PREFIX) + 43 and text.isascii()


# So that scanners for leaked secrets know one when they see it.
_PREFIX = "pcd_"
