"""holdfastctl key …: key files made, taken over, looked at, and given another passphrase."""
import base64
import json
import os
import stat
import subprocess

import pytest

import ctl
import json_schema

SEED = bytes(range(32))
# RFC 8032, 7.1, test 1: the public key of a known seed.
RFC_SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
PKCS8_HEAD = bytes.fromhex("302e020100300506032b657004220420")


def private(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    return path


@pytest.fixture
def passphrase(tmp_path):
    return private(tmp_path / "passphrase", "correct horse\n")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "online").mkdir(mode=0o700)
    return tmp_path / "online"


def test_reports_take_folders_and_files_of_any_name(tmp_path):
    found, = ctl.report("key-report", "key", "generate", "--key", tmp_path / "k\udcf6.key.json",
                        "--insecure-no-passphrase")["keys"]
    assert found["key"].endswith("/k?.key.json")
    repo, out = tmp_path / "r\udcf6", tmp_path / "o\udcf6"
    made = ctl.report("init-report", "init", "--repo", repo, "--keys", tmp_path / "keys\udcf6",
                      "--insecure-no-passphrase")
    assert made["repo"].endswith("/r?") and made["keys"].endswith("/keys?")
    mirrored = ctl.report("mirror-report", "mirror", "--repo", repo, "--out", out)
    assert mirrored["repo"].endswith("/r?") and mirrored["out"].endswith("/o?")


def generate(file, passphrase, *options):
    return ctl.ok("key", "generate", "--key", file, "--passphrase-file", passphrase, *options)


def kdf(file):
    return json.loads(file.read_text())["kdf"]


def pem(der, kind="PRIVATE KEY"):
    return (f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}"
            f"-----END {kind}-----\n")


def told(*args):
    """The keys of a report for scripts."""
    found = json.loads(ctl.ok("key", *args, "--json"))
    json_schema.check(found, "key-report.schema.json")
    return found["keys"]


# ---- generate and inspect -------------------------------------------------------------------------

def test_scripts_are_told_of_every_key_that_is_made_or_changed(folder, passphrase, tmp_path):
    a, b, seed = folder / "a.key.json", folder / "b.key.json", private(tmp_path / "seed", RFC_SEED)
    [made] = told("generate", "--key", a, "--passphrase-file", passphrase)
    [taken] = told("import", "--from", seed, "--key", b, "--passphrase-file", passphrase)
    assert (made["key"], made["kind"], taken["public"]) == (str(a), "sealed", RFC_PUBLIC)
    assert told("inspect", a, b) == [made, taken]
    new = private(tmp_path / "new", "battery staple\n")
    assert told("change-passphrase", b, a, "--passphrase-file", passphrase,
                "--new-passphrase-file", new) == [taken, made]
    [bare] = told("generate", "--key", tmp_path / "c.key.json", "--insecure-no-passphrase")
    assert bare["kind"] == "open"
    assert ctl.refused("key", "generate", "--key", a, "--passphrase-file", new, "--json").endswith(
        "keys are never overwritten")


def test_a_key_and_its_public_part(folder, passphrase, tmp_path):
    file, public = folder / "a.key.json", tmp_path / "a.pub"
    said = generate(file, passphrase, "--public", public)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key_id = said.split()[2]
    shown = ctl.ok("key", "inspect", file, public)
    assert shown.count(key_id) == 2
    assert "sealed    Argon2id, 2 passes over 64 MiB" in shown
    assert set(json.loads(public.read_text())) == {"keytype", "scheme", "keyval"}
    assert json.loads(file.read_text())["public"] == json.loads(public.read_text())["keyval"]["public"]


def test_keys_of_one_folder_have_one_salt(folder, passphrase):
    generate(folder / "a.key.json", passphrase)
    generate(folder / "b.key.json", passphrase)
    assert kdf(folder / "a.key.json") == kdf(folder / "b.key.json")


def test_another_passphrase_than_that_of_the_folder_is_refused(folder, passphrase, tmp_path):
    generate(folder / "a.key.json", passphrase)
    other = private(tmp_path / "other", "battery staple\n")
    before = ctl.tree(folder)
    assert "the passphrase is wrong" in ctl.refused(
        "key", "generate", "--key", folder / "b.key.json", "--passphrase-file", other)
    assert ctl.tree(folder) == before


