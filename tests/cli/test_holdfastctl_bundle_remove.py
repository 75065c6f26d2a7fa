"""holdfastctl bundle remove: roots go from the newest version, and only if that is agreed to."""
import pytest

import ctl
from ctl import Root


@pytest.fixture
def p(tmp_path):
    publisher = ctl.Publisher(tmp_path)
    publisher.a, publisher.b, publisher.c = (Root(tmp_path, f"Root {x}") for x in "ABC")
    publisher.add("--remove-after", f"{publisher.b.sha256}=2035-01-01", publisher.a.file,
                  publisher.b.file, publisher.c.file)
    return publisher


def args(p, *more):
    return ["bundle", "remove", *p.place, "--set", "roots", "--profile", "full", *more]


@pytest.mark.parametrize("what", [lambda a: a.sha256[:16], lambda a: a.spki_sha256,
                                  lambda a: "root a"])
def test_by_fingerprint_key_or_subject(p, what):
    ctl.ok(*args(p, "--drop", "all", what(p.a)))
    assert [x["sha256"] for x in p.newest()["anchors"]] == [p.b.sha256, p.c.sha256]
    assert p.description()["drops"] == [p.a.spki_sha256]
    assert p.description()["anchors"] == [{"sha256": p.b.sha256,
                                           "remove_after": "2035-01-01T23:59:59Z"}]


def test_by_table(p, tmp_path):
    table = tmp_path / "leaving.txt"
    table.write_text("".join(f"{x.sha256} {x.spki_sha256} 2036-01-01 - f {x.file.stem}\n"
                             for x in (p.a, p.c)))
    ctl.ok(*args(p, "--roots", table, "--drop", "all", "leaving"))
    assert [x["sha256"] for x in p.newest()["anchors"]] == [p.b.sha256]


def test_each_is_asked_about(p):
    before = ctl.tree(p.repo, p.keys)
    outcome = ctl.run(*args(p, "Root A"))
    assert (outcome.code, outcome.out) == (1, "")
    assert "Root A" in outcome.err and "1 root(s) of the version before are missing" in outcome.err
    assert ctl.tree(p.repo, p.keys) == before


def test_a_person_is_asked_on_the_terminal(p):
    t = ctl.Terminal(*args(p, "Root A"))
    t.expect("Drop? [y/N] ")
    t.type("y\n")
    code, out = t.end()
    assert code == 0 and "published: roots/full 2" in out


def test_what_is_not_there_is_refused(p):
    assert p.refuses(*args(p, "--drop", "all", "Root Z"), code=2) == (
        '"Root Z" is no SHA-256, table of known roots or part of a subject of any certificate in '
        "roots/full/1.pem")
    assert "what to remove is missing" in p.refuses(*args(p), code=2)


@pytest.mark.parametrize("what", [lambda a: a.sha256, lambda a: a.spki_sha256[:16],
                                  lambda a: "Root A"])
def test_what_is_removed_already_changes_nothing(p, what):
    ctl.ok(*args(p, "--drop", "all", p.a.sha256))
    assert ctl.ok(*args(p, "--drop", "all", what(p.a))).endswith(
        "nothing to publish: roots/full 2 has this content already\n")


def test_what_is_removed_already_changes_nothing_when_no_version_lists_it(p):
    ctl.ok(*args(p, "--drop", "all", "--keep", "1", p.a.sha256))
    assert "nothing to publish: roots/full 2" in ctl.ok(*args(p, "--drop", "all", p.a.spki_sha256))


def test_the_last_root_stays(p):
    assert "no certificate would be left in roots/full" in p.refuses(*args(p, "--drop", "all",
                                                                           "Root"))


def test_without_a_version_there_is_nothing_to_remove(tmp_path):
    (tmp_path / "other").mkdir()
    p = ctl.Publisher(tmp_path / "other")
    assert 'holds no bundle of set "roots"' in p.refuses(*args(p, "--drop", "all", "x"))
