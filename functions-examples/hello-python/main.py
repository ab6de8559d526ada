import platform


def handler(event, context):
    """`event` is the JSON of the call. What is returned is the answer; what is printed is the log."""
    name = (event or {}).get("name", "world")
    print(f"greeting {name}")
    return {
        "greeting": f"Hello, {name}!",
        "from": f"{context.function_name} v{context.version}",
        "python": platform.python_version(),
    }
