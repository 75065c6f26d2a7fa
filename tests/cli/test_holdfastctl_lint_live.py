"""holdfastctl lint asks real servers for their chains: what they prove is judged as chains from files
are, what they do not prove is no evidence, and saved chains are judged as they were live."""

import contextlib
import json
import os
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import NameOID

import ctl
import json_schema
import net_pki
from ctl import DAY, NOW, Root
from net_servers import RawServer, raw, tls_context
from test_endpoint_probe import mosquitto, nginx
from test_probe import free_port, s_server

NEW = {"start": NOW - 20 * DAY, "end": NOW + 60 * DAY}


def server_files(folder, name, issuer, *chain, names=("localhost", "127.0.0.1"), bits=None, signer=None):
    """Certificate with its chain, and key, as files."""
    cert, key = issuer.leaf(*names, key_bits=bits, signer=signer, **NEW)
    net_pki.write_pem(folder / f"{name}.pem.chain", *chain)
    return (net_pki.write_pem(folder / f"{name}.pem", cert, *chain),
            net_pki.write_key(folder / f"{name}.tmpkey", key))


def nameless_files(folder, issuer, common_name="127.0.0.1"):
    """As server_files, for a common name and no other name."""
    key = net_pki.ec.generate_private_key(net_pki.ec.SECP256R1())
    cert = (x509.CertificateBuilder().subject_name(net_pki.name(common_name))
            .issuer_name(issuer.subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(NEW["start"])
            .not_valid_after(NEW["end"]).sign(issuer.key, hashes.SHA256()))
    return (net_pki.write_pem(folder / "nameless.pem", cert),
            net_pki.write_key(folder / "nameless.tmpkey", key))


def report(*options, set_name="roots"):
    outcome = ctl.run("lint", "--set", set_name, "--json", *options)
    assert outcome.err == "", outcome
    found = json.loads(outcome.out)
    json_schema.check(found, "lint-report.schema.json")
    assert outcome.code == (1 if found["errors"] else 0)
    return found


def ask(p, *servers, options=()):
    """What lint makes of the repository and of these servers, in full."""
    words = [word for s in servers for word in ("--endpoint", s if "://" in s else f"tls://{s}")]
    return report("--repo", p.repo, *words, *options)


def codes(found):
    """Of what is about endpoints; roots of a test are few, and come and go abruptly."""
    return [x["code"] for x in found["findings"]
            if x["code"].startswith("endpoint-") or x["code"] in ("chain-ends", "algorithm-missing")]


def only(found, code):
    finding, = [x for x in found["findings"] if x["code"] == code]
    return finding


def kinds(found):
    return sorted((x["kind"], x["source"]) for x in found["endpoints"]["chains"])


# ---- what is shown is judged ----------------------------------------------------------------------

def test_an_ecc_chain_that_the_bundle_does_not_reach(p, a, r, tmp_path):
    files = [server_files(tmp_path, "r", r, bits=2048), server_files(tmp_path, "a", a)]
    p.add(r.file)
    with nginx(tmp_path, *files) as port:
        missing = ask(p, f"localhost:{port}")
        p.add(r.file, a.file)
        added = ask(p, f"localhost:{port}")
        out = ctl.ok("lint", "--set", "roots", "--repo", p.repo, "--endpoint",
                     f"tls://localhost:{port}")
    assert codes(missing) == ["endpoint-anchor-missing"] and missing["errors"] == 1
    sentence = only(missing, "endpoint-anchor-missing")["sentence"]
    assert sentence.startswith(f"tls://localhost:{port} shows a chain (TLS 1.3, TLS 1.2) that devices refuse")
    assert ': no trust anchor for issuer "O=Holdfast Test, CN=Root A", and the server sent no' in sentence
    assert codes(added) == []
    assert kinds(added) == [("ecc", "TLS 1.3, TLS 1.2"), ("rsa", "TLS 1.3, TLS 1.2")]
    assert added["endpoints"]["silent"] == []
    shown = [line for line in out.splitlines() if not line.startswith("warning tables-old")]
    assert shown == [
        f'tls://localhost:{port} shows 1 certificate(s), RSA, issued in the end by "O=Holdfast Test, '
        'CN=Root RSA" (TLS 1.3, TLS 1.2)',
        f'tls://localhost:{port} shows 1 certificate(s), ECC, issued in the end by "O=Holdfast Test, '
        'CN=Root A" (TLS 1.3, TLS 1.2)',
        f"0 error(s), {ctl.N_OLD_TABLES} warning(s)"]


def test_a_profile_that_cannot_validate_a_live_endpoint(p, a, r, tmp_path):
    other = Root(tmp_path, "Other RSA", key=rsa.generate_private_key(65537, 2048))
    p.add("--derive", "rsa,ecc", a.file, r.file)
    p.add("--drop", "all", other.file, profile="rsa")
    with nginx(tmp_path, server_files(tmp_path, "r", r, bits=2048),
               server_files(tmp_path, "a", a)) as port:
        found = ask(p, f"localhost:{port}")
    assert only(found, "endpoint-anchor-missing")["where"] == "roots/rsa 2"
    with s_server(*server_files(tmp_path, "only", a)) as server:
        found = ask(p, server)
    assert only(found, "endpoint-unchecked")["where"] == "roots/rsa 2"


@pytest.mark.parametrize("option,version", [("-tls1_3", "TLS 1.3"), ("-tls1_2", "TLS 1.2")])
def test_a_server_of_one_version_with_an_intermediate(p, a, tmp_path, option, version):
    inter = Root(tmp_path, "Server CA", issuer=a, end=NOW + 100 * DAY)
    files = server_files(tmp_path, "s", inter, inter.cert)
    p.add(Root(tmp_path, "Other").file)
    with s_server(*files, option) as server:
        assert codes(ask(p, server)) == ["endpoint-anchor-missing", "chain-ends"]
        p.add("--drop", "all", a.file)
        found = ask(p, server)
    assert codes(found) == ["chain-ends"] and kinds(found) == [("ecc", version)]
    chain, = found["endpoints"]["chains"]
    assert (chain["live"], chain["device"], chain["doubt"]) == (True, False, None)
    assert [c["subject"] for c in chain["certificates"]] == [
        "O=Holdfast Test, CN=localhost", "O=Holdfast Test, CN=Server CA"]
    assert chain["certificates"][1]["sha256"] == net_pki.fingerprint(inter.cert)


def test_signed_dates_and_the_day_asked_for_count(p, a, tmp_path):
    b = Root(tmp_path, "Root B")
    p.add("--distrust-after", f"{a.sha256}={(NOW - 30 * DAY).date()}", a.file, b.file)
    with s_server(*server_files(tmp_path, "s", a)) as server:
        assert codes(ask(p, server)) == ["endpoint-anchor-missing"]
        p.add("--distrust-after", f"{a.sha256}=none", a.file, b.file)
        assert codes(ask(p, server)) == []
        late = ["--at", f"{a.cert.not_valid_after + 2 * DAY:%Y-%m-%d}"]
        assert codes(ask(p, server, options=late)) == ["endpoint-anchor-missing"]


def test_what_devices_lack(p, a, r, tmp_path):
    (tmp_path / "device.txt").write_text("keys p256\n")
    p.add(r.file, a.file)
    with s_server(*server_files(tmp_path, "r", r, bits=2048)) as server:
        found = ask(p, server, options=["--device", tmp_path / "device.txt"])
    assert "algorithm-missing" in codes(found)


def test_the_list_names_servers_too(p, a, tmp_path):
    (tmp_path / "iot.json").write_text('{"endpointAddress": "nowhere.invalid"}')
    net_pki.write_pem(tmp_path / "chain.pem", a.leaf("iot.test", **NEW)[0])
    p.add(Root(tmp_path, "Other").file)
    with s_server(*server_files(tmp_path, "s", a)) as server:
        (tmp_path / "list").write_text(f"endpoint both chain.pem tls://{server}\n"
                                       f"endpoint live TLS://{server}/\nendpoint aws @iot.json\n")
        found = report("--repo", p.repo, "--endpoints", tmp_path / "list")
    assert [(x["name"], x["live"]) for x in found["endpoints"]["chains"]] == [
        ("both", False), ("both", True), ("live", True)]
    assert codes(found).count("endpoint-anchor-missing") == 3
    assert only(found, "endpoint-silent")["where"] == "aws"


def test_what_aws_prints_is_an_endpoint(p, a, tmp_path):
    (tmp_path / "iot.json").write_text('{"endpointAddress": "a.nowhere.invalid"}')
    p.add(a.file)
    found = ask(p, options=["--endpoint", f"@{tmp_path}/iot.json", "--endpoint",
                            '{"endpointAddress": "b.nowhere.invalid"}'])
    assert [x["name"] for x in found["endpoints"]["silent"]] == [
        "mqtts://a.nowhere.invalid:8883", "mqtts://b.nowhere.invalid:8883"]


def test_bundle_add_asks_too(p, a, tmp_path):
    other = Root(tmp_path, "Other")
    p.add(a.file, other.file)
    with s_server(*server_files(tmp_path, "s", a)) as server:
        options = ["--endpoint", f"tls://{server}"]
        assert "endpoint-anchor-missing (roots/full 2): " in p.refuses_to_add(
            *options, "--drop", "all", other.file)
        remove = ["bundle", "remove", *p.place, "--set", "roots", "--profile", "full", "--lead", "0",
                  "--drop", "all", *options]
        assert "endpoint-anchor-missing (roots/full 2): " in p.refuses(*remove, a.sha256)
        assert "endpoint" not in p.add(*options, a.file, other.file)
    out = p.add(*options, a.file, other.file)
    assert f"warning endpoint-silent (tls://{server}): it was asked and showed no chain" in out


# ---- what is no evidence --------------------------------------------------------------------------

def is_silent(found, says):
    """A warning, and nothing but it: no verdict either way."""
    assert codes(found) == ["endpoint-silent"]
    assert (found["errors"], found["warnings"]) == (0, 2 + ctl.N_OLD_TABLES)  # and single-anchor
    assert found["endpoints"]["chains"] == []
    assert says in only(found, "endpoint-silent")["sentence"]
    return True


def test_a_server_that_speaks_something_else(p, a):
    p.add(a.file)
    with RawServer(raw(b""), greeting=b"220 mail.example ESMTP\r\n" * 10) as server:
        assert is_silent(ask(p, f"localhost:{server.port}"), "is not TLS")


def test_a_server_that_closes(p, a):
    p.add(a.file)
    with RawServer(raw(b"")) as server:
        server._serve = lambda conn: conn.close()
        found = ask(p, f"localhost:{server.port}")
    assert is_silent(found, "the ")  # closed, or reset


def test_a_server_that_never_answers(p, a):
    p.add(a.file)
    with RawServer(silent=True) as server:
        found = ask(p, f"localhost:{server.port}", options=["--endpoint-timeout", "1"])
    assert is_silent(found, "no answer within 0.25 seconds")
    assert server.connections == 4


class Chatter(RawServer):
    """Warnings without end, which TLS passes over: something comes, and never what is waited for."""

    def __init__(self, at_once, pause_s):
        super().__init__()
        self.words, self.pause_s = b"\x15\x03\x03\x00\x02\x01\x5a" * at_once, pause_s

    def _serve(self, conn):
        with contextlib.suppress(OSError):
            while True:
                conn.sendall(self.words)
                time.sleep(self.pause_s)


@pytest.mark.parametrize("at_once,pause_s", [(1, 0.01), (10000, 0)])
def test_a_server_that_never_comes_to_the_point(p, a, at_once, pause_s):
    p.add(a.file)
    with Chatter(at_once, pause_s) as server:
        found = ask(p, f"localhost:{server.port}", options=["--endpoint-timeout", "1"])
    assert is_silent(found, "no answer within 0.25 seconds")


def test_nobody_there(p, a):
    p.add(a.file)
    assert is_silent(ask(p, f"127.0.0.1:{free_port()}"), "no connection: Connection refused")
    assert is_silent(ask(p, "nowhere.invalid:8883"), 'the address of "nowhere.invalid" could not be')


def test_of_a_chain_without_end_64_certificates_are_looked_at(p, a, tmp_path):
    above = [Root(tmp_path, f"CA {i}", issuer=a) for i in range(17)]
    p.add(a.file)
    with s_server(*server_files(tmp_path, "s", above[0], *(x.cert for x in above * 4))) as server:
        found = ask(p, server)
    assert codes(found) == []
    assert len(found["endpoints"]["chains"][0]["certificates"]) == 64


class OnlyOnce(RawServer):
    """TLS for the first connection; then none."""

    def _serve(self, conn):
        if self.connections > 1:
            conn.close()
        else:
            super()._serve(conn)


def test_half_an_answer_is_told_as_such(p, r, tmp_path):
    """A load balancer that gives up in the middle: it is unknown whether there is an ECC chain."""
    p.add(r.file)
    with OnlyOnce(raw(b""), tls=tls_context(*server_files(tmp_path, "s", r, bits=2048))) as server:
        found = ask(p, f"localhost:{server.port}")
    assert codes(found) == ["endpoint-silent"] and kinds(found) == [("rsa", "TLS 1.3")]
    assert "TLS 1.3 with ECC: " in only(found, "endpoint-silent")["sentence"]


def test_a_key_that_a_server_does_not_have_is_no_silence(p, r, tmp_path):
    p.add(r.file)
    with s_server(*server_files(tmp_path, "s", r, bits=2048)) as server:
        assert codes(ask(p, server)) == []


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
def test_a_server_that_wants_a_client_certificate(p, a, tmp_path, option):
    """In TLS 1.3 its chain is proved before; in TLS 1.2 it never is, and then it does not count."""
    files = server_files(tmp_path, "s", a)
    p.add(Root(tmp_path, "Other").file)
    with s_server(*files, option, "-Verify", "1", "-CAfile", a.file) as server:
        found = ask(p, server)
    if option == "-tls1_3":
        assert codes(found) == ["endpoint-anchor-missing"]
        return
    assert codes(found) == ["endpoint-unproved"] and found["errors"] == 0
    assert "TLS 1.2 proves a chain at its very end only" in found["endpoints"]["chains"][0]["doubt"]


def test_a_broker_that_wants_a_client_certificate(p, a, tmp_path):
    """Mosquitto speaks TLS 1.3 too, so its chain counts; what TLS 1.2 leaves open is no matter."""
    p.add(Root(tmp_path, "Other").file)
    with mosquitto(tmp_path, server_files(tmp_path, "s", a), a.file) as port:
        found = ask(p, f"mqtts://localhost:{port}")
    assert codes(found) == ["endpoint-anchor-missing"]
    assert kinds(found) == [("ecc", "TLS 1.3, TLS 1.2")]


def test_a_certificate_for_another_name(p, a, tmp_path):
    p.add(a.file)
    with s_server(*server_files(tmp_path, "s", a, names=("elsewhere.test",))) as server:
        found = ask(p, server)
    assert codes(found) == ["endpoint-refused"]
    assert "issued for elsewhere.test, not for localhost" in only(found, "endpoint-refused")["sentence"]
    with s_server(*nameless_files(tmp_path, a)) as server:  # an address is no common name
        assert codes(ask(p, server.replace("localhost", "127.0.0.1"))) == ["endpoint-refused"]
    p.add("--drop", "all", Root(tmp_path, "Other").file)
    with s_server(*server_files(tmp_path, "i", a)) as server:
        assert codes(ask(p, server.replace("localhost", "127.0.0.1"))) == ["endpoint-anchor-missing"]


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
def test_a_certificate_that_no_device_accepts(p, a, tmp_path, option):
    """Also when it was saved, and is judged later."""
    saved = tmp_path / "saved"
    files = server_files(tmp_path, "s", a, signer=ed25519.Ed25519PrivateKey.generate())
    p.add(a.file)
    with s_server(*files, option) as server:
        live = ask(p, server, options=["--save-chains", saved])
    assert codes(live) == ["endpoint-refused"] and live["endpoints"]["silent"][0]["refused"]
    sentence = only(live, "endpoint-refused")["sentence"]
    assert sentence.startswith("it was asked and showed a chain that no device accepts: ")
    assert "Holdfast cannot use its signature algorithm Ed25519" in sentence
    assert judged(report("--repo", p.repo, "--endpoints", saved / "endpoints.txt")) == judged(live)


def test_unproved_and_silent_endpoints_satisfy_nothing(p, a, r, tmp_path):
    """The warning that a profile is unchecked stays, although a chain was shown."""
    p.add("--derive", "ecc", a.file, r.file)
    files = server_files(tmp_path, "s", a)
    with s_server(*files, "-tls1_2", "-Verify", "1", "-CAfile", a.file) as unproved, \
            s_server(*server_files(tmp_path, "r", r, bits=2048)) as rsa_only:
        (tmp_path / "list").write_text(f"endpoint x tls://{unproved} tls://{rsa_only}\n")
        found = report("--repo", p.repo, "--endpoints", tmp_path / "list")
    assert sorted(codes(found)) == ["endpoint-unchecked", "endpoint-unproved"]
    assert only(found, "endpoint-unchecked")["where"] == "roots/ecc 1"


def test_nothing_is_sent_but_handshakes(p, a, tmp_path):
    context = tls_context(*server_files(tmp_path, "s", a))
    p.add(a.file)
    with RawServer(raw(b""), tls=context) as server:
        ask(p, f"localhost:{server.port}")
    assert server.requests == [] and server.alpn == [None, None]
    assert set(context.names) == {"localhost"}


def test_what_strangers_write_does_not_steer_a_terminal(p, a, tmp_path):
    evil = Root(tmp_path, "Evil")
    evil.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "\x1b[2J\x07\r\nerror x")])
    p.add(a.file)
    with s_server(*server_files(tmp_path, "s", evil)) as server:
        outcome = ctl.run("lint", "--set", "roots", "--repo", p.repo, "--endpoint",
                          f"tls://{server}")
    assert outcome.code == 1 and "endpoint-anchor-missing" in outcome.out
    assert all(c == "\n" or c >= " " for c in outcome.out) and outcome.out.count("\n") == 4


