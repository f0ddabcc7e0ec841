"""The rules of validation that are kept here are numbered as in the library that reads them."""

from protovalidate._gen.buf.validate import validate_pb as library

from buf.validate import validate_pb2 as ours


def test_every_field_that_is_kept_has_the_number_that_the_library_reads() -> None:
    theirs = {message.name: message for message in library.desc().messages}
    for name, message in ours.DESCRIPTOR.message_types_by_name.items():
        numbers = {field.name: field.number for field in theirs[name].fields}
        kept = {field.name: field.number for field in message.fields}
        assert kept.items() <= numbers.items(), name


def test_every_option_that_is_kept_has_the_number_that_the_library_reads() -> None:
    theirs = {extension.name: extension.number for extension in library.desc().extensions}
    kept = {
        name: extension.number for name, extension in ours.DESCRIPTOR.extensions_by_name.items()
    }
    assert kept
    assert kept.items() <= theirs.items()
