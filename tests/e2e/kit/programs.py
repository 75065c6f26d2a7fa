"""Run the real programs, and be strict about what they say."""
import importlib.util
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("HOLDFAST_BIN", CHECKOUT / "build" / "bin"))
TIMEOUT_S = 60

HAS_PYTHON_TUF = importlib.util.find_spec("tuf") is not None
needs_python_tuf = pytest.mark.skipif(not HAS_PYTHON_TUF, reason="python-tuf is missing: run "
                                      "deploy/install-deps.sh --for test")


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def last_line(self):
        return self.out.rstrip("\n").rsplit("\n", 1)[-1]


def environment(**changes):
    """The environment without proxies, which would stand between a test and its own servers."""
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    env.update(changes)
    return env


def command(program, *args):
    return [str(BIN / program), *map(str, args)]


def call(program, *args, env=None, cwd=None):
    done = subprocess.run(command(program, *args), env=env or environment(), cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=TIMEOUT_S)
    return Outcome(done.returncode, done.stdout, done.stderr)


def ok(program, *args, **how):
    """It succeeds without a word on standard error."""
    outcome = call(program, *args, **how)
    assert outcome.err == "", f"{program} {args[0]} warned: {outcome.err}"
    assert outcome.code == 0, f"{program} {args[0]} ended with {outcome.code}: {outcome.out}"
    return outcome


def refused(program, *args, **how):
    """It fails with exactly one sentence on standard error and nothing on standard output."""
    outcome = call(program, *args, **how)
    assert outcome.out == "", f"{program} {args[0]} spoke before it refused: {outcome.out}"
    assert outcome.code == 1, f"{program} {args[0]} ended with {outcome.code}: {outcome.err}"
    lines = outcome.err.splitlines()
    assert len(lines) == 1, f"not one sentence: {outcome.err}"
    assert lines[0].startswith(program), lines[0]
    return lines[0]


def says(sentence, *words):
    """A refusal names these."""
    missing = [w for w in words if w.lower() not in sentence.lower()]
    assert not missing, f"{missing} not in: {sentence}"