# ---- saved, and judged without a network ----------------------------------------------------------

def judged(found):
    """Everything but where a chain came from."""
    sources = {x["source"] for x in found["endpoints"]["chains"]}
    findings = []
    for x in found["findings"]:
        sentence = x["sentence"]
        for source in sources:
            sentence = sentence.replace(f"({source})", "(…)")
        findings.append((x["code"], x["severity"], x["where"], sentence))
    chains = [{k: v for k, v in x.items() if k not in ("source", "live")}
              for x in found["endpoints"]["chains"]]
    return findings, chains, found["endpoints"]["silent"]


def test_saved_chains_are_judged_as_they_were_live(p, a, r, tmp_path):
    inter = Root(tmp_path, "Server CA", issuer=a, end=NOW + 100 * DAY)
    files = server_files(tmp_path, "s", inter, inter.cert)
    strict = server_files(tmp_path, "strict", a)
    saved = tmp_path / "saved"
    p.add(r.file)
    with s_server(*files) as one, s_server(*strict, "-tls1_2", "-Verify", "1", "-CAfile",
                                           a.file) as two:
        live = ask(p, one, two, f"127.0.0.1:{free_port()}", options=["--save-chains", saved])
    assert sorted(codes(live)) == ["chain-ends", "endpoint-anchor-missing", "endpoint-silent",
                                   "endpoint-unproved"]
    assert sorted(x.name for x in saved.iterdir()) == ["chain-1.pem", "chain-2.pem", "endpoints.txt"]
    offline = report("--repo", p.repo, "--endpoints", saved / "endpoints.txt")
    assert judged(offline) == judged(live)
    assert not any(x["live"] for x in offline["endpoints"]["chains"])
    p.add("--drop", "all", a.file)
    offline = report("--repo", p.repo, "--endpoints", saved / "endpoints.txt")
    assert sorted(codes(offline)) == ["chain-ends", "endpoint-silent", "endpoint-unproved"]


