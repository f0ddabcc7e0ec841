"""Numbers that European states give to people, companies and vehicles."""

from collections import Counter

from services.safety.pii.checks import (
    LETTERS,
    cross,
    digits,
    icao,
    is_day,
    is_day_of_century,
    luhn,
    mod_11_10,
    weighted,
)
from services.safety.pii.kind import Kind

_SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"
_FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"
# The values of characters at odd places of a codice fiscale, by the decree of 23 December 1976.
_ITALIAN_ODD = dict(
    zip(
        "0123456789" + LETTERS,
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21] * 2
        + [2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23],
        strict=True,
    )
)


def _fiscal_code(code: str) -> bool:
    odd = sum(_ITALIAN_ODD[character] for character in code[:15:2])
    even = sum(int(c) if c.isdigit() else LETTERS.index(c) for c in code[1:15:2])
    return LETTERS[(odd + even) % 26] == code[15]


def _partita_iva(number: str) -> bool:
    return luhn(number) and number.strip("0") != ""


def _nif(number: str) -> bool:
    return _SPANISH[int(number[:-1]) % 23] == number[-1]


def _nie(number: str) -> bool:
    return _nif(str("XYZ".index(number[0])) + number[1:])


def _henkilotunnus(code: str) -> bool:
    if not is_day_of_century(code[4:6] + code[2:4] + code[:2]):
        return False
    serial = code[-4:-1]
    return int(serial) >= 2 and _FINNISH[int(code[:6] + serial) % 31] == code[-1]  # noqa: PLR2004


def _personnummer(number: str) -> bool:
    ten = number[-10:]
    day = int(ten[4:6])
    # A co-ordination number's day is 60 more.
    born = ten[:4] + f"{day - 60 if day > 60 else day:02d}"  # noqa: PLR2004
    return is_day_of_century(born) and luhn(ten)


def _organisationsnummer(number: str) -> bool:
    return int(number[2]) >= 2 and luhn(number)  # noqa: PLR2004


