"""The surface of a question: courtesy, contractions, case, punctuation, slips of the keyboard."""

import random
import re

BEFORE = (
    "please", "hi,", "hello,", "hey,", "ok,", "so", "and", "well,", "now", "question:", "tell me,",
    "quick question:", "i have a question:", "sorry,", "pocket,", "just", "also,", "hey pocket,",
    "i wonder,", "say,", "can you tell me", "could you tell me", "do you know", "please tell me",
    "i want to know", "i'd like to know", "hello!", "hi!", "excuse me,", "thanks.", "one more:",
)  # fmt: skip
AFTER = (
    "please", ", please", "thanks", ", thank you", "exactly", "again", "for me", "pls", "now",
    ", i am new here", "in short", "then", "by default", "briefly", "actually", ", do you know",
)  # fmt: skip
CONTRACTIONS = {
    "what is": "what's", "do not": "don't", "does not": "doesn't", "cannot": "can't",
    "i am": "i'm", "i would": "i'd", "is not": "isn't", "who is": "who's", "where is": "where's",
    "how is": "how's", "that is": "that's", "what are": "what're", "could you": "cld you",
    "you": "u", "are": "r", "please": "pls", "i have": "i've", "i want to": "i wanna",
}  # fmt: skip
PROPER = {
    "catenary": "Catenary", "envoy": "Envoy", "triton": "Triton", "openvino": "OpenVINO",
    "genai": "GenAI", "grpc": "gRPC", "nvidia": "NVIDIA", "openai": "OpenAI", "python": "Python",
    "qdrant": "Qdrant", "minilm": "MiniLM", "prometheus": "Prometheus", "json": "JSON",
    "opentelemetry": "OpenTelemetry", "tensorrt-llm": "TensorRT-LLM", "http": "HTTP", "i": "I",
    "llm": "LLM", "api": "API", "gpu": "GPU", "cpu": "CPU", "ttft": "TTFT", "itl": "ITL",
    "kv": "KV", "ctrl-c": "Ctrl-C", "redis": "Redis", "kubernetes": "Kubernetes", "i'm": "I'm",
    "pii": "PII", "jwt": "JWT", "url": "URL", "vllm": "vLLM", "france": "France", "paris": "Paris",
}  # fmt: skip
ASKING = re.compile(
    r"(what|which|who|where|when|why|how|is|are|do|does|can|could|may|must|should|will)\b"
)
SMALL = {"the", "a", "an", "is", "are", "do", "does", "of", "to", "in", "i", "it"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def typed(text: str, chance: random.Random) -> str:
    """Return `text` as some person might type it."""
    asking = ASKING.match(text) is not None
    if chance.random() < 0.2:
        text = f"{chance.choice(BEFORE)} {text}"
    if chance.random() < 0.1:
        text = f"{text} {chance.choice(AFTER)}".replace(" ,", ",")
    if chance.random() < 0.25:
        text = contracted(text, chance)
    if chance.random() < 0.06:
        text = shortened(text, chance)
    if chance.random() < 0.12:
        text = slipped(text, chance)
    return punctuated(cased(text, chance), chance, asking=asking)


def contracted(text: str, chance: random.Random) -> str:
    """Shorten one common phrase."""
    found = [long for long in CONTRACTIONS if re.search(rf"\b{long}\b", text)]
    if not found:
        return text
    long = chance.choice(found)
    return re.sub(rf"\b{long}\b", CONTRACTIONS[long], text, count=1)


def shortened(text: str, chance: random.Random) -> str:
    """Drop one small word."""
    words = text.split(" ")
    small = [index for index, word in enumerate(words) if word in SMALL]
    if small and len(words) > 2:
        del words[chance.choice(small)]
    return " ".join(words)


def slipped(text: str, chance: random.Random) -> str:
    """Mistype one letter of one longer word: swap, drop, double or replace it."""
    words = text.split(" ")
    longer = [index for index, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not longer:
        return text
    index = chance.choice(longer)
    word = words[index]
    at = chance.randrange(1, len(word) - 1)
    before, here, after = word[:at], word[at], word[at + 1 :]
    slips = (
        before + after[0] + here + after[1:],
        before + after,
        before + here + here + after,
        before + chance.choice(LETTERS) + after,
    )
    words[index] = chance.choice(slips)
    return " ".join(words)


def cased(text: str, chance: random.Random) -> str:
    """Choose upper and lower case."""
    kind = chance.random()
    if kind < 0.35:
        return text
    if kind < 0.38:
        return text.upper()
    if kind < 0.9:
        names = chance.choice((0, 0, 0.1, 0.4))  # the share of other words that get a capital too
        text = re.sub(
            r"[\w'-]+", lambda word: named(word[0], capital=chance.random() < names), text
        )
    return text[0].upper() + text[1:]


def named(word: str, *, capital: bool) -> str:
    """Return `word` with the capitals of its name, or with a first one if `capital`."""
    return PROPER.get(word, word[0].upper() + word[1:] if capital else word)


def punctuated(text: str, chance: random.Random, *, asking: bool) -> str:
    """End with a mark or with none."""
    if text[-1] in "?!.:)":
        return text
    marks = (
        ("?", "?", "?", "?", "", "", "??", " ?", ".") if asking else ("", "", ".", ".", "?", "!")
    )
    return text + chance.choice(marks)
