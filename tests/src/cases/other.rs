//! What a case has other processes do in its directory: this very program, started as `xtask __other`.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use nix::fcntl::{AT_FDCWD, FcntlArg, OFlag, RenameFlags, fcntl, openat, renameat2};
use nix::sys::stat::{Mode, mkdirat};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use crate::sys::{Shared, type_into_terminal};

/// The part of a file that is mapped.
const MAPPED: NonZeroUsize = NonZeroUsize::new(3 * 4096).expect("not zero");

/// A file that is larger than a small disk.
const LARGE: NonZeroUsize = NonZeroUsize::new(8 << 20).expect("not zero");

/// How long whoever makes names waits for one to be taken away.
const MOMENT: Duration = Duration::from_millis(4);

/// One process's part.
#[derive(Clone, Debug, Subcommand)]
pub enum Act {
    /// Appends a line so many times, each in one write.
    Append { file: PathBuf, line: String, count: u32 },
    /// Tries to make each of so many names, and prints the numbers of those that it made.
    Claim { way: Way, directory: PathBuf, count: u32 },
    /// Makes and removes names until its input ends.
    Churn { directory: PathBuf },
    /// Replaces a file by another of the same contents so many times.
    Replace { file: PathBuf, contents: String, count: u32 },
    /// Waits for the first byte of a shared mapping to be something, then sets the second to the same.
    Answer { file: PathBuf },
    /// Shortens a mapped file to one page, then looks behind the new end.
    LookPast { file: PathBuf },
    /// Waits for an exclusive lock of one byte, says so, and keeps it until its input ends.
    Lock { file: PathBuf, at: i64 },
    /// Writes to every page of a large file through a mapping, and ends.
    Fill { file: PathBuf },
    /// Makes so many directories, each in the one before.
    Deep { directory: PathBuf, depth: u32 },
    /// Makes a name so many times, when whoever takes it away has done so.
    Make { way: Way, name: PathBuf, count: u32 },
    /// Exchanges a file for whatever is made beside it under another name, until the file has changed by it.
    Exchange { directory: PathBuf, file: String, made: String },
    /// Hands a descriptor of a file, open for writing, to whoever listens on the abstract socket of this name.
    Hand { socket: String, file: PathBuf },
    /// Types into the terminal that is its standard input, as ioctl_tty(2) has it for TIOCSTI.
    Type { text: String },
    /// Gives a file an extended attribute.
    Attribute { file: PathBuf },
    /// Locks one byte, says so, and then waits for the lock of another.
    LockBoth { file: PathBuf, first: i64, second: i64 },
}

/// How a name is made that only one can make.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Way {
    /// open(2) with O_EXCL.
    File,
    /// mkdir(2).
    Directory,
    /// link(2).
    Link,
    /// symlink(2).
    Symlink,
}

/// Does it.
pub fn main(act: &Act) -> Result<ExitCode> {
    match act {
        Act::Append { file, line, count } => append(file, line, *count)?,
        Act::Claim { way, directory, count } => claim(*way, directory, *count)?,
        Act::Churn { directory } => churn(directory)?,
        Act::Replace { file, contents, count } => replace(file, contents, *count)?,
        Act::Answer { file } => answer(file)?,
        Act::LookPast { file } => look_past(file)?,
        Act::Fill { file } => fill(file)?,
        Act::Hand { socket, file } => hand(socket, file)?,
        Act::Make { way, name, count } => make_often(*way, name, *count)?,
        Act::Exchange { directory, file, made } => exchange(&directory.join(file), &directory.join(made))?,
        Act::Attribute { file } => {
            rustix::fs::setxattr(file, "user.attack", b"kept", rustix::fs::XattrFlags::empty())?;
        }
        Act::Type { text } => type_into_terminal(std::io::stdin(), text)?,
        Act::Deep { directory, depth } => deep(directory, *depth)?,
        Act::Lock { file, at } => {
            let file = open(file)?;
            lock(&file, *at)?;
            say("locked")?;
            wait_for_end()?;
        }
        Act::LockBoth { file, first, second } => {
            let file = open(file)?;
            lock(&file, *first)?;
            say("locked")?;
            lock(&file, *second)?;
            say("both")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for an exclusive lock of the byte `at`.
pub fn lock(file: &File, at: i64) -> nix::Result<()> {
    fcntl(file.as_fd(), FcntlArg::F_SETLKW(&range(libc::F_WRLCK, at))).map(drop)
}

/// One byte's lock, as fcntl(2) takes it.
pub fn range(kind: i32, at: i64) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: at, l_len: 1, l_pid: 0 }
}

fn open(file: &Path) -> Result<File> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(file);
    opened.with_context(|| format!("cannot open {}", file.display()))
}

fn append(file: &Path, line: &str, count: u32) -> Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file).context("cannot append")?;
    let line = format!("{line}\n");
    for _ in 0..count {
        file.write_all(line.as_bytes()).context("cannot append")?;
    }
    Ok(())
}

fn hand(socket: &str, file: &Path) -> Result<()> {
    let file = open(file)?;
    let address = SocketAddr::from_abstract_name(socket).context("the socket has no such name")?;
    let mut stream = UnixStream::connect_addr(&address).context("nobody listens")?;
    let (mut space, descriptors) =
        ([MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))], [file.as_fd()]);
    let mut handed = SendAncillaryBuffer::new(&mut space);
    handed.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(&stream, &[IoSlice::new(b"x")], &mut handed, SendFlags::empty()).context("cannot hand it")?;
    // Until it has been taken.
    stream.read_exact(&mut [0]).context("nobody took it")
}

