"""The stock: reserves what was ordered and asks for payment."""

from __future__ import annotations

import os
import time

import requests
from flask import Flask
from opentelemetry import trace
from werkzeug.serving import make_server

app = Flask(__name__)
tracer = trace.get_tracer("stock")


@app.get("/reserve")
def reserve() -> tuple[str, int]:
    """Reserves one."""
    # What no wrong system clock touches: only the demo looks at it, to know the truth.
    before = time.monotonic_ns()
    with tracer.start_as_current_span("reserve") as span:
        span.set_attributes(
            {"truth.before_ns": str(before), "truth.after_ns": str(time.monotonic_ns())}
        )
        time.sleep(0.005)
        answer = requests.get(os.environ["PAYMENT_URL"], timeout=10)
        return "reserved", answer.status_code


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"listening on {server.port}", flush=True)
    server.serve_forever()
