//! The profile-file cases that the AWS SDKs share, read from the copy that ships with `aws-runtime`: all of them must
//! give AWS's answer. The file is found through cargo, and not finding it is a failure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use ssoinv_profile::Profiles;

#[derive(Deserialize)]
struct Cases {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Input,
    output: Output,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    config_file: Option<String>,
    credentials_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Output {
    Config(Expected),
    ErrorContaining(String),
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Deserialize)]
struct Expected {
    profiles: Sections,
    #[serde(default)]
    sso_sessions: Sections,
}

/// `test-data/profile-parser-tests.json` of the `aws-runtime` that this workspace builds with.
fn cases() -> Cases {
    // Only this platform's packages need to be at hand.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", "host-tuple"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let manifest = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .find(|package| package["name"] == "aws-runtime")
        .and_then(|package| package["manifest_path"].as_str())
        .expect("aws-runtime is a dependency");
    let file = PathBuf::from(manifest).with_file_name("test-data").join("profile-parser-tests.json");
    serde_json::from_slice(&fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
        .expect("the cases have the form that this test knows")
}

fn load(input: &Input) -> Result<Profiles, String> {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join(".aws")).expect("a folder");
    for (name, text) in [("config", &input.config_file), ("credentials", &input.credentials_file)] {
        if let Some(text) = text {
            fs::write(home.path().join(".aws").join(name), text).expect("a file");
        }
    }
    Profiles::load(Some(Path::new(home.path())), &BTreeMap::new()).map_err(|error| error.to_string())
}

/// Returns the difference to AWS's result.
fn differs(case: &Case) -> Option<String> {
    match (load(&case.input), &case.output) {
        (Err(error), Output::ErrorContaining(text)) => (!error.contains(text)).then_some(error),
        (Err(error), Output::Config(_)) => Some(error),
        (Ok(profiles), Output::ErrorContaining(_)) => Some(format!("no error but {profiles:?}")),
        (Ok(profiles), Output::Config(expected)) => {
            let found: Sections = profiles
                .iter()
                .map(|profile| {
                    let settings = profile.settings.iter();
                    let settings = settings.map(|(key, setting)| (key.to_owned(), setting.value.clone()));
                    (profile.name.clone(), settings.collect())
                })
                .collect();
            let sessions: Sections = profiles
                .session_settings()
                .map(|(name, settings)| {
                    let settings =
                        settings.iter().map(|(key, setting)| (key.to_owned(), setting.value.clone()));
                    (name.to_owned(), settings.collect())
                })
                .collect();
            ((&found, &sessions) != (&expected.profiles, &expected.sso_sessions))
                .then(|| format!("{found:?}, {sessions:?}"))
        }
    }
}

#[test]
fn the_sdks_shared_cases() {
    let cases = cases().tests;
    // The file of aws-runtime 1.10 has 65. Fewer would mean that this test looks at something else.
    assert!(cases.len() >= 65, "{} cases", cases.len());
    let wrong: Vec<String> =
        cases.iter().filter_map(|case| Some(format!("{}: {}", case.name, differs(case)?))).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
