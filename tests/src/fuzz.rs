//! Mutated inputs for what reads bytes from others: the server, the parser of derivations, and what reads other texts.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::random::Random;

pub mod calls;
mod corpus;
pub mod drv;
pub mod records;
pub mod rpc;
pub mod texts;
mod world;

/// The longest piece that one change inserts or repeats, in bytes.
const PIECE_MAX: usize = 64;
/// The most changes in one input: with more, nothing gets past the first check.
const CHANGES_MAX: usize = 6;
/// Values at the edges of what lengths, counts and offsets may be.
const EDGES: [u32; 10] = [0, 1, 2, 16, 17, 255, 1 << 20, i32::MAX as u32, i32::MAX as u32 + 1, u32::MAX];

/// A run: when it ends, what it draws from, and where it keeps what it finds.
pub struct Run {
    lab: Lab,
    target: &'static str,
    seed: u64,
    random: Random,
    end: Instant,
    /// Inputs tried.
    pub tried: u64,
    /// Inputs that something went wrong with.
    pub found: u64,
}

impl Run {
    /// Starts now.
    pub fn new(lab: &Lab, target: &'static str, seed: u64, length: Duration) -> Run {
        let random = Random::new(seed);
        Run { lab: lab.clone(), target, seed, random, end: Instant::now() + length, tried: 0, found: 0 }
    }

    /// The next input, made from some of these; `None` when the time is over.
    pub fn next(&mut self, seeds: &[Vec<u8>]) -> Option<Vec<u8>> {
        if self.is_over() {
            return None;
        }
        self.tried += 1;
        let mut input = self.random.choose(seeds).clone();
        for _ in 0..=self.random.below(CHANGES_MAX) {
            let other = self.random.choose(seeds);
            self.random.change(&mut input, other);
        }
        Some(input)
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.random.below(times) == 0
    }

    /// Keeps an input that something went wrong with, and says so.
    pub fn keep(&mut self, input: &[u8], what: &str) -> Result<PathBuf> {
        self.found += 1;
        let name = format!("fuzz/{}-{}-{}", self.target, self.seed, self.tried);
        let path = self.lab.path(&name)?;
        fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}: {what}; the input is in {}", self.target, path.display());
        Ok(path)
    }
}

/// A seed for whoever names none.
pub fn time_of_day() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs())
}

impl Random {
    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(PIECE_MAX)).min(input.len());
        match self.below(8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let from = self.below(other.len());
                let to = (from + PIECE_MAX).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            4 => input.insert(at, self.number() as u8),
            5 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            _ => {
                // Lengths and numbers of XDR are aligned words.
                let edge = self.choose(&EDGES).to_be_bytes();
                if let Some(word) = input.get_mut(at / 4 * 4..at / 4 * 4 + 4) {
                    word.copy_from_slice(&edge);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_every_input() {
        let seeds = [b"one input".to_vec(), b"another, longer one".to_vec()];
        let inputs = |seed| {
            let lab = Lab::open().expect("the lab can be made");
            let mut run = Run::new(&lab, "test", seed, Duration::from_secs(3600));
            (0..500).filter_map(|_| run.next(&seeds)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
    }
}
