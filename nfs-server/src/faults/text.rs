//! Faults as texts: parts with commas between them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::names::{ERRORS, PROCEDURES};
use super::{
    ClockJump, DELAY_MAX, ErrorName, Fault, FaultError, FaultSchedule, FaultStart, PathPattern, Probability,
    Problem, ProcedureNumber,
};
use crate::limits::TRANSFER_MAX;
use crate::size::parse_size;

/// All procedures stand for this one.
const ANY: &str = "any";

const READ: ProcedureNumber = ProcedureNumber(6);
const WRITE: ProcedureNumber = ProcedureNumber(7);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        let mut fault = Fault {
            procedure: None,
            path: None,
            error: None,
            delay: None,
            short: None,
            clock: None,
            schedule: FaultSchedule::default(),
        };
        let mut given = Vec::new();
        for part in text.split(',') {
            let wrong = |problem| FaultError { part: part.into(), problem };
            let (key, value) = part.split_once('=').ok_or_else(|| wrong(Problem::NoValue))?;
            if given.contains(&key) {
                return Err(wrong(Problem::Again));
            }
            given.push(key);
            fault.set(key, value).map_err(wrong)?;
        }
        fault.check(&given).map_err(|problem| FaultError { part: text.into(), problem })?;
        Ok(fault)
    }
}

impl Fault {
    fn set(&mut self, key: &str, value: &str) -> Result<(), Problem> {
        match key {
            "op" => self.procedure = procedure(value)?,
            "path" => self.path = Some(PathPattern::new(value)?),
            "error" => self.error = Some(error(value)?),
            "delay" => self.delay = Some(delay(value)?),
            "short" => self.short = Some(short(value)?),
            "clock" => self.clock = Some(clock(value)?),
            "after" => self.schedule.after = after(value)?,
            "every" => self.schedule.every = Some(positive(value)?),
            "probability" => self.schedule.probability = Some(probability(value)?),
            "seed" => self.schedule.seed = value.parse().map_err(|_| Problem::Number)?,
            "count" => self.schedule.count = Some(positive(value)?),
            _ => return Err(Problem::Key),
        }
        Ok(())
    }

    /// Checks what only all parts together say.
    fn check(&self, given: &[&str]) -> Result<(), Problem> {
        let carries = self.procedure == Some(READ) || self.procedure == Some(WRITE);
        let Fault { error, delay, short, clock, .. } = self;
        if error.is_none() && delay.is_none() && short.is_none() && clock.is_none() {
            return Err(Problem::NoEffect);
        }
        if (self.short.is_some() || matches!(self.schedule.after, FaultStart::Bytes(_))) && !carries {
            return Err(Problem::NoBytes);
        }
        if given.contains(&"seed") && self.schedule.probability.is_none() {
            return Err(Problem::NoChance);
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { procedure, path, error, delay, short, clock, schedule } = self;
        let FaultSchedule { after, every, probability, seed, count } = schedule;
        write!(f, "op={}", procedure.map_or(ANY, ProcedureNumber::name))?;
        path.iter().try_for_each(|PathPattern(glob)| write!(f, ",path={glob}"))?;
        error.iter().try_for_each(|error| write!(f, ",error={}", error.name))?;
        delay.iter().try_for_each(|delay| write!(f, ",delay={}", DisplayTime(*delay)))?;
        short.iter().try_for_each(|bytes| write!(f, ",short={}", DisplayBytes((*bytes).into())))?;
        clock.iter().try_for_each(|jump| write!(f, ",clock={jump}"))?;
        match after {
            FaultStart::Calls(0) => {}
            FaultStart::Calls(calls) => write!(f, ",after={calls}")?,
            FaultStart::Bytes(bytes) => write!(f, ",after={}", DisplayBytes(*bytes))?,
        }
        every.iter().try_for_each(|every| write!(f, ",every={every}"))?;
        if let Some(Probability(number)) = probability {
            write!(f, ",probability={number}")?;
            if *seed != 0 {
                write!(f, ",seed={seed}")?;
            }
        }
        count.iter().try_for_each(|count| write!(f, ",count={count}"))
    }
}

impl TryFrom<String> for Fault {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Fault, FaultError> {
        text.parse()
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> String {
        fault.to_string()
    }
}

impl ProcedureNumber {
    pub(super) fn name(self) -> &'static str {
        PROCEDURES.get(self.0 as usize).copied().unwrap_or_default()
    }
}

/// Bytes with the largest unit that they are a multiple of.
struct DisplayBytes(u64);

impl fmt::Display for DisplayBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
        let (shift, unit) = units
            .into_iter()
            .find(|(shift, _)| self.0 > 0 && self.0.trailing_zeros() >= *shift)
            .unwrap_or((0, "B"));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

/// A time with the largest unit that it is a multiple of.
struct DisplayTime(Duration);

impl fmt::Display for DisplayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let (each, unit) =
            TIMES.into_iter().find(|(each, _)| micros.is_multiple_of(u128::from(*each))).unwrap_or((1, "us"));
        write!(f, "{}{unit}", micros / u128::from(each))
    }
}

