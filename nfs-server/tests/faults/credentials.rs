//! Who calls, and who is not answered.

use nfs_server::Users;
use nfs3_types::nfs3::GETATTR3args;
use nfs3_types::rpc::{auth_stat, opaque_auth, rejected_reply};
use nfs3_types::xdr_codec::Opaque;

use crate::calls::{mode, owner};
use crate::client::{Answer, call, user};
use crate::world::{BUILDER, World};

/// What GETATTR of the root is answered when it comes with these credentials.
fn with(world: &World, credentials: opaque_auth<'_>) -> Result<(), auth_stat> {
    let arguments = GETATTR3args { object: world.mount() };
    let mut client = world.root();
    match client.ask(&call(77, (100_003, 3, 1), credentials, &arguments)) {
        Answer::Done(_) => Ok(()),
        Answer::Denied(rejected_reply::AUTH_ERROR(why)) => Err(why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn users_that_the_view_is_not_for_are_refused_and_root_never() {
    let world = World::with(Users::Only(vec![BUILDER]));
    let of = |uid| with(&world, opaque_auth::auth_unix(&user(uid, 0, &[0])));
    assert_eq!(of(BUILDER), Ok(()));
    assert_eq!(of(0), Ok(()));
    for uid in [1, 999, 1001, u32::MAX] {
        assert_eq!(of(uid), Err(auth_stat::AUTH_BADCRED), "user {uid}");
    }
}

#[test]
fn a_user_that_is_refused_changes_nothing() {
    let world = World::with(Users::Only(vec![BUILDER]));
    let build = world.at("build");
    let mut client = world.root();
    client.become_user(2000, BUILDER, &[0]);
    let arguments = nfs3_types::nfs3::MKDIR3args {
        where_: crate::calls::at(&build, b"dir"),
        attributes: crate::calls::mode(0o777),
    };
    let record = client.next_call(100_003, 3, 9, &arguments);
    assert!(matches!(client.ask(&record), Answer::Denied(_)));
    assert!(!world.host("build/dir").exists());
}

#[test]
fn what_is_no_id_is_nobodys() {
    let world = World::new();
    let of = |uid, gid, groups: &[u32]| with(&world, opaque_auth::auth_unix(&user(uid, gid, groups)));
    assert_eq!(of(u32::MAX - 1, u32::MAX - 1, &[u32::MAX - 1]), Ok(()));
    for refused in
        [of(u32::MAX, 1, &[]), of(1, u32::MAX, &[]), of(1, 1, &[u32::MAX]), of(1, 1, &[1, u32::MAX])]
    {
        assert_eq!(refused, Err(auth_stat::AUTH_BADCRED));
    }
}

#[test]
fn who_does_not_say_who_calls_is_refused() {
    let world = World::new();
    assert_eq!(with(&world, opaque_auth::default()), Err(auth_stat::AUTH_TOOWEAK));
}

#[test]
fn other_ways_to_say_who_calls_are_refused() {
    let world = World::new();
    let mut client = world.root();
    let arguments = GETATTR3args { object: world.mount() };
    // AUTH_SHORT, AUTH_DH, RPCSEC_GSS, AUTH_TLS and one that does not exist.
    for flavor in [2_u32, 3, 6, 7, u32::MAX] {
        let mut record = client.next_call(100_003, 3, 1, &arguments);
        record[24..28].copy_from_slice(&flavor.to_be_bytes());
        let answer = client.ask(&record);
        let Answer::Denied(rejected_reply::AUTH_ERROR(auth_stat::AUTH_TOOWEAK)) = answer else {
            panic!("flavor {flavor}: {answer:?}")
        };
    }
}

#[test]
fn sixteen_groups_count_and_a_name_of_255_bytes_is_taken() {
    let world = World::new();
    let groups: Vec<u32> = (1..=16).collect();
    assert_eq!(with(&world, opaque_auth::auth_unix(&user(1, 1, &groups))), Ok(()));
    let long = |length| {
        let mut user = user(1, 1, &[]);
        user.machinename = Opaque::owned(vec![b'm'; length]);
        with(&world, opaque_auth::auth_unix(&user))
    };
    assert_eq!(long(255), Ok(()));
    assert_eq!(long(256), Err(auth_stat::AUTH_BADCRED));
}

#[test]
fn the_sixteenth_group_is_asked() {
    let world = World::new();
    let file = world.builders_file("build/file", b"shared", 0o600);
    let mut root = world.root();
    root.setattr(&file, owner(Some(0), Some(16))).unwrap();
    root.setattr(&file, mode(0o640)).unwrap();
    let mut client = world.root();
    client.become_user(2000, 2000, &(1..=16).collect::<Vec<u32>>());
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"shared");
}