/// What is handed so, by the first who does.
pub fn take_handed(listener: &UnixListener) -> Result<OwnedFd> {
    let (mut stream, _) = listener.accept().context("nobody hands anything")?;
    let (mut byte, mut space) = ([0], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
    let mut handed = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&stream, &mut [IoSliceMut::new(&mut byte)], &mut handed, RecvFlags::CMSG_CLOEXEC)?;
    let taken = handed.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let taken = taken.context("there is no descriptor")?;
    stream.write_all(b"x").context("cannot say that it was taken")?;
    Ok(taken)
}

fn deep(directory: &Path, depth: u32) -> Result<()> {
    let mut current = OwnedFd::from(File::open(directory).context("cannot open the directory")?);
    for level in 0..depth {
        let failed = || format!("cannot make directory {level}");
        mkdirat(&current, "d", Mode::S_IRWXU).with_context(failed)?;
        current = openat(&current, "d", OFlag::O_DIRECTORY, Mode::empty()).with_context(failed)?;
    }
    Ok(())
}

fn claim(way: Way, directory: &Path, count: u32) -> Result<()> {
    let own = directory.join(format!("own-{}", std::process::id()));
    File::create(&own).context("cannot make a file to link")?;
    for number in 0..count {
        let name = directory.join(number.to_string());
        match make(way, &name, &own) {
            Ok(()) => println!("{number}"),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot make {}", name.display())),
        }
    }
    std::fs::remove_file(&own).context("cannot remove the file that was linked")
}

/// Makes a name, as a link of `own` if as one.
fn make(way: Way, name: &Path, own: &Path) -> io::Result<()> {
    match way {
        Way::File => OpenOptions::new().write(true).create_new(true).open(name).map(drop),
        Way::Directory => std::fs::create_dir(name),
        Way::Link => std::fs::hard_link(own, name),
        Way::Symlink => std::os::unix::fs::symlink("claimed", name),
    }
}

fn make_often(way: Way, name: &Path, count: u32) -> Result<()> {
    let mut made = 0;
    for _ in 0..count {
        // What somebody has put there meanwhile may be in the way.
        made += u32::from(make(way, name, name).is_ok());
        thread::sleep(MOMENT);
    }
    // What fails each time is no race.
    anyhow::ensure!(made > count / 2, "{} was made {made} times of {count}", name.display());
    Ok(())
}

fn exchange(file: &Path, made: &Path) -> Result<()> {
    let look = |path: &Path| path.symlink_metadata().map(|meta| (meta.uid(), meta.mode()));
    let before = look(file)?;
    let swap = || renameat2(AT_FDCWD, file, AT_FDCWD, made, RenameFlags::RENAME_EXCHANGE);
    loop {
        if swap().is_err() {
            // There is nothing yet.
            continue;
        }
        thread::sleep(MOMENT / 2);
        if look(made)? != before {
            return Ok(());
        }
        swap()?;
        remove(made);
    }
}

/// Removes what was made; somebody else may have done so.
fn remove(name: &Path) {
    let _ = std::fs::remove_file(name).or_else(|_| std::fs::remove_dir(name));
}

fn churn(directory: &Path) -> Result<()> {
    let ended = thread::spawn(wait_for_end);
    let mut round = 0_u64;
    while !ended.is_finished() {
        let name = directory.join(format!("churn-{round}"));
        File::create(&name).context("cannot make a name")?;
        if round == 0 {
            say("churning")?;
        }
        std::fs::remove_file(&name).context("cannot remove a name")?;
        round += 1;
    }
    Ok(())
}

fn replace(file: &Path, contents: &str, count: u32) -> Result<()> {
    let next = file.with_extension("next");
    for _ in 0..count {
        std::fs::write(&next, contents).context("cannot write the next")?;
        std::fs::rename(&next, file).context("cannot replace")?;
    }
    Ok(())
}

fn answer(file: &Path) -> Result<()> {
    const TRIES: u32 = 10_000;
    let mut memory = Shared::map(&open(file)?, MAPPED)?;
    say("mapped")?;
    for _ in 0..TRIES {
        match memory.get(0) {
            0 => thread::sleep(Duration::from_millis(1)),
            byte => {
                memory.set(1, byte);
                return Ok(());
            }
        }
    }
    bail!("nobody set the first byte")
}

fn fill(file: &Path) -> Result<()> {
    let file = open(file)?;
    file.set_len(LARGE.get() as u64)?;
    let mut memory = Shared::map(&file, LARGE)?;
    (0..LARGE.get()).step_by(4096).for_each(|at| memory.set(at, 1));
    Ok(())
}

fn look_past(path: &Path) -> Result<()> {
    let file = open(path)?;
    let memory = Shared::map(&file, MAPPED)?;
    println!("before {}", memory.get(2 * 4096));
    file.set_len(100)?;
    println!("first page {} {}", memory.get(99), memory.get(100));
    say("and now")?;
    println!("after {}", memory.get(2 * 4096));
    Ok(())
}

/// Says a word to whoever waits for it.
fn say(word: &str) -> Result<()> {
    println!("{word}");
    io::stdout().flush().context("nobody listens")
}

fn wait_for_end() -> Result<()> {
    io::copy(&mut io::stdin().lock().take(u64::MAX), &mut io::sink()).map(drop).context("cannot wait")
}
