"""A device: a state folder and the holdfast agent."""
import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from kit import programs
from kit.publisher import PROFILE, SET


class Device:
    def __init__(self, state):
        self.state = state

    def _holdfast(self, run, *args, **how):
        return run("holdfast", "--state", self.state, *args, **how)

    def init(self, root, *urls, set_name=SET, profile=PROFILE, options=()):
        with_urls = [word for url in urls for word in ("--url", url)]
        self._holdfast(programs.ok, "init", "--root", root, *with_urls, "--set", set_name,
                       "--profile", profile, "--device-id", "e2e", *options)
        return self

    def update(self, **how):
        """The last line of a successful update."""
        return self._holdfast(programs.ok, "update", **how).last_line

    def update_loses(self, **how):
        """An update that cuts an endpoint off on purpose: the last line, and the warning."""
        outcome = self._holdfast(programs.call, "update", **how)
        assert outcome.code == 0 and outcome.err.startswith("holdfast: warning: "), outcome
        return outcome.last_line, outcome.err

    def refuses_update(self, **how):
        """The sentence of a refused one."""
        return self._holdfast(programs.refused, "update", **how)

    def postpones_update(self, **how):
        """The sentence of a postponed update."""
        outcome = self._holdfast(programs.call, "update", **how)
        assert (outcome.code, outcome.err) == (3, ""), outcome
        assert outcome.out.startswith("postponed: ") and outcome.out.count("\n") == 1, outcome.out
        return outcome.out.removeprefix("postponed: ").rstrip("\n")

    def confirm(self):
        return self._holdfast(programs.ok, "confirm").last_line

    def reject(self, reason):
        return self._holdfast(programs.ok, "reject", "--reason", reason).last_line

    def refuses_to_reject(self, reason):
        return self._holdfast(programs.refused, "reject", "--reason", reason)

    def status(self):
        return json.loads(self._holdfast(programs.ok, "status", "--json").out)

    def status_text(self):
        return self._holdfast(programs.ok, "status").out

    def export(self, file, *options):
        self._holdfast(programs.ok, "export", "--out", file, *options)
        return file.read_text()

    @property
    def database(self):
        return self.state / "holdfast.db"

    def rows(self, sql):
        """Of a copy, so that looking changes nothing and works on a full disk."""
        with tempfile.TemporaryDirectory(prefix="holdfast-e2e-") as folder:
            for file in self.state.glob("holdfast.db*"):
                shutil.copy(file, folder)
            connection = sqlite3.connect(Path(folder) / self.database.name)
            try:
                return connection.execute(sql).fetchall()
            finally:
                connection.close()

    def metadata_versions(self):
        return dict(self.rows("SELECT role, version FROM metadata"))

    def bundles(self):
        """Everything about the bundles that a refusal must leave as it was."""
        return (self._bundle_files(), self.rows("SELECT * FROM bundle ORDER BY slot"))

    def _bundle_files(self):
        folder = self.state / "bundles"
        if not folder.exists():
            return {}
        return {f.name: os.readlink(f) if f.is_symlink() else f.read_bytes()
                for f in sorted(folder.iterdir())}
