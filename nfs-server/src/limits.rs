//! The limits of the server, each with its reason.

use std::time::Duration;

/// Most bytes of file data in one READ or WRITE. The Linux client sends at most 1 MiB, and so does macOS's
/// (`NFS_MAXDATA`); more would only make every buffer larger.
pub(crate) const TRANSFER_MAX: usize = 1 << 20;

/// Most bytes in one RPC record: a full WRITE with its header and arguments, with room to spare.
pub(crate) const RECORD_MAX: usize = TRANSFER_MAX + 4096;

/// Fragments in one record. Kernels send one; a peer that sends a record in thousands of pieces is not one.
pub(crate) const FRAGMENTS_MAX: usize = 64;

/// Bytes of a connection's receive buffer: two of the largest records.
pub(crate) const RECEIVE_BUFFER: usize = 2 * RECORD_MAX;

/// Bytes received at a time: more than a hundred small calls, and little of a large WRITE, whose payload need not pass
/// through this buffer.
pub(crate) const RECEIVE_CHUNK: usize = 32 << 10;

/// Records of at least this size are received alone, smaller ones together with what follows them.
pub(crate) const LARGE_RECORD: usize = 64 << 10;

/// Bytes that hold everything before a WRITE's data: the RPC header, the longest credentials and verifier, and the other
/// arguments.
pub(crate) const CALL_HEAD_MAX: usize = 1024;

/// Bytes copied from a socket to a file at a time, where splice(2) cannot be used: few enough to be in the processor's cache
/// when they are written.
pub(crate) const COPY_CHUNK: usize = 128 << 10;

/// Replies are collected up to this size while further calls are already in the receive buffer.
pub(crate) const SEND_BUFFER: usize = 256 << 10;

/// READ data up to this size is copied behind the reply's header; larger data is sent from the buffer it was read into.
pub(crate) const INLINE_DATA_MAX: usize = 32 << 10;

/// READ data of at least this size is sent with sendfile(2), where nobody else can truncate the file meanwhile.
pub(crate) const SENDFILE_MIN: usize = 64 << 10;

/// A directory of at least this size (some thousands of names) is read by the blocking pool.
pub(crate) const LARGE_DIRECTORY: u64 = 256 << 10;

/// Threads in the blocking pool of one connection; started on demand.
pub(crate) const BLOCKING_THREADS_MAX: usize = 4;

/// Bytes of calls queued for those threads. When the queue is full the connection itself blocks and is not read from.
pub(crate) const BLOCKING_CALL_BYTES_MAX: usize = 4 * RECORD_MAX;

/// Connections at a time. A mount uses one, two while it is made, up to 16 with the `nconnect` option.
pub(crate) const CONNECTIONS_MAX: usize = 32;

/// Refused connections that are logged in one [`REFUSALS_LOG_PERIOD`]: enough to read why, too few to fill the log.
pub(crate) const REFUSALS_LOGGED: u32 = 10;

/// The period of [`REFUSALS_LOGGED`].
pub(crate) const REFUSALS_LOG_PERIOD: Duration = Duration::from_secs(60);

/// The pause before accept(2) is tried again after EMFILE and the like: short for a client, long for a processor.
pub(crate) const ACCEPT_RETRY_MILLISECONDS: u16 = 20;

/// Bytes of credentials and of verifier in a call (RFC 5531, section 8.2).
pub(crate) const AUTH_MAX: usize = 400;

/// Bytes of the machine's name in AUTH_SYS credentials (RFC 5531, appendix A).
pub(crate) const MACHINE_NAME_MAX: usize = 255;

/// Supplementary groups in AUTH_SYS credentials (RFC 5531, appendix A).
pub(crate) const GROUPS_MAX: usize = 16;

/// Bytes in a file handle (`NFS3_FHSIZE`, RFC 1813, section 2.4).
pub(crate) const HANDLE_MAX: usize = 64;

/// Bytes in the path of a MNT call (`MNTPATHLEN`, RFC 1813, section 5.1.4).
pub(crate) const MOUNT_PATH_MAX: usize = 1024;

/// Most bytes in one reply to READDIR or READDIRPLUS, whatever the client allows.
pub(crate) const READDIR_REPLY_MAX: usize = 1 << 20;

/// Replies in the reply cache. A client retransmits what it had in flight when a connection broke, rarely more than a few
/// hundred non-idempotent calls.
pub(crate) const REPLY_CACHE_MAX: usize = 1024;

