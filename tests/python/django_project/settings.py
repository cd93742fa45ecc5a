"""Settings; the ones that tests vary come from PROJECT_SETTINGS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

BASE = Path(__file__).resolve().parent

SECRET_KEY = "for tests alone"
DEBUG = True
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "django_project.urls"
WSGI_APPLICATION = "django_project.wsgi.application"
ASGI_APPLICATION = "django_project.asgi.application"
INSTALLED_APPS = ["django.contrib.staticfiles", "channels", "portacode"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE / "templates"],
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = os.environ.get("PROJECT_STATIC_ROOT")
DATABASES: dict[str, Any] = {}
PORTACODE_RELAY_METRICS = True

globals().update(json.loads(os.environ.get("PROJECT_SETTINGS", "{}")))
