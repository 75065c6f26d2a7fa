"""The live trust store against Mbed TLS: look-up and memory (bench_trust_store.c), and what verifications cost
(bench_chain.c)."""
import json
import subprocess
from pathlib import Path
from statistics import median

ALL = Path("/etc/ssl/certs/ca-certificates.crt")


def once(context, program, *args):
    out = subprocess.run([context.bin / "bench" / program, *args], capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"bench: {program} failed: {out.stderr}")
    return json.loads(out.stdout)


def rows_of(name, rounds):
    def of(key):
        return median(r[key] for r in rounds)
    chain, store, der = of("chain_bytes"), of("store_bytes"), of("der_bytes")
    return [
        {"what": f"{name}: heap, parsed chain to live store", "ratio": chain / store,
         "detail": f"chain {chain:,.0f} bytes, live store {store:,.0f}"},
        {"what": f"{name}: heap beyond the certificates themselves",
         "ratio": (chain - der) / (store - der),
         "detail": f"chain {chain - der:,.0f} bytes, live store {store - der:,.0f}, its places for saved "
                   f"sessions included; the certificates are {der:,.0f}"},
        {"what": f"{name}: look-up, live store to chain",
         "ratio": median(r["store_ns"] / r["chain_ns"] for r in rounds),
         "detail": f"live store {of('store_ns') / 1000:.2f} us, since it reads the one it finds; chain "
                   f"{of('chain_ns') / 1000:.2f} us. A handshake takes some thousand us"},
        {"what": f"{name}: loading, parsed chain to live store",
         "ratio": median(r["chain_load_us"] / r["store_load_us"] for r in rounds),
         "detail": f"chain {of('chain_load_us'):,.0f} us, live store {of('store_load_us'):,.0f} us"},
    ]


def rows_of_verifications(rounds):
    def row(what, pairs, unit):
        ours, mbed_tls = median(p[0] for p in pairs), median(p[1] for p in pairs)
        return {"what": what, "ratio": median(p[0] / p[1] for p in pairs),
                "detail": f"live store {ours:,.1f} {unit}, Mbed TLS {mbed_tls:,.1f}"}
    hostile = [[(r["hostile"][i]["ms"]) for r in rounds] for i in range(len(rounds[0]["hostile"]))]
    return [
        row("a chain under one of 144 anchors: CPU time, live store to Mbed TLS",
            [r["verified_us"] for r in rounds], "us"),
        row("the same: peak heap beyond the list, live store to Mbed TLS", [r["heap_bytes"] for r in rounds], "bytes"),
        *(row(f"hostile list of {kind['certificates']} certificates, {kind['name']}: CPU time, live store to Mbed TLS",
              pairs, "ms") for kind, pairs in zip(rounds[0]["hostile"], hostile)),
        row("the worst of these lists for each, live store to Mbed TLS",
            [[max(side) for side in zip(*(kind["ms"] for kind in r["hostile"]))] for r in rounds], "ms"),
    ]


def measure(context):
    five = context.folder / "five.pem"
    five.write_bytes(b"".join(f.read_bytes() for f in context.five_roots))
    sets = {"5 roots": five}
    notes = []
    if ALL.exists():
        sets[f"{ALL.read_bytes().count(b'BEGIN CERT')} roots"] = ALL
    else:
        notes.append(f"{ALL} is not here: run update-ca-certificates for the large set")
    rows, raw = [], {}
    for name, pem in sets.items():
        raw[name] = [once(context, "bench_trust_store", pem) for _ in range(context.rounds)]
        rows += rows_of(name, raw[name])
    raw["verifications"] = [once(context, "bench_chain") for _ in range(context.rounds)]
    rows += rows_of_verifications(raw["verifications"])
    return {"rows": rows, "rounds": raw, "notes": notes}
