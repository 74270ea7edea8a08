//! `aws_lambda_function`: Lambda's ListFunctions, in each region.
//!
//! <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html>
//!
//! - 50 functions a page, whatever `MaxItems` says. Without `FunctionVersion` only the unpublished version of each is
//!   listed.
//! - Gives the values of environment variables in plain text, which are often passwords: they are `***` from here on,
//!   unless they were asked for. Where Lambda can't decrypt them (the key's policy) it gives an error for that function
//!   instead: the column is null, and named in `_not_collected`. The same for image settings and runtime versions.
//! - `LastModified` is text with an offset without a colon. AWS gives `State`, `LastUpdateStatus` with their reasons and
//!   `RuntimeVersionConfig` in GetFunction, not here: their columns hold what a server gives all the same.
//! - An answer without `Functions` isn't the service's: the SDK takes an empty body for `{}`.

use std::collections::HashMap;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::{
    CapacityProviderConfig, DurableConfig, EphemeralStorage, FileSystemConfig, FunctionConfiguration,
    ImageConfigResponse, LambdaManagedInstancesCapacityProviderConfig, Layer, LoggingConfig,
    RuntimeVersionConfig, SnapStartResponse, TenancyConfig, TracingConfigResponse, VpcConfigResponse,
};
use chrono::DateTime;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::json::{Json, Object};
use ssoinv_core::table::{Column, RowEncoder, TableInfo};
use ssoinv_http::attempt_error::AttemptError;
use ssoinv_http::classify::{invalid_response, one_line};
use ssoinv_http::scoped_calls::ScopedCalls;

use crate::column_values::{akas, filled, object, objects, region_of_call, text, texts};
use crate::declaration::{TableDeclaration, Unreadable};
use crate::paging::Page;
use crate::services::Lambda;
use crate::table::Table;

/// Functions in a page, at most.
const MAX_ITEMS: i32 = 50;

/// What stands for the value of an environment variable.
const HIDDEN: &str = "***";

/// A function.
#[derive(Debug)]
struct Item(FunctionConfiguration);

impl Item {
    fn vpc(&self) -> Option<&VpcConfigResponse> {
        self.0.vpc_config.as_ref()
    }
}

/// `aws_lambda_function`.
pub(crate) fn table() -> impl Table {
    let info = TableInfo {
        name: "aws_lambda_function",
        description: "Lambda functions",
        noun: ("function", "functions"),
        command: Some("functions"),
        key: &["arn"],
        default_columns: &["account_id", "account_name", "region", "name", "runtime", "last_modified"],
    };
    let columns = plain().into_iter().chain(nested()).chain(made()).chain(beyond_steampipe());
    let rows = RowEncoder::new(&info, columns);
    TableDeclaration::list::<Lambda, _>(rows, "ListFunctions", list_functions).unreadable(unreadable)
}

async fn list_functions(client: Client, token: Option<String>) -> Result<Page<Item>, AttemptError> {
    let response = client.list_functions().max_items(MAX_ITEMS).set_marker(token).send().await?;
    let functions =
        response.functions.ok_or_else(|| invalid_response("ListFunctions returned no list of functions"))?;
    Ok(Page { items: functions.into_iter().map(Item).collect(), next: response.next_marker })
}

/// The columns for which Lambda returned an error in place of the value.
fn unreadable(item: &Item, _: &ScopedCalls) -> Vec<Unreadable> {
    let Item(function) = item;
    let environment = function.environment.as_ref().and_then(|environment| environment.error.as_ref());
    let image = function.image_config_response.as_ref().and_then(|image| image.error.as_ref());
    let runtime = function.runtime_version_config.as_ref().and_then(|runtime| runtime.error.as_ref());
    let errors = [
        ("environment_variables", environment.map(|error| failure(error.error_code(), error.message()))),
        ("image_config", image.map(|error| failure(error.error_code(), error.message()))),
        ("runtime_version_config", runtime.map(|error| failure(error.error_code(), error.message()))),
    ];
    let unreadable = errors.into_iter().filter_map(|(column, failure)| Some((column, failure?)));
    unreadable.map(|(column, failure)| Unreadable { column, failure }).collect()
}

/// A failure inside a successful response: most often the key's policy doesn't let the caller decrypt.
fn failure(code: Option<&str>, message: Option<&str>) -> Failure {
    let code = code.unwrap_or("Unknown");
    let kind = if code.contains("AccessDenied") { FailureKind::Denied } else { FailureKind::Failed };
    Failure::new(kind, one_line(message.unwrap_or("Lambda returned an error for this function")))
        .with_code(one_line(code))
}

