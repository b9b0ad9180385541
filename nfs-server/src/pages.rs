//! Memory for buffers of which most connections use a small part.

use std::io;

#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::MmapMut;

/// Anonymous pages: those that are never touched take no memory. None of them is a huge one, all of which the kernel clears
/// when its first byte is touched.
pub(crate) fn map(length: usize) -> io::Result<MmapMut> {
    let pages = MmapMut::map_anon(length)?;
    // A kernel without huge pages does not know the advice, and does as advised.
    #[cfg(target_os = "linux")]
    let _ = pages.advise(Advice::NoHugePage);
    Ok(pages)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// `VmFlags` of proc_pid_smaps(5) for the mapping that begins there.
    fn flags(start: usize) -> Option<String> {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let of_it = maps.split_once(&format!("{start:x}-"))?.1;
        of_it.lines().find_map(|line| line.strip_prefix("VmFlags:")).map(str::to_owned)
    }

    #[test]
    fn a_buffer_has_no_huge_pages() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            println!("not tried: this kernel has no huge pages");
            return;
        }
        let pages = map(4 << 20).unwrap();
        let flags = flags(pages.as_ptr() as usize).unwrap();
        assert!(flags.split_whitespace().any(|flag| flag == "nh"), "{flags}");
    }
}
