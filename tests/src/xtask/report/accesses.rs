//! The page of an access report in a browser: names of every kind as texts, a click, a key, a search, and 100,000 paths.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{WINDOWS, schema};
use crate::command::{command, quiet};
use crate::lab::browser::devtools::OpenPage;
use crate::lab::browser::{Noticed, show};
use crate::lab::{Lab, say};
use crate::tally::Tally;

/// A window for what is clicked and typed, in pixels.
const WINDOW: (u32, u32) = (1200, 900);

/// Paths of the large report.
const PATHS: usize = 100_000;
/// Files of it in one directory.
const IN_ONE_DIRECTORY: usize = 25_000;
/// Milliseconds until such a page shows what was found.
const PAINT_MAX: f64 = 2000.0;

/// A directory and a file below it in the reports.
const SOURCE: &str = "/home/user/project";
const WRITTEN: &str = "/build/object.o";
const LARGEST: &str = "/nix/store/00000000000000000000000000000000-gcc-14.2.1";

/// When what the script shows was painted for the first time.
const PAINTED: &str = "new Promise((end) => {
    setTimeout(() => end(null), 5000);
    const shown = (entry) => entry.element?.closest('main') && end(entry.startTime);
    const observer = new PerformanceObserver((list) => list.getEntries().forEach(shown));
    observer.observe({ type: 'largest-contentful-paint', buffered: true });
})";
/// When anything was.
const FIRST_PAINT: &str = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null";

/// What is tried with an open page.
type Trial = fn(&mut OpenPage) -> Result<()>;

/// Writes the pages to a directory and tries them; each trial counts as one test.
pub fn check(lab: &Lab, directory: &Path) -> Result<Tally> {
    say("pages of access reports, in a browser");
    let loopbox = lab.loopbox()?;
    let write = |name: &str, reports: &[Value]| {
        let path = directory.join(name);
        let (file, page) = (path.with_extension("json"), path.with_extension("html"));
        let document = json!({ "version": 1, "loopbox": "0", "reports": reports });
        fs::write(&file, document.to_string()).context("cannot write a report")?;
        quiet(command(&loopbox, ["report", "--html"]).arg(&page).arg(&file))?;
        anyhow::Ok(page)
    };
    let three = write("accesses", &[build(), hostile(), failed()])?;
    let large = write("accesses-large", &[large()])?;
    let mut tally = Tally::default();
    for (window, size) in WINDOWS {
        let picture = directory.join(format!("accesses-{window}.png"));
        let result = show(&three, size, &picture).and_then(|noticed| silent(&noticed));
        tally.add(told(&picture.display().to_string(), &result));
    }
    let trials: [(&str, &PathBuf, Trial); 6] = [
        ("names are texts", &three, names_are_texts),
        ("a box finds its input in the tree", &three, a_box_finds_its_input),
        ("what was written, and what was slow", &three, what_was_written_and_slow_is_named),
        ("the tree opens and closes by mouse and keyboard", &three, the_tree_opens),
        ("100,000 paths are shown at once", &large, paths_are_shown_at_once),
        ("100,000 paths are searched", &large, paths_are_searched),
    ];
    let form = schema::check(lab, &loopbox, &three.with_extension("json"));
    tally.add(told("reports have the documented form", &form));
    for (name, page, trial) in trials {
        tally.add(told(name, &tried(page, &directory.join("accesses.profile"), trial)));
    }
    Ok(tally)
}

fn tried(page: &Path, profile: &Path, trial: Trial) -> Result<()> {
    let mut opened = OpenPage::open(page, WINDOW, profile)?;
    let result = trial(&mut opened);
    let noticed = opened.close();
    result.and_then(|()| silent(&noticed?))
}

fn silent(noticed: &Noticed) -> Result<()> {
    let Noticed { console, requests } = noticed;
    if !console.is_empty() || !requests.is_empty() {
        bail!("{console:?} {requests:?}");
    }
    Ok(())
}

fn told(name: &str, result: &Result<()>) -> Tally {
    match result {
        Ok(()) => println!("{name} ... ok"),
        Err(error) => println!("{name} ... FAILED: {error:#}"),
    }
    Tally::one(result.is_ok())
}

