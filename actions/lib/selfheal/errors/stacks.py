"""Stack traces of Java, Python, Go, Node, .NET, Ruby and PHP: which exception, thrown where.

Keeps what is the same for every occurrence (classes, modules, functions) and drops what is not
(line numbers, addresses, generated names). Never raises; text without a trace gives None.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, List, NamedTuple, Optional, Tuple

LIMIT = 30_000  # characters of either end of a trace that are read
LINE = 400  # characters of each line of it
FRAMES = 5  # frames that count, the innermost first
CLASSES = 6
_CACHED = 512
_LONGEST_CACHED = 8_000


class Trace(NamedTuple):
    """A trace. `classes` from the exception that was reported to its root cause; `frames` are
    `module.function`, innermost of the root cause first; `message` is the reported exception's.
    `is_own` says whether the frames are the program's own; the runtime's count only where there
    are none.
    """

    language: str
    classes: Tuple[str, ...]
    frames: Tuple[str, ...]
    message: str
    is_own: bool


class _Section(NamedTuple):
    """One exception of a chain with its frames, innermost first: (name, is own)."""

    class_name: str
    message: str
    frames: List[Tuple[str, bool]]


Frame = Tuple[str, bool, str]  # name, is own, language
_CLASS = r"(?:[A-Za-z_$][\w$]*(?:\.|::|\\|/))*[A-Z_a-z$][\w$]*"
_EXCEPTION = re.compile(
    r"\s*(?:Exception in thread \"[^\"]{0,200}\" |Uncaught |Unhandled exception\. |PHP )?"
    r"(?:Fatal error: (?:Uncaught )?)?(%s)(?:\s\[[\w ]{1,40}\])?(?::\s?(.*))?\Z" % _CLASS
)
_THROWN = re.compile(
    r"(?:Error|Exception|Throwable|Failure|Fault|Interrupt|Exit|Warning|Timeout)\w*\Z"
)
_CAUSE = re.compile(r"\s*(?:Caused by:|\[cause\]:|--->|Suppressed:)\s*(.*)\Z")
_AT = re.compile(r"[ \t]{1,40}at[ \t]{1,4}(.+)\Z")
_JAVA = re.compile(r"(?:[\w.@\-]*/{1,2})*([\w.$<>]+)\((?:[^()]*)\)(?:\s~?\[[^\]]*\])?\Z")
_DOTNET = re.compile(r"([\w.`<>\[\],+|$]+)\(.*?\)(?:\sin\s(.*?))?\Z")
_NODE = re.compile(
    r"(?:(?:async\s|new\s)*([^()]+?)\s)?"
    r"\(?((?:node:|file://|/|[A-Za-z]:\\|\.|<anonymous>|internal|webpack|native|https?:)[^()]*?)"
    r"(?::[0-9]+)*\)?\Z"
)
_PYTHON = re.compile(r'[\s|+\-]*File "([^"]{1,1000})", line [0-9]+(?:, in (.+?))?\s*\Z')
_GO_FILE = re.compile(r"\t\s*(\S+\.(?:go|s)):[0-9]+(?: \+0x[0-9a-f]+)?\s*\Z")
_RUBY = re.compile(
    r"\s*(?:from\s)?(\S+\.(?:rb|erb|rake)):[0-9]+:in\s[`'](.+?)'"
    r"(?::\s(.*?)\s\((%s)\))?\s*\Z" % _CLASS
)
_PHP = re.compile(r"\s*#[0-9]+\s+(?:(\S+\.php)\([0-9]+\)|\[internal function\]):\s(.+?)\(.*\Z")

_BEGINS = re.compile(
    r"Traceback \(most recent call last\)|\n[ \t]{1,20}at[ \t]\S|\n[ \t]{0,20}Caused by: "
    r"|\ngoroutine [0-9]+ \[|\A(?:panic|fatal error): |\n(?:panic|fatal error): "
    r"|\n[ \t]{1,20}from \S{1,400}:[0-9]+:in |\n[ \t]{0,20}#0 \S"
)
_FROM_RUNTIME = re.compile(
    r"(?:java|javax|jakarta|jdk|sun|com\.sun|scala|kotlin|kotlinx|groovy|clojure|akka|reactor"
    r"|io\.netty|io\.vertx|io\.grpc|io\.reactivex|rx|okhttp3|okio|retrofit2|feign|net\.bytebuddy"
    r"|org\.(?:springframework|apache|hibernate|eclipse|jboss|wildfly|junit|codehaus|glassfish"
    r"|postgresql|mariadb|h2|quartz|slf4j|elasticsearch|opensearch|mockito|jooq)"
    r"|com\.(?:zaxxer|fasterxml|google|mysql|mongodb|microsoft|netflix|amazonaws|datastax|rabbitmq)"
    r"|ch\.qos|System|Microsoft|MS|Npgsql|Newtonsoft|Grpc)\."
)
_GENERATED = re.compile(
    r"\$\$|\$Proxy|GeneratedMethodAccessor|GeneratedConstructorAccessor|LambdaForm|\bDMD<"
    r"|lambda_method|<>c__DisplayClass|\.access\$[0-9]"
)
_LAMBDA = re.compile(r"lambda\$(\w+?)\$[0-9]+\Z|lambda\$(\w+)\Z")
_DIGITS = re.compile(r"[0-9]+")
_LIBRARY_PATH = re.compile(
    r"site-packages|dist-packages|/lib(?:64)?/python|<frozen|<string>|importlib|node_modules"
    r"|\bnode:|\binternal/|/go/pkg/mod/|/usr/(?:local/)?(?:lib/)?go|/vendor/|/gems/|/lib/ruby"
    r"|/usr/share/php|<anonymous>\Z|\bnative\b|<__array_function__"
)


class Traces:
    """Reads traces, remembering those seen lately; errors come in bursts of one trace."""

    def __init__(self) -> None:
        self._known: Dict[str, Optional[Trace]] = {}

    def read(self, text: str) -> Optional[Trace]:
        """The trace in `text`, None when there is none."""
        if len(text) > _LONGEST_CACHED:
            return read(text)
        if text not in self._known:
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[text] = read(text)
        return self._known[text]


def begins(message: str) -> int:
    """Where in a message of several lines a trace begins, -1 when it has none."""
    found = _BEGINS.search(message[:LIMIT])
    if found is None:
        return -1
    start = found.start()
    if found.group().startswith(("Trace", "panic", "fatal")):
        return start
    if found.group().lstrip("\n").startswith(("panic", "fatal", "goroutine")):
        return start + 1
    # The line above the first frame names the exception.
    above = message.rfind("\n", 0, start) + 1
    line = message[above:start]
    return above if _names_exception(line) or _RUBY.match(line) else start + 1


def read(text: str) -> Optional[Trace]:
    """The trace in `text`, of which the two ends count."""
    if len(text) > 2 * LIMIT:
        text = text[:LIMIT] + "\n" + text[-LIMIT:]
    lines = text.splitlines()
    if "Traceback (most recent call last)" in text or 'File "' in text:
        sections, language = _python(lines), "python"
    elif "goroutine " in text:
        sections, language = _go(lines), "go"
    else:
        sections, language = _lines_at(lines)
    if not any(section.frames for section in sections):
        return None
    return _trace(language, sections)


def _trace(language: str, sections: List[_Section]) -> Trace:
    named = [section for section in sections if section.class_name]
    classes = [_DIGITS.sub("#", section.class_name) for section in named]
    frames = [frame for section in reversed(sections) for frame in section.frames]
    own = [name for name, is_own in frames if is_own]
    chosen: List[str] = []
    for name in own or [name for name, _ in frames]:
        if name not in chosen:
            chosen.append(name)
        if len(chosen) == FRAMES:
            break
    # A long chain keeps what was reported and its roots.
    if len(classes) > CLASSES:
        classes = classes[:1] + classes[1 - CLASSES:]
    return Trace(
        language, tuple(classes), tuple(chosen), named[0].message if named else "", bool(own)
    )


def _names_exception(line: str) -> bool:
    found = _EXCEPTION.match(line[:LINE])
    return bool(found and ("." in found.group(1) or _THROWN.search(found.group(1))))


def _lines_at(lines: List[str]) -> Tuple[List[_Section], str]:
    """Traces whose frames are lines of their own: Java, .NET, Node, Ruby, PHP."""
    sections: List[_Section] = []
    language = "java"
    is_suppressed = False
    for line in lines:
        line = line[:LINE].rstrip()
        kind, frame = _kind(line)
        if frame is not None:
            language = frame[2] or language
            if not sections:
                sections.append(_Section("", "", []))
            if frame[0] and not is_suppressed:
                sections[-1].frames.append(frame[:2])
        elif kind == "cause":
            found = _CAUSE.match(line)
            is_suppressed = line.lstrip().startswith("Suppressed")
            if found and not is_suppressed:
                sections.append(_section(found.group(1)))
        elif kind == "ruby":
            language = "ruby"
            _ruby(line, sections)
        elif not sections and _names_exception(line):
            sections.append(_section(line))
    if language == ".net":  # the frames of the inner exception come first
        spread = [section.frames for section in sections if section.frames]
        if len(spread) == 1 and len(sections) > 1:
            sections[-1].frames[:] = spread[0]
    return sections, language


def _section(line: str) -> _Section:
    line, _, inner = line.partition(" ---> ")
    found = _EXCEPTION.match(line.rstrip(" {"))
    if not found:
        return _Section("", line.strip(), [])
    return _Section(found.group(1), (found.group(2) or "").strip(), [])


@lru_cache(maxsize=4096)  # the same frames come again and again, in a trace and between traces
def _kind(line: str) -> Tuple[str, Optional[Frame]]:
    """What a line is: "cause", "ruby" or "" for anything else, with the frame that it may be."""
    if _CAUSE.match(line):
        return "cause", None
    if _RUBY.match(line):
        return "ruby", None
    return "", _frame(line)


def _frame(line: str) -> Optional[Frame]:
    """A line that is a frame; the name is "" for generated ones."""
    found = _PHP.match(line)
    if found:
        path = found.group(1) or ""
        return _plain(found.group(2)), bool(path) and not _LIBRARY_PATH.search(path), "php"
    found = _AT.match(line)
    if not found:
        return None
    place = found.group(1)
    java = _JAVA.match(place)
    if java and not re.search(r"\.[cm]?[jt]sx?:[0-9]", place):
        return _java(java.group(1))
    node = _NODE.match(place)
    if node:
        name, path = node.group(1) or "", node.group(2)
        name = "" if name in ("async", "new") else name
        name = re.sub(r"\s\[as [^\]]*\]", "", name).replace("Object.<anonymous>", "")
        return _module(path) + "." + _plain(name or "<anonymous>"), (
            not _LIBRARY_PATH.search(path)), "node"
    dotnet = _DOTNET.match(place)
    if dotnet:
        name = re.sub(r"<(\w+)>[dbg]__[0-9_|]+(?:\.MoveNext)?", r"\1", dotnet.group(1))
        name = re.sub(r"`[0-9]+|\[.*", "", name)
        is_generated = bool(_GENERATED.search(name))
        return "" if is_generated else _plain(name), not _FROM_RUNTIME.match(name), ".net"
    return None


def _java(name: str) -> Frame:
    if _GENERATED.search(name) or ".reflect." in name:
        return "", False, ""
    head, _, method = name.rpartition(".")
    found = _LAMBDA.match(method)
    if found:
        method = found.group(1) or found.group(2)
    language = ".net" if name.startswith(("System.", "Microsoft.")) else ""
    return _plain(head + "." + method), not _FROM_RUNTIME.match(name), language


def _plain(name: str) -> str:
    return _DIGITS.sub("#", name)[:200]


def _module(path: str) -> str:
    """A file's name with the folder it is in, as folders above change with each deployment."""
    parts = [part for part in re.split(r"[/\\]", path.rpartition("://")[2]) if part]
    stem = [re.sub(r"\.(?:py|[cm]?[jt]sx?|rb|php|go)\Z", "", part) for part in parts[-2:]]
    return _plain("/".join(stem))


