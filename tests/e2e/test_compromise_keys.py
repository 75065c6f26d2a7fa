"""An attacker with the files of holdfast-signer, and one with the database or its backup."""
import base64
import hashlib
import json
import shutil
import sqlite3
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit import client_pki, programs, roots
from kit.compromise import A, QUOTA, Row, seal_log
from kit.device import Device
from kit.forge import Forge, canonical
from kit.servers import PlainServer
from kit.service import HOST
from kit.signer import encoded

signer_row = Row("`holdfast-signer`")
database_row = Row("the database, or its backup")

# ---- holdfast-signer ------------------------------------------------------------------------------------

@pytest.fixture
def copied(service, folder):
    """What an attacker copied from the signer: no offline key is among it."""
    keys = folder / "copied"
    keys.mkdir()
    shutil.copytree(service.publisher.keys / "online", keys / "online")
    shutil.copytree(service.settings["signer"]["state"], keys / "state")
    return keys


@signer_row.shows("signs timestamps and snapshots, so can hold devices on one state until the targets expire",
       "a bundle or root: those need the offline keys")
def test_the_online_keys_hold_devices_and_feed_them_nothing(service, copied, publisher, folder):
    service.signer.stop()
    server = PlainServer(publisher.repo)  # holdfastd would not even serve what follows
    device = Device(folder / "device").init(publisher.root, server.url)
    assert device.update() == "updated amazon-iot/full none -> 1"
    keys, publisher.keys = publisher.keys, copied
    forge = Forge(publisher)
    publisher.keys = keys
    # Held: a new timestamp and snapshot of the same state for ever, although the desk signed more.
    publisher.sign_offline(folder / "desk", *roots.amazon(1, 2))
    for _ in range(2):
        forge.change("snapshot")
        assert device.update() == "current amazon-iot/full 1"
    # Fed: targets and root want other keys than these.
    online, metadata = forge.key_ids("timestamp"), publisher.repo / "metadata"
    before, genuine = device.status()["active"], {f: f.read_bytes() for f in metadata.iterdir()}
    for role, change in (("targets", lambda signed: signed.update(targets={})),
                         ("root", lambda signed: signed["roles"]["targets"].update(keyids=online))):
        forge.change(role, change, key_ids=online)
        programs.says(device.refuses_update(), role, "signed by 0")
        assert device.status()["active"] == before
        for file in metadata.iterdir():
            file.unlink()
        for file, content in genuine.items():
            file.write_bytes(content)
    server.close()


@signer_row.shows("issues device certificates without limit",
       "a connection with such a certificate: `holdfastd` admits registered ones only")
def test_the_device_ca_issues_what_nobody_admits(service, client, copied):
    ca_key = serialization.load_pem_private_key((copied / "state/device-ca/ca-1.key").read_bytes(), None)
    ca = x509.load_pem_x509_certificate((copied / "state/device-ca/ca-1.pem").read_bytes())
    before = client.get(f"{A}/credentials").json
    for n in range(QUOTA + 3):
        key = client_pki.new_key()
        cert = client_pki.certificate(f"pump-{n}", key, ca, ca_key)
        pair = client_pki.write_pair(copied, f"made-{n}", cert, key)
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            client.device_call("GET", "/v1/whoami", sni=HOST, cert=pair[0], key=pair[1])
    assert client.get(f"{A}/credentials").json == before


@signer_row.shows("seals any log")
def test_the_log_key_seals_what_it_is_told(service, copied, folder):
    seed = bytes.fromhex(json.loads((copied / "state/log.key.json").read_text())["seed"])
    entry = {"sequence": 1, "action": "nothing happened"}
    digest = hashlib.sha256(bytes(32) + canonical(entry)).hexdigest()
    at = "2026-01-01T00:00:00Z"
    seal = {"hash": digest, "sequence": 1, "time": at, "type": "holdfast-seal"}
    signature = encoded(Ed25519PrivateKey.from_private_bytes(seed).sign(canonical(seal)))
    copy = folder / "forged.jsonl"
    copy.write_text(f'{{"entry":{canonical(entry).decode()},"hash":"{digest}"}}\n'
                    f'{{"seal":{{"sequence":1,"time":"{at}"}},"signature":"{signature}"}}\n')
    said = programs.ok("holdfast-admin", "log", "verify", copy, "--key", service.log_key).out
    assert "1 seals of this key" in said


# ---- the database, or its backup ----------------------------------------------------------------------

@pytest.fixture
def filled(service, client):
    """A service whose log is sealed, with a token of each kind. It is stopped: its database is the attacker's."""
    service.enrolled("pump-1")
    service.tokens = [service.token(), client.call("POST", "/v1/tokens", {
        "name": "ci", "role": "admin"}).json["token"]]
    seal_log(service)
    service.copy = service.admin("log", "export")
    service.server.stop()
    return service


def database_of(service):
    return service.settings["database"]["path"]


def everything_in(service):
    """All bytes of the database and its log."""
    path = database_of(service)
    return b"".join(f.read_bytes() for f in sorted(path.parent.glob(path.name + "*")))


