//! The server and its mount: who is served, how they end, and what is left when the server is killed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::MountError;

use super::fixture::Fixture;
use super::{CheckError, CheckResult, Context, ensure, loopbox};

/// A call of MOUNT's procedure 0, which does nothing, as a record (RFC 5531, RFC 1813 appendix I).
const CALL: [u32; 11] = [0x8000_0028, 1, 0, 2, 100_005, 3, 0, 0, 0, 0, 0];

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How long what a killed server leaves may take to be cleared, and what waits for it to end.
const CLEARED: Duration = Duration::from_secs(30);

pub fn peers(fixture: &Fixture) -> CheckResult {
    let mut stream = fixture.connect().context("connecting")?;
    stream.set_read_timeout(Some(ANSWER)).context("setting a limit")?;
    let call: Vec<u8> = CALL.iter().flat_map(|word| word.to_be_bytes()).collect();
    // A server that has hung up already may or may not let it be written.
    let _ = stream.write_all(&call);
    match stream.read(&mut [0; 64]) {
        Ok(0) => Ok("this program is hung up on".into()),
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            Ok("this program is hung up on".into())
        }
        Ok(_) => Err(CheckError::Failed("the server answers a program that is not the kernel".into())),
        Err(error) => Err(CheckError::failed("waiting for it to hang up", &error)),
    }
}

pub fn busy(fixture: &Fixture) -> CheckResult {
    let held = File::create(fixture.work().join("held")).context("opening a file")?;
    let refused = sandbox::unmount(&fixture.at, false);
    drop(held);
    match refused {
        Err(MountError::InUse { .. }) => Ok("refused while a file is open".into()),
        other => Err(CheckError::Failed(format!("answered with {other:?}"))),
    }
}

pub fn unmount(fixture: &Fixture) -> CheckResult {
    fs::write(fixture.work().join("last"), "last").context("writing a file")?;
    fixture.unmount().context("unmounting")?;
    ensure(!sandbox::is_mount_point(&fixture.at), || "the mount is still there".into())?;
    let text = fs::read_to_string(fixture.behind().join("last")).context("looking behind the server")?;
    ensure(text == "last", || format!("what was written last is {text:?}"))?;
    Ok("in order, with all that was written".into())
}

/// Another loopbox serves, is killed, and a third one clears up.
pub fn killed(fixture: &Fixture) -> CheckResult {
    let (at, state) = (fixture.base.join("killed.noindex"), fixture.base.join("state"));
    fs::create_dir(&at).context("making a mount point")?;
    let spec = fixture.base.join("spec.json");
    let source = fixture.base.join("shown");
    let entry = serde_json::json!({ "graft": { "at": "/shown", "source": source, "access": "ro" } });
    fs::write(&spec, serde_json::json!({ "entries": [entry] }).to_string()).context("writing a view")?;
    let mut server = loopbox(&state)?
        .arg("mount")
        .args([&spec, &at])
        .stderr(Stdio::piped())
        .spawn()
        .context("starting loopbox")?;
    let said = server.stderr.take().map(BufReader::new).and_then(|mut said| {
        let mut line = String::new();
        said.read_line(&mut line).ok().map(|_| line)
    });
    let said = said.unwrap_or_default();
    let mounted = sandbox::is_mount_point(&at);
    let outcome =
        if mounted { kill_and_clear(&mut server, &at, &state) } else { Err(CheckError::Failed(said)) };
    // Whatever came of it.
    let _ = (server.kill(), server.wait());
    if sandbox::is_mount_point(&at) {
        let _ = sandbox::unmount(&at, true);
    }
    outcome
}

fn kill_and_clear(server: &mut Child, at: &Path, state: &Path) -> CheckResult {
    server.kill().and_then(|()| server.wait()).context("killing the server")?;
    // It waits for a server that is gone, if the client does not know the answer.
    let mut waiting = Command::new("/bin/ls")
        .arg(at.join("shown/other"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting a program")?;
    let began = Instant::now();
    let cleared = loopbox(state)?.arg("clean").output().context("starting loopbox")?;
    let took = began.elapsed();
    ensure(cleared.status.success(), || String::from_utf8_lossy(&cleared.stderr).into_owned())?;
    ensure(!sandbox::is_mount_point(at), || "'loopbox clean' leaves the mount".into())?;
    while waiting.try_wait().context("waiting for a program")?.is_none() {
        if began.elapsed() > CLEARED {
            let _ = waiting.kill();
            return Err(CheckError::Failed("a program still waits for the server that is gone".into()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(format!("'loopbox clean' took its mount away in {:.1} s, and nobody waits for it", took.as_secs_f64()))
}
