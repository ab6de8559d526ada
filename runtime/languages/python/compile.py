"""Byte code of a function's own files, made when its version is built: python3 -S compile.py CODE_PATH

Nothing of them is run. A file's byte code is taken only while its source has the same hash: an image may be built on top
of this one, and bring other sources. What does not compile stays source, for who imports it to be told.
Prints what it did to standard output: {"files": N}
"""

import json
import os
import py_compile
import sys

# Dependencies were compiled with their own layer.
_SKIPPED = {".deps", "__pycache__", "node_modules"}
_MAX_FILES = 20_000


def _sources(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(files):
            if name.endswith(".py"):
                yield folder + "/" + name


def _compile(path):
    try:
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        py_compile.compile(path, doraise=True, invalidation_mode=mode)
    except Exception:
        return False
    return True


def main(root):
    done = 0
    for count, path in enumerate(_sources(root)):
        if count >= _MAX_FILES:
            break
        # A file from elsewhere is not ours to compile, and a folder may be called .py.
        if os.path.isfile(path) and not os.path.islink(path):
            done += _compile(path)
    print(json.dumps({"files": done}))


main(sys.argv[1])
