"""Column families."""

import gc
import inspect
import os
import random
import resource
import signal
import threading

import pytest
from model import Model
from test_iterator import compare_moves, random_key, random_range

import terrace


@pytest.fixture
def users(db):
    """A family of `db`; the default family has entries that must not be seen in it."""
    for key in (b"", b"a", b"b", b"c", b"\xff"):
        db.put(key, b"of the default family")
    return db.create_family("users")


def test_a_life(path):
    with terrace.DB(path, create_if_missing=True) as db:
        assert db.families() == terrace.list_families(path) == ["default"]
        assert db.get_property(b"terrace.language") == b"leveldb"
        users = db.create_family("users")
        assert (users.db, users.name, users.id) == (db, "users", 1)
        assert "users" in repr(users)
        assert db.get_property(b"terrace.language") == b"rocksdb"
        users.put(b"a", b"1")
        db.put(b"a", b"0")
        groups = db.create_family("ü")
        groups.put(b"a", b"2", sync=True)
        assert db.families() == terrace.list_families(path) == ["default", "users", "ü"]
    assert terrace.list_families(path) == ["default", "users", "ü"]

    with pytest.raises(terrace.Error, match="users") as caught:
        terrace.DB(path)
    assert caught.value.code == terrace.ErrorCode.INVALID_ARGUMENT
    with pytest.raises(terrace.Error, match=r"\\xc3\\xbc"):  # the library's messages are ASCII
        terrace.DB(path, families=["users"])

    with terrace.DB(path, families=["ü", "users"]) as db:
        assert db.families() == ["default", "users", "ü"]
        assert [db.family(name).get(b"a") for name in db.families()] == [b"0", b"1", b"2"]
        assert db.family("ü").id == 2
        db.drop_family("users")
        assert db.families() == terrace.list_families(path) == ["default", "ü"]
        assert db.create_family("users").id == 3
        assert db.family("users").get(b"a") is None
        db.drop_family(db.family("users"))
    with terrace.DB(path, families=terrace.list_families(path)) as db:
        assert list(db.family("ü")) == [(b"a", b"2")]
        assert list(db) == list(db.family("default")) == [(b"a", b"0")]


def test_missing_families(path):
    with pytest.raises(terrace.Error):
        terrace.list_families(path)
    with pytest.raises(terrace.Error, match="a"):
        terrace.DB(path, create_if_missing=True, families=["a"])
    options = {"create_if_missing": True, "create_missing_families": True}
    with terrace.DB(path, families={"a": {}, "b": {"write_buffer_size": 1 << 20}}, **options) as db:
        db.family("b").put(b"k", b"v")
    with terrace.DB(path, families={"b": {}, "c": None, "a": {}, "default": {}}, **options) as db:
        assert db.families() == ["default", "a", "b", "c"]
        assert db.family("b").get(b"k") == b"v"


def test_the_language(path, tmp_path):
    with terrace.DB(path, create_if_missing=True, language="leveldb", max_total_wal_size=1 << 20) as db:
        with pytest.raises(terrace.Error) as caught:
            db.create_family("users")
        assert caught.value.code == terrace.ErrorCode.NOT_SUPPORTED
        assert db.families() == ["default"]
        db.put(b"a", b"")
    with terrace.DB(path, language="may_switch") as db:
        assert db.get_property(b"terrace.language") == b"leveldb"
    with terrace.DB(tmp_path / "other", create_if_missing=True, language="rocksdb") as db:
        assert db.get_property(b"terrace.language") == b"rocksdb"
    with terrace.DB(tmp_path / "other", families=[]) as db:
        assert db.families() == ["default"]


def test_tables_are_upgraded(path):
    with terrace.DB(path, create_if_missing=True) as db:
        db.put(b"key", b"value")
        db.flush()
        with pytest.raises(terrace.Error, match="create a column family") as caught:
            db.upgrade_tables()
        assert caught.value.code == terrace.ErrorCode.INVALID_ARGUMENT
        db.create_family("users")
        db.upgrade_tables()
        assert db.get_property(b"terrace.tables-to-upgrade") == b"0"
        assert db.get(b"key") == b"value"
    assert not any(name.endswith(".ldb") for name in os.listdir(path))
    with pytest.raises(RuntimeError, match="closed"):
        db.upgrade_tables()


