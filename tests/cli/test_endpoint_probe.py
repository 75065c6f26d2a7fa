"""What the endpoint port makes of real servers, through hf-endpoint-probe (tests/support/endpoint_probe_main.c): which
chain each offer is shown, what is evidence and what is not, who sees the client certificate."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives import hashes, serialization

import net_pki
import tls_watch
from net_pki import DAY, NOW, Authority
from net_servers import RawServer, raw
from test_probe import free_port, s_server, wait_for

BIN = pathlib.Path(os.environ["HOLDFAST_BIN"])
PROBE = BIN.parent / "tests" / "hf-endpoint-probe"
# Servers judge the client's certificate by the clock of this machine.
TODAY = {"start": net_pki.datetime.datetime(2020, 1, 1), "end": net_pki.datetime.datetime(2099, 1, 1)}
VERSIONS = ["tls12", "tls13"]


def run_look(port, offer="tls13-any", sets=(), host="localhost", options=(), at=NOW):
    words = [str(PROBE), "--endpoint", f"tls://{host}:{port}", "--offer", offer]
    words += [word for file in sets for word in ("--set", file)]
    words += [f"--at={at:%Y-%m-%dT%H:%M:%SZ}", *options]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def probe(port, *args, logs="", **how):
    """What the port said; on standard error nothing but `logs`."""
    done = run_look(port, *args, **how)
    assert done.returncode == 0, done.stderr
    assert (logs in done.stderr) if logs else done.stderr == "", done.stderr
    return json.loads(done.stdout)


def is_silence(seen, says=""):
    """No evidence: nothing is valid, and a sentence says why."""
    assert seen["has_proof"] is False and not any(seen["is_valid"]) and seen["anchors"] == []
    assert seen["text"] != "" and says in seen["text"], seen["text"]
    return True


def spki(authority):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(authority.cert.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


class World:
    """An RSA and an ECC server certificate for localhost, each under a root of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.rsa_root, self.ecc_root = Authority("RSA Root"), Authority("ECC Root")
        self.middle = Authority("Middle", issuer=self.ecc_root)
        self.other = Authority("Other")
        self.rsa = self.server("rsa", self.rsa_root, key_bits=2048)
        self.ecc = self.server("ecc", self.middle, self.middle.cert)
        self.clients = Authority("Clients", **TODAY)
        self.client_ca = net_pki.write_pem(folder / "clients.pem", self.clients.cert)
        self.client = self.device("device")
        self.both = self.set(self.rsa_root, self.ecc_root)
        self.only_rsa, self.only_ecc = self.set(self.rsa_root), self.set(self.ecc_root)
        self.only_other = self.set(self.other)

    def server(self, name, issuer, *chain, names=("localhost", "127.0.0.1"), **leaf):
        cert, key = issuer.leaf(*names, **leaf)
        net_pki.write_pem(self.folder / f"{name}.pem.chain", *chain)
        return (net_pki.write_pem(self.folder / f"{name}.pem", cert, *chain),
                net_pki.write_key(self.folder / f"{name}.tmpkey", key))

    def device(self, name, **leaf):
        cert, key = self.clients.leaf(name, usage=net_pki.ExtendedKeyUsageOID.CLIENT_AUTH,
                                      **TODAY, **leaf)
        cert_file = net_pki.write_pem(self.folder / f"{name}.pem", cert)
        key_file = net_pki.write_key(self.folder / f"{name}.tmpkey", key)
        return cert.public_bytes(serialization.Encoding.DER), cert_file, key_file

    def set(self, *authorities):
        name = "-".join(a.cert.serial_number.__format__("x")[:8] for a in authorities)
        return net_pki.write_pem(self.folder / f"set-{name}.pem", *(a.cert for a in authorities))

    @property
    def showing(self):
        return ["--client-cert", self.client[1], "--client-key", self.client[2]]


