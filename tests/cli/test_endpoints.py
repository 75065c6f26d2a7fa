"""The servers that a device must always reach: told to init, shown and replaced by `endpoints`."""
import json
import os
import sqlite3
import textwrap
from pathlib import Path

import agent
import json_schema
import net_pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

ATS = "abc123-ats.iot.eu-central-1.amazonaws.com"
LEGACY = "abc123.iot.eu-central-1.amazonaws.com"


@pytest.fixture
def device(tmp_path):
    return agent.Device(tmp_path)


def endpoints(device, *words):
    return agent.ok("--state", device.state, "endpoints", *words).splitlines()


def refuses_endpoints(device, *words, code=1):
    """And everything stays as it was."""
    before = endpoints(device), config_row(device)
    sentence = agent.refused("--state", device.state, "endpoints", *words, code=code)
    assert (endpoints(device), config_row(device)) == before
    return sentence


def config_row(device):
    connection = sqlite3.connect(f"file:{device.database}?mode=ro", uri=True)
    row = connection.execute(
        "SELECT client_cert_file, client_key_file, awaits_confirm FROM config").fetchone()
    connection.close()
    return row


def client_files(device, name="device"):
    cert, key = net_pki.Authority("Clients").leaf(name)
    return (net_pki.write_pem(device.folder / f"{name}.pem", cert),
            net_pki.write_key(device.folder / f"{name}.tmpkey", key))


# ---- init ------------------------------------------------------------------------------------------


def test_none_is_what_a_device_has_that_was_told_nothing(device):
    device.init()
    assert endpoints(device) == ["none"]
    assert config_row(device) == (None, None, 0)


def test_what_init_was_told_is_kept_in_its_order(device):
    device.init("--endpoint", "mqtts://B.Example", "--endpoint", "https://a.example/",
                "--endpoint", "tls://[2001:DB8::1]:4433", "--alpn", "x-own", "--await-confirm")
    assert endpoints(device) == ["mqtts://b.example:8883", "https://a.example:443",
                                 "tls://[2001:db8::1]:4433 alpn x-own"]
    assert config_row(device) == (None, None, 1)


def test_alpn_belongs_to_the_endpoint_before_it(device):
    device.init("--endpoint", "mqtts://a.example", "--alpn", "one", "--endpoint", "tls://b.example:1",
                "--endpoint", "mqtts://c.example", "--alpn", "three")
    assert endpoints(device) == ["mqtts://a.example:8883 alpn one", "tls://b.example:1",
                                 "mqtts://c.example:8883 alpn three"]


@pytest.mark.parametrize("words, says", [
    (["--alpn", "x", "--endpoint", "mqtts://a.example"], "--alpn: it belongs to the --endpoint before"),
    (["--endpoint", "mqtts://a.example", "--alpn", "x", "--alpn", "y"], "one for each"),
    (["--client-cert", "a.pem"], "--client-cert and --client-key belong together"),
    (["--client-key", "a.key"], "--client-cert and --client-key belong together"),
    (["--endpoint"], "--endpoint: missing argument"),
])
def test_usage(device, words, says):
    assert says in device.refuses_init(*words, code=2)


@pytest.mark.parametrize("words, says", [
    (["--endpoint", "http://a.example"], "--endpoint: it does not begin with mqtts://"),
    (["--endpoint", ATS], "as in mqtts://example.org:8883"),
    (["--endpoint", "tls://a.example"], "the port is missing"),
    (["--endpoint", "mqtts://me:secret@a.example"], "user name or password"),
    (["--endpoint", "https://a.example/path"], "names a path"),
    (["--endpoint", "mqtts://a.example", "--endpoint", "MQTTS://A.example:8883/"],
     "mqtts://a.example:8883 is given twice"),
    (["--endpoint", "mqtts://a.example", "--alpn", "a b"], "--alpn: an ALPN name"),
    (["--endpoint", "{}"], "endpointAddress"),
    (["--endpoint", "@/nonexistent.json"], "there is no file /nonexistent.json"),
    (["--client-cert", "/nonexistent.pem", "--client-key", "/nonexistent.key"],
     "there is no file /nonexistent.pem"),
    ([w for n in range(9) for w in ("--endpoint", f"mqtts://{n}.example")], "at most 8"),
])
def test_what_cannot_be_an_endpoint_is_refused_in_words(device, words, says):
    code = 1 if "nonexistent" in says else 2  # what a file holds is no usage error
    sentence = device.refuses_init(*words, code=code)
    assert says in sentence and "secret" not in sentence


def test_eight_are_as_many_as_there_may_be(device):
    device.init(*[w for n in range(8) for w in ("--endpoint", f"mqtts://{n}.example")])
    assert endpoints(device) == [f"mqtts://{n}.example:8883" for n in range(8)]


