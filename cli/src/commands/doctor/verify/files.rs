//! What builds do with files, tried through the mount.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::stat::Mode;
use rustix::fs::XattrFlags;

use super::fixture::{CONTENTS, Fixture};
use super::{CheckError, CheckResult, Context, ensure};

/// A user who owns nothing, on Linux and on macOS.
const NOBODY: u32 = if cfg!(target_os = "macos") { u32::MAX - 1 } else { 65534 };

/// The longest path of a socket (`sun_path`), on the system where it is shorter.
const SOCKET_PATH: usize = 103;

/// A name for an extended attribute that any user may set.
const ATTRIBUTE: &str = "user.loopbox.test";

/// What a file begins with that macOS keeps a file's extended attributes in (AppleDouble).
#[cfg(target_os = "macos")]
const APPLE_DOUBLE: [u8; 4] = [0, 5, 22, 7];

pub fn view(fixture: &Fixture) -> CheckResult {
    let text = fs::read_to_string(fixture.at.join("shown/file")).context("reading a file")?;
    ensure(text == CONTENTS, || format!("the file holds {text:?}"))?;
    let hidden = fixture.at.join("reached").symlink_metadata().map_err(|error| error.kind());
    ensure(matches!(hidden, Err(ErrorKind::NotFound)), || format!("what is hidden answers {hidden:?}"))?;
    let address = fixture.address().map(|address| address.to_string()).unwrap_or_default();
    Ok(format!("served at {address}, mounted at {}", fixture.at.display()))
}

/// The client asks what it may do before it does it, and then says no in its own way.
pub fn read_only(fixture: &Fixture) -> CheckResult {
    match File::create(fixture.at.join("shown/new")) {
        Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
            Ok(format!("making a file is refused: {error}"))
        }
        other => Err(CheckError::Failed(format!("making a file is answered with {other:?}"))),
    }
}

pub fn exclusive(fixture: &Fixture) -> CheckResult {
    let path = fixture.work().join("exclusive");
    File::create_new(&path).context("making a file")?;
    match File::create_new(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(format!("refused: {error}")),
        other => Err(CheckError::Failed(format!("making it again is answered with {other:?}"))),
    }
}

pub fn deleted(fixture: &Fixture) -> CheckResult {
    let path = fixture.work().join("deleted");
    let mut file =
        File::options().read(true).write(true).create_new(true).open(&path).context("making a file")?;
    file.write_all(b"first").context("writing")?;
    fs::remove_file(&path).context("deleting it")?;
    file.write_all(b" second").context("writing after that")?;
    file.rewind().context("going back")?;
    let text = io::read_to_string(&file).context("reading after that")?;
    ensure(text == "first second", || format!("it holds {text:?}"))?;
    drop(file);
    let left = names(&fixture.work(), "deleted")?;
    ensure(left.is_empty(), || format!("{left:?} is left"))?;
    Ok("it can be read and written".into())
}

pub fn locks(fixture: &Fixture) -> CheckResult {
    let path = fixture.work().join("lock");
    let (first, second) =
        (File::create(&path).context("making a file")?, File::open(&path).context("opening it")?);
    first.try_lock().context("locking it")?;
    match second.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Ok("a second one waits".into()),
        other => Err(CheckError::Failed(format!("a second lock is answered with {other:?}"))),
    }
}

pub fn sockets(fixture: &Fixture) -> CheckResult {
    let path = fixture.work().join("socket");
    if path.as_os_str().len() > SOCKET_PATH {
        return Err(CheckError::NotHere(format!(
            "{} is too long for a socket: --dir names a shorter one",
            path.display()
        )));
    }
    let listener = UnixListener::bind(&path).context("binding a socket")?;
    let mut near = UnixStream::connect(&path).context("connecting to it")?;
    near.write_all(b"x").context("writing to it")?;
    let (mut far, _) = listener.accept().context("accepting")?;
    let mut byte = [0];
    far.read_exact(&mut byte).context("reading from it")?;
    fs::remove_file(&path).context("removing it")?;
    Ok("what is written arrives".into())
}

