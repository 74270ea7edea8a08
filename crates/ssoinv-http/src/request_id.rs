//! The request ID of a response, taken from its headers whether the call succeeded or not.
//!
//! The SDK gives the ID of an error, and of a success only through each operation's own output type. The ledger names
//! the last response of every operation, so that the calls can be found in CloudTrail: [`RequestIdRecorder`] wraps the
//! HTTP client of one call.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_runtime_api::shared::IntoShared;
use aws_smithy_types::config_bag::ConfigBag;

/// The headers that carry the ID: most services', S3's.
const HEADERS: [&str; 2] = ["x-amzn-requestid", "x-amz-request-id"];

/// IDs are 36 characters or fewer; a longer header isn't an ID.
const LONGEST: usize = 128;

/// Remembers the request ID of the last response.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestIdRecorder(Arc<Mutex<Option<String>>>);

impl RequestIdRecorder {
    /// Returns a client that calls through `inner`.
    #[must_use]
    pub(crate) fn wrap(&self, inner: SharedHttpClient) -> SharedHttpClient {
        RecordingClient { inner, recorder: self.clone() }.into_shared()
    }

    /// Returns the ID of the last response, and forgets it.
    #[must_use]
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn record(&self, id: &str) {
        if id.len() <= LONGEST && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
        }
    }
}

#[derive(Clone, Debug)]
struct RecordingClient {
    inner: SharedHttpClient,
    recorder: RequestIdRecorder,
}

impl HttpClient for RecordingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(RecordingConnector { inner, recorder: self.recorder.clone() })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct RecordingConnector {
    inner: SharedHttpConnector,
    recorder: RequestIdRecorder,
}

impl HttpConnector for RecordingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (response, recorder) = (self.inner.call(request), self.recorder.clone());
        HttpConnectorFuture::new(async move {
            let response = response.await?;
            if let Some(id) = HEADERS.iter().find_map(|name| response.headers().get(*name)) {
                recorder.record(id);
            }
            Ok(response)
        })
    }
}
