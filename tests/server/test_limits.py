"""Buckets, places and frames by themselves, in a time that the test makes."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

import pytest
from django.conf import settings
from system import SERVER

sys.path.append(str(SERVER))

from config.layers import BoundedQueue, InMemoryLayer
from data.refusal import Refusal
from data.storable import storable
from sockets.frames import parsed
from sockets.places import Place, Room


class Peers:
    """Connections in a room; keeps who was sent away, in order."""

    def __init__(self, *numbers: int) -> None:
        self.room = Room(*numbers)
        self.sent_away: list[str] = []

    def enter(self, name: str, address: str) -> Place:
        place = self.room.enter(address, lambda: self.sent_away.append(name))
        assert place is not None, name
        return place


def test_the_address_with_the_most_connections_makes_room_and_those_who_are_known_never() -> None:
    peers = Peers(6, 4, 10)
    known = [peers.enter(f"known {n}", "10.0.0.1") for n in range(2)]
    for place in known:
        place.prove()
    peers.enter("bystander", "10.0.0.2")
    flood = [peers.enter(f"flood {n}", "10.0.0.1") for n in range(3)]
    flood[0].heard()
    peers.enter("newcomer", "10.0.0.1").prove()
    assert peers.sent_away == ["flood 1"], "silent for longest, of the address with the most"
    for n in range(20):
        peers.enter(f"more {n}", "10.0.0.1")
    assert not {"bystander", "known 0", "known 1", "newcomer"} & set(peers.sent_away)
    assert sum(peers.room.taken) <= 6
    # Of those who are known there may be as many as there are places, and then nobody is let in.
    for n in range(3):
        peers.enter(f"known too {n}", "10.0.0.3").prove()
    assert peers.room.taken == (0, 6)
    assert peers.room.enter("10.0.0.9", lambda: None) is None
    known[0].leave()
    peers.enter("at last", "10.0.0.9")


def test_an_address_has_so_many_places_and_a_network_of_ipv6_counts_as_one() -> None:
    peers = Peers(100, 100, 2)
    first = peers.enter("first", "2001:db8::1")
    peers.enter("second", "2001:db8::2")
    peers.enter("elsewhere", "2001:db8:0:1::1")
    peers.enter("third", "2001:db8::ffff:3")
    assert peers.sent_away == ["first"]
    assert first.is_gone
    first.leave()  # Its connection ends a little later.
    assert peers.room.taken == (3, 0)


def test_a_connection_counts_for_the_address_that_a_proxy_names() -> None:
    peers = Peers(100, 100, 2)
    for n in range(6):
        peers.enter(f"page {n}", "127.0.0.1").move(f"10.0.0.{n}")
    assert peers.sent_away == []
    peers.enter("one", "127.0.0.1").move("10.0.0.5")
    peers.enter("two", "127.0.0.1").move("10.0.0.5")
    assert peers.sent_away == ["page 5"]


def test_what_no_database_takes_is_replaced() -> None:
    value: Any = {"a\x00": ["b\ud800", float("inf"), 10**30, True, None, 1.5, "😀"]}
    assert storable(value) == {"a\ufffd": ["b\ufffd", None, None, True, None, 1.5, "😀"]}
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    assert str(storable(deep)).count("[") < 20


def test_frames_of_any_bytes_are_an_object_or_refused() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    pieces = [
        '{"event":"a"}',
        "{",
        "}",
        "[",
        "1e999",
        "NaN",
        '"',
        "\\u0000",
        "\ud800",
        ":",
        ",",
        "5",
    ]
    for _ in range(3000):
        text = "".join(dice.choice(pieces) for _ in range(dice.randrange(8)))
        try:
            outcome = type(parsed(text)["event"]).__name__
        except Refusal as refusal:
            outcome = refusal.code
        assert outcome in ("str", "malformed")


@pytest.mark.parametrize("packed", [True, False])
def test_a_queue_holds_so_many_bytes_and_says_that_it_was_emptied(packed: bool) -> None:
    def message(size: int) -> Any:
        return b"x" * size if packed else {"type": "tell", "message": "x" * size}

    queue = BoundedQueue(10_000, lambda: b"overflow" if packed else {"type": "overflow"})
    for size in (3_000, 3_000, 50_000, 3_000):
        queue.put_nowait(message(size))
        assert queue.bytes <= 10_000
    assert [queue.get_nowait() in (b"overflow", {"type": "overflow"}) for _ in range(2)] == [
        True,
        False,
    ]
    assert (queue.bytes, queue.empty()) == (0, True)
    queue.put_nowait(message(64_000))
    assert queue.bytes >= 64_000, "one message always fits"
    assert queue.get_nowait() == message(64_000)


def test_a_layer_keeps_nothing_for_a_channel_that_nobody_reads_any_more() -> None:
    if not settings.configured:
        settings.configure(QUEUE_BYTES_MAX=200_000)
    most = settings.QUEUE_BYTES_MAX
    layer_message = {"type": "tell", "message": "x" * 60_000}

    async def all_of_it() -> None:
        layer = InMemoryLayer()
        channel = await layer.new_channel()
        await layer.group_add("all", channel)
        for _ in range(most // 60_000 + 2):
            await layer.group_send("all", layer_message)
        assert await layer.receive(channel) == {"type": "channel.overflow"}
        assert await layer.receive(channel) == layer_message
        reading = asyncio.ensure_future(layer.receive(channel))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await layer.send(channel, layer_message)
        await layer.group_send("all", layer_message)
        assert (layer.channels, layer.groups) == ({}, {})

    asyncio.run(all_of_it())
