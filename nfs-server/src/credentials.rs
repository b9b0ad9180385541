//! RPC credentials: AUTH_SYS (RFC 5531, appendix A).

use crate::limits::{AUTH_MAX, GROUPS_MAX, MACHINE_NAME_MAX};
use crate::view::Caller;
use crate::xdr::{Decoder, Garbage};

const AUTH_NONE: u32 = 0;
const AUTH_SYS: u32 = 1;

/// What stands for no user and no group (POSIX, chown(2)): system calls that set an id take it for "as it is".
const NO_ID: u32 = u32::MAX;

/// Why credentials are refused: `auth_stat` (RFC 5531, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthStat {
    BadCredentials = 1,
    TooWeak = 5,
}

/// The caller of a procedure.
pub(crate) enum RpcCredentials {
    /// AUTH_NONE.
    Anonymous,
    /// AUTH_SYS.
    User(User),
}

/// A user with its groups.
pub(crate) struct User {
    uid: u32,
    gid: u32,
    groups: [u32; GROUPS_MAX],
    groups_count: usize,
}

impl RpcCredentials {
    /// Decodes the credentials and the verifier of a call.
    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<RpcCredentials, AuthStat> {
        let decoded = (|| {
            let flavor = from.u32()?;
            let body = from.opaque(AUTH_MAX)?;
            let _verifier_flavor = from.u32()?;
            let _verifier = from.opaque(AUTH_MAX)?;
            Ok((flavor, body))
        })();
        match decoded {
            Ok((AUTH_NONE, _)) => Ok(RpcCredentials::Anonymous),
            Ok((AUTH_SYS, body)) => {
                User::decode(body).map(RpcCredentials::User).map_err(|Garbage| AuthStat::BadCredentials)
            }
            Ok(_) => Err(AuthStat::TooWeak),
            Err(Garbage) => Err(AuthStat::BadCredentials),
        }
    }

    /// The user id, with AUTH_SYS.
    pub(crate) fn uid(&self) -> Option<u32> {
        match self {
            RpcCredentials::Anonymous => None,
            RpcCredentials::User(user) => Some(user.uid),
        }
    }

    /// The user; nobody without AUTH_SYS.
    pub(crate) fn caller(&self) -> Caller<'_> {
        const NOBODY: u32 = 65534;
        match self {
            RpcCredentials::Anonymous => Caller { uid: NOBODY, gid: NOBODY, groups: &[] },
            RpcCredentials::User(user) => {
                Caller { uid: user.uid, gid: user.gid, groups: &user.groups[..user.groups_count] }
            }
        }
    }
}

impl User {
    fn decode(body: &[u8]) -> Result<User, Garbage> {
        let mut from = Decoder::new(body);
        let _stamp = from.u32()?;
        let _machine = from.opaque(MACHINE_NAME_MAX)?;
        let (uid, gid) = (from.u32()?, from.u32()?);
        let groups_count = usize::try_from(from.u32()?).map_err(|_| Garbage)?;
        let mut groups = [0; GROUPS_MAX];
        for group in groups.get_mut(..groups_count).ok_or(Garbage)? {
            *group = from.u32()?;
        }
        if [uid, gid].iter().chain(&groups[..groups_count]).any(|id| *id == NO_ID) {
            return Err(Garbage);
        }
        Ok(User { uid, gid, groups, groups_count })
    }
}
