"""Devices live through an update, each in its own way, with the real agent; the service tells each story right: the
list, the history, the explanation in words, the numbers and the findings. A device for each story, or 20 in a long run,
which makes 220."""
import concurrent.futures
import os
import re
import shutil
import ssl
import time
from collections import Counter

import pytest

from kit import clock, pki, programs, roots
from kit.device import Device
from kit.pki import DAY, NOW, Authority
from kit.processes import free_port, wait_until
from kit.servers import NginxTls
from kit.service import Service

A_STORY = 20 if os.environ.get("HOLDFAST_LONG") else 1
AT_ONCE = 8
# Patterns of what is told: of endpoints, and of a device that has not gone on.
KEY = r"\(key [0-9a-f]{{64}}\)"  # for str.format
NEEDS = r'its endpoint {} needs the root ".*CN=Old Root" ' + KEY
MISSING = r"Endpoint: {}\. Missing root: .*CN=Old Root " + KEY
OLD = r"It uses version 1 of amazon-iot/full; version 2 is published\."
RECOVERED = " (recovery: the servers' chains were not validated)"


def all_at_once(do, things):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(do, things))


# ---- what there is besides the devices ---------------------------------------------------------------


class Endpoint(NginxTls):
    """One that can move to another chain, as servers do."""

    def __init__(self, processes, folder, chain, key):
        self.files = [folder.with_suffix(".pem"), folder.with_suffix(".key")]
        for source, file in zip((chain, key), self.files):
            shutil.copy(source, file)
        super().__init__(processes, folder, *self.files)

    def move_to(self, chain, key):
        before = self.shown()
        for source, file in zip((chain, key), self.files):
            shutil.copy(source, file)
        self.process.signal(1)
        wait_until(lambda: self.shown() != before, "the endpoint shows another chain")

    def shown(self):
        return ssl.get_server_certificate(("127.0.0.1", self.port))


class World:
    """The service, and roots: `main` is in both bundles, `old` in the devices and in version 2, `dead` has ended."""

    def __init__(self, processes, folder, publisher):
        self.folder, self.publisher = folder, publisher
        publisher.add(*roots.amazon(1), profile="legacy")  # so that something is served
        self.service = Service(processes, folder / "service", publisher).start().with_account()
        self.main, self.old = Authority("Main Root"), Authority("Old Root")
        self.dead = Authority("Dead Root", start=NOW - 4000 * DAY, end=NOW - 700 * DAY)
        self.files = {name: authority.write(folder / f"{name}.pem") for name, authority in
                      [("main", self.main), ("old", self.old), ("dead", self.dead)]}
        by_main = pki.write_chain(folder, "by-main", self.main.leaf())
        self.by_old = pki.write_chain(folder, "by-old", self.old.leaf())
        self.good = Endpoint(processes, folder / "good", *by_main)
        self.lost = Endpoint(processes, folder / "lost", *self.by_old)
        self.moving = Endpoint(processes, folder / "moving", *by_main)
        self.down = free_port()
        self.factory = folder / "factory.pem"
        self.factory.write_text(self.files["main"].read_text() + self.files["old"].read_text())
        self.token = folder / "token"
        self.token.touch(mode=0o600)

    def publish(self, *files):
        timestamps = self.service.server.err.count("serving timestamp")
        self.publisher.add(*files)
        wait_until(lambda: self.service.server.err.count("serving timestamp") > timestamps, "it is served")

    def audit(self):
        """All audits; (check, device): its sentence, of what is open about devices."""
        service = self.service
        for audit in service.admin_json("audit", "list")["audits"]:
            service.admin("audit", "run", audit["name"])
        wait_until(lambda: not any(a["is_running"] for a in service.admin_json("audit", "list")["audits"]),
                   "the audits end")
        return {(f["check"], f["device"]): f["sentence"] for f in service.admin_json("finding", "list")["findings"]
                if f["device"]}


# ---- the stories -------------------------------------------------------------------------------------


