"""The live trust store's look-up and memory against Mbed TLS's parsed chain (bench_trust_store.c)."""
import json
import subprocess
from pathlib import Path
from statistics import median

ALL = Path("/etc/ssl/certs/ca-certificates.crt")


def once(context, pem):
    out = subprocess.run([context.bin / "bench" / "bench_trust_store", pem], capture_output=True,
                         text=True)
    if out.returncode != 0:
        raise SystemExit(f"bench: bench_trust_store failed: {out.stderr}")
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
         "detail": f"live store {of('store_ns') / 1000:.2f} us, since it parses the one it finds; chain "
                   f"{of('chain_ns') / 1000:.2f} us. A handshake takes some thousand us"},
        {"what": f"{name}: loading, parsed chain to live store",
         "ratio": median(r["chain_load_us"] / r["store_load_us"] for r in rounds),
         "detail": f"chain {of('chain_load_us'):,.0f} us, live store {of('store_load_us'):,.0f} us"},
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
        raw[name] = [once(context, pem) for _ in range(context.rounds)]
        rows += rows_of(name, raw[name])
    return {"rows": rows, "rounds": raw, "notes": notes}
