"""An attacker in the place of holdfastd, with its user and its socket: what the signer does for it, and what not."""
import base64
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from kit import client_pki, roots
from kit.compromise import A, QUOTA, Row, seal_log
from kit.processes import wait_until
from kit.publisher import Publisher
from kit.service import HOST
from kit.signer import DER, DeviceKey, SignerClient, encoded

holdfastd_row = Row("`holdfastd`")

class Stolen(SignerClient):
    """What has holdfastd's user and its socket. holdfastd itself is stopped, so all that changes is ours."""

    def __init__(self, service):
        super().__init__(service.settings["signer"]["socket"])
        self.service, self.publisher = service, service.publisher
        service.server.stop()

    def signatures(self):
        """How many the signer ever made."""
        return self.ok("signatures", after=0)["newest"]

    def sees(self):
        """What the signer and the repository are; no refused request may change it."""
        repo = self.publisher.repo
        files = {f.relative_to(repo): f.read_bytes() for f in repo.rglob("*") if f.is_file()}
        return self.signatures(), self.ok("status"), files

    def holds_only_files(self):
        """The signer has no descriptor left of what it was handed."""
        folder = f"/proc/{self.service.signer.popen.pid}/fd"
        return not [f for f in os.listdir(folder)
                    if os.readlink(f"{folder}/{f}").startswith(str(self.service.folder.parent / "bait"))]


@pytest.fixture
def stolen(service):
    made = Stolen(service)
    yield made
    made.hang_up()


def all_refused(stolen, cases):
    """Each (verb, members, error, words) is refused with that, and nothing changes."""
    before = stolen.sees()
    for verb, members, error, words in cases:
        found, sentence = stolen.refused(verb, **members)
        assert found == error and words in sentence, (verb, found, sentence)
    assert stolen.sees() == before


@holdfastd_row.shows("a signature over bytes of its own choice")
def test_there_is_no_verb_that_signs_bytes(stolen):
    data = encoded(b"x" * 32)
    all_refused(stolen, [
        *[(verb, {"bytes": data, "data": data, "hash": "00" * 32}, "argument", "there is no verb")
          for verb in ("sign", "sign-bytes", "snapshot", "timestamp", "root", "targets", "prove", "")],
        ("seal", {"hash": "11" * 32, "sequence": 9}, "format", '"entries"'),
        ("seal", {"entries": [], "hash": "11" * 32}, "limit", "expected 1 to"),
        ("issue", {"tbs": data}, "format", '"ca"'),
        ("renew", {"tbs": data}, "format", '"ca"')])
    # The public facts are public.
    for verb, members in (("status", {}), ("cas", {}), ("signatures", {"after": 0})):
        text = json.dumps(stolen.ok(verb, **members))
        assert "PRIVATE" not in text and "seed" not in text
    # A device names itself, and the certificate says no more than that.
    csr = DeviceKey().csr("admin")
    answer = stolen.ok("issue", ca="ca-1", account="pumps", device="pump-1", csr=encoded(csr))
    certificate = x509.load_der_x509_certificate(base64.b64decode(answer["certificate"]))
    assert certificate.subject.rfc4514_string() in ("O=pumps,CN=pump-1", "CN=pump-1,O=pumps")


def order(**change):
    return {"ca": "ca-1", "account": "pumps", "device": "pump-1", "csr": encoded(DeviceKey().csr()),
            **change}


@holdfastd_row.shows("a certificate of one account from the CA of another")
def test_a_ca_issues_for_its_own_account(stolen):
    refused = [
        ("issue", order(account="valves"), "policy", 'is for account "pumps", not for "valves"'),
        ("issue", order(ca="ca-2"), "policy", 'is for account "valves", not for "pumps"'),
        ("issue", order(account=""), "policy", "pumps"),
        ("issue", order(account="pumps\0valves"), "format", ""),
        ("issue", order(ca="no-such"), "not-found", "no-such"),
        ("issue", order(device="pump-1,O=valves"), "argument", '"device"'),
        ("issue", order(device="valves/pump-1"), "argument", '"device"')]
    refused += [("issue", order(ca=ca), "argument", "")
                for ca in ("../device-ca/ca-1", "../log", "/etc/passwd", "ca-1/", ".", "..", "CA-1", "")]
    refused += [(verb, members, error, words) for _, members, error, words in refused[:2]
                for verb in ("renew",)]
    all_refused(stolen, refused)


