//! Adds an `[sso-session]` to the config file.
//!
//! The file is read and understood first. Then it is replaced as a whole: behind its symlinks, with its mode, and
//! after a copy of it was written beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ssoinv_core::scope::is_region_name;

use crate::config_edit::line_edit::newline_of;
use crate::credential_source::SCOPE;
use crate::location::Location;
use crate::names::{bare_start_url, is_https_or_loopback};
use crate::profiles::{LoadError, Profiles};
use crate::sections::is_identifier;

/// The largest number of copies of a file.
const MOST_BACKUPS: usize = 1000;

/// The largest number of symlinks in a row, as in Linux.
const MOST_LINKS: usize = 40;

/// The outcome of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditOutcome {
    /// The file, behind its symlinks.
    pub path: PathBuf,
    /// The copy of the previous file; none if the file is new or unchanged.
    pub backup: Option<PathBuf>,
    /// The section existed already, with these values.
    pub unchanged: bool,
}

/// The reason for which a section can't be added.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// A name that AWS's tools don't accept in a section's header.
    #[error("`{name}` cannot be the name of an sso-session")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// A value that can't be written to the file, or isn't what its key needs.
    #[error("`{value}` cannot be the value of `{key}`")]
    InvalidValue {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// The section exists, with other values. Nothing was written.
    #[error("`[sso-session {name}]` is there already, with other values")]
    Differs {
        /// The session's name.
        name: String,
        /// Each key whose value differs.
        differences: Vec<Difference>,
    },
    /// The file isn't well-formed, or can't be read. Nothing was written.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Another program has changed the file in the meantime. Nothing was written.
    #[error("`{}` was changed by another program in the meantime", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file, its folder or its copy can't be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// A key of an existing section whose value differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: &'static str,
    /// The line of the key; the section's header if the key is missing.
    pub location: Location,
    /// The present value.
    pub found: Option<String>,
    /// The value that was to be added.
    pub wanted: String,
}

impl EditError {
    /// Returns the advice for the error.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::InvalidName { .. } => "name it with letters, digits and `-_./@:+%` only".to_owned(),
            Self::InvalidValue { key: START_URL, .. } => {
                "write the portal's URL, such as `https://my-org.awsapps.com/start`".to_owned()
            }
            Self::InvalidValue { .. } => "write a region's name, such as `eu-west-1`".to_owned(),
            Self::Differs { name, .. } => {
                format!("give the new one another name, or correct `[sso-session {name}]`")
            }
            Self::Load(error) => error.hint(),
            Self::Changed { .. } => "try it again".to_owned(),
            Self::Write { .. } => {
                "make the file and its folder writable, or add the section by hand".to_owned()
            }
        }
    }
}

const START_URL: &str = "sso_start_url";
const REGION: &str = "sso_region";

/// Returns the lines of an `[sso-session]` section, to be shown.
pub fn sso_session_block(name: &str, start_url: &str, sso_region: &str) -> Result<String, EditError> {
    check(name, start_url, sso_region)?;
    Ok(append(name, start_url, sso_region, ""))
}

/// The content of a file before and after the addition.
struct Addition {
    path: PathBuf,
    before: Option<Vec<u8>>,
    /// None if the section exists already.
    after: Option<String>,
}

/// Checks whether [`add_sso_session`] would refuse. Returns whether the section exists already.
///
/// Used before a person is asked for anything.
pub fn has_sso_session(
    path: &Path,
    name: &str,
    start_url: &str,
    sso_region: &str,
) -> Result<bool, EditError> {
    Ok(prepare(path, name, start_url, sso_region)?.after.is_none())
}

/// Adds an `[sso-session]` section to the config file at `path`, which is created if needed.
///
/// An existing section with the same values is left as it is.
pub fn add_sso_session(
    path: &Path,
    name: &str,
    start_url: &str,
    sso_region: &str,
) -> Result<EditOutcome, EditError> {
    let Addition { path, before, after } = prepare(path, name, start_url, sso_region)?;
    let Some(after) = after else { return Ok(EditOutcome { path, backup: None, unchanged: true }) };
    let backup = write(&path, before.as_deref(), after.as_bytes())?;
    Ok(EditOutcome { path, backup, unchanged: false })
}

