//! A value for each column family of a database.
//!
//! Every database has the default family. Its value is a field, so that no put or get looks it up. No other
//! family exists yet.
//!
//! Thread rule: that of the values.

use crate::format::column_family_id::ColumnFamilyId;
use std::ops::{Index, IndexMut};

/// A value for each column family, the default one first.
#[derive(Clone, Debug, Default)]
pub struct FamilySet<T> {
    default_family: T,
}

impl<T> FamilySet<T> {
    /// The set of a database that has only the default family.
    pub fn new(default_family: T) -> Self {
        FamilySet { default_family }
    }

    /// The value of the default family.
    #[inline]
    pub fn default_family(&self) -> &T {
        &self.default_family
    }

    /// The value of the default family, by exclusive reference.
    #[inline]
    pub fn default_family_mut(&mut self) -> &mut T {
        &mut self.default_family
    }

    /// The value of a family; `None` if there is no such family.
    #[inline]
    pub fn get(&self, id: ColumnFamilyId) -> Option<&T> {
        (id == ColumnFamilyId::DEFAULT).then_some(&self.default_family)
    }

    /// All values, in the order of the families' numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ColumnFamilyId, &T)> {
        std::iter::once((ColumnFamilyId::DEFAULT, &self.default_family))
    }

    /// As `iter`, by exclusive reference.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ColumnFamilyId, &mut T)> {
        std::iter::once((ColumnFamilyId::DEFAULT, &mut self.default_family))
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
        assert!(id == ColumnFamilyId::DEFAULT, "a family of this database");
        &mut self.default_family
    }
}
