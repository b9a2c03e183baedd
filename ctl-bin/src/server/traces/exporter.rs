//! Sends spans by OTLP over HTTP.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use ctl_http::SPANS;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use ureq::Agent;
use ureq::http::{Request, Response};

use super::{BoxedLayer, Endpoint, TracesError};
use crate::cli::client::native_tls;

/// What other programs in Rust and elsewhere look at, for all signals.
const USUAL_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// What goes after the address of the collector.
const PATH: &str = "/v1/traces";
/// How long the collector has to take some spans; they are sent from a thread of their own.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may hold up the end of the program.
const LAST_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest answer of a collector in bytes: it says what it did not take.
const MAX_ANSWER: u64 = 64 << 10;

/// The way to the collector. What has not been sent is sent when it is dropped.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send to `endpoint`, or where the usual variable says; nowhere if nobody says it.
    pub(crate) fn start(endpoint: Option<&Endpoint>) -> Result<Option<Self>, TracesError> {
        let usual = || std::env::var(USUAL_VARIABLE).ok().filter(|text| !text.is_empty());
        let endpoint = match (endpoint.cloned(), usual()) {
            (Some(endpoint), _) => endpoint,
            (None, Some(text)) => text.parse().map_err(|reason| {
                let endpoint = format!("what {USUAL_VARIABLE} says");
                TracesError::Exporter { endpoint, reason }
            })?,
            (None, None) => return Ok(None),
        };
        let Endpoint(endpoint) = endpoint;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .with_endpoint(format!("{endpoint}{PATH}"))
            .build()
            .map_err(|error| TracesError::Exporter { endpoint, reason: error.to_string() })?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let mut resource = Resource::builder().with_attribute(version);
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("ctl-bin");
        }
        let provider = SdkTracerProvider::builder().with_resource(resource.build());
        Ok(Some(Self(provider.with_batch_exporter(exporter).build())))
    }

    /// Returns what takes the spans of [`SPANS`], and nothing that is for the log.
    pub(crate) fn layer<S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync>(&self) -> BoxedLayer<S> {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("ctl-bin"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == SPANS))
            .boxed()
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(reason) = self.0.shutdown_with_timeout(LAST_TIMEOUT) {
            warn!(%reason, "the last traces were not sent");
        }
    }
}

/// Sends what the exporter has, and waits for the answer: it has a thread for that.
#[derive(Debug)]
struct Client(Agent);

impl Client {
    fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(SEND_TIMEOUT))
            .tls_config(native_tls());
        Self(config.build().into())
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(parts, &*body))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}

impl HttpClient for Client {
    fn send_bytes<'c, 'f>(
        &'c self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'c: 'f,
        Self: 'f,
    {
        let answer = self.send(request);
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => warn!(status = answer.status().as_u16(), "the collector does not take traces"),
            Err(reason) => warn!(%reason, "traces do not reach the collector"),
        }
        let answer: Ready<_> = ready(answer);
        Box::pin(answer)
    }
}
