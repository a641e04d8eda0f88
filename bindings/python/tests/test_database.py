"""Databases, batches, snapshots: the behaviour of plyvel, and the additions to it."""

import errno
import os
import pathlib
import resource
import signal
import threading

import pytest

import terrace


def test_values_of_all_sizes(db):
    values = {b"%d" % size: os.urandom(size) for size in (0, 1, 511, 512, 513, 1024, 100_000, 5 << 20)}
    for key, value in values.items():
        db.put(key, value)
    for _ in range(2):
        with db.snapshot() as snapshot:
            for key, value in values.items():
                assert db.get(key) == value
                assert snapshot.get(key) == value
        db.flush()


def test_bytes_like_keys_and_values(db):
    db.put(bytearray(b"a"), memoryview(b"1"))
    db.put(memoryview(b"bxx")[:1], bytearray(b"2"))
    assert db.get(memoryview(b"a")) == b"1"
    assert db.get(bytearray(b"b")) == b"2"
    assert type(db.get(b"b")) is bytes
    with db.write_batch() as batch:
        value = bytearray(b"3")
        batch.put(bytearray(b"c"), value)
        value[0] = 0
        batch.delete(bytearray(b"a"))
    assert list(db) == [(b"b", b"2"), (b"c", b"3")]
    db.delete(bytearray(b"b"))
    assert db.get(b"b") is None


@pytest.mark.parametrize("wrong", ["text", 1, None, 2.5, object()])
def test_keys_and_values_that_are_not_bytes(db, wrong):
    part, batch = db.prefixed_db(b"p"), db.write_batch()
    for call in (
        lambda: db.get(wrong),
        lambda: db.put(wrong, b""),
        lambda: db.put(b"", wrong),
        lambda: db.delete(wrong),
        lambda: db.get_property(wrong),
        lambda: db.prefixed_db(wrong),
        lambda: db.approximate_size(wrong, b""),
        lambda: db.snapshot().get(wrong),
        lambda: part.get(wrong),
        lambda: part.put(wrong, b""),
        lambda: part.put(b"", wrong),
        lambda: part.delete(wrong),
        lambda: part.prefixed_db(wrong),
        lambda: batch.put(wrong, b""),
        lambda: batch.put(b"", wrong),
        lambda: batch.delete(wrong),
        lambda: batch.append(wrong),
    ):
        with pytest.raises(TypeError):
            call()


def test_names(tmp_path):
    for name in (tmp_path / "a", str(tmp_path / "b"), os.fsencode(tmp_path / "ü")):
        with terrace.DB(name, create_if_missing=True) as db:
            assert db.name is name
            assert "closed" not in repr(db)
        assert "closed" in repr(db)
    assert pathlib.Path(tmp_path / "ü" / "CURRENT").exists()
    with pytest.raises(TypeError):
        terrace.DB(7)
    with pytest.raises(ValueError):
        terrace.DB("a\0b")
    with pytest.raises(AttributeError):
        db.name = "other"


@pytest.mark.parametrize(
    "option, value, error",
    [
        ("write_buffer_size", "1", TypeError),
        ("write_buffer_size", 1.5, TypeError),
        ("write_buffer_size", -1, OverflowError),
        ("max_open_files", 1 << 31, OverflowError),
        ("max_file_size", 1 << 64, OverflowError),
        ("lru_cache_size", -1, OverflowError),
        ("bloom_filter_bits", "10", TypeError),
        ("compression", "zip", ValueError),
        ("compression", 1, TypeError),
        ("compression_level", "1", TypeError),
        ("comparator", len, ValueError),
        ("comparator_name", b"x", ValueError),
        ("no_such_option", 1, TypeError),
        ("max_bytes_for_level_base", 1 << 64, OverflowError),
    ],
)
def test_options_are_checked(path, option, value, error):
    with pytest.raises(error):
        terrace.DB(path, create_if_missing=True, **{option: value})
    assert not os.path.exists(path)


def test_all_options(path):
    options = {
        "paranoid_checks": True,
        "write_buffer_size": 1 << 20,
        "max_open_files": 100,
        "lru_cache_size": 1 << 20,
        "block_size": 1024,
        "block_restart_interval": 8,
        "max_file_size": 1 << 20,
        "compression": None,
        "bloom_filter_bits": 10,
        "reuse_logs": True,
        "seek_compaction": True,
        "idle_compaction": False,
        "whole_table_filter": False,
        "table_metadata_budget": 1 << 20,
        "max_write_buffer_number": 3,
        "level0_file_num_compaction_trigger": 2,
        "level0_slowdown_writes_trigger": 6,
        "level0_stop_writes_trigger": 10,
        "max_bytes_for_level_base": 1 << 22,
        "max_background_compactions": 2,
        "max_subcompactions": 1,
        "mmap_reads": False,
        "mmap_wal": False,
    }
    for _ in range(2):
        with terrace.DB(path, create_if_missing=True, **options) as db:
            db.put(b"a", b"1")
            db.flush()
            assert db.get(b"a", verify_checksums=True, fill_cache=False) == b"1"


