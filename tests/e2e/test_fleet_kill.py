"""The fleet's store is killed at random moments: whatever it has answered is there afterwards.

HOLDFAST_LONG=1 kills it 1,000 times instead of 40.
"""
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import time

BIN = pathlib.Path(os.environ.get("HOLDFAST_BIN", "build/bin"))
ACTS = BIN.parent / "tests" / "hf-fleet-acts"
KILLS = 1000 if os.environ.get("HOLDFAST_LONG") else 40
OTHER = {"ACTIVE": "INACTIVE", "INACTIVE": "ACTIVE"}


def run_and_kill(database, dice):
    """Each answered change: (number, status, sequence, hash)."""
    process = subprocess.Popen([ACTS, database, "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    time.sleep(dice.uniform(0.02, 0.25))
    process.send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, err
    return [line.split() for line in out.splitlines()]


def is_whole(database):
    db = sqlite3.connect(database)
    found = db.execute("PRAGMA integrity_check").fetchall(), db.execute("PRAGMA foreign_key_check").fetchall()
    db.close()
    return found == ([("ok",)], [])


def check(database):
    done = subprocess.run([ACTS, database, "check"], capture_output=True, text=True, timeout=300)
    lines = [line.split() for line in done.stdout.splitlines()]
    log = {int(words[1]): words[2] for words in lines if words[0] == "log"}
    return done.returncode, log, {words[0]: words[1] for words in lines if words[0] != "log"}


def test_what_was_answered_survives_a_kill(tmp_path):
    seed = random.randrange(1 << 32)
    dice, database = random.Random(seed), tmp_path / "fleet.db"
    n_answers = n_in_flight = 0
    for kill in range(KILLS):
        answers = run_and_kill(database, dice)
        status, log, found = check(database) if database.exists() else (0, {}, {})
        where = f"seed {seed}, kill {kill}"
        if not answers:  # killed while it began: there may be nothing yet
            continue
        assert status == 0 and is_whole(database), where
        assert list(log) == list(range(1, len(log) + 1)), where
        last = {}
        for number, answered, sequence, digest in answers:
            assert log.get(int(sequence)) == digest, where
            last[number] = answered
        for number, answered in last.items():
            # One further change may be on disk without an answer.
            assert found[number] in (answered, OTHER[answered]), where
            n_in_flight += found[number] != answered
        n_answers += len(answers)
    assert n_answers > KILLS
    print(f"{KILLS} kills, {n_answers} answered changes, {n_in_flight} on disk without an answer")
