"""holdfastctl init: keys and an empty repository, or nothing at all."""
import json
import os
import resource
import signal
import subprocess
import stat

import pytest

import ctl


@pytest.fixture
def place(tmp_path):
    return ["--repo", tmp_path / "repo", "--keys", tmp_path / "keys"]


def modes(folder):
    return {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()}


def test_makes_keys_for_every_role_that_only_their_owner_may_use(tmp_path):
    p = ctl.Publisher(tmp_path)
    assert modes(p.keys) == {"offline": 0o700, "online": 0o700}
    assert modes(p.offline) == {n: 0o600 for n in
                                ("root-1.key.json", "targets-1.key.json", "expiry.json", "root.json")}
    assert modes(p.online) == {n: 0o600 for n in
                               ("snapshot-1.key.json", "timestamp-1.key.json", "expiry.json",
                                "root.json")}


def test_makes_an_empty_consistent_snapshot_repository(tmp_path):
    p = ctl.Publisher(tmp_path)
    assert {f.name for f in (p.repo / "metadata").iterdir()} == {
        "1.root.json", "1.targets.json", "1.snapshot.json", "timestamp.json"}
    assert list((p.repo / "targets").iterdir()) == []
    root = p.metadata("root")["signed"]
    assert (root["_type"], root["spec_version"], root["version"]) == ("root", "1.0.34", 1)
    assert root["consistent_snapshot"] is True
    assert "signed_at" in root and "signed_at" in p.metadata("targets")["signed"]
    assert "signed_at" not in p.metadata("timestamp")["signed"]
    assert p.metadata("targets")["signed"]["targets"] == {}


def test_thresholds(tmp_path):
    p = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--root-keys", "3", "--root-threshold",
                      "2", "--targets-keys", "2", "--targets-threshold", "2")
    roles = p.metadata("root")["signed"]["roles"]
    assert (len(roles["root"]["keyids"]), roles["root"]["threshold"]) == (3, 2)
    assert (len(roles["targets"]["keyids"]), roles["targets"]["threshold"]) == (2, 2)
    assert (len(roles["timestamp"]["keyids"]), roles["timestamp"]["threshold"]) == (1, 1)
    assert len(p.metadata("root")["signatures"]) == 3
    assert len(list(p.offline.glob("*.key.json"))) == 5


def test_says_what_to_do_next(tmp_path, place):
    out = ctl.ok("init", *place, "--insecure-no-passphrase")
    for words in ("offline/  root 1 of 1, targets 1 of 1", "holdfastctl bundle add",
                  f"{tmp_path}/repo/metadata/1.root.json is what devices start from",
                  "for tests only"):
        assert words in out


def test_expiries_are_as_asked_and_remembered(tmp_path):
    p = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--expires-root", "100",
                      "--expires-targets", "90", "--expires-snapshot", "20", "--expires-timestamp",
                      "2", at="2027-01-01 00:00:00")
    ends = {role: p.metadata(role)["signed"]["expires"][:10]
            for role in ("root", "targets", "snapshot", "timestamp")}
    assert ends == {"root": "2027-04-11", "targets": "2027-04-01", "snapshot": "2027-01-21",
                    "timestamp": "2027-01-03"}
    assert json.loads((p.online / "expiry.json").read_text()) == {
        "snapshot": {"days": 20}, "timestamp": {"days": 2}}
    ctl.ok("refresh", *p.place, at="2027-01-02 00:00:00")
    assert p.metadata("timestamp")["signed"]["expires"][:10] == "2027-01-04"


def test_default_expiries(tmp_path):
    p = ctl.Publisher(tmp_path)
    days = {role: r["days_left"] for role, r in
            json.loads(ctl.run("check", "--repo", p.repo, "--json").out)["roles"].items()}
    assert days == {role: pytest.approx(n, abs=1) for role, n in
                    {"root": 540, "targets": 540, "snapshot": 30, "timestamp": 7}.items()}


# ---- nothing is overwritten -----------------------------------------------------------------------

@pytest.mark.parametrize("there", ["repo/metadata", "repo/targets", "keys/offline", "keys/online"])
def test_refuses_what_exists(tmp_path, place, there):
    (tmp_path / there).mkdir(parents=True)
    (tmp_path / there / "precious").write_text("precious")
    before = ctl.tree(tmp_path)
    sentence = ctl.refused("init", *place, "--insecure-no-passphrase")
    assert sentence == (f"{tmp_path}/{there} exists already; init never overwrites, "
                        "choose another folder")
    assert ctl.tree(tmp_path) == before


