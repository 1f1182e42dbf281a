//! A file that grows by whole records: a record that cannot be written entirely is taken back.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::report::ReportError;

/// An append-only file whose length always falls between two records.
#[derive(Debug)]
pub(super) struct AppendFile {
    path: PathBuf,
    file: File,
    len: u64,
    /// Half a record may stand behind `len`.
    is_torn: bool,
}

impl AppendFile {
    /// Opens or creates `path` and cuts it to its first `len` bytes.
    pub(super) fn open(path: &Path, len: u64) -> Result<Self, ReportError> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let file = file.map_err(ReportError::io("open", path))?;
        let mut append_file = Self { path: path.to_path_buf(), file, len, is_torn: false };
        append_file.cut().map_err(ReportError::io("truncate", path))?;
        Ok(append_file)
    }

    /// Appends one record. On an error (a full disk) the half-written record is cut off again.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<(), ReportError> {
        let cut = if self.is_torn { self.cut() } else { Ok(()) };
        let written = cut.and_then(|()| self.file.write_all(record));
        if written.is_ok() {
            self.len += record.len() as u64;
        } else {
            // If this fails too, it is done before the next record, or by the reader, who drops an incomplete last one.
            self.is_torn = self.cut().is_err();
        }
        written.map_err(ReportError::io("write", &self.path))
    }

    /// Forces the content to the disk.
    pub(super) fn sync(&mut self) -> Result<(), ReportError> {
        self.file.sync_data().map_err(ReportError::io("sync", &self.path))
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.len)?;
        self.file.seek(SeekFrom::Start(self.len))?;
        Ok(())
    }
}

/// Writes `bytes` beside `path`, syncs them and renames them over it, so that `path` is the old or the new file.
pub(in crate::report) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if written.is_err() {
        // On a full disk half a file would only take the room that is missing.
        let _ = std::fs::remove_file(&temporary);
    }
    written.map_err(ReportError::io("write", &temporary))?;
    std::fs::rename(&temporary, path).map_err(ReportError::io("rename into place", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_cuts_and_appending_continues() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let mut file = AppendFile::open(&path, 8).unwrap();
        file.append(b"three\n").unwrap();
        file.sync().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let mut file = AppendFile {
            path: PathBuf::from("/dev/full"),
            file: OpenOptions::new().write(true).open("/dev/full").unwrap(),
            len: 0,
            is_torn: false,
        };
        let message = file.append(b"record").unwrap_err().to_string();
        assert!(message.contains("/dev/full") && message.contains("Free some space"), "{message}");
        assert_eq!(file.len, 0);
    }
}