@holdfastd_row.shows("has new certificates issued within the day's quotas of the signer and of each device CA, each noted by the signer")
def test_the_quota_holds_for_all_that_ask_at_once(stolen):
    before, outcomes = stolen.signatures(), []

    def ask(number):
        mine = SignerClient(stolen.socket)
        outcomes.append(mine.ask("issue", **order(device=f"pump-{number}")))
        mine.hang_up()

    for start in range(0, 15, 5):  # the signer takes eight clients
        many = [threading.Thread(target=ask, args=[start + i]) for i in range(5)]
        for one in many:
            one.start()
        for one in many:
            one.join()
    issued = [o for o in outcomes if o["ok"]]
    refused = [o for o in outcomes if not o["ok"]]
    assert len(issued) == QUOTA and len(refused) == 15 - QUOTA
    assert all(o["error"] == "limit" and f"the signer is used up ({QUOTA} a day" in o["sentence"] for o in refused)
    noted = stolen.ok("signatures", after=before)["signatures"]
    assert [n["sha256"] for n in noted if n["kind"] == "certificate"] and len(noted) == QUOTA
    made = {hashlib.sha256(base64.b64decode(o["certificate"])).hexdigest() for o in issued}
    assert {n["sha256"] for n in noted} == made
    # Not by a restart, and not under another name or CA either.
    stolen.hang_up()
    stolen.service.signer.stop()
    stolen.service.start_signer()
    all_refused(stolen, [("issue", order(), "limit", "quota"),
                         ("issue", order(ca="ca-2", account="valves"), "limit", "quota")])
    # holdfastd takes the notes over into the audit log when it is back.
    stolen.hang_up()
    stolen.service.start_server()
    wait_until(lambda: stolen.service.admin("log", "export").count("certificate") >= QUOTA, "it is logged")
    for sha256 in made:
        assert sha256 in stolen.service.admin("log", "export")


@holdfastd_row.shows("a renewal without the device's old key")
def test_a_renewal_needs_the_old_key(stolen):
    key, stranger, successor = DeviceKey(), DeviceKey(), DeviceKey()
    old = stolen.issue(key, "pump-1")
    other = stolen.issue(DeviceKey(), "pump-2")
    of_valves = stolen.issue(key, "pump-1", ca="ca-2", account="valves")
    csr, swapped = successor.csr(), DeviceKey().csr()
    good = {"ca": "ca-1", "account": "pumps", "device": "pump-1", "csr": encoded(csr),
            "old": encoded(old.public_bytes(DER)), "signature": encoded(key.renewal_of(csr))}
    plain = key.key.sign(csr, ec.ECDSA(hashes.SHA256()))
    wrong = [({"signature": encoded(stranger.renewal_of(csr))}, "signature"),
             ({"signature": encoded(successor.renewal_of(csr))}, "signature"),
             ({"signature": encoded(plain)}, "signature"),  # without what says that it is a renewal
             ({"signature": encoded(b"")}, "signature"),
             ({"csr": encoded(swapped)}, "signature"),
             ({"old": encoded(other.public_bytes(DER))}, "policy"),
             ({"device": "pump-2"}, "policy"),
             ({"device": "pump-2", "old": encoded(other.public_bytes(DER))}, "signature"),
             ({"old": encoded(of_valves.public_bytes(DER))}, "policy"),
             ({"ca": "ca-2", "account": "valves"}, "policy"),
             ({"ca": "ca-2"}, "policy"),
             ({"old": encoded(client_pki.certificate("pump-1", key.key).public_bytes(DER))}, "policy"),
             ({"old": encoded(old.public_bytes(DER) + b"\0")}, "format")]
    all_refused(stolen, [("renew", {**good, **change}, error, "") for change, error in wrong])
    stolen.ok("renew", **good)
    # What was heard once is worth nothing a second time.
    all_refused(stolen, [("renew", good, "limit", "renewals of the device pumps/pump-1 is used up (1 an hour)")])


@holdfastd_row.shows("asks for early timestamps, one a minute")
def test_timestamps_are_early_and_rare(stolen, publisher):
    before = publisher.metadata("timestamp")["signed"]
    answers = [stolen.ask("refresh") for _ in range(20)]
    assert [a["ok"] for a in answers] in ([True] + [False] * 19, [False] * 20)
    assert all(a["ok"] or a["error"] == "limit" for a in answers)
    after = publisher.metadata("timestamp")["signed"]
    assert after["version"] - before["version"] <= 1 and after["meta"] == before["meta"]
    publisher.check()


@holdfastd_row.shows("publishes at once what the offline keys signed")
def test_what_the_desk_signed_can_be_published_by_it(stolen, publisher, folder):
    desk = publisher.sign_offline(folder / "desk", *roots.amazon(1, 2))
    assert stolen.publish(desk)["versions"]["targets"]["signed_now"] is True
    assert "amazon-iot/full 2" in publisher.check().out


