"""Numbers that states of the Americas give to people, companies and vehicles."""

from services.safety.pii.checks import digits, luhn, weighted
from services.safety.pii.kind import Kind

# Numbers that stood in advertisements, and were given to nobody.
_NOBODY = {"078051120", "123456789", "219099999", "457555462", "987654320"}


def _ssn(number: str) -> bool:
    return (
        len(set(number)) > 1
        and number not in _NOBODY
        and number[:3] not in {"000", "666"}
        and number[3:5] != "00"
        and number[5:] != "0000"
    )


def _npi(number: str) -> bool:
    # The card issuer's number 80840 stands before it.
    return luhn("80840" + number)


def _dea(code: str) -> bool:
    values = digits(code[2:])
    total = values[0] + values[2] + values[4] + 2 * (values[1] + values[3] + values[5])
    return total % 10 == values[6]


def _sin(number: str) -> bool:
    return luhn(number) and number[0] not in "08" and len(set(number)) > 1


def _cpf(number: str) -> bool:
    values = digits(number)
    first = weighted(values[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(values[:10], range(11, 1, -1)) * 10 % 11 % 10
    return [first, second] == values[9:] and len(set(values)) > 1


def _cnpj(number: str) -> bool:
    values = digits(number)
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = weighted(values[:12], weights[1:]) * 10 % 11 % 10
    second = weighted(values[:13], weights) * 10 % 11 % 10
    return [first, second] == values[12:] and len(set(values)) > 1


_ITIN = r"(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])"
_LETTER = r"[AC-HJKMNP-RT-Y]"  # of an MBI: none that looks like a figure
_EITHER = r"[AC-HJKMNP-RT-Y0-9]"

KINDS = (
    Kind("us_ssn", r"[0-8]\d{2}[- .]\d{2}[- .]\d{4}", 0.8, _ssn, r"ssn|social|security"),
    Kind(
        "us_ssn",
        r"[0-8]\d{2}-\d{6}|[0-8]\d{4}-\d{4}|[0-8]\d{2}\.\d{6}",
        0.5,
        _ssn,
        r"ssn|social|security",
    ),
    Kind("us_ssn", r"[0-8]\d{8}", 0.2, _ssn, r"ssn|social sec"),
    Kind(
        "us_itin",
        rf"9\d{{2}}-{_ITIN}-\d{{4}}|9\d{{2}} {_ITIN} \d{{4}}",
        0.6,
        None,
        r"itin|tax|individual",
    ),
    Kind("us_itin", rf"9\d{{2}}{_ITIN}\d{{4}}", 0.2, None, r"itin|tax|individual"),
    Kind(
        "us_mbi",
        rf"[1-9]{_LETTER}{_EITHER}\d-?{_LETTER}{_EITHER}\d-?{_LETTER}{{2}}\d{{2}}",
        0.8,
        None,
        r"mbi|medicare|beneficiary",
    ),
    Kind("us_npi", r"[12]\d{9}", 0.55, _npi, r"npi|provider"),
    Kind(
        "medical_license", r"[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}", 0.6, _dea, r"dea|medical|certificate"
    ),
    Kind("passport", r"[A-Z]\d{8}|\d{9}", 0.25, None, r"passport|travel doc"),
    Kind(
        "driver_license",
        r"[A-Z]\d{3,14}|[A-Z]{2}\d{3,7}|[A-Z]\d{3}-\d{3,4}-\d{2,4}(?:-\d{3})?|[A-Z]\d{4}-\d{5}-\d{5}",
        0.15,
        None,
        r"driv|licen[sc]e|permit",
    ),
    Kind("driver_license", r"\d{6,14}", 0.15, None, r"driver|dmv|dl\b|licen[sc]e n"),
    Kind("us_tax_id", r"\d{2}-\d{7}", 0.3, None, r"tax|ein\b|tin\b|employer"),
    Kind(
        "ca_sin",
        r"\d{3}[ -]?\d{3}[ -]?\d{3}",
        0.55,
        _sin,
        r"sin\b|nas\b|social insurance|assurance",
    ),
    Kind("postcode", r"[ABCEGHJ-NPRSTVXY]\d[A-Z] ?\d[A-Z]\d", 0.5, None, r"postal|code", case=True),
    Kind("postcode", r"\d{5}-\d{4}", 0.4, None, r"zip|postal|address"),
    Kind("br_cpf", r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", 0.7, _cpf, r"cpf"),
    Kind("br_cnpj", r"\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}", 0.8, _cnpj, r"cnpj"),
    Kind("mx_curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", 0.9, None, r"curp"),
)