/// `2026-01-02T03:04:05.678+0000`, as Lambda writes it, or with a colon or a `Z`.
fn last_modified(moment: &str) -> Option<i64> {
    let time = DateTime::parse_from_str(moment, "%Y-%m-%dT%H:%M:%S%.f%z");
    let time = time.or_else(|_| DateTime::parse_from_rfc3339(moment)).ok()?;
    Some(time.timestamp_millis())
}

/// Names and values, or names alone.
fn environment(json: Json<'_>, variables: &HashMap<String, String>, include_secrets: bool) {
    if include_secrets {
        json.map(variables);
    } else {
        json.map(variables.keys().map(|name| (name, HIDDEN)));
    }
}

fn plain() -> Vec<Column<Item>> {
    vec![
        region_of_call(),
        Column::text("name", "The function's name", |row, _| text(row.0.function_name.as_ref())),
        Column::text("arn", "The function's ARN", |row, _| filled(row.0.function_arn.as_ref())),
        Column::text("code_sha_256", "The SHA-256 of the deployment package, in base 64", |row, _| {
            text(row.0.code_sha256.as_ref())
        }),
        Column::integer("code_size", "The size of the deployment package, in bytes", |row| {
            Some(row.0.code_size)
        }),
        Column::text(
            "dead_letter_config_target_arn",
            "The queue or topic for events that could not be worked off",
            |row, _| text(row.0.dead_letter_config.as_ref()?.target_arn.as_ref()),
        ),
        Column::text("description", "The function's description", |row, _| text(row.0.description.as_ref())),
        Column::text("handler", "What Lambda calls to begin", |row, _| text(row.0.handler.as_ref())),
        Column::text("kms_key_arn", "The customer's key for the environment variables", |row, _| {
            text(row.0.kms_key_arn.as_ref())
        }),
        Column::timestamp("last_modified", "When code or settings last changed", |row| {
            row.0.last_modified.as_deref().and_then(last_modified)
        }),
        Column::integer("timeout", "How long a call may last, in seconds", |row| {
            row.0.timeout.map(i64::from)
        }),
        Column::text("version", "The version; $LATEST is the unpublished one", |row, _| {
            text(row.0.version.as_ref())
        }),
        Column::text("package_type", "Zip or Image", |row, _| text(row.0.package_type.as_ref())),
        Column::text("master_arn", "For Lambda@Edge, the function in the main region", |row, _| {
            text(row.0.master_arn.as_ref())
        }),
        Column::integer("memory_size", "Memory, in MiB", |row| row.0.memory_size.map(i64::from)),
        Column::text("revision_id", "Changes with every change", |row, _| text(row.0.revision_id.as_ref())),
        Column::text("role", "The ARN of the execution role", |row, _| text(row.0.role.as_ref())),
        Column::text("runtime", "The runtime; null for images", |row, _| text(row.0.runtime.as_ref())),
        Column::text("state", "Pending, Active, Inactive or Failed, where the list says it", |row, _| {
            text(row.0.state.as_ref())
        }),
        Column::text("state_reason", "Why it is in this state", |row, _| text(row.0.state_reason.as_ref())),
        Column::text("state_reason_code", "The code of state_reason", |row, _| {
            text(row.0.state_reason_code.as_ref())
        }),
        Column::text("last_update_status", "How the last update went, where the list says it", |row, _| {
            text(row.0.last_update_status.as_ref())
        }),
        Column::text("last_update_status_reason", "Why the last update went so", |row, _| {
            text(row.0.last_update_status_reason.as_ref())
        }),
        Column::text("last_update_status_reason_code", "The code of last_update_status_reason", |row, _| {
            text(row.0.last_update_status_reason_code.as_ref())
        }),
        Column::text("vpc_id", "The VPC that it is connected to", |row, _| {
            filled(row.vpc()?.vpc_id.as_ref())
        }),
    ]
}

