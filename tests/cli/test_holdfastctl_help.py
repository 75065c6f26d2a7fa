"""What holdfastctl says about itself: groups of commands, slips of the fingers, exit codes."""
import re
import subprocess

import pytest

import ctl

GROUPS = ["bundle", "rollout", "root", "targets", "key"]


def commands(text):
    listed = text.split("\nCommands:\n")[1].split("\n\n")[0]
    return dict(re.match(r"  (\S+(?: \S+)?)  +(\S.*)", line).groups()
                for line in listed.splitlines())


def test_every_command_is_listed_with_what_it_does():
    listed = commands(ctl.ok("--help"))
    assert ctl.ok("-h") == ctl.ok("--help")
    for name, summary in listed.items():
        text = ctl.ok(*name.split(), "--help")
        assert text.startswith(f"Usage: holdfastctl {name} ") and summary in text


def test_no_command_at_all_shows_the_help_as_an_error():
    outcome = ctl.run()
    assert (outcome.code, outcome.out, outcome.err) == (2, "", ctl.ok("--help"))


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_shows_its_commands(group):
    listed = {n: s for n, s in commands(ctl.ok("--help")).items() if n.startswith(group + " ")}
    assert len(listed) > 3
    text = ctl.ok(group, "--help")
    assert text == ctl.ok(group, "-h")
    assert text.startswith(f"Usage: holdfastctl {group} COMMAND") and commands(text) == listed
    outcome = ctl.run(group)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", text)


def test_every_group_was_tested():
    assert {n.split()[0] for n in commands(ctl.ok("--help")) if " " in n} == set(GROUPS)


@pytest.mark.parametrize("typed, meant", [
    ("bundle lst", "bundle list"), ("bundle improt", "bundle import"), ("bundel list", "bundle list"),
    ("root set-treshold", "root set-threshold"), ("key inspct", "key inspect"),
    ("pubish", "publish"), ("publsh --repo x", "publish"), ("liint", "lint"), ("cehck x", "check"),
    ("change-passphrase", "key change-passphrase"), ("finish", "root finish"), ("bundles", "bundle"),
])
def test_a_slip_is_told_what_was_meant(typed, meant):
    sentence = ctl.refused(*typed.split(), code=2)
    assert sentence.endswith(f'did you mean "{meant}"? See holdfastctl {meant} --help')
    assert ctl.run(*meant.split(), "--help").code == 0


@pytest.mark.parametrize("typed, sentence", [
    ("bundle nope", 'there is no command "bundle nope"; see holdfastctl bundle --help'),
    ("bundle --json", 'there is no command "bundle"; see holdfastctl bundle --help'),
    ("nope", 'there is no command "nope"; see holdfastctl --help'),
    ("nope bundle", 'there is no command "nope"; see holdfastctl --help'),
    ("x", 'there is no command "x"; see holdfastctl --help'),
    ("--nope", '--nope: unknown option; see holdfastctl --help'),
    ("x" * 200, f'there is no command "{"x" * 125}"; see holdfastctl --help'),
])
def test_a_word_that_is_near_to_none_gets_no_guess(typed, sentence):
    assert ctl.refused(*typed.split(), code=2) == sentence


def test_the_usual_words_for_help_and_version():
    assert ctl.ok("-V") == ctl.ok("--version") and ctl.ok("-V").startswith("holdfastctl ")
    assert ctl.ok("help") == ctl.ok("--help")
    for name in ("publish", "bundle add", "bundle"):
        assert ctl.ok("help", *name.split()) == ctl.ok(*name.split(), "--help")
    assert ctl.refused("help", "pubish", code=2).startswith(
        'there is no command "pubish"; did you mean "publish"?')
    assert "Environment:\n  CREDENTIALS_DIRECTORY" in ctl.ok("--help")


