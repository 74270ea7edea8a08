//! What comes out: the formats, where they go, which columns they have, and that nothing in the data breaks them.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes the snapshots so")]

use std::fs;
use std::path::Path;

use console::measure_text_width;
use expect_test::{Expect, expect};
use serde_json::{Map, Value, json};
use ssoinv_sim::{Effect, Fault, Options, Organisation, SECRET_MARKER, Token};

use crate::support::{Live, OnTerminal, World, column, run, seeded};
use crate::tests;

tests![
    tables_for_pipes,
    csv,
    json,
    ndjson,
    a_table_without_rows_is_whole_in_each_format,
    the_ending_of_the_file_is_the_format,
    contradictions_name_the_other_flag,
    columns_are_chosen,
    all_columns_of_a_table,
    headers_are_left_out,
    what_is_not_there_is_told_with_the_nearest,
    a_glob_that_matches_nothing,
    spreadsheets_keep_what_is_meant,
    several_tables,
    several_tables_as_csv_go_into_a_folder,
    hostile_texts_are_themselves_in_json_and_ndjson,
    hostile_texts_are_themselves_in_csv,
    hostile_texts_calculate_nothing_in_a_spreadsheet,
    hostile_texts_stay_on_their_line_in_a_piped_table,
    hostile_texts_never_reach_a_terminal_raw,
    hostile_names_of_accounts_never_reach_a_terminal_raw_in_messages,
    tables_fit_the_terminal_and_cut_no_id,
    the_same_bytes_each_time,
    buckets_that_lie_elsewhere_are_left_out_with_region,
    the_summary_says_where_the_regions_come_from,
    no_region_at_all,
    account_ids_keep_their_zeros,
    environment_variables_are_masked,
    include_secrets_gives_them_and_says_so,
];

/// Two accounts, the first with something of everything.
fn small() -> World {
    World::new(organisation())
}

fn organisation() -> Organisation {
    let text = json!({
        "seed": 7,
        "regions": ["eu-west-1", "us-east-1"],
        "sessions": [{"name": "acme", "start_url": "https://acme.awsapps.com/start", "region": "eu-west-1"}],
        "roles": ["ReadOnly"],
        "accounts": [
            {
                "id": "001122334455",
                "name": "shop",
                "email": "shop@example.com",
                "buckets": [
                    {"name": "shop-assets", "region": "eu-west-1", "created": "2024-05-06T07:08:09Z"},
                    {"name": "shop-logs", "region": "us-east-1", "created": "2025-01-02T03:04:05Z"},
                ],
                "instances": {
                    "eu-west-1": [
                        {"id": "i-00000000000000001", "name": "web", "launched": "2025-02-03T04:05:06Z",
                         "tags": {"Owner": "ann, \"bob\"", "Empty": ""}},
                        {"id": "i-00000000000000002", "state": "stopped", "launched": "2025-02-03T04:05:07Z"},
                    ],
                    "us-east-1": [{"id": "i-00000000000000003", "name": "api", "launched": "2025-02-03T04:05:08Z"}],
                },
                "functions": {
                    "eu-west-1": [
                        {"name": "resize", "runtime": "python3.13", "modified": "2025-03-04T05:06:07Z",
                         "environment": {"DB_PASSWORD": "pwSIMSECRET1", "LOG_LEVEL": "INFO"}},
                        {"name": "thumbs", "image": true, "modified": "2025-03-04T05:06:08Z"},
                    ],
                },
            },
            {"id": "999900001111", "name": "tools", "email": "tools@example.com"},
        ],
    });
    Organisation::from_json(&text.to_string()).expect("an organisation")
}

