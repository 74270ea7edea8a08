//! The identities of a run: profiles, the machine's own, or a role that one of them assumes in many accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::scope::{AccountId, Partition};
use ssoinv_profile::{AmbientSource, CredentialSource, Profile, Profiles, RoleArn};
use ssoinv_run::engine::Engine;
use ssoinv_sso::credential_store::CredentialStore;

use crate::account_list::{AccountList, NamedAccount};
use crate::app::App;
use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::selection;
use crate::settings::{AssumeSettings, CollectSettings, ProfileChoice, RegionSource};
use crate::warnings;

/// The profiles of a run, or the profile that it assumes a role from.
pub(crate) struct RunIdentity {
    pub(crate) profiles: Vec<Arc<Profile>>,
    /// The error if this machine turns out to be no EC2 instance with a role. Only a call to its metadata tells.
    pub(crate) unless_instance: Option<CommandError>,
}

/// Names of accounts.
pub(crate) type AccountNames = BTreeMap<AccountId, Arc<str>>;

/// Selects the profiles. A problem of a profile that was named alone ends the command.
pub(crate) fn choose(
    profiles: &Profiles,
    settings: &CollectSettings,
    app: &App,
) -> Result<RunIdentity, CommandError> {
    if settings.ambient {
        let profiles = vec![Arc::new(ambient(app)?)];
        return Ok(RunIdentity { profiles, unless_instance: None });
    }
    let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    let selected = match selection::select(&settings.profiles, &names, &app.searched(profiles)) {
        Ok(selected) => selected,
        Err(error) if settings.profiles == ProfileChoice::Default => return without_default(error, app),
        Err(error) => return Err(error),
    };
    let all: Vec<&Profile> = profiles.iter().collect();
    let chosen: Vec<Arc<Profile>> =
        selected.profiles.iter().map(|&index| Arc::new(all[index].clone())).collect();
    if let (true, [profile]) = (selected.named_alone, chosen.as_slice()) {
        if let Some(problem) = profile.blocker(settings.regions == RegionSource::Profiles) {
            return Err(warnings::broken_profile(problem, app));
        }
        if matches!(profile.credentials, CredentialSource::None) {
            return Err(warnings::no_credentials(profile, app));
        }
    }
    if settings.assume.is_some() && chosen.len() != 1 {
        let message =
            format!("`--assume-role` starts from one identity, and {} profiles are meant", chosen.len());
        return Err(
            CommandError::usage(message).with_hint("name one with `--profile NAME`, or say `--ambient`")
        );
    }
    Ok(RunIdentity { profiles: chosen, unless_instance: None })
}

/// Returns the profile of the machine's own identity. Its credentials are not checked.
fn ambient(app: &App) -> Result<Profile, CommandError> {
    let profile = Profile::ambient(&app.environment.vars);
    if profile.credentials == CredentialSource::Unusable {
        return Err(CommandError::usage(
            "`AWS_WEB_IDENTITY_TOKEN_FILE` is set, but `AWS_ROLE_ARN` is no role's ARN",
        )
        .with_hint("set both, or neither"));
    }
    Ok(profile)
}

/// Falls back to the machine's own identity: no profile is named, and there is no `default`.
fn without_default(error: CommandError, app: &App) -> Result<RunIdentity, CommandError> {
    let profile = ambient(app)?;
    let metadata_is_off = app
        .environment
        .get("AWS_EC2_METADATA_DISABLED")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if profile.is_instance() && metadata_is_off {
        return Err(error);
    }
    let unless_instance = profile.is_instance().then_some(error);
    if unless_instance.is_none() {
        note_identity(&profile, app);
    }
    Ok(RunIdentity { profiles: vec![Arc::new(profile)], unless_instance })
}

