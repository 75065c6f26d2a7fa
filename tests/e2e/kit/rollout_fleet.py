"""A service that steers rollouts, and devices of it that say what the test wants."""
import re
import time

from kit import api, client_pki, roots
from kit.processes import wait_until
from kit.publisher import Publisher
from kit.reports import PATH as REPORTS
from kit.reports import as_body, report
from kit.rollout import RolloutPublisher
from kit.service import HOST, Service

A = "/v1/accounts/pumps"
ROLLOUT = "/v1/rollouts/amazon-iot/full"
# Stages that bake for no time, so that only results keep them closed.
STAGES = [{"groups": ["lab"], "share": "0%", "bake": "0s", "min_count": 2}, {"share": "100%"}]
PLAN = {"stages": STAGES, "pause": {"failed": "20%", "silent": "20%", "min_count": 1, "silent_after": "60s"},
        "promote": {"confirmed": "50%", "min_count": 1}}


class LatePublisher(RolloutPublisher):
    """Version 1 without a plan; the test publishes the next one."""

    def __init__(self, folder):  # pylint: disable=super-init-not-called
        Publisher.__init__(self, folder, "--rollout", "amazon-iot")
        self.plan_file = folder / "plan.json"
        self.add(*roots.amazon(1))


class Reporter:
    """A device with a certificate that the operator registered, in a group of the registry."""

    def __init__(self, client, folder, name, group=""):
        self.client, self.name, self.seq = client, name, 0
        cert, key = client_pki.self_signed(name)
        body = {"certificate": client_pki.pem(cert), "status": "ACTIVE", "device": name}
        made = client.call("POST", f"{A}/credentials", body)
        assert made.status == 201, made.raw
        self.credential = f"{A}/credentials/{made.json['sha256']}"
        self.pair = client_pki.write_pair(folder, name, cert, key)
        if group:
            assert client.change("PATCH", f"{A}/devices/{name}", {"group": group}).status == 200

    def says(self, kind, version=2, **more):
        self.seq += 1
        about = {"from": version - 1, "to": version, "text": kind, **more}
        if kind == "current":
            about.update({"from": version, "to": version, "outcome": "ok"})
        if kind == "rolled-back":
            about.update({"from": version, "to": version - 1})
        sent = self.client.device_call("POST", REPORTS, as_body([report(self.name, self.seq, kind, **about)]),
                                             sni=HOST, cert=self.pair[0], key=self.pair[1],
                                             headers={"Content-Type": "application/json"})
        assert sent.status == 200 and sent.json["accepted"] == 1, sent.raw
        return self


class Fleet:
    """`lab` is the group of the first stage."""

    def __init__(self, processes, folder, lab=4, others=4, **settings):
        self.folder = folder
        self.publisher = LatePublisher(folder / "publisher")
        self.service = Service(processes, folder / "service", self.publisher, **settings).start().with_account()
        self.client = Client(self.service)
        self.lab = [self.reporter(f"lab-{n}", "lab").says("current", 1) for n in range(lab)]
        self.others = [self.reporter(f"pump-{n}").says("current", 1) for n in range(others)]

    def reporter(self, name, group=""):
        return Reporter(self.client, self.folder, name, group)

    def publish(self, *certificates, **plan):
        """The next version. Devices that were registered in the second in which the service sees it do not count."""
        registered = int(time.time())
        wait_until(lambda: int(time.time()) > registered, "a second later")
        self.publisher.add_planned(*(certificates or roots.amazon(1, 2)), **{**PLAN, **plan})

    def rollout(self, version=2):
        answer = self.client.get(f"{ROLLOUT}/{version}")
        return answer.json if answer.status == 200 else None

    def wait(self, what, version=2, **wanted):
        """Until the rollout is so."""
        def fits():
            now = self.rollout(version)
            return now if now and all(now[name] == value for name, value in wanted.items()) else None
        return wait_until(fits, lambda: f"{what}: {self.rollout(version)}")

    def counts(self, **wanted):
        def fits():
            now = self.rollout()
            return now and now["counts"] and all(now["counts"][name] == value for name, value in wanted.items())
        wait_until(fits, lambda: f"{wanted}: {self.rollout()}")

    def act(self, verb, version=2, reason="the test wants it", **more):
        return self.client.call("POST", f"{ROLLOUT}/{version}/{verb}", {"reason": reason, **more})

    def log(self, *actions):
        return [line["entry"] for line in self.service.exported_log()
                if "entry" in line and line["entry"]["action"] in actions]

    def stop(self):
        self.service.server.stop()
        self.service.signer.stop()


class Client(api.Client):
    """Over the Unix socket."""

    def __init__(self, service):
        super().__init__(api.Description())
        self.service = service
        self.socket = service.settings["admin"]["socket"]

    @property
    def device(self):
        return f"127.0.0.1:{self.service.port}"

    @property
    def admin(self):
        return re.search(r"for operators on https://(\S+)", self.service.server.err)[1]
