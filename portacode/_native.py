"""Stands in where the native part is not there, and says how to get it.

Python prefers the compiled module of this name in this folder; this file is read only where there
is none, as in a checkout from which nothing was installed, or that stands before what was.
"""

from __future__ import annotations

import os
import sys


def _explanation() -> str:
    here = os.path.dirname(os.path.abspath(__file__))
    checkout = os.path.dirname(here)
    is_checkout = os.path.exists(os.path.join(checkout, "pyproject.toml"))
    elsewhere = _installed_elsewhere(here)
    if elsewhere:
        return (
            f"{here} is portacode's source without its native part, and stands before the installed"
            f" {elsewhere} because Python looks into {checkout} first: start Python in another"
            f' folder, or let the source be what is installed: pip install -e "{checkout}"'
        )
    if is_checkout:
        return (
            f"{here} is portacode's source without its native part, which is compiled when it is"
            f' installed: pip install -e "{checkout}"'
        )
    return (
        f"portacode's native part is not in {here}, or not for this Python on this system"
        f" ({sys.implementation.cache_tag}, {sys.platform}):"
        " pip install --force-reinstall portacode"
    )


def _installed_elsewhere(here: str) -> str | None:
    from importlib.machinery import EXTENSION_SUFFIXES

    for folder in sys.path:
        package = os.path.join(os.path.abspath(folder or os.curdir), "portacode")
        found = (os.path.join(package, f"_native{suffix}") for suffix in EXTENSION_SUFFIXES)
        if package != here and any(os.path.exists(path) for path in found):
            return package
    return None


raise ImportError(_explanation(), name="portacode._native", path=__file__)
