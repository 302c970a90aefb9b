"""What values look like on their own: numbers, times, addresses, paths, codes; and names that only
look like values.

Shapes and closed lists of technical terms; nothing here was taken from any one system's log.
"""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

# Names in which a digit is part of the name: of protocols, formats, algorithms and architectures.
# Instance numbers (eth0, cpu3, node12) are not among them.
TERMS = frozenset(
    """
    3des a53 aac amd64 arm64 armv7 armv8 b2b base32 base64 bz2 bzip2 c14n cp1252 crc32 d3d e2e
    ec2 ext2 ext3 ext4 f2fs gb18030 gb2312 h2 h264 h265 http1 http2 http3 i18n i2c i386 i486
    i586 i686 ia32 ia64 ieee1394 imap4 int16 int32 int64 int8 ip4 ip6 ipv4 ipv6 iso8601 j2ee
    junit4 junit5 k3s k8s krb5 l10n l2tp log4j log4j2 log4net lz4 md4 md5 mp3 mp4 mpeg2 mpeg4
    neo4j nfs3 nfs4 nfsv3 nfsv4 ntlmv2 oauth1 oauth2 p2p pbkdf2 pkcs1 pkcs11 pkcs12 pkcs7 pkcs8
    pop3 ppc64 ppc64le psycopg2 python2 python3 rc4 rfc822 rot13 rs232 s390 s390x s3 sha1 sha2
    sha224 sha256 sha3 sha384 sha512 slf4j smb1 smb2 smb3 socks4 socks5 sqlite3 ssh1 ssh2 sslv2
    sslv3 st2 tls1 tlsv1 u2f uint16 uint32 uint64 uint8 utf16 utf32 utf7 utf8 v4l v4l2 win32
    win64 wow64 wpa2 wpa3 x11 x264 x265 x32 x509 x64 x86 x86_64 y2k
    """.split()
)
# The last label of a host name that has no digits to give it away. Two letters are a country unless
# files end so or it is a word.
_TLDS = frozenset(
    "com net org edu gov mil int info biz arpa local localdomain internal intranet lan corp home"
    " example test invalid svc cluster cloud dev app online site host".split()
)
_NOT_COUNTRIES = frozenset(
    "am an as at be by bz cc cs db do el em gz he hs id if in io is it js ko la md me mk ml mm ms"
    " my no of ok on or pl pm ps py rb rc rs sc sh so st tf to tp ts tv ui up us vb vm we".split()
)
# Pairs of words that are no names.
PROSE = frozenset(
    "and/or read/write input/output on/off start/stop up/down in/out rx/tx tx/rx tcp/udp add/remove"
    " client/server get/set get/put push/pull true/false yes/no enable/disable init/reset".split()
)
# First labels of names turned around: org.example.mail is an application, org.example.Mail a class.
_OWNERS = frozenset("com org net edu io me de fr uk".split())
_PACKAGES = _OWNERS | frozenset(
    "gov java javax jakarta sun jdk scala kotlin android akka dk cn co ch nl se github golang"
    " System Microsoft".split()
)

_END = r"""[^\s"'`<>()\[\]{},;|]*"""
# No backslash: it belongs to the quotes around.
URL = re.compile(
    r"""(?:[A-Za-z]\w{0,12}:){0,3}[A-Za-z][A-Za-z0-9+.\-]{0,20}://[^\s\\"'`<>()\[\]{},;|]*"""
)
QUERY = re.compile(r"""/[^\s"'`<>()\[\]{},;|?]{0,500}\?""" + _END)
DRIVE = re.compile(
    r"""(?<![A-Za-z0-9])(?:[A-Za-z]:\\|\\\\[?.\w])[^\s"'`<>()\[\]{},;|=]*"""
)
MAIL = re.compile(r"[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)*\Z")
NUMBER = re.compile(
    r"[-+~±≈$€£]*(?:[0-9][0-9_.]*(?:[eE][-+]?[0-9]+)?)(?:%|°|[A-Za-zµμ]{1,5})?(?:/[A-Za-z]{1,4})?\Z"
    r"|[-+]?(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|[smhdw])){2,7}\Z|[0-9]+(?:/[0-9]+)+\Z"
)
HEX = re.compile(r"0[xX][0-9A-Fa-f]+\Z|[0-9A-Fa-f]{8,}\Z")
MAC = re.compile(
    r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5,}\Z|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5,}\Z"
)
_SHAPES = re.compile(
    r"(?P<ip>/?[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:[:/#.][0-9]{1,5})?\Z)"
    r"|(?P<time>(?:[0-9]{2,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}[T_:-]?)?[0-9]{1,3}:[0-9]{2}"
    r"(?::[0-9]{2})?(?:[.,:][0-9]+)?(?:Z|[-+][0-9]{2}:?[0-9]{2})?\Z)"
    r"|(?P<date>[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}\Z"
    r"|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2,4}\Z"
    r"|[0-9]{1,2}[-/][A-Z][a-z]{2}[-/][0-9]{2,4}\Z)"
    r"|(?P<num>%s)"
    r"|(?P<uuid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z)"
    r"|(?P<mac>%s)"
    r"|(?P<ip6>(?=.*::|(?:[0-9A-Fa-f]{1,4}:){7})"
    r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:%%\w+)?(?:/[0-9]+)?\Z)"
    r"|(?P<hex>%s)" % (NUMBER.pattern, MAC.pattern, HEX.pattern)
)
_KINDS = {
    "ip": ("address", "<ip>"),
    "ip6": ("address", "<ip>"),
    "time": ("time", "<time>"),
    "date": ("date", "<date>"),
    "num": ("number", "<num>"),
    "uuid": ("uuid", "<uuid>"),
    "mac": ("hardware address", "<mac>"),
    "hex": ("hexadecimal number", "<hex>"),
}
# Codes whose digits say what went wrong: ORA-00942, E1234, SQL0911N, SRVE0255E, MY-010116,
# failures of Windows (0x8007000E), messages of switches (LINK-3-UPDOWN).
_CODE = re.compile(
    r"(?:[A-Z]{2,4}-[0-9]{5}|MY-[0-9]{6}|E[0-9]{3,5}|SQL[0-9]{4}[NWC]|[A-Z]{3,5}[0-9]{4,5}[EWISA]"
    r"|0x[89Cc][0-9A-Fa-f]{7}|[A-Z_]{2,20}-[0-7]-[A-Z0-9_]{3,40})\Z"
)
_MODE = re.compile(r"[-dlbcps](?:[-r][-w][-xsStT]){3}[.+@]?\Z")
_UNIT = re.compile(r"[\w@\-\\:.]{1,200}\.(?:service|socket|timer|mount|scope|slice|target|swap)\Z")
# Files of data and programs are values; files of source code say where, and stay.
_FILE = re.compile(
    r"[\w.\-+@]{1,200}\.(?:exe|msi|bat|dll|so|sys|jar|war|zip|gz|bz2|tar|tgz|rpm|deb|apk|iso|img"
    r"|log|txt|csv|tsv|json|xml|ya?ml|ini|conf|cfg|properties|toml|env|tmp|bak|swp|lock|pid|sock"
    r"|dat|db|sqlite|bin|pem|key|crt|cer|html?|css|jpe?g|png|gif|svg|pdf|docx?|xlsx?|mp[34]"
    r"|parquet|avro|orc|snappy)\Z"
)
# Slf4jLogger, Base64Decoder: names in code with a digit inside.
_CAMEL_TERM = re.compile(r"[A-Z][a-z]+[A-Za-z]*[0-9]{1,2}[A-Za-z]{4,}\Z")
_HUMPS = re.compile(r"[a-z][A-Z]|\$")
_LABEL = re.compile(r"[\w\-]+\Z")
# The alphabet of names that Kubernetes makes up has no vowels.
_RANDOM_TAIL = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\Z")
_JOINT = re.compile(r"[-_]")

