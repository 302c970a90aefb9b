"""Compiles every Python file of the repository with each Python from 3.8 to 3.12 on the machine.

StackStorm runs packs on all of them; a construct too new for the oldest shows up here and nowhere
else. Nothing is written: no .pyc files. Exit 1 when a file does not compile.
"""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINORS = range(8, 13)
SKIPPED = {".git", ".venv", ".cache", "__pycache__", "node_modules"}

COMPILE = """
import sys, warnings
warnings.simplefilter("error", SyntaxWarning)
bad = 0
for path in sys.stdin.read().split("\\0"):
    try:
        with open(path, "rb") as source:
            compile(source.read(), path, "exec", dont_inherit=True)
    except SyntaxError as error:
        bad += 1
        sys.stderr.write("%s:%s: %s\\n" % (path, error.lineno, error.msg))
sys.exit(bad > 0)
"""


def python_files():
    """All .py files of the work tree, tracked or not, without environments and caches."""
    for folder, folders, names in os.walk(str(ROOT)):
        folders[:] = sorted(set(folders) - SKIPPED)
        for name in sorted(names):
            if name.endswith(".py"):
                yield os.path.join(folder, name)


def runs(path, minor):
    """Whether this is a working Python 3.<minor> (a shim of pyenv may exist and not run)."""
    question = "import sys; sys.exit(sys.version_info[:2] != (3, %d))" % minor
    try:
        return (
            subprocess.run(
                [path, "-c", question], stderr=subprocess.DEVNULL, check=False
            ).returncode ==
            0
        )
    except OSError:
        return False


def interpreters():
    """(minor, path) of one working interpreter for each version found."""
    for minor in MINORS:
        name = "python3.%d" % minor
        places = [sys.executable, shutil.which(name), "/usr/bin/" + name, "/usr/local/bin/" + name]
        places += glob.glob(os.path.expanduser("~/.pyenv/versions/3.%d.*/bin/python" % minor))
        for path in places:
            if path and os.path.exists(path) and runs(path, minor):
                yield minor, path
                break


def main():
    """Prints the versions that compiled everything, and the errors of those that did not."""
    files = "\0".join(python_files())
    good, failed = [], []
    for minor, path in interpreters():
        done = subprocess.run([path, "-c", COMPILE], input=files.encode(), check=False)
        (failed if done.returncode else good).append("3.%d" % minor)
    print("%d files compile with Python %s" % (files.count("\0") + 1, ", ".join(good) or "none"))
    if failed or not good:
        print("they do not compile with Python " + ", ".join(failed), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
