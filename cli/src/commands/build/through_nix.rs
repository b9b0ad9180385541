//! `loopbox build` through Nix: of derivations whose outputs get their paths from their contents, and by whoever is not root.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;

use builder::store::Store;
use builder::store_path::StorePath;
use builder::through_nix::{Outputs, ThroughNix};
use nix::unistd::geteuid;
use serde_json::{Value, json};

use super::{Arguments, links, results};
use crate::commands::builds::{self, BuildSetup};
use crate::error::{CommandError, CommandResult};
use crate::exit::Status;
use crate::failures::UsageError;
use crate::globals::Globals;
use crate::{itself, output};

/// Builds the derivations, some of which `is_missing`, and answers as for any others. What the builds hid is said by each of
/// them.
pub fn execute(
    arguments: &Arguments,
    globals: &Globals,
    setup: &BuildSetup,
    roots: &[StorePath],
    is_missing: bool,
) -> CommandResult {
    let BuildSetup { interrupt, store, settings } = setup;
    let is_root = geteuid().is_root();
    let what = match is_root {
        true => "outputs whose paths are not known before the build",
        false => "what ordinary users build",
    };
    if arguments.provided.backend != sandbox::backend::BackendKind::default() {
        return Err(UsageError {
            message: format!("only the backend nfs can build {what}"),
            hints: vec!["Leave out --backend.".into()],
        }
        .into());
    }
    if arguments.report.is_needed() {
        return Err(UsageError {
            message: format!("{}: Nix builds {what}", arguments.report.word()),
            hints: vec!["Each of its builds says what it hid.".into()],
        }
        .into());
    }
    arguments.conditions.check_no_faults(what)?;
    if is_root {
        settings.check_store()?;
    } else if let Some(word) = arguments.said_by_settings() {
        let message = format!("{word}: how the builds of ordinary users run, Nix's settings say");
        return Err(UsageError { message, hints: vec!["Leave it out, or run it with sudo.".into()] }.into());
    }
    if !is_root && !arguments.conditions.quota_words().is_empty() {
        let message =
            "--max-bytes, --max-inodes: Nix's settings say how much the builds of ordinary users may write";
        let hints = vec!["'external-builder' in the setting external-builders takes the same words.".into()];
        return Err(UsageError { message: message.into(), hints }.into());
    }
    let through = ThroughNix {
        derivations: roots,
        words: &arguments.words(),
        sandbox_paths: &builds::sandbox_paths(settings, &arguments.sandbox_paths)?,
        scratches: arguments.provided.scratches()?,
        builder_words: &arguments.conditions.quota_words(),
        loopbox: &itself::path()?,
        state: &globals.state_dir,
        cancel: interrupt.cancel(),
    };
    let realised = match is_root {
        true => through.realise(store, settings)?,
        false => {
            if is_missing {
                through.check_left(settings)?;
            }
            through.realise_by_daemon(store)?
        }
    };
    let ended = realised.status;
    if let Some(status) = interrupt.status() {
        return Ok(status);
    }
    match (ended.code(), ended.signal()) {
        (Some(0), _) if !arguments.dry_run => {}
        (Some(code), _) => return Ok(Status::Exited(code)),
        (None, signal) => return Ok(Status::Signaled(signal.unwrap_or_default())),
    }
    let outputs = through.outputs(store, &realised)?;
    if !arguments.no_out_link {
        links::make(store, &arguments.out_link, &outputs)?;
    }
    if arguments.json {
        results::print(&built(store, roots, &outputs)?)?;
        return Ok(Status::Done);
    }
    for (_, path) in outputs.iter().flatten() {
        output::print(store.locate(path).to_string_lossy())?;
    }
    Ok(Status::Done)
}

impl Arguments {
    /// A word that only who runs the builders himself has a say in.
    fn said_by_settings(&self) -> Option<&'static str> {
        let paths = (!self.sandbox_paths.is_empty()).then_some("--sandbox-paths");
        paths.or_else(|| self.provided.has_scratches().then_some("--scratch"))
    }

    /// The same wishes in the words of `nix-store --realise`.
    fn words(&self) -> Vec<OsString> {
        let flags = [
            (self.dry_run, "--dry-run"),
            (self.keep_failed, "--keep-failed"),
            (self.keep_going, "--keep-going"),
            (self.check, "--check"),
            (self.repair, "--repair"),
            (self.shown.is_quiet(), "--no-build-output"),
        ];
        let numbers = [
            ("--max-jobs", self.jobs.map(|jobs| jobs.to_string())),
            ("--cores", self.cores.map(|cores| cores.to_string())),
            ("--timeout", self.timeout.map(|seconds| seconds.to_string())),
            ("--max-silent-time", self.max_silent_time.map(|seconds| seconds.to_string())),
        ];
        let flags = flags.into_iter().filter(|(given, _)| *given).map(|(_, word)| word.into());
        let numbers = numbers.into_iter().filter_map(|(word, number)| Some([word.into(), number?.into()]));
        flags.chain(numbers.flatten()).collect()
    }
}

/// What was asked for. How each was built, only Nix knows.
fn built(store: &Store, roots: &[StorePath], outputs: &[Outputs]) -> Result<Value, CommandError> {
    let mut derivations = Vec::new();
    for (root, outputs) in roots.iter().zip(outputs) {
        let mut infos = store.infos(&outputs.iter().map(|(_, path)| path.clone()).collect())?;
        let outputs = outputs.iter().filter_map(|(name, path)| Some((name.clone(), infos.remove(path)?)));
        derivations.push(results::of_valid(store, root, outputs.collect()));
    }
    Ok(json!({ "derivations": derivations }))
}
