//! Opens a page in the person's browser.

use std::io::ErrorKind;

/// How a page is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Browser {
    /// The system's own.
    System,
    /// None: the address is only printed.
    None,
}

impl Browser {
    /// Opens `url`, which must be https or this machine's own, as one argument and through no shell.
    ///
    /// # Errors
    /// Why no browser was opened.
    pub(crate) fn open(self, url: &str) -> Result<(), String> {
        if self == Self::None {
            return Ok(());
        }
        if !ssoinv_profile::is_https_or_loopback(url) {
            return Err("the address is not https".to_owned());
        }
        // The error's own text holds the command line, and the status as the system numbers it.
        open::that_detached(url).map_err(|error| match error.kind() {
            ErrorKind::NotFound => "no program for it was found".to_owned(),
            _ => "the program for it failed".to_owned(),
        })
    }
}
