//! What `csrutil status` says of System Integrity Protection's guard over files.

use serde::{Deserialize, Serialize};

/// Whether the kernel guards the system's files (`CSR_ALLOW_UNRESTRICTED_FS` of `bsd/sys/csr.h` is not set).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sip {
    /// The system's files are protected.
    Protects,
    /// It does not.
    Off,
    /// That cannot be made out.
    Unknown,
}

/// The line that tells of files, in an answer that lists the guards one by one.
const FILES: &str = "filesystem protections:";
/// The line that tells of all at once.
const STATUS: &str = "system integrity protection status:";

impl Sip {
    /// Reads an answer. Where guards are listed one by one, theirs is the last word: the first line then says
    /// `unknown (Custom Configuration).` or `enabled (Custom Configuration).`, whichever it is.
    #[must_use]
    pub fn read(answer: &str) -> Sip {
        let answer = answer.to_ascii_lowercase();
        let value = |name: &str| {
            let line = answer.lines().find_map(|line| line.trim().strip_prefix(name));
            line.map(|value| value.trim().trim_end_matches('.'))
        };
        let known = |value: &str| match value {
            "enabled" => Some(Sip::Protects),
            "disabled" => Some(Sip::Off),
            _ => None,
        };
        value(FILES).or_else(|| value(STATUS)).and_then(known).unwrap_or(Sip::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::Sip;

    /// As Catalina prints it; later systems print more lines of the same kind.
    fn custom(status: &str, files: &str) -> String {
        format!(
            "System Integrity Protection status: {status} (Custom Configuration).\n\nConfiguration:\n\
             \tApple Internal: disabled\n\tKext Signing: enabled\n\tFilesystem Protections: {files}\n\
             \tDebugging Restrictions: enabled\n\tDTrace Restrictions: enabled\n\tNVRAM Protections: enabled\n\
             \tBaseSystem Verification: enabled\n\tBoot-arg Restrictions: enabled\n\
             \tKernel Integrity Protections: disabled\n\tAuthenticated Root Requirement: enabled\n\n\
             This is an unsupported configuration, likely to break in the future and leave your machine in an \
             unknown state.\n"
        )
    }

    #[test]
    fn every_known_answer_is_understood() {
        let answers = [
            ("System Integrity Protection status: enabled.\n".to_owned(), Sip::Protects),
            ("System Integrity Protection status: enabled\n".to_owned(), Sip::Protects),
            ("System Integrity Protection status: disabled.\n".to_owned(), Sip::Off),
            (custom("enabled", "enabled"), Sip::Protects),
            (custom("enabled", "disabled"), Sip::Off),
            (custom("unknown", "enabled"), Sip::Protects),
            (custom("unknown", "disabled"), Sip::Off),
            // `csrutil enable --without fs` of the first systems that had it.
            ("System Integrity Protection status: enabled (Custom Configuration).\n\nConfiguration:\n\tApple Internal: \
              disabled\n\tKext Signing: enabled\n\tFilesystem Protections: disabled\n".to_owned(), Sip::Off),
        ];
        for (answer, expected) in answers {
            assert_eq!(Sip::read(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn other_answers_are_not_guessed_at() {
        let unknown = [
            "",
            "csrutil: command not found",
            "System Integrity Protection status: unknown.",
            "System Integrity Protection status: enabled (Custom Configuration).",
            "System Integrity Protection status:",
            "Filesystem Protections: sometimes",
        ];
        for answer in unknown {
            assert_eq!(Sip::read(answer), Sip::Unknown, "{answer}");
        }
    }
}
