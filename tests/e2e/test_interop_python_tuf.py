"""Another TUF implementation reads what we publish, and we read what it publishes."""
import json

import pytest

from kit import programs, roots
from kit.device import Device
from kit.publisher import Publisher
from kit.servers import Holdfastd, PlainServer
from softhsm import SoftHsm  # of tests/cli

pytestmark = programs.needs_python_tuf
if programs.HAS_PYTHON_TUF:
    from kit.python_tuf import TufRepository, updater

KINDS = {"root": "ed25519", "timestamp": "p256", "snapshot": "rsa-pkcs1", "targets": "rsa-pss"}


def pem(*files):
    return b"".join(f.read_bytes() for f in files)


def custom(version):
    return {"holdfast": {"set": "amazon-iot", "profile": "full", "version": version}}


@pytest.fixture
def tuf_repository(folder):
    return TufRepository(folder / "tuf", KINDS)


@pytest.fixture
def tuf_device(folder, tuf_repository):
    server = PlainServer(tuf_repository.folder)
    yield Device(folder / "device").init(tuf_repository.folder / "metadata" / "1.root.json", server.url)
    server.close()


# ---- python-tuf reads ours -----------------------------------------------------------------------

def download(client, path):
    client.refresh()
    info = client.get_targetinfo(path)
    assert info is not None, f"{path} is not listed"
    with open(client.download_target(info), "rb") as f:
        return info, f.read()


def test_python_tuf_downloads_our_bundle(publisher, server, folder):
    publisher.add(*roots.amazon(1, 2, 3, 4))
    client = updater(folder / "client", publisher.root, server.url)
    info, content = download(client, "amazon-iot/full/1.pem")
    assert content.count(b"-----BEGIN CERTIFICATE-----") == 4
    assert info.unrecognized_fields["custom"]["holdfast"]["version"] == 1


def test_python_tuf_accepts_our_thresholds(folder, processes):
    publisher = Publisher(folder / "p", "--root-keys", "3", "--root-threshold", "2",
                          "--targets-keys", "3", "--targets-threshold", "2")
    publisher.add(*roots.amazon(1))
    server = Holdfastd(processes, publisher.repo)
    _, content = download(updater(folder / "client", publisher.root, server.url),
                          "amazon-iot/full/1.pem")
    assert b"BEGIN CERTIFICATE" in content


def test_python_tuf_follows_our_refresh_and_our_next_version(publisher, server, folder):
    publisher.add(*roots.amazon(1))
    download(updater(folder / "first", publisher.root, server.url), "amazon-iot/full/1.pem")
    publisher.refresh()
    publisher.add(*roots.amazon(1, 2))
    _, content = download(updater(folder / "second", publisher.root, server.url),
                          "amazon-iot/full/2.pem")
    assert content.count(b"-----BEGIN CERTIFICATE-----") == 2


def test_python_tuf_reads_the_stage_of_a_rollout(folder, processes):
    """It asks the role for a path that targets do not list, and finds no bundle that they do not have."""
    publisher = Publisher(folder / "p", "--rollout", "amazon-iot")
    publisher.add(*roots.amazon(1), options=["--plan", "normal"])
    for word in ("open", "pause"):
        programs.ok("holdfastctl", "rollout", word, *publisher.place, "amazon-iot")
    server = Holdfastd(processes, publisher.repo)
    client = updater(folder / "client", publisher.root, server.url)
    download(client, "amazon-iot/full/1.pem")
    assert client.get_targetinfo("amazon-iot/full/2.pem") is None
    kept = next((folder / "client").rglob("rollout-amazon-iot.json"))
    entry = json.loads(kept.read_text())["signed"]["targets"]["amazon-iot/full/1.pem"]
    assert entry["custom"]["holdfast"]["activation"]["state"] == "paused"


