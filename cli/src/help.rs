//! What `--help` and the manual pages say beside what commands and options say of themselves: the commands by what one wants
//! to do, and examples.

use std::fmt::Write;

use clap::Command;

/// The commands by what they are for, in the order in which a new user comes to them.
const TASKS: [(&str, &[&str]); 7] = [
    ("Run a command in a view", &["run", "learn"]),
    ("Build derivations", &["build", "check", "shell", "compare"]),
    ("Have Nix build through loopbox", &["setup", "daemon", "external-builder", "build-hook"]),
    ("See what was touched", &["report", "status"]),
    ("Show a view to everybody", &["mount", "unmount"]),
    ("Look after this machine", &["doctor", "clean"]),
    ("Help with the command line", &["completions", "man"]),
];

/// What is done, and a line for a shell that does it.
type Example = (&'static str, &'static str);

/// Examples of each command.
const EXAMPLES: [(&str, &[Example]); 18] = [
    (
        "run",
        &[
            (
                "The system's own programs, and nothing else of this machine",
                "loopbox run --preset base -- ls /",
            ),
            (
                "Without the network, in the current directory, which alone can be written",
                "loopbox run --preset dev -- cc -o hello hello.c",
            ),
            (
                "One program, and a directory that it cannot change",
                "loopbox run --with cp --ro $PWD/src:/src --tmpfs /work -- cp -r /src /work/copy",
            ),
        ],
    ),
    (
        "learn",
        &[
            ("Write down the smallest view of a command", "loopbox learn --output view.json -- ls /etc"),
            ("Run it in that", "loopbox run --view view.json -- ls /etc"),
        ],
    ),
    (
        "build",
        &[
            ("Build what an attribute says", "loopbox build default.nix -A hello"),
            (
                "Say what it asked for and was not shown",
                "loopbox build --report=report.json default.nix -A hello",
            ),
        ],
    ),
    ("check", &[("Find out what changes the outputs", "loopbox check default.nix -A hello")]),
    ("shell", &[("Run a line where a derivation is built", "loopbox shell default.nix -A hello --run env")]),
    ("compare", &[("Build with each backend, once", "loopbox compare default.nix -A hello --rounds 1")]),
    ("setup", &[("Print what would be written", "loopbox setup --print")]),
    ("daemon", &[("Mount for those whom /etc/loopbox/daemon.toml names", "loopbox daemon")]),
    (
        "external-builder",
        &[(
            "What Nix runs for each build, when 'loopbox setup --write' has set it up",
            "loopbox external-builder build.json",
        )],
    ),
    (
        "build-hook",
        &[(
            "What a program says that is Nix's setting build-hook; 'loopbox setup --write' makes it",
            r#"exec loopbox build-hook "$@""#,
        )],
    ),
    (
        "report",
        &[
            ("What the build of an output asked for", "loopbox report result"),
            ("The same as a page for a browser", "loopbox report result --html report.html"),
        ],
    ),
    ("status", &[("What runs just now", "loopbox status --once")]),
    ("mount", &[("The view of a file, for everybody", "loopbox mount spec.json view")]),
    ("unmount", &[("End that", "loopbox unmount view")]),
    (
        "doctor",
        &[("What this machine lacks", "loopbox doctor"), ("The same for programs", "loopbox doctor --json")],
    ),
    ("clean", &[("Remove what a killed run has left", "loopbox clean")]),
    ("completions", &[("For bash", "loopbox completions bash > loopbox.bash")]),
    ("man", &[("Write all pages to a directory", "loopbox man .")]),
];

/// Adds this to what the command line says of itself.
pub fn explained(command: Command) -> Command {
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}Options:\n{{options}}{{after-help}}",
        by_task(&command)
    );
    let command = command.help_template(template);
    EXAMPLES.iter().fold(command, |command, (name, examples)| {
        command.mut_subcommand(name, |command| command.after_help(text(examples)))
    })
}

fn by_task(command: &Command) -> String {
    let mut text = String::new();
    for (task, names) in TASKS {
        let _ = writeln!(text, "{task}:");
        for name in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let about = name.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {:<17} {about}", name.get_name());
        }
        text.push('\n');
    }
    text
}

fn text(examples: &[Example]) -> String {
    let mut text = String::from("Examples:\n");
    for (what, words) in examples {
        let _ = writeln!(text, "  # {what}\n  {words}");
    }
    text
}

/// The commands that are listed by task, and those that have examples.
#[cfg(test)]
pub fn known() -> [Vec<&'static str>; 2] {
    [
        TASKS.iter().flat_map(|(_, names)| *names).copied().collect(),
        EXAMPLES.iter().map(|(name, _)| *name).collect(),
    ]
}
