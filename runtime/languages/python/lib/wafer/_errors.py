"""What an exception says about itself."""

_MESSAGE_CHARS = 4096
_STACK_CHARS = 16_384
_OWN_DIR = __file__.rpartition("/")[0]


class WaferFailure(Exception):
    """A failure that the runtime itself found, with its protocol code."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def _message(error):
    try:
        return str(error) or type(error).__name__
    except BaseException:
        return "a " + type(error).__name__ + " that can not be shown"


def _stack(error):
    # Costs milliseconds, which only a failure pays.
    import traceback

    try:
        shown = traceback.TracebackException.from_exception(error)
        seen = shown
        while seen is not None:
            seen.stack = traceback.StackSummary.from_list(
                [frame for frame in seen.stack if not frame.filename.startswith(_OWN_DIR)]
            )
            seen = seen.__cause__ or seen.__context__
        return "".join(shown.format())[-_STACK_CHARS:]
    except BaseException:
        return ""


def describe(error):
    """The payload of ERROR or INIT_ERROR, without its code."""
    if isinstance(error, WaferFailure):
        return {"message": _message(error)[:_MESSAGE_CHARS]}
    problem = {"message": _message(error)[:_MESSAGE_CHARS], "errorType": type(error).__name__}
    stack = _stack(error)
    if stack:
        problem["stack"] = stack
    return problem


def code_of(error):
    return error.code if isinstance(error, WaferFailure) else "function_error"