@database_row.shows("reads who is who", "private keys", "tokens: only their hashes are stored")
def test_the_database_tells_names_and_nothing_that_opens_a_door(filled, client):
    data = everything_in(filled)
    assert b"pump-1" in data and b"valves.example" in data
    assert b"PRIVATE KEY" not in data
    for file in filled.settings["signer"]["state"].rglob("*.key*"):
        key = file.read_bytes()
        assert key not in data and base64.b64encode(key) not in data
    for token in filled.tokens:
        secret = token.split("_", 1)[1]
        assert secret.encode() not in data and base64.urlsafe_b64decode(secret + "==") not in data
    with sqlite3.connect(database_of(filled)) as db:
        stored = [row[0] for table in ("admin_token", "enroll_token")
                  for row in db.execute(f"SELECT hash FROM {table}")]
    db.close()
    filled.start_server()
    for digest in stored:  # what is stored is no token
        for text in (digest.hex(), base64.urlsafe_b64encode(digest).decode().rstrip("=")):
            for token in (text, f"hfa_{text}"):
                assert client.get("/v1/accounts", token=token).status == 401
            csr, _ = client_pki.csr(client_pki.new_key())
            body = {"csr": csr, "device": "pump-9", "token": f"hfe_{text}"[:47]}
            assert client.device_call("POST", "/v1/enroll", body, sni=HOST).status == 403


@database_row.shows("with the right to write to it, changes the registry as `holdfastd` can")
def test_who_writes_the_database_changes_the_registry(filled, client):
    path = f"{A}/credentials/" + hashlib.sha256(b"").hexdigest()
    with sqlite3.connect(database_of(filled)) as db:
        db.execute("UPDATE credential SET status = 'REVOKED'")
    db.close()
    filled.start_server()
    assert client.get(path).status == 404
    assert {c["status"] for c in client.get(f"{A}/credentials").json["credentials"]} == {"REVOKED"}


def chained(rows):
    """The hashes of these entries, as if nothing had been changed."""
    head, hashes_of = bytes(32), []
    for entry in rows:
        head = hashlib.sha256(head + entry.encode()).digest()
        hashes_of.append(head)
    return hashes_of


def rewrite(service, change):
    """`change` gets the entries' texts and may change them; the chain is made again over the result."""
    with sqlite3.connect(database_of(service)) as db:
        rows = [row[0] for row in db.execute("SELECT entry FROM audit_log ORDER BY sequence")]
        assert [h for h, in db.execute("SELECT hash FROM audit_log ORDER BY sequence")] == chained(rows)
        rows = change(rows)
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("DELETE FROM audit_log")
        db.executemany("INSERT INTO audit_log (sequence, hash, account_id, entry) VALUES (?, ?, NULL, ?)",
                       [(json.loads(e)["sequence"], h, e) for e, h in zip(rows, chained(rows))])
    db.close()


def renumbered(rows):
    return [canonical({**json.loads(e), "sequence": n + 1}).decode() for n, e in enumerate(rows)]


@database_row.shows("a change of sealed log entries that `holdfast-admin log verify` does not show")
@pytest.mark.parametrize("name, change", [
    ("another word", lambda rows: [r.replace("pump-1", "pump-9") for r in rows]),
    ("one left out", lambda rows: renumbered(rows[:2] + rows[3:])),
    ("one put in", lambda rows: renumbered(rows[:2] + rows[1:])),
    ("two exchanged", lambda rows: renumbered([rows[1], rows[0]] + rows[2:])),
])
def test_a_changed_log_does_not_verify_however_well_it_is_chained(filled, folder, name, change):
    rewrite(filled, change)
    filled.start_server()
    copy = folder / "log.jsonl"
    exported = programs.call("holdfast-admin", "log", "export", "--config", filled.config)
    if exported.code != 0:  # a sealed entry is missing
        assert "a seal is left" in exported.err
        return
    copy.write_text(exported.out)  # its hashes hang together
    said = programs.refused("holdfast-admin", "log", "verify", copy, "--key", filled.log_key)
    assert "the seal" in said or "seal" in said, said
    filled.server.wait_for(lambda: "the log differs from what the signer sealed" in filled.server.err,
                           "says so")


@database_row.shows("a change of sealed log entries that `holdfast-admin log verify` does not show")
def test_a_log_without_its_seals_shows_as_not_sealed(filled, folder):
    rewrite(filled, lambda rows: renumbered(rows[:2] + rows[3:]))
    with sqlite3.connect(database_of(filled)) as db:
        db.execute("DELETE FROM seal")
    db.close()
    filled.start_server()
    copy = folder / "log.jsonl"
    copy.write_text(filled.admin("log", "export"))
    said = programs.ok("holdfast-admin", "log", "verify", copy, "--key", filled.log_key).out
    assert "0 seals of this key" in said and "are not sealed yet" in said
    # One change that only the entry has, and no hash: it is not even exported.
    with sqlite3.connect(database_of(filled)) as db:
        db.execute("UPDATE audit_log SET entry = replace(entry, 'pump-1', 'pump-9')")
    db.close()
    outcome = programs.call("holdfast-admin", "log", "export", "--config", filled.config)
    assert outcome.code == 1 and "was changed" in outcome.err


def test_every_statement_is_shown():
    signer_row.check()
    database_row.check()