/// What AWS gives as objects and lists.
fn nested() -> Vec<Column<Item>> {
    vec![
        Column::json("architectures", "x86_64 or arm64", |row, _, json| {
            texts(json, row.0.architectures.as_ref());
        }),
        Column::json(
            "environment_variables",
            "The environment variables, by name; the values are *** unless secrets were asked for",
            |row, context, json| {
                let readable = row.0.environment.as_ref().filter(|environment| environment.error.is_none());
                let variables = readable.and_then(|environment| environment.variables.as_ref());
                if let Some(variables) = variables {
                    environment(json, variables, context.include_secrets);
                }
            },
        ),
        Column::json("file_system_configs", "The file systems that are mounted", |row, _, json| {
            objects(json, row.0.file_system_configs.as_ref(), file_system);
        }),
        Column::json("ephemeral_storage", "The size of /tmp, in MiB", |row, _, json| {
            object(json, row.0.ephemeral_storage.as_ref(), ephemeral_storage);
        }),
        Column::json("tracing_config", "Whether X-Ray traces it", |row, _, json| {
            object(json, row.0.tracing_config.as_ref(), tracing);
        }),
        Column::json("snap_start", "Whether it starts from a snapshot", |row, _, json| {
            object(json, row.0.snap_start.as_ref(), snap_start);
        }),
        Column::json("logging_config", "Where and how it logs", |row, _, json| {
            object(json, row.0.logging_config.as_ref(), logging);
        }),
        Column::json("vpc_security_group_ids", "Its security groups in the VPC", |row, _, json| {
            texts(json, row.vpc().and_then(|vpc| vpc.security_group_ids.as_ref()));
        }),
        Column::json("vpc_subnet_ids", "Its subnets in the VPC", |row, _, json| {
            texts(json, row.vpc().and_then(|vpc| vpc.subnet_ids.as_ref()));
        }),
        Column::json("layers", "Its layers", |row, _, json| {
            objects(json, row.0.layers.as_ref(), layer);
        }),
    ]
}

/// What is made from the answer.
fn made() -> Vec<Column<Item>> {
    vec![
        Column::text("title", "The function's name", |row, _| text(row.0.function_name.as_ref())),
        Column::json("akas", "The function's ARN, as a list", |row, _, json| {
            akas(json, filled(row.0.function_arn.as_ref()));
        }),
    ]
}

/// What ListFunctions gives and Steampipe's table doesn't have.
fn beyond_steampipe() -> Vec<Column<Item>> {
    vec![
        Column::boolean("vpc_ipv6_allowed_for_dual_stack", "Whether it may send IPv6 in the VPC", |row| {
            row.vpc()?.ipv6_allowed_for_dual_stack
        }),
        Column::text("signing_profile_version_arn", "The signing profile of the code", |row, _| {
            text(row.0.signing_profile_version_arn.as_ref())
        }),
        Column::text("signing_job_arn", "The signing job of the code", |row, _| {
            text(row.0.signing_job_arn.as_ref())
        }),
        Column::json("image_config", "What overrides the image's own settings", |row, _, json| {
            let image_config = row.0.image_config_response.as_ref().filter(|image| image.error.is_none());
            object(json, image_config, image);
        }),
        Column::json("runtime_version_config", "The exact version of the runtime", |row, _, json| {
            let config = row.0.runtime_version_config.as_ref().filter(|config| config.error.is_none());
            object(json, config, runtime_version);
        }),
        Column::json("tenancy_config", "Whether tenants are kept apart", |row, _, json| {
            object(json, row.0.tenancy_config.as_ref(), tenancy);
        }),
        Column::json("capacity_provider_config", "The managed instances that it runs on", |row, _, json| {
            object(json, row.0.capacity_provider_config.as_ref(), capacity_provider);
        }),
        Column::text("config_sha_256", "The SHA-256 of the settings, in base 64", |row, _| {
            text(row.0.config_sha256.as_ref())
        }),
        Column::json(
            "durable_config",
            "How long a durable execution may last and is kept",
            |row, _, json| {
                object(json, row.0.durable_config.as_ref(), durable);
            },
        ),
    ]
}

fn file_system(object: &mut Object<'_>, value: &FileSystemConfig) {
    object.text("Arn", Some(&value.arn));
    object.text("LocalMountPath", Some(&value.local_mount_path));
    object.object("S3FilesConfig", value.s3_files_config.as_ref(), |object, files| {
        object.text("DirectS3Read", files.direct_s3_read.as_ref());
    });
}

fn ephemeral_storage(object: &mut Object<'_>, value: &EphemeralStorage) {
    object.integer("Size", Some(value.size));
}

fn tracing(object: &mut Object<'_>, value: &TracingConfigResponse) {
    object.text("Mode", value.mode.as_ref());
}

fn snap_start(object: &mut Object<'_>, value: &SnapStartResponse) {
    object.text("ApplyOn", value.apply_on.as_ref());
    object.text("OptimizationStatus", value.optimization_status.as_ref());
}

