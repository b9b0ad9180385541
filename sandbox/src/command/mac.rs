//! What a command finds in its view on macOS, and how it gets in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mounter::jail::{EntryMode, Mac};
use mounter::profile::{Files, NetworkAccess, Profile};
use nfs_server::view::{Access, Entry, Owner};

use super::{RequestError, defaults};
use crate::entry::{MacHost, system as mac};
use crate::work_dir::mount_point;

/// The default entries; `tmp` is the host side of /tmp.
pub fn entries(host: &MacHost, user: Owner, hostname: &str, tmp: &Path) -> Vec<Entry> {
    let directory = |at: &str| Entry::Directory { at: at.into(), mode: 0o755, owner: Owner::default() };
    let scratch = |at: &str| Entry::Scratch { at: at.into(), source: tmp.into(), mode: 0o1777, owner: user };
    if !host.mode.changes_root() {
        return vec![scratch("/tmp")];
    }
    let graft = |at: PathBuf| Entry::Graft { source: at.clone(), at, access: Access::Ro, optional: true };
    let mut entries = vec![directory("/dev"), scratch("/private/tmp")];
    entries.extend((host.mode == EntryMode::Cryptex).then(|| directory(mac::CRYPTEX)));
    entries.extend(mac::links());
    entries.extend(mac::system_paths(host.mode).into_iter().map(graft));
    entries.extend(defaults::etc(user, hostname).map(|(name, contents)| Entry::Inline {
        at: Path::new("/private/etc").join(name),
        contents,
        mode: 0o444,
    }));
    entries
}

/// How the command gets in. Where the machine's root stays, what the caller shows becomes rules of the profile instead
/// of entries, and HOME and TMPDIR lead into the mount.
pub fn enter(
    host: MacHost,
    entries: &mut Vec<Entry>,
    own: Vec<Entry>,
    env: &mut Vec<(OsString, OsString)>,
    base: &Path,
    net: bool,
) -> Result<Mac, RequestError> {
    let own_root = host.mode.changes_root();
    let files = if own_root {
        entries.extend(own);
        Files::View
    } else {
        let tmp = mount_point(base).join("tmp");
        for name in ["HOME", "TMPDIR"] {
            env.retain(|(known, value)| known != name || value != "/tmp");
            if env.iter().all(|(known, _)| known != name) {
                env.push((name.into(), tmp.clone().into()));
            }
        }
        listed(own, tmp)?
    };
    let network = if net { NetworkAccess::All } else { NetworkAccess::None };
    Ok(Mac {
        mode: host.mode,
        profile: Profile { files, network, extra: String::new() },
        devices: own_root.then(|| "/dev".into()),
        image: host
            .image
            .filter(|_| host.mode == EntryMode::Cryptex)
            .map(|image| (image, mac::CRYPTEX.into())),
        record: None,
        architecture: None,
        // The user has other processes, which are none of our business.
        alone: false,
    })
}

fn listed(own: Vec<Entry>, tmp: PathBuf) -> Result<Files, RequestError> {
    let (mut fixed, mut read, mut write) = (Vec::new(), mac::system_paths(EntryMode::Profile), vec![tmp]);
    for entry in own {
        match entry {
            Entry::Graft { at, source, access, .. } if at == source => {
                let place = mac::beyond_links(&at);
                match access {
                    Access::Fixed => fixed.push(place),
                    Access::Ro => read.push(place),
                    Access::Rw => write.push(place),
                    // A profile has no directories that only lead on.
                    Access::Phantom => {}
                }
            }
            entry => return Err(RequestError::NeedsRoot(entry.at().into())),
        }
    }
    // The names beside what a person shows are nobody's business.
    Ok(Files::Listed { fixed, read, write, lists_above: false })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::entry::MacHost;
    use mounter::jail::EntryMode;
    use mounter::profile::Files;
    use nfs_server::view::{Access, Entry, Owner};

    use super::{enter, entries};

    fn graft(at: &str, source: &str, access: Access) -> Entry {
        Entry::Graft { at: at.into(), source: source.into(), access, optional: false }
    }

    fn host(mode: EntryMode) -> MacHost {
        MacHost { mode, image: None }
    }

    #[test]
    fn with_a_root_of_its_own_what_is_shown_is_in_the_view() {
        let mut view = entries(&host(EntryMode::Chroot), Owner::default(), "localhost", Path::new("/t"));
        let own = vec![graft("/src", "/Users/me/src", Access::Ro)];
        let mac = enter(host(EntryMode::Chroot), &mut view, own, &mut Vec::new(), Path::new("/b"), false);
        assert_eq!(mac.expect("it can be entered").profile.files, Files::View);
        let places: Vec<&str> = view.iter().filter_map(|entry| entry.at().to_str()).collect();
        for place in ["/dev", "/private/tmp", "/tmp", "/usr/lib", "/private/etc/hosts", "/src"] {
            assert!(places.contains(&place), "{place} in {places:?}");
        }
    }

    #[test]
    fn where_the_machine_s_root_stays_what_is_shown_is_in_the_profile() {
        let mut view = entries(&host(EntryMode::Profile), Owner::default(), "localhost", Path::new("/t"));
        let mut env = vec![("HOME".into(), "/tmp".into())];
        let own = vec![graft("/etc/x", "/etc/x", Access::Ro), graft("/w", "/w", Access::Rw)];
        let mac = enter(host(EntryMode::Profile), &mut view, own, &mut env, Path::new("/b"), true);
        let Files::Listed { fixed, read, write, .. } = mac.expect("it can be entered").profile.files else {
            panic!("its files are listed");
        };
        assert!(fixed.is_empty() && read.contains(&"/private/etc/x".into()), "{read:?}");
        assert_eq!(write.last().and_then(|path| path.to_str()), Some("/w"));
        assert_eq!(view.len(), 1, "{view:?}");
        assert!(env.iter().all(|(_, value)| value.to_string_lossy().ends_with("/tmp")), "{env:?}");
        assert!(env.iter().all(|(_, value)| value.to_string_lossy().starts_with("/b/")), "{env:?}");
    }

    #[test]
    fn nothing_is_shown_elsewhere_where_the_machine_s_root_stays() {
        let own = vec![graft("/src", "/Users/me/src", Access::Ro)];
        let error =
            enter(host(EntryMode::Profile), &mut Vec::new(), own, &mut Vec::new(), Path::new("/b"), false);
        insta::assert_snapshot!(error.expect_err("it cannot").to_string(), @r#""/src" cannot be shown in a view on this Mac, whose root stays the machine's"#);
    }
}
