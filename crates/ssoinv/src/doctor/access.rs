//! The steps about accounts and regions: access to each account, accounts with several profiles, enabled regions.

use std::collections::BTreeMap;
use std::sync::Arc;

use ssoinv_core::failure::FailureKind;
use ssoinv_core::scope::AccountId;
use ssoinv_core::suggest::nearest;
use ssoinv_core::text::quoted_list;
use ssoinv_profile::{CredentialSource, Excerpt, Profile, ProfileKind, SsoRole};

use super::diagnosis::{Diagnosis, Severity};
use super::facts::{Access, AccessFailure, Facts, SkipReason, own_region};
use super::files::problems;
use super::step::{Step, StepResult};
use crate::text::{region_hint, shell_quoted};

/// The largest number of names in a message.
const MOST_NAMES: usize = 5;

pub(super) fn accounts(facts: &Facts) -> StepResult {
    let mut result = StepResult::new(Step::Accounts);
    for (profile, access) in pairs(facts) {
        match &access.account {
            Err(_) if matches!(profile.credentials, CredentialSource::None) => {}
            Err(reason) => result.skip_for(reason, subject(profile)),
            Ok(Ok(_)) => result.look(),
            Ok(Err(failure)) => {
                result.look();
                result.find(of_unreached(profile, failure).of_profile(&profile.name));
            }
        }
    }
    result
}

fn pairs(facts: &Facts) -> impl Iterator<Item = (&Arc<Profile>, &Access)> {
    facts.chosen.iter().zip(&facts.access)
}

fn subject(profile: &Profile) -> String {
    format!("profile `{}`", profile.name)
}

/// Diagnoses an account that can't be reached.
fn of_unreached(profile: &Profile, failure: &AccessFailure) -> Diagnosis {
    let AccessFailure { failure, roles } = failure;
    if let (CredentialSource::Sso(role), Some(roles)) = (&profile.credentials, roles) {
        return not_assigned(profile, role, roles);
    }
    let message = if failure.message.contains(&format!("`{}`", profile.name)) {
        failure.message.clone()
    } else {
        format!("profile `{}`: {}", profile.name, failure.message)
    };
    let (code, hint) = match failure.kind {
        FailureKind::Denied | FailureKind::DeniedByScp if profile.role_arn.is_some() => (
            "not-assumable",
            "let the role's trust policy name who assumes it, and let that one's policies allow `sts:AssumeRole`"
                .to_owned(),
        ),
        FailureKind::Denied | FailureKind::DeniedByScp => {
            ("denied", "see that the keys are the right ones, and still active".to_owned())
        }
        FailureKind::Unreachable => (
            "unreachable",
            "see that this machine reaches AWS: `HTTPS_PROXY` and `AWS_CA_BUNDLE` are heeded".to_owned(),
        ),
        FailureKind::Misconfigured => {
            ("misconfigured", format!("look at `[profile {}]`; `ssoinv profiles` shows what it says", profile.name))
        }
        _ => (
            "not-reachable",
            format!("compare with `aws sts get-caller-identity --profile {}`", shell_quoted(&profile.name)),
        ),
    };
    Diagnosis::new(Severity::Error, code, message, hint).at_line(&profile.source)
}

/// Diagnoses an account or role that isn't assigned.
fn not_assigned(profile: &Profile, role: &SsoRole, roles: &[String]) -> Diagnosis {
    let (account, name) = (role.account_id, &role.role_name);
    let settings = &profile.settings;
    if roles.is_empty() {
        let message = format!("account `{account}` is not assigned to whoever signed in");
        let hint = "compare `sso_account_id` with the access portal, or have the account assigned in IAM Identity Center";
        let diagnosis = Diagnosis::new(Severity::Error, "account-not-assigned", message, hint);
        return diagnosis.at_line(&profile.source).at_key([settings.get("sso_account_id")]);
    }
    // ListAccountRoles may list a role that GetRoleCredentials refuses.
    if roles.contains(name) {
        let message = format!(
            "the portal lists role `{name}` in account `{account}`, and yet gives no credentials for it"
        );
        let hint = "wait some minutes and try it again: an assignment may be on its way, in or out";
        let diagnosis = Diagnosis::new(Severity::Error, "role-refused", message, hint);
        return diagnosis.at_line(&profile.source).at_key([settings.get("sso_role_name")]);
    }
    let message = format!("role `{name}` is not assigned in account `{account}` to whoever signed in");
    let hint = match nearest(name, roles.iter().map(String::as_str)) {
        Some(near) => {
            format!("did you mean `sso_role_name = {near}`? Assigned are {}", quoted_list(roles, MOST_NAMES))
        }
        None => format!("write one that is: {}", quoted_list(roles, MOST_NAMES)),
    };
    let diagnosis = Diagnosis::new(Severity::Error, "role-not-assigned", message, hint);
    diagnosis.at_line(&profile.source).at_key([settings.get("sso_role_name")])
}

