//! The resource limits of the program (setrlimit(2)).

use nix::errno::Errno;
use nix::sys::resource::{self, RLIM_INFINITY};

use super::{JailError, Limit, Resource};

/// Sets them for this process and its children.
pub(super) fn limit(limits: &[Limit]) -> Result<(), JailError> {
    for limit in limits {
        let value = |bound: Option<u64>| bound.unwrap_or(RLIM_INFINITY);
        kernel_resource(limit.resource)
            .ok_or(Errno::ENOTSUP)
            .and_then(|kind| resource::setrlimit(kind, value(limit.soft), value(limit.hard)))
            .map_err(|errno| JailError::Limit { limit: *limit, source: errno.into() })?;
    }
    Ok(())
}

fn kernel_resource(resource: Resource) -> Option<resource::Resource> {
    Some(match resource {
        Resource::AddressSpace => resource::Resource::RLIMIT_AS,
        Resource::Core => resource::Resource::RLIMIT_CORE,
        Resource::Cpu => resource::Resource::RLIMIT_CPU,
        Resource::FileSize => resource::Resource::RLIMIT_FSIZE,
        Resource::OpenFiles => resource::Resource::RLIMIT_NOFILE,
        #[cfg(target_os = "linux")]
        Resource::Processes => resource::Resource::RLIMIT_NPROC,
        // The crate `nix` does not know macOS's.
        #[cfg(not(target_os = "linux"))]
        Resource::Processes => return None,
        Resource::Stack => resource::Resource::RLIMIT_STACK,
    })
}
