//! Which logs are shown while builds run, by the options of Nix's programs.

use clap::ValueEnum;

use super::progress::Progress;

/// What of builds is shown.
#[derive(Debug, clap::Args)]
pub struct LogArguments {
    /// Print no build logs, except of failed builds
    #[arg(short = 'Q', long)]
    no_build_output: bool,
    /// Print build logs: the default, unless --log-format says otherwise
    #[arg(short = 'L', long, conflicts_with = "no_build_output")]
    print_build_logs: bool,
    /// Format: raw prints plain lines, bar and multiline show no logs
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// The paths of the outputs are always printed
    #[arg(long, hide = true)]
    print_out_paths: bool,
}

/// The formats of Nix that people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Raw,
    Bar,
    BarWithLogs,
    Multiline,
    MultilineWithLogs,
}

impl LogArguments {
    /// Whether what builds write is left out.
    pub fn is_quiet(&self) -> bool {
        let without_logs = matches!(self.log_format, Some(LogFormat::Bar | LogFormat::Multiline));
        self.no_build_output || (without_logs && !self.print_build_logs)
    }

    /// What shows it.
    pub fn progress(&self) -> Progress {
        match self.log_format {
            Some(LogFormat::Raw) => Progress::in_lines(self.is_quiet()),
            _ => Progress::new(self.is_quiet()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        shown: LogArguments,
    }

    #[test]
    fn logs_are_shown_unless_somebody_says_otherwise() {
        let read = |words: &[&str]| {
            let line = Line::try_parse_from(["loopbox"].iter().chain(words)).ok()?;
            Some((line.shown.is_quiet(), line.shown.log_format))
        };
        assert_eq!(read(&[]), Some((false, None)));
        assert_eq!(read(&["-Q"]), Some((true, None)));
        assert_eq!(read(&["-L", "--print-out-paths"]), Some((false, None)));
        assert_eq!(read(&["--log-format", "raw"]), Some((false, Some(LogFormat::Raw))));
        assert_eq!(read(&["--log-format", "bar"]), Some((true, Some(LogFormat::Bar))));
        assert_eq!(read(&["--log-format", "bar", "-L"]), Some((false, Some(LogFormat::Bar))));
        assert_eq!(read(&["--log-format", "bar-with-logs"]), Some((false, Some(LogFormat::BarWithLogs))));
        assert_eq!(read(&["--log-format", "internal-json"]), None);
        assert_eq!(read(&["-L", "-Q"]), None);
    }
}
