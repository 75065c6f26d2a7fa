"""A bundle that rolls out, and those who may let it go on."""
import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit import roots
from kit.publisher import Publisher
from kit.signer import encoded

ROLE = "rollout-amazon-iot"
PATH = "amazon-iot/full/2.pem"
PLAN = {"stages": [{"share": "0.1%", "bake": "1h"}, {"share": "10%", "bake": "1h"}, {"share": "100%"}],
        "mandatory_after": "30d"}


class Approver:
    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(serialization.Encoding.Raw,
                                                         serialization.PublicFormat.Raw)

    def approve(self, since, stage, state="open", sha256="", path=PATH):
        text = (f"holdfast rollout approval\npath: {path}\nsha256: {sha256}\nsince: {since}\n"
                f"stage: {stage}\nstate: {state}\n")
        return {"approver": encoded(self.public), "signature": encoded(self.key.sign(text.encode()))}


class RolloutPublisher(Publisher):
    """Version 1 without a plan, and version 2, which waits for its first stage."""

    def __init__(self, folder, **plan):
        super().__init__(folder, "--rollout", "amazon-iot")
        self.plan_file = folder / "plan.json"
        self.add(*roots.amazon(1))
        self.add_planned(*roots.amazon(1, 2), **plan)

    def add_planned(self, *certificates, profile="full", **plan):
        self.plan_file.write_text(json.dumps({**PLAN, **plan}))
        self.add(*certificates, profile=profile, options=["--plan", self.plan_file])

    def sha256(self, path=PATH):
        return self.metadata("targets")["signed"]["targets"][path]["hashes"]["sha256"]

    @property
    def role_version(self):
        """As published: a power cut leaves files of higher numbers that nothing names."""
        snapshot = self.metadata("timestamp")["signed"]["meta"]["snapshot.json"]["version"]
        named = json.loads((self.repo / "metadata" / f"{snapshot}.snapshot.json").read_text())
        return named["signed"]["meta"][f"{ROLE}.json"]["version"]

    def activation(self, path=PATH):
        """What is signed of that bundle; None: nothing yet."""
        role = json.loads((self.repo / "metadata" / f"{self.role_version}.{ROLE}.json").read_text())
        entry = role["signed"]["targets"].get(path)
        return entry and entry["custom"]["holdfast"]["activation"]
