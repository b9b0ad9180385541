//! `--report`: what a program asked its view for, in a few lines for a person and as JSON in a file.

pub mod document;
pub mod listed;

use std::path::{Path, PathBuf};

use builder::report::{BuildReport, DeepOutcome, UnusedInput};
use document::{AnyReport, Document, DocumentError};
use sandbox::backend::BackendKind;
use sandbox::report::allow_list::{AllowList, AllowListError};
use sandbox::report::{EntryKind, NotShown, Report, Undeclared};

use crate::conditions;
use crate::failures::UsageError;
use crate::output::{self, name};

/// Paths that a line names; the file has all of them.
const NAMED: usize = 3;
/// Lines below the first.
const LINES_MAX: usize = 5;

/// Words of a command that reports.
#[derive(Debug, clap::Args)]
pub struct ReportArguments {
    /// Report what was asked for and not shown, refused, read, and shown without need; with a FILE, write it there as JSON
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    report: Option<Option<PathBuf>>,
    /// Report the whole paths of what is looked for in hidden directories: these can be walked, though nothing is in them. A
    /// command runs so; a derivation is built so first, and the outputs are compared and discarded
    #[arg(long, requires = "report")]
    deep: bool,
    /// Fail if paths of this machine are asked for that are not in the view, with the exit code 112. Hidden directories can be
    /// walked then, as with --deep
    #[arg(long)]
    strict: bool,
    /// Patterns of paths that --strict lets pass, one in each line, besides those that are known to be harmless
    #[arg(long, value_name = "FILE", requires = "strict")]
    strict_allow: Vec<PathBuf>,
}

impl ReportArguments {
    /// Whether one is wanted.
    pub fn is_wanted(&self) -> bool {
        self.report.is_some()
    }

    /// Whether somebody has to know what is asked for.
    pub fn is_needed(&self) -> bool {
        self.is_wanted() || self.strict
    }

    /// Whether hidden directories are to be walked.
    pub fn is_deep(&self) -> bool {
        self.deep || self.strict
    }

    /// What may be asked for, if not anything.
    ///
    /// # Errors
    /// A list of such paths cannot be read.
    pub fn allowed(&self) -> Result<Option<AllowList>, AllowListError> {
        self.strict.then(|| AllowList::read(&self.strict_allow)).transpose()
    }

    /// What asks for one, by its name on the command line.
    pub fn word(&self) -> &'static str {
        if self.strict { "--strict" } else { "--report" }
    }

    /// Refuses backends that are not asked for what they show, and systems that cannot show it.
    ///
    /// # Errors
    /// One is wanted of another backend than NFS, or a deep one on a Mac.
    pub fn check(&self, backend: BackendKind) -> Result<(), UsageError> {
        if self.is_deep() && cfg!(target_os = "macos") {
            let word = if self.strict { "--strict" } else { "--deep" };
            let message = format!("{word}: on a Mac a view's server may not look at what the view hides");
            return Err(UsageError { message, hints: vec![format!("Leave out {word}.")] });
        }
        if !self.is_needed() || backend == BackendKind::Nfs {
            return Ok(());
        }
        Err(UsageError {
            message: format!(
                "{}: nothing records what is asked of a view of the backend '{backend}'",
                self.word()
            ),
            hints: vec!["Leave out --backend.".into()],
        })
    }

    /// Keeps reports where they are wanted.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, reports: Vec<AnyReport>) -> Result<(), DocumentError> {
        let Some(Some(path)) = &self.report else { return Ok(()) };
        Document::new(reports).write(path)
    }
}

/// Tells a person what a build or a command asked for.
pub fn tell_of(report: &AnyReport) {
    match report {
        AnyReport::Build(build) => tell_of_build(&report.short_of(), build),
        AnyReport::Command(command) => tell_of_command(&command.access),
    }
}

fn tell_of_command(report: &Report) {
    let unused: Vec<&Path> = report.unused().map(|entry| entry.usage.at.as_path()).collect();
    let unused = (!unused.is_empty())
        .then(|| format!("not used: {} of {}: {}", unused.len(), shown(report), names(&unused)));
    let first = [undeclared(&report.not_shown)];
    tell("the command", report, first, unused);
}

fn tell_of_build(of: &str, report: &BuildReport) {
    let access = &report.access;
    let outcome = report.deep.as_ref().and_then(|deep| outcome(&deep.outcome));
    let first = [undeclared(report.not_shown()), outcome];
    tell(of, access, first, unused_inputs(access, &report.unused_inputs));
    conditions::lines(of, &access.imposed, access.imposed.quota.quota).iter().for_each(output::tell);
}

/// At most six lines: what matters first comes first.
fn tell<const N: usize>(of: &str, report: &Report, first: [Option<String>; N], unused: Option<String>) {
    let others = [refused(report), unused, Some(read(report)), written(report), missing(report)];
    output::tell(format_args!("report of {of}:"));
    for line in first.into_iter().chain(others).flatten().take(LINES_MAX) {
        output::tell(format_args!("  {line}"));
    }
}

