"""Reading the body of a request within a limit."""

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge


def whole_body(most: int) -> bytes:
    """The body of this request, which is refused (413) from ``most`` bytes on."""
    request.max_content_length = most
    body = request.get_data()
    if len(body) == most:  # of unknown length, and cut there
        raise RequestEntityTooLarge
    return body
