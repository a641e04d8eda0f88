"""Iterators: their results for any sequence of moves, whatever was read ahead."""

import itertools
import signal
import sys
import threading

import pytest
from model import Model

import terrace


def fill(db, keys, value=lambda key: b"v" + key):
    with db.write_batch() as batch:
        for key in keys:
            batch.put(key, value(key))


def step(function):
    try:
        return function()
    except StopIteration:
        return StopIteration


def random_key(rng, most=3):
    return bytes(rng.choice(b"abc\xff") for _ in range(rng.randint(0, most)))


def random_range(rng):
    arguments = {"reverse": rng.random() < 0.5}
    if rng.random() < 0.2:
        arguments["prefix"] = random_key(rng)
        return arguments
    if rng.random() < 0.5:
        arguments.update(start=random_key(rng), include_start=rng.random() < 0.6)
    if rng.random() < 0.5:
        arguments.update(stop=random_key(rng), include_stop=rng.random() < 0.4)
    return arguments


def compare_moves(rng, model, iterator, moves):
    """Makes the same random moves with both; some are long runs in one direction, so that much is read
    ahead."""
    trace = []
    while moves > 0:
        move = rng.choice(["next"] * 5 + ["prev"] * 4 + ["run", "seek", "seek_to_start", "seek_to_stop"])
        if move == "run":
            many = rng.randint(1, 200)
            step_both = [(model.next, iterator.__next__), (model.prev, iterator.prev)][rng.random() < 0.4]
            for _ in range(many):
                assert step(step_both[1]) == step(step_both[0]), trace
        elif move in ("next", "prev"):
            expected = getattr(model, move)()
            found = step(iterator.__next__ if move == "next" else iterator.prev)
            trace.append((move, expected, found))
            assert found == expected, trace
        else:
            arguments = (random_key(rng),) if move == "seek" else ()
            trace.append((move, *arguments))
            getattr(model, move)(*arguments)
            getattr(iterator, move)(*arguments)
        moves -= 1


def test_random_moves_in_random_ranges(db, rng):
    keys = {random_key(rng) for _ in range(60)}
    fill(db, keys)
    for _ in range(300):
        arguments = random_range(rng)
        print(arguments)
        compare_moves(rng, Model(keys, **arguments), db.iterator(include_value=False, **arguments), 40)


def test_random_moves_over_more_than_is_read_ahead_at_once(db, rng):
    keys = {random_key(rng, 6) for _ in range(5000)}
    fill(db, keys)
    for _ in range(20):
        arguments = random_range(rng)
        print(arguments)
        compare_moves(rng, Model(keys, **arguments), db.iterator(include_value=False, **arguments), 100)


def test_random_moves_in_the_order_of_a_comparator(path, rng):
    def order(key):
        return key[::-1]

    def compare(a, b):
        return (order(a) > order(b)) - (order(a) < order(b))

    with terrace.DB(path, create_if_missing=True, comparator=compare, comparator_name=b"reversed keys") as db:
        keys = {random_key(rng) for _ in range(60)}
        fill(db, keys)
        for _ in range(50):
            arguments = random_range(rng)
            if "prefix" not in arguments:  # a prefix is a range only in the order of bytes
                model = Model(keys, order=order, **arguments)
                compare_moves(rng, model, db.iterator(include_value=False, **arguments), 40)


@pytest.mark.parametrize("same_lengths", [True, False])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("prefix", [b"", b"pre"])
def test_all_parts_of_many_entries(db, same_lengths, reverse, prefix):
    def value_of(i):
        return b"%06d" % i if same_lengths else b"x" * (i % 7)

    expected = [(b"%08d" % i if same_lengths else b"%04d" % i + b"k" * (i % 5), value_of(i)) for i in range(3000)]
    part = db.prefixed_db(prefix)
    with part.write_batch() as batch:
        for key, value in expected:
            batch.put(key, value)
    if reverse:
        expected.reverse()
    assert list(part.iterator(reverse=reverse)) == expected
    assert list(part.iterator(reverse=reverse, include_value=False)) == [key for key, _ in expected]
    assert list(part.iterator(reverse=reverse, include_key=False)) == [value for _, value in expected]
    nothing = part.iterator(reverse=reverse, include_key=False, include_value=False)
    assert list(nothing) == [None] * len(expected)


