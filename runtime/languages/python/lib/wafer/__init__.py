"""What a handler of an HTTP call gets and may return."""

__all__ = ["Headers", "Request", "Response"]


class Headers(dict):
    """Header fields by lower-case name; a repeated field is joined with ", "."""

    def __init__(self, pairs=()):
        super().__init__()
        self.pairs = [(name.lower(), value) for name, value in pairs]
        for name, value in self.pairs:
            before = dict.get(self, name)
            super().__setitem__(name, value if before is None else before + ", " + value)

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)

    def get_all(self, name):
        """Every value of a field, in the order they came."""
        return [value for known, value in self.pairs if known == name.lower()]


class Request:
    """One HTTP request. `body` is a binary file that is read as it arrives."""

    def __init__(self, method, path, query, headers, body):
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body

    def __repr__(self):
        return f"<Request {self.method} {self.path}>"


class Response:
    """One HTTP answer. `headers` is a dict or a list of pairs; `body` is bytes, str, or an iterable of bytes."""

    def __init__(self, status=200, headers=None, body=b""):
        self.status = status
        self.headers = {} if headers is None else headers
        self.body = body

    def __repr__(self):
        return f"<Response {self.status}>"
