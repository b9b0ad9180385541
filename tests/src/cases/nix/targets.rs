//! What `loopbox build` takes to be built, as `nix-build` and `nix build` take it.

use std::fs;

use crate::cases::clean::store::Store;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![
    a_file_s_function_is_given_arguments,
    several_attributes_are_built_at_once,
    an_expression_is_built,
    names_are_looked_up_where_it_is_said,
    an_installable_of_a_flake_is_built,
    settings_are_set_for_one_run,
    what_nix_cannot_evaluate_says_why,
];

/// A store, and files that stand for derivations which write a text.
struct Files<'p> {
    place: &'p Place,
    store: Store,
    /// A function of the Nix language: a derivation that writes a text.
    write: String,
}

impl Files<'_> {
    fn make(place: &Place) -> Files<'_> {
        let store = Store::make(place);
        let busybox = store.ask("nix-store", ["--add", &place.path("busybox").to_string_lossy()]);
        let write = format!(
            "(text: derivation {{ name = \"text\"; system = \"x86_64-linux\"; builder = \"{busybox}/bin/sh\"; \
             args = [ \"-c\" \"echo ${{text}} > $out\" ]; busybox = builtins.storePath {busybox}; }})"
        );
        Files { place, store, write }
    }

    fn file(&self, name: &str, contents: &str) {
        self.place.file(name, contents.replace("WRITE", &self.write));
    }

    fn flake_file(&self, name: &str, contents: &str) {
        let write = "(text: derivation { name = \"text\"; system = \"x86_64-linux\"; \
                     builder = \"${./busybox}/bin/sh\"; args = [ \"-c\" \"echo ${text} > $out\" ]; })";
        self.place.file(name, contents.replace("WRITE", write));
    }

    fn build(&self, words: &[&str]) -> Ran {
        let mut command = Loopbox::at(self.place).command([&["build", "--no-link"], words].concat());
        self.store.configure(&mut command);
        command
            .env("LANGUAGE", "spoken")
            .current_dir(self.place.dir())
            .output()
            .expect("loopbox can be started")
            .into()
    }

    /// What the outputs say.
    fn built(&self, words: &[&str]) -> Vec<String> {
        let ran = self.build(words);
        assert_eq!(ran.status, 0, "{words:?}: {}", ran.stderr);
        let read = |path: &str| fs::read_to_string(path).expect("it was built").trim_end().to_owned();
        ran.stdout.lines().map(read).collect()
    }
}

fn a_file_s_function_is_given_arguments(place: &Place) {
    let files = Files::make(place);
    files.file(
        "default.nix",
        "{ text ? \"nothing\", number ? 0 }: WRITE \"${text} ${toString (number + 1)}\"",
    );
    assert_eq!(files.built(&[]), ["nothing 1"]);
    assert_eq!(files.built(&["--argstr", "text", "some words", "--arg", "number", "-3"]), ["some words -2"]);
}

fn several_attributes_are_built_at_once(place: &Place) {
    let files = Files::make(place);
    files.file("default.nix", "{ a = WRITE \"a\"; b = WRITE \"b\"; c = { d = WRITE \"d\"; }; }");
    assert_eq!(files.built(&["-A", "c.d", "-A", "a"]), ["d", "a"]);
    assert_eq!(files.built(&["--max-jobs", "2"]), ["a", "b"]);
}

fn an_expression_is_built(place: &Place) {
    let files = Files::make(place);
    files.file("all.nix", "{ a = WRITE \"a\"; }");
    assert_eq!(files.built(&["-E", "(import ./all.nix).a"]), ["a"]);
    assert_eq!(
        files.built(&["--expr", "{ x }: { y = (import ./all.nix).${x}; }", "--argstr", "x", "a", "-A", "y"]),
        ["a"]
    );
}

fn names_are_looked_up_where_it_is_said(place: &Place) {
    let files = Files::make(place);
    place.directory("found");
    files.file("found/thing.nix", "WRITE \"found\"");
    assert_eq!(files.built(&["-I", "name=found", "<name/thing.nix>"]), ["found"]);
}

fn an_installable_of_a_flake_is_built(place: &Place) {
    let files = Files::make(place);
    place.directory("flake");
    // A flake may not name what is in the store already.
    place.shell("cp -r busybox flake/busybox");
    files.flake_file(
        "flake/flake.nix",
        "{ outputs = { self }: { packages.x86_64-linux = { hello = WRITE \"hello\"; \
         here = WRITE (builtins.getEnv \"LANGUAGE\"); }; }; }",
    );
    assert_eq!(files.built(&["path:./flake#hello"]), ["hello"]);
    assert_eq!(files.built(&["path:./flake#here"]), [""], "a flake does not know the environment");
    assert_eq!(files.built(&["--impure", "path:./flake#here"]), ["spoken"]);
    let ran = files.build(&["path:./flake#missing"]);
    assert!(ran.status == 1 && ran.stderr.contains("missing"), "{}", ran.told());
}

/// They count for what Nix evaluates and for what loopbox builds.
fn settings_are_set_for_one_run(place: &Place) {
    let files = Files::make(place);
    let expression = "WRITE (\"$NIX_BUILD_CORES \" + builtins.currentSystem)".replace("WRITE", &files.write);
    let options = [("cores", "3"), ("system", "odd-linux"), ("extra-platforms", "x86_64-linux")];
    let options = options.map(|(name, value)| ["--option", name, value]).concat();
    assert_eq!(files.built(&[&options[..], &["-E", &expression]].concat()), ["3 odd-linux"]);
    let wrong = files.build(&["--option", "cores = 1\nx", "2", "-E", &expression]);
    assert!(wrong.stderr.contains("is not the name of a setting of Nix's"), "{}", wrong.stderr);
}

fn what_nix_cannot_evaluate_says_why(place: &Place) {
    let files = Files::make(place);
    let ran = files.build(&["-E", "1 +"]);
    assert!(ran.status == 1 && ran.stderr.contains("syntax error"), "{}", ran.told());
    let ran = files.build(&["--argstr", "text"]);
    assert!(ran.status == 2 && ran.stderr.contains("--argstr <NAME> <TEXT>"), "{}", ran.told());
}
