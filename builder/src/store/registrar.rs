//! Registers what several builds have made with one run of Nix's program: starting it takes longer than a small build.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::PathInfo;

/// How long outputs that nobody waits for stay unregistered while other builds may have more to register. A person
/// does not notice; several small builds end meanwhile.
const LINGER: Duration = Duration::from_secs(1);

/// Builds whose outputs are registered in one transaction: past this, starting the program costs each of them next
/// to nothing.
const TOGETHER_MAX: usize = 32;

/// When paths have to be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterWhen {
    /// Somebody waits for them.
    Now,
    /// Together with those of other builds that are about to end.
    Soon,
}

/// Gathers what is to be registered. One of those who wait for it registers it for all.
#[derive(Debug, Default)]
pub(super) struct Registrar {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Tickets that are out: builds that may have something to register.
    tickets: usize,
    waiting: Vec<RegistrationRequest>,
    next: u64,
    /// Whether somebody registers right now.
    busy: bool,
    results: BTreeMap<u64, RegistrationResult>,
}

#[derive(Debug)]
struct RegistrationRequest {
    number: u64,
    since: Instant,
    when: RegisterWhen,
    infos: Vec<PathInfo>,
}

/// How a request was served.
#[derive(Clone, Copy, Debug)]
enum RegistrationResult {
    Registered,
    /// Not all could be registered together: who asked has to see for itself whether its own can.
    Alone,
}

/// A build that may have something to register, until this is dropped.
#[derive(Debug)]
pub struct RegistrationTicket<'a>(&'a Registrar);

impl Registrar {
    /// A build begins.
    pub fn ticket(&self) -> RegistrationTicket<'_> {
        self.state().tickets += 1;
        RegistrationTicket(self)
    }

    /// Registers a build's paths with `register`, perhaps together with those of others, and returns when that is
    /// done.
    ///
    /// # Errors
    /// What `register` says of these very paths.
    pub fn register<E>(
        &self,
        infos: &[PathInfo],
        when: RegisterWhen,
        register: impl Fn(&[PathInfo]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.waiting.push(RegistrationRequest {
            number,
            since: Instant::now(),
            when,
            infos: infos.to_vec(),
        });
        self.changed.notify_all();
        loop {
            match state.results.remove(&number) {
                Some(RegistrationResult::Registered) => return Ok(()),
                Some(RegistrationResult::Alone) => {
                    drop(state);
                    return register(infos);
                }
                None if !state.busy && state.is_due() => state = self.register_waiting(state, &register),
                None => state = self.wait(state),
            }
        }
    }

    /// Registers all that waits. If that fails, each is to be tried by itself, so that one build's failure is not
    /// another's.
    fn register_waiting<'a, E>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        register: impl Fn(&[PathInfo]) -> Result<(), E>,
    ) -> MutexGuard<'a, State> {
        state.busy = true;
        let requests = std::mem::take(&mut state.waiting);
        drop(state);
        let infos: Vec<PathInfo> = requests.iter().flat_map(|request| request.infos.clone()).collect();
        let result =
            if register(&infos).is_ok() { RegistrationResult::Registered } else { RegistrationResult::Alone };

        let mut state = self.state();
        state.busy = false;
        state.results.extend(requests.iter().map(|request| (request.number, result)));
        self.changed.notify_all();
        state
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, LINGER);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_due(&self) -> bool {
        self.tickets == 0
            || self.waiting.len() >= TOGETHER_MAX
            || self
                .waiting
                .iter()
                .any(|request| request.when == RegisterWhen::Now || request.since.elapsed() >= LINGER)
    }
}

impl Drop for RegistrationTicket<'_> {
    fn drop(&mut self) {
        self.0.state().tickets -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::StorePath;

    fn info(number: usize) -> PathInfo {
        PathInfo {
            path: StorePath::new(&format!("71fc7s32zl20dc955bhghy5dvalm7ndz-{number}")).unwrap(),
            nar_hash: String::new(),
            nar_size: 0,
            deriver: None,
            references: std::collections::BTreeSet::new(),
        }
    }

    /// Ten builds end while an eleventh goes on until all of them wait; then what `register` was asked for.
    fn ten(
        when: RegisterWhen,
        register: impl Fn(&[PathInfo]) -> Result<(), usize> + Sync,
    ) -> Vec<Result<(), usize>> {
        let registrar = Registrar::default();
        let eleventh = registrar.ticket();
        std::thread::scope(|scope| {
            let (registrar, register) = (&registrar, &register);
            let builds: Vec<_> = (0..10)
                .map(|number| scope.spawn(move || registrar.register(&[info(number)], when, register)))
                .collect();
            while when == RegisterWhen::Soon && registrar.state().waiting.len() < 10 {
                std::thread::yield_now();
            }
            drop(eleventh);
            builds.into_iter().map(|build| build.join().unwrap()).collect()
        })
    }

    #[test]
    fn builds_that_nobody_waits_for_are_registered_together_when_no_other_goes_on() {
        let runs = Mutex::new(Vec::new());
        let results = ten(RegisterWhen::Soon, |infos| {
            runs.lock().unwrap().push(infos.len());
            Ok(())
        });
        assert_eq!(results, [Ok(()); 10]);
        assert_eq!(*runs.lock().unwrap(), [10]);
    }

    #[test]
    fn what_somebody_waits_for_is_registered_while_others_go_on() {
        let registrar = Registrar::default();
        let _other = registrar.ticket();
        let runs = Mutex::new(Vec::new());
        for number in 0..3 {
            let run = |infos: &[PathInfo]| {
                runs.lock().unwrap().push(infos.len());
                Ok::<(), usize>(())
            };
            registrar.register(&[info(number)], RegisterWhen::Now, run).unwrap();
        }
        assert_eq!(*runs.lock().unwrap(), [1, 1, 1]);
    }

    #[test]
    fn a_build_that_cannot_be_registered_fails_alone() {
        let bad = |infos: &[PathInfo]| match infos.iter().any(|info| info.path == self::info(3).path) {
            true => Err(infos.len()),
            false => Ok(()),
        };
        let results = ten(RegisterWhen::Soon, bad);
        let wrong: Vec<usize> = (0..10).filter(|number| results[*number].is_err()).collect();
        assert_eq!((wrong, results[3]), (vec![3], Err(1)));
    }

    #[test]
    fn nothing_waits_for_ever_when_another_build_goes_on() {
        let registrar = Registrar::default();
        let _other = registrar.ticket();
        assert_eq!(
            registrar.register(&[info(0)], RegisterWhen::Soon, |infos| Err::<(), _>(infos.len())),
            Err(1)
        );
    }
}