fn prepare(path: &Path, name: &str, start_url: &str, sso_region: &str) -> Result<Addition, EditError> {
    check(name, start_url, sso_region)?;
    let path = behind_links(path).map_err(|source| LoadError::Read { file: path.to_owned(), source })?;
    let unreadable = |source| LoadError::Read { file: path.clone(), source };
    let before = read(&path).map_err(unreadable)?;
    let bytes = before.as_deref().unwrap_or_default();
    let profiles = Profiles::of_config(&path, bytes)?;
    if let Some((settings, location)) = profiles.session_section(name) {
        let wanted = [(START_URL, start_url), (REGION, sso_region)];
        let differences: Vec<Difference> = wanted
            .into_iter()
            .filter_map(|(key, wanted)| {
                let found = settings.get(key);
                // A trailing `/` or `#` of a start URL makes no difference.
                let same = |value: &str| bare_start_url(value) == bare_start_url(wanted);
                let location = found.map_or(location, |found| &found.location);
                let found = found.map(|found| found.value.clone());
                (!found.as_deref().is_some_and(same)).then(|| Difference {
                    key,
                    location: location.clone(),
                    found,
                    wanted: wanted.to_owned(),
                })
            })
            .collect();
        return if differences.is_empty() {
            Ok(Addition { path, before, after: None })
        } else {
            Err(EditError::Differs { name: name.to_owned(), differences })
        };
    }
    // The bytes have just been read as UTF-8.
    let text = String::from_utf8_lossy(bytes);
    let after = Some(append(name, start_url, sso_region, &text));
    Ok(Addition { path, before, after })
}

/// Refuses a name or values that can't be read back as they are.
fn check(name: &str, start_url: &str, sso_region: &str) -> Result<(), EditError> {
    if !is_identifier(name) {
        return Err(EditError::InvalidName { name: name.to_owned() });
    }
    let invalid = |key, value: &str| Err(EditError::InvalidValue { key, value: value.to_owned() });
    // A `#` after white space would start a comment.
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if !is_https_or_loopback(start_url) || start_url.contains(odd) {
        return invalid(START_URL, start_url);
    }
    if !is_region_name(sso_region) {
        return invalid(REGION, sso_region);
    }
    Ok(())
}

fn append(name: &str, start_url: &str, sso_region: &str, text: &str) -> String {
    let keys = [(START_URL, start_url), (REGION, sso_region), ("sso_registration_scopes", SCOPE)];
    append_section(text, &format!("sso-session {name}"), &keys)
}

/// Returns the text with a section at its end, after an empty line. `keys` are its keys and values.
fn append_section(text: &str, header: &str, keys: &[(&str, &str)]) -> String {
    let newline = newline_of(text);
    let mut out = text.to_owned();
    if !text.is_empty() {
        if !text.ends_with('\n') {
            out.push_str(newline);
        }
        let last = text.lines().next_back().unwrap_or_default();
        if !last.trim().is_empty() {
            out.push_str(newline);
        }
    }
    out.push_str(&format!("[{header}]{newline}"));
    for (key, value) in keys {
        out.push_str(&format!("{key} = {value}{newline}"));
    }
    out
}

/// Returns the file that a path leads to, which needn't exist.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            // An absolute target replaces the whole path.
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            // The path is no symlink.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symlinks lead from one to the next"))
}