@pytest.mark.parametrize("compression", [None, "snappy", "zlib", "raw_deflate", "zstd"])
def test_every_compression_is_written_and_read(path, compression):
    entries = [(b"%06d" % i, b"value of %d " % i * 30) for i in range(1000)]
    with terrace.DB(path, create_if_missing=True, compression=compression, compression_level=3) as db:
        for key, value in entries:
            db.put(key, value)
        db.flush()
    stored = sum(file.stat().st_size for file in pathlib.Path(path).glob("*.ldb"))
    assert (stored < 300_000) == (compression is not None)
    with terrace.DB(path) as db:
        assert list(db) == entries


def test_every_option_of_the_library_is_offered():
    """`terrace.h` and the constructor have the same options."""
    header = pathlib.Path(__file__).parents[3] / "include" / "terrace.h"
    names = {
        line.split("terrace_options_set_")[1].split("(")[0]
        for line in header.read_text().splitlines()
        if line.startswith("void terrace_options_set_")
    }
    import inspect

    assert names - set(inspect.signature(terrace.DB).parameters) == {"create_missing_column_families"}
    assert "create_missing_families" in inspect.signature(terrace.DB).parameters


def test_errors_say_what_and_where(path, tmp_path):
    with pytest.raises(terrace.Error, match="does not exist") as caught:
        terrace.DB(path)
    assert caught.value.code == terrace.ErrorCode.INVALID_ARGUMENT
    assert not isinstance(caught.value, OSError)

    with pytest.raises(terrace.Error, match="NotFound") as caught:
        terrace.DB(tmp_path / "no" / "such", create_if_missing=True)
    assert (caught.value.code, caught.value.errno) == (terrace.ErrorCode.NOT_FOUND, errno.ENOENT)
    assert caught.value.path.startswith(str(tmp_path / "no"))

    with terrace.DB(path, create_if_missing=True):
        with pytest.raises(terrace.IOError, match="LOCK") as caught:
            terrace.DB(path)
        assert isinstance(caught.value, OSError)
        assert caught.value.code == terrace.ErrorCode.IO_ERROR
        assert str(caught.value).startswith("IO error: ")
        with pytest.raises(terrace.IOError):
            terrace.destroy_db(path)
    with pytest.raises(terrace.Error, match="error_if_exists"):
        terrace.DB(path, error_if_exists=True)
    terrace.destroy_db(path)
    assert not os.path.exists(path)
    terrace.destroy_db(path)


def test_close_is_idempotent_and_everything_raises_after_it(path):
    db = terrace.DB(path, create_if_missing=True)
    part, snapshot, batch = db.prefixed_db(b"a"), db.snapshot(), db.write_batch()
    db.close()
    db.close()
    assert db.closed
    for call in (
        lambda: db.get(b""),
        lambda: db.put(b"", b""),
        lambda: db.delete(b""),
        db.write_batch,
        db.iterator,
        db.raw_iterator,
        db.snapshot,
        lambda: iter(db),
        lambda: db.get_property(b"leveldb.stats"),
        lambda: db.approximate_size(b"", b""),
        db.compact_range,
        db.flush,
        db.resume,
        db.background_error,
        lambda: part.get(b""),
        lambda: part.put(b"", b""),
        part.iterator,
        part.snapshot,
        part.write_batch,
        lambda: snapshot.get(b""),
        snapshot.iterator,
        snapshot.raw_iterator,
        lambda: batch.put(b"", b""),
        lambda: batch.delete(b""),
        batch.write,
        batch.clear,
        batch.approximate_size,
    ):
        with pytest.raises(RuntimeError):
            call()
    snapshot.close()
    part.prefixed_db(b"b")
    with terrace.DB(path) as again:  # the lock is free
        again.put(b"", b"")


