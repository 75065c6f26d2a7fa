"""holdfastctl bundle list: what a repository offers, published or waiting."""
import shutil

import ctl
from ctl import Root


def listed(p, *options):
    return ctl.report("list-report", "bundle", "list", "--repo", p.repo, *options)


def test_shows_sets_profiles_versions_and_anchors(p, tmp_path):
    a, b = Root(tmp_path, "Root A"), Root(tmp_path, "Root B")
    p.add(a.file, b.file)
    p.add("--distrust-after", f"{a.sha256}=2035-01-01", "--drop", "all", a.file)
    p.add(b.file, "--new", set_name="other", profile="ecc")
    found = listed(p)
    assert found["waiting"] is False
    assert [(x["path"], x["newest"]) for x in found["bundles"]] == [
        ("other/ecc/1.pem", True), ("roots/full/1.pem", False), ("roots/full/2.pem", True)]
    newest = found["bundles"][2]
    assert newest["drops"] == [b.spki_sha256] and newest["accepted"] == []
    anchor, = newest["anchors"]
    assert (anchor["sha256"], anchor["spki_sha256"]) == (a.sha256, a.spki_sha256)
    assert (anchor["key"], anchor["distrust_after"]) == ("P-256", "2035-01-01T23:59:59Z")


def test_text_names_the_newest_certificates(p, tmp_path):
    a = Root(tmp_path, "Root A")
    p.add(a.file)
    p.add(a.file)
    out = ctl.ok("bundle", "list", "--repo", p.repo)
    assert "roots/full 1: 1 certificate(s), 0 dropped on purpose, older\n" in out
    assert "roots/full 2: 1 certificate(s), 0 dropped on purpose\n" in out
    assert out.count(a.sha256) == 1 and "P-256" in out and "Root A" in out


def test_one_set_or_profile_only(p, tmp_path):
    a = Root(tmp_path, "Root A")
    p.add(a.file)
    p.add(a.file, profile="ecc")
    assert [x["path"] for x in listed(p, "--profile", "ecc")["bundles"]] == ["roots/ecc/1.pem"]
    assert len(listed(p, "--set", "roots")["bundles"]) == 2
    assert 'no bundle of set "azure"' in ctl.refused("bundle", "list", "--repo", p.repo, "--set",
                                                      "azure")


def test_shows_what_waits_to_be_published(p, tmp_path):
    shutil.move(p.online, tmp_path / "elsewhere")
    p.add(Root(tmp_path, "Root A").file)
    assert listed(p)["waiting"] is True
    assert ctl.ok("bundle", "list", "--repo", p.repo).startswith(
        "Signed, and waiting for holdfastctl publish:\n")


def test_an_empty_or_damaged_repository_is_told_so(p, tmp_path):
    for more in ([], ["--json"]):
        assert "lists no bundle yet" in ctl.refused("bundle", "list", "--repo", p.repo, *more)
    p.add(Root(tmp_path, "Root A").file)
    bundle = next((p.repo / "targets/roots/full").iterdir())
    bundle.write_bytes(bundle.read_bytes().replace(b"A", b"B", 1))
    assert "roots/full/1.pem" in ctl.refused("bundle", "list", "--repo", p.repo)
