//! What loopbox needs of macOS.

use std::path::Path;

use super::{Finding, State};

pub(super) fn findings() -> Vec<Finding> {
    const SUBJECT: &str = "NFS client";
    vec![if Path::new("/sbin/mount_nfs").exists() {
        Finding::good(SUBJECT, "/sbin/mount_nfs is there")
    } else {
        Finding::other(
            SUBJECT,
            State::Bad,
            "there is no /sbin/mount_nfs",
            "it is part of macOS: repair the system",
        )
    }]
}
