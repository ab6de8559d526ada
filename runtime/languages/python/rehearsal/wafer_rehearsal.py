"""Stands for a small function; see lib/wafer/_first_call.py. Without byte code, as small functions are."""


def handler(event, context):
    return {"value": event["value"], "attempt": context.attempt}
