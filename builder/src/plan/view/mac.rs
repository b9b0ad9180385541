//! What a build sees and may do on macOS, in each entry mode.

use std::path::{Path, PathBuf};

use sandbox::entry::MacHost;
use sandbox::entry::system::{CRYPTEX, PRIVATE, beyond_links, links, system_paths};
use sandbox::jail::{Architecture, EntryMode, Files, Ids, Mac, NetworkAccess, Profile};
use sandbox::view::{Entry, Owner};

use super::super::{PlanError, PlannedOutput, Request, SandboxPath};
use super::Entries;
use crate::derivation::Attributes;
use crate::store::Settings;

/// `/bin/sh` is a program that starts the shell that `/private/var/select/sh` leads to, by default this one.
const SHELL: (&str, &str) = ("/bin/sh", "/bin/bash");

/// The build directory in a view that is mounted beside the machine's root.
const BUILD: &str = "/build";

/// Nix's settings with the place of the build directory, for which Nix has no setting on macOS: where it used to be,
/// or where the view is mounted.
pub(in crate::plan) fn settings(request: &Request<'_>) -> Option<Settings> {
    let host = request.host.mac.as_ref()?;
    let in_view = || PathBuf::from(format!("{PRIVATE}/tmp/nix-build-{}-0", request.path.name()));
    let sandbox_build_dir = match &request.scratch.mount {
        Some(mount) if !host.mode.changes_root() => mount.join(below(BUILD)),
        _ => in_view(),
    };
    Some(Settings { sandbox_build_dir, ..request.settings.clone() })
}

/// Adds the entries of a view on a Mac.
pub(super) fn add(
    entries: &mut Entries,
    request: &Request<'_>,
    attributes: &Attributes<'_>,
    outputs: &[PlannedOutput],
    host: &MacHost,
    shown: Vec<SandboxPath>,
) -> Result<Mac, PlanError> {
    if request.settings.build_users_group.is_empty() {
        return Err(PlanError::NoBuildUsers);
    }
    let extra = attributes.text("__sandboxProfile")?.to_owned();
    if !extra.is_empty() && !request.settings.sandbox_relaxed {
        return Err(PlanError::SandboxProfile(request.path.within(request.store)));
    }
    let shown = with_system(shown, host.mode);
    let files = if host.mode.changes_root() {
        add_root(entries, request, outputs, host, &shown);
        Files::View
    } else {
        add_beside(entries, request);
        listed(request, outputs, &shown)?
    };
    let network = match request.derivation.is_fixed() {
        true => NetworkAccess::All,
        false if attributes.flag("__darwinAllowLocalNetworking")? => NetworkAccess::Local,
        false => NetworkAccess::None,
    };
    Ok(Mac {
        mode: host.mode,
        profile: Profile { files, network, extra },
        devices: host.mode.changes_root().then(|| "/dev".into()),
        image: host
            .image
            .clone()
            .filter(|_| host.mode == EntryMode::Cryptex)
            .map(|image| (image, CRYPTEX.into())),
        record: None,
        architecture: Architecture::of_system(&request.derivation.platform),
        alone: true,
    })
}

/// What is shown of the host besides the store. Devices are all there.
fn with_system(shown: Vec<SandboxPath>, mode: EntryMode) -> Vec<SandboxPath> {
    let optional = |path: PathBuf| SandboxPath { target: path.clone(), source: path, optional: true };
    let shell = shown.iter().any(|path| path.target == Path::new(SHELL.0));
    let mut all: Vec<SandboxPath> = system_paths(mode).into_iter().map(optional).collect();
    all.extend(shell.then(|| optional(SHELL.1.into())));
    let others = shown.into_iter().filter(|path| !path.target.starts_with("/dev"));
    all.extend(others.map(|path| SandboxPath {
        target: beyond_links(&path.target),
        source: beyond_links(&path.source),
        ..path
    }));
    all
}

/// A whole root.
fn add_root(
    entries: &mut Entries,
    request: &Request<'_>,
    outputs: &[PlannedOutput],
    host: &MacHost,
    shown: &[SandboxPath],
) {
    let Request { user, scratch, settings, .. } = request;
    let builders = Owner { uid: 0, gid: user.gid };
    let directory = |at: &str, mode| Entry::Directory { at: at.into(), mode, owner: Owner::default() };
    entries.put(directory("/", 0o755));
    entries.put(directory("/dev", 0o755));
    if host.mode == EntryMode::Cryptex {
        entries.put(directory(CRYPTEX, 0o755));
    }
    links().into_iter().for_each(|link| entries.put(link));
    let tmp = Path::new(PRIVATE).join("tmp");
    entries.scratch(&tmp, &scratch.tmp, 0o1777, Owner::default());
    let builder = Owner { uid: user.uid, gid: user.gid };
    entries.scratch(&settings.sandbox_build_dir, &scratch.build, 0o700, builder);
    entries.scratch(request.store, &scratch.store, 0o1775, builders);
    let ids = Ids { uid: user.uid, gid: user.gid };
    entries.add_etc(request, Some(ids), Path::new(PRIVATE));
    shown.iter().for_each(|path| entries.show(path));
    entries.add_closure(request, outputs);
}

/// A directory to build in, mounted somewhere below the machine's own root.
fn add_beside(entries: &mut Entries, request: &Request<'_>) {
    let Request { user, scratch, .. } = request;
    entries.put(Entry::Directory { at: "/".into(), mode: 0o755, owner: Owner::default() });
    entries.scratch(Path::new(BUILD), &scratch.build, 0o700, Owner { uid: user.uid, gid: user.gid });
}

/// The paths that a build can reach where the machine's root stays.
fn listed(
    request: &Request<'_>,
    outputs: &[PlannedOutput],
    shown: &[SandboxPath],
) -> Result<Files, PlanError> {
    if let Some(SandboxPath { target, source, .. }) = shown.iter().find(|path| path.target != path.source) {
        return Err(PlanError::Mismatched { target: target.clone(), source_path: source.clone() });
    }
    let own = outputs.iter().map(|output| output.path.within(request.store));
    Ok(Files::Listed {
        fixed: super::closure(request, outputs).map(|path| path.within(request.store)).collect(),
        read: shown.iter().map(|path| path.target.clone()).collect(),
        write: std::iter::once(request.settings.sandbox_build_dir.clone()).chain(own).collect(),
        // As with Nix.
        lists_above: true,
    })
}

fn below(path: &str) -> &str {
    path.trim_start_matches('/')
}
