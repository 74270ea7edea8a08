//! Each pitfall of the two files: a folder of `fixtures/homes`, and what [`Profiles`] makes of it.
//!
//! `UPDATE_EXPECT=1` writes the answers anew; read them before you believe them.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, ptr};

use expect_test::{Expect, expect};
use ssoinv_core::env::Env;
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::service::ServiceInfo;
use ssoinv_profile::{
    AmbientSource, ChainBase, CredentialSource, LoadError, Location, Problem, ProblemKind, Profile,
    ProfileReport, Profiles, endpoint_for,
};

fn home(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/homes").join(case)
}

fn load(case: &str) -> Profiles {
    Profiles::load(Some(&home(case)), &Env::new()).expect("the files of this case can be read")
}

/// A profile of a case that must be there.
fn get<'a>(profiles: &'a Profiles, name: &str) -> &'a Profile {
    profiles.get(name).unwrap_or_else(|| panic!("no profile `{name}`"))
}

fn at(location: &Location) -> String {
    let file = location.file.file_name().expect("a file's name").to_string_lossy();
    format!("{file}:{}", location.line)
}

fn show_credentials(source: &CredentialSource) -> String {
    let (roles, base) = source.chain();
    let mut text = match base {
        ChainBase::Credentials(CredentialSource::Sso(role)) => {
            let session = &role.session;
            format!("{} {} by `{}`", role.account_id, role.role_name, session.cache_key())
        }
        ChainBase::Credentials(CredentialSource::WebIdentity(web)) => {
            format!("{} by web identity", web.role.arn)
        }
        ChainBase::Credentials(CredentialSource::Static(keys)) => format!("keys {}", keys.access_key_id),
        ChainBase::Credentials(CredentialSource::Process { command }) => {
            format!("output of {}", command.reveal())
        }
        ChainBase::Credentials(CredentialSource::Login { session }) => format!("login {session}"),
        ChainBase::Credentials(CredentialSource::None) => "none".to_owned(),
        ChainBase::Credentials(_) => "unusable".to_owned(),
        ChainBase::Machine(AmbientSource::Environment) => "the environment".to_owned(),
        ChainBase::Machine(AmbientSource::Ec2InstanceMetadata) => "the instance".to_owned(),
        ChainBase::Machine(_) => "the container".to_owned(),
    };
    for role in roles {
        write!(text, " → {}", role.role.arn).expect("a string takes it");
    }
    text
}

fn show_problem(out: &mut String, problem: &Problem) {
    let severity = format!("{:?}", problem.severity).to_lowercase();
    let blocks = if problem.blocks { "" } else { ", goes on" };
    writeln!(out, "  {severity}{blocks}, {:?}, {}: {}", problem.kind, at(&problem.location), problem.message)
        .expect("a string takes it");
    for shown in &problem.shown {
        writeln!(out, "    {}  {}", at(&shown.location), shown.text).expect("a string takes it");
    }
    writeln!(out, "    hint: {}", problem.hint).expect("a string takes it");
}

fn show(profiles: &Profiles) -> String {
    let mut out = String::new();
    for profile in profiles.iter() {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(
            out,
            "{} {} ({}) {} {}, {} {}, {}: {}",
            profile.name,
            profile.kind,
            at(&profile.source),
            profile.account_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            text(&profile.role_name),
            text(&profile.sso_session),
            text(&profile.sso_region),
            text(&profile.region),
            show_credentials(&profile.credentials),
        )
        .expect("a string takes it");
        for problem in &profile.problems {
            show_problem(&mut out, problem);
        }
    }
    if !profiles.file_problems().is_empty() {
        out.push_str("files:\n");
    }
    for problem in profiles.file_problems() {
        show_problem(&mut out, problem);
    }
    out
}

#[expect(clippy::needless_pass_by_value, reason = "as `expect!` makes it")]
fn check(case: &str, expected: Expect) {
    expected.assert_eq(&show(&load(case)));
}

