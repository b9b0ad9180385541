//! The loader's own index of libraries, `/etc/ld.so.cache` (glibc, `sysdeps/generic/dl-cache.h`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Start of the index in its present form; older files have an older index before it.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// Bytes before the first entry, the magic included.
const HEADER: usize = 48;
/// Bytes of an entry: flags, name, path (offsets from the magic), two numbers for kernels and processors.
const ENTRY: usize = 24;
/// More than any machine has libraries.
const ENTRIES_MAX: usize = 1 << 20;

/// The paths that the index has for a library, in its order of preference.
pub(super) fn lookup(index: &[u8], library: &str) -> Vec<PathBuf> {
    let Some(start) = index.windows(MAGIC.len()).position(|window| window == MAGIC) else {
        return Vec::new();
    };
    let index = &index[start..];
    let count = number(index, MAGIC.len()).unwrap_or(0).min(ENTRIES_MAX);
    let path = |entry: usize| {
        let at = HEADER + entry * ENTRY;
        (text(index, number(index, at + 4)?)? == library.as_bytes())
            .then(|| text(index, number(index, at + 8)?).map(|path| OsStr::from_bytes(path).into()))
            .flatten()
    };
    (0..count).filter_map(path).collect()
}

fn number(index: &[u8], at: usize) -> Option<usize> {
    let bytes = index.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_ne_bytes(*bytes)).ok()
}

fn text(index: &[u8], at: usize) -> Option<&[u8]> {
    index.get(at..)?.split(|byte| *byte == 0).next()
}

#[cfg(test)]
mod tests {
    use super::lookup;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_s_index_has_the_c_library() {
        let index = std::fs::read(super::super::search::CACHE).unwrap();
        assert!(lookup(&index, "libc.so.6").iter().any(|path| path.ends_with("libc.so.6")));
        assert!(lookup(&index, "libabsent.so.1").is_empty());
    }

    #[test]
    fn a_damaged_index_has_nothing() {
        assert!(lookup(b"", "libc.so.6").is_empty());
        assert!(lookup(b"glibc-ld.so.cache1.1\xff\xff\xff\xff", "libc.so.6").is_empty());
    }
}
