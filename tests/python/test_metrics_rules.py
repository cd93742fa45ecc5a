"""Alerts and dashboard: tried by Debian's Prometheus on what the clock really exports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from support import PACKAGE, PROGRAMS, ROOT, environment, eventually

from portacode.metrics import LinkCounts, prometheus_text
from portacode.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from portacode.utils.ntp_clock import NTPClock

DEPLOY = ROOT / "deploy"
METRICS = ROOT / "docs" / "METRICS.md"
DASHBOARD = DEPLOY / "grafana" / "ntp-clock.json"
NAME = re.compile(r"\bntp_clock_[a-z_]+\b")


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: apt-get install prometheus")
    return found


def promtool(*arguments: str, stdin: str = "", folder: Path = DEPLOY / "prometheus") -> None:
    ran = subprocess.run(
        [tool("promtool"), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


def documented() -> set[str]:
    return set(NAME.findall(METRICS.read_text()))


def of_links() -> set[str]:
    """What only a server has that keeps links."""
    text = METRICS.read_text().split("\n## Links\n")[1].split("\n## ")[0]
    return set(NAME.findall(text))


def of_keys() -> set[str]:
    """What only a clock has that requires Network Time Security."""
    text = METRICS.read_text().split("\n## Network Time Security\n")[1].split("\n## ")[0]
    return set(NAME.findall(text))


def expressions(dashboard: Any) -> Iterator[tuple[str, str]]:
    """Each panel's title with each of its queries, for one instance and any server."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for variable, value in (
                ("$instance", ".*"),
                ("$server", ".*"),
                ("$__rate_interval", "10s"),
                ("$__range", "1m"),
            ):
                expression = expression.replace(variable, value)
            yield panel["title"], expression


def test_the_example_configuration_is_valid() -> None:
    promtool("check", "config", "prometheus.yml")


def test_each_alert_fires_where_it_should_and_nowhere_else() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_tried() -> None:
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    tests = (DEPLOY / "prometheus" / "alerts_test.yml").read_text()
    for alert in re.findall(r"- alert: (\w+)", rules):
        fired = re.search(rf"alertname: {alert}\n\s+eval_time: \w+\n\s+exp_alerts:\n\s+- ", tests)
        assert fired, f"no test in which {alert} fires"


@pytest.mark.parametrize(
    "path", ["prometheus/alerts.yml", "prometheus/alerts_test.yml", "grafana/ntp-clock.json"]
)
def test_only_documented_metrics_are_used(path: str) -> None:
    used = set(NAME.findall((DEPLOY / path).read_text()))
    assert used <= documented()


def test_the_dashboard_shows_every_documented_metric() -> None:
    assert documented() <= set(NAME.findall(DASHBOARD.read_text()))


def test_the_dashboard_is_in_order() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
        assert panel["type"] == "row" or panel["description"], panel["title"]


def test_what_python_exports_passes_the_linter(synced: NTPClock) -> None:
    relay = Relay(synced)
    relay.answer({"event": "clock_sync_request", "request_id": "a7"}, relay.receipt())
    relay.answer({"event": "clock_sync_request"}, relay.receipt())
    text = prometheus_text(synced, relay, LinkCounts(1, {("exchange", "kept"): 2}))
    promtool("check", "metrics", stdin=text)
    assert of_links() <= set(NAME.findall(text)) <= documented()


def test_what_the_command_exports_passes_the_linter_and_has_the_same_names(
    time_server: str,
) -> None:
    command = [*ntp_clock_command(), "relay", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(time_server),
    ) as relay:
        try:
            assert relay.stdout is not None
            lines = [relay.stdout.readline(), relay.stdout.readline()]
            found = re.search(r"http://\S+", lines[0])
            assert found, lines
            assert lines[1].startswith("synchronised"), lines
            with urllib.request.urlopen(f"{found[0]}/metrics", timeout=30) as reply:
                text = reply.read().decode()
        finally:
            relay.terminate()
    promtool("check", "metrics", stdin=text)
    assert set(NAME.findall(text)) == documented() - of_links() - of_keys()


def ntp_clock_command() -> list[str]:
    """Cargo's or the Python package's, whichever was built last."""
    cargos = [ROOT / "target" / profile / "ntp-clock" for profile in ("debug", "release")]
    built = [path for path in (*cargos, PACKAGE / "_native.abi3.so") if path.exists()]
    newest = max(built, key=lambda path: path.stat().st_mtime)
    own = [sys.executable, "-m", "portacode.cli"]
    return own if newest.suffix == ".so" else [str(newest)]


def test_prometheus_scrapes_it_and_every_panel_has_an_answer(
    tmp_path: Path, time_server: str
) -> None:
    binary = tool("prometheus")
    with subprocess.Popen(
        [sys.executable, str(PROGRAMS / "metrics_server.py")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(time_server),
    ) as serving:
        try:
            assert serving.stdout is not None
            target = serving.stdout.readline().strip()
            (tmp_path / "prometheus.yml").write_text(configuration(target))
            with Prometheus(binary, tmp_path) as prometheus:
                fresh = (
                    "ntp_clock_relay_requests_total and ntp_clock_relay_requests_total offset 5s"
                )
                assert eventually(lambda: bool(prometheus.query(fresh)))
                dashboard = json.loads(DASHBOARD.read_text())
                answers = {each: prometheus.query(each[1]) for each in expressions(dashboard)}
                empty = {title for (title, _), answer in answers.items() if not answer}
                # Nothing was refused, and no connections are owned by an application, which keeps
                # no links either. Nothing is proved by plain NTP.
                nothing = {"Replies not believed", "WebSockets ended", "Connections"}
                nothing |= {"Links kept", "Evidence of links"}
                assert empty <= nothing | {"Keys", "Certificates", "Exchanges"}
                assert prometheus.query('ALERTS{alertstate="firing"}') == []
        finally:
            serving.terminate()


def configuration(target: str) -> str:
    """The example, only sooner, and with the one target there is."""
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    text = text[: text.index("  # The Django server")].replace("30s", "1s")
    text = text.replace("alerts.yml", str(DEPLOY / "prometheus" / "alerts.yml"))
    return re.sub(r"targets: \[.*\]", f'targets: ["{target}"]', text)


class Prometheus:
    """Debian's server, on a port of this machine."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._command = [
            binary,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:0",
        ]
        self._log = folder / "log"

    def __enter__(self) -> Prometheus:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        assert eventually(lambda: self._address() is not None), self._log.read_text()
        assert eventually(self._is_ready), self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=120)

    def query(self, expression: str) -> list[Any]:
        encoded = urllib.parse.urlencode({"query": expression})
        url = f"http://{self._address()}/api/v1/query?{encoded}"
        try:
            with urllib.request.urlopen(url, timeout=120) as reply:
                result: list[Any] = json.load(reply)["data"]["result"]
                return result
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error

    def _address(self) -> str | None:
        found = re.search(r'msg="Listening on" address=(\S+)', self._log.read_text())
        return found[1] if found else None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self._address()}/-/ready", timeout=2):
                return True
        except OSError:
            time.sleep(0.1)
            return False
