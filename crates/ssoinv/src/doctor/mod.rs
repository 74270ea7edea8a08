//! What an engineer looks at where something doesn't work, in that order: from the files over the sign-in to the accounts.
//!
//! [`facts`] gathers, and is the only part that reads or asks; the steps judge what was gathered and do nothing else:
//! [`files`] those of the config, [`sign_in`] those of the token, [`access`] those of the accounts. What they come to
//! ([`outcome`]) is shown by [`report`] and cured, as far as that takes no judgement, by [`fix`]. The order of the steps
//! is [`Step::ALL`]'s.

mod access;
pub(crate) mod facts;
mod files;
pub(crate) mod fix;
pub(crate) mod outcome;
pub(crate) mod report;
mod sign_in;

use ssoinv_profile::LoadError;

use self::facts::Facts;
use self::outcome::{Finding, Outcome, Severity, Step};

/// What every step comes to, in order.
pub(crate) fn judge(facts: &Facts) -> Vec<Outcome> {
    Step::ALL
        .into_iter()
        .map(|step| match step {
            Step::Files => files::files(facts),
            Step::Profiles => files::profiles(facts),
            Step::Formats => files::formats(facts),
            Step::Sessions => files::sessions(facts),
            Step::StartUrls => files::start_urls(facts),
            Step::Token => sign_in::token(facts),
            Step::Registration => sign_in::registration(facts),
            Step::Clock => sign_in::clock(facts),
            Step::Portal => sign_in::portal(facts),
            Step::Accounts => access::accounts(facts),
            Step::Duplicates => access::duplicates(facts),
            Step::Regions => access::regions(facts),
        })
        .map(|outcome| with_profiles(outcome, facts))
        .collect()
}

/// What is found of a sign-in concerns the profiles that use it.
fn with_profiles(mut outcome: Outcome, facts: &Facts) -> Outcome {
    for finding in outcome.findings.iter_mut().filter(|finding| finding.profiles.is_empty()) {
        let Some(session) = finding.session.as_deref() else { continue };
        let users = facts.chosen.iter().filter(|profile| {
            let key = profile.credentials.session().map(|session| session.cache_key());
            key.or(profile.sso_session.as_deref()) == Some(session)
        });
        finding.profiles = users.map(|profile| profile.name.clone()).collect();
    }
    outcome
}

/// What every step comes to where the files can't be read: the first fails, and no other is done.
pub(crate) fn unreadable(error: &LoadError) -> Vec<Outcome> {
    let (code, message, line) = match error {
        LoadError::Syntax { line, what, .. } => ("syntax-error", what.to_string(), Some(*line)),
        LoadError::Read { source, .. } => ("unreadable", format!("the file cannot be read: {source}"), None),
    };
    let finding =
        Finding::new(Severity::Error, code, message, error.hint()).in_file(error.file().to_owned(), line);
    let undone = |step| Outcome::new(step).not_done("the files cannot be read", None);
    let files = Outcome::new(Step::Files).with([finding]);
    std::iter::once(files).chain(Step::ALL.into_iter().skip(1).map(undone)).collect()
}
