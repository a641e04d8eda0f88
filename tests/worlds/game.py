"""A model of Minecraft's use of a LevelDB directory, with Python's zlib: without code of the library under
test or of its crates.

game.py convert DIR zlib|raw   converts every table to zlib (type 2) or raw deflate (type 4), and corrects the
                               sizes in the MANIFEST
game.py read DIR               prints "key value" in hexadecimal for all entries in tables; ends with an error
                               at a block that the game cannot read
"""

import os
import struct
import sys
import zlib

MAGIC = 0xDB4775248B80FB57
CRC = []
for number in range(256):
    for _ in range(8):
        number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
    CRC.append(number)


def checksum(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    result = shift = 0
    while True:
        byte = data[at]
        result |= (byte & 127) << shift
        shift += 7
        at += 1
        if byte < 128:
            return result, at


def packed(number):
    result = b""
    while number > 127:
        result += bytes([number & 127 | 128])
        number >>= 7
    return result + bytes([number])


def entries(block):
    (restarts,) = struct.unpack("<I", block[-4:])
    end, at, key = len(block) - 4 - 4 * restarts, 0, b""
    while at < end:
        shared, at = varint(block, at)
        unshared, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + length]
        at += length


def block_of(pairs):
    block, restarts = b"", []
    for key, value in pairs:
        restarts.append(len(block))
        block += b"\0" + packed(len(key)) + packed(len(value)) + key + value
    restarts = restarts or [0]
    return block + struct.pack("<%dI" % (len(restarts) + 1), *restarts, len(restarts))


def handle(data, at=0):
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def contents(table, where, name):
    """Reads a block as the game does, which does not support snappy."""
    offset, size = where
    stored, kind = table[offset : offset + size], table[offset + size]
    (summed,) = struct.unpack("<I", table[offset + size + 1 : offset + size + 5])
    assert checksum(stored + bytes([kind])) == summed, "%s: checksum of the block at %d" % (name, offset)
    if kind == 0:
        return stored
    if kind not in (2, 4):
        sys.exit("%s: the game does not read block type %d" % (name, kind))
    stream = zlib.decompressobj(15 if kind == 2 else -15)
    block = stream.decompress(stored)
    assert stream.eof and not stream.unused_data, "%s: the stream at %d" % (name, offset)
    return block


def footer(table):
    assert struct.unpack("<Q", table[-8:])[0] == MAGIC
    metaindex, at = handle(table[-48:])
    index, _ = handle(table[-48:], at)
    return metaindex, index


def squeezed(block, kind):
    if kind == "zlib":
        return zlib.compress(block), 2
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    return stream.compress(block) + stream.flush(), 4


def converted(table, name, kind):
    """Converts a table to the form in which the game writes it: without the meta blocks that the game does
    not know."""
    out = b""

    def append(stored, type_byte):
        nonlocal out
        where = packed(len(out)) + packed(len(stored))
        stored += bytes([type_byte])
        out += stored + struct.pack("<I", checksum(stored))
        return where

    index = []
    for key, value in entries(contents(table, footer(table)[1], name)):
        block = contents(table, handle(value)[0], name)
        index.append((key, append(*squeezed(block, kind))))
    ends = append(block_of([]), 0) + append(*squeezed(block_of(index), kind))
    return out + ends.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def records(manifest):
    at, record = 0, b""
    while at + 7 <= len(manifest):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", manifest[at : at + 7])
        if kind == 0 and length == 0:
            break
        record += manifest[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def fields(edit):
    """(tag, its bytes, level, number, size, place of the size) of each field; the last four only for a new
    file."""
    at = 0
    while at < len(edit):
        start = at
        tag, at = varint(edit, at)
        level = number = size = span = None
        if tag == 1:
            length, at = varint(edit, at)
            at += length
        elif tag in (2, 3, 4, 9):
            _, at = varint(edit, at)
        elif tag == 5:
            _, at = varint(edit, at)
            length, at = varint(edit, at)
            at += length
        elif tag in (6, 7):
            level, at = varint(edit, at)
            number, at = varint(edit, at)
            if tag == 7:
                before = at
                size, at = varint(edit, at)
                span = (before - start, at - start)
                for _ in range(2):
                    length, at = varint(edit, at)
                    at += length
        else:
            sys.exit("a MANIFEST with the tag %d" % tag)
        yield tag, edit[start:at], level, number, size, span


def manifest_of(directory):
    with open(os.path.join(directory, "CURRENT"), encoding="ascii") as current:
        path = os.path.join(directory, current.read().strip())
    with open(path, "rb") as file:
        return path, file.read()


def convert(directory, kind):
    sizes = {}
    for name in os.listdir(directory):
        if name.endswith(".ldb"):
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                table = converted(file.read(), name, kind)
            with open(path, "wb") as file:
                file.write(table)
            sizes[int(name[:-4])] = len(table)
    path, manifest = manifest_of(directory)
    out = b""
    for edit in records(manifest):
        mended = b""
        for _, field, _, number, _, span in fields(edit):
            if span and number in sizes:
                field = field[: span[0]] + packed(sizes[number]) + field[span[1] :]
            mended += field
        payload = b"\1" + mended
        assert len(out) + 6 + len(payload) <= 32768, "a longer MANIFEST than this makes"
        out += struct.pack("<IHB", checksum(payload), len(mended), 1) + mended
    with open(path, "wb") as file:
        file.write(out)
    assert sizes, "no table"


def read(directory):
    live = {}
    for edit in records(manifest_of(directory)[1]):
        for tag, _, _, number, size, _ in fields(edit):
            if tag == 6:
                live.pop(number, None)
            elif tag == 7:
                live[number] = size
    newest = {}
    for number, size in live.items():
        name = "%06d.ldb" % number
        with open(os.path.join(directory, name), "rb") as file:
            table = file.read()
        assert len(table) == size, name
        metaindex, index = footer(table)
        for _, value in entries(contents(table, metaindex, name)):
            contents(table, handle(value)[0], name)
        for _, value in entries(contents(table, index, name)):
            for key, data in entries(contents(table, handle(value)[0], name)):
                (trailer,) = struct.unpack("<Q", key[-8:])
                if trailer > newest.get(key[:-8], (-1, b""))[0]:
                    newest[key[:-8]] = (trailer, data)
    for key in sorted(newest):
        trailer, data = newest[key]
        if trailer & 255:
            print(key.hex(), data.hex())


if sys.argv[1] == "convert":
    convert(sys.argv[2], sys.argv[3])
else:
    read(sys.argv[2])
