//! What AWS's SDK alone takes for what `ssoinv instances` does: `ssoinv-bench` runs it beside ssoinv, against the same
//! simulator, and compares the CPU time of both. Here, since the SDK's crates are used in this crate and `ssoinv-sso`
//! only.
//!
//! ```text
//! sdk_pages URL HOME REGION,… REPLAYS
//! ```
//!
//! Lists the instances of each role whose credentials lie in `HOME/.aws/cli/cache`, page by page, in each region, and
//! prints how many there were. Each page that came is parsed `REPLAYS` times more, from memory: what the CPU time grows
//! by, from one number of them to another, is what parsing takes and nothing else.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::{env, fs, io};

use aws_credential_types::Credentials;
use aws_sdk_ec2::config::{BehaviorVersion, Region};
use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::{Client, Config};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::RetryConfig;
use mimalloc::MiMalloc;
use serde_json::Value;
use tokio::task::JoinSet;

/// As in ssoinv, so that the two differ in their work alone.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type AnyError = Box<dyn Error + Send + Sync>;

/// The body of the latest page.
#[derive(Clone, Debug, Default)]
struct Tape(Arc<Mutex<Option<SdkBody>>>);

impl Tape {
    fn record(&self, body: Option<SdkBody>) {
        if let Ok(mut held) = self.0.lock() {
            *held = body;
        }
    }

    fn body(&self) -> Option<SdkBody> {
        self.0.lock().ok().and_then(|held| held.as_ref().and_then(SdkBody::try_clone))
    }
}

#[dyn_dispatch_hint]
impl Intercept for Tape {
    fn name(&self) -> &'static str {
        "Tape"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The bytes are counted references: nothing is copied.
        self.record(context.response().body().try_clone());
        Ok(())
    }
}

impl HttpConnector for Tape {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let body = self.body().unwrap_or_else(SdkBody::empty);
        HttpConnectorFuture::ready(StatusCode::try_from(200).map_or_else(
            |error| Err(ConnectorError::user(error.into())),
            |status| Ok(HttpResponse::new(status, body)),
        ))
    }
}

impl Tape {
    fn player(&self) -> SharedHttpClient {
        let tape = self.clone();
        http_client_fn(move |_, _| SharedHttpConnector::new(tape.clone()))
    }
}

fn instances(page: &DescribeInstancesOutput) -> usize {
    page.reservations().iter().map(|reservation| reservation.instances().len()).sum()
}

/// Lists one account's instances in one region.
async fn list(config: aws_sdk_ec2::config::Builder, replays: usize) -> Result<usize, AnyError> {
    let tape = Tape::default();
    let config = config.retry_config(RetryConfig::disabled());
    let client = Client::from_conf(config.clone().interceptor(tape.clone()).build());
    let replay = Client::from_conf(config.http_client(tape.player()).build());
    let (mut found, mut token) = (0, None);
    loop {
        let page = client.describe_instances().max_results(1000).set_next_token(token).send().await?;
        let here = instances(&page);
        for _ in 0..replays {
            let again = replay.describe_instances().max_results(1000).send().await?;
            if instances(&again) != here {
                return Err("a page that was parsed again has other instances".into());
            }
        }
        found += here;
        token = page.next_token;
        if token.is_none() {
            return Ok(found);
        }
    }
}

fn credentials(file: &Path) -> Result<Credentials, AnyError> {
    let file: Value = serde_json::from_slice(&fs::read(file)?)?;
    let text = |name: &str| {
        let value = file["Credentials"][name].as_str();
        value.map(str::to_owned).ok_or_else(|| format!("no {name} in the cached credentials"))
    };
    let token = Some(text("SessionToken")?);
    Ok(Credentials::new(text("AccessKeyId")?, text("SecretAccessKey")?, token, None, "cache"))
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, home, regions, replays] = &arguments[..] else {
        return Err("usage: sdk_pages URL HOME REGION,… REPLAYS".into());
    };
    let replays: usize = replays.parse()?;
    let mut lists = JoinSet::new();
    for entry in fs::read_dir(Path::new(home).join(".aws").join("cli").join("cache"))? {
        let credentials = credentials(&entry?.path())?;
        for region in regions.split(',') {
            let config = Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(url)
                .region(Region::new(region.to_owned()))
                .credentials_provider(credentials.clone());
            lists.spawn(list(config, replays));
        }
    }
    let mut found = 0;
    while let Some(list) = lists.join_next().await {
        found += list??;
    }
    writeln!(io::stdout(), "{found}")?;
    Ok(())
}
