//! The directories of one build: made private, noted for a later run to sweep, and removed.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use mounter::stale::{Leftovers, Note, StateDir, StateError};

use crate::plan::{Plan, Scratch, User};
use crate::store::{Settings, Store};
use crate::store_path::StorePath;

/// A disk with less than this left is as good as full, in bytes.
const DISK_LEFT: u64 = 8 << 20;

/// The name of a mount point that everybody sees. What ends so, Spotlight leaves alone.
const MOUNT: &str = "view.noindex";

/// A build's directories. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct BuildDirectories {
    /// What the build writes to.
    pub scratch: Scratch,
    /// An empty directory for the view to be mounted on.
    pub mount_point: PathBuf,
    /// Beside the outputs, in the store: named after the derivation, which protects it from the garbage collector.
    beside: PathBuf,
    /// Where the build directory is, and stays when a failed build is kept.
    top: PathBuf,
    kept: bool,
    /// What a later run sweeps if this one dies.
    pub note: Note,
}

/// A build's directories could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScratchError {
    /// They could not be noted for a later run to sweep.
    #[error("cannot note the build's directories")]
    Note(#[from] StateError),
    /// A directory or a file could not be made.
    #[error("cannot make {path:?}")]
    Make {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BuildDirectories {
    /// Makes them.
    pub fn make(
        store: &Store,
        settings: &Settings,
        state: &StateDir,
        derivation: &StorePath,
    ) -> Result<BuildDirectories, ScratchError> {
        let beside = store.directory().join(format!("{derivation}.chroot"));
        let builds = builds(store, settings);
        let top = builds.join(unused(derivation));
        BuildDirectories::lay_out(beside, top, None, state)
    }

    /// Makes those of a shell in a build's view, which nobody takes outputs from, and which may be open while the
    /// derivation is built. `build` is a build directory that is there already, and stays.
    pub fn for_shell(
        store: &Store,
        settings: &Settings,
        state: &StateDir,
        derivation: &StorePath,
        build: Option<PathBuf>,
    ) -> Result<BuildDirectories, ScratchError> {
        let top = builds(store, settings).join(unused(derivation));
        BuildDirectories::lay_out(top.join("view"), top, build, state)
    }

    fn lay_out(
        beside: PathBuf,
        top: PathBuf,
        build: Option<PathBuf>,
        state: &StateDir,
    ) -> Result<BuildDirectories, ScratchError> {
        // On macOS everybody sees the mount, and a build may have to reach it there.
        let mount = cfg!(target_os = "macos").then(|| top.join(MOUNT));
        let leftovers = Leftovers { mount: mount.clone(), temporary: vec![beside.clone(), top.clone()] };
        let given = build.is_some();
        let place = BuildDirectories {
            mount_point: mount.clone().unwrap_or_else(|| beside.join("mount")),
            scratch: Scratch {
                store: beside.join("store"),
                build: build.unwrap_or_else(|| top.join("build")),
                tmp: beside.join("tmp"),
                mount,
            },
            beside,
            top,
            kept: false,
            note: state.note(leftovers)?,
        };
        let builds = place.top.parent().unwrap_or(&place.top);
        fs::create_dir_all(builds).map_err(while_making(builds))?;
        make_private(&place.top)?;
        // What is there is left from a build that died: the outputs are locked by us.
        make_anew(&place.beside)?;
        let Scratch { store, build, tmp, .. } = &place.scratch;
        for directory in [store, tmp, &place.mount_point] {
            make_private(directory)?;
        }
        if !given {
            make_private(build)?;
        }
        if place.scratch.mount.is_some() {
            let passable = fs::set_permissions(&place.top, Permissions::from_mode(0o711));
            passable.map_err(while_making(&place.top))?;
        }
        Ok(place)
    }

    /// Where copies of the outputs can be made. Only root can enter it, and it is on the store's volume.
    pub fn copies(&self) -> PathBuf {
        self.beside.join("outputs")
    }

    /// Puts a plan's files into the build directory, but for those that are there already.
    pub fn write_missing_files(&self, plan: &Plan) -> Result<(), ScratchError> {
        let missing = |name: &String| self.scratch.build.join(name).symlink_metadata().is_err();
        self.write(plan, |name| missing(name))
    }

    /// Puts a plan's files into the build directory.
    pub fn write_files(&self, plan: &Plan) -> Result<(), ScratchError> {
        self.write(plan, |_| true)
    }

    fn write(&self, plan: &Plan, wanted: impl Fn(&String) -> bool) -> Result<(), ScratchError> {
        for (name, contents) in plan.files.iter().filter(|(name, _)| wanted(name)) {
            let path = self.scratch.build.join(name);
            let write = || {
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path)?;
                file.write_all(contents.as_bytes())?;
                fchown(&file, Some(plan.user.uid), Some(plan.user.gid))
            };
            write().map_err(while_making(&path))?;
        }
        Ok(())
    }

    /// Whether hardly anything is left of a disk that the build wrote to. A builder does not say that it failed for
    /// want of space, so this is a guess, and the one that Nix makes.
    pub fn is_disk_full(&self) -> bool {
        let left = |path: &Path| {
            let disk = nix::sys::statvfs::statvfs(path).ok()?;
            #[allow(
                clippy::unnecessary_cast,
                clippy::useless_conversion,
                reason = "the widths differ between systems"
            )]
            let (blocks, size) = (disk.blocks_available() as u64, disk.fragment_size() as u64);
            Some(blocks.saturating_mul(size))
        };
        [&self.scratch.store, &self.scratch.build]
            .into_iter()
            .filter_map(|path| left(path))
            .any(|left| left < DISK_LEFT)
    }

    /// Leaves the build directory where it is, for everybody to read and the build user's own, and says where that is.
    pub fn keep(&mut self, user: &User) -> io::Result<PathBuf> {
        let build = &self.scratch.build;
        std::os::unix::fs::chown(build, Some(user.uid), Some(user.gid))?;
        for directory in [build, &self.top] {
            fs::set_permissions(directory, Permissions::from_mode(0o755))?;
        }
        self.kept = true;
        Ok(build.clone())
    }
}

impl Drop for BuildDirectories {
    fn drop(&mut self) {
        let directories = [Some(&self.beside), (!self.kept).then_some(&self.top)];
        for directory in directories.into_iter().flatten() {
            if let Err(error) = self.note.remove(directory) {
                tracing::warn!(?directory, %error, "cannot remove a build's directory");
            }
        }
    }
}

/// Where build directories are made.
fn builds(store: &Store, settings: &Settings) -> PathBuf {
    settings.build_dir.clone().unwrap_or_else(|| store.state().join("builds"))
}

/// A name that no build has yet: the setting `build-dir` may be a directory that everybody may write.
fn unused(derivation: &StorePath) -> String {
    mounter::unguessable(&format!("nix-build-{}", derivation.short_name()))
}

/// Makes a directory that nobody else can enter.
pub(crate) fn make_private(path: &Path) -> Result<(), ScratchError> {
    DirBuilder::new().mode(0o700).create(path).map_err(while_making(path))
}

/// The same in place of whatever is there.
pub(crate) fn make_anew(path: &Path) -> Result<(), ScratchError> {
    remove(path).map_err(while_making(path))?;
    make_private(path)
}

fn while_making(path: &Path) -> impl FnOnce(io::Error) -> ScratchError {
    move |source| ScratchError::Make { path: path.into(), source }
}

/// Removes whatever is at a path, a whole tree too, whatever a build has made of it; nothing being there is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    mounter::tree::remove(path).map(drop)
}
