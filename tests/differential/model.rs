//! The oracle: an ordered map, which is copied when it changes while a view of it is held.

use super::history::{Move, Value};
use crate::support::leveldb_c::Order;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

/// A key, compared in the order of its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    order: Order,
    bytes: Vec<u8>,
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        self.order.compare(&self.bytes, &other.bytes)
    }
}

/// The contents of a database at one moment.
pub type View = Arc<BTreeMap<Key, Value>>;

/// A database in memory.
pub struct Model {
    order: Order,
    now: View,
}

impl Model {
    pub fn new(order: Order) -> Model {
        Model { order, now: Arc::default() }
    }

    fn key(&self, bytes: &[u8]) -> Key {
        Key { order: self.order, bytes: bytes.to_vec() }
    }

    pub fn put(&mut self, key: &[u8], value: Value) {
        let key = self.key(key);
        Arc::make_mut(&mut self.now).insert(key, value);
    }

    pub fn delete(&mut self, key: &[u8]) {
        let key = self.key(key);
        Arc::make_mut(&mut self.now).remove(&key);
    }

    /// The current contents.
    pub fn view(&self) -> View {
        self.now.clone()
    }

    /// The value of a key in a view of this model.
    pub fn get(&self, view: &View, key: &[u8]) -> Option<Value> {
        view.get(&self.key(key)).copied()
    }

    /// An iterator over a view of this model. It stands on no entry.
    pub fn cursor(&self, view: View) -> Cursor {
        Cursor { order: self.order, view, at: None }
    }
}

/// An iterator over a view.
pub struct Cursor {
    order: Order,
    view: View,
    at: Option<Key>,
}

impl Cursor {
    /// The current entry.
    pub fn entry(&self) -> Option<(&[u8], Value)> {
        let key = self.at.as_ref()?;
        Some((&key.bytes, self.view[key]))
    }

    /// Moves the iterator. `key` converts the number of a seek to a key.
    pub fn step<'a>(&mut self, step: Move, key: impl Fn(usize) -> &'a [u8]) {
        let found = match step {
            Move::First => self.view.first_key_value(),
            Move::Last => self.view.last_key_value(),
            Move::Seek(number) => {
                let from = Key { order: self.order, bytes: key(number).to_vec() };
                self.view.range((Included(from), Unbounded)).next()
            }
            Move::Next | Move::Prev => match self.at.clone() {
                None => None,
                Some(at) if matches!(step, Move::Next) => self.view.range((Excluded(at), Unbounded)).next(),
                Some(at) => self.view.range((Unbounded, Excluded(at))).next_back(),
            },
        };
        self.at = found.map(|(key, _)| key.clone());
    }
}
