//! What `loopbox build-hook` does.

use std::collections::BTreeMap;
use std::io::{self, Stderr, StdinLock};
use std::sync::Arc;

use builder::build::{BuildError, BuildSlot, Options, Purpose};
use builder::build_hook::{AcceptedSlot, Connection, Declined, HookSlots, Level};
use builder::derivation::Derivation;
use builder::status::Failures;
use builder::store::{RegisterWhen, Settings, Store, version_of_starter};
use builder::store_path::StorePath;
use sandbox::backend::BackendKind;
use sandbox::causes::chain;
use sandbox::limits::Limits;
use sandbox::recovery::StateDir;
use signal_hook::consts::SIGHUP;

use super::Arguments;
use super::log::{HookLog, tell};
use crate::commands::builds::{self, BuildSetup};
use crate::commands::need_root;
use crate::error::{CommandError, CommandResult};
use crate::exit::{NIX_ERROR, Status};
use crate::globals::Globals;
use crate::report::listed;
use crate::signals::Interrupt;

/// What Nix says a derivation is built on.
const MACHINE: &str = "loopbox";

/// The directory of the hooks' slots, in the state directory.
const SLOTS: &str = "build-hooks";

/// What a hook ends with, as Nix up to 2.8 understands it; later versions ask only whether it is 0.
const FAILED: i32 = 100;
const TIMED_OUT: i32 = 101;

/// A derivation has this variable if its attributes are structured.
const STRUCTURED: &str = "__json";

type Nix = Connection<StdinLock<'static>, Stderr>;

/// A derivation that was offered and accepted.
struct AcceptedOffer {
    path: StorePath,
    derivation: Derivation<'static>,
    accepted: AcceptedSlot,
}

/// Answers offers until one is accepted, and builds that.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    let log = HookLog::inherit()?;
    let mut nix = Connection::new(io::stdin().lock(), io::stderr());
    let hook_settings = nix.settings()?;
    let store = Store::from_environment();
    let (mut settings, slots) = match prepare(arguments, globals, &store, &hook_settings) {
        Ok(prepared) => prepared,
        Err(error) => return refuse_all(&mut nix, &error),
    };
    let Some(AcceptedOffer { path, derivation, accepted }) = accept(&mut nix, &store, &settings, &slots)?
    else {
        return Ok(Status::Done);
    };
    let _slot = slots.wait_to_build(&accepted)?;
    if derivation.variable(STRUCTURED).is_some() {
        // What is written for such a derivation depends on it, and asking takes as long as a small build.
        settings.version = version_of_starter();
    }
    let interrupt = Interrupt::watch()?;
    let stop = interrupt.clone();
    log.watch(move || stop.stop(SIGHUP))?;
    // From here on Nix listens to the log and to messages alone.
    let setup = BuildSetup { interrupt, store, settings };
    match options(arguments, &setup.settings)
        .and_then(|options| build(setup, options, globals, log, &path, &derivation))
    {
        Ok(status) => Ok(status),
        Err(error) => {
            tell(Level::Error, error);
            Ok(Status::Exited(NIX_ERROR.into()))
        }
    }
}

fn prepare(
    arguments: &Arguments,
    globals: &Globals,
    store: &Store,
    hook_settings: &BTreeMap<String, String>,
) -> Result<(Settings, HookSlots), CommandError> {
    need_root()?;
    let settings = store.told_settings(hook_settings, (0, 0))?;
    settings.check_supported()?;
    settings.check_store()?;
    StateDir::open(&globals.state_dir)?;
    let slots =
        HookSlots::open(&globals.state_dir.join(SLOTS), arguments.max_jobs.unwrap_or(settings.max_jobs))?;
    // Nix runs it itself once the outputs are registered.
    Ok((Settings { post_build_hook: None, ..settings }, slots))
}

/// Leaves everything to Nix, and says why.
fn refuse_all(nix: &mut Nix, error: &CommandError) -> CommandResult {
    nix.tell(Level::Warning, &format!("loopbox builds nothing. {error}"))?;
    while nix.offer()?.is_some() {
        nix.decline_permanently()?;
    }
    Ok(Status::Done)
}

fn accept(
    nix: &mut Nix,
    store: &Store,
    settings: &Settings,
    slots: &HookSlots,
) -> Result<Option<AcceptedOffer>, CommandError> {
    while let Some(offer) = nix.offer()? {
        let (path, derivation) = match offer.derivation(store, settings) {
            Ok(found) => found,
            Err(declined) => {
                let level = if declined.is_usual() { Level::Debug } else { Level::Warning };
                nix.tell(level, &why_not(&offer.path, &declined))?;
                nix.decline()?;
                continue;
            }
        };
        match slots.accept()? {
            Some(accepted) => {
                nix.accept(MACHINE)?;
                return Ok(Some(AcceptedOffer { path, derivation, accepted }));
            }
            None => nix.postpone()?,
        }
    }
    Ok(None)
}

fn why_not(path: &str, declined: &Declined) -> String {
    let causes: Vec<String> = chain(declined).map(ToString::to_string).collect();
    format!("loopbox leaves '{path}' to Nix: {}", causes.join(": "))
}

/// Builds: Nix finds the outputs registered.
fn build(
    setup: BuildSetup,
    options: Options,
    globals: &Globals,
    log: HookLog,
    path: &StorePath,
    derivation: &Derivation<'_>,
) -> CommandResult {
    let interrupt = setup.interrupt.clone();
    let builder = builds::builder(setup, options, BackendKind::Nfs, globals, Arc::new(log))?;
    let slot = BuildSlot { slot: None, ticket: builder.store.ticket(), when: RegisterWhen::Now };
    match builder.build(path, derivation, Purpose::Make, slot) {
        Ok(built) => {
            let report = built.build.iter().flat_map(|stats| listed::of_build(&stats.report, None));
            report.for_each(|line| tell(Level::Warning, line));
            Ok(Status::Done)
        }
        Err(error) => Ok(interrupt.status().unwrap_or_else(|| failed(error))),
    }
}

fn options(arguments: &Arguments, settings: &Settings) -> Result<Options, CommandError> {
    Ok(Options {
        keep_failed: settings.keep_failed,
        sandbox_paths: builds::sandbox_paths(settings, &[])?,
        limits: Limits::new(settings.timeout, settings.max_silent_time, settings.max_build_log_size),
        conditions: arguments.quota.conditions(),
        in_build_hook: true,
        ..Options::default()
    })
}

/// Tells why, and what Nix is to think of it.
fn failed(error: BuildError) -> Status {
    let mut kinds = Failures::default();
    kinds.add(&error);
    if let Some(report) = error.report() {
        listed::of_build(report, None).into_iter().for_each(|line| tell(Level::Warning, line));
    }
    if let BuildError::Builder(failure) = &error
        && let Some(kept) = &failure.kept
    {
        tell(Level::Error, format_args!("note: keeping build directory {kept:?}"));
    }
    tell(Level::Error, CommandError::from(error));
    Status::Exited(match kinds.exit_status() {
        Some(101 | 103) => TIMED_OUT,
        Some(status) if i32::from(status) >= FAILED => FAILED,
        _ => NIX_ERROR.into(),
    })
}
