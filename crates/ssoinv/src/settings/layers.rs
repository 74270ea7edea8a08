//! Precedence of settings: flag > `SSOINV_*` variable > `config.toml` > AWS's own variable > default.
//!
//! A setting of ssoinv overrides a variable that all AWS tools read, as git's `core.editor` overrides `EDITOR`: it was
//! written for this program.

use std::collections::BTreeMap;

use super::file::{self, ConfigFile};
use super::list::{self, AnySetting, Form, PREFIX, Setting, variable_of};
use super::source::{RawSetting, SettingSource, SettingValue, split};
use ssoinv_core::suggest::nearest;

use crate::command_error::CommandError;
use crate::environment::Environment;

/// A variable with ssoinv's prefix that is no setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownVariable {
    pub(crate) name: String,
    pub(crate) nearest: Option<String>,
}

/// The environment and the settings file, read once. [`Layers::resolve`] adds the flag.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// The value with the highest precedence, by key.
    given: BTreeMap<&'static str, RawSetting>,
    pub(crate) file: ConfigFile,
    pub(crate) unknown_variables: Vec<UnknownVariable>,
}

impl Layers {
    /// Reads the file, and checks every value of the file and of ssoinv's variables, even overridden ones.
    pub(crate) fn new(environment: &Environment) -> Result<Self, CommandError> {
        let file = ConfigFile::read(environment)?;
        let mut given = BTreeMap::new();
        for setting in list::ALL {
            let key = setting.key();
            let of_file = file.given.get(key).cloned();
            let of_variable = given_by_variable(*setting, environment);
            for given in of_file.iter().chain(&of_variable) {
                check(*setting, given)?;
            }
            // AWS's variables are checked by the commands that use them.
            let stand_in = || {
                setting.stand_ins().iter().find_map(|name| {
                    let texts = vec![environment.get(name)?.to_owned()];
                    Some(RawSetting { texts, source: SettingSource::StandIn(name) })
                })
            };
            if let Some(winner) = of_variable.or(of_file).or_else(stand_in) {
                given.insert(key, winner);
            }
        }
        Ok(Self { given, file, unknown_variables: unknown_variables(environment) })
    }

    /// Returns the value with the highest precedence, and its source.
    pub(super) fn resolve<T: Clone>(
        &self,
        setting: &Setting<T>,
        flag: Option<T>,
    ) -> Result<SettingValue<T>, CommandError> {
        if let Some(value) = flag {
            return Ok(SettingValue { value, source: SettingSource::Flag(setting.key) });
        }
        let Some(RawSetting { texts, source }) = self.given.get(setting.key) else {
            return Ok(SettingValue { value: setting.default.clone(), source: SettingSource::Default });
        };
        let value = setting.parse(&borrowed(texts)).map_err(|refused| source.refuse(setting.key, refused))?;
        Ok(SettingValue { value, source: source.clone() })
    }

    /// Returns the value without its source.
    pub(super) fn value<T: Clone>(&self, setting: &Setting<T>, flag: Option<T>) -> Result<T, CommandError> {
        self.resolve(setting, flag).map(|resolved| resolved.value)
    }

    /// Returns the text and the source of a setting whose flag isn't typed.
    pub(crate) fn shown(&self, setting: &dyn AnySetting) -> (Option<String>, SettingSource) {
        match self.given.get(setting.key()) {
            Some(given) => (Some(given.texts.join(",")), given.source.clone()),
            None => (setting.default_text(), SettingSource::Default),
        }
    }
}

/// Parses the typed texts of a flag.
pub(super) fn typed<T>(setting: &Setting<T>, texts: &[&str]) -> Result<T, CommandError> {
    setting.parse(texts).map_err(|refused| SettingSource::Flag(setting.key).refuse(setting.key, refused))
}

fn given_by_variable(setting: &dyn AnySetting, environment: &Environment) -> Option<RawSetting> {
    let name = variable_of(setting.key());
    let text = environment.get(&name)?;
    let texts = if setting.form() == Form::List { split(text) } else { vec![text.to_owned()] };
    Some(RawSetting { texts, source: SettingSource::Variable(name) })
}

