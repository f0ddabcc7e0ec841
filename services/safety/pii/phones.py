"""Telephone numbers, by their shape."""

from services.safety.pii.kind import Kind

CONTEXT = (
    r"phone|mobile|cell|\bfax|\btel|call me|call on|called?\b|contact|dial|desk|office|"
    r"whatsapp|sms|text me|reach|ring|telefon|handy|cep\b|num.ro|hotline|registered"
)
_GAP = r"[ .\-/]"
_MORE = rf"(?:{_GAP}{{1,2}}\d{{1,6}}|{_GAP}?\(0?\d{{1,4}}\))"
_EXTENSION = r"(?: ?(?:x|ext\.?|extension) ?\d{1,6})?"


def _enough(number: str) -> bool:
    return 6 <= sum(map(str.isdigit, number)) <= 18  # noqa: PLR2004


def _with_sign(pattern: str, score: float) -> Kind:
    """Return the kind of number that begins with a sign, where no word's edge is."""
    return Kind("phone", rf"(?:^|[^\w+(])({pattern})\b", score, _enough, CONTEXT, edged=True)


KINDS = (
    # With the country's code.
    _with_sign(rf"\+\(?\d{{1,4}}\)?(?:{_MORE}|\d){{1,14}}{_EXTENSION}", 0.75),
    # With a blank behind the sign, in groups, and behind no number: or it is a sum.
    Kind(
        "phone",
        rf"(?:^|[^\w+()\s]|[^\d)\s]\s{{1,4}})"
        rf"(\+ \(?\d{{1,6}}\)?{_MORE}(?:{_MORE}|\d){{0,13}}{_EXTENSION})\b",
        0.7,
        _enough,
        CONTEXT,
        edged=True,
    ),
    Kind(
        "phone", rf"00\d{{1,3}}(?:{_GAP}{{1,2}}\d{{1,6}}){{2,6}}{_EXTENSION}", 0.6, _enough, CONTEXT
    ),
    # With the area's in parentheses.
    _with_sign(rf"\(\+?\d{{1,5}}\){_GAP}?\d{{2,5}}(?:{_GAP}\d{{2,5}}){{0,4}}{_EXTENSION}", 0.7),
    # North America's, and what else has four groups or begins with the trunk's zero.
    Kind(
        "phone",
        rf"(?:1{_GAP})?[2-9]\d{{2}}{_GAP}\d{{3}}{_GAP}\d{{4}}{_EXTENSION}",
        0.65,
        None,
        CONTEXT,
    ),
    Kind("phone", rf"0\d{{1,4}}(?:{_GAP}\d{{2,4}}){{2,4}}", 0.6, _enough, CONTEXT),
    Kind("phone", rf"0\d{{1,4}}[ \-/]\d{{5,8}}{_EXTENSION}", 0.5, _enough, CONTEXT),
    Kind("phone", r"0[1-9]\d{8,9}", 0.52, None, CONTEXT),
    Kind("phone", rf"\d{{1,4}}(?:[ .\-]\d{{2,4}}){{2,5}}{_EXTENSION}", 0.3, _enough, CONTEXT),
    Kind("phone", rf"\d{{2,5}}[ \-]\d{{3,7}}{_EXTENSION}", 0.2, _enough, CONTEXT),
    Kind("phone", r"[1-9]\d{6,11}(?:x\d{1,6})?", 0.2, None, CONTEXT),
)
