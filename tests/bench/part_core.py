"""What a cold update and an unchanged check cost the core (bench_core_heap.c): requests, heap,
verifications. Nothing here depends on how busy the machine is, so one run says it all."""
import json
import subprocess

HEAP_GOAL_KIB = 64


def run(context):
    out = subprocess.run([context.bin / "bench" / "bench_core_heap", context.repo, "amazon-iot",
                          "full"], capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"bench: bench_core_heap failed: {out.stderr}")
    return json.loads(out.stdout)


def requests_row(check, result, goal):
    n = len(result["requests"])
    return {"what": f"{check}: requests", "ratio": n, "goal": f"== {goal}", "met": n == goal,
            "detail": ", ".join(result["requests"])}


def heap_row(check, result):
    kib = result["peak_bytes"] / 1024
    return {"what": f"{check}: peak heap of the core, KiB", "ratio": kib,
            "goal": f"<= {HEAP_GOAL_KIB}", "met": kib <= HEAP_GOAL_KIB,
            "detail": f"{result['blocks']} blocks in all; without SQLite, TLS and the live trust store"}


def measure(context):
    raw = run(context)
    cold, unchanged = raw["cold"], raw["unchanged"]
    n_cold, n_unchanged = cold["verifications"], unchanged["verifications"]
    # The next root, which is not there; timestamp, snapshot, targets; the bundle.
    rows = [requests_row("cold update", cold, 5), requests_row("unchanged check", unchanged, 2),
            heap_row("cold update", cold), heap_row("unchanged check", unchanged),
            {"what": "cold update: signatures verified", "ratio": n_cold,
             "detail": "root, timestamp, snapshot and targets, as many as each threshold needs"},
            {"what": "unchanged check: signatures verified", "ratio": n_unchanged, "goal": "<= 1",
             "met": n_unchanged <= 1, "detail": "the same bytes under the same root were verified before"}]
    return {"rows": rows, "rounds": raw}
