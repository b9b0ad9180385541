//! Requests and results of builds, and the builder that all builds of one run share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sandbox::backend::{Backend, ResourceUsage};
use sandbox::cancel::Cancel;
use sandbox::conditions::Conditions;
use sandbox::jail::{Spawner, User};
use sandbox::limits::Limits;
use sandbox::recovery::StateDir;
use sandbox::report::allow_list::AllowList;
use sandbox::{PhaseSeconds, Scratches};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::derivation::{Attributes, Derivation};
use crate::hooks;
use crate::plan::{Host, InputInfo, Plan, PlanError, Request, SandboxPath, Scratch};
use crate::report::BuildReport;
use crate::store::{
    BuildUsers, LockHolder, PathInfo, RegisterWhen, RegistrationTicket, Settings, Store, StoreError,
};
use crate::store_path::StorePath;
use crate::variation::{Variation, VariationSet};

pub use crate::failure::{BuildError, Failure, MissingDependency};
pub use crate::hooks::Hooks;
pub use crate::log::LogEvent;

/// What all builds of one run share.
pub struct Builder {
    /// The store.
    pub store: Store,
    /// Nix's settings.
    pub settings: Settings,
    /// This machine.
    pub host: Host,
    /// Who may build.
    pub users: BuildUsers,
    /// Where what could be left behind is noted.
    pub state: StateDir,
    /// The same directory's path.
    pub state_path: PathBuf,
    /// What starts the supervisors of jails.
    pub spawner: Spawner,
    /// How views become directories.
    pub backend: Box<dyn Backend>,
    /// Who is told of what happens.
    pub observer: Arc<dyn Observer>,
    /// How builds are stopped.
    pub cancel: Cancel,
    /// What their hooks share.
    pub hooks: Hooks,
    /// What the user chose.
    pub options: Options,
}

/// What a user may choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Cores for each build; `None` for what Nix's settings say.
    pub cores: Option<u32>,
    /// Whether the directories of failed builds stay.
    pub keep_failed: bool,
    /// Whether a failure lets the builds go on that do not need what failed.
    pub keep_going: bool,
    /// Paths to show from outside the store.
    pub sandbox_paths: Vec<SandboxPath>,
    /// Whether the files that a build could see are counted.
    pub count_visible: bool,
    /// Whether somebody wants to know what each build asks its view for.
    pub report: bool,
    /// Whether each derivation is first built where hidden directories can be walked, to report what it looks for there.
    pub deep: bool,
    /// What a build may ask for that its view hides; if it asks for more, it fails. `None` if it may ask for anything.
    pub strict: Option<AllowList>,
    /// What is otherwise in a build whose outputs are only compared.
    pub vary: Vec<Variation>,
    /// What each build may do.
    pub limits: Limits,
    /// How scratches are reached, but for the one of the outputs.
    pub scratches: Scratches,
    /// How much each build may write.
    pub conditions: Conditions,
    /// Whether Nix itself waits for the build: then it has locked the outputs, and keeps the log.
    pub in_build_hook: bool,
}

/// Is told of what happens, on whatever thread it happens.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn observe(&self, event: &Event<'_>);
}

