"""The server's own certificates: several kinds of key, several names, new ones without a restart."""
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tls_serve import SERVE, Pair, Rules, TlsServe, ask


def subject(out):
    return [x for x in out.text.splitlines() if x.startswith("subject=")][0].split("CN = ")[1]


def rsa_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def test_the_client_chooses_between_rsa_and_ecdsa(folder):
    pairs = [Pair(folder, "ec", names=["dev.test"]), Pair(folder, "rsa", key=rsa_key(), names=["dev.test"])]
    with TlsServe(pairs=pairs) as serve:
        assert subject(serve.s_client("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")) == "rsa"
        assert subject(serve.s_client("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")) == "ec"
        assert subject(serve.s_client("-tls1_3", "-sigalgs", "RSA-PSS+SHA256")) == "rsa"
        assert subject(serve.s_client("-tls1_3", "-sigalgs", "ECDSA+SHA256")) == "ec"


def test_the_name_chooses_between_certificates(folder):
    pairs = [Pair(folder, "first", names=["a.test", "b.test"]), Pair(folder, "wild", names=["*.c.test"]),
             Pair(folder, "wild-rsa", key=rsa_key(), names=["*.c.test"])]
    with TlsServe(pairs=pairs) as serve:
        for name, want in [("b.test", "first"), ("x.c.test", "wild"), ("X.C.Test", "wild"), ("c.test", "first"),
                           ("x.y.c.test", "first"), ("other.test", "first"), (None, "first")]:
            for version in ("-tls1_2", "-tls1_3"):
                out = serve.s_client(version, name=name)
                assert (subject(out), out.whoami["sni"]) == (want, (name or "").lower())
        assert subject(serve.s_client("-tls1_3", "-sigalgs", "RSA-PSS+SHA256", name="x.c.test")) == "wild-rsa"


def test_rules_and_several_certificates_work_together(folder):
    rules, device = Rules(folder / "rules"), Pair(folder, "device")
    rules.names["x.c.test"] = (11, "required")
    rules.certs[device.sha256] = 0
    pairs = [Pair(folder, "first", names=["dev.test"]), Pair(folder, "second", names=["x.c.test"])]
    with TlsServe(rules=rules, pairs=pairs) as serve:
        for version in ("-tls1_2", "-tls1_3"):
            ticket = str(folder / ("ticket" + version))
            out = serve.s_client(version, *device.options(), "-sess_out", ticket, name="x.c.test")
            assert (subject(out), out.whoami["tag"], out.whoami["sha256"]) == ("second", 11, device.sha256)
            out = serve.s_client(version, *device.options(), "-sess_in", ticket, name="x.c.test")
            assert out.is_resumed and out.whoami["sha256"] == device.sha256
            assert serve.s_client(version, name="x.c.test").whoami is None


def test_new_certificates_without_a_restart(folder):
    pair = Pair(folder, "before", names=["dev.test"])
    with TlsServe(pairs=[pair]) as serve, serve.tls() as old:
        assert subject(serve.s_client()) == "before"
        Pair(folder, "after", names=["dev.test"]).write(pair.chain, pair.key_file)
        assert subject(serve.s_client()) == "before"
        serve.reload()
        assert subject(serve.s_client()) == "after"
        assert ask(old)["version"] == 0x304  # an old connection goes on


def test_files_that_are_wrong_leave_the_old_ones(folder):
    pair, other = Pair(folder, "before", names=["dev.test"]), Pair(folder, "other", names=["dev.test"])
    with TlsServe(pairs=[pair]) as serve:
        good = open(pair.chain, "rb").read()
        for content, sentence in [(b"", "there is no certificate"), (good[:300], "cannot be read"),
                                  (open(other.chain, "rb").read(), "is not the key of the certificate in")]:
            open(pair.chain, "wb").write(content)
            assert sentence in serve.tell(1, "not reloaded: ")
            assert subject(serve.s_client()) == "before"


def refusal(*command):
    done = subprocess.run([SERVE, "--listen", "127.0.0.1:0", *command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_what_cannot_be_a_server_certificate_is_refused_in_words(folder):
    a, b = Pair(folder, "a", names=["dev.test"]), Pair(folder, "b", names=["dev.test"])
    weak = Pair(folder, "weak", key=rsa.generate_private_key(65537, 1024))
    locked = folder / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", a.key_file, "-aes256", "-passout", "pass:x", "-out", locked], check=True)
    locked.chmod(0o600)
    assert f"there is no {folder}/none" in refusal("--chain", str(folder / "none"), "--key", a.key_file)
    assert "is not the key of the certificate in" in refusal("--chain", a.chain, "--key", b.key_file)
    assert "expected one certificate of a kind of key" in refusal(
        "--chain", a.chain, "--key", a.key_file, "--chain", b.chain, "--key", b.key_file)
    assert "key too small" in refusal("--chain", weak.chain, "--key", weak.key_file)
    assert "found one with a passphrase" in refusal("--chain", a.chain, "--key", str(locked))
    (folder / "a.key").chmod(0o644)
    assert a.key_file in refusal("--chain", a.chain, "--key", a.key_file)


def test_a_certificate_that_has_expired_is_served_with_a_warning(folder):
    pair = Pair(folder, "old", days=-1, names=["dev.test"])
    with TlsServe(pairs=[pair]) as serve:
        assert subject(serve.s_client()) == "old"
    assert any("the server's certificate has expired" in line for line in serve.errors)
