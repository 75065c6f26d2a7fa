"""A fleet that begins with keys in tokens: a device follows them, and what replaces them."""
import pytest

from kit import programs, roots
from kit.device import Device
from kit.publisher import Publisher
from softhsm import SoftHsm  # of tests/cli

GIVEN = (("root", "root-a", "ecdsa-p256"), ("root", "root-b", "ed25519"),
         ("targets", "targets", "ed25519"), ("timestamp", "timestamp", "ecdsa-p256"))


@pytest.fixture
def hsm(folder, monkeypatch):
    made = SoftHsm(folder, monkeypatch)
    for _, name, kind in GIVEN:
        programs.ok("holdfastctl", "key", "generate", "--key", made.uri(name), "--type", kind)
    return made


@pytest.fixture
def publisher(hsm, folder):
    return Publisher(folder / "publisher", "--root-threshold", "2", *(
        word for role, name, _ in GIVEN for word in ("--key", f"{role}={hsm.uri(name)}")))


def replace_by_files(publisher, folder):
    draft = folder / "root.draft"
    programs.ok("holdfastctl", "root", "draft", "--from", publisher.repo, "--draft", draft)
    for role, name, _ in GIVEN:
        half = publisher.keys / ("online" if role == "timestamp" else "offline")
        number = "2" if name == "root-b" else "1"
        new = half / f"{name}-file.key.json"
        programs.ok("holdfastctl", "key", "generate", "--key", new, "--insecure-no-passphrase")
        for verb, key in (("add-key", new), ("remove-key", half / f"{role}-{number}.key.json")):
            programs.ok("holdfastctl", "root", verb, "--draft", draft, "--role", role, "--key", key)
    shown = programs.ok("holdfastctl", "root", "status", draft).out.split("SHA-256")[1].split()[0]
    programs.ok("holdfastctl", "root", "sign", "--draft", draft, "--keys", publisher.keys, "--yes", shown)
    programs.ok("holdfastctl", "root", "finish", *publisher.place, draft)
    for file in publisher.keys.glob("*/*.key.json"):
        if '"token"' in file.read_text():
            file.unlink()


def test_a_device_follows_tokens_and_what_replaces_them(publisher, server, folder, hsm):
    publisher.add(*roots.amazon(1))
    device = Device(folder / "device").init(publisher.root, server.url)
    assert device.update() == "updated amazon-iot/full none -> 1"
    publisher.refresh()
    assert device.update() == "current amazon-iot/full 1"
    replace_by_files(publisher, folder)
    hsm.pin_file.unlink()  # no token opens any more
    publisher.add(*roots.amazon(1, 2))
    assert device.update() == "updated amazon-iot/full 1 -> 2"
    assert device.metadata_versions()["root"] == 2