fn undeclared(NotShown { undeclared, undeclared_incomplete, .. }: &NotShown) -> Option<String> {
    let owner = |found: &Undeclared| {
        let path = name(&found.path);
        found
            .owner
            .as_ref()
            .map_or(path.clone(), |owner| format!("{path} ({})", output::in_one_line(&owner.name())))
    };
    let listed: Vec<String> = undeclared.iter().take(NAMED).map(owner).collect();
    let more = more(undeclared.len(), if *undeclared_incomplete { " at least" } else { "" });
    (!undeclared.is_empty())
        .then(|| format!("asked for, on this machine and not in its view: {}{more}", listed.join(", ")))
}

/// How it went where hidden directories could be walked, if not as before.
fn outcome(outcome: &DeepOutcome) -> Option<String> {
    match outcome {
        DeepOutcome::Same => None,
        DeepOutcome::Differs { outputs } => {
            let outputs: Vec<String> = outputs.iter().map(name).collect();
            Some(format!("differs where hidden directories can be walked: {}", outputs.join(", ")))
        }
        DeepOutcome::Failed { error } => {
            Some(format!("fails where hidden directories can be walked: {}", output::in_one_line(error)))
        }
        DeepOutcome::Succeeded => Some("succeeds where hidden directories can be walked".into()),
    }
}

/// What may not be reached, and what may not be changed.
fn refused(report: &Report) -> Option<String> {
    let changes = &report.written.refused.paths;
    let others = report.refused.paths.iter().filter(|path| changes.binary_search(path).is_err());
    let part =
        |what: &str, paths: Vec<&Path>| (!paths.is_empty()).then(|| format!("{what}{}", names(&paths)));
    let others = part("", others.map(PathBuf::as_path).collect());
    let changes = part("changes of ", changes.iter().map(PathBuf::as_path).collect());
    let parts: Vec<String> = others.into_iter().chain(changes).collect();
    (!parts.is_empty()).then(|| format!("refused: {}", parts.join("; ")))
}

/// Those that the derivation could do without, if there are any.
fn unused_inputs(report: &Report, unused: &[UnusedInput]) -> Option<String> {
    let removable: Vec<&Path> =
        unused.iter().filter(|input| input.removable).map(|input| input.path.as_path()).collect();
    let more = match removable.len() {
        0 => String::new(),
        _ => format!("; the derivation could do without {}", names(&removable)),
    };
    (!unused.is_empty()).then(|| format!("not used: {} of {} inputs{more}", unused.len(), shown(report)))
}

fn read(report: &Report) -> String {
    let shown = report.entries.iter().filter(|entry| entry.kind != EntryKind::Scratch);
    let (files, bytes) = shown.fold((0, 0), |(files, bytes), entry| {
        (files + entry.usage.files_read, bytes + entry.usage.bytes_read)
    });
    let host: Vec<&Path> = report.host_files.iter().map(|file| file.path.as_path()).collect();
    let host = match host.len() {
        0 => String::new(),
        count => format!("; {count} of the host's own: {}", names(&host)),
    };
    format!("read: {}, {}{host}", output::count(files, "file", "files"), indicatif::BinaryBytes(bytes))
}

/// How much, and the files that most of it is in.
fn written(report: &Report) -> Option<String> {
    let usages = report.entries.iter().map(|entry| &entry.usage);
    let (files, bytes) = usages
        .fold((0, 0), |(files, bytes), usage| (files + usage.files_written, bytes + usage.bytes_written));
    let largest: Vec<String> = report.written.files.iter().take(NAMED).map(|file| name(&file.path)).collect();
    let named = match largest.len() {
        0 => String::new(),
        _ => format!(": {}{}", largest.join(", "), more(usize::try_from(files).unwrap_or(usize::MAX), "")),
    };
    let files = output::count(files, "file", "files");
    (bytes > 0).then(|| format!("written: {files}, {}{named}", indicatif::BinaryBytes(bytes)))
}

fn missing(report: &Report) -> Option<String> {
    let missing = report.not_shown.missing;
    (missing > 0)
        .then(|| format!("asked for, and nowhere: {}", output::count(missing as u64, "name", "names")))
}

/// How many entries of this machine it was shown.
fn shown(report: &Report) -> usize {
    report.entries.iter().filter(|entry| entry.kind != EntryKind::Scratch).count()
}

fn names(paths: &[&Path]) -> String {
    let listed: Vec<String> = paths.iter().take(NAMED).map(name).collect();
    format!("{}{}", listed.join(", "), more(paths.len(), ""))
}

fn more(count: usize, at_least: &str) -> String {
    match count.saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more}{at_least} more"),
    }
}
