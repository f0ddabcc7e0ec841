"""Values that are told by the words before them: `account number 4711`, `password: hunter2`."""

from services.safety.pii.kind import Kind
from services.safety.secrets.values import stands_for

_OF = r"(?:'s|s)?(?: *(?:card|copy))?(?: *(?:number|numbers|no|num|nr|id|code|details|value)\b\.?)?"
_SIGN = r"(?: *(?:is|was|reads?|of|=|:|#|-|\())?[ \t]*[\"'`(#]{0,2}"
_CODE = r"(?:[a-z]{1,6}[-:]?)?[a-z0-9*]*\d[a-z0-9*]*(?:[-/.]?[a-z0-9*]{1,24}){0,6}"


def _label(
    category: str, words: str, value: str = _CODE, score: float = 0.75, least: int = 4
) -> Kind:
    return Kind(
        category,
        rf"(?:\b|_)(?:{words}){_OF}{_SIGN}({value})",
        score,
        lambda found: sum(map(str.isalnum, found)) >= least,
        edged=True,
    )


_HIDDEN = r"[^\s\"'`,;<>]{3,63}[^\s\"'`,;<>.]"
_NAME = r"[a-z0-9][a-z0-9._@-]{2,63}"


def _is_password(found: str) -> bool:
    """Return whether it is no word that happens to follow, and nothing that stands for a value."""
    is_begun = found.startswith(("{", "["))
    return not (is_begun or found.strip(".!?()[]").isalpha() or stands_for(found))


KINDS = (
    _label("bank_account", r"account|acct|a/c|acc(?:num)?|beneficiary account|savings|checking"),
    _label("passport", r"passport|pasaporte|reisepass"),
    _label(
        "driver_license",
        r"driv(?:er|ing)[^a-z0-9]{0,3}s? (?:licen[sc]e|permit)|licen[sc]e|\bdl",
    ),
    _label("patient_id", r"patient|mrn|medical record|medical file|chart|patient mrn"),
    _label(
        "insurance_id",
        r"insurance(?: policy)?|policy|member|subscriber|claim|group|referral|authorization|"
        r"prescription",
    ),
    _label("tax_id", r"tax(?:payer)?|vat|ein|tin|atin"),
    _label("in_voter", r"voter"),
    _label("in_pan", r"pan"),
    _label("in_aadhaar", r"aadh?aa?r"),
    _label("us_ssn", r"ssn|social security", r"[\dx*]{3}-?[\dx*]{2}-?\d{4}"),
    _label("bank_code", r"ifsc|swift|bic|sort", r"[a-z]{4,6}[a-z0-9]{5,8}|\d{2}-?\d{2}-?\d{2}"),
    _label("routing_number", r"routing|aba|transit", r"[a-z]{0,4}\d[a-z0-9]{3,11}"),
    _label(
        "employee_id",
        r"(?:employee|staff|student|badge|customer|client|user|member) (?:id|number|no)\b",
    ),
    _label("iban", r"iban", r"[a-z]{2}\d{2}(?: ?[a-z0-9]{2,4}){3,8}", 0.7),
    _label(
        "credit_card",
        r"(?:credit|debit|bank)? ?card",
        r"[\d*x]{4}(?:[ -]?[\d*x]{4}){2,4}(?:[ -]?\d{1,4})?|\d{12,19}",
        0.7,
    ),
    _label(
        "zip_code",
        r"zip|postcode|postal|plz",
        r"[a-z]{0,2}\d[a-z0-9]{0,4}(?:[ -]\d?[a-z0-9]{2,4})?",
        0.6,
        3,
    ),
    Kind(
        "password",
        rf"(?:\b|_)(?:password|passwd|passcode|pwd|pin){_OF}{_SIGN}({_HIDDEN})",
        0.6,
        _is_password,
        case=False,
        edged=True,
    ),
    Kind("password", rf"@[a-z0-9.-]{{4,64}} ?[/:|] ?({_HIDDEN})", 0.6, _is_password, edged=True),
    Kind(
        "username",
        rf"(?:\b|_)(?:username|userid|user id|login id|user name){_SIGN}({_NAME})",
        0.6,
        _is_password,
        edged=True,
    ),
    _label("age", r"\baged?|years of age|turn(?:ed|s|ing)?|just turned", r"\d{1,3}", 0.6, 1),
    _label("phone", r"phone|mobile|cell|tel|fax|whatsapp", r"\+?\(?\d[\d ().-]{5,18}\d", 0.6, 7),
)
