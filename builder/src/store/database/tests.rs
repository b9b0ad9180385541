//! Nix's database as it is opened, read and written here, on tables made for the purpose.

use super::*;

const CLOSED: &str = "71fc7s32zl20dc955bhghy5dvalm7ndz-closed";
const OPEN: &str = "axkxi7ggzyj40i6l6ic8a9rx3msmqy75-open";
const OTHER: &str = "q3b0hd0q850n5gqdwdfd5dlyc9vwpp2v-other";

/// Tables of the form that Nix gives them, in a log of writes; `columns` are added to the table of paths.
fn state(schema: &str, columns: &str) -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    let directory = state.path().join("db");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("schema"), schema).unwrap();
    std::fs::write(directory.join("big-lock"), "").unwrap();
    let connection = Connection::open(directory.join("db.sqlite")).unwrap();
    let _: String = connection.query_row("pragma journal_mode = wal", [], |row| row.get(0)).unwrap();
    let paths = "id integer primary key autoincrement not null, path text unique not null, hash text not null,
        registrationTime integer not null, deriver text, narSize integer, ultimate integer, sigs text, ca text";
    let refs = "referrer integer not null references ValidPaths(id) on delete cascade,
        reference integer not null references ValidPaths(id) on delete restrict, primary key (referrer, reference)";
    let text = format!("create table ValidPaths ({paths}{columns}); create table Refs ({refs})");
    connection.execute_batch(&text).unwrap();
    state
}

fn open(state: &tempfile::TempDir) -> Option<Database> {
    Database::open(Path::new("/nix/store"), state.path(), true)
}

fn path(base: &str) -> StorePath {
    StorePath::new(base).unwrap()
}

fn paths(bases: &[&str]) -> BTreeSet<StorePath> {
    bases.iter().map(|base| path(base)).collect()
}

fn registration(base: &str, references: &[&str]) -> Registration {
    Registration {
        info: PathInfo {
            path: path(base),
            nar_hash: "0a".repeat(32),
            nar_size: 120,
            deriver: Some(path("71fc7s32zl20dc955bhghy5dvalm7ndz-made.drv")),
            references: paths(references),
        },
        ultimate: true,
        signatures: vec!["a:b".into(), "c:d".into()],
        content_address: Some("fixed:r:sha256:x".into()),
    }
}

fn row(state: &tempfile::TempDir, base: &str) -> Vec<String> {
    let connection = Connection::open(state.path().join("db/db.sqlite")).unwrap();
    let columns = "hash, deriver, narSize, ultimate, sigs, ca";
    let text = format!("select {columns} from ValidPaths where path = '/nix/store/{base}'");
    let value = |row: &rusqlite::Row<'_>, at| row.get::<_, rusqlite::types::Value>(at);
    connection
        .query_row(&text, [], |row| (0..6).map(|at| Ok(format!("{:?}", value(row, at)?))).collect())
        .unwrap()
}

#[test]
fn paths_become_valid_with_all_that_is_known_of_them() {
    let state = state("10", "");
    let database = open(&state).unwrap();
    let registrations = [registration(OPEN, &[CLOSED, OPEN]), registration(CLOSED, &[OPEN])];
    database.register(&registrations, false).unwrap();
    assert_eq!(database.invalid(&paths(&[OPEN, CLOSED, OTHER])).unwrap(), paths(&[OTHER]));
    assert_eq!(database.closure(&paths(&[CLOSED])).unwrap(), Ok(paths(&[OPEN, CLOSED])));
    assert_eq!(database.closure(&paths(&[CLOSED, OTHER])).unwrap(), Err(vec![path(OTHER)]));
    let infos = database.infos(&paths(&[OPEN, OTHER])).unwrap();
    let known = (registrations[0].info.clone(), registrations[0].content_address.clone());
    assert_eq!(infos, BTreeMap::from([(path(OPEN), known)]));
    insta::assert_snapshot!(row(&state, OPEN).join("\n"), @r#"
    Text("sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a")
    Text("/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-made.drv")
    Integer(120)
    Integer(1)
    Text("a:b c:d")
    Text("fixed:r:sha256:x")
    "#);
}

#[test]
fn what_cannot_be_registered_whole_is_not_registered_at_all() {
    let state = state("10", "");
    let database = open(&state).unwrap();
    let registrations = [registration(CLOSED, &[]), registration(OPEN, &[OTHER])];
    let error = database.register(&registrations, false).expect_err("a reference is not valid");
    assert_eq!(
        error.to_string(),
        format!("cannot register '{OPEN}': it refers to '{OTHER}', which is not valid")
    );
    assert_eq!(database.invalid(&paths(&[OPEN, CLOSED])).unwrap(), paths(&[OPEN, CLOSED]));
}

#[test]
fn what_is_valid_is_left_as_it_is_unless_it_is_replaced() {
    let state = state("10", "");
    let database = open(&state).unwrap();
    database.register(&[registration(OPEN, &[])], false).unwrap();
    let mut changed = registration(OPEN, &[]);
    changed.info.nar_size = 7;
    (changed.ultimate, changed.signatures, changed.content_address) = (false, Vec::new(), None);
    database.register(std::slice::from_ref(&changed), false).unwrap();
    assert_eq!(row(&state, OPEN)[2..4], ["Integer(120)", "Integer(1)"]);
    database.register(&[changed], true).unwrap();
    assert_eq!(row(&state, OPEN)[2..], ["Integer(7)", "Null", "Null", "Null"]);
    database.trust(&paths(&[OPEN])).unwrap();
    assert_eq!(row(&state, OPEN)[3], "Integer(1)");
}

#[test]
fn a_database_of_another_kind_is_left_to_nix() {
    assert!(open(&state("9", "")).is_none());
    assert!(open(&state("11", "")).is_none());
    assert!(open(&state("10", ", more text")).is_none());
    assert!(open(&state("10\n", "")).is_some());
    assert!(open(&tempfile::tempdir().unwrap()).is_none());
    let journal = state("10", "");
    let connection = Connection::open(journal.path().join("db/db.sqlite")).unwrap();
    let _: String = connection.query_row("pragma journal_mode = truncate", [], |row| row.get(0)).unwrap();
    drop(connection);
    assert!(open(&journal).is_none());
}

#[test]
fn a_schema_that_is_changed_meanwhile_is_noticed_and_its_change_waited_for() {
    let state = state("10", "");
    let database = open(&state).unwrap();
    // Nobody holds the lock between two transactions.
    let nix = File::open(state.path().join("db/big-lock")).unwrap();
    nix.try_lock().unwrap();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| database.invalid(&paths(&[OPEN])));
        std::fs::write(state.path().join("db/schema"), "11").unwrap();
        nix.unlock().unwrap();
        let error = asked.join().unwrap().expect_err("the schema is another now");
        assert!(matches!(error, DatabaseError::Changed { found, .. } if found == "11"));
    });
}