Kind = Tuple[str, str]


def shape_of(core: str, has_digit: bool) -> Optional[Kind]:
    """(rule, what it becomes) where the characters of `core` say what it is, else None.

    A rule that ends in "kept" leaves it as it is.
    """
    if has_digit:
        if _CODE.match(core):
            return "error code, kept", core
        if core.lower() in TERMS:
            return "technical term, kept", core
        shape = _SHAPES.match(core)
        if shape:
            return _KINDS[shape.lastgroup or "num"]
    elif len(core) >= 8:
        if HEX.match(core):
            return _KINDS["hex"]
        if MAC.match(core):
            return _KINDS["mac"]
        if _MODE.match(core):
            return "mode of a file", "<mode>"
    if core[-1] in "etpk" and "." in core and "/" not in core and _UNIT.match(core):
        return "unit of the service manager", "<unit>"
    return None


def word(core: str, has_digit: bool) -> Kind:
    """What a word of letters, digits, `-`, `_` and `$` becomes."""
    if has_digit:
        if is_term(core) or _CAMEL_TERM.match(core) or "$" in core:
            return "technical term, kept", core
        return "identifier", "<id>"
    if core.lower() == "localhost":
        return "host", "<host>"
    if _RANDOM_TAIL.search(core):
        return "identifier", "<id>"
    return "", core


def dotted(core: str, has_digit: bool) -> Kind:
    """What words joined by dots become: a host, a file, a name in code, an identifier."""
    labels = core.split(".")
    if is_application(core, labels):
        return "name of an application", "<app>"
    if is_code(labels):
        return "name in code, kept", core
    if _FILE.match(core):
        return "file", "<file>"
    if is_host(core, labels):
        return "host", "<host>"
    if has_digit:
        if all(label.isalpha() or is_term(label) for label in labels if label):
            return "technical term, kept", core
        return "identifier", "<id>"
    return "", core


def is_term(core: str) -> bool:
    """Whether `core` is a technical name whose digits are part of the name, also in a compound
    (`EXT4-fs`) of which the rest is plain words.
    """
    lower = core.lower()
    if lower in TERMS:
        return True
    parts = _JOINT.split(lower)
    return len(parts) > 1 and all(part.isalpha() or part in TERMS for part in parts)


def is_application(core: str, labels: List[str]) -> bool:
    """Whether `core` is the name of an application turned around: org.example.mail."""
    return (
        labels[0] in _OWNERS and len(labels) > 2 and core == core.lower() and
        labels[-1] not in _OWNERS and all(labels)
    )


def is_host(core: str, labels: List[str]) -> bool:
    """Whether `core` ends as names of hosts do."""
    last = labels[-1].lower()
    if core != core.lower() and (core != core.upper() or len(labels) < 3):
        return False
    if not all(map(_LABEL.match, labels)):
        return False
    if last == "io" and len(labels) > 2:
        return True
    return last in _TLDS or (len(last) == 2 and last.isalpha() and last not in _NOT_COUNTRIES)


def is_code(labels: List[str]) -> bool:
    """Whether `labels` name a class, a package or a module: they are what the event is about."""
    if not all(label.replace("$", "_").isidentifier() for label in labels):
        return False
    last = labels[-1]
    if labels[0] in _PACKAGES and len(labels) > 2 and last not in _TLDS:
        return sum(map(str.isdigit, "".join(labels))) < 4
    return has_humps(last) and last[0].isupper() and not any(
        label[-3:].isdigit() for label in labels)


def has_humps(name: str) -> bool:
    """Whether `name` is written in CamelCase, as names in code are."""
    return _HUMPS.search(name) is not None
