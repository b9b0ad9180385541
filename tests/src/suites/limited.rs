//! Programs that may hang with the server that they test: killed when they are silent or take too long.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a program printed, and how it ended: `None` when it had to be killed.
pub struct Ended {
    /// Standard output and standard error, by line.
    pub lines: Vec<String>,
    /// Missing when it was silent for too long.
    pub status: Option<ExitStatus>,
}

impl Ended {
    /// Whether it ended by itself and well.
    pub fn good(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Its last lines, for whoever wants to know what went wrong.
    pub fn tail(&self) -> String {
        const LINES: usize = 60;
        let how = match self.status {
            Some(status) => status.to_string(),
            None => "killed, as it hangs".to_owned(),
        };
        format!("{}\n{how}", self.lines[self.lines.len().saturating_sub(LINES)..].join("\n"))
    }
}

/// Runs to the end; between two lines of output, and to the end, no more than `silence` may pass.
pub fn run(command: &mut Command, silence: Duration) -> Result<Ended> {
    // One pipe for both, so that what went wrong stands where it did.
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let mut child = Dead(
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?,
    );
    // The command holds the pipe's writing end: without it the reader would never see an end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    let mut lines = Vec::new();
    loop {
        match receiver.recv_timeout(silence) {
            Ok(line) => lines.push(line),
            Err(RecvTimeoutError::Timeout) => return Ok(Ended { lines, status: None }),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.0.wait().context("cannot wait for it")?;
    Ok(Ended { lines, status: Some(status) })
}

/// A process that is killed when it is dropped.
struct Dead(Child);

impl Drop for Dead {
    fn drop(&mut self) {
        // Both fail only if it is dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::command;

    #[test]
    fn a_program_that_ends_is_heard_to_the_end() {
        let ended =
            run(&mut command("sh", ["-c", "echo out; echo err >&2; exit 3"]), Duration::from_secs(20))
                .expect("a shell can be started");
        assert_eq!(ended.lines, ["out", "err"]);
        assert_eq!(ended.status.and_then(|status| status.code()), Some(3));
    }

    #[test]
    fn a_silent_program_is_killed() {
        let ended = run(&mut command("sh", ["-c", "echo one; exec sleep 1000"]), Duration::from_millis(500))
            .expect("a shell can be started");
        assert_eq!(ended.lines, ["one"]);
        assert!(!ended.good() && ended.status.is_none());
    }
}
