"""server/http with TLS against nginx, with the same certificates: handshakes a CPU second of the server, and the memory
of idle connections. Its client, bench_tls, makes one connection after the other, so only the CPU time tells."""
import hashlib
import re
import shutil
import subprocess
from statistics import median

import part_server

# One worker; everything about TLS is as Debian packages it, but for the version that is measured.
NGINX = """
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/tls-{port}.pid;
error_log {folder}/tls.error;
daemon off;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    keepalive_timeout 600s;
    client_body_temp_path {folder}/t6; proxy_temp_path {folder}/t7; fastcgi_temp_path {folder}/t8;
    uwsgi_temp_path {folder}/t9; scgi_temp_path {folder}/t10;
    ssl_protocols TLSv1.3;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    server {{ listen 127.0.0.1:{port} ssl; location / {{ return 200 "hello"; }} }}
    server {{ listen 127.0.0.1:{mutual} ssl; location / {{ return 200 "hello"; }}
              ssl_client_certificate {folder}/ca.pem; ssl_verify_client on; }}
}}
"""

MODES = {
    "full": {"what": "full handshakes, P-256", "mutual": False, "goal": 0.9},
    "resumed": {"what": "resumed by ticket", "mutual": False, "goal": 1.0},
    "mutual": {"what": "full handshakes with a client certificate", "mutual": True, "goal": 0.9},
    "resumed-mutual": {"what": "resumed with a client certificate", "mutual": True, "goal": None},
}
IDLE = 10000


P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def make_certificates(folder, kind=P256):
    """A CA, and certificates of the server and of a device, with keys of that kind."""
    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=folder)
    new_key = (*kind, "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "30")
    for name in ("server", "device"):
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "30")
        (folder / f"{name}.key").chmod(0o600)
    der = subprocess.run(["openssl", "x509", "-in", "device.pem", "-outform", "DER"], check=True, capture_output=True,
                         cwd=folder).stdout
    return hashlib.sha256(der).hexdigest()


def start_ours(context, ask, sha256):
    rules = context.folder / f"rules-{ask}"
    rules.write_text(f"name dev.test 1 {ask}\ncert {sha256} 0\n")
    process = context.start(context.bin.parent / "tests" / "hf-tls-serve", "--listen", "127.0.0.1:0", "--idle-ms",
                            "600000", "--chain", context.folder / "server.pem", "--key", context.folder / "server.key",
                            "--rules", rules, stdout=subprocess.PIPE, text=True)
    return process.pid, int(re.search(r":(\d+)$", process.stdout.readline())[1])


def start_nginx(context, folder=None):
    """With the certificates in that folder: its worker, its port, and the one that asks for a client certificate."""
    folder = folder or context.folder
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if not program:
        raise context.Skip("nginx is missing (deploy/install-deps.sh --for bench)")
    port, mutual = part_server.free_port(), part_server.free_port()
    config = folder / f"tls-{port}.conf"
    config.write_text(NGINX.format(folder=folder, port=port, mutual=mutual))
    process = context.start(program, "-c", config, "-e", folder / "tls.error")
    for _ in range(200):
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as f:
            children = f.read().split()
        if children:
            return int(children[0]), port, mutual
        part_server.time.sleep(0.05)
    raise SystemExit("bench: nginx does not start")


def client(context, port, mode, amount, is_mutual):
    certificate = [context.folder / "device.pem", context.folder / "device.key"] if is_mutual else []
    return list(map(str, [context.bin / "bench" / "bench_tls", port, mode, amount, *certificate]))


def handshakes(context, pid, port, key, mode):
    """Handshakes for each second of the server's CPU."""
    before = part_server.cpu_seconds(pid)
    command = client(context, port, key.split("-")[0].replace("mutual", "full"), context.seconds, mode["mutual"])
    count = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return count / (part_server.cpu_seconds(pid) - before)


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def idle_kb(context, pid, port, is_mutual):
    """KB of one idle connection: what the process grows by."""
    before = resident_kb(pid)
    process = subprocess.Popen(client(context, port, "idle", IDLE, is_mutual), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "open\n":
        raise SystemExit("bench: the idle connections could not be opened")
    grown = (resident_kb(pid) - before) / IDLE
    process.communicate("\n")
    return grown


def measure(context):
    sha256 = make_certificates(context.folder)
    nginx, nginx_port, nginx_mutual = start_nginx(context)
    ours, ours_mutual = start_ours(context, "none", sha256), start_ours(context, "required", sha256)
    rows, raw = [], {}
    for key, mode in MODES.items():
        sides = {"ours": ours_mutual if mode["mutual"] else ours,
                 "nginx": (nginx, nginx_mutual if mode["mutual"] else nginx_port)}
        rounds = []
        for i in range(context.rounds):
            order = list(sides) if i % 2 == 0 else list(reversed(sides))
            rounds.append({s: handshakes(context, *sides[s], key, mode) for s in order})
        raw[key] = rounds
        result = {"what": f"TLS 1.3, {mode['what']}: a CPU second, to nginx",
                  "ratio": part_server.ratio([{s: {"n": n} for s, n in r.items()} for r in rounds], "n", "ours", "nginx"),
                  "detail": ", ".join(f"{s} {median(r[s] for r in rounds):,.0f}" for s in sides)}
        if mode["goal"]:
            result.update(goal=f">= {mode['goal']}", met=result["ratio"] >= mode["goal"])
        rows.append(result)
    for is_mutual in (False, True):
        # Fresh processes: one that has freed the memory of other connections does not grow.
        kb = idle_kb(context, *start_ours(context, "required" if is_mutual else "none", sha256), is_mutual)
        nginx, port, mutual = start_nginx(context)
        peer = idle_kb(context, nginx, mutual if is_mutual else port, is_mutual)
        rows.append({"what": f"KB of an idle TLS connection{', client certificate' if is_mutual else ''}, of {IDLE:,}",
                     "ratio": kb, "goal": "<= 25", "met": kb <= 25, "detail": f"ours {kb:.1f}, nginx {peer:.1f}"})
    return {"rows": rows, "rounds": raw, "notes": ["each server with its own order of ciphers: ours begins with AES-128, "
                                                   "nginx with AES-256"]}
