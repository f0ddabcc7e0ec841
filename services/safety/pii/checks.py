"""The check digits of numbers that carry them. Each takes a number without its separators."""

from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import sha256

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# Verhoeff's tables: the dihedral group's product, and the permutation of each position.
_VERHOEFF_PRODUCT = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_VERHOEFF_PERMUTATION = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_RESIDUES = (1, 0x2BC830A3)  # BIP 173 and, since taproot, BIP 350


def digits(number: str) -> list[int]:
    """Return a number's digits, whatever stands between them."""
    return [int(character) for character in number if character.isdigit()]


def weighted(values: Iterable[int], weights: Sequence[int]) -> int:
    """Return the sum of the values, each times its weight."""
    return sum(value * weight for value, weight in zip(values, weights, strict=False))


def cross(value: int) -> int:
    """Return the sum of the digits of a number below 100."""
    return value // 10 + value % 10


def luhn(number: str) -> bool:
    """Return whether Luhn's sum (ISO/IEC 7812-1) is a multiple of 10."""
    values = digits(number)[::-1]
    return not (sum(values[::2]) + sum(cross(2 * value) for value in values[1::2])) % 10


def verhoeff(number: str) -> bool:
    """Return whether Verhoeff's check digit is right."""
    state = 0
    for position, digit in enumerate(digits(number)[::-1]):
        state = int(_VERHOEFF_PRODUCT[state][int(_VERHOEFF_PERMUTATION[position % 8][digit])])
    return state == 0


def mod_97(number: str) -> bool:
    """Return whether an IBAN's check digits are right (ISO 7064, MOD 97-10)."""
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97 == 1


def mod_11_10(number: str) -> bool:
    """Return whether the last digit is right by ISO 7064, MOD 11,10."""
    product = 10
    *front, last = digits(number)
    for digit in front:
        product = 2 * ((digit + product) % 10 or 10) % 11
    return (11 - product) % 10 == last


def icao(document: str) -> bool:
    """Return whether a travel document's last digit is right (ICAO 9303: weights 7, 3, 1)."""
    values = [int(character, 36) for character in document[:-1]]
    last = document[-1]
    return last.isdigit() and weighted(values, (7, 3, 1) * 5) % 10 == int(last)


def is_day(year: int, month: int, day: int) -> bool:
    """Return whether there is such a day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def is_day_of_century(number: str) -> bool:
    """Return whether six digits are a day as YYMMDD in this century or the last."""
    year, month, day = int(number[:2]), int(number[2:4]), int(number[4:6])
    return is_day(1900 + year, month, day) or is_day(2000 + year, month, day)


def base58(address: str) -> bool:
    """Return whether a Bitcoin address in base 58 holds its own checksum."""
    value = 0
    for character in address:
        value = value * 58 + _BASE58.index(character)
    if value.bit_length() > 8 * 25:
        return False
    raw = value.to_bytes(25, "big")
    return sha256(sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def bech32(address: str) -> bool:
    """Return whether a segregated-witness address holds its own checksum."""
    prefix, _, data = address.lower().rpartition("1")
    if any(character not in _BECH32 for character in data):
        return False
    high = [ord(character) >> 5 for character in prefix]
    low = [ord(character) & 31 for character in prefix]
    residue = 1
    for value in [*high, 0, *low, *map(_BECH32.index, data)]:
        top = residue >> 25
        residue = (residue & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATOR):
            residue ^= generator if top >> bit & 1 else 0
    return residue in _BECH32_RESIDUES
