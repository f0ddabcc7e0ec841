"""Characters that look like a Latin letter, and are none that NFKC would turn into it."""

# ruff: noqa: RUF001 - what this file lists is ambiguous.

_LATIN = "abcdefghijklmnopqrstuvwxyz"

# Each line: look-alikes, and the letters that they look like, place by place.
_LOOK_ALIKES = (
    # Cyrillic.
    ("аеорсухіјѕһԁԛԝьгкмтпигвнԍӏѡүҽ", "aeopcyxijshdqwbrkmtnurbhgiwye"),
    ("АВЕЅІЈКМНОРСТУХԌԚԜҮЗЬ", "ABESIJKMHOPCTYXGQWYEB"),
    # Greek.
    ("αβγεικνορτυχωηςσμ", "abyeikvoptuxwnsou"),
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϺ", "ABEZHIKMNOPTYXCM"),
    # Armenian.
    ("օոսհցյզքԼՕՏՍ", "onuhgjqpLOSU"),
    # Cherokee.
    ("ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᎩᏃ", "ABCDEGHIJKLMPRSTVWYZ"),
    # Lisu.
    ("ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ", "ABCDEFGHIJKLMNOPRSTUVWXYZ"),
    # Small capitals.
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz"),
    # Phonetic and turned letters, strokes and hooks.
    ("ɑɐƃɓƈɔɖɗǝəɛƒɡɠɥɦıɩɨᴉɾʝƙʞłɭ", "aabbccddeeefgghhiiiijjkkll"),
    ("ɯɱɲŋøɵƥɋɹɽʂʇƭƫʉʌʋʍɣʎƴʐƶ", "mmnnoopqrrstttuvvwyyyzz"),
    ("ÐĐƎØŁŦ", "DDEOLT"),
    # Signs for letters: parenthesised, in squares, of flags.
    *(
        ("".join(map(chr, range(first, first + len(_LATIN)))), _LATIN)
        for first in (0x1F110, 0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
    ),
)  # fmt: skip

TABLE = {
    ord(look_alike): letter
    for look_alikes, letters in _LOOK_ALIKES
    for look_alike, letter in zip(look_alikes, letters, strict=True)
}
"""For `str.translate`."""
