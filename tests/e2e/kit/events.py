"""A client of GET /v1/events that reads server-sent events as the standard says (WHATWG HTML, 9.2), byte by byte."""
import json
import socket


class Stream:
    """One stream. `events` has what came so far, as (kind, id, data)."""

    def __init__(self, api, target="/v1/events", last_id=None, token=None, reads=True, buffer=None):
        self.plain = self._connect(api, token, buffer)
        head = [f"GET {target} HTTP/1.1", "Host: localhost", "Accept: text/event-stream"]
        head += [f"Last-Event-ID: {last_id}"] if last_id is not None else []
        head += [f"Authorization: Bearer {token}"] if token else []
        self.plain.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        self.rest, self.events, self.comments, self.last_id = b"", [], 0, ""
        self.kind, self.data = "", None
        if reads:
            self._read_head()

    @staticmethod
    def _connect(api, token, buffer):
        if token is not None:
            host, port = api.admin.split(":")
            plain = socket.create_connection((host, int(port)), timeout=60)
            return api.admin_context.wrap_socket(plain) if api.admin_context else plain
        plain = socket.socket(socket.AF_UNIX)
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        plain.settimeout(60)
        plain.connect(str(api.socket))
        return plain

    def _read_head(self):
        while b"\r\n\r\n" not in self.rest:
            more = self.plain.recv(65536)
            assert more, self.rest
            self.rest += more
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = dict(line.split(": ", 1) for line in lines[1:])
        if self.status == 200:
            self._take_lines()
            assert self.headers["Content-Type"] == "text/event-stream"
            assert self.headers["Cache-Control"] == "no-store" and self.headers["Connection"] == "close"
            self._until(lambda: self.last_id or self.events)

    def _take(self, line):
        if line == "":
            if self.data is not None:
                self.events.append((self.kind, self.last_id, json.loads(self.data)))
            self.kind, self.data = "", None
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "":
            self.comments += 1
        elif name == "id":
            self.last_id = value
        elif name == "event":
            self.kind = value
        elif name == "data":
            assert self.data is None, "the data of an event is one line"
            self.data = value
        else:
            assert name == "retry", line

    def more(self):
        """False at the end."""
        try:
            more = self.plain.recv(65536)
        except ConnectionError:
            more = b""
        self.rest += more
        self._take_lines()
        return more != b""

    def _take_lines(self):
        *lines, self.rest = self.rest.split(b"\n")
        for line in lines:
            self._take(line.decode())

    def _until(self, condition):
        while not condition():
            assert self.more(), f"the stream has ended; it had {self.events[-3:]}"

    def next(self, *kinds):
        """The next event of these kinds (none: any), which is taken off; those before it are passed over."""
        while True:
            self._until(lambda: self.events)
            event = self.events.pop(0)
            if not kinds or event[0] in kinds:
                return event

    def ends(self):
        """Wait for the end."""
        while self.more():
            pass
        self.close()

    def close(self):
        self.plain.close()
