//! Builds for Nix's `external-builders`: Nix plans, this runs the builder in a view, and Nix registers the outputs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use defences::Defence;
use nix::unistd::Uid;
use sandbox::backend::Backend;
use sandbox::cancel::Cancel;
use sandbox::conditions::{ConditionReport, Conditions};
use sandbox::jail::{ExitOutcome, StreamError, Streams};
use sandbox::recovery::StateDir;
use sandbox::report::{HASHED_BY_THE_WAY, Report};
use sandbox::{Layout, Privilege, Program, Scratches, SessionOutcome, TopDir, WorkDir};
use serde::Deserialize;

use crate::build::BuildError;
use crate::caller;
use crate::derivation::{Attributes, Derivation, KindError, Method, Output};
use crate::output::copy_all;
use crate::plan::{
    Host, InputInfo, Plan, PlanError, PlannedOutput, Request, SandboxPath, Scratch, plan_decided,
};
use crate::report::BuildReport;
use crate::store::{Settings, Store, StoreError};
use crate::store_path::{StorePath, StorePathError};
use crate::variation::VariationSet;

/// The longest description that is read, in bytes: environments of large derivations reach some megabytes.
const MAX_SIZE: u64 = 64 << 20;

/// A mode by which a file's owner may write to it.
const WRITABLE: u32 = 0o200;

/// The version of the description that is understood.
const VERSION: u32 = 1;

/// What Nix says about a build, in a file that it names on the command line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    version: u32,
    builder: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    input_paths: Vec<String>,
    outputs: BTreeMap<String, String>,
    store_dir: PathBuf,
    real_store_dir: PathBuf,
    system: String,
    top_tmp_dir: PathBuf,
    tmp_dir: PathBuf,
    tmp_dir_in_sandbox: PathBuf,
}

