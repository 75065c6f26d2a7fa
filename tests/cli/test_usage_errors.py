"""Every command of every program: a usage error is exit code 2, one sentence on standard error, nothing on
standard output, and nothing done."""
import functools
import re
import subprocess

import pytest

import ctl


def run(words, **how):
    return subprocess.run([ctl.BIN / words[0], *words[1:]], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=ctl.TIMEOUT_S, **how)


@functools.cache
def help_of(*command):
    return run([*command, "--help"]).stdout


def commands(program):
    listed = help_of(program).split("\nCommands:\n")[1].split("\n\n")[0]
    found = re.findall(r"^  (\S+(?: \S+)?)  ", listed, re.MULTILINE)
    return [[program, *name.split()] for name in found]


COMMANDS = [*commands("holdfast"), *commands("holdfastctl"), ["holdfastd"]]


def refuses(command, *words):
    done = run([*command, *words])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), (words, done)
    assert done.stderr.startswith(command[0]), done.stderr
    return done.stderr


def options(command):
    """{name: whether it takes a value}"""
    listed = help_of(*command).split("\nOptions:\n")[1].split("\nExamples:\n")[0]
    return {name: value != "" for name, value in
            re.findall(r"^  (?:    )?(?:-\w, )?(--[a-z-]+)(=| [A-Z])?", listed, re.MULTILINE)}


def needed(command):
    """A command line that lacks nothing; None if it may have more arguments than that."""
    usage = help_of(*command).split("\n")[0].removeprefix("Usage: " + " ".join(command))
    usage = re.sub(r"\[OPTION(…|\.\.\.)\]", "", usage)
    if re.search(r"[A-Z](…|\.\.\.)|\[[A-Z]", usage):
        return None
    while usage != (usage := re.sub(r"\[[^][]*\]", "", usage)):
        pass
    usage = re.sub(r"\{([^|}]*)\|[^}]*\}", r"\1", usage)
    return [word if word.startswith("--") else "1" for word in usage.split() if word != "..."]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_option_that_does_not_exist(command):
    for wrong in ("--no-such-option", "-Z"):
        assert wrong in refuses(command, wrong)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_option_without_its_value_and_one_with_a_value_too_many(command):
    kinds = {takes_value: name for name, takes_value in options(command).items()}
    if True in kinds:
        assert kinds[True] in refuses(command, kinds[True])
    assert kinds[False] in refuses(command, f"{kinds[False]}=value")


def test_an_argument_too_many(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    limited = [command for command in COMMANDS if needed(command) is not None]
    assert len(limited) > 20
    for command in limited:
        assert '"surplus"' in refuses(command, *needed(command), "surplus")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line, says", [
    ("holdfast --state= status", "the state folder: a name is expected, and it is empty"),
    ("holdfast reset --yes --state=", "the state folder: a name is expected, and it is empty"),
    ("holdfast --state d init --url http://x --set s --profile p --root=", "--root: the name of the file is empty"),
    ("holdfast --state d init --root r --url http://x --set s --profile p --client-cert= --client-key=",
     "--client-cert: a name is expected, and it is empty"),
    ("holdfast reset --yes --bundle=", "--bundle: the name of the file is empty"),
    ("holdfast probe localhost --ca=", "the name of the file is empty"),
    ("holdfastctl init --repo r --keys k --passphrase-file=", "the name of the file is empty"),
    ("holdfastctl mirror --repo . --out o --root=", "the name of the file is empty"),
    ("holdfastd --listen 127.0.0.1:0 --repo=", "--repo DIR is missing"),
    ("holdfastd --listen 127.0.0.1:0 --repo r --state=", "--state: the name of the folder is empty"),
    ("holdfastd --listen 127.0.0.1:0 --repo r --access-log=", "--access-log: the name of the file is empty"),
])
def test_an_empty_name_is_none(tmp_path, monkeypatch, line, says):
    """As a variable leaves it that a script has not set."""
    monkeypatch.chdir(tmp_path)
    program, *words = line.split()
    assert says in refuses([program], *words)
    assert list(tmp_path.iterdir()) == []


def test_the_commands_were_found():
    assert len(COMMANDS) > 40
    assert needed(["holdfastctl", "root", "sign"]) == ["--draft", "1", "--keys", "1"]
    assert options(["holdfastd"])["--listen"] and not options(["holdfast", "run"])["--on-demand"]
