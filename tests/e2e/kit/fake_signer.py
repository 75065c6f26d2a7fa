"""The other end of signer.sock, in the test: it issues what it is asked for, or fails as the test wants."""
import base64
import json
import os
import socket
import threading

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import hashes

from kit import client_pki
from kit.processes import stop_accepting


class FakeSigner:
    def __init__(self, path):
        self.path = path
        self.cas = {}       # name: (account, Ca)
        self.failing = None  # (error, sentence): of every verb but status; (error, sentence, "status"): of that too
        self.asked = []
        self.is_free = threading.Event()  # cleared: it hears what it is asked for, and answers later
        self.is_free.set()
        self.folders = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen()
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def add_ca(self, name, account):
        ca = client_pki.Ca(name)
        self.cas[name] = (account, ca)
        return ca

    def stop(self):
        stop_accepting(self.listener, self.accepting)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            while True:
                data, descriptors, _, _ = socket.recv_fds(connection, 1 << 18, 1)
                if not data:
                    return
                request = json.loads(data)
                self.asked.append(request)
                self.is_free.wait(timeout=20)
                connection.send(json.dumps(self._answer(request, descriptors)).encode())

    def _answer(self, request, descriptors):
        for fd in descriptors:
            self.folders.append(os.readlink(f"/proc/self/fd/{fd}"))
            os.close(fd)
        verb = request["verb"]
        if self.failing and (verb != "status" or verb in self.failing):
            return {"ok": False, "error": self.failing[0], "sentence": self.failing[1]}
        if verb == "cas":
            return {"ok": True, "cas": [
                {"name": name, "account": account,
                 "certificate": base64.b64encode(ca.cert.public_bytes(client_pki.DER)).decode()}
                for name, (account, ca) in self.cas.items()]}
        if verb in ("issue", "renew"):
            return self._issue(request)
        if verb in ("refresh", "publish"):
            return {"ok": True, "versions": {"timestamp": {"version": 7}}}
        return {"ok": True, "log_key": "00" * 32}

    def _issue(self, request):
        account, ca = self.cas[request["ca"]]
        csr = x509.load_der_x509_csr(base64.b64decode(request["csr"]))
        assert account == request["account"] and csr.is_signature_valid
        if request["verb"] == "renew":
            old = x509.load_der_x509_certificate(base64.b64decode(request["old"]))
            old.public_key().verify(
                base64.b64decode(request["signature"]),
                b"holdfast renew\0" + base64.b64decode(request["csr"]), ec.ECDSA(hashes.SHA256()))
        cert = ca.issue(request["device"][:64], public_key=csr.public_key())
        return {"ok": True,
                "certificate": base64.b64encode(cert.public_bytes(client_pki.DER)).decode()}
