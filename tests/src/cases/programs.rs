//! Programs that people have: a view is learnt from each as it works, and it has to work again in that view at the first try.

mod again;

use super::{Place, cases};
pub use again::BY_USER;
use again::works_again;

cases![
    git_clones_a_repository,
    python_makes_a_virtual_environment,
    gcc_compiles_c,
    gcc_compiles_cpp,
    make_builds_a_library,
    cmake_and_ninja_build_a_program,
    meson_builds_a_program,
    cargo_builds_a_crate,
    go_builds_a_program,
    node_runs_a_script,
    sqlite_fills_a_database,
    pandoc_makes_a_page,
    latex_makes_a_document,
    ffmpeg_encodes_a_film,
    ssh_keygen_makes_a_key,
    openssl_signs_a_certificate,
    curl_reads_a_file,
    perl_parses_json,
    ruby_renders_a_template,
    php_sorts_a_list,
    lua_counts_words,
    tcl_has_a_clock,
    jq_filters_json,
    gpg_encrypts_a_file,
    rsync_copies_a_tree,
    tar_and_xz_pack_a_tree,
    magick_scales_a_picture,
    graphviz_draws_a_graph,
    java_compiles_and_runs,
    bison_and_flex_make_a_parser,
    groff_formats_a_manual_page,
    vim_edits_a_file,
    gdb_looks_at_a_program,
    ghostscript_prints_a_page,
    bash_runs_a_pipeline,
];

/// The packages of Debian's that they are of.
pub const PACKAGES: [&str; 36] = [
    "bash",
    "bc",
    "bison",
    "ca-certificates",
    "cargo",
    "cmake",
    "curl",
    "default-jdk-headless",
    "ffmpeg",
    "flex",
    "g++",
    "gdb",
    "ghostscript",
    "git",
    "gnupg",
    "golang-go",
    "graphviz",
    "groff",
    "imagemagick",
    "jq",
    "lua5.4",
    "make",
    "meson",
    "ninja-build",
    "nodejs",
    "openssh-client",
    "pandoc",
    "php-cli",
    "python3-venv",
    "rsync",
    "ruby",
    "sqlite3",
    "tcl",
    "texlive-latex-base",
    "vim-tiny",
    "xz-utils",
];

fn git_clones_a_repository(place: &Place) {
    works_again(
        place,
        "git init -q r; cd r; echo 1 > a; git add a; git -c user.name=A -c user.email=a@example.org commit -qm first",
        "git clone -q in/r out/r; git -C out/r log --format=%s; cat out/r/a",
    );
}

fn python_makes_a_virtual_environment(place: &Place) {
    works_again(
        place,
        "echo 'import json, ssl, sqlite3, sys; print(json.dumps({\"prefix\": sys.prefix != sys.base_prefix}))' > p.py",
        "python3 -m venv out/v; out/v/bin/python in/p.py; out/v/bin/pip list --disable-pip-version-check | grep -c pip; find out -name __pycache__ -prune -exec rm -r {} +",
    );
}

const HELLO: &str =
    "printf '#include <stdio.h>\\nint main(void) { puts(\"hello\"); return 0; }\\n' > hello.c";

fn gcc_compiles_c(place: &Place) {
    works_again(place, HELLO, "gcc -O2 -Wall -o out/hello in/hello.c; out/hello");
}

fn gcc_compiles_cpp(place: &Place) {
    works_again(
        place,
        "printf '#include <iostream>\\n#include <map>\\nint main() { std::map<int, int> m{{1, 2}}; std::cout << m[1]; }\\n' > a.cc",
        "g++ -std=c++20 -o out/a in/a.cc; out/a",
    );
}

fn make_builds_a_library(place: &Place) {
    works_again(
        place,
        &format!(
            "{HELLO}; printf 'all: ; gcc -c -o ../out/hello.o hello.c && ar rcs ../out/libhello.a ../out/hello.o && nm ../out/libhello.a\\n' > Makefile"
        ),
        "make -s -C in | grep main",
    );
}

fn cmake_and_ninja_build_a_program(place: &Place) {
    works_again(
        place,
        &format!(
            "{HELLO}; printf 'cmake_minimum_required(VERSION 3.10)\\nproject(hello C)\\nadd_executable(hello hello.c)\\n' > CMakeLists.txt"
        ),
        "cmake -G Ninja -S in -B out/b > /dev/null; ninja -C out/b > /dev/null; out/b/hello",
    );
}

