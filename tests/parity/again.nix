# Building what is there already: to check it, or to repair it.
{ sh, busybox, dep, ... }:
let
  # Other contents in the second build, which gets more cores.
  changing = "mkdir $out; echo same > $out/same; echo $NIX_BUILD_CORES > $out/differs";
  first = { words = [ "--cores" "1" ]; };
  second = words: says: { words = [ "--check" "--cores" "2" ] ++ words; exits = 104; inherit says; };
  broken = sh { name = "broken"; script = "echo whole > $out"; };
  corrupt = "chmod u+w $out; echo broken > $out; chmod 444 $out";
in
{
  check-same = {
    about = "--check of what is the same every time";
    script = "echo x > $out";
    steps = [ { } { words = [ "--check" ]; } ];
    look = "ls -d $out.check 2> /dev/null || echo none";
  };
  check-differs = {
    about = "--check of what is not";
    script = changing;
    steps = [ first (second [ ] [ "may not be deterministic" "differs" ]) ];
    look = "ls -d $out.check 2> /dev/null || echo none";
  };
  check-differs-kept = {
    about = "--check --keep-failed leaves both";
    script = changing;
    steps = [ first (second [ "--keep-failed" ] [ "may not be deterministic" "differs from" ".check" ]) ];
    look = "ls $out.check; stat -c '%A %U' $out.check; cat $out.check/same";
  };
  check-of-nothing = {
    about = "--check of what was never built";
    script = "echo x > $out";
    steps = [ { words = [ "--check" ]; exits = 1; says = [ "are not valid, so checking is not possible" ]; } ];
  };
  check-fails = {
    about = "--check of a builder that fails this time";
    script = "test $NIX_BUILD_CORES = 1; echo x > $out";
    steps = [ first { words = [ "--check" "--cores" "2" ]; exits = 100; says = [ "failed with exit code 1" ]; } ];
  };
  check-hook = {
    about = "the diff-hook is given both, and its words are shown";
    script = changing;
    conf = ''
      run-diff-hook = true
      diff-hook = /tmp/diff-hook
    '';
    steps = [
      {
        before = "printf '#!/bin/sh\\necho \"the hook compared $(basename $1 | cut -c34-) $(basename $2 | cut -c34-) $(basename $3 | cut -c34-) $# $(id -un)\"\\ncat $1/same $2/same\\n' > /tmp/diff-hook; chmod 755 /tmp/diff-hook";
        inherit (first) words;
      }
      (second [ ] [ "may not be deterministic" "the hook compared check-hook check-hook.check check-hook.drv 4 nixbld1" ])
    ];
    look = "ls -d $out.check > /dev/null && echo left";
  };
  check-of-outputs = {
    about = "--check names the output that differs";
    script = "echo x > $out; echo $NIX_BUILD_CORES > $dev";
    attrs.outputs = [ "out" "dev" ];
    steps = [ first (second [ ] [ "may not be deterministic" "check-of-outputs-dev" ]) ];
  };
  repair = {
    about = "--repair replaces an output that was changed";
    script = "echo x > $out";
    steps = [ { } { before = corrupt; words = [ "--repair" ]; } ];
    look = "cat $out; nix-store --verify-path $out && echo good; stat -c '%a %Y' $out";
  };
  repair-directory = {
    about = "--repair replaces a tree of which a part is gone";
    script = "mkdir -p $out/a; echo x > $out/a/b; ln -s b $out/a/c";
    steps = [ { } { before = "chmod -R u+w $out; rm $out/a/b; echo new > $out/new"; words = [ "--repair" ]; } ];
    look = "cd $out; find . | sort; cat a/b; stat -c '%a %Y %h' a a/b; ls -d $out* | wc -l";
  };
  repair-one-output = {
    about = "--repair leaves outputs that are whole";
    script = "echo x > $out; echo y > $dev";
    attrs.outputs = [ "out" "dev" ];
    steps = [ { } { before = "${corrupt}; stat -c %i $dev > /tmp/inode"; words = [ "--repair" ]; } ];
    look = "cat $out; test $(stat -c %i $dev) = $(cat /tmp/inode) && echo the same";
  };
  repair-of-what-is-needed = {
    about = "--repair looks at all that the outputs need";
    script = "echo ${broken} > $out";
    steps = [ { } { before = "chmod u+w ${broken.outPath}; echo broken > ${broken.outPath}"; words = [ "--repair" ]; } ];
    look = "cat $(cat $out); nix-store --verify-path $out $(cat $out) && echo good";
  };
  repair-of-nothing = {
    about = "--repair of what was never built builds it";
    script = "echo x > $out";
    steps = [ { words = [ "--repair" ]; } ];
  };
  repair-fails = {
    about = "a broken output stays when its builder fails this time";
    script = "test $NIX_BUILD_CORES = 1; echo x > $out";
    steps = [ first { before = corrupt; words = [ "--repair" "--cores" "2" ]; exits = 100; says = [ "failed with exit code 1" ]; } ];
    look = "cat $out";
  };
  repair-nothing = {
    about = "--repair of an output that is whole leaves it";
    script = "echo x > $out";
    steps = [ { } { words = [ "--repair" ]; } ];
    look = "cat $out";
  };
}
