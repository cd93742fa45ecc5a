"""Static files under ASGI: whole, because whitenoise streams them with a synchronous iterator."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware


class WholeFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Whitenoise, whose files here are a few kilobytes each."""

    @staticmethod
    def serve(static_file: Any, request: Any) -> HttpResponse:
        """The file, as one piece."""
        streamed: FileResponse = WhiteNoiseMiddleware.serve(static_file, request)
        body = b"".join(streamed.streaming_content)  # type: ignore[arg-type]
        streamed.close()
        whole = HttpResponse(body, status=streamed.status_code)
        whole.headers = streamed.headers
        whole.cookies = streamed.cookies
        return whole
