"""python-tuf (README.md says where it comes from): its client, and a repository that is made with its
metadata API and keys of every kind."""
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import Key, Signature, Signer
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater

ROLES = ("root", "timestamp", "snapshot", "targets")


def updater(folder, root_file, url):
    """python-tuf's client as a device that knows the first root, and what it kept in `folder`."""
    metadata, targets = folder / "metadata", folder / "targets"
    is_new = not metadata.exists()
    for part in (metadata, targets):
        part.mkdir(parents=True, exist_ok=True)
    root = root_file.read_bytes()
    places = (str(metadata), f"{url}/metadata/", str(targets), f"{url}/targets/")
    try:
        return Updater(*places, bootstrap=root)
    except TypeError:  # before version 6 the first root is a file
        if is_new:
            (metadata / "root.json").write_bytes(root)
        return Updater(*places)


# Making an RSA key takes a second: a few serve in turn.
_rsa_keys = []


def _rsa_key():
    if len(_rsa_keys) < 3:
        _rsa_keys.append(rsa.generate_private_key(65537, 2048))
    else:
        _rsa_keys.append(_rsa_keys.pop(0))
    return _rsa_keys[-1]


def _pem(public):
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class AnySigner(Signer):
    """A key of one of TUF's kinds that signs with python3-cryptography."""

    def __init__(self, kind):
        self.kind = kind
        make = {"ed25519": self._ed25519, "p256": self._p256, "p384": self._p384,
                "rsa-pss": self._rsa_pss, "rsa-pkcs1": self._rsa_pkcs1}
        self._sign, keytype, scheme, public = make[kind]()
        self._key = Key.from_dict(os.urandom(32).hex(), {"keytype": keytype, "scheme": scheme,
                                                         "keyval": {"public": public}})

    @staticmethod
    def _ed25519():
        private = ed25519.Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        return private.sign, "ed25519", "ed25519", public

    @staticmethod
    def _p256():
        private = ec.generate_private_key(ec.SECP256R1())
        return (lambda data: private.sign(data, ec.ECDSA(hashes.SHA256())), "ecdsa",
                "ecdsa-sha2-nistp256", _pem(private.public_key()))

    @staticmethod
    def _p384():
        private = ec.generate_private_key(ec.SECP384R1())
        return (lambda data: private.sign(data, ec.ECDSA(hashes.SHA384())), "ecdsa",
                "ecdsa-sha2-nistp384", _pem(private.public_key()))

    @staticmethod
    def _rsa_pss():
        private = _rsa_key()
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
        return (lambda data: private.sign(data, pss, hashes.SHA256()), "rsa",
                "rsassa-pss-sha256", _pem(private.public_key()))

    @staticmethod
    def _rsa_pkcs1():
        private = _rsa_key()
        return (lambda data: private.sign(data, padding.PKCS1v15(), hashes.SHA256()), "rsa",
                "rsa-pkcs1v15-sha256", _pem(private.public_key()))

    @property
    def public_key(self):
        return self._key

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri, public_key, secrets_handler=None):
        raise NotImplementedError

    def sign(self, payload):
        return Signature(self._key.keyid, self._sign(payload).hex())


class TufRepository:
    """A repository with consistent snapshots; `kinds` is the kind of key of each role."""

    def __init__(self, folder, kinds):
        self.folder = folder
        (folder / "metadata").mkdir(parents=True)
        self.expires = (datetime.now(timezone.utc) + timedelta(days=30)).replace(microsecond=0)
        if not self._takes_aware_dates():  # before version 6
            self.expires = self.expires.replace(tzinfo=None)
        self.signers = {role: AnySigner(kinds[role]) for role in ROLES}
        self.root = Root(expires=self.expires, consistent_snapshot=True)
        for role in ROLES:
            self.root.add_key(self.signers[role].public_key, role)
        self.targets = Targets(expires=self.expires)
        self.snapshot = Snapshot(expires=self.expires)
        self.timestamp = Timestamp(expires=self.expires)
        self._write_root([self.signers["root"]])

    def _takes_aware_dates(self):
        try:
            Targets(expires=self.expires).is_expired()
            return True
        except TypeError:
            return False

    def _write(self, signed, name, signers):
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        metadata.to_file(str(self.folder / "metadata" / name))

    def _write_root(self, signers):
        self._write(self.root, f"{self.root.version}.root.json", signers)

    def rotate(self, role, kind):
        """The next root, with another key for `role`."""
        old_root_signer = self.signers["root"]
        self.root.revoke_key(self.signers[role].public_key.keyid, role)
        self.signers[role] = AnySigner(kind)
        self.root.add_key(self.signers[role].public_key, role)
        self.root.version += 1
        self._write_root({id(s): s for s in (old_root_signer, self.signers["root"])}.values())

    def publish(self, path, content, custom):
        """Add a target, with new targets, snapshot and timestamp."""
        target = TargetFile.from_data(path, content, ["sha256"])
        target.unrecognized_fields["custom"] = custom
        self.targets.targets[path] = target
        file = self.folder / "targets" / Path(path).parent
        file.mkdir(parents=True, exist_ok=True)
        (file / f"{target.hashes['sha256']}.{Path(path).name}").write_bytes(content)
        self._publish_metadata()

    def _publish_metadata(self):
        for signed in (self.targets, self.snapshot, self.timestamp):
            signed.version += 1
        self.snapshot.meta["targets.json"] = MetaFile(self.targets.version)
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self._write(self.targets, f"{self.targets.version}.targets.json", [self.signers["targets"]])
        self._write(self.snapshot, f"{self.snapshot.version}.snapshot.json",
                    [self.signers["snapshot"]])
        self._write(self.timestamp, "timestamp.json", [self.signers["timestamp"]])
