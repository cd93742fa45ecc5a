"""portacode as a Django application: static files, template tags, checks and settings."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from servers import RUNSERVER, project_environment, serving, uvicorn
from support import PACKAGE, Ran, without_attempts

MODULE = PACKAGE / "static" / "js" / "utils" / "ntp-clock.js"
STORAGES = {
    "plain": "django.contrib.staticfiles.storage.StaticFilesStorage",
    "hashed": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
    "WhiteNoise, hashed only": "whitenoise.storage.CompressedManifestStaticFilesStorage",
}
RENDER = """
import django, sys
django.setup()
from django.template import engines
from django.test import RequestFactory
request = RequestFactory().get("/", secure={secure!r}, HTTP_HOST="clock.example:8443")
for name, value in {attributes!r}.items():
    setattr(request, name, value)
template = engines["django"].from_string("{{% load ntp_clock %}}" + {text!r})
print(template.render({context!r}, request))
"""


def manage(*arguments: str, ntp_server: str = "127.0.0.1:1", **settings: Any) -> Ran:
    """Runs Django's command in the project."""
    return _python("-m", "django", *arguments, ntp_server=ntp_server, **settings)


def _python(*arguments: str, ntp_server: str = "127.0.0.1:1", **settings: Any) -> Ran:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=project_environment(ntp_server, **settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Ran(done.returncode, done.stdout, without_attempts(done.stderr, ntp_server), 0)


def rendered(
    text: str,
    secure: bool = False,
    attributes: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    **settings: Any,
) -> str:
    """What a template makes of it, in a page asked for from clock.example:8443."""
    code = RENDER.format(
        text=text, secure=secure, attributes=attributes or {}, context=context or {}
    )
    ran = _python("-c", code, **settings)
    assert (ran.code, ran.err) == (0, ""), ran
    return ran.out.strip()


def storage(name: str, root: Path) -> dict[str, Any]:
    return {
        "STATIC_ROOT": str(root),
        "STORAGES": {"staticfiles": {"BACKEND": STORAGES[name]}},
        "WHITENOISE_KEEP_ONLY_HASHED_FILES": True,
        "DEBUG": False,
    }


def import_map(page: str) -> dict[str, str]:
    found = re.search(r'<script type="importmap"[^>]*>(.*?)</script>', page)
    assert found, page
    imports: dict[str, str] = json.loads(found[1])["imports"]
    return imports


@pytest.mark.parametrize("name", STORAGES)
def test_collectstatic_puts_the_module_where_its_url_says(name: str, tmp_path: Path) -> None:
    settings = storage(name, tmp_path)
    ran = manage("collectstatic", "--noinput", **settings)
    assert ran.code == 0, ran
    page = rendered("{% ntp_clock_url %} {% ntp_clock_importmap %}", **settings)
    url = page.split()[0]
    assert url.startswith("/static/js/utils/ntp-clock.")
    collected = tmp_path / url.removeprefix("/static/")
    assert collected.read_bytes() == MODULE.read_bytes(), "one file, which imports nothing"
    assert import_map(page) == {"ntp-clock": url, "/static/js/utils/ntp-clock.js": url}
    if name == "plain":
        assert url == "/static/js/utils/ntp-clock.js"
    else:
        digest = hashlib.md5(MODULE.read_bytes()).hexdigest()[:12]
        assert url == f"/static/js/utils/ntp-clock.{digest}.js"
    plain_is_there = (tmp_path / "js" / "utils" / "ntp-clock.js").exists()
    assert plain_is_there == (name != "WhiteNoise, hashed only")
    test_page = PACKAGE / "static" / "js" / "test-ntp-clock.html"
    if test_page.exists() and plain_is_there:
        assert (tmp_path / "js" / "test-ntp-clock.html").read_bytes() == test_page.read_bytes()


def test_whitenoise_serves_the_module_by_the_url_of_the_page(tmp_path: Path, silent: str) -> None:
    settings = storage("WhiteNoise, hashed only", tmp_path)
    settings["MIDDLEWARE"] = ["whitenoise.middleware.WhiteNoiseMiddleware"]
    assert manage("collectstatic", "--noinput", **settings).code == 0
    with serving(uvicorn("django_project.asgi:application"), silent, **settings) as server:
        page = server.get("/page/").body.decode()
        url = import_map(page)["ntp-clock"]
        answer = server.get(url)
        assert (answer.status, answer.body) == (200, MODULE.read_bytes())
        assert "javascript" in answer.headers["content-type"]
        assert "immutable" in answer.headers["cache-control"]
        assert '<meta name="ntp-clock-relay" content="/clock/">' in page


def test_runserver_serves_the_module_without_collectstatic(silent: str) -> None:
    with serving(RUNSERVER, silent) as server:
        answer = server.get("/static/js/utils/ntp-clock.js")
        assert (answer.status, answer.body) == (200, MODULE.read_bytes())
        assert "javascript" in answer.headers["content-type"]


@pytest.mark.parametrize(
    ("static_url", "plain"),
    [
        ("https://cdn.example/s/", "https://cdn.example/s/js/utils/ntp-clock.js"),
        ("assets/", "/assets/js/utils/ntp-clock.js"),
    ],
)
def test_the_import_map_follows_where_static_files_are(static_url: str, plain: str) -> None:
    imports = import_map(rendered("{% ntp_clock_importmap %}", STATIC_URL=static_url))
    assert imports == {"ntp-clock": plain, plain: plain}


def test_the_import_map_cannot_be_closed_from_within() -> None:
    page = rendered("{% ntp_clock_importmap %}", STATIC_URL="/</script><!--&/")
    assert page.count("<") == page.count(">") == 2
    assert import_map(page)["ntp-clock"].endswith("/js/utils/ntp-clock.js")


@pytest.mark.parametrize(
    ("text", "attributes", "context", "expected"),
    [
        ("{% ntp_clock_importmap %}", {}, {}, ""),
        ("{% ntp_clock_importmap %}", {"csp_nonce": "a+b/c="}, {}, ' nonce="a+b/c="'),
        ("{% ntp_clock_importmap %}", {}, {"csp_nonce": "abc"}, ' nonce="abc"'),
        ("{% ntp_clock_importmap nonce='x' %}", {"csp_nonce": "abc"}, {}, ' nonce="x"'),
        ('{% ntp_clock_importmap n %}', {}, {"n": '"><b>'}, ' nonce="&quot;&gt;&lt;b&gt;"'),
    ],
    ids=["none", "django-csp's", "Django's", "as an argument", "escaped"],
)  # fmt: skip
def test_the_import_map_has_the_pages_nonce(
    text: str, attributes: dict[str, Any], context: dict[str, Any], expected: str
) -> None:
    page = rendered(text, attributes=attributes, context=context)
    assert page.startswith(f'<script type="importmap"{expected}>{{')


@pytest.mark.parametrize("attribute", ["csp_nonce", "_csp_nonce"], ids=["django-csp", "Django 6"])
def test_a_nonce_that_is_made_when_it_is_first_written_is_written(attribute: str) -> None:
    lazy = (
        "import django\n"
        "django.setup()\n"
        "from django.template import engines\n"
        "from django.test import RequestFactory\n"
        "from django.utils.functional import SimpleLazyObject, empty\n"
        "class Nonce(SimpleLazyObject):\n"
        "    def __bool__(self):\n"
        "        return self._wrapped is not empty\n"
        "request = RequestFactory().get('/')\n"
        f"request.{attribute} = Nonce(lambda: 'made')\n"
        "tag = '{% load ntp_clock %}{% ntp_clock_importmap %}'\n"
        "print(engines['django'].from_string(tag).render({}, request))\n"
    )
    ran = _python("-c", lazy)
    assert ran.out.startswith('<script type="importmap" nonce="made">{'), ran


@pytest.mark.parametrize(
    ("text", "secure", "settings", "url"),
    [
        ("{% ntp_clock_relay_meta %}", True, {}, "/clock/"),
        ("{% ntp_clock_relay_meta '/ws/clock/' %}", False, {}, "ws://clock.example:8443/ws/clock/"),
        (
            "{% ntp_clock_relay_meta %}",
            True,
            {"PORTACODE_RELAY_URL": "/ws/clock/"},
            "wss://clock.example:8443/ws/clock/",
        ),
        (
            "{% ntp_clock_relay_meta %}",
            True,
            {"PORTACODE_RELAY_URL": "wss://time.example/"},
            "wss://time.example/",
        ),
        (
            "{% ntp_clock_relay_meta %}",
            True,
            {"ROOT_URLCONF": "django_project.no_urls"},
            "wss://clock.example:8443/ws/clock/",
        ),
    ],
    ids=["HTTP", "a path", "the setting, TLS", "elsewhere", "Channels alone"],
)
def test_the_page_learns_where_the_relay_is(
    text: str, secure: bool, settings: dict[str, Any], url: str
) -> None:
    assert rendered(text, secure=secure, **settings) == (
        f'<meta name="ntp-clock-relay" content="{url}">'
    )


def test_a_page_may_say_that_the_relay_wants_a_login() -> None:
    assert rendered("{% ntp_clock_relay_meta credentials='same-origin' %}", secure=False) == (
        '<meta name="ntp-clock-relay" content="/clock/" data-credentials="same-origin">'
    )


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("{% ntp_clock_relay_meta 'ftp://x' %}", {}, "its URL must be a path such as"),
        ("{% ntp_clock_relay_meta credentials='yes' %}", {}, 'credentials are "omit"'),
        (
            "{% ntp_clock_relay_meta %}",
            {
                "ROOT_URLCONF": "django_project.no_urls",
                "INSTALLED_APPS": ["django.contrib.staticfiles", "portacode"],
            },
            "finds no relay: put path('clock/', include('portacode.relay.urls'))",
        ),
    ],
)
def test_a_page_that_cannot_name_a_relay_says_what_to_do(
    text: str, settings: dict[str, Any], expected: str
) -> None:
    code = RENDER.format(text=text, secure=False, attributes={}, context={})
    ran = _python("-c", code, **settings)
    assert ran.code != 0
    assert expected in ran.err


