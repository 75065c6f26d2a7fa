"""holdfast reset: a factory reset, and export --root for firmware that has one of its own."""
import json
import os
import pty
import stat
import subprocess

import agent
import pytest


@pytest.fixture
def old():
    return agent.Root("Old")


@pytest.fixture
def device(tmp_path, old):
    return agent.Device(tmp_path).init_with_roots(old.pem)


def reset(device, *args):
    return agent.ok("--state", device.state, "reset", *args)


def roots(device):
    return [r["sha256"] for r in device.status()["active"]["roots"]]


def test_without_a_bundle_the_active_one_stays(device, old):
    before = device.status()
    said = reset(device, "--yes")
    assert said == f"reset {device.state}; holdfast update fetches what it forgot\n"
    after = device.status()
    assert after["active"] == before["active"] and after["active"]["version"] == 0
    assert after["metadata"]["root"] == before["metadata"]["root"]
    assert after["clock_floor"] == before["clock_floor"]
    assert (after["set"], after["mirrors"]) == (before["set"], before["mirrors"])


def test_factory_bundle_takes_its_place(device, old, tmp_path):
    new = agent.Root("New")
    factory = tmp_path / "new.pem"
    factory.write_text(new.pem)
    reset(device, "--bundle", factory, "--yes")
    assert roots(device) == [new.sha256]
    assert device.status()["previous"]["roots"][0]["sha256"] == old.sha256


def test_export_follows(tmp_path, old):
    export = tmp_path / "roots.pem"
    device = agent.Device(tmp_path).init_with_roots(old.pem, options=["--export", export])
    new = agent.Root("New")
    factory = tmp_path / "new.pem"
    factory.write_text(new.pem)
    reset(device, "--bundle", factory, "--yes")
    assert new.pem in export.read_text()


def test_export_follows_also_where_the_database_cannot_be_copied(tmp_path, old):
    export = tmp_path / "roots.pem"
    device = agent.Device(tmp_path).init_with_roots(old.pem, options=["--export", export])
    new = agent.Root("New")
    factory = tmp_path / "new.pem"
    factory.write_text(new.pem)
    device.copy.unlink()
    device.copy.mkdir()
    sentence = agent.refused("--state", device.state, "reset", "--bundle", factory, "--yes")
    assert "this device is reset, but the database's copy is not up to date" in sentence
    assert roots(device) == [new.sha256]
    assert new.pem in export.read_text()


@pytest.mark.parametrize("content, says", [
    (b"", "is empty"), (b"no PEM", "the factory bundle"), (None, "--bundle: ")])
def test_bad_bundle_changes_nothing(device, tmp_path, content, says):
    factory = tmp_path / "bad.pem"
    if content is not None:
        factory.write_bytes(content)
    before = device.status()["active"]
    sentence = agent.refused("--state", device.state, "reset", "--bundle", factory, "--yes")
    assert says in sentence
    assert device.status()["active"] == before


def test_nobody_to_ask_is_wrong_usage(device):
    before = agent.tree(device.state)
    sentence = agent.refused("--state", device.state, "reset", code=2)
    assert "pass `--yes` to confirm" in sentence
    assert agent.tree(device.state) == before


def answered(device, answer):
    """What becomes of a reset that is asked for at a terminal."""
    try:
        master, slave = pty.openpty()
    except OSError as none:
        pytest.skip(f"this system has no pseudo-terminals: {none}")
    with subprocess.Popen([agent.BIN / "holdfast", "--state", device.state, "reset"], stdin=slave,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=agent.environment()) as process:
        os.write(master, answer)
        out, err = process.communicate(timeout=agent.TIMEOUT_S)
    os.close(slave)
    os.close(master)
    return process.returncode, out, err


def test_terminal_is_asked(device):
    before = agent.tree(device.state)
    for no in (b"\n", b"y\n", b"yesterday\n", b"\x04"):
        code, out, err = answered(device, no)
        assert (code, out) == (1, "")
        assert "Type yes to go on" in err and "nothing was changed" in err
        assert agent.tree(device.state) == before
    code, out, _ = answered(device, b"yes\n")
    assert code == 0 and out.startswith("reset ")


def test_device_that_was_never_initialised(tmp_path):
    agent.refused("--state", tmp_path / "none", "reset", "--yes")
    assert not (tmp_path / "none").exists()


# ---- the root metadata beside ---------------------------------------------------------------------


def test_root_is_exported_as_it_was_signed(device, tmp_path):
    file = tmp_path / "kept.json"
    assert agent.ok("--state", device.state, "export", "--root", file) == ""
    with open(device.root, "rb") as first:
        assert file.read_bytes() == first.read()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_both_at_once(device, tmp_path, old):
    root, out = tmp_path / "kept.json", tmp_path / "roots.pem"
    agent.ok("--state", device.state, "export", "--root", root, "--out", out)
    assert old.pem in out.read_text()
    assert json.loads(root.read_text())["signed"]["_type"] == "root"


def test_wiped_device_begins_with_what_was_exported(device, tmp_path, old):
    kept = tmp_path / "kept.json"
    agent.ok("--state", device.state, "export", "--root", kept)
    other = agent.Device(tmp_path / "other")
    other.init(root=kept)
    assert other.status()["metadata"]["root"] == device.status()["metadata"]["root"]
