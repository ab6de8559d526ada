"""Boot, bind, and serve.

Threads take turns: the one that holds `_reading` reads frames; when it has read a call
that is ready, it lets go and runs the handler itself, and a waiting thread reads on. So
a small call costs no hand-over between threads, and a running handler never keeps
CANCEL or the next call from being seen. Coroutines run on one event loop thread.
"""

import json
import os
import sys
import threading
from _thread import allocate_lock

from . import _channel, _logs
from ._calls import Call, current_number
from ._errors import WaferFailure, code_of, describe
from ._loader import load_handler, prepare_path

_KEPT_ENV = ("PATH", "HOME", "TMPDIR", "LANG", "TZ")
_COROUTINE = 0x80


def main():
    # The function's directory is not the runtime's to write in.
    sys.dont_write_bytecode = True
    channel = _channel.Channel(3)
    logs = _logs.install(channel, current_number)
    if "WAFER_BLANK" in os.environ:
        from ._first_call import rehearse

        rehearse(lambda nowhere, settings, handler: _Server(nowhere, logs, settings, handler))
    version = ".".join(map(str, sys.version_info[:3]))
    _send(channel, _channel.READY, {"protocol": 1, "runtime": "python", "runtimeVersion": version})
    settings = _await_init(channel)
    logs.limit = settings["maxLogLineBytes"]
    try:
        _replace_env(settings)
        os.chdir(settings["codePath"])
        prepare_path(settings["codePath"])
        handler = load_handler(settings["codePath"], settings["handler"])
    except SystemExit as leaving:
        leave(leaving)
    except BaseException as error:
        _refuse(channel, logs, error)
    server = _Server(channel, logs, settings, handler)
    logs.flush_all()
    _send(channel, _channel.INIT_OK, {})
    server.serve()


def _send(channel, kind, value):
    channel.send(_channel.encode(kind, 0, json.dumps(value).encode()))


def _await_init(channel):
    kind, _, payload = channel.receive()
    if kind == _channel.SHUTDOWN:
        os._exit(0)
    if kind != _channel.INIT:
        _channel.die("frame type %d before INIT" % kind)
    return json.loads(payload)


def _refuse(channel, logs, error):
    logs.flush_all()
    code = code_of(error) if isinstance(error, WaferFailure) else "function_init_failed"
    _send(channel, _channel.INIT_ERROR, {"code": code, **describe(error)})
    os._exit(1)


