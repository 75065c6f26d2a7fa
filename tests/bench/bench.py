"""Measures and reports; run.sh says what. Each part is a module with measure(context) -> dict."""
import argparse
import json
import os
import platform
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import part_core
import part_heap
import part_lists
import part_publish
import part_report_wait
import part_reports
import part_server
import part_size
import part_store
import part_swap
import part_tls
import part_update

PARTS = {"server": part_server, "tls": part_tls, "reports": part_reports, "update": part_update, "core": part_core, "heap": part_heap, "store": part_store,
         "swap": part_swap, "size": part_size, "publish": part_publish,
         "lists": part_lists, "report-wait": part_report_wait}
ROOTS = Path("/usr/share/ca-certificates/mozilla")
FIVE_ROOTS = [ROOTS / f"{name}.crt" for name in (
    "Amazon_Root_CA_1", "Amazon_Root_CA_2", "Amazon_Root_CA_3", "Amazon_Root_CA_4",
    "Starfield_Services_Root_Certificate_Authority_-_G2")]


class Skip(Exception):
    """This comparison is left out, for the reason given."""


class Context:
    """Where things are, and a repository of the five roots as holdfastctl publishes it."""

    def __init__(self, options, folder):
        self.bin = Path(options.bin)
        self.seconds, self.rounds, self.devices = options.seconds, options.rounds, options.devices
        self.folder = folder
        self.repo, self.keys = folder / "repo", folder / "keys"
        self.Skip, self.five_roots = Skip, FIVE_ROOTS
        self.processes = []

    def run(self, program, *args):
        done = subprocess.run([self.bin / program, *map(str, args)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"bench: {program} {args[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def publish(self):
        where = ("--repo", self.repo, "--keys", self.keys)
        self.run("holdfastctl", "init", *where, "--insecure-no-passphrase")
        self.run("holdfastctl", "bundle", "add", *where, "--set", "amazon-iot", "--profile", "full",
                 *FIVE_ROOTS)

    def start(self, *command, **how):
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, **how)
        self.processes.append(process)
        return process

    def start_holdfastd(self, repo=None):
        """One loop; (process, port)."""
        process = self.start(self.bin / "holdfastd", "--repo", repo or self.repo, "--listen",
                             "127.0.0.1:0", "--loops", "1", stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "listening on http://" in line:
                return process, int(re.search(r"listening on http://[^ ]*:(\d+)", line)[1])
        raise SystemExit("bench: holdfastd did not start")

    def stop_all(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def versions():
    def first_line(*command):
        try:
            done = subprocess.run(command, capture_output=True, text=True)
            return (done.stdout or done.stderr).splitlines()[0]
        except (OSError, IndexError):
            return None
    return {"nginx": first_line("nginx", "-v"), "wrk": first_line("wrk", "-v"),
            "kernel": platform.release(), "cores": os.cpu_count(),
            "load_before": os.getloadavg()[0]}


def show(part, result):
    print(f"\n{part}")
    if "skipped" in result:
        print(f"  skipped: {result['skipped']}")
        return
    for row in result["rows"]:
        goal = f"goal {row['goal']}" if "goal" in row else ""
        mark = "" if "met" not in row else "met" if row["met"] else "MISSED"
        print(f"  {row['what']:<72} {row['ratio']:>8.3g}  {goal:<10} {mark}")
        print(f"      {row['detail']}")
    for note in result.get("notes", []):
        print(f"  {note}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--json", required=True)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--devices", type=int, default=100000)
    parser.add_argument("--only", action="append", choices=PARTS)
    options = parser.parse_args()
    missing = [str(f) for f in FIVE_ROOTS if not f.exists()]
    if missing:
        raise SystemExit(f"bench: install ca-certificates; missing: {', '.join(missing)}")

    report = {"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": versions()}
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        os.chmod(folder, 0o755)  # nginx's worker is another user
        context = Context(options, Path(folder))
        context.publish()
        for part in options.only or PARTS:
            try:
                report[part] = PARTS[part].measure(context)
            except Skip as e:
                report[part] = {"skipped": str(e)}
            finally:
                context.stop_all()
            show(part, report[part])
    Path(options.json).parent.mkdir(parents=True, exist_ok=True)
    Path(options.json).write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