@pytest.mark.parametrize("how", ["value", "file"])
def test_what_aws_prints_serves_as_it_is(device, how):
    answer = json.dumps({"endpointAddress": ATS}, indent=4) + "\n"
    file = device.folder / "describe-endpoint.json"
    file.write_text(answer)
    device.init("--endpoint", answer if how == "value" else f"@{file}")
    assert endpoints(device) == [f"mqtts://{ATS}:8883"]


def test_a_file_that_is_no_answer_of_aws_is_named(device):
    file = device.folder / "text.json"
    for content in ("", ATS, '{"endpointAddress": ""}', "x" * 20000):
        file.write_text(content)
        before = agent.tree(device.folder)
        assert str(file) in agent.refused(*device.init_args("--endpoint", f"@{file}"))
        assert agent.tree(device.folder) == before


@pytest.mark.parametrize("value", [f"mqtts://{LEGACY}", json.dumps({"endpointAddress": LEGACY})])
def test_a_legacy_address_gets_a_warning_that_says_what_to_ask_for(device, value):
    outcome = agent.run(*device.init_args("--endpoint", value))
    assert outcome.code == 0
    for word in ("warning", LEGACY, "VeriSign", "aws iot describe-endpoint --endpoint-type iot:Data-ATS"):
        assert word in outcome.err
    assert outcome.err.count("\n") == 1
    assert endpoints(device) == [f"mqtts://{LEGACY}:8883"]


def test_the_client_certificate_is_kept_by_its_absolute_path(device):
    cert, key = client_files(device)
    agent.ok(*device.init_args("--endpoint", "mqtts://a.example", "--client-cert", "device.pem",
                               "--client-key", "device.tmpkey"), cwd=device.folder)
    assert config_row(device) == (cert, key, 0)


def test_a_key_that_is_not_the_certificates_is_refused(device):
    cert, _ = client_files(device)
    _, other = client_files(device, "other")
    sentence = device.refuses_init("--client-cert", cert, "--client-key", other)
    assert "is not that of the first certificate" in sentence


def test_indented_client_files_and_joined_certificates_are_read(device):
    cert, key = (Path(file) for file in client_files(device))
    cert.write_text("\ufeff" + textwrap.indent(cert.read_text(), "    ") + "\ufeff" + agent.Root("A").pem)
    key.write_text(textwrap.indent(key.read_text(), "    "))
    device.init("--client-cert", cert, "--client-key", key)


def test_client_files_of_another_kind_are_named(device):
    cert, key = (Path(file) for file in client_files(device))
    pem = cert.read_text()
    for content, says in ((pem.encode("utf-16"), "`iconv -f UTF-16"), (b"no PEM", "expected PEM certificates"),
                          (pem.replace("BEGIN ", "BEGIN TRUSTED ").encode(), "`openssl x509 -in FILE"),
                          (pem.replace("\nMII", "\nM*I").encode(), "at line 2")):
        cert.write_bytes(content)
        said = device.refuses_init("--client-cert", cert, "--client-key", key)
        assert f"the client certificate is not usable: {cert}: " in said and says in said
    cert.write_text(pem)
    odd = ed25519.Ed25519PrivateKey.generate()
    key.write_bytes(odd.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption()))
    said = device.refuses_init("--client-cert", cert, "--client-key", key)
    assert "the kind of key" in said and "is not supported here" in said
    name = net_pki.name("Device of tomorrow")
    cert.write_bytes(x509.CertificateBuilder().subject_name(name).issuer_name(name)
                     .public_key(odd.public_key()).serial_number(1).not_valid_before(net_pki.NOW)
                     .not_valid_after(net_pki.NOW + net_pki.DAY).sign(odd, None)
                     .public_bytes(serialization.Encoding.PEM))
    said = device.refuses_init("--client-cert", cert, "--client-key", key)
    assert 'Device of tomorrow" is not supported here (signature algorithm Ed25519)' in said


def test_a_key_with_a_passphrase_is_refused(device):
    key = net_pki.Authority("Locked").key
    locked = device.folder / "locked.tmpkey"
    locked.touch(0o600)
    locked.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret")))
    cert, _ = client_files(device)
    sentence = device.refuses_init("--client-cert", cert, "--client-key", locked)
    assert "encrypted" in sentence and "store it without one" in sentence


@pytest.mark.parametrize("mode, says", [(0o644, "every user may read"), (0o602, "every user may change"),
                                        (0o640, f"the members of group {os.getegid()} may read")])
