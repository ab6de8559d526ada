"""One call: its request body, its result window, its cancellation, and how it ends."""

import io
import json
import threading
from contextvars import ContextVar, copy_context

from . import Request, _channel, _results
from ._errors import WaferFailure, code_of, describe

current_call = ContextVar("wafer_call", default=None)


def current_number():
    """Number of the call whose code runs now; 0 outside any, or when it has ended."""
    call = current_call.get()
    return 0 if call is None or call.ended else call.number


class Context:
    """What the handler gets as its second argument."""

    def __init__(self, call, settings):
        head = call.head
        self.invocation_id = head["invocationId"]
        self.function_name = settings["functionName"]
        self.version = settings["version"]
        self.deadline_ms = head["deadlineMs"]
        self.attempt = head["attempt"]
        self.traceparent = head.get("traceparent")
        self.tracestate = head.get("tracestate")
        self.signal = call.cancelled


class _Body(io.RawIOBase):
    """The request body: blocks until bytes come, and acknowledges what was read."""

    def __init__(self, call):
        super().__init__()
        self._call = call
        self._rest = b""

    def readable(self):
        return True

    def readinto(self, target):
        if not self._rest:
            self._rest = self._call.take_body()
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class Call:
    def __init__(self, number, head, bound, logs, on_ended):
        self.number = number
        self.head = head
        self.is_http = head["kind"] == "http"
        self.ended = False
        self.cancelled = threading.Event()
        self._channel, self._settings, self._handler = bound
        self._logs = logs
        self._on_ended = on_ended
        self._changed = threading.Condition()
        self._received = []
        self._complete = False
        self._owed = 0
        self._window = _channel.WINDOW_BYTES
        self.context = copy_context()
        self.context.run(current_call.set, self)

    # Frames; called by the thread that reads the channel. None of these blocks.

    def on_body(self, payload):
        with self._changed:
            self._received.append(payload)
            self._changed.notify_all()
        if not self.is_http:
            self._consumed(len(payload))

    def on_end(self):
        with self._changed:
            self._complete = True
            self._changed.notify_all()

    def on_cancel(self):
        self.cancelled.set()
        with self._changed:
            self._changed.notify_all()
        # An event that never came whole will never be handled.
        if not self.is_http and not self._complete:
            self.fail(WaferFailure("function_error", "The call was cancelled before its body was complete."))

    def on_credit(self, count):
        with self._changed:
            self._window += count
            self._changed.notify_all()

    # The request.

    def take_body(self):
        with self._changed:
            while not self._received:
                if self._complete:
                    return b""
                if self.cancelled.is_set() or self.ended:
                    raise ConnectionAbortedError("The call was cancelled before its body was complete.")
                self._changed.wait()
            chunk = self._received.pop(0)
        self._consumed(len(chunk))
        return chunk

    def _consumed(self, count):
        self._owed += count
        if self._owed < _channel.CREDIT_BYTES or self._complete or self.ended:
            return
        owed, self._owed = self._owed, 0
        self._channel.send(_channel.encode_credit(self.number, owed))

    def _event(self):
        if self.is_http:
            head = self.head
            body = io.BufferedReader(_Body(self), 65_536)
            return Request(head["method"], head["path"], head["query"], head["headers"], body)
        data = b"".join(self._received)
        self._received = []
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError as error:
            raise WaferFailure("function_error", f"The event is not valid JSON: {error}") from None

    # The handler and its result.

    def invoke(self):
        """Calls the handler with its event; what it returns may be awaitable."""
        return self._handler(self._event(), Context(self, self._settings))

    def encode(self, value):
        """(head, body, limit) for `send`."""
        convert = _results.to_http if self.is_http else _results.to_value
        return convert(value, self._settings["maxResultBytes"])

    def send(self, head, body, limit):
        result = _channel.encode(_channel.RESULT, self.number, json.dumps(head).encode())
        if isinstance(body, bytes) and len(body) <= _channel.FRAME_BODY_BYTES:
            frames = result + (_channel.encode(_channel.OUT_BODY, self.number, body) if body else b"")
            self._end(frames)
            return
        self._channel.send(result)
        sent = 0
        for chunk in (body,) if isinstance(body, bytes) else body:
            if isinstance(chunk, str):
                chunk = chunk.encode()
            elif not isinstance(chunk, (bytes, bytearray, memoryview)):
                raise WaferFailure("function_error", f"The body of the Response gave a {type(chunk).__name__}, not bytes.")
            sent += len(chunk)
            if limit is not None and sent > limit:
                raise WaferFailure("result_too_large", f"The result has more than {limit} bytes, which is the limit.")
            self._send_body(memoryview(chunk).cast("B") if len(chunk) else b"")
        self._end(b"")

    def _send_body(self, data):
        at = 0
        while at < len(data):
            with self._changed:
                while self._window == 0 and not self.ended:
                    self._changed.wait()
                if self.ended:
                    return
                size = min(self._window, _channel.FRAME_BODY_BYTES, len(data) - at)
                self._window -= size
            if self.cancelled.is_set() and self.is_http:
                raise WaferFailure("function_error", "The call was cancelled.")
            self._channel.send(_channel.encode(_channel.OUT_BODY, self.number, bytes(data[at : at + size])))
            at += size

    def _end(self, frames):
        self._logs.flush(self.number)
        if self._settle():
            self._channel.send(frames + _channel.encode(_channel.OUT_END, self.number))
            self._on_ended(self)

    def fail(self, error):
        problem = {"code": code_of(error), **describe(error)}
        self._logs.flush(self.number)
        if self._settle():
            self._channel.send(_channel.encode(_channel.ERROR, self.number, json.dumps(problem).encode()))
            self._on_ended(self)

    def _settle(self):
        """True for the one who ends the call."""
        with self._changed:
            first = not self.ended
            self.ended = True
            self._changed.notify_all()
        return first