@pytest.fixture(name="world", scope="module")
def make_world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@contextlib.contextmanager
def nginx(folder, *certificates):
    """nginx with these certificates side by side; yields the port."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    lines = "".join(f"ssl_certificate {c}; ssl_certificate_key {k}; " for c, k in certificates)
    (folder / "nginx.conf").write_text(
        f"""daemon off; pid {folder}/pid; error_log {folder}/error.log;
        {"user root;" if os.getuid() == 0 else ""}
        events {{}}
        http {{
          access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
          fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
          server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3;
                    {lines} return 204; }}
        }}""")
    server = subprocess.Popen([program, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"])
    try:
        wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def mosquitto(folder, files, client_ca):
    """Mosquitto that wants a certificate from every client; yields the port."""
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    port = free_port()
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nrequire_certificate true\n"
        f"cafile {client_ca}\ncertfile {files[0]}\nkeyfile {files[1]}\n"
        + ("user root\n" if os.getuid() == 0 else ""))
    broker = subprocess.Popen([program, "-c", folder / "mosquitto.conf"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        broker.terminate()
        broker.wait()


# ---- which chain ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_each_offer_is_shown_its_own_chain(world, tmp_path, version):
    with nginx(tmp_path, world.rsa, world.ecc) as port:
        rsa = probe(port, f"{version}-rsa", [world.both, world.only_ecc])
        ecc = probe(port, f"{version}-ecc", [world.both, world.only_rsa])
        either = probe(port, f"{version}-any", [world.both])
    assert rsa["has_proof"] and ecc["has_proof"] and either["has_proof"]
    assert rsa["is_valid"] == [True, False] and rsa["anchors"] == [spki(world.rsa_root)]
    assert ecc["is_valid"] == [True, False] and ecc["anchors"] == [spki(world.ecc_root)]
    assert rsa["issuer"] == "O=Holdfast Test, CN=RSA Root"
    assert ecc["issuer"] == "O=Holdfast Test, CN=ECC Root"  # of the intermediate: the topmost sent
    assert either["is_valid"] == [True]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("has", "wanted"), [("rsa", "ecc"), ("ecc", "rsa")])
def test_a_type_of_key_that_the_server_does_not_have_is_no_evidence(world, version, has, wanted):
    with s_server(*getattr(world, has)) as endpoint:
        port = endpoint.split(":")[1]
        assert is_silence(probe(port, f"{version}-{wanted}", [world.both]), "alert")
        assert probe(port, f"{version}-{has}", [world.both])["is_valid"] == [True]


def test_a_version_that_the_server_does_not_speak_is_no_evidence(world):
    with s_server(*world.ecc, "-tls1_2") as endpoint:
        port = endpoint.split(":")[1]
        assert is_silence(probe(port, "tls13-any", [world.both]))
        assert probe(port, "tls12-any", [world.both])["is_valid"] == [True]


def test_a_key_on_a_curve_under_an_rsa_root_is_asked_for_as_ecc(world):
    root = Authority("RSA Above", key=net_pki.rsa.generate_private_key(65537, 2048))
    files = world.server("mixed", root)
    with s_server(*files) as endpoint:
        for version in VERSIONS:
            seen = probe(endpoint.split(":")[1], f"{version}-ecc", [world.set(root)])
            assert (seen["has_proof"], seen["is_valid"]) == (True, [True])


# ---- under which sets, through which anchors -----------------------------------------------------------


def test_a_chain_under_none_of_the_sets_is_told_with_its_fault(world):
    with s_server(*world.ecc) as endpoint:
        seen = probe(endpoint.split(":")[1], "tls13-ecc", [world.only_other, "-"])
    assert (seen["has_proof"], seen["is_valid"], seen["anchors"]) == (True, [False, False], [])
    assert 'no trust anchor for issuer "O=Holdfast Test, CN=ECC Root"' in seen["text"]


def test_every_anchor_that_would_do_by_itself_is_named(world):
    old, new = Authority("Old Root"), Authority("New Root")
    twin = Authority("New Root", issuer=old, key=new.key)  # New Root, cross-signed by Old Root
    namesake = Authority("New Root")  # of the same name, with another key
    files = world.server("cross", new, twin.cert)
    with s_server(*files) as endpoint:
        port = endpoint.split(":")[1]
        sets = [world.set(old), world.set(namesake, new), world.set(world.other, namesake)]
        seen = probe(port, "tls13-ecc", sets)
        assert seen["is_valid"] == [True, True, False]
        assert sorted(seen["anchors"]) == sorted([spki(old), spki(new)])
        # In one set, the twin beside its self-signed form: one key, named once.
        seen = probe(port, "tls13-ecc", [world.set(new, twin, old, namesake)])
        assert sorted(seen["anchors"]) == sorted([spki(old), spki(new)])


def test_it_is_judged_for_its_name_and_at_the_time_that_counts(world):
    files = world.server("elsewhere", world.ecc_root, names=("elsewhere.example",))
    with s_server(*files) as endpoint:
        seen = probe(endpoint.split(":")[1], "tls13-ecc", [world.only_ecc])
    assert (seen["has_proof"], seen["is_valid"]) == (True, [False])
    assert "issued for elsewhere.example, not for localhost" in seen["text"]
    with s_server(*world.ecc) as endpoint:
        port = endpoint.split(":")[1]
        late = probe(port, "tls13-ecc", [world.only_ecc], at=NOW + 60 * DAY)
        address = probe(port, "tls13-ecc", [world.only_ecc], host="127.0.0.1")
    assert (late["has_proof"], late["is_valid"]) == (True, [False])
    assert "expired on 2026-07-01" in late["text"]
    assert late["leaf_not_before"] == (NOW - 30 * DAY - net_pki.datetime.datetime(1970, 1, 1)).total_seconds()
    assert late["leaf_not_after"] == (NOW + 30 * DAY - net_pki.datetime.datetime(1970, 1, 1)).total_seconds()
    assert address["is_valid"] == [True] and address["text"] == ""


def test_a_leaf_issued_after_its_root_was_distrusted_is_not_valid(world):
    with s_server(*world.ecc) as endpoint:
        port = endpoint.split(":")[1]
        for date, valid in (("2026-05-01", False), ("2026-05-03", True)):
            seen = probe(port, "tls13-ecc", [world.only_ecc], options=["--distrust-after", date])
            assert (seen["has_proof"], seen["is_valid"]) == (True, [valid])


# ---- what is no evidence -----------------------------------------------------------------------------------


def test_a_chain_without_its_key_is_no_evidence(world):
    with s_server(*world.ecc) as endpoint, tls_watch.Forger(int(endpoint.split(":")[1])) as forger:
        assert is_silence(probe(forger.port, "tls12-ecc", [world.both]), "TLS")
        assert forger.forged == 1
        honest = probe(endpoint.split(":")[1], "tls12-ecc", [world.both])
    assert honest["is_valid"] == [True]


def test_a_chain_exchanged_on_the_way_is_not_proved(world):
    """The genuine server, and an attacker on the network with another intermediate of the same key, issued
    under a root that is about to go. The server's signature in TLS 1.2 does not cover it."""
    twin = Authority("Middle", issuer=world.other, key=world.middle.key)
    exchange = tls_watch.put_between(twin.cert.public_bytes(serialization.Encoding.DER))
    sets = [world.set(world.other, world.ecc_root), world.only_ecc]
    with s_server(*world.ecc) as endpoint:
        port = endpoint.split(":")[1]
        with tls_watch.Forger(int(port), exchange) as forger:
            seen = probe(forger.port, "tls12-ecc", sets)
            assert forger.forged == 1
        honest = [probe(port, f"{version}-ecc", sets) for version in VERSIONS]
    assert (seen["has_proof"], seen["has_chain_proof"]) == (True, False)
    assert seen["is_valid"] == [True, False]  # what would be evidence against the second set
    for told in honest:
        assert (told["has_chain_proof"], told["is_valid"]) == (True, [True, True])


