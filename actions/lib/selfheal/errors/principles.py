"""How programs put values into messages: the rules of `phrases`, in the order they apply.

Each is a principle of wording (`user X from`, `key=value`, `'quoted'`, lists, dates, numbers with
units) and names no word of any one program. Patterns look at bounded stretches only, so that no
text can make them slow.
"""

from __future__ import annotations

import re
from typing import Callable, NamedTuple, Tuple, Union

# Keys whose value says what happened: it stays text. Any other key's value is a value.
MEANING = frozenset(
    """
    msg message err error errmsg error_message reason cause status state code errno exit exitcode
    exit_code exit_status returncode return_code rc signal level severity exception type error_type
    error_class event action op operation method result outcome desc detail details description text
    sqlstate hresult http_status status_code statuscode phase condition class
    """.split()
)
# Words that stand behind `user`, `host` ... without being a name.
NOT_NAMES = (
    "unknown|not|is|was|are|were|has|had|have|with|from|to|at|by|on|in|of|for|and|or|but|the|an?|no"
    "|failed|does|did|do|can|cannot|could|will|would|should|must|that|this|which|who|via|as|be|been"
    "|up|down|lost|gone|error|errors|failure|name|names|id|ids|if|when|because|already"
    "|authentication|request|requested|session|unreachable|unavailable|timeout|timed|found|missing"
    "|full|busy|ready|removed|added|created|deleted|started|stopped|exited|died|resolution|lookup"
    "|account|key|keys|agent|space|mode|list|table|type|groups?|limit|limits|state|status|manager"
    "|service|connection|closed|open|online|offline|healthy|unhealthy|disabled|enabled|empty|locked"
    "|broken|dead|alive|running|degraded|invalid|true|false|null|none|yes"
)
PERSONS = "user|username|account|principal|login|logname|owner|role|member"
THINGS = (
    "host|hostname|node|server|machine|device|interface|disk|volume|pod|container|namespace"
    "|deployment|daemonset|statefulset|job|queue|topic|database|schema|index|bucket|domain|session"
    "|client|peer|worker|zone|tenant|project|instance|cluster|shard|replica|partition|channel"
    "|stream|group|realm|service|backend|pipeline|endpoint|replicaset|vhost|repository|collection"
    "|keyspace|(?:daemon|replica|stateful) set"
)
_NAMED = (
    "name|path|file|address|hostname|host|username|user|key|uri|url|guid|identifier|resource"
)
_PREPOSITIONS = "for|of|on|in|from|to|by|at|with|invalid|unknown|illegal|as"
_VERBS = (
    "logged|has|is|was|does|did|cannot|connected|disconnected|joined|left|signed|failed|from|tried"
    "|requested|exceeded"
)
_MONTHS = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    "|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
)
_DAYS = "(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
_ZONES = "UTC|GMT|CET|CEST|EST|EDT|CST|CDT|MST|MDT|PST|PDT|BST|IST|JST|MSK|AM|PM|am|pm"
_UNITS = (
    "bytes?|[kKMGTP]i?[Bb]ytes?|[kKMGTPE]i?[bB]|B|bits?|[kMG]bits?|[kKMG]i?[Bb]/s|[kKMG]bps|bps"
    "|ns|us|µs|ms|msecs?|milliseconds?|microseconds?|nanoseconds?|MILLISECONDS|SECONDS|MINUTES|s"
    "|secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|weeks?|percent|pct|[kMG]?Hz|degrees|pages/s"
    "|[mk]?[VAW]|rpm"
)
# What may exist or not: kinds of things besides THINGS that carry names of somebody's own.
_KINDS = "table|column|view|relation|function|procedure|trigger|sequence|constraint|extension|key"
# Things of which a single word behind them can only be the name.
_OBJECTS = (
    "deployment|daemonset|statefulset|replicaset|(?:daemon|replica|stateful) set|namespace|bucket"
    "|topic|tenant"
)
# First words of statements.
_SQL = (
    "select|insert|update|delete|create|alter|drop|truncate|grant|revoke|vacuum|analyze|copy|with"
    "|merge|replace|call|explain|set|show"
)
PLACE = r"<[a-z*]+>"  # a placeholder
_ITEM = r"[\w.<>*$:/\-]{1,80}"
_COMPOUND = r"(?:[a-z]\w{0,40}(?:[\-.]\w{1,40}){1,8}|<[a-z]+>)"
_ITEMS = _ITEM + r"(?:,\s?" + _ITEM + r"){1,200}"
# What may follow a name: the end, a bracket, a preposition or a verb, punctuation.
_AFTER_NAME = (
    r"(?![\w.\-$\\])(?=[\s\]),;:.!]*(?:$|[\[(\])]"
    r"|(?:from|by|at|on|via|in|to|with|port|is|was|has|not|does|did|failed|cannot|timed|took"
    r"|exceeded|returned|died|exited|became|already)\b|[,;:.]\s))"
)
PROSE = 3  # plain words in quotes that make them a sentence and no value
_KEY_BEFORE = re.compile(r"""(\w[\w.\-]{0,60})["']?\s?[=:]\s?\Z""")
PLAIN_WORDS = re.compile(r"(?<![\w.\-<])[a-z]{2,20}(?![\w.\-=>])")
_KEYS_NEXT = re.compile(r"\s?(?:$|\s[A-Za-z_][\w.\-]{0,80}=)")
_REQUEST = re.compile(r"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT|PROPFIND)\s<")
_ONLY_PLACE = re.compile(r"[\"']?%s[\"']?\Z" % PLACE)


