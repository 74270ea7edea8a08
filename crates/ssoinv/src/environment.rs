//! The environment, read once and handed down. The only module that asks the operating system for variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The variables and the home folder that a command works with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// All variables whose name and value are text; an empty value counts as not set.
    pub(crate) vars: BTreeMap<String, String>,
    /// The user's home folder.
    pub(crate) home: Option<PathBuf>,
}

impl Environment {
    /// The process's environment.
    pub(crate) fn of_process() -> Self {
        let vars = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Self { vars, home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()) }
    }

    /// The value of a variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }

    /// Whether a browser that is opened from here can come back here: not on a machine that somebody has come to through
    /// SSH, nor on a Linux machine without a screen.
    pub(crate) fn browser_comes_back(&self) -> bool {
        let any = |names: [&str; 2]| names.iter().any(|name| self.get(name).is_some());
        !any(["SSH_CONNECTION", "SSH_TTY"])
            && (!cfg!(target_os = "linux") || any(["DISPLAY", "WAYLAND_DISPLAY"]))
    }

    /// Whether this is a job of a CI service, which has nobody to ask.
    pub(crate) fn is_ci(&self) -> bool {
        self.get("CI").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The same environment for a demonstration in `home`: nothing of the user's settings, AWS's or ssoinv's; no proxy.
    pub(crate) fn for_demo(&self, home: PathBuf) -> Self {
        let foreign = |name: &str| {
            ["AWS_", "XDG_", "SSOINV_"].iter().any(|prefix| name.starts_with(prefix))
                || name == "APPDATA"
                || name.to_ascii_lowercase().ends_with("_proxy")
        };
        let vars = self.vars.iter().filter(|(name, _)| !foreign(name));
        let mut vars: BTreeMap<_, _> = vars.map(|(name, value)| (name.clone(), value.clone())).collect();
        vars.insert("HOME".to_owned(), home.display().to_string());
        // The simulated machine is no instance of anything, whatever this one is.
        vars.insert("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned());
        Self { vars, home: Some(home) }
    }

    /// Where ssoinv keeps its working folders: the platform's folder for state.
    ///
    /// XDG Base Directory Specification on Linux and the like; `Application Support` on macOS; `%LOCALAPPDATA%` on
    /// Windows. None where there is no home.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        let base = if cfg!(windows) {
            PathBuf::from(self.get("LOCALAPPDATA")?)
        } else if cfg!(target_os = "macos") {
            self.home.as_ref()?.join("Library/Application Support")
        } else {
            let xdg = self.get("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            xdg.or_else(|| Some(self.home.as_ref()?.join(".local/state")))?
        };
        Some(base.join("ssoinv"))
    }

    /// Where ssoinv's settings lie: the platform's folder for configuration.
    ///
    /// XDG Base Directory Specification on Linux and the like; `Application Support` on macOS; `%APPDATA%` on Windows.
    /// None where there is no home, nor where it is relative: that would be the current folder's.
    pub(crate) fn config_folder(&self) -> Option<PathBuf> {
        let absolute = |path: PathBuf| path.is_absolute().then_some(path);
        let home = || self.home.clone().and_then(absolute);
        let base = if cfg!(windows) {
            self.get("APPDATA").map(PathBuf::from).and_then(absolute)?
        } else if cfg!(target_os = "macos") {
            home()?.join("Library/Application Support")
        } else {
            let xdg = self.get("XDG_CONFIG_HOME").map(PathBuf::from).and_then(absolute);
            xdg.or_else(|| Some(home()?.join(".config")))?
        };
        Some(base.join("ssoinv"))
    }

    /// A path with the home folder as `~`.
    pub(crate) fn shown(&self, path: &str) -> String {
        let inside = self.home.as_deref().and_then(|home| Path::new(path).strip_prefix(home).ok());
        inside.map_or_else(|| path.to_owned(), |inside| format!("~/{}", inside.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_browser_comes_back_to_a_screen_of_this_machine() {
        let comes_back = |names: &[&str]| {
            let vars = names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
            Environment { vars, home: None }.browser_comes_back()
        };
        assert!(comes_back(&["DISPLAY"]));
        assert!(comes_back(&["WAYLAND_DISPLAY"]));
        assert!(!comes_back(&[]));
        assert!(!comes_back(&["DISPLAY", "SSH_CONNECTION"]));
        assert!(!comes_back(&["WAYLAND_DISPLAY", "SSH_TTY"]));
        assert!(comes_back(&["DISPLAY", "container"]), "being in a container alone says nothing");
    }

    #[test]
    fn a_demonstration_sees_nothing_of_the_users_settings() {
        let vars = [
            ("AWS_PROFILE", "prod"),
            ("SSOINV_OUTPUT", "csv"),
            ("SSOINV_CONFIG_FILE", "/h/mine.toml"),
            ("XDG_CONFIG_HOME", "/h/config"),
            ("APPDATA", "/h/roaming"),
            ("https_proxy", "http://proxy"),
            ("NO_COLOR", "1"),
            ("HOME", "/h"),
        ];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let demo = Environment { vars, home: Some("/h".into()) }.for_demo("/d".into());
        let shown: Vec<_> = demo.vars.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["AWS_EC2_METADATA_DISABLED=true", "HOME=/d", "NO_COLOR=1"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn settings_lie_in_no_relative_folder() {
        let folder = |home: Option<&str>, xdg: &str| {
            let vars = [("XDG_CONFIG_HOME".to_owned(), xdg.to_owned())].into();
            Environment { vars, home: home.map(PathBuf::from) }.config_folder()
        };
        assert_eq!(folder(Some("/h"), "/x"), Some("/x/ssoinv".into()));
        assert_eq!(folder(None, "/x"), Some("/x/ssoinv".into()));
        assert_eq!(folder(Some("/h"), "x"), Some("/h/.config/ssoinv".into()));
        assert_eq!(folder(Some("."), "x"), None);
        assert_eq!(folder(None, "x"), None);
    }
}