fn names_are_texts(page: &mut OpenPage) -> Result<()> {
    page.evaluate("document.getElementById('choice').focus()")?;
    page.press("ArrowDown")?;
    page.expect("document.querySelector('h1').textContent.startsWith('make ')")?;
    for (_, shown) in hostile_names() {
        let text = format!("/usr/{shown}");
        for section in ["undeclared", "written"] {
            page.expect(&format!(
                "document.getElementById('{section}').innerText.includes({})",
                json!(text)
            ))?;
        }
        page.expect(&format!(
            "[...document.querySelectorAll('#tree li > .row bdi.path')].some((name) => name.textContent === {})",
            json!(shown)
        ))?;
    }
    page.expect("document.querySelector('main :is(b:not(.tile b), i, img, script, a, iframe)') === null")?;
    // Characters that would reorder the text around them.
    page.expect(
        "!/[\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]/.test(document.querySelector('main').textContent)",
    )
}

fn a_box_finds_its_input(page: &mut OpenPage) -> Result<()> {
    page.click("document.querySelector('.treemap button')")?;
    page.expect(&format!("document.getElementById('search').value === '{LARGEST}'"))?;
    page.expect("document.getElementById('found').textContent === '1 of 9 paths'")?;
    page.expect("document.querySelectorAll('#tree li').length === 1")?;
    page.click(
        "[...document.querySelectorAll('.tile')].find((tile) => tile.textContent.includes('refused'))",
    )?;
    page.expect("document.querySelector('#tree li').ariaLabel.startsWith('etc/shadow refused')")
}

fn what_was_written_and_slow_is_named(page: &mut OpenPage) -> Result<()> {
    page.click(
        "[...document.querySelectorAll('.tile')].find((tile) => tile.textContent.includes('written'))",
    )?;
    page.expect("document.querySelectorAll('#tree li').length === 1")?;
    page.expect(
        "document.querySelector('#tree li').ariaLabel.startsWith('build/object.o 4.00 KiB written')",
    )?;
    let rows = |section: &str| {
        format!("[...document.querySelectorAll('#{section} tbody tr')].map((row) => row.innerText.trim())")
    };
    page.expect(&format!("{}.join('|') === '/build\\t2\\t4.88 KiB|{WRITTEN}\\t4.00 KiB'", rows("written")))?;
    page.expect(&format!("{}.at(-1) === '/build\\tREADDIRPLUS\\t250.0 ms'", rows("traffic")))?;
    page.expect("document.getElementById('refused').innerText.includes('to be made, changed or removed')")
}

fn the_tree_opens(page: &mut OpenPage) -> Result<()> {
    let item =
        "[...document.querySelectorAll('#tree li')].find((item) => item.ariaLabel.startsWith('home/'))";
    let is_open =
        |open: bool| format!("{item}.ariaExpanded === '{open}' && {item}.lastChild.hidden === {}", !open);
    page.expect(&is_open(true))?;
    page.click(&format!("{item}.firstChild"))?;
    page.expect(&is_open(false))?;
    for (key, open) in [("ArrowRight", true), ("ArrowLeft", false), ("Enter", true), ("Enter", false)] {
        page.press(key)?;
        page.expect(&is_open(open)).with_context(|| format!("after {key}"))?;
    }
    page.press("Home")?;
    page.expect("document.activeElement === document.querySelector('#tree li')")?;
    page.press("ArrowDown")?;
    page.expect("document.activeElement !== document.querySelector('#tree li') && document.activeElement.role === 'treeitem'")
}

fn paths_are_shown_at_once(page: &mut OpenPage) -> Result<()> {
    let (painted, first) = (page.evaluate(PAINTED)?, page.evaluate(FIRST_PAINT)?);
    let (Some(painted), Some(first)) = (painted.as_f64(), first.as_f64()) else {
        bail!("painted at {painted}, first at {first}");
    };
    println!("{PATHS} paths: first paint after {first:.0} ms, of what was found after {painted:.0} ms");
    if painted.max(first) > PAINT_MAX {
        bail!("more than {PAINT_MAX} ms");
    }
    page.expect(&format!(
        "document.getElementById('found').textContent.startsWith('{} paths')",
        grouped(PATHS)
    ))
}

