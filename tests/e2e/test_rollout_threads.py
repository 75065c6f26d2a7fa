"""The keeper of rollouts at work while devices report, operators stop it and let it go on, others look at it, and holdfastd reads
its configuration again. Under ThreadSanitizer this is where a race between them would show."""
import itertools
import os
import random
import signal
import time

from kit.load import Load
from kit.rollout_fleet import ROLLOUT, Fleet

SECONDS = 60 if os.environ.get("HOLDFAST_LONG") else 8
KINDS = ("announce", "swapped", "confirmed", "current", "failed", "rolled-back", "refused")


def test_all_at_once(processes, folder):
    fleet = Fleet(processes, folder, lab=3, others=3, server__loops=2)
    fleet.publish(stages=[{"groups": ["lab"], "share": "0%", "bake": "0s", "min_count": 1}, {"share": "100%"}])
    fleet.wait("the first stage opens", state="open", stage=0)
    signed, found = set(), set()

    def report(device):
        device.says(random.choice(KINDS))
        time.sleep(SECONDS / 25)  # a device may report 30 times at once

    def operate(verbs):
        answer = fleet.act(next(verbs))
        assert answer.status in (200, 409, 429, 503), answer.raw
        signed.add(answer.status)
        time.sleep(0.2)

    def exclude_and_include():
        body = {"account": "pumps", "device": "pump-1", "reason": "a load"}
        for entry in fleet.client.call("POST", f"{ROLLOUT}/2/excluded", body).json["excluded"]:
            gone = fleet.client.call("DELETE", f"{ROLLOUT}/2/excluded/{entry['id']}", If_Match="*")
            assert gone.status == 204, gone.raw
        time.sleep(0.1)

    def look():
        at = fleet.rollout()
        found.add((at["stage"], at["state"]))
        for result in ("waiting", "failed", "confirmed"):
            assert fleet.client.get(f"{ROLLOUT}/2/devices?result={result}").status == 200
        assert fleet.client.get("/metrics").status == 200

    def read_again():
        fleet.service.server.signal(signal.SIGHUP)
        time.sleep(0.3)

    load = Load(SECONDS)
    for device in fleet.lab + fleet.others:
        load.add(report, device)
    load.add(operate, itertools.cycle(("pause", "resume", "promote")))
    load.add(exclude_and_include)
    load.add(look)
    load.add(look)
    load.add(read_again)
    load.wait()
    assert set(load.rounds) == {"report", "operate", "exclude_and_include", "look", "read_again"}
    assert 200 in signed and len(found) > 1, (signed, found)
    assert fleet.act("abort").status == 200
    fleet.wait("it is aborted", state="aborted")
    fleet.publisher.check()
    for process in (fleet.service.server, fleet.service.signer):
        assert process.stop() == 0, process.err
