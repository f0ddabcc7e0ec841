"""Numbers that states of Asia, Africa and the Pacific give to people, companies and vehicles."""

from services.safety.pii.checks import (
    LETTERS,
    digits,
    is_day_of_century,
    luhn,
    verhoeff,
    weighted,
)
from services.safety.pii.kind import Kind


def _aadhaar(number: str) -> bool:
    values = digits(number)
    return verhoeff(number) and values != values[::-1]


def _abn(number: str) -> bool:
    first, *others = digits(number)
    total = weighted([first - 1, *others], (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19))
    return total % 89 == 0 and first > 0


def _acn(number: str) -> bool:
    values = digits(number)
    return -weighted(values[:8], range(8, 0, -1)) % 10 == values[8] and any(values)


def _tfn(number: str) -> bool:
    values = digits(number)
    return weighted(values, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and len(set(values)) > 1


def _medicare(number: str) -> bool:
    values = digits(number)
    return weighted(values[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == values[8]


def _nric(code: str) -> bool:
    total = weighted(digits(code), (2, 7, 6, 5, 4, 3, 2))
    first, last = code[0], code[-1]
    if first in "ST":
        return "JZIHGFEDCBA"[(total + 4 * (first == "T")) % 11] == last
    if first in "FG":
        return "XWUTRQPNMLK"[(total + 4 * (first == "G")) % 11] == last
    return "XWUTRQPNJLK"[10 - (total + 3) % 11] == last


def _kr_born(number: str) -> bool:
    return is_day_of_century(number[:6])


def _kr_business(number: str) -> bool:
    values = digits(number)
    total = weighted(values, (1, 3, 7, 1, 3, 7, 1, 3, 5)) + values[8] * 5 // 10
    return -total % 10 == values[9]


# The second and third digit are the province.
_THAI_PROVINCES = {
    *(*range(10, 28), *range(30, 50), *range(50, 59), *range(60, 68)),
    *(*range(70, 78), *range(80, 87), *range(90, 97)),
}


def _thai(number: str) -> bool:
    values = digits(number)
    right = (11 - weighted(values[:12], range(13, 1, -1)) % 11) % 10 == values[12]
    return right and int(number[1:3]) in _THAI_PROVINCES


def _kimlik(number: str) -> bool:
    values = digits(number)
    tenth = (7 * sum(values[0:9:2]) - sum(values[1:8:2])) % 10
    return [tenth, sum(values[:10]) % 10] == values[9:]


def _za(number: str) -> bool:
    return is_day_of_century(number) and luhn(number)


def _ph_tin(number: str) -> bool:
    values = digits(number)
    return weighted(values[:8], range(9, 1, -1)) % 11 % 10 == values[8]


def _cn_resident(number: str) -> bool:
    weights = [2**power % 11 for power in range(17, -1, -1)]
    values = [10 if c == "X" else int(c) for c in number]
    return weighted(values, weights) % 11 == 1 and is_day_of_century(number[8:14])


def _my_number(number: str) -> bool:
    values = digits(number)
    rest = weighted(values[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return values[11] == (0 if rest <= 1 else 11 - rest) and len(set(values)) > 1


def _hkid(code: str) -> bool:
    values = [LETTERS.index(c) + 10 if c.isalpha() else int(c) for c in code]
    padded = [36] * (9 - len(values)) + values
    if code[-1] == "A":
        padded[-1] = 10
    return weighted(padded, range(9, 0, -1)) % 11 == 0


def _no_longer(pattern: str) -> str:
    """Return the pattern of groups of four figures that no fifth group follows, as in a card."""
    return rf"(?:^|[^\w :-]|[^\d][ :-])({pattern})[ :-]?(?:$|[^\w :-]|[ :-]?[A-Za-z])"


_BORN = r"\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_STATE = r"(?:0[1-9]|[12]\d|3[0-8]|97|99)"

KINDS = (
    Kind(
        "in_aadhaar",
        _no_longer(r"[2-9]\d{3}[ :-]?\d{4}[ :-]?\d{4}"),
        0.7,
        _aadhaar,
        r"aadh?aa?r|uidai",
        edged=True,
    ),
    Kind("in_pan", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", 0.8, None, r"\bpan\b|permanent|income"),
    Kind("in_pan", r"[A-Z]{5}\d{4}[A-Z]", 0.5, None, r"\bpan\b|permanent|income"),
    Kind("in_gstin", rf"{_STATE}[A-Z]{{5}}\d{{4}}[A-Z][0-9A-Z]Z[0-9A-Z]", 0.9, None, r"gst"),
    Kind("in_gstin", rf"{_STATE}[A-Z]{{5}}\d{{4}}[A-Z]\d[A-Z]\d", 0.3, None, r"gst"),
    Kind("in_voter", r"[A-Z]{3}\d{7}", 0.5, None, r"voter|vote|epic|elector"),
    Kind("passport", r"[A-Z][1-9]\d{6}", 0.3, None, r"passport"),
    Kind(
        "vehicle_registration",
        r"[A-Z]{2}[ -]?\d{1,2}[ -]?[A-Z]{1,3}[ -]?\d{4}",
        0.5,
        None,
        r"rto|vehicle|plate|regist",
    ),
    Kind("bank_code", r"[A-Z]{4}0[A-Z0-9]{6}", 0.5, None, r"ifsc|neft|bank"),
    Kind("au_abn", r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}", 0.7, _abn, r"abn|business"),
    Kind("au_acn", r"\d{3} \d{3} \d{3}", 0.62, _acn, r"acn|company"),
    Kind("au_acn", r"\d{9}", 0.53, _acn, r"acn|company"),
    Kind("au_tfn", r"\d{3} \d{3} \d{3}", 0.61, _tfn, r"tfn|tax file"),
    Kind("au_tfn", r"\d{9}", 0.54, _tfn, r"tfn|tax file"),
    Kind("au_medicare", r"[2-6]\d{3} ?\d{5} ?\d", 0.56, _medicare, r"medicare"),
    Kind("sg_nric_fin", r"[STFGM]\d{7}[A-Z]", 0.9, _nric, r"nric|fin\b|singapore"),
    Kind("sg_nric_fin", r"[A-Z]\d{7}[A-Z]", 0.3, None, r"nric|fin\b|singapore"),
    Kind(
        "sg_uen",
        r"(?:18|19|20)\d{7}[A-Z]|[STR]\d{2}[A-Z]{2}\d{4}[A-Z]|[STR]\d{2}[A-Z]{2}[A-Z0-9]\d{3}[A-Z]",
        0.6,
        None,
        r"uen|entity|regist",
    ),
    Kind("sg_uen", r"\d{8}[A-Z]", 0.4, None, r"uen|entity|regist"),
    Kind("kr_rrn", rf"{_BORN}-[0-49]\d{{6}}", 0.8, _kr_born, r"rrn|resident"),
    Kind("kr_rrn", rf"{_BORN}[1-4]\d{{6}}", 0.55, _kr_born, r"rrn|resident"),
    Kind("kr_frn", rf"{_BORN}-[5-8]\d{{6}}", 0.8, _kr_born, r"frn|foreign"),
    Kind("kr_frn", rf"{_BORN}[5-8]\d{{6}}", 0.55, _kr_born, r"frn|foreign"),
    Kind("kr_brn", r"\d{3}-?\d{2}-?\d{5}", 0.57, _kr_business, r"brn|business"),
    Kind("driver_license", r"(?:1[1-9]|2[0-8])-\d{2}-\d{6}-\d{2}", 0.6, None, r"driver|licen"),
    Kind("driver_license", r"(?:1[1-9]|2[0-8])\d{10}", 0.2, None, r"driver|licen"),
    Kind("passport", r"[MSRODG](?:\d{8}|\d{3}[A-Z]\d{4})", 0.35, None, r"passport|\?\?"),
    Kind("th_tnin", r"[1-8]-?\d{4}-?\d{5}-?\d{2}-?\d", 0.8, _thai, r"thai|tnin|citizen"),
    Kind("tr_national_id", r"[1-9]\d{10}", 0.85, _kimlik, r"t\.?c\.?\b|kimlik|turkish"),
    Kind(
        "vehicle_registration",
        r"(?:0[1-9]|[1-7]\d|8[01]) ?[A-Z]{1,3} ?\d{2,5}",
        0.3,
        None,
        r"plaka|plate|ara.\b",
    ),
    Kind(
        "vehicle_registration",
        r"(?:0[1-9]|[1-7]\d|8[01]) [A-Z]{1,3} \d{2,5}",
        0.5,
        None,
        r"plaka|plate|ara.\b",
        case=True,
    ),
    Kind("vehicle_registration", r"[A-Z]{3}-?\d{3}[A-Z]{2}", 0.55, None, r"plate|vehicle|number"),
    Kind("ng_nin", r"\d{11}", 0.52, verhoeff, r"\bnin\b|nigeria|national id"),
    Kind(
        "za_id_number", rf"{_BORN}\d{{4}}[012]\d{{2}}", 0.85, _za, r"\bid\b|identity|south african"
    ),
    Kind("ph_tin", r"\d{3}-?\d{3}-?\d{3}(?:-?\d{3})?", 0.4, _ph_tin, r"\btin\b|tax|bir\b"),
    Kind("ph_umid", r"\d{4}-\d{7}-\d", 0.5, None, r"umid|crn\b|sss\b"),
    Kind("passport", r"[A-Z]\d{7}[A-Z]", 0.2, None, r"passport"),
    Kind("cn_resident_id", r"[1-9]\d{16}[0-9X]", 0.9, _cn_resident, r"\?\?"),
    Kind(
        "jp_my_number",
        _no_longer(r"\d{4} ?\d{4} ?\d{4}"),
        0.5,
        _my_number,
        r"my number|\?\?",
        edged=True,
    ),
    Kind("hk_id", r"[A-Z]{1,2}\d{6}\(?[0-9A]", 0.6, _hkid, r"hkid|hong kong"),
)
