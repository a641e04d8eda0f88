"""Orders written in Python: their exceptions are reported, and no order is guessed."""

import sys

import pytest

import terrace


class Order:
    """Bytewise; raises `error` while it is set."""

    def __init__(self):
        self.error = None
        self.calls = 0

    def __call__(self, a, b):
        self.calls += 1
        if self.error is not None:
            raise self.error
        return (a > b) - (a < b)


@pytest.fixture
def order():
    return Order()


@pytest.fixture
def open_db(path, order):
    databases = []

    def open_one(**options):
        db = terrace.DB(path, create_if_missing=True, comparator=order, comparator_name=b"test.Order", **options)
        databases.append(db)
        return db

    yield open_one
    order.error = None
    for db in databases:
        db.close()


def test_it_is_used(open_db, order, path):
    db = open_db()
    for key in (b"b", b"a", b"c"):
        db.put(key, b"")
    assert order.calls > 0
    assert list(db.iterator(include_value=False)) == [b"a", b"b", b"c"]
    db.compact_range()
    db.close()
    with pytest.raises(terrace.Error, match="does not match existing comparator"):
        terrace.DB(path)


def test_any_number_that_compares_with_zero_will_do(path):
    def compare(a, b):
        return float(a > b) - float(a < b)

    with terrace.DB(path, create_if_missing=True, comparator=compare, comparator_name=b"floats") as db:
        db.put(b"2", b"")
        db.put(b"1", b"")
        assert list(db.iterator(include_value=False)) == [b"1", b"2"]


@pytest.mark.parametrize("call", ["put", "get", "next", "seek", "write", "raw"])
def test_an_exception_is_the_cause_of_what_the_call_raises(open_db, order, call):
    db = open_db()
    for key in (b"a", b"b", b"c"):
        db.put(key, b"")
    iterator, raw = db.iterator(start=b"b"), db.raw_iterator()
    batch = db.write_batch()
    batch.put(b"bb", b"")
    calls = {
        "put": lambda: db.put(b"d", b""),
        "get": lambda: db.get(b"b"),
        "next": lambda: next(iterator),
        "seek": lambda: iterator.seek(b"z"),
        "write": batch.write,
        "raw": lambda: raw.seek(b"b"),
    }
    order.error = ZeroDivisionError("told to")
    with pytest.raises((terrace.Error, ZeroDivisionError)) as caught:
        calls[call]()
    if call != "seek":  # a seek compares with the bounds in Python
        assert "ZeroDivisionError: told to" in str(caught.value)
        assert caught.value.__cause__ is order.error
    order.error = None
    assert db.get(b"b") == b""


def test_writes_are_refused_afterwards_until_it_is_opened_again(open_db, order):
    db = open_db()
    db.put(b"a", b"")
    order.error = ValueError("no")
    with pytest.raises(terrace.IOError):
        db.put(b"b", b"")
    order.error = None
    with pytest.raises(terrace.IOError, match="takes no writes"):
        db.put(b"c", b"")
    assert db.get(b"a") == b""
    db.close()
    db = open_db()
    db.put(b"c", b"")
    assert db.get(b"a") == db.get(b"c") == b""


def test_an_interrupt_goes_on_as_what_it_is(open_db, order):
    db = open_db()
    db.put(b"a", b"")
    order.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        db.put(b"b", b"")


def test_an_exception_in_the_background_is_reported(open_db, order, monkeypatch):
    db = open_db()
    for _ in range(2):
        for key in (b"a", b"b"):
            db.put(key, b"")
        db.flush()
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(unraisable.exc_value))
    order.error = ValueError("in the background")
    with pytest.raises(terrace.Error, match="in the background"):
        db.compact_range()
    assert order.error in reported
    order.error = None
    assert db.background_error().severity == terrace.Severity.UNTIL_REOPENED
    assert "ValueError: in the background" in db.background_error().message
    assert list(db.iterator(include_value=False)) == [b"a", b"b"]
    db.close()
    db = open_db()
    db.compact_range()
    assert list(db.iterator(include_value=False)) == [b"a", b"b"]


def test_results_that_are_no_numbers_are_failures(path):
    with terrace.DB(path, create_if_missing=True, comparator=lambda a, b: "x", comparator_name=b"x") as db:
        db.put(b"a", b"")
        with pytest.raises(terrace.Error, match="TypeError") as caught:
            db.put(b"b", b"")
        assert isinstance(caught.value.__cause__, TypeError)


def test_a_comparator_that_uses_the_database_is_told_so(path):
    def compare(a, b):
        if databases and use:
            use.pop()(databases[0])
        return (a > b) - (a < b)

    databases, use = [], []
    with terrace.DB(path, create_if_missing=True, comparator=compare, comparator_name=b"x") as db:
        databases.append(db)
        db.put(b"a", b"")
        iterator = db.iterator()
        for forbidden in (lambda db: db.close(), lambda db: next(iterator)):
            use.append(forbidden)
            with pytest.raises(terrace.Error, match="must not use the database"):
                db.get(b"a")
        databases.clear()


def test_names_and_functions_are_checked(path):
    for comparator, name, error in ((len, None, ValueError), (None, b"x", ValueError), (b"", b"x", TypeError)):
        with pytest.raises(error):
            terrace.DB(path, create_if_missing=True, comparator=comparator, comparator_name=name)
    with pytest.raises(TypeError):
        terrace.DB(path, create_if_missing=True, comparator=len, comparator_name="text")
    with pytest.raises(ValueError):
        terrace.DB(path, create_if_missing=True, comparator=len, comparator_name=b"a\0b")
