#!/usr/bin/env python
"""Django's command line for the reference server."""

import os
import sys


def main() -> None:
    """Runs the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(f"{error}: pip install -r requirements.txt") from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