def test_a_saved_chain_is_still_for_the_wrong_name(p, a, tmp_path):
    """Also where the name in the list does not say which server showed it."""
    saved = tmp_path / "saved"
    p.add(a.file)
    with s_server(*server_files(tmp_path, "s", a, names=("elsewhere.test",))) as server:
        (tmp_path / "list").write_text(f"endpoint broker tls://{server}\n")
        live = report("--repo", p.repo, "--endpoints", tmp_path / "list", "--save-chains", saved)
    assert codes(live) == ["endpoint-refused"]
    assert (saved / "endpoints.txt").read_text().splitlines()[1:] == \
        ["shown broker chain-1.pem localhost"]
    assert judged(report("--repo", p.repo, "--endpoints", saved / "endpoints.txt")) == judged(live)


def test_chains_are_saved_without_any_bundle(tmp_path, a):
    saved = tmp_path / "saved"
    net_pki.write_pem(tmp_path / "own.pem", a.leaf("device", **NEW)[0])
    (tmp_path / "list").write_text("device ours own.pem\n")
    with s_server(*server_files(tmp_path, "s", a)) as server:
        out = ctl.ok("lint", "--endpoint", f"tls://{server}", "--endpoints", tmp_path / "list",
                     "--save-chains", saved)
    assert out.endswith(f"0 error(s), {ctl.N_OLD_TABLES} warning(s)\n")
    lines = (saved / "endpoints.txt").read_text().splitlines()
    assert lines[0].startswith("# What endpoints showed on 20")
    assert lines[1:] == ["device ours chain-1.pem", f"endpoint tls://{server} chain-2.pem"]
    assert (saved / "chain-2.pem").read_text() == (tmp_path / "s.pem").read_text()


