"""The help texts of `holdfast`, and its usage errors."""
import os
import pty
import subprocess

import agent
import pytest

COMMANDS = ["init", "update", "run", "status", "journal", "simulate", "export", "config",
            "endpoints", "enroll", "rotate", "confirm", "reject", "reset", "probe"]


def test_help_names_every_command_and_the_exit_codes():
    text = agent.ok("--help")
    assert text == agent.ok("-h")
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert "Exit code: 0 success, 1 refused or failed" in text
    assert "holdfast --state ./device init --root 1.root.json" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_teaches_itself(command):
    text = agent.ok(command, "--help")
    assert text.startswith(f"Usage: holdfast {command}")
    for part in ("Options:", "\nExamples:\n", f"  holdfast {command}", "--state", "--help"):
        assert part in text
    assert text == agent.ok("--state", "/nonexistent", command, "--help")


def test_version_is_one_line():
    name, version = agent.ok("--version").split()
    assert name == "holdfast" and version[0].isdigit()
    assert agent.ok("-V") == agent.ok("--version")


def test_help_is_a_command_too():
    assert agent.ok("help") == agent.ok("--help") == agent.ok("help", "help")
    assert agent.ok("help", "update") == agent.ok("update", "--help")
    assert "explode" in agent.refused("help", "explode", code=2)
    assert "one command" in agent.refused("help", "update", "run", code=2)


@pytest.mark.parametrize("typed, meant", [("upadte", "update"), ("staus", "status"),
                                          ("endpoint", "endpoints"), ("confg", "config"),
                                          ("UPDATE", "update"), ("confim", 'config" or "confirm')])
def test_a_typo_gets_a_suggestion(typed, meant):
    assert f'did you mean "{meant}"?' in agent.refused(typed, code=2)


def test_the_environment_is_documented():
    text = agent.ok("--help")
    for name in ("HOLDFAST_STATE", "http_proxy", "https_proxy", "no_proxy", "NO_COLOR"):
        assert f" {name}" in text


@pytest.mark.parametrize("command, more", [
    ("status", ""), ("update", ", 3 postponed"),
    ("simulate", ", 4 something fails, or may fail, on that day"),
])
def test_each_command_names_all_of_its_exit_codes_once(command, more):
    text = agent.ok(command, "--help")
    assert text.endswith(f"\nExit code: 0 success, 1 refused or failed, 2 usage error{more}\n")
    assert text.count("Exit code") == 1


@pytest.mark.parametrize("words, sentence", [
    (["explode"], 'there is no command "explode"; see'),
    (["--wrong"], "--wrong: unknown option"),
    (["update", "--wrong"], "--wrong: unknown option"),
    (["--stat", "d", "update"], "--stat: unknown option (did you mean --state?)"),
    (["update", "--jsn"], "--jsn: unknown option (did you mean --json?)"),
    (["init", "--endpiont=x"], "(did you mean --endpoint?)"),
    (["version"], 'there is no command "version"; did you mean --version? See holdfast --help'),
    (["config", "set"], "KEY is missing"),
    (["config", "set", "endpoint", "x"], 'there is no KEY "endpoint" (did you mean "endpoints"?)'),
    (["config", "unset", "trial"], 'there is no KEY "trial"; see'),
    (["update", "now"], 'unexpected argument "now"'),
    (["status", "--state"], "--state: missing argument"),
    (["run", "--interval", "soon"], "soon: invalid numeric value"),
    (["run", "--interval", "0"], "--interval is a number of seconds"),
    (["run", "--interval", "-5"], "--interval is a number of seconds"),
    (["run", "--interval", "5", "--on-demand"], "--interval and --on-demand exclude each other"),
    (["journal", "--lines", "0"], "--lines is a number of lines"),
    (["export"], "--out FILE is missing"),
    (["export", "--out", "-", "--keep"], "--keep needs a file"),
    (["export", "--root", "r.json", "--keep"], "--keep is about --out"),
    (["export", "--root", ""], "the name of the file to write is empty"),
    (["init"], "--root ROOT.json is missing"),
])
def test_a_wrong_command_line_is_told_so(words, sentence):
    said = agent.refused(*words, code=2)
    assert sentence in said and said.endswith(" --help")


def test_no_command_at_all_shows_the_help_as_an_error():
    outcome = agent.run()
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == agent.ok("--help")


def test_output_that_cannot_be_written_is_no_success():
    with open("/dev/full", "w") as full:
        done = subprocess.run([agent.BIN / "holdfast", "--help"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "standard output could not be written" in done.stderr


def on_a_terminal(*words, **changes):
    try:
        master, slave = pty.openpty()
    except OSError as none:
        pytest.skip(f"this system has no pseudo-terminals: {none}")
    subprocess.run([agent.BIN / "holdfast", *words], stdin=subprocess.DEVNULL, stdout=slave,
                   env=dict(agent.environment(), TERM="xterm", **changes), check=True)
    os.close(slave)
    seen = b""
    try:
        while part := os.read(master, 65536):
            seen += part
    except OSError:  # the other end is closed
        pass
    os.close(master)
    return seen


def test_colours_are_for_terminals_that_want_them(tmp_path):
    device = agent.Device(tmp_path).init_with_roots(agent.Root("A").pem)
    words = ("--state", str(device.state), "status")
    assert b"\x1b[1m" in on_a_terminal(*words)
    assert b"\x1b" not in on_a_terminal(*words, NO_COLOR="1")
    assert "\x1b" not in agent.ok(*words)
