//! The state that all connections of a server share.

use std::sync::Arc;

use defences::Defence;

use crate::call_counters::CallCounters;
use crate::exclusive_creates::ExclusiveCreates;
use crate::faults::{Fault, FaultInjector};
use crate::handle::HandleKey;
use crate::reply_cache::ReplyCache;
use crate::silly::{SillyNames, SillyRenames};
use crate::slow_calls::SlowCalls;
use crate::view::View;

/// The users whose calls are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Users {
    /// These host users, and root.
    Only(Vec<u32>),
    /// Every user of this machine's kernel.
    Any,
}

/// A view and the protocol state around it.
pub(crate) struct Service {
    pub(crate) view: Arc<View>,
    pub(crate) handle_key: HandleKey,
    pub(crate) export: String,
    pub(crate) users: Users,
    pub(crate) reply_cache: ReplyCache,
    pub(crate) silly: SillyRenames,
    pub(crate) exclusive: ExclusiveCreates,
    pub(crate) counters: CallCounters,
    /// If somebody wants to know.
    pub(crate) slow_calls: Option<SlowCalls>,
    /// Faults on purpose, if there are any.
    pub(crate) faults: Option<FaultInjector>,
}

impl Service {
    pub(crate) fn new(
        view: Arc<View>,
        handle_key: HandleKey,
        users: Users,
        silly_names: SillyNames,
        slow_calls: Option<SlowCalls>,
        faults: Vec<Fault>,
    ) -> Service {
        Service {
            view,
            export: handle_key.export_path(),
            handle_key,
            users,
            reply_cache: ReplyCache::new(),
            silly: SillyRenames::new(silly_names),
            exclusive: ExclusiveCreates::default(),
            counters: CallCounters::default(),
            slow_calls,
            faults: FaultInjector::new(faults),
        }
    }

    pub(crate) fn admits(&self, uid: u32) -> bool {
        match &self.users {
            Users::Any => true,
            Users::Only(users) => uid == 0 || users.contains(&uid) || !Defence::Callers.stands(),
        }
    }
}
