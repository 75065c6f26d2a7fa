"""Reports of devices, and their signatures by RFC 9421, written from its text."""
import base64
import hashlib
import json
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ONE, TWO = "1" * 32, "2" * 32
PATH = "/v1/reports"


def report(device, seq, kind="confirmed", installation=ONE, **more):
    return {"v": 1, "device": device, "installation": installation, "seq": seq, "kind": kind, "set": "amazon-iot",
            "profile": "full", "from": 2, "to": 3, "text": f"report {seq}", **more}


class Signer:
    """The key of a device."""

    def __init__(self):
        self.secret = Ed25519PrivateKey.generate()
        raw = self.secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.key = base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def headers(self, body, host, path=PATH, content_type="application/json", method="POST", created=None):
        """Of a request with that body."""
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}:"
        params = ('("@method" "@authority" "@path" "content-type" "content-digest")'
                  f';created={created or int(time.time())};keyid="{self.key}";alg="ed25519";tag="holdfast-report"')
        base = "\n".join([f'"@method": {method}', f'"@authority": {host.lower()}', f'"@path": {path}',
                          f'"content-type": {content_type}', f'"content-digest": {digest}',
                          f'"@signature-params": {params}'])
        signature = base64.b64encode(self.secret.sign(base.encode())).decode()
        return {"Content-Type": content_type, "Content-Digest": digest, "Signature-Input": f"holdfast={params}",
                "Signature": f"holdfast=:{signature}:"}


def as_body(reports):
    return json.dumps(reports)
