//! What a build sees: the entries of Nix's own sandbox on Linux, place by place.

pub mod mac;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sandbox::jail::{Ids, Mac};
use sandbox::view::{Access, Entry, Owner, ViewSpec};

use super::{PlanError, PlannedOutput, Request, SandboxPath, sandbox_paths};
use crate::derivation::Attributes;
use crate::store_path::StorePath;

/// Directories with their modes.
const DIRECTORIES: [(&str, u32); 5] =
    [("/dev", 0o755), ("/dev/pts", 0o755), ("/dev/shm", 0o755), ("/etc", 0o555), ("/proc", 0o555)];

/// Symbolic links in `/dev`.
const DEV_LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// Host and service names are the only thing that fixed outputs may look up in this machine's way.
const NSSWITCH: &str = "hosts: files dns\nservices: files\n";

/// Where programs look for certificates, whatever the machine calls its own.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The entries, where the kernel's file systems go among them, and what a Mac needs to know besides.
pub(super) fn view(
    request: &Request<'_>,
    attributes: &Attributes<'_>,
    outputs: &[PlannedOutput],
    inside: Option<Ids>,
) -> Result<(ViewSpec, Mounts, Option<Mac>), PlanError> {
    let mut entries = Entries::default();
    let shown = shown_paths(request, attributes)?;
    if let Some(host) = &request.host.mac {
        let mac = mac::add(&mut entries, request, attributes, outputs, host, shown)?;
        return Ok((entries.into_view()?, Mounts::default(), Some(mac)));
    }
    entries.add_system(request);
    entries.add_etc(request, inside, Path::new("/"));
    for path in shown {
        entries.show(&path);
    }
    entries.add_closure(request, outputs);
    let mounts = entries.mounts(request);
    Ok((entries.into_view()?, mounts, None))
}

/// Sandbox paths and the host paths that the derivation asks for, in the order in which they override each other.
fn shown_paths(request: &Request<'_>, attributes: &Attributes<'_>) -> Result<Vec<SandboxPath>, PlanError> {
    let mut paths: Vec<SandboxPath> = request.sandbox_paths.to_vec();
    // Every build has process information of its own; Nix ignores these, so that old configurations work.
    paths.retain(|path| path.source != Path::new("/proc"));
    let allowed: Vec<PathBuf> = request.settings.allowed_impure_host_deps.iter().map(PathBuf::from).collect();
    for word in attributes.words("__impureHostDeps")? {
        let path = SandboxPath::parse(&word).map_err(PlanError::HostDep)?;
        // By the text alone: following links would tell users about files that they cannot see.
        let within = |allowed: &PathBuf| {
            sandbox_paths::plain(allowed).is_some_and(|allowed| path.target.starts_with(allowed))
        };
        if !allowed.iter().any(within) {
            return Err(PlanError::ImpureHostDep { path: word });
        }
        paths.push(SandboxPath { source: path.target.clone(), target: path.target, optional: true });
    }
    paths.extend_from_slice(request.hook_paths);
    Ok(paths)
}

/// Where file systems of the kernel are mounted.
#[derive(Default)]
pub(super) struct Mounts {
    pub proc: Option<PathBuf>,
    pub pts: Option<PathBuf>,
    pub shm: Option<PathBuf>,
}

#[derive(Default)]
struct Entries(BTreeMap<PathBuf, Entry>);

impl Entries {
    fn add_system(&mut self, request: &Request<'_>) {
        let Request { user, scratch, .. } = request;
        let builders = Owner { uid: 0, gid: user.gid };
        self.scratch(request.store, &scratch.store, 0o1775, builders);
        self.scratch(
            &request.settings.sandbox_build_dir,
            &scratch.build,
            0o700,
            Owner { uid: user.uid, gid: user.gid },
        );
        self.scratch(Path::new("/tmp"), &scratch.tmp, 0o1777, Owner::default());
        self.put(Entry::Directory { at: "/".into(), mode: 0o750, owner: builders });
        for (place, mode) in DIRECTORIES {
            self.put(Entry::Directory { at: place.into(), mode, owner: Owner::default() });
        }
        for (place, device) in &request.host.devices {
            let super::Device { major, minor, mode, uid, gid } = *device;
            self.put(Entry::Device { at: place.clone(), major, minor, mode, owner: Owner { uid, gid } });
        }
        for (place, target) in DEV_LINKS {
            self.put(Entry::Symlink { at: place.into(), target: target.into() });
        }
        if request.host.pts {
            self.put(Entry::Symlink { at: "/dev/ptmx".into(), target: "/dev/pts/ptmx".into() });
        }
    }