@pytest.mark.parametrize(("version", "options", "proves"), [
    ("tls13", False, True), ("tls12", False, False), ("tls12", True, True)])
def test_a_server_that_insists_on_a_certificate_proves_its_chain_in_tls12_to_who_has_one(
        world, version, options, proves):
    context = tls_watch.context(*world.ecc, client_ca=world.client_ca, required=True)
    with tls_watch.Watch(context) as watch:
        seen = probe(watch.port, f"{version}-ecc", [world.both],
                    options=world.showing if options else [])
    assert (seen["has_proof"], seen["has_chain_proof"]) == (True, proves)
    assert seen["is_valid"] == [True]


def test_nobody_there_is_no_evidence(world):
    assert is_silence(probe(free_port(), sets=[world.both]), "Connection refused")


GARBAGE = {
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "smtp": b"220 mail.example ESMTP\r\n",
    "record-too-long": b"\x16\x03\x03\xff\xff" + b"\0" * 70000,
    "alert": b"\x15\x03\x03\0\x02\x02\x28",
    "all-bytes": bytes(range(256)) * 8,
}


@pytest.mark.parametrize("offer", ["tls12-any", "tls13-any"])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_no_evidence(world, garbage, offer):
    with RawServer(raw(b""), greeting=GARBAGE[garbage]) as server:
        assert is_silence(probe(server.port, offer, [world.both]))


