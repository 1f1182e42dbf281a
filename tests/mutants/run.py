#!/usr/bin/env python3
"""Plants bugs one at a time and checks that a fast test notices each: the test of the tests.

    tests/mutants/run.py                  all of mutants.toml
    tests/mutants/run.py --only NAME ...  some of them
    tests/mutants/run.py --list           their names and what they break

Works in a copy of the tracked files under target/mutants, never in the tree itself. Standard library only (Python 3.11).
"""

import argparse
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "mutants"
TREE, BUILD = TARGET / "tree", TARGET / "build"
FIELDS = {"name", "breaks", "file", "find", "replace", "crate", "target", "test"}
# A planted bug may loop for ever; no named test takes a tenth of this.
LIMIT_S = 300


def read_gallery():
    """The mutants in the order of the file; errors of the gallery itself as text."""
    with open(ROOT / "tests/mutants/mutants.toml", "rb") as file:
        mutants = tomllib.load(file)["mutant"]
    errors, names = [], set()
    for mutant in mutants:
        name = mutant.get("name", "?")
        if set(mutant) != FIELDS:
            errors.append(f"{name}: expected the fields {sorted(FIELDS)}, found {sorted(mutant)}")
            continue
        if name in names:
            errors.append(f"{name}: two mutants have this name")
        names.add(name)
        path = ROOT / mutant["file"]
        found = path.read_text().count(mutant["find"]) if path.is_file() else 0
        if found != 1:
            errors.append(f"{name}: its text must occur exactly once in {mutant['file']}, found {found} times; "
                          "renew the mutant after the code that it changes")
    return mutants, errors


def write_if_new(path, content):
    """Leaves equal files untouched: cargo builds again what is younger than its last build."""
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def copy_tree():
    """Brings the copy to the tracked files as they are now, changes that are not committed included."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    tracked = {name.decode() for name in listed.split(b"\0") if name}
    for name in sorted(tracked):
        source = ROOT / name
        if source.is_file():
            write_if_new(TREE / name, source.read_bytes())
            (TREE / name).chmod(source.stat().st_mode)
    for path in [path for path in TREE.rglob("*") if path.is_file()]:
        name = path.relative_to(TREE).as_posix()
        if name not in tracked or not (ROOT / name).is_file():
            path.unlink()


def cargo_test(crate, target, tests, limit_s):
    """Builds and runs the named tests of one test target. Returns exit code, standard output, standard error."""
    where = ["--lib"] if target == "lib" else ["--test", target]
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(BUILD),
        "CARGO_TERM_COLOR": "never",
        "CARGO_INCREMENTAL": "1",
        # Nobody reads these backtraces; linking is faster without the line tables.
        "CARGO_PROFILE_DEV_DEBUG": "0",
    }
    command = ["cargo", "test", "-p", crate, *where, "--", "--exact", *tests]
    process = subprocess.Popen(command, cwd=TREE, env=environment, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, err = process.communicate()
        return -9, out, err + f"\nended after {limit_s} s"
    except BaseException:
        # Ctrl-C: a process group of its own does not hear it.
        os.killpg(process.pid, 9)
        raise
    return process.returncode, out, err


def outcomes(out):
    """Outcome of each test that ran, by name: `ok` or `FAILED`."""
    return dict(re.findall(r"^test (\S+)(?: - should panic)? \.\.\. (?:.*?)(ok|FAILED)$", out, re.MULTILINE))


def check_unchanged(mutants):
    """The named tests must pass on the unchanged tree: builds everything, too."""
    wanted = {}
    for mutant in mutants:
        wanted.setdefault((mutant["crate"], mutant["target"]), set()).add(mutant["test"])
    errors = []
    for (crate, target), tests in wanted.items():
        started = time.monotonic()
        code, out, err = cargo_test(crate, target, sorted(tests), None)
        passed = {name for name, outcome in outcomes(out).items() if outcome == "ok"}
        for test in sorted(tests - passed):
            errors.append(f"{crate} {target} {test}: does not pass (or exist) without any planted bug")
        if code != 0:
            errors.append(f"{crate} {target}: exit code {code}\n{out[-3000:]}{err[-3000:]}")
        print(f"  unchanged: {crate} {target}, {len(tests)} tests, {time.monotonic() - started:.1f} s", flush=True)
    return errors


def judge(mutant):
    """Plants one bug, runs its test, restores the file. Returns a verdict (`killed`, `survived`, `error`) and details."""
    path = TREE / mutant["file"]
    original = path.read_text()
    path.write_text(original.replace(mutant["find"], mutant["replace"]))
    try:
        code, out, err = cargo_test(mutant["crate"], mutant["target"], [mutant["test"]], LIMIT_S)
    finally:
        path.write_text(original)
    if outcomes(out).get(mutant["test"]) == "FAILED" and "test result: FAILED" in out:
        return "killed", ""
    if code == 0 and outcomes(out).get(mutant["test"]) == "ok":
        return "survived", ""
    return "error", f"exit code {code}, no outcome of the test\n{out[-2000:]}{err[-3000:]}"


def table_row(name, test, seconds):
    print(f"{name:<44} {test:<96} {seconds:>7}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run these mutants")
    parser.add_argument("--list", action="store_true", help="show names and what they break")
    options = parser.parse_args()
    mutants, errors = read_gallery()
    if errors:
        sys.exit("the gallery is out of date:\n" + "\n".join(errors))
    if options.only:
        unknown = set(options.only) - {mutant["name"] for mutant in mutants}
        if unknown:
            sys.exit(f"unknown mutants: {', '.join(sorted(unknown))}; --list shows the names")
        mutants = [mutant for mutant in mutants if mutant["name"] in options.only]
    if options.list:
        for mutant in mutants:
            print(f"{mutant['name']:<44} {mutant['breaks']}")
        return
    started = time.monotonic()
    copy_tree()
    errors = check_unchanged(mutants)
    if errors:
        sys.exit("tests of the gallery fail without any planted bug:\n" + "\n".join(errors))
    table_row("planted bug", "killed by", "seconds")
    survivors, errors = [], []
    for mutant in mutants:
        begun = time.monotonic()
        verdict, details = judge(mutant)
        test = f"{mutant['crate']} {mutant['target']} {mutant['test']}"
        table_row(mutant["name"], test if verdict == "killed" else verdict.upper(), f"{time.monotonic() - begun:.1f}")
        if verdict == "survived":
            survivors.append(f"{mutant['name']}: {mutant['breaks']} Not noticed by {test}.")
        elif verdict == "error":
            errors.append(f"{mutant['name']}: {details}")
    killed = len(mutants) - len(survivors) - len(errors)
    print(f"{killed} of {len(mutants)} planted bugs killed in {time.monotonic() - started:.0f} s")
    if errors:
        print("\nmutants that do not compile, hang or crash (errors of the gallery):\n" + "\n".join(errors))
    if survivors:
        print("\nsurvivors; a test must be added or sharpened:\n" + "\n".join(survivors))
    sys.exit(1 if errors or survivors else 0)


if __name__ == "__main__":
    main()