    /// The files of `/etc`, which may be below another directory than the root.
    fn add_etc(&mut self, request: &Request<'_>, inside: Option<Ids>, above: &Path) {
        let etc = |place: &Path| above.join(place.strip_prefix("/").unwrap_or(place));
        let Ids { uid, gid } = inside.unwrap_or(Ids { uid: request.user.uid, gid: request.user.gid });
        let home = request.settings.sandbox_build_dir.display();
        let passwd = format!(
            "root:x:0:0:Nix build user:{home}:/noshell\n\
             nixbld:x:{uid}:{gid}:Nix build user:{home}:/noshell\n\
             nobody:x:65534:65534:Nobody:/:/noshell\n"
        );
        let group = format!("root:x:0:\nnixbld:!:{gid}:\nnogroup:x:65534:\n");
        self.inline(etc(Path::new("/etc/passwd")), passwd);
        self.inline(etc(Path::new("/etc/group")), group);
        if !request.derivation.is_fixed() {
            return self.inline(etc(Path::new("/etc/hosts")), HOSTS.into());
        }
        self.inline(etc(Path::new("/etc/nsswitch.conf")), NSSWITCH.into());
        for (place, source) in &request.host.network_files {
            self.graft(&etc(place), source, false);
        }
        if let Some(source) = &request.host.certificates {
            self.graft(&etc(Path::new(CERTIFICATES)), source, true);
        }
    }

    fn add_closure(&mut self, request: &Request<'_>, outputs: &[PlannedOutput]) {
        // The inputs last: where both stores have a path, it is theirs that the build was planned with.
        let sources = [(request.sandbox_closure, request.store), (&request.known.inputs, request.inputs_at)];
        for (paths, store) in sources {
            for path in paths.iter().filter(|path| !is_output(path, outputs)) {
                self.put(Entry::Graft {
                    at: path.within(request.store),
                    source: path.within(store),
                    access: Access::Fixed,
                    optional: false,
                });
            }
        }
        // A sandbox path may be an older build of this very output.
        for output in outputs {
            self.0.remove(&output.path.within(request.store));
        }
    }

    fn into_view(self) -> Result<ViewSpec, PlanError> {
        let view = ViewSpec { entries: self.0.into_values().collect() };
        view.validate()?;
        Ok(view)
    }

    /// Shows a host path, in place of whatever would be there or below it otherwise.
    fn show(&mut self, path: &SandboxPath) {
        self.0.retain(|place, entry| !(place.starts_with(&path.target) && is_made_up(entry)));
        // A path that a larger one shows already would only be an entry inside another.
        let shown = |above: &Path| match self.0.get(above) {
            Some(Entry::Graft { source, .. }) => {
                path.target.strip_prefix(above).is_ok_and(|rest| source.join(rest) == path.source)
            }
            _ => false,
        };
        if !path.target.ancestors().skip(1).any(shown) {
            self.graft(&path.target, &path.source, path.optional);
        }
    }

    /// The kernel's file systems go where a directory of ours still is.
    fn mounts(&self, request: &Request<'_>) -> Mounts {
        let place = |place: &str, exists: bool| {
            let ours = matches!(self.0.get(Path::new(place)), Some(Entry::Directory { .. }));
            (ours && exists).then(|| PathBuf::from(place))
        };
        Mounts {
            proc: place("/proc", true),
            pts: place("/dev/pts", request.host.pts),
            shm: place("/dev/shm", request.host.shm),
        }
    }

    fn inline(&mut self, at: PathBuf, contents: String) {
        self.put(Entry::Inline { at, contents, mode: 0o644 });
    }

    fn graft(&mut self, at: &Path, source: &Path, optional: bool) {
        self.put(Entry::Graft { at: at.into(), source: source.into(), access: Access::Ro, optional });
    }

    fn scratch(&mut self, at: &Path, source: &Path, mode: u32, owner: Owner) {
        self.put(Entry::Scratch { at: at.into(), source: source.into(), mode, owner });
    }

    fn put(&mut self, entry: Entry) {
        self.0.insert(entry.at().into(), entry);
    }
}

/// All of the store that a build sees, but for older builds of its own outputs.
fn closure<'a>(
    request: &Request<'a>,
    outputs: &'a [PlannedOutput],
) -> impl Iterator<Item = &'a StorePath> + use<'a> {
    let closure = request.known.inputs.iter().chain(request.sandbox_closure);
    closure.filter(|path| !is_output(path, outputs))
}

fn is_output(path: &StorePath, outputs: &[PlannedOutput]) -> bool {
    outputs.iter().any(|output| output.path == *path)
}

/// Whether an entry is neither the host's nor where the build writes.
fn is_made_up(entry: &Entry) -> bool {
    !matches!(entry, Entry::Graft { .. } | Entry::Scratch { .. })
}
