"""A runtime that has booted and imported, and forks itself into sandboxes instead of being started in each.

It runs the image's Python and this package, never a function's code: what it imports is
what every function could import from the image, and no more. `fork-server.so` (the
engine's, runtime/engine/forkserver) waits for requests and forks; its call returns in the
children, each of which is in its sandbox by then and goes on as main.py does.

A child shares the zygote's memory as long as neither writes to it. So the garbage
collector leaves what is there alone, and the zygote runs no Python any more.
"""

import gc
import sys

_LIBRARY = __file__.rpartition("/lib/")[0] + "/build/fork-server.so"

# Of the standard library: what functions import most, and what takes long. None starts a
# thread, opens a descriptor, or keeps random state that a fork does not seed again.
_PRELOADED = (
    "argparse asyncio base64 bisect calendar collections concurrent.futures contextlib copy csv ctypes "
    "dataclasses datetime decimal difflib email.message email.mime.multipart email.mime.text email.utils "
    "enum fractions functools gzip hashlib heapq hmac html html.parser http.client http.cookies inspect io "
    "ipaddress itertools json locale logging logging.config math mimetypes numbers operator pathlib pickle "
    "platform pprint queue random re secrets select shutil signal socket sqlite3 ssl statistics string struct "
    "subprocess tarfile tempfile textwrap threading time traceback types typing unicodedata unittest.mock "
    "urllib.parse urllib.request uuid warnings weakref xml.etree.ElementTree zipfile zlib zoneinfo"
).split()


def main():
    import ctypes
    import threading

    from . import _loader, _runtime

    library = ctypes.PyDLL(_LIBRARY)
    before = set(sys.modules)
    try:
        _preload()
        _check()
    except BaseException as error:
        library.wafer_zygote_failed(f"{type(error).__name__}: {error}".encode())
    for name in sys.modules.keys() - before:
        _loader.preloaded.setdefault(name.partition(".")[0], []).append(name)
    gc.collect()
    gc.freeze()
    ctypes.pythonapi.PyOS_BeforeFork()
    if library.wafer_zygote_serve() != 0:
        library.wafer_zygote_failed(b"the settings of the engine can not be read")
    # From here on: a child, in its sandbox.
    ctypes.pythonapi.PyOS_AfterFork_Child()
    threading.main_thread()._set_native_id()  # Python 3.11 keeps that of the parent
    sys.modules["__main__"].__file__ = sys.argv[0]
    _rehearse()
    _runtime.main()


def _preload():
    for name in _PRELOADED:
        try:
            __import__(name)
        except ImportError:
            pass  # not of this Python, or left out of the image
    # A codec is looked up at its first use.
    "".encode("idna"), "".encode("ascii"), "".encode("latin-1")


def _rehearse():
    """Does once what a first call does, so that the memory which this writes to is copied before there is one."""
    import json
    import threading
    from contextvars import copy_context

    from ._calls import current_call

    own = __file__.rpartition("/")[0]
    sys.path.insert(0, own)
    __import__("_rehearsal")
    sys.path.remove(own)
    del sys.modules["_rehearsal"], sys.path_importer_cache[own]
    settings = json.loads(json.dumps({"functionName": "", "version": 1, "env": {}}))
    copy_context().run(current_call.get)
    thread = threading.Thread(target=settings.get, args=("env",), daemon=True)
    thread.start()
    thread.join()


def _check():
    """A thread would not be in the children, and might hold a lock for ever."""
    import _thread

    if _thread._count() != 0:
        raise RuntimeError("an imported module started a thread")
