//! Texts that stand for the paths of outputs in a derivation that may name none (`builtins.placeholder`).

use std::path::Path;

use sha2::{Digest, Sha256};

use super::PlannedOutput;
use crate::nix32;

/// Placeholders, and the paths that they stand for.
pub(super) struct Rewrites(Vec<(String, String)>);

impl Rewrites {
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        self.0.iter().fold(text.to_vec(), |text, (from, to)| replace(&text, from.as_bytes(), to.as_bytes()))
    }
}

/// The placeholder of an output is made from its name alone.
pub(super) fn placeholder(output: &str) -> String {
    format!("/{}", nix32::encode(&Sha256::digest(format!("nix-output:{output}"))))
}

pub(super) fn rewrites(outputs: &[PlannedOutput], store: &Path) -> Rewrites {
    let rewrite =
        |output: &PlannedOutput| (placeholder(&output.name), output.path.within(store).display().to_string());
    Rewrites(outputs.iter().map(rewrite).collect())
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_of_out_is_nix_s_own() {
        assert_eq!(placeholder("out"), "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9");
        assert_eq!(placeholder("lib"), "/0sra2y18lr3h6j58qjm0w46yv36h1wjmilb09n8aimdpivdymscx");
    }

    #[test]
    fn every_occurrence_is_replaced() {
        assert_eq!(replace(b"xaxax", b"xa", b"-"), b"--x");
        assert_eq!(replace(b"", b"xa", b"-"), b"");
    }
}