def test_nothing_is_written_over(tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "mine").write_text("mine")
    before = ctl.tree(saved)
    with RawServer(silent=True) as server:
        sentence = ctl.refused("lint", "--endpoint", f"tls://localhost:{server.port}",
                               "--save-chains", saved)
    assert sentence == f"{saved} exists already; --save-chains makes a new folder"
    assert ctl.tree(saved) == before and server.connections == 0


def test_a_folder_that_cannot_be_made(tmp_path, a):
    with s_server(*server_files(tmp_path, "s", a)) as server:
        assert str(tmp_path / "none" / "saved") in ctl.refused(
            "lint", "--endpoint", f"tls://{server}", "--save-chains", tmp_path / "none" / "saved")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text,words", [
    ("silent\n", "line 1: expected endpoint NAME CHAIN.pem"),
    ("unproved x\n", "line 1: expected endpoint NAME CHAIN.pem"),
    ("silent x because \x1b[2J\n", "line 1: it holds byte 0x1b"),
    ("silent x is fine\rendpoint y none.pem\n", "line 1: it holds byte 0x0d"),
    ("silent x weil \xfcberlastet\n".encode("latin-1"), "line 1: it holds byte 0xfc"),
    ("silent x \u202e\n", "line 1: it holds byte 0xe2"),
    ("silent x is fine\n\0endpoint y none.pem\n", "expected text in UTF-8, found a byte 0x00"),
    ("\nendpoint x http://iot.test\n", "line 2: it does not begin with mqtts://"),
    ("endpoint x tls://iot.test\n", "line 1: the port is missing"),
    ("endpoint x https://me:secret@iot.test\n", "line 1: it holds a user name or password"),
    ("endpoint x @none.json\n", "none.json"),
    ("".join(f"endpoint x tls://h{i}.invalid:1\n" for i in range(65)), "more than 64 servers"),
])
def test_a_list_that_is_none_asks_nobody(p, a, tmp_path, text, words):
    p.add(a.file)
    (tmp_path / "list").write_bytes(text if isinstance(text, bytes) else text.encode())
    sentence = ctl.refused("lint", "--set", "roots", "--repo", p.repo, "--endpoints",
                           tmp_path / "list")
    assert words in sentence and "secret" not in sentence


