"""The proof of workers: a seed of it, and the mistakes that turn one red."""

from __future__ import annotations

import pytest

from proof.seeded.cases import prove
from proof.workers.__main__ import main
from proof.workers.fleet import play
from tenure.persistence.facets.ownership import ownership
from tenure.persistence.facets.queue import rates
from tenure.persistence.facets.queue.claims import StoredClaim
from tenure.supervisor.serving import working
from tests.kit.shares import share
from tests.kit.sown import Mistake, broken_by_seed


@pytest.mark.slow
@pytest.mark.parametrize("seed", share(range(30), 30))
def test_workers_keep_order_and_rate_and_lose_nothing(seed: int) -> None:
    assert [how for _, _, how in prove(play, [seed])] == [None]


@pytest.mark.slow
@pytest.mark.turns(12)
def test_the_command_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1"]) == 0
    assert "1 seeds, 0 broke a promise" in capsys.readouterr().out


# Sown mistakes: each turns a seed red.


def no_claim_holds(patch: pytest.MonkeyPatch) -> None:
    def holds(_claim: StoredClaim, _lapsed: object) -> bool:
        return False

    patch.setattr(StoredClaim, "holds", holds)


def the_rate_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    def wait_ms(_tx: object, _rate: object, _now: object) -> None:
        """Nothing is waited for."""

    patch.setattr(rates, "wait_ms", wait_ms)


def no_attempt_is_the_first_of_several(patch: pytest.MonkeyPatch) -> None:
    def next_wait(_policy: object, **_how: object) -> None:
        """None: there is no other."""

    patch.setattr(working, "next_wait", next_wait)


def whoever_was_frozen_has_crashed(patch: pytest.MonkeyPatch) -> None:
    def crashed(_tx: object, _owner: object) -> bool:
        return True

    patch.setattr(ownership, "crashed", crashed)


@pytest.mark.slow
@pytest.mark.turns(12)
@pytest.mark.parametrize(
    ("mistake", "seed", "words"),
    [
        (no_claim_holds, 0, "beside"),
        (the_rate_is_not_asked, 0, "within"),
        (no_attempt_is_the_first_of_several, 0, "ahead"),
        (whoever_was_frozen_has_crashed, 14, "crashes"),
    ],
)
def test_a_mistake_in_the_real_code_turns_a_seed_red(
    mistake: Mistake, seed: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    assert words in broken_by_seed(play, seed)
