"""What the ledger says, and the sums over it."""

from decimal import Decimal
from pathlib import Path

import pytest

from loglake.errors import BadInputError
from loglake.events import Order, OrderItem
from producers import ledger
from producers.ledger import Ledger
from producers.record import GOOD, LATE, RESENT, Record, record_of
from tests.sample import event

pytestmark = pytest.mark.unit
ORDER = Order("o1", "completed", "paypal", "USD", (OrderItem("p1", 2, Decimal("12.50")),), Decimal("25.00"))


def test_sums_count_each_event_once_and_only_what_was_acknowledged(tmp_path: Path) -> None:
    order = event(3, event_type="order_complete_response", product=None, order=ORDER, session_id="session-2")
    with Ledger(tmp_path / "ledger") as book:
        book.acknowledged(record_of(event(1)), 0, 0)
        book.acknowledged(record_of(event(2), LATE), 0, 1)
        book.acknowledged(record_of(order), 1, 0)
        book.acknowledged(record_of(order, RESENT), 1, 1)
        book.acknowledged(Record(b"k", b"", "malformed:empty"), 1, 2)
        book.not_sent(record_of(event(9)), "KafkaTimeoutError: too long")

    truth = ledger.truth(ledger.read(tmp_path / "ledger"))

    assert truth.by_label == {GOOD: 2, LATE: 1, RESENT: 1, "malformed:empty": 1}
    assert truth.by_type == {"product_view": 2, "order_complete_response": 1}
    assert (truth.events, truth.duplicates, truth.rejected, truth.not_sent, truth.acknowledged) == (3, 1, 1, 1, 5)
    assert (truth.users, truth.sessions) == (1, 2)
    assert (truth.revenue, truth.refunded) == (Decimal("25.00"), Decimal(0))


def test_a_ledger_is_continued_without_the_half_line_of_a_killed_producer(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    for number, half in ((1, b'{"label":"good","of'), (2, b'{"l'), (3, b"")):
        with Ledger(path) as book:
            book.acknowledged(record_of(event(number)), 0, number)
        with path.open("ab") as file:
            file.write(half)
    assert [entry.offset for entry in ledger.read(path)] == [1, 2, 3]


@pytest.mark.parametrize("foreign", [b"a,b\n1,2\n", b"no line end", b'{"label":"good"}\nno line end'])
def test_a_file_that_is_no_ledger_is_left_as_it_is(tmp_path: Path, foreign: bytes) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(foreign)
    with pytest.raises(BadInputError, match="no ledger"):
        Ledger(path)
    assert path.read_bytes() == foreign


def test_a_ledger_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"cannot be written: .*No such file or directory; .*--ledger"):
        Ledger(tmp_path / "no such folder" / "ledger")


def test_a_cut_last_line_is_passed_over_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text('{"label":"good","offset":1}\n{"label":"go')
    assert [entry.offset for entry in ledger.read(path)] == [1]
    for foreign in (b"hello\n", b"\xff\n"):
        path.write_bytes(foreign)
        with pytest.raises(BadInputError, match="line 1"):
            list(ledger.read(path))