def test_lines_may_end_as_they_do_elsewhere(p, a, tmp_path):
    p.add(a.file)
    (tmp_path / "list").write_bytes("silent x überlastet\r\nsilent y\r\n".encode())
    found = report("--repo", p.repo, "--endpoints", tmp_path / "list")
    assert found["endpoints"]["silent"] == [
        {"name": "x", "why": "überlastet", "refused": False},
        {"name": "y", "why": "no reason given", "refused": False}]


def test_a_file_whose_name_is_no_text(p, a, tmp_path):
    p.add(a.file)
    folder = os.fsencode(tmp_path) + b"/\xfc\x1b[2J"
    os.mkdir(folder)
    net_pki.write_pem(tmp_path / "own.pem", a.leaf("device", **NEW)[0])
    os.rename(tmp_path / "own.pem", folder + b"/own.pem")
    with open(folder + b"/list", "w") as file:
        file.write("unproved x own.pem\n")
    found = report("--repo", p.repo, "--endpoints", os.fsdecode(folder) + "/list")
    (chain,) = found["endpoints"]["chains"]
    assert chain["source"] == f"{tmp_path}/??[2J/own.pem"
    out = ctl.ok("lint", "--set", "roots", "--repo", p.repo, "--endpoints",
                 os.fsdecode(folder) + "/list")
    assert "??[2J/own.pem" in out and "\x1b" not in out


