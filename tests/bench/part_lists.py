"""The database of a large fleet, and what the API and the audits ask it: bench_lists."""
import json
import subprocess

QUESTION_MS = 100  # the longest that one question may hold the reader, which answers one after the other
STEP_MS = 100      # the longest step of an audit, and the longest job for which it holds the writer


def measure(context):
    done = subprocess.run([context.bin / "bench" / "bench_lists", context.folder, str(context.devices)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bench: bench_lists failed: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    questions = {name: ms for name, ms in said["questions_ms"].items() if name != "end"}
    worst = max(questions, key=questions.get)
    audits = {name: audit for name, audit in said["audits"].items() if not audit["problem"]}
    longest = max(audits, key=lambda name: audits[name]["cpu_s"])
    step = max(audits, key=lambda name: audits[name]["longest_step_ms"])
    alone, busy = said["look_up_alone"], said["look_up_while_audits_run"]
    rows = [{"what": f"slowest question, ms of CPU: {worst}", "ratio": questions[worst], "goal": f"<= {QUESTION_MS}",
             "met": questions[worst] <= QUESTION_MS,
             "detail": ", ".join(f"{name} {ms:.1f}" for name, ms in questions.items())},
            {"what": f"slowest audit, seconds of CPU: {longest}", "ratio": audits[longest]["cpu_s"],
             "detail": ", ".join(f"{name} {audit['cpu_s']:.1f}" for name, audit in audits.items())},
            {"what": f"longest step of an audit, ms of CPU: {step}", "ratio": audits[step]["longest_step_ms"],
             "goal": f"<= {STEP_MS}", "met": audits[step]["longest_step_ms"] <= STEP_MS,
             "detail": f"longest wait for the writer {max(a['longest_job_ms'] for a in audits.values()):.1f} ms"},
            {"what": "p99 of a look-up of a device while audits run, ms", "ratio": busy["p99_ms"],
             "detail": f"p50 {busy['p50_ms']:.2f}, the longest {busy['max_ms']:.1f}; without audits p50 "
                       f"{alone['p50_ms']:.2f}, p99 {alone['p99_ms']:.2f}, the longest {alone['max_ms']:.1f}"}]
    return {"rows": rows, "raw": said,
            "notes": [f"{said['devices']:,} devices; memory {said['memory_before_mb']} MB after the start, "
                      f"{said['memory_mb']} MB after all of it"]}
