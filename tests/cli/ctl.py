"""Run holdfastctl for real, and compare what lies on disk before and after."""
import ctypes
import datetime
import glob
import hashlib
import json
import os
import pty
import re
import struct
import subprocess
import termios
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

import json_schema
import net_pki

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("HOLDFAST_BIN", CHECKOUT / "build" / "bin"))
TIMEOUT_S = 60
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None, microsecond=0)

# The tables of known roots age while the tests stay as they are: 1 warning of lint when they are old.
AS_OF = min(re.search(r"^as-of (.+)$", file.read_text(), re.M)[1]
            for file in (CHECKOUT / "deploy" / "roots").glob("*.txt"))
N_OLD_TABLES = int(NOW > datetime.datetime.fromisoformat(AS_OF) + 182 * DAY)


@dataclass
class Outcome:
    code: int
    out: str
    err: str


def environment(at=None):
    """`at`: "+30d" or "2027-01-01 00:00:00", the time that the program sees."""
    env = dict(os.environ, TZ="UTC")
    if at is None:
        return env
    library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not library:
        pytest.skip("libfaketime is not installed")
    env.update(LD_PRELOAD=library[0], FAKETIME=at, FAKETIME_DONT_FAKE_MONOTONIC="1")
    # AddressSanitizer wants to be loaded first and is not; it works all the same.
    env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return env


def run(*args, at=None, **how):
    done = subprocess.run([str(BIN / "holdfastctl"), *map(str, args)], env=environment(at),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=TIMEOUT_S, **how)
    return Outcome(done.returncode, done.stdout, done.stderr)


def ok(*args, **how):
    """It succeeds, without a word on standard error; returns what it printed."""
    outcome = run(*args, **how)
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.out


def report(schema, *args, **how):
    """What it prints with --json, validated with schema/SCHEMA.schema.json."""
    found = json.loads(ok(*args, "--json", **how))
    json_schema.check(found, f"{schema}.schema.json")
    return found


def refused(*args, code=1, **how):
    """It fails with one sentence and nothing on standard output; returns the sentence."""
    outcome = run(*args, **how)
    assert (outcome.code, outcome.out) == (code, ""), outcome
    assert outcome.err.startswith("holdfastctl") and outcome.err.count("\n") == 1, outcome.err
    return outcome.err.rstrip("\n").split(": ", 1)[1]


def tree(*folders):
    """Every file, folder and link below `folders`: mode and content. The lock file is no content."""
    seen = {}
    for top in folders:
        for path in sorted(Path(top).rglob("*")):
            if path.name == ".lock":
                continue
            what = path.read_bytes() if path.is_file() else None
            seen[str(path)] = (path.lstat().st_mode, what)
    return seen


class Publisher:
    """A repository and its keys in one folder; open keys unless options say otherwise."""

    def __init__(self, folder, *options, at=None):
        self.folder = folder
        self.repo = folder / "repo"
        self.keys = folder / "keys"
        self.offline = self.keys / "offline"
        self.online = self.keys / "online"
        self.options = options or ("--insecure-no-passphrase",)
        ok("init", *self.place, *self.options, at=at)

    @property
    def place(self):
        return ["--repo", self.repo, "--keys", self.keys]

    def add_args(self, *args, set_name="roots", profile="full", again=True):
        """Roots of a test are pinned, and their short lives and abrupt changes accepted. Tests want a
        new version each time, also of the same roots."""
        return ["bundle", "add", *self.place, "--set", set_name, "--profile", profile,
                *net_pki.pins(*args), "--lead", "0", "--accept", "no-overlap",
                *(["--again"] if again else []), *args]

    def add(self, *args, at=None, **names):
        return ok(*self.add_args(*args, **names), at=at)

    def refuses(self, *args, code=1, at=None):
        """The command is refused and nothing at all has changed; returns the sentence."""
        before = tree(self.repo, self.keys)
        sentence = refused(*args, code=code, at=at)
        assert tree(self.repo, self.keys) == before
        return sentence

    def refuses_to_add(self, *args, code=1, at=None, **names):
        return self.refuses(*self.add_args(*args, **names), code=code, at=at)

    def check(self, *options, at=None):
        return report("check-report", "check", "--repo", self.repo, *options, at=at)

    def newest(self, set_name="roots", profile="full"):
        """The newest bundle as `check` sees it."""
        found = [b for b in self.check()["bundles"]
                 if b["newest"] and (b["set"], b["profile"]) == (set_name, profile)]
        assert len(found) == 1
        return found[0]

    def metadata(self, role):
        """The newest file of a role on disk."""
        folder = self.repo / "metadata"
        if role == "timestamp":
            return json.loads((folder / "timestamp.json").read_text())
        newest = max(folder.glob(f"*.{role}.json"), key=lambda f: int(f.name.split(".")[0]))
        return json.loads(newest.read_text())

    def versions(self):
        return {role: self.metadata(role)["signed"]["version"]
                for role in ("root", "targets", "snapshot", "timestamp")}

    def description(self):
        """custom.holdfast of the newest bundle of roots/full."""
        listed = self.metadata("targets")["signed"]["targets"]
        return max((t["custom"]["holdfast"] for p, t in listed.items() if p.startswith("roots/full/")),
                   key=lambda d: d["version"])


