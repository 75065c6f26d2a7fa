"""What a device holds in memory while it swaps large stores: from Amazon's roots to all of Mozilla's, and
from those to others of that number, with an endpoint that it asks before and after."""
import datetime
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from statistics import median

from part_publish import roots_in_date
from part_size import peak_kib
from part_update import clean_environment, run_measured

sys.path.append(str(Path(__file__).parents[1] / "cli"))
import net_pki  # of tests/cli; wants python3-cryptography

GOAL_MIB = 8
DAY = datetime.timedelta(days=1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            time.sleep(0.02)


class Endpoint:
    """openssl s_server behind a CA of its own, which is in every version."""

    def __init__(self, context, folder):
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        ca, other = (net_pki.Authority(f"Measured CA {n}", start=now - DAY, end=now + 3650 * DAY)
                     for n in "AB")
        leaf, key = ca.leaf("127.0.0.1", start=now - DAY, end=now + 90 * DAY)
        self.ca, self.other_ca = folder / "a.pem", folder / "b.pem"
        net_pki.write_pem(self.ca, ca.cert)
        net_pki.write_pem(self.other_ca, other.cert)
        net_pki.write_pem(folder / "leaf.pem", leaf)
        net_pki.write_key(folder / "leaf.key", key)
        port = free_port()
        context.start("openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-cert",
                      folder / "leaf.pem", "-key", folder / "leaf.key",
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(port)
        self.url = f"https://127.0.0.1:{port}"


class World:
    """A publisher of large sets, and a device that has taken the first of them."""

    def __init__(self, context, roots):
        self.context, self.roots, self.n = context, roots, 0
        self.folder = context.folder / "large"
        self.folder.mkdir()
        self.endpoint = Endpoint(context, self.folder)
        self.repo, self.state = self.folder / "repo", self.folder / "device"
        self.where = ["--repo", self.repo, "--keys", self.folder / "keys"]
        context.run("holdfastctl", "init", *self.where, "--insecure-no-passphrase")
        self.publish(context.five_roots, self.endpoint.ca)
        self.daemon, port = context.start_holdfastd(self.repo)
        self.url = f"http://127.0.0.1:{port}"
        context.run("holdfast", "--state", self.state, "init", "--root",
                    self.repo / "metadata" / "1.root.json", "--url", self.url, "--set", "large",
                    "--profile", "full", "--endpoint", self.endpoint.url)
        self.update()

    def publish(self, roots, *own):
        self.context.run("holdfastctl", "bundle", "add", *self.where, "--set", "large", "--profile",
                         "full", "--drop", "all", *net_pki.pins(*own), *roots, *own)

    def publish_large(self):
        """All, or all but three and another one: each differs from the one before."""
        self.n += 1
        if self.n % 2:
            self.publish(self.roots, self.endpoint.ca)
        else:
            self.publish(self.roots[3:], self.endpoint.ca, self.endpoint.other_ca)
        wanted = (self.repo / "metadata" / "timestamp.json").read_bytes()
        self.daemon.send_signal(signal.SIGHUP)
        while urllib.request.urlopen(f"{self.url}/metadata/timestamp.json").read() != wanted:
            time.sleep(0.02)

    def update(self):
        return run_measured(self.context, [self.context.bin / "holdfast", "--state", self.state,
                                           "update"], clean_environment())["peak_kib"]

    def run(self):
        """`holdfast run`, which takes what was published last."""
        agent = self.context.start(self.context.bin / "holdfast", "--state", self.state, "run",
                                   "--interval", "3600", stderr=subprocess.PIPE, text=True,
                                   env=clean_environment())
        if not any("updated" in line for line in agent.stderr if "check in 0 s" not in line):
            raise SystemExit("bench: holdfast run took no update")
        held = peak_kib(agent)["peak"]
        agent.send_signal(signal.SIGTERM)
        agent.wait(30)
        return held


def row(what, kib):
    peak = median(kib)
    return {"what": f"{what}, peak memory, MiB", "ratio": peak / 1024, "goal": f"<= {GOAL_MIB}",
            "met": peak <= GOAL_MIB * 1024, "detail": f"{peak:.0f} KiB, with an endpoint to ask"}


def measure(context):
    """(rows, what was measured)."""
    roots = roots_in_date(context)
    world = World(context, roots)
    world.publish_large()
    raw = {"few_to_many": [world.update()], "many_to_many": [], "run": []}
    for name, swap in (("many_to_many", world.update), ("run", world.run)) * context.rounds:
        world.update()  # the trial of the one before ends
        world.publish_large()
        raw[name].append(swap())
    return [row(f"`holdfast update` from 6 roots to {len(roots) + 1}", raw["few_to_many"]),
            row("`holdfast update` from those to as many others", raw["many_to_many"]),
            row("`holdfast run` doing the same", raw["run"])], raw
