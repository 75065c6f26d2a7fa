"""A publisher: a repository, its keys, and holdfastctl."""
import json
import shutil

import net_pki  # of tests/cli; conftest.py puts it on the path
from kit import programs

SET, PROFILE = "amazon-iot", "full"


class Publisher:
    """`subscribers` are called after each publication, for servers that notice it in their own time."""

    def __init__(self, folder, *init_options):
        self.subscribers = []
        self.repo = folder / "repository"
        self.keys = folder / "keys"
        programs.ok("holdfastctl", "init", *self.place, "--insecure-no-passphrase", *init_options)

    @property
    def place(self):
        return ["--repo", self.repo, "--keys", self.keys]

    @property
    def root(self):
        return self.repo / "metadata" / "1.root.json"

    def _add(self, run, certificates, set_name=SET, profile=PROFILE, options=()):
        """Roots of a test are pinned, and their short lives and abrupt changes accepted."""
        return run("holdfastctl", "bundle", "add", *self.place, "--set", set_name,
                   "--profile", profile, *net_pki.pins(*certificates), "--lead", "0", "--accept",
                   "no-overlap", "--again", *options, *certificates)

    def add(self, *certificates, **how):
        outcome = self._add(programs.ok, certificates, **how)
        self._tell()
        return outcome

    def copy(self, from_profile, to_profile, *more, options=()):
        """The content of one profile as the next version of another."""
        return self.add(*more, profile=to_profile, options=["--from", from_profile, *options])

    def sign_offline(self, folder, *certificates):
        """A copy of the repository in `folder`, with targets that wait there for the online keys."""
        keys = folder.with_name(f"{folder.name}-keys")
        shutil.copytree(self.repo, folder)
        keys.mkdir()
        shutil.copytree(self.keys / "offline", keys / "offline")
        real = self.repo, self.keys, self.subscribers
        self.repo, self.keys, self.subscribers = folder, keys, []
        try:
            self.add(*certificates)
        finally:
            self.repo, self.keys, self.subscribers = real
        return folder

    def _tell(self):
        for follow in self.subscribers:
            follow()

    def refuses_to_add(self, *certificates, **how):
        return self._add(programs.refused, certificates, **how)

    def check(self, *options):
        return programs.ok("holdfastctl", "check", "--repo", self.repo, *options)

    def refresh(self):
        programs.ok("holdfastctl", "refresh", *self.place)
        self._tell()

    def publish(self):
        programs.ok("holdfastctl", "publish", *self.place)
        self._tell()

    def metadata(self, role):
        """The newest metadata of a role, as JSON."""
        return json.loads(self.newest_file(role).read_text())

    def newest_file(self, role):
        if role == "timestamp":
            return self.repo / "metadata" / "timestamp.json"
        files = (self.repo / "metadata").glob(f"*.{role}.json")
        return max(files, key=lambda f: int(f.name.split(".")[0]))
