"""`TenurePushConfigStore`: where the push notifications of tasks go, in a store."""

from __future__ import annotations

from typing import final

from a2a.server.context import ServerCallContext
from a2a.server.owner_resolver import OwnerResolver, resolve_user_scope
from a2a.server.tasks.push_notification_config_store import (
    PushNotificationConfigStore,
    normalize_push_notification_config,
)
from a2a.types.a2a_pb2 import TaskPushNotificationConfig

from tenure.adapters.checking import check_value, checked
from tenure.adapters.fronts import AnyStore, Caller
from tenure.adapters.keys import part

from .records import decode, encode, pushes_of, pushes_of_owner, read_all


@final
@checked
class TenurePushConfigStore(PushNotificationConfigStore):
    """Keeps push notification configs in a store, each its owner's alone; `get_info_for_dispatch` reads those of all.

    What a verb has written is on disk when it returns, in one commit. A config has the credentials that its receiver asks for,
    and is stored as it is. Errors are those of `tenure.errors`.
    """

    def __init__(self, store: AnyStore, *, owner_resolver: OwnerResolver = resolve_user_scope) -> None:
        """Bind to an open store; see `TenureTaskStore`."""
        self._caller = Caller(store)
        check_value(owner_resolver, OwnerResolver, "owner_resolver")
        self._owner = owner_resolver

    async def set_info(
        self, task_id: str, notification_config: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """Store a config in place of the one of its id, the task's where it has none, and return it as it is stored."""
        owner = self._owner(context)
        config = normalize_push_notification_config(task_id, notification_config)
        key = pushes_of_owner(task_id, owner) + part(config.id, "config_id")
        await self._caller.awaited(self._caller.values.write({key: encode(owner, config)}))
        return config

    async def get_info(self, task_id: str, context: ServerCallContext) -> list[TaskPushNotificationConfig]:
        """The caller's configs of a task, in the order of their ids."""
        return await self._read(pushes_of_owner(task_id, self._owner(context)))

    async def get_info_for_dispatch(self, task_id: str) -> list[TaskPushNotificationConfig]:
        """Every config of a task, of all owners."""
        return await self._read(pushes_of(task_id))

    async def delete_info(self, task_id: str, context: ServerCallContext, config_id: str | None = None) -> None:
        """Delete one of the caller's configs of a task, or all; those that are there."""
        stem = pushes_of_owner(task_id, self._owner(context))
        await self._caller.awaited(self._delete(stem, config_id))

    async def _delete(self, stem: str, config_id: str | None) -> None:
        values = self._caller.values
        keys = (
            [stem + part(config_id, "config_id")]
            if config_id is not None
            else [key for key, _ in await read_all(values, stem)]
        )
        await values.write(dict.fromkeys(keys))

    async def _read(self, stem: str) -> list[TaskPushNotificationConfig]:
        rows = await self._caller.awaited(read_all(self._caller.values, stem))
        return [decode(data, TaskPushNotificationConfig, key)[1] for key, data in rows]
