"""Each refusal of a TLS handshake has its own alert, as openssl s_client sees it in TLS 1.2 and 1.3."""
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from tls_serve import ALERTS, Pair, Rules, TlsServe, VERSIONS

both = pytest.mark.parametrize("version", VERSIONS)
EXACT = [42, 43, 44, 45, 48, 51, 80, 40]


class World:
    def __init__(self, folder):
        self.folder = folder
        self.rules = Rules(folder / "rules")
        self.rules.names.update({"req.test": (6, "required"), "none.test": (7, "none"), "closes.test": (8, "optional")})
        self.accepted = self.pair("accepted", 0)
        self.expired = self.pair("expired", 0, days=-1)
        self.unknown = Pair(folder, "unknown")
        self.by_alert = {alert: self.pair(f"alert-{alert}", alert) for alert in EXACT}
        self.log = folder / "access.log"
        self.server = Pair(folder, "server", names=["dev.test"])

    def pair(self, name, alert, **how):
        pair = Pair(self.folder, name, **how)
        self.rules.certs[pair.sha256] = alert
        return pair


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("tls"))
    w.keys = {
        "rsa": w.pair("rsa", 0, key=rsa.generate_private_key(65537, 2048)),
        "p384": w.pair("p384", 0, key=ec.generate_private_key(ec.SECP384R1()), digest=hashes.SHA384()),
        "p521": w.pair("p521", 0, key=ec.generate_private_key(ec.SECP521R1()), digest=hashes.SHA512()),
        "dsa": w.pair("dsa", 0, key=dsa.generate_private_key(2048)),
    }
    with TlsServe("--access-log", w.log, rules=w.rules, pairs=[w.server]) as w.serve:
        yield w


@both
def test_without_a_name(world, version):
    out = world.serve.s_client(VERSIONS[version], name=None)
    assert out.alert == {"1.2": "handshake_failure", "1.3": "missing_extension"}[version]
    assert out.whoami is None


@both
def test_a_name_of_no_account(world, version):
    out = world.serve.s_client(VERSIONS[version], name="other.test")
    assert (out.alert, out.whoami) == ("unrecognized_name", None)


@both
def test_a_name_that_is_none(world, version):
    out = world.serve.s_client(VERSIONS[version], name="a b.test")
    assert (out.alert, out.whoami) == ("unrecognized_name", None)


@both
def test_the_name_is_compared_without_case(world, version):
    out = world.serve.s_client(VERSIONS[version], name="DEV.Test")
    assert (out.whoami["sni"], out.whoami["tag"]) == ("dev.test", 5)


@both
def test_without_the_certificate_that_is_required(world, version):
    out = world.serve.s_client(VERSIONS[version], name="req.test")
    assert out.alert == {"1.2": "handshake_failure", "1.3": "certificate_required"}[version]
    assert out.whoami is None


@both
@pytest.mark.parametrize("alert", EXACT)
def test_the_rules_choose_the_alert_for_a_certificate(world, version, alert):
    for name in ("dev.test", "req.test"):
        out = world.serve.s_client(VERSIONS[version], *world.by_alert[alert].options(), name=name)
        assert (out.alert, out.whoami) == (ALERTS[alert], None)


@both
def test_an_unknown_certificate(world, version):
    out = world.serve.s_client(VERSIONS[version], *world.unknown.options())
    assert (out.alert, out.whoami) == ("unknown_ca", None)


@both
def test_an_expired_certificate(world, version):
    out = world.serve.s_client(VERSIONS[version], *world.expired.options())
    assert (out.alert, out.whoami) == ("certificate_expired", None)


@both
def test_an_accepted_certificate_is_what_the_handler_sees(world, version):
    out = world.serve.s_client(VERSIONS[version], *world.accepted.options())
    want = {"tag": 5, "sni": "dev.test", "version": {"1.2": 0x303, "1.3": 0x304}[version], "resumed": False,
            "sha256": world.accepted.sha256, "mark": 7}
    assert {**out.whoami, **want} == out.whoami


@both
def test_a_certificate_is_not_asked_for_where_the_policy_says_so(world, version):
    out = world.serve.s_client(VERSIONS[version], *world.accepted.options(), name="none.test")
    assert (out.whoami["sha256"], out.whoami["tag"]) == ("", 7)
    assert "Acceptable client certificate" not in out.text and "Client Certificate Types" not in out.text


