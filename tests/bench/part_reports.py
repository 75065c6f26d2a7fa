"""A signed report to holdfastd, against a request over a fresh mutual-TLS handshake to nginx: the CPU time that the
server's process spends on each. The report comes without TLS, is verified, and is on disk when it is answered; nginx
answers "hello". Both identify a device by a key of the same kind (Ed25519); P-256 in nginx is shown beside it."""
import re
import shutil
import subprocess
from statistics import median

import part_server
import part_tls

DEVICES = 100000
CLIENTS = 4  # of nginx at once, so that both servers have something to do all the time

CONFIG = """[repository]
path = {repo}
[http]
listen = 127.0.0.1:0
[admin]
socket = {folder}/admin.sock
[database]
path = {folder}/fleet.db
[signer]
socket = {folder}/signer.sock
[server]
state = {folder}/state
loops = 1
max_per_address = 65536
"""

KINDS = {"ed25519": ("Ed25519", ("-newkey", "ed25519")),
         "p256": ("P-256", ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"))}
REPORTS = {"daily": "a daily report, with nothing new", "update": "one of the three reports of an update"}
WAYS = {"keep": "kept connections", "new": "a new connection each"}


def start_ours(context):
    """holdfastd as its configuration makes it; (pid, port)."""
    command = [context.bin / "bench" / "bench_signed", "fill", context.folder / "fleet.db", str(DEVICES)]
    subprocess.run(command, check=True)
    config = context.folder / "holdfast.conf"
    config.write_text(CONFIG.format(repo=context.repo, folder=context.folder))
    process = context.start(context.bin / "holdfastd", "--config", config, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if found:
            return process.pid, int(found[1])
    raise SystemExit("bench: holdfastd did not start")


def start_nginx(context, kind):
    folder = context.folder / kind
    folder.mkdir()
    folder.chmod(0o755)
    part_tls.make_certificates(folder, KINDS[kind][1])
    pid, _, mutual = part_tls.start_nginx(context, folder)
    return pid, mutual, folder


def settle(pid):
    """Wait for the end of what a server does after its start: the first audits."""
    used, before = part_server.cpu_seconds(pid), -1
    while used > before:
        part_server.time.sleep(0.5)
        before, used = used, part_server.cpu_seconds(pid)


class Devices:
    """They take turns, also from one round to the next."""

    def __init__(self, context, pid, port):
        self.context, self.pid, self.port = context, pid, port
        self.sent = {"daily": 0, "update": 3 * 400 * 2}  # of updates, when the first devices have come to their third
        settle(pid)

    def cpu_us(self, way, kind):
        before = part_server.cpu_seconds(self.pid)
        command = [self.context.bin / "bench" / "bench_signed", "send", self.port, DEVICES, self.sent[kind], way, kind,
                   self.context.seconds]
        count = int(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)
        self.sent[kind] += count
        return 1e6 * (part_server.cpu_seconds(self.pid) - before) / count


def nginx_cpu_us(context, pid, port, folder):
    before = part_server.cpu_seconds(pid)
    command = list(map(str, [context.bin / "bench" / "bench_tls", port, "full", context.seconds, folder / "device.pem",
                             folder / "device.key"]))
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(CLIENTS)]
    count = sum(int(client.communicate()[0]) for client in clients)
    return 1e6 * (part_server.cpu_seconds(pid) - before) / count


def row(rounds, key, kind, what, goal=None):
    ours, theirs = (median(r[side] for r in rounds) for side in (key, kind))
    result = {"what": f"{what}: CPU time, nginx with mutual TLS ({KINDS[kind][0]}) to it",
              "ratio": median(r[kind] / r[key] for r in rounds), "detail": f"ours {ours:.0f} us, nginx {theirs:.0f} us"}
    if goal:
        result.update(goal=f">= {goal}", met=result["ratio"] >= goal)
    return result


def measure(context):
    if not shutil.which("nginx", path="/usr/sbin:/usr/bin"):
        raise context.Skip("nginx is missing (deploy/install-deps.sh --for bench)")
    nginx = {kind: start_nginx(context, kind) for kind in KINDS}
    devices = Devices(context, *start_ours(context))
    rounds = []
    for _ in range(context.rounds):
        figures = {kind: nginx_cpu_us(context, *nginx[kind]) for kind in KINDS}
        for kind in REPORTS:
            figures.update({(way, kind): devices.cpu_us(way, kind) for way in WAYS})
        rounds.append(figures)
    rows = [row(rounds, (way, kind), "ed25519", f"{REPORTS[kind]}, {WAYS[way]}", 5) for kind in REPORTS for way in WAYS]
    rows += [row(rounds, ("keep", kind), "p256", f"{REPORTS[kind]}, {WAYS['keep']}") for kind in REPORTS]
    return {"rows": rows, "rounds": [{" ".join(k) if isinstance(k, tuple) else k: v for k, v in r.items()} for r in rounds],
            "notes": [f"{DEVICES:,} devices, {CLIENTS} clients of nginx at once, 256 reports at once"]}