@pytest.mark.parametrize(
    "arguments, error",
    [
        ({"language": "latin"}, ValueError),
        ({"language": 1}, TypeError),
        ({"max_total_wal_size": -1}, OverflowError),
        ({"families": "users"}, TypeError),
        ({"families": 7}, TypeError),
        ({"families": [b"users"]}, TypeError),
        ({"families": {"a\0b": {}}}, ValueError),
        ({"families": {"a": {"max_open_files": 100}}}, TypeError),
        ({"families": {"a": {"block_size": "1"}}}, TypeError),
        ({"families": {"a": {"comparator": len}}}, ValueError),
        ({"families": {"a": {"compression": "zip"}}}, ValueError),
        ({"families": {"": {}}, "create_missing_families": True}, terrace.Error),
    ],
)
def test_arguments_are_checked(path, arguments, error):
    with pytest.raises(error):
        terrace.DB(path, create_if_missing=True, **arguments)
    assert not os.path.exists(path)


def test_names_are_checked(db):
    db.create_family("users")
    for name, error in ((b"x", TypeError), (None, TypeError), ("a\0", ValueError)):
        for call in (db.create_family, db.family, db.drop_family):
            with pytest.raises(error):
                call(name)
    for name in ("users", "default", "", "x" * 4097):
        with pytest.raises(terrace.Error) as caught:
            db.create_family(name)
        assert caught.value.code == terrace.ErrorCode.INVALID_ARGUMENT
    for call in (db.family, db.drop_family, lambda name: db.iterators([name]), db.snapshot().family):
        with pytest.raises(terrace.Error, match="no column family 'none'") as caught:
            call("none")
        assert caught.value.code == terrace.ErrorCode.INVALID_ARGUMENT
    with pytest.raises(terrace.Error, match="cannot be dropped"):
        db.drop_family("default")
    with pytest.raises(TypeError):
        db.iterators("users")
    assert db.create_family("y" * 4096).name == "y" * 4096
    assert db.families() == ["default", "users", "y" * 4096]


def test_every_option_of_a_family(db, path):
    options = {
        "write_buffer_size": 1 << 20,
        "lru_cache_size": 1 << 20,
        "block_size": 1024,
        "block_restart_interval": 8,
        "max_file_size": 1 << 20,
        "compression": "zstd",
        "compression_level": 3,
        "bloom_filter_bits": 10,
        "comparator": lambda a, b: (a > b) - (a < b),
        "comparator_name": b"test.Bytes",
        "seek_compaction": True,
        "idle_compaction": False,
        "whole_table_filter": False,
        "max_write_buffer_number": 3,
        "level0_file_num_compaction_trigger": 2,
        "level0_slowdown_writes_trigger": 6,
        "level0_stop_writes_trigger": 10,
        "max_bytes_for_level_base": 1 << 22,
    }
    offered = set(inspect.signature(db.create_family).parameters) - {"name"}
    assert offered == set(options) == set(terrace.FamilyOptions.__annotations__)
    family = db.create_family("all", **options)
    family.put(b"a", b"1")
    db.flush()
    db.close()
    with terrace.DB(path, families={"all": options}) as db:
        assert db.family("all").get(b"a", verify_checksums=True, fill_cache=False) == b"1"


def test_values_of_all_sizes(db, users):
    values = {b"%d" % size: os.urandom(size) for size in (0, 1, 511, 512, 513, 100_000, 5 << 20)}
    for key, value in values.items():
        users.put(key, value)
    for _ in range(2):
        with users.snapshot() as snapshot:
            for key, value in values.items():
                assert users.get(key) == snapshot.get(key) == value
        db.flush()
    assert users.get(b"none") is None
    assert users.get(b"none", b"other") == b"other"
    assert users.snapshot().get(b"none", 7) == 7


