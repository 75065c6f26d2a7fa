"""A fleet leaves a dead CA: profile legacy gets the content of full, by one command."""

from kit import openssl, programs, roots
from kit.device import Device
from test_openssl_agrees import CHAINS, DATA, VERISIGN, needs_data


def legacy_device(publisher, server, folder):
    return Device(folder / "device").init(publisher.root, server.url, profile="legacy")


def newest_description(publisher, profile):
    targets = publisher.metadata("targets")["signed"]["targets"]
    newest = max((d["custom"]["holdfast"] for path, d in targets.items() if f"/{profile}/" in path),
                 key=lambda d: d["version"])
    return newest


@needs_data
def test_verisign_fleet_is_moved_to_ats_by_one_command(publisher, server, folder):
    publisher.add(VERISIGN, profile="legacy")
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    device = legacy_device(publisher, server, folder)
    assert device.update() == "updated amazon-iot/legacy none -> 1"
    exported = folder / "exported.pem"
    leaf, intermediate, day = CHAINS["eu-central-1"]
    chain = [DATA / "chains" / leaf, [DATA / "chains" / intermediate], day]
    device.export(exported)
    assert not openssl.verifies(exported, *chain)

    publisher.copy("full", "legacy", options=["--drop", "all"])

    assert device.update() == "updated amazon-iot/legacy 1 -> 2"
    held = {a["sha256"] for a in device.status()["active"]["roots"]}
    assert held == {r.sha256 for r in roots.ALL}
    device.export(exported)
    assert openssl.verifies(exported, *chain)


def test_what_is_signed_about_a_root_comes_with_it(publisher, server, folder):
    first = roots.AMAZON[0]
    publisher.add(*roots.amazon(4), profile="legacy")
    publisher.add(*roots.amazon(1, 2), options=["--distrust-after", f"{first.sha256}=2030-05-26"])
    device = legacy_device(publisher, server, folder)
    assert device.update() == "updated amazon-iot/legacy none -> 1"
    publisher.copy("full", "legacy", options=["--drop", "all"])
    moved = newest_description(publisher, "legacy")
    assert moved["drops"] == [roots.AMAZON[3].spki]
    assert [a["distrust_after"] for a in moved["anchors"]] == ["2030-05-26T23:59:59Z"]
    assert device.update() == "updated amazon-iot/legacy 1 -> 2"
    anchors = {a["sha256"]: a for a in device.status()["active"]["roots"]}
    assert anchors[first.sha256]["distrust_after"] == "2030-05-26T23:59:59Z"


def test_more_certificates_may_come_besides(publisher, server, folder):
    publisher.add(*roots.amazon(4), profile="legacy")
    publisher.add(*roots.amazon(1, 2))
    publisher.copy("full", "legacy", *roots.amazon(4))  # nothing is dropped, so there is no question
    device = legacy_device(publisher, server, folder)
    assert device.update() == "updated amazon-iot/legacy none -> 2"
    held = {a["sha256"] for a in device.status()["active"]["roots"]}
    assert held == {roots.AMAZON[n].sha256 for n in (0, 1, 3)}


def test_a_profile_that_is_not_there_is_said(publisher):
    publisher.add(*roots.amazon(4), profile="legacy")
    before = publisher.newest_file("targets").read_bytes()
    refused = publisher.refuses_to_add(profile="legacy", options=["--from", "full", "--drop", "all"])
    programs.says(refused, "--from full", "holds no bundle")
    assert publisher.newest_file("targets").read_bytes() == before


def test_neither_certificates_nor_from_is_wrong_usage(publisher):
    wrong = programs.call("holdfastctl", "bundle", "add", *publisher.place, "--set", "amazon-iot",
                          "--profile", "legacy")
    assert wrong.code == 2
    programs.says(wrong.err, "at least one certificate file, or --from, is missing")