class Rule(NamedTuple):
    """A principle, and how it is applied."""

    name: str
    sign: str  # what a line must contain for the rule to matter; "" when it always may
    pattern: re.Pattern[str]
    replacement: Union[str, Callable[[re.Match[str]], str]]


def _rule(
    name: str, sign: str, pattern: str, how: Union[str, Callable[[re.Match[str]], str]]
) -> Rule:
    return Rule(name, sign, re.compile(pattern), how)


def _quoted(found: re.Match[str]) -> str:
    key = _KEY_BEFORE.search(found.string[max(0, found.start() - 70): found.start()])
    content = found.group(1)
    if key:
        is_text = key.group(1).lower() in MEANING
    elif not found.start() and _KEYS_NEXT.match(found.string, found.end()):
        is_text = True  # what a structured logger was told to say
    else:  # a request that is the subject, or a sentence
        is_text = bool(_REQUEST.match(content)) or len(PLAIN_WORDS.findall(content)) >= PROSE
    return found.group() if is_text else found.group()[0] + "<str>" + found.group()[-1]


def _escaped(found: re.Match[str]) -> str:
    is_text = len(PLAIN_WORDS.findall(found.group(1))) >= PROSE
    return found.group() if is_text else '\\"<str>\\"'


def _pair(found: re.Match[str]) -> str:
    key, sign, value = found.group(1, 2, 3)
    if key.lower().rpartition(".")[2] in MEANING and value[:1] not in ("[", "{", "("):
        return found.group()
    return found.group() if _ONLY_PLACE.match(value) else key + sign + "<*>"


def _listed(found: re.Match[str]) -> str:
    return found.group()[0] + "<list>" + found.group()[-1]


def _angled(found: re.Match[str]) -> str:
    return found.group() if _ONLY_PLACE.match(found.group()) else "<str>"


