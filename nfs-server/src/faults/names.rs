//! The words that a fault can have.

/// What a part can begin with.
pub(super) const KEYS: [&str; 11] =
    ["op", "path", "error", "delay", "short", "clock", "after", "every", "probability", "seed", "count"];

/// The procedures at their numbers. NULL has no faults.
pub const PROCEDURES: [&str; 22] = [
    "null",
    "getattr",
    "setattr",
    "lookup",
    "access",
    "readlink",
    "read",
    "write",
    "create",
    "mkdir",
    "symlink",
    "mknod",
    "remove",
    "rmdir",
    "rename",
    "link",
    "readdir",
    "readdirplus",
    "fsstat",
    "fsinfo",
    "pathconf",
    "commit",
];

/// The errors that NFSv3 can carry (RFC 1813, section 2.6), by the names in errno(3); EJUKEBOX has the client try again after some
/// seconds.
pub const ERRORS: [(&str, u32); 22] = [
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EIO", 5),
    ("ENXIO", 6),
    ("EACCES", 13),
    ("EEXIST", 17),
    ("EXDEV", 18),
    ("ENODEV", 19),
    ("ENOTDIR", 20),
    ("EISDIR", 21),
    ("EINVAL", 22),
    ("EFBIG", 27),
    ("ENOSPC", 28),
    ("EROFS", 30),
    ("EMLINK", 31),
    ("ENAMETOOLONG", 63),
    ("ENOTEMPTY", 66),
    ("EDQUOT", 69),
    ("ESTALE", 70),
    ("ENOTSUP", 10004),
    ("EREMOTEIO", 10006),
    ("EJUKEBOX", 10008),
];