def test_a_reset_is_no_evidence(world):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def reset():
            conn, _ = listener.accept()
            conn.recv(65536)
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
        threading.Thread(target=reset, daemon=True).start()
        assert is_silence(probe(listener.getsockname()[1], sets=[world.both]), "broke")


def test_silence_is_no_evidence_and_does_not_last(world):
    with RawServer(silent=True) as server:
        assert is_silence(probe(server.port, sets=[world.both]), "12 s")


# ---- what goes over the wire ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_of_the_application_is_sent(world, version):
    with tls_watch.Watch(tls_watch.context(*world.ecc)) as watch:
        assert probe(watch.port, f"{version}-ecc", [world.both])["has_proof"]
        seen = watch.wait(1)[0]
    assert seen.data == b"" and seen.server_name == "localhost" and seen.alpn is None


def test_alpn_is_offered_as_configured(world):
    context = tls_watch.context(*world.ecc, alpn=["x-amzn-mqtt-ca"])
    with tls_watch.Watch(context) as watch:
        probe(watch.port, "tls13-ecc", [world.both], options=["--alpn", "x-amzn-mqtt-ca"])
        assert watch.wait(1)[0].alpn == "x-amzn-mqtt-ca"


# ---- the client certificate --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_wants_a_certificate_is_judged_without_one(world, version):
    options = ["-Verify", "1", "-verify_return_error", "-CAfile", world.client_ca]
    with s_server(*world.ecc, *options) as endpoint:
        seen = probe(endpoint.split(":")[1], f"{version}-ecc", [world.both, world.only_rsa])
    assert (seen["has_proof"], seen["is_valid"]) == (True, [True, False])


def test_mosquitto_that_wants_a_certificate_is_judged_without_one(world, tmp_path):
    with mosquitto(tmp_path, world.ecc, world.client_ca) as port:
        for version in VERSIONS:
            for options in ([], world.showing):
                seen = probe(port, f"{version}-ecc", [world.both], options=options)
                assert (seen["has_proof"], seen["is_valid"]) == (True, [True])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_certificate_is_shown_to_a_server_whose_chain_is_valid(world, version):
    context = tls_watch.context(*world.ecc, client_ca=world.client_ca, required=True)
    with tls_watch.Watch(context) as watch:
        seen = probe(watch.port, f"{version}-ecc", [world.both, world.only_ecc],
                    options=world.showing)
        assert (seen["has_proof"], seen["is_valid"]) == (True, [True, True])
        shown = watch.wait(1)[0]
    assert shown.certificate == world.client[0] and shown.data == b""


