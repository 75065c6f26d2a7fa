"""holdfastctl bundle add: what gets in, what does not, and what is signed about it."""
import datetime
import fcntl
import json
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

import ctl
import net_pki
from ctl import DAY, NOW


# ---- what is published ----------------------------------------------------------------------------

def test_publishes_everything_a_device_needs(p, a, b):
    out = p.add(a.file, b.file)
    assert out.endswith("published: roots/full 1, targets 2\n")
    assert p.versions() == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 2}
    bundle = p.newest()
    assert [anchor["sha256"] for anchor in bundle["anchors"]] == [a.sha256, b.sha256]
    assert p.description() == {"set": "roots", "profile": "full", "version": 1}


def test_the_target_is_plain_pem_under_its_hash(p, a):
    p.add(a.file)
    target = p.metadata("targets")["signed"]["targets"]["roots/full/1.pem"]
    file = p.repo / f"targets/roots/full/{target['hashes']['sha256']}.1.pem"
    content = file.read_bytes()
    assert (len(content), ctl.fingerprint(content)) == (target["length"], target["hashes"]["sha256"])
    assert set(target["hashes"]) == {"sha256"}
    assert content.count(b"-----BEGIN CERTIFICATE-----") == 1
    assert net_pki.fingerprint(x509.load_pem_x509_certificate(content)) == a.sha256


def test_pem_with_several_and_der_with_one(p, a, b, root, tmp_path):
    c = root("Root C")
    net_pki.write_pem(tmp_path / "two.pem", a.cert, b.cert)
    (tmp_path / "one.der").write_bytes(c.der)
    p.add(tmp_path / "two.pem", tmp_path / "one.der")
    assert [x["sha256"] for x in p.newest()["anchors"]] == [a.sha256, b.sha256, c.sha256]


def test_versions_of_each_set_and_profile_rise_on_their_own(p, a):
    assert "roots/full 1, targets 2\n" in p.add(a.file)
    assert "roots/full 2, targets 3\n" in p.add(a.file)
    assert "roots/ecc 1, targets 4\n" in p.add(a.file, profile="ecc")
    assert "other/full 1, targets 5\n" in p.add(a.file, "--new", set_name="other")
    assert "roots/full 3, targets 6\n" in p.add(a.file)


def test_old_versions_stay_listed_up_to_a_number_and_are_never_reused(p, a):
    for version in range(1, 8):
        p.add(a.file)
    listed = set(p.metadata("targets")["signed"]["targets"])
    assert listed == {f"roots/full/{v}.pem" for v in (3, 4, 5, 6, 7)}
    p.add(a.file, profile="ecc")
    assert "roots/full 8," in p.add("--keep", "1", a.file)
    listed = set(p.metadata("targets")["signed"]["targets"])
    assert listed == {"roots/full/8.pem", "roots/ecc/1.pem"}
    assert "roots/full 9," in p.add(a.file)


def test_signed_at_is_the_time_of_signing(p, a):
    p.add(a.file, at="+90000s")
    signed = p.metadata("targets")["signed"]
    expires = datetime.datetime.strptime(signed["expires"], "%Y-%m-%dT%H:%M:%SZ")
    signed_at = datetime.datetime.strptime(signed["signed_at"], "%Y-%m-%dT%H:%M:%SZ")
    assert expires - signed_at == 540 * DAY
    assert NOW + DAY < signed_at < NOW + 2 * DAY


# ---- what does not get in -------------------------------------------------------------------------

def test_three_damaged_bytes_are_refused(p, a, tmp_path):
    lines = a.file.read_text().splitlines(keepends=True)
    lines[3] = "!!!" + lines[3][3:]
    (tmp_path / "damaged.pem").write_text("".join(lines))
    assert p.refuses_to_add(tmp_path / "damaged.pem").startswith(f"{tmp_path}/damaged.pem: ")


def test_a_damaged_signature_is_refused(p, a, tmp_path):
    der = bytearray(a.der)
    der[-3] ^= 1
    (tmp_path / "damaged.der").write_bytes(der)
    sentence = p.refuses_to_add(tmp_path / "damaged.der")
    assert "Root A" in sentence and "signature" in sentence


def test_a_leaf_is_refused(p, a, tmp_path):
    leaf, _ = a.leaf("device.test", start=NOW - DAY, end=NOW + DAY)
    net_pki.write_pem(tmp_path / "leaf.pem", leaf)
    sentence = p.refuses_to_add(a.file, tmp_path / "leaf.pem")
    assert "device.test" in sentence and "is not a CA certificate" in sentence
    assert "Root A" in sentence  # where to look instead
    assert "is not a CA certificate" in p.refuses_to_add("--allow-intermediate",
                                                         tmp_path / "leaf.pem")


