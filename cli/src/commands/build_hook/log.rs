//! What reaches Nix and its user while a hook builds.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use builder::build::{Event, LogEvent, Observer};
use builder::build_hook::{Connection, Level};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;

use crate::commands::build::progress::waiting_for;
use crate::failures::RunError;

/// The descriptors that Nix gives its hook for the build's log: where it is written, and where Nix itself reads it.
const LOG: RawFd = 4;
const LOG_READER: RawFd = 5;

/// Passes on what a build writes, as Nix keeps and shows it, and what its user may want to know.
pub struct HookLog {
    log: Mutex<File>,
}

impl HookLog {
    /// The one that Nix has opened. It stays open until this process ends: Nix takes its end for the build's.
    ///
    /// # Errors
    /// Nobody has.
    pub fn inherit() -> Result<HookLog, RunError> {
        // The descriptor that nobody may hold open but Nix.
        let take = |fd| sandbox::inherited(fd).map_err(RunError::NoHook);
        let (log, reader): (OwnedFd, OwnedFd) = (take(LOG)?, take(LOG_READER)?);
        drop(reader);
        Ok(HookLog { log: Mutex::new(log.into()) })
    }

    /// Calls `gone` once Nix has ended: then nobody holds the locks of the outputs any more. On Linux it has the kernel kill
    /// its hook as well (`PR_SET_PDEATHSIG`).
    ///
    /// # Errors
    /// When nobody can watch for that.
    pub fn watch(&self, gone: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let log = self.lock().try_clone()?;
        let watch = move || {
            // Without a reader, a pipe is in error, whatever is asked for (poll(2)).
            while !matches!(
                poll(&mut [PollFd::new(log.as_fd(), PollFlags::empty())], PollTimeout::NONE),
                Ok(1..)
            ) {}
            gone();
        };
        std::thread::Builder::new().name("nix".into()).spawn(watch)?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, line: &str) {
        // When Nix is gone, the build is about to be ended.
        let _ = self.lock().write_all(format!("{line}\n").as_bytes());
    }
}

impl Observer for HookLog {
    /// That a build begins, and what becomes of it, Nix says itself.
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Log(_, LogEvent::Line(line)) => self.write(line),
            Event::Log(_, LogEvent::Message(message)) => self.write(message),
            Event::Log(_, LogEvent::Phase(phase)) => {
                self.write(&format!("@nix {}", json!({ "action": "setPhase", "phase": phase })));
            }
            Event::Waiting(reason) => tell(Level::Information, waiting_for(reason)),
            Event::Hook(hook, line) => tell(Level::Information, format_args!("{hook}: {line}")),
            _ => {}
        }
    }
}

/// Tells Nix's user something. If Nix is gone, there is none.
pub fn tell(level: Level, message: impl Display) {
    let _ = Connection::new(io::empty(), io::stderr()).tell(level, &message.to_string());
}
