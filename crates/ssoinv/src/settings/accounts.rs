//! Which accounts and roles a command selects, and what the user expects of them.

use std::path::PathBuf;
use std::sync::Arc;

use ssoinv_run::roles::RoleChoice;

use super::layers::{self, Layers};
use super::list::{EXCLUDE_ACCOUNT, EXPECT, ROLE, SSO_SESSION};
use super::source::{SettingSource, SettingValue};
use super::values::typed;
use crate::account_list::{AccountList, AccountSelection};
use crate::cli::{AccountArgs, SelectionArgs};
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::expectations::Expectations;

/// A role to assume in many accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssumeSettings {
    /// The name of the role, with its path if it has one.
    pub(crate) role: String,
    pub(crate) accounts: AccountList,
    pub(crate) external_id: Option<String>,
}

impl AssumeSettings {
    pub(super) fn new(args: &SelectionArgs) -> Result<Option<Self>, CommandError> {
        let Some(role) = &args.identity.assume_role else { return Ok(None) };
        let accounts = AccountList::parse(&args.accounts.account)?;
        Ok(Some(Self { role: role.clone(), accounts, external_id: args.identity.external_id.clone() }))
    }
}

/// A sign-in, and the accounts selected among those that it reaches.
#[derive(Clone, Debug)]
pub(crate) struct AccountSettings {
    pub(crate) sso_session: Option<String>,
    pub(crate) accounts: AccountSelection,
}

impl AccountSettings {
    pub(crate) fn new(args: &AccountArgs, layers: &Layers) -> Result<Self, CommandError> {
        let excluded = match typed(&args.exclude_account) {
            texts if texts.is_empty() => None,
            texts => Some(layers::typed(&EXCLUDE_ACCOUNT, &texts)?),
        };
        let excluded = layers.resolve(&EXCLUDE_ACCOUNT, excluded)?;
        Ok(Self {
            sso_session: layers.value(&SSO_SESSION, args.sso_session.clone().map(Some))?,
            accounts: AccountSelection::new(&typed(&args.account), &excluded)?,
        })
    }
}

/// `--all-accounts`: the accounts of a sign-in, and the roles to use.
#[derive(Clone, Debug)]
pub(crate) struct DiscoverySettings {
    pub(crate) of: AccountSettings,
    pub(crate) roles: Arc<RoleChoice>,
}

impl DiscoverySettings {
    pub(super) fn new(args: &SelectionArgs, layers: &Layers) -> Result<Option<Self>, CommandError> {
        let accounts = &args.accounts;
        if !args.all_accounts {
            let assumes = args.identity.assume_role.is_some();
            let stray = [
                ("--role", !args.role.is_empty()),
                ("--sso-session", accounts.sso_session.is_some()),
                ("--exclude-account", !accounts.exclude_account.is_empty()),
                ("--account", !accounts.account.is_empty() && !assumes),
            ];
            return match stray.into_iter().find(|(_, typed)| *typed) {
                None => Ok(None),
                Some((flag, _)) => {
                    Err(CommandError::usage(format!("`{flag}` picks among the accounts of a sign-in"))
                        .with_hint("say `--all-accounts`, too; for profiles there is `--profile NAME`"))
                }
            };
        }
        let roles = match typed(&args.role) {
            texts if texts.is_empty() => None,
            texts => Some(layers::typed(&ROLE, &texts)?),
        };
        let roles = layers.value(&ROLE, roles)?;
        let roles = RoleChoice::new(roles.iter().map(|role| &**role))
            .map_err(|error| CommandError::usage(format!("a role is no pattern: {error}")))?;
        Ok(Some(Self { of: AccountSettings::new(accounts, layers)?, roles: Arc::new(roles) }))
    }
}

/// Reads the files of `--expect`.
pub(super) fn expectations(
    args: &SelectionArgs,
    layers: &Layers,
    environment: &Environment,
) -> Result<Expectations, CommandError> {
    let flag =
        (!args.expect.is_empty()).then(|| args.expect.iter().map(|file| file.as_str().into()).collect());
    let SettingValue { value: files, source } = layers.resolve(&EXPECT, flag)?;
    let mut paths = Vec::new();
    for file in &files {
        // The shell expands `~` in typed flags.
        let below = file.strip_prefix("~/").filter(|_| !source.is_flag());
        let path = match (below, &environment.home) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(&**file),
        };
        // A file that happens to be in the current folder must not declare gaps.
        if let (SettingSource::File(place), true) = (&source, path.is_relative()) {
            let message = format!("{place}: `expect` is `{file}`, which depends on the current folder");
            return Err(CommandError::usage(message).with_hint("write the whole path, or begin it with `~/`"));
        }
        paths.push(path);
    }
    Ok(Expectations::read(paths.iter().map(PathBuf::as_path))?)
}
