"""holdfastctl bundle add --draft: a new version whose targets keys lie on several machines."""
import json
import shutil

import pytest

import ctl
import json_schema
from ctl import Root


@pytest.fixture
def a(tmp_path):
    return Root(tmp_path, "Root A")


@pytest.fixture
def b(tmp_path):
    return Root(tmp_path, "Root B")


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


def add(p, file, *roots):
    before = ctl.tree(p.repo, p.keys)
    said = ctl.ok(*p.add_args(*[r.file for r in roots], f"--draft={file}"))
    assert ctl.tree(p.repo, p.keys) == before
    return said


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
    assert "That is enough" in sign(file, *p.holders)
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