@pytest.mark.parametrize("wrong", ["text", 1, None, object()])
def test_bytes_like_objects_and_others(db, users, wrong):
    users.put(bytearray(b"a"), memoryview(b"1"))
    assert users.get(memoryview(b"a")) == b"1"
    users.delete(bytearray(b"a"))
    assert users.get(b"a") is None
    batch = users.write_batch()
    for call in (
        lambda: users.get(wrong),
        lambda: users.put(wrong, b""),
        lambda: users.put(b"", wrong),
        lambda: users.delete(wrong),
        lambda: users.get_property(wrong),
        lambda: users.prefixed_db(wrong),
        lambda: users.approximate_size(wrong, b""),
        lambda: users.snapshot().get(wrong),
        lambda: batch.put(wrong, b""),
        lambda: batch.put(b"", b"", family=wrong or 0),
        lambda: db.iterators([wrong]),
        lambda: db.snapshot().family(wrong),
    ):
        with pytest.raises((TypeError, terrace.Error)):
            call()


def test_random_moves(db, users, rng):
    keys = {random_key(rng) for _ in range(60)}
    with users.write_batch() as batch:
        for key in keys:
            batch.put(key, b"")
    for _ in range(100):
        arguments = random_range(rng)
        print(arguments)
        model = Model(keys, **arguments)
        compare_moves(rng, model, users.iterator(include_value=False, **arguments), 40)
        iterator = db.iterators([users], include_value=False, **arguments)[0]
        compare_moves(rng, Model(keys, **arguments), iterator, 40)


def test_iteration(db, users):
    entries = [(b"%04d" % i, b"v%d" % i) for i in range(3000)]
    with users.write_batch() as batch:
        for key, value in entries:
            batch.put(key, value)
    assert list(users) == entries
    assert list(users.iterator(reverse=True, fill_cache=False, verify_checksums=True)) == entries[::-1]
    assert list(users.iterator(prefix=b"00", include_value=False)) == [key for key, _ in entries[:100]]
    with users.raw_iterator() as raw:
        raw.seek_to_first()
        assert raw.item() == entries[0]
        raw.seek(b"1")
        assert raw.key() == b"1000"
        raw.seek_to_last()
        assert raw.value() == b"v2999"
    part = users.prefixed_db(b"00").prefixed_db(b"1")
    assert (part.db, part.prefix) == (db, b"001")
    assert list(part.iterator(include_value=False)) == [b"%d" % i for i in range(10)]
    part.put(b"x", b"1")
    assert part.get(b"x") == users.get(b"001x") == b"1"
    with part.write_batch() as batch:
        batch.delete(b"x")
        batch.put(b"y", b"2")
        batch.put(b"y", b"of the default family", family="default")
    assert (part.get(b"x"), part.get(b"y"), db.get(b"y")) == (None, b"2", b"of the default family")
    with part.snapshot() as snapshot:
        part.delete(b"y")
        assert (snapshot.get(b"y"), part.get(b"y")) == (b"2", None)
        assert list(snapshot.iterator(start=b"9", include_value=False)) == [b"9", b"y"]


def test_snapshots(db):
    one, two = db.create_family("one"), db.create_family("two")
    for family in (db, one, two):
        family.put(b"k", b"old")
    snapshot = db.snapshot()
    of_one = one.snapshot()
    for family in (db, one, two):
        family.put(b"k", b"new")
    for view in (
        snapshot,
        snapshot.family(one),
        snapshot.family("two"),
        snapshot.family("default"),
        of_one,
        of_one.family(two),
    ):
        assert view.get(b"k") == b"old"
        assert list(view) == [(b"k", b"old")]
        raw = view.raw_iterator()
        raw.seek_to_first()
        assert raw.item() == (b"k", b"old")
    db.drop_family(two)
    assert snapshot.family(two).get(b"k") == b"old"
    view = snapshot.family(one)
    iterator = view.iterator()
    view.close()
    for closed in (view, snapshot):
        with pytest.raises(RuntimeError):
            closed.get(b"k")
    assert list(iterator) == [(b"k", b"old")]
    assert of_one.get(b"k") == b"old"


