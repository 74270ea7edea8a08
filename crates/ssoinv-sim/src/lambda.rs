//! Lambda: ListFunctions. Pages hold 50 functions at most, whatever `MaxItems` says; members are those of
//! `FunctionConfiguration` in the API reference, absent ones null as the service gives them.

use serde_json::{Map, Value, json};

use crate::clock;
use crate::http::{Params, Reply, page_start, page_token};
use crate::keys::Key;
use crate::refusal::Refusal;
use crate::resources::Function;
use crate::rng::{self, Rng};
use crate::state::State;

/// The largest page.
const PAGE: usize = 50;
/// The largest `MaxItems`.
const MAX_ITEMS: usize = 10_000;

fn invalid(message: String) -> Refusal {
    Refusal::new(400, "InvalidParameterValueException", message)
}

/// Answers ListFunctions.
pub(crate) fn list_functions(
    state: &State,
    caller: &Key,
    region: &str,
    params: &Params,
) -> Result<Reply, Refusal> {
    let list = rng::of_parts(&[4, caller.account as u64, rng::of_text(region)]);
    let size = match params.get("MaxItems") {
        None => PAGE,
        Some(text) => match text.parse::<usize>() {
            Ok(size @ 1..=MAX_ITEMS) => size.min(PAGE),
            _ => return Err(invalid(format!("Value {text} at 'maxItems' must be between 1 and {MAX_ITEMS}"))),
        },
    };
    let start = match params.get("Marker").filter(|marker| !marker.is_empty()) {
        None => 0,
        Some(marker) => page_start(list, marker).ok_or_else(|| invalid("Invalid Marker".to_owned()))?,
    };
    if let Some(version) = params.get("FunctionVersion").filter(|version| *version != "ALL") {
        return Err(invalid(format!("Value '{version}' at 'functionVersion' must be ALL")));
    }
    let count = state.organisation.function_count(caller.account, region);
    let end = (start + size).min(count);
    let functions: Vec<Value> = (start..end)
        .map(|number| state.organisation.function(caller.account, region, number))
        .map(|function| configuration(state, &caller.account_id, region, &function))
        .collect();
    let next = (end < count).then(|| page_token(list, end));
    Ok(Reply::json(200, &json!({"Functions": functions, "NextMarker": next})))
}

fn environment(function: &Function) -> Value {
    if function.environment_error {
        return json!({"Error": {
            "ErrorCode": "AccessDeniedException",
            "Message": "Lambda was unable to decrypt your environment variables because the KMS access was denied.",
        }});
    }
    if function.environment.is_empty() {
        return Value::Null;
    }
    let variables: Map<String, Value> =
        function.environment.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({"Variables": variables})
}

fn configuration(state: &State, account: &str, region: &str, function: &Function) -> Value {
    let mut rng = Rng::new(function.seed);
    let partition = state.partition();
    let arn = format!("arn:{partition}:lambda:{region}:{account}:function:{}", function.name);
    let vpc = function.vpc.then(|| {
        json!({
            "SubnetIds": [format!("subnet-0{}", rng.hex(16)), format!("subnet-0{}", rng.hex(16))],
            "SecurityGroupIds": [format!("sg-0{}", rng.hex(16))],
            "VpcId": format!("vpc-0{}", rng.hex(16)),
            "Ipv6AllowedForDualStack": false,
        })
    });
    let none = json!({"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": false});
    let layers: Vec<Value> = function
        .layers
        .iter()
        .map(|arn| {
            json!({"Arn": arn, "CodeSize": 1_000_000 + rng.below(60_000_000), "SigningProfileVersionArn": null,
                   "SigningJobArn": null})
        })
        .collect();
    let mut value = json!({
        "FunctionName": function.name,
        "FunctionArn": arn,
        "Role": format!("arn:{partition}:iam::{account}:role/service-role/{}-role-{}", function.name, rng.hex(8)),
        "CodeSize": 400 + rng.below(45_000_000),
        "Description": function.description,
        "Timeout": function.timeout,
        "MemorySize": function.memory,
        "LastModified": clock::iso_offset(function.modified),
        "CodeSha256": rng.base64(43) + "=",
        "Version": "$LATEST",
        "VpcConfig": vpc.unwrap_or(none),
        "DeadLetterConfig": function.dead_letters.then(|| {
            json!({"TargetArn": format!("arn:{partition}:sqs:{region}:{account}:{}-dlq", function.name)})
        }),
        "Environment": environment(function),
        "KMSKeyArn": function.environment_error.then(|| {
            format!("arn:{partition}:kms:{region}:{account}:key/{}", rng.uuid())
        }),
        "TracingConfig": {"Mode": if function.traced { "Active" } else { "PassThrough" }},
        "MasterArn": null,
        "RevisionId": rng.uuid(),
        "Layers": if layers.is_empty() { Value::Null } else { Value::Array(layers) },
        "State": null,
        "StateReason": null,
        "StateReasonCode": null,
        "LastUpdateStatus": null,
        "LastUpdateStatusReason": null,
        "LastUpdateStatusReasonCode": null,
        "FileSystemConfigs": function.file_system.then(|| {
            json!([{
                "Arn": format!(
                    "arn:{partition}:elasticfilesystem:{region}:{account}:access-point/fsap-0{}",
                    rng.hex(16)
                ),
                "LocalMountPath": "/mnt/models",
            }])
        }),
        "PackageType": if function.runtime.is_some() { "Zip" } else { "Image" },
        "ImageConfigResponse": null,
        "SigningProfileVersionArn": null,
        "SigningJobArn": null,
        "Architectures": [if function.arm { "arm64" } else { "x86_64" }],
        "EphemeralStorage": {"Size": if function.memory > 2048 { 2048 } else { 512 }},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "RuntimeVersionConfig": null,
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": format!("/aws/lambda/{}", function.name)},
    });
    if let Some(runtime) = &function.runtime {
        value["Runtime"] = runtime.as_str().into();
        value["Handler"] = function.handler.as_str().into();
    } else {
        value["ImageConfigResponse"] = json!({"ImageConfig": {"Command": [function.handler]}});
    }
    value
}
