"""A running holdfastd and raw HTTP over sockets, for the tests of the server."""
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time

BIN = os.environ.get("HOLDFAST_BIN") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "bin")
HOLDFASTD = os.path.join(BIN, "holdfastd")
LINE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ holdfastd (info|warning|error): "
WAIT_S = 60  # longer than anything takes, also under a sanitizer on a busy machine


def wait_until(true, what, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not (result := true()):
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)
    return result


class Server:
    """holdfastd on a free port of 127.0.0.1. Leaving the `with` stops it and checks that it ended
    well and said nothing but its own lines. `environment` is added to this process's."""

    def __init__(self, repo, *options, descriptors=None, listen="127.0.0.1:0", environment=None):
        def limit():
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        self.process = subprocess.Popen(
            [HOLDFASTD, "--repo", str(repo), "--listen", listen, "--loops", "1", *map(str, options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=limit, env=dict(os.environ, **(environment or {})))
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        line = self.wait_for_line("listening on http://")
        self.port = int(re.search(r":(\d+) \(", line).group(1))

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def lines_with(self, part):
        return [line for line in self.lines if part in line]

    def wait_for_line(self, part, count=1):
        def there():
            found = self.lines_with(part)
            if len(found) >= count:
                return found[count - 1]
            assert self.process.poll() is None, "\n".join(["it ended:"] + self.lines)
            return None
        return wait_until(there, f"a line with '{part}'")

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(WAIT_S)
        self.reader.join(WAIT_S)
        self.process.stdout.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        code = self.stop()
        print(f"holdfastd ended with {code}", *self.lines, sep="\n")  # shown when a test fails
        if kind is None:
            strange = [line for line in self.lines if not re.match(LINE, line)]
            assert (code, strange) == (0, [])

    def connect(self, timeout=WAIT_S):
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Client(s)

    def ask(self, raw):
        """One connection, these bytes, the first answer."""
        with self.connect() as c:
            c.send(raw)
            return c.answer(is_head=raw.startswith(b"HEAD"))

    def get(self, target, *headers):
        return self.ask(request("GET", target, *headers))


def request(method, target, *headers, version="HTTP/1.1", host=True):
    lines = [f"{method} {target} {version}"] + (["Host: test"] if host else []) + list(headers)
    return "\r\n".join(lines + ["", ""]).encode("latin-1")


class Answer:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.version, status, self.phrase = lines[0].split(" ", 2)
        self.status = int(status)
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            assert name.lower() not in self.headers, f"{name} twice"
            self.headers[name.lower()] = value
        self.body = body


class Client:
    """A connection that reads answers strictly: nothing between them, nothing missing."""

    def __init__(self, s):
        self.socket = s
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, raw):
        self.socket.sendall(raw)

    def more(self):
        data = self.socket.recv(1 << 16)
        self.buffer += data
        return bool(data)

    def answer(self, is_head=False):
        while b"\r\n\r\n" not in self.buffer:
            assert self.more(), f"closed after {self.buffer!r}"
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        answer = Answer(head, b"")
        length = 0 if is_head or answer.status == 304 else int(answer.headers["content-length"])
        parts, left = [self.buffer], length - len(self.buffer)
        while left > 0:
            self.buffer = b""
            assert self.more(), f"closed {left} bytes early"
            parts.append(self.buffer)
            left -= len(self.buffer)
        whole = b"".join(parts)
        answer.body, self.buffer = whole[:length], whole[length:]
        return answer

    def is_closed(self):
        """True once the server has closed; no byte may come before that."""
        try:
            assert not self.more(), f"unasked: {self.buffer!r}"
        except ConnectionResetError:
            pass
        return True
