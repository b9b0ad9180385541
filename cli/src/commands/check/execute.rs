//! What `loopbox check` does once its words are read: builds what is missing, then each derivation again and again.

use std::collections::HashSet;
use std::sync::Arc;

use builder::build::{Builder, Options};
use builder::check::{Change, CheckVerdict, Checked, check};
use builder::store_path::StorePath;
use builder::variation::Variation;
use sandbox::Scratches;
use sandbox::backend::BackendKind;
use sandbox::limits::Limits;

use super::Arguments;
use crate::commands::build::{progress::Progress, results};
use crate::commands::builds::{self, BuildSetup};
use crate::commands::need_root;
use crate::error::{CommandError, CommandResult};
use crate::exit::{DIFFERS, NOT_BUILT, Status};
use crate::failures::UsageError;
use crate::globals::Globals;
use crate::output;
use crate::report::document::short_name;
use crate::signals::Interrupt;

/// Checks, and answers.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    arguments.check()?;
    need_root()?;
    let setup = BuildSetup::make(Interrupt::watch()?, &arguments.evaluation)?;
    let BuildSetup { store, settings, interrupt } = &setup;
    let roots = arguments.evaluation.derivations(store, &arguments.targets)?;
    let options = Options {
        cores: arguments.cores,
        sandbox_paths: builds::sandbox_paths(settings, &arguments.sandbox_paths)?,
        limits: Limits::new(settings.timeout, settings.max_silent_time, settings.max_build_log_size),
        // What is otherwise, is otherwise than it was served before.
        scratches: Scratches::Nfs,
        ..Options::default()
    };
    let (progress, interrupt) = (Progress::new(false), interrupt.clone());
    let builder = builds::builder(setup, options, BackendKind::Nfs, globals, Arc::new(progress.clone()))?;
    let mut all = Vec::new();
    for root in &roots {
        let finished = builds::inputs_of(&builder, root)?;
        if let Some(status) = interrupt.status() {
            return Ok(status);
        }
        if !finished.failed.is_empty() {
            progress.end();
            return Ok(results::failed(&builder, finished.failed));
        }
        let checked = arguments.check_one(&builder, root);
        // What was interrupted has failed, and that is no news.
        if let Some(status) = interrupt.status() {
            return Ok(status);
        }
        all.push(checked?);
    }
    progress.end();
    if arguments.json {
        output::print_json(&all)?;
    } else {
        let texts: Vec<String> = all.iter().map(|checked| text(&builder, checked)).collect();
        output::print(texts.join("\n"))?;
    }
    Ok(status(&all))
}

impl Arguments {
    fn check(&self) -> Result<(), UsageError> {
        let different: HashSet<_> = self.vary.iter().map(std::mem::discriminant).collect();
        if different.len() == self.vary.len() {
            return Ok(());
        }
        Err(UsageError { message: "--vary names a variation twice".into(), hints: Vec::new() })
    }

    fn check_one(&self, builder: &Builder, root: &StorePath) -> Result<Checked, CommandError> {
        let name = short_name(&builder.store.locate(root));
        let derivation = builder.store.derivation(root)?;
        let begins = |variations: &[Variation]| match variations {
            [] => output::tell(format_args!("building {name} as it is")),
            [one] => output::tell(format_args!("building {name} with another {}", noun(*one))),
            _ => output::tell(format_args!("building {name} with everything varied")),
        };
        Ok(check(builder, root, &derivation, &self.vary, begins)?)
    }
}

/// What a variation is of.
fn noun(variation: Variation) -> &'static str {
    match variation {
        Variation::ReaddirOrder(_) => "order of names in directories",
        Variation::Times => "time of files",
        Variation::Inodes => "set of inode numbers",
        Variation::Uid => "user",
        Variation::Hostname => "host name",
        Variation::Umask => "umask",
        Variation::BuildPath => "build directory",
    }
}

/// A line with the verdict, and the differences below it.
fn text(builder: &Builder, checked: &Checked) -> String {
    let name = short_name(&builder.store.locate(&checked.derivation));
    let said = match checked.verdict {
        CheckVerdict::Same => format!("does not depend on {}", words(&checked.variations)),
        CheckVerdict::Depends => {
            let causes: Vec<Variation> =
                checked.changes.iter().flat_map(|change| change.variations.iter().copied()).collect();
            format!("depends on {}", words(&causes))
        }
        CheckVerdict::DependsOnSeveral => {
            format!("depends on several of {}, and on none of them alone", words(&checked.variations))
        }
        CheckVerdict::NotDeterministic => {
            "depends on the clock or on chance: built again without a variation, it differs".into()
        }
        CheckVerdict::Fails => "cannot be built".into(),
    };
    let changes: Vec<String> = checked.changes.iter().map(details).collect();
    format!("{name}: {said} ({} builds){}", checked.builds, changes.concat())
}

fn details(change: &Change) -> String {
    let with = if change.variations.is_empty() {
        String::new()
    } else {
        format!(" with {}", words(&change.variations))
    };
    let outputs = change.outputs.iter().map(|(name, differences)| {
        let (by, text) = match change.diffoscope.get(name) {
            Some(text) => (", as diffoscope shows it", format!("\n{text}").replace('\n', "\n  ")),
            None => ("", differences.to_string()),
        };
        format!("\n the output '{}'{with}{by}:{}", output::name(name), text.replace('\n', "\n "))
    });
    let failed = change.failed.iter().map(|error| format!("\n fails{with}: {error}"));
    outputs.chain(failed).collect()
}

fn words(variations: &[Variation]) -> String {
    variations.iter().map(Variation::to_string).collect::<Vec<_>>().join(", ")
}

fn status(all: &[Checked]) -> Status {
    if all.iter().any(|checked| checked.verdict == CheckVerdict::Fails) {
        return Status::Exited(NOT_BUILT.into());
    }
    match all.iter().all(|checked| checked.verdict == CheckVerdict::Same) {
        true => Status::Done,
        false => Status::Exited(DIFFERS.into()),
    }
}
