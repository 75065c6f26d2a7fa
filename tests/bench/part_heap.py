"""What metadata that is signed to use up memory costs a whole device (tests/attack/test_heap.c, which
asserts the goal): core, database and live trust store. Nothing here depends on how busy the machine is."""
import re
import subprocess

GOAL_KIB = 8 * 1024


def measure(context):
    program = context.bin.parent / "tests" / "attack_test_heap"
    if not program.exists():
        raise context.Skip(f"{program} is missing: cmocka (deploy/install-deps.sh --for test), then build it")
    done = subprocess.run([program], capture_output=True, text=True)
    peaks = {name: int(kib) for name, kib in
             re.findall(r"^peak of the heap, (.*): (\d+) KiB$", done.stdout + done.stderr, re.MULTILINE)}
    if not peaks:
        raise SystemExit(f"bench: attack_test_heap failed: {done.stderr}")
    worst = max(peaks, key=peaks.get)
    return {"rows": [{"what": "hostile metadata: peak heap of a device, KiB", "ratio": peaks[worst],
                      "goal": f"< {GOAL_KIB}", "met": done.returncode == 0 and peaks[worst] < GOAL_KIB,
                      "detail": f"{worst}; the worst of {len(peaks)} updates; sockets and TLS sessions not counted"}],
            "rounds": peaks}