fn logging(object: &mut Object<'_>, value: &LoggingConfig) {
    object.text("ApplicationLogLevel", value.application_log_level.as_ref());
    object.text("LogFormat", value.log_format.as_ref());
    object.text("LogGroup", value.log_group.as_ref());
    object.text("SystemLogLevel", value.system_log_level.as_ref());
}

fn layer(object: &mut Object<'_>, value: &Layer) {
    object.text("Arn", value.arn.as_ref());
    object.integer("CodeSize", Some(value.code_size));
    object.text("SigningJobArn", value.signing_job_arn.as_ref());
    object.text("SigningProfileVersionArn", value.signing_profile_version_arn.as_ref());
}

fn image(object: &mut Object<'_>, value: &ImageConfigResponse) {
    object.object("ImageConfig", value.image_config.as_ref(), |object, config| {
        object.texts("Command", config.command.as_ref());
        object.texts("EntryPoint", config.entry_point.as_ref());
        object.text("WorkingDirectory", config.working_directory.as_ref());
    });
}

fn runtime_version(object: &mut Object<'_>, value: &RuntimeVersionConfig) {
    object.text("RuntimeVersionArn", value.runtime_version_arn.as_ref());
}

fn tenancy(object: &mut Object<'_>, value: &TenancyConfig) {
    object.text("TenantIsolationMode", Some(&value.tenant_isolation_mode));
}

fn capacity_provider(object: &mut Object<'_>, value: &CapacityProviderConfig) {
    let config = value.lambda_managed_instances_capacity_provider_config.as_ref();
    object.object("LambdaManagedInstancesCapacityProviderConfig", config, managed_instances);
}

fn managed_instances(object: &mut Object<'_>, value: &LambdaManagedInstancesCapacityProviderConfig) {
    object.text("CapacityProviderArn", Some(&value.capacity_provider_arn));
    object.number("ExecutionEnvironmentMemoryGiBPerVCpu", value.execution_environment_memory_gib_per_v_cpu);
    object.integer("PerExecutionEnvironmentMaxConcurrency", value.per_execution_environment_max_concurrency);
}

fn durable(object: &mut Object<'_>, value: &DurableConfig) {
    object.integer("ExecutionTimeout", value.execution_timeout);
    object.text("KMSKeyArn", value.kms_key_arn.as_ref());
    object.integer("RetentionPeriodInDays", value.retention_period_in_days);
}

#[cfg(test)]
mod tests {
    use expect_test::{expect, expect_file};
    use ssoinv_core::failure::Remedy;
    use ssoinv_core::json::rfc3339;
    use ssoinv_http::classify::INVALID_RESPONSE;

    use super::*;
    use crate::testing::{CannedHttp, calls, page, scan, shown};

    const WHOLE: &str = include_str!("responses/every_member_of_a_function.json");
    const EMPTY: &str = r#"{"Functions":[]}"#;

