"""Each line of AWS IoT's two tables with a real client: keys and signature algorithms of client
certificates, by version of TLS. OpenSSL's command makes what Python cannot."""
import ssl
import subprocess

import pytest

A = "/v1/accounts/pumps"
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

KEYS = {
    "rsa-2048": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], True, True),
    "rsa-4096": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"], True, True),
    "p256": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], True, True),
    "p384": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], True, True),
    "p521": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], True, True),
    "rsa-pss-2048": (["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"], False, True),
    "rsa-pss-3072": (["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:3072"], False, True),
}
REFUSED_KEYS = {
    "rsa-1024": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], "RSA 1024"),
    "rsa-2047": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2047"], "RSA 2047"),
    "p224": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"], "another kind"),
    "secp256k1": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"], "another kind"),
    "ed25519": (["-algorithm", "ED25519"], "another kind"),
}
PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt"]
SIGNATURES = {
    "rsa-sha256": ("rsa-2048", ["-sha256"]),
    "rsa-sha384": ("rsa-2048", ["-sha384"]),
    "rsa-sha512": ("rsa-2048", ["-sha512"]),
    "pss-sha256": ("rsa-2048", ["-sha256", *PSS, "rsa_pss_saltlen:digest"]),
    "pss-sha384": ("rsa-2048", ["-sha384", *PSS, "rsa_pss_saltlen:digest"]),
    "pss-sha512": ("rsa-2048", ["-sha512", *PSS, "rsa_pss_saltlen:digest"]),
    "pss-sha256-long-salt": ("rsa-2048", ["-sha256", *PSS, "rsa_pss_saltlen:max"]),
    "dsa-sha256": ("dsa", ["-sha256"]),
    "ecdsa-sha256": ("p256", ["-sha256"]),
    "ecdsa-sha384": ("p384", ["-sha384"]),
    "ecdsa-sha512": ("p521", ["-sha512"]),
}
REFUSED_SIGNATURES = {
    "rsa-sha1": ("rsa-2048", ["-sha1"]),
    "rsa-sha224": ("rsa-2048", ["-sha224"]),
    "ecdsa-sha1": ("p256", ["-sha1"]),
    "dsa-sha384": ("dsa", ["-sha384"]),
    "pss-short-salt": ("rsa-2048", ["-sha256", *PSS, "rsa_pss_saltlen:20"]),
    "pss-other-mgf1": ("rsa-2048", ["-sha256", *PSS, "rsa_pss_saltlen:digest", "-sigopt",
                                    "rsa_mgf1_md:sha1"]),
}


def openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def make_key(folder, kind):
    path = folder / f"{kind}.key"
    if path.exists():
        return path
    if kind == "dsa":
        params = folder / "dsa.params"
        openssl("genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:2048",
                "-pkeyopt", "dsa_paramgen_q_bits:256", "-out", params)
        openssl("genpkey", "-paramfile", params, "-out", path)
    else:
        openssl("genpkey", *(KEYS.get(kind) or REFUSED_KEYS[kind])[0], "-out", path)
    return path


def make_certificate(folder, kind, issuer="p256", options=("-sha256",)):
    """Of a key of that kind, signed by a CA with one of the kind `issuer`."""
    key, ca_key = make_key(folder, kind), make_key(folder, issuer)
    ca, csr, cert = folder / "ca.pem", folder / "csr.pem", folder / f"{kind}.pem"
    openssl("req", "-x509", "-new", "-key", ca_key, "-subj", "/CN=CA", "-days", "10", "-out", ca)
    openssl("req", "-new", "-key", key, "-subj", "/CN=device", "-out", csr)
    openssl("x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key, "-set_serial", "7", "-days", "10",
            *options, "-out", cert)
    return cert, key


def register(api, cert):
    api.call("POST", "/v1/accounts", {"name": "pumps", "snis": ["pumps.example"]})
    return api.call("POST", f"{A}/credentials", {"certificate": cert.read_text(),
                                                 "status": "ACTIVE"})


def connect(api, cert, key, version):
    return api.device_call("GET", "/v1/whoami", sni="pumps.example", cert=cert, key=key,
                           version=version)


@pytest.mark.parametrize("kind", KEYS)
def test_every_key_of_the_table_connects(api, folder, kind):
    _, in_tls12, in_tls13 = KEYS[kind]
    cert, key = make_certificate(folder, kind)
    assert register(api, cert).status == 201
    for version, is_allowed in ((TLS12, in_tls12), (TLS13, in_tls13)):
        if is_allowed:
            assert connect(api, cert, key, version).json["status"] == "ACTIVE"
        else:
            with pytest.raises(ssl.SSLError) as error:
                connect(api, cert, key, version)
            assert "UNSUPPORTED_CERTIFICATE" in error.value.reason


@pytest.mark.parametrize("kind", REFUSED_KEYS)
def test_other_keys_are_not_registered(api, folder, kind):
    cert, _ = make_certificate(folder, kind)
    answer = register(api, cert)
    assert answer.status == 400 and REFUSED_KEYS[kind][1] in answer.json["detail"]
    assert api.get(f"{A}/credentials").json["credentials"] == []


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_signature_algorithm_of_the_table_connects(api, folder, name):
    issuer, options = SIGNATURES[name]
    cert, key = make_certificate(folder, "p256", issuer, options)
    assert register(api, cert).status == 201
    for version in (TLS12, TLS13):
        assert connect(api, cert, key, version).json["status"] == "ACTIVE"


@pytest.mark.parametrize("name", REFUSED_SIGNATURES)
def test_other_signature_algorithms_are_not_registered(api, folder, name):
    issuer, options = REFUSED_SIGNATURES[name]
    cert, _ = make_certificate(folder, "p256", issuer, options)
    answer = register(api, cert)
    assert answer.status == 400 and "unsupported signature algorithm" in answer.json["detail"]
    assert api.get(f"{A}/credentials").json["credentials"] == []
