//! Decides which calls have which fault, without a lock.

use std::hash::Hasher;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use globset::GlobMatcher;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use super::{Fault, FaultStart, Probability, Target};
use crate::view::path_text;

/// The faults of one server.
pub(crate) struct FaultInjector {
    rules: Vec<Rule>,
}

/// One fault, and how far it has come.
struct Rule {
    fault: Fault,
    path: Option<GlobMatcher>,
    calls: AtomicU64,
    bytes: AtomicU64,
    /// Calls after [`super::FaultSchedule::after`].
    due: AtomicU64,
    injected: AtomicU64,
    first: OnceLock<PathBuf>,
}

/// What happens to a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Injection {
    pub(crate) delay: Duration,
    /// An `nfsstat3`.
    pub(crate) status: Option<u32>,
    /// Most bytes that it carries.
    pub(crate) short: Option<u32>,
    /// Seconds that the clock jumps.
    pub(crate) clock: i64,
}

/// How often a fault was injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedFault {
    /// The fault.
    pub fault: Fault,
    /// In how many calls.
    pub count: u64,
    /// Where it was first; nothing if it never was.
    #[serde(with = "path_text::optional")]
    pub first: Option<PathBuf>,
}

impl FaultInjector {
    /// `None` where there are none.
    pub(crate) fn new(faults: Vec<Fault>) -> Option<FaultInjector> {
        let rules: Vec<Rule> = faults.into_iter().map(Rule::new).collect();
        (!rules.is_empty()).then_some(FaultInjector { rules })
    }

    /// Whether a call could have any. Nothing is counted yet.
    pub(crate) fn concerns(&self, target: &Target) -> bool {
        self.rules.iter().any(|rule| rule.concerns(target))
    }

    /// Decides what happens to a call, once. After an error nothing else happens to it.
    pub(crate) fn inject(&self, target: &Target) -> Injection {
        let mut injection = Injection::default();
        for rule in self.rules.iter().filter(|rule| rule.concerns(target)) {
            if injection.status.is_none() && rule.is_due(target.bytes) {
                rule.first.get_or_init(|| target.paths.first().cloned().unwrap_or_default());
                injection.delay += rule.fault.delay.unwrap_or_default();
                injection.status = rule.fault.error.map(|error| error.status);
                injection.clock += rule.fault.clock.map_or(0, |jump| jump.0);
                injection.short = [injection.short, rule.fault.short].into_iter().flatten().min();
            }
        }
        injection
    }

    pub(crate) fn injected(&self) -> Vec<InjectedFault> {
        self.rules.iter().map(Rule::told).collect()
    }
}

impl Rule {
    fn new(fault: Fault) -> Rule {
        Rule {
            path: fault.path.as_ref().map(|pattern| pattern.0.compile_matcher()),
            fault,
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            due: AtomicU64::new(0),
            injected: AtomicU64::new(0),
            first: OnceLock::new(),
        }
    }

    fn concerns(&self, target: &Target) -> bool {
        let procedure = self.fault.procedure.is_none_or(|procedure| procedure.0 == target.procedure);
        procedure
            && match &self.path {
                Some(pattern) => target.paths.iter().any(|path| pattern.is_match(path)),
                None => !target.is_root(),
            }
    }

    /// Whether it is the turn of a call that carries so many bytes.
    fn is_due(&self, bytes: u64) -> bool {
        let schedule = self.fault.schedule;
        let (calls, carried) = (count(&self.calls, 1), count(&self.bytes, bytes));
        let begun = match schedule.after {
            FaultStart::Calls(after) => calls >= after,
            FaultStart::Bytes(after) => carried.saturating_add(bytes) > after,
        };
        if !begun {
            return false;
        }
        let turn = count(&self.due, 1);
        schedule.every.is_none_or(|every| (turn + 1).is_multiple_of(every))
            && schedule.probability.is_none_or(|probability| probability.hits(schedule.seed, turn))
            && self
                .injected
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |injected| {
                    schedule.count.is_none_or(|most| injected < most).then_some(injected + 1)
                })
                .is_ok()
    }

    fn told(&self) -> InjectedFault {
        InjectedFault {
            fault: self.fault.clone(),
            count: self.injected.load(Ordering::Relaxed),
            first: self.first.get().cloned(),
        }
    }
}

impl Probability {
    /// Whether chance, which begins with `seed`, has it at this turn.
    fn hits(self, seed: u64, turn: u64) -> bool {
        let mut hasher = SipHasher24::new_with_keys(seed, 0);
        hasher.write_u64(turn);
        // 53 bits are what a float holds.
        let chance = (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64;
        chance < self.0
    }
}

/// Adds to a counter; what it was before.
fn count(counter: &AtomicU64, more: u64) -> u64 {
    counter.fetch_add(more, Ordering::Relaxed)
}