# A server that insists on it proves its whole chain over TLS 1.2 only to whom it accepts.
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sets", [["both", "only_rsa"], ["only_rsa", "both"]])
def test_the_chain_that_would_be_lost_is_proved_with_it(world, version, sets):
    context = tls_watch.context(*world.ecc, client_ca=world.client_ca, required=True)
    with tls_watch.Watch(context) as watch:
        seen = probe(watch.port, f"{version}-ecc", [getattr(world, s) for s in sets],
                    options=world.showing)
    assert seen["has_proof"] and seen["has_chain_proof"]
    assert seen["is_valid"] == [s == "both" for s in sets]


# None of the anchors leads to it, the name is another's, its time is over.
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("sets", "how"), [
    (["only_other"], {}),
    (["only_rsa", "only_other"], {}),
    (["both"], {"host": "127.0.0.2"}),
    (["both"], {"at": NOW + 60 * DAY}),
])
def test_the_certificate_is_shown_to_nobody_else(world, version, sets, how):
    context = tls_watch.context(*world.ecc, client_ca=world.client_ca)
    with tls_watch.Watch(context) as watch:
        if how.get("host"):
            watch.socket.close()
            watch.socket = socket.create_server((how["host"], watch.port))
            threading.Thread(target=watch._accept, daemon=True).start()
        seen = probe(watch.port, f"{version}-ecc", [getattr(world, s) for s in sets],
                    options=world.showing, **how)
        connections = watch.wait(2)
    assert seen["has_proof"]  # the second handshake shows nothing and takes the chain down
    assert [c.certificate for c in connections] == [None, None]
    assert sum(c.failure is not None for c in connections) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_that_the_server_does_not_take_costs_no_evidence(world, version):
    stranger = Authority("Stranger", **TODAY)
    ca = net_pki.write_pem(world.folder / "stranger.pem", stranger.cert)
    context = tls_watch.context(*world.ecc, client_ca=ca, required=True)
    with tls_watch.Watch(context) as watch:
        seen = probe(watch.port, f"{version}-ecc", [world.both], options=world.showing)
    assert (seen["has_proof"], seen["is_valid"]) == (True, [True])


def test_a_key_of_the_other_type_costs_no_evidence(world):
    _, cert, key = world.device("rsa-device", key_bits=2048)
    context = tls_watch.context(*world.ecc, client_ca=world.client_ca)
    with tls_watch.Watch(context) as watch:
        for offer in ("tls12-ecc", "tls13-ecc"):
            seen = probe(watch.port, offer, [world.both],
                        options=["--client-cert", cert, "--client-key", key])
            assert (seen["has_proof"], seen["is_valid"]) == (True, [True])


@pytest.mark.parametrize(("cert", "key", "says"), [
    (1, "none.key", "there is no file"),
    (1, "other.tmpkey", "is not that of the first certificate"),
    ("clients.pem", 2, "is not that of the first certificate"),
    (2, 2, "only whole CERTIFICATE blocks belong here (no private keys)"),
    (1, "both.pem", "is not a private key"),
    (1, "open.tmpkey", "open.tmpkey: every user may read this secret (mode 0644)"),
    (1, "locked.tmpkey", "is encrypted"),
])
def test_a_certificate_that_cannot_be_used_is_said_to_and_not_shown(world, cert, key, says):
    world.device("other")
    for name, source, mode in (("both.pem", 1, 0o600), ("open.tmpkey", 2, 0o644)):
        shutil.copy(world.client[source], world.folder / name)
        (world.folder / name).chmod(mode)
    (world.folder / "locked.tmpkey").touch(0o600)
    (world.folder / "locked.tmpkey").write_bytes(world.clients.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret")))
    files = [world.client[f] if isinstance(f, int) else str(world.folder / f) for f in (cert, key)]
    context = tls_watch.context(*world.ecc, client_ca=world.client_ca)
    with tls_watch.Watch(context) as watch:
        seen = probe(watch.port, "tls13-ecc", [world.both], logs=says,
                    options=["--client-cert", files[0], "--client-key", files[1]])
        assert watch.wait(1)[0].certificate is None
    assert (seen["has_proof"], seen["is_valid"]) == (True, [True])
