"""Who asks over HTTP, also where proxies stand between."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Callable, NamedTuple, Optional, Union

from portacode.limits import network_of

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Header = Callable[[str], Optional[str]]


class Asker(NamedTuple):
    """Whom the limits of HTTP are for."""

    network: str
    """The address, or the network that it stands for."""
    connection: tuple[str, int] | None = None
    """What tells the connection from others of that address; None where it may carry many askers,
    or where the server does not tell."""


def asker_of(
    address: str | None, port: int | None, header: Header, proxies: tuple[Network, ...]
) -> Asker:
    """Who asks, as far as that can be known.

    Args:
        address: The other end of the connection, or what the server makes of a proxy's word for
            it; None for a socket that is a file.
        port: Its port; None or 0 where the server does not tell, as where it believes a proxy.
        header: Gives the request's header of a name in lower case.
        proxies: Whose `X-Forwarded-For` is believed. The other end of a file always is.
    """
    if not _is_proxy(address, proxies) or all(header(name) is None for name in _FORWARDED):
        client = (address, port) if address and port else None
        return Asker(network_of(address), client)
    # Each proxy adds whom it has seen at the end. What stands before the last one that is no proxy
    # of ours is what that one says, and may be made up.
    named = [_bare(part) for part in (header("x-forwarded-for") or "").split(",")]
    asker = next((name for name in reversed(named) if name and not _is_proxy(name, proxies)), None)
    return Asker(network_of(asker or named[0] or address))


def checked_proxies(value: object) -> tuple[Network, ...]:
    """Addresses and networks of proxies.

    Raises:
        ValueError: Where it is something else.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ValueError(f'must be a list such as ["127.0.0.1", "10.0.0.0/8"], not {value!r}')
    networks: list[Network] = []
    for part in value:
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError:
            raise ValueError(
                f"has {part!r}, which is not the address of a proxy:"
                ' write "10.0.0.7" or "10.0.0.0/8"'
            ) from None
    return tuple(networks)


def _is_proxy(address: str | None, proxies: tuple[Network, ...]) -> bool:
    if not address:
        return True
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(plain in network for network in proxies)


def _bare(text: str) -> str:
    """An address without its port."""
    text = text.strip()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


# What a proxy adds; one that tells no address tells by these at least that it is there.
_FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-real-ip", "forwarded", "via")
LOOPBACK = checked_proxies(["127.0.0.0/8", "::1"])
"""Proxies on the same machine."""
