"""holdfastctl bundle import, and what bundle add takes in: sources, choices, pins, profiles."""
from pathlib import Path

import pytest

import ctl
import net_pki
from ctl import Root

MOZILLA = Path("/usr/share/ca-certificates/mozilla")
AMAZON_1 = "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"
STARFIELD = "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5"

debian = pytest.mark.skipif(not (MOZILLA / "Amazon_Root_CA_1.crt").exists(),
                            reason="Debian's ca-certificates is not installed")


def args(p, command, *more, set_name="roots", profile="full"):
    return ["bundle", command, *p.place, "--set", set_name, "--profile", profile, *more]


def anchors(p, **names):
    return [x["sha256"] for x in p.newest(**names)["anchors"]]


# ---- pins -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", ["add", "import"])
def test_what_nobody_knows_needs_a_pin(p, a, b, command):
    p.add(a.file)
    sentence = p.refuses(*args(p, command, a.file, b.file))
    assert sentence.endswith(
        f'CN=Root B" is in no table of known roots; compare its SHA-256 {b.sha256} with the one that '
        "its owner publishes, then give --pin with it")
    ctl.ok(*args(p, command, "--pin", b.sha256[:16], a.file, b.file))
    assert anchors(p) == [a.sha256, b.sha256]


def test_a_pin_may_name_the_key(p, a):
    ctl.ok(*args(p, "add", "--pin", a.spki_sha256, a.file))
    assert anchors(p) == [a.sha256]


def test_a_pin_of_nothing_given_is_refused(p, a, b):
    assert p.refuses(*args(p, "add", "--pin", a.sha256, "--pin", b.sha256, a.file), code=2) == (
        f"--pin {b.sha256}: no certificate or key of that SHA-256 is given")
    assert p.refuses(*args(p, "add", "--pin", "1" * 16, "--pin", b.sha256, a.file), code=2) == (
        f"--pin {'1' * 16}, {b.sha256}: no certificate or key of that SHA-256 is given")
    assert p.refuses(*args(p, "add", "--pin", "all", a.file), code=2).startswith("--pin: ")


def test_selects_that_choose_nothing_are_all_named(p, a):
    assert p.refuses(*args(p, "add", "--select", "Root A", "--select", "Root Y", "--select", "Root Z",
                           "--pin", a.sha256, a.file), code=2) == (
        '"Root Y", "Root Z" is no SHA-256, table of known roots or part of a subject of any '
        "certificate there")


def test_an_impostor_of_a_known_name_needs_a_pin(p, tmp_path):
    impostor = Root(tmp_path, "Amazon Root CA 1")
    assert "is in no table of known roots" in p.refuses(*args(p, "add", impostor.file))


def test_a_table_of_ones_own_makes_known(p, a, tmp_path):
    table = tmp_path / "factory.txt"
    table.write_text(f"# ours\n{a.sha256} {a.spki_sha256} 2036-01-01 - root-a.pem Root A\n")
    ctl.ok(*args(p, "add", "--roots", table, "--select", "factory", a.file))
    assert anchors(p) == [a.sha256]


@pytest.mark.parametrize("line,words", [
    ("zz", "expected a SHA-256 of 64 hexadecimal digits"),
    (f"{'0' * 64} {'1' * 64} soon - f n", "expected the day it expires"),
    (f"{'0' * 64} {'1' * 64} 2036-01-01 later f n", "expected a planned day of distrust"),
    (f"{'0' * 64} {'1' * 64} 2036-01-01 - f", "expected a file and a name at its end"),
])
def test_a_damaged_table_is_refused(p, a, tmp_path, line, words):
    table = tmp_path / "factory.txt"
    table.write_text(f"\n{line}\n")
    sentence = p.refuses(*args(p, "add", "--roots", table, "--pin", a.sha256, a.file))
    assert sentence.startswith(f"{table}, line 2: ") and words in sentence


# ---- sources and choices --------------------------------------------------------------------------

@debian
def test_debians_roots_by_table_subject_and_fingerprint(p):
    ctl.ok(*args(p, "add", "--select", "amazon", set_name="amazon-iot"))
    found = anchors(p, set_name="amazon-iot")
    assert len(found) == 5 and AMAZON_1 in found and STARFIELD in found
    ctl.ok(*args(p, "add", "--select", "isrg root x1", "--select", AMAZON_1[:16], "--new",
                 set_name="two"))
    assert len(anchors(p, set_name="two")) == 2


