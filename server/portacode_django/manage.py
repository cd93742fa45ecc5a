#!/usr/bin/env python
"""Django's command line for the reference server."""

import os
import sys


def main() -> None:
    """Runs the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(f"{error}: pip install -r requirements.txt") from error
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        # Mostly an environment variable, and the line says what is wanted in its place.
        raise SystemExit(f"{sys.argv[0]}: {error}") from None


if __name__ == "__main__":
    main()
