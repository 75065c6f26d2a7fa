"""tests/skips.sh finds what pytest, cmocka and the lint skip, and what tests/skips.txt does not allow."""
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "skips.sh"
PYTEST = """1/3 Testing: e2e/test_disk
Output:
.ss.
SKIPPED [2] ../tests/e2e/test_disk.py:45: a disk of its own wants root and the right to mount
<end of output>
"""
CMOCKA = """2/3 Testing: wycheproof/test_signatures
Output:
[ RUN      ] ed25519
HOLDFAST_WYCHEPROOF is not set: ed25519_test.json is not looked at
[  SKIPPED ] ed25519
[ RUN      ] ecdsa
[  SKIPPED ] ecdsa
[  SKIPPED ] 2 test(s), listed below:
[  SKIPPED ] ed25519
[  SKIPPED ] ecdsa
<end of output>
"""
LINT = "lint: skipped: cppcheck: it is not installed\nlint: 7 files are clean\n"


def skips(tmp_path, *logs):
    files = []
    for number, log in enumerate(logs):
        files.append(tmp_path / str(number))
        files[-1].write_text(log)
    done = subprocess.run([SCRIPT, *files], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_each_kind_is_found_with_its_reason(tmp_path):
    assert skips(tmp_path, PYTEST + CMOCKA, LINT) == [
        "skipped 2: e2e/test_disk: a disk of its own wants root and the right to mount",
        "skipped 1, not listed: lint: cppcheck: it is not installed",
        "skipped 1, not listed: wycheproof/test_signatures: ecdsa",
        "skipped 1, not listed: wycheproof/test_signatures: ed25519: HOLDFAST_WYCHEPROOF is not set: "
        "ed25519_test.json is not looked at",
    ]


@pytest.mark.parametrize("log", ["", "1/1 Testing: unit/test_json\n[       OK ] all\n<end of output>\n"])
def test_nothing_skipped_is_nothing_listed(tmp_path, log):
    assert skips(tmp_path, log) == []
