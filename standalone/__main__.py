"""`python -m standalone`."""

import sys

try:
    from standalone.cli import main
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] == "standalone":
        raise
    sys.stderr.write(
        "This Python has no module %s. `make venv` makes an environment that has all of them;\n"
        "then it is: .venv/bin/python -m standalone\n" % error.name
    )
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