def test_batches(db):
    one, two = db.create_family("one"), db.create_family("two")
    two.put(b"gone", b"")
    with db.write_batch(sync=True) as batch:
        batch.put(b"a", b"0")
        batch.put(b"a" * 200, bytes(20_000), family=one)
        batch.delete(b"gone", family="two")
        batch.put(b"a", b"2", family=two)
        batch.put(b"b", b"0", family="default")
    assert list(db) == [(b"a", b"0"), (b"b", b"0")]
    assert list(one) == [(b"a" * 200, bytes(20_000))]
    assert list(two) == [(b"a", b"2")]
    whole = db.write_batch()
    for family in (one, two):
        part = family.write_batch()
        part.put(b"c", b"3")
        part.delete(b"a")
        whole.append(part)
    whole.write()
    assert list(two) == [(b"c", b"3")]
    assert one.get(b"c") == b"3"
    assert db.get(b"a") == b"0"
    with pytest.raises(ZeroDivisionError), one.write_batch(transaction=True) as batch:
        batch.put(b"never", b"", family=two)
        1 / 0
    assert two.get(b"never") is None


def test_a_family_with_a_large_number(db):
    for i in range(200):
        db.create_family(f"f{i}")
        if i < 190:
            db.drop_family(f"f{i}")
    family = db.family("f199")
    assert family.id == 200
    with family.write_batch() as batch:
        batch.put(b"a", b"1")
    assert family.get(b"a") == b"1"


def test_families_of_two_databases(db, tmp_path):
    with terrace.DB(tmp_path / "other", create_if_missing=True) as other:
        mine, foreign = db.create_family("a"), other.create_family("a")
        assert mine == db.family("a") != foreign
        assert len({mine, db.family("a"), foreign}) == 2
        assert mine != "a"
        batch, theirs = db.write_batch(), other.write_batch()
        theirs.put(b"", b"")
        batch.append(theirs)
        theirs.put(b"", b"", family=foreign)
        for call in (
            lambda: db.drop_family(foreign),
            lambda: db.iterators([mine, foreign]),
            lambda: db.snapshot().family(foreign),
            lambda: batch.put(b"", b"", family=foreign),
            lambda: batch.delete(b"", family=foreign),
            lambda: batch.append(theirs),
        ):
            with pytest.raises(terrace.Error, match="of another database") as caught:
                call()
            assert caught.value.code == terrace.ErrorCode.INVALID_ARGUMENT
        batch.write()
        assert list(db) == [(b"", b"")]


def test_iterators_of_one_state(db):
    """Of batches over two families, written all the time, iterators see everything or nothing."""
    one, two = db.create_family("one"), db.create_family("two")
    done = threading.Event()

    def write():
        number = 0
        while not done.is_set():
            number += 1
            with db.write_batch() as batch:
                for family in (None, one, two):
                    batch.put(b"number", b"%d" % number, family=family)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = set()
        for _ in range(300):
            values = [list(iterator) for iterator in db.iterators(["default", one, two], include_key=False)]
            assert values[0] == values[1] == values[2]
            seen.add(tuple(values[0]))
        assert len(seen) > 1
    finally:
        done.set()
        writer.join()
    assert db.iterators([]) == []
    same = db.iterators([one, one], prefix=b"num", include_value=False)
    assert [list(iterator) for iterator in same] == [[b"number"], [b"number"]]
    with pytest.raises(TypeError):
        db.iterators([one], prefix=b"", start=b"")
    with pytest.raises(TypeError):
        db.iterators([one], start=1)


