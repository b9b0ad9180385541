//! Nix's own sandbox: how long it takes from the first of its directories until the builder runs in it.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::{Size, trees};
use crate::command::{command, quiet, text};

/// Says how old the oldest of the sandbox's own directories is, by a file that the builder makes at once.
const BUILDER: &str = "touch now; stat -c %y /tmp now > $out";

/// Nobody reads what it would be of.
const HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A store that knows the closures.
pub struct Nix<'a> {
    configuration: &'a Path,
    busybox: String,
}

impl Nix<'_> {
    /// Registers them; their hashes are of no interest.
    pub fn register<'a>(configuration: &'a Path, busybox: &Path, sizes: &[Size]) -> Result<Nix<'a>> {
        let nix = Nix { configuration, busybox: String::new() };
        let busybox = text(nix.command("nix-store").arg("--add").arg(busybox))?.trim().to_owned();
        let mut load = nix.command("nix-store").arg("--load-db").stdin(Stdio::piped()).spawn()?;
        let mut lines = load.stdin.take().context("nix-store has an input")?;
        for size in sizes {
            let paths = trees::paths(*size);
            for path in &paths {
                write!(lines, "{}\n{HASH}\n96\n\n0\n", path.display())?;
            }
            write!(lines, "{}\n{HASH}\n96\n\n{}\n", trees::all(*size).display(), paths.len())?;
            paths.iter().try_for_each(|path| writeln!(lines, "{}", path.display()))?;
        }
        drop(lines);
        anyhow::ensure!(load.wait()?.success(), "nix-store --load-db failed");
        Ok(Nix { busybox, ..nix })
    }

    /// Builds something with a closure of this size, in seconds until its builder ran.
    pub fn setup(&self, size: Size, round: usize) -> Result<f64> {
        let expression = format!(
            "derivation {{ name = \"scaling-{round}\"; system = \"x86_64-linux\"; \
             builder = \"${{builtins.storePath {0}}}/bin/busybox\"; \
             PATH = \"${{builtins.storePath {0}}}/bin\"; args = [ \"sh\" \"-e\" \"-c\" ''{BUILDER}'' ]; \
             closure = builtins.storePath {1}; }}",
            self.busybox,
            trees::all(size).display()
        );
        let file = std::env::temp_dir().join("scaling.nix");
        std::fs::write(&file, expression)?;
        let derivation = text(self.command("nix-instantiate").arg("--quiet").arg(&file))?;
        let made = text(self.command("nix-store").args(["--quiet", "--realise", derivation.trim()]))?;
        let answer = std::fs::read_to_string(made.trim())?;
        let mut times = answer.lines().map(seconds);
        let (began, now) = times.next().zip(times.next()).context("there are two times")?;
        quiet(self.command("nix-store").args(["--quiet", "--delete", made.trim()]))?;
        Ok((now? - began?).rem_euclid(DAY))
    }

    fn command(&self, program: &str) -> std::process::Command {
        let mut command = command(program, [""; 0]);
        command.env("NIX_CONF_DIR", self.configuration);
        command
    }
}

/// Seconds in a day.
const DAY: f64 = 86_400.0;

/// The seconds of the day in a line of stat(1): `2026-11-22 22:03:47.123456789 +0000`.
fn seconds(line: &str) -> Result<f64> {
    let clock = line.split_ascii_whitespace().nth(1).context("there is no time of day")?;
    clock.split(':').try_fold(0.0, |sum, part| Ok(sum * 60.0 + part.parse::<f64>()?))
}
