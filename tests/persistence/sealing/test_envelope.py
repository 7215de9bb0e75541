"""One value: what is sealed comes back, and what was changed or moved does not."""

from __future__ import annotations

import base64
import random
import string
from pathlib import Path

import pytest

from tenure.crypto import AesGcm
from tenure.errors import Corrupt, Internal, InvalidInput, KeyMissing, WrongKey
from tenure.persistence.engines.sealing import aes_gcm
from tenure.persistence.engines.sealing.envelope import Envelope
from tenure.persistence.model.texts import SealedBytes

ONE = {"one": b"1" * 32}
PAYLOAD = ("payloads", "payload")
ERROR = ("runs", "error")


def envelope(keys: dict[str, bytes] | None = None, marker: bytes = b"M" * 8) -> Envelope:
    return Envelope(AesGcm(ONE if keys is None else keys), marker, b"s" * 32, "one")


@pytest.mark.parametrize("value", [b"", b"x", b'{"a": 1}', b"\x00\xff" * 500, "", "text", "é\N{SNOWMAN}", "\x00"])
def test_what_was_sealed_comes_back(value: bytes | str) -> None:
    of_store = envelope()

    sealed = of_store.seal(PAYLOAD, (7,), value)

    assert type(sealed) is type(value)
    assert sealed != of_store.seal(PAYLOAD, (7,), value), "the same value is sealed anew each time"
    assert of_store.unseal([PAYLOAD], (7,), sealed) == value
    assert of_store.unseal([PAYLOAD], (None,), sealed) == value
    assert of_store.key_id_of(sealed) == "one"
    assert of_store.key_id_of(value) is None
    assert of_store.unseal([PAYLOAD], (7,), value) == value, "what was written before the codec stands as it is"


def test_what_is_moved_to_another_row_column_or_store_is_corrupt() -> None:
    of_store = envelope()
    sealed = of_store.seal(PAYLOAD, (7,), b"of seven")

    for columns, key in (([PAYLOAD], (8,)), ([ERROR], (7,)), ([PAYLOAD], (7, 8))):
        with pytest.raises(Corrupt):
            of_store.unseal(columns, key, sealed)
    other = envelope(marker=b"N" * 8)
    assert isinstance(sealed, bytes)
    with pytest.raises(Corrupt):
        other.unseal([PAYLOAD], (7,), b"N" * 8 + sealed[8:])


@pytest.mark.parametrize("text", [False, True])
def test_a_changed_byte_is_a_typed_error_and_never_another_content(text: bool) -> None:  # noqa: FBT001
    of_store, source = envelope(), random.Random(5)
    content: bytes | str = "of seven" if text else b"of seven"
    sealed = of_store.seal(PAYLOAD, (7,), content)
    for _ in range(300):
        at = source.randrange(12 if text else 9, len(sealed))  # before that stands what says that it is sealed
        changed = (
            sealed[:at] + source.choice("ABCxyz019+/=é") + sealed[at + 1 :]
            if isinstance(sealed, str)
            else sealed[:at] + source.randbytes(1) + sealed[at + 1 :]
        )
        if changed == sealed:
            continue
        with pytest.raises((Corrupt, KeyMissing, WrongKey)):
            of_store.unseal([PAYLOAD], (7,), changed)
    for length in range(12 if text else 9, len(sealed)):
        with pytest.raises((Corrupt, KeyMissing, WrongKey)):
            of_store.unseal([PAYLOAD], (7,), sealed[:length])


def test_the_last_letter_of_a_text_is_checked_too() -> None:
    of_store, letters = envelope(), string.ascii_letters + string.digits + "+/"
    for length in range(3):
        sealed = of_store.seal(PAYLOAD, (7,), "of seven" + "x" * length)
        assert isinstance(sealed, str)
        end = len(sealed.rstrip("="))
        for letter in letters.replace(sealed[end - 1], ""):
            with pytest.raises(Corrupt):
                of_store.unseal([PAYLOAD], (7,), sealed[: end - 1] + letter + sealed[end:])


