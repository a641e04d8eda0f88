//! The switch of a directory from LevelDB's language to RocksDB's.
//!
//! The switch is a new MANIFEST in RocksDB's language, and the rename of CURRENT, both durable before the
//! first record that needs them: LevelDB refuses such a MANIFEST, and so never sees a record that it would
//! take for damage. At every moment CURRENT names a MANIFEST of one language or of the other. The tables stay
//! as they are, since RocksDB up to 10 reads LevelDB's; they are upgraded later (`table_upgrade`).
//!
//! RocksDB's MANIFEST has the sequence numbers of each file, by which RocksDB before 7.10 orders level 0.
//! Files of ours have them in their properties; one of LevelDB's in level 0 is read for them before the
//! switch.
//!
//! Thread rule: by whoever creates a family (`DbShared::families_turn`).

use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::error::{Error, Result};
use crate::language::Language;
use crate::options::LanguagePolicy;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;

impl DbShared {
    /// Does what the switch needs to know before it. NotSupported if the option `language` forbids the
    /// switch.
    pub(super) fn prepare_for_families(&self) -> Result<()> {
        let state = self.state.lock();
        if state.versions.language() == Language::RocksDb {
            return Ok(());
        }
        if self.options.language == LanguagePolicy::LevelDb {
            return Err(Error::not_supported(
                "a column family: it would switch the directory to RocksDB's language, which the option \
                 'language' (leveldb) forbids",
            ));
        }
        let families = state.families.iter().map(|(id, family)| (id, family.family.clone()));
        let unknown: Vec<_> = families
            .flat_map(|(id, family)| {
                let level0 = &state.versions.current(id).levels[0];
                let unknown = level0.iter().filter(|file| file.sequence_range().is_none());
                unknown.map(move |file| (family.clone(), file.clone())).collect::<Vec<_>>()
            })
            .collect();
        drop(state);
        for (family, file) in unknown {
            self.find_sequences(family.or(&self.default_family), &file)?;
        }
        Ok(())
    }

    /// Reads the lowest and the highest sequence number of a table's entries.
    fn find_sequences(
        &self,
        family: &crate::column_family::ColumnFamily,
        file: &Arc<FileMetaData>,
    ) -> Result<()> {
        let table = file.table(&family.table_cache)?.clone();
        if file.sequence_range().is_some() {
            return Ok(()); // its properties have them
        }
        let counted = table.count_entries(&|| Ok(()))?;
        file.set_sequences(counted.smallest_sequence, counted.largest_sequence);
        Ok(())
    }

    /// Makes the edit that is being prepared the first one in RocksDB's language, if the directory is
    /// LevelDB's: the MANIFEST that it goes to is a new one.
    pub(super) fn speak_rocksdb(&self, state: &mut DbState) {
        if state.versions.language() == Language::LevelDb {
            state.versions.speak_rocksdb(state.wals.flushed_sequence());
            state.manifest.close();
            state.info_lines.push("the directory is switched to RocksDB's language".to_string());
        }
    }
}
