"""Who may hold connections of this process: those who have shown who they are, before strangers.

The number of places is limited. Strangers get a part of them only, and a limited number for an
address. Where none is left, a newcomer gets the place of the stranger who has been silent for
longest, of the address that holds the most. So a client that floods us drives out its own
connections, and a client with a token, which needs a place among strangers while it shows it,
always gets in.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from portacode.limits import network_of

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("portacode.sockets")


class Place:
    """One connection's."""

    __slots__ = ("_room", "end", "network")

    def __init__(self, room: Room, network: str, end: Callable[[], None]) -> None:
        self._room: Room | None = room
        self.network: str | None = network
        """Whose it is, as long as that is a stranger."""
        self.end = end
        """Ends the connection."""

    @property
    def is_gone(self) -> bool:
        """Whether the connection is gone."""
        return self._room is None

    def heard(self) -> None:
        """The peer has said something."""
        if self._room is not None and self.network is not None:
            self._room.move_back(self)

    def move(self, address: str | None) -> None:
        """Another address is known to stand behind the connection, which a proxy brings."""
        if self._room is not None and self.network is not None:
            self._room.move(self, network_of(address))

    def prove(self) -> None:
        """The peer has shown who it is."""
        if self._room is not None and self.network is not None:
            self._room.prove(self)

    def leave(self) -> None:
        """The connection is gone, or as good as gone."""
        if self._room is not None:
            self._room.leave(self)
            self._room = None


class Room:
    """All places.

    Args:
        most: How many.
        strangers: How many of them strangers may have.
        of_address: How many of these one address may have.
    """

    def __init__(self, most: int, strangers: int, of_address: int) -> None:
        self._most = most
        self._strangers_most = max(min(strangers, most), 1)
        self._of_address = max(of_address, 1)
        # Of each address, those longest silent first.
        self._strangers: dict[str, OrderedDict[Place, None]] = {}
        self._stranger_count = 0
        self._known: set[Place] = set()

    def enter(self, address: str | None, end: Callable[[], None]) -> Place | None:
        """A place for somebody new; None where all belong to others who have shown who they are."""
        network = network_of(address)
        self._make_room(network)
        if self._stranger_count + len(self._known) >= self._most:
            return None
        place = Place(self, network, end)
        self._add(place)
        return place

    @property
    def taken(self) -> tuple[int, int]:
        """Strangers, and those who are known."""
        return self._stranger_count, len(self._known)

    def move_back(self, place: Place) -> None:
        """This one was heard last."""
        assert place.network is not None
        self._strangers[place.network].move_to_end(place)

    def move(self, place: Place, network: str) -> None:
        """To another address."""
        if network == place.network:
            return
        self._remove(place)
        self._make_room(network)
        place.network = network
        self._add(place)

    def prove(self, place: Place) -> None:
        """No stranger any more."""
        self._remove(place)
        place.network = None
        self._known.add(place)

    def leave(self, place: Place) -> None:
        """Gone."""
        if place.network is None:
            self._known.discard(place)
        else:
            self._remove(place)

    def _make_room(self, network: str) -> None:
        if len(self._strangers.get(network, ())) >= self._of_address:
            self._send_away(network)
        full = (
            self._stranger_count >= self._strangers_most
            or self._stranger_count + len(self._known) >= self._most
        )
        if full and self._stranger_count:
            self._send_away(max(self._strangers, key=lambda held: len(self._strangers[held])))

    def _send_away(self, network: str) -> None:
        place = next(iter(self._strangers[network]))
        logger.info(
            "%s was closed to make room: not logged in, and silent for the longest time", network
        )
        place.leave()
        place.end()

    def _add(self, place: Place) -> None:
        assert place.network is not None
        self._strangers.setdefault(place.network, OrderedDict())[place] = None
        self._stranger_count += 1

    def _remove(self, place: Place) -> None:
        assert place.network is not None
        held = self._strangers[place.network]
        del held[place]
        if not held:
            del self._strangers[place.network]
        self._stranger_count -= 1


def of_scope(scope: Any) -> Place | None:
    """The place of a connection, by its ASGI scope; None under other servers than ours."""
    place = scope.get("state", {}).get(STATE)
    return place if isinstance(place, Place) else None


def prove(scope: Any) -> None:
    """The peer of this connection has shown who it is."""
    place = of_scope(scope)
    if place is not None:
        place.prove()


STATE = "portacode.place"
"""Under which name a scope's state has it."""
