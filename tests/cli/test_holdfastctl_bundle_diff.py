"""holdfastctl bundle diff: what changed, or would."""
import pytest

import ctl
from ctl import Root


@pytest.fixture
def p(tmp_path):
    """Version 1: A and B. Version 2: B with a date, and C."""
    publisher = ctl.Publisher(tmp_path)
    publisher.a, publisher.b, publisher.c = (Root(tmp_path, f"Root {x}") for x in "ABC")
    publisher.add(publisher.a.file, publisher.b.file)
    publisher.add("--drop", "all", "--remove-after", f"{publisher.b.sha256}=2035-01-01",
                  publisher.b.file, publisher.c.file)
    return publisher


def args(p, *more):
    return ["bundle", "diff", "--repo", p.repo, "--set", "roots", "--profile", "full", *more]


def names(found, what):
    return [x["sha256"] for x in found[what]]


def test_newest_against_the_one_before(p):
    found = ctl.report("diff-report", *args(p))
    assert (found["old"], found["new"]) == (1, 2)
    assert (names(found, "added"), names(found, "removed")) == ([p.c.sha256], [p.a.sha256])
    changed, = found["changed"]
    assert changed["sha256"] == p.b.sha256
    assert changed["before"] == {"distrust_after": None, "remove_after": None}
    assert changed["after"] == {"distrust_after": None, "remove_after": "2035-01-01T23:59:59Z"}


def test_text(p):
    out = ctl.ok(*args(p))
    assert f"- {p.a.sha256}  " in out and f"+ {p.c.sha256}  " in out
    assert f"~ {p.b.sha256}  " in out and "    remove after: 2035-01-01, was -\n" in out


def test_any_two_versions(p):
    found = ctl.report("diff-report", *args(p, "--old", "2", "--new", "1"))
    assert (names(found, "added"), names(found, "removed")) == ([p.a.sha256], [p.c.sha256])
    assert ctl.ok(*args(p, "--old", "1", "--new", "1")) == "no difference\n"


def test_against_files_and_a_folder(p, tmp_path):
    found = ctl.report("diff-report", *args(p, p.a.file, p.b.file))
    assert (found["old"], found["new"]) == (2, None)
    assert (names(found, "added"), names(found, "removed")) == ([p.a.sha256], [p.c.sha256])
    assert found["changed"] == []
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "b.pem").write_bytes(p.b.file.read_bytes())
    (folder / "c.der").write_bytes(p.c.der)
    (folder / "notes.txt").write_text("no certificate")
    assert ctl.ok(*args(p, folder)) == "no difference\n"


def test_what_is_not_there_is_told(p, tmp_path):
    assert "version 7 of roots/full is not listed" in ctl.refused(*args(p, "--old", "7"))
    assert "is the oldest version listed" in ctl.refused(*args(p, "--new", "1"))
    (tmp_path / "empty").mkdir()
    assert "there is no *.pem" in ctl.refused(*args(p, tmp_path / "empty"))


def test_wrong_usage(p):
    assert "--new excludes files" in ctl.refused(*args(p, "--new", "1", p.a.file), code=2)
    assert "--set is missing" in ctl.refused("bundle", "diff", "--repo", p.repo, code=2)