pub(super) fn duplicates(facts: &Facts) -> StepResult {
    let mut result = StepResult::new(Step::Duplicates);
    let mut by_account: BTreeMap<AccountId, Vec<&Profile>> = BTreeMap::new();
    for (profile, access) in pairs(facts) {
        let asked = access.account.as_ref().ok().and_then(|account| account.as_ref().ok().copied());
        match asked.or(profile.account_id) {
            Some(account) => {
                result.look();
                by_account.entry(account).or_default().push(profile);
            }
            None if profile.blocker(false).is_some() => {
                result.skip(SkipReason::Files.describe(), Some(subject(profile)));
            }
            None if matches!(profile.credentials, CredentialSource::None) => {}
            None => result.skip("only AWS can tell its account", Some(subject(profile))),
        }
    }
    for (account, profiles) in by_account.iter().filter(|(_, profiles)| profiles.len() > 1) {
        result.find(of_account(*account, profiles));
    }
    result
}

/// Diagnoses several profiles of one account: a warning if two have the same role and region.
fn of_account(account: AccountId, profiles: &[&Profile]) -> Diagnosis {
    let names: Vec<String> = profiles.iter().map(|profile| profile.name.clone()).collect();
    let what = |profile: &Profile| {
        let session = profile.credentials.session().map(|session| session.cache_key().to_owned());
        (profile.kind, session, profile.role_name.clone(), profile.region.clone())
    };
    let repeated = profiles.iter().enumerate().find(|(place, profile)| {
        let is_sso = matches!(profile.kind, ProfileKind::SsoSession | ProfileKind::SsoLegacy)
            && profile.role_name.is_some();
        is_sso && profiles[..*place].iter().any(|other| what(other) == what(profile))
    });
    let message =
        format!("account `{account}` has {} profiles: {}", profiles.len(), quoted_list(&names, MOST_NAMES));
    let (severity, hint, at) = match repeated {
        Some((_, profile)) => (
            Severity::Warning,
            format!("delete one: `[profile {}]` says nothing that another doesn't", profile.name),
            profile,
        ),
        None => (
            Severity::Info,
            "ssoinv asks an account once, with the first that serves; `--every-role` asks with each role"
                .to_owned(),
            &profiles[1],
        ),
    };
    let shown = profiles.iter().map(|profile| Excerpt {
        location: profile.source.clone(),
        text: format!("profile `{}`, {}", profile.name, profile.role_name.as_deref().unwrap_or("no role")),
    });
    let mut diagnosis = Diagnosis::new(severity, "account-twice", message, hint).at_line(&at.source);
    diagnosis.profiles = names;
    diagnosis.showing(shown.collect())
}

pub(super) fn regions(facts: &Facts) -> StepResult {
    let mut result = problems(facts, Step::Regions);
    let fallback = facts.region.as_ref().map(|(_, region)| region.as_str());
    for (profile, access) in pairs(facts) {
        if matches!(profile.credentials, CredentialSource::None) {
            continue;
        }
        let Some(region) = own_region(profile, fallback) else {
            result.look();
            let message =
                format!("profile `{}` has no region, so tables of regions cannot be asked", profile.name);
            let hint = format!(
                "run `aws configure set region REGION --profile {}`, or say `--region REGION`",
                shell_quoted(&profile.name)
            );
            let diagnosis = Diagnosis::new(Severity::Warning, "no-region", message, hint);
            result.find(diagnosis.at_line(&profile.source).of_profile(&profile.name));
            continue;
        };
        if profile.blocker(true).is_some() && profile.blocker(false).is_none() {
            // The step about profiles reports text that can't be a region.
            result.look();
            continue;
        }
        let enabled = match access.region {
            Some(Ok(Ok(enabled))) => Some(enabled),
            _ => None,
        };
        // An unknown region may be a new one.
        if let Some(hint) = region_hint(region).filter(|_| enabled != Some(true)) {
            let message = format!("profile `{}` works in `{region}`: {hint}", profile.name);
            let near = nearest(region, ssoinv_core::scope::KNOWN_REGIONS.iter().copied());
            let hint = format!("write a region's name, such as `region = {}`", near.unwrap_or("eu-west-1"));
            let severity = if enabled.is_some() { Severity::Error } else { Severity::Warning };
            let diagnosis = Diagnosis::new(severity, "unknown-region", message, hint);
            let diagnosis = diagnosis.at_line(&profile.source).at_key([profile.settings.get("region")]);
            result.find(diagnosis.of_profile(&profile.name));
            if enabled.is_some() {
                result.look();
                continue;
            }
        }
        match &access.region {
            None => {}
            Some(Err(reason)) => {
                let text = format!("whether it is enabled was not asked, as {}", reason.describe());
                let subject = Some(subject(profile)).filter(|_| *reason != SkipReason::Offline);
                result.skip(&text, subject);
            }
            Some(Ok(Err(failure))) => result.skip(
                &format!("whether it is enabled could not be asked: {}", failure.message),
                Some(subject(profile)),
            ),
            Some(Ok(Ok(true))) => result.look(),
            Some(Ok(Ok(false))) => {
                result.look();
                let message = format!(
                    "region `{region}` of profile `{}` is not enabled in its account: AWS refuses every call there",
                    profile.name
                );
                let hint = format!(
                    "name another region, or have an administrator run `aws account enable-region --region-name {region}`"
                );
                let diagnosis = Diagnosis::new(Severity::Error, "region-disabled", message, hint);
                let diagnosis = diagnosis.at_line(&profile.source).at_key([profile.settings.get("region")]);
                result.find(diagnosis.of_profile(&profile.name));
            }
        }
    }
    result
}
