//! Why a derivation cannot be planned.

use std::path::PathBuf;

use sandbox::view::SpecError;

use super::SandboxPathError;
use crate::derivation::{AttributeError, KindError};

/// Why a derivation cannot be planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// It is of a kind that cannot be built here.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// An attribute is malformed.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// It is for another system, or asks for something that this machine does not have.
    #[error("{reasons}")]
    System {
        /// What it requires and what there is, in Nix's words.
        reasons: String,
    },
    /// It asks for a sandbox of another kind.
    #[error("it requires the system feature '{feature}', which loopbox does not support")]
    UnsupportedFeature {
        /// The feature.
        feature: String,
    },
    /// It asks for no sandbox, and the settings do not allow that.
    #[error("derivation '{}' has '__noChroot' set, but that's not allowed when 'sandbox' is 'true'", .0.display())]
    NoChroot(PathBuf),
    /// It asks for no sandbox, and Nix would build it without one.
    #[error(
        "derivation '{}' has '__noChroot' set: Nix would build it without a sandbox, but loopbox always uses one",
        .0.display()
    )]
    OnlyWithoutSandbox(PathBuf),
    /// It asks for a host path that it may not have.
    #[error(
        "it asks for the host path '{path}', which Nix's setting 'allowed-impure-host-deps' does not allow"
    )]
    ImpureHostDep {
        /// The path.
        path: String,
    },
    /// A host path is not plain enough to be shown.
    #[error("its attribute '__impureHostDeps' is malformed")]
    HostDep(#[source] SandboxPathError),
    /// It asks for the reference graph of a path that is not in its closure.
    #[error("it asks for the references of '{path}', which is not in the closure of its inputs")]
    GraphPath {
        /// The path.
        path: String,
    },
    /// A check names neither a path nor an output.
    #[error(
        "derivation '{}' output check for '{output}' contains an illegal reference specifier '{specifier}', expected store path or output name (one of [{}])",
        derivation.display(), outputs.join(", ")
    )]
    Specifier {
        /// The derivation.
        derivation: PathBuf,
        /// The output that is checked.
        output: String,
        /// What the check names.
        specifier: String,
        /// What it could name.
        outputs: Vec<String>,
    },
    /// The entries of the view do not fit together.
    #[error("the paths that it is to see are in conflict")]
    View(#[from] SpecError),
    /// It brings rules of its own for the sandbox, and the settings do not allow that.
    #[error("derivation '{}' specifies a sandbox profile, but this is only allowed when 'sandbox' is 'relaxed'", .0.display())]
    SandboxProfile(PathBuf),
    /// Where the machine's root stays, every path is where it is.
    #[error("'{}' cannot be shown at '{}' on this Mac, whose root stays the machine's: mismatched impure paths are not supported", source_path.display(), target.display())]
    Mismatched {
        /// Where it should be seen.
        target: PathBuf,
        /// Where it is.
        source_path: PathBuf,
    },
    /// There is nobody to build as.
    #[error("builds on macOS need users of their own, and Nix's setting 'build-users-group' names none")]
    NoBuildUsers,
}