pub fn pipes(fixture: &Fixture) -> CheckResult {
    let path = fixture.work().join("pipe");
    nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).context("making a pipe")?;
    let read = {
        let path = path.clone();
        thread::spawn(move || fs::read(path))
    };
    OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut pipe| pipe.write_all(b"x"))
        .context("writing to it")?;
    let read = read.join().unwrap_or_else(|_| Ok(Vec::new())).context("reading from it")?;
    ensure(read == b"x", || format!("{read:?} arrived"))?;
    Ok("what is written arrives".into())
}

/// Linux's client has none over NFSv3. macOS's kernel makes a file beside the file for them.
pub fn attributes(fixture: &Fixture) -> CheckResult {
    let path = fixture.work().join("attributes");
    File::create(&path).context("making a file")?;
    let set = rustix::fs::setxattr(&path, ATTRIBUTE, b"value", XattrFlags::empty());
    #[cfg(not(target_os = "macos"))]
    {
        ensure(set == Err(rustix::io::Errno::NOTSUP), || format!("setting one is answered with {set:?}"))?;
        Ok("refused with ENOTSUP, as Nix's sandbox does".into())
    }
    #[cfg(target_os = "macos")]
    {
        set.context("setting one")?;
        let mut value = Vec::with_capacity(16);
        rustix::fs::getxattr(&path, ATTRIBUTE, rustix::buffer::spare_capacity(&mut value))
            .context("reading it")?;
        ensure(value == b"value", || format!("it is {value:?}"))?;
        let beside = fs::read(fixture.behind().join("._attributes"))
            .context("reading '._attributes' behind the server")?;
        ensure(beside.starts_with(&APPLE_DOUBLE), || "'._attributes' is something else".into())?;
        Ok("kept in '._' files beside the files".into())
    }
}

/// macOS may keep processes from network volumes until a person has allowed it.
pub fn other_user(fixture: &Fixture) -> CheckResult {
    let path = fixture.work().join("for-all");
    fs::write(&path, "read me").context("making a file")?;
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).context("letting others read it")?;
    if as_nobody(&fixture.base.join("reached")).is_err() {
        return Err(CheckError::NotHere(format!(
            "user {NOBODY} cannot reach {}: --dir names a directory that everybody may pass",
            fixture.base.display()
        )));
    }
    let text = as_nobody(&path).map_err(CheckError::Failed)?;
    ensure(text == "read me", || format!("user {NOBODY} reads {text:?}"))?;
    Ok(format!("user {NOBODY} reads what all may read"))
}

/// Programs that a Mac builds are signed where they are linked, and it starts no others. A program of the system's would
/// not do: those are made for `arm64e`, which the kernel takes from Apple alone.
#[cfg(target_os = "macos")]
pub fn signed(fixture: &Fixture) -> CheckResult {
    let path = fixture.work().join("signed");
    let loopbox = crate::itself::program().context("finding this program")?;
    fs::copy(loopbox, &path).context("copying this program")?;
    succeed(Command::new("/usr/bin/codesign").args(["--force", "--sign", "-"]).arg(&path), "signing it")?;
    succeed(Command::new(&path).arg("--version"), "starting it")?;
    Ok("signed on the mount, and started from there".into())
}

#[cfg(not(target_os = "macos"))]
pub fn signed(_ground: &Fixture) -> CheckResult {
    super::only_on_macos("demands signatures")
}

#[cfg(target_os = "macos")]
fn succeed(command: &mut Command, context: &str) -> Result<(), CheckError> {
    let output = command.stdin(Stdio::null()).output().context(context)?;
    ensure(output.status.success(), || {
        format!("{context}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
    })
}

/// What this user reads, or what is said instead.
fn as_nobody(path: &Path) -> Result<String, String> {
    let mut command = Command::new("/bin/cat");
    command.arg(path).uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn names(directory: &Path, part: &str) -> Result<Vec<String>, CheckError> {
    let entries = fs::read_dir(directory).context("listing the directory")?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.contains(part)).collect())
}
