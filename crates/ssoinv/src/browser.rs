//! Opens a page in a browser.

use std::io::ErrorKind;

/// The browser that opens a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Browser {
    /// The default browser of the system.
    System,
    /// No browser: the address is only printed.
    None,
}

impl Browser {
    /// Opens `url`, which must be https or loopback, as one argument and through no shell.
    ///
    /// # Errors
    /// The reason why no browser was opened.
    pub(crate) fn open(self, url: &str) -> Result<(), String> {
        if self == Self::None {
            return Ok(());
        }
        if !ssoinv_profile::is_https_or_loopback(url) {
            return Err("the address is not https".to_owned());
        }
        // The error's own text has the whole command line and a raw status.
        open::that_detached(url).map_err(|error| match error.kind() {
            ErrorKind::NotFound => "no program for it was found".to_owned(),
            _ => "the program for it failed".to_owned(),
        })
    }
}
