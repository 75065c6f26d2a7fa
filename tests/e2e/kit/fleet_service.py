"""A small fleet service: the device API over TLS with client certificates, a repository beside it, and
faults that a test switches on. It keeps every rule that a device relies on, in one file."""
import base64
import datetime
import functools
import hashlib
import http.server
import json
import socket
import ssl
import threading

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import ExtendedKeyUsageOID

import net_pki  # of tests/cli; conftest.py puts it on the path
from kit import pki

SECOND = datetime.timedelta(seconds=1)


def sha256(certificate):
    return certificate.fingerprint(hashes.SHA256()).hex()


def spki(key):
    """What tells one public key from another."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def verifies(key, signature, message):
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        return True
    except InvalidSignature:
        return False


class Problem(Exception):
    """An answer that is an error (RFC 9457)."""

    def __init__(self, status, detail, **headers):
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Cut(Exception):
    """The connection ends without an answer."""


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_):
        pass

    @property
    def service(self):
        return self.server.service

    def _peer(self):
        der = self.connection.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(der) if der else None

    def end_headers(self):
        peer = self._peer()
        if peer is not None and sha256(peer) in self.service.asked_to_rotate:
            self.send_header("Holdfast-Rotate", "requested")
        super().end_headers()

    def _api(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, answer, headers = self.service.answer(self.command, self.path, body, self._peer())
        except Problem as problem:
            status, headers = problem.status, {"Content-Type": "application/problem+json", **problem.headers}
            answer = json.dumps({"title": "no", "status": status, "detail": problem.detail}).encode()
        except Cut:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self):
        self._api()

    def do_GET(self):
        if self.path.startswith("/v1/"):
            return self._api()
        peer = self._peer()
        self.service.fetches.append((self.path, sha256(peer) if peer else None))
        if peer is not None and not self.service.is_active(peer):
            return self.send_error(403)
        return super().do_GET()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that was killed is no news."""


