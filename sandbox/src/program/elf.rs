//! What an ELF file says about its loader and its libraries.

use goblin::container::Ctx;
use goblin::elf::dynamic::{DT_RPATH, DT_RUNPATH, Dynamic};
use goblin::elf::header::{ELFMAG, Header};
use goblin::elf::program_header::{PT_INTERP, ProgramHeader};
use goblin::strtab::Strtab;

/// The part of an ELF file that its loader acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ElfObject {
    /// Machine, class and byte order: a loader skips libraries of another kind.
    pub(super) kind: (u16, u8, u8),
    /// `PT_INTERP`.
    pub(super) loader: Option<String>,
    /// `DT_NEEDED`, in order.
    pub(super) libraries: Vec<String>,
    /// `DT_RPATH`, which counts only where there is no `DT_RUNPATH`.
    pub(super) rpath: Vec<String>,
    /// `DT_RUNPATH`.
    pub(super) runpath: Vec<String>,
    /// Whether there is a dynamic section at all.
    pub(super) dynamic: bool,
}

/// Whether the file is an ELF file.
pub(super) fn is_elf(contents: &[u8]) -> bool {
    contents.starts_with(ELFMAG)
}

/// Reads headers and the dynamic section, nothing else of the file.
pub(super) fn parse(contents: &[u8]) -> goblin::error::Result<ElfObject> {
    let header: Header = goblin::elf::Elf::parse_header(contents)?;
    let context = Ctx::new(header.container()?, header.endianness()?);
    let offset = usize::try_from(header.e_phoff).unwrap_or(usize::MAX);
    let segments = ProgramHeader::parse(contents, offset, header.e_phnum.into(), context)?;
    let mut object = ElfObject {
        kind: (header.e_machine, header.e_ident[4], header.e_ident[5]),
        loader: loader(contents, &segments),
        ..ElfObject::default()
    };
    if let Some(dynamic) = Dynamic::parse(contents, &segments, context)? {
        let strings = Strtab::parse(contents, dynamic.info.strtab, dynamic.info.strsz, 0)?;
        object.dynamic = true;
        object.libraries = dynamic.get_libraries(&strings).into_iter().map(str::to_owned).collect();
        object.rpath = paths(&dynamic, &strings, DT_RPATH);
        object.runpath = paths(&dynamic, &strings, DT_RUNPATH);
    }
    Ok(object)
}

fn loader(contents: &[u8], segments: &[ProgramHeader]) -> Option<String> {
    let segment = segments.iter().find(|segment| segment.p_type == PT_INTERP)?;
    let start = usize::try_from(segment.p_offset).ok()?;
    let end = start.checked_add(usize::try_from(segment.p_filesz).ok()?)?;
    let path = contents.get(start..end)?.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(path).into_owned())
}

fn paths(dynamic: &Dynamic, strings: &Strtab<'_>, tag: u64) -> Vec<String> {
    let listed = dynamic.dyns.iter().filter(|entry| entry.d_tag == tag);
    let listed = listed.filter_map(|entry| strings.get_at(usize::try_from(entry.d_val).ok()?));
    listed.flat_map(|list| list.split(':')).filter(|path| !path.is_empty()).map(str::to_owned).collect()
}
