"""Text in languages that may not pass is found; what is too short to tell is not."""

# ruff: noqa: RUF001 - other scripts are what this is about.

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.config.v1 import safety_pb2
from services.safety.detector import Source, Text
from services.safety.language import language

ENGLISH = "The museum on the harbour is open every day, and children pay only half of the price."
SENTENCES = {
    "de": "Das Museum am Hafen ist jeden Tag geöffnet, und Kinder zahlen nur den halben Preis.",
    "fr": "Le musée du port est ouvert tous les jours, et les enfants paient la moitié du prix.",
    "es": "El museo del puerto abre todos los días, y los niños pagan solo la mitad del precio.",
    "it": "Il museo del porto è aperto ogni giorno, e i bambini pagano solo la metà del prezzo.",
    "pt": "O museu do porto abre todos os dias, e as crianças pagam só a metade do preço.",
    "nl": "Het museum aan de haven is elke dag open, en kinderen betalen maar de helft.",
    "pl": "Muzeum w porcie jest otwarte codziennie, a dzieci płacą tylko połowę ceny.",
    "tr": "Limandaki müze her gün açıktır ve çocuklar fiyatın yalnızca yarısını öder.",
    "ru": "Музей в порту открыт каждый день, а дети платят только половину цены.",
    "ar": "المتحف في الميناء مفتوح كل يوم، ويدفع الأطفال نصف السعر فقط.",
    "hi": "बंदरगाह पर संग्रहालय हर दिन खुला रहता है और बच्चे केवल आधी कीमत देते हैं।",
    "zh": "港口的博物馆每天开放，儿童只需付一半的票价。",
    "ja": "港の博物館は毎日開いていて、子供は半額です。",
    "ko": "항구에 있는 박물관은 매일 열려 있고 어린이는 반값만 냅니다.",
}


def found(raw: str, *languages: str) -> list[tuple[int, int, str]]:
    detector = language(safety_pb2.LanguageDetector(languages=languages))
    findings = detector.find(Text(raw, Source.USER))
    return [(f.start, f.end, f.category) for f in findings if f.score >= detector.threshold]


@pytest.mark.parametrize("code", SENTENCES)
def test_a_language_that_may_not_pass_is_found(code: str) -> None:
    sentence = SENTENCES[code]
    assert found(sentence, "en") == [(0, len(sentence), code)]


@pytest.mark.parametrize("code", SENTENCES)
def test_one_that_may_pass_is_not(code: str) -> None:
    assert found(SENTENCES[code], "en", code) == []
    assert found(ENGLISH, "en", code) == []


@pytest.mark.parametrize(
    "raw",
    ["", "ok", "hello world", "ciao", "x = f(3) + 2", "4111 1111 1111 1111", "👍👍👍", "\ud800"],
)
def test_what_is_too_short_to_tell_is_not_found(raw: str) -> None:
    assert found(raw, "en") == []


def test_what_is_hidden_in_a_long_text_is_found() -> None:
    raw = ENGLISH * 20 + SENTENCES["zh"] * 12 + ENGLISH * 20
    spans = found(raw, "en")
    middle = raw.index(SENTENCES["zh"]) + 140
    assert any(start <= middle < end and code == "zh" for start, end, code in spans)
    assert all(end > len(ENGLISH) * 19 for _, end, _ in spans)


def test_a_language_that_cannot_be_told_is_named() -> None:
    with pytest.raises(ValueError, match="'xx' cannot be told"):
        language(safety_pb2.LanguageDetector(languages=["en", "xx"]))


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_can_be_judged(raw: str) -> None:
    detector = language(safety_pb2.LanguageDetector(languages=["en"]))
    for finding in detector.find(Text(raw, Source.USER)):
        assert 0 <= finding.start < finding.end <= len(raw)
        assert 0 <= finding.score <= 1


def test_a_megabyte_is_no_burden() -> None:
    found("a" * 1_000_000, "en")
