"""A small memory for what is dear to make and cheap to keep. Forgetting changes no answer, only the time it takes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")


class Recent(Generic[Key, Item]):
    """The last few things that were made, so that they need not be made again. Forgetting changes no answer."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._items: OrderedDict[Key, Item] = OrderedDict()

    def get(self, key: Key) -> Item | None:
        item = self._items.get(key)
        if item is not None:
            self._items.move_to_end(key)
        return item

    def put(self, key: Key, item: Item) -> Item:
        self._items[key] = item
        if len(self._items) > self._room:
            self._items.popitem(last=False)
        return item
