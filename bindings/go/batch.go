package terrace

import "encoding/binary"

// batchHeader is the size of the header: a sequence number, which the database sets, and the number of
// entries.
const batchHeader = 12

// The types of entries. Those of a family have the number of the family before the key.
const (
	kindDelete, kindPut         = 0, 1
	kindDeleteFrom, kindPutInto = 4, 5
)

// Batch is a sequence of writes that are applied atomically and in order. The zero value is an empty batch. A
// batch is built in Go, in the representation of the WAL, and writing it is one call into C. It can be
// written again, and to other databases, except if it has writes for a [Family].
type Batch struct {
	rep []byte
	n   uint32
	db  *core // the database of the families; nil if there are none
	err error // why it cannot be written
}

// Put stores a value under a key.
func (b *Batch) Put(key, value []byte) {
	b.begin(kindPut, key)
	b.rep = binary.AppendUvarint(b.rep, uint64(len(value)))
	b.rep = append(b.rep, value...)
}

// Delete removes a key.
func (b *Batch) Delete(key []byte) { b.begin(kindDelete, key) }

// PutTo stores a value under a key of a column family. If a batch has writes for families of two databases,
// Write fails.
func (b *Batch) PutTo(f *Family, key, value []byte) {
	if b.join(f.db.core) {
		b.beginIn(f, kindPut, kindPutInto, key)
		b.rep = binary.AppendUvarint(b.rep, uint64(len(value)))
		b.rep = append(b.rep, value...)
	}
}

// DeleteFrom removes a key of a column family.
func (b *Batch) DeleteFrom(f *Family, key []byte) {
	if b.join(f.db.core) {
		b.beginIn(f, kindDelete, kindDeleteFrom, key)
	}
}

// join notes that the batch has writes for families of a database. It returns false for a second database.
func (b *Batch) join(c *core) bool {
	if b.db == nil {
		b.db = c
	}
	if b.db != c {
		b.err = invalid("a batch with column families of two databases: " + b.db.path + " and " + c.path)
	}
	return b.db == c
}

func (b *Batch) begin(kind byte, key []byte) {
	b.beginKind(kind)
	b.rep = binary.AppendUvarint(b.rep, uint64(len(key)))
	b.rep = append(b.rep, key...)
}

// beginIn begins an entry of a family. The default family has entries of the kind that needs no number.
func (b *Batch) beginIn(f *Family, kindOfDefault, kind byte, key []byte) {
	if f.id == 0 {
		b.begin(kindOfDefault, key)
		return
	}
	b.beginKind(kind)
	b.rep = binary.AppendUvarint(b.rep, uint64(f.id))
	b.rep = binary.AppendUvarint(b.rep, uint64(len(key)))
	b.rep = append(b.rep, key...)
}

func (b *Batch) beginKind(kind byte) {
	if b.rep == nil {
		b.rep = make([]byte, batchHeader, 256)
	}
	b.n++
	b.rep = append(b.rep, kind)
}

// Append appends all writes of another batch to those of this one.
func (b *Batch) Append(other *Batch) {
	if other.err != nil && b.err == nil {
		b.err = other.err
	}
	if other.n == 0 || other.db != nil && !b.join(other.db) {
		return
	}
	if b.rep == nil {
		b.rep = make([]byte, batchHeader, len(other.rep))
	}
	b.n += other.n
	b.rep = append(b.rep, other.rep[batchHeader:]...)
}

// Clear removes all writes, and keeps the memory.
func (b *Batch) Clear() {
	b.n, b.db, b.err = 0, nil, nil
	if b.rep != nil {
		b.rep = b.rep[:batchHeader]
	}
}

// Len is the number of writes.
func (b *Batch) Len() int { return int(b.n) }

// Size is the approximate number of bytes that the batch takes in the WAL.
func (b *Batch) Size() int { return max(len(b.rep), batchHeader) }

// Replay calls put or del for every write to the default family, in order. The slices belong to the batch,
// and are valid until it is changed.
func (b *Batch) Replay(put func(key, value []byte), del func(key []byte)) {
	b.ReplayFamilies(
		func(id uint32, key, value []byte) {
			if id == 0 {
				put(key, value)
			}
		},
		func(id uint32, key []byte) {
			if id == 0 {
				del(key)
			}
		},
	)
}

// ReplayFamilies is as Replay, for the writes to all column families. The functions get the ID of the family,
// which is 0 for the default one.
func (b *Batch) ReplayFamilies(put func(id uint32, key, value []byte), del func(id uint32, key []byte)) {
	if b.n == 0 {
		return
	}
	rest := b.rep[batchHeader:]
	number := func() uint64 {
		number, size := binary.Uvarint(rest)
		rest = rest[size:]
		return number
	}
	take := func() []byte {
		length := int(number())
		part := rest[:length:length]
		rest = rest[length:]
		return part
	}
	for len(rest) > 0 {
		kind := rest[0]
		rest = rest[1:]
		var id uint32
		if kind == kindPutInto || kind == kindDeleteFrom {
			id = uint32(number())
		}
		if key := take(); kind == kindPut || kind == kindPutInto {
			put(id, key, take())
		} else {
			del(id, key)
		}
	}
}

// check reports why the batch cannot be written to a database.
func (b *Batch) check(c *core) error {
	switch {
	case b.err != nil:
		return b.err
	case b.db != nil && b.db != c:
		return invalid("the batch has column families of another database: " + b.db.path)
	}
	return nil
}

// finished returns the representation, with its header.
func (b *Batch) finished() []byte {
	if b.rep == nil {
		return make([]byte, batchHeader)
	}
	binary.LittleEndian.PutUint32(b.rep[8:], b.n)
	return b.rep
}
