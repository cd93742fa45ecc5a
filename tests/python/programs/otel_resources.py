"""What the spans of each entity say about where they come from."""

from __future__ import annotations

import json

from portacode.otel._backend import _resource
from portacode.utils.ntp_clock import ntp_clock

source = ntp_clock.get_status()["server"]
print(
    json.dumps(
        {
            entity: dict(_resource(entity, source).attributes)
            for entity in ("browser", "server", "device")
        }
    )
)
