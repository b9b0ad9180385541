//! The statuses that each procedure may end with (RFC 1813, section 3.3), and those that this server gives beyond them.

use nfs3_types::nfs3::nfsstat3::{self, *};

/// Those that every procedure but NULL lists; `NFS3ERR_JUKEBOX` is listed by none and meant for all (section 2.6).
const ALL: [nfsstat3; 6] =
    [NFS3_OK, NFS3ERR_IO, NFS3ERR_STALE, NFS3ERR_BADHANDLE, NFS3ERR_SERVERFAULT, NFS3ERR_JUKEBOX];

/// What the procedures that make a name have in common.
const MAKING: [nfsstat3; 8] = [
    NFS3ERR_ACCES,
    NFS3ERR_EXIST,
    NFS3ERR_NOTDIR,
    NFS3ERR_NOSPC,
    NFS3ERR_ROFS,
    NFS3ERR_NAMETOOLONG,
    NFS3ERR_DQUOT,
    NFS3ERR_NOTSUPP,
];

/// Whether the procedure of this number may end with this status.
pub fn is_listed(procedure: u32, status: nfsstat3) -> bool {
    ALL.contains(&status) || listed(procedure).contains(&status) || beyond(procedure).contains(&status)
}

/// As RFC 1813 lists them.
fn listed(procedure: u32) -> &'static [nfsstat3] {
    match procedure {
        2 => &[
            NFS3ERR_PERM,
            NFS3ERR_ACCES,
            NFS3ERR_INVAL,
            NFS3ERR_NOSPC,
            NFS3ERR_ROFS,
            NFS3ERR_DQUOT,
            NFS3ERR_NOT_SYNC,
        ],
        3 => &[NFS3ERR_NOENT, NFS3ERR_ACCES, NFS3ERR_NOTDIR, NFS3ERR_NAMETOOLONG],
        5 => &[NFS3ERR_INVAL, NFS3ERR_ACCES, NFS3ERR_NOTSUPP],
        6 => &[NFS3ERR_NXIO, NFS3ERR_ACCES, NFS3ERR_INVAL],
        7 => &[NFS3ERR_ACCES, NFS3ERR_FBIG, NFS3ERR_DQUOT, NFS3ERR_NOSPC, NFS3ERR_ROFS, NFS3ERR_INVAL],
        8..=11 => &MAKING,
        12 => &[NFS3ERR_NOENT, NFS3ERR_ACCES, NFS3ERR_NOTDIR, NFS3ERR_NAMETOOLONG, NFS3ERR_ROFS],
        13 => &[
            NFS3ERR_NOENT,
            NFS3ERR_ACCES,
            NFS3ERR_INVAL,
            NFS3ERR_EXIST,
            NFS3ERR_NOTDIR,
            NFS3ERR_NAMETOOLONG,
            NFS3ERR_ROFS,
            NFS3ERR_NOTEMPTY,
            NFS3ERR_NOTSUPP,
        ],
        14 => &[
            NFS3ERR_NOENT,
            NFS3ERR_ACCES,
            NFS3ERR_EXIST,
            NFS3ERR_XDEV,
            NFS3ERR_NOTDIR,
            NFS3ERR_ISDIR,
            NFS3ERR_INVAL,
            NFS3ERR_NOSPC,
            NFS3ERR_ROFS,
            NFS3ERR_MLINK,
            NFS3ERR_NAMETOOLONG,
            NFS3ERR_NOTEMPTY,
            NFS3ERR_DQUOT,
            NFS3ERR_NOTSUPP,
        ],
        15 => &[
            NFS3ERR_ACCES,
            NFS3ERR_EXIST,
            NFS3ERR_XDEV,
            NFS3ERR_NOTDIR,
            NFS3ERR_INVAL,
            NFS3ERR_NOSPC,
            NFS3ERR_ROFS,
            NFS3ERR_MLINK,
            NFS3ERR_NAMETOOLONG,
            NFS3ERR_DQUOT,
            NFS3ERR_NOTSUPP,
        ],
        16 | 17 => &[NFS3ERR_ACCES, NFS3ERR_NOTDIR, NFS3ERR_BAD_COOKIE, NFS3ERR_TOOSMALL],
        _ => &[],
    }
}

/// What the lists leave out and clients understand: what POSIX says of the same system call, as Linux's server gives it too.
fn beyond(procedure: u32) -> &'static [nfsstat3] {
    match procedure {
        // The length of what has none, and one that is too large.
        2 => &[NFS3ERR_ISDIR, NFS3ERR_FBIG],
        // A name with a slash.
        3 => &[NFS3ERR_INVAL],
        6 | 7 => &[NFS3ERR_ISDIR],
        // Set-id bits are refused, and a name with a slash; a length that is too large.
        8 => &[NFS3ERR_PERM, NFS3ERR_INVAL, NFS3ERR_FBIG],
        9 | 10 => &[NFS3ERR_PERM, NFS3ERR_INVAL],
        // Devices are refused.
        11 => &[NFS3ERR_PERM, NFS3ERR_INVAL, NFS3ERR_BADTYPE],
        // A directory, and a name in a directory with the sticky bit.
        12 => &[NFS3ERR_PERM, NFS3ERR_ISDIR, NFS3ERR_INVAL],
        13 | 14 => &[NFS3ERR_PERM],
        // A further name of a directory, and one for a file whose last name went.
        15 => &[NFS3ERR_PERM, NFS3ERR_NOENT],
        // Of a read-only file, or of what has no data.
        21 => &[NFS3ERR_ROFS, NFS3ERR_ISDIR, NFS3ERR_INVAL],
        _ => &[],
    }
}