def test_a_project_that_is_right_has_nothing_to_hear() -> None:
    right: list[dict[str, Any]] = [
        {},
        {"PORTACODE_RELAY_URL": "/ws/clock/", "PORTACODE_RELAY_RATE": None},
    ]
    for settings in right:
        ran = manage("check", **settings)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out == "System check identified no issues (0 silenced).\n"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"PORTACODE_RELAY_RATE": "20"},
            "(portacode.E001) PORTACODE_RELAY_RATE must be a number of requests a second above 0, "
            "or None, not '20'\n\tHINT: Without it, PORTACODE_RELAY_RATE is 20.0.",
        ),
        (
            {"PORTACODE_RELAY_MAX_BYTES": 10},
            "(portacode.E001) PORTACODE_RELAY_MAX_BYTES must be a whole number of bytes from 128 "
            "to 65536, not 10",
        ),
        (
            {"PORTACODE_RELAY_ORIGINS": "https://a.example"},
            '(portacode.E001) PORTACODE_RELAY_ORIGINS must be a list such as ["https://example.org"'
            "] or [\"*\"], not 'https://a.example'",
        ),
        (
            {"PORTACODE_RELAY_ORIGINS": ["a.example"]},
            "(portacode.E001) PORTACODE_RELAY_ORIGINS has 'a.example', which is not an origin:"
            ' write "https://example.org"',
        ),
        (
            {"PORTACODE_RELAY_URL": "clock.example"},
            "(portacode.E001) PORTACODE_RELAY_URL must be a path such as",
        ),
        (
            {"PORTACODE_RELAY_METRICS": "yes"},
            "(portacode.E001) PORTACODE_RELAY_METRICS must be True or False, not 'yes'",
        ),
        (
            {"PORTACODE_RELAY_ORIGIN": ["*"]},
            "(portacode.W001) PORTACODE_RELAY_ORIGIN is not a setting of portacode\n"
            "\tHINT: Did you mean PORTACODE_RELAY_ORIGINS?",
        ),
        (
            {"PORTACODE_NTP_SERVER": "time.example"},
            "(portacode.W002) PORTACODE_NTP_SERVER stands in Django's settings, where the clock "
            "does not look\n\tHINT: Set it in the process's environment",
        ),
        (
            {"PORTACODE_NTP_NTS": "required"},
            "(portacode.W002) PORTACODE_NTP_NTS stands in Django's settings, where the clock",
        ),
        (
            {"PORTACODE_RELAY_URL": "/ws/elsewhere/"},
            "(portacode.W003) PORTACODE_RELAY_URL is '/ws/elsewhere/', but ASGI_APPLICATION routes "
            "no WebSocket there\n\tHINT: Put portacode.relay.routing.websocket_urlpatterns into",
        ),
        (
            {"PORTACODE_RELAY_URL": "/ws/clock/", "ASGI_APPLICATION": None},
            "(portacode.W003) PORTACODE_RELAY_URL is '/ws/clock/', but",
        ),
    ],
)
def test_check_tells_what_is_wrong_and_what_to_do(settings: dict[str, Any], expected: str) -> None:
    ran = manage("check", **settings)
    assert expected in ran.err
    assert ran.code == (1 if "(portacode.E" in expected else 0)
    assert ran.err.count("portacode.") - ran.err.count("portacode.relay") == 1, ran.err


