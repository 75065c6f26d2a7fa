"""holdfast journal: what has happened, newest first."""
import json

import agent
import pytest


@pytest.fixture
def device(tmp_path):
    return agent.Device(tmp_path).init("--device-id", "test")


def journal(device, *options):
    return agent.ok("--state", device.state, "journal", *options)


def test_newest_first_for_people(device):
    sentence = agent.refused("--state", device.state, "update").removeprefix("holdfast: ")
    newest, oldest = journal(device).splitlines()
    assert newest.endswith(f" error   failed     {sentence}")
    assert oldest.endswith(" info    init       initialised with root metadata 1")
    assert journal(device, "--lines", "1") == newest + "\n"


def test_and_for_programs(device):
    agent.refused("--state", device.state, "update")
    lines = json.loads(journal(device, "--json"))
    assert [(line["level"], line["kind"]) for line in lines] == [("error", "failed"), ("info", "init")]
    assert all(set(line) == {"time", "level", "kind", "text"} for line in lines)
    assert json.loads(journal(device, "--json", "-n", "1")) == lines[:1]


def test_it_writes_nothing(device):
    before = agent.tree(device.state)
    journal(device)
    assert agent.tree(device.state) == before


def test_a_damaged_database_without_its_copy_is_said(tmp_path):
    device = agent.Device(tmp_path).init_with_roots(agent.Root("A").pem)
    device.copy.unlink()
    content = bytearray(device.database.read_bytes())
    content[:64] = bytes(64)
    device.database.write_bytes(content)
    assert "holdfast.db is damaged" in agent.refused("--state", device.state, "journal")


def test_a_folder_that_was_never_initialised_is_said(tmp_path):
    assert "is not initialised" in agent.refused("--state", tmp_path / "none", "journal")