def test_python_tuf_reads_what_tokens_signed(folder, processes, monkeypatch):
    """From the first root, which two tokens must sign, of ECDSA and of Ed25519, and after a rotation."""
    hsm = SoftHsm(folder, monkeypatch, labels=("alice", "bob"))
    kinds = {"root-a": "ecdsa-p256", "root-b": "ed25519", "targets": "ecdsa-p256", "online": "ed25519"}
    for name, kind in kinds.items():
        programs.ok("holdfastctl", "key", "generate", "--key", hsm.uri(name), "--type", kind)
    given = {"root": ["root-a", "root-b"], "targets": ["targets"], "timestamp": ["online"]}
    publisher = Publisher(folder / "p", "--root-threshold", "2", *(
        word for role, names in given.items() for name in names
        for word in ("--key", f"{role}={hsm.uri(name)}")))
    publisher.add(*roots.amazon(1))
    server = Holdfastd(processes, publisher.repo)
    publisher.subscribers.append(server.catch_up)
    client = updater(folder / "first", publisher.root, server.url)
    assert b"BEGIN CERTIFICATE" in download(client, "amazon-iot/full/1.pem")[1]
    draft, public = folder / "root.draft", folder / "root-c.pub"
    programs.ok("holdfastctl", "key", "generate", "--key", hsm.uri("root-c", "bob"), "--type", "ecdsa-p256",
                "--public", public)
    programs.ok("holdfastctl", "root", "draft", "--from", publisher.repo, "--draft", draft)
    programs.ok("holdfastctl", "root", "add-key", "--draft", draft, "--role", "root", "--key", public)
    shown = programs.ok("holdfastctl", "root", "status", draft).out.split("SHA-256")[1].split()[0]
    programs.ok("holdfastctl", "root", "sign", "--draft", draft, "--keys", publisher.keys, "--key",
                hsm.uri("root-c", "bob"), "--yes", shown)
    programs.ok("holdfastctl", "root", "finish", *publisher.place, draft)
    publisher.add(*roots.amazon(1, 2))
    client = updater(folder / "second", publisher.root, server.url)
    assert b"BEGIN CERTIFICATE" in download(client, "amazon-iot/full/2.pem")[1]
    newest = publisher.metadata("root")["signed"]
    assert json.loads(public.read_text()) in newest["keys"].values()


# ---- we read python-tuf's ------------------------------------------------------------------------

def test_holdfast_updates_from_a_repository_of_python_tuf(tuf_repository, tuf_device):
    tuf_repository.publish("amazon-iot/full/1.pem", pem(*roots.amazon(1, 2)), custom(1))
    assert tuf_device.update() == "updated amazon-iot/full none -> 1"
    tuf_repository.publish("amazon-iot/full/2.pem", pem(*roots.amazon(1, 2, 3)), custom(2))
    assert tuf_device.update() == "updated amazon-iot/full 1 -> 2"
    assert len(tuf_device.status()["active"]["roots"]) == 3


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("kind", ["ed25519", "p384", "rsa-pss"])
def test_holdfast_follows_a_rotation_of_any_key(tuf_repository, tuf_device, role, kind):
    tuf_repository.publish("amazon-iot/full/1.pem", pem(*roots.amazon(1)), custom(1))
    assert tuf_device.update() == "updated amazon-iot/full none -> 1"
    tuf_repository.rotate(role, kind)
    tuf_repository.publish("amazon-iot/full/2.pem", pem(*roots.amazon(1, 2)), custom(2))
    assert tuf_device.update() == "updated amazon-iot/full 1 -> 2"
    assert tuf_device.metadata_versions()["root"] == 2


def test_holdfast_walks_many_roots_at_once(tuf_repository, tuf_device):
    for kind in ("ed25519", "p256", "p384", "rsa-pss", "rsa-pkcs1", "ed25519"):
        tuf_repository.rotate("root", kind)
    tuf_repository.publish("amazon-iot/full/1.pem", pem(*roots.amazon(1)), custom(1))
    assert tuf_device.update() == "updated amazon-iot/full none -> 1"
    assert tuf_device.metadata_versions()["root"] == 7


def test_holdfast_refuses_a_root_that_the_old_one_did_not_sign(tuf_repository, tuf_device):
    tuf_repository.publish("amazon-iot/full/1.pem", pem(*roots.amazon(1)), custom(1))
    tuf_device.update()
    tuf_repository.rotate("root", "ed25519")
    file = tuf_repository.folder / "metadata" / "2.root.json"
    root = json.loads(file.read_text())
    newest = tuf_repository.signers["root"].public_key.keyid
    root["signatures"] = [s for s in root["signatures"] if s["keyid"] == newest]
    file.write_text(json.dumps(root))
    before = tuf_device.bundles()
    programs.says(tuf_device.refuses_update(), "root version 2", "signed by 0")
    assert tuf_device.bundles() == before
    assert tuf_device.metadata_versions()["root"] == 1
