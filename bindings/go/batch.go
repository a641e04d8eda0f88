package terrace

import "encoding/binary"

// batchHeader is the size of the header: a sequence number, which the database sets, and the number of
// entries.
const batchHeader = 12

// Batch is a sequence of writes that are applied atomically and in order. The zero value is an empty batch. A
// batch is built in Go, in the representation of the WAL, and writing it is one call into C. It can be
// written again, and to other databases.
type Batch struct {
	rep []byte
	n   uint32
}

// Put stores a value under a key.
func (b *Batch) Put(key, value []byte) {
	b.begin(1, key)
	b.rep = binary.AppendUvarint(b.rep, uint64(len(value)))
	b.rep = append(b.rep, value...)
}

// Delete removes a key.
func (b *Batch) Delete(key []byte) { b.begin(0, key) }

func (b *Batch) begin(kind byte, key []byte) {
	if b.rep == nil {
		b.rep = make([]byte, batchHeader, 256)
	}
	b.n++
	b.rep = append(b.rep, kind)
	b.rep = binary.AppendUvarint(b.rep, uint64(len(key)))
	b.rep = append(b.rep, key...)
}

// Append appends all writes of another batch to those of this one.
func (b *Batch) Append(other *Batch) {
	if other.n == 0 {
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
	b.n = 0
	if b.rep != nil {
		b.rep = b.rep[:batchHeader]
	}
}

// Len is the number of writes.
func (b *Batch) Len() int { return int(b.n) }

// Size is the approximate number of bytes that the batch takes in the WAL.
func (b *Batch) Size() int { return max(len(b.rep), batchHeader) }

// Replay calls put or del for every write, in order. The slices belong to the batch, and are valid until it
// is changed.
func (b *Batch) Replay(put func(key, value []byte), del func(key []byte)) {
	if b.n == 0 {
		return
	}
	rest := b.rep[batchHeader:]
	take := func() []byte {
		length, size := binary.Uvarint(rest)
		part := rest[size : size+int(length) : size+int(length)]
		rest = rest[size+int(length):]
		return part
	}
	for len(rest) > 0 {
		kind := rest[0]
		rest = rest[1:]
		if key := take(); kind == 1 {
			put(key, take())
		} else {
			del(key)
		}
	}
}

// finished returns the representation, with its header.
func (b *Batch) finished() []byte {
	if b.rep == nil {
		return make([]byte, batchHeader)
	}
	binary.LittleEndian.PutUint32(b.rep[8:], b.n)
	return b.rep
}
