"""Attacks that need real sockets: the holdfast program against servers that mean it no good."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))

import pytest

import hostile


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    made = hostile.World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture
def scene(world, tmp_path):
    """A device that holds bundle 1 and is about to hear of bundle 2."""
    return hostile.Scene(world, tmp_path)
