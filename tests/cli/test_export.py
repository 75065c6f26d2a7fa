"""holdfast export: the trust store as a file for other programs."""
import os
import stat

import agent
import pytest


@pytest.fixture
def root():
    return agent.Root("A")


@pytest.fixture
def device(tmp_path, root):
    return agent.Device(tmp_path).init_with_roots(root.pem)


def export(device, *args, **how):
    return agent.ok("--state", device.state, "export", *args, **how)


def certificate_of(text):
    """Without the comment lines."""
    begin = "-----BEGIN CERTIFICATE-----"
    assert text.count(begin) == 1
    return text[text.index(begin):]


def test_the_file_holds_the_store_for_everybody_to_read(device, root):
    file = device.folder / "out.pem"
    file.write_text("old")
    os.chmod(file, 0o600)
    assert export(device, "--out", file) == ""
    assert certificate_of(file.read_text()) == root.pem
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert device.status()["export"] is None


def test_minus_is_standard_output(device, root):
    assert certificate_of(export(device, "--out", "-")) == root.pem


def test_a_relative_name_is_kept_absolute(device):
    export(device, "--out", "out.pem", "--keep", cwd=device.folder)
    assert (device.folder / "out.pem").exists()
    assert device.status()["export"] == str(device.folder / "out.pem")


def test_even_an_update_that_fails_makes_up_for_a_lost_export(device, root):
    file = device.folder / "out.pem"
    export(device, "--out", file, "--keep")
    for lose in (file.unlink, lambda: file.write_text("tampered with")):
        lose()
        agent.refused("--state", device.state, "update")
        assert certificate_of(file.read_text()) == root.pem


def test_a_folder_that_is_not_there_is_named_and_not_remembered(device):
    sentence = agent.refused("--state", device.state, "export", "--keep", "--out",
                             device.folder / "none" / "out.pem")
    assert "none/out.pem: No such file or directory" in sentence
    assert device.status()["export"] is None


def link_to_an_open_file(path):
    """As /dev/stdout is one while standard output is redirected to a file."""
    fd = os.open(path.parent / "redirected", os.O_CREAT | os.O_RDWR)
    path.symlink_to(f"/proc/{os.getpid()}/fd/{fd}")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, link_to_an_open_file, lambda path: path.symlink_to("/dev/full")])
@pytest.mark.parametrize("command", [["export", "--out"], ["export", "--keep", "--out"], ["export", "--root"],
                                     ["config", "set", "export"]])
def test_what_is_no_file_is_not_replaced(device, make, command):
    path = device.folder / "out"
    make(path)
    before = os.lstat(path)
    assert f"{path} is not a regular file" in agent.refused("--state", device.state, *command, path)
    assert (os.lstat(path).st_ino, os.lstat(path).st_mode) == (before.st_ino, before.st_mode)
    assert device.status()["export"] is None


def test_nothing_to_export_is_said_and_makes_no_file(tmp_path):
    device = agent.Device(tmp_path).init()
    assert "bundle" in agent.refused("--state", device.state, "export", "--out", tmp_path / "x.pem")
    assert not (tmp_path / "x.pem").exists()


def test_a_damaged_database_does_not_keep_the_store_from_being_exported(device, root):
    device.database.write_text("garbage")
    device.copy.write_text("garbage")
    assert certificate_of(export(device, "--out", "-")) == root.pem
