"""File descriptor 3: frames to and from the host. The host is trusted; what it gets wrong ends the process."""

import os
from _thread import allocate_lock, get_ident
from struct import Struct

INIT, CALL, BODY, END, CANCEL, CREDIT, SHUTDOWN = range(1, 8)
READY, INIT_OK, INIT_ERROR, RESULT, OUT_BODY, OUT_END, ERROR, LOG, OUT_CREDIT = range(0x81, 0x8A)

WINDOW_BYTES = 262_144
CREDIT_BYTES = 65_536
FRAME_BODY_BYTES = 65_536

_HEAD = Struct(">IBI")
_CREDIT = Struct(">I")
_MAX_PAYLOAD = 1_048_576
_READ_BYTES = 262_144
_EXIT_PROTOCOL = 70


def encode(kind, call, payload=b""):
    return _HEAD.pack(len(payload), kind, call) + payload


def encode_credit(call, count):
    return encode(OUT_CREDIT, call, _CREDIT.pack(count))


def decode_credit(payload):
    return _CREDIT.unpack(payload)[0]


def die(why):
    os.write(2, ("wafer: the host broke the protocol: %s\n" % why).encode())
    os._exit(_EXIT_PROTOCOL)


class Channel:
    def __init__(self, fd):
        self._fd = fd
        self._lock = allocate_lock()
        self._owner = 0
        self._queued = []
        self._buffer = bytearray()
        self._at = 0
        os.set_inheritable(fd, False)
        os.set_blocking(fd, True)
        os.register_at_fork(after_in_child=self._leave)

    def _leave(self):
        """A forked child must not speak for its parent: to it the channel is a hole."""
        os.close(self._fd)
        self._fd = -1

    def send(self, frames):
        """Writes whole frames. Safe from any thread, and from a signal handler or a
        finaliser that prints in the middle of a write: its frames go out right after."""
        if self._fd == -1:
            return
        me = get_ident()
        if self._owner == me:
            self._queued.append(frames)
            return
        with self._lock:
            self._owner = me
            try:
                self._write(frames)
                while self._queued:
                    self._write(self._queued.pop(0))
            finally:
                self._owner = 0

    def _write(self, data):
        try:
            sent = os.write(self._fd, data)
            while sent < len(data):
                sent += os.write(self._fd, memoryview(data)[sent:])
        except OSError:
            os._exit(0)

    def receive(self):
        """The next frame as (kind, call, payload). One thread at a time."""
        while True:
            have = len(self._buffer) - self._at
            if have >= 9:
                length, kind, call = _HEAD.unpack_from(self._buffer, self._at)
                if length > _MAX_PAYLOAD:
                    die("a frame of %d bytes" % length)
                if have >= 9 + length:
                    start = self._at + 9
                    self._at = start + length
                    return kind, call, bytes(memoryview(self._buffer)[start : self._at])
            self._fill()

    def _fill(self):
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        try:
            chunk = os.read(self._fd, _READ_BYTES)
        except OSError:
            chunk = b""
        if not chunk:
            os._exit(0)
        self._buffer += chunk
