"""What a handler returned, as bytes with a content type or as an HTTP answer."""

import json

from . import Response
from ._errors import WaferFailure

_JSON = "application/json"
_BYTES = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"
_MAX_DEPTH = 1000
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAMES = {list: "a list", tuple: "a tuple", dict: "a dict"}

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def _article(value):
    name = type(value).__name__
    return ("an " if name[:1].lower() in "aeiou" else "a ") + name


def _step(path, key):
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if str(key).isidentifier() else f"{path}[{json.dumps(str(key))}]"


def _find_bad(value, path, above, depth):
    """(path, what) of the first value that JSON can not carry, or None."""
    if value is None or isinstance(value, (str, int)):
        return None
    if isinstance(value, float):
        return None if value - value == 0 else (path, f"{value!r}, which JSON does not have")
    if not isinstance(value, (dict, list, tuple)):
        return path, _article(value)
    if id(value) in above:
        return path, f"{_NAMES.get(type(value), _article(value))} that contains itself (a cycle)"
    if depth > _MAX_DEPTH:
        return path[:200], f"nested more than {_MAX_DEPTH} levels deep"
    above.add(id(value))
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict) and not isinstance(key, (str, int, float, bool, type(None))):
            return path, f"a dict with {_article(key)} as a key"
        found = _find_bad(item, _step(path, key), above, depth + 1)
        if found:
            return found
    above.discard(id(value))
    return None


def _to_json(value):
    try:
        return _encoder.encode(value).encode()
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        problem = str(error)
    try:
        found = _find_bad(value, "result", set(), 0)
    except RecursionError:
        found = ("result", "nested too deep")
    why = f"{found[0]} is {found[1]}" if found else problem
    raise WaferFailure("result_not_serialisable", f"The result can not be sent as JSON: {why}.")


def _check_size(data, limit):
    if len(data) > limit:
        raise WaferFailure("result_too_large", f"The result has {len(data)} bytes; the limit is {limit}.")
    return data


def to_value(value, limit):
    """(head of RESULT, bytes or an iterable of bytes, limit of its bytes)"""
    if isinstance(value, Response):
        return _response_to_value(value, limit)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"kind": "value", "contentType": _BYTES}, _check_size(bytes(value), limit), limit
    return {"kind": "value", "contentType": _JSON}, _check_size(_to_json(value), limit), limit


def _response_to_value(response, limit):
    """A handler written for HTTP that is called with an event: its answer's body is the value."""
    head, body, _ = to_http(response, limit)
    if not 200 <= head["status"] <= 299:
        shown = body if isinstance(body, bytes) else b"".join(body)
        text = shown[:1024].decode("utf-8", "replace")
        raise WaferFailure("function_error", f"The function answered with status {head['status']}: {text}")
    kind = next((value for name, value in head["headers"] if name == "content-type"), _BYTES)
    return {"kind": "value", "contentType": kind}, body, limit


def to_http(value, limit):
    if isinstance(value, Response):
        return _http(value.status, value.headers, value.body, limit, streams=True)
    if isinstance(value, dict) and isinstance(value.get("statusCode"), int):
        return _http(value["statusCode"], value.get("headers"), value.get("body", b""), limit, streams=False)
    return _http(200, None, value, limit, streams=False, empty=False)


def _http(status, headers, body, limit, streams, empty=True):
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise WaferFailure("function_error", f"The status {status!r} is not a whole number from 200 to 599.")
    pairs = _headers(headers)
    kind, data = _body(body, limit, streams, empty)
    if kind and not any(name == "content-type" for name, _ in pairs):
        pairs.append(["content-type", kind])
    is_whole = isinstance(data, bytes)
    return {"kind": "http", "status": int(status), "headers": pairs}, data, limit if is_whole else None


def _body(body, limit, streams, empty):
    if empty and (body is None or body == b"" or body == ""):
        return None, b""
    if isinstance(body, str):
        return _TEXT, _check_size(body.encode("utf-8", "surrogatepass"), limit)
    if isinstance(body, (bytes, bytearray, memoryview)):
        return _BYTES, _check_size(bytes(body), limit)
    if streams and hasattr(body, "__iter__") and not isinstance(body, (dict, list, tuple)):
        return None, body
    if streams and isinstance(body, (list, tuple)) and all(isinstance(part, bytes) for part in body):
        return None, body
    return _JSON, _check_size(_to_json(body), limit)


def _headers(headers):
    pairs = headers.items() if hasattr(headers, "items") else headers or []
    checked = []
    for name, value in pairs:
        for one in value if isinstance(value, (list, tuple)) else [value]:
            checked.append([_name(name), _text(name, one)])
    return checked


def _name(name):
    if not isinstance(name, str) or not name or not _TOKEN.issuperset(name):
        raise WaferFailure("function_error", f"The header name {name!r} is not valid.")
    return name.lower()


def _text(name, value):
    text = str(value)
    if any(char in "\r\n\0" or ord(char) > 0xFF or (char < " " and char != "\t") or char == "\x7f" for char in text):
        raise WaferFailure("function_error", f"The value of the header {name} has characters that HTTP does not allow.")
    return text
