"""HTTP message signatures, written from RFC 9421 (section 2) and RFC 8941, for comparison with ours."""
import base64
import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# What a report signs.
COMPONENTS = ("@method", "@authority", "@path", "content-type", "content-digest")
TAG = "holdfast-report"


def sf_string(text):
    """RFC 8941, 3.3.3: in double quotes, with backslashes before quotes and backslashes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parameters(components, params):
    """An inner list (RFC 8941, 3.1.1) with its parameters in the order given."""
    text = "(" + " ".join(sf_string(name) for name in components) + ")"
    for key, value in params:
        text += f";{key}=" + (str(value) if isinstance(value, int) else sf_string(value))
    return text


def component(request, name):
    """2.1 and 2.2: a derived component, or a field's values without outer blanks, joined by commas."""
    if name == "@method":
        return request["method"]
    if name == "@authority":
        return request["authority"].lower()
    if name == "@path":
        return request["path"] or "/"
    return ", ".join(value.strip() for key, value in request["fields"] if key.lower() == name)


def signature_base(request, components, params):
    lines = [f"{sf_string(name)}: {component(request, name)}" for name in components]
    lines.append(f'"@signature-params": {parameters(components, params)}')
    return "\n".join(lines).encode()


def binary(data):
    """RFC 8941, 3.3.5."""
    return ":" + base64.b64encode(data).decode() + ":"


def content_digest(body):
    return "sha-256=" + binary(hashlib.sha256(body).digest())


def public_text(seed):
    raw = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def public_key(text):
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text + "="))


def report_params(created, keyid):
    return [("created", created), ("keyid", keyid), ("alg", "ed25519"), ("tag", TAG)]
