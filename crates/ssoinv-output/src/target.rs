//! The files of `--out`.
//!
//! A regular file is replaced as a whole, by renaming, when the run ends well, and left alone when it doesn't: rows go
//! to a file beside it first. A device, a pipe and what `/dev/stdout` stands for are written straight.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::output::Destination;

/// How many symbolic links are followed; Linux follows 40.
const MOST_LINKS: usize = 40;

/// A file that can't be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct TargetError {
    /// What was tried, as a verb: `replace`.
    pub action: &'static str,
    /// The file or folder, as far as links have been followed.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl TargetError {
    fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}

/// Where the output goes, opened. [Committed](Target::commit) its files stand in their places; dropped, what was there
/// before does.
#[derive(Debug)]
pub struct Target {
    files: Vec<OpenFile>,
    /// A folder of several files, or one file.
    is_folder: bool,
    /// A folder that wasn't there before.
    made: Option<PathBuf>,
}

#[derive(Debug)]
enum OpenFile {
    /// Written straight.
    Straight { file: File, path: PathBuf },
    /// Written beside `path`, whose place it takes.
    Beside { temporary: NamedTempFile, path: PathBuf },
}

/// The mode of a file that is replaced or made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FileMode {
    /// The mode of the file in its place, else the mode of any new file.
    Usual,
    /// 0600.
    Private,
}

impl Target {
    /// Opens one file.
    pub fn file(path: &Path) -> Result<Self, TargetError> {
        Self::one(path, FileMode::Usual)
    }

    /// Opens one file that only its owner may read, whatever mode a file in its place has.
    pub fn private_file(path: &Path) -> Result<Self, TargetError> {
        Self::one(path, FileMode::Private)
    }

    fn one(path: &Path, mode: FileMode) -> Result<Self, TargetError> {
        Ok(Self { files: vec![OpenFile::new(path, mode)?], is_folder: false, made: None })
    }