    fn leaves(value: &serde_json::Value, all: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => members.values().for_each(|member| leaves(member, all)),
            serde_json::Value::Array(items) => items.iter().for_each(|item| leaves(item, all)),
            serde_json::Value::String(text) => all.push(text.clone()),
            other => all.push(other.to_string()),
        }
    }

    #[tokio::test]
    async fn every_member_of_the_response_is_in_the_row() {
        let http = CannedHttp::pages([WHOLE, EMPTY]);
        let scanned = scan(&table(), &http, &[], false).await.expect("two pages");
        expect![[r#"
            GET https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions?MaxItems=50
            GET https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions?Marker=page-2&MaxItems=50"#]]
        .assert_eq(&http.requests().join("\n"));
        let row = shown(&scanned.pages[0], 0);
        expect_file!["responses/every_member_of_a_function.txt"].assert_eq(&row);
        let mut all = Vec::new();
        let response: serde_json::Value = serde_json::from_str(WHOLE).expect("JSON");
        leaves(&response["Functions"], &mut all);
        for leaf in all {
            let elsewhere = leaf.ends_with("-marked") || leaf.ends_with("+0000");
            assert!(elsewhere || row.contains(&leaf), "{leaf} got lost");
        }
    }

    /// Fails when the SDK gains a member: then the response here needs it, and perhaps the table a column.
    #[tokio::test]
    async fn the_response_has_every_member_of_the_sdk() {
        let calls = calls(&CannedHttp::ok(WHOLE));
        let page = calls.call::<Lambda, _, _>("ListFunctions", |client| list_functions(client, None));
        let row = format!("{:#?}", page.await.expect("a page").items[0]);
        let missing: Vec<_> = row.lines().map(str::trim).filter(|line| line.ends_with("None,")).collect();
        assert!(missing.iter().all(|line| *line == "error: None,"), "{missing:?}");
    }

    #[tokio::test]
    async fn environment_values_need_include_secrets() {
        for (include_secrets, expected) in [
            (false, r#"environment_variables `{"B_ANOTHER":"***","PLAIN":"***"}`"#),
            (true, r#"environment_variables `{"B_ANOTHER":"hunter3-marked","PLAIN":"hunter2-marked"}`"#),
        ] {
            let http = CannedHttp::pages([WHOLE, EMPTY]);
            let scanned = scan(&table(), &http, &[], include_secrets).await.expect("two pages");
            let row = shown(&scanned.pages[0], 0);
            assert!(row.lines().any(|line| line == expected), "{row}");
            assert_eq!(row.contains("-marked"), include_secrets, "{row}");
        }
    }

    #[tokio::test]
    async fn errors_of_lambda_are_null_and_named() {
        const KMS: &str = r#"{"ErrorCode":"AccessDeniedException","Message":"KMS"}"#;
        let body = format!(
            r#"{{"Functions":[{{"FunctionName":"a","FunctionArn":"arn:a","Environment":{{"Error":{KMS}}}}},
               {{"FunctionName":"b","FunctionArn":"arn:b","Environment":{{"Variables":{{"A":"1"}},"Error":{KMS}}},
                "ImageConfigResponse":{{"Error":{KMS}}},"RuntimeVersionConfig":{{"Error":{KMS}}}}},
               {{"FunctionName":"c","FunctionArn":"arn:c"}}]}}"#
        );
        let scanned = scan(&table(), &CannedHttp::ok(&body), &[], true).await.expect("a page");
        let missed: Vec<_> =
            scanned.missed.iter().map(|missed| (&*missed.resource, missed.failure.kind)).collect();
        let denied = FailureKind::Denied;
        assert_eq!(missed, [("arn:a", denied), ("arn:b", denied)]);
        for (index, expected) in [
            Some(r#"["environment_variables"]"#),
            Some(r#"["environment_variables","image_config","runtime_version_config"]"#),
            None,
        ]
        .into_iter()
        .enumerate()
        {
            let row = shown(&scanned.pages[0], index);
            let expected =
                expected.map_or("_not_collected".to_owned(), |names| format!("_not_collected `{names}`"));
            for line in [&expected, "environment_variables", "image_config", "runtime_version_config"] {
                assert!(row.lines().any(|shown| shown == line), "{line} isn't in {row}");
            }
        }
    }

    #[tokio::test]
    async fn only_a_column_that_was_asked_for_is_missed() {
        let body = r#"{"Functions":[{"FunctionName":"a","FunctionArn":"arn:a","Environment":{"Error":{}}}]}"#;
        for (column, missed) in [("name", 0), ("environment_variables", 1)] {
            let scanned = scan(&table(), &CannedHttp::ok(body), &[column], false).await.expect("a page");
            assert_eq!(scanned.missed.len(), missed, "{column}");
        }
    }

    #[tokio::test]
    async fn an_absent_list_is_not_an_empty_one() {
        for (body, rows) in [
            (r#"{"Functions":[],"NextMarker":null}"#, Some(0)),
            (r#"{"Functions":[],"NextMarker":""}"#, Some(0)),
            ("", None),
            ("{}", None),
            (r#"{"Functions":null}"#, None),
            (r#"{"Functions":[{}]}"#, None),
            (r#"{"Functions":[{"FunctionArn":"arn:a"}"#, None),
            (r#"{"Functions":[]"#, None),
            ("<html><body>Sign in to the network</body></html>", None),
            ("[]", None),
        ] {
            match (page(&table(), body).await, rows) {
                (Ok(page), Some(rows)) => assert_eq!(page.num_rows(), rows, "{body}"),
                (Err(failure), None) => {
                    assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{body}");
                    assert_eq!(failure.remedy, Remedy::TryAgain, "{body}");
                }
                (result, _) => panic!("{body}: {result:?}"),
            }
        }
    }

    #[test]
    fn times_have_an_offset_in_either_form() {
        for moment in
            ["2026-01-02T05:04:05.678+0200", "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678+00:00"]
        {
            assert_eq!(last_modified(moment).and_then(rfc3339).as_deref(), Some("2026-01-02T03:04:05.678Z"));
        }
        assert_eq!(last_modified("yesterday"), None);
    }
}
