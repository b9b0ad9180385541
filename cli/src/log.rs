//! What loopbox logs for whoever looks for the cause of something.

use tracing_subscriber::EnvFilter;

use crate::globals::Globals;
use crate::output;

/// What a person chooses it with.
const VARIABLE: &str = "LOOPBOX_LOG";

/// Warnings, unless `LOOPBOX_LOG` or options say otherwise: a filter of `tracing-subscriber`, such as `debug`.
pub fn filter(globals: &Globals) -> String {
    let level = match (globals.quiet, globals.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    std::env::var(VARIABLE)
        .ok()
        .filter(|filter| EnvFilter::try_new(filter).is_ok())
        .unwrap_or_else(|| level.into())
}

/// Logs to standard error from now on.
pub fn to_stderr(filter: &str) {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(|| output::TracingOutput)
        .with_ansi(output::stderr_has_colour())
        // What cannot be written would be told with `eprintln!`.
        .log_internal_errors(false)
        .without_time()
        .init();
}
