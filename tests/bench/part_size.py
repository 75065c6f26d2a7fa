"""How large the agent and libholdfast are (`size`), and how much memory the agent holds."""
import json
import signal
import subprocess
import time

from part_update import clean_environment, run_measured


def size_of(file):
    """Bytes of code and constants, of variables, of zeroed variables; of an archive, its members'."""
    done = subprocess.run(["size", "-B", file], capture_output=True, text=True, check=True)
    rows = [line.split()[:3] for line in done.stdout.splitlines()[1:]]
    return {name: sum(int(row[i]) for row in rows) for i, name in enumerate(("text", "data", "bss"))}


def sizes(context):
    build = context.bin.parent
    files = {"holdfast, everything but the system's libraries": context.bin / "holdfast",
             "client/, our part": build / "client" / "libholdfast.a",
             "common/, our part": build / "common" / "libhf_common.a"}
    shared = sorted((build / "client" / "package").glob("libholdfast.so.*.*"))
    if shared:
        files["libholdfast.so, with Mbed TLS"] = shared[0]
    return {name: size_of(file) for name, file in files.items() if file.exists()}


def peak_kib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return {"peak": int(fields["VmHWM"].split()[0]), "now": int(fields["VmRSS"].split()[0])}


def running_agent(context, url):
    """`holdfast run` once its first check is over."""
    device = context.folder / "device-run"
    init(context, device, url)
    agent = context.start(context.bin / "holdfast", "--state", device, "run", "--interval", "3600",
                          stderr=subprocess.PIPE, text=True, env=clean_environment())
    for line in agent.stderr:
        if "updated" in line or "failed" in line:
            break
    time.sleep(0.2)
    memory = peak_kib(agent)
    agent.send_signal(signal.SIGTERM)
    agent.wait(30)
    return memory


def init(context, device, url):
    context.run("holdfast", "--state", device, "init", "--root",
                context.repo / "metadata" / "1.root.json", "--url", url, "--set", "amazon-iot",
                "--profile", "full")


def one_shots(context, url):
    device = context.folder / "device-once"
    init(context, device, url)
    env = clean_environment()
    return {name: run_measured(context, [context.bin / "holdfast", "--state", device, *words],
                               env)["peak_kib"]
            for name, words in (("update", ["update"]), ("update without news", ["update"]),
                                ("status", ["status", "--json"]))}


def measure(context):
    _, port = context.start_holdfastd()
    url = f"http://127.0.0.1:{port}"
    size, memory = sizes(context), {"run": running_agent(context, url), **one_shots(context, url)}
    rows = [{"what": f"size of {name}, KiB of code and constants", "ratio": s["text"] / 1024,
             "detail": f"data {s['data']}, bss {s['bss']} bytes"} for name, s in size.items()]
    rows.append({"what": "`holdfast run`, peak memory, MiB", "ratio": memory["run"]["peak"] / 1024,
                 "goal": "<= 8", "met": memory["run"]["peak"] <= 8 * 1024,
                 "detail": f"{memory['run']['now']} KiB while it waits; "
                           + json.dumps({k: v for k, v in memory.items() if k != "run"})})
    return {"rows": rows, "size": size, "memory_kib": memory,
            "notes": ["Memory is that of the whole process, its shared libraries included."]}
