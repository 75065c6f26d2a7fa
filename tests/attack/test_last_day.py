"""A date without a time is the end of its day, for the publisher and for the device: a root that is
distrusted after a day accepts a certificate of that day, and none of the next."""
import datetime

import pytest

import agent
import ctl
import net_pki
from net_servers import RawServer, answer, files, tls_context

DAY = ctl.DAY
# No test of these days depends on the hour at which it runs.
DISTRUSTED = (ctl.NOW - 14 * DAY).replace(hour=0, minute=0, second=0)
REMOVED = (ctl.NOW + 4 * DAY).replace(hour=0, minute=0, second=0)
SECOND = datetime.timedelta(seconds=1)


class World:
    """A device with two roots: the publisher distrusts one after a day and removes the other after one."""

    def __init__(self, folder):
        self.folder = folder
        self.old, self.gone = (ctl.Root(folder, f"Root {name}", start=ctl.NOW - 90 * DAY)
                               for name in ("Old", "Gone"))
        self.publisher = ctl.Publisher(folder)
        self.publisher.add("--distrust-after", f"{self.old.sha256}={DISTRUSTED.date()}",
                           "--remove-after", f"{self.gone.sha256}={REMOVED.date()}",
                           self.old.file, self.gone.file)
        self.state = folder / "device"
        with files(self.publisher.repo) as url:
            agent.ok("--state", self.state, "init", "--root", self.publisher.repo / "metadata/1.root.json",
                     "--url", url, "--set", "roots", "--profile", "full")
            agent.ok("--state", self.state, "update")

    def chain(self, root, start):
        """The files of a certificate that was issued then."""
        cert, key = root.leaf("localhost", start=start, end=ctl.NOW + 60 * DAY)
        stem = f"{root.sha256[:8]}-{start:%d-%H%M%S}"
        return (net_pki.write_pem(self.folder / f"{stem}.pem", cert),
                net_pki.write_key(self.folder / f"{stem}.key", key))

    def probe(self, chain, *options):
        with RawServer(answer(), tls=tls_context(*chain)) as server:
            return agent.run("--state", self.state, "probe", f"localhost:{server.port}", *options)

    def lint_errors(self, chain):
        """For lint it is unreachable today; that it cannot renew there is another error."""
        endpoints = self.folder / "endpoints.txt"
        endpoints.write_text(f"endpoint server {chain[0]}\n")
        outcome = ctl.run("lint", "--repo", self.publisher.repo, "--set", "roots", "--lead", "0",
                          "--endpoints", endpoints)
        return [line for line in outcome.out.splitlines()
                if line.startswith("error endpoint-anchor-missing")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("last-day"))


@pytest.mark.parametrize("start", [DISTRUSTED + DAY / 2, DISTRUSTED + DAY - SECOND])
def test_a_certificate_issued_on_the_last_day_is_accepted(world, start):
    chain = world.chain(world.old, start)
    assert world.probe(chain).code == 0
    assert world.lint_errors(chain) == []


def test_one_issued_at_midnight_after_it_is_not(world):
    chain = world.chain(world.old, DISTRUSTED + DAY)
    outcome = world.probe(chain)
    assert outcome.code == 1
    assert f"distrusted for server certificates issued after {DISTRUSTED.date()}" in outcome.err
    assert len(world.lint_errors(chain)) == 1


def test_a_root_serves_until_the_end_of_its_last_day(world):
    chain = world.chain(world.gone, ctl.NOW - DAY)
    last, next_day = (f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in (REMOVED + DAY - SECOND, REMOVED + DAY))
    assert world.probe(chain, "--at", last).code == 0
    outcome = world.probe(chain, "--at", next_day)
    assert outcome.code == 1 and f"was to be removed after {REMOVED.date()}" in outcome.err
    for time, state in ((last, "usable"), (next_day, "removed")):
        report = world.publisher.check("--at", time)
        [bundle] = report["bundles"]
        states = {anchor["sha256"]: anchor["state"] for anchor in bundle["anchors"]}
        assert states[world.gone.sha256] == state


def test_a_time_of_day_is_taken_as_it_is(tmp_path):
    root = ctl.Root(tmp_path, "Root")
    publisher = ctl.Publisher(tmp_path)
    midnight = "2035-04-15T00:00:00Z"
    said = publisher.add("--distrust-after", f"{root.sha256}={midnight}", root.file)
    assert publisher.description()["anchors"] == [{"sha256": root.sha256, "distrust_after": midnight}]
    assert f"distrust after {midnight}" in said
    # The day alone would hide that the two differ.
    publisher.add("--distrust-after", f"{root.sha256}=2035-04-15", root.file)
    diff = ctl.ok("bundle", "diff", "--repo", publisher.repo, "--set", "roots", "--profile", "full")
    assert f"distrust after: 2035-04-15, was {midnight}" in diff
