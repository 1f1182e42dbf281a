"""Runs the command in terminals of several sizes and looks at what stands on the screen.

    python check_terminal.py SKIRL [SCREENSHOTS]

A pseudo-terminal tells the command its width; an emulator of that width reads what the command writes, so that its screen is
what a person sees. With a folder SCREENSHOTS, the last screens are written there as text. Needs `pip install pyte` and a
system with pseudo-terminals.
"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import pyte

ROWS = 60
# Colours that can be read on black and on white: red and green; bold, underlined and the defaults besides.
COLOURS = {"", "0", "1", "4", "22", "24", "31", "32", "39"}
SHORT_STOP = '--stop={"training_iteration": 30}'


class Terminal:
    """A finished command: its screens, its exit code, everything it wrote."""

    def __init__(self, command, columns, directory, environment=(), keys=(), stop_when=None, limit=60.0):
        self.screen = pyte.Screen(columns, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.columns, self.raw, self.moments = columns, b"", []
        keys, begun = list(keys), time.monotonic()
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(directory)
            # The size is set before the command asks for it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
            kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CLICOLOR")}
            os.execvpe(command[0], command, kept | {"TERM": "xterm-256color"} | dict(environment))
        while time.monotonic() - begun < limit:
            if keys and self.shows(keys[0][0]):
                os.write(terminal, keys.pop(0)[1])
            if not select.select([terminal], [], [], 0.05)[0]:
                continue
            try:
                written = os.read(terminal, 1 << 16)
            except OSError:  # Linux: the other side is closed.
                break
            if not written:
                break
            self.feed(written, time.monotonic() - begun)
        else:
            os.kill(child, 9)
        self.code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(terminal)

    def feed(self, written, seconds):
        self.raw += written
        self.stream.feed(written)
        self.moments.append((seconds, self.lines()))

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def shows(self, text):
        return any(text in line for line in self.lines())

    def text(self):
        return "\n".join(self.lines()).rstrip()

    def colours(self):
        codes = re.findall(rb"\x1b\[([0-9;]*)m", self.raw)
        return {part for code in codes for part in code.decode().split(";")}


def check(condition, message, terminal):
    if not condition:
        sys.exit(f"{message}\nat {terminal.columns} columns, exit code {terminal.code}:\n{terminal.text()}")


def check_width(terminal):
    """No line was broken by the terminal: it would have filled the last column, which the command leaves free."""
    for line in terminal.lines():
        check(len(line) < terminal.columns, f"too long: {line!r}", terminal)


def ends(line):
    """Where the words of a header or a row of values end; two spaces part them."""
    return [match.end() for match in re.finditer(r"\S+(?: \S+)*", line)]


def check_table(lines, terminal):
    """One bar, and names over values that end in the same columns."""
    bars = [line for line in lines if "%" in line and ("█" in line or "░" in line)]
    heads = [at for at, line in enumerate(lines) if re.match(r" *iteration  ", line)]
    check(len(bars) <= 1 and len(heads) <= 1, "the table stands twice on the screen", terminal)
    for at in heads:
        for names, values in ((at, at + 1), (at + 2, at + 3)):
            if names == at or lines[names].lstrip().startswith("policy loss"):
                check(ends(lines[names]) == ends(lines[values]), f"columns: {lines[names]!r}", terminal)


def check_training(skirl, directory, columns):
    command = [skirl, "train", "cartpole", "--seed=1", SHORT_STOP]
    terminal = Terminal(command, columns, directory)
    check(terminal.code == 0, "training failed", terminal)
    check_width(terminal)
    for _, lines in terminal.moments:
        check_table(lines, terminal)
    for part in ("PPO on CartPole-v1, seed 1", "100%", "training_iteration = 30 reached 30 after 15,360 steps"):
        check(terminal.shows(part), f"{part!r} is missing at the end", terminal)
    for part in ("results: runs/PPO_CartPole", "checkpoint: ", "next: skirl evaluate runs/", "skirl train --resume"):
        check(terminal.shows(part), f"{part!r} is missing at the end", terminal)
    check("iteration 31" not in terminal.text(), "it still waits at the end", terminal)
    check(terminal.colours() <= COLOURS, f"colours {terminal.colours() - COLOURS}", terminal)
    check("32" in terminal.colours(), "the bar has no colour", terminal)
    return terminal


def check_without_colours(skirl, directory):
    command = [skirl, "train", "cartpole", "--seed=1", SHORT_STOP]
    plain = Terminal(command, 80, directory, [("NO_COLOR", "1")])
    check(plain.colours() <= {"", "0"}, f"colours {plain.colours()} in spite of NO_COLOR", plain)
    check_table(plain.lines(), plain)
    dumb = Terminal(command, 200, directory, [("TERM", "dumb")])
    check(b"\x1b" not in dumb.raw and dumb.code == 0, "control sequences with TERM=dumb", dumb)
    check(dumb.shows("iteration 1  steps 512"), "no plain lines", dumb)
    for arguments in (["--help"], ["train", "--bogus"], ["train", "--run=PPOO", "--env=CartPole-v1"]):
        coloured = Terminal([skirl, *arguments], 80, directory)
        check(coloured.colours() <= COLOURS, f"colours {coloured.colours() - COLOURS}", coloured)
        plain = Terminal([skirl, *arguments], 80, directory, [("NO_COLOR", "1")])
        check(not plain.colours() - {"", "0", "1", "4", "22", "24"}, f"colours {plain.colours()}", plain)


def check_waiting(skirl, directory):
    """A long first iteration is visibly alive, and Ctrl-C is answered at once."""
    command = [skirl, "train", "cartpole", "--seed=1", "--set=train_batch_size=200000", "--set=num_epochs=8"]
    begun = "iteration 1, 200,000 steps: 1 s"
    terminal = Terminal(command, 80, directory, keys=[(begun, b"\x03")])
    check(terminal.code == 130, "an interrupted run ends with 130", terminal)
    first = next(seconds for seconds, lines in terminal.moments if any("iteration 1, 200,000 steps" in l for l in lines))
    check(first < 2.0, f"the first sign of life came after {first:.1f} s", terminal)
    signs = {line[0] for _, lines in terminal.moments for line in lines if "steps: " in line}
    check(len(signs) >= 3, f"the sign of life does not move: {signs}", terminal)
    for part in ("stopping: finishing what is under way", "interrupted after 0 steps", "checkpoint: "):
        check(terminal.shows(part), f"{part!r} is missing", terminal)
    check_width(terminal)


def check_watching(skirl, directory, columns):
    runs = sorted(str(path.relative_to(directory)) for path in Path(directory, "runs").iterdir())
    one = Terminal([skirl, "watch", runs[0]], columns, directory)
    check(one.code == 0 and one.shows("finished: training_iteration = 30 reached 30"), "not finished", one)
    check_table(one.lines(), one)
    check_width(one)
    many = Terminal([skirl, "watch", *runs[:3]], columns, directory)
    check(sum("finished" in line for line in many.lines()) == 3, "three runs", many)
    check_width(many)
    keys = [("waiting for a run to start here", b"\x03")]
    later = Terminal([skirl, "watch", "runs/later"], columns, directory, keys=keys)
    check(later.code == 130, "Ctrl-C ends watching", later)
    return one, many


def check_listings(skirl, directory, columns):
    for command in ("envs", "algos", "example list", "explain cartpole --seed=1", "explain --env=TwoCartPole-v0"):
        terminal = Terminal([skirl, *command.split()], columns, directory)
        check(terminal.code == 0, command, terminal)
        # Its lines to copy stay whole.
        if command != "example list":
            check_width(terminal)
        yield command, terminal


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    skirl = os.path.abspath(sys.argv[1])
    screens = {}
    with tempfile.TemporaryDirectory() as directory:
        for columns in (80, 200):
            screens[f"train-{columns}"] = check_training(skirl, directory, columns)
        check_without_colours(skirl, directory)
        for columns in (80, 200):
            screens[f"watch-{columns}"], screens[f"watch-many-{columns}"] = check_watching(skirl, directory, columns)
            for command, terminal in check_listings(skirl, directory, columns):
                screens[f"{command.split()[0]}-{columns}"] = terminal
        # Last, as it leaves a run that was interrupted.
        check_waiting(skirl, directory)
    if len(sys.argv) == 3:
        for name, terminal in screens.items():
            Path(sys.argv[2], f"{name}.txt").write_text(terminal.text() + "\n", encoding="utf-8")
    print(f"{len(screens)} screens of 80 and 200 columns are in order")


if __name__ == "__main__":
    main()
