"""holdfast probe against real TLS servers: openssl s_server, nginx, and one that is no TLS at all."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import net_pki
from net_pki import DAY, NOW, Authority
from net_servers import RawServer, answer, raw, tls_context

BIN = pathlib.Path(os.environ["HOLDFAST_BIN"])


def probe(*args, at=NOW):
    """Run holdfast probe; returns (exit code, stdout, stderr)."""
    when = [f"--at={at:%Y-%m-%dT%H:%M:%SZ}"] if at else []
    done = subprocess.run(
        [str(BIN / "holdfast"), "probe", *args, *when],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def valid(*args, **options):
    code, out, err = probe(*args, **options)
    assert (code, err) == (0, "")
    return out


def not_valid(*args, says, **options):
    """Exit 1 and one sentence on standard error with `says` in it; returns standard output."""
    code, out, err = probe(*args, **options)
    assert code == 1
    assert says in err, err
    assert err.startswith("holdfast: ") and err.count("\n") == 1
    assert "\nvalid " not in out
    return out


class Pki:
    def __init__(self, folder):
        self.folder = folder
        self.root = Authority("Root")
        self.middle = Authority("Middle", issuer=self.root)
        self.ca = net_pki.write_pem(folder / "root.pem", self.root.cert)
        self.other_ca = net_pki.write_pem(folder / "other.pem", Authority("Other").cert)
        self.count = 0

    def files(self, *names, chain=None, **leaf):
        """Certificate, chain and key of a new server as files; returns (cert, cert file, key file)."""
        cert, key = self.middle.leaf(*names, **leaf)
        self.count += 1
        base = self.folder / f"leaf{self.count}"
        chain = [self.middle.cert] if chain is None else chain
        net_pki.write_pem(base.with_suffix(".pem.chain"), *chain)  # s_server wants it apart
        return (
            cert,
            net_pki.write_pem(base.with_suffix(".pem"), cert, *chain),
            net_pki.write_key(base.with_suffix(".tmpkey"), key),
        )


@pytest.fixture(name="pki", scope="module")
def make_pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(1200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError(f"no server on port {port}")


@contextlib.contextmanager
def s_server(cert_file, key_file, *options):
    """openssl s_server; yields "localhost:PORT"."""
    port = free_port()
    command = ["openssl", "s_server", "-accept", str(port), "-cert", cert_file, "-key", key_file]
    with_chain = pathlib.Path(cert_file).read_text().count("BEGIN") > 1
    command += ["-cert_chain", f"{cert_file}.chain"] if with_chain else []
    command += ["-quiet", *options]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        yield f"localhost:{port}"
    finally:
        server.kill()
        server.wait()


# ---- chains ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "version"), [((), "TLSv1.3"), (("--tls12",), "TLSv1.2")])
def test_valid_chain_is_shown_certificate_by_certificate(pki, option, version):
    cert, cert_file, key_file = pki.files("localhost", "127.0.0.1")
    root = net_pki.fingerprint(pki.root.cert)
    with s_server(cert_file, key_file) as endpoint:
        out = valid(endpoint, "--ca", pki.ca, *option)
    first, leaf, middle, anchor, last = out.split("\n\n")
    assert first.startswith(f"{endpoint}, asked as localhost: {version}, TLS")
    assert first.endswith("2 certificates")
    assert leaf.splitlines()[0] == "certificate 0, the server's own"
    for line in (
        "  subject  O=Holdfast Test, CN=localhost",
        "  issuer   O=Holdfast Test, CN=Middle",
        "  names    localhost, 127.0.0.1",
        "  key      P-256, certificate signed with SHA-256",
        "  valid    2026-05-02T00:00:00Z to 2026-07-01T00:00:00Z",
        f"  SHA-256  {net_pki.fingerprint(cert)}",
        "  verdict  valid",
    ):
        assert line in leaf.splitlines()
    assert f"  SHA-256  {net_pki.fingerprint(pki.middle.cert)}" in middle.splitlines()
    assert anchor.splitlines()[0] == "trust anchor in the store"
    assert f"  SHA-256  {root}" in anchor.splitlines()
    assert last == f'valid {endpoint} through "O=Holdfast Test, CN=Root" {root}\n'


def test_json(pki):
    cert, cert_file, key_file = pki.files("localhost")
    with s_server(cert_file, key_file) as endpoint:
        good = json.loads(valid(endpoint, "--ca", pki.ca, "--json"))
        bad = json.loads(not_valid(endpoint, "--ca", pki.other_ca, "--json", says="not trusted"))
    assert good["is_valid"] is True
    assert good["faults"] is None
    assert good["trust_anchor"]["sha256"] == net_pki.fingerprint(pki.root.cert)
    assert [c["sha256"] for c in good["chain"]] == [
        net_pki.fingerprint(c) for c in (cert, pki.middle.cert)
    ]
    assert good["chain"][0]["names"] == "localhost"
    assert bad["is_valid"] is False
    assert bad["trust_anchor"] is None
    assert "no trust anchor for issuer" in bad["faults"]
    assert bad["chain"][0]["remark"] == "no fault found in this certificate"


def test_unknown_issuer(pki):
    _, cert_file, key_file = pki.files("localhost")
    with s_server(cert_file, key_file) as endpoint:
        says = 'certificate 1 "O=Holdfast Test, CN=Middle": no trust anchor for issuer "O=Holdfast Test, CN=Root"'
        out = not_valid(endpoint, "--ca", pki.other_ca, says=says)
    assert "trust anchor in the store" not in out
    verdict, = [line for line in out.splitlines() if "no trust anchor" in line]
    assert verdict == ('  verdict  no trust anchor for issuer "O=Holdfast Test, CN=Root", and the server sent no '
                       'readable certificate of that name; if it is an intermediate, let the server send it')


def test_missing_intermediate(pki):
    _, cert_file, key_file = pki.files("localhost", chain=[])
    with s_server(cert_file, key_file) as endpoint:
        says = 'no trust anchor for issuer "O=Holdfast Test, CN=Middle"'
        not_valid(endpoint, "--ca", pki.ca, says=says)


def test_dates(pki):
    _, cert_file, key_file = pki.files("localhost")
    with s_server(cert_file, key_file) as endpoint:
        late = not_valid(endpoint, "--ca", pki.ca, says="expired on 2026-07-01", at=NOW + 60 * DAY)
        early = NOW - 60 * DAY
        not_valid(endpoint, "--ca", pki.ca, says="not yet valid, only from 2026-05-02 on", at=early)
        says = "the trust anchor of that name expired on 2028-11-17"
        not_valid(endpoint, "--ca", pki.ca, says=says, at=NOW + 1000 * DAY)
    assert "  verdict  expired on 2026-07-01 (validated as of 2026-07-31)" in late.splitlines()
    assert "trust anchor in the store" in late  # there is a path, only its leaf is too old


def test_host_name_and_servername(pki):
    _, cert_file, key_file = pki.files("a.example", "b.example")
    with s_server(cert_file, key_file) as endpoint:
        says = "issued for a.example, b.example, not for localhost"
        not_valid(endpoint, "--ca", pki.ca, says=says)
        out = valid(endpoint, "--ca", pki.ca, "--servername", "b.example")
    assert "asked as b.example" in out


def test_servername_is_sent(pki):
    context = tls_context(*pki.files("a.example")[1:])
    with RawServer(answer(), tls=context) as s:
        valid(f"127.0.0.1:{s.port}", "--ca", pki.ca, "--servername", "a.example")
    assert context.names == ["a.example"]


def test_weak_key(pki):
    context = tls_context(*pki.files("localhost", key_bits=1024)[1:])
    with RawServer(answer(), tls=context) as s:
        out = not_valid(f"localhost:{s.port}", "--ca", pki.ca, says="its key is not accepted: RSA key of 1024 bits (expected 2048 to 8192)")
    assert "key      RSA 1024" in out


def test_certificate_of_a_client_is_none_of_a_server(pki):
    _, cert_file, key_file = pki.files("localhost", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    with s_server(cert_file, key_file) as endpoint:
        not_valid(endpoint, "--ca", pki.ca, says="its extendedKeyUsage does not allow a TLS server")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_server_that_wants_a_client_certificate_is_judged_all_the_same(pki, version):
    _, cert_file, key_file = pki.files("localhost")
    with s_server(cert_file, key_file, "-Verify", "1", "-CAfile", pki.ca, version) as endpoint:
        out = valid(endpoint, "--ca", pki.ca)
        not_valid(endpoint, "--ca", pki.other_ca, says="no trust anchor")
    if version == "-tls1_2":  # in TLS 1.3 the server says so when the client is through already
        assert "The server proved its key, but the handshake did not end" in out


def test_nginx_agrees(pki, tmp_path):
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    _, cert_file, key_file = pki.files("localhost")
    (tmp_path / "nginx.conf").write_text(
        f"""daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;
        events {{}}
        http {{
          access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;
          fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
          server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {cert_file};
                    ssl_certificate_key {key_file}; return 204; }}
        }}"""
    )
    server = subprocess.Popen([nginx, "-p", str(tmp_path), "-c", "nginx.conf", "-e", "error.log"])
    try:
        wait_for(port)
        assert '"O=Holdfast Test, CN=Root"' in valid(f"localhost:{port}", "--ca", pki.ca)
        not_valid(f"localhost:{port}", "--ca", pki.other_ca, says="no trust anchor for issuer")
    finally:
        server.terminate()
        server.wait()


# ---- no chain at all -----------------------------------------------------------------------------------


def test_nobody_there(pki):
    out = not_valid(f"localhost:{free_port()}", "--ca", pki.ca, says="Connection refused")
    assert out == ""


def test_not_tls(pki):
    with RawServer(raw(b""), greeting=b"220 mail.example ESMTP\r\n") as s:
        assert not_valid(f"localhost:{s.port}", "--ca", pki.ca, says="is not TLS") == ""


def test_no_common_version(pki):
    _, cert_file, key_file = pki.files("localhost")
    with s_server(cert_file, key_file, "-tls1_3") as endpoint:
        assert not_valid(endpoint, "--ca", pki.ca, "--tls12", says="TLS") == ""


@pytest.mark.parametrize(
    ("content", "says"),
    [("", "CERTIFICATE"), ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "")],
)
def test_bad_ca_file(tmp_path, content, says):
    path = tmp_path / "bad.pem"
    path.write_text(content)
    code, out, err = probe("localhost:1", "--ca", str(path))
    assert (code, out) == (1, "")
    assert str(path) in err
    assert says in err


def test_missing_ca_file(tmp_path):
    not_valid("localhost:1", "--ca", str(tmp_path / "none.pem"), says="none.pem")


def test_missing_state(tmp_path):
    not_valid("localhost:1", "--state", str(tmp_path / "none"), says="none")


# ---- the command line -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "HOST[:PORT] is missing"),
        (["a", "b", "--ca", "x"], 'unexpected argument "b"'),
        (["a", "--ca", "x", "--state", "y"], "exclude each other"),
        (["a:99999", "--ca", "x"], "larger than 65535"),
        (["::1", "--ca", "x"], "brackets"),
        (["a", "--ca", "x", "--at", "yesterday"], "YYYY-MM-DD"),
        (["a", "--ca", "x", "--servername", "b c"], "--servername"),
        (["a", "--ca"], "--ca"),
        (["a", "--nonsense"], "--nonsense"),
    ],
)
def test_usage(args, says):
    code, out, err = probe(*args, at=None)
    assert (code, out) == (2, "")
    assert says in err
    assert "holdfast probe --help" in err


def test_help_has_an_example():
    code, out, err = probe("--help", at=None)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: holdfast probe HOST[:PORT]")
    assert "Examples:" in out


# ---- a device's own store -------------------------------------------------------------------------------


def test_by_the_store_of_a_device(pki, tmp_path):
    repo, keys, state = (str(tmp_path / n) for n in ("repo", "keys", "state"))
    subprocess.run(
        [BIN / "holdfastctl", "init", "--repo", repo, "--keys", keys, "--insecure-no-passphrase"],
        check=True,
        capture_output=True,
    )
    device = [BIN / "holdfast", "--state", state]
    init = ["init", "--root", f"{repo}/metadata/1.root.json", "--url", "http://127.0.0.1:1"]
    init += ["--set", "test", "--profile", "full", "--bundle", pki.ca]
    subprocess.run([*device, *init], check=True, capture_output=True)
    _, cert_file, key_file = pki.files("localhost")
    with s_server(cert_file, key_file) as endpoint:
        out = valid(endpoint, "--state", state)
        assert net_pki.fingerprint(pki.root.cert) in out
        before = subprocess.run(
            [*device, "probe", endpoint, f"--at={NOW:%Y-%m-%d}"], capture_output=True, check=False
        )
        assert before.returncode == 0
        # The file named on the command line is the one that judges, not the device's store.
        not_valid(endpoint, "--ca", pki.other_ca, says="no trust anchor")
