"""holdfast init: first trust, or nothing at all."""
import json
import os
import sqlite3
import stat

import agent
import json_schema
import net_pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


@pytest.fixture
def device(tmp_path):
    return agent.Device(tmp_path)


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_state_is_made_for_its_owner_only(device):
    assert agent.ok(*device.init_args()) == f"initialised {device.state} for roots/full\n"
    assert mode(device.state) == 0o700
    for path in device.state.rglob("*"):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
    made = {p.name for p in device.state.iterdir()} - {"holdfast.db-wal", "holdfast.db-shm"}
    assert made == {"bundles", "holdfast.db", "holdfast.db.backup", "lock"}


def test_it_says_so_to_programs(device):
    made = json.loads(agent.ok(*device.init_args("--json")))
    json_schema.check(made, "init.schema.json")
    assert made == {"format": 1, "state": str(device.state), "set": "roots", "profile": "full"}


def test_a_path_that_is_no_utf8_is_a_path(device):
    device.state = device.folder / os.fsdecode(b"stat\xe9")
    device.export = device.folder / os.fsdecode(b"roots\xe9.pem")
    made = json.loads(agent.ok(*device.init_args("--json", "--export", device.export, "--on-swap",
                                                 os.fsdecode(b"echo \xe9"))))
    assert made["state"] == f"{device.folder}/stat?"
    for command in ("status", "config"):
        told = json.loads(agent.ok("--state", device.state, command, "--json"))
        assert (told["export"], told["on_swap"]) == (f"{device.folder}/roots?.pem", "echo ?")


def test_an_existing_empty_folder_is_used(device):
    device.state.mkdir()
    device.init()
    assert device.status()["metadata"]["root"]["version"] == 1


def test_what_was_told_is_what_status_tells(device):
    device.init("--url", "https://[2001:db8::1]:8443/r/", "--device-id", "thing:7", "--on-swap",
                "echo 'a b'", "--export", device.folder / "e.pem")
    status = device.status()
    assert status["mirrors"] == [agent.NOWHERE, "https://[2001:db8::1]:8443/r/"]
    assert (status["set"], status["profile"]) == ("roots", "full")
    assert status["device_id"] == "thing:7"
    assert status["on_swap"] == "echo 'a b'"
    assert status["export"] == str(device.folder / "e.pem")
    assert status["active"] is None and status["previous"] is None
    assert status["last_check"] is None


def test_paths_are_kept_absolute(device):
    (device.folder / "id").write_text("from-file\n")
    words = device.init_args("--device-id-file", "id", "--export", "e.pem")
    agent.ok(*words, cwd=device.folder)
    assert device.status()["device_id"] == "from-file"
    assert device.status()["export"] == str(device.folder / "e.pem")
    (device.folder / "id").write_text("renamed\n")
    assert device.status()["device_id"] == "renamed"


def test_without_an_id_one_is_derived_and_the_machine_id_is_not_shown(device):
    if not os.path.exists("/etc/machine-id"):
        pytest.skip("this machine has no machine-id")
    device.init()
    derived = device.status()["device_id"]
    assert derived.startswith("hf-") and len(derived) == 3 + 32
    with open("/etc/machine-id", encoding="ascii") as f:
        assert f.read().strip()[:8] not in derived


def test_the_factory_bundle_is_active_at_once(device):
    root = agent.Root("Factory Root")
    device.init_with_roots(root.pem)
    active = device.status()["active"]
    assert active["version"] == 0
    assert [a["sha256"] for a in active["roots"]] == [root.sha256]
    assert (device.state / "bundles" / "active").read_text() == root.pem


def test_a_second_init_is_refused_and_changes_nothing(device):
    device.init()
    assert "is initialised already" in device.refuses_init()


def test_a_state_that_lost_its_database_is_not_overwritten(device):
    device.init_with_roots(agent.Root("A").pem)
    device.database.unlink()
    assert "holds a copy of the database" in device.refuses_init()
    device.copy.unlink()
    assert "holds bundles but no database" in device.refuses_init()


def test_what_a_cut_init_left_behind_is_no_obstacle(device):
    (device.state / ".init" / "bundles").mkdir(parents=True)
    (device.state / ".init" / "holdfast.db").write_bytes(b"half of a database")
    device.init()
    assert not (device.state / ".init").exists()


@pytest.mark.parametrize("how, words", [
    ({"url": "ftp://x"}, ["does not begin with http:// or https://"]),
    ({"url": "http://user:secret@x"}, ["repository's address"]),
    ({"set_name": "Amazon IoT"}, ['"Amazon IoT" cannot be a set', "a-z, 0-9"]),
    ({"set_name": "../x"}, ['"../x" cannot be a set']),
    ({"profile": ""}, ['"" cannot be a profile']),
    ({"profile": "x" * 65}, ["cannot be a profile", "1 to 64"]),
])
def test_an_argument_that_cannot_be_is_refused_in_words(device, how, words):
    sentence = device.refuses_init(**how, code=2)
    for word in words:
        assert word in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize("root, words", [
    ("/nonexistent/root.json", "there is no file /nonexistent/root.json"),
    ("/dev/zero", "not a regular file"),
])
def test_a_root_that_cannot_be_read_is_refused(device, root, words):
    sentence = device.refuses_init(root=root)
    assert "--root" in sentence and words in sentence


