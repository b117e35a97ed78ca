"""What is wrong with what was given: the errors that are the sender's to mend."""

from __future__ import annotations


class FieldError(ValueError):
    """Bad input; ``field`` names what to mend, the message says how."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class AnswerError(FieldError):
    """An answer that cannot be a label; ``field`` names the part to mend."""