def test_nothing_is_overwritten(folder, passphrase, tmp_path):
    generate(folder / "a.key.json", passphrase)
    before = ctl.tree(tmp_path)
    assert "keys are never overwritten" in ctl.refused(
        "key", "generate", "--key", folder / "a.key.json", "--passphrase-file", passphrase)
    assert "exists already" in ctl.refused(
        "key", "generate", "--key", folder / "b.key.json", "--public", passphrase,
        "--passphrase-file", passphrase)
    assert ctl.tree(tmp_path) == before


def test_names_that_would_not_be_found_again_are_refused(folder, passphrase):
    assert "the name of a key file ends in .key.json" in ctl.refused(
        "key", "generate", "--key", folder / "a.json", "--passphrase-file", passphrase, code=2)


def test_inspect_says_what_it_cannot_read(folder, tmp_path):
    open_file = folder / "open.key.json"
    ctl.ok("key", "generate", "--key", open_file, "--insecure-no-passphrase")
    assert "sealed    no: the private key in this file is not encrypted" in ctl.ok("key", "inspect", open_file)
    broken = private(tmp_path / "broken.key.json", "{}")
    assert str(broken) in ctl.refused("key", "inspect", broken)
    open_file.chmod(0o644)
    assert "chmod 600" in ctl.refused("key", "inspect", open_file)


# ---- import ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("content", [RFC_SEED, PKCS8_HEAD + RFC_SEED, pem(PKCS8_HEAD + RFC_SEED)],
                         ids=["seed", "der", "pem"])
def test_keys_of_other_programs_are_taken_over(folder, passphrase, tmp_path, content):
    source, public = private(tmp_path / "source", content), tmp_path / "a.pub"
    ctl.ok("key", "import", "--from", source, "--key", folder / "a.key.json", "--public", public,
           "--passphrase-file", passphrase)
    assert json.loads(public.read_text())["keyval"]["public"] == RFC_PUBLIC
    assert RFC_SEED.hex() not in (folder / "a.key.json").read_text()


# RFC 8410, 10.3: a key of version 2, with an attribute and its public key.
RFC_8410_PEM = """-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
"""
RFC_8410_PUBLIC = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
RFC_8410_DER = base64.b64decode("".join(RFC_8410_PEM.splitlines()[1:-1]))


def version_2(seed, public, head=b"\x81\x21\x00", version=1, attributes=b""):
    body = (bytes([2, 1, version]) + PKCS8_HEAD[5:] + seed + attributes + head +
            bytes.fromhex(public))
    return b"\x30" + bytes([len(body)]) + body


@pytest.mark.parametrize("content,public", [
    (RFC_8410_PEM, RFC_8410_PUBLIC), (RFC_8410_DER, RFC_8410_PUBLIC),
    (version_2(RFC_SEED, RFC_PUBLIC), RFC_PUBLIC),
    (version_2(RFC_SEED, RFC_PUBLIC, head=bytes.fromhex("a123032100")), RFC_PUBLIC),
    (version_2(RFC_SEED, "", head=b"", version=0, attributes=b"\xa0\x00"), RFC_PUBLIC)],
    ids=["rfc-8410-pem", "rfc-8410-der", "public-key", "explicit-tag", "attributes-only"])
def test_pkcs8_with_a_public_key_is_read(folder, tmp_path, content, public):
    source = private(tmp_path / "source", content)
    ctl.ok("key", "import", "--from", source, "--key", folder / "a.key.json",
           "--insecure-no-passphrase")
    assert json.loads((folder / "a.key.json").read_text())["public"] == public


@pytest.mark.parametrize("before", ["\ufeff", "Bag Attributes\r\n    localKeyID: 01\r\n"])
def test_what_stands_before_the_key_is_skipped(folder, tmp_path, before):
    source = private(tmp_path / "source", before + pem(PKCS8_HEAD + SEED))
    ctl.ok("key", "import", "--from", source, "--key", folder / "a.key.json",
           "--insecure-no-passphrase")


