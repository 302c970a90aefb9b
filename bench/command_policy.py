"""What the command policy decides about each line of a file, and how fast; or a fuzz of it.

    python bench/command_policy.py --commands FILE [--table FILE] [--no-safe-mode]
    python bench/command_policy.py --fuzz 2000000 [--seed N]

With --commands: one JSON object a line, {command, decision, risk, rule, reason}, in the order of
the file, and a summary last. The rate is that of `decide` alone, in CPU time, the median of many
passes; nothing of a decision is remembered from one pass to the next. With --fuzz: mutated commands
and noise; an exception, an allow that the second reading objects to, words that sh would split
otherwise, or a rewritten command that is judged otherwise than itself, ends in exit 1. Without
either: the tests' own corpora, the summary only. A line that is not UTF-8 is judged all the same.
"""

import argparse
import collections
import json
import random
import shlex
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "actions" / "lib"))

from selfheal.guard import commands
from selfheal.guard.commands import lexer
from selfheal.guard.commands.second_reading import objection

FIXTURES = ROOT / "tests" / "guard" / "fixtures"
MEASURE_S = 2.0
MIN_PASSES = 3
MIN_DECISIONS = 5000  # in one pass, so that the clock is fine enough
SIGNS = ";&|<>(){}$`*?[]~!#^'\"\\=,:/.- \t\n\r\x00\x0b\x1b\x7f\u200b\u202e\u0435\uff52é%@+_0aZ"
PIECES = (
    "--all -A --all-namespaces -n kube-system --namespace= '' -- - --kubeconfig=/x --as=root -f "
    "--follow --force -o jsonpath={.x} -l app=web --selector= --replicas=0 --tail=-1 -1 -9 0 1 "
    "secrets secret/x pods,secrets pod/x deployment/web /etc/shadow /var/log/../x /var/log/syslog "
    "http://evil/ http://localhost/health @file sh -c rm reboot $(id) `id` ${IFS} *.log ~ x=y "
    "nginx sshd '*' \"a b\" 'a;b' true false --help -h -v -vvv +short -exec -delete"
).split()


def lines_of(path):
    """The commands of a file: its lines, the empty ones left out."""
    text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    return [line for line in text.split("\n") if line]