def test_properties_sizes_and_compaction(db, users):
    for i in range(1000):
        users.put(b"%04d" % i, os.urandom(100))
    assert users.get_property(b"terrace.wal-pinned-by") is not None
    users.compact_range()
    assert users.get_property(b"leveldb.num-files-at-level0") == b"0"
    assert b"evel" in users.get_property(b"leveldb.stats")
    assert users.get_property(b"none") is None
    assert users.get_property(b"leveldb.stats\0") is None
    whole, none, half = users.approximate_sizes((b"", b"\xff"), (b"x", b"y"), (b"0500", b"9"))
    assert whole > 100_000 > 70_000 > half > 30_000 > none == 0
    assert users.approximate_sizes() == []
    assert users.approximate_size(b"", b"\xff") == whole
    assert db.approximate_size(b"", b"\xff") < 1000
    users.compact_range(start=b"5", stop=b"0")
    users.compact_range(start=bytearray(b"0"))


def test_a_compaction_that_fails_is_reported(path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with terrace.DB(path, create_if_missing=True, mmap_wal=False) as db:
        users = db.create_family("users")
        users.put(b"large", os.urandom(60_000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, limits[1]))
        try:
            with pytest.raises(terrace.IOError, match="File too large"):
                users.compact_range()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        db.resume()
        users.compact_range()
        with pytest.raises(terrace.Error):
            db.family("none")
        users.compact_range()  # earlier errors do not count


def test_orders_of_families(path):
    def backward(a, b):
        return (a < b) - (a > b)

    options = {"comparator": backward, "comparator_name": b"test.Backward"}
    with terrace.DB(path, create_if_missing=True) as db:
        plain, reversed_ = db.create_family("plain"), db.create_family("reversed", **options)
        for key in (b"b", b"a", b"d", b"c"):
            for family in (db, plain, reversed_):
                family.put(key, b"")
        assert list(plain.iterator(include_value=False)) == [b"a", b"b", b"c", b"d"]
        assert list(reversed_.iterator(include_value=False)) == [b"d", b"c", b"b", b"a"]
        assert list(reversed_.iterator(start=b"c", stop=b"a", include_value=False)) == [b"c", b"b"]
        assert list(reversed_.iterator(start=b"a", stop=b"c")) == []
        first, second = db.iterators([plain, reversed_], start=b"b", include_value=False)
        assert (list(first), list(second)) == ([b"b", b"c", b"d"], [b"b", b"a"])
    with pytest.raises(terrace.Error, match="omparator"):
        terrace.DB(path, families=["plain", "reversed"])
    with terrace.DB(path, families={"plain": {}, "reversed": options}) as db:
        iterator = db.family("reversed").iterator(include_value=False)
        iterator.seek(b"c")
        assert list(iterator) == [b"c", b"b", b"a"]


def test_the_order_of_the_default_family_may_be_named(path):
    options = {"comparator": lambda a, b: (a < b) - (a > b), "comparator_name": b"test.Backward"}
    for families in ({"default": options}, None):
        arguments = {"families": families} if families else options
        with terrace.DB(path, create_if_missing=True, **arguments) as db:
            for key in (b"a", b"b", b"c"):
                db.put(key, b"")
            for whole in (db, db.family("default")):
                assert list(whole.iterator(start=b"b", include_value=False)) == [b"b", b"a"]
                assert list(whole.iterator(start=b"a", stop=b"b")) == []


def test_an_exception_in_the_order_of_a_family(path):
    fail = False

    def compare(a, b):
        if fail:
            raise ZeroDivisionError("no order")
        return (a > b) - (a < b)

    with terrace.DB(path, create_if_missing=True) as db:
        family = db.create_family("f", comparator=compare, comparator_name=b"x")
        family.put(b"a", b"1")
        fail = True
        for call in (lambda: family.get(b"b"), lambda: list(family.iterator(start=b"b"))):
            with pytest.raises(terrace.IOError, match="no order") as caught:
                call()
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
        fail = False
        assert family.get(b"a") == b"1"
        for whole in (db, family):
            with pytest.raises(terrace.IOError, match="open it again"):
                whole.put(b"b", b"")


def test_after_a_drop(db):
    """What exists can be read; writes raise."""
    users = db.create_family("users")
    users.put(b"a", b"1")
    db.flush()
    users.put(b"b", b"2")
    iterator, snapshot = users.iterator(), users.snapshot()
    batch = users.write_batch()
    batch.put(b"c", b"3")
    batch.put(b"c", b"3", family="default")
    same = db.family("users")
    db.drop_family(users)
    for family in (users, same):
        assert (family.name, family.id) == ("users", 1)
        assert family.get(b"a") == b"1"
        assert list(family) == [(b"a", b"1"), (b"b", b"2")]
        assert family.get_property(b"leveldb.stats") is None
        assert family.approximate_sizes((b"", b"\xff"))[0] >= 0
        for call in (
            lambda: family.put(b"x", b""),
            lambda: family.delete(b"a"),
            lambda: db.drop_family(family),
            batch.write,
        ):
            with pytest.raises(terrace.Error, match="dropped") as caught:
                call()
            assert caught.value.code == terrace.ErrorCode.INVALID_ARGUMENT
    assert snapshot.get(b"b") == b"2"
    assert list(iterator) == [(b"a", b"1"), (b"b", b"2")]
    assert db.get(b"c") is None  # of the batch, nothing was written
    with pytest.raises(terrace.Error, match="no column family"):
        db.family("users")
    again = db.create_family("users")
    assert again != users
    assert list(again) == []
    assert list(db.iterators([users, again])[0]) == [(b"a", b"1"), (b"b", b"2")]


def test_the_files_of_a_dropped_family_go_with_the_last_object(db, path):
    users = db.create_family("users")
    users.put(b"a", os.urandom(100_000))
    db.flush()

    def tables():
        return [name for name in os.listdir(path) if name.endswith((".ldb", ".sst"))]

    assert len(tables()) == 1
    iterator = users.iterator()
    db.drop_family("users")
    del users
    assert len(next(iterator)[1]) == 100_000
    assert len(tables()) == 1
    del iterator
    gc.collect()
    for _ in range(1000):
        if not tables():
            return
        threading.Event().wait(0.01)
    pytest.fail(f"{tables()} are still there")


def test_after_close(path):
    db = terrace.DB(path, create_if_missing=True)
    users = db.create_family("users")
    part, snapshot, batch, iterator = users.prefixed_db(b"p"), users.snapshot(), users.write_batch(), users.iterator()
    batch.put(b"", b"")
    db.close()
    assert (users.name, users.id, users.db) == ("users", 1, db)
    assert "users" in repr(users)
    for call in (
        lambda: users.get(b""),
        lambda: users.put(b"", b""),
        lambda: users.delete(b""),
        users.iterator,
        users.raw_iterator,
        users.snapshot,
        users.write_batch,
        users.compact_range,
        lambda: list(users),
        lambda: users.get_property(b"leveldb.stats"),
        lambda: users.approximate_size(b"", b""),
        users.approximate_sizes,
        lambda: part.get(b""),
        lambda: part.put(b"", b""),
        part.iterator,
        part.snapshot,
        part.write_batch,
        lambda: snapshot.get(b""),
        lambda: snapshot.family("users"),
        lambda: snapshot.family(users).get(b""),
        lambda: batch.put(b"", b"", family=users),
        lambda: batch.delete(b"", family="users"),
        batch.write,
        lambda: next(iterator),
        lambda: db.create_family("x"),
        lambda: db.drop_family(users),
        lambda: db.drop_family("users"),
        lambda: db.family("users"),
        lambda: db.family("default"),
        lambda: db.iterators([users]),
        lambda: db.iterators([]),
        db.families,
    ):
        with pytest.raises(RuntimeError):
            call()
    with terrace.DB(path, families=["users"]) as again:  # the lock is free, whatever objects are left
        again.family("users").put(b"", b"new")
        with pytest.raises(terrace.Error, match="another database"):
            again.drop_family(users)


def test_a_family_keeps_its_database_open(path):
    users = terrace.DB(path, create_if_missing=True).create_family("users")
    gc.collect()
    users.put(b"a", b"1")
    del users  # nothing refers to the database in a cycle: it is closed now
    with terrace.DB(path, families=["users"]) as db:
        assert db.family("users").get(b"a") == b"1"


def test_an_exception_that_is_kept_does_not_keep_the_database_open(path):
    db = terrace.DB(path, create_if_missing=True)
    users = db.create_family("users")
    kept = []
    for call in (
        lambda: users.put(b"a", 1),
        lambda: users.iterator(start=1),
        lambda: db.create_family("users", bloom_filter_bits=10),
        lambda: db.family("none"),
        lambda: db.drop_family("default"),
        lambda: db.iterators([users], start=1),
    ):
        try:
            call()
        except (TypeError, terrace.Error) as error:
            kept.append(error)
    assert len(kept) == 6
    closer = threading.Thread(target=db.close, daemon=True)
    closer.start()
    closer.join(30)
    assert not closer.is_alive()


def test_threads_that_create_and_drop_while_others_work_and_one_closes(tmp_path):
    for number in range(5):
        path = tmp_path / str(number)
        db = terrace.DB(path, create_if_missing=True)
        stays = db.create_family("stays")
        began, unexpected = threading.Barrier(6), []

        def work(call):
            began.wait()
            try:
                for _ in range(1_000_000):
                    try:
                        call()
                    except terrace.Error as error:
                        # Another thread has created, dropped or closed it.
                        if not any(text in str(error) for text in ("exists", "dropped", "no column family")):
                            raise
            except RuntimeError:
                pass
            except BaseException as error:
                unexpected.append(error)

        def create():
            family = db.create_family(f"f{random.randrange(3)}", bloom_filter_bits=10)
            family.put(b"a", b"1")
            if family.get(b"a") != b"1":
                # A write that races with the drop may be lost with the family; the next one raises.
                family.put(b"a", b"1")
                raise AssertionError("a family that was not dropped has lost a write")

        def batch():
            with db.write_batch() as batch:
                for name in db.families():
                    batch.put(b"b", bytes(100), family=name)

        calls = [
            create,
            lambda: db.drop_family(f"f{random.randrange(3)}"),
            batch,
            lambda: [list(iterator) for iterator in db.iterators(db.families())],
            lambda: (stays.put(b"x", bytes(100)), stays.get(b"x"), list(stays.snapshot())),
        ]
        threads = [threading.Thread(target=work, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        began.wait()
        threading.Event().wait(0.2)
        db.close()
        for thread in threads:
            thread.join()
        assert not unexpected
        terrace.DB(path, families=terrace.list_families(path)).close()


def test_a_child_of_fork(run_python, path):
    printed = run_python(
        """
import os, sys, terrace
db = terrace.DB(sys.argv[1], create_if_missing=True)
users = db.create_family("users")
users.put(b"a", b"1")
iterator = users.iterator()
child = os.fork()
if child == 0:
    calls = [
        lambda: users.get(b"a"), lambda: users.put(b"a", b""), lambda: next(users.iterator()), users.compact_range,
        lambda: users.approximate_size(b"", b"x"), lambda: db.create_family("x"), lambda: db.drop_family(users),
        lambda: db.iterators([users]),
    ]
    for call in calls:
        try:
            call()
            print("no error")
        except terrace.IOError as error:
            assert "fork" in str(error), error
    del users, iterator
    db.close()
    print("done", flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
users.put(b"b", b"2")
print(list(users), list(iterator))
""",
        path,
    ).stdout
    assert printed == "done\n[(b'a', b'1'), (b'b', b'2')] [(b'a', b'1')]\n"


def test_an_interpreter_that_exits_without_closing(run_python, path):
    run_python(
        """
import sys, terrace
compare = lambda a, b: (a > b) - (a < b)
db = terrace.DB(sys.argv[1], create_if_missing=True)
users = db.create_family("users", comparator=compare, comparator_name=b"c")
dropped = db.create_family("dropped", comparator=compare, comparator_name=b"c", bloom_filter_bits=10)
users.put(b"a", b"1")
dropped.put(b"a", b"1")
raw, iterator, snapshot, batch = users.raw_iterator(), iter(dropped), users.snapshot(), users.write_batch()
next(iterator)
db.drop_family(dropped)
""",
        path,
    )
    options = {"comparator": lambda a, b: (a > b) - (a < b), "comparator_name": b"c"}
    with terrace.DB(path, families={"users": options}) as db:
        assert list(db.family("users")) == [(b"a", b"1")]
        assert db.families() == ["default", "users"]


def test_nothing_leaks(path):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def round_trip():
        options = {"lru_cache_size": 1 << 20, "bloom_filter_bits": 10}
        db = terrace.DB(path, create_if_missing=True, families={"stays": options}, create_missing_families=True)
        family = db.create_family("goes", **options)
        for i in range(300):
            family.put(b"%d" % i, bytes(300))
        for _ in range(50):
            next(family.iterator())
            db.iterators([family, "stays", "default"])
            family.get(b"1")
            family.snapshot().family("stays").get(b"1")
            family.get_property(b"leveldb.stats")
            for call in (lambda: db.create_family("stays", **options), lambda: db.family("none")):
                with pytest.raises(terrace.Error):
                    call()
        terrace.list_families(path)
        db.drop_family(family)
        db.close()
        with pytest.raises(terrace.Error):
            terrace.DB(path)

    for _ in range(20):
        round_trip()
    gc.collect()
    memory, descriptors = resident(), len(os.listdir("/proc/self/fd"))
    for _ in range(60):
        round_trip()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert resident() - memory < 8 << 20


def test_a_family_goes_to_a_directory_of_leveldbs_and_comes_back(db, users, tmp_path):
    for number in range(100):
        users.put(b"%d" % number, b"old")
        users.put(b"%d" % number, b"value %d" % number)
    users.delete(b"7")
    directory = tmp_path / "exported"
    users.export_leveldb(directory)
    with pytest.raises(terrace.Error, match="already") as caught:
        users.export_leveldb(directory)
    assert caught.value.code == terrace.ErrorCode.INVALID_ARGUMENT
    expected = sorted((b"%d" % number, b"value %d" % number) for number in range(100) if number != 7)
    with terrace.DB(str(directory)) as exported:
        assert exported.get_property(b"terrace.language") == b"leveldb"
        assert list(exported) == expected
        exported.put(b"added", b"later")
        with pytest.raises(terrace.Error, match="LOCK"):
            db.import_leveldb("again", directory)
    again = db.import_leveldb("again", str(directory))
    assert (again.name, db.families()) == ("again", ["default", "users", "again"])
    assert list(again) == sorted([*expected, (b"added", b"later")])
    again.put(b"8", b"newer")
    assert (again.get(b"8"), users.get(b"8"), db.family("again").get(b"7")) == (b"newer", b"value 8", None)
    with pytest.raises(terrace.Error, match="exists already"):
        db.import_leveldb("again", directory)
    with pytest.raises(terrace.Error, match="no database"):
        db.import_leveldb("new", tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
    with pytest.raises(ValueError):
        db.import_leveldb("a\0", directory)

    db.export_leveldb(os.fsencode(tmp_path / "of-default"))
    with terrace.DB(str(tmp_path / "of-default")) as exported:
        assert list(exported) == list(db)
    db.drop_family(users)
    users.export_leveldb(tmp_path / "dropped")
    assert (tmp_path / "dropped" / "CURRENT").exists()
    db.close()
    with pytest.raises(RuntimeError):
        users.export_leveldb(tmp_path / "closed")
    with pytest.raises(RuntimeError):
        db.import_leveldb("new", directory)
    assert not (tmp_path / "closed").exists()