def test_a_second_init_is_refused(tmp_path):
    p = ctl.Publisher(tmp_path)
    assert "exists already" in p.refuses("init", *p.place, "--insecure-no-passphrase")


def test_existing_empty_folders_are_used_and_kept(tmp_path, place):
    (tmp_path / "repo").mkdir()
    (tmp_path / "keys").mkdir()
    ctl.ok("init", *place, "--insecure-no-passphrase")


# ---- nothing is left half made --------------------------------------------------------------------

@pytest.mark.parametrize("options,words", [
    (["--root-keys", "1", "--root-threshold", "2"],
     "a threshold of 2 cannot be met by 1 root key(s)"),
    (["--targets-keys", "2", "--targets-threshold", "3"],
     "a threshold of 3 cannot be met by 2 targets key(s)"),
    (["--root-threshold", "0"], "a threshold of 0 cannot be met by 1 root key(s)"),
    (["--root-keys", "0"], "a role has 1 to 64 keys, not 0 (root)"),
    (["--root-keys", "65"], "a role has 1 to 64 keys, not 65 (root)"),
    (["--expires-timestamp", "0"], "timestamp may last 1 to 36500 days, not 0"),
    (["--expires-root", "36501"], "root may last 1 to 36500 days, not 36501"),
])
def test_what_makes_no_sense_is_wrong_usage(tmp_path, place, options, words):
    assert ctl.refused("init", *place, "--insecure-no-passphrase", *options, code=2) == words
    assert ctl.tree(tmp_path) == {}


def test_keys_in_the_repository_are_refused(tmp_path):
    sentence = ctl.refused("init", "--repo", tmp_path / "repo", "--keys", tmp_path / "repo/keys",
                           "--insecure-no-passphrase", code=2)
    assert sentence.startswith("the keys must not be in the repository")
    assert ctl.tree(tmp_path) == {}


def test_a_full_disk_leaves_nothing_behind(tmp_path, place):
    def small_files_only():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    sentence = ctl.refused("init", *place, "--insecure-no-passphrase", restore_signals=False,
                           preexec_fn=small_files_only)
    assert sentence == f"cannot write {tmp_path}/keys/offline/root.json: File too large"
    assert ctl.tree(tmp_path) == {}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    before = ctl.tree(tmp_path)
    sentence = ctl.refused("init", "--repo", tmp_path / "file/repo", "--keys", tmp_path / "keys",
                           "--insecure-no-passphrase")
    assert sentence == f"cannot create the folder {tmp_path}/file/repo: Not a directory"
    assert ctl.tree(tmp_path) == before


# ---- passphrases ----------------------------------------------------------------------------------

def secret(path, text, mode=0o600):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_a_passphrase_seals_every_key(tmp_path):
    p = ctl.Publisher(tmp_path, "--passphrase-file", secret(tmp_path / "pass", "correct horse\n"))
    for file in p.keys.glob("*/*.key.json"):
        key = json.loads(file.read_text())
        assert key["kdf"]["name"] == "argon2id" and "seed" not in key
    assert json.loads((p.offline / "root-1.key.json").read_text())["kdf"]["memory"] == 256 << 20
    ctl.ok("refresh", *p.place, "--passphrase-file", tmp_path / "pass")
    secret(tmp_path / "wrong", "wrong")
    sentence = p.refuses("refresh", *p.place, "--passphrase-file", tmp_path / "wrong")
    assert sentence == (f"{p.online}/snapshot-1.key.json: the passphrase is wrong, or the file is "
                        "damaged") or sentence == (
        f"{p.online}/timestamp-1.key.json: the passphrase is wrong, or the file is damaged")


def test_each_half_may_have_its_own_passphrase(tmp_path):
    offline, online = secret(tmp_path / "off", "one"), secret(tmp_path / "on", "two")
    p = ctl.Publisher(tmp_path, "--passphrase-file", offline, "--online-passphrase-file", online)
    ctl.ok("refresh", *p.place, "--passphrase-file", online)
    assert "passphrase is wrong" in p.refuses("refresh", *p.place, "--passphrase-file", offline)


