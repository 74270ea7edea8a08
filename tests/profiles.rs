//! `ssoinv profiles` over every home in `fixtures/homes`, and `ssoinv tables`: what needs no AWS.
//!
//! A home's answer is the file `fixtures/expected/profiles/<case>.txt`: all that a person reads, then all that a script
//! gets. A home without such a file fails, and so does such a file without a home; `UPDATE_EXPECT=1` writes them.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes the snapshots so")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use expect_test::{expect, expect_file};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::{Run, cases, column, fixtures, of_homes, run, ssoinv};
use crate::trials;

pub(crate) fn tests() -> Vec<Trial> {
    let others = trials![
        columns_are_chosen_as_in_other_tables,
        csv_and_ndjson_say_what_json_says,
        each_expected_answer_has_a_home,
        names_and_globs_choose,
        no_profile_at_all_is_no_error,
        secrets_are_masked_in_every_format,
        tables_are_described,
        tables_that_do_not_exist,
    ];
    of_homes("profiles", home_is_told_as_expected).into_iter().chain(others).collect()
}

fn in_home(home: &Path, arguments: &str) -> Run {
    let mut command = ssoinv(arguments);
    command.env("HOME", home);
    let mut run = run(command);
    for text in [&mut run.stdout, &mut run.stderr] {
        *text = text.replace(&home.display().to_string(), "~");
    }
    run
}

fn in_fixture(case: &str, arguments: &str) -> Run {
    in_home(&fixtures().join("homes").join(case), arguments)
}

/// stdout, stderr and exit code as one text.
fn told(run: &Run) -> String {
    let code = run.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
    format!("{}-- stderr\n{}-- exit {code}\n", run.stdout, run.stderr)
}

fn home_is_told_as_expected(case: &str) {
    let people = in_fixture(case, "profiles");
    let script = in_fixture(case, "profiles -o json");
    // Where a file doesn't parse, no profile is half-told.
    assert_eq!(people.code, script.code);
    if people.code == Some(0) {
        let empty = people.stderr.contains("there is no profile");
        assert_eq!(script.rows().is_empty(), empty, "a home that shows nothing, and says nothing of that");
    } else {
        assert_eq!((people.code, &*people.stdout, &*script.stdout), (Some(2), "", ""));
        assert_eq!(people.stderr, script.stderr);
    }
    let answer =
        format!("$ ssoinv profiles\n{}\n$ ssoinv profiles -o json\n{}", told(&people), told(&script));
    expect_file![fixtures().join("expected/profiles").join(format!("{case}.txt"))].assert_eq(&answer);
}

fn each_expected_answer_has_a_home() {
    assert_eq!(cases(&fixtures().join("homes")), cases(&fixtures().join("expected/profiles")));
}

