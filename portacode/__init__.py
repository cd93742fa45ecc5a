"""The clock for distributed tracing, and what is traced with it."""

__version__ = "2.0.0"
