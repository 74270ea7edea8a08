//! What should be there: accounts that are missing or new, gaps that are expected, over or gone.

use std::fs;

use expect_test::expect;
use serde_json::Value;
use ssoinv_sim::{Effect, Fault, Options, Organisation, Service, Token};

use crate::support::{World, column, statuses};
use crate::tests;

tests![
    an_expected_account_that_is_not_offered_is_planned_and_a_new_one_told,
    all_is_well_is_quiet,
    only_what_is_selected_is_expected,
    no_profile_into_an_expected_account,
    an_expected_gap_is_complete_whatever_its_status,
    a_gap_that_is_over_counts_no_more,
    a_gap_that_can_be_read_is_told,
    a_gap_that_is_nowhere_is_told_with_the_nearest_region,
    an_account_that_is_a_gap_may_be_missing,
    the_organisation_s_own_list_is_read,
    what_ssoinv_accounts_writes_is_read,
    gaps_in_toml,
    a_file_that_means_nothing_is_refused_before_anybody_signs_in,
    it_can_be_set_but_never_depends_on_the_current_folder,
    without_a_file_the_summary_says_what_it_knows,
];

const ORGANISATION: &str = r#"{
    "regions": ["eu-west-1", "us-east-1"],
    "sessions": [{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "eu-west-1"}],
    "roles": ["SecurityAudit"],
    "accounts": [
        {"id": "011111111111", "name": "hub", "email": "hub@example.com",
         "buckets": [{"name": "hub-logs", "region": "eu-west-1"}],
         "instances": {"us-east-1": [{"name": "web"}]}},
        {"id": "222222222222", "name": "shop-prod", "email": "prod@example.com",
         "buckets": [{"name": "prod-a", "region": "eu-west-1"}]},
        {"id": "333333333333", "name": "shop-dev", "email": "dev@example.com",
         "buckets": [{"name": "dev-a", "region": "eu-west-1"}]}
    ]
}"#;

fn world() -> World {
    let organisation = Organisation::from_json(ORGANISATION).expect("well-formed");
    World::with(organisation, Options::default(), Token::Good)
}

const BUCKETS: &str = "buckets --all-accounts -o json --no-input";

const HEADER: &str = "account_id,name,region,table,expect,reason,until\n";

/// A day that no test lives to see.
const ALWAYS: &str = "9999-12-31";

impl World {
    /// Writes `expect.csv`, with its header, into the home; `ALWAYS` is a day far away.
    fn expecting(&self, rows: &str) -> String {
        let rows: Vec<&str> = rows.lines().map(str::trim).collect();
        self.file("expect.csv", &format!("{HEADER}{}\n", rows.join("\n").replace("ALWAYS", ALWAYS)))
    }

    /// Writes a file into the home, and gives the flag that names it.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        fs::write(&path, text).expect("written");
        format!("--expect {}", path.display())
    }

    fn deny(&self, account: &str) {
        self.simulator.fault(Fault::new(Effect::Denied).account(account)).expect("a fault");
    }
}

fn cells(ledger: &[Value]) -> String {
    let cell = |cell: &Value| {
        let text = |name: &str| cell[name].as_str().unwrap_or_default().to_owned();
        let expected = if cell["expected"] == true { ", expected" } else { "" };
        format!(
            "{} {} {} {}: {}{expected}\n",
            text("account_id"),
            text("account_name"),
            text("table"),
            text("region"),
            text("status")
        )
    };
    ledger.iter().map(cell).collect()
}

