"""Whole hosts from seeds: nothing lost, nothing doubled, nothing stuck."""

from __future__ import annotations

import pytest
import trio

import tenure
from proof.simulate import (
    main,
    summary,
)
from proof.simulated.agents import torment
from tenure.errors import NotAccepting
from tenure.testing.simulation import Client, Given, Hardship, PromiseBroken, Simulation, SimulationFailure
from tests.kit.shares import share

CALM = Hardship(deaths=0, timed_deaths=0, orderly_ends=1, full=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", share(range(8), 8))
def test_a_tormented_host_keeps_its_promises(seed: int) -> None:
    report = torment(seed, hours=0.4, deploys=seed % 2 == 1).run(seed)

    assert report.lives > 1
    assert report.inputs
    assert report.runs
    assert report.steps


@pytest.mark.slow
@pytest.mark.parametrize("seed", share(range(1_000, 1_030), 30))
def test_a_tormented_host_keeps_its_promises_for_long(seed: int) -> None:
    report = torment(seed, hours=2).run(seed)

    assert report.lives > 1  # each ended by a death or in order, as its seed has it
    assert report.inputs


async def count(run: tenure.Run) -> None:
    """Appends each number it is given."""
    for given in run.inputs:
        run.session.append(await run.step("square", square, given.payload, repeat="freely"))


async def square(number: int) -> int:
    await trio.sleep(1)
    return number * number


@pytest.mark.slow
@pytest.mark.turns(4)
def test_lives_of_a_host_have_the_next_deploy_or_the_one_before_and_the_last_one_at_the_end() -> None:
    entered: list[str] = []

    def version(name: str) -> tenure.Behaviour:
        async def behaviour(run: tenure.Run) -> None:
            entered.append(name)
            await run.step("square", square, run.inputs[0].payload, repeat="freely")

        return tenure.Behaviour(behaviour, version=name)

    async def workload(client: Client) -> None:
        await client.spawn("a", "k")
        for number in range(20):
            await client.outcome(await client.accept("a", number))
            await client.sleep(90)

    one, two = version("1"), version("2")
    simulation = Simulation(
        behaviours={"k": one}, deploys=({"k": [two, one]},), workload=workload, hardship=Hardship(life_s=200), hours=0.5
    )
    report = simulation.run(2)

    onward, back = report.deploys
    assert onward > back > 0
    assert (entered[0], entered[-1], {*entered}) == ("1", "2", {"1", "2"})


@pytest.mark.turns(4)
@pytest.mark.slow
def test_a_users_own_behaviour_and_workload_come_through() -> None:
    async def workload(client: Client) -> None:
        await client.spawn("counter", "counter")
        given: list[Given] = []
        for number in range(10):
            given.append(await client.accept("counter", number))
            await client.sleep(60)
        for each in given:
            assert (await client.outcome(each)).phase == "consumed"
        await client.verb("counter", "retire")
        with pytest.raises(NotAccepting):
            await client.accept("counter", 1)

    async def check(client: Client) -> None:
        assert await client.ask("path", read) == [number * number for number in range(10)]

    async def read(supervisor: tenure.Supervisor) -> list[int]:
        return await supervisor.read_session("counter")

    simulation = Simulation(behaviours={"counter": count}, workload=workload, check=check, hours=0.2)
    reports = [simulation.run(seed) for seed in range(4)]

    assert sum(report.deaths for report in reports)


def test_a_failing_seed_names_itself_its_reason_and_its_last_events() -> None:
    async def workload(client: Client) -> None:
        await client.spawn("counter", "counter")
        given = await client.accept("counter", 3)
        await client.outcome(given)
        raise AssertionError("the workload saw something")

    simulation = Simulation(behaviours={"counter": count}, workload=workload, hours=0.1, hardship=CALM)
    with pytest.raises(SimulationFailure) as failed:
        simulation.run(77)
    with pytest.raises(SimulationFailure) as again:
        simulation.run(77)

    assert "seed 77" in str(failed.value)
    assert "the workload saw something" in failed.value.reason
    assert any("accepted client-1" in line for line in failed.value.events)
    assert str(failed.value) == str(again.value)


@pytest.mark.slow
def test_what_never_comes_to_its_end_is_stuck() -> None:
    async def wait_for_ever(run: tenure.Run) -> None:
        await trio.sleep_forever()

    async def workload(client: Client) -> None:
        await client.spawn("sleeper", "sleeper")
        await client.outcome(await client.accept("sleeper", {}))

    simulation = Simulation(behaviours={"sleeper": wait_for_ever}, workload=workload, hours=0.1, hardship=CALM)
    with pytest.raises(SimulationFailure, match="stuck: asked: outcome of") as failed:
        simulation.run(0)

    assert isinstance(failed.value.__cause__, PromiseBroken)


def test_the_command_line_tells_what_it_did_and_how_to_see_a_failure_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--seeds", "2", "--of", f"{__name__}:sound", "--jobs", "1"]) == 0
    assert "2 seeds, 0 failed" in capsys.readouterr().out

    assert main(["--seed", "9", "--of", f"{__name__}:doomed"]) == 1
    out = capsys.readouterr().out
    assert "seed 9: AssertionError: doomed" in out
    assert f"python -m proof.simulate --seed 9 --of {__name__}:doomed" in out


async def fail(client: Client) -> None:
    raise AssertionError("doomed")


async def succeed(client: Client) -> None:
    await client.spawn("counter", "counter")
    assert (await client.outcome(await client.accept("counter", 3))).phase == "consumed"


sound = Simulation(behaviours={"counter": count}, workload=succeed, hours=0.01, hardship=CALM)
doomed = Simulation(behaviours={"counter": count}, workload=fail, hours=0.01, hardship=CALM)


def test_the_summary_of_nothing_is_a_line() -> None:
    assert summary([], 0, 1.0).startswith("0 seeds, 0 failed")
