"""Fixtures: a real Chromium, and what it talks to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

# Time servers are those of Python's tests, the server and its devices those of the server's.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "server"))
# Before the clock is imported anywhere: tests leave the Internet alone.
os.environ["PORTACODE_NTP_SERVER"] = "127.0.0.1:1"

from pages import PATIENCE_MS
from site_server import Site
from standin import StandIn
from support import FaultyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Against a stand-in, and never the real one.
    "--host-resolver-rules=MAP cloudflare.com 127.0.0.1:{port}",
)
#: Opens for every test: functions that its scripts use.
PROBE = (Path(__file__).parent / "probe.js").read_text()


def pytest_configure(config: pytest.Config) -> None:
    # Servers are shut down in mid-connection here: what they leave is the collector's.
    for category in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
        config.addinivalue_line("filterwarnings", f"ignore::{category}")
    expect.set_options(timeout=PATIENCE_MS)


def chromium() -> str:
    """Path of a Chromium that is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium: apt-get install chromium")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a self-made certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=cloudflare.com"
    arguments = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *arguments], check=True, capture_output=True)
    return key, certificate


@pytest.fixture(scope="session")
def cloudflare(certificate: tuple[Path, Path]) -> Iterator[StandIn]:
    """What the browser takes for cloudflare.com."""
    server = StandIn(tls=certificate)
    yield server
    server.close()


@pytest.fixture(scope="session")
def browser(cloudflare: StandIn) -> Iterator[Browser]:
    """Chromium, headless, for all tests."""
    arguments = [argument.format(port=cloudflare.port) for argument in ARGUMENTS]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=arguments,
            # Playwright's own choice forbids pages to go to the back/forward cache.
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A profile of its own, with the functions of probe.js in all of its pages."""
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(PROBE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A tab; `page.complaints` is what its console held and its scripts threw."""
    return watched(context.new_page())


def watched(page: Page) -> Page:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    vars(page)["complaints"] = complaints
    return page


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A server that answers as the test decides."""
    server = StandIn()
    yield server
    server.close()


@pytest.fixture(scope="session")
def time_server() -> Iterator[str]:
    """Address of a server that tells this machine's wall clock."""
    server = FaultyServer()
    yield server.address
    server.stop()


@pytest.fixture(scope="session")
def site(
    time_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    """Starts a Django site: `site(storage=..., server="uvicorn")`; one for each kind."""
    started: dict[tuple[str, str, str], Site] = {}

    def start(
        storage: str = "plain", server: str = "uvicorn", ntp_server: str = time_server
    ) -> Site:
        kind = (storage, server, ntp_server)
        if kind not in started:
            started[kind] = Site(tmp_path_factory.mktemp("site"), *kind)
        return started[kind]

    yield start
    for each in started.values():
        each.stop()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where people look at what was tested."""
    folder = ROOT / ".work" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