def _ruby(line: str, sections: List[_Section]) -> None:
    found = _RUBY.match(line)
    if found is None:
        return
    if found.group(4):
        sections.append(_Section(found.group(4), found.group(3), []))
    elif not sections:
        sections.append(_Section("", "", []))
    name = re.sub(r"\A(?:(?:block|rescue|ensure)(?: \([0-9]+ levels\))? in )+", "", found.group(2))
    path = found.group(1)
    sections[-1].frames.append(
        (_module(path) + "." + _plain(name), not _LIBRARY_PATH.search(path)))


def _python(lines: List[str]) -> List[_Section]:
    """Exceptions in the order reported last to root cause, as Java has them."""
    sections: List[_Section] = []
    frames: List[Tuple[str, bool]] = []
    for line in lines:
        line = line[:LINE].rstrip()
        found = _PYTHON.match(line)
        if found:
            path, name = found.group(1), found.group(2) or "<module>"
            name = re.sub(r"<locals>\.|<(?:lambda|listcomp|genexpr|dictcomp|setcomp)>\.?", "", name)
            frames.insert(0, (
                _module(path) + "." + _plain(name or "<lambda>"), not _LIBRARY_PATH.search(path)))
            continue
        bare = line.strip("|+ ")
        if frames and bare and (line[:1] not in " \t|" or line.lstrip(" ")[:1] == "|") and (
                not bare.startswith("Traceback")):
            named = _EXCEPTION.match(bare)
            if named:
                sections.insert(0, _Section(named.group(1), (named.group(2) or "").strip(), frames))
                frames = []
    if frames:
        sections.insert(0, _Section("", "", frames))
    return sections