@both
@pytest.mark.parametrize("kind", ["rsa", "p384", "p521"])
def test_keys_of_the_table_in_both_versions(world, version, kind):
    out = world.serve.s_client(VERSIONS[version], *world.keys[kind].options())
    assert out.whoami["sha256"] == world.keys[kind].sha256


def test_a_dsa_key_in_1_2_only(world):
    out = world.serve.s_client("-tls1_2", *world.keys["dsa"].options())
    assert out.whoami["sha256"] == world.keys["dsa"].sha256
    # TLS 1.3 has no such signature: the client has nothing to show.
    out = world.serve.s_client("-tls1_3", *world.keys["dsa"].options(), name="req.test")
    assert (out.alert, out.whoami) == ("certificate_required", None)


def test_an_rsa_pss_key_in_1_3_only(world, tmp_path):
    import hashlib
    import subprocess
    chain, key = tmp_path / "pss.pem", tmp_path / "pss.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa-pss", "-nodes", "-keyout", key, "-out", chain, "-subj",
                    "/CN=pss", "-days", "30"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "x509", "-in", chain, "-outform", "DER"], check=True, capture_output=True).stdout
    world.rules.certs[hashlib.sha256(der).hexdigest()] = 0
    world.serve.reload()
    options = ["-cert", str(chain), "-key", str(key)]
    assert world.serve.s_client("-tls1_3", *options).whoami["sha256"] == hashlib.sha256(der).hexdigest()
    out = world.serve.s_client("-tls1_2", *options)
    assert (out.alert, out.whoami) == ("unsupported_certificate", None)


def test_what_a_client_may_sign_with(world):
    text = world.serve.s_client("-tls1_2").text
    line = [x for x in text.splitlines() if x.startswith("Requested Signature Algorithms:")][0]
    assert set(line.split(": ", 1)[1].split(":")) == {"DSA+SHA256"} | {
        kind + bits for bits in ("256", "384", "512") for kind in ("ECDSA+SHA", "RSA-PSS+SHA", "RSA+SHA", "rsa_pss_pss_sha")}


@both
@pytest.mark.parametrize("offer, is_spoken", [("http/1.1", True), ("h2,http/1.1", True), ("h2", False),
                                              ("http/1.0,http/1.11", False)])
def test_http_1_1_is_what_is_spoken(world, version, offer, is_spoken):
    out = world.serve.s_client(VERSIONS[version], "-alpn", offer)
    if is_spoken:
        assert "ALPN protocol: http/1.1" in out.text and out.whoami
    else:
        assert (out.alert, out.whoami) == ("no_application_protocol", None)


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_older_versions_are_refused(world, version):
    out = world.serve.s_client(version, "-cipher", "ALL:@SECLEVEL=0")
    assert (out.alert, out.whoami) == ("protocol_version", None)


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256",
                                    "ECDHE-ECDSA-AES128-SHA256"])
def test_ciphers_without_forward_secrecy_or_aead_are_refused(world, cipher):
    out = world.serve.s_client("-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
    assert (out.alert, out.whoami) == ("handshake_failure", None)


def test_a_handshake_cannot_be_renegotiated(world):
    out = world.serve.s_client("-tls1_2", "-no_ign_eof", stdin="R\n")
    assert "no renegotiation" in out.text
    assert "Compression: NONE" in out.text


def test_a_session_without_a_proved_key_is_closed_by_the_rules(world):
    for option in VERSIONS.values():
        out = world.serve.s_client(option, name="closes.test")
        assert (out.alert, out.whoami) == (None, None)


def test_the_access_log_tells_the_alerts_of_both_sides(world):
    world.serve.s_client("-tls1_3", *world.by_alert[44].options())
    # The client refuses the server's certificate, which no CA of the system has signed.
    world.serve.s_client("-tls1_3", "-verify_return_error")

    def found():
        lines = [json.loads(x) for x in world.log.read_text().splitlines()]
        told = [(x["alert"], x["from"], x["tls"], x["sni"]) for x in lines if "sni" in x]
        return ("certificate_revoked", "server", "1.3", "dev.test") in told and \
            ("unknown_ca", "client", "1.3", "dev.test") in told
    from tls_serve import wait_until
    wait_until(found, "both lines")
