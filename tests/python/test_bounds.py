"""Bounds on peers, in a time that the test makes, and who it is that they are for."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from portacode.limits import Buckets, Places, TokenBucket, network_of
from portacode.relay import Limits
from portacode.relay.askers import LOOPBACK, Asker, asker_of, checked_proxies
from portacode.relay.limits import ADDRESS_RATES, AskerBuckets

if TYPE_CHECKING:
    from collections.abc import Mapping


class Time:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    time = Time()
    bucket = TokenBucket(10, 5, now=time)
    assert [bucket.take() for _ in range(7)] == [True] * 5 + [False] * 2
    time.now_s = 0.25
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    time.now_s = 1000
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]


def test_no_bucket_ever_gives_more_than_burst_and_rate_allow() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for _ in range(50):
        per_second, burst = dice.uniform(0.5, 100), dice.uniform(1, 50)
        time = Time()
        bucket = TokenBucket(per_second, burst, now=time)
        taken = 0
        for _ in range(400):
            time.now_s += dice.choice([0.0, dice.expovariate(per_second), dice.uniform(0, 1)])
            taken += bucket.take()
            assert taken <= burst + per_second * time.now_s + 1e-6


def test_time_that_goes_back_gives_nothing_and_costs_nothing() -> None:
    time = Time()
    time.now_s = 9
    bucket = TokenBucket(1, 1, now=time)
    assert bucket.take()
    time.now_s = 0
    assert not bucket.take()
    time.now_s = 9.5
    assert not bucket.take()
    time.now_s = 10
    assert bucket.take()


def test_what_is_given_back_can_be_taken_again_and_never_more_than_the_burst() -> None:
    time = Time()
    buckets = Buckets(1, 2, now=time)
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]
    buckets.give_back("a")
    assert not buckets.is_empty("a")
    assert [buckets.take("a"), buckets.take("a")] == [True, False]
    for _ in range(9):
        buckets.give_back("a")
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]


def test_made_up_keys_give_nobody_a_new_bucket() -> None:
    time = Time()
    buckets = Buckets(1, 5, most=100, now=time)
    assert [buckets.take("guesser") for _ in range(6)] == [True] * 5 + [False]
    for n in range(10_000):
        buckets.take(f"made up {n}")
    assert not buckets.take("guesser")
    # Those for whom there was no room are bounded as well, and together.
    taken = sum(buckets.take(f"more {n}") for n in range(10_000))
    assert taken < 256 * 5
    # Once they are full again there is room.
    time.now_s = 5
    assert [buckets.take("newcomer") for _ in range(6)] == [True] * 5 + [False]


def test_places_are_given_back() -> None:
    places = Places(2)
    assert [places.take("a"), places.take("a"), places.take("a")] == [True, True, False]
    assert places.take("b")
    places.free("a")
    assert places.take("a")
    for _ in range(2):
        places.free("a")
    assert [places.take("a"), places.take("a"), places.take("a")] == [True, True, False]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_stands_for_all_that_its_owner_has(address: str | None, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("client", "headers", "asker"),
    [
        (("192.0.2.7", 5), {}, Asker("192.0.2.7", ("192.0.2.7", 5))),
        # A stranger's word counts for nothing.
        (
            ("192.0.2.7", 5),
            {"x-forwarded-for": "198.51.100.1"},
            Asker("192.0.2.7", ("192.0.2.7", 5)),
        ),
        # The server has believed a proxy, and tells no port.
        (("192.0.2.7", 0), {"x-forwarded-for": "192.0.2.7"}, Asker("192.0.2.7")),
        (("127.0.0.1", 5), {}, Asker("127.0.0.1", ("127.0.0.1", 5))),
        (("127.0.0.1", 5), {"x-forwarded-for": "192.0.2.7"}, Asker("192.0.2.7")),
        # What is made up stands before what the proxy has seen.
        (("::1", 5), {"x-forwarded-for": "203.0.113.9, 192.0.2.7"}, Asker("192.0.2.7")),
        (("127.0.0.1", 5), {"x-forwarded-for": "192.0.2.7, 127.0.0.5"}, Asker("192.0.2.7")),
        (("127.0.0.1", 5), {"x-forwarded-for": "[2001:db8::1]:443"}, Asker("2001:db8::/64")),
        (("127.0.0.1", 5), {"x-forwarded-for": "192.0.2.7:80"}, Asker("192.0.2.7")),
        (("127.0.0.1", 5), {"x-forwarded-for": "127.0.0.9"}, Asker("127.0.0.9")),
        # One that names nobody still carries many.
        (("127.0.0.1", 5), {"x-forwarded-proto": "https"}, Asker("127.0.0.1")),
        (("127.0.0.1", 5), {"x-forwarded-for": ", ,"}, Asker("127.0.0.1")),
        # A socket that is a file.
        (None, {"x-forwarded-for": "192.0.2.7"}, Asker("192.0.2.7")),
        (None, {}, Asker("")),
    ],
)
def test_who_asks_is_what_our_own_proxies_say(
    client: tuple[str, int] | None, headers: Mapping[str, str], asker: Asker
) -> None:
    address, port = client or (None, None)
    assert asker_of(address, port, headers.get, LOOPBACK) == asker


def test_other_proxies_are_believed_where_they_are_named() -> None:
    proxies = checked_proxies(["10.0.0.0/8"])
    headers = {"x-forwarded-for": "192.0.2.7"}
    assert asker_of("10.1.2.3", 5, headers.get, proxies) == Asker("192.0.2.7")
    assert asker_of("127.0.0.1", 5, headers.get, proxies).network == "127.0.0.1"


@pytest.mark.parametrize("value", ["127.0.0.1", ["example.org"], ["10.0.0.1/8"], 5, [None]])
def test_what_is_no_list_of_proxies_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"proxy|list"):
        checked_proxies(value)


def test_connections_are_limited_apart_and_an_address_together() -> None:
    buckets = AskerBuckets(Limits(rate=0.001))
    connections = [Asker("192.0.2.7", ("192.0.2.7", port)) for port in range(1, 100)]
    assert [buckets.take(connections[0]) for _ in range(2)] == [True, False]
    # However many connections it opens.
    assert not any(buckets.take(connection) for connection in connections)
    assert buckets.take(Asker("192.0.2.8"))


def test_behind_a_proxy_each_page_has_a_limit_of_its_own_and_there_is_one() -> None:
    buckets = AskerBuckets(Limits(rate=1))
    # Each asks more than one connection may, as clients that share an address do.
    for page in range(240):
        assert all(buckets.take(Asker(f"10.0.0.{page}")) for _ in range(10))
    taken = sum(buckets.take(Asker("192.0.2.7")) for _ in range(1000))
    assert 2 * ADDRESS_RATES <= taken < 3 * ADDRESS_RATES
    without = AskerBuckets(Limits(rate=None))
    assert all(without.take(Asker("192.0.2.7")) for _ in range(1000))
