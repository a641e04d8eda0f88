package main

import "math/bits"

// The keys and values of ../src/keys.rs, in Go.

const keySize = 16

// key is a buffer for one key after another. Its 17th byte turns a key into one that is never stored.
type key [keySize + 1]byte

func newKey() *key {
	k := new(key)
	k[keySize] = '.'
	return k
}

func (k *key) set(number uint64) []byte {
	for at := keySize - 1; at >= 0; at-- {
		k[at] = '0' + byte(number%10)
		number /= 10
	}
	return k[:keySize]
}

func (k *key) setMissing(number uint64) []byte {
	k.set(number)
	return k[:]
}

// random is a random generator (xorshift): the same seed gives the same numbers.
type random struct{ state uint64 }

func newRandom(seed uint64) *random {
	return &random{(seed + 1) * 0x9e3779b97f4a7c15}
}

func (r *random) below(limit uint64) uint64 {
	r.state ^= r.state << 13
	r.state ^= r.state >> 7
	r.state ^= r.state << 17
	high, _ := bits.Mul64(r.state, limit)
	return high
}

// values compress by half: every 100 bytes are 50 random printable bytes, twice.
type values struct {
	bytes    []byte
	size, at int
}

func newValues(size int, seed uint64) *values {
	random := newRandom(seed)
	bytes := make([]byte, 0, 1<<20+size+100)
	for len(bytes) < 1<<20+size {
		var piece [50]byte
		for i := range piece {
			piece[i] = ' ' + byte(random.below(95))
		}
		bytes = append(append(bytes, piece[:]...), piece[:]...)
	}
	return &values{bytes: bytes, size: size}
}

func (v *values) next() []byte {
	if v.at+v.size > len(v.bytes) {
		v.at = 0
	}
	v.at += v.size
	return v.bytes[v.at-v.size : v.at]
}