def _pesel(number: str) -> bool:
    # The month carries the century: 1800 is 80, 1900 is 0, 2000 is 20, and so on.
    month = int(number[2:4]) % 20
    valid = is_day(2000 + int(number[:2]), month, int(number[4:6]))
    return valid and weighted(digits(number), (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _steuer_id(number: str) -> bool:
    return max(Counter(number[:10]).values()) <= 3 and mod_11_10(number)  # noqa: PLR2004


def _lanr(number: str) -> bool:
    return -weighted(digits(number)[:6], (4, 9) * 3) % 10 == int(number[6])


def _with_letter(code: str) -> list[int]:
    return digits("".join(f"{LETTERS.index(c) + 1:02d}" if c.isalpha() else c for c in code))


def _krankenversicherung(code: str) -> bool:
    values = _with_letter(code)
    total = sum(map(cross, (v * w for v, w in zip(values[:-1], (1, 2) * 5, strict=True))))
    return total % 10 == values[-1]


def _sozialversicherung(code: str) -> bool:
    # A second number of somebody born on the same day has 50 added to the day.
    day = int(code[2:4])
    if not is_day_of_century(code[6:8] + code[4:6] + f"{day - 50 if day > 50 else day:02d}"):  # noqa: PLR2004
        return False
    values = _with_letter(code)
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    total = sum(map(cross, (v * w for v, w in zip(values[:-1], weights, strict=True))))
    return total % 10 == values[-1]


def _nhs(number: str) -> bool:
    values = digits(number)
    return len(set(values)) > 1 and -weighted(values[:9], range(10, 1, -1)) % -11 == -values[9]


def _bsn(number: str) -> bool:
    values = digits(number)
    return (weighted(values[:8], range(9, 1, -1)) - values[8]) % 11 == 0 and len(set(values)) > 1


def _nir(number: str) -> bool:
    return int(number[:13]) % 97 == 97 - int(number[13:])


def _rijksregister(number: str) -> bool:
    front, check = int(number[:9]), int(number[9:])
    return check in (97 - front % 97, 97 - (2_000_000_000 + front) % 97)


def _ahv(number: str) -> bool:
    return weighted(digits(number), (1, 3) * 7) % 10 == 0


def _fodselsnummer(number: str) -> bool:
    values = digits(number)
    first = weighted(values, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    return first == 0 and weighted(values, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


_NINO = (
    r"(?:A[ABEHKLMPRSTWXYZ]|B[ABEHKLMT]|C[ABEHKLR]|E[ABEHKLMPRSTWXYZ]|G[YZ]|H[ABEHKLMPRSTWXYZ]|"
    r"J[ABCEGHJKLMNPRSTWXYZ]|K[ABEHKLMPRSTWXYZ]|L[ABEHKLMPRSTWXYZ]|M[AWX]|N[AEHLMPRSWXYZ]|"
    r"O[ABEHKLMPRSX]|P[ABCEGHJLMNPRSTWXY]|R[ABEHKMPRSTWXYZ]|S[ABCGHJKLMNPRSTWXYZ]|"
    r"T[ABEHKLMPRSTWXYZ]|W[ABEKLMP]|Y[ABEHKLMPRSTWXYZ]|Z[ABEHKLMPRSTWXY])"
    r" ?\d{2} ?\d{2} ?\d{2} ?[A-D]"
)
_PLATE = "[A-HJ-PR-Y]"  # what a British mark's letters may be
_TRAVEL = "[CFGHJKLMNPRTVWXYZ0-9]"  # what a German document's characters may be
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0[1-9]|1[0-2])"

KINDS = (
    Kind(
        "de_tax_id", r"[1-9]\d{10}|[1-9]\d \d{3} \d{3} \d{3}", 0.55, _steuer_id, r"steuer|idnr|tin"
    ),
    Kind("de_tax_number", r"\d{2,3}/\d{3}/\d{4,5}", 0.5, None, r"steuer|finanzamt|st\.?-?nr"),
    Kind("de_tax_number", r"[1-9]\d{3}0\d{8}", 0.2, None, r"steuer|finanzamt|st\.?-?nr"),
    Kind("de_vat_id", r"DE ?\d{9}", 0.7, lambda s: mod_11_10(s[2:]), r"ust|umsatzsteuer|vat"),
    Kind(
        "de_health_insurance", r"[A-Z]\d{9}", 0.7, _krankenversicherung, r"kranken|kvnr|versicher"
    ),
    Kind(
        "de_social_security",
        r"\d{2} ?\d{6} ?[A-Z] ?\d{3}",
        0.9,
        _sozialversicherung,
        r"sozial|renten|rvnr|svnr",
    ),
    Kind("de_lanr", r"\d{9}", 0.5, _lanr, r"lanr|arzt"),
    Kind("de_bsnr", r"\d{9}", 0.15, None, r"bsnr|betriebsst"),
    Kind("passport", rf"[CFGHJK]{_TRAVEL}{{7}}\d", 0.6, icao, r"pass|reise"),
    Kind("de_id_card", rf"[LMNPRTVWXY]{_TRAVEL}{{7}}\d", 0.6, icao, r"ausweis|personal|identity"),
    Kind("de_id_card", r"T\d{8}", 0.2, None, r"ausweis|personal|identity"),
    Kind(
        "de_commercial_register",
        r"HR[AB] ?\d{1,6}(?: ?[A-Z]{1,2})?",
        0.6,
        None,
        r"handels|register",
    ),
    Kind(
        "driver_license",
        r"[A-Z]\d{2}[A-Z0-9]{6}\d[A-Z0-9]",
        0.2,
        None,
        r"f.{1,2}hrerschein|fahrerlaubnis",
    ),
    Kind("postcode", r"(?:0[1-9]|[1-9]\d)\d{3}", 0.1, None, r"plz|postleitzahl"),
    Kind(
        "vehicle_registration",
        r"[A-Z]{1,3}[ -][A-Z]{1,2}[ -]?[1-9]\d{0,3}[EH]?",
        0.2,
        None,
        r"kennzeichen|kfz|auto",
        case=True,
    ),
    Kind("es_nif", r"\d{7,8}-?[A-Z]", 0.8, _nif, r"nif|dni|identificaci"),
    Kind("es_nie", r"[XYZ]\d?\d{7}-?[A-Z]", 0.9, _nie, r"nie|extranjero"),
    Kind("passport", r"[A-Z]{3}\d{6}", 0.2, None, r"pasaporte|passport"),
    Kind(
        "fi_personal_identity_code",
        r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]",
        0.9,
        _henkilotunnus,
        r"hetu|henkil",
    ),
    Kind(
        "it_fiscal_code",
        r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]",
        0.9,
        _fiscal_code,
        r"fiscale|cf",
    ),
    Kind(
        "it_fiscal_code", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", 0.6, None, r"fiscale|cf"
    ),
    Kind(
        "it_vat_code",
        r"\d{11}|\d{2}[ .]\d{3}[ .]\d{3}[ .]\d{3}",
        0.51,
        _partita_iva,
        r"iva|piva|vat",
    ),
    Kind(
        "driver_license",
        r"[A-Z]{2}\d{7}[A-Z]|U1[B-Z0-9]{7}[A-Z]",
        0.5,
        None,
        r"patente|guida|licen[sc]e",
    ),
    Kind(
        "it_identity_card",
        r"[A-Z]{2} ?\d{7}|C[A-Z]\d{5}[A-Z]{2}|\d{7}[A-Z]{2}|[A-Z]{2}\d{5}[A-Z]{2}",
        0.3,
        None,
        r"carta|identit|documento|elettronica|cie",
    ),
    Kind("passport", r"[A-Z]{2}\d{7}", 0.25, None, r"passaport|passport|travel"),
    Kind("pl_pesel", r"\d{11}", 0.56, _pesel, r"pesel"),
    Kind(
        "se_personnummer",
        r"(?:19|20)?\d{6}[-+]?\d{4}",
        0.6,
        _personnummer,
        r"personn|swedish|svensk",
    ),
    Kind(
        "se_organisationsnummer",
        r"\d{6}-?\d{4}",
        0.55,
        _organisationsnummer,
        r"organis|orgn|f.{1,2}retag|company",
    ),
    Kind("uk_nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", 0.54, _nhs, r"nhs|national health|patient"),
    Kind("uk_nino", _NINO, 0.8, None, r"nino|national insurance|\bni\b"),
    Kind("passport", r"[A-Z]{2}\d{7}|\d{9}", 0.1, None, r"passport"),
    Kind(
        "driver_license",
        r"[A-Z]{1,5}9{0,4}\d(?:[05][1-9]|[16][0-2])(?:0[1-9]|[12]\d|3[01])\d[A-Z9]{2}[A-Z0-9][A-Z]{2}",
        0.8,
    ),
    Kind(
        "postcode",
        r"(?:[A-PR-UWYZ]\d[A-HJKPSTUW0-9]?|[A-PR-UWYZ][A-HK-Y]\d[ABEHMNPRVWXY0-9]?)"
        r" ?\d[ABD-HJLNP-UW-Z]{2}",
        0.5,
        None,
        r"post|code|address|uk",
        case=True,
    ),
    Kind(
        "vehicle_registration",
        rf"{_PLATE}{{2}}(?:0[2-9]|[1-2]\d|5[1-9]|[67]\d)[ -]?[A-HJ-PR-Z]{{3}}",
        0.6,
        None,
        r"reg|vehicle|plate|car",
    ),
    Kind(
        "vehicle_registration",
        r"[A-HJ-NPR-TV-Y]\d{1,3} ?[A-HJ-PR-Y]{3}|[A-HJ-PR-Y]{3} ?\d{1,3}[A-HJ-NPR-TV-Y]",
        0.35,
        None,
        r"reg|vehicle|plate",
        case=True,
    ),
    Kind("nl_bsn", r"\d{9}|\d{4}[ .]\d{2}[ .]\d{3}", 0.5, _bsn, r"bsn|burgerservice|sofi"),
    Kind(
        "fr_nir",
        r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d{2} ?\d{3} ?\d{3} ?\d{2}",
        0.9,
        _nir,
        r"s.cu|nir|insee",
    ),
    Kind(
        "be_national_number",
        r"\d{2}\.?\d{2}\.?\d{2}[- ]?\d{3}[. ]?\d{2}",
        0.6,
        _rijksregister,
        r"rijksreg|national",
    ),
    Kind("ch_ahv", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}", 0.9, _ahv, r"ahv|avs|sozial"),
    Kind(
        "no_fodselsnummer",
        rf"{_DAY}{_MONTH}\d{{2}} ?\d{{5}}",
        0.6,
        _fodselsnummer,
        r"f.dselsn|personn",
    ),
    Kind("dk_cpr", rf"{_DAY}{_MONTH}\d{{2}}-\d{{4}}", 0.5, None, r"cpr|person"),
)
