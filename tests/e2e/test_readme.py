"""The examples of README.md, with the output that it shows, and its links."""
import re
import subprocess

import pytest

from kit import programs
from kit.processes import free_port

README = programs.CHECKOUT / "README.md"
EXAMPLES = re.findall(r"^```console\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


def parts(example):
    """Each command and the lines that are shown below it."""
    found = []
    for line in example.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def matches(shown, printed):
    """"…" stands for the rest of a line, or, alone, for any number of lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
                      for line in shown)
    return re.fullmatch(pattern, printed)


@pytest.mark.parametrize("example", EXAMPLES, ids=["first minute", "simulate"])
def test_an_example_prints_what_it_shows(example, folder):
    (folder / "build").mkdir()
    (folder / "build" / "bin").symlink_to(programs.BIN)
    (folder / "tmp").mkdir()
    port = str(free_port())
    commands = parts(example)
    script = "set -m\nexport PATH=$PWD/build/bin:$PATH\n" + "".join(
        f"echo @@@\n{command.replace('8080', port)}\n" for command, _ in commands)
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120,
                          env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder / "tmp"), "LC_ALL": "C.UTF-8"})
    printed = done.stdout.split("@@@\n")[1:]
    assert len(printed) == len(commands), done
    for (command, shown), text in zip(commands, printed):
        assert matches(shown, text), (command, text, done.stderr)


def test_every_link_leads_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (programs.CHECKOUT / name).read_text()
        links = re.findall(r"\]\(([^)#]+)(?:#([^)]*))?\)", text)
        assert links
        for path, anchor in links:
            if path.startswith("https://"):
                continue
            target = programs.CHECKOUT / path
            assert target.exists(), (name, path)
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
            assert not anchor or anchor in [re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-")
                                            for h in headings], (name, path, anchor)
        for path in re.findall(r"`((?:common|client|server|tests)/[a-z0-9_/.]+\.[ch])`", text):
            assert (programs.CHECKOUT / path).exists(), (name, path)
