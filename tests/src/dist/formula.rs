//! Homebrew's formula, which says where the archives are and what their sums are.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// What is filled in.
const TEMPLATE: &str = include_str!("../../../packaging/homebrew/loopbox.rb");
/// What the template begins with for those who read it.
const COMMENT: &str = "#";
/// How the names of sums begin; the target follows in capital letters.
const SUM: &str = "SUM_OF_";

/// The formula for archives that are released by a repository, whose sums are given by target.
pub fn formula(repository: &str, version: &str, sums: &BTreeMap<&str, String>) -> Result<String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-._~:/".contains(character);
    ensure!(
        repository.starts_with("https://") && repository.chars().all(plain),
        "{repository} is no address of a repository: it begins with https://"
    );
    let lines = TEMPLATE.lines().skip_while(|line| line.starts_with(COMMENT));
    let mut text: String = lines.flat_map(|line| [line, "\n"]).collect();
    for (target, sum) in sums {
        text = text.replace(&format!("{SUM}{}", target.to_uppercase().replace('-', "_")), sum);
    }
    ensure!(!text.contains(SUM), "a formula is for all systems, and not all archives are there");
    Ok(text.replace("REPOSITORY", repository.trim_end_matches('/')).replace("VERSION", version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::cross;

    #[test]
    fn every_word_is_filled_in() {
        let targets = cross::all().map(|target| target.triple);
        let sums: BTreeMap<&str, String> =
            targets.map(|target| (target, format!("sum of {target}"))).collect();
        let text = formula("https://example.org/loopbox/", "1.2.3", &sums).unwrap();
        assert!(text.starts_with("class Loopbox < Formula\n"), "{text}");
        for part in [
            "  homepage \"https://example.org/loopbox\"\n  version \"1.2.3\"\n",
            "      url \"https://example.org/loopbox/releases/download/v1.2.3/loopbox-1.2.3-aarch64-apple-darwin.tar.gz\"\n      sha256 \"sum of aarch64-apple-darwin\"\n",
            "/loopbox-1.2.3-x86_64-unknown-linux-musl.tar.gz\"\n      sha256 \"sum of x86_64-unknown-linux-musl\"\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let capitals = |word: &str| word.len() > 3 && word.chars().all(|letter| letter.is_ascii_uppercase());
        let left: Vec<_> =
            text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| capitals(word)).collect();
        assert_eq!(left, Vec::<&str>::new());
    }

    #[test]
    fn a_formula_is_for_all_systems_and_of_one_repository() {
        let error = formula("https://example.org", "1.2.3", &BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), "a formula is for all systems, and not all archives are there");
        for wrong in ["http://example.org", "https://example.org/\"; system 'x'"] {
            assert!(
                formula(wrong, "1.2.3", &BTreeMap::new()).unwrap_err().to_string().contains("no address")
            );
        }
    }
}