/// Replies over this size are not cached: no reply to a non-idempotent call is larger.
pub(crate) const CACHED_REPLY_MAX: usize = 1024;

/// Open descriptors kept for directories of the host; never more than a quarter of what the process may have.
pub(crate) const OPEN_DIRECTORIES_MAX: usize = 1024;

/// Open descriptors kept for the parent directories of sources; never more than an eighth.
pub(crate) const OPEN_SOURCES_MAX: usize = 1024;

/// Open descriptors kept for files of the host; never more than a quarter.
pub(crate) const OPEN_FILES_MAX: usize = 512;

/// Names in the indices of directories that cannot change: five large toolchains. The least recently used directory is
/// evicted; its names are sorted, so that they get the same cookies again.
pub(crate) const DIR_CACHE_NAMES_MAX: usize = 1 << 17;

/// File times have the resolution of the kernel's tick, 10 ms at most (CONFIG_HZ): a directory that changes twice in one
/// tick has the same times after both changes. Twice that, as the clock is read later.
pub(crate) const CLOCK_TICK: Duration = Duration::from_millis(20);

/// Jumps of a view's clock that are kept apart: a fault in each call of a long build has no meaning that more would serve.
pub(crate) const CLOCK_JUMPS_MAX: usize = 1024;

/// Lookups in a directory before all its names are read, which makes further negative lookups free: a compiler looks for
/// each header in every directory of its path.
pub(crate) const LOOKUPS_BEFORE_READDIR: u32 = 4;

/// The largest directory that is read for that reason, in names.
pub(crate) const PREFETCH_NAMES_MAX: usize = 4096;

/// The longest duration of a cheap system call. On an ordinary kernel it takes a tenth of this, and io_uring costs more than
/// single stats; where the kernel is emulated or calls are traced it takes several times as much, and io_uring costs less.
pub(crate) const CHEAP_SYSCALL_MAX: Duration = Duration::from_micros(1);

/// Orphans: files deleted while open whose directory was removed too. Each pins a descriptor; a quarter of the 1,024 that
/// many systems allow.
pub(crate) const ORPHANS_MAX: usize = 256;

/// Deleted files that are still open and have a placeholder name; as many as one process can have open on most systems. One
/// more is shown like any other file, as knfsd shows them all.
pub(crate) const DELETED_FILES_MAX: usize = 1 << 16;

/// Free names that a client looked up, of which it may use one for a silly rename next: more than the threads of one
/// machine ever remove at the same moment. A file whose name was evicted in between is shown like any other.
pub(crate) const SILLY_LOOKUPS_MAX: usize = 256;

/// How long a client may take after its unmount to remove its silly-renamed files, before the server removes them: a few
/// calls on the loopback, with room for a machine under load.
pub(crate) const CLIENT_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// FIFOs and sockets kept as marked regular files: some 10 MiB of memory, and more than any program keeps. Entries cannot be
/// evicted, as the file would be shown as a regular one; one more is refused with EDQUOT.
pub(crate) const SPECIAL_FILES_MAX: usize = 1 << 18;

/// Host files in the node table. A client may keep a handle for as long as it likes, so a node cannot be evicted before its
/// file is removed. Some 170 bytes each with its name: 1.4 GiB in all. One more is refused with EDQUOT.
pub(crate) const NODES_MAX: usize = 1 << 23;

/// Names in the indices of directories that may change. An index cannot be evicted, since its cookies depend on its history: a
/// directory whose names do not fit is not listed (EDQUOT). As many as nodes, since each listed name has one.
pub(crate) const DIR_INDEX_NAMES_MAX: usize = NODES_MAX;

/// Links remembered of one file: the first and the latest. When all of these are removed while others remain, its handle is
/// stale until the client looks up one of the others.
pub(crate) const LOCATIONS_MAX: usize = 64;

/// Calls that are remembered as the slowest: enough to see what they have in common.
pub(crate) const SLOW_CALLS_MAX: usize = 10;

/// Symbolic links followed by [`crate::view::View::find`], as in Linux's own path walk (`MAXSYMLINKS`).
pub(crate) const SYMLINKS_FOLLOWED_MAX: usize = 40;

/// Bytes of a file that [`crate::view::View::read_file`] returns.
pub(crate) const WHOLE_FILE_MAX: u64 = 256 << 20;
