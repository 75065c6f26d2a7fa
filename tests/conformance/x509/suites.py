#!/usr/bin/env python3
"""Public X.509 suites against Holdfast, and the score that is held as a floor.

The cases come from a file beside the checkout (README.md). Each is turned into a test case of x509-limbo
and judged by holdfast-x509-limbo: by the verdict of probes and lint, and by a handshake of each version.
"""
import argparse
import base64
import collections
import datetime
import ipaddress
import json
import lzma
import os
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
DATA = Path(os.environ.get("HOLDFAST_TEST_DATA", CHECKOUT.parent / "shared" / "data")) / "x509"
CASES = DATA / "cases.txt.xz"
KNOWN = HERE / "known_wrong.txt"
JUDGES = ("verdict", "tls12", "tls13", "oracle")


class Case:
    """A chain of a suite: what is shown to a client, and what the suite expects of it."""

    def __init__(self, name):
        self.name, self.host, self.time_s = name, None, 0
        self.anchors, self.sent = [], []
        self.is_good = self.is_applicable = False

    @property
    def suite(self):
        return self.name.partition("/")[0]

    def limbo(self):
        """As x509-limbo writes it."""
        when = datetime.datetime.fromtimestamp(self.time_s, datetime.timezone.utc)
        return {
            "id": self.name, "validation_kind": "SERVER", "validation_time": when.isoformat(),
            "trusted_certs": self.anchors, "peer_certificate": self.sent[0],
            "untrusted_intermediates": self.sent[1:], "signature_algorithms": [], "key_usage": [],
            "extended_key_usage": [], "expected_peer_names": [], "max_chain_depth": None, "crls": [],
            "expected_peer_name": self.host and {"kind": kind_of(self.host), "value": self.host},
            "expected_result": "SUCCESS" if self.is_good else "FAILURE"}


    def fuzz_input(self):
        """As tests/fuzz/chain_input.h writes it."""
        ders = [base64.b64decode("".join(pem.splitlines()[1:-1])) for pem in self.anchors + self.sent]
        host = (self.host or "").encode()
        return b"".join([bytes([len(self.anchors), 0, len(host)]), struct.pack(">Q", self.time_s), host,
                         *(struct.pack(">H", len(der)) + der for der in ders)])


def kind_of(host):
    try:
        ipaddress.ip_address(host)
        return "IP"
    except ValueError:
        return "DNS"


def load(path=CASES):
    """Lines of a letter and its value: P is a certificate of the pool, C begins a case, H and T are its host
    and time, A, L and I number its anchors, leaf and intermediates, X is what is expected of it, and why
    that does not apply to Holdfast, if it does not."""
    pool, cases = [], []
    for line in lzma.open(path, "rt", encoding="ascii"):
        letter, value = line[0], line[2:].rstrip("\n")
        if letter == "P":
            pool.append(f"-----BEGIN CERTIFICATE-----\n{value}\n-----END CERTIFICATE-----\n")
        elif letter == "C":
            cases.append(Case(value))
        elif letter == "H":
            cases[-1].host = value
        elif letter == "T":
            cases[-1].time_s = int(value)
        elif letter == "A":
            cases[-1].anchors.append(pool[int(value)])
        elif letter in "LI":
            cases[-1].sent.append(pool[int(value)])
        elif letter == "X":
            expected, _, inapplicable = value.partition(" ")
            cases[-1].is_good = expected == "accept"
            cases[-1].is_applicable = inapplicable == ""
    return [case for case in cases if case.is_applicable]


def judge(program, name, cases):
    """Ask the judge of that name: the set of the cases that it accepts, and of those it was asked."""
    limbo = json.dumps({"version": 1, "testcases": [case.limbo() for case in cases]})
    run = subprocess.run([program, "--judge", name], input=limbo, capture_output=True, text=True)
    if run.returncode != 0 or run.stderr != "":
        sys.exit(f"suites.py: {program} ended with {run.returncode}: {run.stderr}")
    results = {r["id"]: r["actual_result"] for r in json.loads(run.stdout)["results"]}
    return ({name for name, answer in results.items() if answer == "SUCCESS"},
            {name for name, answer in results.items() if answer != "SKIPPED"})


