"""What stores of tasks and of push notification configs are asked for, and what they are seen to answer: theirs and ours."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from a2a.auth.user import User
from a2a.helpers.proto_helpers import new_text_message, new_text_part
from a2a.server.context import ServerCallContext
from a2a.server.tasks import PushNotificationConfigStore, TaskStore
from a2a.types.a2a_pb2 import (
    Artifact,
    AuthenticationInfo,
    ListTasksRequest,
    Message,
    Task,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.task import encode_page_token
from google.protobuf.json_format import MessageToDict

from tests.adapters.comparing import Scenarios


class Named(User):
    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def is_authenticated(self) -> bool:
        return bool(self._name)

    @property
    def user_name(self) -> str:
        return self._name


def of(name: str) -> ServerCallContext:
    return ServerCallContext(user=Named(name))


def task(name: str, at: int | None = None, *, context: str = "c", state: Any = TaskState.TASK_STATE_WORKING) -> Task:
    made = Task(id=name, context_id=context)
    made.status.state = state
    if at is not None:
        made.status.timestamp.FromMicroseconds(at)
    return made


def said(text: str) -> Message:
    made = new_text_message(text, context_id="c", task_id="t")
    made.message_id = f"of {text}"
    return made


def config(name: str = "", url: str = "https://example.com/hook") -> TaskPushNotificationConfig:
    return TaskPushNotificationConfig(id=name, url=url)


class Seen:
    """Calls the stores, and notes what they answer."""

    def __init__(self, tasks: TaskStore, pushes: PushNotificationConfigStore) -> None:
        self.tasks, self.pushes = tasks, pushes
        self.notes: list[Any] = []

    async def tried(self, call: Awaitable[Any]) -> Any:
        try:
            found = await call
        except Exception as error:  # noqa: BLE001 - which one is what is compared
            self.notes.append(type(error).__name__)
            return None
        if isinstance(found, list):
            self.notes.append(sorted((MessageToDict(each) for each in found), key=str))
        else:
            self.notes.append(None if found is None else MessageToDict(found))
        return found

    async def save(self, *tasks: Task, owner: str = "") -> None:
        for each in tasks:
            await self.tried(self.tasks.save(each, of(owner)))

    async def get(self, name: str, owner: str = "") -> Any:
        return await self.tried(self.tasks.get(name, of(owner)))

    async def delete(self, name: str, owner: str = "") -> None:
        await self.tried(self.tasks.delete(name, of(owner)))

    async def list(self, owner: str = "", since: int | None = None, **wanted: Any) -> Any:
        request = ListTasksRequest(**wanted)
        if since is not None:
            request.status_timestamp_after.FromMicroseconds(since)
        found = await self.tried(self.tasks.list(request, of(owner)))
        if found is not None:
            self.notes.append([each.id for each in found.tasks])
        return found

    async def pages(self, size: int, owner: str = "") -> None:
        token = ""
        while True:
            page = await self.list(owner, page_size=size, page_token=token)
            token = page.next_page_token
            if not token:
                return

    async def set(self, name: str, *configs: TaskPushNotificationConfig, owner: str = "") -> None:
        for each in configs:
            before = MessageToDict(each)
            await self.tried(self.pushes.set_info(name, each, of(owner)))
            self.notes.append(MessageToDict(each) == before)

    async def info(self, name: str, owner: str = "") -> Any:
        return await self.tried(self.pushes.get_info(name, of(owner)))

    async def dispatch(self, name: str) -> None:
        await self.tried(self.pushes.get_info_for_dispatch(name))

    async def forget(self, name: str, config_id: str | None = None, owner: str = "") -> None:
        await self.tried(self.pushes.delete_info(name, of(owner), config_id))


scenario: Final = Scenarios[Seen]()
"""Decorates each; with the name of one of theirs that answers otherwise, and how."""


# Tasks


@scenario()
async def a_task_is_found_until_it_is_deleted(seen: Seen) -> None:
    await seen.get("t")
    await seen.save(task("t"))
    await seen.get("t")
    await seen.delete("t")
    await seen.get("t")
    await seen.delete("t")


@scenario()
async def a_task_comes_back_whole(seen: Seen) -> None:
    whole = task("t", 1_700_000_000_123_456, state=TaskState.TASK_STATE_INPUT_REQUIRED)
    whole.status.message.CopyFrom(said("which one?"))
    whole.history.append(said("one"))
    whole.artifacts.append(Artifact(artifact_id="a", name="n", parts=[new_text_part("é😀"), new_text_part("")]))
    whole.metadata.update({"k": [1, {"v": None}], "float": 0.5})
    await seen.save(whole)
    await seen.get("t")
    await seen.list(include_artifacts=True)


@scenario()
async def a_task_that_is_saved_again_takes_its_place(seen: Seen) -> None:
    await seen.save(task("t", 1), task("t", 2, state=TaskState.TASK_STATE_COMPLETED), task("t", context="d"))
    await seen.get("t")
    await seen.list()


@scenario()
async def what_is_returned_is_a_copy(seen: Seen) -> None:
    made = task("t")
    await seen.save(made)
    made.context_id = "other"
    found = await seen.get("t")
    found.context_id = "other"
    (await seen.list()).tasks[0].context_id = "other"
    await seen.get("t")


@scenario()
async def a_task_is_its_owners_alone(seen: Seen) -> None:
    await seen.save(task("t"), owner="ada")
    await seen.save(task("u"), owner="bob")
    for owner in ("ada", "bob", "", "eve"):
        await seen.get("t", owner)
        await seen.list(owner)
    await seen.delete("t", "bob")
    await seen.get("t", "ada")


@scenario(database="has one task of an id")
async def two_owners_may_have_a_task_of_one_id(seen: Seen) -> None:
    await seen.save(task("t", context="ada"), owner="ada")
    await seen.save(task("t", context="bob"), owner="bob")
    await seen.get("t", "ada")
    await seen.delete("t", "bob")
    await seen.get("t", "ada")


@scenario()
async def texts_of_every_sort_are_ids(seen: Seen) -> None:
    names = ("a:b", "a/b", "a%3Ab", "é😀", "x" * 130, "x" * 131)
    for name in names:
        await seen.save(task(name), owner=name)
    for name in names:
        await seen.get(name, name)
        await seen.list(name)
    await seen.get("a", "a")


@scenario()
async def no_tasks_are_an_empty_page(seen: Seen) -> None:
    await seen.list()


@scenario()
async def tasks_are_listed_the_last_updated_first_and_those_without_a_time_last(seen: Seen) -> None:
    await seen.save(task("b", 2), task("none"), task("c", 3), task("a", 2), task("also none"), task("past", 1))
    await seen.list()
    await seen.pages(2)


@scenario()
async def pages_join(seen: Seen) -> None:
    await seen.save(*[task(f"t{number}", number) for number in range(7)])
    for size in (1, 3, 6, 7, 50):
        await seen.pages(size)


@scenario()
async def a_page_has_fifty_where_nothing_is_said(seen: Seen) -> None:
    await seen.save(*[task(f"t{number}", number) for number in range(52)])
    page = await seen.list()
    await seen.list(page_token=page.next_page_token)


@scenario()
async def filters_join(seen: Seen) -> None:
    done = TaskState.TASK_STATE_COMPLETED
    await seen.save(
        task("a", 1),
        task("b", 2, state=done),
        task("c", 3, context="d"),
        task("d", 4, context="d", state=done),
        task("e"),
    )
    await seen.list(context_id="d")
    await seen.list(context_id="none")
    await seen.list(status=done)
    await seen.list(since=2)
    await seen.list(since=5)
    await seen.list(since=2, status=done, context_id="d")
    await seen.list(since=1, page_size=1)


@scenario()
async def a_page_goes_on_where_it_was_though_its_last_task_has_gone(seen: Seen) -> None:
    await seen.save(*[task(f"t{number}", number) for number in range(5)])
    token = (await seen.list(page_size=2)).next_page_token
    await seen.delete("t3")
    await seen.save(task("t9", 9))
    await seen.list(page_size=2, page_token=token)


@scenario()
async def a_token_of_an_older_client_names_the_first_task(seen: Seen) -> None:
    await seen.save(*[task(f"t{number}", number) for number in range(4)], task("none"))
    await seen.list(page_size=2, page_token=encode_page_token("t2"))
    await seen.list(page_size=2, page_token=encode_page_token("none"))
    await seen.list(page_token=encode_page_token("unknown"))


@scenario()
async def a_token_that_is_none_is_refused(seen: Seen) -> None:
    await seen.save(task("t", 1))
    for token in ("invalid", "e30", "%%%", "eyJ0cyI6IngiLCJpZCI6InQifQ"):
        await seen.list(page_token=token)


# Push notification configs


@scenario()
async def a_config_is_found_until_it_is_deleted(seen: Seen) -> None:
    await seen.info("t")
    await seen.set("t", config("a"))
    await seen.info("t")
    await seen.info("other")
    await seen.forget("t", "a")
    await seen.info("t")
    await seen.forget("t", "a")
    await seen.forget("none")


@scenario()
async def a_config_without_an_id_has_that_of_its_task(seen: Seen) -> None:
    await seen.set("t", config(), config(url="https://example.com/other"))
    await seen.info("t")
    await seen.forget("t", "t")
    await seen.info("t")


@scenario()
async def a_config_comes_back_whole(seen: Seen) -> None:
    whole = TaskPushNotificationConfig(
        id="a",
        task_id="another",
        url="https://example.com/é",
        token="secret",
        authentication=AuthenticationInfo(scheme="Bearer", credentials="key"),
    )
    await seen.set("t", whole)
    await seen.info("t")


@scenario()
async def a_config_of_the_same_id_takes_its_place(seen: Seen) -> None:
    await seen.set("t", config("a"), config("b"), config("a", "https://example.com/new"))
    await seen.info("t")


@scenario()
async def one_or_all_are_deleted(seen: Seen) -> None:
    await seen.set("t", config("a"), config("b"), config("c"))
    await seen.set("u", config("a"))
    await seen.forget("t", "b")
    await seen.info("t")
    await seen.forget("t")
    await seen.info("t")
    await seen.info("u")


@scenario()
async def a_config_is_its_owners_alone_and_all_are_dispatched(seen: Seen) -> None:
    await seen.set("t", config("a", "https://ada.example"), owner="ada")
    await seen.set("t", config("b", "https://bob.example"), owner="bob")
    await seen.set("u", config("b"), owner="bob")
    for owner in ("ada", "bob", ""):
        await seen.info("t", owner)
    await seen.dispatch("t")
    await seen.dispatch("none")
    await seen.forget("t", "a", "bob")
    await seen.forget("t", owner="bob")
    await seen.dispatch("t")
    await seen.info("u", "bob")


@scenario(database="has one config of a task and an id")
async def two_owners_may_have_a_config_of_one_id(seen: Seen) -> None:
    await seen.set("t", config("a", "https://ada.example"), owner="ada")
    await seen.set("t", config("a", "https://bob.example"), owner="bob")
    await seen.info("t", "ada")
    await seen.dispatch("t")


@scenario()
async def configs_are_returned_as_copies(seen: Seen) -> None:
    await seen.set("t", config("a"))
    for each in await seen.pushes.get_info("t", of("")):
        seen.notes.append(each.url)
    await seen.info("t")
