"""Run the holdfast program for real, against a state folder of its own."""
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization

import net_pki
import tuf_publisher

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("HOLDFAST_BIN", CHECKOUT / "build" / "bin"))
TIMEOUT_S = 60
NOBODY = 65534
NOWHERE = "http://127.0.0.1:1"  # tcpmux: nothing listens there


@dataclass
class Outcome:
    code: int
    out: str
    err: str


def environment():
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return dict(env, TZ="UTC")


def run(*args, **how):
    how.setdefault("env", environment())
    done = subprocess.run([str(BIN / "holdfast"), *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT_S, **how)
    return Outcome(done.returncode, done.stdout, done.stderr)


def ok(*args, **how):
    """It succeeds without a word on standard error; returns what it printed."""
    outcome = run(*args, **how)
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.out


def refused(*args, code=1, **how):
    """It fails with one sentence and nothing on standard output; returns the sentence."""
    outcome = run(*args, **how)
    assert (outcome.code, outcome.out) == (code, ""), outcome
    assert outcome.err.startswith("holdfast") and outcome.err.count("\n") == 1, outcome.err
    return outcome.err.rstrip("\n")


def tree(top):
    """Every file, folder and link at and below `top`: mode and content. Not the content of SQLite's shared
    memory, which each first open of the database rebuilds, for reading too."""
    top = Path(top)
    seen = {}
    for path in [top, *sorted(top.rglob("*"))] if top.exists() else []:
        is_read = path.is_file() and path.name != "holdfast.db-shm"
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if is_read else None
        seen[str(path)] = (path.lstat().st_mode, what)
    return seen


class Root:
    """A certificate authority, as a factory bundle holds it."""

    def __init__(self, name, **dates):
        self.cert = net_pki.Authority(name, **dates).cert
        self.pem = self.cert.public_bytes(serialization.Encoding.PEM).decode()
        self.sha256 = self.cert.fingerprint(hashes.SHA256()).hex()
        spki = self.cert.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(spki)
        self.spki_sha256 = digest.finalize().hex()


class Device:
    """A state folder, and what it takes to make one."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "device"
        repository = tuf_publisher.Repository(folder / "repository")
        self.root = repository.path("metadata/1.root.json")

    def init_args(self, *options, url=NOWHERE, set_name="roots", profile="full", root=None):
        return ["--state", self.state, "init", "--root", root or self.root, "--url", url, "--set",
                set_name, "--profile", profile, *options]

    def init(self, *options, **how):
        ok(*self.init_args(*options, **how))
        return self

    def init_with_roots(self, *pems, options=()):
        factory = self.folder / "factory.pem"
        factory.write_text("".join(pems))
        return self.init("--bundle", factory, "--device-id", "test", *options)

    def refuses_init(self, *options, code=1, **how):
        """Nothing is made and nothing is left."""
        before = tree(self.folder)
        sentence = refused(*self.init_args(*options, **how), code=code)
        assert tree(self.folder) == before
        return sentence

    def status(self):
        return json.loads(ok("--state", self.state, "status", "--json"))

    @property
    def database(self):
        return self.state / "holdfast.db"

    @property
    def copy(self):
        """What takes its place when it is damaged."""
        return self.state / "holdfast.db.backup"
