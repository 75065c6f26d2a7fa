"""A publisher gone wrong: metadata changed by hand and signed, or not, with the publisher's keys.

Works on a repository whose keys lie open (--insecure-no-passphrase).
"""
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PARENTS = {"targets": "snapshot", "snapshot": "timestamp"}


def canonical(value):
    """OLPC canonical JSON for what TUF metadata holds: no floats, sorted, nothing escaped in vain."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Forge:
    def __init__(self, publisher):
        self.publisher = publisher
        self.metadata = publisher.repo / "metadata"
        self.root = publisher.metadata("root")["signed"]
        self.seeds = {}
        for file in publisher.keys.glob("*/*.key.json"):
            key = json.loads(file.read_text())
            if "seed" in key:  # what lies in a token cannot be stolen with the folder
                self.seeds[key["public"]] = bytes.fromhex(key["seed"])

    def key_ids(self, role):
        return self.root["roles"][role]["keyids"]

    def signature(self, key_id, signed):
        public = self.root["keys"][key_id]["keyval"]["public"]
        private = Ed25519PrivateKey.from_private_bytes(self.seeds[public])
        return {"keyid": key_id, "sig": private.sign(canonical(signed)).hex()}

    def file_name(self, role, version):
        return "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"

    def write(self, role, signed, key_ids=None):
        """Sign with these keys (all of the role's) and put it in place. Returns the bytes."""
        key_ids = self.key_ids(role) if key_ids is None else key_ids
        envelope = {"signatures": [self.signature(k, signed) for k in key_ids], "signed": signed}
        content = json.dumps(envelope).encode()
        (self.metadata / self.file_name(role, signed["version"])).write_bytes(content)
        return content

    def change(self, role, edit=lambda signed: None, key_ids=None):
        """The next version of a role after `edit`, and of every role above it."""
        signed = self.publisher.metadata(role)["signed"]
        signed["version"] += 1
        edit(signed)
        content = self.write(role, signed, key_ids)
        if role in PARENTS:
            self.change(PARENTS[role], lambda parent: self._name(parent, role, signed, content))

    @staticmethod
    def _name(parent, role, signed, content):
        meta = {"version": signed["version"], "length": len(content),
                "hashes": {"sha256": sha256(content)}}
        parent["meta"][f"{role}.json"] = meta

    def add_bundle(self, version, pem, set_name="amazon-iot", profile="full"):
        """List any bytes as a bundle, with hash and length that are right."""
        path = f"{set_name}/{profile}/{version}.pem"
        digest = sha256(pem)
        file = self.publisher.repo / "targets" / set_name / profile / f"{digest}.{version}.pem"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pem)
        custom = {"holdfast": {"set": set_name, "profile": profile, "version": version}}
        target = {"length": len(pem), "hashes": {"sha256": digest}, "custom": custom}
        self.change("targets", lambda signed: signed["targets"].update({path: target}))
        return file

    def bundle_file(self, version, set_name="amazon-iot", profile="full"):
        folder = self.publisher.repo / "targets" / set_name / profile
        return next(folder.glob(f"*.{version}.pem"))