class Story:
    """One device. `kinds` is its history, the oldest first; `cause` is what explains it best. `ended` is the same after
    version 2, where it differs from a device that has taken it."""

    options, endpoint, reports = (), None, True
    result, version, is_up_to_date, findings = "confirmed", 1, True, {}
    kinds = ["announce", "swapped", "confirmed"]
    cause = r"It uses version 1 of amazon-iot/full, the newest one\."
    ended = {}

    def __init__(self, world, number):
        self.world, kind = world, self.__class__.__name__.lower()
        self.name, self.place = f"{kind}-{number}", rf"tls://127\.0\.0\.1:{self.port(world)}"
        options = ["--server-ca", world.service.server_ca, "--device-id", self.name, "--bundle", self.factory(world),
                   "--group", kind, *self.options]
        if self.reports:
            options += ["--report", "service"]
        if self.port(world):
            options += ["--endpoint", f"tls://127.0.0.1:{self.port(world)}"]
        self.device = Device(world.folder / self.name).init(world.publisher.root, world.service.url, options=options)
        programs.ok("holdfast", "--state", self.device.state, "enroll", "--token-file", world.token)
        self.name_it()

    def name_it(self):
        """What is told of this device only."""

    def factory(self, world):
        return world.factory

    def port(self, world):
        return self.endpoint and getattr(world, self.endpoint).port

    def fall_silent(self):
        """Hours later."""

    def update(self):
        return self.device.update()

    def install(self):
        """What it does when version 1 is published."""
        assert self.update() == "updated amazon-iot/full 0 -> 1"

    def settle(self):
        """And afterwards."""
        assert self.update() == "current amazon-iot/full 1"

    def end(self):
        """When version 2 is published, which is good for all."""
        assert self.update() == f"updated amazon-iot/full {self.version} -> 2"
        assert self.update() == "current amazon-iot/full 2"
        self.device.confirm()  # those with endpoints would try it for an hour

    def has_ended(self):
        """It is told so from now on."""
        now = {"result": "confirmed", "version": 2, "is_up_to_date": True, "findings": {},
               "kinds": [*self.kinds, "announce", "swapped", "confirmed"],
               "cause": r"It uses version 2 of amazon-iot/full, the newest one\.", **self.ended}
        for name, value in now.items():
            setattr(self, name, value)


class Plain(Story):
    pass


class Reachable(Story):
    """Its application finds that version 1 works."""

    endpoint = "good"

    def settle(self):
        super().settle()
        assert self.device.confirm() == "confirmed version 1"


class Refusing(Story):
    """Its endpoint needs the root that version 1 lacks."""

    endpoint, result, version, is_up_to_date = "lost", "refused", 0, False
    kinds = ["refused"]

    def name_it(self):
        self.cause = (r"At \S+ it refused the bundle \(version 1\)\. Reason: version 1 is not taken: "
                      rf"{self.place} shows a chain issued by .*Old Root.*{MISSING.format(self.place)}\.")
        self.findings = {"DEVICE_UPDATE_FAILED": rf'the device "{self.name}" refused version 1 of "amazon-iot": '
                                                 + NEEDS.format(self.place)}

    def install(self):
        programs.says(self.device.refuses_update(), "Old Root", "is missing")

    def settle(self):
        self.install()


class RollingBack(Story):
    """Its endpoint moves to the old root while version 1 is on trial."""

    endpoint, result, version, is_up_to_date = "moving", "rolled-back", 0, False
    kinds = ["announce", "swapped", "rolled-back"]

    def name_it(self):
        self.cause = (r"At \S+ it rolled back: an endpoint or the application failed with the bundle \(version 1\)\. "
                      rf"Reason: .*{MISSING.format(self.place)}\.")
        self.findings = {"DEVICE_UPDATE_FAILED": rf'the device "{self.name}" rolled back from version 1 of "amazon-iot": '
                                                 + NEEDS.format(self.place)}

    def settle(self):
        assert self.update() == "rolled back amazon-iot/full 1 -> 0"
        assert self.update() == "current amazon-iot/full 0"


class Rejecting(Story):
    """Its application finds that version 1 does not work."""

    options, result, version, is_up_to_date = ["--await-confirm"], "rolled-back", 0, False
    kinds = ["announce", "swapped", "rolled-back"]
    cause = (r"At \S+ it rolled back: an endpoint or the application failed with the bundle \(version 1\)\. "
             r"Reason: the application says: the broker is gone\.")

    def name_it(self):
        self.findings = {"DEVICE_UPDATE_FAILED": rf'the device "{self.name}" rolled back from version 1 of "amazon-iot": '
                                                 "the application says: the broker is gone"}

    def settle(self):
        assert self.device.reject("the broker is gone") == "rolled back"
        assert self.update() == "current amazon-iot/full 0"


