"""What may be fetched: plain URLs of public hosts, in the one way they are written."""

import contextlib
import ipaddress

import pytest

from agents.tools.addresses import URL_CHARS_MAX, UrlError, allows, entry_trouble, parse, trouble_of

PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",  # a network without IPv4 reaches 8.8.8.8 so
)
NOT_PUBLIC = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "127.0.0.1", "127.255.255.254", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.7", "203.0.113.9"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::8.8.8.8", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1"),
    *("ff02::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1", "4000::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::808:808", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_public(text):
    assert trouble_of(ipaddress.ip_address(text)) == ""


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_all_others_are_not_and_it_is_said_why(text):
    assert trouble_of(ipaddress.ip_address(text))


def test_nothing_that_python_calls_private_is_public():
    for first in range(256):
        for second in range(0, 256, 3):
            address = ipaddress.ip_address(f"{first}.{second}.7.9")
            if address.is_private or address.is_multicast or address.is_reserved or not address.is_global:
                assert trouble_of(address), address


SAME = (
    ("https://docs.python.org/3/?q=a b", None),
    ("https://docs.python.org", "https://docs.python.org/"),
    ("HTTPS://Docs.Python.ORG:443/3/", "https://docs.python.org/3/"),
    ("http://docs.python.org:80/", "http://docs.python.org/"),
    ("http://docs.python.org:443/", "http://docs.python.org:443/"),
    ("https://docs.python.org./3/", "https://docs.python.org/3/"),
    ("  https://docs.python.org/3/\t", "https://docs.python.org/3/"),
    ("https://docs.python.org/3/#anchor", "https://docs.python.org/3/"),
    ("https://docs.python.org/ä?ö=ü", "https://docs.python.org/%C3%A4?%C3%B6=%C3%BC"),
    ("https://docs.python.org/%61?a=%20", "https://docs.python.org/%61?a=%20"),
    ("https://xn--e1afmkfd.xn--p1ai/", "https://xn--e1afmkfd.xn--p1ai/"),
    ("https://пример.рф/", "https://xn--e1afmkfd.xn--p1ai/"),
    ("https://аpple.com/", "https://xn--pple-43d.com/"),  # the first letter is Cyrillic, and is seen to be
    ("https://ｄｏｃｓ.python.org/", None),  # urlsplit refuses what normalises to another host
    ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443/x"),
    ("https://[2606:4700:0:0::1111]/", "https://[2606:4700::1111]/"),
    ("https://8.8.8.8/", "https://8.8.8.8/"),
    ("https://8.8.8.8./", "https://8.8.8.8/"),
)


@pytest.mark.parametrize(("text", "shown"), SAME)
def test_a_url_has_one_way_to_be_written(text, shown):
    if shown is None:
        with contextlib.suppress(UrlError):
            assert parse(text).host == "docs.python.org"
    else:
        assert parse(text).text == shown
        assert parse(shown).text == shown


ODD = (
    *("", "docs.python.org", "//docs.python.org/", "/etc/passwd", "file:///etc/passwd", "ftp://docs.python.org/"),
    *("gopher://docs.python.org/", "data:text/html,x", "javascript:alert(1)", "https:docs.python.org", "https://"),
    *("https://user@docs.python.org/", "https://user:secret@docs.python.org/", "https://docs.python.org@10.0.0.1/"),
    *("https://:80/", "https://docs.python.org:/", "https://docs.python.org:0/", "https://docs.python.org:65536/"),
    *("https://docs.python.org:8o/", "https://docs.python.org:٨٠/", "https://docs.python.org:+80/"),
    *(
        "http://2130706433/",
        "http://0x7f000001/",
        "http://017700000001/",
        "http://127.1/",
        "http://0/",
        "http://127.0.1/",
    ),
    *("http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://127.0.0.01/", "http://1.2.3.4.5/", "http://256.1.1.1/"),
    *(
        "http://docs.0x/",
        "http://docs.7/",
        "http://[127.0.0.1]/",
        "http://[1:2]/",
        "http://[::1",
        "http://[v1.x]/",
        "http://[::1]x/",
    ),
    *("http://[fe80::1%25eth0]/", "http://localhost/", "http://intranet/", "http://metadata/", "http://docs..org/"),
    *(
        "http://.docs.org/",
        "http://-docs.org/",
        "http://docs-.org/",
        f"http://{'a' * 64}.org/",
        f"http://{'a.' * 200}org/",
    ),
    *(
        "http://docs.python.org\\@10.0.0.1/",
        "http://docs.python.org\t/",
        "http://docs.py\nthon.org/",
        "http://do cs.org/",
    ),
    *(
        "http://docs%2epython.org/",
        "http://docs.python.org%00.org/",
        "http://docs.python.org\x00/",
        "http://a.b\u2028/",
    ),
    *(
        "http://a\u200bb..org/",
        "http://\u0300.org/",
        f"http://docs.python.org/{'x' * URL_CHARS_MAX}",
        "http://a!b.org/",
    ),
)


@pytest.mark.parametrize("text", ODD)
def test_odd_urls_are_refused(text):
    with pytest.raises(UrlError):
        parse(text)


def test_an_address_in_other_digits_is_that_address():
    assert parse("http://①②⑦.⓪.⓪.①/").literal == ipaddress.ip_address("127.0.0.1")
    assert parse("http://127。0。0。1/").host == "127.0.0.1"


def test_a_page_may_be_relative():
    base = parse("https://docs.python.org/3/library/os.html?x=1")
    assert parse("../using/", base).text == "https://docs.python.org/3/using/"
    assert parse("//www.python.org/", base).text == "https://www.python.org/"
    with pytest.raises(UrlError):
        parse("https://[", base)


REACH = (
    ("docs.python.org", "https://docs.python.org/", True),
    ("docs.python.org", "https://docs.python.org:80/", True),
    ("docs.python.org", "https://docs.python.org:8443/", False),
    ("docs.python.org:8443", "https://docs.python.org:8443/", True),
    ("docs.python.org:8443", "https://docs.python.org/", False),
    ("Docs.Python.org.", "https://docs.python.org/", True),
    ("docs.python.org", "https://docs.python.org.evil.org/", False),
    ("docs.python.org", "https://xdocs.python.org/", False),
    ("docs.python.org", "https://python.org/", False),
    ("*.python.org", "https://docs.python.org/", True),
    ("*.python.org", "https://a.b.python.org/", True),
    ("*.python.org", "https://python.org/", False),
    ("*.python.org", "https://notpython.org/", False),
    ("*.org", "https://docs.python.org/", True),
    ("*.рф", "https://пример.рф/", True),
    ("пример.рф", "https://xn--e1afmkfd.xn--p1ai/", True),
    ("apple.com", "https://аpple.com/", False),
    ("*", "https://docs.python.org/", True),
    ("*", "https://8.8.8.8/", True),
    ("*", "https://docs.python.org:8443/", False),
    ("*:8443", "https://docs.python.org:8443/", True),
    ("8.8.8.8", "https://8.8.8.8/", True),
    ("[2606:4700::1111]", "https://[2606:4700:0::1111]/", True),
    ("*.8", "https://8.8.8.8/", False),
    ("https://docs.python.org", "https://docs.python.org/", False),
    ("docs.python.org/3", "https://docs.python.org/3", False),
    ("", "https://docs.python.org/", False),
    ("*.", "https://docs.python.org/", False),
)


@pytest.mark.parametrize(("entry", "url", "reached"), REACH)
def test_a_role_reaches_what_its_list_names(entry, url, reached):
    assert allows((entry,), parse(url)) is reached
    assert not allows((), parse(url))


@pytest.mark.parametrize(
    "entry", ["docs.python.org", "*.python.org", "*", "*:8080", "*.com", "8.8.8.8", "h.example:81"]
)
def test_an_entry_is_one(entry):
    assert entry_trouble(entry) == ""


@pytest.mark.parametrize(
    "entry", ["", "https://a.org", "a.org/x", "*.*", "a.*", "**", "*.8", "*.8.8.8.8", "localhost", "a b.org", "u@a.org"]
)
def test_what_is_no_entry_is_said_to_be_none(entry):
    assert "docs.python.org" in entry_trouble(entry)