def test_the_public_key_must_be_that_of_the_private_key(folder, tmp_path):
    source = private(tmp_path / "source", version_2(SEED, RFC_PUBLIC))
    assert "the public key in it is not that of its private key" in ctl.refused(
        "key", "import", "--from", source, "--key", folder / "a.key.json",
        "--insecure-no-passphrase")
    assert list(folder.iterdir()) == []


def test_an_encrypted_key_is_named_with_the_remedy(folder, tmp_path):
    source = private(tmp_path / "source", "")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x",
                    "-out", source], check=True)
    assert f"it is encrypted. Decrypt it first, with `openssl pkey -in {source}" in ctl.refused(
        "key", "import", "--from", source, "--key", folder / "a.key.json",
        "--insecure-no-passphrase")


def test_what_openssl_makes_is_read(folder, tmp_path):
    source = private(tmp_path / "seed.pem", "")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", source], check=True)
    ctl.ok("key", "import", "--from", source, "--key", folder / "a.key.json",
           "--insecure-no-passphrase")
    text = subprocess.run(["openssl", "pkey", "-in", source, "-noout", "-text_pub"], check=True,
                          capture_output=True, text=True).stdout
    public = "".join(text.split("pub:")[1].split()).replace(":", "")
    assert json.loads((folder / "a.key.json").read_text())["public"] == public


@pytest.mark.parametrize("content", [
    b"", SEED[:31], SEED + b"\n", PKCS8_HEAD + SEED[:31], PKCS8_HEAD + SEED + b"\0",
    PKCS8_HEAD.replace(b"\x2b\x65\x70", b"\x2b\x65\x6e") + SEED, b"x" * 5000,
    version_2(RFC_SEED, RFC_PUBLIC, version=2), version_2(RFC_SEED, RFC_PUBLIC, head=b"\x81\x21\x01"),
    version_2(RFC_SEED, RFC_PUBLIC[2:], head=b"\x81\x20\x00"),
    version_2(RFC_SEED, RFC_PUBLIC, attributes=b"\xa0\x7f"),
    version_2(RFC_SEED, RFC_PUBLIC + "00"), version_2(RFC_SEED, "", head=b"\x81\x00"),
    version_2(RFC_SEED, "", head=bytes.fromhex("a102032100")),
    pem(PKCS8_HEAD + SEED, "ENCRYPTED PRIVATE KEY"), pem(PKCS8_HEAD + SEED)[:-20],
    pem(PKCS8_HEAD + SEED).replace("MC4C", "MC!C")],
    ids=["empty", "short", "long", "short-der", "trailing", "x25519", "huge", "version-3",
         "unused-bits", "short-public", "long-attributes", "trailing-public", "no-public",
         "cut-public", "encrypted", "cut", "no-base64"])
def test_everything_else_is_refused(folder, tmp_path, content):
    source = private(tmp_path / "source", content)
    sentence = ctl.refused("key", "import", "--from", source, "--key", folder / "a.key.json",
                           "--insecure-no-passphrase")
    assert "is no Ed25519 private key" in sentence
    assert list(folder.iterdir()) == []


def test_an_rsa_key_is_refused(folder, tmp_path):
    source = private(tmp_path / "rsa.pem", "")
    subprocess.run(["openssl", "genpkey", "-algorithm", "rsa", "-out", source], check=True,
                   stderr=subprocess.DEVNULL)
    assert "is no Ed25519 private key" in ctl.refused(
        "key", "import", "--from", source, "--key", folder / "a.key.json",
        "--insecure-no-passphrase")


def test_a_key_that_others_may_read_is_not_taken_over(folder, tmp_path):
    source = private(tmp_path / "source", SEED)
    source.chmod(0o644)
    assert "chmod 600" in ctl.refused("key", "import", "--from", source, "--key",
                                      folder / "a.key.json", "--insecure-no-passphrase")


# ---- change-passphrase ----------------------------------------------------------------------------

@pytest.fixture
def keys(folder, passphrase):
    files = [folder / f"{name}.key.json" for name in "ab"]
    for file in files:
        generate(file, passphrase)
    return files


