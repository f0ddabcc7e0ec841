"""Dates and ages, in figures and in English."""

from services.safety.pii.kind import Kind

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_D = r"(?:0?[1-9]|[12]\d|3[01])"
_M = r"(?:0?[1-9]|1[0-2])"
_Y = r"(?:1[89]\d\d|20\d\d|\d\d)"
_YEAR = r"(?:1[89]\d\d|20\d\d)"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?: ?(?:Z|[ap]\.?m\.?|[+-]\d{2}:?\d{2}))?"
_CONTEXT = r"born|birth|dob\b|date|since|expir|issued|today|when|on\b"

KINDS = (
    Kind(
        "date",
        rf"{_YEAR}[-/.](?:0[1-9]|1[0-2])[-/.](?:0[1-9]|[12]\d|3[01])(?:[T ]{_TIME})?",
        0.7,
        None,
        _CONTEXT,
    ),
    Kind("date", rf"(?:{_M}/{_D}|{_D}/{_M})/{_Y}(?: {_TIME})?", 0.6, None, _CONTEXT),
    Kind("date", rf"(?:{_M}-{_D}|{_D}-{_M})-{_Y}", 0.6, None, _CONTEXT),
    Kind("date", rf"{_D}\.{_M}\.{_Y}", 0.6, None, _CONTEXT),
    Kind("date", rf"{_D}(?:st|nd|rd|th)?(?: of)? {_MONTH},? {_YEAR}", 0.6, None, _CONTEXT),
    Kind("date", rf"{_MONTH} {_D}(?:st|nd|rd|th)?,? {_YEAR}", 0.6, None, _CONTEXT),
    Kind(
        "date",
        rf"{_D}[-/]{_MONTH}(?:[-/]{_Y})?|{_MONTH}[-/](?:{_D}|{_YEAR})(?:[-/]{_Y})?",
        0.5,
        None,
        _CONTEXT,
    ),
    Kind("date", rf"{_M}/{_YEAR}", 0.3, None, _CONTEXT + r"|valid"),
    Kind("date", rf"{_M}/(?:0[1-9]|[12]\d|3[01])", 0.15, None, _CONTEXT + r"|valid"),
    Kind(
        "date",
        rf"{_MONTH} {_YEAR}|{_D} {_MONTH}|{_MONTH} {_D}(?:st|nd|rd|th)?",
        0.2,
        None,
        r"born|birth|dob\b",
    ),
    Kind("date", rf"\b(?:in|of|since|until) ({_YEAR})\b", 0.5, edged=True),
    Kind(
        "age",
        r"\b(\d{1,3})[ -]?(?:(?:years?|yrs?)[ -]?(?:old|of age)|y/?o)\b",
        0.6,
        edged=True,
    ),
)
