"""Users' own classes and JSON: attrs, dataclasses, pydantic models, and what a behaviour's own hooks know (design §19).

An instance becomes a JSON value, and a JSON value an instance again, by cattrs; a pydantic model does both itself. pydantic is
never imported: a class of its is known by its base.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal, cast, final, get_args, get_type_hints
from weakref import WeakKeyDictionary

import attrs
from cattrs import transform_error
from cattrs.errors import BaseValidationError, StructureHandlerNotFoundError
from cattrs.preconf.json import make_converter
from cattrs.v import format_exception

from tenure.errors import InvalidInput
from tenure.persistence.model import codec
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.codec import dump_model, is_model
from tenure.persistence.model.events.lossless import take_without_loss
from tenure.persistence.model.numbers import (
    shown,
)
from tenure.persistence.model.texts import named, text_of

from .instances import check_keys, check_made, hides_keys, keys_of, parts_of, resolve

Extra = Literal["ignore", "forbid"]
"""What becomes of fields that a class does not know."""

EncodeHook = Callable[[Any], Any]
"""Gives the JSON value of an instance that has none by itself."""

DecodeHook = Callable[[type[Any], Any], Any]
"""Makes an instance of a class of a JSON value."""

_NONE: Final = object()


class Misfit(Exception):
    """A value is not what a class takes; said without the value."""


@final
class Classes:
    """Makes JSON of instances, and instances of JSON, in the way of one behaviour.

    Attributes:
        encode_hook: The behaviour's own, for instances that have no JSON form; or None.
    """

    def __init__(
        self, *, extra: Extra = "ignore", encode: EncodeHook | None = None, decode: DecodeHook | None = None
    ) -> None:
        """With the hooks of the behaviour, for what neither JSON nor cattrs knows."""
        self.encode_hook = encode
        self._decode_hook = decode
        self._results: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._converter = make_converter(
            forbid_extra_keys=extra == "forbid",
            detailed_validation=True,
            structure_fallback_factory=self._unknown,
        )
        take_without_loss(self._converter)
        self._converter.register_unstructure_hook_func(is_model, dump_model)
        self._converter.register_structure_hook_func(is_model, _make_model)
        self._converter.register_unstructure_hook_factory(_has_numbers_for_keys, self._with_keys_of_text)

    def encode(self, value: object, field: str) -> bytes:
        """Encode a value, instances included. Raises `InvalidInput`, which names the field, where it has no JSON form."""
        return codec.encode(value, field, self.encode_hook)

    def plain(self, value: object, cls: Any = None) -> object:
        """A value as the class of its instances writes it: what JSON has no form for is in one that its class reads.

        `cls` says what it is, where the value does not.
        """
        return self._converter.unstructure(value, unstructure_as=cls)

    def plain_result(self, value: object, cls: Any) -> object:
        """As `plain`, of what a function says that it returns: of a mapping it may say that its keys are numbers."""
        with suppress(Exception):  # it returned something else, which is found where that is made an instance
            if hides_keys(cls):
                return self.plain(value, cls)
        return self.plain(value)

    def check(self, cls: Any, field: str) -> None:
        """Raises `InvalidInput` where nothing can be made of this class, now and not at its first value."""
        self._check(cls, (cls,), field)

    def check_parts(self, cls: Any, field: str) -> None:
        """As `check`, of all that instances are made of, also where their first value may come late.

        Raises:
            InvalidInput: Nothing can be made of one of them; or a mapping has keys that no JSON object has.
        """
        self._check(cls, parts_of(cls), field)

    def _check(self, cls: Any, parts: Iterable[Any], field: str) -> None:
        try:
            for part in parts_of(cls):  # all of them: a hook is made with those of the parts
                resolve(part)
            for part in parts:
                self._converter.get_structure_hook(part)
                check_keys(part)
                check_made(part)
        except Exception as exc:  # a forward reference to nothing, a union of classes that look alike, ...
            detail = f"instances of {name_of(cls)} cannot be made of JSON: {text_of(exc)}; give a decode hook"
            raise InvalidInput(detail=detail, field=field) from exc

    def structure(self, value: Any, cls: Any, path: str) -> Any:
        """An instance of this class. Raises `Misfit`, which names what does not fit by its path."""
        try:
            return self._converter.structure(value, cls)
        except BaseValidationError as exc:
            raise Misfit("; ".join(transform_error(exc, path=path, format_exception=_format))) from exc
        except Exception as exc:
            # cattrs lets pass what a user's own hook or constructor raises; for this value it means the same.
            raise Misfit(_format(exc, None) if _is_pydantic(exc) else named(exc)) from exc

    def result_class(self, function: Callable[..., Any]) -> Any:
        """What a function says that it returns, where that has a user's class in it, else None: it stays JSON.

        Raises:
            InvalidInput: Nothing can be made of it.
        """
        try:
            found = self._results.get(function, _NONE)
        except TypeError:  # it has no weak references, or no hash
            return self._read_result_class(function)
        if found is _NONE:
            found = self._read_result_class(function)
            self._results[function] = found
        return found

    def _read_result_class(self, function: Callable[..., Any]) -> Any:
        returned = _returned(function)
        if not self._has_class(returned):
            return None
        self.check(returned, "function")
        return returned

    def _has_class(self, annotation: Any) -> bool:
        if inspect.isclass(annotation) and (attrs.has(annotation) or is_model(annotation) or _is_dataclass(annotation)):
            return True
        return any(self._has_class(each) for each in get_args(annotation))

    def _with_keys_of_text(self, cls: Any) -> Callable[[Any], Any]:
        return self._converter.gen_unstructure_mapping(cls, key_handler=_text_of_key)

    def _unknown(self, cls: Any) -> Callable[[Any, Any], Any]:
        hook = self._decode_hook
        if hook is None or not inspect.isclass(cls):
            raise StructureHandlerNotFoundError(f"unknown class {name_of(cls)}", cls)

        def decode(value: Any, wanted: Any) -> Any:
            return value if isinstance(value, wanted) else hook(wanted, value)

        return decode


def check_extra(extra: object, cls: Any) -> None:
    """Raises `InvalidInput` where unknown fields cannot be answered so, or where the class itself has it."""
    said = check_value(extra, Literal["ignore", "forbid"], "extra")
    if said == "forbid" and is_model(cls):
        detail = "a pydantic model has its own answer: model_config = ConfigDict(extra='forbid')"
        raise InvalidInput(detail=detail, field="extra")


def name_of(cls: Any) -> str:
    """The name of a class for people; of anything else that stands for one, its text."""
    return cls.__name__ if inspect.isclass(cls) else shown(cls)


def _text_of_key(key: Any, _: object = None) -> str:
    return str(key)


def _has_numbers_for_keys(cls: Any) -> bool:
    return keys_of(cls) is int


def _make_model(value: Any, cls: Any) -> Any:
    # As JSON and not as Python values: a strict model takes dates and tuples from there.
    return cls.model_validate_json(codec.encode(value, "value"))


def _format(error: BaseException, cls: Any) -> str:
    """What does not fit, without the value. pydantic's own text has it."""
    if _is_pydantic(error):
        found: Any = cast("Any", error).errors(include_url=False, include_context=False, include_input=False)
        return "; ".join(f"{each['msg']} @ {'.'.join(map(str, each['loc']))}" for each in found)
    return format_exception(error, cls)


def _is_pydantic(error: BaseException) -> bool:
    return type(error).__module__.startswith("pydantic") and hasattr(error, "errors")


def _is_dataclass(cls: Any) -> bool:
    return hasattr(cls, "__dataclass_fields__")


def _returned(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    if inspect.isclass(function):
        return function
    call = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(call).get("return")
    except Exception:  # noqa: BLE001 - an annotation is a note: one that names nothing says nothing
        return None
