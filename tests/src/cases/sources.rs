//! Packages from source that look for libraries wherever they may be, on a machine where somebody has put decoys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::clean::store::Store;
use super::loopbox::Ran;
use super::program::traced;
use super::{Case, Place, cases};
use crate::traced::Comparison;

cases![
    bash_links_nothing_of_the_machine,
    curl_looks_for_libraries,
    python_looks_for_libraries,
    gawk_looks_for_libraries,
    gawk_looks_for_libraries_in_a_build,
];

/// The directory with the sources.
pub const VARIABLE: &str = "LOOPBOX_SOURCES";
/// The packages of Debian's that these are of.
pub const PACKAGES: [&str; 4] = ["bash", "curl", "python3.11", "gawk"];
/// Where a person or an old installation puts libraries.
const PREFIXES: [&str; 2] = ["/usr/local", "/opt/homebrew"];
/// Libraries, each with the headers that programs ask for.
const LIBRARIES: [(&str, &[&str]); 7] = [
    ("readline", &["readline/readline.h", "readline/history.h", "readline/rltypedefs.h"]),
    ("history", &[]),
    ("intl", &["libintl.h"]),
    ("iconv", &["iconv.h"]),
    ("z", &["zlib.h", "zconf.h"]),
    ("ssl", &["openssl/ssl.h", "openssl/crypto.h"]),
    ("ffi", &["ffi.h"]),
];
/// What each decoy has.
const MARK: &str = "loopbox_decoy";
/// The names that configure scripts take the prefixes from.
const FLAGS: &str =
    "CPPFLAGS='-I/usr/local/include -I/opt/homebrew/include' LDFLAGS='-L/usr/local/lib -L/opt/homebrew/lib'";

/// All of them.
pub fn cases() -> Vec<Case> {
    CASES.to_vec()
}

fn bash_links_nothing_of_the_machine(place: &Place) {
    let work = configured(place, "bash", "--with-installed-readline --enable-nls && make -j2 bash");
    let program = work.join("bash");
    let says = Command::new(&program).args(["-c", "echo $BASH_VERSION"]).output().expect("bash was built");
    assert!(says.status.success(), "{says:?}");
    let linked = Command::new("ldd").arg(&program).output().expect("ldd is there");
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    println!("{linked}");
    assert!(!PREFIXES.iter().any(|prefix| linked.contains(prefix)), "{linked}");
    let bytes = fs::read(&program).expect("it can be read");
    assert!(!bytes.windows(MARK.len()).any(|part| part == MARK.as_bytes()), "a decoy is in it");
}

fn curl_looks_for_libraries(place: &Place) {
    configured(place, "curl", "--with-openssl || ./configure --without-ssl");
}

fn python_looks_for_libraries(place: &Place) {
    configured(place, "python3.11", "");
}

fn gawk_looks_for_libraries(place: &Place) {
    configured(place, "gawk", "--with-readline");
}

/// The same by `loopbox build --deep`.
fn gawk_looks_for_libraries_in_a_build(place: &Place) {
    plant(place);
    unpack(place, "gawk");
    let mut store = Store::make(place);
    let source = store.ask("nix-store", ["--add", &place.path("source").to_string_lossy()]);
    let attributes = format!("src = \"${{builtins.storePath {source}}}\";");
    let script = format!(
        "cp -r $src source; chmod -R u+w source; cd source; ./configure {FLAGS} --with-readline || exit 1"
    );
    let shown = format!("{} /usr/include /bin/sh=/usr/bin/dash", traced::SHOWN_TO_BUILDS);
    let (ran, comparison) = traced::build(place, &mut store, &attributes, &shown, &script);
    assert_agree("gawk", &ran, &comparison);
}

/// Configures a package, and builds it if the words say so; every path of the decoys' that was tried is in the report, and in the
/// trace. The answer is where it was built.
fn configured(place: &Place, package: &str, words: &str) -> PathBuf {
    plant(place);
    let work = unpack(place, package);
    let script = format!("./configure {FLAGS} {words}");
    let (ran, comparison) = traced::run(place, &work, &["/usr/include"], &script);
    assert_agree(package, &ran, &comparison);
    work
}

/// Report and trace say the same of a package that looked for decoys.
fn assert_agree(package: &str, ran: &Ran, comparison: &Comparison) {
    let decoys = |path: &&PathBuf| PREFIXES.iter().any(|prefix| path.starts_with(prefix));
    let (tried, others): (Vec<_>, Vec<_>) = comparison.agreed.iter().partition(decoys);
    println!("{package}: exit status {}, {} decoys were tried: {tried:#?}", ran.status, tried.len());
    println!("{} other paths of the machine: {others:#?}", others.len());
    println!("directories that were gone through alone: {:#?}", comparison.walked);
    let end: Vec<&str> = ran.stderr.lines().rev().take(40).collect();
    assert_eq!(ran.status, 0, "from its last line on: {end:#?}");
    assert!(comparison.unreported.is_empty(), "not reported: {:#?}", comparison.unreported);
    assert!(comparison.untraced.is_empty(), "reported, and nobody asked: {:#?}", comparison.untraced);
    assert!(!tried.is_empty(), "nobody looked for a decoy");
}

/// Decoys that a compiler of this machine takes, as the last line shows.
fn plant(place: &Place) {
    place.file("decoy.c", format!("const char {MARK}[] = \"{MARK}\";\n"));
    place.shell("gcc -shared -fPIC -o decoy.so decoy.c && echo 'int main(void) { return 0; }' > main.c");
    for prefix in PREFIXES.map(Path::new) {
        for (library, headers) in LIBRARIES {
            let file = prefix.join(format!("lib/lib{library}.so"));
            fs::create_dir_all(file.parent().expect("it is in a directory")).expect("root can make it");
            fs::copy(place.path("decoy.so"), file).expect("root can copy it");
            for header in headers {
                let header = prefix.join("include").join(header);
                fs::create_dir_all(header.parent().expect("it is in a directory")).expect("root can make it");
                fs::write(header, format!("#define {MARK} 1\n")).expect("root can write it");
            }
        }
        place.shell(&format!(
            "echo '#include <libintl.h>' | gcc -I{0}/include -E - | grep -q {0}/include/libintl.h
            gcc -L{0}/lib -Wl,--no-as-needed -o main main.c -lintl && LD_LIBRARY_PATH={0}/lib ldd main | grep {0}/lib/",
            prefix.display()
        ));
    }
}

/// The source tree, which the build user may write to.
fn unpack(place: &Place, package: &str) -> PathBuf {
    let sources =
        std::env::var_os(VARIABLE).unwrap_or_else(|| panic!("{VARIABLE} says where the sources are"));
    let is_archive = |name: &str| {
        name.starts_with(&format!("{package}_")) && name.contains(".orig.tar.") && !name.ends_with(".asc")
    };
    let mut entries = fs::read_dir(&sources).expect("the sources are there").flatten();
    let archive = entries.find(|entry| entry.file_name().to_str().is_some_and(is_archive));
    let archive = archive.unwrap_or_else(|| panic!("the source of {package} is not there")).path();
    let work = place.directory("source");
    place.shell(&format!(
        "tar -xf '{}' --strip-components=1 -C source && chown -R {1}:{1} source",
        archive.display(),
        super::place::USER
    ));
    work
}