    /// Opens one file for each name in a folder, which is made where it isn't there.
    pub fn folder<N: AsRef<Path>>(
        folder: &Path,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, TargetError> {
        let made = match fs::create_dir(folder) {
            Ok(()) => Some(folder.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(error) => return Err(TargetError::of("create", folder)(error)),
        };
        let mut target = Self { files: Vec::new(), is_folder: true, made };
        for name in names {
            target.files.push(OpenFile::new(&folder.join(name), FileMode::Usual)?);
        }
        Ok(target)
    }

    /// What [`Output`](crate::Output) writes to. To be asked once; finish the output before the commit.
    pub fn destination(&self) -> Result<Destination, TargetError> {
        let writer = |opened: &OpenFile| -> Result<Box<dyn Write + Send>, TargetError> {
            let (file, path) = match opened {
                OpenFile::Straight { file, path } => (file, path),
                OpenFile::Beside { temporary, path } => (temporary.as_file(), path),
            };
            Ok(Box::new(file.try_clone().map_err(TargetError::of("write", path))?))
        };
        match self.files.as_slice() {
            [only] if !self.is_folder => Ok(Destination::One(writer(only)?)),
            all => Ok(Destination::PerTable(all.iter().map(writer).collect::<Result<_, _>>()?)),
        }
    }

    /// Whether all files replace what was there. Devices and pipes are written at once instead.
    #[must_use]
    pub fn replaces_file(&self) -> bool {
        self.files.iter().all(|opened| matches!(opened, OpenFile::Beside { .. }))
    }

    /// Puts the files in their places.
    pub fn commit(mut self) -> Result<(), TargetError> {
        for opened in self.files.drain(..) {
            if let OpenFile::Beside { temporary, path } = opened {
                temporary.persist(&path).map_err(|error| TargetError::of("replace", &path)(error.error))?;
                self.made = None;
            }
        }
        self.made = None;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // The files first: only an empty folder can be removed.
        self.files.clear();
        if let Some(made) = &self.made {
            let _not_empty_then = fs::remove_dir(made);
        }
    }
}

impl OpenFile {
    fn new(path: &Path, mode: FileMode) -> Result<Self, TargetError> {
        let Some(path) = follow(path)? else { return Self::straight(path) };
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                // A file that its owner protected isn't replaced, although the folder's mode may allow it.
                OpenOptions::new().write(true).open(&path).map_err(TargetError::of("write", &path))?;
                Self::beside(path, Some(metadata.permissions()), mode)
            }
            Ok(metadata) if metadata.is_dir() => {
                Err(TargetError::of("write", &path)(io::ErrorKind::IsADirectory.into()))
            }
            Ok(_) => Self::straight(&path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::beside(path, None, mode),
            Err(error) => Err(TargetError::of("write", &path)(error)),
        }
    }

    /// Appends: nothing that stdout's file holds already is overwritten, and elsewhere it makes no difference.
    fn straight(path: &Path) -> Result<Self, TargetError> {
        let file = OpenOptions::new().append(true).open(path).map_err(TargetError::of("write", path))?;
        Ok(Self::Straight { file, path: path.to_owned() })
    }

    /// A temporary file, in the end with the mode of the file that it replaces, `kept`, or with that of any new file.
    fn beside(path: PathBuf, kept: Option<fs::Permissions>, mode: FileMode) -> Result<Self, TargetError> {
        let Some(name) = path.file_name() else {
            return Err(TargetError::of("write", &path)(io::ErrorKind::InvalidFilename.into()));
        };
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        if kept.is_none() && mode == FileMode::Usual {
            // The umask takes away from it.
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        }
        let temporary = builder
            .tempfile_in(folder)
            .map_err(|error| TargetError::of("create a file beside", &path)(of_system(error)))?;
        // `tempfile` makes private files.
        if let Some(mode) = kept.filter(|_| mode == FileMode::Usual) {
            temporary.as_file().set_permissions(mode).map_err(TargetError::of("set the mode of", &path))?;
        }
        Ok(Self::Beside { temporary, path })
    }
}

/// What the system said, less the temporary file's path that `tempfile` appends: the user didn't name that file.
fn of_system(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((said, _)) => io::Error::new(error.kind(), said),
        None => error,
    }
}

/// Follows the symbolic links that `path` itself is, not those of its folders. `None` where they lead to one of the
/// process's own open files, whatever that is.
fn follow(path: &Path) -> Result<Option<PathBuf>, TargetError> {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        if is_open_file(&at) {
            return Ok(None);
        }
        match fs::read_link(&at) {
            Ok(next) => at = at.parent().unwrap_or(Path::new("")).join(next),
            // No link: a file, or nothing yet.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(Some(at));
            }
            Err(error) => return Err(TargetError::of("write", &at)(error)),
        }
    }
    Err(TargetError::of("write", path)(io::Error::other("too many symbolic links")))
}

