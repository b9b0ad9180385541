//! Whole programs: execution from the mount, tar, git, find, cp.

use crate::cases::{Place, cases};

cases![
    a_program_runs_from_here,
    a_script_runs_from_here,
    a_busy_program_can_be_replaced,
    tar_brings_a_tree_through_unchanged,
    git_keeps_a_history,
    a_tree_is_copied_with_its_attributes,
];

fn a_program_runs_from_here(place: &Place) {
    assert_eq!(place.shell("cp /bin/busybox . && ./busybox echo it runs"), "it runs");
}

fn a_script_runs_from_here(place: &Place) {
    place.file("script", "#!/bin/sh\necho \"$0 $1\"\n");
    assert_eq!(place.shell("chmod +x script && ./script word"), "./script word");
}

fn a_busy_program_can_be_replaced(place: &Place) {
    place.shell(
        "mkdir new && cp /bin/busybox . && cp /bin/busybox new
         ./busybox sleep 60 & child=$!
         mv new/busybox . && ./busybox true && kill $child",
    );
}

fn tar_brings_a_tree_through_unchanged(place: &Place) {
    place.shell(
        "mkdir -p in/a/b out && echo one > in/a/one && ln in/a/one in/a/b/two && ln -s ../one in/a/b/link
         mkfifo in/fifo && chmod 600 in/a/one && touch -d '2001-02-03 04:05:06' in/a/b
         tar cf tree.tar --format=posix -C in . && tar xpf tree.tar -C out
         list() { (cd $1 && find . -printf '%p %m %y %l %n %T@\\n' | sed 's/\\(fifo.*\\) .*/\\1/' | sort); }
         list in > before && list out > after && diff before after && cmp in/a/one out/a/b/two",
    );
}

fn git_keeps_a_history(place: &Place) {
    place.shell(
        "export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
         git init -q work && cd work && git config user.email a@b && git config user.name name
         for i in 1 2 3 4 5; do echo $i > file$i && git add . && git commit -q -m $i; done
         git fsck --strict && git gc -q && cd .. && git clone -q work copy && cd copy && git fsck
         test \"$(git log --oneline | wc -l)\" = 5 && test -z \"$(git status --porcelain)\"",
    );
}

fn a_tree_is_copied_with_its_attributes(place: &Place) {
    place.shell(
        "mkdir -p tree/x && echo data > tree/x/f && chmod 741 tree/x/f && touch -d @86400.5 tree/x/f
         cp -a tree copy && test \"$(stat -c '%a %Y %s' tree/x/f)\" = \"$(stat -c '%a %Y %s' copy/x/f)\"
         diff -r tree copy && mv copy moved && rm -rf tree moved",
    );
    assert!(place.names("").is_empty());
}
