"""Numbers with check digits, of every country that has a row here."""

import pytest

from catenary.config.v1 import safety_pb2
from services.safety.detector import Finding, Source, Text
from services.safety.pii import pii
from services.safety.pii.categories import CATEGORIES
from services.safety.pii.detector import KINDS

DETECTOR = pii(safety_pb2.PiiDetector())

RIGHT = [
    ("credit_card", "5105 1051 0510 5100"),
    ("credit_card", "3782-822463-10005"),
    ("credit_card", "4222222222222"),
    ("iban", "FR14 2004 1010 0505 0001 3M02 606"),
    ("iban", "nl91abna0417164300"),
    ("crypto_wallet", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
    ("crypto_wallet", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    ("us_ssn", "219-09-9998"),
    ("ca_sin", "193 456 787"),
    ("br_cpf", "529.982.247-25"),
    ("br_cnpj", "11.222.333/0001-81"),
    ("de_tax_id", "86095742719"),
    ("de_vat_id", "DE136695976"),
    ("es_nif", "12345678Z"),
    ("es_nie", "X1234567L"),
    ("fr_nir", "2 55 08 14 168 025 38"),
    ("it_fiscal_code", "RSSMRA85T10A562S"),
    ("pl_pesel", "02070803628"),
    ("fi_personal_identity_code", "131052-308T"),
    ("se_personnummer", "811228-9874"),
    ("be_national_number", "85.07.30-033.28"),
    ("ch_ahv", "756.9217.0769.85"),
    ("in_aadhaar", "2345 6789 0124"),
    ("au_abn", "53 004 085 616"),
    ("sg_nric_fin", "S1234567D"),
    ("th_tnin", "1101700207030"),
    ("tr_national_id", "10000000146"),
    ("za_id_number", "8001015009087"),
    ("cn_resident_id", "11010519491231002X"),
]


def found(text: str) -> list[tuple[str, str]]:
    return [
        (one.category, text[one.start : one.end]) for one in DETECTOR.find(Text(text, Source.USER))
    ]


@pytest.mark.parametrize(("category", "number"), RIGHT)
def test_a_right_number_is_found_whole_without_words_about_it(category: str, number: str) -> None:
    assert (category, number) in found(f"the line said {number} and no more")


@pytest.mark.parametrize(
    "number",
    [
        "5105 1051 0510 5101",
        "FR15 2004 1010 0505 0001 3M02 606",
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyU",
        "12345678A",
        "DE136695977",
        "11010519491231002Y",
    ],
)
def test_a_number_with_a_wrong_check_digit_is_nothing(number: str) -> None:
    assert not found(f"the line said {number} and no more")


def test_words_nearby_make_a_weak_form_count() -> None:
    assert found("the part is X12345678 in the list") == []
    assert found("my passport is X12345678 by the way") == [("passport", "X12345678")]


def test_what_stood_before_counts_as_context() -> None:
    text = Text("655 437 108 or so", Source.USER, before="you can call me on ")
    assert [one.category for one in DETECTOR.find(text)] == ["phone"]


def test_a_message_that_is_one_number_and_nothing_else_counts() -> None:
    assert found("945456787654") == [("bank_account", "945456787654")]
    assert found("it was 945456787654 in the end") == []


@pytest.mark.parametrize(
    "text",
    [
        "version 3.14.159 of 2.71",
        "it costs 1,234,567.89 dollars",
        "she ran 42 laps in 310 minutes",
        "sha 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "the answer is 7 of 12",
        "4012 * 3381 + 1299827",
        "let y = x + 1299827",
        "(4012 + 1) + 12 998 27",
        "the ports 4111,1111,1111,1111",
        "Set DB_PASSWORD=${DB_PASSWORD} there",
        "password: {{ vault.password1 }}",
        "password=<your-password1>",
        "password: #{ENV['PASSWORD1']}",
    ],
)
def test_ordinary_numbers_are_nothing(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to ann.lee+x@mail.example.org.", ("email", "ann.lee+x@mail.example.org")),
        ("see https://example.org/a?b=c#d, please", ("url", "https://example.org/a?b=c#d")),
        ("ping 192.168.17.4 twice", ("ip_address", "192.168.17.4")),
        ("ping 2001:db8::8a2e:370:7334 twice", ("ip_address", "2001:db8::8a2e:370:7334")),
        ("its mac is 00:1B:44:11:3A:B7", ("mac_address", "00:1B:44:11:3A:B7")),
        ("ring +44 20 7946 0018 at noon", ("phone", "+44 20 7946 0018")),
        ("ring (020) 7946 0018 at noon", ("phone", "(020) 7946 0018")),
        ("ring + 44 20 7946 0018 at noon", ("phone", "+ 44 20 7946 0018")),
        ("write to kim@b\u00fccher.example", ("email", "kim@b\u00fccher.example")),
        ("write to \u00e1lvaro@example.org", ("email", "\u00e1lvaro@example.org")),
        ("\u5199\u4fe1\u7ed9kim@example.org\u5427", ("email", "kim@example.org")),
        ("https://x.test/?e=kim%40example.org", ("email", "x.test/?e=kim%40example.org")),
        ("kim&#64;example.org", ("email", "kim&#64;example.org")),
        ("pay 5105 - 1051 - 0510 - 5100 now", ("credit_card", "5105 - 1051 - 0510 - 5100")),
        ("my card 5105,1051,0510,5100", ("credit_card", "5105,1051,0510,5100")),
        ("cards: 5105105105105100,7", ("credit_card", "5105105105105100")),
        ("the password is Tr0ub4dor. Then", ("password", "Tr0ub4dor")),
        ("born on 1984-02-29 in spring", ("date", "1984-02-29")),
        ("a 47 year old patient", ("age", "47")),
        ("the password is 'Tr0ub4dor&3' now", ("password", "Tr0ub4dor&3")),
        ("account number: 00-4711-0815", ("bank_account", "00-4711-0815")),
    ],
)
def test_addresses_and_labelled_values(text: str, expected: tuple[str, str]) -> None:
    assert expected in found(text)


def test_full_width_figures_and_unseen_characters_hide_nothing() -> None:
    hidden = "\uff14\uff11\uff11\uff11-1111-1111\u200b-1111"
    assert found(f"x {hidden} y") == [("credit_card", hidden)]


def test_only_the_kinds_that_are_asked_for() -> None:
    only = pii(safety_pb2.PiiDetector(kinds=["email"]))
    text = Text("ann@example.org, 4111 1111 1111 1111, Ann Lee", Source.USER)
    assert list(only.find(text)) == [Finding(0, 15, "pii", "email", 0.95)]


def test_a_kind_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'emial'"):
        pii(safety_pb2.PiiDetector(kinds=["emial"]))


def test_every_finding_has_a_category_of_the_table() -> None:
    assert {kind.category for kind in KINDS} <= set(CATEGORIES)


def test_of_what_overlaps_the_surest_is_told() -> None:
    number = "GB29 NWBK 6016 1331 9268 19"
    assert found(f"call me, or pay to {number} today") == [("iban", number)]