class FleetService:
    """`faults` names what goes wrong next, by path: {"/v1/rotate": ["lost answer", …]}; each is used once."""

    def __init__(self, folder, repo, device_ca=None):
        self.server_ca = pki.Authority("Fleet Server CA")
        self.device_ca = device_ca or pki.Authority("Fleet Device CA")
        self.ca_file = self.server_ca.write(folder / "server-ca.pem")
        self.device_ca_file = self.device_ca.write(folder / "device-ca.pem")
        self.chain, self.key = pki.write_chain(folder, "fleet", self.server_ca.leaf(), self.server_ca)
        self.lock = threading.RLock()
        self.tokens = {}          # token: how often it may be used
        self.credentials = {}     # SHA-256 of a certificate: {"device", "status"}
        self.asked_to_rotate = set()
        self.faults = {}
        self.calls = []           # (path, credential or None, status)
        self.fetches = []         # of the repository: (path, credential or None)
        self.starts, self.ends = -60 * SECOND, 365 * 86400 * SECOND  # of certificates, from now
        self.gates = {}           # path of the API: an event that its answers wait for
        self.may_keep_keys = False  # a rotation may certify the present key again
        handler = functools.partial(_Handler, directory=repo)
        self.server = _Server(("127.0.0.1", 0), handler)
        self.server.service = self
        self.context = self._context(self.device_ca_file)
        self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def _context(self, client_ca):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def speak(self, version):
        self.context.minimum_version = self.context.maximum_version = version

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- what an operator does --------------------------------------------------------------------------

    def token(self, uses=1):
        token = base64.urlsafe_b64encode(hashlib.sha256(str(len(self.tokens)).encode()).digest()).decode()
        self.tokens[token] = uses
        return token

    def asked_for(self, path):
        """How often."""
        return [called for called, _ in self.calls].count(path)

    def is_active(self, certificate):
        known = self.credentials.get(sha256(certificate))
        return known is not None and known["status"] == "ACTIVE"

    def issue(self, public_key, device, purpose=ExtendedKeyUsageOID.CLIENT_AUTH):
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None, microsecond=0)
        return (x509.CertificateBuilder()
                .subject_name(net_pki.name(device)).issuer_name(self.device_ca.subject)
                .public_key(public_key).serial_number(x509.random_serial_number())
                .not_valid_before(now + self.starts).not_valid_after(now + self.ends)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
                .sign(self.device_ca.key, hashes.SHA256()))

    def register(self, certificate, device, **more):
        self.credentials[sha256(certificate)] = {"device": device, "status": "ACTIVE", **more}

    # ---- the API -----------------------------------------------------------------------------------------

    def answer(self, method, path, body, peer):
        if path in self.gates:
            self.gates[path].wait(60)
        with self.lock:
            pending = self.faults.get(path, [])
            fault = pending.pop(0) if pending else None
            credential = sha256(peer) if peer else None
            self.calls.append((path, credential))
            if fault == "cut":
                raise Cut
            if fault in (403, 404, 429, 500, 503):
                more = {"Retry_After": "7200"} if fault in (429, 503) else {}
                raise Problem(fault, f"told to answer {fault}\n\x1b[31m", **more)
            if fault == "garbage":
                return 201 if method == "POST" else 200, b"\x00\xff<html>{{{", {}
            if fault == "redirect":
                return 302, b"", {"Location": "https://127.0.0.1:1/"}
            routes = {("POST", "/v1/enroll"): self._enroll, ("POST", "/v1/rotate"): self._rotate,
                      ("GET", "/v1/whoami"): self._whoami}
            if (method, path) not in routes:
                raise Problem(404, "there is no such thing")
            status, answer = routes[method, path](json.loads(body or b"null"), peer, fault)
            if fault == "lost answer":
                raise Cut
            return status, json.dumps(answer).encode(), {"Content-Type": "application/json"}

    def _certify(self, csr, device, fault, **more):
        key, purpose = csr.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH
        if fault == "wrong key":
            key = ec.generate_private_key(ec.SECP256R1()).public_key()
        if fault == "wrong purpose":
            purpose = ExtendedKeyUsageOID.SERVER_AUTH
        ends = self.ends
        if fault == "expired":
            self.ends = -30 * SECOND
        certificate = self.issue(key, device, purpose)
        self.ends = ends
        self.register(certificate, device, **more)
        if fault == "not registered":
            del self.credentials[sha256(certificate)]
        pem = net_pki.pem(certificate, self.device_ca.cert).decode()
        return 201, {"certificate": pem, "credential": sha256(certificate),
                     "expires": certificate.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ")}

    @staticmethod
    def _csr(body):
        csr = x509.load_pem_x509_csr(body["csr"].encode())
        if not csr.is_signature_valid:
            raise Problem(400, "the request is not signed by its own key")
        return csr

    def _enroll(self, body, peer, fault):
        csr = self._csr(body)
        if peer is not None:
            if self.credentials.get(sha256(peer), {}).get("kind") != "claim":
                raise Problem(403, "this certificate may not enrol devices")
        elif self.tokens.get(body.get("token"), 0) < 1:
            raise Problem(403, "the enrolment token is unknown or used up")
        else:
            self.tokens[body["token"]] -= 1
        return self._certify(csr, body["device"], fault)

    def _rotate(self, body, peer, fault):
        csr = self._csr(body)
        if peer is None or not self.is_active(peer):
            raise Problem(403, "the certificate is not active")
        message = b"holdfast renew\0" + csr.public_bytes(serialization.Encoding.DER)
        if not verifies(peer.public_key(), base64.b64decode(body["signature"], validate=True), message):
            raise Problem(403, "the present key did not sign the request")
        if spki(csr.public_key()) == spki(peer.public_key()) and not self.may_keep_keys:
            raise Problem(400, "the key is not a new one")
        return self._certify(csr, self.credentials[sha256(peer)]["device"], fault, replaces=sha256(peer))

    def _whoami(self, _, peer, fault):
        if peer is None or not self.is_active(peer):
            raise Problem(403, "the certificate is not active")
        known = self.credentials[sha256(peer)]
        self.asked_to_rotate.discard(known.pop("replaces", None))
        name = "0" * 64 if fault == "another" else sha256(peer)
        return 200, {"account": "test", "device": known["device"], "credential": name,
                     "status": known["status"]}
