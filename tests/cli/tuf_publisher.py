"""A TUF repository on disk, made independently of holdfastctl: one Ed25519 key for each role,
consistent snapshots, every file by rename, timestamp.json last."""
import hashlib
import json
import os
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DAY_S = 86400


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Key:
    def __init__(self):
        self.private = Ed25519PrivateKey.generate()
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw.hex()}}
        self.id = hashlib.sha256(canonical(self.public)).hexdigest()

    def sign(self, signed):
        return {"keyid": self.id, "sig": self.private.sign(canonical(signed)).hex()}


def when(days):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * DAY_S))


def write_whole(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".tmp", "wb") as f:
        f.write(data)
    os.rename(path + ".tmp", path)


class Repository:
    """`publish()` signs what `targets` holds ({path: content}) as the next version. `days`, by role,
    is how long metadata is good."""

    def __init__(self, folder, days=()):
        self.folder = str(folder)
        self.keys = {role: Key() for role in ("root", "timestamp", "snapshot", "targets")}
        self.versions = {role: 0 for role in self.keys}
        self.days = {"root": 365, "targets": 90, "snapshot": 30, "timestamp": 1, **dict(days)}
        self.targets = {}
        self.publish_root()

    def path(self, name):
        return os.path.join(self.folder, *name.split("/"))

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def put(self, name, data):
        write_whole(self.path(name), data)

    def build(self, role, fields):
        self.versions[role] += 1
        signed = {"_type": role, "spec_version": "1.0.34", "version": self.versions[role],
                  "expires": when(self.days[role]), **fields}
        return json.dumps({"signed": signed, "signatures": [self.keys[role].sign(signed)]},
                          indent=1).encode()

    def publish_root(self):
        fields = {"consistent_snapshot": True,
                  "keys": {k.id: k.public for k in self.keys.values()},
                  "roles": {r: {"keyids": [k.id], "threshold": 1} for r, k in self.keys.items()}}
        data = self.build("root", fields)
        self.put(f"metadata/{self.versions['root']}.root.json", data)

    def target_name(self, path, content):
        folder, _, base = path.rpartition("/")
        hashed = f"{hashlib.sha256(content).hexdigest()}.{base}"
        return "targets/" + (f"{folder}/{hashed}" if folder else hashed)

    def build_all(self):
        """The next version as [(name, bytes)], in the order in which it may be written."""
        described = {path: {"length": len(c), "hashes": {"sha256": hashlib.sha256(c).hexdigest()}}
                     for path, c in self.targets.items()}
        files = [(self.target_name(p, c), c) for p, c in self.targets.items()]
        targets = self.build("targets", {"targets": described})
        snapshot = self.build("snapshot", {"meta": {"targets.json": {
            "version": self.versions["targets"], "length": len(targets)}}})
        timestamp = self.build("timestamp", {"meta": {"snapshot.json": {
            "version": self.versions["snapshot"], "length": len(snapshot),
            "hashes": {"sha256": hashlib.sha256(snapshot).hexdigest()}}}})
        return files + [(f"metadata/{self.versions['targets']}.targets.json", targets),
                        (f"metadata/{self.versions['snapshot']}.snapshot.json", snapshot),
                        ("metadata/timestamp.json", timestamp)]

    def publish(self):
        for name, data in self.build_all():
            if not (name.startswith("targets/") and os.path.exists(self.path(name))):
                self.put(name, data)
