//! Lambda: ListFunctions. A page has at most 50 functions, also for a larger `MaxItems`. Members are those of
//! `FunctionConfiguration` in the API reference; absent ones are null, as in the service's responses.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::errors::ServiceError;
use crate::http::Response;
use crate::keys::Key;
use crate::limits::Rate;
use crate::paging::{page_start, page_token};
use crate::protocol::{Protocol, json};
use crate::resources::Function;
use crate::rng::{self, Rng};
use crate::service::Service;
use crate::service_definition::{
    Access, Handler, HandlerResult, Invocation, Operation, RateScope, Route, ServiceDefinition,
};

impl Service {
    /// Lambda.
    pub const LAMBDA: Self = Self::new("lambda");
}

pub(crate) const SERVICE: ServiceDefinition = ServiceDefinition {
    service: Service::LAMBDA,
    host_prefixes: &["lambda", "lambda-fips"],
    global_hosts: &[],
    access: Access::Signed,
    protocol: Protocol { write_error, ..json::REST_JSON },
    query_version: None,
    // "Lambda quotas": control plane API requests.
    documented_rate: Some(Rate { burst: 15.0, per_second: 15.0 }),
    rate_scope: RateScope::AccountAndRegion,
    operations: &[Operation::new(
        "ListFunctions",
        Route::Path("GET", "/2015-03-31/functions"),
        Handler::Signed(list_functions),
    )],
};

/// The largest page.
const PAGE: usize = 50;
/// The largest `MaxItems`.
const MAX_ITEMS: usize = 10_000;

fn write_error(error: &ServiceError, _request_id: &str) -> Response {
    let message = &error.message;
    let body = match error.code {
        "TooManyRequestsException" => {
            json!({"Reason": "CallerRateLimitExceeded", "Type": "User", "message": message})
        }
        "ServiceException" => json!({"Type": "Service", "Message": message}),
        // Lambda's own errors have a capital letter, those of the gateway a small one.
        "AccessDeniedException" | "InvalidParameterValueException" => {
            json!({"Type": "User", "Message": message})
        }
        _ => json!({"message": message}),
    };
    Response::json(error.status, &body).with("x-amzn-errortype", error.code)
}

fn invalid(message: String) -> ServiceError {
    ServiceError::new(400, "InvalidParameterValueException", message)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Page<'a> {
    functions: Vec<Configuration<'a>>,
    next_marker: Option<String>,
}

