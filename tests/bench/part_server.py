"""holdfastd with one loop against nginx with one worker, the same timestamp.json, wrk."""
import os
import re
import shutil
import subprocess
import time
import urllib.request
from statistics import median

# As Debian packages it, but for the one worker, the access log (off on both sides) and the number of
# requests a connection may make (holdfastd has no such limit). The second server block keeps files
# open between requests, which Debian's default does not.
NGINX = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error;
daemon off;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    types {{ application/json json; }}
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ listen 127.0.0.1:{port}; root {repo}; }}
    server {{ listen 127.0.0.1:{cached_port}; root {repo}; open_file_cache max=1000; }}
}}
"""

MODES = {
    "keep-alive": {"threads": 1, "headers": [], "goal": 1.2,
                   "what": "keep-alive, wrk -t1 -c32"},
    # A wrk thread spends two to three times as long on a new connection as holdfastd does: with
    # one, wrk is what is measured.
    "new-connections": {"threads": 2, "headers": ["Connection: close"], "goal": 1.2,
                        "what": "new connections, wrk -t2 -c32"},
    "new-connections-t1": {"threads": 1, "headers": ["Connection: close"], "goal": None,
                           "what": "new connections, wrk -t1 -c32 (wrk is the limit)"},
}


def free_port():
    import socket
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def wait_for(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(200):
        try:
            return opener.open(url, timeout=5).read()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"bench: {url} does not answer")


def start_nginx(context):
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not program or not shutil.which("wrk"):
        raise context.Skip("nginx or wrk is missing (deploy/install-deps.sh --for bench)")
    port, cached_port = free_port(), free_port()
    config = context.folder / "nginx.conf"
    config.write_text(NGINX.format(folder=context.folder, repo=context.repo, port=port,
                                   cached_port=cached_port))
    process = context.start(program, "-c", config, "-e", context.folder / "nginx.error")
    wait_for(f"http://127.0.0.1:{port}/metadata/timestamp.json")
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(children) as f:
        return int(f.read().split()[0]), port, cached_port


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(pid, port, mode, seconds):
    """One wrk run: requests a second, and the server's CPU time for each, in microseconds."""
    command = ["wrk", f"-t{mode['threads']}", "-c32", f"-d{seconds}"]
    for header in mode["headers"]:
        command += ["-H", header]
    before = cpu_seconds(pid)
    out = subprocess.run(command + [f"http://127.0.0.1:{port}/metadata/timestamp.json"],
                         capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"bench: wrk met errors:\n{out}")
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    return {"rate": float(re.search(r"Requests/sec: +([\d.]+)", out).group(1)),
            "cpu_us": 1e6 * used / requests}


def median_of(rounds, key):
    return {side: median(r[side][key] for r in rounds) for side in rounds[0]}


def ratio(rounds, key, ours, theirs):
    """Median of the rounds' own ratios, so that what slows the whole machine cancels out."""
    return median(r[ours][key] / r[theirs][key] for r in rounds)


def row(mode, rounds, peer, goal):
    rate, cpu = median_of(rounds, "rate"), median_of(rounds, "cpu_us")
    name = {"nginx": "nginx", "nginx_cached": "nginx with open_file_cache"}[peer]
    result = {"what": f"{mode['what']}: requests/s, to {name}", "ratio": ratio(rounds, "rate", "holdfastd", peer),
              "detail": f"holdfastd {rate['holdfastd']:,.0f}/s and {cpu['holdfastd']:.1f} us of CPU each, "
                        f"{name} {rate[peer]:,.0f}/s and {cpu[peer]:.1f} us"}
    if goal:
        result.update(goal=f">= {goal}", met=result["ratio"] >= goal)
    return result


def measure(context):
    nginx_pid, port, cached_port = start_nginx(context)
    process, our_port = context.start_holdfastd()
    name = "/metadata/timestamp.json"
    if wait_for(f"http://127.0.0.1:{our_port}{name}") != wait_for(f"http://127.0.0.1:{port}{name}"):
        raise SystemExit("bench: the two servers serve different files")
    sides = {"holdfastd": (process.pid, our_port), "nginx": (nginx_pid, port),
             "nginx_cached": (nginx_pid, cached_port)}
    for pid, side_port in sides.values():  # warm
        load(pid, side_port, MODES["keep-alive"], 1)
    rows, raw = [], {}
    for key, mode in MODES.items():
        rounds = []
        for i in range(context.rounds):
            order = list(sides) if i % 2 == 0 else list(reversed(sides))
            rounds.append({s: load(*sides[s], mode, context.seconds) for s in order})
        raw[key] = rounds
        rows.append(row(mode, rounds, "nginx", mode["goal"]))
        rows.append(row(mode, rounds, "nginx_cached", None))
        rows[-2]["cpu_ratio"] = ratio(rounds, "cpu_us", "nginx", "holdfastd")
    return {"rows": rows, "rounds": raw, "notes": [
        f"timestamp.json has {len((context.repo / 'metadata/timestamp.json').read_bytes())} bytes; "
        "nginx: sendfile, tcp_nopush, access_log off, open_file_cache off as packaged"]}