fn meson_builds_a_program(place: &Place) {
    works_again(
        place,
        &format!(
            "{HELLO}; printf \"project('hello', 'c')\\nexecutable('hello', 'hello.c')\\n\" > meson.build"
        ),
        "meson setup out/b in > /dev/null; meson compile -C out/b > /dev/null; out/b/hello; rm -r out/b",
    );
}

fn cargo_builds_a_crate(place: &Place) {
    works_again(
        place,
        "mkdir -p c/src; printf '[package]\\nname = \"c\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n' > c/Cargo.toml
        echo 'fn main() { println!(\"{:?}\", std::collections::BTreeMap::from([(1, 2)])); }' > c/src/main.rs
        cd c && cargo generate-lockfile --offline",
        "export CARGO_HOME=/tmp/cargo; cargo build -q --offline --manifest-path in/c/Cargo.toml --target-dir out/t; out/t/debug/c; rm -r out/t",
    );
}

fn go_builds_a_program(place: &Place) {
    works_again(
        place,
        "printf 'package main\\nimport \"fmt\"\\nfunc main() { fmt.Println(\"hello\") }\\n' > hello.go",
        "export GOCACHE=/tmp/cache GOPATH=/tmp/go GOFLAGS=-buildvcs=false; go build -o out/hello in/hello.go; out/hello",
    );
}

fn node_runs_a_script(place: &Place) {
    works_again(
        place,
        "echo 'const c = require(\"crypto\"), fs = require(\"fs\"); fs.writeFileSync(\"out/h\", c.createHash(\"sha256\").update(fs.readFileSync(\"in/s.js\")).digest(\"hex\")); console.log(process.argv.length)' > s.js",
        "node in/s.js one; cat out/h",
    );
}

fn sqlite_fills_a_database(place: &Place) {
    works_again(
        place,
        "echo 'create table t (n integer); insert into t values (1), (2); select sum(n) from t;' > s.sql",
        "sqlite3 out/t.db < in/s.sql; sqlite3 out/t.db .dump",
    );
}

fn pandoc_makes_a_page(place: &Place) {
    works_again(
        place,
        "printf '# Title\\n\\n- *one*\\n' > a.md",
        "pandoc -s --metadata title=T -o out/a.html in/a.md; grep -c one out/a.html",
    );
}

fn latex_makes_a_document(place: &Place) {
    works_again(
        place,
        "printf '\\\\documentclass{article}\\\\begin{document}Hello $x^2$\\\\end{document}\\n' > a.tex",
        "pdflatex -interaction=batchmode -output-directory out in/a.tex > /dev/null; head -c 5 out/a.pdf",
    );
}

fn ffmpeg_encodes_a_film(place: &Place) {
    works_again(
        place,
        ":",
        "ffmpeg -v error -f lavfi -i testsrc=duration=1:size=64x64:rate=5 -c:v mpeg4 out/a.mp4; ffprobe -v error -show_entries stream=codec_name -of csv=p=0 out/a.mp4",
    );
}

fn ssh_keygen_makes_a_key(place: &Place) {
    works_again(
        place,
        ":",
        "ssh-keygen -q -t ed25519 -N '' -C test -f out/key; ssh-keygen -l -f out/key | cut -d ' ' -f 1,3-",
    );
}

fn openssl_signs_a_certificate(place: &Place) {
    works_again(
        place,
        ":",
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -keyout out/key -out out/cert 2> /dev/null; openssl x509 -in out/cert -noout -subject",
    );
}

fn curl_reads_a_file(place: &Place) {
    works_again(
        place,
        "echo 1 > a",
        "curl -sS --output out/a file://$PWD/in/a; cat out/a; curl --version | head -c 4",
    );
}

fn perl_parses_json(place: &Place) {
    works_again(
        place,
        "echo '{\"a\": [1, 2]}' > a.json",
        "perl -MJSON::PP -MPOSIX=floor -MFile::Temp -e 'local $/; print scalar @{decode_json(<>)->{a}}, floor(2.5)' in/a.json",
    );
}

fn ruby_renders_a_template(place: &Place) {
    works_again(
        place,
        "echo '<%= 1 + 1 %>' > a.erb",
        "ruby -rerb -rjson -e 'puts ERB.new(File.read(\"in/a.erb\")).result; puts [1].to_json'",
    );
}

fn php_sorts_a_list(place: &Place) {
    works_again(place, "echo '<?php $a = [2, 1]; sort($a); echo json_encode($a);' > a.php", "php in/a.php");
}

fn lua_counts_words(place: &Place) {
    works_again(
        place,
        "echo one two > a",
        "lua5.4 -e 'local n = 0; for _ in io.open(\"in/a\"):read(\"a\"):gmatch(\"%a+\") do n = n + 1 end; print(n)'",
    );
}