class Waiting(Story):
    """Its endpoint does not answer, until it is taken off the list."""

    result, version, is_up_to_date = "held", 0, False
    kinds = ["held"]
    cause = r"At \S+ it waits with the bundle \(version 1\)\. Reason: version 1 waits: .*"

    def port(self, world):
        return world.down

    def install(self):
        programs.says(self.device.postpones_update(), "version 1 waits")

    def settle(self):
        self.install()

    def end(self):
        programs.ok("holdfast", "--state", self.device.state, "config", "unset", "endpoints")
        super().end()


class Recovering(Story):
    """Every root that it has ended long ago, also that for the service."""

    kinds = ["announce", "swapped", "recovered", "confirmed"]

    def factory(self, world):
        return world.files["dead"]

    def install(self):
        programs.ok("holdfast", "--state", self.device.state, "config", "set", "server-ca", self.world.files["dead"])
        assert self.update() == "updated amazon-iot/full 0 -> 1" + RECOVERED


class In1970(Story):
    """Its clock stands at the beginning of 1970, and it reports that too."""

    cause = r"Its clock was \d+ seconds \(2\d{4} days\) behind the service's when it reported\."

    def name_it(self):
        self.findings = {"CLOCK_WRONG": rf'the clock of device "{self.name}" is about 2\d{{4}} days behind'}
        self.ended = {"cause": self.cause, "findings": self.findings}

    def update(self):
        return self.device.update(env=clock.at(clock.IN_1970))


class Copied(Story):
    """Its folder is copied, and both go on."""

    cause = (r"Another device or installation reports under its name; \d+ such requests were refused, the last at \S+\. "
             r"What is shown here may be of either one\.")

    def name_it(self):
        self.findings = {"CONFLICTING_CLIENT_IDS": f'two installations report as the device "{self.name}": a copy of it '
                                                   "is in use"}
        self.ended = {"cause": self.cause, "findings": self.findings}

    def settle(self):
        copy = Device(shutil.copytree(self.device.state, self.device.state.with_suffix(".copy"), symlinks=True))
        super().settle()
        time.sleep(1.1)  # reports have seconds: what both say in the same one is the same
        assert copy.update() == "current amazon-iot/full 1"
        assert "look for a copy of it" in copy.status()["reports"]["last_error"]


class Silent(Story):
    """It installs the bundle, and is never heard of again."""

    result, kinds = "swapped", ["announce", "swapped"]

    def name_it(self):
        self.ended = {"result": "swapped", "version": 1, "is_up_to_date": False, "kinds": self.kinds,
                      "cause": OLD}

    def settle(self):
        pass

    def end(self):
        pass

    def fall_silent(self):
        self.findings = {"DEVICE_SILENT_AFTER_UPDATE": rf'the device "{self.name}" was installing version 1 of "amazon-iot" at \S+, '
                                              "and has not reported since"}


class Mute(Story):
    """It updates, and reports nothing."""

    reports, result, version, is_up_to_date, kinds = False, None, None, False, []
    cause = r"It has never reported\. It was registered at \S+\."

    def name_it(self):
        self.ended = {name: getattr(self, name) for name in ("result", "version", "is_up_to_date", "kinds", "cause")}

    def end(self):
        assert self.update() == "updated amazon-iot/full 1 -> 2"


class Stolen(Story):
    """It is shut out after its update."""

    cause = r"None of its certificates is ACTIVE; the newest one is REVOKED\. The service refuses the device\."

    def name_it(self):
        self.ended = {"result": "confirmed", "version": 1, "is_up_to_date": False, "kinds": self.kinds, "cause": self.cause}

    def settle(self):
        super().settle()
        service = self.world.service
        service.admin("credential", "revoke", "--account", "pumps", service.credential_of(self.name))
        assert "certificate_revoked" in self.device.refuses_update()

    def end(self):
        assert "certificate_revoked" in self.device.refuses_update()


STORIES = Story.__subclasses__()


# ---- how they are told -------------------------------------------------------------------------------


