//! Tests of files opened on demand: how many are open, and which.

use super::*;
use crate::env::posix::PosixEnv;
use std::path::Path;

struct Place {
    directory: tempfile::TempDir,
    files: Arc<OnDemandFiles>,
}

impl Place {
    fn new(limit: usize) -> Self {
        let files = OnDemandFiles::new(PosixEnv::shared(), limit);
        Place { directory: tempfile::tempdir().unwrap(), files }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn open(&self, name: &str) -> Arc<dyn RandomAccessFile> {
        let path = self.path(name);
        if !path.exists() {
            std::fs::write(&path, name).unwrap();
        }
        let file = PosixEnv::shared().open_random_access(&path, ReadMode::Positioned).unwrap();
        self.files.adopt(path, file)
    }

    /// The descriptors of this process that refer to files of the directory, by name.
    fn descriptors(&self) -> Vec<String> {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        let here = targets.filter(|target| target.parent() == Some(self.directory.path()));
        let mut names: Vec<_> =
            here.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn contents(file: &Arc<dyn RandomAccessFile>) -> Result<String> {
    let mut buffer = [0; 100];
    let length = file.read_at(0, &mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

#[test]
fn any_number_of_files_is_read_by_few_descriptors() {
    let place = Place::new(3);
    let files: Vec<_> = (0..20).map(|number| place.open(&number.to_string())).collect();
    for round in 0..3 {
        for (number, file) in files.iter().enumerate() {
            assert_eq!(contents(file).unwrap(), number.to_string(), "round {round}");
            assert!(place.files.open() <= 3);
            assert_eq!(place.descriptors().len(), place.files.open());
        }
    }
    drop(files);
    assert_eq!((place.files.open(), place.descriptors().len()), (0, 0));
    let ring = place.files.ring.lock();
    assert!(ring.slots.len() <= 4 && ring.free.len() == ring.slots.len(), "slots are used again");
}

#[test]
fn a_file_that_is_read_again_and_again_stays_open() {
    let place = Place::new(4);
    let often = place.open("often");
    let others: Vec<_> = (0..20).map(|number| place.open(&number.to_string())).collect();
    contents(&often).unwrap();
    for file in others.iter().cycle().take(100) {
        assert!(place.descriptors().contains(&"often".into()));
        assert_eq!(contents(&often).unwrap(), "often");
        contents(file).unwrap();
    }
}

#[test]
fn a_file_that_is_being_read_by_is_not_closed() {
    let place = Place::new(1);
    place.open("a");
    let entry = Arc::new(Entry { state: Mutex::default(), used: AtomicBool::new(true) });
    let being_read = PosixEnv::shared().open_random_access(&place.path("a"), ReadMode::Positioned).unwrap();
    place.files.put(&entry, &mut entry.state.lock(), being_read.clone());
    assert_eq!(place.files.give_back(5), 0);
    assert_eq!(place.descriptors(), ["a"]);
    drop(being_read);
    assert_eq!(place.files.give_back(5), 1);
    assert!(place.descriptors().is_empty());
}

#[test]
fn another_file_under_the_name_of_a_closed_one_is_not_read() {
    let place = Place::new(1);
    let file = place.open("a");
    assert_eq!(place.files.give_back(1), 1);
    std::fs::write(place.path("new"), "b").unwrap();
    std::fs::rename(place.path("a"), place.path("kept")).unwrap();
    std::fs::rename(place.path("new"), place.path("a")).unwrap();
    let error = contents(&file).unwrap_err().to_string();
    assert!(error.starts_with(&format!("IO error: {}: another file", place.path("a").display())), "{error}");
    std::fs::remove_file(place.path("a")).unwrap();
    assert!(contents(&file).unwrap_err().is_not_found());
    std::fs::rename(place.path("kept"), place.path("a")).unwrap();
    assert_eq!(contents(&file).unwrap(), "a");
}

#[test]
fn a_mapped_file_is_left_alone() {
    let place = Place::new(1);
    std::fs::write(place.path("a"), "a").unwrap();
    let open = || PosixEnv::shared().open_random_access(&place.path("a"), ReadMode::Mapped).unwrap();
    let files: Vec<_> = (0..5).map(|_| place.files.adopt(place.path("a"), open())).collect();
    assert!(files.iter().all(|file| file.mapping() == Some(&b"a"[..])));
    assert_eq!((place.files.open(), place.descriptors().len()), (0, 0));
}

#[test]
fn threads_share_the_descriptors() {
    let place = Place::new(2);
    let files: Vec<_> = (0..8).map(|number| place.open(&number.to_string())).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let files = &files;
            scope.spawn(move || {
                for round in 0..400 {
                    let number = (round * 5 + thread * 3) % files.len();
                    assert_eq!(contents(&files[number]).unwrap(), number.to_string());
                }
            });
        }
    });
    contents(&files[0]).unwrap();
    assert!(place.files.open() <= 3, "one more for a thread that read at the end");
    drop(files);
    assert_eq!((place.files.open(), Path::exists(&place.path("7"))), (0, true));
}