impl fmt::Display for ClockJump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClockJump(seconds) = *self;
        let (each, unit) = JUMPS.into_iter().find(|(each, _)| seconds % each == 0).unwrap_or((1, "s"));
        write!(f, "{:+}{unit}", seconds / each)
    }
}

/// Units of time in microseconds, the longest first.
const TIMES: [(u64, &str); 3] = [(1_000_000, "s"), (1_000, "ms"), (1, "us")];

/// Units of a clock's jumps in seconds, the longest first.
const JUMPS: [(i64, &str); 4] = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m"), (1, "s")];

fn procedure(name: &str) -> Result<Option<ProcedureNumber>, Problem> {
    if name == ANY {
        return Ok(None);
    }
    let number = PROCEDURES.iter().skip(1).position(|known| *known == name);
    number.map(|number| Some(ProcedureNumber(number as u32 + 1))).ok_or(Problem::Procedure)
}

fn error(name: &str) -> Result<ErrorName, Problem> {
    let known = ERRORS.into_iter().find(|(known, _)| *known == name);
    known.map(|(name, status)| ErrorName { name, status }).ok_or(Problem::Error)
}

fn delay(text: &str) -> Result<Duration, Problem> {
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let (each, _) = TIMES.into_iter().find(|(_, known)| *known == unit).ok_or(Problem::Time)?;
    let number: u64 = text[..text.len() - unit.len()].parse().map_err(|_| Problem::Time)?;
    let delay = number.checked_mul(each).map(Duration::from_micros);
    delay.filter(|delay| *delay <= DELAY_MAX).ok_or(Problem::Time)
}

fn clock(text: &str) -> Result<ClockJump, Problem> {
    let jump = || {
        let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let (each, _) = JUMPS.into_iter().find(|(_, unit)| *unit == &text[number.len()..])?;
        let is_signed = number.starts_with(['+', '-']);
        number.parse::<i64>().ok().filter(|_| is_signed)?.checked_mul(each)
    };
    ClockJump::new(jump().ok_or(Problem::Clock)?)
}

fn short(text: &str) -> Result<u32, Problem> {
    let bytes = parse_size(text)?;
    u32::try_from(bytes).ok().filter(|bytes| (1..=TRANSFER_MAX as u32).contains(bytes)).ok_or(Problem::Short)
}

fn after(text: &str) -> Result<FaultStart, Problem> {
    match text.ends_with(|digit: char| digit.is_ascii_digit()) {
        true => text.parse().map(FaultStart::Calls).map_err(|_| Problem::After),
        false => parse_size(text).map(FaultStart::Bytes).map_err(|_| Problem::After),
    }
}

fn positive(text: &str) -> Result<u64, Problem> {
    text.parse().ok().filter(|number| *number > 0).ok_or(Problem::Number)
}

