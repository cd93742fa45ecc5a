"""Settings of the reference server; docs/OPERATIONS.md has the table of variables.

Without any it needs nothing but a disk: SQLite, and messages between sockets in memory.
DATABASE_URL and REDIS_URL let many processes on many machines serve one dashboard.
"""

from __future__ import annotations

import os
from pathlib import Path

from config.environment import (
    database,
    flag,
    folder,
    log_level,
    names,
    number,
    rate,
    redis,
    secret_key,
)
from portacode._wire import FRAME_BYTES

BASE_DIR = Path(__file__).resolve().parent.parent
# Everything that the server writes: its key, SQLite's file, collected static files.
DATA_DIR = folder("DATA_DIR", BASE_DIR / "var")

DEBUG = flag("DEBUG", False)
SECRET_KEY = secret_key(DATA_DIR)
ALLOWED_HOSTS = names("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = names("CSRF_TRUSTED_ORIGINS", "")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "portacode",
    "data",
    "gateway",
    "dashboard",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.static.WholeFiles",
    "config.csp.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Where things are kept --------------------------------------------------------------------

DATABASES = {
    "default": database(
        "DATABASE_URL",
        default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}",
        # A connection for each query would cost more than the query.
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        # Readers do not wait for the writer; writers wait for one another instead of failing.
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        transaction_mode="IMMEDIATE",
        timeout=20,
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = redis("REDIS_URL")
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "config.redis_layer.RedisLayer",
            "CONFIG": {"hosts": [REDIS_URL], "prefix": os.environ.get("REDIS_PREFIX", "portacode")},
        }
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "config.layers.InMemoryLayer"}}

# --- Users, cookies, transport ----------------------------------------------------------------

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# On behind TLS: cookies are then sent over TLS only, and browsers are asked to stay with it.
SECURE_COOKIES = flag("SECURE_COOKIES", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_COOKIES else 0
SECURE_SSL_REDIRECT = flag("SECURE_SSL_REDIRECT", False)
# Only then is what a proxy says of its clients believed.
BEHIND_PROXY = flag("BEHIND_PROXY", False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024

# --- Limits: nothing that a peer does may grow without bound ------------------------------------

# One frame, and one body of a command over HTTP; docs/TRACE.md has the number.
SOCKET_MESSAGE_MAX = FRAME_BYTES
BROWSER_RATE = rate("BROWSER_RATE", "50/200")
DEVICE_RATE = rate("DEVICE_RATE", "500/2000")
COMMANDS_RATE = rate("COMMANDS_RATE", "20/100")
# Attempts to log in that fail: for each address and name, and for an address whatever the name.
LOGIN_RATE = rate("LOGIN_RATE", "0.1/20")
LOGIN_ADDRESS_RATE = rate("LOGIN_ADDRESS_RATE", "0.5/50")
# Tokens of devices that are none, for each address.
TOKEN_RATE = rate("TOKEN_RATE", "20/500")
# Sockets of one user in one process: tabs, mostly.
USER_SOCKETS_MAX = int(number("USER_SOCKETS_MAX", 32, 1))
# What is kept for one socket until it has been read, in bytes.
QUEUE_BYTES_MAX = int(number("QUEUE_BYTES_MAX", 8_388_608, 65_536))
# Connections of one process, whatever they do.
CONNECTIONS_MAX = int(number("CONNECTIONS_MAX", 4000, 1))
# Of these, what those may have who have not shown who they are, and of that what one address may.
STRANGERS_MAX = int(number("STRANGERS_MAX", CONNECTIONS_MAX * 3 // 4, 1))
ADDRESS_CONNECTIONS_MAX = int(number("ADDRESS_CONNECTIONS_MAX", 256, 1))
# Pairs of counters of which a process knows something, some 4 KiB each; and how many counters one
# device, or one user's pages, may speak of: a page has a new one whenever it is loaded.
LINKS_MAX = int(number("LINKS_MAX", 4096, 16))
COUNTERS_RATE = rate("COUNTERS_RATE", "0.1/64")
# Requests of one socket that wait for their devices.
PENDING_MAX = int(number("PENDING_MAX", 1000, 1))
# Seconds for an HTTP request to arrive, and for a device to say hello.
HANDSHAKE_S = number("HANDSHAKE_S", 10, 0.1)
# Seconds without a message; browsers let a hidden tab's timers rest for a minute.
DEVICE_IDLE_S = number("DEVICE_IDLE_S", 45, 1)
BROWSER_IDLE_S = number("BROWSER_IDLE_S", 180, 1)
# Seconds after which a socket of somebody who has logged out is closed.
SESSION_CHECK_S = number("SESSION_CHECK_S", 30, 0.1)
# Seconds that a peer may leave us unable to write.
SLOW_READER_S = number("SLOW_READER_S", 10, 0.1)
# Seconds for a device to answer, restarted at each progress.
REQUEST_TIMEOUT_S = number("REQUEST_TIMEOUT_S", 30, 0.1)

# --- Traces -------------------------------------------------------------------------------------

TRACES_MAX_AGE_DAYS = number("TRACES_MAX_AGE_DAYS", 14)
TRACES_MAX_PER_USER = int(number("TRACES_MAX_PER_USER", 20_000, 1))

# --- Pages --------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG

LANGUAGE_CODE = "en-gb"
USE_TZ = True
TIME_ZONE = "UTC"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": log_level("LOG_LEVEL", "INFO")},
    # What uvicorn says of each connection, and Django of each refused page, is in its access log.
    "loggers": {"django.request": {"level": "ERROR"}},
}
