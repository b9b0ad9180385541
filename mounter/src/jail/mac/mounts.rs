//! What is mounted for a jail on macOS, where everybody sees it: the view, and devices and a disk image in it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Mac, sys};
use crate::jail::{JailError, Root};
use crate::{Mount, MountError};

/// The system's own program; its place does not depend on any search path.
const HDIUTIL: &str = "/usr/bin/hdiutil";

/// The mounts, innermost last. Dropping it takes them away, the last one first, by force if need be.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    view: Option<Mount>,
    devices: Option<Devices>,
    image: Option<Image>,
}

/// Where the kernel's table has the devices: once the view is dead, looking for them would hang.
#[derive(Debug)]
struct Devices(PathBuf);

#[derive(Debug)]
struct Image(PathBuf);

impl Mounts {
    /// Mounts what the jail asks for.
    pub(super) fn make(root: &Root, mac: &Mac) -> Result<Mounts, JailError> {
        let mut mounts = Mounts::default();
        match root {
            Root::Nfs { source, options, mount_point } => {
                let mounted = Mount::new(source, mount_point, options);
                mounts.view = Some(mounted.map_err(|source| JailError::Mount { source })?);
            }
            Root::Places(_) => {
                return Err(JailError::Spec { problem: "macOS puts no roots together of mounts".into() });
            }
            Root::Directory(_) => {}
        }
        if let Some(at) = &mac.devices {
            let at = below(&root.path(), at);
            sys::mount_devices(&at).map_err(|source| JailError::Devices { at: at.clone(), source })?;
            mounts.devices = Some(Devices(at.canonicalize().unwrap_or(at)));
        }
        if let Some((image, at)) = &mac.image {
            let at = below(&root.path(), at);
            attach(image, &at).map_err(|source| JailError::Image {
                image: image.clone(),
                at: at.clone(),
                source,
            })?;
            mounts.image = Some(Image(at));
        }
        Ok(mounts)
    }

    /// Takes everything away in order. What was written may be incomplete after an error.
    pub(super) fn leave(mut self) -> Result<(), MountError> {
        (self.image, self.devices) = (None, None);
        self.view.take().map_or(Ok(()), Mount::unmount)
    }

    /// Takes everything away when nobody serves the view any more.
    pub(super) fn abandon(mut self) {
        (self.image, self.devices) = (None, None);
        self.view.take().into_iter().for_each(Mount::abandon);
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        // In this order, and the view by its own drop.
        (self.image, self.devices) = (None, None);
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        crate::mount::take_away(&self.0);
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Err(error) = hdiutil(&["detach", "-force"], &[&self.0]) {
            tracing::warn!("cannot detach the disk image at {:?}: {error}", self.0);
        }
    }
}

/// A path inside as one of the host.
fn below(root: &Path, inside: &Path) -> PathBuf {
    root.join(inside.strip_prefix("/").unwrap_or(inside))
}

/// With its owners, as the kernel wants the shared cache to be root's; it is signed as a whole, so that checking it
/// again would only take time.
fn attach(image: &Path, at: &Path) -> io::Result<()> {
    let how =
        ["attach", "-readonly", "-nobrowse", "-noverify", "-noautofsck", "-owners", "on", "-mountpoint"];
    hdiutil(&how, &[at, image])
}

fn hdiutil(words: &[&str], paths: &[&Path]) -> io::Result<()> {
    let output = Command::new(HDIUTIL).args(words).args(paths).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
