"""The windows as a pure plan: batches of records in, changed windows out. No clock, no server.

Time is cut into panes of 10 s. A window of 10 s is a pane, one of 60 s the sum of six. The watermark is the newest event's time less the
allowed lateness; a pane is closed once it ends at the watermark or before, and what comes then is late and counted as such.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from consumers.live_pane import Pane, merged
from consumers.live_rows import LiveRow

SECOND = 1_000_000
PANE = 10 * SECOND
#: The panes of the windows of each width, in seconds.
WIDTHS = {10: 1, 60: 6}
_REACH = max(WIDTHS.values()) * PANE
_MINUTE = 60 * SECOND


@dataclass
class Fold:
    """What a batch did: panes that changed, ids that they count now, late events by minute of arrival, and records by their fate."""

    rows: int = 0
    rejected: int = 0
    repeated: int = 0
    too_old: int = 0
    ahead: int = 0
    known: int = 0
    changed: set[int] = field(default_factory=set)
    ids: dict[int, list[bytes]] = field(default_factory=dict)
    late: Counter[int] = field(default_factory=Counter)


@dataclass
class Windows:
    """The panes that may still change, or are part of a window that may; times are microseconds since 1970, `lateness` microseconds.

    `seen` are the ids that open panes count, each with its pane; `next_offsets` is how far each partition has been counted.
    The watermark is never before `least`: panes that were forgotten cannot be opened again, also when a greater lateness is set.
    """

    lateness: int
    panes: dict[int, Pane] = field(default_factory=dict)
    seen: dict[bytes, int] = field(default_factory=dict)
    next_offsets: dict[int, int] = field(default_factory=dict)
    newest: int | None = None
    least: int = 0

    @property
    def watermark(self) -> int | None:
        return None if self.newest is None else max(self.newest - self.lateness, self.least)

    def fold(self, rows: Iterable[LiveRow], floor: int) -> Fold:
        """Count a batch. A record below `next_offsets` was counted before; windows that end at `floor` or before are no longer kept.

        The watermark is that of the batches before, as the order within one says nothing.
        """
        result, watermark = Fold(), self.watermark
        for row in rows:
            if row.offset < self.next_offsets.get(row.partition, 0):
                result.known += 1
                continue
            self.next_offsets[row.partition] = row.offset + 1
            result.rows += 1
            if row.event_id is None:
                result.rejected += 1
                continue
            # A clock that is ahead must not close the windows of all others.
            moment = min(row.event_time, row.received)
            self.newest = moment if self.newest is None else max(self.newest, moment)
            start = row.event_time - row.event_time % PANE
            if watermark is not None and start + PANE <= watermark:
                result.late[row.received - row.received % _MINUTE] += 1
            elif start + PANE <= floor:
                result.too_old += 1
            elif start > row.received + self.lateness:
                # Its window would stay open, and its id in memory, until that time has come.
                result.ahead += 1
            else:
                self._count(row, row.event_id, start, result)
        return result

    def _count(self, row: LiveRow, event_id: str, start: int, result: Fold) -> None:
        key = bytes.fromhex(event_id.replace("-", ""))
        if key in self.seen:
            result.repeated += 1
            return
        self.seen[key] = start
        result.ids.setdefault(start, []).append(key)
        result.changed.add(start)
        self.panes.setdefault(start, Pane()).add(row)

    def changed_windows(self, changed: Iterable[int], floor: int) -> dict[tuple[int, int], Pane]:
        """Width in seconds and start of each window that has one of the changed panes and is kept, and what it holds."""
        keys = {(width, start - step * PANE) for start in changed for width, panes in WIDTHS.items() for step in range(panes)}
        return {key: self._window(*key) for key in sorted(keys) if key[1] >= floor}

    def _window(self, width: int, start: int) -> Pane:
        held = [self.panes[pane] for pane in range(start, start + WIDTHS[width] * PANE, PANE) if pane in self.panes]
        return held[0] if len(held) == 1 else merged(held)

    def close(self, floor: int) -> tuple[int, int]:
        """Forget panes that no open window has, and ids of closed panes: those that start before the first and the second moment returned.

        A pane is of use until the last window that it is part of is closed.
        """
        end = max(floor, self.watermark or floor)
        useful, is_open = end - _REACH + 1, end - PANE + 1
        if any(start < useful for start in self.panes):
            self.panes = {start: pane for start, pane in self.panes.items() if start >= useful}
            self.seen = {key: start for key, start in self.seen.items() if start >= is_open}
        return useful, is_open
