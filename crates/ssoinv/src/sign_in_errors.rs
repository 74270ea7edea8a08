//! Messages and hints for failed sign-ins.

use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_core::scope::KNOWN_REGIONS;
use ssoinv_core::suggest::nearest;
use ssoinv_profile::Location;

use crate::app::App;
use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::sessions::KnownSession;

/// Returns the error of a command that could not sign in.
pub(crate) fn error(failure: &Failure, session: &KnownSession, app: &App) -> CommandError {
    let exit = match failure.kind {
        FailureKind::Misconfigured => ExitCode::Usage,
        _ => ExitCode::SignInNeeded,
    };
    let message = if failure.message.contains(session.label()) || failure.kind == FailureKind::Misconfigured {
        failure.message.clone()
    } else {
        format!("the sign-in to `{}` failed: {}", session.label(), failure.message)
    };
    let error = CommandError::new(exit, message).with_hint(hint(failure, session));
    error.with_details(details(failure, session, app))
}

/// Lists the lines of the files that cause the failure.
fn details(failure: &Failure, session: &KnownSession, app: &App) -> Vec<String> {
    let sso = &session.sso;
    let line = |at: &Location, key: &str, value: &str| match at.line {
        0 => format!("{}: {key} = {value}", at.file.display()),
        number => format!("{}:{number}  {key} = {value}", app.shown(&at.file.to_string_lossy())),
    };
    let region = line(&sso.sso_region_at, "sso_region", &sso.sso_region);
    match failure.code.as_deref() {
        Some("InvalidStartUrl") => vec![line(&sso.start_url_at, "sso_start_url", &sso.start_url), region],
        Some("InvalidSsoRegion" | "InvalidRegion") => vec![region],
        _ => Vec::new(),
    }
}

fn hint(failure: &Failure, session: &KnownSession) -> String {
    let again = format!("ssoinv login {}", session.as_argument());
    match failure.code.as_deref() {
        // The sign-in has ended, or there never was one.
        Some("NotSignedIn" | "SignInExpired") => format!("run `{again}`, then the same command again"),
        Some("SignInDeclined") => format!("run `{again}` again, and allow the access that it asks for"),
        // Any region hands out codes; only the page refuses those of the wrong region.
        Some("SignInTimedOut") => format!(
            "run `{again}` again, and approve it within ten minutes; where the page said `invalid_grant`, `sso_region` \
             is not the region of your IAM Identity Center"
        ),
        Some("StateMismatch") => {
            format!("close old sign-in pages, then run `{again}` again: an answer to another sign-in came in")
        }
        Some("SignInRefused") => {
            format!("run `{again}` again; with `--use-device-code` another way is taken")
        }
        Some("RedirectPortTaken") => "leave out `--redirect-port`, or name a free port".to_owned(),
        Some("NoRedirectPort") => format!("`{again} --use-device-code` needs no port"),
        Some("InvalidStartUrl") => {
            "compare both with the AWS access portal URL and the region on the dashboard of IAM Identity Center"
                .to_owned()
        }
        Some("InvalidSsoRegion" | "InvalidRegion") => {
            match nearest(&session.sso.sso_region, KNOWN_REGIONS.iter().copied()) {
                Some(near) => format!("did you mean `sso_region = {near}`? It is the region of your IAM Identity Center"),
                None => "set `sso_region` to the region of your IAM Identity Center".to_owned(),
            }
        }
        Some("CertificateNotValidNow") => {
            format!("set this machine's clock, then run `{again}` again; `date -u` shows its time")
        }
        Some("CertificateRefused") => {
            "name a PEM file of the authorities to trust with `AWS_CA_BUNDLE`, as where a proxy reads along".to_owned()
        }
        Some("InsecureEndpoint") => "write it with `https://`, or take it out".to_owned(),
        _ if failure.kind == FailureKind::Unreachable || failure.remedy == Remedy::TryAgain => {
            "see that this machine reaches AWS: `HTTPS_PROXY` and `AWS_CA_BUNDLE` are heeded".to_owned()
        }
        _ => "`ssoinv doctor` looks at the files and the sign-in step by step".to_owned(),
    }
}
