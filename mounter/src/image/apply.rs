//! Disk images of macOS, attached and detached by the system's own program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use super::Image;
use crate::{mount, sys};

/// The system's own program; its place does not depend on any search path.
const HDIUTIL: &str = "/usr/bin/hdiutil";

/// How an image is attached: with its owners, as the kernel wants the shared cache to be root's; it is signed as a whole,
/// so that checking it again would only take time.
const ATTACH: [&str; 9] = [
    "attach",
    "-plist",
    "-readonly",
    "-nobrowse",
    "-noverify",
    "-noautofsck",
    "-owners",
    "on",
    "-mountpoint",
];

impl Image {
    /// Attaches a file at a directory of a view, and writes that down for a sweep, before and after.
    ///
    /// # Errors
    /// When it cannot be attached, or is already: an image is attached once, at one place. Nothing is left then.
    pub(crate) fn attach(file: &Path, within: &Path, at: &Path, record: Option<&Path>) -> io::Result<Image> {
        let image = Image { file: file.canonicalize()?, within: within.into(), devices: Vec::new() };
        if image.known(&hdiutil(&["info", "-plist"], &[])?)?.is_some() {
            return Err(io::Error::other("it is attached already"));
        }
        record.map_or(Ok(()), |record| image.write(record))?;
        let attached = hdiutil(&ATTACH, &[at, &image.file]).and_then(|said| image.attached(&said));
        let written = attached.and_then(|image| match record.map_or(Ok(()), |record| image.write(record)) {
            Ok(()) => Ok(image),
            Err(error) => image.detach().and(Err(error)),
        });
        if let (Err(_), Some(record)) = (&written, record) {
            // What was attached nevertheless is found by its file.
            let _ = Image::sweep(record);
        }
        written
    }

    /// Takes it away without looking for it by any path: what it has in the view, by the mounts' numbers, and its disk.
    /// Not by force, since by then only somebody else can have it in use.
    ///
    /// # Errors
    /// What hdiutil says.
    pub(crate) fn detach(&self) -> io::Result<()> {
        mount::by_force(&self.mounts(&sys::mounts()));
        self.disk().map_or(Ok(()), |disk| hdiutil(&["detach", disk], &[]).map(drop))
    }

    /// Detaches what a record is of, if it still is attached, and removes the record.
    ///
    /// # Errors
    /// When something of it stays; the record does too.
    pub(crate) fn sweep(record: &Path) -> io::Result<Option<Image>> {
        let Some(written) = Image::read(record)? else { return Ok(None) };
        let known = written.known(&hdiutil(&["info", "-plist"], &[])?)?;
        // Of one whose disk is not known, the mount in the view tells that it is ours.
        let is_ours = |image: &Image| written.disk().is_some() || !image.mounts(&sys::mounts()).is_empty();
        let swept = known.filter(is_ours);
        swept.as_ref().map_or(Ok(()), Image::detach)?;
        fs::remove_file(record)?;
        Ok(swept)
    }
}

/// Detaches the image that a record of a killed run names, and returns the image's file.
///
/// # Errors
/// When something of it stays; the record does too.
pub fn sweep_image(record: &Path) -> io::Result<Option<PathBuf>> {
    Ok(Image::sweep(record)?.map(|image| image.file))
}

fn hdiutil(words: &[&str], paths: &[&Path]) -> io::Result<Vec<u8>> {
    let output = Command::new(HDIUTIL).args(words).args(paths).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