/// Something that happens while derivations are built.
#[derive(Debug)]
pub enum Event<'a> {
    /// Nix fetches paths that need not be built.
    Fetching(&'a BTreeSet<StorePath>),
    /// Nix could not fetch these, and why. They are built.
    NotFetched(&'a BTreeSet<StorePath>, Option<&'a StoreError>),
    /// So many derivations are to be built.
    Planned(usize),
    /// Nothing goes on before somebody else is done with something.
    Waiting(&'a WaitReason<'a>),
    /// A build begins.
    Started(&'a StorePath),
    /// The same where hidden directories can be walked. Nothing else is said of such a build.
    StartedDeep(&'a StorePath),
    /// A build has written something.
    Log(&'a StorePath, &'a LogEvent<'a>),
    /// A build has ended well, or somebody else had built it meanwhile.
    Built(&'a Built),
    /// A hook, by its setting's name, has written a line.
    Hook(&'static str, &'a str),
    /// A build has failed.
    Failed(&'a StorePath, &'a BuildError),
}

/// What a build waits for.
#[derive(Debug)]
pub enum WaitReason<'a> {
    /// The lock of an output's path, and the process that has it.
    Path(&'a Path, Option<&'a LockHolder>),
    /// A build user who builds nothing.
    User,
}

/// A derivation whose outputs are valid now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Built {
    /// The derivation.
    pub derivation: StorePath,
    /// Its outputs by name.
    pub outputs: BTreeMap<String, PathInfo>,
    /// How it was built; missing when somebody else had built it meanwhile.
    pub build: Option<BuildStats>,
}

/// How a build went.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildStats {
    /// Files, directories and links that it could see of the host.
    pub files_visible: Option<u64>,
    /// What its view took.
    #[serde(flatten)]
    pub spent: ResourceUsage,
    /// How long it took.
    pub seconds: Seconds,
    /// How long its view took of that.
    pub view: PhaseSeconds,
    /// What it asked its view for.
    #[serde(skip)]
    pub report: BuildReport,
}

/// How long the parts of a build took, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Seconds {
    /// Until the builder ran.
    pub setup: f64,
    /// Until it had ended and its view was unmounted.
    pub build: f64,
    /// Until its outputs were registered.
    pub teardown: f64,
}

/// What a derivation is built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To have its outputs.
    #[default]
    Make,
    /// To see whether they come out the same again.
    Check,
    /// To have outputs again that are not what they were.
    Repair,
}

/// A slot for one of the builds that may run at the same time. The next one begins when it is dropped, which is before
/// the outputs are registered.
#[derive(Debug)]
pub struct BuildSlot<'a> {
    /// Its place; none when it is the only one.
    pub slot: Option<OwnedSemaphorePermit>,
    /// Says to the store that there may be something to register.
    pub ticket: RegistrationTicket<'a>,
    /// Whether other builds wait for its outputs.
    pub when: RegisterWhen,
}

/// A derivation that is about to be built.
#[derive(Clone)]
pub(crate) struct BuildRequest<'a> {
    pub path: &'a StorePath,
    pub derivation: &'a Derivation<'a>,
    /// What the derivation names.
    pub inputs: BTreeSet<StorePath>,
    /// What these need.
    pub known: InputInfo,
    pub sandbox_closure: BTreeSet<StorePath>,
    pub purpose: Purpose,
    /// Outputs that need not be made.
    pub unwanted: BTreeSet<StorePath>,
    /// What the `pre-build-hook` shows.
    pub hook_paths: Vec<SandboxPath>,
    /// Whether it is to see what it looks for in hidden directories: they can be walked, and nobody hears what it writes.
    pub phantom: bool,
    /// What is otherwise than in other builds.
    pub variations: VariationSet,
}

impl BuildRequest<'_> {
    /// Whether nothing is taken of what it makes, and nobody hears what it writes.
    pub(crate) fn is_trial(&self) -> bool {
        self.phantom || self.variations.begins.is_some()
    }
}

impl Builder {
    /// Plans a build that is not to be run: with a user and directories that no build has.
    ///
    /// # Errors
    /// When it cannot be planned, or its inputs are not valid.
    pub fn dry_plan(&self, path: &StorePath, derivation: &Derivation<'_>) -> Result<Plan, BuildError> {
        let inputs = self.inputs(derivation)?;
        self.store.hold(&inputs, &BTreeSet::new())?;
        let user = self.users.example();
        let beside = self.store.directory().join(format!("{path}.chroot"));
        let scratch = Scratch {
            store: beside.join("store"),
            build: self
                .store
                .state()
                .join("builds")
                .join(format!("nix-build-{}", path.short_name()))
                .join("build"),
            tmp: beside.join("tmp"),
            mount: None,
        };
        let request = self.request(path, derivation, inputs)?;
        Ok(self.plan(&request, &user.as_user(), &scratch)?)
    }

