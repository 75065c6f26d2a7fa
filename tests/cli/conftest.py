"""Shared fixtures: a folder for other users, a publisher, and some roots of its own."""
import os
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import ctl


@pytest.fixture
def open_folder():
    """Other users can reach it. Each start of pytest closes its own folders to them again."""
    with tempfile.TemporaryDirectory(prefix="holdfast-cli-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


@pytest.fixture
def p(tmp_path):
    return ctl.Publisher(tmp_path)


@pytest.fixture
def root(tmp_path):
    return lambda name, **how: ctl.Root(tmp_path, name, **how)


@pytest.fixture
def a(root):
    return root("Root A")


@pytest.fixture
def b(root):
    return root("Root B")


@pytest.fixture
def r(root):
    return root("Root RSA", key=rsa.generate_private_key(65537, 2048))
