//! Everything about one build as plain data, decided without touching the machine.

mod checks;
mod environment;
mod error;
mod graphs;
mod host;
mod placeholders;
mod sandbox_paths;
mod structured;
mod system_calls;
mod view;
mod word;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use sandbox::jail::{Ids, JailSpec, Limit, Resource, User};
use sandbox::view::{Entry, ViewSpec, ViewVariation};
use sandbox::{Rights, Scratches};
use serde::Serialize;

use crate::derivation::{Attributes, Derivation, FixedHash, Method, Output};
use crate::store::Settings;
use crate::store_path::StorePath;
use crate::variation::VariationSet;

use checks::NamedOutputs;
use environment::Environment;

pub use checks::OutputChecks;
pub use error::PlanError;
pub use graphs::InputInfo;
pub use host::{Device, Host};
pub use sandbox_paths::{SandboxPath, SandboxPathError};
pub use word::Word;

/// The ids that a build user has inside the sandbox, as in Nix's.
const INSIDE: Ids = Ids { uid: 1000, gid: 100 };

/// Features that change the sandbox itself in ways that are not implemented.
const UNSUPPORTED_FEATURES: [&str; 2] = ["recursive-nix", "uid-range"];

/// How large shared memory may become where nothing is set.
const SHM_SIZE: &str = "50%";

/// The version of Nix that has come to honour `unsafeDiscardReferences`; older ones look for references all the same.
const DISCARD_REFERENCES: (u32, u32) = (2, 14);

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The store directory, as derivations name it and builds see it.
    pub store: &'a Path,
    /// Where this machine has what is shown there of the inputs: elsewhere for a store with a root of its own.
    pub inputs_at: &'a Path,
    /// The derivation's own path.
    pub path: &'a StorePath,
    /// The derivation.
    pub derivation: &'a Derivation<'a>,
    /// The closure of its inputs, and what its reference graphs need besides.
    pub known: &'a InputInfo,
    /// Nix's settings.
    pub settings: &'a Settings,
    /// Paths to show from outside the store, from the settings and from the command line.
    pub sandbox_paths: &'a [SandboxPath],
    /// Paths that the `pre-build-hook` adds.
    pub hook_paths: &'a [SandboxPath],
    /// The closure of those of them that lie in the store.
    pub sandbox_closure: &'a BTreeSet<StorePath>,
    /// Cores for this build; `None` for what Nix's settings say.
    pub cores: Option<u32>,
    /// What this machine has.
    pub host: &'a Host,
    /// Who builds.
    pub user: &'a User,
    /// Where the build writes.
    pub scratch: &'a Scratch,
    /// What is otherwise than usual.
    pub variations: &'a VariationSet,
    /// How scratches are reached, but for the one of the outputs.
    pub scratches: Scratches,
}

/// A whole build.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The derivation.
    pub derivation: StorePath,
    /// What the build sees.
    pub view: ViewSpec,
    /// The builder, who runs it, and with which limits.
    pub jail: JailSpec,
    /// What its view is served with.
    pub server: Rights,
    /// Scratches that are the machine's own, if the view is served.
    pub local: Vec<PathBuf>,
    /// Files put into the build directory beforehand, owned by the build user.
    pub files: BTreeMap<String, Word>,
    /// What it has to make.
    pub outputs: Vec<PlannedOutput>,
    /// Store paths that the outputs may refer to.
    pub may_refer_to: BTreeSet<StorePath>,
    /// Where the build writes.
    pub scratch: Scratch,
    /// What its view shows otherwise than it is.
    #[serde(skip_serializing_if = "is_usual")]
    pub shown: ViewVariation,
}

fn is_usual(shown: &ViewVariation) -> bool {
    *shown == ViewVariation::default()
}

/// An output that a build has to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedOutput {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: StorePath,
    /// What its contents have to be.
    pub fixed: Option<FixedHash>,
    /// What else it has to be like.
    pub checks: OutputChecks,
    /// Whether the store is to believe that it refers to nothing.
    pub discard_references: bool,
}

/// Host directories that a build writes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scratch {
    /// Shown as the store directory; on the store's own file system, so that outputs can be renamed into it.
    pub store: PathBuf,
    /// Shown as the build directory.
    pub build: PathBuf,
    /// Shown as `/tmp`.
    pub tmp: PathBuf,
    /// Where the view is mounted, for builds that see it there because the machine's root stays (macOS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount: Option<PathBuf>,
}

/// Plans a build.
///
/// # Errors
/// The first reason why it cannot be built.
pub fn plan(request: &Request<'_>) -> Result<Plan, PlanError> {
    let settings = view::mac::settings(request);
    let request = &Request { settings: settings.as_ref().unwrap_or(request.settings), ..*request };
    let Request { derivation, .. } = request;
    derivation.check_buildable(request.store)?;
    let attributes = Attributes::of(derivation)?;
    let path = || request.path.within(request.store);
    check_system(derivation, &attributes, request.settings, path)?;
    let mut outputs = planned_outputs(derivation, request.store)?;
    add_checks(&mut outputs, request, &attributes)?;
    let rewrites = placeholders::rewrites(&outputs, request.store);
    let arguments = derivation.arguments.iter().map(|argument| rewrites.apply(argument)).collect();
    let made = environment::environment(request, &attributes, &rewrites)?;
    assemble(request, &attributes, outputs, arguments, made)
}

