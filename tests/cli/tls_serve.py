"""A running hf-tls-serve, its certificates, and clients of it: openssl s_client, curl and Python's ssl."""
import datetime
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from holdfastd_process import BIN, WAIT_S, wait_until

SERVE = os.path.join(BIN, "..", "tests", "hf-tls-serve")
DAY = datetime.timedelta(days=1)
VERSIONS = {"1.2": "-tls1_2", "1.3": "-tls1_3"}
ALERTS = {40: "handshake_failure", 42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked",
          45: "certificate_expired", 48: "unknown_ca", 51: "decrypt_error", 70: "protocol_version", 80: "internal_error",
          109: "missing_extension", 112: "unrecognized_name", 116: "certificate_required",
          120: "no_application_protocol", 10: "unexpected_message", 50: "decode_error"}


class Pair:
    """A self-signed certificate and its key, as files and as text."""

    def __init__(self, folder, name, key=None, days=30, names=(), digest=hashes.SHA256()):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - 90 * DAY).not_valid_after(now + days * DAY))
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        self.cert = builder.sign(self.key, digest)
        self.chain, self.key_file = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
        self.write(self.chain, self.key_file)

    def write(self, chain, key_file):
        with open(chain, "wb") as f:
            f.write(self.cert.public_bytes(serialization.Encoding.PEM))
        with open(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))

    @property
    def sha256(self):
        return self.cert.fingerprint(hashes.SHA256()).hex()

    def options(self):
        return ["-cert", self.chain, "-key", self.key_file]


class Rules:
    """The file of rules, with `dev.test` (tag 5, a certificate is optional) and what is added."""

    def __init__(self, path):
        self.path, self.names, self.certs = path, {"dev.test": (5, "optional")}, {}

    def write(self):
        lines = [f"nameless {tag} {ask}" if name is None else f"name {name} {tag} {ask}"
                 for name, (tag, ask) in self.names.items()]
        lines += [f"cert {sha256} {alert}" for sha256, alert in self.certs.items()]
        self.path.write_text("\n".join(lines) + "\n")


class TlsServe:
    """hf-tls-serve on a free port. Leaving the `with` stops it and checks that it ended well."""

    def __init__(self, *options, rules=None, pairs=(), listen="127.0.0.1:0", descriptors=None):
        self.rules = rules
        command = [SERVE, *map(str, options)]
        command += ["--listen", listen] if listen else []
        command += ["--rules", str(rules.path)] if rules else []
        for pair in pairs:
            command += ["--chain", pair.chain, "--key", pair.key_file]
        if rules:
            rules.write()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line + self.process.stderr.read()
        self.port = int(re.search(r":(\d+)$", line).group(1)) if listen else None
        self.errors = []
        self.reader = threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT_S)
        self.reader.join(WAIT_S)
        self.process.stdout.close()
        self.process.stderr.close()
        print(f"hf-tls-serve ended with {code}", *self.errors)
        if kind is None:
            assert code == 0
            assert [e for e in self.errors if "Sanitizer" in e] == []

    def tell(self, number, answer):
        self.process.send_signal(number)
        line = self.process.stdout.readline()
        assert line.startswith(answer), line
        return line

    def reload(self):
        if self.rules:
            self.rules.write()
        return self.tell(signal.SIGHUP, "reloaded")

    def rotate(self):
        self.tell(signal.SIGUSR1, "rotated")

    def memory_kb(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def tcp(self, timeout=WAIT_S):
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def tls(self, name="dev.test", pair=None, version=None, timeout=WAIT_S, session=None, context=None):
        """A connection of Python's own client, which verifies nothing."""
        context = context or client_context(pair, version)
        return context.wrap_socket(self.tcp(timeout), server_hostname=name, session=session)

    def s_client(self, *options, name="dev.test", target="/whoami", stdin=None):
        """One request by openssl s_client; what came of it."""
        request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        sni = ["-servername", name] if name else ["-noservername"]
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-ign_eof", *sni, *options],
            input=request if stdin is None else stdin, capture_output=True, text=True, timeout=WAIT_S)
        return Outcome(done.stdout + done.stderr)


class Outcome:
    def __init__(self, text):
        self.text = text
        number = re.search(r"SSL alert number (\d+)", text)
        self.alert = ALERTS.get(int(number.group(1)), number.group(1)) if number else None
        self.is_resumed = re.search(r"^Reused, ", text, re.MULTILINE) is not None
        found = re.search(r'^(\{"peer.*\})\s*$', text, re.MULTILINE)
        self.whoami = json.loads(found.group(1)) if found else None


def client_context(pair=None, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        number = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        context.minimum_version = context.maximum_version = number
    if pair:
        context.load_cert_chain(pair.chain, pair.key_file)
    return context


def ask(connection, target="/whoami"):
    """One request on an open connection; the JSON of the answer."""
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"}\n"):
        more = connection.recv(65536)
        assert more, f"closed after {data!r}"
        data += more
    return json.loads(data.partition(b"\r\n\r\n")[2])


def closed_after(connection, seconds=WAIT_S):
    """How long it takes until the server closes an open connection, in seconds."""
    begun = time.monotonic()
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except (ConnectionResetError, ssl.SSLError):
        pass
    return time.monotonic() - begun


__all__ = ["TlsServe", "Rules", "Pair", "VERSIONS", "client_context", "ask", "closed_after", "wait_until"]