def test_an_intermediate_needs_a_word(p, a, root):
    intermediate = root("Server CA 1B", issuer=a)
    sentence = p.refuses_to_add(a.file, intermediate.file)
    assert "Server CA 1B" in sentence and "is an intermediate, issued by" in sentence
    assert "--allow-intermediate" in sentence
    p.add("--allow-intermediate", a.file, intermediate.file)
    assert p.description()["anchors"] == [{"sha256": intermediate.sha256, "use": "intermediate"}]


def test_a_root_under_another_issuer_is_cross_signed(p, a, root):
    new = root("Root New")
    twin = root("Root New", issuer=a, key=new.key)
    p.add(a.file, new.file, twin.file)
    assert p.description()["anchors"] == [{"sha256": twin.sha256, "use": "cross-signed"}]


def test_a_cross_signed_root_without_its_twin_is_an_intermediate(p, a, root):
    twin = root("Root New", issuer=a)
    assert "is an intermediate" in p.refuses_to_add(a.file, twin.file)


def test_what_is_not_in_date_is_refused(p, root):
    old = root("Root Old", start=NOW - 900 * DAY, end=NOW - DAY)
    day = (NOW - DAY).date()
    assert f'Root Old" expired on {day}; leave it out' in p.refuses_to_add(old.file)
    early = root("Root Early", start=NOW + 2 * DAY)
    day = (NOW + 2 * DAY).date()
    assert f'Root Early" is not valid before {day}' in p.refuses_to_add(early.file)


def test_a_weak_key_is_refused(p, root):
    weak = root("Root Weak", key=rsa.generate_private_key(65537, 1024))
    sentence = p.refuses_to_add(weak.file)
    assert "Root Weak" in sentence and "RSA 1024" in sentence and "2048" in sentence


def test_the_same_certificate_from_two_files_is_one(p, a, b, tmp_path):
    (tmp_path / "again.der").write_bytes(a.der)
    (tmp_path / "both.pem").write_bytes(b.file.read_bytes() + a.file.read_bytes())
    p.add(a.file, b.file, tmp_path / "again.der", tmp_path / "both.pem")
    assert p.newest()["version"] == 1 and len(p.newest()["anchors"]) == 2


# ---- all that is wrong, in one run ----------------------------------------------------------------

def problems(p, *args, code=1):
    """Refused, with everything that is wrong on standard error; nothing has changed."""
    before = ctl.tree(p.repo, p.keys)
    outcome = ctl.run("bundle", "add", *p.place, "--set", "roots", "--profile", "full", "--lead", "0",
                      *args)
    assert (outcome.code, outcome.out) == (code, ""), outcome
    assert ctl.tree(p.repo, p.keys) == before
    return outcome.err


def test_every_unknown_root_is_named_with_what_to_pin(p, root):
    unknown = [root(f"Unknown {i}") for i in range(5)]
    said = problems(p, *(r.file for r in unknown))
    for r in unknown:
        assert f'CN=Unknown' in said and r.sha256 in said
    assert "because of the 5 problems above" in said
    p.add(*(r.file for r in unknown))     # all of them pinned


