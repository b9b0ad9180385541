//! Arbitrary and spoiled requests: [`answer`](super::answer) never panics, and what it says is a reply.

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{Blocking, CALL, LAST_FRAGMENT, REPLY, RPC_VERSION, Reply, ReplyBuffer, Request, answer};
use crate::handle::HandleKey;
use crate::nfs::PROCEDURES;
use crate::payload::{PayloadReader, UnreadBytes};
use crate::service::{Service, Users};
use crate::silly::SillyNames;
use crate::view::{Entry, Error, Owner, View, ViewSpec, WriteSource};
use crate::xdr::{Encoder, padding};

/// How often each property is tried.
const CASES: u32 = 512;

/// A service of a view with a scratch, and handles of its root, the scratch and a file in it.
struct FuzzService {
    service: Service,
    handles: Vec<Vec<u8>>,
    _host: TempDir,
}

impl FuzzService {
    fn new() -> FuzzService {
        let host = tempfile::tempdir().unwrap();
        std::fs::write(host.path().join("file"), "contents").unwrap();
        std::fs::create_dir(host.path().join("dir")).unwrap();
        let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        let entries = vec![
            Entry::Scratch { at: "/build".into(), source: host.path().into(), mode: 0o777, owner },
            Entry::Inline { at: "/etc/passwd".into(), contents: "root\n".into(), mode: 0o444 },
            Entry::Symlink { at: "/bin/sh".into(), target: "/etc".into() },
        ];
        let view = Arc::new(View::open(&ViewSpec { entries }, None).unwrap());
        let key = HandleKey::random().unwrap();
        let service = Service::new(view, key, Users::Any, SillyNames::Linux, None, Vec::new());
        let handles = ["/", "/build", "/build/file", "/build/dir", "/etc/passwd", "/bin/sh"]
            .map(|path| handle(&service, path));
        FuzzService { service, handles: handles.to_vec(), _host: host }
    }

    /// Answers a request, and checks what can be said of every reply.
    fn answer(&self, record: &[u8]) {
        let mut replies = ReplyBuffer::new().expect("some memory");
        let store = match answer(&self.service, Request::whole(record, Blocking::Never), &mut replies) {
            Ok(Reply::WouldBlock) => {
                answer(&self.service, Request::whole(record, Blocking::Allowed), &mut replies)
            }
            store => store,
        };
        if store.is_err() {
            assert!(replies.out.is_empty(), "what is no call gets no answer");
            return;
        }
        let tail = replies.tail.len();
        let length = replies.out.len() + tail + padding(tail) - 4;
        assert_eq!(replies.out[..4], (LAST_FRAGMENT | length as u32).to_be_bytes());
        assert_eq!(replies.out[4..8], record[..4], "the number of the call");
        assert_eq!(replies.out[8..12], REPLY.to_be_bytes());
    }

    /// A call with these arguments by root.
    fn call(&self, procedure: u32, arguments: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        let mut to = Encoder::new(&mut record);
        for word in [9, CALL, RPC_VERSION, crate::nfs::PROGRAM, crate::nfs::VERSION, procedure] {
            to.u32(word);
        }
        let credentials: Vec<u8> = [0_u32; 5].iter().flat_map(|word| word.to_be_bytes()).collect();
        to.u32(1);
        to.opaque(&credentials);
        to.u32(0);
        to.opaque(b"");
        to.raw(arguments);
        record
    }
}

fn handle(service: &Service, path: &str) -> Vec<u8> {
    let mut node = service.view.root();
    for name in Path::new(path).iter().skip(1) {
        let name = name.as_encoded_bytes();
        node = service.view.lookup(&node, name, crate::view::Caller::ROOT).unwrap().0;
    }
    service.handle_key.sign(node.id()).as_bytes().to_vec()
}

/// One item of a procedure's arguments, as any procedure may want it.
#[derive(Clone, Debug)]
enum Argument {
    Handle(usize),
    Name(Vec<u8>),
    Word(u32),
    Noise(Vec<u8>),
}

impl Argument {
    fn encode(&self, target: &FuzzService, to: &mut Encoder<'_>) {
        match self {
            Argument::Handle(index) => to.opaque(&target.handles[index % target.handles.len()]),
            Argument::Name(name) => to.opaque(name),
            Argument::Word(word) => to.u32(*word),
            Argument::Noise(bytes) => to.raw(bytes),
        }
    }
}

