"""Cards, accounts and wallets."""

from services.safety.pii.checks import base58, bech32, luhn, mod_97, weighted
from services.safety.pii.kind import Kind

# How long an IBAN is, by country (SWIFT's registry).
IBAN_LENGTHS = {
    **dict.fromkeys(["NO"], 15),
    **dict.fromkeys(["BE", "BI"], 16),
    **dict.fromkeys(["DK", "FI", "FK", "FO", "GL", "NL", "SD"], 18),
    **dict.fromkeys(["MK", "SI"], 19),
    **dict.fromkeys(["AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"], 20),
    **dict.fromkeys(["CH", "HR", "LI", "LV"], 21),
    **dict.fromkeys(["BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"], 22),
    **dict.fromkeys(["AE", "GI", "IL", "IQ", "OM", "SO", "TL"], 23),
    **dict.fromkeys(["AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"], 24),
    **dict.fromkeys(["LY", "PT", "ST"], 25),
    **dict.fromkeys(["IS", "TR"], 26),
    **dict.fromkeys(["BF", "BJ", "CI", "CM", "DJ", "FR", "GR", "IT", "MC", "MR", "SM", "SN"], 27),
    **dict.fromkeys(["AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"], 28),
    **dict.fromkeys(["BR", "EG", "PS", "QA", "UA"], 29),
    **dict.fromkeys(["JO", "KW", "MU", "YE"], 30),
    **dict.fromkeys(["MT", "SC"], 31),
    **dict.fromkeys(["LC"], 32),
    **dict.fromkeys(["RU"], 33),
}


def iban(number: str) -> bool:
    """Return whether an IBAN has its country's length and the right check digits."""
    return IBAN_LENGTHS.get(number[:2]) == len(number) and mod_97(number)


def card(number: str) -> bool:
    """Return whether a card's number has an issuer's beginning, and the right check digit."""
    return number[0] in "123456" and len(set(number)) > 1 and luhn(number)


def _routing(number: str) -> bool:
    return weighted(map(int, number), (3, 7, 1) * 3) % 10 == 0 and int(number[:2]) in _DISTRICTS


# The first two digits: a Federal Reserve district, thrifts, electronic, traveller's cheques.
_DISTRICTS = {*range(1, 13), *range(21, 33), *range(61, 73), 80}


KINDS = (
    Kind(
        "routing_number", r"\d{9}|\d{4}-\d{4}-\d", 0.54, _routing, r"routing|aba\b|rtn|bank|transit"
    ),
    Kind("bank_account", r"\d{8,17}", 0.2, None, r"account|acct|bank|deposit|saving|check|debit"),
    Kind("crypto_wallet", r"[13][1-9A-HJ-NP-Za-km-z]{25,34}", 0.95, base58, case=True),
    Kind("crypto_wallet", r"bc1[02-9ac-hj-np-z]{11,71}", 0.95, bech32),
    Kind("crypto_wallet", r"0x[0-9a-f]{40}", 0.6, None, r"wallet|eth|address|send"),
    Kind(
        "bank_code", r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", 0.1, None, r"swift|\bbic\b", case=True
    ),
)
