"""sys.stdout and sys.stderr as LOG frames, one per line, attributed to the call whose code wrote it."""

import io
import os
import sys
from _thread import allocate_lock

from . import _channel

_CUT_MARK = "…".encode()


class Lines:
    """Splits what is written into lines per call and stream. Bounded: a line is cut at the limit."""

    def __init__(self, channel, current):
        self._channel = channel
        self._current = current
        self._partial = {}
        self._lock = allocate_lock()
        self.limit = 65_536

    def feed(self, stream, data):
        call = self._current()
        if not self._partial and data.endswith(b"\n"):
            # The common case, print(): whole lines and nothing begun.
            for line in data[:-1].split(b"\n"):
                self._emit(call, stream, line)
            return
        *lines, rest = data.split(b"\n")
        with self._lock:
            begun = self._partial.pop((call, stream), b"")
            if lines:
                lines[0] = begun + lines[0]
                begun = b""
            kept = (begun + rest)[: self.limit + 1]
            if kept:
                self._partial[(call, stream)] = kept
        for line in lines:
            self._emit(call, stream, line)

    def flush(self, call):
        if not self._partial:
            return
        for stream in (1, 2):
            with self._lock:
                line = self._partial.pop((call, stream), None)
            if line is not None:
                self._emit(call, stream, line)

    def flush_all(self):
        for call in {key[0] for key in list(self._partial)}:
            self.flush(call)

    def _emit(self, call, stream, line):
        if len(line) > self.limit:
            line = line[: self.limit].decode("utf-8", "ignore").encode() + _CUT_MARK
        self._channel.send(_channel.encode(_channel.LOG, call, bytes((stream,)) + line))


class _Bytes(io.RawIOBase):
    """The `buffer` of the text streams."""

    def __init__(self, lines, stream):
        super().__init__()
        self._lines = lines
        self._stream = stream

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        self._lines.feed(self._stream, data)
        return len(data)

    def fileno(self):
        return self._stream

    def close(self):
        """Output of a sandbox has no end that function code could bring about."""


class _Text(io.TextIOBase):
    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None

    def __init__(self, lines, stream, name):
        super().__init__()
        self.buffer = _Bytes(lines, stream)
        self._lines = lines
        self._stream = stream
        self.name = name

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not " + type(text).__name__)
        if text:
            self._lines.feed(self._stream, text.encode("utf-8", "backslashreplace"))
        return len(text)

    def fileno(self):
        return self._stream

    def reconfigure(self, **_options):
        """Encoding and buffering are fixed: the other side takes lines of UTF-8."""

    def close(self):
        """See _Bytes.close."""


def install(channel, current):
    lines = Lines(channel, current)
    originals = sys.stdout, sys.stderr
    sys.stdout = sys.__stdout__ = _Text(lines, 1, "<stdout>")
    sys.stderr = sys.__stderr__ = _Text(lines, 2, "<stderr>")

    def give_back():
        """A forked child prints to the sandbox's own output."""
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = originals

    os.register_at_fork(after_in_child=give_back)
    return lines
