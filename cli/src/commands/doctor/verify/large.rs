//! More data than the machine's memory holds: what the client keeps has to go to the server while the server, on the same
//! machine, needs memory itself.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};

use super::fixture::Fixture;
use super::{CheckError, CheckResult, Context, ensure};

const MIB: u64 = 1 << 20;

/// How much more than the memory, in per cent of it.
const PER_CENT: u64 = 110;

/// What has to be left of the disk, in bytes.
const LEFT: u64 = 256 * MIB;

/// Every so many MiB are read again.
const SAMPLES: usize = 16;

pub fn more_than_memory(fixture: &Fixture) -> CheckResult {
    if fixture.quick {
        return Err(CheckError::NotHere("left out: --quick".into()));
    }
    let memory = memory()?;
    let size = memory * PER_CENT / 100 / MIB * MIB;
    let free = free(fixture)?;
    if in_memory(fixture)? {
        let message = "the directory is in memory itself: --dir names one on a disk";
        return Err(CheckError::NotHere(message.into()));
    }
    if free < size + LEFT {
        return Err(CheckError::NotHere(format!(
            "{} MiB of memory and {} MiB on the disk: --dir names a larger one",
            memory / MIB,
            free / MIB
        )));
    }
    let path = fixture.work().join("large");
    write(&path, size / MIB)?;
    let length = fs::metadata(fixture.behind().join("large")).context("looking behind the server")?.len();
    ensure(length == size, || format!("{length} of {size} bytes arrived"))?;
    let mut file = File::open(&path).context("opening it")?;
    for number in (0..size / MIB).step_by(SAMPLES) {
        let mut block = vec![0; MIB as usize];
        file.seek(SeekFrom::Start(number * MIB))
            .and_then(|_| file.read_exact(&mut block))
            .context("reading")?;
        ensure(block == pattern(number), || format!("MiB {number} is not what was written"))?;
    }
    fs::remove_file(&path).context("removing it")?;
    Ok(format!("{} MiB written with {} MiB of memory", size / MIB, memory / MIB))
}

fn write(path: &std::path::Path, blocks: u64) -> Result<(), CheckError> {
    let mut file = File::create(path).context("making a file")?;
    for number in 0..blocks {
        file.write_all(&pattern(number)).context("writing")?;
    }
    file.sync_all().context("writing the rest")
}

/// A MiB that no other one is like.
fn pattern(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(MIB as usize / size_of::<u64>())
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the widths differ between systems")]
fn free(fixture: &Fixture) -> Result<u64, CheckError> {
    let disk = nix::sys::statvfs::statvfs(&fixture.base).context("asking for free space")?;
    Ok((disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64))
}

#[cfg(target_os = "linux")]
fn memory() -> Result<u64, CheckError> {
    let text = fs::read_to_string("/proc/meminfo").context("asking for the memory's size")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| CheckError::Failed("/proc/meminfo says nothing of it".into()))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Result<u64, CheckError> {
    let mut command = std::process::Command::new("/usr/sbin/sysctl");
    let output = command.args(["-n", "hw.memsize"]).output().context("asking for the memory's size")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| CheckError::Failed(format!("hw.memsize is {text:?}")))
}

#[cfg(target_os = "linux")]
fn in_memory(fixture: &Fixture) -> Result<bool, CheckError> {
    let kind =
        nix::sys::statfs::statfs(&fixture.base).context("asking for the file system")?.filesystem_type();
    Ok(kind == nix::sys::statfs::TMPFS_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_ground: &Fixture) -> Result<bool, CheckError> {
    Ok(false)
}
