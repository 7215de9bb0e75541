"""The promises that every error keeps, whatever it says."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import typing

import pytest

from tenure import errors
from tenure.errors import Error

ABSTRACT = {"Error", "StoreError", "WriteFailed", "ReadFailed", "Unreadable"}
RETRYABLE = {"Contended", "DiskFull", "InboxFull", "NoDescriptor", "NoThread", "RuntimeOwned", "StoreLocked"}
# The list of design §17, so that no promised name goes missing.
PROMISED = """
    StoreError WriteFailed ReadFailed
    Corrupt NotFound Unsupported Internal SessionKeyMismatch TranscriptRevisionConflict
    SnapshotSuperseded ContinuityViolation DuplicateReceipt HeadRevisionConflict TurnCommitConflict
    QueuedWorkClaimExpired SessionBindingMismatch UnsupportedReadScope SchemaMismatch CursorConflict
    CounterOverflow IdempotencyConflict StaleFence RuntimeOwned RuntimeDestroyed UnknownKind
    KindMismatch OlderVersion InvalidSnapshot InvalidTransition NotAccepting InvalidInput PayloadTooLarge
    InboxFull StepMismatch OperationRejected FeedGap DiskFull StoreBroken Contended Closed
"""
# What a caller may catch them as; every other concrete class is a WriteFailed.
UNREADABLE = {"Corrupt", "KeyMissing", "WrongKey"}
READ_FAILED = {"SchemaMismatch", "UnsupportedReadScope", "FeedGap", "PositionGone"}
STORE_WIDE = {
    "Internal",
    "NetworkFileSystem",
    "NotADatabase",
    "NotFound",
    "StoreBroken",
    "CannotOpen",
    "NoDescriptor",
    "NoThread",
    "StoreLocked",
    "StorePromoted",
    "PromotionUnfinished",
    "UnsafeSqlite",
    "Unsupported",
    "WeakDurability",
}
MISUSE = {
    "AskCycle",
    "AskFailed",
    "ChildExists",
    "Closed",
    "InvalidInput",
    "RunEnded",
    "StepFailed",
    "StepMismatch",
    "UnknownKind",
}


def subclasses(cls: type[Error]) -> list[type[Error]]:
    return [cls, *(found for child in cls.__subclasses__() for found in subclasses(child))]


CLASSES = {cls.__name__: cls for cls in subclasses(Error) if cls.__module__ == errors.__name__}
CONCRETE = {name: cls for name, cls in CLASSES.items() if name not in ABSTRACT}


def sample_fields(cls: type[Error]) -> dict[str, object]:
    """Give every field a value of its own, so that two swapped fields are noticed."""
    hints = typing.get_type_hints(cls)
    values: dict[str, object] = {}
    for position, name in enumerate(inspect.signature(cls).parameters):
        kinds = set(typing.get_args(hints[name])) or {hints[name]}
        if str in kinds:
            values[name] = f"the {name}"
        else:
            values[name] = True if bool in kinds else 100 + position
    return values


def build(cls: type[Error], fields: dict[str, object]) -> Error:
    return typing.cast("typing.Callable[..., Error]", cls)(**fields)


every_concrete_class = pytest.mark.parametrize("cls", CONCRETE.values(), ids=list(CONCRETE))


def read_fields(error: Error, names: typing.Iterable[str]) -> dict[str, object]:
    return {name: getattr(error, name) for name in names}


@every_concrete_class
def test_the_fields_are_keyword_only_typed_and_kept_as_attributes(cls: type[Error]) -> None:
    parameters = inspect.signature(cls).parameters
    assert {each.kind for each in parameters.values()} <= {inspect.Parameter.KEYWORD_ONLY}
    assert set(parameters) <= set(typing.get_type_hints(cls))
    fields = sample_fields(cls)
    assert read_fields(build(cls, fields), fields) == fields


@every_concrete_class
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_round_trip_keeps_class_fields_message_and_notes(cls: type[Error], protocol: int) -> None:
    fields = sample_fields(cls)
    error = build(cls, fields)
    error.add_note("seen on Tuesday")
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is cls
    assert read_fields(again, fields) == fields
    assert str(again) == str(error)
    assert again.__notes__ == ["seen on Tuesday"]


@every_concrete_class
@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
def test_a_copy_is_another_error_with_the_same_fields(
    cls: type[Error], copier: typing.Callable[[Error], Error]
) -> None:
    fields = sample_fields(cls)
    error = build(cls, fields)
    again = copier(error)
    assert type(again) is cls
    assert read_fields(again, fields) == fields
    assert str(again) == str(error)
    assert again is not error


@every_concrete_class
def test_a_field_that_is_missing_or_unknown_is_refused(cls: type[Error]) -> None:
    fields = sample_fields(cls)
    with pytest.raises(TypeError):
        build(cls, fields | {"no_such_field": 1})
    if any(each.default is inspect.Parameter.empty for each in inspect.signature(cls).parameters.values()):
        with pytest.raises(TypeError):
            build(cls, {})


def test_a_note_added_to_a_copy_does_not_appear_on_the_original() -> None:
    error = errors.Closed(what="store")
    error.add_note("first")
    copy.copy(error).add_note("second")
    assert error.__notes__ == ["first"]


@every_concrete_class
def test_two_errors_with_equal_fields_are_not_equal(cls: type[Error]) -> None:
    fields = sample_fields(cls)
    error = build(cls, fields)
    assert error == error  # noqa: PLR0124
    assert error != build(cls, fields)


@every_concrete_class
def test_the_message_is_one_sentence_that_says_what_happened_and_what_to_do(
    cls: type[Error],
) -> None:
    message = str(build(cls, sample_fields(cls)))
    happened, found, advice = message.rpartition("; ")
    assert found
    assert happened
    assert advice
    assert "\n" not in message
    assert not message.endswith(".")


@every_concrete_class
def test_the_repr_builds_the_error_again(cls: type[Error]) -> None:
    fields = sample_fields(cls)
    again = eval(repr(build(cls, fields)), dict(vars(errors)))
    assert type(again) is cls
    assert read_fields(again, fields) == fields


@every_concrete_class
def test_a_class_says_whether_a_retry_may_help(cls: type[Error]) -> None:
    assert cls.retryable is (cls.__name__ in RETRYABLE)


@pytest.mark.parametrize("name", sorted(ABSTRACT))
def test_an_abstract_class_cannot_be_raised(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is abstract"):
        CLASSES[name]()
    assert not hasattr(CLASSES[name], "message")


@every_concrete_class
def test_each_concrete_class_is_caught_as_what_it_is(cls: type[Error]) -> None:
    expected: type[Error] = errors.WriteFailed
    if cls.__name__ in UNREADABLE:
        expected = errors.Unreadable
    elif cls.__name__ in READ_FAILED:
        expected = errors.ReadFailed
    elif cls is errors.StoreMoved:
        expected = errors.StoreBroken
    elif cls.__name__ in STORE_WIDE:
        expected = errors.StoreError
    elif cls.__name__ in MISUSE:
        expected = Error
    assert cls.__bases__ == (expected,)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        found = re.fullmatch(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+(?:, [A-Z]\w+)*),?( \(abstract\))?", line)
        if found is None:
            continue
        branch, names, abstract = found.groups()
        path = [*path[: len(branch) // 4], names]
        for name in names.split(", "):
            assert name not in drawn
            assert bool(abstract) == (name in ABSTRACT)
            drawn[name] = path[-2] if len(path) > 1 else "Exception"
    assert drawn == {name: cls.__bases__[0].__name__ for name, cls in CLASSES.items()}


def test_every_promised_name_is_there() -> None:
    assert set(PROMISED.split()) <= set(CLASSES)


@pytest.mark.parametrize("cls", CLASSES.values(), ids=list(CLASSES))
def test_a_docstring_names_only_classes_that_exist(cls: type[Error]) -> None:
    named = re.findall(r"`([A-Z]\w+)`", cls.__doc__ or "")
    assert set(named) - {cls.__name__} <= set(CLASSES)
    if cls.__name__ in CONCRETE and cls is not errors.Internal:
        assert named, "a docstring tells how the error differs from its neighbour"


def test_an_error_keeps_its_cause() -> None:
    cause = OSError("no space")
    with pytest.raises(errors.DiskFull) as caught:
        raise errors.DiskFull from cause
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("kind", [errors.StoreBroken, errors.StoreMoved])
def test_a_broken_store_sends_only_a_commit_in_doubt_to_its_verdict(kind: type[errors.StoreBroken]) -> None:
    known = kind(incarnation="i", group=None, in_doubt=False, detail="fsync failed")
    doubt = kind(incarnation="i", group=7, in_doubt=True, detail="fsync failed")
    assert "did not land" in str(known)
    assert "verdict of group 7" in str(doubt)


def test_invalid_input_may_be_about_the_call_as_a_whole() -> None:
    assert errors.InvalidInput(detail="nothing to do").field is None
    assert str(errors.InvalidInput(detail="it is empty", field="name")).startswith("name is not")
