"""holdfastctl bundle add, import, remove --draft: a new version whose targets keys lie on several
machines."""
import functools
import json
import shutil

import pytest

import agent
import ctl
import json_schema
import net_pki
import net_servers


@pytest.fixture
def p(tmp_path):
    """Both of two targets keys must sign; none of them lies where the repository is."""
    publisher = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--targets-keys", "2",
                              "--targets-threshold", "2")
    publisher.holders = []
    for number in (1, 2):
        folder = tmp_path / f"holder-{number}"
        folder.mkdir(mode=0o700)
        shutil.move(publisher.offline / f"targets-{number}.key.json", folder)
        publisher.holders.append(folder)
    return publisher


@pytest.fixture
def file(tmp_path):
    return tmp_path / "targets.draft"


def prepare(p, *args):
    """The command writes a draft, and nothing else."""
    before = ctl.tree(p.repo, p.keys)
    said = ctl.ok(*args)
    assert ctl.tree(p.repo, p.keys) == before
    return said


def add(p, file, *roots):
    return prepare(p, *p.add_args(*[r.file for r in roots], f"--draft={file}"))


def change(p, command, file, *more):
    return prepare(p, "bundle", command, *p.place, "--set", "roots", "--profile", "full",
                   "--draft", file, *more)


def sign(file, *folders):
    digest = ctl.ok("targets", "status", file).split("SHA-256")[1].split()[0]
    return [ctl.ok("targets", "sign", "--draft", file, "--keys", f, "--yes", digest)
            for f in folders][-1]


def finish(p, file):
    return ctl.ok("targets", "finish", *p.place, file)


def test_a_version_is_drafted_signed_elsewhere_and_published(p, file, a, b):
    assert "not signed: targets 2 is a draft" in add(p, file, a, b)
    shown = ctl.ok("targets", "status", file)
    for part in ("    + roots/full/1.pem", "Root A", "Root B", a.sha256, b.sha256):
        assert part in shown
    schema = json_schema.load("draft.schema.json")
    assert json_schema.fault(json.loads(file.read_text()), schema, schema) is None
    assert "complete: run holdfastctl " in sign(file, *p.holders)
    assert finish(p, file) == "published: targets 2\n"
    assert p.newest()["version"] == 1
    assert p.check()["updatable"] is True


def test_the_next_version_is_built_on_what_was_finished(p, file, a, b, tmp_path):
    add(p, file, a)
    sign(file, *p.holders)
    finish(p, file)
    second = tmp_path / "second.draft"
    add(p, second, a, b)
    shown = ctl.ok("targets", "status", second)
    assert "    + roots/full/2.pem" in shown and "roots/full/1.pem" not in shown
    sign(second, *p.holders)
    assert finish(p, second) == "published: targets 3\n"
    assert p.newest()["version"] == 2


def test_one_signature_too_few_publishes_nothing(p, file, a):
    add(p, file, a)
    sign(file, p.holders[1])
    assert "signed by 1 of 2 keys of version 1 (2 must)" in p.refuses(
        "targets", "finish", *p.place, file)


def test_certificates_changed_on_the_way_are_refused(p, file, a, b):
    add(p, file, a)
    content = json.loads(file.read_text())
    content["files"]["roots/full/1.pem"] = b.file.read_text()
    file.write_text(json.dumps(content))
    assert "roots/full/1.pem" in ctl.refused("targets", "status", file)
    assert "roots/full/1.pem" in p.refuses("targets", "finish", *p.place, file)


def test_a_draft_is_never_overwritten(p, file, a):
    add(p, file, a)
    before = file.read_bytes()
    assert "exists" in p.refuses_to_add(a.file, f"--draft={file}")
    assert file.read_bytes() == before


# ---- import and remove, to the device -------------------------------------------------------------

@pytest.fixture
def device(p, a, tmp_path):
    """`holdfast` with version 1, which is Root A."""
    first = tmp_path / "first.draft"
    add(p, first, a)
    publish(p, first)
    state = tmp_path / "device"
    with net_servers.files(p.repo) as url:
        agent.ok("--state", state, "init", "--root", p.repo / "metadata" / "1.root.json", "--url",
                 url, "--set", "roots", "--profile", "full")
        yield functools.partial(agent.ok, "--state", state)


def publish(p, file):
    """Carried to both holders and back."""
    sign(file, *p.holders)
    return finish(p, file)


def held(device):
    """What the device stands on after an update."""
    device("update")
    active = json.loads(device("status", "--json"))["active"]
    return active["version"], [r["sha256"] for r in active["roots"]]


def test_an_import_is_drafted_and_reaches_a_device(p, device, file, a, b):
    assert held(device) == (1, [a.sha256])
    change(p, "import", file, *net_pki.pins(b.file), b.file)
    shown = ctl.ok("targets", "status", file)
    assert "    + roots/full/2.pem" in shown and "Root B" in shown and b.sha256 in shown
    sign(file, p.holders[0])
    assert "(2 must)" in p.refuses("targets", "finish", *p.place, file)
    assert held(device) == (1, [a.sha256])
    sign(file, p.holders[1])
    assert finish(p, file) == "published: targets 3\n"
    assert held(device) == (2, [a.sha256, b.sha256])


def test_a_removal_is_drafted_and_reaches_a_device(p, device, file, a, b, tmp_path):
    both = tmp_path / "both.draft"
    add(p, both, a, b)
    publish(p, both)
    assert held(device) == (2, [a.sha256, b.sha256])
    change(p, "remove", file, "--drop", "all", a.sha256)
    shown = ctl.ok("targets", "status", file)
    assert "    + roots/full/3.pem" in shown and a.spki_sha256 in shown
    assert held(device) == (2, [a.sha256, b.sha256])
    assert publish(p, file) == "published: targets 4\n"
    assert held(device) == (3, [b.sha256])
    assert p.description()["drops"] == [a.spki_sha256]


def test_a_removal_that_nobody_agreed_to_is_not_drafted(p, device, file, a, b):
    add(p, file, a, b)
    publish(p, file)
    before, second = ctl.tree(p.repo, p.keys), file.with_name("second.draft")
    outcome = ctl.run("bundle", "remove", *p.place, "--set", "roots", "--profile", "full",
                      "--draft", second, a.sha256)
    assert (outcome.code, outcome.out) == (1, "")
    assert "1 root(s) of the version before are missing" in outcome.err
    assert ctl.tree(p.repo, p.keys) == before and not second.exists()