/// `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/1` and their like.
fn is_open_file(path: &Path) -> bool {
    path == Path::new("/dev/stdout")
        || path == Path::new("/dev/stderr")
        || path.parent().is_some_and(|folder| {
            folder == Path::new("/dev/fd") || (folder.starts_with("/proc") && folder.ends_with("fd"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(target: &Target, text: &str) {
        match target.destination().unwrap() {
            Destination::One(mut writer) => writer.write_all(text.as_bytes()).unwrap(),
            Destination::PerTable(writers) => {
                for mut writer in writers {
                    writer.write_all(text.as_bytes()).unwrap();
                }
            }
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_stands_there_after_the_commit_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let target = Target::file(&path).unwrap();
        write(&target, "new");
        assert!(!path.exists());
        assert_eq!(names(folder.path()).len(), 1, "it is written in the same folder");
        target.commit().unwrap();
        assert_eq!(names(folder.path()), ["out.csv"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");

        let target = Target::file(&path).unwrap();
        write(&target, "newer");
        drop(target);
        assert_eq!(names(folder.path()), ["out.csv"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new", "left alone");
    }

    #[cfg(unix)]
    #[test]
    fn private_files_have_mode_0600() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        Target::private_file(&path).unwrap().commit().unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        Target::private_file(&path).unwrap().commit().unwrap();
        assert_eq!(mode(), 0o600);
        assert!(Target::private_file(&path).unwrap().replaces_file());
        assert!(!Target::private_file(Path::new("/dev/null")).unwrap().replaces_file());
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_those_of_any_new_file_or_of_the_one_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let plain = folder.path().join("plain");
        fs::write(&plain, "").unwrap();
        let fresh = folder.path().join("fresh");
        Target::file(&fresh).unwrap().commit().unwrap();
        assert_eq!(mode(&fresh), mode(&plain));
        for kept in [0o600, 0o666, 0o755] {
            fs::set_permissions(&plain, fs::Permissions::from_mode(kept)).unwrap();
            Target::file(&plain).unwrap().commit().unwrap();
            assert_eq!(mode(&plain), kept);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deep")).unwrap();
        symlink("deep/file", at("link")).unwrap();
        symlink(at("link"), at("link to link")).unwrap();
        // At first it leads nowhere, then to a file.
        for text in ["one", "two"] {
            let target = Target::file(&at("link to link")).unwrap();
            write(&target, text);
            target.commit().unwrap();
            assert!(at("link").is_symlink() && at("link to link").is_symlink());
            assert_eq!(fs::read_to_string(at("deep/file")).unwrap(), text);
        }
        symlink("round", at("round")).unwrap();
        Target::file(&at("round")).unwrap_err();
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_open_files_are_written_straight() {
        use std::os::fd::AsRawFd;
        let target = Target::file(Path::new("/dev/null")).unwrap();
        assert!(matches!(target.files[0], OpenFile::Straight { .. }));
        write(&target, "gone");
        target.commit().unwrap();

        // What `>> file --out /dev/stdout` is.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "before ").unwrap();
        let file = File::open(&path).unwrap();
        let target = Target::file(Path::new(&format!("/dev/fd/{}", file.as_raw_fd()))).unwrap();
        write(&target, "after");
        assert_eq!(fs::read_to_string(&path).unwrap(), "before after");
        drop(target);
        assert_eq!(names(folder.path()), ["file"]);
        assert!(is_open_file(Path::new("/dev/stdout")) && is_open_file(Path::new("/proc/self/fd/1")));
        assert!(!is_open_file(Path::new("/dev/shm/file")) && !is_open_file(Path::new("/home/dev/fd/1")));
    }

    #[test]
    fn a_folder_has_a_file_for_each_table() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("out");
        let target = Target::folder(&folder, ["a.csv", "b.csv"]).unwrap();
        write(&target, "rows");
        drop(target);
        assert!(!folder.exists(), "nothing is left of a run that failed");

        for _ in 0..2 {
            let target = Target::folder(&folder, ["a.csv", "b.csv"]).unwrap();
            write(&target, "rows");
            target.commit().unwrap();
            assert_eq!(names(&folder), ["a.csv", "b.csv"]);
            assert_eq!(fs::read_to_string(folder.join("b.csv")).unwrap(), "rows");
        }
        let target = Target::folder(&folder, ["c.csv"]).unwrap();
        assert!(
            matches!(target.destination().unwrap(), Destination::PerTable(writers) if writers.len() == 1)
        );
        drop(target);
        assert_eq!(names(&folder), ["a.csv", "b.csv"]);
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing/out.csv");
        let error = Target::file(&missing).unwrap_err();
        assert_eq!(error.path, missing);
        assert!(!error.source.to_string().contains("tmp"), "{}", error.source);
        let error = Target::file(folder.path()).unwrap_err();
        assert_eq!((error.path.as_path(), error.source.kind()), (folder.path(), io::ErrorKind::IsADirectory));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        Target::folder(&file, ["a.csv"]).unwrap_err();
        assert_eq!(Target::folder(&missing, ["a.csv"]).unwrap_err().path, missing);
    }
}
