//! The settings of a collecting command.

use std::path::PathBuf;
use std::time::Duration;

use ssoinv_output::Format;

use super::accounts::{AssumeSettings, DiscoverySettings, expectations};
use super::connection::ConnectionSettings;
use super::layers::Layers;
use super::list::{CONCURRENCY, MAX_TIME};
use super::output::{OutputSettings, coverage};
use super::profile_choice::ProfileChoice;
use super::region_source::RegionSource;
use super::sign_in::SignInSettings;
use crate::account_list::AccountList;
use crate::cli::CollectArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::expectations::Expectations;

/// The settings of a collecting command, resolved.
#[derive(Clone, Debug)]
pub(crate) struct CollectSettings {
    pub(crate) profiles: ProfileChoice,
    /// Use the machine's own identity instead of profiles.
    pub(crate) ambient: bool,
    pub(crate) assume: Option<AssumeSettings>,
    /// Use the accounts of a sign-in instead of profiles.
    pub(crate) all_accounts: Option<DiscoverySettings>,
    /// Expected accounts and gaps.
    pub(crate) expect: Expectations,
    pub(crate) regions: RegionSource,
    pub(crate) every_role: bool,
    pub(crate) sign_in: SignInSettings,
    pub(crate) connection: ConnectionSettings,
    pub(crate) output: OutputSettings,
    pub(crate) coverage: Option<(PathBuf, Format)>,
    pub(crate) include_secrets: bool,
    pub(crate) max_time: Option<Duration>,
}

