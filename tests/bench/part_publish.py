"""A bundle of Mozilla's whole set, published as one more version: with open keys against openssl, which
parses and verifies the same roots and does no more; and with sealed keys, as a publisher does it."""
import subprocess
from pathlib import Path
from statistics import median

from part_update import clean_environment, run_measured

ROOTS = Path("/usr/share/ca-certificates/mozilla")
LISTED = 5  # versions, as many as bundle add keeps


def is_in_date(root):
    return subprocess.run(["openssl", "x509", "-checkend", "0", "-noout", "-in", root],
                          capture_output=True).returncode == 0


def roots_in_date(context):
    try:
        return [root for root in sorted(ROOTS.glob("*.crt")) if is_in_date(root)]
    except OSError as none:
        raise context.Skip(f"openssl is not here to compare with: {none}")


class Shelf:
    """A repository that lists LISTED versions of the whole set, each but the next without one root."""

    def __init__(self, context, name, roots, key_options, options=()):
        self.context, self.roots, self.n = context, roots, 0
        self.folder = context.folder / f"publish-{name}"
        self.options = [*key_options, *options]
        context.run("holdfastctl", "init", *self.where(), *(key_options or ["--insecure-no-passphrase"]))
        for _ in range(LISTED):
            self.publish()

    def where(self):
        return "--repo", self.folder / "repo", "--keys", self.folder / "keys"

    def publish(self):
        self.n += 1
        roots = self.roots if self.n % 2 == 0 else self.roots[1:]
        return run_measured(self.context, [self.context.bin / "holdfastctl", "bundle", "add",
                                           *self.where(), *self.options, "--set", "mozilla",
                                           "--profile", "full", "--drop", "all", "--again", *roots],
                            clean_environment())


def shelves(context, roots):
    secret = context.folder / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text("only for a measurement\n")
    sealed = ["--passphrase-file", secret]
    return {"open": Shelf(context, "open", roots, []),
            "sealed": Shelf(context, "sealed", roots, sealed),
            "derived": Shelf(context, "derived", roots, sealed, ["--derive", "rsa,ecc"])}


def openssl_verify(context, roots):
    bundle = context.folder / "mozilla.pem"
    bundle.write_bytes(b"".join(root.read_bytes() for root in roots))
    return run_measured(context, ["openssl", "verify", "-partial_chain", "-check_ss_sig", "-CAfile",
                                  bundle, *roots], clean_environment())


def sealed_row(what, rounds, side):
    wall_ms, cpu_ms = (median(r[side][k] for r in rounds) for k in ("wall_ms", "cpu_ms"))
    argon2_ms = median(r["sealed"]["cpu_ms"] - r["open"]["cpu_ms"] for r in rounds)
    return {"what": f"{what}, sealed keys: seconds of CPU time", "ratio": cpu_ms / 1000,
            "goal": "< 1", "met": cpu_ms < 1000,
            "detail": f"of which {argon2_ms:.0f} ms open the keys (Argon2id); {wall_ms:.0f} ms by the "
                      "clock, beside whatever else the machine did"}


def measure(context):
    roots = roots_in_date(context)
    shelf, rounds = shelves(context, roots), []
    for _ in range(context.rounds):
        rounds.append({**{name: s.publish() for name, s in shelf.items()},
                       "openssl": openssl_verify(context, roots)})
    ours, theirs = (median(r[side]["cpu_ms"] for r in rounds) for side in ("open", "openssl"))
    what = f"one more version of {len(roots)} roots"
    rows = [{"what": f"{what}: CPU time, holdfastctl to openssl verify",
             "ratio": median(r["open"]["cpu_ms"] / r["openssl"]["cpu_ms"] for r in rounds),
             "detail": f"user and system: holdfastctl {ours:.0f} ms for the whole, open keys, {LISTED} "
                       f"versions listed; openssl {theirs:.0f} ms to parse and verify the roots alone"},
            sealed_row(what, rounds, "sealed"),
            sealed_row("full, rsa and ecc at once", rounds, "derived")]
    return {"rows": rows, "rounds": rounds, "roots": len(roots)}
