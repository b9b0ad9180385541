//! Random moments, the same again for the same seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Repeats the moments of an earlier run.
const SEED: &str = "LOOPBOX_SEED";

/// A source of moments (xorshift64, which needs a state that is not zero).
pub struct Moments(u64);

impl Moments {
    /// Prints its seed, with how to have the same moments again.
    pub fn new() -> Moments {
        let given = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64);
        let seed: u64 = given.unwrap_or(now).max(1);
        println!("random moments: {SEED}={seed} repeats them");
        Moments(seed)
    }

    /// A duration below this one.
    pub fn within(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        limit.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}