fn tcl_has_a_clock(place: &Place) {
    works_again(
        place,
        "echo 'puts [clock format 0 -format %Y -timezone :Europe/Berlin]; puts [info tclversion]' > a.tcl",
        "tclsh in/a.tcl",
    );
}

fn jq_filters_json(place: &Place) {
    works_again(place, "echo '{\"a\": [1, 2]}' > a.json", "jq -c '.a | map(. + 1)' in/a.json");
}

fn gpg_encrypts_a_file(place: &Place) {
    works_again(
        place,
        "echo 1 > a",
        "export GNUPGHOME=/tmp/g; mkdir -m 700 /tmp/g; gpg --batch -q --passphrase x --pinentry-mode loopback -o out/a.gpg -c in/a; gpg --batch -q --passphrase x --pinentry-mode loopback -d out/a.gpg; gpgconf --kill all",
    );
}

fn rsync_copies_a_tree(place: &Place) {
    works_again(
        place,
        "mkdir -p t/u; echo 1 > t/u/a; ln -s u/a t/l",
        "rsync -a in/t out/; cat out/t/l; ls -R out",
    );
}

fn tar_and_xz_pack_a_tree(place: &Place) {
    works_again(place, "mkdir t; echo 1 > t/a", "tar -cJf out/t.tar.xz -C in t; tar -tf out/t.tar.xz");
}

fn magick_scales_a_picture(place: &Place) {
    works_again(
        place,
        ":",
        "convert -size 20x20 gradient: out/a.png; convert out/a.png -resize 10x10 out/b.jpg; identify -format '%m %w' out/b.jpg",
    );
}

fn graphviz_draws_a_graph(place: &Place) {
    works_again(
        place,
        "echo 'digraph { a -> b }' > a.dot",
        "dot -Tsvg -o out/a.svg in/a.dot; grep -c '<svg' out/a.svg",
    );
}

fn java_compiles_and_runs(place: &Place) {
    works_again(
        place,
        "echo 'class A { public static void main(String[] a) { System.out.println(java.time.Duration.ofSeconds(90)); } }' > A.java",
        "javac -d out in/A.java; java -cp out A",
    );
}

/// Writes a grammar of numbers, and what tells them from the rest.
const GRAMMAR: &str = r#"cat > p.y << 'END'
%token N
%{
int yylex(void);
void yyerror(const char *s) { (void)s; }
%}
%%
s: N;
%%
int main(void) { return yyparse(); }
END
cat > l.l << 'END'
%option noyywrap noinput nounput
%{
#include "p.tab.h"
%}
%%
[0-9]+ return N;
\n ;
%%
END
"#;

fn bison_and_flex_make_a_parser(place: &Place) {
    works_again(
        place,
        GRAMMAR,
        "bison -o out/p.tab.c --header=out/p.tab.h in/p.y; flex -o out/l.c in/l.l; \
         gcc -o out/p out/p.tab.c out/l.c; echo 12 | out/p && echo parsed",
    );
}

fn groff_formats_a_manual_page(place: &Place) {
    works_again(
        place,
        "printf '.TH A 1\\n.SH NAME\\na \\\\- b\\n' > a.1",
        "groff -man -Tascii -P-cbou in/a.1 | grep -c NAME",
    );
}

fn vim_edits_a_file(place: &Place) {
    works_again(
        place,
        "echo one > a",
        "cp in/a out/a; vim.tiny -es -u NONE -c '%s/one/two/' -c wq out/a; cat out/a",
    );
}

fn gdb_looks_at_a_program(place: &Place) {
    works_again(
        place,
        &format!("{HELLO}; gcc -g -o hello hello.c"),
        "gdb -nx -batch -ex 'info line main' in/hello | grep -o hello.c",
    );
}

fn ghostscript_prints_a_page(place: &Place) {
    works_again(
        place,
        "printf '%%!PS\\n/Helvetica findfont 12 scalefont setfont 72 72 moveto (hello) show showpage\\n' > a.ps",
        "gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE=pdfwrite -sOutputFile=out/a.pdf in/a.ps; head -c 5 out/a.pdf",
    );
}

fn bash_runs_a_pipeline(place: &Place) {
    works_again(
        place,
        "seq 100 > n",
        "sort -R in/n | sort -n | awk '{ s += $1 } END { print s }' | sed 's/$/ in all/' | tee out/s; diff in/n <(seq 100) && find in -name 'n*' | xargs grep -c 5; echo '2^10' | bc",
    );
}
