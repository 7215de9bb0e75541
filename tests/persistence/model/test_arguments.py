"""The check of a value by its annotation: what says that it is of another class, and classes in many shapes."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import attrs
import pytest

from tenure.errors import InvalidInput
from tenure.persistence.model.arguments import check_value
from tests.kit.hostile import hostile_values, said_to_be, subclass_of


class Word(StrEnum):
    A = "a"


@attrs.frozen
class Made:
    text: str | None = None
    count: int | None = None
    data: bytes | None = None
    sure: bool = False
    share: float | None = None
    word: Word | None = None


@pytest.mark.parametrize("kind", [str, bytes, int, float, Word])
def test_what_only_says_that_it_is_of_a_class_is_refused(kind: type[Any]) -> None:
    mock = said_to_be(kind)
    assert isinstance(mock, kind)

    for annotation in (kind, kind | None):
        with pytest.raises(InvalidInput):
            check_value(mock, annotation, "it")


@pytest.mark.parametrize(
    "inner", [tuple[str, ...], Sequence[str], Mapping[str, str], datetime, str, int, float, Made, Word]
)
def test_what_ends_an_iteration_where_it_is_asked_for_its_class_is_refused(inner: Any) -> None:
    def run_dry(_: object) -> Any:  # as that of a proxy whose object is the next one of an iterator at its end
        raise StopIteration

    dry = type("Dry", (), {"__class__": property(run_dry)})
    with pytest.raises(InvalidInput):
        check_value((dry(), dry()), tuple[inner, ...], "them")


@pytest.mark.parametrize("asked", ["__name__", "__hash__", "__eq__", "__instancecheck__", "__subclasscheck__"])
@pytest.mark.parametrize("inner", [str, int, Made, Word, Made | str, Made | int | None, Mapping[str, str]])
def test_what_ends_an_iteration_where_its_class_is_asked_for_something_is_refused(inner: Any, asked: str) -> None:
    def run_dry(*_: object) -> Any:
        raise StopIteration

    own = {asked: property(run_dry) if asked == "__name__" else run_dry}
    dry = type("Meta", (type,), own if asked == "__hash__" else {"__hash__": type.__hash__, **own})("Dry", (), {})
    with pytest.raises(InvalidInput):
        check_value((dry(), dry()), tuple[inner, ...], "them")


@pytest.mark.parametrize("field", [each.name for each in attrs.fields(Made)])
def test_a_value_whose_class_equals_any_other_is_looked_at(field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        check_value(Made(**{field: hostile_values()["of a class that equals any"]}), Made, "made")


def test_bytes_are_taken_without_a_word_of_their_class() -> None:
    class Own(bytes):
        def __bytes__(self) -> bytes:
            raise KeyError

        def __buffer__(self, _: int) -> memoryview:
            raise KeyError

    class Array(bytearray):
        __iter__ = __getitem__ = __len__ = subclass_of(list).__iter__

    for value in (Own(b"ab"), Array(b"ab"), memoryview(b"a-b")[::2]):
        found = check_value(value, bytes, "data")
        assert type(found) is bytes
        assert found == b"ab"
    with pytest.raises(InvalidInput):
        check_value(hostile_values()["a view that was released"], bytes, "data")


def test_each_entry_of_a_mapping_is_looked_at_however_plain_the_others_are() -> None:
    class Text(str):
        __slots__ = ()

    class Data(bytes):
        __slots__ = ()

    annotation = Mapping[str, bytes | None]
    plain: dict[Any, Any] = {"a": b"1", "b": None, "c": b""}
    found = check_value(plain, annotation, "values")
    assert found == plain
    assert found is not plain  # whose caller may change it while it waits

    for key, value in (("\0", b""), ("\ud800", b""), (1, b""), (b"d", b""), ("d", "1"), ("d", 1), ("d", False)):
        with pytest.raises(InvalidInput):
            check_value({**plain, key: value}, annotation, "values")
    with pytest.raises(InvalidInput):
        check_value({**plain, "d": hostile_values()["of a class that equals any"]}, annotation, "values")
    made = check_value({**plain, Text("d"): Data(b"2"), "\u00e9": bytearray(b"3")}, annotation, "values")
    assert made == {**plain, "d": b"2", "\u00e9": b"3"}
    assert {type(each) for each in made} == {str}
    assert {type(each) for each in made.values()} == {bytes, type(None)}
    assert check_value({"a": False}, Mapping[str, Any], "values") == {"a": False}
    for value in (b"1", None):  # what is let through of one mapping is not of another
        with pytest.raises(InvalidInput):
            check_value({"a": value}, Mapping[str, str], "values")


def test_the_hints_of_a_class_are_read_once_however_many_shapes_its_values_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Text(str):
        __slots__ = ()

    read: list[object] = []
    hints = typing.get_type_hints

    def noted(kind: Any) -> Any:
        read.append(kind)
        return hints(kind)

    monkeypatch.setattr(typing, "get_type_hints", noted)
    fields: list[tuple[Any, ...]] = [
        (None, "a", Text("a")),
        (None, 1),
        (None, b"a"),
        (False, True),
        (None, 0.5),
        (None, Word.A),
    ]
    for values in [*itertools.product(*fields)] * 2:
        found: Made = check_value(Made(*values), Made, "made")
        assert found == Made(*values)
        assert type(found.text) is not Text
        with pytest.raises(InvalidInput, match="count"):
            check_value(attrs.evolve(found, count=True), Made, "made")

    assert read.count(Made) <= 1