impl CollectSettings {
    pub(crate) fn new(
        args: &CollectArgs,
        layers: &Layers,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            profiles: ProfileChoice::new(&args.selection.profiles, environment),
            ambient: args.selection.identity.ambient,
            assume: AssumeSettings::new(&args.selection)?,
            all_accounts: DiscoverySettings::new(&args.selection, layers)?,
            expect: expectations(&args.selection, layers, environment)?,
            regions: RegionSource::new(&args.selection, layers)?,
            every_role: args.selection.every_role,
            sign_in: SignInSettings::new(&args.sign_in, layers, environment)?,
            connection: ConnectionSettings::new(
                &args.credentials,
                &args.run.limits,
                layers.value(&CONCURRENCY, args.run.concurrency)?,
                layers,
                environment,
            )?,
            output: OutputSettings::new(&args.output, layers)?,
            coverage: args.collect_output.coverage.clone().map(coverage).transpose()?,
            include_secrets: args.collect_output.include_secrets,
            max_time: layers.value(&MAX_TIME, args.run.max_time.map(Some))?,
        })
    }

    /// Returns the reason for an expected account that the run doesn't reach.
    ///
    /// None if profiles or accounts were named, since other accounts aren't part of the run then. Also none with
    /// `--all-accounts`: discovery plans expected accounts itself.
    pub(crate) fn unreached(&self) -> Option<&'static str> {
        match (&self.assume, &self.profiles) {
            _ if self.all_accounts.is_some() || self.ambient => None,
            (Some(assume), _) => {
                (assume.accounts == AccountList::All).then_some("the organisation has no such active account")
            }
            (None, ProfileChoice::All) => Some("no profile reaches this account"),
            (None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use ssoinv_run::region_patterns::RegionPatterns;
    use ssoinv_sso::context::SignInFlow;

    use super::*;
    use crate::settings::source::SettingSource;

    #[derive(Parser)]
    struct CollectCli {
        #[command(flatten)]
        args: CollectArgs,
    }

    fn settings(arguments: &str, variables: &[(&str, &str)]) -> Result<CollectSettings, CommandError> {
        let arguments = std::iter::once("ssoinv").chain(arguments.split_whitespace());
        let CollectCli { args } = CollectCli::try_parse_from(arguments).expect("arguments");
        let vars = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let environment = Environment { vars, home: None };
        CollectSettings::new(&args, &Layers::new(&environment)?, &environment)
    }

    fn named(regions: &[&str], source: SettingSource) -> RegionSource {
        let regions = RegionPatterns::new(regions.iter().copied()).expect("patterns");
        RegionSource::Named { regions: Arc::new(regions), source }
    }

    fn refused(arguments: &str) -> String {
        let error = settings(arguments, &[]).expect_err(arguments);
        assert_eq!(error.exit.number(), 2);
        format!("{}; {}", error.message, error.hint.unwrap_or_default())
    }

    #[test]
    fn flags_come_before_variables_and_variables_in_the_cli_s_order() {
        let both = [("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-2")];
        let found = settings("--region us-east-1,us-east-2 --region us-east-1", &both).expect("valid");
        assert_eq!(found.regions, named(&["us-east-1", "us-east-2"], SettingSource::Flag("region")));
        let found = settings("", &both).expect("valid");
        assert_eq!(found.regions, RegionSource::Variable { name: "AWS_REGION", region: "eu-west-1".into() });
        assert_eq!(settings("", &[]).expect("valid").regions, RegionSource::Profiles);

        let both = [("AWS_PROFILE", "a"), ("AWS_DEFAULT_PROFILE", "b")];
        let chosen = |arguments, variables| settings(arguments, variables).expect("valid").profiles;
        assert_eq!(chosen("--all-profiles", &both), ProfileChoice::All);
        assert_eq!(chosen("--profile c", &both), ProfileChoice::Flag(vec!["c".into()]));
        assert_eq!(chosen("", &both), ProfileChoice::Variable { name: "AWS_PROFILE", profile: "a".into() });
        assert_eq!(
            chosen("", &both[1..]),
            ProfileChoice::Variable { name: "AWS_DEFAULT_PROFILE", profile: "b".into() }
        );
        assert_eq!(chosen("", &[]), ProfileChoice::Default);
    }

    #[test]
    fn the_flow_follows_the_machine_unless_it_is_named() {
        let flow = |arguments, variables| settings(arguments, variables).expect("valid").sign_in.flow;
        let (screen, page) = ([("DISPLAY", ":0")], SignInFlow::Page { redirect_port: None });
        let over_ssh = [("SSH_CONNECTION", "1"), ("DISPLAY", ":0")];
        assert_eq!(flow("--redirect-port 4000", &over_ssh), SignInFlow::Page { redirect_port: Some(4000) });
        assert_eq!(flow("", &over_ssh), SignInFlow::DeviceCode);
        assert_eq!(flow("--use-device-code", &screen), SignInFlow::DeviceCode);
        if cfg!(target_os = "linux") {
            assert_eq!(flow("", &screen), page);
            assert_eq!(flow("--no-browser", &screen), page, "it only isn't opened");
            assert_eq!(flow("", &[]), SignInFlow::DeviceCode);
        }
    }

    #[test]
    fn a_port_above_a_set_device_code_means_the_page() {
        let flow = |arguments, variables: &[(&str, &str)]| {
            let found = settings(arguments, variables).expect("valid").sign_in;
            (found.flow, found.use_device_code)
        };
        let (page, code) = (SignInFlow::Page { redirect_port: Some(4000) }, SignInFlow::DeviceCode);
        let set = ("SSOINV_USE_DEVICE_CODE", "1");
        let port = ("SSOINV_REDIRECT_PORT", "4000");
        assert_eq!(flow("", &[set]), (code, true));
        assert_eq!(flow("", &[port]), (page, false));
        assert_eq!(flow("--redirect-port 4000", &[set]), (page, false));
        assert_eq!(flow("--use-device-code", &[port]), (code, true));
        assert_eq!(flow("--no-use-device-code", &[set, port]), (page, false));
        // Both from variables: the port is a default for the page.
        assert_eq!(flow("", &[set, port]), (code, true));
    }

    #[test]
    fn what_is_typed_counts_for_more_than_what_is_set() {
        let output = |arguments| {
            let set = [("SSOINV_OUTPUT", "csv"), ("SSOINV_SPREADSHEET", "true"), ("SSOINV_WIDE", "true")];
            let found =
                settings(arguments, &set).unwrap_or_else(|error| panic!("{arguments}: {error:?}")).output;
            (found.format, found.spreadsheet, found.wide)
        };
        assert_eq!(output(""), (Format::Csv, true, true));
        assert_eq!(output("-o json"), (Format::Json, false, true));
        assert_eq!(output("--out x.json"), (Format::Json, false, true));
        assert_eq!(output("--out x"), (Format::Csv, true, true));
        assert_eq!(output("--no-spreadsheet --no-wide"), (Format::Csv, false, false));
        assert_eq!(output("--no-wide --wide"), (Format::Csv, true, true), "the last counts");
        let found =
            settings("--concurrency 3 --input", &[("SSOINV_CONCURRENCY", "4"), ("SSOINV_NO_INPUT", "1")]);
        let found = found.expect("valid");
        assert_eq!((found.connection.concurrency, found.sign_in.no_input.value), (3, false));
    }

    #[test]
    fn the_format_follows_the_ending() {
        let format = |arguments| settings(arguments, &[]).expect(arguments).output.format;
        assert_eq!(format(""), Format::Table);
        assert_eq!(format("--out x.csv"), Format::Csv);
        assert_eq!(format("--out x.ndjson"), Format::Ndjson);
        assert_eq!(format("-o json --out x"), Format::Json);
        assert_eq!(format("-o json --out x.data"), Format::Json);
        assert_eq!(format("--out /dev/full"), Format::Table);
    }

    #[test]
    fn mistakes_are_named_with_what_to_do() {
        assert_eq!(
            refused("-o report.csv"),
            "`report.csv` (from --output) is not a format; to write to a file, say `--out report.csv`"
        );
        assert_eq!(
            refused("-o yaml"),
            "`yaml` (from --output) is not a format; the formats are table, csv, json and ndjson"
        );
        assert_eq!(
            refused("-o json --out x.csv"),
            "`-o json` contradicts the ending of `--out x.csv`; leave out `-o`, or give the file another ending"
        );
        assert_eq!(
            refused("--out x.parquet"),
            "no format has the ending `.parquet`; say the format with `-o table`, `-o csv`, `-o json` or `-o ndjson`"
        );
        assert_eq!(
            refused("--coverage x.txt"),
            "`--coverage x.txt` has no ending that tells its format; end it with `.csv`, `.json` or `.ndjson`"
        );
        assert_eq!(
            refused("--spreadsheet -o json"),
            "`--spreadsheet` is for CSV; say `-o csv --spreadsheet`"
        );
        assert_eq!(
            refused("--region us-esat-1/"),
            "`us-esat-1/` (from --region) is not the name of a region; did you mean `us-east-1`?"
        );
    }

    #[test]
    fn what_the_environment_says_is_checked_too() {
        let error = settings("", &[("AWS_REGION", "x.evil.example/")]).expect_err("not a region");
        assert!(error.message.contains("AWS_REGION"), "{}", error.message);
        let error = settings("", &[("AWS_MAX_ATTEMPTS", "0")]).expect_err("not a number above 0");
        assert!(error.message.contains("AWS_MAX_ATTEMPTS"), "{}", error.message);
    }
}
