//! What is wrong with the text of a fault.

use super::names::{ERRORS, KEYS, PROCEDURES};
use crate::size::SizeError;

/// A text that is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part:?}: {problem}")]
pub struct FaultError {
    /// The part of it that is wrong.
    pub part: String,
    /// What is wrong with that.
    pub problem: Problem,
}

/// What is wrong with a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has no `=`.
    #[error("a part is KEY=VALUE, with one of the keys {}", KEYS.join(", "))]
    NoValue,
    /// There is no such key.
    #[error("there is no such key: {}", KEYS.join(", "))]
    Key,
    /// The key was there before.
    #[error("this key was given already")]
    Again,
    /// There is no such procedure.
    #[error("there is no such procedure of NFSv3: any, {}", PROCEDURES[1..].join(", "))]
    Procedure,
    /// There is no such error, or NFSv3 has none.
    #[error("this is not an error that NFSv3 can carry: {}", error_names())]
    Error,
    /// It is not absolute.
    #[error("a path in the view begins with '/'")]
    Path,
    /// It is no pattern.
    #[error("this is not a pattern: {0}")]
    Glob(String),
    /// It is no size.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// It is not from 1 to the largest number that a call can carry.
    #[error("a call carries between 1 byte and 1M")]
    Short,
    /// It is no number.
    #[error("a whole number is needed here, above 0")]
    Number,
    /// It is neither calls nor bytes.
    #[error("a number of calls is needed here, or bytes with a letter, as in 4096B or 1M")]
    After,
    /// It is no number from 0 to 1.
    #[error("a probability is a number from 0 to 1")]
    Probability,
    /// It is no time.
    #[error("a time is a whole number with us, ms or s behind it, up to 60s")]
    Time,
    /// It is no jump of a clock.
    #[error("a clock jumps by a whole number with + or - before it and s, m, h or d behind it, up to 36500d")]
    Clock,
    /// Nothing would happen.
    #[error("this has no effect: one of error, delay, short and clock is needed")]
    NoEffect,
    /// Only two procedures carry bytes.
    #[error("only op=read and op=write carry bytes")]
    NoBytes,
    /// Without a chance there is nothing to begin with.
    #[error("without a probability, a seed decides nothing")]
    NoChance,
}

fn error_names() -> String {
    ERRORS.map(|(name, _)| name).join(", ")
}