def change(keys, old, new):
    return ["key", "change-passphrase", *keys, "--passphrase-file", old, "--new-passphrase-file", new]


def opens(file, passphrase, tmp_path):
    """Only a passphrase that opens the keys of a folder makes another one in it."""
    probe = file.parent / "probe.key.json"
    outcome = ctl.run("key", "generate", "--key", probe, "--passphrase-file", passphrase)
    probe.unlink(missing_ok=True)
    return outcome.code == 0


def test_all_keys_of_a_folder_get_a_new_passphrase_and_one_new_salt(keys, passphrase, tmp_path):
    new = private(tmp_path / "new", "battery staple\n")
    before = [json.loads(f.read_text()) for f in keys]
    assert ctl.ok(*change(keys, passphrase, new)).startswith("2 key(s) have a new passphrase")
    after = [json.loads(f.read_text()) for f in keys]
    assert [k["public"] for k in after] == [k["public"] for k in before]
    assert after[0]["kdf"] == after[1]["kdf"] and after[0]["kdf"]["salt"] != before[0]["kdf"]["salt"]
    assert after[0]["kdf"]["memory"] == before[0]["kdf"]["memory"]
    assert sorted(os.listdir(keys[0].parent)) == ["a.key.json", "b.key.json"]
    assert {stat.S_IMODE(f.stat().st_mode) for f in keys} == {0o600}
    assert opens(keys[0], new, tmp_path) and not opens(keys[0], passphrase, tmp_path)


def test_a_wrong_passphrase_changes_nothing(keys, passphrase, tmp_path):
    new = private(tmp_path / "new", "battery staple\n")
    before = ctl.tree(keys[0].parent)
    assert "the passphrase is wrong" in ctl.refused(*change(keys, new, new))
    assert ctl.tree(keys[0].parent) == before


def test_a_key_left_out_is_named(keys, passphrase, tmp_path):
    before = ctl.tree(keys[0].parent)
    sentence = ctl.refused(*change(keys[:1], passphrase, passphrase))
    assert sentence.startswith(f"{keys[1]} has the same passphrase and is left out")
    assert ctl.tree(keys[0].parent) == before


def test_what_was_cut_off_is_begun_again(keys, passphrase, tmp_path):
    """A cut after the first rename: one key is under the new passphrase, a new file lies beside."""
    new = private(tmp_path / "new", "battery staple\n")
    old_b = keys[1].read_bytes()
    ctl.ok(*change(keys, passphrase, new))
    private(keys[1].parent / "b.key.json.new", keys[1].read_bytes())
    private(keys[1], old_b)
    ctl.ok(*change(keys[1:], passphrase, new))
    assert sorted(os.listdir(keys[0].parent)) == ["a.key.json", "b.key.json"]


def test_files_of_two_folders_are_refused(keys, passphrase, tmp_path):
    (tmp_path / "offline").mkdir(mode=0o700)
    other = tmp_path / "offline" / "c.key.json"
    ctl.ok("key", "generate", "--key", other, "--insecure-no-passphrase")
    assert "lie in two folders" in ctl.refused(
        *change([*keys, other], passphrase, passphrase), code=2)


def test_a_terminal_is_asked_for_the_old_and_twice_for_the_new(keys, passphrase):
    terminal = ctl.Terminal("key", "change-passphrase", *keys)
    for prompt, answer in (("Passphrase for", "correct horse"), ("New passphrase for", "new one"),
                           ("The same again for", "new one")):
        terminal.expect(prompt)
        assert not terminal.is_echoing()
        terminal.type(answer + "\n")
    assert terminal.end()[0] == 0


@pytest.mark.parametrize("command", ["generate", "import", "inspect", "change-passphrase"])
def test_each_command_teaches_itself_and_refuses_nonsense(command):
    text = ctl.ok("key", command, "--help")
    assert text.startswith(f"Usage: holdfastctl key {command} ")
    assert f"  holdfastctl key {command}" in text.split("Examples:")[1]
    assert ctl.refused("key", command, code=2).endswith(f"see holdfastctl key {command} --help")