def test_no_key_another_key_and_damage_are_three_errors() -> None:
    sealed = envelope().seal(PAYLOAD, (7,), b"of seven")
    assert isinstance(sealed, bytes)

    with pytest.raises(KeyMissing):
        envelope({"two": b"2" * 32}).unseal([PAYLOAD], (7,), sealed)
    with pytest.raises(WrongKey):
        envelope({"one": b"2" * 32}).unseal([PAYLOAD], (7,), sealed)
    with pytest.raises(Corrupt):
        envelope().unseal([PAYLOAD], (7,), sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_a_digest_is_sealed_the_same_each_time_and_differently_in_each_store() -> None:
    raw, other = random.Random(1).randbytes(32), random.Random(2).randbytes(32)
    of_store, of_another = envelope(), Envelope(AesGcm(ONE), b"M" * 8, b"t" * 32, "one")

    sealed = of_store.seal_digest(raw)

    assert sealed == of_store.seal_digest(raw) != of_store.seal_digest(other)
    assert isinstance(sealed, bytes)
    assert raw not in sealed
    assert of_store.unseal_digest(sealed) == raw
    assert of_another.seal_digest(raw) != sealed
    with pytest.raises(Corrupt):
        of_another.unseal_digest(sealed)
    with pytest.raises(Corrupt):
        of_store.unseal_digest(bytes([sealed[0] ^ 1]) + sealed[1:])
    in_hex = of_store.seal_digest(raw.hex())
    assert of_store.unseal_digest(in_hex) == raw.hex()
    assert of_store.is_sealed_digest(sealed)
    assert of_store.is_sealed_digest(in_hex)
    assert not of_store.is_sealed_digest(raw)
    assert of_store.seal_digest(b"") == b"", "what was erased has no digest"


def test_without_a_codec_it_says_what_is_sealed_and_gives_nothing_of_it() -> None:
    keyless = Envelope(None, b"M" * 8, None, "one")
    sealed = envelope().seal(PAYLOAD, (7,), b"of seven")

    shown = keyless.unseal([PAYLOAD], (7,), sealed)

    assert isinstance(shown, SealedBytes)
    assert shown.key_id == "one"
    assert keyless.unseal([ERROR], (7,), envelope().seal(ERROR, (7,), "why")) == "(sealed with the key 'one')"
    with pytest.raises(KeyMissing):
        keyless.seal(PAYLOAD, (7,), b"x")


class Nameless:
    """A codec that gives ids that cannot be stored."""

    def seal(self, plain: bytes, _place: bytes, /) -> tuple[str, bytes]:
        return "", plain

    def unseal(self, _key_id: str, sealed: bytes, _place: bytes, /) -> bytes:
        return sealed


def test_a_codec_that_gives_a_key_id_that_cannot_be_stored_is_told_so() -> None:
    with pytest.raises(Internal, match="key id"):
        Envelope(Nameless(), b"M" * 8, b"s" * 32, "one").seal(PAYLOAD, (7,), b"x")


@pytest.mark.parametrize("text", ["", "# soon\n", "two", "two MTE=", "two \x7f", "one " + "MTEx" * 10])
def test_a_file_of_keys_that_is_half_written_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(aes_gcm, "LOOK_S", 0.0)
    file = tmp_path / "keys"
    file.write_text(f"one {base64.b64encode(b'1' * 32).decode()}")
    codec = AesGcm.of_file(file)
    key_id, body = codec.seal(b"plain", b"place")

    file.write_text(text)

    assert codec.seal(b"plain", b"place")[0] == "one"
    assert codec.unseal(key_id, body, b"place") == b"plain"
    codec.seal(b"plain", b"place")
    assert len(caplog.records) == 1, "once a change"
    file.unlink()
    assert codec.seal(b"plain", b"place")[0] == "one"


def test_no_error_has_a_key_that_stands_where_its_id_should() -> None:
    secret = base64.b64encode(b"s" * 32).decode()
    for text in (f"{secret} key1", f"{secret} k", f"one {secret} two", f"{secret}\n"):
        with pytest.raises(InvalidInput) as raised:
            AesGcm.of_text(text)
        assert secret not in str(raised.value)
