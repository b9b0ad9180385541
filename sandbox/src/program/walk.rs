//! From a program to every file that it needs to start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::ProgramError;
use super::files::FileSource;
use super::search::{CACHE, Search};
use super::{elf, macho, script};

/// How many interpreters deep a script may be (Linux takes five).
const INTERPRETERS_MAX: usize = 5;
/// More libraries than any program loads.
const OBJECTS_MAX: usize = 4096;

/// Looks for what a program needs, in one tree of files.
pub(super) struct LibraryWalk<'a> {
    files: &'a dyn FileSource,
    search_path: Vec<PathBuf>,
    library_path: Vec<PathBuf>,
    cache: Vec<u8>,
    found: RequiredFiles,
}

/// The files that a program needs to start.
#[derive(Debug, Default)]
pub(super) struct RequiredFiles {
    /// The paths by which the files are opened; symbolic links are still in them.
    pub(super) files: BTreeSet<PathBuf>,
    /// Whether a loader of Linux searched for libraries.
    pub(super) dynamic: bool,
}

/// An object whose libraries are to be found: its path, and the `DT_RPATH` that it inherits.
struct Pending {
    path: PathBuf,
    inherited: Vec<PathBuf>,
}

impl<'a> LibraryWalk<'a> {
    pub(super) fn new(
        files: &'a dyn FileSource,
        search_path: Vec<PathBuf>,
        library_path: Vec<PathBuf>,
    ) -> LibraryWalk<'a> {
        let cache =
            files.resolve(Path::new(CACHE)).and_then(|path| files.read(&path).ok()).unwrap_or_default();
        LibraryWalk { files, search_path, library_path, cache, found: RequiredFiles::default() }
    }

    /// The program and all that it needs.
    pub(super) fn all(mut self, program: &Path) -> Result<RequiredFiles, ProgramError> {
        self.program(program, INTERPRETERS_MAX)?;
        Ok(self.found)
    }

    fn program(&mut self, program: &Path, deep: usize) -> Result<(), ProgramError> {
        let (real, contents) = self.open(program)?;
        self.found.files.insert(program.into());
        if self.files.mode(&real) & 0o111 == 0 {
            return Err(ProgramError::NotExecutable { path: program.into() });
        }
        if elf::is_elf(&contents) {
            return self.elf(program);
        }
        if macho::is_macho(&contents) {
            return self.macho(program);
        }
        let Some(script) = script::parse(&contents).filter(|_| deep > 0) else {
            return Err(ProgramError::NotProgram { path: program.into() });
        };
        let missing =
            |interpreter: PathBuf| ProgramError::Interpreter { script: program.into(), interpreter };
        if self.files.resolve(&script.interpreter).is_none() {
            return Err(missing(script.interpreter));
        }
        self.program(&script.interpreter, deep - 1)?;
        if let Some(name) = script.looked_up {
            let path = self.look_up(&name).ok_or_else(|| missing(name))?;
            self.program(&path, deep - 1)?;
        }
        Ok(())
    }

    /// What `env` finds for a name.
    fn look_up(&self, name: &Path) -> Option<PathBuf> {
        let places = self.search_path.iter().map(|directory| directory.join(name));
        places
            .into_iter()
            .find(|path| self.files.resolve(path).is_some_and(|real| self.files.mode(&real) & 0o111 != 0))
    }

    fn elf(&mut self, program: &Path) -> Result<(), ProgramError> {
        let mut pending = vec![Pending { path: program.into(), inherited: Vec::new() }];
        let mut seen: BTreeSet<String> = BTreeSet::new();
        while let Some(Pending { path, inherited }) = pending.pop() {
            if seen.len() > OBJECTS_MAX {
                return Err(ProgramError::Malformed { path, problem: "too many libraries".into() });
            }
            let (real, contents) = self.open(&path)?;
            let object = elf::parse(&contents).map_err(|error| malformed(&path, &error))?;
            self.foreign(&path, &object)?;
            if let Some(loader) = &object.loader {
                let loader = PathBuf::from(loader);
                if self.files.resolve(&loader).is_none() {
                    return Err(ProgramError::Loader { program: path, loader });
                }
                self.found.files.insert(loader);
            }
            self.found.dynamic |= object.dynamic && !object.libraries.is_empty();
            let search = Search {
                files: self.files,
                library_path: &self.library_path,
                cache: &self.cache,
                object: &object,
                origin: real.parent().unwrap_or(Path::new("/")),
                inherited: &inherited,
            };
            let inherited = search.rpath();
            for library in object.libraries.iter().filter(|library| seen.insert((*library).clone())) {
                let found = search
                    .find(library)
                    .ok_or_else(|| ProgramError::Library { object: path.clone(), library: library.into() })?;
                self.found.files.insert(found.clone());
                pending.push(Pending { path: found, inherited: inherited.clone() });
            }
        }
        Ok(())
    }

    fn macho(&mut self, program: &Path) -> Result<(), ProgramError> {
        let executable_directory = program.parent().unwrap_or(Path::new("/")).to_path_buf();
        let mut pending = vec![(program.to_path_buf(), Vec::<PathBuf>::new())];
        while let Some((path, inherited)) = pending.pop() {
            if self.found.files.len() > OBJECTS_MAX {
                return Err(ProgramError::Malformed { path, problem: "too many libraries".into() });
            }
            let (_, contents) = self.open(&path)?;
            let object = macho::parse(&contents).map_err(|error| malformed(&path, &error))?;
            if let Some(loader) = object.loader.map(PathBuf::from) {
                if self.files.resolve(&loader).is_none() {
                    return Err(ProgramError::Loader { program: path, loader });
                }
                self.found.files.insert(loader);
            }
            let directory = path.parent().unwrap_or(Path::new("/"));
            let expand = |name: &str| {
                let place =
                    |prefix, directory: &Path| name.strip_prefix(prefix).map(|rest| directory.join(rest));
                place("@loader_path/", directory)
                    .or_else(|| place("@executable_path/", &executable_directory))
                    .unwrap_or_else(|| name.into())
            };
            let rpaths: Vec<PathBuf> =
                object.rpaths.iter().map(|path| expand(path)).chain(inherited).collect();
            for library in object.libraries.iter().filter(|library| !macho::is_cached(library)) {
                let places = match library.strip_prefix("@rpath/") {
                    Some(rest) => rpaths.iter().map(|directory| directory.join(rest)).collect(),
                    None => vec![expand(library)],
                };
                let found = places.into_iter().find(|place| self.files.resolve(place).is_some());
                let found = found
                    .ok_or_else(|| ProgramError::Library { object: path.clone(), library: library.into() })?;
                if self.found.files.insert(found.clone()) {
                    pending.push((found, rpaths.clone()));
                }
            }
        }
        Ok(())
    }

    /// A program of another architecture is refused by the kernel with an error that says little.
    fn foreign(&self, path: &Path, object: &elf::ElfObject) -> Result<(), ProgramError> {
        match object.kind.0 {
            goblin::elf::header::EM_X86_64 | goblin::elf::header::EM_386 if cfg!(target_arch = "x86_64") => {
                Ok(())
            }
            goblin::elf::header::EM_AARCH64 | goblin::elf::header::EM_ARM
                if cfg!(target_arch = "aarch64") =>
            {
                Ok(())
            }
            machine => {
                let system = format!("machine {}", goblin::elf::header::machine_to_str(machine));
                Err(ProgramError::Foreign { path: path.into(), system })
            }
        }
    }

    fn open(&self, path: &Path) -> Result<(PathBuf, Vec<u8>), ProgramError> {
        let real = self.files.resolve(path).ok_or_else(|| match self.files.exists(path) {
            true => ProgramError::NotRegular { path: path.into() },
            false => ProgramError::Missing { path: path.into() },
        })?;
        match self.files.read(&real) {
            Ok(contents) => Ok((real, contents)),
            Err(problem) => Err(ProgramError::Unreadable { path: path.into(), problem }),
        }
    }
}

fn malformed(path: &Path, error: &goblin::error::Error) -> ProgramError {
    ProgramError::Malformed { path: path.into(), problem: error.to_string() }
}
