//! The environment variables and the home folder. This is the only module that reads them from the system.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The variables and the home folder of a command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// Variables whose name and value are UTF-8. An empty value counts as not set.
    pub(crate) vars: BTreeMap<String, String>,
    /// The user's home folder.
    pub(crate) home: Option<PathBuf>,
}

impl Environment {
    /// Reads the environment of the process.
    pub(crate) fn of_process() -> Self {
        let vars = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Self { vars, home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()) }
    }

    /// Returns the value of a variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }

    /// Returns whether a browser opened from here can reach a loopback port of this machine.
    ///
    /// It cannot through SSH, nor on Linux without a display.
    pub(crate) fn browser_comes_back(&self) -> bool {
        let any = |names: [&str; 2]| names.iter().any(|name| self.get(name).is_some());
        !any(["SSH_CONNECTION", "SSH_TTY"])
            && (!cfg!(target_os = "linux") || any(["DISPLAY", "WAYLAND_DISPLAY"]))
    }

    /// Returns whether this is a job of a CI service: no person can sign in.
    pub(crate) fn is_ci(&self) -> bool {
        self.get("CI").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Returns the environment of a demonstration in `home`: without proxies and settings of AWS or ssoinv.
    pub(crate) fn for_demo(&self, home: PathBuf) -> Self {
        let foreign = |name: &str| {
            ["AWS_", "XDG_", "SSOINV_"].iter().any(|prefix| name.starts_with(prefix))
                || name == "APPDATA"
                || name.to_ascii_lowercase().ends_with("_proxy")
        };
        let vars = self.vars.iter().filter(|(name, _)| !foreign(name));
        let mut vars: BTreeMap<_, _> = vars.map(|(name, value)| (name.clone(), value.clone())).collect();
        vars.insert("HOME".to_owned(), home.display().to_string());
        // The simulated machine is no EC2 instance, even if this one is.
        vars.insert("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned());
        Self { vars, home: Some(home) }
    }

    /// Returns the folder for working folders and saved runs: the platform's folder for state.
    ///
    /// XDG Base Directory Specification on Linux and similar systems; `Application Support` on macOS; `%LOCALAPPDATA%` on
    /// Windows. None without a home folder.
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

    /// Returns the folder of `config.toml`: the platform's folder for configuration.
    ///
    /// XDG Base Directory Specification on Linux and similar systems; `Application Support` on macOS; `%APPDATA%` on
    /// Windows. None without a home folder, and none if the path is relative: it would depend on the current folder.
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

    /// Returns a path with the home folder as `~`.
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
