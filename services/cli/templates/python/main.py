def handler(event, context):
    """`event` is the JSON of the call; what is returned goes back as JSON. Output goes to the log."""
    name = event.get("name", "world")
    print(f"greeting {name} as {context.function_name} v{context.version}")
    return {"greeting": f"Hello, {name}!", "invocation": context.invocation_id}
