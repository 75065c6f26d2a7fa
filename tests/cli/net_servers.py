"""Servers that do exactly what a test wants, byte by byte, and remember what they were asked."""

import contextlib
import functools
import http.server
import select
import socket
import ssl
import threading
import time


class RawServer:
    """Calls `respond(conn, request, number)` for each request, where `request` is everything up to
    the blank line and `number` counts them over all connections. It returns True to keep the
    connection. `silent`: connections are taken and nothing is read. `greeting` is sent unasked."""

    def __init__(self, respond=None, tls=None, host="127.0.0.1", silent=False, greeting=b""):
        self.respond, self.tls, self.silent, self.greeting = respond, tls, silent, greeting
        self.requests, self.connections, self.failures = [], 0, []
        self.reused_sessions, self.alpn = [], []
        self.lock = threading.Lock()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.bind((host, 0))
        self.socket.listen(16)
        self.host, self.port = host, self.socket.getsockname()[1]
        self.open = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # shutdown wakes the accepting thread, close alone does not
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for conn in self.open:
            with contextlib.suppress(OSError):
                conn.close()

    def url(self, path="/", host=None):
        scheme = "https" if self.tls else "http"
        host = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"{scheme}://{host}:{self.port}{path}"

    def _accept(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(conn)
            self.connections += 1
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            conn.sendall(self.greeting)
            if self.silent:
                return
            if self.tls:
                conn = self.tls.wrap_socket(conn, server_side=True, do_handshake_on_connect=False)
                self.open.append(conn)
                conn.do_handshake()
                self.reused_sessions.append(conn.session_reused)
                self.alpn.append(conn.selected_alpn_protocol())
            while self._serve_one(conn):
                pass
            conn.close()
        except (OSError, ssl.SSLError) as e:
            self.failures.append(e)
            drain(conn)

    def _serve_one(self, conn):
        request = b""
        while b"\r\n\r\n" not in request:
            more = conn.recv(65536)
            if not more:
                return False
            request += more
        with self.lock:
            number = len(self.requests)
            self.requests.append(request)
        return self.respond(conn, request, number)


def drain(conn):
    """Close so that what was sent arrives: unread bytes would turn the close into a reset."""
    with contextlib.suppress(OSError), conn:
        conn.settimeout(5)
        socket.socket.shutdown(conn, socket.SHUT_WR)  # below TLS
        while socket.socket.recv(conn, 65536):
            pass


def answer(body=b"hello", status="200 OK", headers=(), keep=True):
    """A respond function with one well-formed answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]

    def respond(conn, _request, _number):
        conn.sendall("\r\n".join(lines).encode() + body)
        return keep

    return respond


def raw(data, keep=False, linger=0.0):
    """A respond function that sends `data` as it is."""

    def respond(conn, _request, _number):
        conn.sendall(data)
        time.sleep(linger)
        return keep

    return respond


def tls_context(cert_file, key_file, version=None, alpn=("http/1.1",)):
    """A server's context that notes the SNI it was asked for in `.names`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # weak keys are for the client to refuse
    context.load_cert_chain(cert_file, key_file)
    context.set_alpn_protocols(list(alpn))
    context.names = []
    context.sni_callback = lambda _sock, server_name, _ctx: context.names.append(server_name)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class Proxy(RawServer):
    """An HTTP proxy: CONNECT tunnels and absolute-form GETs. `targets` maps "host:port" as asked for
    to a real (host, port). `refuse` is a status line to answer everything with instead."""

    def __init__(self, targets, refuse=None, junk=b""):
        super().__init__(self._respond)
        self.targets, self.refuse, self.junk = targets, refuse, junk

    def _respond(self, conn, request, _number):
        method, target = request.split(b" ")[:2]
        if self.refuse:
            conn.sendall(f"HTTP/1.1 {self.refuse}\r\nContent-Length: 0\r\n\r\n".encode())
            return False
        if method == b"CONNECT":
            # A length on it means nothing, and some proxies send one (RFC 9110, 9.3.6).
            head = b"HTTP/1.1 200 Connection established\r\nContent-Length: 10\r\n\r\n"
            conn.sendall(head + self.junk)
            self._pump(conn, socket.create_connection(self.targets[target.decode()]))
            return False
        host, path = target.decode().removeprefix("http://").split("/", 1)
        with socket.create_connection(self.targets[host]) as upstream:
            upstream.sendall(request.replace(target, b"/" + path.encode(), 1))
            conn.sendall(upstream.recv(65536))
        return True

    def _pump(self, a, b):
        with b:
            while True:
                for source in select.select([a, b], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (b if source is a else a).sendall(data)


class _QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def files(folder):
    """The URL of a web server that hands out this folder."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_QuietFiles, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