def test_lengths_that_only_add_up_to_the_same(db):
    """The fast path for entries of the same lengths must check the lengths of each entry."""
    expected = [(b"%04d" % i, b"abc") for i in range(200)]
    for i in range(20, 180, 2):
        expected[i : i + 2] = [(b"%04dx" % i, b"ab"), (b"%04d" % (i + 1), b"abc")]
    expected[50] = (b"0050", b"abcd")
    expected[52] = (b"0052", b"ab")
    with db.write_batch() as batch:
        for key, value in expected:
            batch.put(key, value)
    assert list(db) == expected
    assert list(db.iterator(include_value=False)) == [key for key, _ in expected]
    assert list(db.iterator(include_key=False)) == [value for _, value in expected]


def test_entries_larger_than_what_is_read_ahead(db):
    expected = [(b"%d" % i, bytes([i]) * size) for i, size in enumerate([0, 1 << 20, 3, (1 << 18) + 1, 1 << 18, 700])]
    with db.write_batch() as batch:
        for key, value in expected:
            batch.put(key, value)
    assert list(db) == expected
    assert list(db.iterator(reverse=True)) == expected[::-1]
    iterator = db.iterator()
    assert next(iterator) == expected[0]
    assert next(iterator) == expected[1]
    assert iterator.prev() == expected[1]
    assert next(iterator) == expected[1]


def test_empty_keys_and_values(db):
    db.put(b"", b"")
    assert list(db) == [(b"", b"")]
    db.put(b"a", b"")
    assert list(db.iterator(start=b"", include_start=False)) == [(b"a", b"")]
    assert list(db.iterator(stop=b"", include_stop=True)) == [(b"", b"")]
    assert list(db.iterator(include_key=False)) == [b"", b""]


def test_an_iterator_does_not_see_later_writes(db):
    fill(db, [b"a", b"b"])
    iterator = db.iterator(include_value=False)
    db.delete(b"b")
    db.put(b"c", b"")
    assert list(iterator) == [b"a", b"b"]


def test_a_reverse_range_of_one_entry_that_is_its_start(db):
    """plyvel returns nothing here."""
    fill(db, [b"1", b"2"])
    assert list(db.iterator(start=b"1", stop=b"2", reverse=True, include_value=False)) == [b"1"]


def test_prev_after_a_seek_does_not_leave_the_range(db):
    """plyvel returns b"1" here."""
    fill(db, [b"1", b"2", b"3"])
    iterator = db.iterator(start=b"2", include_value=False)
    iterator.seek(b"0")
    with pytest.raises(StopIteration):
        iterator.prev()
    assert next(iterator) == b"2"


def test_arguments_are_checked(db):
    for arguments in ({"start": 1}, {"stop": "a"}, {"prefix": 3.0}, {"prefix": b"a", "stop": b"b"}):
        with pytest.raises(TypeError):
            db.iterator(**arguments)
    with pytest.raises(TypeError):
        db.iterator().seek("text")
    with pytest.raises(TypeError):
        db.iterator(b"positional")


def test_bounds_may_be_any_bytes_like_object(db):
    fill(db, [b"a", b"b", b"c"])
    iterator = db.iterator(start=bytearray(b"b"), stop=memoryview(b"c"), include_value=False)
    assert list(iterator) == [b"b"]
    iterator.seek(memoryview(b"b"))
    assert next(iterator) == b"b"


@pytest.mark.parametrize("close", ["iterator", "database"])
@pytest.mark.parametrize("moved", [0, 1, 50])
def test_after_closing_everything_raises(path, close, moved):
    db = terrace.DB(path, create_if_missing=True)
    fill(db, [b"%d" % i for i in range(100)])
    iterator, raw = db.iterator(), db.raw_iterator()
    list(itertools.islice(iterator, moved))
    raw.seek_to_first()
    if close == "iterator":
        iterator.close()
        raw.close()
    else:
        db.close()
    for call in (lambda: next(iterator), iterator.prev, iterator.seek_to_start, iterator.seek_to_stop):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(RuntimeError):
        iterator.seek(b"1")
    for call in (raw.valid, raw.key, raw.value, raw.item, raw.next, raw.prev, raw.seek_to_first, raw.seek_to_last):
        with pytest.raises(RuntimeError):
            call()
    iterator.close()
    raw.close()
    db.close()