def test_a_key_that_others_may_read_or_change_is_refused(device, mode, says):
    cert, key = client_files(device)
    os.chmod(key, mode)
    words = ["--client-cert", cert, "--client-key", key]
    said = f"the client certificate is not usable: {key}: {says} this secret (mode {mode:04o})"
    assert said in device.refuses_init(*words)
    device.init()
    sentence = refuses_endpoints(device, *words)
    assert said in sentence and sentence.endswith(f"chmod 600 {key}")
    config = ["--state", device.state, "config", "set", "client-cert", cert, key]
    assert said in agent.refused(*config)
    assert config_row(device) == (None, None, 0)
    os.chmod(key, 0o600)
    agent.ok(*config)


# ---- endpoints -----------------------------------------------------------------------------------------


def test_endpoints_puts_others_in_their_place(device):
    device.init("--endpoint", "mqtts://a.example", "--endpoint", "mqtts://b.example",
                "--await-confirm")
    new = ["https://c.example:443", "mqtts://a.example:8883 alpn x"]
    assert endpoints(device, "--endpoint", "https://c.example", "--endpoint", "mqtts://a.example",
                     "--alpn", "x") == new
    assert endpoints(device) == new
    assert config_row(device)[2] == 1


def test_programs_are_shown_the_same(device):
    def shown(*words):
        found = json.loads("\n".join(endpoints(device, "--json", *words)))
        json_schema.check(found, "endpoints.schema.json")
        assert found.pop("format") == 1
        return found

    cert, key = client_files(device)
    device.init()
    assert shown() == {"endpoints": [], "client_cert": None, "client_key": None}
    new = {"endpoints": [{"url": "https://a.example:443", "alpn": None},
                         {"url": "mqtts://b.example:8883", "alpn": "x"}],
           "client_cert": cert, "client_key": key}
    assert shown("--endpoint", "https://a.example", "--endpoint", "mqtts://b.example", "--alpn", "x",
                 "--client-cert", cert, "--client-key", key) == new
    assert shown() == new


def test_endpoints_and_certificate_are_replaced_apart(device):
    cert, key = client_files(device)
    device.init("--endpoint", "mqtts://a.example")
    endpoints(device, "--client-cert", cert, "--client-key", key)
    assert endpoints(device) == ["mqtts://a.example:8883"]
    assert config_row(device) == (cert, key, 0)
    endpoints(device, "--endpoint", "mqtts://b.example")
    assert config_row(device) == (cert, key, 0)
    assert endpoints(device, "--none") == ["none"]
    assert endpoints(device) == ["none"]
    assert config_row(device) == (None, None, 0)


def test_what_cannot_be_an_endpoint_leaves_the_old_ones(device):
    device.init("--endpoint", "mqtts://a.example")
    _, other = client_files(device, "other")
    cert, _ = client_files(device)
    assert "twice" in refuses_endpoints(device, *["--endpoint", "mqtts://b.example"] * 2, code=2)
    assert "mqtts://" in refuses_endpoints(device, "--endpoint", "b.example", code=2)
    assert "not that of" in refuses_endpoints(device, "--client-cert", cert, "--client-key", other)
    assert "exclude" in refuses_endpoints(device, "--none", "--endpoint", "mqtts://b.example", code=2)


def test_a_device_that_is_none_has_no_endpoints(device):
    assert "not initialised" in agent.refused("--state", device.state, "endpoints")


def test_an_endpoint_that_rotted_on_disk_is_left_out(device):
    device.init_with_roots(agent.Root("A").pem, options=["--endpoint", "mqtts://a.example",
                                                         "--endpoint", "mqtts://b.example"])
    connection = sqlite3.connect(device.database)
    connection.execute("UPDATE endpoint SET url = 'mqtts//a.example' WHERE position = 0")
    connection.commit()
    connection.close()
    outcome = agent.run("--state", device.state, "export", "--out", "-", "--verbose")
    assert outcome.code == 0 and "BEGIN CERTIFICATE" in outcome.out
    assert "an endpoint is left out: it does not begin with" in outcome.err


# ---- confirm, reject -----------------------------------------------------------------------------------


def test_with_nothing_on_trial_confirm_is_content_and_reject_refuses(device):
    device.init_with_roots(agent.Root("A").pem)
    assert agent.ok("--state", device.state, "confirm") == (
        "no bundle is on trial; nothing has changed\n")
    sentence = agent.refused("--state", device.state, "reject", "--reason", "no reason")
    assert "no bundle is on trial" in sentence
    assert device.status()["active"]["version"] == 0


def test_reject_wants_a_reason(device):
    device.init_with_roots(agent.Root("A").pem)
    for words in ([], ["--reason", ""]):
        sentence = agent.refused("--state", device.state, "reject", *words, code=2)
        assert "--reason TEXT is missing" in sentence