fn note_identity(profile: &Profile, app: &App) {
    let what = match &profile.credentials {
        CredentialSource::Machine(AmbientSource::Environment) => "the keys in the environment",
        CredentialSource::WebIdentity(_) => "the web identity of `AWS_ROLE_ARN`",
        CredentialSource::Machine(AmbientSource::EcsContainer) => "the role of this container",
        _ => "the role of this EC2 instance",
    };
    app.terminal.note(&format!("no profile is named and there is no `default`: using {what} (`--ambient`)"));
}

/// Confirms that the EC2 instance has a role, if that is the only possible identity.
pub(crate) async fn confirm(
    chosen: &[Arc<Profile>],
    unless_instance: Option<CommandError>,
    credentials: &CredentialStore,
    app: &App,
) -> Result<(), CommandError> {
    let (Some(mut error), [profile]) = (unless_instance, chosen) else { return Ok(()) };
    match credentials.get(profile, None, |_| ()).await {
        Ok(_) => {
            note_identity(profile, app);
            Ok(())
        }
        Err(failure) => {
            let message = "nor has this machine an identity of its own: no keys, web identity or container in the \
                environment";
            error.details.push(format!("{message}, and {}", failure.message));
            Err(error)
        }
    }
}

/// Returns a profile per account that assumes the role with `base`, and the names of the accounts.
pub(crate) async fn assume(
    base: &Arc<Profile>,
    settings: &AssumeSettings,
    engine: &Arc<Engine>,
    app: &App,
) -> Result<(Vec<Arc<Profile>>, AccountNames), CommandError> {
    let identity = engine.identify(base).await;
    let partition = identity.map_err(|failure| refused(base, "cannot be used", &failure))?.partition;
    let (accounts, inactive) = match &settings.accounts {
        AccountList::Named { accounts, inactive } => (accounts.clone(), *inactive),
        AccountList::All => {
            let members = engine.organization_accounts(base, partition).await;
            let members = members.map_err(|failure| {
                let error = refused(base, "cannot list the accounts of the organisation", &failure);
                error.with_hint(
                    "`organizations:ListAccounts` is for the management account and delegated administrators; \
                     `--account ID,…` or a file names the accounts without it",
                )
            })?;
            let all = members.len();
            let active = members.into_iter().filter(|member| member.active);
            let active: Vec<_> =
                active.map(|member| NamedAccount { id: member.id, name: member.name }).collect();
            let inactive = all - active.len();
            (active, inactive)
        }
    };
    if inactive > 0 {
        let accounts = if inactive == 1 { "1 account".to_owned() } else { format!("{inactive} accounts") };
        app.terminal.note(&format!("left out {accounts} of the organisation that are not active"));
    }
    assumed(base, settings, partition, accounts)
}

/// Returns a profile for the role in each of these accounts.
pub(crate) fn assumed(
    base: &Profile,
    settings: &AssumeSettings,
    partition: Partition,
    accounts: Vec<NamedAccount>,
) -> Result<(Vec<Arc<Profile>>, AccountNames), CommandError> {
    let mut names = AccountNames::new();
    let mut profiles = Vec::new();
    for account in accounts {
        let arn = format!("arn:{}:iam::{}:role/{}", partition.as_str(), account.id, settings.role);
        let role = RoleArn::parse(&arn).ok_or_else(|| {
            CommandError::usage(format!("`{}` (from --assume-role) is not the name of a role", settings.role))
                .with_hint("a role's name, or its path and name: `audit/Reader`")
        })?;
        profiles.push(Arc::new(base.assuming(role, settings.external_id.as_deref())));
        names.extend(account.name.map(|name| (account.id, name)));
    }
    Ok((profiles, names))
}

fn refused(base: &Profile, what: &str, failure: &Failure) -> CommandError {
    let exit = match failure.kind {
        FailureKind::SignInExpired => ExitCode::SignInNeeded,
        FailureKind::Misconfigured => ExitCode::Usage,
        _ => ExitCode::NothingCollected,
    };
    let code = failure.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    CommandError::new(exit, format!("the identity `{}` {what}: {}{code}", base.name, failure.message))
}
