"""The story of deploy/quickstart.sh, asserted to the letter."""
import subprocess
from datetime import date, timedelta

from kit import programs, roots
from kit.device import Device
from kit.processes import wait_until


def fingerprints(bundle):
    return {a["sha256"] for a in bundle["roots"]}


def test_the_roots_of_amazon_reach_a_device_and_a_newer_version_follows(publisher, device, folder):
    publisher.add(*roots.amazon(1, 2, 3, 4))
    assert device.update() == "updated amazon-iot/full none -> 1"
    assert device.update() == "current amazon-iot/full 1"
    status = device.status()
    assert status["active"]["version"] == 1
    assert status["previous"] is None
    assert fingerprints(status["active"]) == {r.sha256 for r in roots.AMAZON}

    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    assert device.update() == "updated amazon-iot/full 1 -> 2"
    assert device.update() == "current amazon-iot/full 2"
    status = device.status()
    assert status["active"]["version"] == 2
    assert fingerprints(status["active"]) == {r.sha256 for r in roots.ALL}
    assert status["previous"]["version"] == 1
    assert fingerprints(status["previous"]) == {r.sha256 for r in roots.AMAZON}


def test_status_tells_each_root_as_the_table_has_it(device_at_1):
    anchors = {a["sha256"]: a for a in device_at_1.status()["active"]["roots"]}
    assert len(anchors) == len(roots.AMAZON)
    for root in roots.AMAZON:
        anchor = anchors[root.sha256]
        assert anchor["spki_sha256"] == root.spki
        assert anchor["not_after"][:10] == root.not_after
        assert root.name in anchor["subject"]
        assert anchor["state"] == "usable"


def test_status_for_people_names_every_root(device_at_1):
    text = device_at_1.status_text()
    for root in roots.AMAZON:
        assert root.name in text
        assert root.not_after in text


def certificates_in(pem):
    return pem.count("-----BEGIN CERTIFICATE-----")


def test_the_export_follows_each_update(publisher, device_at_1, folder):
    exported = folder / "roots.pem"
    assert certificates_in(device_at_1.export(exported, "--keep")) == 4
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    device_at_1.update()
    assert certificates_in(exported.read_text()) == 5


def test_the_export_is_what_openssl_reads(device_at_1, folder):
    exported = folder / "roots.pem"
    device_at_1.export(exported)
    for root in roots.AMAZON:
        done = subprocess.run(["openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile", exported,
                               root.file], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_lost_export_comes_back_with_the_next_update(device_at_1, folder):
    exported = folder / "roots.pem"
    before = device_at_1.export(exported, "--keep")
    exported.unlink()
    assert device_at_1.update() == "current amazon-iot/full 1"
    assert exported.read_text() == before


def update_until(device, version):
    programs.call("holdfast", "--state", device.state, "update")  # there may be nothing yet
    active = device.status()["active"]
    return active and active["version"] == version


def test_the_server_shows_what_is_published_without_a_restart(publisher, device):
    publisher.subscribers.clear()
    for version in (1, 2, 3):
        publisher.add(*roots.amazon(*range(1, version + 1)))
        wait_until(lambda: update_until(device, version), f"version {version} is seen")


def test_check_tells_what_a_device_would_find(publisher):
    publisher.add(*roots.amazon(1, 2, 3, 4), options=["--distrust-after",
                                                      f"{roots.AMAZON[0].sha256}=2030-05-26"])
    table = publisher.check().out
    for word in ("root", "targets", "snapshot", "timestamp", "amazon-iot", "2038-01-17", "2030-05-26"):
        assert word in table
    in_a_month = (date.today() + timedelta(days=29)).isoformat()
    later = programs.call("holdfastctl", "check", "--repo", publisher.repo, "--at", in_a_month)
    assert later.code == 1
    programs.says(later.err, "timestamp", "expired")


def test_what_is_dropped_must_be_said(publisher, device_at_1):
    before = device_at_1.bundles()
    without_4 = ["--set", "amazon-iot", "--profile", "full", *roots.amazon(1, 2, 3)]
    unasked = programs.call("holdfastctl", "bundle", "add", *publisher.place, *without_4)
    assert unasked.code == 1
    programs.says(unasked.err, "Amazon Root CA 4", "--drop")
    assert device_at_1.update() == "current amazon-iot/full 1"
    assert device_at_1.bundles() == before
    publisher.add(*roots.amazon(1, 2, 3), options=["--drop", roots.AMAZON[3].sha256])
    holdfast = publisher.metadata("targets")["signed"]["targets"]["amazon-iot/full/2.pem"]["custom"]
    assert holdfast["holdfast"]["drops"] == [roots.AMAZON[3].spki]


def test_what_is_signed_offline_reaches_devices_when_the_online_keys_publish_it(publisher, device_at_1,
                                                                              folder):
    online, offline = publisher.keys / "online", publisher.keys / "offline"
    online.rename(folder / "online")
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    assert device_at_1.update() == "current amazon-iot/full 1"
    (folder / "online").rename(online)
    offline.rename(folder / "offline")
    publisher.publish()
    assert device_at_1.update() == "updated amazon-iot/full 1 -> 2"
    publisher.refresh()
    assert device_at_1.update() == "current amazon-iot/full 2"


def test_profiles_are_told_apart(publisher, server, folder):
    publisher.add(*roots.amazon(1, 2), profile="rsa")
    publisher.add(*roots.amazon(3, 4), profile="ecc")
    publisher.add(*roots.amazon(3, 4), roots.STARFIELD.file, profile="ecc")
    device = Device(folder / "device").init(publisher.root, server.url, profile="rsa")
    assert device.update() == "updated amazon-iot/rsa none -> 1"
    assert fingerprints(device.status()["active"]) == {r.sha256 for r in roots.AMAZON[:2]}