def matches(pattern, text):
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def check_told(story):
    service = story.world.service

    def ask(*words):
        return service.admin_json("device", *words, "--account", "pumps", story.name)
    seen, said = ask("show"), ask("explain")
    assert (seen["result"], seen["active_version"]) == (story.result, story.version), story.name
    assert matches(story.cause, said["cause"]["text"]), (story.name, said["cause"]["text"])
    assert said["is_up_to_date"] is story.is_up_to_date, story.name
    told = service.admin("device", "explain", "--account", "pumps", story.name)
    begins = ("is not up to date" if not story.is_up_to_date else
              "is up to date, but" if said["cause"]["verdict"] == "problem" else "is up to date")
    assert told.startswith(f"{story.name} {begins}: {said['cause']['text']}\n")
    reports = ask("reports")["reports"]
    assert [r["kind"] for r in reversed(reports)] == story.kinds, story.name
    if story.reports:
        assert seen["reported_groups"] == [story.__class__.__name__.lower()]


def names(world, *options):
    return {d["id"] for d in world.service.admin_json("device", "list", "--account", "pumps", *options)["devices"]}


def check_lists(world, stories):
    def those(condition):
        return {s.name for s in stories if condition(s)}
    for result in {s.result for s in stories}:
        assert names(world, "--result", result or "") == those(lambda s: s.result == result), result
    for version in (0, 1, 2):
        assert names(world, "--version", str(version)) == those(lambda s: s.version == version), version
        assert names(world, "--version", str(version), "--result", "rolled-back") == those(
            lambda s: s.version == version and s.result == "rolled-back")
    assert names(world, "--prefix", "refusing-") == those(lambda s: isinstance(s, Refusing))
    assert names(world, "--silent-since", "2020-01-01T00:00:00Z") == those(lambda s: not s.reports)


def check_numbers(world, stories):
    fleet = world.service.admin_json("fleet", "show", "--account", "pumps")
    assert fleet["devices"] == len(stories)
    assert fleet["never_reported"] == sum(not s.reports for s in stories)
    assert {r["result"]: r["devices"] for r in fleet["results"]} == Counter(s.result for s in stories)
    versions = Counter(s.version for s in stories if s.reports)
    assert {v["version"]: v["devices"] for v in fleet["versions"]} == versions
    assert fleet["certificates"]["REVOKED"] == sum(isinstance(s, Stolen) for s in stories)
    bundles = world.service.admin_json("fleet", "bundles", "--account", "pumps")["bundles"]
    assert {b["version"]: b["devices"] for b in bundles if b["profile"] == "full"} == {
        b["version"]: versions[b["version"]] for b in bundles if b["profile"] == "full"}
    series = world.service.admin_json("fleet", "series", "--account", "pumps", "--what", "rolled-back")["series"]
    assert {point["version"] for point in series} == {1}
    assert sum(point["n"] for point in series) == sum("rolled-back" in s.kinds for s in stories)


def check_findings(world, stories):
    found = world.audit()
    expected = {(check, s.name): pattern for s in stories for check, pattern in s.findings.items()}
    assert set(found) == set(expected)
    for key, pattern in expected.items():
        assert matches(pattern, found[key]), found[key]


def check(world, stories):
    all_at_once(check_told, stories)
    check_lists(world, stories)
    check_numbers(world, stories)
    check_findings(world, stories)


# ---- the update --------------------------------------------------------------------------------------


@pytest.fixture
def world(processes, folder, publisher):
    made = World(processes, folder, publisher)
    yield made
    made.service.stop()


def test_each_story_is_told_right(world):
    service, n = world.service, A_STORY * len(STORIES)
    world.token.write_text(service.token("--uses", str(n)))
    stories = all_at_once(lambda i: STORIES[i % len(STORIES)](world, i // len(STORIES)), range(n))
    world.publish(world.files["main"], service.server_ca)
    all_at_once(lambda s: s.install(), stories)
    world.moving.move_to(*world.by_old)
    all_at_once(lambda s: s.settle(), stories)
    check(world, stories)

    world.publish(world.files["main"], world.files["old"], service.server_ca)
    all_at_once(lambda s: s.end(), stories)
    for story in stories:
        story.has_ended()
    check(world, stories)

    assert service.server.stop() == 0
    service.start_server(env=clock.at("+7h"))
    for story in stories:
        story.fall_silent()
    check(world, stories)
