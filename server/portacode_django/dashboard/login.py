"""Logging in, with bounds on who tries passwords out.

Only attempts that fail count: for an address and a name, and for an address whatever the name. A
browser that has logged in before is known by a cookie, and has a bound of its own for that name, so
that others of its address cannot lock it out (OWASP calls this device cookies).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.views import LoginView
from django.core import signing
from django.core.exceptions import ValidationError
from django.shortcuts import render

from portacode.limits import Buckets, network_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from django.contrib.auth.forms import AuthenticationForm
    from django.http import HttpRequest, HttpResponse


class LimitedLoginView(LoginView):
    """A limit on guesses of passwords."""

    redirect_authenticated_user = True
    _given_back: list[tuple[Buckets, Hashable]]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """An attempt."""
        name = _as_the_form_has_it(request.POST.get("username", ""))
        network = network_of(request.META.get("REMOTE_ADDR"))
        known = _known_browser(request, name)
        bounds: list[tuple[Buckets, Hashable]] = [(_attempts, known or (network, name))]
        if known is None:
            bounds.append((_of_address, network))
        # From all of them: a refused attempt counts for the address as well.
        taken = [buckets.take(key) for buckets, key in bounds]
        if not all(taken):
            return render(request, "429.html", status=429)
        self._given_back = bounds
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The password was right."""
        for buckets, key in self._given_back:
            buckets.give_back(key)
        response = super().form_valid(form)
        name = _as_the_form_has_it(form.cleaned_data["username"])
        response.set_cookie(
            _COOKIE,
            signing.dumps([name, secrets.token_hex(8)], salt=_COOKIE),
            max_age=_COOKIE_AGE_S,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
        return response


def _as_the_form_has_it(name: str) -> str:
    """What the database is asked for, in lower case: some tell no case apart."""
    try:
        cleaned = _username.clean(name)
    except ValidationError:
        # Too long or empty: no user's, and all of these are one.
        return ""
    return str(cleaned).casefold()


def _known_browser(request: HttpRequest, name: str) -> Hashable | None:
    """The browser, if it has logged in under this name before."""
    try:
        before, browser = signing.loads(
            request.COOKIES.get(_COOKIE, ""), salt=_COOKIE, max_age=_COOKIE_AGE_S
        )
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return ("browser", browser) if before == name else None


_COOKIE = "logged_in_before"
_COOKIE_AGE_S = 180 * 24 * 3600
_username = UsernameField(max_length=150, strip=True)
_attempts = Buckets(*settings.LOGIN_RATE)
_of_address = Buckets(*settings.LOGIN_ADDRESS_RATE)