def test_quiet_prints_no_report_and_verbose_says_each_step(tmp_path):
    p = ctl.Publisher(tmp_path)
    for words in (["-q", "refresh", *p.place], ["refresh", "--quiet", *p.place]):
        assert ctl.ok(*words) == ""
    assert ctl.refused("-q", "check", "--repo", tmp_path) != ""
    assert ctl.ok("-q", "check", "--help") == ctl.ok("check", "--help")
    for words in (["-v", "refresh", *p.place], ["refresh", "--verbose", *p.place]):
        steps = ctl.run(*words)
        assert steps.code == 0 and steps.out.startswith("refreshed: ")
        for step in (f"holdfastctl: verified {p.repo}: root 1, targets 1",
                     "holdfastctl: signing timestamp ", "with 1 key(s)\n",
                     f"holdfastctl: writing {p.repo}/metadata/timestamp.json"):
            assert step in steps.err


def test_an_empty_word_is_no_group():
    assert ctl.refused("", code=2) == 'there is no command ""; see holdfastctl --help'


def test_help_and_groups_say_the_exit_codes():
    for words in ([], ["bundle"], ["check"], ["bundle", "add"]):
        text = ctl.ok(*words, "--help")
        assert text.count("Exit code:") == 1
        for meaning in ("0 success", "1 refused or failed", "2 usage error"):
            assert meaning in text.split("Exit code:")[1]


@pytest.fixture(scope="module")
def p(tmp_path_factory):
    folder = tmp_path_factory.mktemp("publisher")
    publisher = ctl.Publisher(folder)
    publisher.add(ctl.Root(folder, "A").file)
    return publisher


@pytest.mark.parametrize("name", sorted(commands(subprocess.run(
    [ctl.BIN / "holdfastctl", "--help"], capture_output=True, text=True, check=True).stdout)))
def test_wrong_usage_is_2_of_every_command(name):
    for words in (["--no-such-option"], []):
        outcome = ctl.run(*name.split(), *words)
        assert (outcome.code, outcome.out) == (2, ""), outcome
        assert outcome.err.startswith(f"holdfastctl {name}: ")
        assert outcome.err.endswith(f"; see holdfastctl {name} --help\n")


def test_done_is_0_and_refused_is_1(p, tmp_path):
    repo = ["--repo", p.repo]
    line = ["--set", "roots", "--profile", "full"]
    for words, code in [
            (["check", *repo], 0), (["check", *repo, "--at", "2099-01-01"], 1),
            (["check", "--repo", tmp_path], 1), (["check", *repo, "--at", "soon"], 2),
            (["bundle", "list", *repo], 0), (["bundle", "list", *repo, "--set", "other"], 1),
            (["bundle", "diff", *repo, *line, "--old", "7"], 1),
            (["lint", *repo, "--set", "roots", "--lead", "0"], 0),
            (["lint", *repo, "--set", "roots", "--at", "2099-01-01"], 1),
            (["lint", *repo, "--set", "roots", "--lead", "-1"], 2),
            (["plan", *repo], 0), (["plan", "--repo", tmp_path], 1),
            (["publish", *p.place], 0), (["refresh", *p.place], 0),
            (["mirror", *repo, "--out", tmp_path / "out"], 0), (["mirror", *repo, "--out", p.repo], 2),
            (["root", "draft", "--from", p.repo, "--draft", tmp_path / "d"], 0),
            (["root", "draft", "--from", p.repo, "--draft", tmp_path / "d"], 1),
            (["root", "status", tmp_path / "d"], 0), (["targets", "status", tmp_path / "d"], 1),
            (["key", "inspect", p.online / "timestamp-1.key.json"], 0),
            (["key", "inspect", tmp_path / "none"], 1),
    ]:
        outcome = ctl.run(*words)
        assert outcome.code == code, (words, outcome)
        is_list = words[0] == "lint" and code == 1
        assert outcome.err.count("\n") == (0 if code == 0 or is_list else 1), (words, outcome)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["check", "--help"], ["bundle", "-h"]])
def test_output_that_cannot_be_written_is_no_success(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run([ctl.BIN / "holdfastctl", *words], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "holdfastctl: standard output could not be written\n"


def test_a_report_that_cannot_be_written_is_no_success(p):
    with open("/dev/full", "w") as full:
        done = subprocess.run([ctl.BIN / "holdfastctl", "check", "--repo", p.repo, "--json"],
                              stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "could not be written" in done.stderr
