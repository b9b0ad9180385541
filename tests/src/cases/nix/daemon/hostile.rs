//! Whatever is said on the daemon's socket: it stays as it is, makes nothing, and serves others.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::{Gid, Uid};
use serde_json::{Value, json};

use super::runs::Lent;
use super::{ORDINARY, socket};
use crate::cases::clean::traces;
use crate::cases::nix::store::ran;
use crate::cases::{Place, cases};

cases![
    what_is_no_request_ends_the_connection,
    others_things_are_refused,
    who_says_nothing_takes_nobody_elses_place,
    ten_thousand_connections_change_nothing,
];

/// How long an attendant waits for a request, and a moment.
const PATIENCE: Duration = Duration::from_secs(15);

/// Memory of the daemon's, in KiB: a program of loopbox's size has some 10 MiB.
const MEMORY_MAX: u64 = 40 << 10;

pub fn connect(place: &Place) -> UnixStream {
    try_connect(place).expect("everybody may connect")
}

/// As the user: what the kernel says of who has connected, is who connects.
fn try_connect(place: &Place) -> std::io::Result<UnixStream> {
    let socket = socket(place);
    let connect = move || {
        let (uid, gid) = (Uid::from_raw(ORDINARY), Gid::from_raw(ORDINARY));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        UnixStream::connect(socket)
    };
    std::thread::spawn(connect).join().expect("it does not panic")
}

fn message(value: &Value) -> Vec<u8> {
    let text = value.to_string();
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// What is answered to some bytes, until the connection ends.
fn answer(place: &Place, bytes: &[u8]) -> String {
    let mut connection = connect(place);
    // It may be closed before all is said.
    let _ = connection.write_all(bytes);
    let _ = connection.shutdown(Shutdown::Write);
    connection.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut said = Vec::new();
    let ended = connection.read_to_end(&mut said);
    assert!(!matches!(ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "it ends");
    String::from_utf8_lossy(&said).into_owned()
}

fn assert_well(lent: &Lent<'_>) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", lent.daemon.0.id())).expect("it runs");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    let memory: u64 = memory.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(memory < MEMORY_MAX, "{memory} KiB");
    let words = ["--with", "/bin/busybox", "--", "/bin/busybox", "echo", "well"];
    let well = ran(&mut lent.run(&words));
    assert_eq!((well.status, well.stdout.as_str()), (0, "well"), "{}", well.stderr);
    lent.assert_nothing_left();
}

/// A request for a view with these entries, as this user.
fn request(uid: u32, entries: &Value) -> Value {
    json!({
        "view": { "entries": entries },
        "user": { "uid": uid, "gid": uid },
        "options": {},
        "recording": "Nothing",
        "variation": sandbox::view::ViewVariation::default(),
        "local": [],
        "conditions": sandbox::conditions::Conditions::default(),
        "leftovers": [],
    })
}

fn what_is_no_request_ends_the_connection(place: &Place) {
    let lent = Lent::start(place);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |length: usize| -> Vec<u8> {
        std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        })
        .take(length)
        .collect()
    };
    let good = message(&request(ORDINARY, &json!([])));
    let mut said = vec![
        Vec::new(),
        vec![0],
        u64::MAX.to_le_bytes().to_vec(),
        [&(17_u64 << 20).to_le_bytes()[..], &[b' '; 100]].concat(),
        [&8_u64.to_le_bytes()[..], b"not JSON"].concat(),
        message(&json!({})),
        message(&json!([[[[[[[[]]]]]]]])),
        [&100_000_u64.to_le_bytes()[..], &[b'['; 100_000]].concat(),
        // A request without the descriptor that is due.
        good.clone(),
        [&good[..], &[0; 4]].concat(),
        good[..good.len() - 1].to_vec(),
    ];
    said.extend([1, 7, 8, 9, 100, 10_000].map(&mut random));
    for bytes in said {
        let answered = answer(place, &bytes);
        assert!(!answered.contains("Opened"), "{answered}");
    }
    assert_well(&lent);
}

/// A request for a view with a device.
pub fn device_request(major: u32, minor: u32) -> Value {
    let owner = json!({ "uid": 0, "gid": 0 });
    let device = json!({ "at": "/d", "major": major, "minor": minor, "mode": 0o666, "owner": owner });
    request(ORDINARY, &json!([{ "device": device }]))
}

/// What a whole request is answered with.
pub fn answered(place: &Place, request: &Value) -> String {
    let mut bytes = message(request);
    bytes.extend([0; 4]);
    let mut connection = connect(place);
    connection.write_all(&bytes[..bytes.len() - 4]).expect("it listens");
    let root = std::fs::File::open("/").expect("there is a root");
    sandbox::daemon::send_descriptors(&connection, 0, &[std::os::fd::AsFd::as_fd(&root)])
        .expect("it listens");
    connection.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut said = Vec::new();
    let mut some = [0; 1024];
    // Whoever is given a session hears no more until he has asked for the next.
    while let Ok(count @ 1..) = connection.read(&mut some) {
        said.extend(&some[..count]);
        if said.windows(6).any(|word| word == b"Opened") {
            break;
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn others_things_are_refused(place: &Place) {
    let lent = Lent::start(place);
    let mut elsewhere = request(ORDINARY, &json!([]));
    elsewhere["local"] = json!(["/etc"]);
    for (request, why) in [
        (elsewhere, "is no scratch"),
        (request(0, &json!([])), "who asks"),
        (request(ORDINARY + 1, &json!([])), "who asks"),
        (device_request(8, 0), "would be a device"),
        (device_request(1, 1), "would be a device"),
    ] {
        let said = answered(place, &request);
        assert!(said.contains("Refused") && said.contains(why), "{said}");
    }
    assert_well(&lent);
}

fn who_says_nothing_takes_nobody_elses_place(place: &Place) {
    let lent = Lent::start(place);
    let began = Instant::now();
    let silent: Vec<UnixStream> = (0..100).map(|_| connect(place)).collect();
    let attendants = || traces::named(traces::ATTENDANT).len();
    std::thread::sleep(Duration::from_secs(1));
    assert!(attendants() <= 32, "{} attendants", attendants());
    // Somebody else, root here, is served meanwhile; and he himself when his silence is over.
    let mut other = lent.run(&["--with", "/bin/busybox", "--", "/bin/busybox", "true"]);
    let refused = ran(&mut other);
    assert!(refused.stderr.contains("has 32 sessions already"), "{}", refused.stderr);
    while attendants() > 0 {
        assert!(began.elapsed() < 2 * PATIENCE, "{} attendants", attendants());
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(silent);
    assert_well(&lent);
}

fn ten_thousand_connections_change_nothing(place: &Place) {
    let lent = Lent::start(place);
    let mut kept = Vec::new();
    for number in 0..10_000 {
        match try_connect(place) {
            Ok(connection) if number % 100 == 0 => kept.push(connection),
            // Closed at once; or more than it has accepted by now.
            _ => {}
        }
    }
    drop(kept);
    let began = Instant::now();
    while !traces::named(traces::ATTENDANT).is_empty() {
        assert!(began.elapsed() < 2 * PATIENCE, "they end");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_well(&lent);
}