def spoiled(desk, bait, spoil):
    shutil.rmtree(bait, ignore_errors=True)
    shutil.copytree(desk, bait, symlinks=True)
    spoil(bait)
    return bait


def newest_targets(folder):
    return max((folder / "metadata").glob("*.targets.json"), key=lambda f: int(f.name.split(".")[0]))


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def replace_by(make):
    """Another kind of file in place of the newest targets."""
    def spoil(folder):
        file = newest_targets(folder)
        file.rename(folder / "elsewhere")
        make(file, folder / "elsewhere")
    return spoil


def link_to_itself(file, elsewhere):
    """The same content, behind a symbolic link."""
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def new_bundle(folder):
    """The target that only the desk's copy has: it was written last."""
    return max((folder / "targets").rglob("*.pem"), key=lambda f: int(f.name.split(".")[1]))


@holdfastd_row.shows("an older, changed or foreign repository")
def test_only_what_follows_and_is_signed_is_published(stolen, publisher, folder):
    shutil.copytree(publisher.repo, folder / "old")
    publisher.add(*roots.amazon(1, 2))
    desk, bait = publisher.sign_offline(folder / "desk", *roots.amazon(1, 2, 3)), folder / "bait"
    stranger = Publisher(folder / "stranger")
    for n in (1, 2, 3, 4):
        stranger.add(*roots.amazon(*range(1, n + 1)))
    secret = stolen.service.settings["signer"]["state"]
    cases = [
        ("older", folder / "old", "rollback", "does not follow targets"),
        ("foreign", stranger.repo, "rollback", "of another repository"),
        ("empty", lambda b: shutil.rmtree(b / "metadata"), "rollback", "does not follow targets"),
        ("unsigned", lambda b: edit(newest_targets(b), lambda c: c.update(signatures=[])), "signature",
         "signed by 0"),
        ("edited", lambda b: edit(newest_targets(b), lambda c: c["signed"].update(version=99)), "rollback",
         "it says that it is version 99"),
        ("skipped", lambda b: newest_targets(b).rename(b / "metadata" / "999.targets.json"), "rollback",
         "it says that it is version 4"),
        ("cut", lambda b: newest_targets(b).write_bytes(newest_targets(b).read_bytes()[:-5]), "format",
         "is not valid JSON"),
        ("endless", lambda b: os.truncate(newest_targets(b), 1 << 40), "limit", "is longer than"),
        ("link", replace_by(lambda f, e: f.symlink_to(e)), "storage", "regular file"),
        ("link to a key", replace_by(lambda f, e: f.symlink_to(secret / "log.key.json")), "storage",
         "regular file"),
        ("pipe", replace_by(lambda f, e: os.mkfifo(f)), "storage", "regular file"),
        ("folder", replace_by(lambda f, e: f.mkdir()), "storage", "regular file"),
        ("bundle is changed", lambda b: new_bundle(b).write_bytes(b"x" * 9), "hash", "has 9 bytes"),
        ("bundle is missing", lambda b: new_bundle(b).unlink(), "not-found", "there is no"),
        ("bundle is a link", lambda b: link_to_itself(new_bundle(b), b / "x"), "storage", "regular file"),
    ]
    before = stolen.sees()
    for name, what, error, words in cases:
        place = what if not callable(what) else spoiled(desk, bait, what)
        answer = stolen.publish(place)
        assert answer["ok"] is False, (name, answer)
        assert answer["error"] == error and words in answer["sentence"], (name, answer)
        assert "/proc/self" not in answer["sentence"]
        assert "seed" not in answer["sentence"] and "PRIVATE" not in answer["sentence"]
    assert stolen.sees() == before
    # A folder that changes while it is read is no way around: what was verified is what is written.
    assert stolen.publish(desk)["ok"] is True
    publisher.check()


@holdfastd_row.shows("an older, changed or foreign repository")
def test_a_descriptor_of_something_else_is_refused(stolen, folder):
    bait = folder / "bait"
    bait.mkdir()
    (bait / "file").write_text("x")
    one, other = socket.socketpair()
    opened = [os.open("/dev/null", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY),
              os.open(bait / "file", os.O_RDONLY), os.open(bait / "file", os.O_PATH), one.fileno(),
              os.memfd_create("bait"), os.open("/proc/self/status", os.O_RDONLY)]
    before = stolen.sees()
    for fd in opened:
        assert stolen.refused("publish", fd=fd)[0] == "argument"
    assert stolen.refused("publish")[0] == "argument"
    assert stolen.refused("publish", directory=str(stolen.publisher.repo))[0] == "argument"
    # Several, of which the first counts, and some with a verb that takes none: all are closed again.
    bait_fd = os.open(bait, os.O_RDONLY)
    for request, fds in ((b'{"verb":"publish"}', [bait_fd] * 3), (b'{"verb":"status"}', [bait_fd] * 3),
                         (b'{"verb":"publish"}', [bait_fd] * 50), (b"{", [bait_fd] * 2)):
        for _ in range(5):
            socket.send_fds(stolen.connection, [request], fds)
            stolen.connection.recv(1 << 18)
    assert stolen.holds_only_files()
    assert stolen.sees() == before
    for fd in [bait_fd, *opened[:4], *opened[5:]]:
        os.close(fd)
    one.close()
    other.close()