def test_one_iterator_shared_by_threads_returns_each_entry_once(db):
    """Also if other threads take all entries of a block before the thread that read the block takes one."""
    keys = [b"%06d" % i for i in range(2_000)]
    fill(db, keys)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            iterator = db.iterator(include_value=False)
            found = [[] for _ in range(4)]
            began, failed = threading.Barrier(4), []

            def take(mine, iterator=iterator, began=began, failed=failed):
                began.wait()
                try:
                    for key in iterator:
                        mine.append(key)
                        iterator._level = 0  # blocks of two entries, so that this happens often
                except BaseException as error:
                    failed.append(error)

            threads = [threading.Thread(target=take, args=(mine,)) for mine in found]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not failed
            assert all(mine == sorted(mine) for mine in found)
            assert sorted(itertools.chain(*found)) == keys
    finally:
        sys.setswitchinterval(interval)


def test_raw_iterator(db):
    fill(db, [b"a", b"b", b"c"])
    with db.raw_iterator() as iterator:
        assert not iterator.valid()
        for call in (iterator.key, iterator.value, iterator.item, iterator.next, iterator.prev):
            with pytest.raises(terrace.IteratorInvalidError):
                call()
        iterator.seek_to_last()
        assert iterator.item() == (b"c", b"vc")
        iterator.prev()
        assert (iterator.key(), iterator.value()) == (b"b", b"vb")
        iterator.seek(bytearray(b"aa"))
        assert iterator.key() == b"b"
        iterator.next()
        iterator.next()
        assert not iterator.valid()


def test_damage_is_an_error_and_not_the_end(path):
    """An incomplete scan must not look like one that has reached the end."""
    import glob

    with terrace.DB(path, create_if_missing=True, compression=None) as db:
        fill(db, [b"%06d" % i for i in range(20_000)], lambda key: key * 5)
        db.compact_range()
    (table,) = glob.glob(path + "/*.ldb")[:1]
    with open(table, "r+b") as file:
        file.seek(300_000)
        file.write(b"\0" * 10_000)
    for options in ({}, {"paranoid_checks": True}):
        with terrace.DB(path, **options) as db:
            for reverse in (False, True):
                iterator = db.iterator(reverse=reverse)
                with pytest.raises(terrace.CorruptionError) as caught:
                    list(iterator)
                assert caught.value.code == terrace.ErrorCode.CORRUPTION
                with pytest.raises(terrace.CorruptionError):
                    next(iterator)
                iterator.seek(b"000000")
                assert (iterator.prev if reverse else iterator.__next__)()[0] == b"000000"


def test_an_interrupt_does_not_make_an_iterator_skip(db):
    """An interrupt may lose the entry that was about to be returned, as with any iterator, but neither a
    block of entries nor the lock."""

    class Interrupt(Exception):
        pass

    def interrupt(_signal, frame):
        reading = ("__next__", "_fetch", "_guard", "_begin", "_read_block", "_check", "_unpack", "_unpack_same")
        if frame.f_code.co_filename == terrace._iterator.__file__ and frame.f_code.co_name in reading:
            raise Interrupt

    fill(db, [b"%07d" % i for i in range(50_000)])
    old = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    interrupts = lost = 0
    try:
        while interrupts < 300:
            iterator, expected, lost = None, 0, 0
            while expected < 50_000:
                try:
                    iterator = iterator or db.iterator(include_value=False)
                    for key in iterator:
                        assert expected <= int(key) <= expected + lost, "entries were skipped"
                        expected, lost = int(key) + 1, 0
                    assert expected + lost >= 50_000, "the end came early"
                    break
                except Interrupt:
                    interrupts += 1
                    lost += 1
                except RuntimeError as error:
                    assert "interrupted" in str(error)
                    iterator, lost = db.iterator(start=b"%07d" % expected, include_value=False), 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