fn probability(text: &str) -> Result<Probability, Problem> {
    Probability::new(text.parse().map_err(|_| Problem::Probability)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::names::KEYS;
    use super::*;

    #[track_caller]
    fn wrong(text: &str) -> String {
        text.parse::<Fault>().unwrap_err().to_string()
    }

    #[test]
    fn a_fault_says_the_same_again() {
        for (text, again) in [
            ("error=EIO", "op=any,error=EIO"),
            (
                "after=1M,error=ENOSPC,path=/build/**,op=write",
                "op=write,path=/build/**,error=ENOSPC,after=1M",
            ),
            ("op=read,delay=1500ms,every=3,count=2", "op=read,delay=1500ms,every=3,count=2"),
            ("op=read,short=4096", "op=read,short=4K"),
            ("op=write,after=1000B,error=EDQUOT", "op=write,error=EDQUOT,after=1000B"),
            (
                "op=lookup,error=ENOENT,probability=0.25,seed=7",
                "op=lookup,error=ENOENT,probability=0.25,seed=7",
            ),
            ("op=getattr,delay=0s,after=3", "op=getattr,delay=0s,after=3"),
            ("op=create,clock=+90m,count=1", "op=create,clock=+90m,count=1"),
            ("clock=-86400s", "op=any,clock=-1d"),
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), again);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        insta::assert_snapshot!(wrong("op=wrtie,error=EIO"), @r#""op=wrtie": there is no such procedure of NFSv3: any, getattr, setattr, lookup, access, readlink, read, write, create, mkdir, symlink, mknod, remove, rmdir, rename, link, readdir, readdirplus, fsstat, fsinfo, pathconf, commit"#);
        insta::assert_snapshot!(wrong("op=null,error=EIO"), @r#""op=null": there is no such procedure of NFSv3: any, getattr, setattr, lookup, access, readlink, read, write, create, mkdir, symlink, mknod, remove, rmdir, rename, link, readdir, readdirplus, fsstat, fsinfo, pathconf, commit"#);
        insta::assert_snapshot!(wrong("op=open,error=EMFILE"), @r#""op=open": there is no such procedure of NFSv3: any, getattr, setattr, lookup, access, readlink, read, write, create, mkdir, symlink, mknod, remove, rmdir, rename, link, readdir, readdirplus, fsstat, fsinfo, pathconf, commit"#);
        insta::assert_snapshot!(wrong("op=create,error=EMFILE"), @r#""error=EMFILE": this is not an error that NFSv3 can carry: EPERM, ENOENT, EIO, ENXIO, EACCES, EEXIST, EXDEV, ENODEV, ENOTDIR, EISDIR, EINVAL, EFBIG, ENOSPC, EROFS, EMLINK, ENAMETOOLONG, ENOTEMPTY, EDQUOT, ESTALE, ENOTSUP, EREMOTEIO, EJUKEBOX"#);
        insta::assert_snapshot!(wrong("path=build/*,error=EIO"), @r#""path=build/*": a path in the view begins with '/'"#);
        insta::assert_snapshot!(wrong("path=/build/[,error=EIO"), @r#""path=/build/[": this is not a pattern: unclosed character class; missing ']'"#);
        insta::assert_snapshot!(wrong("op=write"), @r#""op=write": this has no effect: one of error, delay, short and clock is needed"#);
        insta::assert_snapshot!(wrong("op=write,errno=EIO"), @r#""errno=EIO": there is no such key: op, path, error, delay, short, clock, after, every, probability, seed, count"#);
        insta::assert_snapshot!(wrong("op=write,error"), @r#""error": a part is KEY=VALUE, with one of the keys op, path, error, delay, short, clock, after, every, probability, seed, count"#);
        insta::assert_snapshot!(wrong("error=EIO,error=EIO"), @r#""error=EIO": this key was given already"#);
        insta::assert_snapshot!(wrong("error=EIO,after=1Q"), @r#""after=1Q": a number of calls is needed here, or bytes with a letter, as in 4096B or 1M"#);
        insta::assert_snapshot!(wrong("op=lookup,error=EIO,after=1M"), @r#""op=lookup,error=EIO,after=1M": only op=read and op=write carry bytes"#);
        insta::assert_snapshot!(wrong("op=read,short=0"), @r#""short=0": a call carries between 1 byte and 1M"#);
        insta::assert_snapshot!(wrong("op=read,short=2Q"), @r#""short=2Q": "2Q" is not a size: a number of bytes, or one with K, M, G or T behind it, which are powers of 1024"#);
        insta::assert_snapshot!(wrong("op=any,short=1K"), @r#""op=any,short=1K": only op=read and op=write carry bytes"#);
        insta::assert_snapshot!(wrong("op=read,delay=5"), @r#""delay=5": a time is a whole number with us, ms or s behind it, up to 60s"#);
        insta::assert_snapshot!(wrong("op=read,delay=61s"), @r#""delay=61s": a time is a whole number with us, ms or s behind it, up to 60s"#);
        for wrong_clock in [
            "clock=1h",
            "clock=+h",
            "clock=+1w",
            "clock=-0s",
            "clock=+36501d",
            "clock=+9999999999999999d",
            "clock=",
        ] {
            let said = format!(
                "{wrong_clock:?}: a clock jumps by a whole number with + or - before it and s, m, h or d behind it, up to 36500d"
            );
            assert_eq!(wrong(wrong_clock), said);
        }
        insta::assert_snapshot!(wrong("error=EIO,every=0"), @r#""every=0": a whole number is needed here, above 0"#);
        insta::assert_snapshot!(wrong("error=EIO,probability=1.5"), @r#""probability=1.5": a probability is a number from 0 to 1"#);
        insta::assert_snapshot!(wrong("error=EIO,seed=3"), @r#""error=EIO,seed=3": without a probability, a seed decides nothing"#);
        insta::assert_snapshot!(wrong(""), @r#""": a part is KEY=VALUE, with one of the keys op, path, error, delay, short, clock, after, every, probability, seed, count"#);
    }

    fn some<T: std::fmt::Debug + Clone>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
        prop::option::of(of)
    }

    prop_compose! {
        fn faults()(
            carrying in some(prop::sample::select(vec![READ, WRITE])),
            other in some((1_u32..22).prop_map(ProcedureNumber)),
            path in some("/[a-z*?]{0,9}(/[a-z]{1,5}){0,2}(/\\*\\*)?"),
            error in some(prop::sample::select(&ERRORS[..])),
            delay in some((0_u64..60_000_000).prop_map(Duration::from_micros)),
            short in some(1_u32..1 << 20),
            clock in some(prop_oneof![1_i64..1 << 31, -(1_i64 << 31)..0]),
            after in prop_oneof![any::<u64>().prop_map(FaultStart::Calls), any::<u64>().prop_map(FaultStart::Bytes)],
            (every, count, seed) in (some(1_u64..), some(1_u64..), any::<u64>()),
            probability in some(0.0..=1.0),
        ) -> Fault {
            let carries = carrying.is_some();
            let after = match after {
                FaultStart::Bytes(bytes) if !carries => FaultStart::Calls(bytes),
                after => after,
            };
            let probability = probability.map(|number| Probability::new(number).unwrap());
            Fault {
                procedure: carrying.or(other),
                path: path.map(|path| PathPattern::new(&path).unwrap()),
                error: error.map(|(name, status)| ErrorName { name, status }),
                delay: delay.or(error.is_none().then_some(Duration::ZERO)),
                short: short.filter(|_| carries),
                clock: clock.map(|seconds| ClockJump::new(seconds).unwrap()),
                schedule: FaultSchedule { after, every, count, seed: probability.map_or(0, |_| seed), probability },
            }
        }
    }

    proptest! {
        #[test]
        fn every_fault_is_read_as_it_was_written(fault in faults()) {
            prop_assert_eq!(fault.to_string().parse(), Ok(fault));
        }

        #[test]
        fn no_text_is_more_than_wrong(text in ".*", key in prop::sample::select(&KEYS[..])) {
            let _ = text.parse::<Fault>();
            let _ = format!("error=EIO,{key}={text}").parse::<Fault>();
            let _ = format!("op=read,error=EIO,{key}={text}").parse::<Fault>();
        }
    }
}