@pytest.mark.parametrize("text,mode,words", [
    ("correct", 0o644, "every user may read this secret (mode 0644)"),
    ("", 0o600, "is empty, which protects nothing"),
    ("\n", 0o600, "is empty, which protects nothing"),
    ("x" * 1025, 0o600, "is longer than 1024 bytes"),
    ("\ufeffcorrect", 0o600, "begins with a byte order mark (UTF-8)"),
    ("correct".encode("utf-16"), 0o600, "begins with a byte order mark (UTF-16)"),
])
def test_bad_passphrase_files_are_refused(tmp_path, place, text, mode, words):
    file = secret(tmp_path / "pass", text, mode)
    before = ctl.tree(tmp_path)
    sentence = ctl.refused("init", *place, "--passphrase-file", file)
    assert str(file) in sentence and words in sentence
    assert ctl.tree(tmp_path) == before


def test_a_missing_passphrase_file_is_named(tmp_path, place):
    assert ctl.refused("init", *place, "--passphrase-file", tmp_path / "pass") == (
        f"there is no {tmp_path}/pass")
    assert ctl.tree(tmp_path) == {}


def test_without_file_and_terminal_it_is_refused(tmp_path, place):
    assert ctl.refused("init", *place) == (
        f"a passphrase for {tmp_path}/keys/offline is needed and there is no terminal to ask on; "
        "give --passphrase-file")
    assert ctl.tree(tmp_path) == {}


def test_a_person_is_asked_twice_for_each_half_and_not_shown(tmp_path, place):
    t = ctl.Terminal("init", *place)
    for half, phrase in (("offline", "correct horse"), ("online", "battery staple")):
        t.expect(f"New passphrase for {tmp_path}/keys/{half}: ")
        assert not t.is_echoing()
        t.type(phrase + "\n")
        t.expect(f"The same again for {tmp_path}/keys/{half}: ")
        t.type(phrase + "\n")
    code, out = t.end()
    assert code == 0 and "made an empty repository" in out
    assert "horse" not in t.seen and "staple" not in t.seen
    t = ctl.Terminal("refresh", *place)
    t.expect(f"Passphrase for {tmp_path}/keys/online: ")
    t.type("battery staple\n")
    assert t.end()[0] == 0


def test_a_mistyped_passphrase_may_be_typed_again_twice(tmp_path):
    p = ctl.Publisher(tmp_path, "--passphrase-file", secret(tmp_path / "pass", "battery staple\n"))
    t = ctl.Terminal("refresh", *p.place)
    t.expect(f"Passphrase for {p.online}: ")
    t.type("battery stable\n")
    t.expect("the passphrase is wrong, or the file is damaged; try again")
    t.seen = t.seen.split("try again")[1]
    t.expect(f"Passphrase for {p.online}: ")
    assert not t.is_echoing()
    t.type("battery staple\n")
    assert t.end()[0] == 0 and p.versions()["timestamp"] == 2
    before = ctl.tree(p.repo, p.keys)
    t = ctl.Terminal("refresh", *p.place)
    for i in range(3):
        t.expect(f"Passphrase for {p.online}: ")
        t.seen = ""
        t.type(f"wrong {i}\n")
    assert t.end() == (1, "")
    assert "the passphrase is wrong, or the file is damaged" in t.seen
    assert "try again" not in t.seen.split("damaged")[-1]
    assert ctl.tree(p.repo, p.keys) == before


def from_standard_input(text, *args):
    return subprocess.run([ctl.BIN / "holdfastctl", *map(str, args)], input=text, text=True,
                          capture_output=True, env=ctl.environment(), timeout=ctl.TIMEOUT_S)


def test_a_passphrase_comes_from_standard_input(tmp_path, place):
    said = ["--passphrase-file", "-"]
    done = from_standard_input("correct horse\n", "init", *place, *said)  # for both halves
    assert (done.returncode, done.stderr) == (0, ""), done
    assert from_standard_input("correct horse\n", "refresh", *place, *said).returncode == 0
    done = from_standard_input("wrong\n", "refresh", *place, *said)
    assert done.returncode == 1 and "passphrase is wrong" in done.stderr
    assert "try again" not in done.stderr
    done = from_standard_input("", "refresh", *place, *said)
    assert done.returncode == 1 and "the passphrase from standard input is empty" in done.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_terminal_silent_and_no_half_repository(tmp_path, place, ending):
    t = ctl.Terminal("init", *place)
    t.expect("New passphrase")
    assert not t.is_echoing()
    t.process.send_signal(ending)
    assert t.end() == (1, "")   # looks whether it echoes
    assert "cancelled; nothing was changed" in t.seen
    assert ctl.tree(tmp_path) == {}