@debian
@pytest.mark.parametrize("table,count", [("azure", 6), ("google", 4), ("letsencrypt", 2)])
def test_other_owners_sets_work_the_same(p, table, count):
    ctl.ok(*args(p, "add", "--select", table, set_name=table))
    assert len(anchors(p, set_name=table)) == count


@debian
def test_the_whole_of_mozilla_by_one_word(p):
    found = ctl.ok(*args(p, "add", "--select", "mozilla"))
    n_left_out = found.count("warning expired-left-out")
    # A package that is newer than the table has roots that are not in it.
    assert 80 < len(anchors(p)) <= len(list(MOZILLA.glob("*.crt"))) - n_left_out


@debian
@pytest.mark.parametrize("choice,count", [(STARFIELD[:16], 1), ("isrg root x1", 1), ("google", 4)])
def test_import_takes_debians_roots_by_fingerprint_subject_and_table(p, a, choice, count):
    p.add(a.file)
    ctl.ok(*args(p, "import", "--select", choice))
    assert anchors(p)[0] == a.sha256 and len(anchors(p)) == 1 + count


def folder_of(tmp_path, a, b):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "1.CRT").write_bytes(b.file.read_bytes())
    (folder / "2.der").write_bytes(a.der)
    (folder / "README").write_text("no certificate")
    return folder


def pem_of(tmp_path, a, b):
    file = tmp_path / "both.pem"
    file.write_bytes(b.file.read_bytes() + a.file.read_bytes())
    return file


@pytest.mark.parametrize("source", [folder_of, pem_of])
@pytest.mark.parametrize("command", ["add", "import"])
def test_a_folder_of_pem_and_der_and_a_file_of_several(p, a, b, tmp_path, command, source):
    before = [Root(tmp_path, "Root 1")] if command == "import" else []
    for first in before:
        p.add(first.file)
    ctl.ok(*args(p, command, *net_pki.pins(a.file, b.file), source(tmp_path, a, b)))
    assert anchors(p) == [x.sha256 for x in (*before, b, a)]


@pytest.mark.parametrize("command", ["add", "import"])
def test_a_der_file(p, a, b, tmp_path, command):
    p.add(a.file)
    der = tmp_path / "b.der"
    der.write_bytes(b.der)
    files = [a.file, der] if command == "add" else [der]
    ctl.ok(*args(p, command, "--pin", b.sha256, *files))
    assert anchors(p) == [a.sha256, b.sha256]


@pytest.fixture
def old(tmp_path):
    return Root(tmp_path, "Old Root", start=ctl.NOW - 900 * ctl.DAY, end=ctl.NOW - ctl.DAY)


@pytest.fixture
def table(tmp_path, a, old):
    file = tmp_path / "factory.txt"
    file.write_text("".join(f"{x.sha256} {x.spki_sha256} 2036-01-01 - f {x.file.stem}\n"
                            for x in (a, old)))
    return ["--roots", file]


def test_what_has_expired_is_left_out_of_a_table(p, a, old, table):
    said = ctl.ok(*args(p, "add", *table, "--select", "factory", a.file, old.file))
    day = (ctl.NOW - ctl.DAY).date()
    assert (f'warning expired-left-out ({old.file}): "O=Holdfast Test, CN=Old Root" is in the table '
            f"that was chosen, but expired on {day}; it is left out") in said
    assert anchors(p) == [a.sha256]


@pytest.mark.parametrize("choice", [lambda o: ["--select", o.sha256], lambda o: ["--select", "Old"],
                                    lambda o: ["--select", "factory", "--select", "Old"],
                                    lambda o: []])
def test_what_has_expired_and_was_asked_for_is_refused(p, a, old, table, choice):
    assert 'Old Root" expired on ' in p.refuses(*args(p, "add", *table, *choice(old), a.file,
                                                      old.file))


def test_a_table_of_which_all_has_expired_is_refused(p, old, table):
    assert p.refuses(*args(p, "add", *table, "--select", "factory", old.file)) == (
        "all that was chosen has expired; choose roots in date")