def _replace_env(settings):
    kept = {name: os.environ[name] for name in _KEPT_ENV if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(settings["env"])
    os.environ["WAFER_FUNCTION"] = settings["functionName"]
    os.environ["WAFER_VERSION"] = str(settings["version"])


def leave(leaving):
    """sys.exit() in a function ends the process, as it would anywhere; the host sees a crash."""
    code = leaving.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    os._exit((code or 0) & 0xFF)


class _Server:
    def __init__(self, channel, logs, settings, handler):
        self._channel = channel
        self._logs = logs
        self._bound = (channel, settings, handler)
        self._is_async = _is_coroutine_function(handler)
        self._reading = allocate_lock()
        self._counting = allocate_lock()
        self._waiting = 0
        self._calls = {}
        self._last = 0
        self._draining = False
        self._loop = self._start_loop() if self._is_async else None

    def serve(self):
        while True:
            with self._counting:
                self._waiting += 1
            with self._reading:
                with self._counting:
                    self._waiting -= 1
                call = self._read_call()
                self._ensure_reader()
            call.context.run(self.run, call)

    def _ensure_reader(self):
        with self._counting:
            if self._waiting > 0:
                return
        # Without one the call that was read runs all the same, and frames wait until a thread is free.
        _start("wafer", self.serve)

    def _read_call(self):
        """Handles frames until there is a call for this thread to run."""
        while True:
            kind, number, payload = self._channel.receive()
            if kind == _channel.CALL:
                call = self.open(number, json.loads(payload))
                is_ready = call.is_http
            elif kind == _channel.SHUTDOWN:
                self._draining = True
                self._exit_when_drained()
                continue
            else:
                call = self.on_frame(kind, number, payload)
                is_ready = call is not None
            if not is_ready:
                continue
            if not self._is_async:
                return call
            self._loop.call_soon_threadsafe(self._start_task, call, context=call.context)

    def open(self, number, head):
        if number <= self._last:
            _channel.die("call %d comes again" % number)
        self._last = number
        call = Call(number, head, self._bound, self._logs, self._on_ended)
        self._calls[number] = call
        return call

    def on_frame(self, kind, number, payload):
        """The call, when this frame makes it ready."""
        call = self._calls.get(number)
        if call is None:
            if number == 0 or number > self._last or not _channel.BODY <= kind <= _channel.CREDIT:
                _channel.die("a frame %d of the unknown call %d" % (kind, number))
            return None
        if kind == _channel.BODY:
            call.on_body(payload)
        elif kind == _channel.END:
            call.on_end()
            return None if call.is_http else call
        elif kind == _channel.CANCEL:
            call.on_cancel()
        elif kind == _channel.CREDIT:
            call.on_credit(_channel.decode_credit(payload))
        else:
            _channel.die("frame type %d is unknown" % kind)
        return None

    def run(self, call):
        try:
            value = call.invoke()
            if hasattr(value, "__await__"):
                value = self._wait_for(call, value)
            call.send(*call.encode(value))
        except SystemExit as leaving:
            self._logs.flush_all()
            leave(leaving)
        except BaseException as error:
            call.fail(error)

    def _on_ended(self, call):
        self._calls.pop(call.number, None)
        if self._draining:
            self._exit_when_drained()

    def _exit_when_drained(self):
        if not self._calls:
            self._logs.flush_all()
            os._exit(0)

    # Coroutines.

    def _start_loop(self):
        import asyncio

        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="wafer-loop", daemon=True).start()
        return loop

    def _wait_for(self, call, awaitable):
        """A handler that is no coroutine function, but returned something to await."""
        import asyncio

        with self._counting:
            if self._loop is None:
                self._loop = self._start_loop()

        async def wait():
            return await awaitable

        done = threading.Event()
        outcome = []

        def start():
            task = self._loop.create_task(wait())
            task.add_done_callback(lambda ended: (outcome.append(ended), done.set()))

        self._loop.call_soon_threadsafe(start, context=call.context.copy())
        done.wait()
        if outcome[0].cancelled():
            raise asyncio.CancelledError("The handler's task was cancelled.")
        return outcome[0].result()

    def _start_task(self, call):
        self._loop.create_task(self._run_async(call))

    async def _run_async(self, call):
        try:
            value = await call.invoke()
            head, body, limit = call.encode(value)
            if isinstance(body, bytes) and len(body) <= _channel.FRAME_BODY_BYTES:
                call.send(head, body, limit)
                return
        except SystemExit as leaving:
            self._logs.flush_all()
            leave(leaving)
        except BaseException as error:
            call.fail(error)
            return
        # What may wait for the host's window must not hold up the event loop, if it can be helped.
        if not _start("wafer-send", self._send_late, call, head, body, limit):
            self._send_late(call, head, body, limit)

    def _send_late(self, call, head, body, limit):
        try:
            call.context.copy().run(call.send, head, body, limit)
        except SystemExit as leaving:
            self._logs.flush_all()
            leave(leaving)
        except BaseException as error:
            call.fail(error)


def _start(name, target, *args):
    """Whether there is a thread for it: a function that has as many processes as it may gets no more."""
    try:
        threading.Thread(target=target, args=args, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True


def _is_coroutine_function(handler):
    code = getattr(handler, "__code__", None)
    if code is None:
        code = getattr(getattr(handler, "__call__", None), "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)
