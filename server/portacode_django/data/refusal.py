"""What a request is refused with."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818
    """What was asked is not done; code and message are for the client that asked."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def to_json(self) -> dict[str, str]:
        """As an `error` has it."""
        return {"code": self.code, "message": self.message}
