"""A Django site that uses the clock as its documentation says."""

from __future__ import annotations

import os

STORAGES_BY_NAME = {
    "plain": "django.contrib.staticfiles.storage.StaticFilesStorage",
    "manifest": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
    "whitenoise": "whitenoise.storage.CompressedManifestStaticFilesStorage",
}

SECRET_KEY = "only a test"
# runserver serves static files only so; hashed names exist only without.
DEBUG = os.environ["SITE_SERVER"] == "runserver"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["channels", "django.contrib.staticfiles", "portacode"]
MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware"]
if DEBUG:
    MIDDLEWARE = []
ROOT_URLCONF = "urls"
ASGI_APPLICATION = "asgi.application"
STATIC_URL = "/static/"
STATIC_ROOT = os.environ["SITE_STATIC_ROOT"]
STORAGES = {"staticfiles": {"BACKEND": STORAGES_BY_NAME[os.environ["SITE_STORAGE"]]}}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True