/// Plans a build whose environment has been decided on, and whose files have been written, by Nix.
///
/// # Errors
/// The first reason why it cannot be built.
pub fn plan_decided(request: &Request<'_>) -> Result<Plan, PlanError> {
    let Request { derivation, .. } = request;
    let attributes = Attributes::of(derivation)?;
    let outputs = planned_outputs(derivation, request.store)?;
    let arguments = derivation.arguments.iter().map(|argument| argument.to_vec()).collect();
    let word = |text: &crate::derivation::Text<'_>| Word::from(text.to_vec());
    let variables = derivation.environment.iter().map(|(name, value)| (word(name), word(value))).collect();
    assemble(request, &attributes, outputs, arguments, Environment { variables, files: BTreeMap::new() })
}

fn assemble(
    request: &Request<'_>,
    attributes: &Attributes<'_>,
    outputs: Vec<PlannedOutput>,
    arguments: Vec<Vec<u8>>,
    made: Environment,
) -> Result<Plan, PlanError> {
    let Request { derivation, settings, .. } = request;
    let inside = request.host.user_namespaces.then(|| request.variations.ids(INSIDE));
    let (view, mounts, mac) = view::view(request, attributes, &outputs, inside)?;
    let called_by = derivation.builder.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let own = outputs.iter().map(|output| &output.path);
    let may_refer_to = request.known.inputs.iter().chain(own).cloned().collect();
    let user = User {
        // In a user namespace of two ids there are no others, and Nix drops them there too.
        groups: if inside.is_some() { Vec::new() } else { request.user.groups.clone() },
        inside,
        ..request.user.clone()
    };
    let program = OsStr::from_bytes(&derivation.builder);
    let argv = std::iter::once(called_by.to_vec()).chain(arguments).map(OsString::from_vec).collect();
    let jail = JailSpec {
        network: derivation.is_fixed(),
        shm_size: settings.sandbox_dev_shm_size.clone().unwrap_or_else(|| SHM_SIZE.into()),
        env: made.variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        cwd: settings.sandbox_build_dir.clone(),
        // No core files, unless the build asks for them.
        limits: vec![Limit { resource: Resource::Core, soft: Some(0), hard: None }],
        system_calls: system_calls::of(&derivation.platform, settings),
        proc: mounts.proc,
        pts: mounts.pts,
        shm: mounts.shm,
        mac,
        ..JailSpec::new(user, program, argv)
    };
    let jail = request.variations.jail(jail);
    let shown = request.variations.view();
    // Only a server shows things otherwise than they are.
    let scratches = if is_usual(&shown) { request.scratches } else { Scratches::Nfs };
    Ok(Plan {
        derivation: request.path.clone(),
        local: scratches.local_in(&view, Some(request.store)),
        view,
        server: Rights::of(&jail.user),
        jail,
        files: made.files,
        outputs,
        may_refer_to,
        scratch: request.scratch.clone(),
        shown,
    })
}

impl Plan {
    /// How many entries of the view show something of the host.
    #[must_use]
    pub fn grafts(&self) -> usize {
        self.view.entries.iter().filter(|entry| matches!(entry, Entry::Graft { .. })).count()
    }
}

/// Whether this machine builds it at all. `path` is the derivation's.
pub(crate) fn check_system(
    derivation: &Derivation<'_>,
    attributes: &Attributes<'_>,
    settings: &Settings,
    path: impl FnOnce() -> PathBuf,
) -> Result<(), PlanError> {
    let wanted: BTreeSet<String> = attributes.words("requiredSystemFeatures")?.into_iter().collect();
    if let Some(feature) = wanted.iter().find(|feature| UNSUPPORTED_FEATURES.contains(&feature.as_str())) {
        return Err(PlanError::UnsupportedFeature { feature: feature.clone() });
    }
    let platform = derivation.platform.as_ref();
    let mut reasons = Vec::new();
    if platform != settings.system && settings.extra_platforms.iter().all(|extra| extra != platform) {
        reasons.push(format!(
            "platform mismatch\n  Required system: '{platform}'\n  Current system: '{}'",
            settings.system
        ));
    }
    if wanted.iter().any(|feature| !settings.system_features.contains(feature)) {
        reasons.push(format!(
            "missing system features\n  Required features: {{{}}}\n  Available features: {{{}}}",
            wanted.into_iter().collect::<Vec<_>>().join(", "),
            settings.system_features.join(", ")
        ));
    }
    if !reasons.is_empty() {
        return Err(PlanError::System { reasons: reasons.join("\n") });
    }
    match attributes.flag("__noChroot")? {
        true if settings.sandbox_relaxed => Err(PlanError::OnlyWithoutSandbox(path())),
        true => Err(PlanError::NoChroot(path())),
        false => Ok(()),
    }
}

fn planned_outputs(derivation: &Derivation<'_>, store: &Path) -> Result<Vec<PlannedOutput>, PlanError> {
    let paths = derivation.output_paths(store)?;
    let planned = derivation.outputs.iter().zip(paths).map(|((_, output), (name, path))| {
        let fixed = match output {
            Output::Fixed { method, algorithm, hash, .. } => Some(FixedHash {
                recursive: *method == Method::Recursive,
                algorithm: algorithm.to_string(),
                hash: hash.to_string(),
            }),
            _ => None,
        };
        PlannedOutput { name, path, fixed, checks: OutputChecks::default(), discard_references: false }
    });
    Ok(planned.collect())
}

fn add_checks(
    outputs: &mut [PlannedOutput],
    request: &Request<'_>,
    attributes: &Attributes<'_>,
) -> Result<(), PlanError> {
    let names: Vec<_> = outputs.iter().map(|output| (output.name.clone(), output.path.clone())).collect();
    let named = NamedOutputs { store: request.store, derivation: request.path, outputs: &names };
    for output in outputs {
        output.checks = named.checks(attributes, &output.name)?;
        output.discard_references = request.settings.version >= DISCARD_REFERENCES
            && checks::discard_references(attributes, &output.name)?;
    }
    Ok(())
}
