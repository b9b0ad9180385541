//! What the server's process logs, logged by the process that started it.

use std::fmt::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use mounter::jail::control;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::request::{LogLine, ServerReport};

/// The most that this process logs.
pub(super) fn level() -> String {
    LevelFilter::current().to_string()
}

impl LogLine {
    /// Logs it here.
    pub fn log(&self) {
        let text = &self.text;
        match self.level.parse() {
            Ok(Level::WARN) => tracing::warn!("{text}"),
            Ok(Level::INFO) => tracing::info!("{text}"),
            Ok(Level::DEBUG) => tracing::debug!("{text}"),
            Ok(Level::TRACE) => tracing::trace!("{text}"),
            Ok(Level::ERROR) | Err(_) => tracing::error!("{text}"),
        }
    }
}

/// Sends what this process logs, and what its threads panic with.
pub(super) fn send(control: UnixStream, level: &str) {
    let level = level.parse().unwrap_or(LevelFilter::WARN);
    // It is the first in this process.
    let _ = tracing::subscriber::set_global_default(Sender { control: Mutex::new(control), level });
    std::panic::set_hook(Box::new(|panic| tracing::error!("the view's server: {panic}")));
}

struct Sender {
    control: Mutex<UnixStream>,
    level: LevelFilter,
}

/// Spans are not sent: the server has none.
impl Subscriber for Sender {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = event.metadata().level().to_string();
        let line = ServerReport::Log(LogLine { level, text: text.message + &text.fields });
        if let Ok(control) = self.control.lock() {
            // Who does not listen any more wants no log.
            let _ = control::send(&*control, &line);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        // To a string it cannot fail.
        let _ = written;
    }
}
