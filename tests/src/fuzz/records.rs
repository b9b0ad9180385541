//! Calls as a kernel's client sends them, one of each procedure, encoded here word by word (RFC 5531, RFC 1813): the
//! server's own codec is not asked about itself.

/// Program, version.
const NFS: [u32; 2] = [100_003, 3];
const MOUNT: [u32; 2] = [100_005, 3];
/// Words of a `sattr3` that sets nothing.
const NO_ATTRIBUTES: [u32; 6] = [0; 6];

/// A call under construction.
pub struct Record(Vec<u8>);

impl Record {
    /// The head of a call by root, with credentials as Linux sends them.
    pub fn new(program: [u32; 2], procedure: u32) -> Record {
        let head = [[0, 0, 2].as_slice(), &program, &[procedure]].concat();
        // AUTH_SYS of 28 bytes: stamp, a name of four bytes, user, group, one more group.
        let credentials = [1, 28, 7, 4, u32::from_be_bytes(*b"here"), 0, 0, 1, 0];
        let verifier = [0, 0];
        Record(Vec::new()).words(&head).words(&credentials).words(&verifier)
    }

    /// So many words more.
    pub fn words(mut self, words: &[u32]) -> Record {
        self.0.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        self
    }

    /// Bytes with their length before them and padding after them.
    pub fn opaque(mut self, bytes: &[u8]) -> Record {
        self = self.words(&[bytes.len() as u32]);
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn entry(self, directory: &[u8], name: &str) -> Record {
        self.opaque(directory).opaque(name.as_bytes())
    }

    /// The record's bytes.
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// MNT of an export.
pub fn mount(export: &str) -> Vec<u8> {
    Record::new(MOUNT, 1).opaque(export.as_bytes()).done()
}

/// LOOKUP of a name.
pub fn lookup(directory: &[u8], name: &str) -> Vec<u8> {
    Record::new(NFS, 3).entry(directory, name).done()
}

/// NULL of NFS.
pub fn null() -> Vec<u8> {
    Record::new(NFS, 0).done()
}

/// GETATTR.
pub fn getattr(file: &[u8]) -> Vec<u8> {
    Record::new(NFS, 1).opaque(file).done()
}

/// The handle in a reply to MNT or LOOKUP: after the head of six words and a status of 0.
pub fn handle(reply: &[u8]) -> Option<Vec<u8>> {
    const BEFORE: usize = 7 * 4;
    let status = reply.get(BEFORE - 4..BEFORE)?;
    let length = u32::from_be_bytes(reply.get(BEFORE..BEFORE + 4)?.try_into().ok()?) as usize;
    (status == [0; 4]).then(|| reply.get(BEFORE + 4..BEFORE + 4 + length).map(<[u8]>::to_vec))?
}

/// Every procedure of NFS on this directory and file, and of MOUNT.
pub fn all(export: &str, directory: &[u8], file: &[u8]) -> Vec<Vec<u8>> {
    let nfs = |procedure| Record::new(NFS, procedure);
    let records = [
        nfs(0),
        nfs(1).opaque(file),
        nfs(2).opaque(file).words(&[1, 0o644, 1, 0, 1, 0, 1, 0, 100, 2, 9, 9, 1]).words(&[1, 5, 5]),
        nfs(3).entry(directory, "file"),
        nfs(4).opaque(file).words(&[0x3f]),
        nfs(5).opaque(file),
        nfs(6).opaque(file).words(&[0, 0, 4096]),
        nfs(7).opaque(file).words(&[0, 3, 7, 2]).opaque(b"seven b"),
        nfs(8).entry(directory, "new").words(&[0]).words(&NO_ATTRIBUTES),
        nfs(8).entry(directory, "exclusive").words(&[2, 1, 2]),
        nfs(9).entry(directory, "directory").words(&NO_ATTRIBUTES),
        nfs(10).entry(directory, "link").words(&NO_ATTRIBUTES).opaque(b"../target"),
        nfs(11).entry(directory, "pipe").words(&[7]).words(&NO_ATTRIBUTES),
        nfs(11).entry(directory, "device").words(&[3]).words(&NO_ATTRIBUTES).words(&[1, 3]),
        nfs(12).entry(directory, "new"),
        nfs(13).entry(directory, "directory"),
        nfs(14).entry(directory, "file").entry(directory, "file"),
        nfs(15).opaque(file).entry(directory, "linked"),
        nfs(16).opaque(directory).words(&[0, 0, 0, 0, 4096]),
        nfs(17).opaque(directory).words(&[0, 0, 0, 0, 1024, 8192]),
        nfs(18).opaque(directory),
        nfs(19).opaque(directory),
        nfs(20).opaque(file),
        nfs(21).opaque(file).words(&[0, 0, 4096]),
        Record::new(MOUNT, 0),
        Record::new(MOUNT, 1).opaque(export.as_bytes()),
        Record::new(MOUNT, 2),
        Record::new(MOUNT, 3).opaque(export.as_bytes()),
        Record::new(MOUNT, 5),
    ];
    records.into_iter().map(Record::done).collect()
}