@pytest.mark.parametrize("device_id", ["", "a b", "../../etc", "x" * 129, "é"])
def test_a_device_id_that_cannot_be_is_refused(device, device_id):
    assert "cannot be a device id" in device.refuses_init("--device-id", device_id, code=2)


def test_two_sources_of_a_device_id_are_one_too_many(device):
    sentence = device.refuses_init("--device-id", "a", "--device-id-file", "/b", code=2)
    assert "exclude each other" in sentence


def test_more_than_sixteen_mirrors_are_too_many(device):
    more = [word for _ in range(16) for word in ("--url", agent.NOWHERE)]
    assert "1 to 16" in device.refuses_init(*more, code=2)


def test_root_metadata_that_is_none_is_refused(device):
    broken = device.folder / "broken.json"
    for content in (b"", b"{}", b"<html>", b"\0" * 1000, b"{" * 600_000):
        broken.write_bytes(content)
        device.refuses_init(root=broken)


def test_root_metadata_of_a_stranger_is_refused(device):
    genuine = open(device.root, encoding="utf-8").read()
    forged = device.folder / "forged.json"
    forged.write_text(genuine.replace('"version": 1', '"version": 2'))
    assert "root" in device.refuses_init(root=forged)


def damaged(pem):
    at = len(pem) // 2
    return pem[:at] + "!!!" + pem[at + 3:]


def test_a_damaged_factory_bundle_is_refused(device):
    file = device.folder / "factory.pem"
    file.write_text(damaged(agent.Root("A").pem))
    assert "factory bundle" in device.refuses_init("--bundle", file)


def test_a_leaf_in_the_factory_bundle_is_refused(device):
    leaf = net_pki.Authority("A").leaf("x.example")[0]
    file = device.folder / "factory.pem"
    file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    assert "x.example" in device.refuses_init("--bundle", file)


def test_root_metadata_is_not_a_root_certificate(device):
    file = device.folder / "root.pem"
    file.write_text(agent.Root("A").pem)
    said = device.refuses_init(root=file)
    assert "--root: expected root metadata (TUF, JSON)" in said and f"found PEM in {file}" in said


def test_a_server_ca_that_is_none_is_refused(device):
    file = device.folder / "ca.pem"
    for content in (b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"\0\0"):
        file.write_bytes(content)
        assert "CA" in device.refuses_init("--server-ca", file).upper()


def test_a_server_ca_that_is_not_pem_is_told_what_converts_it(device):
    file = device.folder / "ca.der"
    root = net_pki.Authority("A").cert
    for content in (root.public_bytes(serialization.Encoding.DER),
                    root.public_bytes(serialization.Encoding.PEM).decode().encode("utf-16")):
        file.write_bytes(content)
        said = device.refuses_init("--server-ca", file)
        assert f" --server-ca: {file} is binary (expected PEM)" in said
        assert "`openssl x509 -inform DER" in said and "`iconv -f UTF-16" in said


def test_a_server_certificate_is_no_server_ca(device):
    leaf = net_pki.Authority("A").leaf("x.example")[0]
    file = device.folder / "ca.pem"
    file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    said = device.refuses_init("--server-ca", file)
    assert "is not a CA certificate" in said and "x.example" in said


def test_roots_that_are_not_supported_are_skipped_and_named(device):
    odd = ed25519.Ed25519PrivateKey.generate()
    subject = net_pki.name("Root of tomorrow")
    cert = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
            .public_key(odd.public_key()).serial_number(1)
            .not_valid_before(net_pki.NOW).not_valid_after(net_pki.NOW + 900 * net_pki.DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(odd, None).public_bytes(serialization.Encoding.PEM).decode())
    file = device.folder / "roots.pem"
    file.write_text(cert + agent.Root("A").pem)
    done = agent.run(*device.init_args("--bundle", file, "--server-ca", file))
    assert done.code == 0, done
    connection = sqlite3.connect(f"file:{device.database}?mode=ro", uri=True)
    texts = [t for (t,) in connection.execute("SELECT text FROM event WHERE kind = 'skipped'")]
    connection.close()
    assert ["the update server's CA: " in t for t in texts] == [False, True]
    assert all("Root of tomorrow" in t and "Ed25519" in t for t in texts)
    (skipped,) = device.status()["active"]["skipped"]
    assert skipped["subject"].endswith("CN=Root of tomorrow")
    assert skipped["unsupported"] == "signature algorithm Ed25519"
    assert "Root of tomorrow" in agent.ok("--state", device.state, "status")


def test_a_parent_that_is_not_there_is_named(device):
    device.state = device.folder / "none" / "device"
    assert "none/device: No such file or directory" in device.refuses_init()


def test_a_file_in_the_way_is_named(device):
    device.state.write_text("in the way")
    assert "is in the way" in device.refuses_init()


def test_the_journal_begins_with_the_init(device):
    device.init()
    connection = sqlite3.connect(f"file:{device.database}?mode=ro", uri=True)
    assert connection.execute("SELECT kind, text FROM event").fetchall() == [
        ("init", "initialised with root metadata 1")]
    connection.close()