def test_a_choice_that_means_nothing_is_refused(p, a):
    sentence = p.refuses(*args(p, "add", "--select", "Root Z", "--pin", a.sha256, a.file), code=2)
    assert sentence.startswith('"Root Z" is no SHA-256, table of known roots or part of a subject')


@pytest.mark.parametrize("table, count", [("amazon", 5), ("amazon-eu", 3)])
def test_amazons_own_files_are_what_the_tables_say(p, table, count):
    """Roots that no package has yet need no pin either, once the table knows them."""
    folder = ctl.CHECKOUT.parent / "shared" / "data" / "roots"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    ctl.ok(*args(p, "add", "--select", table, folder, set_name="amazon-iot"))
    assert len(anchors(p, set_name="amazon-iot")) == count


# ---- import ---------------------------------------------------------------------------------------

def test_import_adds_and_keeps_dates(p, a, b):
    p.add("--remove-after", f"{a.sha256}=2035-01-01", a.file)
    out = ctl.ok(*args(p, "import", "--pin", b.sha256, a.file, b.file))
    assert "published: roots/full 2" in out
    assert anchors(p) == [a.sha256, b.sha256]
    assert p.description()["anchors"] == [{"sha256": a.sha256,
                                           "remove_after": "2035-01-01T23:59:59Z"}]


def test_import_of_what_is_there_changes_nothing(p, a):
    p.add(a.file)
    before = ctl.tree(p.repo, p.keys)
    assert "nothing to publish: roots/full 1 has this content already\n" in (
        ctl.ok(*args(p, "import", a.file)))
    assert ctl.tree(p.repo, p.keys) == before
    assert "published: roots/full 2" in ctl.ok(*args(p, "import", "--again", a.file))


def test_import_needs_a_version_and_a_choice(p, a):
    assert 'holds no bundle of set "roots" and profile "full"' in p.refuses(
        *args(p, "import", "--pin", a.sha256, a.file))
    assert "a certificate file or --select is missing" in p.refuses(*args(p, "import"), code=2)


def test_an_intermediate_that_was_agreed_to_stays_without_a_word(p, a, b, tmp_path):
    inter = Root(tmp_path, "Server CA", issuer=a)
    p.add("--allow-intermediate", a.file, inter.file)
    ctl.ok(*args(p, "import", "--pin", b.sha256, b.file))
    assert p.description()["anchors"] == [{"sha256": inter.sha256, "use": "intermediate"}]


# ---- profiles -------------------------------------------------------------------------------------

def test_rsa_and_ecc_are_derived_in_one_ceremony(p, a, r):
    out = p.add("--derive", "rsa,ecc", "--remove-after", f"{r.sha256}=2035-01-01", a.file, r.file)
    for line in ("full", "rsa", "ecc"):
        assert f"published: roots/{line} 1, targets 2\n" in out
    assert anchors(p, profile="rsa") == [r.sha256] and anchors(p, profile="ecc") == [a.sha256]
    assert p.newest(profile="rsa")["anchors"][0]["remove_after"] == "2035-01-01T23:59:59Z"


def test_a_drop_that_full_signs_goes_from_its_parts(p, a, b, r):
    p.add("--derive", "rsa", "--derive", "ecc", a.file, b.file, r.file)
    p.add("--derive", "rsa,ecc", "--drop", b.sha256, a.file, r.file)
    assert p.newest(profile="ecc")["drops"] == [b.spki_sha256]
    assert p.newest(profile="rsa")["drops"] == []


def test_what_only_a_part_had_is_asked_about(p, a, b, r):
    p.add(a.file, r.file)
    p.add(a.file, b.file, profile="ecc")
    before = ctl.tree(p.repo)
    outcome = ctl.run(*p.add_args("--derive", "ecc", a.file, r.file))
    assert outcome.code == 1 and "profile ecc: 1 root(s) of the version before" in outcome.err
    assert ctl.tree(p.repo) == before


@pytest.mark.parametrize("text,words", [("full", 'not "full"'), ("rsa,rsa", "is given twice"),
                                        ("rsa,", 'not ""')])
def test_profiles_that_cannot_be_derived(p, a, r, text, words):
    assert words in p.refuses_to_add("--derive", text, a.file, r.file, code=2)


def test_a_part_with_nothing_in_it_is_refused(p, a):
    assert "no certificate would be left in roots/rsa" in p.refuses_to_add("--derive", "rsa", a.file)
