//! Words that limit what a program may write, and what is said when it met the limit.

use indicatif::BinaryBytes;
use sandbox::conditions::{Conditions, Imposed, QuotaUsage, parse_size};
use sandbox::view::Quota;

use crate::backend_arguments::BackendArguments;
use crate::failures::UsageError;

/// The policy of loopbox's daemon, which may allow less than somebody asks for.
const POLICY: &str = "/etc/loopbox/daemon.toml";

/// Limits of what is written.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct QuotaArguments {
    /// Most bytes that may be written in all writable places together, as in 500M; more fails with ENOSPC
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_bytes: Option<u64>,
    /// Most files, directories and links that may be made there
    #[arg(long, value_name = "N")]
    max_inodes: Option<u64>,
}

impl QuotaArguments {
    /// What they say.
    pub fn quota(self) -> Quota {
        Quota { bytes: self.max_bytes, inodes: self.max_inodes }
    }

    /// The same with nothing else.
    pub fn conditions(self) -> Conditions {
        Conditions { quota: self.quota() }
    }

    /// The words that were used, by their names.
    pub fn words(self) -> Vec<String> {
        let bytes = self.max_bytes.map(|bytes| format!("--max-bytes={bytes}"));
        bytes.into_iter().chain(self.max_inodes.map(|inodes| format!("--max-inodes={inodes}"))).collect()
    }

    /// Refuses backends and scratches that cannot do it.
    ///
    /// # Errors
    /// Something is to be limited that is written without loopbox's server.
    pub fn check(self, provided: &BackendArguments) -> Result<(), UsageError> {
        let word = if self.max_bytes.is_some() { "--max-bytes" } else { "--max-inodes" };
        check(word, &self.conditions(), provided)
    }
}

fn check(word: &str, conditions: &Conditions, provided: &BackendArguments) -> Result<(), UsageError> {
    let wrong = |error: String, leave_out: &str| UsageError {
        message: format!("{word}: {error}"),
        hints: vec![format!("Leave out {leave_out}.")],
    };
    provided.backend.check(conditions).map_err(|error| wrong(error.to_string(), "--backend"))?;
    if provided.wants_local() && !conditions.are_none() {
        return Err(wrong("what is local takes no server that could do it".into(), "--scratch"));
    }
    Ok(())
}

/// A line for each limit that somebody has met, who was to have this quota.
pub fn lines(of: &str, imposed: &Imposed, asked: Quota) -> Vec<String> {
    let QuotaUsage { quota, bytes_refused, inodes_refused } = imposed.quota;
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

fn raised(word: &str, asked_for: bool) -> String {
    match asked_for {
        true => format!("{word} raises the limit."),
        false => format!("{}-per-session in {POLICY} raises the limit.", word.trim_start_matches('-')),
    }
}

fn calls(count: u64) -> String {
    if count == 1 { "1 call".into() } else { format!("{count} calls") }
}
