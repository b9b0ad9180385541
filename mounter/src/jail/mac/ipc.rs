//! What a user's processes leave in System V memory on macOS, where builds share one name space of it: the next build of
//! the same user would find it.

#[cfg(not(target_os = "linux"))]
use std::process::{Command, Stdio};

/// The system's own programs; their places do not depend on any search path.
#[cfg(not(target_os = "linux"))]
const LIST: &str = "/usr/bin/ipcs";
#[cfg(not(target_os = "linux"))]
const REMOVE: &str = "/usr/bin/ipcrm";

/// Removes all of it that belongs to a user who has no processes any more. What stays is told to the log only: it harms
/// nobody but builds that look for it.
#[cfg(not(target_os = "linux"))]
pub(in crate::jail) fn remove_all_of(uid: u32) {
    let Ok(Some(user)) = nix::unistd::User::from_uid(uid.into()) else { return };
    let Ok(listed) = Command::new(LIST).stdin(Stdio::null()).output() else { return };
    let words = owned(&String::from_utf8_lossy(&listed.stdout), &user.name);
    if words.is_empty() {
        return;
    }
    let removed = Command::new(REMOVE).args(&words).stdin(Stdio::null()).output();
    if !removed.is_ok_and(|output| output.status.success()) {
        tracing::warn!("something that user {} left in System V memory stays", user.name);
    }
}

/// The words that have ipcrm(1) remove what the table of ipcs(1) says is this user's: its lines are kind, number, key,
/// mode, owner and group.
fn owned(table: &str, user: &str) -> Vec<String> {
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter_map(|line| match line.as_slice() {
            [kind @ ("m" | "q" | "s"), id, _, _, owner, _] if *owner == user => {
                // A number and nothing else goes on to a command line.
                Some([format!("-{kind}"), id.parse::<u32>().ok()?.to_string()])
            }
            _ => None,
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::owned;

    #[test]
    fn only_what_belongs_to_the_user_is_removed() {
        let table = "IPC status from <running system> as of Sun Nov 22 23:18:32 CET 2026\n\
            T     ID     KEY        MODE       OWNER    GROUP\nMessage Queues:\n\
            q      3 0x00001234 --rw-rw-rw- _nixbld1   nixbld\n\n\
            T     ID     KEY        MODE       OWNER    GROUP\nShared Memory:\n\
            m  65536 0x00000000 --rw------- _nixbld1   nixbld\n\
            m  65537 0x00000000 --rw------- _nixbld12  nixbld\n\
            m     -1 0x00000000 --rw------- _nixbld1   nixbld\n\n\
            T     ID     KEY        MODE       OWNER    GROUP\nSemaphores:\n\
            s 131072 0x00005678 --ra-ra-ra- root        wheel\n\
            s 131073 0x00005679 --ra-ra-ra- _nixbld1   nixbld\n";
        assert_eq!(owned(table, "_nixbld1"), ["-q", "3", "-m", "65536", "-s", "131073"]);
        assert_eq!(owned(table, "nobody"), Vec::<String>::new());
        assert_eq!(owned("", "root"), Vec::<String>::new());
    }
}