fn check(setting: &dyn AnySetting, given: &RawSetting) -> Result<(), CommandError> {
    if given.texts.is_empty() {
        let message = match &given.source {
            SettingSource::File(place) => format!("{place}: `{}` names nothing", setting.key()),
            other => format!("`{other}` names nothing"),
        };
        return Err(CommandError::usage(message).with_hint("name one or more, or leave it out"));
    }
    setting.check(&borrowed(&given.texts)).map_err(|refused| given.source.refuse(setting.key(), refused))
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn unknown_variables(environment: &Environment) -> Vec<UnknownVariable> {
    let known =
        || list::ALL.iter().map(|setting| variable_of(setting.key())).chain([file::VARIABLE.to_owned()]);
    let ours = environment.vars.keys().filter(|name| name.starts_with(PREFIX));
    ours.filter(|name| !known().any(|known| known == **name))
        .map(|name| {
            // Without the common prefix, which would make all names similar.
            let known: Vec<String> = known().collect();
            let rests = known.iter().map(|known| &known[PREFIX.len()..]);
            let near = nearest(&name[PREFIX.len()..], rests);
            UnknownVariable { name: name.clone(), nearest: near.map(|rest| format!("{PREFIX}{rest}")) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::settings::list::{MAX_TIME, REGION, RETRY_TIME, WIDE};

    /// Returns the layers of a file with these lines and of these variables.
    fn layers(lines: &str, variables: &[(&str, &str)]) -> Result<Layers, CommandError> {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("c.toml");
        fs::write(&file, lines).expect("written");
        let mut vars: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        vars.insert(file::VARIABLE.to_owned(), file.display().to_string());
        Layers::new(&Environment { vars, home: Some(folder.path().to_owned()) })
    }

    fn refused(lines: &str, variables: &[(&str, &str)]) -> String {
        let error = layers(lines, variables).expect_err("a mistake");
        assert_eq!(error.exit.number(), 2);
        format!("{}; {}", error.message, error.hint.unwrap_or_default())
    }

    /// Removes one layer after the other, from the highest.
    #[test]
    fn each_layer_counts_for_more_than_those_below() {
        let region = |flag: Option<&str>, lines: &str, variables: &[(&str, &str)]| {
            let flag = flag.map(|flag| vec![flag.into()]);
            let found = layers(lines, variables).expect("valid").resolve(&REGION, flag).expect("valid");
            format!("{} {}", found.value.join(","), found.source)
        };
        let all = [
            ("SSOINV_REGION", "eu-west-2, eu-west-3"),
            ("AWS_REGION", "eu-north-1"),
            ("AWS_DEFAULT_REGION", "eu-south-1"),
        ];
        let lines = "region = ['eu-west-1']";
        assert_eq!(region(Some("us-east-1"), lines, &all), "us-east-1 --region");
        assert_eq!(region(None, lines, &all), "eu-west-2,eu-west-3 SSOINV_REGION");
        assert_eq!(region(None, lines, &all[1..]), "eu-west-1 ~/c.toml:1");
        assert_eq!(region(None, "", &all[1..]), "eu-north-1 AWS_REGION");
        assert_eq!(region(None, "", &all[2..]), "eu-south-1 AWS_DEFAULT_REGION");
        assert_eq!(region(None, "", &[]), " default");
    }

    #[test]
    fn a_switch_is_switched_off_from_above() {
        let wide = |flag, lines: &str, variables: &[(&str, &str)]| {
            layers(lines, variables).expect("valid").value(&WIDE, flag).expect("valid")
        };
        assert!(wide(None, "wide = true", &[]));
        assert!(!wide(None, "wide = true", &[("SSOINV_WIDE", "0")]));
        assert!(!wide(Some(false), "wide = true", &[("SSOINV_WIDE", "TRUE")]));
        assert!(wide(Some(true), "wide = false", &[("SSOINV_WIDE", "false")]));
    }

    #[test]
    fn defaults_and_what_has_none() {
        let layers = Layers::default();
        assert_eq!(layers.value(&RETRY_TIME, None).expect("valid"), Duration::from_mins(5));
        assert_eq!(layers.value(&MAX_TIME, None).expect("valid"), None);
        assert_eq!(layers.shown(&RETRY_TIME), (Some("5m".to_owned()), SettingSource::Default));
        assert_eq!(layers.shown(&MAX_TIME), (None, SettingSource::Default));
    }

    #[test]
    fn wrong_values_are_told_with_their_place() {
        assert_eq!(
            refused("\nconcurrency = 0", &[]),
            "~/c.toml:2: `concurrency` is `0`, which is not a number from 1 to 1024; "
        );
        assert_eq!(
            refused("region = ['eu-west-1', 'us-esat1']", &[]),
            "~/c.toml:1: `region` is `us-esat1`, which is not the name of a region; did you mean `us-east-1`?"
        );
        assert_eq!(
            refused("", &[("SSOINV_MAX_TIME", "soon")]),
            "`soon` (from SSOINV_MAX_TIME) is not a time above zero, like 90s, 45m or 1h 30m; "
        );
        assert_eq!(
            refused("", &[("SSOINV_WIDE", "maybe")]),
            "`maybe` (from SSOINV_WIDE) is not true or false; "
        );
        assert_eq!(
            refused("", &[("SSOINV_REGION", ",")]),
            "`SSOINV_REGION` names nothing; name one or more, or leave it out"
        );
        assert_eq!(
            refused("region = []", &[]),
            "~/c.toml:1: `region` names nothing; name one or more, or leave it out"
        );
        // An overridden value is checked all the same.
        assert!(
            refused("wide = true\noutput = 'yaml'", &[("SSOINV_OUTPUT", "csv")]).starts_with("~/c.toml:2:")
        );
        // AWS's variables aren't checked for every command.
        assert!(layers("", &[("AWS_REGION", "nowhere")]).is_ok());
    }

    #[test]
    fn variables_that_are_no_settings_are_found() {
        let found = layers(
            "",
            &[("SSOINV_CONCURENCY", "1"), ("SSOINV_X", "1"), ("SSOINV_wide", "1"), ("NOT_SSOINV_WIDE", "1")],
        );
        let told: Vec<String> = found
            .expect("valid")
            .unknown_variables
            .into_iter()
            .map(|unknown| format!("{} {}", unknown.name, unknown.nearest.unwrap_or_default()))
            .collect();
        assert_eq!(told, ["SSOINV_CONCURENCY SSOINV_CONCURRENCY", "SSOINV_X ", "SSOINV_wide SSOINV_WIDE"]);
    }
}
