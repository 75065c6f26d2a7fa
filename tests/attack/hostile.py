"""A device, its repository, and a server between the two that answers as an attack wants it to."""
import shutil
import sqlite3
from pathlib import Path

import agent
import ctl
from net_servers import RawServer, answer

ROLES = ("root", "timestamp", "snapshot", "targets")
# What a check asks for, in this order, and part of the path of each.
STAGES = {"root": "/2.root.json", "timestamp": "/timestamp.json", "snapshot": ".snapshot.json",
          "targets": ".targets.json", "bundle": ".pem"}


class Site(RawServer):
    """Any web server before a repository, until `hostile` says otherwise: it maps part of a path to
    a respond function (net_servers.py)."""

    def __init__(self, folder):
        super().__init__(self._respond)
        self.folder, self.hostile = Path(folder), {}

    def _respond(self, conn, request, number):
        path = request.split(b" ")[1].decode()
        for part, respond in self.hostile.items():
            if part in path:
                return respond(conn, request, number)
        file = self.folder / path.lstrip("/")
        genuine = answer(file.read_bytes()) if file.is_file() else answer(b"", "404 Not Found")
        return genuine(conn, request, number)


class World:
    """Made once for all tests: bundle 2 is published, and a device holds bundle 1 and its metadata."""

    def __init__(self, folder):
        publisher = ctl.Publisher(self.make(folder / "publisher"))
        first, second = folder / "a.pem", folder / "b.pem"
        first.write_text(agent.Root("A").pem)
        second.write_text(agent.Root("B").pem)
        publisher.add(first)
        self.repo = publisher.repo
        self.site = Site(self.repo).__enter__()
        self.device = agent.Device(self.make(folder / "device"))
        self.device.root = self.repo / "metadata" / "1.root.json"
        self.device.init("--device-id", "test", url=self.site.url(""))
        agent.ok("--state", self.device.state, "update")
        publisher.add(first, second)

    @staticmethod
    def make(folder):
        folder.mkdir()
        return folder

    def close(self):
        self.site.__exit__()


def rows(database, query):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


class Scene:
    """One test's own copy of the device, and what stands between it and bundle 2."""

    def __init__(self, world, folder):
        self.site, self.repo = world.site, world.repo
        self.site.hostile = {}
        self.state = folder / "state"
        shutil.copytree(world.device.state, self.state, symlinks=True)

    # ---- the attack ------------------------------------------------------------------------------

    def genuine(self, stage):
        """The bytes that the device should get at that stage."""
        folder = self.repo / ("targets" if stage == "bundle" else "metadata")
        found = [f for f in folder.rglob("*") if f.is_file() and STAGES[stage] in f"/{f.name}"]
        return max(found, key=lambda f: f.stat().st_mtime_ns).read_bytes()

    def answers(self, stage, respond):
        self.site.hostile[STAGES[stage]] = respond

    # ---- the device ------------------------------------------------------------------------------

    def held(self):
        return dict(rows(self.state / "holdfast.db", "SELECT role, bytes FROM metadata"))

    def value(self, name):
        return dict(rows(self.state / "holdfast.db", "SELECT name, value FROM value")).get(name)

    def sql(self, statement, *values):
        connection = sqlite3.connect(self.state / "holdfast.db")
        connection.execute(statement, values)
        connection.commit()
        connection.close()

    def bundles(self):
        """All that decides about trust: bundles in rows and in files, and what may follow them."""
        database = self.state / "holdfast.db"
        return (rows(database, "SELECT * FROM bundle ORDER BY slot"),
                rows(database, "SELECT * FROM value WHERE name LIKE 'bundle.%'"),
                agent.tree(self.state / "bundles"))

    def refuses(self, stage, error, *words):
        """One sentence with `words` in it; what comes from that stage on is what it was, and what was
        verified before it is kept. Returns the sentence."""
        before, bundles = self.held(), self.bundles()
        sentence = agent.refused("--state", self.state, "update")
        for word in (f"{self.site.url('')}/", *words):
            assert word in sentence
        assert self.value("check.outcome") == error
        assert self.bundles() == bundles
        after = self.held()
        number = list(STAGES).index(stage)
        for role in ROLES[number:]:
            assert after[role] == before[role], f"{role} was changed"
        for role in ROLES[1:number]:
            assert after[role] == self.genuine(role), f"{role} was verified, but not kept"
        return sentence

    def is_over(self):
        """The server behaves again, and nothing of the attack is left."""
        self.site.hostile = {}
        assert agent.ok("--state", self.state, "update") == "updated roots/full 1 -> 2\n"
        for role in ROLES[1:]:
            assert self.held()[role] == self.genuine(role)
