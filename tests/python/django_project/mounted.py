"""The relay in FastAPI, and before a Django application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from django_project.asgi import application
from portacode.relay import asgi

lived: list[str] = []


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    lived.append("begun")
    yield


api = FastAPI(lifespan=lifespan)
api.mount("/clock", asgi.app)
api.mount("/limited", asgi.RelayApp(rate=5, origins=["https://a.example"], metrics=True))

api.mount("/seldom", asgi.RelayApp(rate=1))


@api.get("/lived")
def paths() -> list[str]:
    """What the application's own lifespan did."""
    return lived


before_django = asgi.with_relay(application, "/time/", metrics=True)

below = FastAPI()
below.mount("/app", before_django)
"""All of that, mounted in an application."""
