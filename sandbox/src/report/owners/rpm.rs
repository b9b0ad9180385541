//! What rpm's database says (rpm(8)).

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{AT_ONCE, SHARED_BY};

const RPM: &str = "/usr/bin/rpm";
/// Where the database may be, and what it may be. Where there is none, rpm would make one.
const DATABASES: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];
const FILES: [&str; 3] = ["rpmdb.sqlite", "Packages.db", "Packages"];
/// A path that is always there and that no package has: what rpm says of it stands between what it says of two others.
const BETWEEN: &str = "/proc/self";

/// The packages of paths, as far as rpm knows them; nothing where it is not used.
pub fn packages(paths: &[PathBuf]) -> HashMap<PathBuf, Vec<String>> {
    let is_used = DATABASES.map(Path::new).iter().any(|at| FILES.iter().any(|file| at.join(file).exists()));
    if is_used { ask(RPM.as_ref(), paths) } else { HashMap::new() }
}

fn ask(rpm: &Path, paths: &[PathBuf]) -> HashMap<PathBuf, Vec<String>> {
    // Its answers are lines, in which it repeats paths as they are.
    let is_plain = |path: &&PathBuf| !path.as_os_str().as_bytes().iter().any(u8::is_ascii_control);
    let plain: Vec<&PathBuf> = paths.iter().filter(is_plain).collect();
    let mut known = HashMap::new();
    for some in plain.chunks(AT_ONCE) {
        let mut query = Command::new(rpm);
        query.args(["-qf", "--queryformat", "%{NAME}\\n"]);
        for path in some {
            query.arg(path).arg(BETWEEN);
        }
        query.env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null());
        // It fails if it does not know one of them.
        let Ok(output) = query.output() else { break };
        let answers = answers(&output.stdout);
        // Otherwise it is not known which answer is whose.
        if answers.len() == some.len() {
            known.extend(
                some.iter().zip(answers).filter_map(|(path, names)| Some((path.to_path_buf(), names?))),
            );
        }
    }
    known
}

/// What it says of each path: the names of packages; none of a directory that many share, and that is nobody's.
fn answers(said: &[u8]) -> Vec<Option<Vec<String>>> {
    let mut answers = Vec::new();
    let mut packages: Vec<String> = Vec::new();
    for line in String::from_utf8_lossy(said).lines() {
        if line.starts_with(&format!("file {BETWEEN} ")) {
            let mut packages = std::mem::take(&mut packages);
            packages.sort_unstable();
            packages.dedup();
            answers.push(Some(packages).filter(|packages| (1..=SHARED_BY).contains(&packages.len())));
        } else if !line.contains(' ') {
            packages.push(line.to_owned());
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Answers as rpm 4.18 does, and writes down what it was asked.
    const PLANTED: &str = r#"#!/bin/sh
printf '%s\n' "$LC_ALL $*" >> "$0.asked"
shift 3
for path; do
  case $path in
    /usr/bin/bash) echo bash ;;
    /usr/share/licenses) echo glibc; echo bash; echo glibc ;;
    /usr) echo filesystem; echo a; echo b; echo c ;;
    /gone) echo "error: file /gone: No such file or directory" >&2 ;;
    *) echo "file $path is not owned by any package" ;;
  esac
done
exit 1
"#;

    #[test]
    fn one_question_is_enough_for_many_paths() {
        let place = tempfile::tempdir().unwrap();
        let rpm = place.path().join("rpm");
        fs::write(&rpm, PLANTED).unwrap();
        fs::set_permissions(&rpm, fs::Permissions::from_mode(0o755)).unwrap();
        let hostile = "/x\nfile /proc/self is not owned by any package\nbash";
        let paths = ["/opt/nobody's", "/usr/bin/bash", "/gone", "/usr", "/usr/share/licenses", hostile];
        let known = ask(&rpm, &paths.map(PathBuf::from));
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let expected = [
            ("/usr/bin/bash".into(), names(&["bash"])),
            ("/usr/share/licenses".into(), names(&["bash", "glibc"])),
        ];
        assert_eq!(known, HashMap::from(expected));
        let asked = fs::read_to_string(place.path().join("rpm.asked")).unwrap();
        assert_eq!(asked.lines().count(), 1, "{asked}");
        assert!(
            asked.starts_with("C -qf --queryformat %{NAME}\\n /opt/nobody's /proc/self /usr/bin"),
            "{asked}"
        );
    }

    #[test]
    fn where_it_cannot_be_asked_nobody_is_named() {
        assert_eq!(ask("/does/not/exist".as_ref(), &["/usr".into()]), HashMap::new());
        assert_eq!(ask("/bin/false".as_ref(), &["/usr".into()]), HashMap::new());
    }
}