@holdfastd_row.shows("a signature over bytes of its own choice")
def test_packets_that_come_at_once_are_answered_one_by_one(stolen):
    key = DeviceKey()
    stolen.ok("status")
    two = [json.dumps({"verb": "issue", **order(device=f"pump-{n}", csr=encoded(key.csr()))}).encode()
           for n in (1, 2)]
    for packet in (*two, b"{", b'{"verb":"status"}'):
        stolen.connection.send(packet)
    answers = [json.loads(stolen.connection.recv(1 << 18)) for _ in range(4)]
    assert [a["ok"] for a in answers] == [True, True, False, True]
    names = [x509.load_der_x509_certificate(base64.b64decode(a["certificate"])).subject.rfc4514_string()
             for a in answers[:2]]
    assert ["pump-1" in names[0], "pump-2" in names[1]] == [True, True]
    # One who asks and does not listen is dropped, and others are served.
    deaf = SignerClient(stolen.socket)
    deaf.ok("status")
    deaf.connection.setblocking(False)
    with pytest.raises(OSError):
        for _ in range(100000):
            deaf.connection.send(b'{"verb":"cas"}')
    assert stolen.ok("status")["quota"]["issued"] == 2
    deaf.hang_up()


def entries(first, last, word="act"):
    return [{"sequence": n, "action": f"{word} {n}"} for n in range(first, last + 1)]


@holdfastd_row.shows("another history of what was sealed in the audit log")
def test_the_sealed_log_goes_only_forward(service):
    service.enrolled("pump-1")
    seal_log(service)
    stolen = Stolen(service)
    head = stolen.ok("status")["seal"]["sequence"]
    assert head > 3 and f"sealed the audit log up to entry {head}" in service.signer.err
    cases = [
        ("rewritten", entries(1, head)), ("shortened", entries(head - 1, head - 1)),
        ("the last one again", entries(head, head)), ("a gap", entries(head + 2, head + 3)),
        ("backwards", entries(head + 1, head + 2)[::-1]),
        ("twice", entries(head + 1, head + 1) * 2), ("negative", entries(-1, -1)),
        ("none", [{"action": "x"}]), ("a text", [{"sequence": str(head + 1)}]),
        ("no object", [head + 1]), ("one bad at the end", entries(head + 1, head + 9) + [{}])]
    before = stolen.sees()
    for name, forged in cases:
        found, sentence = stolen.refused("seal", entries=forged)
        assert found in ("rollback", "format"), (name, found, sentence)
    assert stolen.sees() == before
    # It can let the log go on as it likes. Then it is no continuation of the real one any more, and that is told.
    stolen.ok("seal", entries=entries(head + 1, head + 1, "forged"))
    stolen.hang_up()
    service.start_server()
    service.admin("account", "create", "later")
    service.server.wait_for(lambda: "the log differs from what the signer sealed" in service.server.err,
                            "tells of the fork")


@holdfastd_row.shows("reads and changes the registry: lets certificates in and shuts them out")
def test_the_registry_is_holdfastds(service, client):
    """It is the process that holds it: what is in its database is what it admits."""
    key, cert = client_pki.new_key(), None
    cert = client_pki.certificate("x", key)
    pair = client_pki.write_pair(service.folder, "let-in", cert, key)
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        client.device_call("GET", "/v1/whoami", sni=HOST, cert=pair[0], key=pair[1])
    path = f"{A}/credentials/{client_pki.sha256(cert)}"
    client.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert), "status": "ACTIVE"})
    assert client.device_call("GET", "/v1/whoami", sni=HOST, cert=pair[0], key=pair[1]).status == 200
    service.server.stop()
    with sqlite3.connect(service.settings["database"]["path"]) as db:
        db.execute("UPDATE credential SET status = 'REVOKED'")
    db.close()
    service.start_server()
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REVOKED"):
        client.device_call("GET", "/v1/whoami", sni=HOST, cert=pair[0], key=pair[1])
    assert client.get(path).json["status"] == "REVOKED"


def test_every_statement_is_shown():
    holdfastd_row.check()