def test_every_kind_of_fault_is_named_in_one_run(p, a, b, root, tmp_path):
    p.add(a.file, b.file)
    sub_ca = root("Sub", issuer=a)
    weak = root("Weak", key=rsa.generate_private_key(65537, 1024))
    old = root("Old", start=NOW - 20 * DAY, end=NOW - DAY)
    (tmp_path / "damaged.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "empty.pem").write_text("")
    said = problems(p, a.file, tmp_path / "damaged.pem", tmp_path / "empty.pem", sub_ca.file,
                    weak.file, old.file, tmp_path / "missing.pem")
    for words in ("damaged.pem: ", "empty.pem", "there is no " + str(tmp_path / "missing.pem"),
                  'CN=Sub" is an intermediate', "CN=Weak", 'CN=Old" expired on', old.sha256,
                  "1 root(s) of the version before are missing", b.sha256):
        assert words in said, words


def test_a_pin_of_a_file_that_cannot_be_read_hides_no_problem(p, a, tmp_path):
    assert problems(p, "--pin", "0" * 64, a.file, tmp_path / "missing.pem").count("there is no") > 0


# ---- nothing new ----------------------------------------------------------------------------------

def versions(p, profile="full"):
    return len(list((p.repo / "targets/roots" / profile).iterdir()))


def unchanged(p, *args, at=None):
    """The same content again: it says so, and not a byte is written. Returns what it printed."""
    before = ctl.tree(p.repo, p.keys)
    out = p.add(*args, again=False, at=at)
    assert ctl.tree(p.repo, p.keys) == before
    return out


def test_the_same_content_makes_no_new_version(p, a, b, tmp_path):
    p.add(a.file, b.file, again=False)
    said = "nothing to publish: roots/full 1 has this content already\n"
    assert unchanged(p, a.file, b.file).endswith(said)
    assert unchanged(p, b.file, a.file).endswith(said)              # in another order
    (tmp_path / "a.der").write_bytes(a.der)
    assert unchanged(p, tmp_path / "a.der", b.file).endswith(said)  # in another form
    report = ctl.report("publish-report", *p.add_args(a.file, b.file, again=False))
    assert (report["outcome"], report["bundles"]) == ("unchanged", [])
    assert set(report["versions"].values()) == {None}
    [same] = report["unchanged"]
    assert (same["set"], same["profile"], same["version"]) == ("roots", "full", 1)
    assert versions(p) == 1


def test_again_makes_a_new_version(p, a, b):
    p.add(a.file, b.file, again=False)
    assert "published: roots/full 2" in p.add(a.file, b.file, again=True)
    assert versions(p) == 2


@pytest.mark.parametrize("option", ["--distrust-after", "--remove-after"])
def test_a_date_is_a_change_and_the_same_date_is_none(p, a, b, option):
    p.add(a.file, b.file, again=False)
    dated = [option, f"{a.sha256}={ctl.NOW + 800 * ctl.DAY:%Y-%m-%d}"]
    assert "published: roots/full 2" in p.add(*dated, a.file, b.file, again=False)
    assert "roots/full 2 has this content already" in unchanged(p, *dated, a.file, b.file)
    assert "roots/full 2 has this content already" in unchanged(p, a.file, b.file)
    assert "published: roots/full 3" in p.add(option, f"{a.sha256}=none", a.file, b.file, again=False)


def test_a_drop_is_a_change_and_the_same_drop_is_none(p, a, b):
    p.add(a.file, b.file, again=False)
    assert "published: roots/full 2" in p.add("--drop", "all", a.file, again=False)
    assert "roots/full 2 has this content already" in unchanged(p, "--drop", "all", a.file)
    for dropped in (b.spki_sha256, b.sha256, b.sha256[:16]):  # of a version before the newest
        assert "roots/full 2 has this content already" in unchanged(p, "--drop", dropped, a.file)
    assert "published: roots/full 3" in p.add(a.file, b.file, again=False)       # it comes back


def test_only_the_profiles_that_changed_get_a_new_version(p, root):
    ecc, rsa_one = root("Root E"), root("Root R", key=rsa.generate_private_key(65537, 2048))
    other = root("Root S", key=rsa.generate_private_key(65537, 2048))
    p.add("--derive", "rsa,ecc", ecc.file, rsa_one.file, again=False)
    out = p.add("--derive", "rsa,ecc", ecc.file, rsa_one.file, other.file, again=False)
    assert "published: roots/full 2" in out and "published: roots/rsa 2" in out
    assert "nothing to publish: roots/ecc 1 has this content already" in out
    assert (versions(p), versions(p, "rsa"), versions(p, "ecc")) == (2, 2, 1)


def test_what_ends_soon_is_signed_again_without_a_new_version(p, a, b):
    p.add(a.file, b.file, again=False)
    out = p.add(a.file, b.file, at="+4d", again=False)
    assert "nothing to publish: roots/full 1" in out and "refreshed: timestamp 3" in out
    assert "refreshed" not in p.add(a.file, b.file, at="+4d", again=False)
    out = p.add("--clock-is-right", a.file, b.file, at="+485d", again=False)
    assert "nothing to publish: roots/full 1" in out
    assert "published: targets 3, with the same bundles" in out
    assert versions(p) == 1


def test_a_draft_of_the_same_content_is_not_written(p, a, b, tmp_path):
    p.add(a.file, b.file, again=False)
    assert "nothing to publish" in unchanged(p, "--draft", tmp_path / "draft", a.file, b.file)
    assert not (tmp_path / "draft").exists()


def unaccepted(p, *files):
    """Lint's errors count; the roots are not known from elsewhere."""
    return ["bundle", "add", *p.place, "--set", "roots", "--profile", "full", *files]


def test_an_error_of_the_same_content_is_an_error(p, root):
    """What was good when it was signed may cut devices off by now; --accept says that it may."""
    short = root("Root S", end=ctl.NOW + 200 * ctl.DAY)
    p.add(short.file, again=False)
    args = [*unaccepted(p, short.file), "--lead", "400"]
    assert p.refuses(*args).startswith("nothing was published: no-successor (roots/full 1): ")
    report = ctl.report("publish-report", *args, "--accept", "no-successor")
    assert report["outcome"] == "unchanged"
    found = {x["code"]: x["severity"] for x in report["unchanged"][0]["findings"]}
    assert found["no-successor"] == "accepted"
    # What was accepted when it was signed needs no second word.
    ctl.ok(*args, "--accept", "no-successor", "--again")
    assert "accepted no-successor (roots/full 2)" in ctl.ok(*args)


def test_what_waits_is_not_published_over_an_error(p, root):
    (p.keys / "online").rename(p.folder / "away")
    short = root("Root S", end=ctl.NOW + 200 * ctl.DAY)
    p.add(short.file, again=False)
    (p.folder / "away").rename(p.keys / "online")
    assert p.refuses(*unaccepted(p, short.file), "--lead", "400").startswith(
        "nothing was published: no-successor (roots/full 1): ")
    assert "published: targets 3" in ctl.ok(*unaccepted(p, short.file), "--lead", "400", "--accept",
                                            "no-successor")


def test_the_same_content_that_waits_is_published_when_the_online_keys_are_back(p, a, b):
    (p.keys / "online").rename(p.folder / "away")
    p.add(a.file, b.file, again=False)
    assert "roots/full 1 has this content already and waits for holdfastctl publish" in (
        unchanged(p, a.file, b.file))
    assert ctl.report("publish-report", *p.add_args(a.file, b.file, again=False))["outcome"] == "waiting"
    (p.folder / "away").rename(p.keys / "online")
    assert "published: targets 3, with the same bundles" in p.add(a.file, b.file, again=False)
    assert p.newest()["version"] == 1


def test_a_private_key_is_refused(p, a, tmp_path):
    net_pki.write_key(tmp_path / "key.pem", a.key)
    (tmp_path / "both.pem").write_bytes(a.file.read_bytes() + (tmp_path / "key.pem").read_bytes())
    sentence = p.refuses_to_add(tmp_path / "both.pem")
    assert sentence.startswith(f"{tmp_path}/both.pem: ") and "PRIVATE KEY" in sentence


def test_files_without_certificates_are_refused(p, tmp_path):
    assert p.refuses_to_add(tmp_path / "none.pem") == f"there is no {tmp_path}/none.pem"
    (tmp_path / "empty.pem").write_text("")
    assert p.refuses_to_add(tmp_path / "empty.pem").startswith(f"{tmp_path}/empty.pem: ")


@pytest.mark.parametrize("set_name,profile", [("Amazon", "full"), ("a/b", "full"), ("..", "full"),
                                              ("roots", "x" * 65), ("roots", "-x")])
def test_names_that_would_make_odd_paths_are_refused(p, a, set_name, profile):
    sentence = p.refuses_to_add(a.file, set_name=set_name, profile=profile, code=2)
    assert "a set or profile is named with a-z, 0-9" in sentence


@pytest.mark.parametrize("args,words", [
    ([], "at least one certificate file, or --from, is missing"),
    (["--keep", "0", "x.pem"], "--keep N is 1 to 1000, not 0"),
])
def test_wrong_usage(p, args, words):
    assert p.refuses_to_add(*args, code=2) == f"{words}; see holdfastctl bundle add --help"


# ---- dates ----------------------------------------------------------------------------------------

def test_dates_are_signed_and_stay_until_lifted(p, a, b):
    p.add("--distrust-after", f"{a.sha256[:16]}=2035-04-15", "--remove-after",
          f"{b.sha256}=2036-01-01T12:00:00Z", a.file, b.file)
    dated = [{"sha256": a.sha256, "distrust_after": "2035-04-15T23:59:59Z"},
             {"sha256": b.sha256, "remove_after": "2036-01-01T12:00:00Z"}]
    assert p.description()["anchors"] == dated
    p.add(a.file, b.file)
    assert p.description()["anchors"] == dated
    colons = ":".join(a.sha256[i:i + 2] for i in range(0, 64, 2)).upper()
    p.add("--distrust-after", f"{colons}=none", "--remove-after", f"{b.sha256[:20]}=2037-01-01",
          a.file, b.file)
    assert p.description()["anchors"] == [{"sha256": b.sha256,
                                           "remove_after": "2037-01-01T23:59:59Z"}]


@pytest.mark.parametrize("option", ["--distrust-after", "--remove-after"])
def test_dates_that_fit_nothing_are_refused(p, a, option):
    f = a.sha256
    assert p.refuses_to_add(option, f, a.file, code=2) == (
        f'{option} wants FINGERPRINT=DATE, not "{f}"')
    assert "is a SHA-256 of 64 hexadecimal digits or its first 16 or more" in p.refuses_to_add(
        option, f"{f[:15]}=2035-01-01", a.file, code=2)
    assert "is a SHA-256" in p.refuses_to_add(option, f"{f}00=2035-01-01", a.file, code=2)
    assert p.refuses_to_add(option, f"{'0' * 16}=2035-01-01", a.file, code=2) == (
        f"{option}: 0 of the certificates given have the SHA-256 {'0' * 16}, exactly one should")
    assert "a date is YYYY-MM-DD" in p.refuses_to_add(option, f"{f}=2035-02-30", a.file, code=2)


def test_a_root_that_is_removed_already_is_refused(p, a):
    assert "is to be removed after 2020-01-01, which has passed" in p.refuses_to_add(
        "--remove-after", f"{a.sha256}=2020-01-01", a.file)


# ---- drops ----------------------------------------------------------------------------------------

def refuses_to_drop(p, *args):
    """What stands above the sentence is a list of what would go."""
    before = ctl.tree(p.repo, p.keys)
    outcome = ctl.run(*p.add_args(*args))
    assert (outcome.code, outcome.out) == (1, "")
    assert ctl.tree(p.repo, p.keys) == before
    return outcome.err


def test_roots_do_not_vanish_unasked(p, a, b):
    p.add(a.file, b.file)
    err = refuses_to_drop(p, b.file)
    assert "Root A" in err and a.sha256 in err and a.spki_sha256 in err and b.sha256 not in err
    assert err.endswith("holdfastctl: 1 root(s) of the version before are missing; add them again, "
                        "or agree with --drop SHA256 for each or --drop all\n")


@pytest.mark.parametrize("how", ["cert", "key", "all"])
def test_drops_that_were_agreed_to_are_signed(p, a, b, how):
    p.add(a.file, b.file)
    agreed = {"cert": a.sha256[:16], "key": a.spki_sha256, "all": "all"}[how]
    p.add("--drop", agreed, b.file)
    assert p.description()["drops"] == [a.spki_sha256]


def test_each_drop_must_be_agreed_to(p, a, b, root):
    c = root("Root C")
    p.add(a.file, b.file, c.file)
    err = refuses_to_drop(p, "--drop", a.sha256, b.file)
    assert "(agreed)" in err and "holdfastctl: 1 root(s)" in err
    p.add("--drop", a.sha256, "--drop", c.sha256, b.file)
    assert sorted(p.description()["drops"]) == sorted([a.spki_sha256, c.spki_sha256])


def test_a_drop_of_what_stays_is_refused(p, a, b, root):
    c = root("Root C")
    p.add(a.file, b.file, c.file)
    assert p.refuses_to_add("--drop", b.sha256, "--drop", "all", b.file, c.file, code=2) == (
        f"--drop {b.sha256}: no certificate or key of that SHA-256 is about to be dropped")
    assert p.refuses_to_add("--drop", "everything", b.file, code=2).startswith("--drop: ")


@pytest.mark.parametrize("how", ["digits", "file"])
def test_a_root_that_a_thief_gave_devices_is_dropped(p, a, b, root, how):
    """It never was in a version of ours."""
    mallory = root("Mallory Root")
    p.add(a.file, b.file)
    said = p.add(f"--drop={mallory.file if how == 'file' else mallory.spki_sha256}", a.file, b.file)
    assert f"warning drops-stranger (roots/full 2): the key {mallory.spki_sha256} is dropped" in said
    assert p.description()["drops"] == [mallory.spki_sha256]
    # It is ours to keep up from then on, without a word.
    assert "drops-stranger" not in p.add(a.file, b.file)
    assert p.description()["drops"] == [mallory.spki_sha256]


def test_an_attacker_s_root_is_dropped_from_derived_profiles_too(p, a, root):
    """Also if the key is of a type that the profile never has."""
    mallory, c = root("Mallory Root"), root("Root C", key=rsa.generate_private_key(65537, 2048))
    p.add("--derive", "rsa", a.file, c.file)
    p.add("--derive", "rsa", f"--drop={mallory.file}", a.file, c.file)
    listed = p.metadata("targets")["signed"]["targets"]
    for profile in ("full", "rsa"):
        dropped = listed[f"roots/{profile}/2.pem"]["custom"]["holdfast"]["drops"]
        assert dropped == [mallory.spki_sha256]


def test_the_first_version_drops_an_attacker_s_root_too(p, a, root):
    mallory, c = root("Mallory Root"), root("Root C", key=rsa.generate_private_key(65537, 2048))
    assert p.refuses_to_add("--drop", a.sha256, a.file, code=2) == (
        f"--drop {a.sha256}: no certificate or key of that SHA-256 is about to be dropped")
    said = p.add("--derive", "rsa", f"--drop={mallory.spki_sha256}", a.file, c.file)
    assert f"warning drops-stranger (roots/full 1): the key {mallory.spki_sha256} is dropped" in said
    listed = p.metadata("targets")["signed"]["targets"]
    for profile in ("full", "rsa"):
        dropped = listed[f"roots/{profile}/1.pem"]["custom"]["holdfast"]["drops"]
        assert dropped == [mallory.spki_sha256]


def test_what_cannot_be_dropped_as_a_stranger(p, a, b, root):
    """Half a hash may mean anything, and what this version has is none."""
    mallory = root("Mallory Root")
    p.add(a.file, b.file)
    assert "is about to be dropped" in p.refuses_to_add("--drop", mallory.spki_sha256[:16], a.file,
                                                        b.file, code=2)
    assert p.refuses_to_add(f"--drop={a.file}", a.file, b.file, code=2) == (
        f'--drop {a.file}: the key of "O=Holdfast Test, CN=Root A" is in this version')
    # A stranger is no agreement to what leaves.
    assert "1 root(s) of the version before are missing" in refuses_to_drop(
        p, f"--drop={mallory.file}", b.file)


def test_drops_stay_signed_for_devices_that_slept(p, a, b, root):
    c = root("Root C")
    p.add(a.file, b.file)
    p.add("--drop", "all", b.file)
    p.add("--drop", "all", c.file)
    assert p.description()["drops"] == [a.spki_sha256, b.spki_sha256]
    p.add(c.file, a.file)  # back again
    assert p.description()["drops"] == [b.spki_sha256]


def junk_keys(n):
    return [f"--drop={i:064x}" for i in range(1, n + 1)]


def test_no_more_is_dropped_than_devices_keep(p, a, b):
    p.add(a.file, b.file)
    p.add(*junk_keys(512), a.file, b.file)
    assert len(p.description()["drops"]) == 512
    err = p.refuses_to_add("--drop", "all", b.file)
    assert err.startswith("roots/full 3 would drop 513 keys, with those of the versions before it; a "
                          "device keeps at most 512. Take 1 that no device can hold any more off the "
                          "list with --undrop KEY")
    assert p.versions()["targets"] == 3  # nothing was published
    p.add("--drop", "all", f"--undrop={1:064x}", b.file)
    drops = p.description()["drops"]
    assert len(drops) == 512 and a.spki_sha256 in drops and f"{1:064x}" not in drops


def test_undrop_takes_what_the_version_before_drops_and_nothing_else(p, a, root):
    c = root("Root C", key=rsa.generate_private_key(65537, 2048))
    p.add("--derive", "rsa", f"--drop={7:064x}", a.file, c.file)
    assert p.refuses_to_add(f"--undrop={8:064x}", a.file, c.file, code=2).startswith(
        f"--undrop {8:064x}: the version before drops no such key")
    p.add("--derive", "rsa", f"--undrop={7:064x}", a.file, c.file)
    listed = p.metadata("targets")["signed"]["targets"]
    for profile in ("full", "rsa"):
        assert "drops" not in listed[f"roots/{profile}/2.pem"]["custom"]["holdfast"]


def test_a_cross_signed_twin_may_go_while_its_root_stays(p, a, root):
    new = root("Root New")
    twin = root("Root New", issuer=a, key=new.key)
    p.add(a.file, new.file, twin.file)
    p.add(a.file, new.file)
    assert "drops" not in p.description()


def ask(p, answer, *files):
    t = ctl.Terminal(*p.add_args(*files))
    t.expect("Drop? [y/N] ")
    t.type(answer)
    code, out = t.end()
    return code, out, t.seen


def test_a_person_is_asked(p, a, b):
    p.add(a.file, b.file)
    before = ctl.tree(p.repo, p.keys)
    for answer in ("\n", "n\n", "yo\n", "\x04"):
        code, out, seen = ask(p, answer, b.file)
        assert (code, out) == (1, "") and "not dropped, so nothing was published" in seen
        assert ctl.tree(p.repo, p.keys) == before
    code, out, seen = ask(p, "y\n", b.file)
    assert code == 0 and "published: roots/full 2" in out and "Root A" in seen


# ---- keys -----------------------------------------------------------------------------------------

def test_without_online_keys_it_waits_for_publish(p, a, b):
    shutil.move(p.online, p.folder / "elsewhere")
    before = p.versions()
    out = p.add(a.file)
    assert f"signed, not published: roots/full 1, targets 2; where the online keys are, run " \
           f"holdfastctl publish --repo {p.repo} --keys {p.keys}\n" in out
    assert p.versions() == {**before, "targets": 2}
    assert p.metadata("snapshot")["signed"]["meta"]["targets.json"]["version"] == 1
    assert "roots/full 2, targets 3;" in p.add(a.file, b.file)  # on top of what waits
    shutil.move(p.folder / "elsewhere", p.online)
    shutil.move(p.offline, p.folder / "safe")
    assert ctl.ok("publish", *p.place) == "published: targets 3, snapshot 2, timestamp 2\n"
    assert p.newest()["version"] == 2


def test_without_offline_keys_it_is_refused(p, a):
    shutil.move(p.offline, p.folder / "safe")
    assert p.refuses_to_add(a.file) == (
        f"there is no folder {p.offline}; the keys in it are needed for this")


def test_as_many_keys_sign_as_the_threshold_asks(tmp_path, a):
    p = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--targets-keys", "3",
                      "--targets-threshold", "2")
    (p.offline / "targets-1.key.json").rename(tmp_path / "lost")
    p.add(a.file)
    assert len(p.metadata("targets")["signatures"]) == 2
    # A copy under another name is still one key.
    shutil.copy(p.offline / "targets-2.key.json", p.offline / "targets-9.key.json")
    (p.offline / "targets-3.key.json").rename(tmp_path / "lost too")
    assert p.refuses_to_add(a.file) == (
        f"{p.offline} holds 1 of the 2 targets keys that root 1 asks for; bring the missing ones, "
        "or let their holders sign a draft")