/// Why such a build could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// The description cannot be read.
    #[error("cannot read the build's description {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The description is not one.
    #[error("{path:?} does not describe a build")]
    Json {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: serde_json::Error,
    },
    /// The description is of another version.
    #[error("the build's description has version {version}, but only version {VERSION} is understood")]
    Version {
        /// Its version.
        version: u32,
    },
    /// A path in the description is not a store path.
    #[error("the build's description names something that is not a store path")]
    Path(#[from] StorePathError),
    /// It has no outputs.
    #[error("the build's description names no outputs")]
    NoOutputs,
    /// The system does not say who this is.
    #[error("cannot find out the groups of this process")]
    Groups(#[source] io::Error),
    /// The store did not say what the declared paths need.
    #[error("cannot find out what the given paths need of the store")]
    Store(#[from] StoreError),
    /// What it writes does not reach Nix.
    #[error("cannot forward the output of the build")]
    Stream(#[from] StreamError),
    /// The build could not be run.
    #[error("cannot run the build")]
    Build(#[from] BuildError),
    /// An output could not be moved to where Nix looks for it.
    #[error("cannot move an output to {path:?}")]
    Move {
        /// Where Nix looks for it.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// How a build of Nix's is run.
pub struct ExternalOptions<'a> {
    /// Paths that are shown besides the inputs.
    pub sandbox_paths: &'a [SandboxPath],
    /// Whether it is known that the build may use the network, as an impure one may.
    pub network: bool,
    /// Where the run record is kept.
    pub state: &'a StateDir,
    /// Who makes the view and starts the builder in it.
    pub privilege: Privilege<'a>,
    /// How the view becomes a directory.
    pub backend: &'a dyn Backend,
    /// How scratches are reached, but for the one of the outputs.
    pub scratches: Scratches,
    /// How much the build may write.
    pub conditions: Conditions,
    /// How it is stopped.
    pub cancel: &'a Cancel,
}

/// How such a build ended.
pub struct ExternalOutcome {
    /// How its builder ended.
    pub outcome: ExitOutcome,
    /// What it asked its view for, if the store says what that needs to be told.
    pub report: Option<BuildReport>,
    /// How often the conditions were met.
    pub imposed: ConditionReport,
}

impl Description {
    /// Reads what Nix has written.
    ///
    /// # Errors
    /// When it cannot be read, or is of another version.
    pub fn read(path: &Path) -> Result<Description, ExternalError> {
        let unreadable = |source| ExternalError::Read { path: path.into(), source };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > MAX_SIZE {
            let message = format!("{size} bytes are too many (at most {MAX_SIZE})");
            return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, message)));
        }
        let text = std::fs::read(path).map_err(unreadable)?;
        let json = |source| ExternalError::Json { path: path.into(), source };
        let description: Description = serde_json::from_slice(&text).map_err(json)?;
        match description.version {
            VERSION => Ok(description),
            version => Err(ExternalError::Version { version }),
        }
    }

    /// Where the store is on this machine.
    #[must_use]
    pub fn real_store(&self) -> &Path {
        &self.real_store_dir
    }

    /// A directory of the build's own, which Nix removes.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.top_tmp_dir
    }

    /// Runs the build; `begin` is called just before the builder runs. Its outputs are then where Nix looks for them.
    ///
    /// # Errors
    /// The step that failed.
    pub fn run(
        &self,
        external: &ExternalOptions<'_>,
        begin: impl FnOnce(),
    ) -> Result<ExternalOutcome, ExternalError> {
        let derivation = self.derivation(external.network);
        if derivation.is_builtin() {
            let builder = self.builder.clone();
            return Err(BuildError::from(KindError::Builtin { builder }).into());
        }
        let outputs = self.paths(self.outputs.values())?;
        let first = outputs.first().ok_or(ExternalError::NoOutputs)?;
        // Named after an output, which Nix protects from its garbage collector meanwhile.
        let beside = self.real_store_dir.join(format!("{first}.chroot"));
        let top = TopDir {
            path: beside.clone(),
            replace: true,
            children: vec![beside.join("store"), beside.join("tmp")],
        };
        let layout = Layout { tops: vec![top], mount_in: Some(0), reachable: false };
        let work_dir = WorkDir::create(external.state, layout).map_err(BuildError::from)?;
        // Who builds: whoever Nix has run this as, who may be of further groups.
        let user = caller::user().map_err(ExternalError::Groups)?;
        let scratch = Scratch {
            store: beside.join("store"),
            build: self.tmp_dir.clone(),
            tmp: beside.join("tmp"),
            mount: None,
        };
        let settings = self.settings(&derivation, external.sandbox_paths)?;
        let plan = plan_decided(&Request {
            variations: &VariationSet::default(),
            scratches: external.conditions.scratches(external.scratches),
            store: &self.store_dir,
            inputs_at: &self.real_store_dir,
            path: first,
            derivation: &derivation,
            known: &InputInfo { inputs: self.paths(&self.input_paths)?, ..InputInfo::default() },
            settings: &settings,
            sandbox_paths: external.sandbox_paths,
            hook_paths: &[],
            sandbox_closure: &self.sandbox_closure(external.sandbox_paths)?,
            cores: None,
            host: &Host::detect(&settings),
            user: &user,
            scratch: &scratch,
        })
        .map_err(BuildError::from)?;
        // As Nix does with its own builders: who has closed his output has nothing more to do.
        let stop = Cancel::default();
        let closed = stop.clone();
        let (streams, stdio) = Streams::carry_output(Some(user.uid), move || closed.cancel())?;
        let opened = plan
            .session(external.backend, &work_dir, external.privilege, &external.conditions)
            .open()
            .map_err(BuildError::from);
        let ended = opened.and_then(|session| {
            begin();
            Ok(session.run(Program {
                jail: plan.jail.clone(),
                stdio,
                terminal: None,
                cancel: external.cancel,
                stop: &stop,
                worthless_on_failure: true,
            })?)
        });
        let carried = streams.finish();
        let ended = ended?;
        carried?;
        let report = self.report(&plan, first, &ended);
        if ended.outcome == ExitOutcome::Exited(0) {
            let exposed = external.backend.exposes_host_files() || !plan.jail.changes_root();
            let copies = beside.join("outputs");
            let from = if exposed && Defence::OutputCopies.stands() {
                copy_outputs(&plan, &copies)?
            } else {
                &scratch.store
            };
            self.move_outputs(from, &outputs)?;
        }
        Ok(ExternalOutcome { outcome: ended.outcome, report, imposed: ended.imposed })
    }

    /// What the build asked for. It is kept beside Nix's logs, where whoever builds may write there.
    fn report(&self, plan: &Plan, output: &StorePath, ended: &SessionOutcome) -> Option<BuildReport> {
        let store = Store::from_environment();
        let made: Vec<PathBuf> = plan.outputs.iter().map(|output| store.locate(&output.path)).collect();
        let access = Report::of(&plan.view, &self.store_dir, &made, ended, HASHED_BY_THE_WAY);
        let outputs = (ended.outcome == ExitOutcome::Exited(0)).then(BTreeMap::new);
        let report = BuildReport::of(&store, output, &BTreeSet::new(), access, outputs.as_ref());
        let report = report.inspect_err(|error| debug(error, "what a build asked for is not told")).ok()?;
        if let Err(error) = report.keep(&store, output) {
            debug(&error, "the report of a build is not kept");
        }
        Some(report)
    }

    /// What Nix built from, as far as it tells.
    fn derivation(&self, network: bool) -> Derivation<'_> {
        // Whether the contents are fixed is seen from the environment alone; Nix itself compares the hash. Impure builds
        // have the same view, and nothing in the description tells them from others.
        let fixed = network || self.env.contains_key("outputHash");
        let output = |path: &'_ String| match fixed {
            true => Output::Fixed {
                path: Cow::Owned(path.clone()),
                method: Method::Recursive,
                algorithm: Cow::Borrowed(""),
                hash: Cow::Borrowed(""),
            },
            false => Output::InputAddressed { path: Cow::Owned(path.clone()) },
        };
        let bytes = |text: &'_ String| Cow::Owned(text.clone().into_bytes());
        Derivation {
            outputs: self
                .outputs
                .iter()
                .map(|(name, path)| (Cow::Borrowed(name.as_str()), output(path)))
                .collect(),
            input_derivations: Vec::new(),
            input_sources: Vec::new(),
            platform: Cow::Borrowed(&self.system),
            builder: bytes(&self.builder),
            arguments: self.args.iter().map(bytes).collect(),
            environment: self.env.iter().map(|(name, value)| (bytes(name), bytes(value))).collect(),
        }
    }

    /// Nix has applied its settings already, but for the paths that are shown: who configures the paths of this
    /// builder thereby allows derivations to ask for them.
    fn settings(
        &self,
        derivation: &Derivation<'_>,
        sandbox_paths: &[SandboxPath],
    ) -> Result<Settings, ExternalError> {
        let attributes =
            Attributes::of(derivation).map_err(|error| BuildError::from(PlanError::from(error)))?;
        let features = attributes.words("requiredSystemFeatures");
        let allowed = sandbox_paths.iter().map(|path| path.target.display().to_string());
        Ok(Settings {
            system: self.system.clone(),
            sandbox_build_dir: self.tmp_dir_in_sandbox.clone(),
            allowed_impure_host_deps: allowed.collect(),
            filter_syscalls: true,
            system_features: features.map_err(|error| BuildError::from(PlanError::from(error)))?,
            ..Settings::default()
        })
    }

    fn sandbox_closure(&self, paths: &[SandboxPath]) -> Result<BTreeSet<StorePath>, ExternalError> {
        Ok(Store::from_environment().closure(&SandboxPath::store_paths(paths, &self.store_dir))?)
    }

    fn move_outputs(&self, from: &Path, outputs: &BTreeSet<StorePath>) -> Result<(), ExternalError> {
        for output in outputs {
            let path = output.within(&self.real_store_dir);
            // Nix itself says what it thinks of an output that was not made.
            match rename(&output.within(from), &path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(|source| ExternalError::Move { path, source })?,
            }
        }
        Ok(())
    }

    fn paths<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a String>,
    ) -> Result<BTreeSet<StorePath>, ExternalError> {
        let read = |path: &String| StorePath::parse(path, &self.store_dir);
        Ok(paths.into_iter().map(read).collect::<Result<_, _>>()?)
    }
}

