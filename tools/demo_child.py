#!/usr/bin/env python3
"""Runs a Python program that ends with its parent, however that ends: `demo_child.py -m MODULE`.

The parent holds the other end of standard input; when that closes, the program is asked to end as
by SIGTERM, and is ended a while later if it has not.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time


def main() -> None:
    """Runs what the arguments name, as the interpreter would."""
    threading.Thread(target=_watch, name="parent", daemon=True).start()
    arguments = sys.argv[1:]
    if arguments[:1] == ["-m"]:
        sys.argv = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)


_GRACE_S = 10.0


if __name__ == "__main__":
    main()