/// Reads the file's bytes, if it exists.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the file, unless it differs from `before`. Returns the copy of the previous file.
fn write(path: &Path, before: Option<&[u8]>, after: &[u8]) -> Result<Option<PathBuf>, EditError> {
    let failed = |source| EditError::Write { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(failed)?;

    // `tempfile` creates files that only their owner can read.
    let builder = || tempfile::Builder::new().prefix(".ssoinv-").suffix(".tmp").tempfile_in(folder);
    let mut file = builder().map_err(failed)?;
    file.write_all(after).map_err(failed)?;
    if before.is_some() {
        let mode = fs::metadata(path).map_err(failed)?.permissions();
        file.as_file().set_permissions(mode).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    let backup = before.map(|before| back_up(path, before)).transpose()?;
    if read(path).map_err(failed)?.as_deref() != before {
        return Err(EditError::Changed { path: path.to_owned() });
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(backup)
}

/// Writes a copy beside a file, for its owner alone: `config.ssoinv-backup`, or with the first free number.
fn back_up(path: &Path, bytes: &[u8]) -> Result<PathBuf, EditError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| EditError::Write { path, source }
    };
    for number in 1..=MOST_BACKUPS {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        let backup = path.with_file_name(format!("{name}.ssoinv-backup{number}"));
        match create_private(&backup) {
            Ok(mut file) => {
                file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed(&backup))?;
                return Ok(backup);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&backup)(error)),
        }
    }
    Err(failed(path)(io::Error::other(format!("there are {MOST_BACKUPS} copies of it already"))))
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::config_edit::testing::{config_text, sections_of};

    const URL: &str = "https://corp.awsapps.com/start";

    fn add(path: &Path) -> Result<EditOutcome, EditError> {
        add_sso_session(path, "corp", URL, "eu-west-1")
    }

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_with_its_folder() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".aws/config");
        assert_eq!(add(&path).unwrap(), EditOutcome { path: path.clone(), backup: None, unchanged: false });
        expect![[r#"
            [sso-session corp]
            sso_start_url = https://corp.awsapps.com/start
            sso_region = eu-west-1
            sso_registration_scopes = sso:account:access
        "#]]
        .assert_eq(&fs::read_to_string(&path).unwrap());
        assert_eq!(sso_session_block("corp", URL, "eu-west-1").unwrap(), fs::read_to_string(&path).unwrap());
        #[cfg(unix)]
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        // The second time there is nothing to do.
        assert!(add(&path).unwrap().unchanged);
        assert!(add_sso_session(&path, "corp", &format!("{URL}/#/"), "eu-west-1").unwrap().unchanged);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn each_change_leaves_a_copy_of_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let first = "# mine\r\n[profile a]\r\nregion=x";
        fs::write(&path, first).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        }
        let written = add(&path).unwrap();
        let backup = folder.path().join("config.ssoinv-backup");
        assert_eq!(written.backup.as_deref(), Some(&*backup));
        assert_eq!(fs::read_to_string(&backup).unwrap(), first);
        let second = fs::read_to_string(&path).unwrap();
        assert!(second.starts_with(&format!("{first}\r\n\r\n[sso-session corp]\r\n")), "{second}");
        #[cfg(unix)]
        assert_eq!((mode(&path), mode(&backup)), (0o640, 0o600));

        let written = add_sso_session(&path, "other", URL, "eu-west-1").unwrap();
        let another = folder.path().join("config.ssoinv-backup-2");
        assert_eq!(written.backup.as_deref(), Some(&*another));
        assert_eq!(fs::read_to_string(&another).unwrap(), second);
        assert_eq!(fs::read_to_string(&backup).unwrap(), first, "the older one stays");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left over");
    }

    #[cfg(unix)]
    #[test]
    fn symlinks_stay_and_what_they_lead_to_is_written() {
        use std::os::unix::fs::symlink;
        let home = tempfile::tempdir().unwrap();
        let (dotfiles, aws) = (home.path().join("dotfiles"), home.path().join(".aws"));
        fs::create_dir(&dotfiles).unwrap();
        fs::create_dir(&aws).unwrap();
        let (link, middle, real) = (aws.join("config"), dotfiles.join("link"), dotfiles.join("aws config"));
        symlink("../dotfiles/link", &link).unwrap();
        symlink(&real, &middle).unwrap();
        for backups in 0..2 {
            let written = add_sso_session(&link, &format!("corp{backups}"), URL, "eu-west-1").unwrap();
            assert_eq!(fs::canonicalize(&written.path).unwrap(), fs::canonicalize(&real).unwrap());
            assert_eq!(written.backup.is_some(), backups == 1, "the first time nothing was there");
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert!(fs::symlink_metadata(&middle).unwrap().is_symlink());
        }
        assert!(fs::read_to_string(&link).unwrap().contains("[sso-session corp1]"));
        let circle = aws.join("circle");
        symlink("circle", &circle).unwrap();
        assert!(matches!(add(&circle), Err(EditError::Load(LoadError::Read { .. }))));
    }

    #[test]
    fn other_values_are_refused_with_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let told = |text: &str| {
            fs::write(&path, text).unwrap();
            let error = add(&path).expect_err("refused");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no copy either");
            let EditError::Differs { differences, .. } = error else { panic!("{error:?}") };
            let told = differences.into_iter().map(|difference| {
                let Difference { key, location, found, wanted } = difference;
                format!("{}: {key} {} / {wanted}\n", location.line, found.as_deref().unwrap_or("-"))
            });
            told.collect::<String>()
        };
        expect![[r#"
            3: sso_start_url https://old.awsapps.com/start / https://corp.awsapps.com/start
            4: sso_region us-east-1 / eu-west-1
        "#]]
        .assert_eq(&told(
            "# x\n[sso-session corp]\nsso_start_url = https://old.awsapps.com/start\nsso_region = us-east-1\n",
        ));
        expect![[r#"
            2: sso_region - / eu-west-1
        "#]]
        .assert_eq(&told(
            "\n[sso-session 'corp']\nsso_start_url = https://corp.awsapps.com/start/\nregion = eu-west-1\n",
        ));
    }

    #[test]
    fn what_cannot_be_written_or_understood_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        for (name, url, region) in [
            ("", URL, "eu-west-1"),
            ("a b", URL, "eu-west-1"),
            ("a]\n[default", URL, "eu-west-1"),
            ("corp", "http://corp.awsapps.com/start", "eu-west-1"),
            ("corp", "https://corp.awsapps.com/start\nsso_region = x", "eu-west-1"),
            ("corp", "https://corp.awsapps.com/start #x", "eu-west-1"),
            ("corp", "https://corp.awsapps.com/\u{1b}[2J", "eu-west-1"),
            ("corp", URL, ""),
            ("corp", URL, "x.evil.example/"),
            ("corp", URL, "eu-west-1\n[profile x]\ncredential_process = evil"),
        ] {
            let error = add_sso_session(&path, name, url, region).expect_err("refused");
            let refused = matches!(error, EditError::InvalidName { .. } | EditError::InvalidValue { .. });
            assert!(refused && !path.exists(), "{name} {url} {region}: {error:?}");
            assert!(sso_session_block(name, url, region).is_err());
        }
        for bytes in [&b"[profile a\n"[..], b"[profile a]\nx = \xff\n", b"junk\n"] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(add(&path), Err(EditError::Load(LoadError::Syntax { .. }))));
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn what_another_program_has_changed_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, "[default]\n").unwrap();
        let error = write(&path, Some(b"[default]\nold = 1\n"), b"new").expect_err("changed");
        assert!(matches!(error, EditError::Changed { .. }), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "[default]\n");
    }

    proptest! {
        #[test]
        fn whatever_was_added_is_read_back(
            name in "[a-zA-Z0-9_./@:+%-]{1,12}",
            host in "[a-z]{1,8}(\\.[a-z]{1,5}){1,2}",
            path in "(/[a-z0-9#;%=-]{0,5}){0,3}",
            region in "[a-z]{2}-[a-z]{2,8}-[1-9]",
        ) {
            let url = format!("https://{host}{path}");
            let text = append(&name, &url, &region, "[default]\nx = y");
            let profiles = Profiles::of_config(Path::new("config"), text.as_bytes()).expect("well-formed");
            prop_assert!(profiles.file_problems().is_empty(), "{:?}", profiles.file_problems());
            let session = &profiles.sessions()[&name];
            prop_assert_eq!(&session.start_url, &url);
            prop_assert_eq!(&session.sso_region, &region);
            prop_assert_eq!(&session.scopes, &[SCOPE.to_owned()]);
        }
    }

    #[test]
    fn a_section_goes_to_the_end_after_an_empty_line() {
        let keys = [("k", "v")];
        for (before, after) in [
            ("", "[s]\nk = v\n"),
            ("[a]\n", "[a]\n\n[s]\nk = v\n"),
            ("[a]\nb = c", "[a]\nb = c\n\n[s]\nk = v\n"),
            ("[a]\r\nb = c", "[a]\r\nb = c\r\n\r\n[s]\r\nk = v\r\n"),
            ("[a]\n \t\n", "[a]\n \t\n[s]\nk = v\n"),
            ("\u{feff}", "\u{feff}\n\n[s]\nk = v\n"),
        ] {
            assert_eq!(append_section(before, "s", &keys), after, "{before:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_appended_leaves_all_before_it(text in config_text()) {
            let after = append_section(&text, "sso-session new", &[("sso_region", "eu-west-1")]);
            prop_assert!(after.starts_with(&text));
            let Ok(sections) = sections_of(&text) else { return Ok(()) };
            let mut found = sections_of(&after).expect("still well-formed");
            let new = found.pop().expect("the new section");
            prop_assert_eq!(&found, &sections);
            prop_assert_eq!(new.header, "sso-session new");
            prop_assert_eq!(new.properties.len(), 1);
            prop_assert_eq!(&new.properties[0].value, "eu-west-1");
        }
    }
}