def test_keys_of_another_publisher_are_refused(p, a, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    stranger = ctl.Publisher(other)
    (stranger.offline / "targets-1.key.json").replace(p.offline / "targets-1.key.json")
    before = ctl.tree(tmp_path)
    sentence = p.refuses_to_add(a.file)
    assert sentence == (f"{p.offline} holds 0 of the 1 targets keys that root 1 asks for; "
                        "bring the missing ones, or let their holders sign a draft")
    assert ctl.tree(tmp_path) == before


def test_a_key_that_others_may_read_is_refused(p, a):
    (p.offline / "targets-1.key.json").chmod(0o640)
    sentence = p.refuses_to_add(a.file)
    assert f"run: chmod 600 {p.offline}/targets-1.key.json" in sentence


def test_a_wrong_passphrase_changes_nothing(tmp_path, a):
    for name in ("right", "wrong"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o600)
    p = ctl.Publisher(tmp_path, "--passphrase-file", tmp_path / "right")
    assert p.refuses_to_add("--passphrase-file", tmp_path / "wrong", a.file) == (
        f"{p.offline}/targets-1.key.json: the passphrase is wrong, or the file is damaged")
    assert "published: roots/full 1" in p.add("--passphrase-file", tmp_path / "right", a.file)


# ---- the repository -------------------------------------------------------------------------------

def test_a_repository_in_use_is_refused(p, a):
    with open(p.repo / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert p.refuses_to_add(a.file) == (
            f"another holdfastctl is writing to {p.repo}; wait until it is done and try again")
    p.add(a.file)


def test_a_repository_that_is_not_there_is_refused(tmp_path, a):
    sentence = ctl.refused("bundle", "add", "--repo", tmp_path / "none", "--keys", tmp_path,
                           "--set", "roots", "--profile", "full", a.file)
    assert sentence == (f"there is no repository in {tmp_path}/none; holdfastctl init makes one")
    assert not (tmp_path / "none").exists()


def test_a_repository_that_cannot_be_opened_is_not_called_absent(tmp_path, p, a):
    """The same for a user who may not look; but root may look everywhere."""
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    said = ctl.refused("bundle", "add", "--repo", loop, "--keys", p.keys, "--set", "roots", "--profile", "full", a.file)
    assert said.startswith(f"cannot open {loop}/.lock: Too many levels")


def test_a_clock_behind_the_last_signature_is_refused(p, a):
    sentence = p.refuses_to_add(a.file, at="-2d")
    assert sentence.startswith("this machine's clock says ") and sentence.endswith("; set the clock")


def test_expired_online_metadata_is_no_obstacle(p, a):
    p.add(a.file, "--clock-is-right", at="+45d")
    assert p.check(at="+45d")["updatable"] is True


def test_under_an_expired_root_nothing_is_published(p, root):
    a = root("Root A", end=NOW + 9000 * DAY)
    sentence = p.refuses_to_add(a.file, "--clock-is-right", at="+600d")
    assert sentence.startswith("nothing was published, devices would refuse it: ")
    assert "root" in sentence and "expired" in sentence


def test_a_damaged_repository_is_not_built_upon(p, a, b):
    p.add(a.file)
    bundle = next((p.repo / "targets/roots/full").iterdir())
    bundle.write_bytes(bundle.read_bytes().replace(b"A", b"B", 1))
    assert "bundle roots/full/1.pem: " in p.refuses_to_add(a.file, b.file)


def test_a_forged_file_that_waits_is_not_built_upon(p, a):
    forged = p.metadata("targets")
    forged["signed"]["version"] = 2
    (p.repo / "metadata/2.targets.json").write_text(json.dumps(forged))
    sentence = p.refuses_to_add(a.file)
    assert sentence.startswith("metadata/2.targets.json waits to be published but must not be")


def test_the_real_roots(p):
    folder = Path("/usr/share/ca-certificates/mozilla")
    files = sorted(folder.glob("Amazon_Root_CA_[1-4].crt"))
    if len(files) != 4:
        pytest.skip("Debian's ca-certificates is not installed")
    p.add(*files, set_name="amazon-iot")
    anchors = p.newest(set_name="amazon-iot")["anchors"]
    assert [x["subject"][-16:] for x in anchors] == [f"Amazon Root CA {n}"[-16:] for n in (1, 2, 3, 4)]
    assert anchors[0]["sha256"] == "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"
    assert anchors[0]["expires"] == "2038-01-17T00:00:00Z"


def test_all_roots_of_mozilla_in_one_bundle(p):
    files = [f for f in sorted(Path("/usr/share/ca-certificates/mozilla").glob("*.crt"))
             if x509.load_pem_x509_certificate(f.read_bytes()).not_valid_after > NOW]
    if len(files) < 100:
        pytest.skip("Debian's ca-certificates is not installed")
    p.add(*files, set_name="mozilla")
    assert len(p.newest(set_name="mozilla")["anchors"]) == len(files)


# ---- a name that is new ----------------------------------------------------------------------------

NEW = "--new creates it"


@pytest.mark.parametrize("names, sentence", [
    (dict(profile="ful"), f'set "roots" has no profile "ful", did you mean "full"? {NEW}'),
    (dict(profile="legcay"), f'set "roots" has no profile "legcay", did you mean "legacy"? {NEW}'),
    (dict(profile="mine"), 'set "roots" has no profile "mine", and devices ask for full, rsa, ecc or '
                           f"legacy unless they are configured otherwise; {NEW}"),
    (dict(set_name="rotos"), f'there is no set "rotos", did you mean "roots"? {NEW}'),
    (dict(set_name="azure"), 'there is no set "azure" yet, holdfastctl bundle list shows those there '
                             f"are; {NEW}"),
])
def test_a_name_that_was_never_published_is_taken_for_a_slip(p, a, names, sentence):
    p.add(a.file)
    assert p.refuses_to_add(a.file, **names) == sentence
    p.add(a.file, "--new", **names)
    p.add(a.file, **names)  # it is there now
    assert p.newest(**names)["version"] == 2


def test_a_first_set_begins_by_itself_but_not_with_an_odd_profile(p, a):
    assert 'did you mean "full"' in p.refuses_to_add(a.file, profile="fulll")
    p.add(a.file, profile="legacy")
    p.add(a.file, profile="rsa", set_name="roots")
    assert p.newest(profile="rsa")["version"] == 1


def test_new_is_not_said_of_what_is_there(p, a):
    p.add(a.file)
    assert p.refuses_to_add(a.file, "--new", code=2) == (
        '--new: set "roots" has a profile "full" already; without --new this will be its next version')


def test_a_slip_that_waits_or_is_drafted_is_found_too(p, a, tmp_path):
    p.add(a.file)
    draft = tmp_path / "targets.draft"
    assert "did you mean" in p.refuses_to_add(a.file, "--draft", draft, set_name="root")
    assert not draft.exists()
    p.online.rename(tmp_path / "online")
    p.add(a.file, "--new", set_name="second")
    p.add(a.file, set_name="second")  # it waits to be published, and counts
