"""deploy/completions: every command and every option that --help names is completed in bash."""
import re
import subprocess

import pytest

import ctl

FILE = ctl.CHECKOUT / "deploy" / "completions" / "holdfast"
COMPLETE = """
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_holdfast
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(program, *words, cwd=None):
    """What is offered for the last word."""
    done = subprocess.run(["bash", "--norc", "-c", COMPLETE, "bash", FILE, ctl.BIN / program, *words],
                          capture_output=True, text=True, cwd=cwd, timeout=ctl.TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, ""), done
    return set(done.stdout.split())


def help_of(program, *command):
    return subprocess.run([ctl.BIN / program, *command, "--help"], capture_output=True, text=True,
                          check=True).stdout


def commands(program):
    listed = help_of(program).split("\nCommands:\n")[1].split("\n\n")[0]
    found = [re.match(r"  (\S+(?: \S+)?)  ", line)[1] for line in listed.splitlines()]
    assert len(found) > 10
    return found


def options(text):
    listed = text.split("\nOptions:\n")[1].split("\nExamples:\n")[0]
    return set(re.findall(r"^  (?:    )?(?:-\w, )?(--[a-z-]+)", listed, re.MULTILINE))


@pytest.mark.parametrize("program", ["holdfast", "holdfastctl"])
def test_every_command_is_completed(program):
    assert complete(program, "") == {c.split()[0] for c in commands(program)}
    for command in commands(program):
        *before, last = command.split()
        assert last in complete(program, *before, last[:2])


@pytest.mark.parametrize("program", ["holdfast", "holdfastctl"])
def test_every_option_is_completed(program):
    for command in commands(program):
        known = options(help_of(program, *command.split()))
        assert "--help" in known
        assert complete(program, *command.split(), "--") == known, command


def test_a_word_of_an_explanation_is_no_option():
    assert "--endpoint-type" in help_of("holdfast", "init")  # where a line happens to be wrapped
    assert "--endpoint-type" not in complete("holdfast", "init", "--")
    assert {"--endpoint", "--alpn", "--client-key"} <= complete("holdfast", "init", "--")


def test_options_before_the_command_are_no_part_of_it(tmp_path):
    assert complete("holdfast", "--") == {"--state", "--verbose", "--quiet", "--version", "--help"}
    assert complete("holdfastctl", "--") == {"--version", "--help", "--quiet", "--verbose"}
    assert "update" in complete("holdfast", "--state", tmp_path, "up")
    assert "--on-demand" in complete("holdfast", "--state", tmp_path, "run", "--on")
    assert "--keep-days" in complete("holdfastctl", "mirror", "--repo", "x", "--keep")


def test_a_program_without_commands_has_options(tmp_path):
    known = options(help_of("holdfastd"))
    assert {"--repo", "--listen", "--version"} <= known
    assert complete("holdfastd", "--") == known
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert complete("holdfastd", "--repo", "f", cwd=tmp_path) == {"folder"}
    assert complete("holdfastd", "--access-log", "f", cwd=tmp_path) == {"file", "folder"}


def test_values_are_what_the_help_says_they_are(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    roles = {"root", "targets", "snapshot", "timestamp"}
    assert complete("holdfastctl", "mirror", "--out", "f", cwd=tmp_path) == {"folder"}
    assert complete("holdfastctl", "mirror", "--out", "=", cwd=tmp_path) == {"folder"}
    assert complete("holdfastctl", "mirror", "--out", "=", "f", cwd=tmp_path) == {"folder"}
    assert complete("holdfastctl", "check", "--root", "f", cwd=tmp_path) == {"file", "folder"}
    assert complete("holdfastctl", "root", "add-key", "--role", "") == roles
    assert complete("holdfastctl", "check", "--at", "2") == set()
    assert complete("holdfastctl", "bundle", "add", "f", cwd=tmp_path) == {"file", "folder"}
    assert complete("holdfastctl", "root", "draft", "--from", "f", cwd=tmp_path) == {"folder"}
    assert complete("holdfastctl", "key", "generate", "--out", "f", cwd=tmp_path) == {"file", "folder"}
    assert complete("holdfast", "init", "--bundle", "f", cwd=tmp_path) == {"file", "folder"}
    for words in (["holdfastctl", "bundle", "add"], ["holdfast", "init"]):
        assert complete(*words, "--profile", "") == {"full", "rsa", "ecc", "legacy"}


def test_it_is_for_all_programs():
    done = subprocess.run(["bash", "--norc", "-c", '. "$1"; complete -p', "bash", FILE],
                          capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == [
        f"complete -F _holdfast {program}" for program in
        ("holdfast", "holdfast-admin", "holdfast-signer", "holdfastctl", "holdfastd")]
