"""manage.py's commands, the settings' variables, and what a first start makes."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
from typing import TYPE_CHECKING

import pytest
from system import Server, fetch

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import World


@pytest.fixture
def unstarted(tmp_path: Path) -> Server:
    """A server with a database of its own, which no test has to start."""
    server = Server(tmp_path, "127.0.0.1:1", TRACES_MAX_PER_USER="5", TRACES_MAX_AGE_DAYS="1")
    server.manage("migrate", "--verbosity", "0")
    return server


def shell(server: Server, code: str) -> str:
    return server.manage("shell", "--verbosity", "0", "-c", code).strip()


def test_the_demo_is_set_up_once_and_prints_the_same_again(unstarted: Server) -> None:
    first, again = (json.loads(unstarted.manage("demo_setup")) for _ in range(2))
    assert first == again
    assert set(first) == {"user", "password", "devices", "project"}
    assert [set(device) for device in first["devices"]] == [{"id", "name", "token"}] * 2
    counts = "from data.models import *; print(Device.objects.count(), Project.objects.count())"
    assert shell(unstarted, counts) == "2 1"
    three = json.loads(unstarted.manage("demo_setup", "--devices", "3"))
    assert three["devices"][:2] == first["devices"]


def test_secrets_are_only_ours_to_read_and_tokens_are_not_in_the_database(
    unstarted: Server, tmp_path: Path
) -> None:
    made = json.loads(unstarted.manage("demo_setup"))
    for name in ("secret_key", "demo.json"):
        assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == 0o600
    everything = b"".join(path.read_bytes() for path in tmp_path.glob("db.sqlite3*"))
    for device in made["devices"]:
        assert device["id"].encode() in everything
        assert device["token"].encode() not in everything


def test_the_secret_key_is_made_once_and_can_be_given(tmp_path: Path) -> None:
    show = "from django.conf import settings; print(settings.SECRET_KEY)"
    server = Server(tmp_path, "127.0.0.1:1")
    first, again = shell(server, show), shell(server, show)
    assert first == again
    assert len(first) >= 50
    given = Server(tmp_path, "127.0.0.1:1", SECRET_KEY="given by the environment")
    assert shell(given, show) == "given by the environment"


def test_it_is_not_in_debug_mode_unless_asked(tmp_path: Path) -> None:
    show = "from django.conf import settings; print(settings.DEBUG)"
    assert shell(Server(tmp_path, "127.0.0.1:1"), show) == "False"
    assert shell(Server(tmp_path, "127.0.0.1:1", DEBUG="1"), show) == "True"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"DEBUG": "maybe"}, "DEBUG='maybe': give 1 or 0"),
        ({"BROWSER_RATE": "fast"}, "BROWSER_RATE='fast': give PER_SECOND/BURST"),
        ({"REQUEST_TIMEOUT_S": "-1"}, "REQUEST_TIMEOUT_S='-1': give a number"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL='LOUD': give one of DEBUG, INFO"),
        ({"HANDSHAKE_S": "nan"}, "HANDSHAKE_S='nan': give a number"),
        (
            {"DATABASE_URL": "mine:secret"},
            "DATABASE_URL is not the URL of a database: write postgres:",
        ),
        ({"DATA_DIR": "/dev/null/x"}, "DATA_DIR='/dev/null/x' cannot be a directory: Not a dir"),
        ({"REDIS_URL": "localhost:6379"}, "REDIS_URL is not the URL of a Redis: write redis://"),
    ],
)
def test_a_malformed_variable_is_named(
    tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    server = Server(tmp_path, "127.0.0.1:1", **variables)
    for command in ("check", "serve"):
        (line,) = server.manage(command, code=1).splitlines()
        assert line.startswith(f"manage.py: {says}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "99999"], "--port 99999: give a number from 0 (a free one) to 65535"),
        (["--port", "-1"], "--port -1: give a number from 0"),
        (["--workers", "0"], "--workers 0: give a number from 1 on"),
    ],
)
def test_a_malformed_option_of_serve_is_named(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    (line,) = Server(tmp_path, "127.0.0.1:1").manage("serve", *arguments, code=1).splitlines()
    assert line.startswith(f"CommandError: {says}")


def test_a_port_that_is_taken_is_reported_in_a_line_that_names_it(unstarted: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        printed = unstarted.manage("serve", "--port", port, code=3)
    assert port in printed
    assert "already in use" in printed
    assert "Traceback" not in printed
    assert "serving" not in printed


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_says_where_it_serves_once_it_does(unstarted: Server, host: str) -> None:
    with unstarted.serving("--host", host, "--port", "0") as line:
        shown = f"[{host}]" if ":" in host else host
        found = re.fullmatch(rf"serving (http://{re.escape(shown)}:[1-9]\d*/)\n", line)
        assert found, line
        answer = fetch(f"{found[1]}healthz")
        assert answer.json()["ok"]


def test_several_workers_want_redis(tmp_path: Path) -> None:
    server = Server(tmp_path, "127.0.0.1:1")
    assert "set REDIS_URL" in server.manage("serve", "--workers", "2", code=1)


def test_a_command_without_redis_says_what_to_do(unstarted: Server) -> None:
    unstarted.manage("demo_setup")
    printed = unstarted.manage("send_command", "workshop", "echo", code=1)
    assert "set REDIS_URL" in printed
    assert "/api/devices/ID/commands/" in printed


def test_devices_of_users_that_are_not_there_are_reported(unstarted: Server) -> None:
    assert "no user nobody" in unstarted.manage("device", "add", "x", "--owner", "nobody", code=1)
    unstarted.manage("demo_setup")
    printed = unstarted.manage("device", "renew", "x", "--owner", "demo", code=1)
    assert "no device x" in printed
    printed = unstarted.manage("device", "add", "workshop", "--owner", "demo", code=1)
    assert "already" in printed


def test_a_token_goes_to_a_new_file_that_only_we_can_read(
    unstarted: Server, tmp_path: Path
) -> None:
    unstarted.manage("demo_setup")
    path = tmp_path / "token"
    to_file = ("--owner", "demo", "--token-file", str(path))
    printed = unstarted.manage("device", "add", "lathe", *to_file).split()
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 32
    assert len(printed) == 1
    known = "from data.models import *; from data.tokens import hash_of;"
    known += f"print(Device.objects.get(token_hash=hash_of({token!r})).pk)"
    assert shell(unstarted, known) == printed[0]
    # A second time, and for others: it stays, and nothing is made.
    for action, name in (("add", "lathe"), ("add", "drill"), ("renew", "lathe")):
        more = ("--project", "unmade")
        said = unstarted.manage("device", action, name, *to_file, *more, code=1)
        assert ("already" if name == "lathe" and action == "add" else "not overwritten") in said
        assert path.read_text().strip() == token
    counts = "from data.models import *; print(Device.objects.count(), Project.objects.count())"
    assert shell(unstarted, counts) == "3 1"
    assert shell(unstarted, known) == printed[0], "the old token is still good"
    # What fails leaves no file behind.
    path.unlink()
    assert "already" in unstarted.manage("device", "add", "lathe", *to_file, code=1)
    assert "gives no token" in unstarted.manage("device", "revoke", "lathe", *to_file, code=1)
    nowhere = ("--owner", "demo", "--token-file", str(tmp_path / "no" / "token"))
    assert "cannot make" in unstarted.manage("device", "add", "drill", *nowhere, code=1)
    assert not path.exists()
    unstarted.manage("device", "renew", "lathe", *to_file)
    assert path.read_text().strip() not in ("", token)


def make_traces(server: Server, count: int, days_old: int = 0) -> None:
    shell(
        server,
        "from data.models import *; import secrets; from datetime import *;"
        "d = Device.objects.first();"
        "made = TraceRecord.objects.bulk_create(TraceRecord(request_id=secrets.token_hex(16),"
        f" device=d, owner=d.owner, command='c', reply_channel='x') for _ in range({count}));"
        f"then = datetime.now(timezone.utc) - timedelta(days={days_old});"
        "ids = [record.request_id for record in made];"
        "TraceRecord.objects.filter(request_id__in=ids).update(created_at=then)",
    )


def count_traces(server: Server) -> int:
    return int(shell(server, "from data.models import *; print(TraceRecord.objects.count())"))


def test_old_traces_and_too_many_are_pruned_the_oldest_first(unstarted: Server) -> None:
    unstarted.manage("demo_setup")
    make_traces(unstarted, 3, days_old=2)
    make_traces(unstarted, 4)
    assert unstarted.manage("prune_traces") == "deleted 3 too old, 0 too many\n"
    make_traces(unstarted, 4)
    newest = "from data.models import *; print(TraceRecord.objects.order_by('-id')[4].request_id)"
    oldest_to_stay = shell(unstarted, newest)
    assert unstarted.manage("prune_traces") == "deleted 0 too old, 3 too many\n"
    assert count_traces(unstarted) == 5
    last = "from data.models import *; print(TraceRecord.objects.order_by('id')[0].request_id)"
    assert shell(unstarted, last) == oldest_to_stay


def test_a_request_whose_server_died_with_its_waiting_clients_ends_as_a_timeout(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path, "127.0.0.1:1")
    server.manage("migrate", "--verbosity", "0")
    server.manage("demo_setup")
    make_traces(server, 2, days_old=2)
    make_traces(server, 1)
    server.manage("prune_traces")
    code = "from data.models import *; r = TraceRecord.objects.order_by('id');"
    code += "print([(each.status, (each.error or {}).get('code')) for each in r])"
    ended = "('timeout', 'timeout')"
    assert shell(server, code) == f"[{ended}, {ended}, ('pending', None)]"


def test_the_requirements_ask_for_a_portacode_that_this_one_is(world: World) -> None:
    from importlib.metadata import version

    from packaging.requirements import Requirement
    from system import SERVER

    lines = (SERVER / "requirements.txt").read_text().split()
    wanted = {(found := Requirement(line)).name: found for line in lines}
    assert "portacode>=1.3.26" in lines
    for requirement in wanted.values():
        assert requirement.specifier.contains(version(requirement.name)), requirement
    assert world.server.health()["ok"]


def test_the_server_uses_the_shared_clock_where_it_is_said_to() -> None:
    from system import SERVER

    for path in ("dashboard/consumers.py", "data/services/device_client.py"):
        source = (SERVER / path).read_text()
        assert "from portacode.utils.ntp_clock import ntp_clock\n" in source
