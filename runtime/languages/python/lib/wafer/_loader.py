"""Finds the handler `file.function` in the code directory and imports it."""

import os
import sys

from ._errors import WaferFailure


def _not_found(message):
    return WaferFailure("handler_not_found", message)


def _listed(names):
    return ", ".join(sorted(names)[:20]) or "nothing"


# Modules that are imported although nothing here needs them (by a zygote): names of each package and what is in it.
preloaded = {}


def _forget_shadowed(*directories):
    """What the function brings itself comes before what Python has of that name."""
    for directory in directories:
        try:
            entries = os.listdir(directory)
        except OSError:
            continue
        # Looked up one by one: to walk through all of them would write to memory that is shared.
        for entry in entries:
            for module in preloaded.pop(entry.partition(".")[0], ()):
                sys.modules.pop(module, None)


def prepare_path(code_path):
    """The function's files first, then its dependencies, then Python's own."""
    deps = code_path + "/.deps"
    sys.path[0:0] = [code_path, deps]
    if preloaded:
        _forget_shadowed(code_path, deps)
    try:
        has_pth = any(name.endswith(".pth") for name in os.listdir(deps))
    except OSError:
        return
    if has_pth:
        import site

        site.addsitedir(deps)


def _find_file(code_path, module):
    base = code_path + "/" + module.replace(".", "/")
    for path in (base + ".py", base + "/__init__.py"):
        if os.path.isfile(path):
            return path
    try:
        has = [name for name in os.listdir(code_path) if not name.startswith(".")]
    except OSError:
        has = []
    wanted = module.replace(".", "/") + ".py"
    raise _not_found(f"There is no {wanted} in the function; it has {_listed(has)}.")


def _import(code_path, module):
    path = _find_file(code_path, module)
    if module in sys.modules:
        raise _not_found(f'The file {module}.py has the name of a module of Python itself; name the handler\'s file otherwise.')
    __import__(module)
    loaded = sys.modules[module]
    if getattr(loaded, "__file__", None) != path:
        raise _not_found(f"The name {module} leads to {loaded!r}, not to {path}; name the handler's file otherwise.")
    return loaded


def load_handler(code_path, handler):
    """Raises a WaferFailure `handler_not_found`, or whatever the module raises while it loads."""
    module, _, name = handler.rpartition(".")
    module = module.replace("/", ".").strip(".")
    if not module or not name:
        raise _not_found(f'The handler "{handler}" is not of the form file.function.')
    loaded = _import(code_path, module)
    if not hasattr(loaded, name):
        names = [key for key, value in vars(loaded).items() if not key.startswith("_") and callable(value)]
        raise _not_found(f'{module}.py has no "{name}"; it has {_listed(names)}.')
    found = getattr(loaded, name)
    if not callable(found):
        raise _not_found(f'"{name}" of {module}.py is a {type(found).__name__}, not a function.')
    return found
