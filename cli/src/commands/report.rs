//! `loopbox report`: what earlier builds asked their views for, and how reports differ.

mod diff;
mod page;

use std::fs;
use std::path::{Path, PathBuf};

use builder::report::BuildReport;
use builder::store::Store;
use builder::store_path::StorePath;

use crate::error::{CommandError, CommandResult};
use crate::exit::{DIFFERS, Status};
use crate::failures::UsageError;
use crate::output;
use crate::report::document::{AnyReport, Document, DocumentError};
use crate::report::tell_of;

/// Words of `loopbox report`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Derivations that were built here, outputs of such, or files that --report=FILE has written
    #[arg(value_name = "OUT|DRV|FILE", required = true)]
    of: Vec<PathBuf>,
    /// Print the reports as JSON
    #[arg(long)]
    json: bool,
    /// Write the reports to a file as a page for a browser
    #[arg(long, value_name = "PAGE", conflicts_with = "json")]
    html: Option<PathBuf>,
}

/// What else to do.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say how two reports differ: of two machines, or before and after a change. The exit code is 104 if they do
    Diff {
        /// A file that --report=FILE has written
        first: PathBuf,
        /// Another one
        second: PathBuf,
    },
}

/// Does it.
pub fn execute(arguments: &Arguments) -> CommandResult {
    if let Some(Action::Diff { first, second }) = &arguments.action {
        let lines = diff::lines(&Document::read(first)?, &Document::read(second)?);
        if lines.is_empty() {
            return Ok(Status::Done);
        }
        output::print(lines.join("\n"))?;
        return Ok(Status::Exited(DIFFERS.into()));
    }
    let store = Store::from_environment();
    let mut reports = Vec::new();
    for path in &arguments.of {
        reports.extend(find(path, &store)?);
    }
    if let Some(path) = &arguments.html {
        let page = page::page(&Document::new(reports));
        fs::write(path, page).map_err(|source| DocumentError::Write { path: path.clone(), source })?;
    } else if arguments.json {
        output::print_json(&Document::new(reports))?;
    } else {
        reports.iter().for_each(tell_of);
    }
    Ok(Status::Done)
}

/// What a file reports, or what was kept of the build of a store path.
fn find(path: &Path, store: &Store) -> Result<Vec<AnyReport>, CommandError> {
    // A link to an output means the output.
    let real = path.canonicalize();
    let of = real.as_deref().unwrap_or(path);
    let Ok(of) = StorePath::containing(of, store.directory()) else {
        return Ok(Document::read(path)?.reports);
    };
    let mut report = BuildReport::of_last_build(store, &of)?.ok_or_else(|| not_kept(&of, store))?;
    report.find_owners(store.directory());
    Ok(vec![AnyReport::Build(Box::new(report))])
}

fn not_kept(of: &StorePath, store: &Store) -> UsageError {
    UsageError {
        message: format!("no report of {} is kept here", store.locate(of).display()),
        hints: vec!["'loopbox build --check' builds a derivation again and keeps a report of that.".into()],
    }
}