def test_check_tells_of_a_malformed_server_in_the_environment() -> None:
    ran = manage("check", ntp_server="time.example:99999")
    assert ran.code == 1
    assert "(portacode.E002) the environment variable PORTACODE_NTP_SERVER is malformed: " in (
        ran.err
    )
    assert "time.example:99999" in ran.err
    assert "HINT: Correct it or take it out" in ran.err


def test_check_tells_of_a_choice_of_nts_that_cannot_be_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORTACODE_NTP_NTS", "always")
    ran = manage("check")
    assert ran.code == 1
    reason = 'environment variable PORTACODE_NTP_NTS: NTS must be "off" or "required", not "always"'
    assert f"(portacode.E004) {reason}\n\tHINT: Correct PORTACODE_NTP_NTS and" in ran.err


def test_without_channels_check_and_import_say_how_to_get_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['channels'] = None\n"
        "from importlib import util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'channels' else found(name, *rest)\n"
        "import django\n"
        "django.setup()\n"
        "try:\n"
        "    import portacode.relay.consumers\n"
        "except ImportError as error:\n"
        "    print(error)\n"
        "from django.core.management import call_command\n"
        "call_command('check')\n"
    )
    ran = _python(
        "-c",
        code,
        INSTALLED_APPS=["django.contrib.staticfiles", "portacode"],
        PORTACODE_RELAY_URL="/ws/clock/",
    )
    assert "needs Channels: pip install 'portacode[server]'" in ran.out
    assert "(portacode.E003) PORTACODE_RELAY_URL is '/ws/clock/', the path of a WebSocket" in (
        ran.err
    )
    assert "HINT: Install portacode[server], or leave the setting out" in ran.err


def test_settings_are_read_when_needed_and_again_when_they_change() -> None:
    code = (
        "import django\n"
        "django.setup()\n"
        "from django.core.exceptions import ImproperlyConfigured\n"
        "from django.test import override_settings\n"
        "from portacode.relay import settings\n"
        "seen = [settings.limits().rate]\n"
        "first = settings.endpoint()\n"
        "with override_settings(PORTACODE_RELAY_RATE=3):\n"
        "    seen.append(settings.limits().rate)\n"
        "    assert settings.endpoint() is not first\n"
        "with override_settings(PORTACODE_RELAY_RATE=0):\n"
        "    try:\n"
        "        settings.limits()\n"
        "    except ImproperlyConfigured as error:\n"
        "        seen.append(str(error))\n"
        "seen.append(settings.limits().rate)\n"
        "import json; print(json.dumps(seen))\n"
    )
    ran = _python("-c", code, PORTACODE_RELAY_RATE=7)
    assert (ran.code, ran.err) == (0, "")
    expected = "PORTACODE_RELAY_RATE must be a number of requests a second above 0, or None, not 0"
    assert json.loads(ran.out) == [7, 3, expected, 7]
