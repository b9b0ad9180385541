//! What is mounted for a jail on macOS, where everybody sees it: the view, and devices and a disk image in it.

use std::fs;
use std::path::{Path, PathBuf};

use super::sys;
use crate::image::Image;
use crate::jail::{JailError, Mac, Root};
use crate::{Mount, MountError};

/// The mounts, innermost last. Dropping it takes them away, the last one first, by force if need be.
#[derive(Debug, Default)]
pub(super) struct JailMounts {
    view: Option<Mount>,
    devices: Option<Devices>,
    image: Option<ImageGuard>,
}

/// Where the kernel's table has the devices: once the view is dead, looking for them would hang.
#[derive(Debug)]
struct Devices(PathBuf);

/// A disk image, and where it is written down.
#[derive(Debug)]
struct ImageGuard {
    image: Image,
    record: Option<PathBuf>,
}

impl JailMounts {
    /// Mounts what the jail asks for.
    pub(super) fn make(root: &Root, mac: &Mac) -> Result<JailMounts, JailError> {
        let mut mounts = JailMounts::default();
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
        // In the kernel's words, by which what lies in it is found later without looking there.
        let view = mounts.view.as_ref().map_or_else(|| root.path().into_owned(), |view| view.at().into());
        if let Some(at) = &mac.devices {
            let at = below(&view, at);
            sys::mount_devices(&at).map_err(|source| JailError::Devices { at: at.clone(), source })?;
            mounts.devices = Some(Devices(at));
        }
        if let Some((file, at)) = &mac.image {
            let (at, record) = (below(&view, at), mac.record.clone());
            let image = Image::attach(file, &view, &at, record.as_deref());
            let image = image.map_err(|source| JailError::Image { image: file.clone(), at, source })?;
            mounts.image = Some(ImageGuard { image, record });
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

impl Drop for JailMounts {
    fn drop(&mut self) {
        // In this order, and the view by its own drop.
        (self.image, self.devices) = (None, None);
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        crate::mount::force_unmount_at(&self.0);
    }
}

impl Drop for ImageGuard {
    fn drop(&mut self) {
        let detached = self.image.detach();
        // The record of what is left stays, for a sweep.
        let forgotten = detached.and_then(|()| self.record.as_ref().map_or(Ok(()), fs::remove_file));
        if let Err(error) = forgotten {
            tracing::warn!("cannot detach the disk image {:?}: {error}", self.image.file);
        }
    }
}

/// A path inside as one of the host.
fn below(root: &Path, inside: &Path) -> PathBuf {
    root.join(inside.strip_prefix("/").unwrap_or(inside))
}
