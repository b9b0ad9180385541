//! Derivations: reading back what was printed, printing what was read, and refusing what is broken.

use std::borrow::Cow;

use builder::derivation::{Attributes, Derivation, Method, Output, parse};
use proptest::prelude::*;

const STRUCTURED: &[u8] = include_bytes!("data/sa.drv");
const GRAPHS: &[u8] = include_bytes!("data/erg.drv");
const FIXED: &[u8] = include_bytes!("data/fixed.drv");

#[test]
fn files_that_nix_wrote_are_printed_byte_for_byte() {
    for text in [STRUCTURED, GRAPHS, FIXED] {
        assert_eq!(parse(text).unwrap().print(), text);
    }
}

#[test]
fn a_fixed_output_has_its_method_algorithm_and_hash() {
    let derivation = parse(FIXED).unwrap();
    assert!(derivation.is_fixed());
    let (name, output) = &derivation.outputs[0];
    assert_eq!(name, "out");
    let Output::Fixed { method, algorithm, hash, .. } = output else { panic!("{output:?}") };
    assert_eq!((*method, algorithm.as_ref()), (Method::Flat, "sha256"));
    assert_eq!(hash, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
}

#[test]
fn attributes_are_found_in_the_environment_and_in_structured_attributes() {
    let plain = parse(GRAPHS).unwrap();
    let attributes = Attributes::of(&plain).unwrap();
    assert_eq!(attributes.words("passAsFile").unwrap(), ["big"]);
    let graphs: Vec<_> = attributes.reference_graphs().unwrap().into_keys().collect();
    assert_eq!(graphs, ["g1", "g2"]);
    let structured = parse(STRUCTURED).unwrap();
    let attributes = Attributes::of(&structured).unwrap();
    assert_eq!(attributes.words("list").unwrap(), ["a b", "c'd"]);
    assert!(attributes.flag("t").unwrap());
    assert_eq!(attributes.words("n").unwrap_err().to_string(), "attribute 'n' has to be a list of strings");
}

#[test]
fn every_prefix_of_a_real_file_is_refused_with_a_position_inside_it() {
    for end in 0..GRAPHS.len() {
        let error = parse(&GRAPHS[..end]).expect_err("a prefix is not a derivation").to_string();
        assert!(error.starts_with("byte "), "{error}");
    }
}

#[test]
fn a_real_file_with_one_byte_changed_never_panics() {
    for place in 0..GRAPHS.len() {
        for byte in [0, b'"', b'\\', b'(', b')', b'[', b']', b',', 0xff, GRAPHS[place] ^ 1] {
            let mut changed = GRAPHS.to_vec();
            changed[place] = byte;
            if let Ok(derivation) = parse(&changed) {
                let _ = derivation.check_buildable(std::path::Path::new("/nix/store"));
                let _ = Attributes::of(&derivation).map(|attributes| attributes.reference_graphs().is_ok());
            }
        }
    }
}

#[test]
fn errors_say_where_and_what() {
    let message = |text: &str| parse(text.as_bytes()).expect_err("not a derivation").to_string();
    insta::assert_snapshot!(message(""), @"byte 0: expected Derive([, found the end of the file");
    insta::assert_snapshot!(message("DrvWithVersion(\"xp-dyn-drv\","), @"it is of the form DrvWithVersion (dynamic derivations), which is not supported");
    insta::assert_snapshot!(message("Derive([(\"out\",\"nix\",\"\",\"\")"), @r#"byte 8: "nix" is not an absolute path"#);
    insta::assert_snapshot!(message("Derive([(\"out\",\"/a\",\"\",\"00\")"), @"byte 8: output 'out' has a hash but no algorithm");
    insta::assert_snapshot!(message("Derive([(\"out\",\"/a\",\"\",\"\"),(\"out\",\"/b\",\"\",\"\")],"), @"byte 27: a second output 'out'");
    insta::assert_snapshot!(message("Derive([],[],[],\"x"), @"byte 16: the text that begins here does not end");
    insta::assert_snapshot!(message("Derive([],[],[],\"x\",\"b\",[],[])x"), @"byte 30: 1 bytes follow the end of the derivation");
}

#[test]
fn what_cannot_be_built_here_is_read_and_then_refused_by_name() {
    let message = |outputs: &str, builder: &str| {
        let text = format!("Derive([{outputs}],[],[],\"x86_64-linux\",\"{builder}\",[],[])");
        let derivation = parse(text.as_bytes()).unwrap();
        assert_eq!(derivation.print(), text.as_bytes());
        derivation.check_buildable(std::path::Path::new("/nix/store")).expect_err("refused").to_string()
    };
    insta::assert_snapshot!(message(r#"("out","","r:sha256","")"#, "/b"), @"output 'out' is content-addressed with a path that is not known before the build (floating), which is not supported");
    insta::assert_snapshot!(message(r#"("out","","","")"#, "/b"), @"output 'out' is content-addressed with a path that is not known before the build (deferred), which is not supported");
    insta::assert_snapshot!(message(r#"("out","","r:sha256","impure")"#, "/b"), @"output 'out' is content-addressed with a path that is not known before the build (impure), which is not supported");
    insta::assert_snapshot!(message(r#"("out","/x","text:sha256","00")"#, "/b"), @"output 'out' is fixed by a hash of method 'text:', which is not supported");
    insta::assert_snapshot!(message(r#"("out","/x","","")"#, "/b"), @r#"output 'out' has a bad path"#);
    insta::assert_snapshot!(message(r#"("out","/x","","")"#, "builtin:fetchurl"), @"its builder is 'builtin:fetchurl', which Nix itself performs and no sandbox does");
}

fn bytes() -> impl Strategy<Value = Cow<'static, [u8]>> {
    prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'\n')], 0..20)
        .prop_map(Cow::Owned)
}

fn name() -> impl Strategy<Value = Cow<'static, str>> {
    "[a-z\"\\\\\n\té]{1,8}".prop_map(Cow::Owned)
}

fn path() -> impl Strategy<Value = Cow<'static, str>> {
    "/[a-z/\\\\é\"]{0,12}".prop_map(Cow::Owned)
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![Just(Method::Flat), Just(Method::Recursive), Just(Method::Text), Just(Method::Git)]
}

fn output() -> impl Strategy<Value = Output<'static>> {
    let algorithm = || "(md5|sha1|sha256|sha512)".prop_map(Cow::Owned);
    prop_oneof![
        path().prop_map(|path| Output::InputAddressed { path }),
        (path(), method(), algorithm(), "[0-9a-f]{8}").prop_map(|(path, method, algorithm, hash)| {
            Output::Fixed { path, method, algorithm, hash: Cow::Owned(hash) }
        }),
        (method(), algorithm()).prop_map(|(method, algorithm)| Output::Floating { method, algorithm }),
        (method(), algorithm()).prop_map(|(method, algorithm)| Output::Impure { method, algorithm }),
        Just(Output::Deferred),
    ]
}

prop_compose! {
    fn derivation()(
        outputs in prop::collection::btree_map(name(), output(), 0..4),
        input_derivations in prop::collection::vec((path(), prop::collection::vec(name(), 0..3)), 0..3),
        input_sources in prop::collection::vec(path(), 0..3),
        platform in name(),
        builder in bytes(),
        arguments in prop::collection::vec(bytes(), 0..4),
        environment in prop::collection::vec((bytes(), bytes()), 0..4),
    ) -> Derivation<'static> {
        let outputs = outputs.into_iter().collect();
        Derivation { outputs, input_derivations, input_sources, platform, builder, arguments, environment }
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(derivation in derivation()) {
        let text = derivation.print();
        prop_assert_eq!(parse(&text).unwrap(), derivation);
    }

    #[test]
    fn arbitrary_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text);
    }
}
