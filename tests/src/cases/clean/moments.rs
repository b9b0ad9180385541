//! Random moments, the same again for the same seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::random::Random;

/// Repeats the moments of an earlier run.
const SEED: &str = "LOOPBOX_SEED";

/// A source of moments.
pub struct Moments(Random);

impl Moments {
    /// Prints its seed, with how to have the same moments again.
    pub fn new() -> Moments {
        let given = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64);
        let seed: u64 = given.unwrap_or(now);
        println!("random moments: {SEED}={seed} repeats them");
        Moments(Random::new(seed))
    }

    /// A number below this one.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit)
    }

    /// A duration below this one.
    pub fn within(&mut self, limit: Duration) -> Duration {
        limit.mul_f64((self.0.number() >> 11) as f64 / (1_u64 << 53) as f64)
    }
}