fn names_and_globs_choose() {
    let names = |arguments: &str| {
        let rows = in_fixture("every-kind", &format!("profiles {arguments} -o json")).ended(0).rows();
        column(&rows, "name").join(" ")
    };
    // In the order of the file, whatever the order of the arguments, and each once.
    assert_eq!(names("web sso web"), "sso web");
    assert_eq!(names("over-*"), "over-sso over-over-sso");
    assert_eq!(names("*sso,legacy"), "sso legacy over-sso over-over-sso");

    expect![[r#"
        -- stderr
        error: there is no profile `legacey`
          there are:
          `default`
          `sso`
          `legacy`
          `over-sso`
          `over-over-sso`
          `own-keys`
          `instance`
          `web`
          `process`
          `login`
          `config-keys`
          `only-here`

        hint: did you mean `legacy`?
        -- exit 2
    "#]]
    .assert_eq(&told(&in_fixture("every-kind", "profiles legacey")));
    expect![[r#"
        -- stderr
        error: no profile matches `x*`
          there are:
          `differs`
          `slash-differs`
          `equal`
          `unused`

        hint: `ssoinv profiles` shows more about each
        -- exit 5
    "#]]
    .assert_eq(&told(&in_fixture("mixed-formats", "profiles x*")));
    expect![[r#"
        -- stderr
        error: there is no profile `firma`
          there are:
          `my profile`
          `its; #1`
          `über-größe`
          `開発`
          `हिन्दी`
          `some-thing:long/the_one%only.foo@bar+`

        hint: `ssoinv profiles` shows more about each
        -- exit 2
    "#]]
    .assert_eq(&told(&in_fixture("names", "profiles firma")));
}

fn no_profile_at_all_is_no_error() {
    let home = tempfile::tempdir().expect("a folder");
    expect![[r#"
        name  kind  account_id  role_name  sso_session  region  problems
        -- stderr
        warning: there is no profile in ~/.aws/config or ~/.aws/credentials
        hint: `aws configure sso` makes some; `ssoinv --demo buckets --all-profiles` needs none
        -- exit 0
    "#]]
    .assert_eq(&told(&in_home(home.path(), "profiles")));
    let json = in_home(home.path(), "profiles -o json").ended(0);
    assert_eq!(json.stdout, "[]\n");
    assert_eq!(in_home(home.path(), "profiles -o ndjson").ended(0).stdout, "");
    expect![[r#"
        name,kind,source,account_id,role_name,sso_session,sso_region,region,settings,problems
    "#]]
    .assert_eq(&in_home(home.path(), "profiles -o csv").ended(0).stdout);
    let quiet = in_home(home.path(), "profiles -q").ended(0);
    assert_eq!(quiet.stderr, "");
    // Named, they are missed.
    expect![[r#"
        -- stderr
        error: there is no profile `dev`
          ~/.aws/config has no profile
          ~/.aws/credentials has no profile
        -- exit 2
    "#]]
    .assert_eq(&told(&in_home(home.path(), "profiles dev")));
    expect![[r#"
        -- stderr
        error: no profile matches `d*`
          ~/.aws/config has no profile
          ~/.aws/credentials has no profile
        -- exit 5
    "#]]
    .assert_eq(&told(&in_home(home.path(), "profiles d*")));
}

fn secrets_are_masked_in_every_format() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".aws");
    fs::create_dir(&folder).expect("a folder");
    // Each value says whether it may be seen.
    fs::write(
        folder.join("config"),
        "[profile all]\n\
         region = eu-west-1\n\
         AWS_SECRET_ACCESS_KEY = hidden-one\n\
         aws_session_token = hidden-two\n\
         credential_process = /bin/vault hidden-three\n\
         some_token = hidden-four\n\
         some_secret = hidden-five\n\
         Some_Password = hidden-six\n\
         aws_access_key_id = hidden-AKIASEEN\n\
         tokens = seen-one\n\
         s3 =\n  proxy_password = hidden-seven\n  max_queue_size = 10\n\
         [profile short]\n\
         aws_access_key_id = hid\n\
         aws_secret_access_key = hidden-eight\n\
         [profile half]\n\
         aws_secret_access_key = hidden-nine\n\
         [profile role]\n\
         role_arn = hidden-nothing-here\n\
         source_profile = all\n",
    )
    .expect("written");
    for arguments in
        ["profiles", "profiles --wide", "profiles -vv -o json", "profiles -o csv", "profiles -o ndjson"]
    {
        let run = in_home(home.path(), arguments).ended(0);
        let text = format!("{}{}", run.stdout, run.stderr);
        let shown = text.replace("hidden-nothing-here", "");
        assert!(!shown.contains("hid"), "{arguments}: {run:#?}");
        assert!(arguments == "profiles" || text.contains("seen-one"), "{arguments}: {run:#?}");
    }
    let rows = in_home(home.path(), "profiles all short -o json").ended(0).rows();
    let settings: Vec<String> = rows.iter().map(|row| format!("{:#}", row["settings"])).collect();
    expect![[r#"
        {
          "aws_access_key_id": "***SEEN",
          "aws_secret_access_key": "***",
          "aws_session_token": "***",
          "credential_process": "***",
          "region": "eu-west-1",
          "s3": "\nproxy_password = ***\nmax_queue_size = 10",
          "some_password": "***",
          "some_secret": "***",
          "some_token": "***",
          "tokens": "seen-one"
        }
        {
          "aws_access_key_id": "***",
          "aws_secret_access_key": "***"
        }"#]]
    .assert_eq(&settings.join("\n"));
}

fn csv_and_ndjson_say_what_json_says() {
    let json = in_fixture("mixed-formats", "profiles -o json").ended(0).rows();
    let ndjson = in_fixture("mixed-formats", "profiles -o ndjson").ended(0);
    let lines: Vec<Value> =
        ndjson.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines, json);
    // No field that a script reads says `null` as text or lacks its quotes.
    expect![[r#"
        name,kind,source,account_id,role_name,sso_session,sso_region,region,settings,problems
        equal,sso-session,"{""file"":""~/.aws/config"",""line"":14}",111122223333,Audit,corp,eu-west-1,,"{""sso_account_id"":""111122223333"",""sso_role_name"":""Audit"",""sso_session"":""corp"",""sso_start_url"":""https://corp.awsapps.com/start""}","[{""file"":""~/.aws/config"",""hint"":""delete `sso_start_url` from `[profile equal]`"",""line"":16,""message"":""profile `equal` repeats `sso_start_url` of sso-session `corp`; AWS SDKs other than botocore refuse that"",""severity"":""warning""}]"
        unused,none,"{""file"":""~/.aws/config"",""line"":20}",,,corp,eu-west-1,eu-west-1,"{""region"":""eu-west-1"",""sso_session"":""corp"",""sso_start_url"":""https://old.awsapps.com/start""}","[{""file"":""~/.aws/config"",""hint"":""add `sso_account_id = …` and `sso_role_name = …` to `[profile unused]`"",""line"":21,""message"":""profile `unused` names sso-session `corp` but neither `sso_account_id` nor `sso_role_name`: it gives a sign-in and no credentials"",""severity"":""warning""},{""file"":""~/.aws/config"",""hint"":""delete `sso_start_url` from `[profile unused]`"",""line"":22,""message"":""profile `unused` mixes both SSO formats: `sso_start_url` differs from the one of sso-session `corp`"",""severity"":""warning""}]"
    "#]].assert_eq(&in_fixture("mixed-formats", "profiles unused equal -o csv").ended(0).stdout);
}

fn columns_are_chosen_as_in_other_tables() {
    let chosen =
        in_fixture("every-kind", "profiles sso legacy --columns name,sso_region,settings.sso_start_url");
    expect![[r#"
        name    sso_region  settings.sso_start_url
        sso     eu-west-1   -
        legacy  us-east-1   https://old.awsapps.com/start/#/
        -- stderr
        -- exit 0
    "#]]
    .assert_eq(&told(&chosen));
    let wide = in_fixture("every-kind", "profiles legacy --wide").ended(0);
    // As wide as the paths are: the columns' names are all that is the same everywhere.
    let header: Vec<_> = wide.stdout.lines().next().expect("a header").split_whitespace().collect();
    expect!["name kind source account_id role_name sso_session sso_region region settings problems"]
        .assert_eq(&header.join(" "));
    expect![[r#"
        -- stderr
        error: there is no column `nmae`
          there are: name, kind, source, account_id, role_name, sso_session, sso_region, region, settings, problems

        hint: did you mean `name`?
        -- exit 2
    "#]].assert_eq(&told(&in_fixture("every-kind", "profiles --columns nmae")));
    let bare = in_fixture("every-kind", "profiles sso --no-header").ended(0);
    expect![[r#"
        sso   sso-session  001122334455  Audit      corp         eu-west-1  -
    "#]]
    .assert_eq(&bare.stdout);
}

fn tables_are_described() {
    expect![[r#"
        table                asked            columns  description
        aws_ec2_instance     in each region   91       EC2 instances
        aws_lambda_function  in each region   52       Lambda functions
        aws_s3_bucket        once an account  13       S3 general purpose buckets
        -- stderr
        -- exit 0
    "#]]
    .assert_eq(&told(&run(ssoinv("tables"))));
    let expected = fixtures().join("expected/tables");
    for table in ["aws_ec2_instance", "aws_lambda_function", "aws_s3_bucket"] {
        expect_file![expected.join(format!("{table}.txt"))]
            .assert_eq(&told(&run(ssoinv(&format!("tables {table}")))));
    }
    // What `tables` tells is what there is.
    let told = run(ssoinv("tables -o json")).ended(0).rows();
    assert_eq!(
        column(&told, "table").into_iter().map(str::to_owned).collect::<BTreeSet<_>>(),
        cases(&expected)
    );
    for row in &told {
        let columns =
            run(ssoinv(&format!("tables {} -o json", row["table"].as_str().expect("text")))).ended(0).rows();
        assert_eq!(row["columns"], columns.len());
        assert!(
            columns.iter().all(|column| column["description"].as_str().is_some_and(|text| text.len() > 4))
        );
    }
}

fn tables_that_do_not_exist() {
    expect![[r#"
        -- stderr
        error: there is no table `aws_ec2_instances`
          there are: aws_ec2_instance, aws_lambda_function, aws_s3_bucket

        hint: did you mean `aws_ec2_instance`?
        -- exit 2
    "#]]
    .assert_eq(&told(&run(ssoinv("tables aws_ec2_instances"))));
    expect![[r#"
        -- stderr
        error: there is no table `users`
          there are: aws_ec2_instance, aws_lambda_function, aws_s3_bucket

        hint: `ssoinv tables` describes them
        -- exit 2
    "#]]
    .assert_eq(&told(&run(ssoinv("tables users"))));
    // The same words where rows are asked for, before anything else is looked at.
    expect![[r#"
        -- stderr
        error: there is no table `aws_s3_bukcet`
          there are: aws_ec2_instance, aws_lambda_function, aws_s3_bucket

        hint: did you mean `aws_s3_bucket`?
        -- exit 2
    "#]]
    .assert_eq(&told(&run(ssoinv("list aws_s3_bucket aws_s3_bukcet --all-profiles"))));
}
