//! Archives that are the same bytes whoever makes them: in the order of names, nobody's, and of one time.

use std::path::Path;

use anyhow::Result;

use crate::command::{command, quiet};

/// Packs a directory under its own name, with everything in it as of `time`, in seconds since 1970.
pub fn pack(directory: &Path, name: &str, time: &str, to: &Path) -> Result<()> {
    let words = [
        "--create",
        "--format=ustar",
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=go=rX,u+rw,a-s",
        "--use-compress-program=gzip -9n",
    ];
    let mut tar = command("tar", words);
    tar.arg(format!("--mtime=@{time}")).arg("--file").arg(to).arg("--directory").arg(directory).arg(name);
    // Its words are in English, and names are sorted by their bytes.
    quiet(tar.env("LC_ALL", "C"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::command::text;

    #[test]
    fn the_same_files_are_the_same_bytes() {
        let at = tempfile::tempdir().unwrap();
        let archives = ["one", "other"].map(|place| {
            let directory = at.path().join(place);
            fs::create_dir_all(directory.join("pack/bin")).unwrap();
            // Made in another order, at another time.
            let mut names = ["b", "a"];
            if place == "other" {
                names.reverse();
            }
            names.iter().for_each(|name| fs::write(directory.join("pack").join(name), name).unwrap());
            let archive = at.path().join(format!("{place}.tar.gz"));
            pack(&directory, "pack", "1700000000", &archive).unwrap();
            archive
        });
        let [one, other] = archives.each_ref().map(|archive| fs::read(archive).unwrap());
        assert_eq!(one, other);
        let list =
            text(command("tar", ["--list", "--verbose", "--utc", "--file"]).arg(&archives[0])).unwrap();
        insta::assert_snapshot!(list, @"
        drwxr-xr-x 0/0               0 2023-11-14 22:13 pack/
        -rw-r--r-- 0/0               1 2023-11-14 22:13 pack/a
        -rw-r--r-- 0/0               1 2023-11-14 22:13 pack/b
        drwxr-xr-x 0/0               0 2023-11-14 22:13 pack/bin/
        ");
    }
}