fn list_functions(invocation: &Invocation<'_>, caller: &Key) -> HandlerResult {
    let Invocation { state, params, region, .. } = *invocation;
    let list = rng::of_parts(&[4, caller.account as u64, rng::of_text(region)]);
    let size = match params.get("MaxItems") {
        None => PAGE,
        Some(text) => match text.parse::<usize>() {
            Ok(size @ 1..=MAX_ITEMS) => size.min(PAGE),
            _ => {
                return Err(invalid(format!("Value {text} at 'maxItems' must be between 1 and {MAX_ITEMS}")));
            }
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
    let functions: Vec<Function> =
        (start..end).map(|number| state.organisation.function(caller.account, region, number)).collect();
    let functions = functions
        .iter()
        .map(|function| configuration(state.partition(), &caller.account_id, region, function))
        .collect();
    let page = Page { functions, next_marker: (end < count).then(|| page_token(list, end)) };
    Ok(Response::json(200, &page))
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

/// `FunctionConfiguration`. Nested types are JSON values.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration<'a> {
    function_name: &'a str,
    function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<&'a str>,
    role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<&'a str>,
    code_size: u64,
    description: &'a str,
    timeout: u32,
    memory_size: u32,
    last_modified: String,
    code_sha256: String,
    version: &'a str,
    vpc_config: Value,
    dead_letter_config: Option<Value>,
    environment: Value,
    #[serde(rename = "KMSKeyArn")]
    kms_key_arn: Option<String>,
    tracing_config: Value,
    master_arn: Option<&'a str>,
    revision_id: String,
    layers: Option<Vec<Value>>,
    state: Option<&'a str>,
    state_reason: Option<&'a str>,
    state_reason_code: Option<&'a str>,
    last_update_status: Option<&'a str>,
    last_update_status_reason: Option<&'a str>,
    last_update_status_reason_code: Option<&'a str>,
    file_system_configs: Option<Value>,
    package_type: &'a str,
    image_config_response: Option<Value>,
    signing_profile_version_arn: Option<&'a str>,
    signing_job_arn: Option<&'a str>,
    architectures: [&'a str; 1],
    ephemeral_storage: Value,
    snap_start: Value,
    runtime_version_config: Option<Value>,
    logging_config: Value,
}

fn vpc_config(function: &Function, rng: &mut Rng) -> Value {
    if !function.vpc {
        return json!({"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": false});
    }
    json!({
        "SubnetIds": [format!("subnet-0{}", rng.hex(16)), format!("subnet-0{}", rng.hex(16))],
        "SecurityGroupIds": [format!("sg-0{}", rng.hex(16))],
        "VpcId": format!("vpc-0{}", rng.hex(16)),
        "Ipv6AllowedForDualStack": false,
    })
}

fn layers(function: &Function, rng: &mut Rng) -> Option<Vec<Value>> {
    let layer = |arn: &String| {
        json!({"Arn": arn, "CodeSize": 1_000_000 + rng.below(60_000_000), "SigningProfileVersionArn": null,
               "SigningJobArn": null})
    };
    (!function.layers.is_empty()).then(|| function.layers.iter().map(layer).collect())
}

fn configuration<'a>(
    partition: &str,
    account: &str,
    region: &str,
    function: &'a Function,
) -> Configuration<'a> {
    let mut rng = Rng::new(function.seed);
    let name = function.name.as_str();
    let arn =
        |service: &str, resource: String| format!("arn:{partition}:{service}:{region}:{account}:{resource}");
    let runtime = function.runtime.as_deref();
    Configuration {
        function_name: name,
        function_arn: arn("lambda", format!("function:{name}")),
        runtime,
        role: format!("arn:{partition}:iam::{account}:role/service-role/{name}-role-{}", rng.hex(8)),
        handler: runtime.map(|_| function.handler.as_str()),
        code_size: 400 + rng.below(45_000_000),
        description: &function.description,
        timeout: function.timeout,
        memory_size: function.memory,
        last_modified: clock::iso_offset(function.modified),
        code_sha256: rng.base64(43) + "=",
        version: "$LATEST",
        vpc_config: vpc_config(function, &mut rng),
        dead_letter_config: function
            .dead_letters
            .then(|| json!({"TargetArn": arn("sqs", format!("{name}-dlq"))})),
        environment: environment(function),
        kms_key_arn: function.environment_error.then(|| arn("kms", format!("key/{}", rng.uuid()))),
        tracing_config: json!({"Mode": if function.traced { "Active" } else { "PassThrough" }}),
        master_arn: None,
        revision_id: rng.uuid(),
        layers: layers(function, &mut rng),
        state: None,
        state_reason: None,
        state_reason_code: None,
        last_update_status: None,
        last_update_status_reason: None,
        last_update_status_reason_code: None,
        file_system_configs: function.file_system.then(|| {
            let point = arn("elasticfilesystem", format!("access-point/fsap-0{}", rng.hex(16)));
            json!([{"Arn": point, "LocalMountPath": "/mnt/models"}])
        }),
        package_type: if runtime.is_some() { "Zip" } else { "Image" },
        image_config_response: runtime
            .is_none()
            .then(|| json!({"ImageConfig": {"Command": [&function.handler]}})),
        signing_profile_version_arn: None,
        signing_job_arn: None,
        architectures: [if function.arm { "arm64" } else { "x86_64" }],
        ephemeral_storage: json!({"Size": if function.memory > 2048 { 2048 } else { 512 }}),
        snap_start: json!({"ApplyOn": "None", "OptimizationStatus": "Off"}),
        runtime_version_config: None,
        logging_config: json!({"LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}")}),
    }
}
