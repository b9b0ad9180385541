//! A terminal as a person has it: keys are typed, and what is shown is looked at.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::{Winsize, tcsetwinsize};

/// How long something may take to be shown: the virtual machine is slow, and this is no measurement.
const DEADLINE: Duration = Duration::from_secs(60);

/// A terminal, and a command that it controls.
pub struct Pty {
    master: File,
    child: Child,
    chunks: Receiver<Vec<u8>>,
    shown: String,
    /// How much of it has been looked at.
    seen: usize,
}

impl Pty {
    /// Starts a command as the leader of the terminal's session.
    pub fn start(command: &Command) -> Pty {
        let ends = nix::pty::openpty(None, None).expect("a terminal can be opened");
        resize(&ends.master, 24, 80);
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        let stream = || Stdio::from(ends.slave.try_clone().expect("it can be shared"));
        let child = session.stdin(stream()).stdout(stream()).stderr(stream()).spawn();
        let child = child.expect("setsid(1) can be started");
        drop((session, ends.slave));
        let master = File::from(ends.master);
        let (sender, chunks) = channel();
        let mut reader = master.try_clone().expect("it can be shared");
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Ends when everybody has closed the other side.
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Pty { master, child, chunks, shown: String::new(), seen: 0 }
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("a terminal takes keys");
    }

    /// Waits until this is shown, after what was waited for before. The answer is what came in between.
    pub fn until(&mut self, text: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                let between = self.shown[self.seen..self.seen + at].to_owned();
                self.seen += at + text.len();
                return between;
            }
            let left = DEADLINE.saturating_sub(began.elapsed());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.shown.push_str(&String::from_utf8_lossy(&chunk)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{text:?} was not shown, but:\n{:?}", &self.shown[self.seen..])
                }
            }
        }
    }

    /// Gives the terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.master, rows, columns);
    }

    /// The command's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the command's end. The answer is how it ended, and all that was shown.
    pub fn end(mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        loop {
            match self.chunks.recv_timeout(DEADLINE.saturating_sub(began.elapsed())) {
                Ok(chunk) => self.shown.push_str(&String::from_utf8_lossy(&chunk)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:?}", self.shown),
            }
        }
        let status = self.child.wait().expect("it can be waited for");
        (status, std::mem::take(&mut self.shown))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Both fail only if it is dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a terminal has a size");
}
