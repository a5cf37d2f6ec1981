//! Logs: structured, to the standard error, never with secrets.
//!
//! Only our own targets may speak below `warn`, whatever `LOG_LEVEL` says: libraries log whole requests at `debug` and
//! `trace`, and with them signed URLs, headers and credentials (RUSTSEC-2023-0125). Records of the `log` crate are not
//! bridged at all. A panic is logged with its place, and with its message only when that is a literal of the source, for a
//! formatted one may hold anything.

pub mod metrics;

use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::TelemetryConfig;

/// The root of our own targets.
const OURS: &str = "coffer";

/// How loud everyone else may be.
const OTHERS: LevelFilter = LevelFilter::WARN;

/// The embedded bucket's protocol crate may say nothing: it logs every absent object as an error, and next to a wrong
/// signature the right one. What fails on the disk, the bucket logs itself.
const SILENT: &str = "s3s";

/// Starts logging to the standard error and logs panics from now on. A second call changes nothing.
pub fn init(config: &TelemetryConfig) {
    if tracing::subscriber::set_global_default(subscriber(config, std::io::stderr)).is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

fn subscriber<W>(config: &TelemetryConfig, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if config.json {
        Box::new(lines.json().flatten_event(true).with_current_span(false).with_span_list(true))
    } else {
        Box::new(lines.with_ansi(false))
    };
    tracing_subscriber::registry().with(lines.with_filter(filter).with_filter(filter_fn(may_speak)))
}

fn may_speak(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    is_below(target, OURS) || (*metadata.level() <= OTHERS && !is_below(target, SILENT))
}

fn is_below(target: &str, root: &str) -> bool {
    target.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let message = info.payload().downcast_ref::<&'static str>().copied();
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    tracing::error!(place, thread, message = message.unwrap_or("(withheld: it was formatted)"), "panic");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, json: bool, speak: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let config = TelemetryConfig { filter: filter.to_owned(), json };
        tracing::subscriber::with_default(subscriber(&config, move || writer.clone()), speak);
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn libraries_are_capped_even_when_asked_to_trace() {
        for filter in
            ["trace", "trace,aws_sdk_s3=trace,hyper=trace,s3s=trace,aws_sigv4::http_request=trace,redis=trace"]
        {
            let text = logged(filter, false, || {
                tracing::trace!(target: "aws_sigv4::http_request", "canary-1");
                tracing::debug!(target: "aws_sdk_s3::operation", "canary-2");
                tracing::info!(target: "hyper::proto", "canary-3");
                tracing::debug!(target: "s3s::ops", "canary-4");
                tracing::trace!(target: "coffer_impostor", "canary-5");
                tracing::error!(target: "s3s::service", "canary-6");
                tracing::warn!(target: "rustls", "a warning");
                tracing::trace!(target: "coffer::log", "our own detail");
            });
            assert!(!text.contains("canary"), "{text}");
            assert!(text.contains("a warning") && text.contains("our own detail"), "{text}");
        }
    }

    #[test]
    fn levels_are_those_asked_for_and_json_is_one_object_a_line() {
        let text = logged("warn,coffer::log=debug", true, || {
            tracing::info!(target: "coffer::api", "hidden");
            tracing::span!(tracing::Level::WARN, "request", request_id = "r1").in_scope(|| {
                tracing::debug!(target: "coffer::log", entries = 7, "shown");
            });
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!((line["message"].as_str(), line["entries"].as_u64()), (Some("shown"), Some(7)));
        assert_eq!(line["target"], "coffer::log");
    }

    #[test]
    fn a_panic_shows_its_place_but_no_formatted_text() {
        let text = logged("info", false, || {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(log_panic));
            let secret = "canary-7";
            let _ = std::panic::catch_unwind(|| panic!("token {secret}"));
            let _ = std::panic::catch_unwind(|| panic!("a plain literal"));
            std::panic::set_hook(before);
        });
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("src/telemetry.rs") && text.contains("a plain literal"), "{text}");
    }
}