def test_closing_while_threads_are_at_work(path):
    """Running calls complete; later calls raise RuntimeError; nothing crashes."""
    for _ in range(10):
        db = terrace.DB(path, create_if_missing=True, write_buffer_size=1 << 16)
        with db.write_batch() as batch:
            for i in range(2000):
                batch.put(b"%d" % i, bytes(100))
        began, unexpected = threading.Barrier(6), []

        def work(call):
            began.wait()
            try:
                while True:
                    call()
            except RuntimeError:
                pass
            except BaseException as error:
                unexpected.append(error)

        calls = [
            lambda: db.get(b"77"),
            lambda: db.put(b"x", bytes(1000)),
            lambda: list(db),
            lambda: list(db.iterator(reverse=True)),
            lambda: db.snapshot().get(b"5"),
        ]
        threads = [threading.Thread(target=work, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        began.wait()
        db.close()
        for thread in threads:
            thread.join()
        assert not unexpected
        terrace.DB(path).close()


def test_an_exception_that_is_kept_does_not_keep_the_database_open(path):
    db = terrace.DB(path, create_if_missing=True)
    kept = []
    for call in (lambda: db.put(b"a", 1), lambda: db.iterator(start=1), lambda: db.get(None)):
        try:
            call()
        except TypeError as error:
            kept.append(error)
    iterator = db.iterator()
    try:
        next(iterator)
    except StopIteration as error:
        kept.append(error)
    closer = threading.Thread(target=db.close, daemon=True)
    closer.start()
    closer.join(30)
    assert not closer.is_alive()


def test_batches(db):
    batch = db.write_batch()
    batch.put(b"a", b"1")
    batch.delete(b"b")
    batch.put(b"c" * 200, bytes(20_000))  # lengths of two and of three bytes
    size = batch.approximate_size()
    assert 20_200 < size < 20_300
    batch.append(batch)
    assert batch.approximate_size() == 2 * size - 12
    db.put(b"b", b"gone")
    batch.write()
    assert list(db) == [(b"a", b"1"), (b"c" * 200, bytes(20_000))]
    db.delete(b"a")
    batch.write()  # a batch can be written again
    assert db.get(b"a") == b"1"
    batch.clear()
    assert batch.approximate_size() == 12
    batch.write()


def test_a_batch_filled_by_threads(db):
    batch = db.write_batch()

    def fill(letter):
        for i in range(5000):
            batch.put(b"%c%d" % (letter, i), b"")

    threads = [threading.Thread(target=fill, args=(letter,)) for letter in b"abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batch.write()
    assert len(list(db)) == 20_000


def test_transactions(db):
    for transaction, written in ((True, False), (False, True)):
        with pytest.raises(ZeroDivisionError), db.write_batch(transaction=transaction) as batch:
            batch.put(b"key", b"")
            1 / 0
        assert (db.get(b"key") is not None) == written


def test_parts_of_parts(db):
    part = db.prefixed_db(b"a").prefixed_db(b"\xff")
    assert (part.db, part.prefix) == (db, b"a\xff")
    part.put(b"1", b"x")
    db.put(b"b", b"")
    db.put(b"a", b"")
    assert list(part) == [(b"1", b"x")]
    assert list(db) == [(b"a", b""), (b"a\xff1", b"x"), (b"b", b"")]
    with part.write_batch() as batch:
        batch.put(b"2", b"")
        batch.delete(b"1")
    snapshot = part.snapshot()
    part.delete(b"2")
    assert list(part) == []
    assert list(snapshot) == [(b"2", b"")]
    iterator = snapshot.iterator()
    snapshot.close()
    assert list(iterator) == [(b"2", b"")]  # the iterator outlives its snapshot


def test_properties_sizes_and_compaction(db):
    for i in range(1000):
        db.put(b"%04d" % i, os.urandom(100))
    db.compact_range()
    assert b"Level" in db.get_property(b"leveldb.stats") or b"level" in db.get_property(b"leveldb.stats")
    assert db.get_property(b"none") is None
    assert db.get_property(b"leveldb.stats\0") is None
    whole, none, half = db.approximate_sizes((b"", b"\xff"), (b"x", b"y"), (b"0500", b"9"))
    assert whole > 100_000 > 70_000 > half > 30_000 > none == 0
    assert db.approximate_sizes() == []
    db.compact_range(start=b"5", stop=b"0")
    db.compact_range(start=bytearray(b"0"))


def test_what_the_system_refuses_is_reported(path):
    """A full disk is an IOError with error number and file; `background_error` reports failed background
    work; reads continue."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    large = os.urandom(60_000)
    with terrace.DB(path, create_if_missing=True, mmap_wal=False) as db:
        assert db.background_error() is None
        db.resume()
        db.put(b"large", large)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, limits[1]))
        try:
            # No WAL can hold this entry: the write fails alone.
            with pytest.raises(terrace.IOError, match="File too large") as caught:
                db.put(b"larger", large)
            assert caught.value.errno == errno.EFBIG and caught.value.path.startswith(path)
            # No table can hold the memtable: the flush fails.
            with pytest.raises(terrace.IOError, match="File too large"):
                db.compact_range()
            background = db.background_error()
            assert background.code == terrace.ErrorCode.IO_ERROR
            assert background.errno == errno.EFBIG and background.path.startswith(path)
            assert background.since.year > 2000 and "File too large" in background.message
            assert db.get(b"large") == large
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        db.resume()
        assert db.background_error() is None
        db.put(b"x", b"")
    with terrace.DB(path) as db:
        assert list(db.iterator(include_value=False)) == [b"large", b"x"]


def test_repair(path):
    with terrace.DB(path, create_if_missing=True) as db:
        db.put(b"a", b"1")
    os.remove(os.path.join(path, "CURRENT"))
    with pytest.raises(terrace.Error):
        terrace.DB(path)
    terrace.repair_db(path, compression="snappy", write_buffer_size=1 << 20)
    with terrace.DB(path) as db:
        assert list(db) == [(b"a", b"1")]
