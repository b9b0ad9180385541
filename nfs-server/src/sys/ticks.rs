//! A clock for single calls.

/// The time by a counter of the processor's (RDTSC), in units of its own: a system's clock takes three times as long to read,
/// and where a kernel is emulated it is a system call.
#[cfg(target_arch = "x86_64")]
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has this instruction, and it touches no memory.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The time in nanoseconds, by the system's clock.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn ticks() -> u64 {
    static BEGAN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
