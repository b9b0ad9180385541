//! Calls that are cut short or lie about their lengths: refused, never carried out, never fatal.

use nfs3_types::rpc::{accept_stat_data, auth_stat, opaque_auth, rejected_reply};
use nfs3_types::xdr_codec::Void;

use crate::client::{Answer, Client, call};
use crate::samples::{Sample, samples};
use crate::world::World;

/// Bytes of a call before its credentials.
const HEAD: usize = 6 * 4;

fn record(client: &mut Client, sample: &Sample) -> Vec<u8> {
    let mut record = client.next_call(sample.program, sample.version, sample.procedure, &Void);
    record.extend(&sample.arguments);
    record
}

#[test]
fn a_call_cut_anywhere_is_refused_and_not_carried_out() {
    let world = World::new();
    let samples = samples(&world);
    let mut client = world.root();
    for sample in &samples {
        let whole = record(&mut client, sample);
        let arguments = whole.len() - sample.arguments.len();
        for length in HEAD..whole.len() {
            let cut = &whole[..length];
            match client.ask(cut) {
                Answer::Denied(rejected_reply::AUTH_ERROR(auth_stat::AUTH_BADCRED)) => {
                    assert!(length < arguments, "procedure {} at {length}", sample.procedure);
                }
                Answer::Accepted(accept_stat_data::GARBAGE_ARGS) => {
                    assert!(length >= arguments, "procedure {} at {length}", sample.procedure);
                }
                other => panic!("procedure {} cut at {length}: {other:?}", sample.procedure),
            }
        }
    }
    for sample in &samples {
        let whole = record(&mut client, sample);
        assert!(matches!(client.ask(&whole), Answer::Done(_)), "procedure {}", sample.procedure);
    }
    assert_eq!(world.server.calls().refused(), samples.iter().map(cuts).sum::<u64>());
}

/// How many calls [`a_call_cut_anywhere_is_refused_and_not_carried_out`] makes of a sample: the credentials and the
/// verifier are 32 and 8 bytes.
fn cuts(sample: &Sample) -> u64 {
    (32 + 8 + sample.arguments.len()) as u64
}

#[test]
fn what_is_too_short_for_a_call_ends_the_connection() {
    let world = World::new();
    let whole = record(&mut world.root(), &samples(&world)[1]);
    for length in 0..HEAD {
        let mut client = world.root();
        client.send(&whole[..length]).unwrap();
        assert!(client.is_ended(), "{length} bytes");
    }
}

#[test]
fn a_reply_is_no_call_and_ends_the_connection() {
    let world = World::new();
    let mut client = world.root();
    let mut whole = record(&mut client, &samples(&world)[1]);
    whole[7] = 1;
    client.send(&whole).unwrap();
    assert!(client.is_ended());
    world.root().null();
}

#[test]
fn every_word_of_a_call_may_lie() {
    let world = World::new();
    let samples = samples(&world);
    for sample in &samples {
        // Users that do not exist may call, so that every lie gets as far as it can.
        let mut client = world.root();
        let whole = record(&mut client, sample);
        for word in (HEAD..whole.len()).step_by(4) {
            for lie in [u32::MAX, i32::MAX as u32, 1 << 20, 65, 0] {
                let mut spoiled = whole.clone();
                spoiled[word..word + 4].copy_from_slice(&lie.to_be_bytes()[..]);
                client.ask(&spoiled);
            }
        }
    }
    world.root().null();
}

#[test]
fn what_follows_the_arguments_is_passed_over() {
    let world = World::new();
    let mut client = world.root();
    for sample in samples(&world) {
        let mut whole = record(&mut client, &sample);
        whole.extend([0xff; 8]);
        assert!(matches!(client.ask(&whole), Answer::Done(_)), "procedure {}", sample.procedure);
    }
}

#[test]
fn booleans_and_choices_that_do_not_exist_are_garbage() {
    let world = World::new();
    let mut client = world.root();
    let samples = samples(&world);
    // The guard of SETATTR, the way of CREATE, the first option of MKDIR's attributes.
    for (procedure, from_end) in [(2, 12), (8, 12), (9, 6 * 4 + 4)] {
        let mut whole = record(&mut client, &samples[procedure]);
        let place = whole.len() - from_end;
        whole[place..place + 4].copy_from_slice(&7_u32.to_be_bytes());
        assert!(
            matches!(client.ask(&whole), Answer::Accepted(accept_stat_data::GARBAGE_ARGS)),
            "procedure {procedure}"
        );
    }
}

#[test]
fn a_thousand_groups_are_too_many() {
    let world = World::new();
    let mut client = world.root();
    client.become_user(0, 0, &[1; 90]);
    for count in [17_u32, 90, 1000, u32::MAX] {
        let mut whole = client.next_call(100_003, 3, 1, &Void);
        // Flavor, length, stamp, name of four bytes with its length, user and group go before the count.
        let place = HEAD + 8 + 4 + 8 + 8;
        whole[place..place + 4].copy_from_slice(&count.to_be_bytes());
        let answer = client.ask(&whole);
        let Answer::Denied(rejected_reply::AUTH_ERROR(auth_stat::AUTH_BADCRED)) = answer else {
            panic!("{count} groups: {answer:?}")
        };
    }
    let mut anonymous = Client::connect(world.server.addr());
    let null = call(1, (100_003, 3, 0), opaque_auth::default(), &Void);
    assert!(matches!(anonymous.ask(&null), Answer::Done(_)));
}