def _go(lines: List[str]) -> List[_Section]:
    """The first goroutine: the one that failed."""
    section = _Section("panic", "", [])
    message = ""
    number = 0
    goroutines = 0
    while number < len(lines):
        line = lines[number][:LINE]
        number += 1
        if line.startswith(("panic: ", "fatal error: ")) and not message:
            message = line.partition(": ")[2]
        elif line.startswith("goroutine "):
            goroutines += 1
            if goroutines > 1:
                break
        elif number < len(lines):
            file = _GO_FILE.match(lines[number][:LINE])
            if file:
                number += 1
                _go_frame(line, file.group(1), section)
    kind = "runtime error" if message.startswith("runtime error") else "panic"
    return [_Section(kind, message, section.frames)]


def _go_frame(line: str, path: str, section: _Section) -> None:
    if line.startswith(("created by", "panic(", "runtime.")):
        return
    name = line[: line.rindex("(")] if line.endswith(")") and "(" in line else line.strip()
    name = re.sub(r"(?:\.(?:func|gowrap)?[0-9]+(?:-range[0-9]+)?)+\Z|\[\.\.\.\]", "", name)
    first = name.partition("/")[0] if "/" in name else name.partition(".")[0]
    is_own = not _LIBRARY_PATH.search(path) and (
        first == "main" or "." in first or "/src/" not in path)
    section.frames.append((_plain(name), is_own))
