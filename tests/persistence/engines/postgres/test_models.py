"""The state machines of the contracts on a server: the same model, the same rules, the same answers."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.kit import postgres
from tests.kit.shares import examples
from tests.persistence.contracts.journals.test_journal_model import JournalMachine
from tests.persistence.contracts.owners.test_owner_model import OwnerMachine
from tests.persistence.contracts.queued.test_queue_model import QueueMachine
from tests.persistence.contracts.runtimes.test_model import ContractMachine
from tests.persistence.contracts.sessions.test_sessions_model import GraphMachine


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("machine", [JournalMachine, OwnerMachine, QueueMachine, ContractMachine, GraphMachine])
def test_a_store_on_a_server_is_as_its_model_says(machine: type[RuleBasedStateMachine]) -> None:
    postgres.needs_server()
    with postgres.on_server():
        run_state_machine_as_test(machine, settings=settings(max_examples=examples(24), stateful_step_count=25))
