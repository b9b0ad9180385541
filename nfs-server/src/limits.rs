//! Every limit of the server, with its reason.

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

/// Bytes read from a socket at first: more than a hundred calls that only ask, and little of a large WRITE, whose data
/// need not come through this buffer.
pub(crate) const RECEIVE_CHUNK: usize = 32 << 10;

/// A record from this size on is received alone; smaller ones come with what follows them.
pub(crate) const LARGE_RECORD: usize = 64 << 10;

/// Bytes of a call in which everything before a WRITE's data lies: its head, the longest credentials and verifier, and
/// the other arguments.
pub(crate) const CALL_HEAD_MAX: usize = 1024;

/// Bytes that go from a socket to a file at a time where the system cannot pass them on by itself: few enough to be
/// still in the processor's cache when they are written.
pub(crate) const COPY_CHUNK: usize = 128 << 10;

/// Replies are collected up to this size while further calls are already in the receive buffer.
pub(crate) const SEND_BUFFER: usize = 256 << 10;

/// File data up to this size is copied behind its reply header; larger data is sent from where it was read to.
pub(crate) const INLINE_DATA_MAX: usize = 32 << 10;

/// File data from this size on is not read at all but sent from the file (`sendfile`), where nobody else can shorten the
/// file meanwhile.
pub(crate) const SENDFILE_MIN: usize = 64 << 10;

/// Bytes of a directory from which on reading it takes long enough to be done apart from the calls behind it: some
/// thousands of names.
pub(crate) const LARGE_DIRECTORY: u64 = 256 << 10;

/// Threads of one connection for calls that wait for a disk; started when there are such calls.
pub(crate) const BLOCKING_THREADS_MAX: usize = 4;

/// Bytes of calls that wait for one of those threads. Beyond them the connection itself waits, and is not read from.
pub(crate) const BLOCKING_CALL_BYTES_MAX: usize = 4 * RECORD_MAX;

/// Connections at a time. A mount uses one, two while it is made, up to 16 with the `nconnect` option.
pub(crate) const CONNECTIONS_MAX: usize = 32;

/// Refused connections that are told of in [`REFUSALS_LOG_PERIOD`]: who is refused once should read why, and who tries without
/// end should not fill the log.
pub(crate) const REFUSALS_LOGGED: u32 = 10;

/// The time after which as many are told of again.
pub(crate) const REFUSALS_LOG_PERIOD: Duration = Duration::from_secs(60);

/// How long no connection is taken when the process has no descriptors left for one: short for whoever waits, long
/// for a processor.
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

/// Replies kept for retransmitted calls. A client retransmits what it had in flight when a connection broke, and
/// the kernel's slot table rarely has more than a few hundred calls that change anything.
pub(crate) const REPLY_CACHE_MAX: usize = 1024;

/// Replies over this size are not kept: no reply to a call that changes something is larger.
pub(crate) const CACHED_REPLY_MAX: usize = 1024;

/// Open descriptors kept for directories of the host; never more than a quarter of what the process may have.
pub(crate) const OPEN_DIRECTORIES_MAX: usize = 1024;

/// Open descriptors kept for directories that hold the sources of entries; never more than an eighth.
pub(crate) const OPEN_SOURCES_MAX: usize = 1024;

/// Open descriptors kept for files of the host; never more than a quarter.
pub(crate) const OPEN_FILES_MAX: usize = 512;

/// Names kept of directories that cannot change: a large toolchain five times over. The directory used
/// longest ago goes first; names are sorted, so that they come back with the same cookies.
pub(crate) const DIR_CACHE_NAMES_MAX: usize = 1 << 17;

/// Times of files are those of the kernel's last tick, 10 ms at most (CONFIG_HZ); a directory that changes twice in one
/// tick has the same times after both changes. Twice that, for a clock that is read a little later.
pub(crate) const CLOCK_TICK: Duration = Duration::from_millis(20);

/// Names looked for in a directory before all its names are read, so that those that are not there need not be asked
/// for: a compiler looks for each header in every directory that it knows.
pub(crate) const LOOKUPS_BEFORE_READDIR: u32 = 4;

/// Names in a directory that are read for that reason; one that has more is asked name by name.
pub(crate) const PREFETCH_NAMES_MAX: usize = 4096;

/// Most that a cheap system call takes by itself. On an ordinary kernel it takes a tenth of this, and asking for many names
/// at once takes more of the processor than asking for one after the other; where the kernel is emulated or every call is
/// traced it takes several times as much, and asking at once takes less.
pub(crate) const CHEAP_SYSCALL_MAX: Duration = Duration::from_micros(1);

/// Files that were deleted while open and whose directory is gone too. Each pins a descriptor; a quarter of the 1,024
/// that many systems allow.
pub(crate) const ORPHANS_MAX: usize = 256;

/// Deleted files that are still open and have a name that their client gave them; as many as one process can have open on
/// most systems. One beyond them is shown like any other file, as a kernel's own server shows them all.
pub(crate) const SILLY_RENAMES_MAX: usize = 1 << 16;

/// Names for such files that a client asked for last, to give one of them next: more than threads of one machine ever remove
/// files at the same moment. A file whose name was forgotten between the two is shown like any other.
pub(crate) const SILLY_LOOKUPS_MAX: usize = 256;

/// How long a client that has unmounted may take to remove the deleted files that it still has, before that is done for it:
/// a few calls on the loopback, with room for a machine under load.
pub(crate) const CLIENT_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Pipes and sockets at a time that regular files stand in for: some 10 MiB of memory, and more of them than any program
/// keeps. One that was forgotten would be shown as the regular file that it is not, so that no more are made.
pub(crate) const SPECIAL_FILES_MAX: usize = 1 << 18;

/// Files of the host that a view knows by a number, and so by a handle that its client may hold for as long as it likes: none
/// can be forgotten before the file is gone. Some 170 bytes each, with the names in listings: 1.4 GiB in all. One more is
/// refused as a full quota refuses it.
pub(crate) const NODES_MAX: usize = 1 << 23;

/// Names remembered of one file: the first and the latest. A file with more links is found by those; should all of them
/// go while others stay, its handle is stale until the client looks up another name, as it then does.
pub(crate) const LOCATIONS_MAX: usize = 64;

/// Symbolic links followed by [`crate::view::View::find`], as in Linux's own path walk (`MAXSYMLINKS`).
pub(crate) const SYMLINKS_FOLLOWED_MAX: usize = 40;

/// Bytes of a file that [`crate::view::View::read_file`] returns.
pub(crate) const WHOLE_FILE_MAX: u64 = 256 << 20;