fn tables_for_pipes() {
    let world = small();
    let shown = |verb: &str| world.run(&format!("{verb} --all-profiles")).ended(0).stdout;
    expect![[r#"
        account_id    account_name  region     name         creation_date
        001122334455  shop          eu-west-1  shop-assets  2024-05-06T07:08:09Z
        001122334455  shop          us-east-1  shop-logs    2025-01-02T03:04:05Z
    "#]]
    .assert_eq(&shown("buckets"));
    expect![[r#"
        account_id    account_name  region     instance_id          title                instance_type  instance_state  private_ip_address  public_ip_address  launch_time
        001122334455  shop          eu-west-1  i-00000000000000001  web                  t3.micro       running         10.32.6.221         -                  2025-02-03T04:05:06Z
        001122334455  shop          eu-west-1  i-00000000000000002  i-00000000000000002  t3.micro       stopped         10.16.122.120       -                  2025-02-03T04:05:07Z
    "#]].assert_eq(&shown("instances"));
    expect![[r#"
        account_id    account_name  region     name    runtime     last_modified
        001122334455  shop          eu-west-1  resize  python3.13  2025-03-04T05:06:07Z
        001122334455  shop          eu-west-1  thumbs  -           2025-03-04T05:06:08Z
    "#]]
    .assert_eq(&shown("functions"));
}

fn csv() {
    let run = small().run("buckets --all-profiles -o csv").ended(0);
    expect![[r#"
        account_id,account_name,region,name,creation_date,title,arn,akas,owner_id,partition,profile,role_name,_not_collected
        001122334455,shop,eu-west-1,shop-assets,2024-05-06T07:08:09Z,shop-assets,arn:aws:s3:::shop-assets,"[""arn:aws:s3:::shop-assets""]",2229f0251e500274243d9ea813baeeef00f819eda29462d079cdf2771b2335ec,aws,shop-ReadOnly,ReadOnly,
        001122334455,shop,us-east-1,shop-logs,2025-01-02T03:04:05Z,shop-logs,arn:aws:s3:::shop-logs,"[""arn:aws:s3:::shop-logs""]",2229f0251e500274243d9ea813baeeef00f819eda29462d079cdf2771b2335ec,aws,shop-ReadOnly,ReadOnly,
    "#]].assert_eq(&run.stdout);
}

fn json() {
    let run = small().run("buckets --all-profiles -o json").ended(0);
    expect![[r#"
        [
        {"account_id":"001122334455","account_name":"shop","region":"eu-west-1","name":"shop-assets","creation_date":"2024-05-06T07:08:09Z","title":"shop-assets","arn":"arn:aws:s3:::shop-assets","akas":["arn:aws:s3:::shop-assets"],"owner_id":"2229f0251e500274243d9ea813baeeef00f819eda29462d079cdf2771b2335ec","partition":"aws","profile":"shop-ReadOnly","role_name":"ReadOnly","_not_collected":null},
        {"account_id":"001122334455","account_name":"shop","region":"us-east-1","name":"shop-logs","creation_date":"2025-01-02T03:04:05Z","title":"shop-logs","arn":"arn:aws:s3:::shop-logs","akas":["arn:aws:s3:::shop-logs"],"owner_id":"2229f0251e500274243d9ea813baeeef00f819eda29462d079cdf2771b2335ec","partition":"aws","profile":"shop-ReadOnly","role_name":"ReadOnly","_not_collected":null}
        ]
    "#]].assert_eq(&run.stdout);
}

fn ndjson() {
    let run = small().run("buckets --all-profiles --output ndjson").ended(0);
    expect![[r#"
        {"account_id":"001122334455","account_name":"shop","region":"eu-west-1","name":"shop-assets","creation_date":"2024-05-06T07:08:09Z","title":"shop-assets","arn":"arn:aws:s3:::shop-assets","akas":["arn:aws:s3:::shop-assets"],"owner_id":"2229f0251e500274243d9ea813baeeef00f819eda29462d079cdf2771b2335ec","partition":"aws","profile":"shop-ReadOnly","role_name":"ReadOnly","_not_collected":null}
        {"account_id":"001122334455","account_name":"shop","region":"us-east-1","name":"shop-logs","creation_date":"2025-01-02T03:04:05Z","title":"shop-logs","arn":"arn:aws:s3:::shop-logs","akas":["arn:aws:s3:::shop-logs"],"owner_id":"2229f0251e500274243d9ea813baeeef00f819eda29462d079cdf2771b2335ec","partition":"aws","profile":"shop-ReadOnly","role_name":"ReadOnly","_not_collected":null}
    "#]].assert_eq(&run.stdout);
}

fn a_table_without_rows_is_whole_in_each_format() {
    let world = small();
    let shown = |format: &str| {
        let arguments = format!("buckets --profile tools-ReadOnly --columns name,region -o {format}");
        world.run(&arguments).ended(0).stdout
    };
    assert_eq!(shown("csv"), "name,region\n");
    assert_eq!(shown("json"), "[]\n");
    assert_eq!(shown("ndjson"), "");
    expect![[r#"
        name  region
    "#]]
    .assert_eq(&shown("table"));
}

fn the_ending_of_the_file_is_the_format() {
    let world = small();
    for (name, format) in [
        ("rows.csv", "csv"),
        ("rows.json", "json"),
        ("rows.ndjson", "ndjson"),
        ("rows.jsonl", "ndjson"),
        ("ROWS.CSV", "csv"),
        ("rows", "table"),
    ] {
        let file = world.home.path().join(name);
        let run = world.run(&format!("buckets --all-profiles --out {}", file.display())).ended(0);
        assert_eq!(run.stdout, "", "{name}");
        let direct = world.run(&format!("buckets --all-profiles -o {format}")).ended(0);
        assert_eq!(fs::read_to_string(&file).expect("the file"), direct.stdout, "{name}");
    }
    // An ending that means nothing is no matter where the format is said.
    let file = world.home.path().join("rows.data");
    world.run(&format!("buckets --all-profiles -o json --out {}", file.display())).ended(0);
    let rows: Value = serde_json::from_str(&fs::read_to_string(&file).expect("the file")).expect("JSON");
    assert_eq!(rows[0]["name"], "shop-assets");
}

/// Runs each line, which must end with `code` and write nothing, and tells what is said of each.
fn refusals(world: &World, code: i32, lines: &[&str]) -> String {
    let mut all = String::new();
    for line in lines {
        let mut command = world.command(line);
        command.current_dir(world.home.path());
        let run = run(command).ended(code);
        assert_eq!(run.stdout, "", "{line}");
        all += &format!("$ ssoinv {line}\n{}\n", world.said_of(&run.stderr));
    }
    assert!(world.simulator.calls().is_empty(), "something was asked");
    all
}

fn contradictions_name_the_other_flag() {
    let world = small();
    let told = refusals(
        &world,
        2,
        &[
            "buckets --all-profiles -o json --out rows.csv",
            "buckets --all-profiles -o rows.csv",
            "buckets --all-profiles -o csv --coverage ledger.txt",
            "buckets --all-profiles --out rows.parquet",
            "buckets --all-profiles -o yaml",
            "buckets --all-profiles --spreadsheet",
            "buckets --all-profiles --columns name --wide",
            "buckets --all-profiles --profile shop-ReadOnly",
            "list aws_s3_bucket aws_ec2_instance --all-profiles -o csv",
            "list aws_s3_bucket aws_ec2_instance --all-profiles --out rows.csv",
            "list aws_s3_bucket aws_ec2_instance --all-profiles --out rows/",
            "buckets --all-profiles -o json --out .aws",
        ],
    );
    expect![[r#"
        $ ssoinv buckets --all-profiles -o json --out rows.csv
        error: `-o json` contradicts the ending of `--out rows.csv`

        hint: leave out `-o`, or give the file another ending

        $ ssoinv buckets --all-profiles -o rows.csv
        error: `rows.csv` (from --output) is not a format

        hint: to write to a file, say `--out rows.csv`

        $ ssoinv buckets --all-profiles -o csv --coverage ledger.txt
        error: `--coverage ledger.txt` has no ending that tells its format

        hint: end it with `.csv`, `.json` or `.ndjson`

        $ ssoinv buckets --all-profiles --out rows.parquet
        error: no format has the ending `.parquet`

        hint: say the format with `-o table`, `-o csv`, `-o json` or `-o ndjson`

        $ ssoinv buckets --all-profiles -o yaml
        error: `yaml` (from --output) is not a format

        hint: the formats are table, csv, json and ndjson

        $ ssoinv buckets --all-profiles --spreadsheet
        error: `--spreadsheet` is for CSV

        hint: say `-o csv --spreadsheet`

        $ ssoinv buckets --all-profiles --columns name --wide
        error: the argument '--columns <COLUMNS>' cannot be used with '--wide'

        Usage: ssoinv buckets --all-profiles --columns <COLUMNS>

        For more information, try '--help'.

        $ ssoinv buckets --all-profiles --profile shop-ReadOnly
        error: the argument '--all-profiles' cannot be used with '--profile <NAME>'

        Usage: ssoinv buckets --all-profiles

        For more information, try '--help'.

        $ ssoinv list aws_s3_bucket aws_ec2_instance --all-profiles -o csv
        error: several tables as CSV need a folder

        hint: say `--out DIR/`, or another format

        $ ssoinv list aws_s3_bucket aws_ec2_instance --all-profiles --out rows.csv
        error: several tables as CSV need a folder

        hint: say `--out DIR/`, or another format

        $ ssoinv list aws_s3_bucket aws_ec2_instance --all-profiles --out rows/
        error: `--out rows/` is a folder, which takes CSV only

        hint: say `-o csv`, or name a file

        $ ssoinv buckets --all-profiles -o json --out .aws
        error: `--out .aws` is a folder, which takes CSV only

        hint: say `-o csv`, or name a file

    "#]]
    .assert_eq(&told);
    assert_eq!(fs::read_dir(world.home.path()).expect("a home").count(), 1, "only .aws is there");
}

fn columns_are_chosen() {
    let world = small();
    let shown = |format: &str| {
        let columns = "tags.Owner,title,account_id,tags.Empty,tags";
        world.run(&format!("instances --all-profiles --columns {columns} -o {format}")).ended(0).stdout
    };
    expect![[r#"
        tags.Owner,title,account_id,tags.Empty,tags
        "ann, ""bob""",web,001122334455,"","{""Empty"":"""",""Name"":""web"",""Owner"":""ann, \""bob\""""}"
        ,i-00000000000000002,001122334455,,
    "#]]
    .assert_eq(&shown("csv"));
    expect![[r#"
        tags.Owner  title                account_id    tags.Empty  tags
        ann, "bob"  web                  001122334455  ""          {"Empty":"","Name":"web","Owner":"ann, \"bob\""}
        -           i-00000000000000002  001122334455  -           -
    "#]].assert_eq(&shown("table"));
    expect![[r#"
        {"tags.Owner":"ann, \"bob\"","title":"web","account_id":"001122334455","tags.Empty":"","tags":{"Empty":"","Name":"web","Owner":"ann, \"bob\""}}
        {"tags.Owner":null,"title":"i-00000000000000002","account_id":"001122334455","tags.Empty":null,"tags":null}
    "#]].assert_eq(&shown("ndjson"));
}

fn all_columns_of_a_table() {
    let world = small();
    let header = |arguments: &str| {
        let table = world.run(&format!("buckets --all-profiles {arguments}")).ended(0).stdout;
        table.lines().next().expect("a header").split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let wide = header("--wide");
    let every: Vec<String> = world
        .run("buckets --all-profiles -o csv")
        .stdout
        .lines()
        .next()
        .expect("a header")
        .split(',')
        .map(str::to_owned)
        .collect();
    assert_eq!(wide, every);
    assert!(header("").len() < wide.len());
}

fn headers_are_left_out() {
    let world = small();
    for format in ["table", "csv"] {
        let with = world.run(&format!("buckets --all-profiles -o {format}")).ended(0).stdout;
        let without = world.run(&format!("buckets --all-profiles -o {format} --no-header")).ended(0).stdout;
        let rows: Vec<&str> = with.lines().skip(1).collect();
        assert_eq!(without.lines().count(), 2);
        // Of tables only the padding may differ.
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (one, other) in without.lines().zip(rows) {
            assert_eq!(words(one), words(other));
        }
    }
}

fn what_is_not_there_is_told_with_the_nearest() {
    let world = small();
    let told = refusals(
        &world,
        2,
        &[
            "buckets --all-profiles --columns nmae",
            "buckets --all-profiles --columns name.first",
            "instances --all-profiles --columns tag.Owner",
            "list aws_s3_buckets --all-profiles",
            "list aws_rds_db_instance --all-profiles",
            "buckets --profile shop-Readonly",
            "buckets --profile nothing-like-it",
            "buckets --all-profiles --region eu-west1",
        ],
    );
    expect![[r#"
        $ ssoinv buckets --all-profiles --columns nmae
        error: there is no column `nmae`
          there are: account_id, account_name, region, name, creation_date, title, arn, akas, owner_id, partition, profile, role_name, _not_collected

        hint: did you mean `name`?

        $ ssoinv buckets --all-profiles --columns name.first
        error: `name.first` is a path, but column `name` is text, not json

        hint: say `name`

        $ ssoinv instances --all-profiles --columns tag.Owner
        error: there is no column `tag.Owner`
          there are: account_id, account_name, region, instance_id, instance_type, instance_state, monitoring_state, ami_launch_index, architecture, boot_mode, current_instance_boot_mode, ipv6_address, capacity_reservation_id, capacity_reservation_specification, client_token, cpu_options_core_count, cpu_options_threads_per_core, ebs_optimized, ena_support, hypervisor, iam_instance_profile_arn, iam_instance_profile_id, image_id, instance_lifecycle, key_name, launch_time, outpost_arn, placement_affinity, placement_availability_zone, placement_group_id, placement_group_name, placement_host_id, placement_host_resource_group_arn, placement_partition_number, placement_tenancy, platform, platform_details, private_ip_address, private_dns_name, public_dns_name, public_ip_address, root_device_name, root_device_type, source_dest_check, spot_instance_request_id, state_code, state_transition_reason, state_transition_time, subnet_id, tpm_support, usage_operation, usage_operation_update_time, virtualization_type, vpc_id, block_device_mappings, elastic_gpu_associations, elastic_inference_accelerator_associations, enclave_options, hibernation_options, state_reason, licenses, maintenance_options, metadata_options, network_interfaces, private_dns_name_options, product_codes, security_groups, tags_src, title, tags, arn, akas, kernel_id, ram_disk_id, sriov_net_support, capacity_block_id, cpu_options_amd_sev_snp, cpu_options_nested_virtualization, placement_availability_zone_id, placement_spread_domain, network_performance_options, operator, secondary_interfaces, reservation_id, owner_id, requester_id, reservation_groups, partition, profile, role_name, _not_collected

        hint: did you mean `tags`?

        $ ssoinv list aws_s3_buckets --all-profiles
        error: there is no table `aws_s3_buckets`
          there are: aws_ec2_instance, aws_lambda_function, aws_s3_bucket

        hint: did you mean `aws_s3_bucket`?

        $ ssoinv list aws_rds_db_instance --all-profiles
        error: there is no table `aws_rds_db_instance`
          there are: aws_ec2_instance, aws_lambda_function, aws_s3_bucket

        hint: `ssoinv tables` describes them

        $ ssoinv buckets --profile shop-Readonly
        error: there is no profile `shop-Readonly` (from --profile)
          there are:
          `shop-ReadOnly`
          `tools-ReadOnly`

        hint: did you mean `--profile shop-ReadOnly`?

        $ ssoinv buckets --profile nothing-like-it
        error: there is no profile `nothing-like-it` (from --profile)
          there are:
          `shop-ReadOnly`
          `tools-ReadOnly`

        hint: `ssoinv profiles` shows more about each

        $ ssoinv buckets --all-profiles --region eu-west1
        error: `eu-west1` (from --region) is not the name of a region

        hint: did you mean `eu-west-1`?

    "#]].assert_eq(&told);
}

fn a_glob_that_matches_nothing() {
    let world = small();
    let told = refusals(&world, 5, &["buckets --profile prod-*"]);
    expect![[r#"
        $ ssoinv buckets --profile prod-*
        error: no profile matches `prod-*`
          there are:
          `shop-ReadOnly`
          `tools-ReadOnly`

        hint: `ssoinv profiles` shows more about each

    "#]]
    .assert_eq(&told);
}

fn spreadsheets_keep_what_is_meant() {
    let world = small();
    let run = world.run(
        "instances --all-profiles -o csv --spreadsheet --columns account_id,title,launch_time,tags.Owner",
    );
    let text = run.ended(0).stdout;
    assert!(text.starts_with('\u{feff}'), "Excel knows UTF-8 by its mark");
    expect![[r#"
        <BOM>account_id,title,launch_time,tags.Owner<CRLF>
        "=""001122334455""",web,2025-02-03T04:05:06Z,"ann, ""bob"""<CRLF>
        "=""001122334455""",i-00000000000000002,2025-02-03T04:05:07Z,<CRLF>
    "#]]
    .assert_eq(&text.replace("\r\n", "<CRLF>\n").replace('\u{feff}', "<BOM>"));
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
}

fn several_tables() {
    let world = small();
    let shown = |arguments: &str| {
        let line = format!(
            "list aws_s3_bucket aws_lambda_function --all-profiles --columns name,runtime {arguments}"
        );
        world.run(&line).ended(0).stdout
    };
    expect![[r#"
        aws_s3_bucket
        name
        shop-assets
        shop-logs

        aws_lambda_function
        name    runtime
        resize  python3.13
        thumbs  -
    "#]]
    .assert_eq(&shown(""));
    expect![[r#"
        {
        "aws_s3_bucket": [
        {"name":"shop-assets"},
        {"name":"shop-logs"}
        ],
        "aws_lambda_function": [
        {"name":"resize","runtime":"python3.13"},
        {"name":"thumbs","runtime":null}
        ]
        }
    "#]]
    .assert_eq(&shown("-o json"));
    expect![[r#"
        {"table":"aws_s3_bucket","name":"shop-assets"}
        {"table":"aws_s3_bucket","name":"shop-logs"}
        {"table":"aws_lambda_function","name":"resize","runtime":"python3.13"}
        {"table":"aws_lambda_function","name":"thumbs","runtime":null}
    "#]]
    .assert_eq(&shown("-o ndjson"));
}

fn several_tables_as_csv_go_into_a_folder() {
    let world = small();
    let folder = world.home.path().join("out");
    for _ in 0..2 {
        let line = "list aws_s3_bucket aws_lambda_function --all-profiles --columns name,runtime -o csv";
        world.run(&format!("{line} --out {}/", folder.display())).ended(0);
        let mut files: Vec<String> = fs::read_dir(&folder)
            .expect("a folder")
            .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(files, ["aws_lambda_function.csv", "aws_s3_bucket.csv"]);
        let text = |name: &str| fs::read_to_string(folder.join(name)).expect("a file");
        assert_eq!(text("aws_s3_bucket.csv"), "name\nshop-assets\nshop-logs\n");
        assert_eq!(text("aws_lambda_function.csv"), "name,runtime\nresize,python3.13\nthumbs,\n");
    }
}

/// The organisation whose names, tags and descriptions are as bad as AWS allows.
fn hostile() -> World {
    let world = World::without_home(Organisation::hostile(), Options::default());
    world.simulator.home().roles(&["ReadOnly"]).token(Token::Good).write(world.home.path()).expect("a home");
    world
}

/// What the fixture says of it, read by nobody's code but this: the tags of all instances, in the regions that are asked.
fn hostile_tags() -> Vec<Map<String, Value>> {
    let mut all = Vec::new();
    for account in fixture()["accounts"].as_array().expect("accounts") {
        for region in ["eu-west-1", "us-east-1"] {
            for instance in account["instances"][region].as_array().into_iter().flatten() {
                let mut tags = instance["tags"].as_object().expect("tags").clone();
                if let Some(name) = instance.get("name") {
                    tags.insert("Name".to_owned(), name.clone());
                }
                all.push(tags);
            }
        }
    }
    all
}

/// The descriptions of all functions.
fn hostile_descriptions() -> Vec<String> {
    let mut all = Vec::new();
    for account in fixture()["accounts"].as_array().expect("accounts") {
        for function in account["functions"]["eu-west-1"].as_array().into_iter().flatten() {
            all.push(function["description"].as_str().unwrap_or_default().to_owned());
        }
    }
    all
}

fn fixture() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/organisations/hostile.json");
    serde_json::from_str(&fs::read_to_string(path).expect("the fixture")).expect("JSON")
}

/// Both in one order.
#[track_caller]
fn assert_same_set<T: ToString>(one: impl IntoIterator<Item = T>, other: impl IntoIterator<Item = T>) {
    let sorted = |items: Vec<String>| {
        let mut items = items;
        items.sort();
        items
    };
    let one = sorted(one.into_iter().map(|item| item.to_string()).collect());
    let other = sorted(other.into_iter().map(|item| item.to_string()).collect());
    assert_eq!(one, other);
}

const HOSTILE: &str = "--all-profiles --region eu-west-1,us-east-1";

fn hostile_texts_are_themselves_in_json_and_ndjson() {
    let world = hostile();
    let check = |instances: &[Value], functions: &[Value]| {
        let tags = instances.iter().map(|row| row["tags"].clone());
        assert_same_set(tags, hostile_tags().into_iter().map(Value::from));
        let told = functions.iter().map(|row| row["description"].as_str().unwrap_or_default().to_owned());
        assert_same_set(told, hostile_descriptions());
        assert_eq!(instances[0]["account_name"], "=HYPERLINK(\"http://evil.example\",\"click\")");
    };
    let rows = |verb: &str| world.run(&format!("{verb} {HOSTILE} -o json")).ended(0).rows();
    check(&rows("instances"), &rows("functions"));
    let rows = |verb: &str| {
        let run = world.run(&format!("{verb} {HOSTILE} -o ndjson")).ended(0);
        // A separator of lines within a text would be one of rows for many readers.
        let lines = run.stdout.strip_suffix('\n').expect("a last line").split('\n');
        lines.map(|line| serde_json::from_str(line).expect(line)).collect::<Vec<Value>>()
    };
    check(&rows("instances"), &rows("functions"));
}

/// RFC 4180, read strictly; the fields of each record.
fn parsed(csv: &str, end: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut rest = csv;
    while !rest.is_empty() {
        let mut record = Vec::new();
        loop {
            let field;
            if let Some(quoted) = rest.strip_prefix('"') {
                let mut text = String::new();
                let mut at = quoted;
                loop {
                    let quote = at.find('"').expect("a closing quote");
                    text.push_str(&at[..quote]);
                    at = &at[quote + 1..];
                    match at.strip_prefix('"') {
                        Some(more) => {
                            text.push('"');
                            at = more;
                        }
                        None => break,
                    }
                }
                (field, rest) = (text, at);
            } else {
                let stop = rest.find([',', '\n', '\r']).expect("an end");
                assert!(!rest[..stop].contains('"'), "a quote in a bare field");
                (field, rest) = (rest[..stop].to_owned(), &rest[stop..]);
            }
            record.push(field);
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix(end).expect("the end of a record");
        records.push(record);
    }
    records
}

fn hostile_texts_are_themselves_in_csv() {
    let world = hostile();
    let records = |verb: &str, columns: &str| {
        let run = world.run(&format!("{verb} {HOSTILE} -o csv --no-header --columns {columns}")).ended(0);
        parsed(&run.stdout, "\n")
    };
    let tags = records("instances", "account_name,tags,region").into_iter().map(|record| {
        assert_eq!(record.len(), 3);
        serde_json::from_str::<Value>(&record[1]).expect("JSON")
    });
    assert_same_set(tags, hostile_tags().into_iter().map(Value::from));
    let told = records("functions", "description,name").into_iter().map(|record| record[0].clone());
    assert_same_set(told, hostile_descriptions());
}

fn hostile_texts_calculate_nothing_in_a_spreadsheet() {
    let world = hostile();
    for (verb, columns) in [
        ("instances", "account_id,account_name,title,tags.Note"),
        ("functions", "description,name,account_name"),
    ] {
        let run = world.run(&format!("{verb} {HOSTILE} -o csv --spreadsheet --columns {columns}")).ended(0);
        let text = run.stdout.strip_prefix('\u{feff}').expect("a mark");
        let records = parsed(text, "\r\n");
        assert!(records.len() > 20);
        for field in records.iter().flatten() {
            let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
            // The only formula is a text of digits.
            let digits = field.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
            let is_number = digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            assert!(!formula || is_number, "{field:?}");
        }
    }
}

/// Characters that a terminal acts on, or that hide or turn round what stands beside them: controls; marks, overrides
/// and isolates of direction; what has no width; separators of lines and paragraphs.
fn acts_on_a_terminal(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[track_caller]
fn assert_harmless(text: &str, allowed: &[char]) {
    let bad = text.char_indices().find(|(_, char)| acts_on_a_terminal(*char) && !allowed.contains(char));
    assert_eq!(bad, None, "in {text:?}");
}

fn hostile_texts_stay_on_their_line_in_a_piped_table() {
    let world = hostile();
    let run = world.run(&format!("instances {HOSTILE} --wide")).ended(0);
    assert_eq!(run.stdout.lines().count(), 1 + hostile_tags().len());
    assert_harmless(&run.stdout, &['\n']);
    assert!(run.stdout.contains("line one\\nline two"), "as an escape that people can read");
    let run = world.run(&format!("functions {HOSTILE} --wide")).ended(0);
    assert_eq!(run.stdout.lines().count(), 1 + hostile_descriptions().len());
    assert_harmless(&run.stdout, &['\n']);
}

/// What a command writes to a terminal of so many columns.
fn on_terminal(world: &World, columns: u16, arguments: &str) -> String {
    let (run, shown) = Live::on_terminal(world.command(arguments), columns, OnTerminal::Stdout).finish();
    run.ended(0);
    shown
}

fn hostile_texts_never_reach_a_terminal_raw() {
    let world = hostile();
    for arguments in ["instances", "functions", "list aws_ec2_instance aws_lambda_function"] {
        for columns in [30, 80, 250] {
            let shown = on_terminal(&world, columns, &format!("{arguments} {HOSTILE}"));
            assert_harmless(&shown, &['\r', '\n']);
            assert!(!shown.replace("\r\n", "").contains(['\r', '\n']), "only ends of lines");
        }
        let shown = on_terminal(&world, 80, &format!("{arguments} {HOSTILE} --wide"));
        assert_harmless(&shown, &['\r', '\n']);
    }
    for format in ["csv", "ndjson", "json"] {
        for verb in ["instances", "functions"] {
            let shown = on_terminal(&world, 80, &format!("{verb} {HOSTILE} -o {format}"));
            assert_harmless(&shown, &['\r', '\n']);
            if format == "json" {
                let piped = world.run(&format!("{verb} {HOSTILE} -o json")).ended(0);
                assert_eq!(serde_json::from_str::<Value>(&shown).expect("JSON"), piped.json());
            }
        }
    }
}

fn hostile_names_of_accounts_never_reach_a_terminal_raw_in_messages() {
    let text =
        fixture().to_string().replace("no, \\\"really\\\"; 'yes'", "red \\u001b[31m\\u202e and\\nmore");
    let world = World::new(Organisation::from_json(&text).expect("an organisation"));
    world.simulator.fault(Fault::new(Effect::Denied).operation("ListBuckets")).expect("a fault");
    let command = world.command("buckets --all-profiles -v --color never");
    let (run, shown) = Live::on_terminal(command, 200, OnTerminal::Stderr).finish();
    run.ended(5);
    let told = crate::support::screen(&shown);
    assert!(told.contains(r"`red \u{1b}[31m\u{202e} and\nmore` (999999999999)"), "{told}");
    assert_harmless(&told, &['\n']);
}

fn tables_fit_the_terminal_and_cut_no_id() {
    let world = small();
    let shown = |columns: u16, arguments: &str| {
        let shown = on_terminal(&world, columns, arguments).replace("\r\n", "\n");
        for line in shown.lines() {
            assert!(measure_text_width(line) <= usize::from(columns), "{columns}: {line}");
        }
        shown
    };
    expect![[r#"
         account_id   │ account_name │ region    │ name        │ creation_date
        ──────────────┼──────────────┼───────────┼─────────────┼──────────────────────
         001122334455 │ shop         │ eu-west-1 │ shop-assets │ 2024-05-06T07:08:09Z
         001122334455 │ shop         │ us-east-1 │ shop-logs   │ 2025-01-02T03:04:05Z
    "#]]
    .assert_eq(&shown(80, "buckets --all-profiles"));
    expect![[r#"
        ── 1 ───────────────────────────────────────────────────────
        account_id     001122334455
        account_name   shop
        region         eu-west-1
        name           shop-assets
        creation_date  2024-05-06T07:08:09Z
        ── 2 ───────────────────────────────────────────────────────
        account_id     001122334455
        account_name   shop
        region         us-east-1
        name           shop-logs
        creation_date  2025-01-02T03:04:05Z
    "#]]
    .assert_eq(&shown(60, "buckets --all-profiles"));
    expect![[r#"
        ── 1 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        account_id          001122334455
        account_name        shop
        region              eu-west-1
        instance_id         i-00000000000000001
        title               web
        instance_type       t3.micro
        instance_state      running
        private_ip_address  10.32.6.221
        public_ip_address   -
        launch_time         2025-02-03T04:05:06Z
        ── 2 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        account_id          001122334455
        account_name        shop
        region              eu-west-1
        instance_id         i-00000000000000002
        title               i-00000000000000002
        instance_type       t3.micro
        instance_state      stopped
        private_ip_address  10.16.122.120
        public_ip_address   -
        launch_time         2025-02-03T04:05:07Z
    "#]].assert_eq(&shown(140, "instances --all-profiles"));
    expect![[r#"
        ── 1 ───────────────────────────────────
        account_id          001122334455
        account_name        shop
        region              eu-west-1
        instance_id         i-00000000000000001
        title               web
        instance_type       t3.micro
        instance_state      running
        private_ip_address  10.32.6.221
        public_ip_address   -
        launch_time         2025-02-03T04:05:06Z
        ── 2 ───────────────────────────────────
        account_id          001122334455
        account_name        shop
        region              eu-west-1
        instance_id         i-00000000000000002
        title               i-00000000000000002
        instance_type       t3.micro
        instance_state      stopped
        private_ip_address  10.16.122.120
        public_ip_address   -
        launch_time         2025-02-03T04:05:07Z
    "#]]
    .assert_eq(&shown(40, "instances --profile shop-ReadOnly"));

    let world = hostile();
    for columns in [60, 100, 250] {
        let shown = on_terminal(&world, columns, &format!("instances {HOSTILE}"));
        for line in shown.lines() {
            assert!(measure_text_width(line) <= usize::from(columns), "{columns}: {line}");
        }
        let index = world.simulator.organisation().find("000000000001").expect("an account");
        for number in 0..world.simulator.organisation().instance_count(index, "eu-west-1") {
            let id = world.simulator.organisation().instance(index, "eu-west-1", number).id;
            assert!(shown.contains(&id), "{id} is cut");
        }
    }
}

fn the_same_bytes_each_time() {
    let world = World::new(seeded(12));
    // Who comes first in the plan answers last.
    let first = world.simulator.organisation().account(0).id;
    world.simulator.fault(Fault::new(Effect::Latency(60)).account(&first)).expect("a fault");
    for format in ["table", "json"] {
        let line = format!(
            "list aws_lambda_function aws_s3_bucket aws_ec2_instance --all-profiles --region us-east-1,eu-west-1 -o {format}"
        );
        let one = world.run(&format!("{line} --concurrency 64")).ended(0);
        for concurrency in [64, 1] {
            let other = world.run(&format!("{line} --concurrency {concurrency}")).ended(0);
            assert!(one.stdout == other.stdout, "{format} differs with --concurrency {concurrency}");
            assert_eq!(one.stderr, other.stderr);
        }
    }
}

fn buckets_that_lie_elsewhere_are_left_out_with_region() {
    let world = small();
    let names = |world: &World, arguments: &str| {
        let run = world.run(&format!("buckets --all-profiles -o json {arguments}")).ended(0);
        let names: Vec<String> = column(&run.rows(), "name").into_iter().map(str::to_owned).collect();
        (names.join(" "), world.said_of(&run.stderr))
    };
    let of = |names: &str, said: Expect, (found, told): (String, String)| {
        assert_eq!(found, names);
        said.assert_eq(&told);
    };
    of(
        "shop-assets shop-logs",
        expect![[r#"
        2 buckets from 2 of 2 accounts, in all regions
    "#]],
        names(&world, ""),
    );
    of(
        "shop-logs",
        expect![[r#"
        1 bucket from 2 of 2 accounts, in 1 region (from `--region`)
    "#]],
        names(&world, "--region us-east-1"),
    );
    of(
        "shop-assets shop-logs",
        expect![[r#"
        2 buckets from 2 of 2 accounts, in 2 regions (from `--region`)
    "#]],
        names(&world, "--region us-east-1,eu-west-1"),
    );
    of(
        "",
        expect![[r#"
        0 buckets from 2 of 2 accounts, in 1 region (from `--region`)
    "#]],
        names(&world, "--region eu-central-1"),
    );
    let world = world.variable("AWS_REGION", "us-east-1");
    of(
        "shop-assets shop-logs",
        expect![[r#"
        2 buckets from 2 of 2 accounts, in all regions
    "#]],
        names(&world, ""),
    );
}

fn the_summary_says_where_the_regions_come_from() {
    let summary = |world: &World, arguments: &str| {
        let run = world.run(&format!("instances --all-profiles -o json {arguments}")).ended(0);
        let rows = run.rows();
        let mut regions = column(&rows, "region");
        regions.sort_unstable();
        regions.dedup();
        format!("{}: {}", regions.join(" "), world.said_of(&run.stderr))
    };
    let world = small();
    expect![[r#"
        eu-west-1: 2 instances from 2 of 2 accounts, 1 region each (from the profiles)
    "#]]
    .assert_eq(&summary(&world, ""));
    expect![[r#"
        eu-west-1 us-east-1: 3 instances from 2 of 2 accounts, 2 regions each (from `--region`)
    "#]]
    .assert_eq(&summary(&world, "--region us-east-1,eu-west-1"));
    let world = world.variable("AWS_DEFAULT_REGION", "us-east-1");
    expect![[r#"
        us-east-1: 1 instance from 2 of 2 accounts, 1 region each (from `AWS_DEFAULT_REGION`)
    "#]]
    .assert_eq(&summary(&world, ""));
    let world = world.variable("AWS_REGION", "eu-west-1");
    expect![[r#"
        eu-west-1: 2 instances from 2 of 2 accounts, 1 region each (from `AWS_REGION`)
    "#]]
    .assert_eq(&summary(&world, ""));
    expect![[r#"
        us-east-1: 1 instance from 2 of 2 accounts, 1 region each (from `--region`)
    "#]]
    .assert_eq(&summary(&world, "--region us-east-1"));
}

fn no_region_at_all() {
    let world = World::without_home(organisation(), Options::default());
    let home = world.simulator.home().region(None).token(Token::Good);
    let more = format!(
        "[profile regional]\nsso_session = acme\nsso_account_id = 999900001111\nsso_role_name = ReadOnly\n\
         region = eu-west-1\nendpoint_url = {}\n",
        world.simulator.url()
    );
    home.text(&more).write(world.home.path()).expect("a home");
    let (run, ledger) = world.with_ledger("list aws_s3_bucket aws_ec2_instance --all-profiles -o ndjson");
    let cells: Vec<String> = ledger
        .iter()
        .map(|cell| {
            let text = |name: &str| cell[name].as_str().unwrap_or_default();
            format!("{} {} {:?}: {}", text("profile"), text("table"), text("region"), text("status"))
        })
        .collect();
    expect![[r#"
        shop-ReadOnly aws_s3_bucket "global": ok
        tools-ReadOnly aws_s3_bucket "global": ok
        regional aws_s3_bucket "global": skipped
        shop-ReadOnly aws_ec2_instance "": misconfigured
        tools-ReadOnly aws_ec2_instance "": misconfigured
        regional aws_ec2_instance "eu-west-1": ok"#]]
    .assert_eq(&cells.join("\n"));
    let run = run.ended(4);
    expect![[r#"
        warning: no region is set for 2 profiles: `shop-ReadOnly`, `tools-ReadOnly`
        hint: say `--region us-east-1`, or set `AWS_REGION`, or `region` in the profile
        2 buckets, 0 instances from 2 of 2 accounts, in 1 region (from the profiles); 2 tasks misconfigured: partial
    "#]].assert_eq(&world.said_of(&run.stderr));
    // Buckets need none.
    world.run("buckets --profile shop-ReadOnly").ended(0);
}

fn account_ids_keep_their_zeros() {
    let world = small();
    let run = world.run("buckets --profile shop-ReadOnly -o json").ended(0);
    assert_eq!(run.rows()[0]["account_id"], Value::from("001122334455"));
    let run = world.run("buckets --profile shop-ReadOnly --columns account_id -o csv").ended(0);
    assert_eq!(run.stdout, "account_id\n001122334455\n001122334455\n");
    let (_, ledger) = world.with_ledger("buckets --profile shop-ReadOnly");
    assert_eq!(ledger[0]["account_id"], Value::from("001122334455"));
}

fn environment_variables_are_masked() {
    let world = small();
    for format in ["table --wide", "csv", "json", "ndjson"] {
        let run = world.run(&format!("functions --all-profiles -vv -o {format}")).ended(0);
        assert!(run.stdout.contains("DB_PASSWORD"), "{format}: the names are there");
        assert!(run.stdout.contains("***"), "{format}");
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains(SECRET_MARKER) && !text.contains("INFO"), "{format}: {text}");
        }
    }
}

fn include_secrets_gives_them_and_says_so() {
    let world = small();
    let run = world.run("functions --all-profiles --include-secrets -o json").ended(0);
    let variables = &run.rows()[0]["environment_variables"];
    assert_eq!(*variables, json!({"DB_PASSWORD": "pwSIMSECRET1", "LOG_LEVEL": "INFO"}));
    expect![[r#"
        warning: `--include-secrets`: the output holds the values of environment variables
        hint: keep the output as you keep passwords
        warning: sign-ins and tokens go to `http://SIMULATOR`, which is not AWS's (~/.aws/config:11)
        hint: if you didn't set this, stop here: whoever runs that endpoint gets your token
        2 functions from 2 of 2 accounts, 1 region each (from the profiles)
    "#]]
    .assert_eq(&world.shown(&run.stderr));
}