fn paths_are_searched(page: &mut OpenPage) -> Result<()> {
    page.click("document.getElementById('search')")?;
    page.enter("/f19999 IS:undeclared")?;
    page.expect(&format!(
        "document.getElementById('found').textContent === '1 of {} paths'",
        grouped(PATHS)
    ))?;
    page.expect("document.querySelectorAll('#tree li').length === 1")?;
    page.evaluate("document.getElementById('search').select()")?;
    page.enter("/flat/")?;
    let found = "document.getElementById('found').textContent";
    page.expect(&format!("{found}.startsWith('{} of ')", grouped(IN_ONE_DIRECTORY)))?;
    page.expect(&format!("/, [0-9,]+ more in what is closed$/.test({found})"))?;
    // One more is the item that shows some of the rest.
    let items =
        |count: usize| format!("document.querySelectorAll('#tree [role=group] > li').length === {count}");
    let first = page.evaluate("document.querySelectorAll('#tree [role=group] > li').length")?;
    let first = usize::try_from(first.as_u64().context("no number")?)?;
    if first > 201 {
        bail!("{first} items are shown at once");
    }
    page.click("document.querySelector('#tree .rest')")?;
    page.expect(&items(first + 200))
}

/// A number as the page writes it.
fn grouped(number: usize) -> String {
    format!("{},{:03}", number / 1000, number % 1000)
}

fn entry(at: &str, kind: &str, bytes: usize) -> Value {
    let files = usize::from(bytes > 0);
    json!({
        "at": at, "source": at, "kind": kind, "used": bytes > 0, "directoriesFound": 1, "filesFound": files,
        "listed": 0, "filesRead": files, "bytesRead": bytes, "filesWritten": 0, "bytesWritten": 0,
    })
}

fn host_file(path: &str, bytes: usize) -> Value {
    json!({ "path": path, "bytesRead": bytes, "sha256": "ab".repeat(32) })
}

/// A report with these lists, and what every report has.
fn report(of: Value, lists: Value) -> Value {
    let mut report = json!({
        "undeclared": [], "undeclaredIncomplete": false, "missing": 3, "entries": [], "hostFiles": [],
        "refused": { "paths": [], "incomplete": false }, "hostFilesLeftOut": 0, "unusedInputs": [], "deep": null,
        "written": { "files": [], "refused": { "paths": [], "incomplete": false } },
        "nfsCalls": { "LOOKUP": 20, "READ": 7 }, "slowestCalls": [], "seconds": { "setup": 0.01, "run": 1.5, "teardown": 0.01 },
    });
    for part in [of, lists] {
        if let (Some(report), Value::Object(part)) = (report.as_object_mut(), part) {
            report.extend(part);
        }
    }
    report
}

fn derivation(name: &str, status: &str) -> Value {
    json!({ "derivation": format!("/nix/store/{}-{name}.drv", "1".repeat(32)), "status": status })
}

/// A build that was built once more with `--deep`.
fn build() -> Value {
    let unused = format!("/nix/store/{}-file-5.45", "2".repeat(32));
    let readline = json!({ "kind": "homebrew", "keg": "readline", "version": "8.2" });
    let mut place = entry("/build", "scratch", 0);
    (place["filesWritten"], place["bytesWritten"]) = (json!(2), json!(5000));
    let lists = json!({
        "undeclared": [{ "path": "/opt", "owner": null }],
        "deep": {
            "undeclared": [{ "path": "/opt/homebrew/include/readline.h", "owner": readline }],
            "undeclaredIncomplete": false, "missing": 2, "outcome": "differs", "outputs": ["out"],
        },
        "refused": { "paths": ["/etc/shadow"], "incomplete": false },
        "entries": [entry(SOURCE, "readOnly", 90_000), entry(LARGEST, "fixed", 9_000_000), entry(&unused, "fixed", 0), place],
        "written": {
            "files": [{ "path": WRITTEN, "bytesWritten": 4096 }],
            "refused": { "paths": ["/etc/shadow"], "incomplete": false },
        },
        "slowestCalls": [{ "procedure": "READDIRPLUS", "path": "/build", "seconds": 0.25 }],
        "hostFiles": [host_file(&format!("{SOURCE}/a.c"), 80_000), host_file(&format!("{SOURCE}/b.c"), 10_000)],
        "unusedInputs": [{ "path": unused, "direct": true, "removable": true }],
    });
    report(derivation("bash-5.2", "built"), lists)
}

