"""`{% import_map %}`: modules import one another by plain names, whatever static files are called.

Storages that put a hash into names do not rewrite imports. The browser does: an import map says for
each module's plain URL what it is called now. It stands before the first module of the page.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from django import template
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag(takes_context=True)
def import_map(context: template.Context) -> SafeString | str:
    """The map of all modules; nothing where their names are plain."""
    text = _map()
    if not text:
        return ""
    nonce = context["request"].csp_nonce
    return format_html('<script type="importmap" nonce="{}">{}</script>', nonce, mark_safe(text))


@functools.cache
def _map() -> str:
    names: dict[str, str] = getattr(staticfiles_storage, "hashed_files", {})
    imports: dict[str, Any] = {
        f"{settings.STATIC_URL}{name}": staticfiles_storage.url(name)
        for name in names
        if name.endswith(".js")
    }
    # Nothing in it may end the script.
    text = json.dumps({"imports": dict(sorted(imports.items()))}).replace("<", "\\u003c")
    return text if imports else ""
