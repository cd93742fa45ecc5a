"""Template tags for pages that use the clock: {% load ntp_clock %}.

| tag | gives |
|---|---|
| `{% ntp_clock_url %}` | the module's URL, hashed where static files are |
| `{% ntp_clock_importmap %}` | a script by which imports find the hashed module by its plain name |
| `{% ntp_clock_relay_meta %}` | where the page's clock finds the relay |

An import map has to stand before the first module of the page.
"""

from __future__ import annotations

import json
from urllib.parse import urljoin

from django import template
from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from portacode.relay import settings

PATH = "ws/clock/"
MODULE = "js/utils/ntp-clock.js"

register = template.Library()


@register.simple_tag
def ntp_clock_url() -> str:
    """URL of the JavaScript module, as the storage of static files has it."""
    return static(MODULE)


@register.simple_tag(takes_context=True)
def ntp_clock_importmap(context: template.Context, nonce: str | None = None) -> SafeString:
    """An import map for `ntp-clock` and for the module's plain, unhashed URL.

    Args:
        context: The page's.
        nonce: For the page's Content-Security-Policy; by itself that of django-csp or Django.
    """
    url = static(MODULE)
    plain = urljoin(str(django_settings.STATIC_URL), MODULE)
    text = json.dumps({"imports": {"ntp-clock": url, plain: url}})
    # Nothing in it may end the script.
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04X}")
    nonce = nonce or _nonce(context)
    attribute = format_html(' nonce="{}"', nonce) if nonce else ""
    # Both parts are escaped above.
    return mark_safe(f'<script type="importmap"{attribute}>{text}</script>')


@register.simple_tag(takes_context=True)
def ntp_clock_relay_meta(
    context: template.Context, url: str | None = None, credentials: str | None = None
) -> SafeString:
    """The element that names the relay to the page's clock.

    Args:
        context: The page's.
        url: The relay: a path is a WebSocket's on the page's own host, a URL is itself. By itself
            the setting PORTACODE_RELAY_URL; without that, the HTTP relay of `portacode.relay.urls`
            where that is included, otherwise Channels' of `portacode.relay.routing`.
        credentials: Whether requests by HTTP carry cookies and passwords: "same-origin" for a relay
            behind a login, as `fetch` has it; none by itself. WebSockets always carry them.
    """
    if credentials not in _CREDENTIALS:
        raise template.TemplateSyntaxError(
            f'ntp_clock_relay_meta: credentials are "omit", "same-origin" or "include", '
            f"not {credentials!r}"
        )
    more = format_html(' data-credentials="{}"', credentials) if credentials else ""
    where = _relay_url(_request(context), url)
    return format_html('<meta name="ntp-clock-relay" content="{}"{}>', where, more)


def _relay_url(request: HttpRequest | None, url: str | None) -> str:
    try:
        url = settings.checked_url(url) or settings.get("URL")
    except ValueError as error:
        raise template.TemplateSyntaxError(f"ntp_clock_relay_meta: its URL {error}") from None
    if url is None:
        try:
            path = reverse("portacode_relay:clock")
        except NoReverseMatch:
            if not apps.is_installed("channels"):
                raise ImproperlyConfigured(
                    "{% ntp_clock_relay_meta %} finds no relay: put path('clock/', "
                    "include('portacode.relay.urls')) into your URLs, or set PORTACODE_RELAY_URL"
                ) from None
            url = f"{get_script_prefix()}{PATH}"
        else:
            # The clock resolves it against the page's own address, which knows better than we do
            # by what scheme and host a proxy is asked.
            return path
    if not url.startswith("/"):
        return url
    # The clock makes wss of ws on its own page's host where the page came over TLS.
    if request is None:
        raise ImproperlyConfigured(
            "{% ntp_clock_relay_meta %} needs the request to write a WebSocket's URL: render with "
            "it, and with the context processor django.template.context_processors.request"
        )
    scheme = "wss" if request.is_secure() else "ws"
    return f"{scheme}://{request.get_host()}{url}"


def _request(context: template.Context) -> HttpRequest | None:
    request = context.get("request") or getattr(context, "request", None)
    return request if isinstance(request, HttpRequest) else None


def _nonce(context: template.Context) -> str:
    """The page's nonce: django-csp and Django keep theirs with the request or the context."""
    request = _request(context)
    places = (
        context.get("csp_nonce"),
        getattr(request, "csp_nonce", None),
        getattr(request, "_csp_nonce", None),
    )
    # Made when it is first written, and false until then.
    return next((str(nonce) for nonce in places if nonce is not None), "")


_CREDENTIALS = (None, "omit", "same-origin", "include")
