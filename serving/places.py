"""Places for open connections, so many for each name; and one connection's hold on some of them."""


class Places:
    """`most` for each name, or any number when that is 0. It holds only names that have some."""

    def __init__(self, setting: str, most: int) -> None:
        self.setting = setting
        self.most = most
        self._taken: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def taken(self, name: str) -> int:
        """How many a name has."""
        return self._taken.get(name, 0)

    def acquire(self, name: str) -> bool:
        """One more, unless all are taken."""
        taken = self.taken(name)
        if self.most and taken >= self.most:
            return False
        self._taken[name] = taken + 1
        return True

    def release(self, name: str) -> None:
        """One less. Raises KeyError when it has none."""
        left = self._taken[name] - 1
        if left:
            self._taken[name] = left
        else:
            del self._taken[name]


class Seat:
    """What one connection has taken: at most one place of each `Places`, until it leaves."""

    def __init__(self) -> None:
        self._held: dict[Places, str] = {}

    def take(self, places: Places, name: str) -> bool:
        """A place under this name instead of the one before. When there is none, that stays."""
        if self._held.get(places) == name:
            return True
        if not places.acquire(name):
            return False
        if places in self._held:
            places.release(self._held[places])
        self._held[places] = name
        return True

    def leave(self) -> None:
        """Give all back; the second time there is nothing to give."""
        held, self._held = self._held, {}
        for places, name in held.items():
            places.release(name)