#[test]
fn account_ids() {
    check(
        "account-ids",
        expect![[r#"
        eleven sso-session (config:1) - Audit, corp eu-west-1, -: unusable
          warning, InvalidAccountId, config:3: `sso_account_id` of profile `eleven` has 11 digits and not twelve: `11122334455`
            hint: if a spreadsheet dropped leading zeros, write `sso_account_id = 011122334455` in `[profile eleven]`
        hyphens sso-session (config:6) - Audit, corp eu-west-1, -: unusable
          warning, InvalidAccountId, config:8: `sso_account_id` of profile `hyphens` is not twelve digits: `1111-2222-3333`
            hint: write `sso_account_id = 111122223333` in `[profile hyphens]`
        thirteen sso-session (config:11) - Audit, corp eu-west-1, -: unusable
          warning, InvalidAccountId, config:13: `sso_account_id` of profile `thirteen` has 13 digits and not twelve: `1111222233334`
            hint: write the account's twelve digits in `[profile thirteen]`
        empty sso-session (config:16) - Audit, corp eu-west-1, -: unusable
          warning, InvalidAccountId, config:18: `sso_account_id` of profile `empty` is not twelve digits: ``
            hint: write the account's twelve digits in `[profile empty]`
        leading-zeros sso-session (config:21) 000000000012 Audit, corp eu-west-1, -: 000000000012 Audit by `corp`
    "#]],
    );
}

#[test]
fn duplicates() {
    check(
        "duplicates",
        expect![[r#"
        dev sso-session (config:1) 111122223333 Audit, corp us-east-1, eu-central-1: 111122223333 Audit by `corp`
          warning, goes on, Duplicate, config:3: `region` is there twice in `[profile dev]`; the last counts, but the AWS CLI refuses the whole file
            config:2  region
            config:3  region
            hint: delete one of the two `region`
          warning, goes on, Duplicate, config:11: `[profile "dev"]` is there twice; the two are merged, but the AWS CLI refuses the whole file
            config:1  [profile dev]
            config:11  [profile "dev"]
            hint: move the keys of the second `[profile "dev"]` to the first
          warning, goes on, Duplicate, config:13: `region` is there twice in `[profile dev]`; the last counts, but the AWS CLI refuses the whole file
            config:3  region
            config:13  region
            hint: delete one of the two `region`
          warning, goes on, Duplicate, config:15: `[sso-session corp]` is there twice; the two are merged, but the AWS CLI refuses the whole file
            config:7  [sso-session corp]
            config:15  [sso-session corp]
            hint: move the keys of the second `[sso-session corp]` to the first
          warning, goes on, Duplicate, config:16: `sso_start_url` is there twice in `[sso-session corp]`; the last counts, but the AWS CLI refuses the whole file
            config:8  sso_start_url
            config:16  sso_start_url
            hint: delete one of the two `sso_start_url`
        files:
          warning, goes on, Duplicate, config:20: `sso_region` is there twice in `[sso-session nobody]`; the last counts, but the AWS CLI refuses the whole file
            config:19  sso_region
            config:20  sso_region
            hint: delete one of the two `sso_region`
    "#]],
    );
}

#[test]
fn every_kind() {
    check(
        "every-kind",
        expect![[r#"
        default static (config:1) - -, - -, eu-central-1: keys AKIAIOSFODNN7EXAMPLE
        sso sso-session (config:4) 001122334455 Audit, corp eu-west-1, eu-west-1: 001122334455 Audit by `corp`
        legacy sso-legacy (config:10) 111122223333 ReadOnly, - us-east-1, -: 111122223333 ReadOnly by `https://old.awsapps.com/start/#/`
        over-sso assume-role (config:16) 222233334444 Inventory, - -, -: 001122334455 Audit by `corp` → arn:aws:iam::222233334444:role/team/Inventory
        over-over-sso assume-role (config:23) 333344445555 Deep, - -, -: 001122334455 Audit by `corp` → arn:aws:iam::222233334444:role/team/Inventory → arn:aws-us-gov:iam::333344445555:role/Deep
        own-keys assume-role (config:27) 444455556666 Own, - -, -: keys AKIAI44QH8DHBEXAMPLE → arn:aws:iam::444455556666:role/Own
        instance assume-role (config:31) 555566667777 FromInstance, - -, -: the instance → arn:aws:iam::555566667777:role/FromInstance
        web web-identity (config:35) 666677778888 Pod, - -, -: arn:aws:iam::666677778888:role/Pod by web identity
        process credential-process (config:39) - -, - -, -: output of /opt/vault/keys --role "read only"
        login login (config:42) - -, - -, -: login arn:aws:iam::777788889999:user/me
        config-keys static (config:45) - -, - -, -: keys AKIAI44QH8DHBEXAMPLE
        only-here static (credentials:10) - -, - -, -: keys AKIAI44QH8DHBEXAMPLE
    "#]],
    );
}

#[test]
fn half_key_pairs() {
    check(
        "half-key-pairs",
        expect![[r#"
            id-in-config static (config:1) - -, - -, -: unusable
              error, HalfKeyPair, config:2: `[profile id-in-config]` has `aws_access_key_id` but no `aws_secret_access_key`
                hint: add `aws_secret_access_key` below `[profile id-in-config]`, or delete the half pair
            secret-in-config none (config:4) - -, - -, -: none
              warning, goes on, HalfKeyPair, config:5: profile `secret-in-config` has `aws_secret_access_key` but no `aws_access_key_id`
                hint: add `aws_access_key_id` beside it, or delete the half pair
            split static (config:7) - -, - -, -: unusable
              error, HalfKeyPair, credentials:5: `[split]` has `aws_access_key_id` but no `aws_secret_access_key`; the one in the other file does not count
                hint: add `aws_secret_access_key` below `[split]`, or delete the half pair
            process-and-half credential-process (config:10) - -, - -, -: output of /opt/keys
              warning, goes on, IgnoredKeys, config:11: profile `process-and-half` is of kind `credential-process` by its `credential_process`, so its `aws_access_key_id` is ignored
                hint: delete the keys that are not meant from `[profile process-and-half]`
            open-quote credential-process (config:14) - -, - -, -: unusable
              error, InvalidValue, config:15: `credential_process` of profile `open-quote` is no command line
                hint: write a program and its arguments in `[profile open-quote]`, and close each quote
            empty-process credential-process (config:17) - -, - -, -: unusable
              error, InvalidValue, config:18: `credential_process` of profile `empty-process` is no command line
                hint: write a program and its arguments in `[profile empty-process]`, and close each quote
            id-alone static (credentials:1) - -, - -, -: unusable
              error, HalfKeyPair, credentials:2: `[id-alone]` has `aws_access_key_id` but no `aws_secret_access_key`
                hint: add `aws_secret_access_key` below `[id-alone]`, or delete the half pair
            empty static (credentials:7) - -, - -, -: unusable
              warning, HalfKeyPair, credentials:8: `aws_access_key_id` in `[empty]` is empty
                hint: fill in or delete the keys of `[empty]`
              warning, HalfKeyPair, credentials:9: `aws_secret_access_key` in `[empty]` is empty
                hint: fill in or delete the keys of `[empty]`
            old-token static (credentials:11) - -, - -, -: keys AKIAI44QH8DHBEXAMPLE
        "#]],
    );
}

#[test]
fn ignored_sections() {
    check(
        "ignored-sections",
        expect![[r#"
        default none (config:7) - -, - -, eu-central-1: none
          warning, goes on, IgnoredSection, config:4: section `[default]` is ignored: `[profile default]` takes its place
            hint: move its keys to `[profile default]`
        staging none (config:28) - -, - -, eu-west-1: none
          warning, goes on, IgnoredSection, credentials:5: section `[profile staging]` is ignored: in the credentials file a profile's header is its name alone
            hint: write `[staging]`
        dev static (credentials:1) - -, - -, -: keys AKIAIOSFODNN7EXAMPLE
          warning, goes on, IgnoredSection, config:1: section `[dev]` is ignored: in the config file a profile's header starts with `profile `
            hint: write `[profile dev]`
        files:
          warning, goes on, IgnoredSection, config:10: section `[Profile prod]` is ignored: AWS's tools don't know `Profile`
            hint: write `[profile prod]`
          warning, goes on, IgnoredSection, config:13: section `[profile in valid]` is ignored: its name has characters that AWS's tools don't take
            hint: put the name in quotes, `[profile "in valid"]`, or write it without spaces
          warning, goes on, IgnoredSection, config:16: section `[profile foo!bar]` is ignored: its name has characters that AWS's tools don't take
            hint: name it with letters, digits and `-_./@:+%` only: `[profile NAME]`
          warning, goes on, IgnoredSection, config:19: section `[sso-sesion corp]` is ignored: AWS's tools don't know `sso-sesion`
            hint: write `[sso-session corp]`
          warning, goes on, IgnoredSection, config:22: section `[granted registry]` is ignored: AWS's tools read `[profile NAME]`, `[sso-session NAME]` and `[services NAME]`
            hint: write `[profile registry]` if it is a profile
          warning, goes on, IgnoredSection, credentials:9: section `[sso-session corp]` is ignored: it belongs in the config file
            hint: move it to the config file
          warning, goes on, IgnoredSection, credentials:12: section `[a b]` is ignored: its name has characters that AWS's tools don't take
            hint: name it with letters, digits and `-_./@:+%` only, or define `[profile "NAME"]` in the config file
    "#]],
    );
}

#[test]
fn incomplete_session() {
    check(
        "incomplete-session",
        expect![[r#"
            no-region sso-session (config:1) 111122223333 Audit, corp -, -: unusable
              error, IncompleteSession, config:22: sso-session `corp` of profile `no-region` has no `sso_region`
                hint: rename `sso_regoin` to `sso_region` in `[sso-session corp]`
              warning, goes on, MisspeltKey, config:24: AWS's tools don't know `sso_regoin` in `[sso-session corp]`; is it `sso_region`?
                hint: rename `sso_regoin` to `sso_region`
            region-in-profile sso-session (config:6) 111122223333 Audit, corp eu-west-1, -: unusable
              error, IncompleteSession, config:22: sso-session `corp` of profile `region-in-profile` has no `sso_region`
                hint: rename `sso_regoin` to `sso_region` in `[sso-session corp]`
              warning, goes on, MisspeltKey, config:24: AWS's tools don't know `sso_regoin` in `[sso-session corp]`; is it `sso_region`?
                hint: rename `sso_regoin` to `sso_region`
            no-url sso-session (config:12) 111122223333 Audit, nourl eu-west-1, -: unusable
              error, IncompleteSession, config:26: sso-session `nourl` of profile `no-url` has no `sso_start_url`
                hint: add `sso_start_url = …` to `[sso-session nourl]`
            empty-session sso-session (config:17) 111122223333 Audit, empty -, -: unusable
              error, IncompleteSession, config:29: sso-session `empty` of profile `empty-session` has no `sso_start_url` and no `sso_region`
                hint: add `sso_start_url = …` and `sso_region = …` to `[sso-session empty]`
        "#]],
    );
}

#[test]
fn missing_keys() {
    check(
        "missing-keys",
        expect![[r#"
            no-role sso-session (config:1) 111122223333 -, corp eu-west-1, -: unusable
              error, IncompleteSso, config:1: profile `no-role` is set up for single sign-on but has no `sso_role_name`
                hint: add `sso_role_name = …` to `[profile no-role]`
            no-account sso-session (config:5) - Audit, corp eu-west-1, -: unusable
              error, IncompleteSso, config:5: profile `no-account` is set up for single sign-on but has no `sso_account_id`
                hint: add `sso_account_id = …` to `[profile no-account]`
            legacy-no-url sso-legacy (config:9) 111122223333 Audit, - eu-west-1, -: unusable
              error, IncompleteSso, config:9: profile `legacy-no-url` is set up for single sign-on but has no `sso_start_url`
                hint: add `sso_session = NAME` to `[profile legacy-no-url]`, or run `aws configure sso --profile legacy-no-url`
            legacy-no-region sso-legacy (config:14) 111122223333 Audit, - -, -: unusable
              error, IncompleteSso, config:14: profile `legacy-no-region` is set up for single sign-on but has no `sso_region`
                hint: add `sso_region = …` to `[profile legacy-no-region]`
            legacy-nothing sso-legacy (config:19) 111122223333 -, - -, -: unusable
              error, IncompleteSso, config:19: profile `legacy-nothing` is set up for single sign-on but has no `sso_role_name`, no `sso_start_url` and no `sso_region`
                hint: add `sso_session = NAME` to `[profile legacy-nothing]`, or run `aws configure sso --profile legacy-nothing`
            empty-role sso-session (config:22) 111122223333 -, corp eu-west-1, -: unusable
              warning, InvalidValue, config:25: `sso_role_name` of profile `empty-role` is empty
                hint: write the role's name after `sso_role_name =` in `[profile empty-role]`
            role-in-session sso-session (config:27) 111122223333 Audit, shared eu-west-1, -: 111122223333 Audit by `shared`
        "#]],
    );
}

#[test]
fn missing_session() {
    check(
        "missing-session",
        expect![[r#"
            typo sso-session (config:1) 111122223333 Audit, crop -, -: unusable
              error, UnknownSession, config:2: profile `typo` names sso-session `crop`, which is not defined
                hint: write `sso_session = corp` in `[profile typo]`; defined are `corp`, `halfway`, `other`
            nothing-like-it sso-session (config:6) 111122223333 Audit, payments -, -: unusable
              error, UnknownSession, config:7: profile `nothing-like-it` names sso-session `payments`, which is not defined
                hint: add `[sso-session payments]` to the config file; defined are `corp`, `halfway`, `other`
            without-account none (config:11) - -, crop -, -: none
              error, UnknownSession, config:12: profile `without-account` names sso-session `crop`, which is not defined
                hint: write `sso_session = corp` in `[profile without-account]`; defined are `corp`, `halfway`, `other`
            role-over-keys assume-role (config:23) 111122223333 Audit, halfway us-east-1, -: the environment → arn:aws:iam::111122223333:role/Audit
              error, IncompleteSession, config:28: sso-session `halfway` of profile `role-over-keys` has no `sso_start_url`
                hint: add `sso_start_url = …` to `[sso-session halfway]`
        "#]],
    );
}

#[test]
fn misspelt_keys() {
    check(
        "misspelt-keys",
        expect![[r#"
        accountid sso-session (config:1) - Audit, corp eu-west-1, -: unusable
          error, IncompleteSso, config:1: profile `accountid` is set up for single sign-on but has no `sso_account_id`
            hint: rename `sso_accountid` to `sso_account_id` in `[profile accountid]`
          warning, goes on, MisspeltKey, config:3: AWS's tools don't know `sso_accountid` in `[profile accountid]`; is it `sso_account_id`?
            hint: rename `sso_accountid` to `sso_account_id`
        role sso-session (config:6) 111122223333 -, corp eu-west-1, -: unusable
          error, IncompleteSso, config:6: profile `role` is set up for single sign-on but has no `sso_role_name`
            hint: rename `sso_role` to `sso_role_name` in `[profile role]`
          warning, goes on, MisspeltKey, config:9: AWS's tools don't know `sso_role` in `[profile role]`; is it `sso_role_name`?
            hint: rename `sso_role` to `sso_role_name`
        source assume-role (config:11) 111122223333 Audit, - -, -: unusable
          error, InvalidSource, config:12: profile `source` has `role_arn` but neither `source_profile` nor `credential_source`
            hint: rename `source_profil` to `source_profile` in `[profile source]`
          warning, goes on, MisspeltKey, config:13: AWS's tools don't know `source_profil` in `[profile source]`; is it `source_profile`?
            hint: rename `source_profil` to `source_profile`
        not-a-key none (config:15) - -, - -, -: none
          warning, goes on, MisspeltKey, config:16: a line of `[profile not-a-key]` is ignored: what stands before its `=` is not a key
            hint: write the line as `key = value`; keys have no spaces
          warning, goes on, MisspeltKey, config:17: a line of `[profile not-a-key]` is ignored: what stands before its `=` is not a key
            hint: write the line as `key = value`; keys have no spaces
        fine none (config:19) - -, - -, -: none
    "#]],
    );
}

#[test]
fn mixed_formats() {
    check(
        "mixed-formats",
        expect![[r#"
            differs sso-session (config:1) 111122223333 Audit, corp eu-west-1, -: unusable
              error, MixedFormats, config:3: profile `differs` mixes both SSO formats: `sso_start_url` differs from the one of sso-session `corp`
                config:3  sso_start_url = https://old.awsapps.com/start
                config:26  sso_start_url = https://corp.awsapps.com/start
                hint: delete `sso_region` and `sso_start_url` from `[profile differs]`
              warning, goes on, RepeatedKey, config:4: profile `differs` repeats `sso_region` of sso-session `corp`; AWS SDKs other than botocore refuse that
                config:4  sso_region = eu-west-1
                config:27  sso_region = eu-west-1
                hint: delete `sso_region` and `sso_start_url` from `[profile differs]`
            slash-differs sso-session (config:8) 111122223333 Audit, corp eu-west-1, -: unusable
              error, MixedFormats, config:10: profile `slash-differs` mixes both SSO formats: `sso_start_url` differs from the one of sso-session `corp`
                config:10  sso_start_url = https://corp.awsapps.com/start/
                config:26  sso_start_url = https://corp.awsapps.com/start
                hint: delete `sso_start_url` from `[profile slash-differs]`
            equal sso-session (config:14) 111122223333 Audit, corp eu-west-1, -: 111122223333 Audit by `corp`
              warning, goes on, RepeatedKey, config:16: profile `equal` repeats `sso_start_url` of sso-session `corp`; AWS SDKs other than botocore refuse that
                config:16  sso_start_url = https://corp.awsapps.com/start
                config:26  sso_start_url = https://corp.awsapps.com/start
                hint: delete `sso_start_url` from `[profile equal]`
            unused none (config:20) - -, corp eu-west-1, eu-west-1: none
              warning, goes on, TokenOnly, config:21: profile `unused` names sso-session `corp` but neither `sso_account_id` nor `sso_role_name`: it gives a sign-in and no credentials
                hint: add `sso_account_id = …` and `sso_role_name = …` to `[profile unused]`
              warning, goes on, MixedFormats, config:22: profile `unused` mixes both SSO formats: `sso_start_url` differs from the one of sso-session `corp`
                config:22  sso_start_url = https://old.awsapps.com/start
                config:26  sso_start_url = https://corp.awsapps.com/start
                hint: delete `sso_start_url` from `[profile unused]`
        "#]],
    );
}

#[test]
fn names() {
    check(
        "names",
        expect![[r#"
            my profile static (config:1) - -, - -, eu-west-1: keys AKIAIOSFODNN7EXAMPLE
            its; #1 none (config:4) - -, - -, eu-west-1: none
            über-größe none (config:7) - -, - -, eu-west-1: none
            開発 static (config:10) - -, - -, eu-west-1: keys AKIAIOSFODNN7EXAMPLE
            हिन्दी none (config:13) - -, - -, eu-west-1: none
            some-thing:long/the_one%only.foo@bar+ none (config:16) - -, firma münchen eu-west-1, eu-west-1: none
              warning, goes on, TokenOnly, config:18: profile `some-thing:long/the_one%only.foo@bar+` names sso-session `firma münchen` but neither `sso_account_id` nor `sso_role_name`: it gives a sign-in and no credentials
                hint: add `sso_account_id = …` and `sso_role_name = …` to `[profile some-thing:long/the_one%only.foo@bar+]`
            files:
              warning, goes on, IgnoredSection, config:24: section `[profile "	"]` is ignored: its name has characters that AWS's tools don't take
                hint: name it with letters, digits and `-_./@:+%` only: `[profile NAME]`
              warning, goes on, IgnoredSection, config:27: section `[profile "open]` is ignored: its name has characters that AWS's tools don't take
                hint: write `[profile NAME]`, with the name in quotes where it has spaces
              warning, goes on, IgnoredSection, credentials:5: section `["my profile"]` is ignored: its name has characters that AWS's tools don't take
                hint: name it with letters, digits and `-_./@:+%` only, or define `[profile "NAME"]` in the config file
        "#]],
    );
}

#[test]
fn no_session_at_all() {
    check(
        "no-session-at-all",
        expect![[r#"
        dev sso-session (config:1) 111122223333 Audit, corp -, -: unusable
          error, UnknownSession, config:2: profile `dev` names sso-session `corp`, which is not defined
            hint: add `[sso-session corp]` to the config file, or run `aws configure sso-session`
    "#]],
    );
}

#[test]
fn regions_and_urls() {
    check(
        "regions-and-urls",
        expect![[r#"
            region sso-session (config:1) 111122223333 Audit, corp eu-west-1, eu_west_1: 111122223333 Audit by `corp`
              error, InvalidRegion, config:5: `region` of profile `region` is not a region: `eu_west_1`
                hint: write a region's name, such as `region = eu-west-1`
            capitals sso-session (config:7) 111122223333 Audit, corp eu-west-1, EU-WEST-1: 111122223333 Audit by `corp`
              warning, InvalidRegion, config:11: `region` of profile `capitals` is not a region: `EU-WEST-1`
                hint: write a region's name, such as `region = eu-west-1`
            sso-region sso-legacy (config:13) 111122223333 Audit, - eu-west-1.evil.example/, -: unusable
              error, InvalidRegion, config:15: `sso_region` of profile `sso-region` is not a region: `eu-west-1.evil.example/`
                hint: write a region's name, such as `sso_region = eu-west-1`
            http-url sso-legacy (config:19) 111122223333 Audit, - eu-west-1, -: 111122223333 Audit by `http://corp.awsapps.com/start`
              warning, goes on, InvalidStartUrl, config:20: `sso_start_url` of profile `http-url` is not an `https` URL: `http://corp.awsapps.com/start`
                hint: write the portal's URL, such as `sso_start_url = https://my-org.awsapps.com/start`
            loopback-url sso-legacy (config:25) 111122223333 Audit, - eu-west-1, -: 111122223333 Audit by `http://127.0.0.1:8080/start`
            no-url sso-legacy (config:31) 111122223333 Audit, - eu-west-1, -: unusable
              warning, InvalidStartUrl, config:32: `sso_start_url` of profile `no-url` is not a URL: `corp.awsapps.com/start`
                hint: write the portal's URL, such as `sso_start_url = https://my-org.awsapps.com/start`
            comment sso-session (config:37) 111122223333 Audit, corp eu-west-1, -: 111122223333 Audit by `corp`
              warning, goes on, CommentInValue, config:39: the AWS CLI takes the comment behind `sso_account_id` in `[profile comment]` as part of the value
                hint: put the comment on a line of its own
        "#]],
    );
}

#[test]
fn roles() {
    check(
        "roles",
        expect![[r#"
            short-arn assume-role (config:1) - -, - -, -: unusable
              error, InvalidRoleArn, config:2: `role_arn` of profile `short-arn` is not the ARN of a role: `Audit`
                hint: write `role_arn = arn:aws:iam::ACCOUNT:role/NAME` in `[profile short-arn]`
            user-arn assume-role (config:5) - -, - -, -: unusable
              warning, InvalidRoleArn, config:6: `role_arn` of profile `user-arn` is not the ARN of a role: `arn:aws:iam::111122223333:user/Audit`
                hint: write `role_arn = arn:aws:iam::ACCOUNT:role/NAME` in `[profile user-arn]`
            mfa assume-role (config:9) 111122223333 Admin, - -, -: unusable
              warning, MfaNeeded, config:12: profile `mfa` needs an MFA code (`mfa_serial`), and ssoinv does not ask for one
                hint: name a profile that has `credential_process = aws configure export-credentials --profile mfa --format process`, after `aws sts get-caller-identity --profile mfa` has asked for the code
            over-mfa assume-role (config:14) 111122223333 Deep, - -, -: unusable
              warning, UnusableSource, config:16: profile `over-mfa` rests on profile `mfa`, which cannot be used: profile `mfa` needs an MFA code (`mfa_serial`), and ssoinv does not ask for one
                config:16  source_profile = mfa
                config:12  profile `mfa`
                hint: name a profile that has `credential_process = aws configure export-credentials --profile mfa --format process`, after `aws sts get-caller-identity --profile mfa` has asked for the code
            duration-text assume-role (config:18) 111122223333 Audit, - -, -: keys AKIAIOSFODNN7EXAMPLE → arn:aws:iam::111122223333:role/Audit
              warning, goes on, InvalidValue, config:21: `duration_seconds` of profile `duration-text` is not a number, so it is ignored
                hint: write `duration_seconds = 3600`
            duration-long assume-role (config:23) 111122223333 Audit, - -, -: keys AKIAIOSFODNN7EXAMPLE → arn:aws:iam::111122223333:role/Audit
              warning, goes on, InvalidValue, config:26: `duration_seconds` of profile `duration-long` is not 900 to 43200
                hint: write `duration_seconds = 3600`
            over-two-faults assume-role (config:28) 111122223333 Next, - -, -: unusable
              error, UnusableSource, config:30: profile `over-two-faults` rests on profile `two-faults`, which cannot be used: `role_arn` of profile `two-faults` is not the ARN of a role: `Audit`
                config:30  source_profile = two-faults
                config:33  profile `two-faults`
                hint: write `role_arn = arn:aws:iam::ACCOUNT:role/NAME` in `[profile two-faults]`
            two-faults assume-role (config:32) - -, - -, -: unusable
              error, InvalidRoleArn, config:33: `role_arn` of profile `two-faults` is not the ARN of a role: `Audit`
                hint: write `role_arn = arn:aws:iam::ACCOUNT:role/NAME` in `[profile two-faults]`
              warning, UnusableSource, config:34: profile `two-faults` rests on profile `mfa`, which cannot be used: profile `mfa` needs an MFA code (`mfa_serial`), and ssoinv does not ask for one
                config:34  source_profile = mfa
                config:12  profile `mfa`
                hint: name a profile that has `credential_process = aws configure export-credentials --profile mfa --format process`, after `aws sts get-caller-identity --profile mfa` has asked for the code
            base static (credentials:1) - -, - -, -: keys AKIAIOSFODNN7EXAMPLE
        "#]],
    );
}

#[test]
fn services() {
    check(
        "services",
        expect![[r#"
            missing none (config:1) - -, - -, -: none
              error, UnknownServices, config:2: profile `missing` names services section `lcoal`, which is not defined
                hint: write `services = local` in `[profile missing]`; defined are `empty`, `local`
            empty none (config:4) - -, - -, -: none
              error, UnknownServices, config:5: profile `empty` names services section `empty`, which is empty
                hint: add a service below `[services empty]`, or delete `services` from `[profile empty]`
            ignored none (config:7) - -, - -, -: none
            local none (config:11) - -, - -, -: none
              warning, goes on, InsecureEndpoint, config:35: `endpoint_url` of profile `local` would send credentials over plain http: `http://minio.example:9000`
                hint: write an `https` URL; plain `http` is for loopback only
            http none (config:15) - -, - -, -: none
              warning, goes on, InsecureEndpoint, config:16: `endpoint_url` of profile `http` would send credentials over plain http: `http://10.0.0.7:9000`
                hint: write an `https` URL; plain `http` is for loopback only
            user-info none (config:18) - -, - -, -: none
              warning, goes on, InsecureEndpoint, config:19: `endpoint_url` of profile `user-info` is no URL with a plain host: `http://127.0.0.1@evil.example`
                hint: write `endpoint_url = https://HOST`
            no-scheme none (config:21) - -, - -, -: none
              error, InsecureEndpoint, config:22: `endpoint_url` of profile `no-scheme` is not a URL: `localhost:4566`
                hint: write `endpoint_url = https://localhost:4566`
            switches none (config:24) - -, - -, -: none
              warning, goes on, InvalidValue, config:25: `use_fips_endpoint` of profile `switches` is `yes`, which counts as `false`
                hint: write `use_fips_endpoint = true` or `use_fips_endpoint = false`
        "#]],
    );
}

#[test]
fn source_loops() {
    check(
        "source-loops",
        expect![[r#"
        a assume-role (config:1) 111122223333 A, - -, -: unusable
          error, SourceLoop, config:3: the `source_profile` of profile `a` leads in a circle: `a` → `b` → `c` → `a`
            config:3  source_profile = b
            config:7  source_profile = c
            config:11  source_profile = a
            hint: let one of them name a profile with keys or single sign-on
        b assume-role (config:5) 111122223333 B, - -, -: unusable
          error, SourceLoop, config:7: the `source_profile` of profile `b` leads in a circle: `b` → `c` → `a` → `b`
            config:7  source_profile = c
            config:11  source_profile = a
            config:3  source_profile = b
            hint: let one of them name a profile with keys or single sign-on
        c assume-role (config:9) 111122223333 C, - -, -: unusable
          error, SourceLoop, config:11: the `source_profile` of profile `c` leads in a circle: `c` → `a` → `b` → `c`
            config:11  source_profile = a
            config:3  source_profile = b
            config:7  source_profile = c
            hint: let one of them name a profile with keys or single sign-on
        leads-in assume-role (config:13) 111122223333 D, - -, -: unusable
          error, SourceLoop, config:15: the `source_profile` of profile `leads-in` leads in a circle: `leads-in` → `a` → `b` → `c` → `a`
            config:15  source_profile = a
            config:3  source_profile = b
            config:7  source_profile = c
            config:11  source_profile = a
            hint: let one of them name a profile with keys or single sign-on
        itself assume-role (config:17) 111122223333 E, - -, -: unusable
          error, SourceLoop, config:19: the `source_profile` of profile `itself` leads in a circle: `itself` → `itself`
            config:19  source_profile = itself
            hint: let one of them name a profile with keys or single sign-on
        itself-half-key assume-role (config:21) 111122223333 F, - -, -: unusable
          error, UnusableSource, config:23: `source_profile` of profile `itself-half-key` is `itself-half-key`, which has no credentials
            hint: add keys or single sign-on to `[profile itself-half-key]`, or name another profile
        itself-with-sso assume-role (config:26) 111122223333 G, corp eu-west-1, -: unusable
          error, SourceLoop, config:28: the `source_profile` of profile `itself-with-sso` leads in a circle: `itself-with-sso` → `itself-with-sso`
            config:28  source_profile = itself-with-sso
            hint: let one of them name a profile with keys or single sign-on
    "#]],
    );
}

#[test]
fn source_profiles() {
    check(
        "source-profiles",
        expect![[r#"
            missing assume-role (config:1) 111122223333 Audit, - -, -: unusable
              error, UnknownSourceProfile, config:3: `source_profile` of profile `missing` is `bsae`, which does not exist
                hint: write `source_profile = base` in `[profile missing]`; there are `missing`, `both`, `neither`, `bad-source`, `from-environment` and 10 more
            both assume-role (config:5) 111122223333 Audit, - -, -: unusable
              error, InvalidSource, config:8: profile `both` has both `source_profile` and `credential_source`
                config:7  source_profile = base
                config:8  credential_source = Environment
                hint: delete one of the two from `[profile both]`
            neither assume-role (config:10) 111122223333 Audit, - -, -: unusable
              error, InvalidSource, config:11: profile `neither` has `role_arn` but neither `source_profile` nor `credential_source`
                hint: add `source_profile = NAME` to `[profile neither]`: the profile that may assume the role
              warning, goes on, IgnoredKeys, config:12: profile `neither` is of kind `assume-role` by its `role_arn`, so its `sso_account_id` is ignored
                hint: delete the keys that are not meant from `[profile neither]`
            bad-source assume-role (config:15) 111122223333 Audit, - -, -: unusable
              error, InvalidSource, config:17: `credential_source` of profile `bad-source` is `EC2InstanceMetadata`, which does not exist
                hint: write `credential_source = Ec2InstanceMetadata` in `[profile bad-source]`
            from-environment assume-role (config:19) 111122223333 Audit, - -, -: the environment → arn:aws:iam::111122223333:role/Audit
            from-container assume-role (config:23) 111122223333 Audit, - -, -: the container → arn:aws:iam::111122223333:role/Audit
            over-nothing assume-role (config:27) 111122223333 Audit, - -, -: unusable
              error, UnusableSource, config:29: `source_profile` of profile `over-nothing` is `nothing`, which has no credentials
                hint: add keys or single sign-on to `[profile nothing]`, or name another profile
            nothing none (config:31) - -, - -, eu-west-1: none
            over-broken assume-role (config:34) 111122223333 Audit, - -, -: unusable
              error, UnusableSource, config:36: profile `over-broken` rests on profile `broken`, which cannot be used: profile `broken` is set up for single sign-on but has no `sso_start_url` and no `sso_region`
                config:36  source_profile = broken
                config:42  profile `broken`
                hint: add `sso_session = NAME` to `[profile broken]`, or run `aws configure sso --profile broken`
            over-over-broken assume-role (config:38) 111122223333 Audit, - -, -: unusable
              error, UnusableSource, config:40: profile `over-over-broken` rests on profile `broken`, which cannot be used: profile `broken` is set up for single sign-on but has no `sso_start_url` and no `sso_region`
                config:40  source_profile = over-broken
                config:42  profile `broken`
                hint: add `sso_session = NAME` to `[profile broken]`, or run `aws configure sso --profile broken`
            broken sso-legacy (config:42) 111122223333 Audit, - -, -: unusable
              error, IncompleteSso, config:42: profile `broken` is set up for single sign-on but has no `sso_start_url` and no `sso_region`
                hint: add `sso_session = NAME` to `[profile broken]`, or run `aws configure sso --profile broken`
            no-role none (config:46) - -, - -, eu-west-1: none
              warning, goes on, IgnoredKeys, config:47: profile `no-role` has `source_profile` but no `role_arn`, so it is ignored
                hint: add `role_arn = arn:aws:iam::ACCOUNT:role/NAME` to `[profile no-role]`
            over-keys-and-role assume-role (config:50) 111122223333 Top, - -, -: keys AKIAI44QH8DHBEXAMPLE → arn:aws:iam::111122223333:role/Top
            keys-and-role assume-role (config:54) 444455556666 NotOnTheWay, - -, -: keys AKIAIOSFODNN7EXAMPLE → arn:aws:iam::444455556666:role/NotOnTheWay
              warning, goes on, IgnoredKeys, config:57: profile `keys-and-role` is of kind `assume-role` by its `role_arn`, so its `aws_access_key_id` is ignored
                hint: delete the keys that are not meant from `[profile keys-and-role]`
            base static (credentials:1) - -, - -, -: keys AKIAIOSFODNN7EXAMPLE
        "#]],
    );
}

#[test]
fn sso_in_credentials() {
    check(
        "sso-in-credentials",
        expect![[r#"
        dev sso-session (config:1) 111122223333 Audit, corp eu-west-1, eu-west-1: 111122223333 Audit by `corp`
          warning, goes on, SsoInCredentials, credentials:3: `sso_account_id` of profile `dev` stands in the credentials file; the AWS CLI reads it there, other tools may not
            hint: move the `sso_` keys to `[profile dev]` in the config file
    "#]],
    );
}

#[test]
fn token_only() {
    check(
        "token-only",
        expect![[r#"
        session none (config:1) - -, corp eu-west-1, -: none
          warning, goes on, TokenOnly, config:2: profile `session` names sso-session `corp` but neither `sso_account_id` nor `sso_role_name`: it gives a sign-in and no credentials
            hint: add `sso_account_id = …` and `sso_role_name = …` to `[profile session]`
        legacy none (config:4) - -, - eu-west-1, -: none
          warning, goes on, TokenOnly, config:5: profile `legacy` has `sso_start_url` but neither `sso_account_id` nor `sso_role_name`: it gives a sign-in and no credentials
            hint: add `sso_account_id = …` and `sso_role_name = …` to `[profile legacy]`
        nothing none (config:8) - -, - -, eu-west-1: none
    "#]],
    );
}

#[test]
fn web_identity() {
    check(
        "web-identity",
        expect![[r#"
        no-role web-identity (config:1) - -, - -, -: unusable
          error, IncompleteWebIdentity, config:2: profile `no-role` has `web_identity_token_file` but no `role_arn`
            hint: add `role_arn = arn:aws:iam::ACCOUNT:role/NAME` to `[profile no-role]`
        empty-role web-identity (config:4) - -, - -, -: unusable
          error, IncompleteWebIdentity, config:5: profile `empty-role` has `web_identity_token_file` but no `role_arn`
            hint: add `role_arn = arn:aws:iam::ACCOUNT:role/NAME` to `[profile empty-role]`
        empty-file none (config:8) - -, - -, -: none
          warning, goes on, IncompleteWebIdentity, config:9: `web_identity_token_file` of profile `empty-file` is empty, so it is ignored
            hint: write the token's path in `[profile empty-file]`, or delete the key
        empty-file-and-keys static (config:13) - -, - -, -: keys AKIAI44QH8DHBEXAMPLE
          warning, goes on, IncompleteWebIdentity, config:14: `web_identity_token_file` of profile `empty-file-and-keys` is empty, so it is ignored
            hint: write the token's path in `[profile empty-file-and-keys]`, or delete the key
        over-web assume-role (config:19) 444455556666 Next, - -, -: arn:aws:iam::111122223333:role/Pod by web identity → arn:aws:iam::444455556666:role/Next
        good web-identity (config:23) 111122223333 Pod, - -, -: arn:aws:iam::111122223333:role/Pod by web identity
        base static (credentials:1) - -, - -, -: keys AKIAIOSFODNN7EXAMPLE
    "#]],
    );
}

#[test]
fn who_wins() {
    check(
        "who-wins",
        expect![[r#"
            sso-and-keys sso-session (config:1) 111122223333 Audit, corp eu-west-1, -: 111122223333 Audit by `corp`
              warning, goes on, IgnoredKeys, credentials:2: profile `sso-and-keys` is of kind `sso-session` by its `sso_account_id`, so its `aws_access_key_id` is ignored
                hint: delete the keys that are not meant from `[profile sso-and-keys]`
            sso-and-config-keys sso-session (config:6) 111122223333 Audit, corp eu-west-1, -: 111122223333 Audit by `corp`
              warning, goes on, IgnoredKeys, config:10: profile `sso-and-config-keys` is of kind `sso-session` by its `sso_account_id`, so its `aws_access_key_id` is ignored
                hint: delete the keys that are not meant from `[profile sso-and-config-keys]`
              warning, goes on, IgnoredKeys, config:12: profile `sso-and-config-keys` is of kind `sso-session` by its `sso_account_id`, so its `credential_process` is ignored
                hint: delete the keys that are not meant from `[profile sso-and-config-keys]`
            role-and-sso assume-role (config:14) 444455556666 Audit, corp eu-west-1, -: keys AKIAIOSFODNN7EXAMPLE → arn:aws:iam::444455556666:role/Audit
              warning, goes on, IgnoredKeys, config:18: profile `role-and-sso` is of kind `assume-role` by its `role_arn`, so its `sso_account_id` is ignored
                hint: delete the keys that are not meant from `[profile role-and-sso]`
            role-over-own-sso-and-keys assume-role (config:21) 444455556666 Audit, corp eu-west-1, -: 111122223333 Audit by `corp` → arn:aws:iam::444455556666:role/Audit
              warning, goes on, IgnoredKeys, config:27: profile `role-over-own-sso-and-keys` is of kind `assume-role` by its `role_arn`, so its `aws_access_key_id` is ignored
                hint: delete the keys that are not meant from `[profile role-over-own-sso-and-keys]`
            process-and-config-keys credential-process (config:30) - -, - -, -: output of /opt/keys
              warning, goes on, IgnoredKeys, config:32: profile `process-and-config-keys` is of kind `credential-process` by its `credential_process`, so its `aws_access_key_id` is ignored
                hint: delete the keys that are not meant from `[profile process-and-config-keys]`
            login-and-process login (config:35) - -, - -, -: login arn:aws:iam::777788889999:user/me
              warning, goes on, IgnoredKeys, config:36: profile `login-and-process` is of kind `login` by its `login_session`, so its `credential_process` is ignored
                hint: delete the keys that are not meant from `[profile login-and-process]`
            keys static (config:39) - -, - -, -: keys AKIAIOSFODNN7EXAMPLE
              warning, goes on, IgnoredKeys, config:40: profile `keys` has `aws_access_key_id` in both files; that of the credentials file counts
                hint: delete the keys that are not meant from `[profile keys]`
              warning, goes on, IgnoredKeys, config:42: profile `keys` is of kind `static` by its `aws_access_key_id`, so its `credential_process` is ignored
                hint: delete the keys that are not meant from `[profile keys]`
        "#]],
    );
}

#[test]
fn files_that_do_not_parse_are_refused_with_file_and_line() {
    for (case, file, line, words) in [
        ("syntax-error", "config", 3, "Expected an '=' sign defining a property"),
        ("syntax-error-in-credentials", "credentials", 1, "Expected a profile definition"),
    ] {
        let error = Profiles::load(Some(&home(case)), &Env::new()).expect_err(case);
        let path = home(case).join(".aws").join(file);
        assert_eq!(error.file(), path);
        assert_eq!(
            error.to_string().find(&format!("{}:{line}: {words}", path.display())),
            Some(0),
            "{error}"
        );
        assert!(!error.hint().is_empty());
    }
}

/// A home with these two files.
fn made(config: &str, credentials: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join(".aws")).expect("a folder");
    fs::write(home.path().join(".aws/config"), config).expect("a file");
    fs::write(home.path().join(".aws/credentials"), credentials).expect("a file");
    home
}

fn env<const N: usize>(variables: [(&str, &str); N]) -> Env {
    variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_files_are_found_by_home_and_variables() {
    let home = made("[profile a]\n", "[b]\n");
    fs::write(home.path().join("other"), "[profile c]\n").expect("a file");
    let names = |env: &Env, home: Option<&Path>| -> Vec<String> {
        let profiles = Profiles::load(home, env).expect("good files");
        profiles.iter().map(|profile| profile.name.clone()).collect()
    };
    let at_home = Some(home.path());
    assert_eq!(names(&Env::new(), at_home), ["a", "b"]);
    assert_eq!(names(&env([("AWS_CONFIG_FILE", "~/other")]), at_home), ["c", "b"]);
    assert_eq!(names(&env([("AWS_SHARED_CREDENTIALS_FILE", "~/nothing")]), at_home), ["a"]);
    let absolute = home.path().join("other");
    let absolute = absolute.to_str().expect("a UTF-8 path");
    assert_eq!(names(&env([("AWS_CONFIG_FILE", absolute)]), None), ["c"]);
    assert_eq!(names(&Env::new(), None), [""; 0]);
    assert_eq!(names(&env([("AWS_CONFIG_FILE", "~/other")]), None), [""; 0]);
}

#[test]
fn what_was_looked_for_is_remembered() {
    let home = made("[profile a]\n", "");
    fs::remove_file(home.path().join(".aws/credentials")).expect("the file was there");
    let profiles = Profiles::load(Some(home.path()), &Env::new()).expect("good files");
    let looked_at: Vec<(PathBuf, bool)> =
        profiles.looked_at().iter().map(|file| (file.path.clone(), file.found)).collect();
    let path = |name: &str| home.path().join(".aws").join(name);
    assert_eq!(looked_at, [(path("config"), true), (path("credentials"), false)]);
}

#[test]
fn a_file_that_is_there_but_cannot_be_read_is_no_empty_file() {
    let home = made("", "");
    let folder = env([("AWS_CONFIG_FILE", "~/.aws")]);
    let error = Profiles::load(Some(home.path()), &folder).expect_err("a folder is no file");
    assert!(matches!(error, LoadError::Read { .. }), "{error:?}");
}

#[test]
fn profiles_of_one_session_share_it() {
    let config = "[profile a]\nsso_session=s\nsso_account_id=111122223333\nsso_role_name=R\n\
        [profile b]\nsso_session=s\nsso_account_id=444455556666\nsso_role_name=R\n\
        [profile c]\nrole_arn=arn:aws:iam::777788889999:role/Q\nsource_profile=b\n\
        [sso-session s]\nsso_start_url=https://x.awsapps.com/start\nsso_region=eu-west-1\n\
        sso_registration_scopes = a:b , ,c:d\n";
    let profiles = Profiles::load(Some(made(config, "").path()), &Env::new()).expect("good files");
    let session = |name: &str| get(&profiles, name).credentials.session().expect("single sign-on").clone();
    assert!(ptr::eq(&raw const *session("a"), &raw const *session("b")));
    assert!(ptr::eq(&raw const *session("a"), &raw const *session("c")));
    assert_eq!(session("a").scopes, ["a:b", "c:d"]);
    assert_eq!((session("a").cache_key(), session("a").is_legacy()), ("s", false));
    assert_eq!(
        (at(&session("a").start_url_at), at(&session("a").sso_region_at)),
        ("config:13".into(), "config:14".into())
    );

    let every_kind = load("every-kind");
    let legacy = get(&every_kind, "legacy").credentials.session().expect("single sign-on").clone();
    assert_eq!((legacy.cache_key(), legacy.is_legacy()), ("https://old.awsapps.com/start/#/", true));
    assert_eq!(legacy.scopes, ["sso:account:access"]);
}

#[test]
fn a_bad_region_blocks_only_where_it_is_used() {
    let profiles = load("regions-and-urls");
    let region = get(&profiles, "region");
    assert_eq!(region.blocker(true).map(|problem| problem.kind), Some(ProblemKind::InvalidRegion));
    assert_eq!(region.blocker(false), None);
    let sso_region = get(&profiles, "sso-region");
    assert_eq!(sso_region.blocker(false).map(|problem| problem.kind), Some(ProblemKind::InvalidRegion));
    assert_eq!(get(&profiles, "comment").blocker(true), None);
}

#[test]
fn a_chain_that_goes_on_and_on_is_refused() {
    let chain = |links: usize| {
        let mut config =
            "[profile p0]\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=x\n".to_owned();
        for link in 1..=links {
            write!(
                config,
                "[profile p{link}]\nrole_arn=arn:aws:iam::111122223333:role/R\nsource_profile=p{}\n",
                link - 1
            )
            .expect("a string takes it");
        }
        let profiles = Profiles::load(Some(made(&config, "").path()), &Env::new()).expect("good files");
        let last = get(&profiles, &format!("p{links}"));
        (last.credentials.chain().0.len(), last.blocker(true).map(|problem| problem.kind))
    };
    assert_eq!(chain(50), (50, None));
    assert_eq!(chain(51), (0, Some(ProblemKind::SourceLoop)));
    assert_eq!(chain(1000), (0, Some(ProblemKind::SourceLoop)));
}

const fn service(id: &'static str) -> ServiceInfo {
    ServiceInfo { id, signing_name: "", endpoint_prefix: "", limits: PaceLimits::UNDOCUMENTED }
}

const EC2: ServiceInfo = service("EC2");
const S3: ServiceInfo = service("S3");
const SSO: ServiceInfo = service("SSO");
const SSO_OIDC: ServiceInfo = service("SSO OIDC");

#[test]
fn endpoints_in_botocores_order() {
    let profiles = load("services");
    let url = |service, profile: &str, variables: &Env| {
        let endpoint = endpoint_for(service, Some(&get(&profiles, profile).endpoints), variables)?;
        let file = endpoint.origin.to_string();
        Some(format!("{} {}", endpoint.url, file.rsplit('/').next().unwrap_or_default()))
    };
    let none = Env::new();
    assert_eq!(url(&S3, "local", &none).as_deref(), Some("http://localhost:9000 config:31"));
    assert_eq!(url(&SSO_OIDC, "local", &none).as_deref(), Some("http://minio.example:9000 config:35"));
    assert_eq!(url(&EC2, "local", &none).as_deref(), Some("https://all.example.com config:13"));
    assert_eq!(url(&EC2, "switches", &none), None);

    let all = env([
        ("AWS_ENDPOINT_URL", "http://localhost:1"),
        ("AWS_ENDPOINT_URL_SSO_OIDC", "http://localhost:2"),
    ]);
    assert_eq!(url(&S3, "local", &all).as_deref(), Some("http://localhost:1 AWS_ENDPOINT_URL"));
    assert_eq!(
        url(&SSO_OIDC, "local", &all).as_deref(),
        Some("http://localhost:2 AWS_ENDPOINT_URL_SSO_OIDC")
    );
    assert_eq!(
        endpoint_for(&SSO, None, &all).map(|endpoint| endpoint.url).as_deref(),
        Some("http://localhost:1")
    );
    assert_eq!(endpoint_for(&SSO, None, &none), None);
    assert_eq!(
        url(&EC2, "local", &env([("AWS_ENDPOINT_URL", "")])).as_deref(),
        Some("https://all.example.com config:13")
    );

    // What is to be ignored: the variable goes before the profile.
    let ignore =
        env([("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True"), ("AWS_ENDPOINT_URL", "http://localhost:1")]);
    assert_eq!(url(&S3, "local", &ignore), None);
    assert_eq!(url(&S3, "ignored", &all), None);
    let heed =
        env([("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false"), ("AWS_ENDPOINT_URL", "http://localhost:1")]);
    assert_eq!(url(&S3, "ignored", &heed).as_deref(), Some("http://localhost:1 AWS_ENDPOINT_URL"));

    let secure = |profile: &str, service| {
        endpoint_for(service, Some(&get(&profiles, profile).endpoints), &none)
            .map(|endpoint| endpoint.is_secure())
    };
    assert_eq!(secure("local", &S3), Some(true));
    assert_eq!(secure("local", &SSO_OIDC), Some(false));
    assert_eq!(secure("user-info", &S3), Some(false));
}

#[test]
fn typed_options() {
    let profiles = load("services");
    let switches = get(&profiles, "switches");
    assert_eq!((switches.use_fips_endpoint, switches.use_dualstack_endpoint), (Some(false), Some(true)));
    assert_eq!(switches.ca_bundle.as_deref(), Some(Path::new("/etc/ssl/corp.pem")));
    let local = get(&profiles, "local");
    assert_eq!((local.use_fips_endpoint, &local.ca_bundle), (None, &None));
}

/// Nothing that is printed of a profile holds a secret.
#[test]
fn no_secret_is_shown() {
    let keys = [
        "wJalrXUtnFEMI",
        "je7MtGbClwBF",
        "IQoJb3JpZ2luX2",
        "/opt/vault/keys",
        "AKIAIOSFODNN7",
        "AKIAI44QH8DHB",
    ];
    for case in ["every-kind", "who-wins", "half-key-pairs", "roles"] {
        let profiles = load(case);
        let reports: Vec<ProfileReport> = profiles.iter().map(ProfileReport::from).collect();
        let shown = format!("{profiles:?} {}", serde_json::to_string(&reports).expect("it is JSON"));
        for key in keys {
            assert!(!shown.contains(key), "{case} shows {key}");
        }
    }
}

#[test]
fn the_report() {
    let home = made(
        "[profile dev]\nsso_session = corp\nsso_account_id = 111122223333\ns3 =\n  addressing_style = path\n\
         [sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-west-1\n",
        "[dev]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n",
    );
    let profiles = Profiles::load(Some(home.path()), &Env::new()).expect("good files");
    let reports: Vec<ProfileReport> = profiles.iter().map(ProfileReport::from).collect();
    let json = serde_json::to_string_pretty(&reports).expect("it is JSON");
    expect![[r#"
        [
          {
            "name": "dev",
            "kind": "sso-session",
            "source": {
              "file": "HOME/.aws/config",
              "line": 1
            },
            "account_id": "111122223333",
            "role_name": null,
            "sso_session": "corp",
            "sso_region": "eu-west-1",
            "region": null,
            "settings": {
              "aws_access_key_id": "***MPLE",
              "aws_secret_access_key": "***",
              "s3": "\naddressing_style = path",
              "sso_account_id": "111122223333",
              "sso_session": "corp"
            },
            "problems": [
              {
                "severity": "error",
                "message": "profile `dev` is set up for single sign-on but has no `sso_role_name`",
                "hint": "add `sso_role_name = …` to `[profile dev]`",
                "file": "HOME/.aws/config",
                "line": 1
              },
              {
                "severity": "warning",
                "message": "profile `dev` is of kind `sso-session` by its `sso_account_id`, so its `aws_access_key_id` is ignored",
                "hint": "delete the keys that are not meant from `[profile dev]`",
                "file": "HOME/.aws/credentials",
                "line": 2
              }
            ]
          }
        ]"#]].assert_eq(&json.replace(home.path().to_str().expect("a UTF-8 path"), "HOME"));
}

#[test]
fn names_that_were_probably_meant() {
    let profiles = load("every-kind");
    assert_eq!(profiles.nearest("over-ss"), Some("over-sso"));
    assert_eq!(profiles.nearest("payments"), None);
    assert_eq!(profiles.get("over-ss"), None);
}
