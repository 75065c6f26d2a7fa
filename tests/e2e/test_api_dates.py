"""Dates inside of client certificates, as no CA should write them: what is registered, who may connect, and no crash."""
import base64
import ssl

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from kit import client_pki, roots
from kit.processes import wait_until
from kit.service import Service

A = "/v1/accounts/pumps"
HOST = "pumps.example"
UTC, GENERALIZED, SEQUENCE, BITS = 0x17, 0x18, 0x30, 0x03
PAST, FUTURE = (UTC, "200101000000Z"), (UTC, "491231235959Z")


def tlv(tag, body):
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def elements(body):
    """Each with its tag and length."""
    while body:
        size, at = body[1], 2
        if size & 0x80:
            at = 2 + (size & 0x7F)
            size = int.from_bytes(body[2:at], "big")
        yield body[:at + size]
        body = body[at + size:]


def inside(element):
    at = 2 if element[1] < 128 else 2 + (element[1] & 0x7F)
    return element[at:]


def dated(cn, begin, end):
    """A certificate of its own key with these dates, whatever they are; PEM, and the key."""
    cert, key = client_pki.self_signed(cn)
    parts = list(elements(inside(cert.tbs_certificate_bytes)))
    parts[4] = tlv(SEQUENCE, b"".join(tlv(tag, text.encode()) for tag, text in (begin, end)))
    tbs = tlv(SEQUENCE, b"".join(parts))
    _, algorithm, _ = elements(inside(cert.public_bytes(client_pki.DER)))
    der = tlv(SEQUENCE, tbs + algorithm + tlv(BITS, b"\0" + key.sign(tbs, ec.ECDSA(hashes.SHA256()))))
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n", key


GOOD = {
    "without an end, as 802.1AR has it": (PAST, (GENERALIZED, "99991231235959Z")),
    "from year 1": ((GENERALIZED, "00010101000000Z"), (GENERALIZED, "99991231235959Z")),
    "from year 0": ((GENERALIZED, "00000101000000Z"), FUTURE),
    "from 1950": ((UTC, "500101000000Z"), FUTURE),
    "GeneralizedTime before 2050": ((GENERALIZED, "20200101000000Z"), FUTURE),
    "an offset of nothing": ((UTC, "200101000000+0000"), FUTURE),
    "a negative offset": ((UTC, "200101000000-0700"), FUTURE),
    "a fraction of a second": ((GENERALIZED, "20200101000000.5Z"), FUTURE),
    "no seconds": ((UTC, "2001010000Z"), FUTURE),
}
UNREADABLE, NO_CERTIFICATE = "the dates of the certificate cannot be read", "this is not an X.509 certificate"
BAD = {
    "ended in year 1": ((GENERALIZED, "00010101000000Z"), (GENERALIZED, "00010102000000Z"), "the certificate expired on"),
    "ends before it begins": (FUTURE, PAST, "is not valid before 2049-12-31"),
    "ends before it begins, later": ((UTC, "480101000000Z"), (UTC, "470101000000Z"), "is not valid before 2048-01-01"),
    "an offset of a day": (PAST, (UTC, "491231235959-2359"), UNREADABLE),
    "an offset that leads beyond 9999": (PAST, (GENERALIZED, "99991231235959-0100"), UNREADABLE),
    "no zone": ((UTC, "200101000000"), FUTURE, UNREADABLE),
    "month 13": ((UTC, "201301000000Z"), FUTURE, UNREADABLE),
    "30 February": ((UTC, "200230000000Z"), FUTURE, UNREADABLE),
    "a leap second": (PAST, (UTC, "301231235960Z"), UNREADABLE),
    "nothing": ((UTC, ""), FUTURE, UNREADABLE),
    "letters": ((UTC, "abcdefghijklZ"), FUTURE, UNREADABLE),
    "a NUL behind it": ((UTC, "200101000000Z\0"), FUTURE, UNREADABLE),
    "too many digits": ((GENERALIZED, "2020010100000000000000000000Z"), FUTURE, UNREADABLE),
    "a sign": ((GENERALIZED, "-0200101000000Z"), FUTURE, UNREADABLE),
    "a text": ((0x0C, "200101000000Z"), FUTURE, NO_CERTIFICATE),
    "a number": ((0x02, "20"), FUTURE, NO_CERTIFICATE),
}


@pytest.fixture
def pumps(api):
    assert api.call("POST", "/v1/accounts", {"name": "pumps", "snis": [HOST]}).status == 201
    return api


def register(api, text):
    return api.call("POST", f"{A}/credentials", {"certificate": text, "status": "ACTIVE", "device": "pump-1"})


def whoami(api, folder, text, key):
    cert, key = client_pki.write_pair(folder, "pump-1", text, key)
    return api.device_call("GET", "/v1/whoami", sni=HOST, cert=cert, key=key)


@pytest.mark.parametrize("name", GOOD)
def test_odd_dates_that_mean_now_connect(pumps, folder, name):
    text, key = dated("pump-1", *GOOD[name])
    assert register(pumps, text).status == 201
    answer = whoami(pumps, folder, text, key)
    assert (answer.status, answer.json["status"]) == (200, "ACTIVE")


@pytest.mark.parametrize("name", BAD)
def test_dates_that_mean_nothing_or_another_time_are_refused(pumps, folder, name):
    begin, end, sentence = BAD[name]
    text, key = dated("pump-1", begin, end)
    answer = register(pumps, text)
    assert answer.status == 400 and sentence in answer.json["detail"]
    assert pumps.get(f"{A}/credentials").json["credentials"] == []
    if sentence != NO_CERTIFICATE:  # which no client could show
        with pytest.raises(ssl.SSLError, match="alert unknown ca"):
            whoami(pumps, folder, text, key)
    assert register(pumps, dated("pump-1", PAST, FUTURE)[0]).status == 201  # and all goes on


def test_audits_of_odd_dates(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    service = Service(processes, folder / "service", publisher, audits__device_certificate_age="365d").start().with_account()
    for i, name in enumerate(GOOD):
        file = folder / f"pump-{i}.pem"
        file.write_text(dated(f"pump-{i}", *GOOD[name])[0])
        service.admin("credential", "register", file, "--account", "pumps", "--device", f"pump-{i}", "--status", "ACTIVE")
    for check in ("DEVICE_CERTIFICATE_EXPIRING", "DEVICE_CERTIFICATE_AGE", "DEVICE_CERTIFICATE_KEY_QUALITY"):
        service.admin("audit", "run", check)
    wait_until(lambda: not any(a["is_running"] for a in service.admin_json("audit", "list")["audits"]), "they have run")
    found = [(f["check"], f["device"]) for f in service.admin_json("finding", "list")["findings"]
             if f["check"].startswith("DEVICE_CERTIFICATE")]
    assert sorted(found) == [("DEVICE_CERTIFICATE_AGE", f"pump-{i}") for i in range(len(GOOD))]
    service.stop()
