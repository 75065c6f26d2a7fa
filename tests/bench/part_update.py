"""`holdfast update` on a new device against python-tuf's client, from the same server: both start
with the first root alone and end with the verified bundle on disk."""
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent


def run_measured(context, command, env):
    out = subprocess.run([context.bin / "bench" / "bench_run", *map(str, command)], env=env,
                         stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"bench: {command[0]} failed: {out.stdout}{out.stderr}")
    return json.loads(out.stdout.splitlines()[-1])


def clean_environment():
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return env


def holdfast(context, url, env, device):
    root = context.repo / "metadata" / "1.root.json"
    context.run("holdfast", "--state", device, "init", "--root", root, "--url", url,
                "--set", "amazon-iot", "--profile", "full")
    result = run_measured(context, [context.bin / "holdfast", "--state", device, "update"], env)
    status = json.loads(context.run("holdfast", "--state", device, "status", "--json"))
    if "Amazon Root CA 1" not in json.dumps(status):
        raise SystemExit("bench: the device holds no Amazon root after its update")
    return result


def python_tuf(context, url, env, device):
    root = context.repo / "metadata" / "1.root.json"
    result = run_measured(context, ["/usr/bin/python3", HERE / "python_tuf_update.py", url, root,
                                    device, "amazon-iot/full/1.pem"], env)
    if b"BEGIN CERTIFICATE" not in (device / "bundle.pem").read_bytes():
        raise SystemExit("bench: python-tuf fetched no bundle")
    return result


def has_python_tuf(env):
    done = subprocess.run(["/usr/bin/python3", "-c", "import tuf.ngclient, tuf; print(tuf.__version__)"],
                          env=env, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def medians(rounds, side):
    return {k: median(r[side][k] for r in rounds) for k in ("wall_ms", "cpu_ms", "peak_kib")}


def rows_of(where, rounds, has_peer):
    ours = medians(rounds, "holdfast")
    if not has_peer:
        return [{"what": f"cold `holdfast update` {where}, ms", "ratio": ours["wall_ms"],
                 "detail": f"{ours['cpu_ms']:.1f} ms of CPU time; python-tuf is missing: run deploy/install-deps.sh --for bench"}]
    theirs = medians(rounds, "python_tuf")
    wall, cpu = (median(r["python_tuf"][k] / r["holdfast"][k] for r in rounds)
                 for k in ("wall_ms", "cpu_ms"))
    return [{"what": f"cold update {where}: wall time, python-tuf to holdfast", "ratio": wall,
             "goal": ">= 20", "met": wall >= 20,
             "detail": f"holdfast {ours['wall_ms']:.1f} ms, python-tuf {theirs['wall_ms']:.1f} ms"},
            {"what": f"cold update {where}: CPU time, python-tuf to holdfast", "ratio": cpu,
             "detail": f"user and system: holdfast {ours['cpu_ms']:.1f} ms, python-tuf "
                       f"{theirs['cpu_ms']:.1f} ms"}]


def memory_row(rounds, has_peer):
    peak_kib = median(r["holdfast"]["peak_kib"] for r in rounds)
    detail = f"{peak_kib:.0f} KiB"
    if has_peer:
        detail += f", python-tuf {median(r['python_tuf']['peak_kib'] for r in rounds):.0f} KiB"
    return {"what": "cold update: peak memory of holdfast, MiB", "ratio": peak_kib / 1024,
            "goal": "<= 8", "met": peak_kib <= 8 * 1024, "detail": detail}


def measure_in(context, folder, sides, url, env):
    rounds = []
    for i in range(2 * context.rounds + 1):
        result = {}
        for side, run in sides.items():
            device = folder / f"device-{side}-{i}"
            result[side] = run(context, url, env, device)
            shutil.rmtree(device)
        if i > 0:  # the first one warms the page cache
            rounds.append(result)
    return rounds


def large_rows(context, raw, notes):
    try:
        import large_swap  # which imports this file, and what not every machine has
    except (ImportError, context.Skip) as none:
        notes.append(f"Large swaps are left out: {none}")
        return []
    rows, raw["large"] = large_swap.measure(context)
    return rows


def measure(context):
    _, port = context.start_holdfastd()
    url, env = f"http://127.0.0.1:{port}", clean_environment()
    version = has_python_tuf(env)
    sides = {"holdfast": holdfast, **({"python_tuf": python_tuf} if version else {})}
    raw = {"on disk": measure_in(context, context.folder, sides, url, env)}
    notes = ["On disk holdfast waits for the disk (fsync) before it says that it is updated; "
             "python-tuf does not. In memory neither waits."]
    if os.access("/dev/shm", os.W_OK):
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir="/dev/shm") as folder:
            raw["in memory"] = measure_in(context, Path(folder), sides, url, env)
    rows = [row for where, rounds in raw.items() for row in rows_of(where, rounds, bool(version))]
    rows.append(memory_row(raw["on disk"], bool(version)))
    rows += large_rows(context, raw, notes)
    return {"rows": rows, "rounds": raw, "python_tuf": version, "notes": notes}
