"""The runbooks for what is planned, or lost, to the letter, and the devices that live through them: one that
is online, one asleep for five rotations, and one that an attacker keeps on the files of before, which were
signed. All end on the right store."""
import datetime

import pytest

from kit import pki, programs
from kit.fleet import CURRENT
from kit.runbook import commands
from softhsm import SoftHsm  # of tests/cli, as net_pki


def role_keys(fleet):
    roles = fleet.publisher.metadata("root")["signed"]["roles"]
    return {role: roles[role]["keyids"] for role in roles}


def nearly_ended(fleet):
    """Root and targets as a year and a half later: 20 days are left."""
    periods = fleet.publisher.keys / "offline" / "expiry.json"
    usual = periods.read_text()
    periods.write_text(usual.replace("540", "20"))
    fleet.desk.run(commands("renewal.md").replace("root draft", "root draft --expires 20"))
    periods.write_text(usual)
    for draft in fleet.desk.folder.iterdir():
        draft.unlink()


def days_left(metadata):
    return (datetime.datetime.fromisoformat(metadata["expires"].rstrip("Z")) - pki.NOW).days


def test_renewal(fleet):
    nearly_ended(fleet)
    before = {role: fleet.publisher.metadata(role)["signed"] for role in ("root", "targets")}
    fleet.attack()  # a mirror that stays behind
    fleet.desk.follow("renewal.md")
    assert fleet.fooled.update() == CURRENT
    for role, was in before.items():
        now = fleet.publisher.metadata(role)["signed"]
        assert now["version"] == was["version"] + 1
        assert days_left(was) <= 20 and days_left(now) >= 539
    fleet.ends_right(n_rotations=2)


def test_keys_to_holders(fleet):
    """Nothing signs root any more where the repository is, and every holder has."""
    fleet.attack()
    fleet.desk.follow("keys-to-holders.md")
    assert not list(fleet.publisher.keys.glob("*/root-*.key.json"))
    root = fleet.publisher.metadata("root")
    assert len(root["signatures"]) == 3 and root["signed"]["version"] == 6
    assert fleet.fooled.update() == CURRENT
    fleet.ends_right()


def test_rotate_online_keys(fleet):
    before = fleet.publisher.metadata("root")["signed"]["roles"]
    with_old_keys = fleet.attack().publisher.keys  # as on a timer's machine that was forgotten
    fleet.desk.follow("rotate-online-keys.md")
    now = fleet.publisher.metadata("root")["signed"]["roles"]
    for role in ("snapshot", "timestamp"):
        assert not set(now[role]["keyids"]) & set(before[role]["keyids"])
    assert fleet.fooled.update() == CURRENT
    timestamp = fleet.publisher.newest_file("timestamp").read_bytes()
    sentence = programs.refused("holdfastctl", "refresh", "--repo", fleet.publisher.repo,
                                "--keys", with_old_keys)
    programs.says(sentence, "holds 0 of the 1 timestamp keys that root 6 asks for")
    assert fleet.publisher.newest_file("timestamp").read_bytes() == timestamp
    fleet.ends_right()


@pytest.mark.parametrize("role, other", [("snapshot", "timestamp"), ("timestamp", "snapshot")])
def test_rotate_one_online_key(fleet, role, other):
    """"For one role alone, leave out the lines of the other"."""
    before = role_keys(fleet)
    fleet.attack()
    lines = commands("rotate-online-keys.md").splitlines(True)
    fleet.desk.run("".join(line for line in lines if f"/{other}-" not in line))
    now = role_keys(fleet)
    assert now[other] == before[other] and not set(now[role]) & set(before[role])
    assert fleet.fooled.update() == CURRENT
    fleet.ends_right()


def test_rotate_targets_keys(fleet):
    before = role_keys(fleet)["targets"]
    fleet.attack()
    fleet.desk.follow("rotate-targets-keys.md", "here")
    assert len(role_keys(fleet)["targets"]) == 1 and role_keys(fleet)["targets"] != before
    assert fleet.fooled.update() == CURRENT
    fleet.ends_right()


def test_rotate_targets_keys_on_several_machines(fleet):
    """Neither the old nor the new key ever lies where the repository is."""
    old, new = (fleet.folder / name for name in ("old", "new"))
    for holder in (old, new):
        holder.mkdir(mode=0o700)
    offline = fleet.publisher.keys / "offline"
    (offline / "targets-1.key.json").rename(old / "targets-1.key.json")
    before = role_keys(fleet)["targets"]
    fleet.attack()
    said = fleet.desk.follow("rotate-targets-keys.md", "elsewhere", OLD=old, NEW=new)
    assert "retries at its next check" not in said  # no device saw anything to refuse
    assert len(role_keys(fleet)["targets"]) == 1 and role_keys(fleet)["targets"] != before
    assert [f.name for f in offline.glob("targets*")] == []
    assert fleet.fooled.update() == CURRENT
    (new / "targets-new.key.json").rename(offline / "targets-1.key.json")  # to publish the next
    fleet.ends_right()


def test_replace_root_keys(fleet):
    """All three of them, one at a time; the one asleep sleeps through seven rotations."""
    before = role_keys(fleet)["root"]
    fleet.attack()
    for number in (1, 2, 3):
        fleet.desk.follow("replace-root-keys.md", N=number)
        assert fleet.online.update() == CURRENT
        assert len(role_keys(fleet)["root"]) == 3
    assert not set(role_keys(fleet)["root"]) & set(before)
    assert fleet.fooled.update() == CURRENT
    fleet.ends_right(n_rotations=3)


@pytest.mark.parametrize("role, half, more, less", [("root", "offline", 3, 2),
                                                    ("targets", "offline", 2, 1),
                                                    ("timestamp", "online", 2, 1)])
def test_change_threshold(fleet, role, half, more, less):
    """Raised, looked at by the one that is online, and lowered."""
    fleet.attack()
    names = {"ROLE": role, "HALF": half, "MORE": more, "LESS": less}
    fleet.desk.follow("change-threshold.md", "raise", **names)
    assert fleet.publisher.metadata("root")["signed"]["roles"][role]["threshold"] == more
    assert len(fleet.publisher.metadata(role)["signatures"]) >= more
    assert fleet.online.update() == CURRENT
    fleet.desk.follow("change-threshold.md", "lower", **names)
    assert fleet.publisher.metadata("root")["signed"]["roles"][role]["threshold"] == less
    assert fleet.fooled.update() == CURRENT
    fleet.ends_right(n_rotations=2)


def test_keys_in_tokens(fleet, monkeypatch):
    hsm = SoftHsm(fleet.folder, monkeypatch, labels=("alice", "bob", "desk", "timer"))
    fleet.attack()
    fleet.desk.follow("keys-in-tokens.md", ALICE=hsm.uri("root-a"), BOB=hsm.uri("root-b", "bob"),
                      DESK=hsm.uri("targets-a", "desk"), TIMER=hsm.uri("timestamp-a", "timer"))
    assert fleet.fooled.update() == CURRENT
    root = fleet.publisher.metadata("root")["signed"]
    assert [root["keys"][k]["scheme"] for k in root["roles"]["root"]["keyids"]] == [
        "ed25519", "ed25519", "ecdsa-sha2-nistp256"]
    fleet.ends_right()


def test_lost_key(fleet):
    fleet.attack()
    fleet.desk.follow("lost-key.md")
    assert fleet.fooled.update() == CURRENT
    fleet.ends_right()