fn an_expected_account_that_is_not_offered_is_planned_and_a_new_one_told() {
    let world = world();
    let expected = world.expecting("011111111111,hub,,,,,\n222222222222,,,,,,\n777777777777,vault,,,,,");
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} {expected}"));
    let run = run.ended(4);
    assert_eq!(column(&run.rows(), "name"), ["hub-logs", "prod-a", "dev-a"], "a new one is collected");
    expect![[r"
        011111111111 hub aws_s3_bucket global: ok
        222222222222 shop-prod aws_s3_bucket global: ok
        333333333333 shop-dev aws_s3_bucket global: ok
        777777777777 vault aws_s3_bucket global: not_offered
    "]]
    .assert_eq(&cells(&ledger));
    expect![[r#"
        warning: 1 account is new: `shop-dev` (333333333333); `~/expect.csv` lacks it
        hint: write it down there
        warning: the sign-in does not reach 1 of 4 accounts: `vault` (777777777777); 1 task not offered
        hint: `ssoinv accounts` shows all that it reaches; an administrator assigns more
        3 buckets from 3 of 4 accounts, in all regions; 1 task not offered: partial
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
    let quiet = world.run(&format!("{BUCKETS} {expected} -q")).ended(4);
    assert!(quiet.stderr.contains("1 account is new"), "not all is well: {}", quiet.stderr);
}

fn all_is_well_is_quiet() {
    let world = world();
    let expected = world.expecting(
        "011111111111,hub,,,,,
         222222222222,,,,,,
         333333333333,,,,gap,being closed,ALWAYS",
    );
    world.deny("333333333333");
    let run = world.run(&format!("{BUCKETS} {expected} -q")).ended(0);
    assert_eq!(world.said_of(&run.stderr), "", "as it was expected");
    let run = world.run(&format!("{BUCKETS} {expected}")).ended(0);
    expect![[r#"
        2 buckets from 2 of 3 accounts, in all regions; 1 task in an expected gap
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
    let run = world.run(&format!("{BUCKETS} {expected} -v")).ended(0);
    expect![[r#"
        expected gap: `~/expect.csv:4` (until 9999-12-31: being closed): 1 task
        2 buckets from 2 of 3 accounts, in all regions; 1 task in an expected gap
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
}

fn only_what_is_selected_is_expected() {
    let world = world();
    let expected = world.expecting(
        "777777777777,shop-new,,,,,
         888888888888,vault,,,,,
         999999999999,,,,gap,never there,ALWAYS",
    );
    let told = |selection: &str| {
        let (run, ledger) = world.with_ledger(&format!("{BUCKETS} {expected} {selection}"));
        (statuses(&ledger), run)
    };
    let (ended, run) = told("--account hub");
    assert_eq!(ended, "ok 1");
    expect![[r#"
        warning: 1 account is new: `hub` (011111111111); `~/expect.csv` lacks it
        hint: write it down there
        1 bucket from 1 of 1 account, in all regions
    "#]]
    .assert_eq(&world.said_of(&run.ended(0).stderr));
    let (ended, run) = told("--account shop-*");
    assert_eq!(ended, "not_offered 1, ok 2");
    run.ended(4).said("does not reach 1 of 3 accounts: `shop-new` (777777777777)");
    let (ended, _) = told("--exclude-account vault,999999999999");
    assert_eq!(ended, "not_offered 1, ok 3");
    let (ended, run) = told("--account shop-new");
    assert_eq!(ended, "not_offered 1", "a pattern may mean expected ones alone");
    run.ended(5);
}

fn no_profile_into_an_expected_account() {
    let world = world();
    let expected = world.expecting("011111111111,,,,,,\n777777777777,vault,,,,,");
    let (run, ledger) = world.with_ledger(&format!(
        "list aws_s3_bucket aws_ec2_instance --all-profiles -o json --no-input {expected}"
    ));
    expect![[r#"
        011111111111 hub aws_s3_bucket global: ok
        222222222222 shop-prod aws_s3_bucket global: ok
        333333333333 shop-dev aws_s3_bucket global: ok
        777777777777 vault aws_s3_bucket global: not_offered
        011111111111 hub aws_ec2_instance eu-west-1: ok
        222222222222 shop-prod aws_ec2_instance eu-west-1: ok
        333333333333 shop-dev aws_ec2_instance eu-west-1: ok
        777777777777 vault aws_ec2_instance : not_offered
    "#]]
    .assert_eq(&cells(&ledger));
    expect![[r#"
        warning: 2 accounts are new: `shop-prod` (222222222222), `shop-dev` (333333333333); `~/expect.csv` lacks them
        hint: write them down there
        warning: no way into 1 of 4 accounts: `vault` (777777777777); 2 tasks not offered: no profile reaches this account
        hint: `ssoinv profiles` shows the account of each; `--all-accounts` needs none
        3 buckets, 0 instances from 3 of 4 accounts, 1 region each (from the profiles); 2 tasks not offered: partial
    "#]].assert_eq(&world.said_of(&run.ended(4).stderr));
    let one = column(&world.run("profiles -o json").ended(0).rows(), "name")[0].to_owned();
    let (run, ledger) = world.with_ledger(&format!("buckets --profile {one} -o json --no-input {expected}"));
    run.ended(0);
    assert_eq!(statuses(&ledger), "ok 1", "whoever picks a profile means no other account");
}

fn an_expected_gap_is_complete_whatever_its_status() {
    let world = world();
    let expected = world.expecting(
        ",shop-*,eu-*,aws_ec2_*,gap,no role there,ALWAYS
         333333333333,,,aws_s3_bucket,gap,no role there,ALWAYS",
    );
    world.deny("222222222222");
    world.deny("333333333333");
    let command =
        "list aws_s3_bucket aws_ec2_instance --all-accounts --region eu-west-1,us-east-1 -o json --no-input";
    let (run, ledger) = world.with_ledger(&format!("{command} {expected}"));
    expect![[r#"
        011111111111 hub aws_s3_bucket global: ok
        222222222222 shop-prod aws_s3_bucket global: denied
        333333333333 shop-dev aws_s3_bucket global: denied, expected
        011111111111 hub aws_ec2_instance eu-west-1: ok
        011111111111 hub aws_ec2_instance us-east-1: ok
        222222222222 shop-prod aws_ec2_instance eu-west-1: denied, expected
        222222222222 shop-prod aws_ec2_instance us-east-1: denied
        333333333333 shop-dev aws_ec2_instance eu-west-1: denied, expected
        333333333333 shop-dev aws_ec2_instance us-east-1: denied
    "#]]
    .assert_eq(&cells(&ledger));
    expect![[r#"
        warning: no access in 2 of 3 accounts: `shop-prod` (222222222222), `shop-dev` (333333333333); 3 tasks denied (ForbiddenException)
        hint: see `~/coverage.json` for each of them
        1 bucket, 1 instance from 1 of the 3 accounts that this sign-in reaches, 2 regions each (from `--region`); 3 tasks in expected gaps; 3 tasks denied: partial
    "#]].assert_eq(&world.said_of(&run.ended(4).stderr));
}

fn a_gap_that_is_over_counts_no_more() {
    let world = world();
    let expected = world.expecting("333333333333,,,,gap,being closed,2020-02-29");
    world.deny("333333333333");
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} {expected}"));
    assert!(ledger.iter().all(|cell| cell["expected"] == false));
    expect![[r#"
        warning: 1 expected gap has ended: `~/expect.csv:2` (until 2020-02-29: being closed)
        hint: look whether it is still right, and give it another `until` or take it out
        warning: no access in 1 of 3 accounts: `shop-dev` (333333333333); 1 task denied (ForbiddenException)
        hint: see `~/coverage.json` for each of them
        2 buckets from 2 of the 3 accounts that this sign-in reaches, in all regions; 1 task denied: partial
    "#]]
    .assert_eq(&world.said_of(&run.ended(4).stderr));
}

fn a_gap_that_can_be_read_is_told() {
    let world = world();
    let expected =
        world.expecting("333333333333,,,,gap,being closed,ALWAYS\n011111111111,,us-*,,gap,x,ALWAYS");
    let run = world.run(&format!("{BUCKETS} {expected} -q")).ended(0);
    assert_eq!(column(&run.rows(), "name"), ["hub-logs", "prod-a", "dev-a"], "what is there is shown");
    expect![[r#"
        warning: 1 expected gap turned out readable: `~/expect.csv:2` (until 9999-12-31: being closed)
        hint: take it out, so that a gap there is told again
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
}

fn a_gap_that_is_nowhere_is_told_with_the_nearest_region() {
    let world = world();
    let expected =
        world.expecting("*,,eu-wset-1,,gap,x,ALWAYS\n,gone-*,,,gap,x,ALWAYS\n*,,,aws_s3_*,gap,x,2020-01-01");
    let run = world.run(&format!("{} {expected}", BUCKETS.replace("buckets", "functions"))).ended(0);
    expect![[r#"
        warning: 2 expected gaps mean nothing that was asked: `~/expect.csv:2` (until 9999-12-31: x), `~/expect.csv:3` (until 9999-12-31: x)
        hint: this version knows of no region `eu-wset-1`; did you mean `eu-west-1`?
        0 functions from 3 of the 3 accounts that this sign-in reaches, 17 regions each (all that are enabled)
    "#]].assert_eq(&world.said_of(&run.stderr));
}

fn an_account_that_is_a_gap_may_be_missing() {
    let world = world();
    let expected = world.expecting("777777777777,vault,,,gap,theirs alone,ALWAYS");
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} {expected}"));
    run.ended(0).said("1 task in an expected gap");
    assert_eq!(statuses(&ledger), "not_offered 1, ok 3");
}

fn the_organisation_s_own_list_is_read() {
    let world = world();
    let expected = world.file(
        "org.json",
        r#"{"Accounts": [
            {"Id": "011111111111", "Name": "hub", "Status": "ACTIVE", "JoinedMethod": "CREATED"},
            {"Id": "222222222222", "Name": "shop-prod", "Status": "ACTIVE", "State": "ACTIVE"},
            {"Id": "333333333333", "Name": "shop-dev", "Status": "SUSPENDED"},
            {"Id": "777777777777", "Name": "vault", "Status": "ACTIVE"},
            {"Id": "888888888888", "Name": "old", "Status": "SUSPENDED"}
        ]}"#,
    );
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} {expected}"));
    assert_eq!(statuses(&ledger), "not_offered 1, ok 3");
    expect![[r#"
        left out 2 accounts not active, of those that `--expect` lists
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        warning: the sign-in does not reach 1 of 4 accounts: `vault` (777777777777); 1 task not offered
        hint: `ssoinv accounts` shows all that it reaches; an administrator assigns more
        3 buckets from 3 of 4 accounts, in all regions; 1 task not offered: partial
    "#]]
    .assert_eq(&world.said_of(&run.ended(4).stderr));
    let gap = world.expecting("777777777777,,,,gap,theirs alone,ALWAYS");
    let run = world.run(&format!("{BUCKETS} {expected} {gap}")).ended(0);
    expect![[r#"
        left out 2 accounts not active, of those that `--expect` lists
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        3 buckets from 3 of 4 accounts, in all regions; 1 task in an expected gap
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
}

fn what_ssoinv_accounts_writes_is_read() {
    let world = world();
    for name in ["accounts.csv", "accounts.json"] {
        let path = world.home.path().join(name);
        world.run(&format!("accounts --out {} --no-input", path.display())).ended(0);
        let run = world.run(&format!("{BUCKETS} --expect {} -q", path.display())).ended(0);
        assert_eq!(world.said_of(&run.stderr), "", "{name}");
        fs::remove_file(&path).expect("it is there");
    }
}

fn gaps_in_toml() {
    let world = world();
    let expected = world.file(
        "expect.toml",
        "[[account]]\naccount_id = \"011111111111\"\n\n\
         [[account]]\nname = \"shop-*\"\nexpect = \"gap\"\nreason = \"not \\u001b[31mours\"\nuntil = 9999-12-31\n",
    );
    world.deny("222222222222");
    let (run, ledger) = world.with_ledger(&format!("{BUCKETS} {expected} -v"));
    let run = run.ended(0);
    expect![[r#"
        011111111111 hub aws_s3_bucket global: ok
        222222222222 shop-prod aws_s3_bucket global: denied, expected
        333333333333 shop-dev aws_s3_bucket global: ok, expected
    "#]]
    .assert_eq(&cells(&ledger));
    expect![[r#"
        warning: 2 accounts are new: `shop-prod` (222222222222), `shop-dev` (333333333333); `~/expect.toml` lacks them
        hint: write them down there
        expected gap: `~/expect.toml:4` (until 9999-12-31: not \u{1b}[31mours): 1 task
        2 buckets from 2 of 3 accounts, in all regions; 1 task in an expected gap
    "#]].assert_eq(&world.said_of(&run.stderr));
    assert!(!run.stderr.contains('\u{1b}'), "what a file says never reaches a terminal's controls");
}

fn a_file_that_means_nothing_is_refused_before_anybody_signs_in() {
    let world = world();
    for (row, told) in [
        (
            "11111111111,,,,,,",
            expect![[r#"
            error: ~/expect.csv:3: `11111111111` is not an account ID

            hint: a spreadsheet may have dropped leading zeros: write `011111111111`, twelve digits, as text
        "#]],
        ),
        (
            "*,,,aws_s3_buckett,gap,x,ALWAYS",
            expect![[r#"
            error: ~/expect.csv:3: there is no table `aws_s3_buckett`

            hint: did you mean `aws_s3_bucket`?
        "#]],
        ),
        (
            "*,,eu-west,,gap,x,ALWAYS",
            expect![[r#"
            error: ~/expect.csv:3: `eu-west` is not the name of a region

            hint: did you mean `eu-west-1`?
        "#]],
        ),
        (
            "*,,,,gap,x,",
            expect![[r#"
            error: ~/expect.csv:3: the gap has no `until`

            hint: say the last day on which it is expected, like `2027-03-31`
        "#]],
        ),
    ] {
        let expected = world.expecting(&format!("011111111111,,,,,,\n{row}"));
        let run = world.run(&format!("{BUCKETS} {expected}")).ended(2);
        told.assert_eq(&world.said_of(&run.stderr));
    }
    let run = world.run(&format!("{BUCKETS} --expect gone.csv")).ended(2);
    run.said("`gone.csv` cannot be read");
    assert_eq!(world.simulator.calls(), []);
}

fn it_can_be_set_but_never_depends_on_the_current_folder() {
    let world = world();
    world.expecting("777777777777,vault,,,,,");
    let folder = world.home.path().join(".config/ssoinv");
    fs::create_dir_all(&folder).expect("a folder");
    let set = |text: &str| fs::write(folder.join("config.toml"), text).expect("written");
    set("expect = ['~/expect.csv']");
    let (run, ledger) = world.with_ledger(BUCKETS);
    run.ended(4);
    assert_eq!(statuses(&ledger), "not_offered 1, ok 3");
    set("expect = 'expect.csv'");
    let run = world.run(BUCKETS).ended(2);
    expect![[r#"
        error: ~/.config/ssoinv/config.toml:1: `expect` is `expect.csv`, which depends on the current folder

        hint: write the whole path, or begin it with `~/`
    "#]]
    .assert_eq(&world.said_of(&run.stderr));
    assert_eq!(world.simulator.count(Service::PORTAL, "GetRoleCredentials"), 3, "only the first has asked");
}

fn without_a_file_the_summary_says_what_it_knows() {
    let world = world();
    world
        .run(BUCKETS)
        .ended(0)
        .said("3 buckets from 3 of the 3 accounts that this sign-in reaches, in all regions\n");
    let expected = world.expecting("011111111111,,,,,,\n222222222222,,,,,,\n333333333333,,,,,,");
    let run = world.run(&format!("{BUCKETS} {expected}")).ended(0);
    run.said("3 buckets from 3 of 3 accounts, in all regions\n");
}
