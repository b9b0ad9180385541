//! Interfaces, routes and addresses.

use std::fs;

use nix::ifaddrs::getifaddrs;

use crate::process::words;
use crate::report::{Report, answer, errno};

/// The kernel's tables that say what is set up, not how much has passed.
const TABLES: [&str; 5] = ["arp", "fib_trie", "if_inet6", "igmp", "route"];

pub fn look(report: &mut Report) {
    for interface in getifaddrs().into_iter().flatten() {
        let name = &interface.interface_name;
        let family = interface.address.as_ref().and_then(nix::sys::socket::SockaddrLike::family);
        report.put("network", format!("{name} is"), format!("{:?}", interface.flags));
        let address = interface.address.map(|address| address.to_string()).unwrap_or_default();
        let mask = interface.netmask.map(|mask| mask.to_string()).unwrap_or_default();
        report.put("network", format!("{name} {family:?}"), format!("{address} {mask}"));
    }
    for entry in fs::read_dir("/proc/net").into_iter().flatten().flatten() {
        report.put("network", format!("table {}", entry.file_name().display()), "is there");
    }
    for table in TABLES {
        let text = errno(fs::read_to_string(format!("/proc/net/{table}")));
        report.put("network", format!("in {table}"), answer(text.map(|text| words(&text))));
    }
}