def test_two_different_answers_make_nothing(tmp_path, place):
    t = ctl.Terminal("init", *place)
    t.expect("New passphrase")
    t.type("one\n")
    t.expect("The same again")
    t.type("two\n")
    assert t.end() == (1, "")
    assert "the two passphrases differ; nothing was made" in t.seen
    assert ctl.tree(tmp_path) == {}


def test_ctrl_c_at_the_prompt_makes_nothing(tmp_path, place):
    t = ctl.Terminal("init", *place)
    t.expect("New passphrase")
    t.type("half a pass\x03")
    assert t.end() == (1, "")
    assert "cancelled; nothing was changed" in t.seen
    assert ctl.tree(tmp_path) == {}


# ---- the command line -----------------------------------------------------------------------------

@pytest.mark.parametrize("args,words", [
    (["init"], "--repo is missing; see holdfastctl init --help"),
    (["init", "--repo", "r"], "--keys is missing; see holdfastctl init --help"),
    (["init", "--repo", "r", "--keys", "k", "extra"],
     'unexpected argument "extra"; see holdfastctl init --help'),
    (["init", "--no-such"], "--no-such: unknown option; see holdfastctl init --help"),
    (["init", "--repo", "r", "--keys", "k", "--root-keys", "two"],
     "two: invalid numeric value; see holdfastctl init --help"),
    (["init", "--repo", "r", "--keys", "k", "--insecure-no-passphrase", "--passphrase-file", "p"],
     "give a passphrase file or --insecure-no-passphrase, not both; see holdfastctl init --help"),
    (["frobnicate"], 'there is no command "frobnicate"; see holdfastctl --help'),
])
def test_wrong_usage(tmp_path, args, words):
    assert ctl.refused(*args, code=2, cwd=tmp_path) == words
    assert ctl.tree(tmp_path) == {}


def test_no_command_prints_help_to_standard_error():
    outcome = ctl.run()
    assert (outcome.code, outcome.out) == (2, "")
    assert "Commands:" in outcome.err


@pytest.mark.parametrize("command", ["", "init", "bundle add", "bundle import", "bundle remove",
                                     "bundle unlist", "bundle list", "bundle diff", "lint", "plan",
                                     "publish", "refresh", "check"])
def test_help_teaches_with_examples_and_exit_codes(command):
    out = ctl.ok(*command.split(), "--help")
    assert out.startswith("Usage: holdfastctl")
    assert "  holdfastctl " in out
    assert "Exit code: 0 success, 1 refused or failed, 2 usage error" in out
    if command:
        assert "Options:" in out and "Examples:" in out


def test_version():
    assert ctl.ok("--version").startswith("holdfastctl ")


def test_init_does_not_depend_on_the_umask(tmp_path, place):
    ctl.ok("init", *place, "--insecure-no-passphrase", preexec_fn=lambda: os.umask(0o077))
    assert stat.S_IMODE((tmp_path / "repo/metadata").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "repo/metadata/timestamp.json").stat().st_mode) == 0o644


def test_json_names_what_devices_start_from_and_every_key(tmp_path):
    repo, keys = tmp_path / "repo", tmp_path / "keys"
    found = ctl.report("init-report", "init", "--repo", repo, "--keys", keys,
                       "--insecure-no-passphrase", "--targets-keys", "3", "--targets-threshold", "2")
    root = (repo / found["root"]["path"]).read_bytes()
    assert found["root"]["sha256"] == ctl.fingerprint(root)
    assert (found["repo"], found["keys"], found["insecure"]) == (str(repo), str(keys), True)
    roles = json.loads(root)["signed"]["roles"]
    assert found["roles"] == {name: {"threshold": role["threshold"], "key_ids": role["keyids"]}
                              for name, role in roles.items()}
    assert len(found["roles"]["targets"]["key_ids"]) == 3
