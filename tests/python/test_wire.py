"""JSON, ids and sizes as all of the protocol's sides have them."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from portacode import _wire
from portacode._wire import Json, NotJsonError, TooDeepError, TooLargeError, WireError


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "text",
    [
        "1759639032768445123",
        "18446744073709551616",
        "-" + "9" * 308,
        "1.10",
        "1E2",
        "0.1000000000000000055511151231257827",
        '"caf\\udce9.txt"',
        '"\U0001f4a1 gr\\u00fc\u00dfe"',
        ' { "a" : [ 1 , {"a": 2} ] } '.strip(),
        nested(_wire.DEPTH_MAX - 1),
        '"[[[[\\"{{{{"',
        "null",
    ],
)
def test_a_member_that_is_passed_on_arrives_as_it_was_written(text: str) -> None:
    frame = f'\t{{"event": "x","payload" :\n{text} , "more":[2]}} '
    message = _wire.parse(frame)
    assert message == json.loads(frame)
    assert message.text("payload") == text
    again = _wire.encode({"event": message["event"], "payload": message.text("payload")})
    assert again == f'{{"event":"x","payload":{text}}}'
    again.encode()


def test_a_member_that_is_not_there_is_null_and_of_two_the_last_counts() -> None:
    message = _wire.parse('{"a":1,"a":[2],"\\u0062":3}')
    assert (message.text("a"), message.text("b"), message.text("c")) == ("[2]", "3", "null")
    assert _wire.parse("{}") == {}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "{", "}", "[1]", "7", "null", '"x"', "nonsense", "\ufeff{}", "{}x", "{}{}"),
        *(
            '{"a"}',
            '{"a":}',
            '{"a":1,}',
            '{,"a":1}',
            "{a:1}",
            "{'a':1}",
            '{"a" 1}',
            '{"a":1 "b":2}',
        ),
        *('{"a":NaN}', '{"a":-Infinity}', '{"a":1e999}', '{"a":"\n"}', '{"a":"\\x"}', '{"a":01}'),
        '{"a":' + "9" * 400 + "}",
        '{"a":-' + "9" * 30_000 + "}",
    ],
)
def test_what_is_not_an_object_in_json_is_refused(text: str) -> None:
    with pytest.raises(NotJsonError) as refused:
        _wire.parse(text)
    assert 0 < len(str(refused.value)) < 200


def test_nesting_is_counted_before_anything_is_parsed() -> None:
    most = _wire.DEPTH_MAX
    deepest = f'{{"a":{nested(most - 1)}}}'
    assert _wire.encode(_wire.parse(deepest)) == deepest
    for text in (f'{{"a":{nested(most)}}}', "[" * 60_000, '{"a":' * 10_000):
        with pytest.raises(TooDeepError):
            _wire.parse(text)
    deep: Any = []
    for depth in range(1, 3_000):
        if depth == most:
            with pytest.raises(TooDeepError):
                _wire.encode({"a": deep})
        deep = [deep]
    with pytest.raises(TooDeepError):
        _wire.encode({"a": deep})


def test_counting_takes_no_longer_for_strings_that_do_not_end() -> None:
    malformed = "[" * 200 + '"' + '\\"' * 32_000
    began = time.process_time()
    with pytest.raises(TooDeepError):
        _wire.parse(malformed)
    with pytest.raises(NotJsonError):
        _wire.parse('"' + '\\"[' * 20_000)
    # The square of the length would be minutes.
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("-inf"), 10**400, -(10**5000), b"x", {1, 2}, object(), {(1,): 2}],
    ids=["nan", "inf", "long", "longer", "bytes", "set", "object", "key"],
)
def test_what_json_cannot_say_is_refused_before_it_is_sent(value: object) -> None:
    with pytest.raises(NotJsonError):
        _wire.encode({"payload": value})
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(NotJsonError):
        _wire.encode({"payload": loop})


def test_half_a_surrogate_pair_goes_out_as_an_escape_and_the_rest_as_it_is() -> None:
    text = _wire.encode({"name": "caf\udce9", "light": "\U0001f4a1"})
    assert text == '{"name":"caf\\udce9","light":"\U0001f4a1"}'
    assert _wire.parse(text) == {"name": "caf\udce9", "light": "\U0001f4a1"}
    with pytest.raises(NotJsonError):
        _wire.loads(text, half_pairs=False)
    assert _wire.loads('"\\ud83d\\udca1"', half_pairs=False) == "\U0001f4a1"


def test_bytes_are_counted_and_not_characters() -> None:
    _wire.check_size("x" * _wire.FRAME_BYTES)
    _wire.check_size("\U0001f4a1" * 100, 400)
    for text in ("\U0001f4a1" * 101, "\ud800" * 134, "x" * 401):
        with pytest.raises(TooLargeError):
            _wire.check_size(text, 400)


def test_an_id_is_32_hexadecimal_digits_and_nothing_else() -> None:
    assert _wire.is_id("0123456789abcdef" * 2)
    for value in (None, 7, "", "0" * 31, "0" * 33, "A" * 32, "0" * 31 + "\n", "٠" * 32):
        assert not _wire.is_id(value)


def test_any_text_is_parsed_as_python_does_or_refused_with_a_reason() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    whole = '{"event":"command","payload":{"a":[1,2.5,"\u00e9",null]},"trace":{"x":-1e5},"n":""}'
    pieces = ["null", "{}", "[", "]", "-1", "1e999", '"', "true", "NaN", "\\ud800", ",", ":", "{"]
    agreed, reasons = 0, set[str]()
    for _ in range(20_000):
        letters = list(whole)
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(letters))
            letters[at : at + dice.randrange(8)] = dice.choice(pieces)
        text = "".join(letters)
        try:
            expected = json.loads(text)
        except ValueError:
            expected = None
        try:
            message = _wire.parse(text)
        except WireError as error:
            reasons.add(str(error))
            strict = isinstance(expected, dict) and "NaN" not in text and "1e999" not in text
            assert not strict, text
            continue
        assert message == expected
        agreed += 1
        for name, value in message.items():
            assert json.loads(message.text(name)) == value
            assert isinstance(message.text(name), Json)
    assert agreed > 3_000
    assert len(reasons) > 10
    assert "" not in reasons


def test_a_message_that_is_text_gets_more_members_and_keeps_its_own_as_they_are() -> None:
    text = _wire.encode({"event": "response", "payload": Json("[1.10, 1E2]")})
    whole = _wire.extended(text, {"trace": {"client_send": 1.5}})
    assert whole == '{"event":"response","payload":[1.10, 1E2],"trace":{"client_send":1.5}}'
    assert _wire.extended(text, {}) == text


def test_json_from_elsewhere_is_taken_as_it_is_written_or_refused() -> None:
    assert _wire.checked(' {"a": 1.10}\n') == '{"a": 1.10}'
    assert _wire.checked('"caf\udce9"') == '"caf\\udce9"'
    for text in ("", "NaN", "{", "[" * 200 + "]" * 200):
        with pytest.raises(WireError):
            _wire.checked(text)
