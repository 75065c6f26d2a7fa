"""holdfast-signer and the other end of its socket."""
import base64
import json
import os
import socket

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kit import programs

DER = serialization.Encoding.DER


def encoded(data):
    return base64.b64encode(data).decode()


class DeviceKey:
    """A key, and what it signs: requests, and those of its successor."""

    def __init__(self, curve=ec.SECP256R1()):
        self.key = ec.generate_private_key(curve)

    def csr(self, subject="whatever"):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        return (x509.CertificateSigningRequestBuilder().subject_name(name)
                .sign(self.key, hashes.SHA256()).public_bytes(DER))

    def renewal_of(self, csr):
        return self.key.sign(b"holdfast renew\0" + csr, ec.ECDSA(hashes.SHA256()))

    def is_in(self, certificate):
        form = (DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return (certificate.public_key().public_bytes(*form)
                == self.key.public_key().public_bytes(*form))


class SignerClient:
    """The other end of signer.sock: what holdfastd can ask, and what an attacker in its place can."""

    def __init__(self, socket):
        self.socket, self.connection = socket, None

    def hang_up(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def ask(self, verb, fd=None, **members):
        return self.send(json.dumps({"verb": verb, **members}).encode(), fd)

    def send(self, packet, fd=None):
        if not self.connection:
            self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.connection.connect(str(self.socket))
        socket.send_fds(self.connection, [packet], [] if fd is None else [fd])
        return json.loads(self.connection.recv(1 << 18))

    def ok(self, verb, **members):
        answer = self.ask(verb, **members)
        assert answer.pop("ok"), answer
        return answer

    def refused(self, verb, **members):
        """The code and the sentence."""
        answer = self.ask(verb, **members)
        assert answer["ok"] is False, answer
        return answer["error"], answer["sentence"]

    def publish(self, folder):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return self.ask("publish", fd=fd)
        finally:
            os.close(fd)

    def issue(self, key, device, ca="ca-1", account="pumps"):
        answer = self.ok("issue", ca=ca, account=account, device=device, csr=encoded(key.csr()))
        return x509.load_der_x509_certificate(base64.b64decode(answer["certificate"]))


class Signer(SignerClient):
    def __init__(self, processes, folder, publisher, **settings):
        super().__init__(folder / "sock")
        self.processes, self.folder, self.publisher = processes, folder, publisher
        folder.mkdir()
        self.state, self.config = folder / "state", folder / "conf"
        self.settings = {"socket": self.socket, "state": self.state, "keys": publisher.keys,
                         **settings}
        self.write_config()
        self.init_report = programs.ok("holdfast-signer", "init", "--config", self.config)
        self.process = None

    def write_config(self, **changes):
        self.settings.update(changes)
        lines = [f"{key} = {value}" for key, value in self.settings.items()]
        self.config.write_text("\n".join(["[repository]", f"path = {self.publisher.repo}",
                                          "[signer]", *lines, ""]))

    @property
    def log_key(self):
        return bytes.fromhex(self.init_report.out.split()[-1])

    def new_ca(self, name, account, *options):
        return programs.ok("holdfast-signer", "ca", "new", name, "--account", account,
                           "--config", self.config, *options)

    def ca(self, name):
        return x509.load_pem_x509_certificate((self.state / "device-ca" / f"{name}.pem").read_bytes())

    def start(self, env=None):
        self.process = self.processes.start(
            programs.command("holdfast-signer", "run", "--config", self.config), "holdfast-signer", env)
        self.process.wait_for(lambda: "waiting for requests" in self.process.err, "is ready")
        return self

    def stop(self):
        self.hang_up()
        return self.process.stop()
