//! Words that limit what a program may write or have its calls fail, and what is said of it in the end.

use indicatif::BinaryBytes;
use sandbox::conditions::{ConditionReport, Conditions, Fault, InjectedFault, QuotaUsage, parse_size};
use sandbox::view::Quota;

use crate::backend_arguments::BackendArguments;
use crate::failures::UsageError;
use crate::output::name;

/// The policy of loopbox's daemon, which may allow less than somebody asks for.
const POLICY: &str = "/etc/loopbox/daemon.toml";

/// Limits of what is written.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct QuotaArguments {
    /// The most bytes that may be written in all writable places together, as in 500M; more fails with ENOSPC
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_bytes: Option<u64>,
    /// The most files, directories and links that may be made there
    #[arg(long, value_name = "N")]
    max_inodes: Option<u64>,
}

impl QuotaArguments {
    /// The quota that the options set.
    pub fn quota(self) -> Quota {
        Quota { bytes: self.max_bytes, inodes: self.max_inodes }
    }

    /// The same with nothing else.
    pub fn conditions(self) -> Conditions {
        Conditions { quota: self.quota(), ..Conditions::default() }
    }

    /// The words that were used, by their names.
    #[cfg(target_os = "linux")]
    pub fn words(self) -> Vec<String> {
        let bytes = self.max_bytes.map(|bytes| format!("--max-bytes={bytes}"));
        bytes.into_iter().chain(self.max_inodes.map(|inodes| format!("--max-inodes={inodes}"))).collect()
    }

    fn check(self, provided: &BackendArguments) -> Result<(), UsageError> {
        let word = if self.max_bytes.is_some() { "--max-bytes" } else { "--max-inodes" };
        check(word, &self.conditions(), provided)
    }
}

/// Limits of what is written, and faults.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConditionArguments {
    #[command(flatten)]
    quota: QuotaArguments,
    /// Inject faults: calls of the NFS client fail, are delayed or carry less data, as in
    /// op=write,path=/build/**,error=ENOSPC,after=1M (docs/faults.md has all keys); can be given again
    #[arg(long, value_name = "SPEC")]
    fault: Vec<Fault>,
}

impl ConditionArguments {
    /// The conditions that the options set.
    pub fn conditions(&self) -> Conditions {
        Conditions { faults: self.fault.clone(), ..self.quota.conditions() }
    }

    /// What they say of the quota alone.
    pub fn quota(&self) -> Quota {
        self.quota.quota()
    }

    /// The words that say how much may be written, by their names.
    #[cfg(target_os = "linux")]
    pub fn quota_words(&self) -> Vec<String> {
        self.quota.words()
    }

    /// Refuses backends and scratches that cannot do it.
    ///
    /// # Errors
    /// Something is asked for where loopbox's server does not see what is done.
    pub fn check(&self, provided: &BackendArguments) -> Result<(), UsageError> {
        self.quota.check(provided)?;
        check("--fault", &self.conditions(), provided)
    }

    /// Refuses faults where Nix itself builds.
    ///
    /// # Errors
    /// One is asked for.
    #[cfg(target_os = "linux")]
    pub fn check_no_faults(&self, what: &str) -> Result<(), UsageError> {
        match self.fault.is_empty() {
            true => Ok(()),
            false => Err(UsageError {
                message: format!("--fault: Nix builds {what}, and would register what came of faults"),
                hints: vec!["'loopbox shell' and 'loopbox run' take it.".into()],
            }),
        }
    }
}

fn check(word: &str, conditions: &Conditions, provided: &BackendArguments) -> Result<(), UsageError> {
    let wrong = |error: String, leave_out: &str| UsageError {
        message: format!("{word}: {error}"),
        hints: vec![format!("Leave out {leave_out}.")],
    };
    provided.backend.check(conditions).map_err(|error| wrong(error.to_string(), "--backend"))?;
    if provided.wants_local() && !conditions.are_none() {
        return Err(wrong("local scratches have no server that could do it".into(), "--scratch"));
    }
    Ok(())
}

/// A line for each limit that somebody has met, who was to have this quota, and for each fault.
pub fn lines(of: &str, imposed: &ConditionReport, asked: Quota) -> Vec<String> {
    let mut lines = limits_met(of, imposed.quota, asked);
    lines.extend(imposed.faults.iter().map(|injected| in_words(of, injected)));
    lines
}

fn limits_met(of: &str, usage: QuotaUsage, asked: Quota) -> Vec<String> {
    let QuotaUsage { quota, bytes_refused, inodes_refused } = usage;
    let bytes = quota.bytes.map(|bytes| {
        let raised = raised("--max-bytes", quota.bytes == asked.bytes);
        (bytes_refused, format!("{of} may write {}, which was not enough", BinaryBytes(bytes)), raised)
    });
    let inodes = quota.inodes.map(|inodes| {
        let raised = raised("--max-inodes", quota.inodes == asked.inodes);
        (inodes_refused, format!("{of} may make {inodes} files, which was not enough"), raised)
    });
    let met = bytes.into_iter().chain(inodes).filter(|(refused, ..)| *refused > 0);
    met.map(|(refused, what, raised)| format!("{what}: {} failed with ENOSPC. {raised}", calls(refused)))
        .collect()
}

fn in_words(of: &str, InjectedFault { fault, count, first }: &InjectedFault) -> String {
    match first {
        Some(first) => {
            format!("{of} had a fault on purpose in {}, first at {}: {fault}", calls(*count), name(first))
        }
        None => format!("{of} made no call that would have had this fault: {fault}"),
    }
}

fn raised(word: &str, asked_for: bool) -> String {
    match asked_for {
        true => format!("{word} raises the limit."),
        false => format!("{}-per-session in {POLICY} raises the limit.", word.trim_start_matches('-')),
    }
}

fn calls(count: u64) -> String {
    if count == 1 { "1 call".into() } else { format!("{count} calls") }
}
