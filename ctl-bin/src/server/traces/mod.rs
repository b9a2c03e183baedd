//! Traces for an OpenTelemetry collector (`docs/metrics.md`), if the program was built with the feature `otel`.

#[cfg(feature = "otel")]
mod exporter;

use std::str::FromStr;

use tracing_subscriber::Layer;
use ureq::http::Uri;

#[cfg(feature = "otel")]
pub(crate) use exporter::Traces;

/// What puts spans where they belong.
pub(crate) type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// Why no traces can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TracesError {
    #[cfg(not(feature = "otel"))]
    #[error(
        "otel-endpoint: this program was built without OpenTelemetry; build it with --features otel, or take the setting away"
    )]
    NotBuiltIn,
    #[cfg(feature = "otel")]
    #[error("traces cannot be sent to {endpoint}: {reason}; look at otel-endpoint and the variables OTEL_…")]
    Exporter { endpoint: String, reason: String },
}

/// Where a collector takes OTLP over HTTP; the path of traces comes after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(String);

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected an address like http://127.0.0.1:4318, got {text:?}");
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        // What is secret belongs into OTEL_EXPORTER_OTLP_HEADERS: settings are printed.
        let is_plain = uri.query().is_none()
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if is_http && is_plain { Ok(Self(text.trim_end_matches('/').to_owned())) } else { Err(expected()) }
    }
}

/// The way to the collector; without the feature there is none.
#[cfg(not(feature = "otel"))]
#[derive(Debug)]
pub(crate) enum Traces {}

#[cfg(not(feature = "otel"))]
impl Traces {
    pub(crate) fn start(endpoint: Option<&Endpoint>) -> Result<Option<Self>, TracesError> {
        endpoint.map_or(Ok(None), |_| Err(TracesError::NotBuiltIn))
    }

    pub(crate) fn layer<S>(&self) -> BoxedLayer<S> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_is_the_address_of_a_collector_without_a_secret() {
        for (text, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
            ("https://otel.example/x/", "https://otel.example/x"),
        ] {
            assert_eq!(text.parse(), Ok(Endpoint(expected.to_owned())));
        }
        for text in
            ["", "collector:4318", "ftp://a", "http://", "http://user:pass@a:1", "http://a:1/?key=secret"]
        {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(error.contains("http://127.0.0.1:4318"), "{text}: {error}");
        }
    }
}