def fingerprint(cert_der):
    return hashlib.sha256(cert_der).hexdigest()


class Root(net_pki.Authority):
    """A CA of today, in a file."""

    def __init__(self, folder, common_name, issuer=None, start=NOW - 10 * DAY, end=NOW + 3650 * DAY,
                 key=None):
        super().__init__(common_name, issuer, start, end, key)
        self.file = folder / f"{common_name}-{self.sha256[:8]}.pem"
        net_pki.write_pem(self.file, self.cert)

    @property
    def der(self):
        return self.cert.public_bytes(serialization.Encoding.DER)

    @property
    def sha256(self):
        return net_pki.fingerprint(self.cert)

    @property
    def spki_sha256(self):
        spki = self.key.public_key().public_bytes(serialization.Encoding.DER,
                                                  serialization.PublicFormat.SubjectPublicKeyInfo)
        return fingerprint(spki)


def open_terminal():
    """(ours, the program's) ends of one; a system without /dev/pts has none to give."""
    try:
        return pty.openpty()
    except OSError as none:
        pytest.skip(f"this system has no pseudo-terminals: {none}")


class Terminal:
    """Run with a terminal as standard input; standard error is the same terminal."""

    def __init__(self, *args):
        self.master, slave = open_terminal()
        self.process = subprocess.Popen([str(BIN / "holdfastctl"), *map(str, args)],
                                        env=environment(), stdin=slave, stderr=slave,
                                        stdout=subprocess.PIPE, text=True)
        os.close(slave)
        self.seen = ""

    def expect(self, text):
        while text not in self.seen:
            try:
                chunk = os.read(self.master, 4096).decode()
            except OSError:  # the other side is closed
                chunk = ""
            assert chunk, f"ended without {text!r}: {self.seen}"
            self.seen += chunk

    def type(self, text):
        os.write(self.master, text.encode())

    def is_echoing(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def end(self):
        """(exit code, standard output); what was on the terminal is in `seen`."""
        out, _ = self.process.communicate(timeout=TIMEOUT_S)
        try:
            while chunk := os.read(self.master, 4096).decode():
                self.seen += chunk
        except OSError:
            pass
        is_echoing = self.is_echoing()
        os.close(self.master)
        assert is_echoing, "the terminal was left silent"
        return self.process.returncode, out


class Watch:
    """inotify on a folder: was it, or a file in it, opened or read?"""

    OPENED = 0x20 | 0x01  # IN_OPEN | IN_ACCESS

    def __init__(self, folder):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_NONBLOCK)
        assert self.fd >= 0
        assert self.libc.inotify_add_watch(self.fd, os.fsencode(folder), self.OPENED) >= 0

    def end(self):
        """Names of what was opened; "" is the folder itself."""
        names = []
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            data = b""
        os.close(self.fd)
        while data:
            _, _, _, length = struct.unpack("iIII", data[:16])
            names.append(data[16:16 + length].rstrip(b"\0").decode())
            data = data[16 + length:]
        return names
