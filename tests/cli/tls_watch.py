"""A TLS server that notes what each client showed, offered and said, and a relay that forges."""

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field

HANDSHAKE, CERTIFICATE, SERVER_KEY_EXCHANGE = 22, 11, 12


@dataclass
class Seen:
    """Of one connection."""

    server_name: str = None
    version: str = None
    alpn: str = None
    certificate: bytes = None  # DER of what the client showed
    data: bytes = b""  # what it said when the handshake was over
    failure: Exception = None


@dataclass
class Watch:
    """Listens with `context`; `seen` grows when a connection has ended."""

    context: ssl.SSLContext
    seen: list = field(default_factory=list)

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.names = {}
        self.context.sni_callback = self._note_name
        self.ended = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def wait(self, connections):
        """All of them, and not one more so far."""
        for _ in range(connections):
            assert self.ended.acquire(timeout=60), "a connection did not end"
        assert len(self.seen) == connections
        return self.seen

    def _note_name(self, conn, name, _context):
        self.names[conn] = name

    def _accept(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, plain):
        seen = Seen()
        plain.settimeout(60)
        conn = self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        try:
            conn.do_handshake()
            seen.version, seen.alpn = conn.version(), conn.selected_alpn_protocol()
            seen.certificate = conn.getpeercert(binary_form=True)
            while more := conn.recv(65536):
                seen.data += more
        except (OSError, ssl.SSLError) as failure:
            seen.failure = failure
        seen.server_name = self.names.get(conn)
        conn.close()
        self.seen.append(seen)
        self.ended.release()


def context(cert_file, key_file, client_ca=None, alpn=(), required=False):
    """With `client_ca` it asks for a certificate, and with `required` it insists."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cert_file, key_file)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    if client_ca:
        made.load_verify_locations(client_ca)
        made.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return made


def _forge(record):
    """Damage the signature of a ServerKeyExchange (TLS 1.2), the proof that the server has the key."""
    at = 5
    while at + 4 <= len(record):
        length = int.from_bytes(record[at + 1:at + 4], "big")
        if record[at] == SERVER_KEY_EXCHANGE:
            end = at + 4 + length - 1
            return record[:end] + bytes([record[end] ^ 1]) + record[end + 1:]
        at += 4 + length
    return record


def put_between(*certificates):
    """In place of what the server (TLS 1.2) sends above its own certificate: these, in DER."""

    def exchange(record):
        at = 5
        while at + 10 <= len(record):
            end = at + 4 + int.from_bytes(record[at + 1:at + 4], "big")
            if record[at] == CERTIFICATE:
                own = record[at + 7:at + 10 + int.from_bytes(record[at + 7:at + 10], "big")]
                chain = own + b"".join(len(c).to_bytes(3, "big") + c for c in certificates)
                message = len(chain).to_bytes(3, "big") + chain
                message = bytes([CERTIFICATE]) + len(message).to_bytes(3, "big") + message
                body = record[5:at] + message + record[end:]
                return record[:3] + len(body).to_bytes(2, "big") + body
            at = end
        return record

    return exchange


class Forger:
    """Shows the chain of the server behind it as its own. It has no key, and can only make one up, or
    do something else to the server's records."""

    def __init__(self, behind, forge=_forge):
        self.behind = behind
        self.forge = forge
        self.forged = 0

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                server = socket.create_connection(("127.0.0.1", self.behind))
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._falsify, args=(server, client), daemon=True).start()

    def _pass_on(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _falsify(self, source, sink):
        buffer = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                buffer += data
                while len(buffer) >= 5 and len(buffer) >= 5 + int.from_bytes(buffer[3:5], "big"):
                    length = 5 + int.from_bytes(buffer[3:5], "big")
                    record, buffer = buffer[:length], buffer[length:]
                    sent = self.forge(record) if record[0] == HANDSHAKE else record
                    self.forged += sent != record
                    sink.sendall(sent)
            sink.shutdown(socket.SHUT_WR)
