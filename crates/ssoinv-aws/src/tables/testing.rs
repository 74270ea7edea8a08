//! Clients whose answers are written in the test, and rows as text.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_types::region::Region;
use ssoinv_core::clock::Clock;
use ssoinv_core::failure::Failure;
use ssoinv_core::json::rfc3339;
use ssoinv_core::scope::{Partition, Place, Scope};
use ssoinv_core::table::{ColumnType, RowContext};

use super::{AnyTable, RowPage, Service, ServiceClient};

/// An answer: status, headers, body.
pub(crate) type Canned = (u16, &'static [(&'static str, &'static str)], String);

/// A service that answers every call alike and remembers what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct CannedService {
    answer: Arc<Canned>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl HttpConnector for CannedService {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(|body| String::from_utf8_lossy(body).into_owned());
        let asked = format!("{} {} {}", request.method(), request.uri(), body.unwrap_or_default());
        self.asked.lock().expect("no panic").push(asked.trim_end().to_owned());
        let (status, headers, body) = &*self.answer;
        let status = StatusCode::try_from(*status).expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(body.clone()));
        for (name, value) in *headers {
            response.headers_mut().insert(*name, *value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl CannedService {
    pub(crate) fn new(answer: Canned) -> Self {
        Self { answer: Arc::new(answer), asked: Arc::default() }
    }

    /// Method, address and body of each call.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    pub(crate) fn client(&self, service: Service) -> ServiceClient {
        let connector = SharedHttpConnector::new(self.clone());
        client(service, http_client_fn(move |_, _| connector.clone()), None)
    }
}

/// A client with made-up keys.
pub(crate) fn client(service: Service, http: SharedHttpClient, endpoint: Option<&str>) -> ServiceClient {
    macro_rules! of {
        ($sdk:ident) => {{
            let config = $sdk::Config::builder()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .region(Region::new("eu-west-1"))
                .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
                .retry_config(RetryConfig::disabled())
                .http_client(http);
            let config = match endpoint {
                Some(endpoint) => config.endpoint_url(endpoint),
                None => config,
            };
            $sdk::Client::from_conf(config.build())
        }};
    }
    match service {
        Service::S3 => ServiceClient::S3(of!(aws_sdk_s3)),
        Service::Ec2 => ServiceClient::Ec2(of!(aws_sdk_ec2)),
        Service::Lambda => ServiceClient::Lambda(of!(aws_sdk_lambda)),
    }
}

/// 1 July 2026, midnight.
pub(crate) fn clock() -> Clock {
    Clock::from_fn(|| UNIX_EPOCH + Duration::from_hours(495_240))
}

pub(crate) fn scope(table: &dyn AnyTable) -> Scope {
    Scope {
        partition: Partition::Aws,
        account_id: "001122334455".parse().ok(),
        account_name: Some("audit".into()),
        role_name: Some("Audit".into()),
        profile: Some("dev".into()),
        place: if table.is_global() { Place::Global } else { Place::Region("eu-west-1".into()) },
    }
}

/// The page that `table` makes of an answer with a good status.
pub(crate) async fn page(
    table: &'static dyn AnyTable,
    body: &str,
    token: Option<&str>,
    include_secrets: bool,
) -> Result<RowPage, Failure> {
    let service = CannedService::new((200, &[("content-type", "text/plain")], body.to_owned()));
    let client = service.client(table.service());
    let scope = scope(table);
    table.page(&client, &RowContext { scope: &scope, include_secrets }, &clock(), token).await
}

/// What `table` asks for.
pub(crate) async fn asked(table: &'static dyn AnyTable, token: Option<&str>) -> String {
    let service = CannedService::new((500, &[], String::new()));
    let client = service.client(table.service());
    let scope = scope(table);
    let context = RowContext { scope: &scope, include_secrets: false };
    table.page(&client, &context, &clock(), token).await.expect_err("status 500");
    service.asked().join("\n")
}

/// One line a column: the value in the given row as text, nothing where it is null.
pub(crate) fn told(batch: &RecordBatch, row: usize) -> String {
    let mut lines = String::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        lines.push_str(field.name());
        if column.is_valid(row) {
            let value = match ColumnType::of_field(field) {
                ColumnType::Integer => column.as_primitive::<Int64Type>().value(row).to_string(),
                ColumnType::Boolean => column.as_boolean().value(row).to_string(),
                ColumnType::Timestamp => {
                    rfc3339(column.as_primitive::<TimestampMillisecondType>().value(row)).expect("a date")
                }
                _ => format!("`{}`", column.as_string::<i32>().value(row)),
            };
            lines.push(' ');
            lines.push_str(&value);
        }
        lines.push('\n');
    }
    lines
}

/// The text of the leaves of an XML document.
pub(crate) fn leaves(xml: &str) -> Vec<String> {
    let parts = xml.split('<').filter_map(|part| part.split_once('>'));
    parts.map(|(_, text)| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}
