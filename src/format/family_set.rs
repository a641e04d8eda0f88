//! A value for each column family of a database.
//!
//! Every database has the default family. Its value is a field, so that no put or get looks it up. The other
//! families are in a sorted list: a look-up of one among a thousand takes ten comparisons.
//!
//! Thread rule: that of the values.

use crate::format::column_family_id::ColumnFamilyId;
use std::ops::{Index, IndexMut};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A value for each column family, the default one first.
#[derive(Clone, Debug, Default)]
pub struct FamilySet<T> {
    default_family: T,
    /// By ascending number. None has the default family's number.
    others: Vec<(ColumnFamilyId, T)>,
}

impl<T> FamilySet<T> {
    /// The set of a database that has only the default family.
    pub fn new(default_family: T) -> Self {
        FamilySet { default_family, others: Vec::new() }
    }

    /// The value of the default family.
    #[inline]
    #[cfg(any(test, feature = "test-support"))]
    pub fn default_family(&self) -> &T {
        &self.default_family
    }

    /// The value of the default family, by exclusive reference.
    #[inline]
    pub fn default_family_mut(&mut self) -> &mut T {
        &mut self.default_family
    }

    /// The number of families, at least one.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// Is there a family besides the default one?
    #[inline]
    pub fn has_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// The value of a family; `None` if there is no such family.
    #[inline]
    pub fn get(&self, id: ColumnFamilyId) -> Option<&T> {
        if id == ColumnFamilyId::DEFAULT {
            return Some(&self.default_family);
        }
        self.place(id).ok().map(|place| &self.others[place].1)
    }

    /// As `get`, by exclusive reference.
    #[inline]
    pub fn get_mut(&mut self, id: ColumnFamilyId) -> Option<&mut T> {
        if id == ColumnFamilyId::DEFAULT {
            return Some(&mut self.default_family);
        }
        self.place(id).ok().map(|place| &mut self.others[place].1)
    }

    /// As `get_mut`, for a family that is not the default one. `hint` says where it was found last, and is
    /// corrected: a repeated look-up takes no search.
    #[inline]
    pub fn get_mut_near(&mut self, id: ColumnFamilyId, hint: &AtomicUsize) -> Option<&mut T> {
        let place = hint.load(Ordering::Relaxed);
        let place = match self.others.get(place) {
            Some((there, _)) if *there == id => place,
            _ => self.correct(id, hint)?,
        };
        self.others.get_mut(place).map(|(_, value)| value)
    }

    #[cold]
    fn correct(&self, id: ColumnFamilyId, hint: &AtomicUsize) -> Option<usize> {
        let place = self.place(id).ok()?;
        hint.store(place, Ordering::Relaxed);
        Some(place)
    }

    /// Adds a family, or replaces its value.
    pub fn insert(&mut self, id: ColumnFamilyId, value: T) {
        if id == ColumnFamilyId::DEFAULT {
            self.default_family = value;
            return;
        }
        match self.place(id) {
            Ok(place) => self.others[place].1 = value,
            Err(place) => self.others.insert(place, (id, value)),
        }
    }

    /// Takes a family out. The default one stays: `None`.
    pub fn remove(&mut self, id: ColumnFamilyId) -> Option<T> {
        if id == ColumnFamilyId::DEFAULT {
            return None;
        }
        self.place(id).ok().map(|place| self.others.remove(place).1)
    }

    /// All values, in the order of the families' numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ColumnFamilyId, &T)> {
        let others = self.others.iter().map(|(id, value)| (*id, value));
        std::iter::once((ColumnFamilyId::DEFAULT, &self.default_family)).chain(others)
    }

    /// As `iter`, by exclusive reference.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ColumnFamilyId, &mut T)> {
        let others = self.others.iter_mut().map(|(id, value)| (*id, value));
        std::iter::once((ColumnFamilyId::DEFAULT, &mut self.default_family)).chain(others)
    }

    /// A set of the same families, with a value made from each of these.
    pub fn try_map<U, E>(self, mut make: impl FnMut(T) -> Result<U, E>) -> Result<FamilySet<U>, E> {
        self.try_map_with_ids(|_, value| make(value))
    }

    /// As `try_map`, with the number of each family.
    pub fn try_map_with_ids<U, E>(
        self,
        mut make: impl FnMut(ColumnFamilyId, T) -> Result<U, E>,
    ) -> Result<FamilySet<U>, E> {
        let default_family = make(ColumnFamilyId::DEFAULT, self.default_family)?;
        let others = self.others.into_iter().map(|(id, value)| Ok((id, make(id, value)?)));
        Ok(FamilySet { default_family, others: others.collect::<Result<_, E>>()? })
    }

    fn place(&self, id: ColumnFamilyId) -> Result<usize, usize> {
        self.others.binary_search_by_key(&id, |&(other, _)| other)
    }
}

/// Panics if there is no such family: callers have the number from this database.
impl<T> Index<ColumnFamilyId> for FamilySet<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: ColumnFamilyId) -> &T {
        self.get(id).expect("a family of this database")
    }
}

impl<T> IndexMut<ColumnFamilyId> for FamilySet<T> {
    #[inline]
    fn index_mut(&mut self, id: ColumnFamilyId) -> &mut T {
        self.get_mut(id).expect("a family of this database")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_found_by_number_and_listed_in_its_order() {
        let mut set = FamilySet::new("default");
        assert!(!set.has_several());
        for (id, name) in [(7, "seven"), (3, "three"), (9, "nine"), (3, "tres")] {
            set.insert(ColumnFamilyId(id), name);
        }
        let all: Vec<_> = set.iter().map(|(id, &name)| (id.0, name)).collect();
        assert_eq!(all, [(0, "default"), (3, "tres"), (7, "seven"), (9, "nine")]);
        assert_eq!((set.count(), set.get(ColumnFamilyId(8))), (4, None));
        let hint = AtomicUsize::new(5);
        assert_eq!(set.get_mut_near(ColumnFamilyId(7), &hint), Some(&mut "seven"));
        assert_eq!(hint.load(Ordering::Relaxed), 1);
        assert_eq!(set.get_mut_near(ColumnFamilyId(9), &hint), Some(&mut "nine"));
        assert_eq!(set.get_mut_near(ColumnFamilyId(4), &hint), None);
        set[ColumnFamilyId(7)] = "siete";
        assert_eq!(set[ColumnFamilyId(7)], "siete");
        assert_eq!(set.remove(ColumnFamilyId(7)), Some("siete"));
        assert_eq!(set.remove(ColumnFamilyId(7)), None);
        assert_eq!(set.remove(ColumnFamilyId::DEFAULT), None, "every database has it");
        assert_eq!(set.get_mut(ColumnFamilyId::DEFAULT), Some(&mut "default"));
    }
}