    /// A derivation whose inputs are valid, all of whose outputs are to be made.
    pub(crate) fn request<'a>(
        &self,
        path: &'a StorePath,
        derivation: &'a Derivation<'a>,
        inputs: BTreeSet<StorePath>,
    ) -> Result<BuildRequest<'a>, BuildError> {
        Ok(BuildRequest {
            path,
            derivation,
            known: self.known(derivation, &inputs)?,
            inputs,
            sandbox_closure: self.sandbox_closure()?,
            purpose: Purpose::Make,
            unwanted: BTreeSet::new(),
            hook_paths: Vec::new(),
            phantom: false,
            variations: VariationSet::default(),
        })
    }

    /// What the `pre-build-hook` shows of the host to a build, whose root is to be at `root`.
    pub(crate) fn hook_paths(&self, path: &StorePath, root: &Path) -> Result<Vec<SandboxPath>, BuildError> {
        let Some(hook) = &self.settings.pre_build_hook else { return Ok(Vec::new()) };
        let line = |line: &str| self.observer.observe(&Event::Hook("pre-build-hook", line));
        hooks::pre_build(hook, &self.store.locate(path), root, line).map_err(BuildError::PreBuildHook)
    }

    pub(crate) fn plan(
        &self,
        request: &BuildRequest<'_>,
        user: &User,
        scratch: &Scratch,
    ) -> Result<Plan, PlanError> {
        crate::plan::plan(&Request {
            store: self.store.directory(),
            inputs_at: self.store.directory(),
            path: request.path,
            derivation: request.derivation,
            known: &request.known,
            settings: &request.variations.settings(&self.settings),
            sandbox_paths: &self.options.sandbox_paths,
            hook_paths: &request.hook_paths,
            sandbox_closure: &request.sandbox_closure,
            cores: self.options.cores,
            host: &self.host,
            user,
            scratch,
            variations: &request.variations,
            scratches: self.options.conditions.scratches(self.options.scratches),
        })
    }

    /// The store paths that a derivation names as its inputs.
    pub(crate) fn inputs(&self, derivation: &Derivation<'_>) -> Result<BTreeSet<StorePath>, BuildError> {
        let directory = self.store.directory();
        let mut inputs = BTreeSet::new();
        for source in &derivation.input_sources {
            inputs.insert(StorePath::parse(source, directory)?);
        }
        for (path, wanted) in &derivation.input_derivations {
            let input = self.store.derivation(&StorePath::parse(path, directory)?)?;
            let outputs = input.output_paths(directory)?;
            inputs.extend(
                outputs
                    .into_iter()
                    .filter(|(name, _)| wanted.iter().any(|wanted| wanted == name))
                    .map(|(_, path)| path),
            );
        }
        Ok(inputs)
    }

    /// The closure of the inputs and, when reference graphs are asked for, what those need.
    pub(crate) fn known(
        &self,
        derivation: &Derivation<'_>,
        inputs: &BTreeSet<StorePath>,
    ) -> Result<InputInfo, BuildError> {
        let mut known = InputInfo { inputs: self.store.closure(inputs)?, ..InputInfo::default() };
        let attributes = Attributes::of(derivation).map_err(PlanError::from)?;
        if attributes.reference_graphs().map_err(PlanError::from)?.is_empty() {
            return Ok(known);
        }
        let mut outputs = BTreeSet::new();
        for path in known.inputs.iter().filter(|path| path.is_derivation()) {
            let made = self.store.derivation(path)?.output_paths(self.store.directory())?;
            let made: BTreeSet<StorePath> = made.into_iter().map(|(_, path)| path).collect();
            outputs.extend(made.iter().cloned());
            known.outputs.insert(path.clone(), made);
        }
        let mut reached = self.store.closure(&outputs)?;
        reached.extend(known.inputs.iter().cloned());
        known.infos = self.store.infos(&reached)?;
        if attributes.structured().is_some() {
            known.content_addresses = self.store.content_addresses(&reached)?;
        }
        Ok(known)
    }

    /// The closure of those sandbox paths that lie in the store.
    pub(crate) fn sandbox_closure(&self) -> Result<BTreeSet<StorePath>, BuildError> {
        let inside = SandboxPath::store_paths(&self.options.sandbox_paths, self.store.directory());
        self.store.hold(&inside, &BTreeSet::new())?;
        Ok(self.store.closure(&inside)?)
    }
}

impl Seconds {
    pub(crate) fn new(setup: Duration, build: Duration, teardown: Duration) -> Seconds {
        Seconds { setup: setup.as_secs_f64(), build: build.as_secs_f64(), teardown: teardown.as_secs_f64() }
    }
}
