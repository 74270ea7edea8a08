//! `credential_process`: a program that prints credentials.
//!
//! "Process credential provider", AWS SDKs and Tools Reference Guide. As in botocore, the command line is split into
//! words and runs without a shell.

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use ssoinv_core::env::Env;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::secret::Secret;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::context::misconfigured;
use crate::role_credentials::RoleCredentials;
use crate::times::parse_time;

/// The longest time that the program may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// More bytes than any credentials have.
const LONGEST_OUTPUT: u64 = 1 << 20;

/// Runs the program and reads its output.
///
/// The program gets an empty stdin; its output gets into no message.
pub(crate) async fn run(command: &Secret, env: &Env) -> Result<RoleCredentials, Failure> {
    let words = shlex::split(command.reveal()).unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else {
        return Err(misconfigured("InvalidCredentialProcess", "`credential_process` is not a command line"));
    };
    let failed = |what: String| {
        Failure::new(FailureKind::Failed, format!("`credential_process` {what}"))
            .with_code("CredentialProcessFailed")
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let message = format!("`credential_process` cannot be started: {error}");
            misconfigured("CredentialProcessNotFound", message)
        })?;
    let stdout = child.stdout.take();
    let running = async {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(LONGEST_OUTPUT).read_to_end(&mut output).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, output))
    };
    let (status, output) = match tokio::time::timeout(PATIENCE, running).await {
        Ok(ended) => ended.map_err(|error| failed(format!("cannot be read: {error}")))?,
        Err(_) => return Err(failed(format!("gave no response in {} seconds", PATIENCE.as_secs()))),
    };
    if !status.success() {
        return Err(failed(format!("ended with {status}")));
    }
    parse(&output).map_err(failed)
}

/// The program's output.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    version: u32,
    access_key_id: Option<String>,
    secret_access_key: Option<Secret>,
    session_token: Option<Secret>,
    expiration: Option<String>,
}

/// Parses the output. An error says what is wrong with the output, and quotes nothing of it.
fn parse(output: &[u8]) -> Result<RoleCredentials, String> {
    let output: Output =
        serde_json::from_slice(output).map_err(|_| "printed no JSON with `Version` and keys".to_owned())?;
    if output.version != 1 {
        return Err(format!("printed version {}; there is only 1", output.version));
    }
    let (Some(access_key_id), Some(secret_access_key)) = (output.access_key_id, output.secret_access_key)
    else {
        return Err("printed no `AccessKeyId` or no `SecretAccessKey`".to_owned());
    };
    let expires_at = match output.expiration.as_deref() {
        None => None,
        Some(text) => Some(parse_time(text).ok_or("printed an `Expiration` that is no time")?),
    };
    Ok(RoleCredentials {
        access_key_id,
        secret_access_key,
        session_token: output.session_token.filter(|token| !token.reveal().is_empty()),
        expires_at,
        caller_arn: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_as_the_guide_has_it() {
        let text = br#"{"Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t",
            "Expiration": "2026-01-02T03:04:05Z", "AccountId": "111122223333"}"#;
        let credentials = parse(text).unwrap();
        assert_eq!(credentials.access_key_id, "ASIA");
        assert_eq!(credentials.expires_at, parse_time("2026-01-02T03:04:05Z"));
        assert!(parse(br#"{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s"}"#).is_ok());
    }

    #[test]
    fn bad_output_is_told_without_what_it_holds() {
        for bad in [
            "hunter2",
            r#"{"AccessKeyId": "hunter2", "SecretAccessKey": "hunter2"}"#,
            r#"{"Version": 2, "AccessKeyId": "hunter2", "SecretAccessKey": "hunter2"}"#,
            r#"{"Version": 1, "AccessKeyId": "hunter2"}"#,
            r#"{"Version": 1, "AccessKeyId": "hunter2", "SecretAccessKey": "hunter2", "Expiration": "hunter2"}"#,
        ] {
            let told = parse(bad.as_bytes()).unwrap_err();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn a_program_that_hangs_is_given_up_after_half_a_minute() {
        let env = Env::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let start = tokio::time::Instant::now();
        let failed = run(&Secret::new("sleep 1000"), &env).await.unwrap_err();
        assert_eq!(failed.message, "`credential_process` gave no response in 30 seconds");
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn words_are_split_without_a_shell_and_the_environment_is_the_one_handed_in() {
        let env = Env::from([
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("KEY".to_owned(), "AKIA".to_owned()),
        ]);
        let print = |text: &str| Secret::new(format!("printf '%s' '{text}'"));
        let json = r#"{"Version": 1, "AccessKeyId": "AKIA $(id)", "SecretAccessKey": "s"}"#;
        assert_eq!(run(&print(json), &env).await.unwrap().access_key_id, "AKIA $(id)");

        let script = r#"sh -c 'read x; echo "{\"Version\": 1, \"AccessKeyId\": \"$KEY$x\", \"SecretAccessKey\": \"s\"}"'"#;
        assert_eq!(run(&Secret::new(script), &env).await.unwrap().access_key_id, "AKIA", "stdin is empty");
        let script = r#"sh -c 'echo "{\"Version\": 1, \"AccessKeyId\": \"x$CARGO_MANIFEST_DIR\", \"SecretAccessKey\": \"s\"}"'"#;
        assert_eq!(
            run(&Secret::new(script), &env).await.unwrap().access_key_id,
            "x",
            "cargo sets the variable"
        );

        let failed =
            run(&Secret::new("sh -c 'echo hunter2 >&2; echo hunter2; exit 3'"), &env).await.unwrap_err();
        assert_eq!(failed.message, "`credential_process` ended with exit status: 3");
        let gone = run(&Secret::new("no-such-program-at-all"), &env).await.unwrap_err();
        assert_eq!(gone.kind, FailureKind::Misconfigured);
        assert_eq!(run(&Secret::new("'half"), &env).await.unwrap_err().kind, FailureKind::Misconfigured);
    }
}