_SUBJECTS = (
    _rule("head of a line of klog", "<time>", r"^[IWEF](?:[0-9]{4}|<id>)\s<time>(?:\s<num>)?\s",
          "<time> "),
    _rule("user of a line of access", "[<",
          r"^(%s)\s[\w.\-@]{1,80}\s[\w.\-@]{1,80}\s(?=\[<)" % PLACE, r"\1 <name> "),
    _rule("word in angle brackets", "<", r"<[A-Za-z][\w.\-]{1,60}>", _angled),
    _rule("rest of a path with blanks", "<path> ",
          r"<path>(?:\s[\w().\-]{1,60}\\[^\s\"'<>|,;)]{0,300}(?:<file>)?){1,10}", "<path>"),
    *(
        _rule("command", name, r"\b(%s)(=|\s?\()(?!\)).{1,2000}$" % name, r"\1\2<command>")
        for name in ("CMD", "cmd", "cmdline", "COMMAND", "command", "Command")
    ),
    _rule("text of a query", ": ",
          r"\b((?i:statement|query|sql)):\s[\"'(]?(?i:%s)\s.{1,2000}$" % _SQL, r"\1: <command>"),
    _rule("root of paths", " /", r"(?<=\s)/(?=$|\sHTTP/|[\"',;)\]])", "<path>"),
    _rule("subject of a list of keys", " : ", r"^[\w.\-]{1,80}(?=\s:\s\w{1,40}=)", "<name>"),
    _rule("subject in parentheses", "(", r"^\([\w.\-]{1,80}\)(?=\s[A-Z])", "(<name>)"),
)
_PAIRS = (
    _rule("causes after the first", "; ",
          r"""\b((?i:err|error|reason|cause)"?[=:]\s?"(?:[^"\\;]|\\.){1,400});\s"""
          r"""(?:[^"\\]|\\.){1,1500}(?="|$)""", r"\1"),
    _rule("value in escaped quotes", '\\"',
          r'(?<=[\s(\[])\\"([^"\\]{0,300})\\"(?!:\S)', _escaped),
    _rule("key of JSON", '":', r'([{,]\s?)"([\w.\-@]{1,80})"\s?:\s?', r"\1\2: "),
    *(
        _rule("quoted value", quote,
              rf"(?<![\w>)\]]){quote}((?:[^{quote}\\]|\\.){{0,400}}){quote}(?![\w<])", _quoted)
        for quote in "\"'`"
    ),
    *(  # five levels of nesting, the innermost first
        _rule("object with its fields", "{",
              r"(?<![\w@$])(?:[A-Za-z_][\w.$]{0,80}(?:@?%s)?|%s)\{[^{}]{0,1500}\}" % (PLACE, PLACE),
              "<obj>")
        for _ in range(5)
    ),
    *(  # deeper ones, and those that the end of what counts cuts off
        _rule("object that goes deep", sign,
              r"(?:(?<![\w@$>])[A-Za-z_][\w.$]{0,80}|%s|(?<=\s))\{[A-Z]\w{0,60}:.{0,2000}%s"
              % (PLACE, end), "<obj>")
        for sign, end in (("}", r"\}"), ("{", r"\Z"))
    ),
    _rule("value of a key", "=",
          r"""(?<![\w.\-])([A-Za-z_][\w.\-]{0,80})"""
          # x=1, "x= 1" unless the next word is a key itself, "x = 1" unless it goes on as prose
          r"""(=(?![=>])(?:\s(?![^\s=]{1,80}=))?"""
          r"""|\s=\s(?=[^\s,;)\]}]{1,80}\s?(?:[,;)\]}]|$|[\w.\-]{1,80}\s?=)))"""
          r"""("[^"]{0,400}"(?::[\w:\-<>]{1,80})?|'[^']{0,400}'"""
          r"""|[\w.$]{0,80}(?:\{[^{}]{0,400}(?:\{[^{}]{0,200}\}[^{}]{0,200}){0,8}\}"""
          r"""|\[[^\[\]]{0,400}\]|\([^()]{0,200}\))"""
          r"""|[^\s,;)\]}|&"']{0,400})""", _pair),
    _rule("truth value", "",
          r"(?<=[:=])(\s?)(?:true|false|null|nil|None|True|False|NULL)\b", r"\1<*>"),
    _rule("name: value", ": ",
          r"((?:\b|_)(?i:%s)):\s(?!(?i:%s)\b)[\w.\-$\\]{1,120}(?=[,;)]|$)" % (_NAMED, NOT_NAMES),
          r"\1: <name>"),
    _rule("thing: its name", ": ",
          r"((?<=[a-z\-,]\s)(?:%s)):\s(?!(?i:%s)\b)[\w.\-]{1,120}(?=[,;)]|$)" % (
              THINGS, NOT_NAMES), r"\1: <name>"),
    *(
        _rule("thing and its name in a list", sign,
              r"(?<=%s)(%s|name)\s(?:(?!(?i:%s)\b)[\w.\-:]{0,80}[\w\-](?=,\s|$)|(?=,\s))"
              % (sign, THINGS, NOT_NAMES), r"\1 <name>")
        for sign in (", ", "- ")
    ),
)
_LISTS = (
    _rule("list in brackets", "[", r"\[%s\]" % _ITEMS, _listed),
    _rule("empty list", "[", r"(?:(?<=[\s=:])|^)\[\]", "[<list>]"),
    _rule("list of hosts", "-[", r"\b\w{1,60}-\[%s\]" % PLACE, "<list>"),
    # Its first thing is a key; JSON, in which text may hold "x=<num>", is none.
    _rule("map in braces", "{", r"\{\s?[^{}=\"]{0,300}=<[^{}]{0,1500}\}", "{<map>}"),
    _rule("arguments of a call", ", ", r"(?<=\w)\(%s\)" % _ITEMS, _listed),
    _rule("words joined by commas", ",",
          rf"(?<![\w,.>)])(?:[\w.\-]+|{PLACE})(?:,(?:[\w.\-]+|{PLACE})){{1,200}}(?![\w(=])",
          "<list>"),
    _rule("name in brackets", "[", r"(?<=[a-z]\s)\[[\w.\-:/$]{1,80}\](?=[,:]?\s[a-z])", "[<str>]"),
    _rule("compound names in brackets", "[",
          rf"(?<=[a-z:>]\s)\[{_COMPOUND}(?:\s{_COMPOUND}){{0,100}}\](?=[,:]?\s[a-z]|$)",
          "[<list>]"),
    _rule("map as Go shows it", "map[", r"\bmap\[[^\[\]]{0,1500}\](?![\w*{])", "<map>"),
    _rule("address in brackets", "[<ip>]:", r"\[<ip>\]:<num>", "<ip>"),
    _rule("process of an application", "<app>:", r"<app>:\w{1,60}\b", "<app>"),
)
_QUANTITIES = (
    _rule("day of a date", "", r"\b%s,?\s(?=(?:(?:%s)\b|%s))" % (_DAYS, _MONTHS, PLACE), "<date> "),
    _rule("month of a date", "",
          r"(?:(?<=> )|(?<=>, ))(?:%s|%s)\b|\b(?:%s)\s(?=<num>)" % (_MONTHS, _DAYS, _MONTHS),
          "<date> "),
    _rule("time zone", ">", r"(<(?:time|date|num)>)\s?\(?(?:%s)\)?(?!\w)" % _ZONES, r"\1"),
    _rule("clock after a time", "m=", r"(<(?:time|date)>(?:\s<num>)?)\sm=[-+]?<num>", r"\1"),
    _rule("number and unit", "<num>",
          r"<num>[\s-]?(?:%s)(?:/(?:s|sec|second))?(?![\w/\-.=(])|<num>\s%%" % _UNITS, "<num>"),
    _rule("comparison", "<num>", r"(?<![\w<])[<>~≤≥]=?\s?(?=<num>(?!>))", ""),
)
_NAMES = (
    *(
        _rule("name between words", word + " ",
              r"\b%s\s(?!(?:%s)\b)[\w.\-$]{1,80}(?=\sfrom\s%s|\s\[\w{1,40}\]$)"
              % (word, NOT_NAMES, PLACE), word + " <name>")
        for word in ("for", "by")
    ),
    # Things may have names in CamelCase that say what they do; persons have none.
    _rule("name after its kind", "",
          r"\b((?i:%s))\s((?i:%s)|(?i:%s)(?!\s\w*[a-z][A-Z]))\s(?!(?i:%s)\b)[\w.\-$\\]{1,80}?%s"
          % (_PREPOSITIONS, PERSONS, THINGS, NOT_NAMES, _AFTER_NAME), r"\1 \2 <name>"),
    _rule("host before a port", ":<num>",
          r"\b(to|from|at|on|tcp|udp|server|host)(:?\s)[A-Za-z][\w\-]{0,60}:<num>", r"\1\2<host>"),
    *(
        _rule("user before an address or a verb", kind + " ",
              r"\b(\w?%s)\s(?!(?i:%s)\b)[\w.\-$\\]{1,80}"
              r"(?=\s(?:<(?:ip|host|mail|uuid)>|(?:%s)\b))" % (kind, NOT_NAMES, _VERBS),
              r"\1 <name>")
        for kind in ("ser", "sername", "ccount", "ogin", "lient")
    ),
    _rule("proper name after its kind", "he ",
          r"\b([Tt]he\s(?:%s|service|process|application|driver|package|module|file))"
          r"\s[A-Z][\w.\-]{1,80}(?=\s[a-z])" % THINGS, r"\1 <name>"),
    _rule("name of what is there or not", " exist",
          r"\b((?i:%s|%s|%s))\s(?!(?i:%s)\b)[\w.\-$]{1,80}(?:\([^()]{0,80}\))?"
          r"(?=\s(?:does\snot\sexist|doesn't\sexist|already\sexists)\b)"
          % (PERSONS, THINGS, _KINDS, NOT_NAMES), r"\1 <name>"),
    *(
        _rule("peer of a message", " %s " % word,
              r"\b((?:[Rr]eceiv|[Ss]en[dt])\w{0,4}\s[A-Z]{3,20}\s%s)\s[a-z][\w.\-]{0,80}"
              r"(?=$|\s\(|[,;:])" % word, r"\1 <name>")
        for word in ("from", "to")
    ),
    _rule("name under which somebody came", "> as ",
          r"(<(?:ip|host|name)>\sas)\s(?!(?i:%s)\b)[\w.\-]{1,80}(?=$|\s\(|[,;.])" % NOT_NAMES,
          r"\1 <name>"),
    *(
        _rule("what is made, changed or removed", ending + " ",
              r"^((?i:add|updat|delet|creat|remov|register)e?%s\s(?:%s))\s(?!(?i:%s)\b)"
              r"[\w.\-]{1,80}$" % (ending, _OBJECTS, NOT_NAMES), r"\1 <name>")
        for ending in ("ing", "d")
    ),
    _rule("name after its class", "-",
          r"\b([A-Z][a-z]+[A-Z]\w{1,60})\s[a-z]\w{1,40}(?:-\w{1,40}){1,8}"
          r"(?=$|[,;:)]|\s(?:in|from|on|of|for|with|to)\b)", r"\1 <name>"),
    _rule("name with attributes", "by ", r"\bby\s[\w.\-]{1,80}(?=\(\w{1,40}=)", "by <name>"),
    _rule("name of a numbered process", "(",
          r"\b((?i:process|pid|task|thread|session|job)\s#?<num>\s?)\([\w.\-:/]{1,80}\)",
          r"\1(<name>)"),
    _rule("dotted name of a numbered process", "(<num>)",
          r"\b\w{1,80}(?:\.[\w\-]{1,80}){2,20}(?=\(<num>\))", "<name>"),
    *(
        _rule("name after its abbreviated kind", kind + " ",
              r"\b%s\s(?!(?:%s)\b)[\w.\-]{1,80}(?=[,:;)\s]|$)" % (kind, NOT_NAMES),
              kind + " <name>")
        for kind in ("comm", "dev", "iface")
    ),
    _rule("what a call of the system was about", ": ",
          r"\b(open|stat|lstat|chdir|mkdir|unlink|remove|lookup|exec)\s[\w.\-]{1,80}(?=:\s[a-z])",
          r"\1 <name>"),
)
_RUNS = (
    # Each begins with plain characters: a search then skips to where one of them stands.
    _rule("filler", "", r"\.\.\.+|----+|====+|\*\*\*+|###+|____+", " "),
    _rule("restatement in parentheses", "(",
          rf"({PLACE})\s?\((?:[\s,;:/]|{PLACE}){{0,200}}\)", r"\1"),
    _rule("run of values", ">",
          rf"({PLACE})(?:(?:[\s,;:/|&+\-.#*x@!=]|and\b){{1,6}}{PLACE}){{1,200}}", r"\1"),
)
RULES: Tuple[Rule, ...] = _SUBJECTS + _PAIRS + _LISTS + _QUANTITIES + _NAMES + _RUNS
