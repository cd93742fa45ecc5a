"""The clock for distributed tracing, and what is traced with it."""

__version__ = "2.0.0"

TYPE_CHECKING = False
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        # Loaded when first asked for: the clock's importers do without it.
        if name == "replay":
            from importlib import import_module

            return import_module("portacode.replay")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