/// Moves an output. Its `..` changes by that, so that whoever is not root has to be able to write to a directory, whatever its mode.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = from.symlink_metadata()?;
    let mode = metadata.permissions().mode();
    if !metadata.is_dir() || mode & WRITABLE != 0 || Uid::effective().is_root() {
        return fs::rename(from, to);
    }
    fs::set_permissions(from, Permissions::from_mode(mode | WRITABLE))?;
    fs::rename(from, to)?;
    fs::set_permissions(to, Permissions::from_mode(mode))
}

fn debug(error: &(dyn std::error::Error + 'static), what: &str) {
    tracing::debug!(error, "{what}");
}

/// Copies those outputs that were made to a new directory: Nix takes what it finds in the store, to which nobody else may have
/// a descriptor.
fn copy_outputs<'a>(plan: &Plan, copies: &'a Path) -> Result<&'a Path, BuildError> {
    let made = |output: &&PlannedOutput| {
        // Nix itself says what it thinks of an output that was not made.
        output.path.within(&plan.scratch.store).symlink_metadata().is_ok()
    };
    copy_all(&plan.outputs.iter().filter(made).collect::<Vec<_>>(), plan, copies)?;
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_of_another_version_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("build.json");
        let text = r#"{"version":2,"builder":"/b","args":[],"env":{},"inputPaths":[],"outputs":{},"storeDir":"/s",
            "realStoreDir":"/s","system":"x","tmpDir":"/t","topTmpDir":"/t","tmpDirInSandbox":"/build"}"#;
        std::fs::write(&path, text).expect("a file");
        let error = Description::read(&path).expect_err("another version");
        assert_eq!(
            error.to_string(),
            "the build's description has version 2, but only version 1 is understood"
        );
    }
}
