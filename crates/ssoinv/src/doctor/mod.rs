//! The checks of `ssoinv doctor`, in the order in which an engineer would look: files, sign-in, accounts.
//!
//! [`facts`] is the only module that reads and calls. The steps judge the facts and do nothing else: [`files`] those about
//! profile files, [`sign_in`] those about tokens, [`access`] those about accounts. Their results ([`step`], [`diagnosis`])
//! are shown by [`report`]; [`fix`] turns the edits of diagnoses into a diff. [`Step::ALL`] has the order of the steps.

mod access;
pub(crate) mod diagnosis;
pub(crate) mod facts;
mod files;
pub(crate) mod fix;
pub(crate) mod report;
mod sign_in;
pub(crate) mod step;

use ssoinv_profile::LoadError;

use self::diagnosis::{Diagnosis, Severity};
use self::facts::Facts;
use self::step::{Step, StepResult};

/// Returns the result of every step, in order.
pub(crate) fn judge(facts: &Facts) -> Vec<StepResult> {
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
        .map(|result| with_profiles(result, facts))
        .collect()
}

/// Adds the profiles that use a sign-in to its diagnoses.
fn with_profiles(mut result: StepResult, facts: &Facts) -> StepResult {
    for diagnosis in result.diagnoses.iter_mut().filter(|diagnosis| diagnosis.profiles.is_empty()) {
        let Some(session) = diagnosis.session.as_deref() else { continue };
        let users = facts.chosen.iter().filter(|profile| {
            let key = profile.credentials.session().map(|session| session.cache_key());
            key.or(profile.sso_session.as_deref()) == Some(session)
        });
        diagnosis.profiles = users.map(|profile| profile.name.clone()).collect();
    }
    result
}

/// Returns the results for unreadable files: the first step fails, and all others are skipped.
pub(crate) fn unreadable(error: &LoadError) -> Vec<StepResult> {
    let (code, message, line) = match error {
        LoadError::Syntax { line, what, .. } => ("syntax-error", what.to_string(), Some(*line)),
        LoadError::Read { source, .. } => ("unreadable", format!("the file cannot be read: {source}"), None),
    };
    let diagnosis =
        Diagnosis::new(Severity::Error, code, message, error.hint()).in_file(error.file().to_owned(), line);
    let skipped = |step| StepResult::new(step).not_done("the files cannot be read", None);
    let files = StepResult::new(Step::Files).with([diagnosis]);
    std::iter::once(files).chain(Step::ALL.into_iter().skip(1).map(skipped)).collect()
}