# ---- usage ----------------------------------------------------------------------------------------

def test_wrong_usage(p, a):
    p.add(a.file)
    repo = ["--set", "roots", "--repo", p.repo]
    assert "--endpoint: it does not begin with mqtts://" in ctl.refused("lint", *repo, "--endpoint",
                                                                        "http://iot.test")
    for seconds in ("0", "601", "-1"):
        assert f"--endpoint-timeout SECONDS is 1 to 600, not {seconds}" in ctl.refused(
            "lint", *repo, f"--endpoint-timeout={seconds}", code=2)
    assert "--endpoint or --endpoints is missing" in ctl.refused("lint", *repo, "--save-chains", "x",
                                                                 code=2)
    assert "--endpoint-timeout SECONDS is 1 to 600" in ctl.refused(
        *p.add_args("--endpoint-timeout", "0", a.file), code=2)


def on_a_terminal(*words):
    """Standard error, as shown on a terminal."""
    master, slave = ctl.open_terminal()
    subprocess.run([ctl.BIN / "holdfastctl", *map(str, words)], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=slave, timeout=ctl.TIMEOUT_S, check=False)
    os.close(slave)
    seen = b""
    with contextlib.suppress(OSError):
        while part := os.read(master, 65536):
            seen += part
    os.close(master)
    return seen.decode()


def test_whoever_waits_sees_what_for(p, a):
    p.add(a.file)
    ports = [free_port(), free_port()]
    words = [word for port in ports for word in ("--endpoint", f"tls://127.0.0.1:{port}")]
    assert on_a_terminal("lint", "--set", "roots", "--repo", p.repo, *words).splitlines() == [
        f"asking tls://127.0.0.1:{port} for its chains ({i} of 2)"
        for i, port in enumerate(ports, 1)]
