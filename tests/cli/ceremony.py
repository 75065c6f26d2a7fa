"""Ceremonies: key holders with one key each, and the steps from a draft to what devices find."""
import shutil

import ctl


class Holder:
    """A person with one key and nothing else."""

    def __init__(self, folder, name, key=None):
        self.folder = folder / name
        self.folder.mkdir(mode=0o700)
        self.file = self.folder / f"{name}.key.json"
        self.public = folder / f"{name}.pub"
        if key is None:
            ctl.ok("key", "generate", "--key", self.file, "--public", self.public,
                   "--insecure-no-passphrase")
        else:
            shutil.copy(key, self.file)

    def sign(self, draft, role="root", at=None):
        return ctl.ok(role, "sign", "--draft", draft, "--keys", self.folder, "--yes",
                      digest(draft, role), at=at)

    def refused(self, draft, *yes):
        before = draft.read_bytes()
        sentence = ctl.refused("root", "sign", "--draft", draft, "--keys", self.folder,
                               *(yes or ("--yes", digest(draft))))
        assert draft.read_bytes() == before
        return sentence

    @property
    def key_id(self):
        return key_id(self.file)


def key_id(file):
    return ctl.ok("key", "inspect", file).split("key id")[1].split()[0]


def digest(draft, role="root"):
    lines = ctl.ok(role, "status", draft).splitlines()
    return next(line.split()[1] for line in lines if line.startswith("  SHA-256"))


def new_draft(p, file, *options, at=None):
    ctl.ok("root", "draft", "--from", p.repo, "--draft", file, *options, at=at)
    return file


def edit(verb, draft, role, *options):
    return ctl.ok("root", verb, "--draft", draft, "--role", role, *options)


def finish(p, *drafts, at=None):
    return ctl.ok("root", "finish", *p.place, *drafts, at=at)


def refuses_to_finish(p, *drafts, at=None):
    return p.refuses("root", "finish", *p.place, *drafts, at=at)


def rotate(p, file, *changes):
    """A whole ceremony with the keys that lie in KEYS."""
    draft = new_draft(p, file)
    for verb, role, *options in changes:
        edit(verb, draft, role, *options)
    ctl.ok("root", "sign", "--draft", draft, "--keys", p.keys, "--yes", digest(draft))
    return finish(p, draft)


def new_key(p, half, name):
    file = p.keys / half / f"{name}.key.json"
    ctl.ok("key", "generate", "--key", file, "--insecure-no-passphrase")
    return file


def pins(p):
    return [(p.keys / half / "root.json").read_bytes() for half in ("offline", "online")]


def root_goes_last(p):
    """A file keeps the time of its writing when it is renamed, one after the other."""
    root, timestamp = (p.repo / "metadata" / name for name in ("2.root.json", "timestamp.json"))
    return root.stat().st_mtime_ns > timestamp.stat().st_mtime_ns
