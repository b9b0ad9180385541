//! What a Mach-O file says about its loader and its libraries.

use goblin::mach::load_command::CommandVariant;
use goblin::mach::{Mach, MachO, SingleArch};

/// Libraries below these are in the system's shared cache and, since macOS 11, no files: the loader finds them
/// without the file system.
const CACHED: [&str; 2] = ["/usr/lib/", "/System/"];

/// The part of a Mach-O file that its loader acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MachObject {
    /// `LC_LOAD_DYLINKER`.
    pub(super) loader: Option<String>,
    /// Names of libraries, with `@rpath` and its like in them.
    pub(super) libraries: Vec<String>,
    /// `LC_RPATH`, in order.
    pub(super) rpaths: Vec<String>,
}

/// Whether the file is a Mach-O file, of one or of many architectures. (A class file of Java starts as the latter.)
pub(super) fn is_macho(contents: &[u8]) -> bool {
    let Some(magic) = contents.first_chunk::<4>() else { return false };
    matches!(u32::from_be_bytes(*magic), 0xfeed_face | 0xfeed_facf | 0xcefa_edfe | 0xcffa_edfe | 0xcafe_babe)
}

/// Whether the loader finds the library in the shared cache.
pub(super) fn is_cached(library: &str) -> bool {
    CACHED.iter().any(|directory| library.starts_with(directory))
}

/// Reads the load commands; of a file of many architectures, those of the first, since all name the same files.
pub(super) fn parse(contents: &[u8]) -> goblin::error::Result<MachObject> {
    match Mach::parse(contents)? {
        Mach::Binary(binary) => Ok(read(contents, &binary)),
        Mach::Fat(binaries) => match binaries.get(0)? {
            SingleArch::MachO(binary) => {
                let start =
                    binaries.iter_arches().next().and_then(Result::ok).map_or(0, |arch| arch.offset as usize);
                Ok(read(contents.get(start..).unwrap_or_default(), &binary))
            }
            SingleArch::Archive(_) => Ok(MachObject::default()),
        },
    }
}

fn read(contents: &[u8], binary: &MachO<'_>) -> MachObject {
    let loader = binary.load_commands.iter().find_map(|command| match command.command {
        CommandVariant::LoadDylinker(loader) => {
            let rest = contents.get(command.offset.checked_add(loader.name as usize)?..)?;
            Some(String::from_utf8_lossy(rest.split(|byte| *byte == 0).next()?).into_owned())
        }
        _ => None,
    });
    MachObject {
        loader,
        // The first is the file itself.
        libraries: binary.libs.iter().skip(1).map(|library| (*library).to_owned()).collect(),
        rpaths: binary.rpaths.iter().map(|path| (*path).to_owned()).collect(),
    }
}
