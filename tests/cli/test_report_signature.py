"""Signed reports against an implementation of RFC 9421 of the tests' own, which first reproduces the RFC's example.

hf-report-signature (tests/support/report_signature_main.c) signs and verifies with the code of device and service.
"""
import base64
import json
import os
import pathlib
import random
import subprocess

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from http_signatures import COMPONENTS, binary, content_digest, parameters, public_key, public_text, report_params, signature_base

TOOL = pathlib.Path(os.environ.get("HOLDFAST_BIN", "build/bin")).parent / "tests" / "hf-report-signature"


# ---- the example of B.2.6 ---------------------------------------------------------------------------

B26_SECRET = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""
B26_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="


def test_the_other_implementation_reproduces_the_example_of_the_rfc():
    request = {
        "method": "POST", "authority": "example.com", "path": "/foo",
        "fields": [("Date", "Tue, 20 Apr 2021 02:07:55 GMT"), ("Content-Type", "application/json"), ("Content-Length", "18")],
    }
    base = signature_base(request, ("date", "@method", "@path", "@authority", "content-type", "content-length"),
                          [("created", 1618884473), ("keyid", "test-key-ed25519")])
    key = serialization.load_pem_private_key(B26_SECRET, None)
    assert base64.b64encode(key.sign(base)).decode() == B26_SIGNATURE


# ---- ours against it --------------------------------------------------------------------------------


def ask(lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([TOOL], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def requests(count):
    """Requests of all kinds, the same in every run."""
    draw = random.Random(9421)
    visible = [chr(c) for c in range(0x21, 0x7F)]
    for i in range(count):
        body = draw.randbytes(draw.choice([0, 1, 55, 56, 63, 64, 65, 500, 5000]))
        text = "".join(draw.choices(visible, k=draw.randrange(1, 40)))
        yield {
            "seed": base64.b64encode(draw.randbytes(32)).decode(),
            "created": draw.choice([0, 1, 1618884473, draw.randrange(10**15), 10**15 - 1]),
            "method": draw.choice(["POST", "PUT", "GET"]),
            "authority": draw.choice(["Fleet.Example.COM", "fleet.example.com:8443", "[2001:DB8::1]:80", "10.0.0.1"]),
            "path": "/v1/reports" if i % 2 else "/" + text,
            "type": "application/json" if i % 3 else text,
            "body": base64.b64encode(body).decode(),
        }


def own_headers(line):
    """(signature base, Content-Digest, Signature-Input, Signature) by the implementation above."""
    digest = content_digest(base64.b64decode(line["body"]))
    seed = base64.b64decode(line["seed"])
    params = report_params(line["created"], public_text(seed))
    request = {"method": line["method"], "authority": line["authority"], "path": line["path"],
               "fields": [("content-type", line["type"]), ("Content-Digest", digest)]}
    base = signature_base(request, COMPONENTS, params)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(base)
    return base.decode(), digest, "holdfast=" + parameters(COMPONENTS, params), "holdfast=" + binary(signature)


def test_base_and_headers_are_those_of_the_other_implementation():
    lines = list(requests(2000))
    for line, answer in zip(lines, ask(lines)):
        assert tuple(answer[key] for key in ("base", "digest", "input", "signature")) == own_headers(line)


def test_what_the_other_implementation_signs_verifies_and_the_other_way_round():
    lines = list(requests(400))
    signed = []
    for line in lines:
        _, digest, signature_input, signature = own_headers(line)
        unsigned = {key: line[key] for key in ("method", "authority", "path", "type", "body")}
        signed.append({**unsigned, "digest": digest, "input": signature_input, "signature": signature})
    for line, answer in zip(lines, ask(signed)):
        assert answer == {"result": "ok", "key": public_text(base64.b64decode(line["seed"]))}
    for line, answer in zip(lines, ask(lines)):
        raw = base64.b64decode(answer["signature"].removeprefix("holdfast=:").removesuffix(":"))
        public_key(public_text(base64.b64decode(line["seed"]))).verify(raw, answer["base"].encode())


def test_one_changed_part_never_verifies():
    draw = random.Random(1)
    lines = []
    for line in requests(300):
        _, digest, signature_input, signature = own_headers(line)
        changed = {key: line[key] for key in ("method", "authority", "path", "type", "body")}
        changed |= {"digest": digest, "input": signature_input, "signature": signature}
        key = draw.choice(["method", "path", "type", "body", "digest", "input", "signature"])
        if key == "body":
            changed[key] = base64.b64encode(base64.b64decode(line["body"]) + b"x").decode()
        else:
            at = draw.randrange(len(changed[key]))
            other = draw.choice([c for c in "AZaz09" if c != changed[key][at]])
            changed[key] = changed[key][:at] + other + changed[key][at + 1:]
        lines.append(changed)
    for line, answer in zip(lines, ask(lines)):
        assert answer["result"] in ("format", "hash", "signature"), (line, answer)
