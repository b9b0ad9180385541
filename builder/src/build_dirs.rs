//! The directories of one build, and what lies in them before the builder runs.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use sandbox::jail::User;
use sandbox::recovery::StateDir;
use sandbox::work_dir::{mount_point, while_making};
use sandbox::{Layout, TopDir, WorkDir, WorkDirError};

use crate::plan::{Plan, Scratch};
use crate::store::{Settings, Store};
use crate::store_path::StorePath;

/// A disk with less than this left is as good as full, in bytes.
const DISK_LEFT: u64 = 8 << 20;

/// A build's directories. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct BuildDirs {
    /// What the build writes to.
    pub scratch: Scratch,
    /// The directories, and where the view is mounted.
    pub work_dir: WorkDir,
    /// Beside the outputs, in the store: named after the derivation, which protects it from the garbage collector.
    beside: PathBuf,
    /// Where the build directory is, and stays when a failed build is kept.
    top: PathBuf,
}

impl BuildDirs {
    /// Makes them.
    pub fn make(
        store: &Store,
        settings: &Settings,
        state: &StateDir,
        derivation: &StorePath,
    ) -> Result<BuildDirs, WorkDirError> {
        let beside = store.directory().join(format!("{derivation}.chroot"));
        let top = BuildDirs::unused(store, settings, derivation);
        BuildDirs::lay_out(beside, top, None, state)
    }

    /// Makes those of a shell in a build's view, which nobody takes outputs from, and which may be open while the
    /// derivation is built, in a new directory `top`. `build` is a build directory that is there already, and stays.
    pub fn for_shell(
        state: &StateDir,
        top: PathBuf,
        build: Option<PathBuf>,
    ) -> Result<BuildDirs, WorkDirError> {
        BuildDirs::lay_out(top.join("view"), top, build, state)
    }

    /// A path for a directory where root's builds have theirs.
    pub fn unused(store: &Store, settings: &Settings, derivation: &StorePath) -> PathBuf {
        builds(store, settings).join(unused(derivation))
    }

    fn lay_out(
        beside: PathBuf,
        top: PathBuf,
        build: Option<PathBuf>,
        state: &StateDir,
    ) -> Result<BuildDirs, WorkDirError> {
        // On macOS everybody sees the mount, and a build may have to reach it there.
        let reachable = cfg!(target_os = "macos");
        let mount = reachable.then(|| mount_point(&top));
        let given = build.is_some();
        let scratch = Scratch {
            store: beside.join("store"),
            build: build.unwrap_or_else(|| top.join("build")),
            tmp: beside.join("tmp"),
            mount,
        };
        let builds = top.parent().unwrap_or(&top);
        fs::create_dir_all(builds).map_err(while_making(builds))?;
        let own = if given { Vec::new() } else { vec![scratch.build.clone()] };
        let tops = vec![
            TopDir { children: own, ..TopDir::new(top.clone()) },
            // What is there is left from a build that died: the outputs are locked by us.
            TopDir {
                path: beside.clone(),
                replace: true,
                children: vec![scratch.store.clone(), scratch.tmp.clone()],
            },
        ];
        let layout = Layout { tops, mount_in: Some(usize::from(!reachable)), reachable };
        Ok(BuildDirs { work_dir: WorkDir::create(state, layout)?, scratch, beside, top })
    }

    /// Where copies of the outputs can be made. Only root can enter it, and it is on the store's volume.
    pub fn copies(&self) -> PathBuf {
        self.beside.join("outputs")
    }

    /// Puts a plan's files into the build directory, but for those that are there already.
    pub fn write_missing_files(&self, plan: &Plan) -> Result<(), WorkDirError> {
        let missing = |name: &String| self.scratch.build.join(name).symlink_metadata().is_err();
        self.write(plan, |name| missing(name))
    }

    /// Puts a plan's files into the build directory.
    pub fn write_files(&self, plan: &Plan) -> Result<(), WorkDirError> {
        self.write(plan, |_| true)
    }

    fn write(&self, plan: &Plan, wanted: impl Fn(&String) -> bool) -> Result<(), WorkDirError> {
        for (name, contents) in plan.files.iter().filter(|(name, _)| wanted(name)) {
            let path = self.scratch.build.join(name);
            let write = || {
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path)?;
                file.write_all(contents.as_bytes())?;
                fchown(&file, Some(plan.jail.user.uid), Some(plan.jail.user.gid))
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
        // Nobody else could reach it so far.
        sandbox::tree::clear_set_id(build, user.uid)?;
        std::os::unix::fs::chown(build, Some(user.uid), Some(user.gid))?;
        for directory in [build, &self.top] {
            fs::set_permissions(directory, Permissions::from_mode(0o755))?;
        }
        self.work_dir.keep(&self.top);
        Ok(build.clone())
    }
}

/// Where build directories are made.
fn builds(store: &Store, settings: &Settings) -> PathBuf {
    settings.build_dir.clone().unwrap_or_else(|| store.state().join("builds"))
}

/// A name that no build has yet: the setting `build-dir` may be a directory that everybody may write.
fn unused(derivation: &StorePath) -> String {
    sandbox::unguessable(&format!("nix-build-{}", derivation.short_name()))
}
