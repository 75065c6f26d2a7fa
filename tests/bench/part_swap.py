"""Handshakes while the live trust store is swapped, and a reader's wait (bench_swap.c)."""
import json
import subprocess

HANDSHAKES, SWAPS = 10000, 1000


def measure(context):
    out = subprocess.run([context.bin / "bench" / "bench_swap", str(HANDSHAKES), str(SWAPS)],
                         capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"bench: bench_swap failed: {out.stderr}")
    raw = json.loads(out.stdout)
    quiet, swapping = raw["quiet"], raw["swapping"]
    rows = [
        {"what": "handshakes that failed for a swap", "ratio": raw["failures"], "goal": "0",
         "met": raw["failures"] == 0,
         "detail": f"{raw['handshakes']:,} full handshakes, verified on both sides, on 4 threads over "
                   f"{raw['swaps']:,} swaps in {raw['seconds']:,.0f} s"},
        {"what": "a reader's wait, p99: swaps without pause to none",
         "ratio": swapping["p99_ns"] / quiet["p99_ns"],
         "detail": f"p99 {swapping['p99_ns']} ns against {quiet['p99_ns']} ns, p50 "
                   f"{swapping['p50_ns']} against {quiet['p50_ns']}, of {swapping['reads']:,} reads "
                   f"each on 4 threads, {swapping['swaps']:,} swaps meanwhile"},
        {"what": "a reader's longest wait: swaps without pause to none",
         "ratio": swapping["max_ns"] / quiet["max_ns"],
         "detail": f"{swapping['max_ns'] / 1e6:,.2f} ms against {quiet['max_ns'] / 1e6:,.2f} ms: that "
                   "is the system's scheduler, as there are more threads than cores"},
    ]
    return {"rows": rows, "rounds": raw}
