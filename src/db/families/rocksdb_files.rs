//! The files OPTIONS and IDENTITY, which RocksDB's tools read and RocksDB itself does not need to open a
//! directory: `load_latest_options`, and RocksDB's own backups.
//!
//! They are written after the MANIFEST that they describe, and again when families come and go. Nothing of
//! ours reads them. If they cannot be written, the directory is as good without them: the failure is only
//! logged.
//!
//! Thread rule: by whoever creates or drops a family (`DbShared::families_turn`).

use crate::column_family::ColumnFamily;
use crate::db::shared::DbShared;
use crate::env::{CreateMode, read_file};
use crate::error::Result;
use crate::format::file_name::{self, FileType};
use crate::util::random::Random;
use std::fmt::Write;
use std::path::Path;

/// The version of RocksDB whose form of the file this is.
const ROCKSDB_VERSION: &str = "7.8.3";

/// The longest IDENTITY that counts, in bytes.
const MAX_IDENTITY: u64 = 1024;

impl DbShared {
    /// Writes OPTIONS for the families that there are now, and IDENTITY if there is none.
    pub(super) fn write_rocksdb_files(&self) {
        if let Err(error) = self.write_identity().and_then(|()| self.write_options()) {
            self.info_log.log(format_args!("the files for RocksDB's tools could not be written: {error}"));
        }
    }

    fn write_identity(&self) -> Result<()> {
        let path = file_name::identity(&self.path);
        if read_file(self.env.as_ref(), &path, MAX_IDENTITY).is_ok_and(|found| !found.is_empty()) {
            return Ok(());
        }
        let mut random = Random::new(self.env.now_micros() ^ self.identity << 48);
        let [a, b] = [random.next_u64(), random.next_u64()];
        let identity = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48 & 0xfff,
            b & 0xffff_ffff_ffff
        );
        self.write_whole(&path, identity.as_bytes())
    }

    fn write_options(&self) -> Result<()> {
        let families: Vec<_> = {
            let state = self.state.lock();
            state.families.iter().map(|(_, of_family)| of_family.family.clone()).collect()
        };
        let mut text = format!(
            "# Written by Terrace. Only what RocksDB must know to open the families is here.\n\n\
             [Version]\n  rocksdb_version={ROCKSDB_VERSION}\n  options_file_version=1.1\n\n\
             [DBOptions]\n  create_if_missing=false\n\n"
        );
        for family in &families {
            describe(&mut text, family.or(&self.default_family));
        }
        let number = self.new_file_number();
        self.write_whole(&file_name::options(&self.path, number), text.as_bytes())?;
        for name in self.env.children(&self.path)? {
            if matches!(file_name::parse_exactly(&name), Some(FileType::Options(older)) if older < number) {
                self.env.remove_file(&self.path.join(name))?;
            }
        }
        Ok(())
    }

    /// Writes a file so that it is there whole or not at all.
    fn write_whole(&self, path: &Path, contents: &[u8]) -> Result<()> {
        let temp = file_name::temp(&self.path, self.new_file_number());
        let written = self.env.create_writable(&temp, CreateMode::Truncate).and_then(|mut file| {
            file.append(contents)?;
            file.sync()?;
            file.close()
        });
        written.and_then(|()| self.env.rename(&temp, path)).inspect_err(|_| {
            let _ = self.env.remove_file(&temp);
        })?;
        self.env.sync_dir(&self.path)
    }
}

/// The two sections of a family.
fn describe(text: &mut String, family: &ColumnFamily) {
    let (name, tables) = (String::from_utf8_lossy(&family.name), family.table_cache.options());
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "[CFOptions \"{name}\"]\n  comparator={}\n  write_buffer_size={}\n  compression=k{}\n  \
         merge_operator=nullptr\n\n[TableOptions/BlockBasedTable \"{name}\"]\n  format_version=2\n  \
         checksum=kCRC32c\n  block_size={}\n  block_restart_interval={}\n\n",
        String::from_utf8_lossy(&tables.comparator_name),
        family.options.write_buffer_size,
        match tables.compression.name_in_rocksdb() {
            "NoCompression" => "NoCompression".to_string(),
            name => format!("{name}Compression"),
        },
        tables.block_size,
        tables.block_restart_interval,
    );
}
