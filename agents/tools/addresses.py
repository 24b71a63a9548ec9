"""What may be fetched: which URLs are plain ones, which addresses are public, and which hosts a role may reach.

Law: pure. Whatever can be written in two ways is refused or brought into the one that is shown, matched and connected
to, so that nobody reads another host than is reached. What is no public address is never reached, whoever allows it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

URL_CHARS_MAX: Final = 4_096
PORTS: Final = {"http": 80, "https": 443}
_USUAL_PORTS: Final = frozenset(PORTS.values())
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]@%]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ODD: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")
_PATH_SAFE: Final = "/%:@!$&'()*+,;=~-._"

_NOT_PUBLIC: Final = tuple(
    (ipaddress.ip_network(network), what)
    for what, networks in {
        "this machine": ("0.0.0.0/8", "127.0.0.0/8"),
        "a private network": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        "a provider's inner network": ("100.64.0.0/10",),  # RFC 6598; one cloud keeps its metadata here
        "link-local": ("169.254.0.0/16",),  # most clouds' metadata
        "a cloud's metadata": ("168.63.129.16/32",),  # Azure's is a public address, but for those inside
        "reserved": (
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),  # 6to4 and Teredo hold others
        ),
        "multicast": ("224.0.0.0/4",),
    }.items()
    for network in networks
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")

IPAddress = IPv4Address | IPv6Address


class UrlError(ValueError):
    """It is not fetched. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """One plain URL. `host` is a name in ASCII and small letters without a dot at its end, or an address."""

    scheme: str
    host: str
    port: int
    target: str  # path and query, as they are sent
    literal: IPAddress | None = None
    fragment: str = ""

    @property
    def authority(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """The URL, without its fragment."""
        return f"{self.scheme}://{self.authority}{self.target}"


def parse(text: str, base: Url | None = None) -> Url:
    """A URL as a person or a page wrote it; with `base`, one that may be relative. Raises UrlError."""
    text = text.strip()
    if len(text) > URL_CHARS_MAX:
        raise UrlError(f"it is longer than {URL_CHARS_MAX} characters")
    if _ODD.search(text):
        raise UrlError("it holds blanks, control characters or a backslash")
    try:
        split = urlsplit(urljoin(base.text, text) if base is not None else text)
    except ValueError as error:
        raise UrlError("it is no URL") from error
    if split.scheme not in PORTS:
        raise UrlError("only http:// and https:// are fetched")
    if "@" in split.netloc:
        raise UrlError("it holds a user name or a password")
    found = _AUTHORITY.fullmatch(split.netloc)
    if found is None:
        raise UrlError("it names no host, or names it in an odd way")
    host, literal = _host(found["host"])
    port = int(found["port"] or PORTS[split.scheme])
    if not 1 <= port <= 65_535:
        raise UrlError(f"there is no port {port}")
    query = f"?{quote(split.query, safe=_PATH_SAFE + '?')}" if split.query else ""
    return Url(
        scheme=split.scheme,
        host=host,
        port=port,
        target=(quote(split.path, safe=_PATH_SAFE) or "/") + query,
        literal=literal,
        fragment=split.fragment,
    )


def _host(text: str) -> tuple[str, IPAddress | None]:
    """The one way to write it, and the address if it is one. Raises UrlError."""
    if text.startswith("["):
        try:
            inner = IPv6Address(text[1:-1])
        except ValueError as error:
            raise UrlError("it names a host that is no address") from error
        return str(inner), inner
    host = _name(text)
    if host is None:
        raise UrlError("it names no host, or names it in an odd way")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            literal = IPv4Address(host)
        except ValueError as error:
            raise UrlError("it writes an address in an odd way") from error
        return host, literal
    if "." not in host:
        raise UrlError(f"{host} is no public name")
    return host, None


def _name(text: str) -> str | None:
    """A host's name in ASCII, as DNS is asked for it; None if it is none."""
    host = text.lower() if text.isascii() else _ascii(text)
    host = host.removesuffix(".")
    fits = len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.split("."))
    return host if fits else None


def trouble_of(address: IPAddress) -> str:
    """What keeps an address from being a public one; "" for those that are."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return trouble_of(address.ipv4_mapped)
        if address in _NAT64:
            return trouble_of(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _UNICAST:
            return "local or reserved"
    found = next((what for network, what in _NOT_PUBLIC if address in network), "")
    return found or ("" if address.is_global else "reserved")


def _ascii(text: str) -> str:
    """As IDNA has it; "" for what is no name."""
    import idna  # noqa: PLC0415 - its tables are large, and seldom asked for

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except UnicodeError:  # as idna's own errors are
        return ""


# --- What a role may reach ------------------------------------------------------------------------------------------


def allows(egress: Iterable[str], url: Url) -> bool:
    """Whether one of a role's entries covers it. An entry without a port means 80 and 443."""
    return any(_covers(entry, url) for entry in egress)


def entry_trouble(entry: str) -> str:
    """Why this is no entry of an egress list; "" if it is one."""
    return (
        "" if _entry(entry) is not None else "a host (docs.python.org), hosts below it (*.python.org), host:port or *"
    )


def _covers(entry: str, url: Url) -> bool:
    parsed = _entry(entry)
    if parsed is None:
        return False
    host, port = parsed
    if url.port not in (_USUAL_PORTS if port is None else {port}):
        return False
    if host.startswith("*."):
        return url.literal is None and url.host.endswith(host[1:])
    return host in {"*", url.host}


def _entry(entry: str) -> tuple[str, int | None] | None:
    """Host, `*.host` or `*`, and the port if it names one."""
    found = _AUTHORITY.fullmatch(entry)
    if found is None:
        return None
    host, port = found["host"], int(found["port"]) if found["port"] else None
    if host == "*":
        return host, port
    below = host.startswith("*.")
    try:
        name, literal = _host(host[2:] if below else host)
    except UrlError:
        # "*.internal" or "*.com": one label is enough below a star
        bare = _name(host[2:]) if below else None
        return (f"*.{bare}", port) if bare and not _NUMBER.fullmatch(bare.rpartition(".")[2]) else None
    if below:
        return (f"*.{name}", port) if literal is None else None
    return name, port