/// Names that are more than letters, each with how it is shown.
fn hostile_names() -> [(Vec<u8>, &'static str); 8] {
    [
        ("<b>bold".into(), "<b>bold"),
        ("<img src=x onerror=alert(1)>".into(), "<img src=x onerror=alert(1)>"),
        ("&lt;script&gt;<!--".into(), "&lt;script&gt;<!--"),
        ("line\nend\u{1b}[31m".into(), "line\\nend\\u{1b}[31m"),
        ("txt.\u{202e}cod.exe".into(), "txt.\\u{202e}cod.exe"),
        ("\u{2066}x\u{200f}".into(), "\\u{2066}x\\u{200f}"),
        (b"raw\xff\xe2\x82".to_vec(), "raw\\xff\\xe2\\x82"),
        ("שלום-עולם".into(), "שלום-עולם"),
    ]
}

/// A command whose every name is hostile.
fn hostile() -> Value {
    let path = |name: &[u8]| match std::str::from_utf8(name) {
        Ok(name) => json!(format!("/usr/{name}")),
        Err(_) => json!([b"/usr/", name].concat()),
    };
    let owner = json!({ "kind": "debian", "packages": ["<b>p\u{202e}"] });
    let undeclared: Vec<Value> =
        hostile_names().iter().map(|(name, _)| json!({ "path": path(name), "owner": owner })).collect();
    let written: Vec<Value> =
        hostile_names().iter().map(|(name, _)| json!({ "path": path(name), "bytesWritten": 7 })).collect();
    let mut place = entry("/<i>\u{202e}", "writable", 5);
    (place["filesWritten"], place["bytesWritten"]) = (json!(8), json!(56));
    let lists = json!({
        "undeclared": undeclared,
        "refused": { "paths": [[47, 255]], "incomplete": true },
        "written": { "files": written, "refused": { "paths": [[47, 255]], "incomplete": true } },
        "slowestCalls": [{ "procedure": "LOOKUP", "path": path(b"<b>\x1b\xff"), "seconds": 1 }],
        "entries": [place],
    });
    report(json!({ "command": ["make", "</script><script>console.error(1)</script>\u{202e}"] }), lists)
}

fn failed() -> Value {
    let error = "exit code 1\n\u{1b}[31m<b>";
    report(
        derivation("gone-1.0", "failed"),
        json!({ "deep": {
            "undeclared": [], "undeclaredIncomplete": false, "missing": 0, "outcome": "failed", "error": error,
        } }),
    )
}

/// Paths of every kind, as many in all as are looked for.
fn large() -> Value {
    let undeclared: Vec<Value> = (0..20_000)
        .map(|n| json!({ "path": format!("/usr/d{}/e{}/f{n}", n % 7, n % 100), "owner": null }))
        .collect();
    let refused: Vec<String> = (0..10_000).map(|n| format!("/var/{n}")).collect();
    let entries: Vec<Value> = (0..20_000)
        .map(|n| entry(&format!("/nix/store/{n:032}-package"), "fixed", n * 7919 % 5_000_000))
        .collect();
    let host_files: Vec<Value> = (0..PATHS - 50_000)
        .map(|n| match n < IN_ONE_DIRECTORY {
            true => host_file(&format!("/src/flat/{n}.c"), n),
            false => host_file(&format!("/src/x{}/y{}/{n}.c", n % 11, n % 101), n),
        })
        .collect();
    let lists = json!({
        "undeclared": undeclared, "refused": { "paths": refused, "incomplete": false }, "entries": entries,
        "hostFiles": host_files,
    });
    report(derivation("large-1.0", "built"), lists)
}
