//! Runs one command in a fresh root, with the time of every line that it prints.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::enter::Job;
use super::{CLONE, DIRECTORY, Fresh};
use crate::lab::Lab;
use crate::vm;

/// A person waits this long for a first word.
const FIRST_LINE: Duration = Duration::from_secs(3);

/// A command that was run, and how.
pub struct Ran {
    words: String,
    status: Option<i32>,
    first_line: Option<Duration>,
    took: Duration,
    log: PathBuf,
}

impl Ran {
    /// Whether it did what a newcomer expects.
    pub fn good(&self) -> bool {
        self.status == Some(0) && self.first_line.is_some_and(|first| first <= FIRST_LINE)
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.words)?;
        match self.status {
            Some(status) => write!(f, "exit status {status}, ")?,
            None => write!(f, "killed, ")?,
        }
        match self.first_line {
            Some(first) => write!(f, "first line after {:.1} s", first.as_secs_f32())?,
            None => write!(f, "no line at all")?,
        }
        if self.first_line.is_none_or(|first| first > FIRST_LINE) {
            write!(f, " (late: at most {} s)", FIRST_LINE.as_secs())?;
        }
        write!(f, ", {} s in all; {}", self.took.as_secs(), self.log.display())
    }
}

/// Runs `cargo xtask WORDS` in the clone; what it prints is shown, and kept with the seconds of each line.
pub fn run(lab: &Lab, fresh: &Fresh, words: &[String]) -> Result<Ran> {
    let name = words.join(" ");
    let log = lab.path(&format!("{DIRECTORY}/{}.log", name.replace(' ', "-")))?;
    let mut file = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let start = Instant::now();
    let mut process = vm::contained(&lab.own_program()?);
    let mut child = Dead(
        process
            .arg("__fresh-enter")
            .arg(serde_json::to_string(&fresh.job(words))?)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()
            .context("cannot start setpriv and unshare (util-linux)")?,
    );
    // It holds the pipe's writing end: without it the reader would never see an end.
    drop(process);
    let mut first_line = None;
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("cannot read what the command prints")?;
        let now = start.elapsed();
        first_line.get_or_insert(now);
        let line = format!("[{:7.1}] {}", now.as_secs_f32(), String::from_utf8_lossy(&line));
        writeln!(file, "{line}").with_context(|| format!("cannot write {}", log.display()))?;
        println!("{line}");
    }
    let status = child.0.wait().context("cannot wait for the command")?.code();
    let ran = Ran { words: format!("cargo xtask {name}"), status, first_line, took: start.elapsed(), log };
    writeln!(file, "{ran}")?;
    Ok(ran)
}

impl Fresh {
    fn job(&self, words: &[String]) -> Job {
        let path = format!(
            "{}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.toolchain.display()
        );
        let mut environment = self.environment.clone();
        environment.extend(
            [("HOME", "/root"), ("LANG", "C.UTF-8"), ("PATH", path.as_str())]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        Job {
            root: self.root.clone(),
            shown: self.toolchain.clone(),
            directory: CLONE.into(),
            environment,
            words: ["cargo", "xtask"].into_iter().map(str::to_owned).chain(words.iter().cloned()).collect(),
        }
    }
}

/// A process that is killed when it is dropped, and with it all that it started.
struct Dead(Child);

impl Drop for Dead {
    fn drop(&mut self) {
        // Both fail only if it is dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
