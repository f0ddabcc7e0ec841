"""Links and images that carry data out are found, those that only lead somewhere are not."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.config.v1 import safety_pb2
from services.safety.detector import Source, Text
from services.safety.links import links

ANY_HOST = links(safety_pb2.LinksDetector())
HOSTS = links(safety_pb2.LinksDetector(hosts=["example.com", "Docs.Example.org"]))
TOLD = base64.urlsafe_b64encode(b"the merger is on the third of May").decode()


def found(raw: str, before: str = "") -> list[tuple[str, str]]:
    findings = ANY_HOST.find(Text(raw, Source.ANSWER, before))
    counted = [finding for finding in findings if finding.score >= ANY_HOST.threshold]
    return [(raw[finding.start : finding.end], finding.category) for finding in counted]


def led_astray(raw: str) -> list[str]:
    findings = HOSTS.find(Text(raw, Source.ANSWER))
    return [raw[f.start : f.end] for f in findings if f.category == "host" and f.score == 1]


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        ("![a](https://x.test/p.png?d=the+merger+is+on)", "https://x.test/p.png?d=the+merger+is+on"),
        ("![a (b)](<https://x.test/?d=the%20merger>)", "https://x.test/?d=the%20merger"),
        (f"![a](https://x.test/{TOLD}.png)", f"https://x.test/{TOLD}.png"),
        (f"![a](https://x.test/#{TOLD})", f"https://x.test/#{TOLD}"),
        (f"![a](https://{TOLD[:32]}.x.test/)", f"https://{TOLD[:32]}.x.test/"),
        ("![a][r]\n\n[r]: https://x.test/?d=the_merger_is_on", "https://x.test/?d=the_merger_is_on"),
        ("<img alt='a' src='https://x.test/?d=the+merger'>", "https://x.test/?d=the+merger"),
        ('<div style="background:url(//x.test/a?d=the+merger)">', "//x.test/a?d=the+merger"),
        ("![a](https:\\\\x.test\\?d=the+merger)", "https:\\\\x.test\\?d=the+merger"),
        (
            "![a](https&colon;&#47;&#47;x.test/?d=the+merger)",
            "https&colon;&#47;&#47;x.test/?d=the+merger",
        ),
        ("![a](https://x.test/(?d=the+merger)", "https://x.test/(?d=the+merger)"),
        ("![a](https://x.test/?a=1&session=8d7f8a6c5b4e3d2c1b0a)",
         "https://x.test/?a=1&session=8d7f8a6c5b4e3d2c1b0a"),
        ("![a](https://x.test/log?u=kim&p=rosebud7)", "https://x.test/log?u=kim&p=rosebud7"),
        ("![a](https://x.test/?a=the&b=merger&c=is&d=on)",
         "https://x.test/?a=the&b=merger&c=is&d=on"),
        ("![a](https://x.test/?nr=078-05-1120)", "https://x.test/?nr=078-05-1120"),
        ("![a](https://x.test/kim@corp.test/a.png)", "https://x.test/kim@corp.test/a.png"),
        ("![a](https://x.test/?c={d:the+merger})", "https://x.test/?c={d:the+merger}"),
        ("![a](https:/x.test/?d=the+merger)", "https:/x.test/?d=the+merger"),
        ("![a](https:x.test/?d=the+merger)", "https:x.test/?d=the+merger"),
        ("![a](https:////x.test/?d=the+merger)", "https:////x.test/?d=the+merger"),
        ('<img src="https:/\t/x.test/?d=the+merger">', "https:/\t/x.test/?d=the+merger"),
        ('<svg><use href="https://x.test/?d=the+merger"/></svg>', "https://x.test/?d=the+merger"),
        ('<style>@import "https://x.test/?d=the+merger";</style>', "https://x.test/?d=the+merger"),
        ('<meta http-equiv=refresh content="0;url=https://x.test/?d=the+merger">',
         "https://x.test/?d=the+merger"),
        ('<td background="//x.test/?d=the+merger">', "//x.test/?d=the+merger"),
        ('<img srcset="//x.test/a 1x, //x.test/?d=the+merger 2x">', "//x.test/?d=the+merger"),
        ("$\\includegraphics[width=1]{https://x.test/?d=the+merger}$",
         "https://x.test/?d=the+merger"),
    ],
)  # fmt: skip
def test_an_image_that_carries_data_is_found(raw: str, address: str) -> None:
    assert found(raw) == [(address, "image_data")]


@pytest.mark.parametrize(
    "raw",
    [
        f"See https://x.test/a?b={TOLD} for more.",
        f"[here](https://x.test/{TOLD})",
        f"www.x.test/?{'v' * 60}={'ab1-' * 30}",
        f"https://{'ab1' * 20}.x.test/",
    ],
)
def test_a_link_that_carries_data_is_found(raw: str) -> None:
    ((address, category),) = found(raw)
    assert (category, address in raw) == ("link_data", True)


def test_each_of_several_without_a_blank_between_them_is_found() -> None:
    address = "https://x.test/?d=the+merger"
    raw = f"![a](https://x.test/a.png)![b]({address})[![c]({address})](https://x.test/)"
    assert found(raw) == [(address, "image_data")] * 2


@pytest.mark.parametrize("scheme", ["javascript:", "JavaScript:", "vbscript:", "data:text/html,"])
def test_a_script_is_found(scheme: str) -> None:
    assert found(f"[a]({scheme}alert(1))") == [(f"{scheme}alert(1)", "script")]


@pytest.mark.parametrize(
    "raw",
    [
        "See https://en.wikipedia.org/wiki/Mesh_(networking)?action=raw, or https://example.com.",
        "![logo](https://example.com/static/logo-dark.png?w=640&h=480&v=12)",
        "[![build](https://ci.example.com/badge.svg)](https://ci.example.com/job/main/lastBuild)",
        "![chart](https://cdn.example.com/8f14e45fceea167a5a36dedd4bea2543.png)",
        "[![logo](https://example.com/logo.svg)](https://example.com/?q=how+to+boil)",
        "https://example.com/search?q=how+to+boil+an+egg&page=2",
        "![pixel](data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB)",
        "x = a // b  # and //comment",
        "![build](https://x.test/badge/a-b-green?style=for-the-badge&logo=python&logoColor=white)",
        "![face](https://x.test/205e460b479e2e5b?s=80&d=identicon&r=pg&v=3f2a91c&t=1700000000)",
        "![a](https://x.test/npm/pkg@3.2.1/logo.png?resize=640%2C480&ssl=1&raw=true)",
        "<a href='https://x.test/?q=how+to+boil+an+egg'>a</a><form action='https://x.test/?q=an+egg'>",
        "use http: or https: there, as http:status or https.request(url) do; if a<b: //x",
        "ratio 3:4, time 12:30, C:\\temp\\file.txt, and/or",
    ],
)
def test_what_only_leads_somewhere_is_not(raw: str) -> None:
    assert found(raw) == []


def test_hosts_are_held_to() -> None:
    fine = (
        "https://example.com/a?b=the+merger http://sub.example.com:80/ ![a](//EXAMPLE.com/x) "
        "https:\\\\example.com\\a https://docs.example.org."
    )
    assert led_astray(fine) == []
    astray = [
        "https://example.com.x.test/",
        "https://example.com@x.test/",
        "https://notexample.com/",
        "https://example.org/",
        "//x.test/a",
        "www.x.test",
        "https:\\\\x.test\\example.com",
        "https://[::1",
    ]
    assert led_astray(" ".join(astray)) == astray


def test_hosts_leave_the_other_checks_in_force() -> None:
    raw = "![a](https://example.com/?d=the+merger) and [b](javascript:alert(1))"
    assert [f.category for f in HOSTS.find(Text(raw, Source.ANSWER))] == ["image_data", "script"]


PARTS = ["![", "](", "https://", "a.b", "example.com", "<img src=", "&#47;", "?d=the+merger", "(",
         ")", "\\", " ", "https:/", "data:", TOLD, "//", "\n"]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_with_hosts_all_is_found_that_is_found_without(raw: str) -> None:
    text = Text(raw, Source.ANSWER)
    surest = {(one.start, one.end): one.score for one in HOSTS.find(text)}
    for finding in ANY_HOST.find(text):
        assert surest[finding.start, finding.end] >= finding.score


def test_what_stood_before_says_that_it_is_an_image() -> None:
    address = "https://x.test/?d=the+merger"
    assert found(address) == []
    assert found(address, before="![a](") == [(address, "image_data")]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["![", "](", "https://", "a.b", "<img src=", "&#47;", "?d=", "(", ")", "\\", " ", "%", "[", "]:", "\n", "\ud800", "//"])).map("".join))  # fmt: skip  # noqa: E501
def test_any_text_has_valid_findings(raw: str) -> None:
    for finding in (
        *ANY_HOST.find(Text(raw, Source.ANSWER)),
        *HOSTS.find(Text(raw, Source.ANSWER)),
    ):
        assert 0 <= finding.start < finding.end <= len(raw)


@pytest.mark.parametrize(
    "unit",
    [
        "![",
        "](//a.b",
        "<img src=",
        "[r]: ",
        "http://",
        "h:",
        "//a.b?",
        "(",
        "https://a)",
        "https:",
        "https:a",
        "/",
        "<img src=https:/",
        "\t",
    ],
)
def test_no_repetition_is_a_burden(unit: str) -> None:
    ANY_HOST.find(Text(unit * (200_000 // len(unit)), Source.ANSWER))