fn argument() -> impl Strategy<Value = Argument> {
    let name = prop_oneof![
        Just(b"file".to_vec()),
        Just(b"dir".to_vec()),
        Just(b"..".to_vec()),
        Just(b".nfs0123456789abcdef01234567".to_vec()),
        vec(any::<u8>(), 0..300),
    ];
    prop_oneof![
        3 => any::<usize>().prop_map(Argument::Handle),
        3 => name.prop_map(Argument::Name),
        4 => (0_u32..9).prop_map(Argument::Word),
        1 => any::<u32>().prop_map(Argument::Word),
        1 => vec(any::<u8>(), 0..40).prop_map(Argument::Noise),
    ]
}

#[test]
fn arbitrary_bytes_are_answered_or_refused() {
    let target = FuzzService::new();
    proptest!(ProptestConfig::with_cases(CASES), |(record in vec(any::<u8>(), 0..400))| {
        target.answer(&record);
    });
}

#[test]
fn arbitrary_arguments_of_every_procedure_are_answered() {
    let target = FuzzService::new();
    let procedures = 0..PROCEDURES.len() as u32;
    let config = ProptestConfig::with_cases(CASES * 8);
    proptest!(config, |(procedure in procedures, items in vec(argument(), 0..16), cut in 0_usize..64)| {
        let mut arguments = Vec::new();
        for argument in &items {
            argument.encode(&target, &mut Encoder::new(&mut arguments));
        }
        let whole = target.call(procedure, &arguments);
        target.answer(&whole);
        target.answer(&whole[..whole.len() - cut.min(whole.len())]);
    });
}

/// The end of a record, as a socket has it.
struct End(Cell<usize>);

impl PayloadReader for End {
    fn write_to(&self, file: BorrowedFd<'_>, offset: u64, count: usize) -> Result<usize, Error> {
        let left = self.0.get().checked_sub(count).expect("no more is taken than the record has");
        self.0.set(left);
        vec![7_u8; count].as_slice().write_to(file, offset)
    }
}

#[test]
fn large_writes_with_a_few_bits_flipped_are_answered_before_their_end() {
    let target = FuzzService::new();
    let config = ProptestConfig::with_cases(CASES);
    let flips = vec((0_usize..120, 0_u32..8), 0..4);
    proptest!(config, |(flips in flips, length in 2_000_usize..100_000, here in 1_024_usize..2_000)| {
        let mut arguments = Vec::new();
        Argument::Handle(2).encode(&target, &mut Encoder::new(&mut arguments));
        for word in [0, 4_096, length as u32, 0] {
            Argument::Word(word).encode(&target, &mut Encoder::new(&mut arguments));
        }
        Encoder::new(&mut arguments).opaque(&vec![9; length]);
        let mut record = target.call(7, &arguments);
        for (place, bit) in flips {
            record[place] ^= 1 << bit;
        }
        let end = End(Cell::new(record.len() - here));
        let unread = Some(UnreadBytes { count: record.len() - here, reader: &end });
        let early = Request { record: &record[..here], unread, blocking: Blocking::Never };
        let mut replies = ReplyBuffer::new().expect("some memory");
        let store = answer(&target.service, early, &mut replies);
        prop_assert_eq!(store == Ok(Reply::Encoded), !replies.out.is_empty());
        target.answer(&record);
    });
}

#[test]
fn calls_with_a_few_bits_flipped_are_answered() {
    let target = FuzzService::new();
    let procedures = 0..PROCEDURES.len() as u32;
    let config = ProptestConfig::with_cases(CASES * 4);
    proptest!(config, |(procedure in procedures, flips in vec((any::<usize>(), 0_u32..8), 1..6))| {
        // What starts with a handle and a name and goes on with zeros is a valid call of most procedures.
        let mut arguments = Vec::new();
        Argument::Handle(1).encode(&target, &mut Encoder::new(&mut arguments));
        Argument::Name(b"file".to_vec()).encode(&target, &mut Encoder::new(&mut arguments));
        arguments.extend([0; 64]);
        let mut record = target.call(procedure, &arguments);
        for (place, bit) in flips {
            let place = place % record.len();
            record[place] ^= 1 << bit;
        }
        target.answer(&record);
    });
}