def wrong_of(cases, answers):
    """{(judge, "accept" or "refuse", case)} of all that is decided otherwise than its suite expects."""
    return {(name, "accept" if case.name in accepted else "refuse", case.name)
            for name, (accepted, asked) in answers.items() for case in cases
            if case.name in asked and (case.name in accepted) != case.is_good}


def known_wrong(path=KNOWN):
    """{(judge, answer, case): kind} of the committed file."""
    known = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            names, answer, kind, case = line.split(None, 3)
            known.update({(name, answer, case): kind for name in names.split(",")})
    return known


def score(cases, answers, wrong):
    """The table as text: for each suite and judge the right answers, false accepts, false refusals."""
    lines = [f"{'suite':10} {'chains':>6}" + "".join(f"  {name + ' right/accept/refuse':>27}" for name in answers)]
    for suite in [*sorted({case.suite for case in cases}), "all"]:
        names = {case.name for case in cases if suite in (case.suite, "all")}
        line = f"{suite:10} {len(names):6}"
        for name, (_, asked) in answers.items():
            n = collections.Counter(answer for who, answer, case in wrong if who == name and case in names)
            right = len(names & asked) - n["accept"] - n["refuse"]
            line += f"  {right:>15}/{n['accept']:>4}/{n['refuse']:>6}"
        lines.append(line)
    return "\n".join(lines)


def kinds(wrong, known):
    """How many of the wrong answers are of which kind."""
    n = collections.Counter((answer, known.get((name, answer, case), "new")) for name, answer, case in wrong
                            if name == JUDGES[0])
    return "\n".join(f"false {answer:6} {kind:24} {count:4}" for (answer, kind), count in sorted(n.items()))


def write_known(wrong, known, cases):
    """Bring the file up to date: right answers leave it, and additional wrong ones get the kind "new"."""
    by_case = collections.defaultdict(list)
    for name, answer, case in wrong:
        by_case[known.get((name, answer, case), "new"), answer, case].append(name)
    head = [line for line in KNOWN.read_text().splitlines() if line.startswith("#")]
    order = {case.name: i for i, case in enumerate(cases)}
    rows = sorted(by_case.items(), key=lambda item: (item[0][1], item[0][0], order[item[0][2]]))
    KNOWN.write_text("\n".join(head + [
        f"{','.join(sorted(names, key=JUDGES.index))} {answer} {kind} {case}"
        for (kind, answer, case), names in rows]) + "\n")


def write_fuzz_inputs(folder, cases):
    """Chains that are small enough to be changed often."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases):
        if len(case.anchors + case.sent) <= 24 and sum(map(len, case.anchors + case.sent)) < 40000:
            (folder / f"suites-{number}").write_bytes(case.fuzz_input())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=CHECKOUT / "build" / "bin" / "holdfast-x509-limbo", type=Path)
    parser.add_argument("--write", action="store_true", help="write known_wrong.txt as it is now")
    parser.add_argument("--fuzz-inputs", metavar="FOLDER", type=Path, help="write inputs for fuzz-chain, and nothing else")
    options = parser.parse_args()
    if not CASES.exists():
        sys.exit(f"suites.py: {CASES} is missing; HOLDFAST_TEST_DATA may name another folder")
    cases, known = load(), known_wrong()
    if options.fuzz_inputs is not None:
        write_fuzz_inputs(options.fuzz_inputs, cases)
        return 0
    answers = {name: judge(options.program, name, cases) for name in JUDGES}
    wrong = wrong_of(cases, answers)
    print(score(cases, answers, wrong), kinds(wrong, known), sep="\n\n")
    for what, which in (("better", known.keys() - wrong), ("worse", wrong - known.keys())):
        print(f"\n{what} than the floor: {len(which)}", *(" ".join(row) for row in sorted(which)), sep="\n    ")
    if options.write:
        write_known(wrong, known, cases)
    return 1 if wrong - known.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
