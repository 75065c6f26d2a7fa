"""A fleet of real agents under a rollout: some in the group of the first stage, each with an endpoint of its own."""
import concurrent.futures
import json
import socket
import socketserver
import ssl
import threading
import time

from kit import clock, pki, programs, roots
from kit.device import Device
from kit.processes import wait_until
from kit.publisher import Publisher
from kit.rollout import RolloutPublisher
from kit.servers import NginxTls
from kit.service import Service

LAB = "lab"
AT_ONCE = 8
ROUNDS_MAX = 12
RESULTS = ("waiting", "on-trial", "confirmed", "failed", "silent")
# Stages that bake for no time, so that only results keep them closed.
PLAN = {"stages": [{"groups": [LAB], "share": "0%", "bake": "0s"}, {"share": "50%", "bake": "0s"}, {"share": "100%"}],
        "pause": {"failed": "20%", "silent": "20%", "min_count": 1, "silent_after": "60s"},
        "promote": {"confirmed": "90%", "min_count": 1}, "mandatory_after": "30d"}


class Way(socketserver.ThreadingTCPServer):
    """The way of one device to the service. It breaks, in both directions, while the file `is_cut` is there."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self, port, is_cut):
        self.target, self.is_cut = ("127.0.0.1", port), is_cut
        super().__init__(("127.0.0.1", 0), None)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"https://localhost:{self.server_address[1]}"

    def finish_request(self, request, client_address):
        if self.is_cut.exists():
            return
        with socket.create_connection(self.target) as onward:
            back = threading.Thread(target=self._carry, args=(onward, request), daemon=True)
            back.start()
            self._carry(request, onward)
            back.join()

    def _carry(self, source, sink):
        try:
            while (data := source.recv(65536)) and not self.is_cut.exists():
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Agent:
    """It checks as its timer would have it, and its application confirms what it gets."""

    def __init__(self, world, name, group, endpoint, way=None):
        self.name, self.group, self.endpoint = name, group, endpoint
        self.device = Device(world.folder / name)
        options = ["--server-ca", world.service.server_ca, "--device-id", name, "--report", "service", "--endpoint",
                   f"tls://127.0.0.1:{endpoint.port}", "--bundle", world.factory]
        options += ["--group", group] if group else []
        options += ["--on-swap", f'[ "$HOLDFAST_NEW_VERSION" = 0 ] || touch {way.is_cut}'] if way else []
        self.device.init(world.publisher.root, way.url if way else world.service.url, options=options)
        programs.ok("holdfast", "--state", self.device.state, "enroll", "--token-file", world.tokens[group])

    def check(self, when=None):
        how = {} if when is None else {"env": clock.at(when)}
        programs.call("holdfast", "--state", self.device.state, "update", **how)
        if self.device.status()["trial"] is not None:
            self.device.confirm()

    @property
    def version(self):
        return self.device.status()["active"]["version"]

    def reaches_its_endpoint(self):
        """With the trust store that the application has now."""
        pem = self.device.export(self.device.state.with_suffix(".pem"))
        context = ssl.create_default_context(cadata=pem)
        context.check_hostname = False
        with socket.create_connection(("127.0.0.1", self.endpoint.port)) as raw, context.wrap_socket(raw):
            return True


class AgentsPublisher(RolloutPublisher):
    """Nothing for the agents yet: another profile, so that something is served."""

    def __init__(self, folder):  # pylint: disable=super-init-not-called
        Publisher.__init__(self, folder, "--rollout", "amazon-iot")
        self.plan_file = folder / "plan.json"
        self.add(*roots.amazon(1), profile="legacy")


class World:
    """The service, endpoints of two roots, and agents as they left the factory, with version 0, which has both. The
    endpoints of the lab need the old root."""

    def __init__(self, processes, folder, n_agents, n_lab):
        self.folder, self.processes, self.ways = folder, processes, []
        self.publisher = AgentsPublisher(folder / "publisher")
        self.service = Service(processes, folder / "service", self.publisher).start().with_account()
        authorities = {name: pki.Authority(f"{name.title()} Root") for name in ("main", "old", "new")}
        self.main, self.old, self.new = (a.write(folder / f"{name}.pem") for name, a in authorities.items())
        self.of_main, self.of_old = (
            NginxTls(processes, folder / f"{name}-endpoint", *pki.write_chain(folder, f"by-{name}", authorities[name].leaf()))
            for name in ("main", "old"))
        self.factory = folder / "factory.pem"
        self.factory.write_text(self.main.read_text() + self.old.read_text())
        self.tokens = {group: self._token(group, n) for group, n in ((LAB, n_lab), ("", n_agents - n_lab))}
        self.n_agents, self.n_lab = n_agents, n_lab

    def _token(self, group, n):
        file = self.folder / f"token-{group}"
        file.touch(mode=0o600)
        file.write_text(self.service.token("--uses", str(n), *(["--group", group] if group else [])))
        return file

    def make_agents(self, with_ways=False):
        """`with_ways`: those of the lab have a way to the service that is cut when they install a bundle."""
        if with_ways:
            self.ways = [Way(self.service.port, self.folder / f"cut-{n}") for n in range(self.n_lab)]

        def make(n):
            if n >= self.n_lab:
                return Agent(self, f"pump-{n}", "", self.of_main)
            return Agent(self, f"lab-{n}", LAB, self.of_old, self.ways[n] if with_ways else None)
        self.agents = self.all_at_once(make, range(self.n_agents))
        self.lab = self.agents[:self.n_lab]
        self.check_all()  # there is nothing for them, and the service knows which set they use: they count
        return self

    @staticmethod
    def all_at_once(do, things):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(do, things))

    def check_all(self):
        self.all_at_once(Agent.check, self.agents)

    def versions(self):
        return self.all_at_once(lambda agent: agent.version, self.agents)

    def roll_out(self, version, *certificates, **plan):
        """Agents that were registered in the second in which the service sees it do not count."""
        registered = int(time.time())
        wait_until(lambda: int(time.time()) > registered, "a second later")
        self.publisher.add_planned(*certificates, **{**PLAN, **plan})
        self.name = f"amazon-iot/full/{version}"
        return self.wait("the first stage opens", state="open", stage=0)

    def rollout(self):
        """None: the service does not know it yet."""
        done = programs.call("holdfast-admin", "rollout", "show", self.name, "--json", "--config", self.service.config)
        return json.loads(done.out) if done.code == 0 else None

    def wait(self, what, **wanted):
        def fits():
            now = self.rollout()
            return now if now and all(now[name] == value for name, value in wanted.items()) else None
        return wait_until(fits, lambda: f"{what}: {self.rollout()}")

    def counted(self):
        """The agents of the stages up to the signed one, and their results."""
        signed = self.publisher.role_version
        wait_until(lambda: (self.rollout() or {"role_version": 0})["role_version"] >= signed, "the service has read it")
        lists = [None]

        def is_settled():
            """An agent may move from one list to another while they are read one by one."""
            lists.append({d["device"]: result for result in RESULTS for d in self.service.admin_json(
                "rollout", "devices", self.name, "--result", result)["devices"]})
            return lists[-1] == lists[-2]
        wait_until(is_settled, lambda: f"the service has counted the reports: {lists[-2:]}")
        return lists[-1]

    def goes_on(self, version):
        """Round after round of checks, until the rollout is complete. No agent is ahead of its stage."""
        for _ in range(ROUNDS_MAX):
            self.check_all()
            ahead = {agent.name for agent in self.agents if agent.version == version}
            counted = self.counted()
            assert ahead <= set(counted), f"ahead of their stage: {ahead - set(counted)}, {counted}, {self.rollout()}"
            if self.rollout()["state"] == "complete":
                break
            time.sleep(1)
        self.wait("it is complete", state="complete")
        self.check_all()
        assert set(self.versions()) == {version}

    def stop(self):
        for way in self.ways:
            way.shutdown()
            way.server_close()
        self.service.stop()
