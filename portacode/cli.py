"""The command ntp-clock, as the package installs it: `ntp-clock --help` says all."""

from __future__ import annotations

import signal
import sys

from portacode._native import cli_main


def main() -> int:
    """Runs the command with the process's arguments; its exit status."""
    # Python's own handler would wait for native code to come back; this one ends the process, and
    # commands that end in another way put theirs in its place.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return cli_main(["ntp-clock", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
