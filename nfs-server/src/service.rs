//! What all connections of one server share.

use std::sync::Arc;

use crate::counts::Counts;
use crate::duplicates::Duplicates;
use crate::handle::Secret;
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
    pub(crate) secret: Secret,
    pub(crate) export: String,
    pub(crate) users: Users,
    pub(crate) duplicates: Duplicates,
    pub(crate) counts: Counts,
}

impl Service {
    pub(crate) fn new(view: Arc<View>, secret: Secret, users: Users) -> Service {
        Service {
            view,
            export: secret.export_path(),
            secret,
            users,
            duplicates: Duplicates::new(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn admits(&self, uid: u32) -> bool {
        match &self.users {
            Users::Any => true,
            Users::Only(users) => uid == 0 || users.contains(&uid),
        }
    }
}
