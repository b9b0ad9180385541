//! What all connections of one server share.

use std::sync::Arc;

use crate::call_counters::CallCounters;
use crate::handle::HandleKey;
use crate::reply_cache::ReplyCache;
use crate::view::View;

/// Whose calls are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Users {
    /// These host users, and root.
    Only(Vec<u32>),
    /// Every user of this machine's kernel.
    Any,
}

/// One view, with what it takes to answer calls on it.
pub(crate) struct Service {
    pub(crate) view: Arc<View>,
    pub(crate) handle_key: HandleKey,
    pub(crate) export: String,
    pub(crate) users: Users,
    pub(crate) reply_cache: ReplyCache,
    pub(crate) counters: CallCounters,
}

impl Service {
    pub(crate) fn new(view: Arc<View>, handle_key: HandleKey, users: Users) -> Service {
        Service {
            view,
            export: handle_key.export_path(),
            handle_key,
            users,
            reply_cache: ReplyCache::new(),
            counters: CallCounters::default(),
        }
    }

    pub(crate) fn admits(&self, uid: u32) -> bool {
        match &self.users {
            Users::Any => true,
            Users::Only(users) => uid == 0 || users.contains(&uid),
        }
    }
}