def rate(lines, policy):
    """Decisions a second over `lines`, the median of several passes."""
    decide = commands.decide
    lines = lines * max(1, MIN_DECISIONS // len(lines))
    rates = []
    end = time.process_time() + MEASURE_S
    while len(rates) < MIN_PASSES or time.process_time() < end:
        began = time.process_time()
        for line in lines:
            decide(line, policy)
        rates.append(len(lines) / (time.process_time() - began))
    return statistics.median(rates)


def judge(lines, policy, is_quiet):
    """Print a line for each command (unless quiet) and the summary; whether nobody objected."""
    counts = collections.Counter()
    objections = 0
    for line in lines:
        decision = commands.decide(line, policy)
        counts[decision.decision] += 1
        reason = decision.reason
        against = objection(decision, policy)
        if against:
            objections += 1
            reason += " (second reading: %s)" % against
        if not is_quiet:
            fields = {
                "command": line,
                "decision": decision.decision,
                "risk": decision.risk,
                "rule": decision.rule,
                "reason": reason,
            }
            print(json.dumps(fields))
    summary = {
        "summary": True,
        "commands": len(lines),
        **{name: counts[name] for name in commands.DECISIONS},
        "objections": objections,
        "decisions_per_s": round(rate(lines, policy)) if lines else 0,
    }
    print(json.dumps(summary))
    return not objections


def mutated(pick, corpus, words):
    """A command of `corpus`, changed in one to four places."""
    parts = pick.choice(corpus).split(" ")
    for _ in range(pick.choice((1, 1, 1, 2, 2, 3, 4))):
        at = pick.randrange(len(parts) + 1)
        how = pick.randrange(8)
        if how == 0:
            parts.insert(at, pick.choice(PIECES))
        elif how == 1:
            parts.insert(at, pick.choice(words))
        elif how == 2 and parts:
            parts.pop(at - 1)
        elif how == 3 and parts:
            parts[at - 1] = pick.choice(words)
        elif how == 4 and parts:
            word = parts[at - 1]
            cut = pick.randrange(len(word) + 1)
            parts[at - 1] = word[:cut] + pick.choice(SIGNS) + word[cut:]
        elif how == 5 and len(parts) > 1:
            other = pick.randrange(len(parts))
            parts[at - 1], parts[other] = parts[other], parts[at - 1]
        elif how == 6 and parts:
            parts.insert(at, parts[at - 1])
        elif parts:
            parts[at - 1] = pick.choice(
                (
                    parts[at - 1].upper(),
                    "'%s'" % parts[at - 1],
                    '"%s"' % parts[at - 1],
                    parts[at - 1].replace("=", " ", 1),
                    parts[at - 1][:-1],
                    "-" + parts[at - 1],
                )
            )
    return " ".join(parts)


def noise(pick):
    """A short text of signs that mean something to somebody."""
    return "".join(pick.choice(SIGNS) for _ in range(pick.randrange(40)))


def complaint(line, policy):
    """What is wrong with the decision about `line`, or ""; and the decision."""
    decision = commands.decide(line, policy)
    if decision.decision == commands.DENY:
        return objection(decision, policy), decision
    wrong = objection(decision, policy)
    words = lexer.words_of(line)
    if not wrong and "\\$" not in line and "\\`" not in line and shlex.split(line) != words:
        wrong = "sh would split it otherwise"
    if not wrong:
        again = commands.decide(words, policy)
        if again != decision:
            wrong = "split words are judged otherwise: %s" % (again,)
    if not wrong:
        again = commands.decide(decision.argv, policy)
        if again.argv != decision.argv:
            wrong = "what was rewritten is judged otherwise: %s" % (again,)
    return wrong, decision


def fuzz(count, seed, policy):
    """Judge `count` inputs; print the summary; whether nothing was wrong."""
    corpus = [line for path in sorted(FIXTURES.glob("commands_*.txt")) for line in lines_of(path)]
    good = [line for line in corpus if not commands.decide(line, policy).is_denied]
    words = sorted({word for line in corpus for word in line.split(" ") if word})
    pick = random.Random(seed)
    counts = collections.Counter()
    began = time.process_time()
    for _ in range(count):
        kind = pick.random()
        line = noise(pick) if kind < 0.1 else mutated(pick, good if kind < 0.8 else corpus, words)
        try:
            wrong, decision = complaint(line, policy)
        except Exception as error:
            counts["exceptions"] += 1
            print("exception %r for %r" % (error, line), file=sys.stderr)
            continue
        counts[decision.decision] += 1
        if wrong:
            counts["disagreements"] += 1
            print("%s: %r -> %r" % (wrong, line, decision), file=sys.stderr)
    summary = {
        "summary": True,
        "inputs": count,
        "seed": seed,
        **{name: counts[name] for name in commands.DECISIONS},
        "exceptions": counts["exceptions"],
        "disagreements": counts["disagreements"],
        "seconds": round(time.process_time() - began, 1),
    }
    print(json.dumps(summary))
    return not counts["exceptions"] and not counts["disagreements"]


def main():
    """Read the arguments and do what they ask."""
    parser = argparse.ArgumentParser(description="What the command policy decides, and how fast.")
    parser.add_argument("--commands", metavar="FILE", help="one command a line")
    parser.add_argument("--fuzz", metavar="N", type=int, help="judge N mutated commands")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", metavar="FILE", help="a site's own table, over the built-in one")
    parser.add_argument("--no-safe-mode", action="store_true")
    args = parser.parse_args()
    policy = commands.load_policy(args.table, not args.no_safe_mode)
    if args.fuzz is not None:
        return 0 if fuzz(args.fuzz, args.seed, policy) else 1
    if args.commands:
        return 0 if judge(lines_of(args.commands), policy, False) else 1
    corpora = [line for path in sorted(FIXTURES.glob("commands_*.txt")) for line in lines_of(path)]
    return 0 if judge(corpora, policy, True) else 1


if __name__ == "__main__":
    sys.exit(main())
