"""The figures of the detector of personal data over `pii.jsonl`.

A span is found if something found shares at least half of what both cover (intersection over
union). Pieces of one kind that stand side by side count as one, as in presidio-research, since the
sources cut addresses differently; postal codes, towns and streets are one family for the same
reason.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from services.safety.detector import Detector, Source, Text
from services.safety.evaluation.figures import Share, present

_OVERLAP = 0.5
_BETWEEN = " \n\t,.>?"
_UNIT_TESTS = "presidio_unit_tests"
# What the sources call otherwise; the rest is the same in lower case.
_NAMES = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "PH_MOBILE_NUMBER": "phone",
    "TR_PHONE_NUMBER": "phone",
    "ZA_MOBILE_NUMBER": "phone",
    "ZA_TELEPHONE_NUMBER": "phone",
    "IBAN_CODE": "iban",
    "CRYPTO": "crypto_wallet",
    "DATE_TIME": "date",
    "DOMAIN_NAME": "url",
    "STREET_ADDRESS": "address",
    "GPE": "address",
    "LOCATION": "address",
    "ZIP_CODE": "address",
    "UK_POSTCODE": "address",
    "DE_PLZ": "address",
    "CA_POSTAL_CODE": "address",
    "ORG": "organization",
    "PREFIX": "title",
    "NRP": "nationality",
    "US_BANK_NUMBER": "bank_account",
    "ACCOUNT": "bank_account",
    "ACCOUNT_NUMBER": "bank_account",
    "ABA_ROUTING_NUMBER": "routing_number",
    "SSN": "us_ssn",
    "PAN": "in_pan",
    "AADHAR": "in_aadhaar",
    "LICENSE": "driver_license",
    "UK_DRIVING_LICENCE": "driver_license",
    "DE_FUEHRERSCHEIN": "driver_license",
    "PASSPORT_NUM": "passport",
    "TAXID": "tax_id",
    "VOTER_ID": "in_voter",
    "PID": "patient_id",
    "USERID": "username",
    "TR_LICENSE_PLATE": "vehicle_registration",
    "ZA_LICENSE_PLATE": "vehicle_registration",
    "DE_KFZ": "vehicle_registration",
    "DE_HANDELSREGISTER": "de_commercial_register",
}
_SAME_EVERYWHERE = ("passport", "driver_license", "vehicle_registration")
_FAMILIES = {"location": "address", "zip_code": "address", "postcode": "address"}
# What rows without marks of names are not asked for.
_NAMED = {"person", "organization", "address", "title", "nationality", "date", "age"}
# Carry check digits: no character of them may be missed.
_CHECKED = """
credit_card iban routing_number crypto_wallet us_npi medical_license ca_sin uk_nhs de_tax_id
de_health_insurance de_social_security de_lanr es_nif es_nie fi_personal_identity_code
it_fiscal_code it_vat_code pl_pesel se_personnummer se_organisationsnummer in_aadhaar au_abn
au_acn au_tfn au_medicare sg_nric_fin kr_brn th_tnin tr_national_id za_id_number ph_tin
"""
CHECKED = frozenset(_CHECKED.split())


class Span(NamedTuple):
    """Characters of one kind."""

    start: int
    end: int
    kind: str


class Figures(NamedTuple):
    """What was found of what there is."""

    recall: Share
    precision: Share

    @property
    def f2(self) -> float:
        """Return the F-measure that weighs recall four times as much."""
        found, missed = self.recall.hits, self.recall.of - self.recall.hits
        wrong = self.precision.of - self.precision.hits
        return 5 * found / max(1, 5 * found + 4 * missed + wrong)


class Report(NamedTuple):
    """The figures by source (`all` for every row), by kind, and the rows that leak."""

    typed: dict[str, Figures]
    untyped: dict[str, Figures]
    kinds: dict[str, Figures]
    leaks: Share
    """Rows with a missed character of a kind that carries check digits, of all with such a kind."""


def evaluate(folder: Path, detector: Detector) -> Report:
    """Return the detector's figures over a folder's rows.

    Raises:
        OSError: the rows cannot be read.
        ValueError: a line is no row.
    """
    typed: defaultdict[str, Counter[str]] = defaultdict(Counter)
    untyped: defaultdict[str, Counter[str]] = defaultdict(Counter)
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    leaking = checked = 0
    for row in present(folder / "pii.jsonl", "spans"):
        found = [
            Span(one.start, one.end, _FAMILIES.get(one.category, one.category))
            for one in detector.find(Text(row["text"], Source.USER))
        ]
        wanted = [Span(start, end, _kind(name)) for start, end, name, *_ in row["spans"]]
        safe = {place for span in found for place in range(span.start, span.end)}
        needed = [range(span.start, span.end) for span in wanted if span.kind in CHECKED]
        checked += bool(needed)
        leaking += any(place not in safe for span in needed for place in span)
        told = _asked(row, wanted, found)
        wanted, told = _joined(wanted, row["text"]), _joined(told, row["text"])
        for name in (row["source"], "all"):
            typed[name] += _count(wanted, told, alike=True)
            untyped[name] += _count(wanted, told, alike=False)
        for kind in {span.kind for span in (*wanted, *told)}:
            kinds[kind] += _count(
                [span for span in wanted if span.kind == kind],
                [span for span in told if span.kind == kind],
                alike=True,
            )
    return Report(_figures(typed), _figures(untyped), _figures(kinds), Share(leaking, checked))


def _kind(name: str) -> str:
    lower = name.lower()
    for kind in _SAME_EVERYWHERE:
        if lower.endswith(kind):
            return kind
    return _NAMES.get(name, lower)


def _asked(row: dict[str, Any], wanted: Sequence[Span], found: Iterable[Span]) -> list[Span]:
    """Return what was found that the row says right or wrong of."""
    if row.get("names_not_annotated"):
        return [span for span in found if span.kind not in _NAMED]
    if row["source"] != _UNIT_TESTS:
        return list(found)
    own = _kind(row.get("entity", ""))
    return [
        span for span in found if span.kind == own or any(_overlap(span, one) for one in wanted)
    ]


def _joined(spans: Iterable[Span], text: str) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans):
        last = joined[-1] if joined else None
        if last and last.kind == span.kind and not text[last.end : span.start].strip(_BETWEEN):
            joined[-1] = last._replace(end=max(last.end, span.end))
        else:
            joined.append(span)
    return joined


def _overlap(one: Span, other: Span) -> float:
    shared = min(one.end, other.end) - max(one.start, other.start)
    return max(0, shared) / (max(one.end, other.end) - min(one.start, other.start))


def _count(wanted: Sequence[Span], found: Sequence[Span], *, alike: bool) -> Counter[str]:
    left = list(found)
    for span in wanted:
        for one in left:
            if _overlap(span, one) >= _OVERLAP and (one.kind == span.kind or not alike):
                left.remove(one)
                break
    return Counter(hits=len(found) - len(left), wanted=len(wanted), found=len(found))


def _figures(counts: dict[str, Counter[str]]) -> dict[str, Figures]:
    return {
        name: Figures(Share(count["hits"], count["wanted"]), Share(count["hits"], count["found"]))
        for name, count in counts.items()
    }
